// Checks, inside gVisor, what children and threads inherit of seccomp filters. Prints each check that fails.
//
//   seccomp_guest filters   nested filters, argument rules, exec, vfork, and filters synchronized between threads
//   seccomp_guest lasting   for a few seconds, that filters stay in force: the sandbox is saved and restored meanwhile
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTER = 33, INNER = 44, SECRET_MISSING = 99, SECRET = 77 };

static int failures;

static void check(int holds, const char *what) {
  if (holds) return;
  failures++;
  printf("FAILED: %s\n", what);
  fflush(stdout);
}

static long install(struct sock_filter *filter, unsigned short length, unsigned flags) {
  struct sock_fprog program = {length, filter};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))

// Makes one system call end with `action`.
static long on_call(unsigned number, unsigned action, unsigned flags) {
  struct sock_filter filter[] = {LOAD(nr), SKIP_UNLESS(number, 1), RETURN(action), RETURN(SECCOMP_RET_ALLOW)};
  return install(filter, 4, flags);
}

static long deny(unsigned number, unsigned error, unsigned flags) {
  return on_call(number, SECCOMP_RET_ERRNO | error, flags);
}

// Refuses getpriority unless its second argument is SECRET: a rule that reads an argument cannot be evaluated ahead.
static long require_secret(void) {
  struct sock_filter filter[] = {LOAD(nr),      SKIP_UNLESS(SYS_getpriority, 3),
                                 LOAD(args[1]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECRET, 1, 0),
                                 RETURN(SECCOMP_RET_ERRNO | SECRET_MISSING), RETURN(SECCOMP_RET_ALLOW)};
  return install(filter, 6, 0);
}

static int error_of(long number, long first, long second) {
  errno = 0;
  syscall(number, first, second);
  return errno;
}

static int uname_error(void) {
  static char buffer[1024];
  return error_of(SYS_uname, (long)buffer, 0);
}

static int sysinfo_error(void) {
  static char buffer[1024];
  return error_of(SYS_sysinfo, (long)buffer, 0);
}

static int with_secret(void) { return error_of(SYS_getpriority, 0, SECRET); }
static int without_secret(void) { return error_of(SYS_getpriority, 0, 0); }
static int cpu_error(void) { return error_of(SYS_getcpu, 0, 0); }
static int unknown_call(void) { return error_of(5000, 0, 0); }

// Returns what the function returns in a child, or the negative number of the signal that ended the child.
static int in_child(int (*function)(void)) {
  pid_t child = fork();
  if (child == 0) _exit(function());
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int uname_error_in_child(void) { return in_child(uname_error); }
static int sysinfo_error_in_child(void) { return in_child(sysinfo_error); }

// Adds a filter of its own, which its own children have.
static int stricter_child(void) {
  if (deny(SYS_sysinfo, INNER, 0)) return 1;
  return sysinfo_error() == INNER && uname_error() == OUTER && in_child(sysinfo_error) == INNER ? 0 : 2;
}

static int executes_itself(pid_t (*start)(void), const char *path) {
  pid_t child = start();
  if (child == 0) {
    execl(path, path, "executed", (char *)0);
    _exit(9);
  }
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static volatile int stop;

struct seen {
  int own, of_child;
};

static void *wait_and_look(void *argument) {
  struct seen *seen = argument;
  while (!stop) usleep(1000);
  seen->own = sysinfo_error();
  seen->of_child = in_child(sysinfo_error);
  return 0;
}

static void *start_children(void *argument) {
  long *wrong = argument;
  while (!stop) {
    int error = in_child(sysinfo_error);
    if (error != 0 && error != 61 && error != 62) ++*wrong;
  }
  return 0;
}

static void *look(void *argument) {
  *(int *)argument = sysinfo_error();
  return 0;
}

// Starts threads all the time; those started after `stop` must have the filter.
static void *start_threads(void *argument) {
  long *wrong = argument;
  for (int after = 0; after < 20;) {
    int stopped = stop, error;
    pthread_t thread;
    if (pthread_create(&thread, 0, look, &error)) continue;
    pthread_join(thread, 0);
    if (stopped) {
      after++;
      if (error != 62) ++*wrong;
    }
  }
  return 0;
}

static void threads(void) {
  enum { COUNT = 4 };
  pthread_t thread[COUNT];
  struct seen seen[COUNT];
  for (int i = 0; i < COUNT; i++) pthread_create(&thread[i], 0, wait_and_look, &seen[i]);
  check(deny(SYS_sysinfo, 61, SECCOMP_FILTER_FLAG_TSYNC) == 0, "a filter is synchronized");
  stop = 1;
  for (int i = 0; i < COUNT; i++) {
    pthread_join(thread[i], 0);
    check(seen[i].own == 61, "threads that share what they inherited have a synchronized filter");
    check(seen[i].of_child == 61, "their children have it");
  }

  long wrong[COUNT] = {0};
  stop = 0;
  for (int i = 0; i < COUNT; i++) pthread_create(&thread[i], 0, i % 2 ? start_threads : start_children, &wrong[i]);
  for (int i = 0; i < 20; i++) {
    check(deny(SYS_sysinfo, 62, SECCOMP_FILTER_FLAG_TSYNC) == 0, "filters are synchronized while threads and children start");
    usleep(5000);
  }
  stop = 1;
  for (int i = 0; i < COUNT; i++) {
    pthread_join(thread[i], 0);
    check(wrong[i] == 0, "a thread or child that starts meanwhile has the filters of its parent");
  }
  check(in_child(sysinfo_error) == 62, "the last of several filters of equal rank counts");
}

static int filters(const char *path) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  check(in_child(uname_error) == 0, "without filters all calls are allowed");
  check(deny(SYS_uname, OUTER, 0) == 0 && require_secret() == 0, "filters can be installed");
  check(uname_error() == OUTER, "a filter is in force");
  check(in_child(uname_error) == OUTER, "a child has it");
  check(in_child(uname_error_in_child) == OUTER, "a child's child has it");
  check(in_child(without_secret) == SECRET_MISSING, "a child has a rule about an argument");
  check(in_child(with_secret) != SECRET_MISSING, "the rule is evaluated for each call");
  check(in_child(unknown_call) == ENOSYS, "numbers above the known ones are evaluated");
  check(in_child(stricter_child) == 0, "a child's own filter is added to the inherited ones");
  check(sysinfo_error() == 0 && in_child(sysinfo_error_in_child) == 0, "a child's own filter is not its parent's");
  check(executes_itself(fork, path), "an executed program has the filters");
  check(executes_itself(vfork, path), "a program that was executed after vfork has the filters");
  threads();
  check(on_call(SYS_getcpu, SECCOMP_RET_KILL_PROCESS, 0) == 0, "a killing filter can be installed");
  check(in_child(cpu_error) == -SIGSYS, "the strictest of nested filters counts in children");
  return failures != 0;
}

static int in_force(void) {
  return uname_error() == OUTER && without_secret() == SECRET_MISSING && with_secret() != SECRET_MISSING;
}

static int stays_in_force(void) {
  for (int i = 0; i < 60; i++) {
    if (!in_force()) return 1;
    usleep(50000);
  }
  return 0;
}

static int lasting(void) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  check(deny(SYS_uname, OUTER, 0) == 0 && require_secret() == 0, "filters can be installed");
  pid_t child = fork();
  if (child == 0) _exit(stays_in_force());
  check(stays_in_force() == 0, "filters stay in force");
  int status;
  waitpid(child, &status, 0);
  check(status == 0, "filters stay in force in a child");
  check(in_child(in_force) == 1, "a child that starts afterwards has them");
  return failures ? 1 : 7;
}

int main(int count, char **words) {
  const char *task = count > 1 ? words[1] : "";
  if (!strcmp(task, "executed")) return uname_error() == OUTER && without_secret() == SECRET_MISSING ? 0 : 1;
  if (!strcmp(task, "filters")) return filters(words[0]);
  if (!strcmp(task, "lasting")) return lasting();
  return 2;
}
