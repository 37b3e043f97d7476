// Attempts to create a process.

#ifndef SAMPLE_UDF_CC_CLONE_H_
#define SAMPLE_UDF_CC_CLONE_H_

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

#include "sample_udf/proto/sample.pb.h"

namespace roma::sample {

// The flags that a request may have: others would share this process's memory with the new one.
inline constexpr std::uint64_t kNamespaces = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET |
                                             CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER |
                                             CLONE_NEWUTS;

// Makes one clone system call and ends the created process. Returns no value if the request has flags
// other than namespaces.
inline std::optional<CloneResponse> Clone(const CloneRequest& request) {
  const std::uint64_t flags = request.namespace_flags();
  if ((flags & ~kNamespaces) != 0) return std::nullopt;
  const long process = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  CloneResponse response;
  if (process == 0) _exit(0);
  if (process == -1) {
    response.set_error_number(errno);
  } else {
    // If waiting is forbidden, the process remains until this one ends, which is soon.
    waitpid(static_cast<pid_t>(process), nullptr, 0);
  }
  return response;
}

}  // namespace roma::sample

#endif  // SAMPLE_UDF_CC_CLONE_H_
