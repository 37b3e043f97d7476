// Checks, inside gVisor, that system call instructions stay as they are. systrap can replace them by jumps, which copies
// the page of code for a process that makes each call a few times. Exits with 0 if they stay.
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)

enum { CALLS = 1000, LENGTH = 7 };

// What systrap replaces: `mov $SYS_getppid, %eax; syscall`.
__attribute__((aligned(64))) static const char wanted[LENGTH] = {(char)0xb8, 110, 0, 0, 0, 0x0f, 0x05};

long call(void);
extern const char call_site[];
__asm__(
    ".pushsection .text\n"
    ".globl call\n"
    ".balign 64\n"
    "call:\n"
    "call_site:\n"
    "  mov $110, %eax\n"
    "  syscall\n"
    "  ret\n"
    ".popsection\n");

int main(void) {
  for (int i = 0; i < CALLS; i++)
    if (call() != getppid()) return 2;
  return memcmp(call_site, wanted, LENGTH) != 0;
}

#else

// systrap replaces nothing on other architectures.
int main(void) { return 0; }

#endif
