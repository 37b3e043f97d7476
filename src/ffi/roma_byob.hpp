// Roma BYOB in C++17: runs other people's binaries on private data, each request in a fresh process
// inside two sandboxes.
//
// Integrators use the class that `roma_byob_app_api_cc_library` generates from their proto. It is a
// Client, which has everything that does not depend on the proto:
//
//   StatusOr<ByobEchoService<>> service = ByobEchoService<>::Create();
//   StatusOr<std::string> code = service->Register("/opt/udfs/echo", /*num_workers=*/8);
//   Notification answered;
//   StatusOr<EchoResponse> response;
//   Status asked = service->Echo(answered, request, response, /*metadata=*/{}, *code).status();
//   if (asked.ok()) answered.WaitForNotification();
//
// Calls and status codes are those of the C++ system that this library replaces. This header needs
// only protobuf and the standard library; Status, StatusOr and Notification have the shape of those
// of Abseil.
//
// Nothing here throws.

#ifndef SRC_FFI_ROMA_BYOB_HPP_
#define SRC_FFI_ROMA_BYOB_HPP_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "google/protobuf/message_lite.h"
#include "src/ffi/roma_byob.h"

namespace roma::byob {

// The numbers are those of absl::StatusCode and of gRPC.
enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The result of a call.
class [[nodiscard]] Status {
 public:
  // Success.
  Status() = default;

  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }

  // What went wrong, for people.
  const std::string& message() const { return message_; }

  // The kind of failure, such as "died", "cancelled" or "deadline". It distinguishes failures with
  // the same code.
  const std::string& cause() const { return cause_; }

  // Who caused it: "caller", "udf", "sandbox" or "host".
  const std::string& fault() const { return fault_; }

  // Whether the same call may succeed later without any change.
  bool retryable() const { return retryable_; }

  std::string ToString() const {
    return ok() ? "OK" : "code " + std::to_string(static_cast<int>(code_)) + ": " + message_;
  }

  // Copies a status of the C ABI; null is success.
  static Status Of(const roma_byob_status* status) {
    if (status == nullptr) return Status();
    const roma_byob_failure failure = roma_byob_status_read(status);
    const auto text = [](roma_byob_text it) { return std::string(it.data, it.size); };
    Status copy(static_cast<StatusCode>(failure.code), text(failure.message));
    copy.cause_ = text(failure.cause);
    copy.fault_ = text(failure.fault);
    copy.retryable_ = failure.retryable;
    return copy;
  }

  // Like Of(), and frees the status.
  static Status Take(roma_byob_status* status) {
    Status copy = Of(status);
    roma_byob_status_free(status);
    return copy;
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  bool retryable_ = false;
  std::string message_;
  std::string cause_;
  std::string fault_;
};

inline std::ostream& operator<<(std::ostream& out, const Status& status) {
  return out << status.ToString();
}

// A value, or the status that says why it is missing.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  // No result yet.
  StatusOr() : status_(StatusCode::kUnknown, "there is no result yet") {}

  // Success without a value is a failure.
  StatusOr(Status status) : status_(std::move(status)) {
    if (status_.ok()) status_ = Status(StatusCode::kInternal, "success without a value");
  }

  StatusOr(T value) : value_(std::move(value)) {}

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // Returns the value. Without one, ends the process with a message.
  T& value() & { return Checked(); }
  const T& value() const& { return const_cast<StatusOr*>(this)->Checked(); }
  T&& value() && { return std::move(Checked()); }
  T& operator*() & { return Checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(Checked()); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &value(); }

 private:
  T& Checked() {
    if (!ok()) {
      std::fprintf(stderr, "there is no value: %s\n", status_.ToString().c_str());
      std::abort();
    }
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

// Signals an event once.
class Notification {
 public:
  void Notify() {
    // Under the lock, because a waiting thread may destroy this as soon as it is released.
    std::lock_guard<std::mutex> lock(mutex_);
    notified_ = true;
    changed_.notify_all();
  }

  bool HasBeenNotified() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return notified_;
  }

  void WaitForNotification() const {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return notified_; });
  }

  // Returns whether it happened in time.
  bool WaitForNotificationWithTimeout(std::chrono::nanoseconds timeout) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, timeout, [this] { return notified_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool notified_ = false;
};

namespace internal {

inline roma_byob_text Text(std::string_view text) { return {text.data(), text.size()}; }

inline std::string_view View(roma_byob_text text) { return {text.data, text.size}; }

inline bool Parse(std::string_view bytes, google::protobuf::MessageLite& message) {
  return bytes.size() <= std::numeric_limits<int>::max() &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace internal

// The outer sandbox, in addition to the inner sandbox of each request.
enum class Mode {
  // gVisor around all processes of the service: for production.
  kModeGvisorSandbox,
  // As above, with gVisor's debug log and system call trace.
  kModeGvisorSandboxDebug,
  // No outer sandbox: for development.
  kModeMinimalSandbox,
  // The outer sandbox is provided by the environment.
  kModeExternalSandbox,
};

// Which system calls UDFs may make.
enum class SyscallFiltering {
  // All that the other layers allow.
  kNoSyscallFiltering,
  // All except dangerous ones.
  kWorkerEngineSyscallFiltering,
  // Those that a computation needs.
  kUntrustedCodeSyscallFiltering,
};

// The metadata of a request if its caller has no type of its own for it.
struct NoMetadata {};

// Handles a call of a host function: the argument, and the metadata of the request that the calling
// process serves, or null. It is called on threads of the library, concurrently.
template <typename TMetadata>
using HostFunction =
    std::function<StatusOr<std::string>(std::string_view argument, const TMetadata* metadata)>;

// How to start a service. The defaults are safe.
template <typename TMetadata = NoMetadata>
struct Config {
  // A limit on the address space of each gVisor sandbox, in bytes. 0 is none.
  std::uint64_t memory_limit_hard = 0;
  // The number of gVisor sandboxes that share the work. 0 is one for each core, at most four.
  std::uint32_t sandboxes = 0;
  // Folders that UDFs may read, with commas between them. Static programs need none.
  std::string lib_mounts;
  SyscallFiltering syscall_filtering = SyscallFiltering::kUntrustedCodeSyscallFiltering;
  // Executions of the same code share System V and POSIX IPC.
  bool disable_ipc_namespace = false;
  // How gVisor intercepts system calls: "auto", "systrap", "ptrace" or "kvm". Empty is "auto".
  std::string platform;
  // Where the service keeps its files while it runs; with gVisor, a folder that is not mounted
  // noexec. By default $ROMA_RUN_DIR, or the first usable one of several (docs/gvisor.md).
  std::string run_dir;
  // The programs run_workers and runsc. By default those that ROMA_RUN_WORKERS and ROMA_RUNSC name,
  // or beside this program, or in PATH.
  std::string run_workers;
  std::string runsc;
  // Whether the environment variable DISABLE_GVISOR is obeyed.
  bool obey_environment = true;

  // A function that code may call by `name` if it is loaded with LoadOptions::host_functions. The
  // name of an rpc of a host API is `package.Service/Method`.
  void RegisterHostFunction(std::string name, HostFunction<TMetadata> function) {
    host_functions.emplace_back(std::move(name), std::move(function));
  }

  // As above, for an argument and a result that are messages. An argument that is another message
  // is the UDF's fault, and does not reach the handler.
  template <typename Request, typename Response>
  void RegisterHostCall(
      std::string name,
      std::function<StatusOr<Response>(const Request&, const TMetadata* metadata)> function) {
    RegisterHostFunction(
        std::move(name),
        [function = std::move(function)](std::string_view argument,
                                         const TMetadata* metadata) -> StatusOr<std::string> {
          Request request;
          if (!internal::Parse(argument, request)) {
            return Status(StatusCode::kInvalidArgument, "the argument is not the expected message");
          }
          const StatusOr<Response> response = function(request, metadata);
          if (!response.ok()) return response.status();
          return response->SerializeAsString();
        });
  }

  std::vector<std::pair<std::string, HostFunction<TMetadata>>> host_functions;
};

// How to load code. Only the number of workers is required.
struct LoadOptions {
  LoadOptions(int workers) : num_workers(workers) {}

  // The number of ready workers.
  int num_workers;
  // A name for logs and metrics.
  std::string name;
  // The largest request and response, in bytes.
  std::uint64_t max_request = std::uint64_t{64} << 20;
  std::uint64_t max_response = std::uint64_t{64} << 20;
  // The code may call the service's host functions.
  bool host_functions = false;
};

// The default deadline of an execution.
inline constexpr std::chrono::nanoseconds kDefaultDeadline = std::chrono::seconds(10);

// Names one execution. It may outlive its service.
class ExecutionToken {
 public:
  // Names no execution.
  ExecutionToken() = default;

  // Takes ownership of the handle.
  explicit ExecutionToken(roma_byob_execution* execution)
      : execution_(execution, roma_byob_execution_free) {}

  // For logs. Empty if there is none.
  std::string value() const { return roma_byob_execution_id(execution_.get()).text; }

 private:
  template <typename>
  friend class Client;

  std::shared_ptr<roma_byob_execution> execution_;
};

// The times and the resources of an execution.
struct ProcessRequestMetrics {
  // Until a worker was ready.
  std::chrono::nanoseconds wait_time;
  // From there until the whole request was sent.
  std::chrono::nanoseconds send_time;
  // From there until the whole response had arrived.
  std::chrono::nanoseconds response_time;
  // The processor time of its process, and the most memory that it had, in bytes. 0 if it is not
  // known.
  std::chrono::nanoseconds cpu_time;
  std::uint64_t peak_memory;
  // How the process ended: its exit code, or the signal that ended it. Neither if that is not
  // known.
  std::optional<int> exit_code;
  std::optional<int> signal;
};

// Called once, when the process has ended, on a thread of the library. It may block. `logs` is the
// output of the process, valid until the callback returns, or a status if no output is kept.
template <typename Response>
using Callback = std::function<void(StatusOr<Response> response, StatusOr<std::string_view> logs,
                                    ProcessRequestMetrics metrics)>;

namespace internal {

inline std::string_view Name(Mode mode) {
  switch (mode) {
    case Mode::kModeGvisorSandbox:
      return "gvisor";
    case Mode::kModeGvisorSandboxDebug:
      return "gvisor-debug";
    case Mode::kModeMinimalSandbox:
      return "minimal";
    case Mode::kModeExternalSandbox:
      return "external";
  }
  return "unknown";
}

inline std::string_view Name(SyscallFiltering filtering) {
  switch (filtering) {
    case SyscallFiltering::kNoSyscallFiltering:
      return "none";
    case SyscallFiltering::kWorkerEngineSyscallFiltering:
      return "engine";
    case SyscallFiltering::kUntrustedCodeSyscallFiltering:
      return "strict";
  }
  return "unknown";
}

// A negative time counts as zero.
inline std::uint64_t Nanos(std::chrono::nanoseconds time) {
  return time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
}

template <typename Response>
StatusOr<Response> ResponseOf(const roma_byob_outcome& outcome) {
  if (outcome.status != nullptr) return Status::Of(outcome.status);
  Response response;
  if (!Parse(View(outcome.response), response)) {
    return Status(StatusCode::kUnavailable,
                  "bad response from the UDF: it is not the expected message");
  }
  return response;
}

inline StatusOr<std::string_view> LogsOf(const roma_byob_outcome& outcome) {
  if (outcome.has_logs) return View(outcome.logs);
  return Status(StatusCode::kInternal, "nothing is kept of what this code prints");
}

inline ProcessRequestMetrics MetricsOf(const roma_byob_outcome& outcome) {
  const auto time = [](std::uint64_t nanos) {
    return std::chrono::nanoseconds(static_cast<std::chrono::nanoseconds::rep>(nanos));
  };
  ProcessRequestMetrics metrics = {};
  metrics.wait_time = time(outcome.queue_nanos);
  metrics.send_time = time(outcome.send_nanos);
  metrics.response_time = time(outcome.run_nanos);
  metrics.cpu_time = time(outcome.cpu_nanos);
  metrics.peak_memory = outcome.peak_memory;
  if (outcome.has_exit && outcome.exit_signal == 0) metrics.exit_code = outcome.exit_code;
  if (outcome.has_exit && outcome.exit_signal != 0) metrics.signal = outcome.exit_signal;
  return metrics;
}

// Calls a host function's handler, which is the context.
template <typename TMetadata>
void Handle(void* context, const roma_byob_host_call* call,
            roma_byob_host_answer* answer) noexcept {
  const auto& function = *static_cast<const HostFunction<TMetadata>*>(context);
  const StatusOr<std::string> result =
      function(View(call->argument), static_cast<const TMetadata*>(call->metadata));
  if (result.ok()) {
    roma_byob_host_answer_set(answer, Text(*result));
  } else {
    roma_byob_host_answer_fail(answer, static_cast<int>(result.status().code()),
                               Text(result.status().message()));
  }
}

using Receiver = std::function<void(const roma_byob_outcome& outcome)>;

// Calls a request's receiver, which is the context, and frees it.
inline void Receive(void* context, const roma_byob_outcome* outcome) noexcept {
  const std::unique_ptr<Receiver> receiver(static_cast<Receiver*>(context));
  (*receiver)(*outcome);
}

}  // namespace internal

// A service that runs UDFs, with everything that does not depend on the type of their responses.
// Its destructor ends everything that it started: executions in flight fail, and all callbacks have
// returned when it ends.
template <typename TMetadata>
class Client {
 public:
  Client(Client&&) noexcept = default;

  Client& operator=(Client&& other) noexcept {
    // In this order, because the former service may be calling its functions.
    service_ = std::move(other.service_);
    functions_ = std::move(other.functions_);
    return *this;
  }

  // Loads a binary, and waits until one worker is ready.
  StatusOr<std::string> Register(const std::filesystem::path& path, LoadOptions options) {
    return Load(path.native(), {}, /*logs=*/false, options);
  }

  // Like Register(), and keeps the output of the binary for the callback of each execution.
  StatusOr<std::string> RegisterForLogging(const std::filesystem::path& path, LoadOptions options) {
    return Load(path.native(), {}, /*logs=*/true, options);
  }

  // As above, for loaded code. The new code stays when the original is deleted.
  StatusOr<std::string> RegisterForLogging(const std::string& no_log_code_token,
                                           LoadOptions options) {
    return Load({}, no_log_code_token, /*logs=*/true, options);
  }

  // Ends the processes of this code and forgets it. Executions in flight fail. Does nothing if
  // there is no such code.
  void Delete(std::string_view code_token) {
    roma_byob_status_free(roma_byob_delete(service_.get(), internal::Text(code_token)));
  }

  // Ends an execution and its process at once. Does nothing if it is over.
  void Cancel(const ExecutionToken& execution) { roma_byob_cancel(execution.execution_.get()); }

 protected:
  static StatusOr<Client> Start(Config<TMetadata> config, Mode mode) {
    auto functions = std::make_unique<HostFunctions>(std::move(config.host_functions));
    std::vector<roma_byob_host_function> host_functions;
    for (auto& [name, function] : *functions) {
      host_functions.push_back({internal::Text(name), internal::Handle<TMetadata>, &function});
    }
    roma_byob_config start = {};
    start.mode = internal::Text(internal::Name(mode));
    start.platform = internal::Text(config.platform);
    start.syscall_filter = internal::Text(internal::Name(config.syscall_filtering));
    start.run_dir = internal::Text(config.run_dir);
    start.run_workers = internal::Text(config.run_workers);
    start.runsc = internal::Text(config.runsc);
    start.libraries = internal::Text(config.lib_mounts);
    start.memory_limit = config.memory_limit_hard;
    start.sandboxes = config.sandboxes;
    start.shared_ipc = config.disable_ipc_namespace;
    start.ignore_environment = !config.obey_environment;
    start.host_functions = host_functions.data();
    start.host_function_count = host_functions.size();
    roma_byob_service* service = nullptr;
    Status status = Status::Take(roma_byob_start(&start, &service));
    if (!status.ok()) return status;
    return Client(std::move(functions), service);
  }

  // How to execute a request.
  struct Execution {
    TMetadata metadata;
    std::string_view code_token;
    std::chrono::nanoseconds connection_timeout;
    std::chrono::nanoseconds deadline;
  };

  // Executes a request and calls `callback`.
  template <typename Response>
  StatusOr<ExecutionToken> Call(Callback<Response> callback,
                                const google::protobuf::MessageLite& request, Execution execution) {
    auto receive = [callback = std::move(callback)](const roma_byob_outcome& outcome) {
      callback(internal::ResponseOf<Response>(outcome), internal::LogsOf(outcome),
               internal::MetricsOf(outcome));
    };
    return Execute(std::move(receive), /*report=*/true, request, std::move(execution));
  }

  // Executes a request, stores its response, and notifies as soon as the response has arrived.
  template <typename Response>
  StatusOr<ExecutionToken> Call(Notification& notification,
                                const google::protobuf::MessageLite& request,
                                StatusOr<Response>& response, Execution execution) {
    auto receive = [&notification, &response](const roma_byob_outcome& outcome) {
      response = internal::ResponseOf<Response>(outcome);
      notification.Notify();
    };
    return Execute(std::move(receive), /*report=*/false, request, std::move(execution));
  }

 private:
  using HostFunctions = std::vector<std::pair<std::string, HostFunction<TMetadata>>>;

  struct End {
    void operator()(roma_byob_service* service) const { roma_byob_end(service); }
  };

  Client(std::unique_ptr<HostFunctions> functions, roma_byob_service* service)
      : functions_(std::move(functions)), service_(service) {}

  StatusOr<std::string> Load(std::string_view path, std::string_view same_as, bool logs,
                             const LoadOptions& options) {
    roma_byob_code_options load = {};
    load.path = internal::Text(path);
    load.same_as = internal::Text(same_as);
    load.name = internal::Text(options.name);
    load.workers = options.num_workers;
    load.logs = logs;
    load.host_functions = options.host_functions;
    load.max_request = options.max_request;
    load.max_response = options.max_response;
    roma_byob_token token;
    Status status = Status::Take(roma_byob_load(service_.get(), &load, &token));
    if (!status.ok()) return status;
    return std::string(token.text);
  }

  StatusOr<ExecutionToken> Execute(internal::Receiver receive, bool report,
                                   const google::protobuf::MessageLite& message, Execution how) {
    std::string body;
    if (!message.SerializeToString(&body)) {
      return Status(StatusCode::kInvalidArgument,
                    "the request lacks a required field or is too large for protobuf");
    }
    roma_byob_request request = {};
    request.code = internal::Text(how.code_token);
    request.body = internal::Text(body);
    request.queue_timeout_nanos = internal::Nanos(how.connection_timeout);
    request.deadline_nanos = internal::Nanos(how.deadline);
    request.report = report;
    request.metadata = new TMetadata(std::move(how.metadata));
    request.metadata_free = [](void* it) { delete static_cast<TMetadata*>(it); };
    auto receiver = std::make_unique<internal::Receiver>(std::move(receive));
    roma_byob_execution* execution = nullptr;
    Status status = Status::Take(roma_byob_execute(service_.get(), &request, internal::Receive,
                                                   receiver.get(), &execution));
    if (!status.ok()) return status;
    // Receive() owns it now and may have freed it already.
    static_cast<void>(receiver.release());
    return ExecutionToken(execution);
  }

  // The functions that the service calls: they are destroyed after it.
  std::unique_ptr<HostFunctions> functions_;
  std::unique_ptr<roma_byob_service, End> service_;
};

}  // namespace roma::byob

#endif  // SRC_FFI_ROMA_BYOB_HPP_
