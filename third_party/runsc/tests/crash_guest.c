// Does, inside gVisor, what ended or hung the whole sandbox before our patches. Exits with 0 if the sandbox survives.
//
//   crash_guest tmpfs     opens ".." of a deleted folder whose parent is deleted too
//   crash_guest setsid    starts a session in an orphaned process group, by a process that has a child there
//   crash_guest device    opens a device node of a mounted folder, which must be refused (or not be there)
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int tmpfs(void) {
  for (int i = 0; i < 100; i++) {
    if (chdir("/tmp") || mkdir("outer", 0700) || mkdir("outer/inner", 0700) || chdir("outer/inner")) return 1;
    if (rmdir("/tmp/outer/inner") || rmdir("/tmp/outer")) return 2;
    int parent = open("..", O_RDONLY | O_DIRECTORY);
    if (parent >= 0) close(parent);
    int both = open("../..", O_RDONLY | O_DIRECTORY);
    if (both >= 0) close(both);
  }
  return 0;
}

// A session leader's group has no parent in its session: it is an orphan. A member that has a child there leaves it.
static int setsid_in_an_orphaned_group(void) {
  pid_t leader = fork();
  if (leader == 0) {
    if (setsid() < 0) _exit(1);
    pid_t member = fork();
    if (member == 0) {
      pid_t child = fork();
      if (child == 0) {
        pause();
        _exit(0);
      }
      int failed = setsid() < 0;
      kill(child, SIGKILL);
      waitpid(child, 0, 0);
      _exit(failed);
    }
    int status;
    waitpid(member, &status, 0);
    _exit(status != 0);
  }
  int status;
  waitpid(leader, &status, 0);
  return status != 0;
}

static int device(void) {
  int file = open("/library/zero", O_RDONLY);
  if (file >= 0) return 1;
  return errno == EACCES || errno == ENOENT ? 0 : 2;
}

int main(int count, char **words) {
  const char *task = count > 1 ? words[1] : "";
  if (!strcmp(task, "tmpfs")) return tmpfs();
  if (!strcmp(task, "setsid")) return setsid_in_an_orphaned_group();
  if (!strcmp(task, "device")) return device();
  return 99;
}
