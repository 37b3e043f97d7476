// Checks, inside gVisor, that a program finds nothing of the one before it in the memory that it shares with the
// platform: with systrap, the stacks and structures of the code that runs programs, which a program can read and write.
// Prints each check that fails.
//
//   stub_memory_guest rounds [COUNT]   pairs of programs, one after the other
//
// The programs of a pair are this one again, with another word: `leave` and its variants end with a pattern in
// registers and in memory, and `look` exits with FOUND if the pattern is anywhere.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, FOUND = 61, NOTHING_TO_SEE = 62, THREADS = 3 };

#if defined(__x86_64__)

// The start of struct sysmsg of gVisor's pkg/sentry/platform/systrap/sysmsg/sysmsg.h, to which gs points.
struct sysmsg {
  struct sysmsg *self;
  uint64_t ret_addr, syshandler, syshandler_stack, app_stack;
  uint32_t interrupt, state;
  char *context;
};

// Of struct thread_context, one page each.
enum { PTREGS = 3592, STATE = PTREGS + 27 * 8 + 128 + 8, THREAD_ID = STATE + 8 };
// Of struct user_regs_struct.
enum { RDI = 14 * 8, ORIG_RAX = 15 * 8 };

static sigjmp_buf fault;

static void on_fault(int number) {
  (void)number;
  siglongjmp(fault, 1);
}

// The pattern. It is kept in another form, so that a program that only looks never has it in its registers.
static volatile uint64_t hidden = 0x5eed5eed5eed5eedULL ^ 0x1122334455667788ULL;
static volatile uint64_t key = 0x1122334455667788ULL;

static struct sysmsg *volatile own;

// Finds the structure of the calling thread. Returns NULL where there is none.
static struct sysmsg *find_sysmsg(void) {
  struct sysmsg *found = NULL;
  if (!sigsetjmp(fault, 1)) __asm__ volatile("movq %%gs:0, %0" : "=r"(found));
  return found;
}

static int page_found;

static void leave_in_page(char *page) {
  // Not at the start of a page, where the platform has what it needs to go on.
  static const int places[] = {1024, 2400, 4032};
  if (sigsetjmp(fault, 1)) return;
  for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
    uint64_t *place = (uint64_t *)(page + places[i]);
    place[0] = place[1] = hidden ^ key;
  }
}

static void look_in_page(char *page) {
  volatile int at = 0;
  if (sigsetjmp(fault, 1)) return;
  for (; at < PAGE; at += 8) {
    if ((*(volatile uint64_t *)(page + at) ^ key) != hidden) continue;
    page_found = 1;
    return;
  }
}

// Visits the pages of all stacks, contexts and queues, wherever this build of gVisor has them.
static void visit(void (*act)(char *page)) {
  struct sysmsg *sysmsg = own;
  // Memory is 8 pages for each thread, and the structure is on the last of these.
  char *stacks = (char *)sysmsg - 7 * PAGE;
  for (int page = -8 * 4; page < 8 * 5; page++) act(stacks + page * PAGE);
  // The other addresses are in variables next to the code that struct sysmsg points to.
  uint64_t *code = (uint64_t *)(sysmsg->syshandler & -PAGE), low = (uint64_t)code >> 40;
  for (int i = 0; i < 3 * PAGE / 8; i++) {
    volatile uint64_t value = 0;
    if (!sigsetjmp(fault, 1)) value = code[i];
    if (value % PAGE || value >> 40 < low || value >> 47 || value - (uint64_t)code < 16 * PAGE) continue;
    static const int far[] = {100, 1000, 4000, 4094};
    for (int page = 0; page < 24; page++) act((char *)value + page * PAGE);
    for (unsigned j = 0; j < sizeof far / sizeof *far; j++) act((char *)value + far[j] * PAGE);
  }
}

// Loads the pattern into registers and repeats a system call, which must not return if there is to be an end. Its number
// is no constant next to the instruction, so that the platform does not replace it with a call of its own code.
static void call_with_pattern(long number) {
  uint64_t pattern = hidden ^ key;
  __asm__ volatile(
      "movq %0, %%xmm6\n punpcklqdq %%xmm6, %%xmm6\n movdqa %%xmm6, %%xmm9\n movdqa %%xmm6, %%xmm15\n"
      "movq %0, %%r12\n movq %0, %%r13\n movq %0, %%r14\n movq %0, %%r15\n movq %0, %%r8\n"
      "1: xorl %%edi, %%edi\n movl %1, %%eax\n syscall\n jmp 1b"
      :
      : "a"(pattern), "d"((int)number)
      : "rcx", "rdi", "r8", "r11", "r12", "r13", "r14", "r15", "memory");
  __builtin_unreachable();
}

static void *call_until_the_end(void *unused) {
  (void)unused;
  call_with_pattern(SYS_getppid);
  return NULL;
}

static void fill_registers_of_threads(void) {
  pthread_t thread;
  for (int i = 0; i < THREADS; i++) pthread_create(&thread, NULL, call_until_the_end, NULL);
  usleep(20000);
}

static pthread_barrier_t barrier;

static void *work(void *unused) {
  volatile uint64_t sum = 0;
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 3000000; i++) sum += i;
  for (int i = 0; i < 50; i++) getppid();
  return unused;
}

static void work_with_threads(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  work(NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static int leave(const char *how) {
  if (!own) return NOTHING_TO_SEE;
  if (!strcmp(how, "leave-threads")) work_with_threads();
  if (!strcmp(how, "leave-registers")) {
    fill_registers_of_threads();
  } else {
    visit(leave_in_page);
  }
  if (!strcmp(how, "leave-handler")) {
    // What the platform's code of the next program would jump to.
    own->syshandler = 16;
  } else if (!strcmp(how, "leave-stub")) {
    // Ends the platform's process itself.
    own->self = NULL;
    *(volatile int *)8 = 1;
  } else if (!strcmp(how, "leave-running")) {
    // Makes gVisor end the program, while the thread in the stub goes on.
    char *context = own->context;
    *(volatile uint64_t *)(context + PTREGS + RDI) = 0;
    *(volatile uint64_t *)(context + PTREGS + ORIG_RAX) = SYS_exit_group;
    *(volatile uint32_t *)(context + THREAD_ID) = 0xfefefefe;
    *(volatile uint32_t *)(context + STATE) = 1;
    for (volatile uint64_t i = 0;; i++) *(volatile uint64_t *)(context + 4032) = hidden ^ key;
  }
  call_with_pattern(SYS_exit_group);
  return 0;
}

static int look(void) {
  if (!own) return NOTHING_TO_SEE;
  visit(look_in_page);
  // The system calls that the platform replaces work.
  for (int i = 0; i < 20; i++) {
    if (getppid() < 0) return 1;
  }
  return page_found ? FOUND : 0;
}

static int run(const char *word) {
  pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "program", word, NULL);
    execl("/program", "program", word, NULL);
    _exit(127);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int rounds(int count) {
  static const char *const words[] = {"leave-registers", "leave", "leave-threads", "leave-handler", "leave-running", "leave-stub"};
  int failures = 0;
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
    int found = 0, failed = 0, seen = 0;
    for (int round = 0; round < count; round++) {
      int left = run(words[i]);
      // Twice, because fork takes one of the platform's address spaces and exec another, in turns.
      int looked = run("look");
      if (looked != FOUND) looked = run(round % 2 ? "look" : "look-threads");
      if (left != NOTHING_TO_SEE) seen++;
      if (looked == FOUND) found++;
      if (looked != FOUND && looked != 0 && looked != NOTHING_TO_SEE) {
        if (!failed++) printf("the program after `%s` ended with %d\n", words[i], looked);
      }
    }
    if (found) printf("FAILED: %d of %d programs found what `%s` left\n", found, count, words[i]);
    if (failed) printf("FAILED: %d of %d programs ended badly after `%s`\n", failed, count, words[i]);
    if (!found && !failed) printf("%s: nothing found, %d of %d programs had memory to leave it in\n", words[i], seen, count);
    fflush(stdout);
    failures += found + failed;
  }
  return failures != 0;
}

int main(int count, char **words) {
  const char *task = count > 1 ? words[1] : "";
  if (!strcmp(task, "rounds")) return rounds(count > 2 ? atoi(words[2]) : 10);
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  own = find_sysmsg();
  if (!strncmp(task, "leave", 5)) return leave(task);
  if (!strcmp(task, "look-threads") && own) work_with_threads();
  if (!strncmp(task, "look", 4)) return look();
  return 2;
}

#else

// On other processors a program does not know where the memory is.
int main(void) { return 0; }

#endif
