// Checks, inside gVisor, what programs of one sandbox see and take of each other. The argument is one of:
//   numbers   inode numbers of new pipes, sockets and memory files tell nothing of each other
//   sysinfo   a PID namespace counts its own tasks, and no memory in use is told
//   data      private writable memory counts for RLIMIT_DATA
//   few       three busy processes in a user namespace; prints a line when they run
//   crowd     twelve of them
//   stubs     many processes; prints a line when they run, and another one when all have ended
// The last three end when standard input does. Exits with 0, or with the line of the check that failed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
  do {                   \
    if (!(condition)) exit(__LINE__ % 200 + 1); \
  } while (0)

enum { MANY = 100, MEBIBYTE = 1 << 20 };

static unsigned long long number_of(int fd) {
  struct stat found;
  CHECK(fstat(fd, &found) == 0);
  close(fd);
  return found.st_ino;
}

static void are_far_apart(unsigned long long one, unsigned long long next) {
  unsigned long long apart = one < next ? next - one : one - next;
  CHECK(apart > 1000);
}

static void numbers(void) {
  unsigned long long pipes = 0, sockets = 0, files = 0;
  for (int i = 0; i < 50; i++) {
    int pair[2];
    CHECK(pipe(pair) == 0);
    close(pair[1]);
    unsigned long long number = number_of(pair[0]);
    are_far_apart(pipes, number);
    pipes = number;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    close(pair[1]);
    number = number_of(pair[0]);
    are_far_apart(sockets, number);
    sockets = number;
    number = number_of(memfd_create("guest", 0));
    are_far_apart(files, number);
    files = number;
  }
}

static int is_silent(void) {
  struct sysinfo found;
  CHECK(sysinfo(&found) == 0);
  CHECK(found.procs == 1);
  CHECK(found.freeram == found.totalram);
  return 0;
}

static int status_of(pid_t child) {
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void silent_sysinfo(void) {
  pid_t other = fork();
  CHECK(other >= 0);
  if (other == 0)
    for (;;) pause();
  CHECK(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0);
  pid_t child = fork();
  if (child == 0) exit(is_silent());
  int status = status_of(child);
  CHECK(kill(other, SIGKILL) == 0);
  if (status) exit(status);
}

static void *map(size_t bytes, int access) {
  return mmap(NULL, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void data(void) {
  struct rlimit limit = {64 * MEBIBYTE, 64 * MEBIBYTE};
  CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
  int writable = PROT_READ | PROT_WRITE;
  CHECK(map(96 * MEBIBYTE, writable) == MAP_FAILED && errno == ENOMEM);
  void *reserved = map(96 * MEBIBYTE, PROT_NONE);
  CHECK(reserved != MAP_FAILED);
  CHECK(mprotect(reserved, 96 * MEBIBYTE, writable) == -1 && errno == ENOMEM);
  CHECK(mprotect(reserved, 8 * MEBIBYTE, writable) == 0);
  void *some = map(16 * MEBIBYTE, writable);
  CHECK(some != MAP_FAILED);
  CHECK(mremap(some, 16 * MEBIBYTE, 96 * MEBIBYTE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
  // What is mapped again counts once.
  for (int i = 0; i < 10; i++)
    CHECK(mmap(some, 16 * MEBIBYTE, writable, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == some);
  CHECK(munmap(some, 16 * MEBIBYTE) == 0);
  CHECK(map(40 * MEBIBYTE, writable) != MAP_FAILED);
}

static void say(const char *line) { CHECK(write(1, line, strlen(line)) == (ssize_t)strlen(line)); }

static void until_input_ends(void) {
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
}

static void busy(int processes) {
  CHECK(unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0);
  pid_t first = fork();
  CHECK(first >= 0);
  if (first == 0) {
    for (int i = 1; i < processes; i++) {
      pid_t child = fork();
      CHECK(child >= 0);
      if (child == 0)
        for (;;) {
        }
    }
    say("busy\n");
    for (;;) {
    }
  }
  until_input_ends();
  // With the first process of the namespace, all of it ends.
  CHECK(kill(first, SIGKILL) == 0);
}

static void many(void) {
  pid_t children[MANY];
  for (int i = 0; i < MANY; i++) {
    children[i] = fork();
    CHECK(children[i] >= 0);
    if (children[i] == 0)
      for (;;) pause();
  }
  say("many\n");
  char byte;
  CHECK(read(0, &byte, 1) == 1);
  for (int i = 0; i < MANY; i++) CHECK(kill(children[i], SIGKILL) == 0);
  while (wait(NULL) > 0) {
  }
  say("none\n");
  until_input_ends();
}

int main(int count, char **arguments) {
  CHECK(count == 2);
  const char *task = arguments[1];
  if (!strcmp(task, "numbers"))
    numbers();
  else if (!strcmp(task, "sysinfo"))
    silent_sysinfo();
  else if (!strcmp(task, "data"))
    data();
  else if (!strcmp(task, "few"))
    busy(3);
  else if (!strcmp(task, "crowd"))
    busy(12);
  else if (!strcmp(task, "stubs"))
    many();
  else
    return 250;
  return 0;
}
