/* Roma BYOB in C: runs other people's binaries on private data, each request in a fresh process
 * inside two sandboxes. It is the C ABI of a library in Rust; roma_byob.hpp has the same for C++.
 *
 * Rules that hold for all functions:
 *
 * - A function that can fail returns a status. Null means success. Any other status must be freed
 *   with roma_byob_status_free().
 * - A null pointer where a value is required, a text that is not UTF-8 and similar mistakes are
 *   refused with the code 3 (INVALID_ARGUMENT). Freed handles and pointers to other types cannot be
 *   detected.
 * - All functions may be called from any thread, also concurrently, except those that free or end a
 *   handle: they must be the last to use it. Freeing or ending null does nothing.
 * - Bytes that are passed in are copied. Returned texts are valid as long as their owner: those of
 *   a status until it is freed, those of an outcome until the callback returns.
 * - The library starts threads of its own. At most 512 callbacks and host functions run at once;
 *   others wait until one returns, so they should not wait for each other. It changes no signal
 *   handler and no other setting of the process, and never ends it. */

#ifndef SRC_FFI_ROMA_BYOB_H_
#define SRC_FFI_ROMA_BYOB_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes. A size of zero means that no value is given; where that is allowed, it is documented. */
typedef struct roma_byob_text {
  const char* data;
  size_t size;
} roma_byob_text;

/* The name of loaded code or of an execution, terminated by a NUL. */
typedef struct roma_byob_token {
  char text[32];
} roma_byob_token;

typedef struct roma_byob_service roma_byob_service;
typedef struct roma_byob_execution roma_byob_execution;
typedef struct roma_byob_status roma_byob_status;

/* Why a call failed. */
typedef struct roma_byob_failure {
  /* A number of absl::StatusCode and of gRPC; 0 is success. */
  int32_t code;
  /* Whether the same call may succeed later without any change. */
  bool retryable;
  /* What went wrong, for people. */
  roma_byob_text message;
  /* The kind of failure, such as "died", "cancelled" or "deadline". It distinguishes failures with
   * the same code. */
  roma_byob_text cause;
  /* Who caused it: "caller", "udf", "sandbox" or "host". */
  roma_byob_text fault;
} roma_byob_failure;

/* Returns the content of a status. Null is success. */
roma_byob_failure roma_byob_status_read(const roma_byob_status* status);

void roma_byob_status_free(roma_byob_status* status);

/* A call of a host function by code that was loaded with them. All but the metadata comes from
 * untrusted code. */
typedef struct roma_byob_host_call {
  /* The name that the function was registered with. */
  roma_byob_text function;
  roma_byob_text argument;
  /* The metadata of the request that the calling process serves; null if it has none. */
  const void* metadata;
} roma_byob_host_call;

/* Receives the answer to such a call. If nothing is set, the result is empty. */
typedef struct roma_byob_host_answer roma_byob_host_answer;

/* Sets the result. */
void roma_byob_host_answer_set(roma_byob_host_answer* answer, roma_byob_text result);

/* Sets a failure, which the UDF sees: a gRPC code that this library knows (13, INTERNAL, stands
 * for all others) and a text. */
void roma_byob_host_answer_fail(roma_byob_host_answer* answer, int32_t code,
                                roma_byob_text message);

/* Called for each call, on threads of the library, concurrently. It may block, within the deadline
 * of the execution. Call and answer live until it returns. It must not throw. */
typedef void (*roma_byob_host_handler)(void* context, const roma_byob_host_call* call,
                                       roma_byob_host_answer* answer);

/* A function that UDFs may call. */
typedef struct roma_byob_host_function {
  roma_byob_text name;
  roma_byob_host_handler handler;
  /* Must live until roma_byob_end() has returned. */
  void* context;
} roma_byob_host_function;

/* How to start a service. All zero is the safe default. */
typedef struct roma_byob_config {
  /* "gvisor" (the default), "gvisor-debug", "minimal" or "external". */
  roma_byob_text mode;
  /* How gVisor intercepts system calls: "auto" (the default), "systrap", "ptrace" or "kvm". */
  roma_byob_text platform;
  /* Which system calls UDFs may make: "strict" (the default), "engine" or "none". */
  roma_byob_text syscall_filter;
  /* Where the service keeps its files while it runs; with gVisor, a folder that is not mounted
   * noexec. By default $ROMA_RUN_DIR, or the first usable one of several (docs/gvisor.md). */
  roma_byob_text run_dir;
  /* The programs run_workers and runsc. By default those that ROMA_RUN_WORKERS and ROMA_RUNSC name,
   * or beside this program, or in PATH. */
  roma_byob_text run_workers;
  roma_byob_text runsc;
  /* Folders that UDFs may read, with commas between them. */
  roma_byob_text libraries;
  /* A limit on the address space of each gVisor sandbox, in bytes. 0 is none. */
  uint64_t memory_limit;
  /* The number of gVisor sandboxes that share the work. 0 is one for each core, at most four. */
  uint32_t sandboxes;
  /* Executions of the same code share System V and POSIX IPC. */
  bool shared_ipc;
  /* Ignore the environment variable DISABLE_GVISOR. */
  bool ignore_environment;
  /* The functions that UDFs may call. */
  const roma_byob_host_function* host_functions;
  size_t host_function_count;
} roma_byob_config;

/* Starts a service, and waits until code can be loaded. `*service` is null after a failure. */
roma_byob_status* roma_byob_start(const roma_byob_config* config, roma_byob_service** service);

/* Ends everything that the service started. Executions in flight fail. Returns after the last
 * callback has returned. It must not be called by a callback, which would wait for itself. */
void roma_byob_end(roma_byob_service* service);

/* What to load, and how. */
typedef struct roma_byob_code_options {
  /* A file. Either this or `same_as` must be given. */
  roma_byob_text path;
  /* The token of loaded code to load again. The new code outlives the original. */
  roma_byob_text same_as;
  /* A name for logs and metrics. */
  roma_byob_text name;
  /* The number of ready workers. */
  int32_t workers;
  /* Keep the output of the code for the outcome of each execution. */
  bool logs;
  /* The code may call the service's host functions. */
  bool host_functions;
  /* The largest request and response, in bytes. 0 is the default: 64 MiB. */
  uint64_t max_request;
  uint64_t max_response;
} roma_byob_code_options;

/* Loads a binary, and waits until one worker is ready. */
roma_byob_status* roma_byob_load(const roma_byob_service* service,
                                 const roma_byob_code_options* options, roma_byob_token* token);

/* Ends the processes of this code and forgets it. Executions in flight fail. */
roma_byob_status* roma_byob_delete(const roma_byob_service* service, roma_byob_text token);

/* What to execute. */
typedef struct roma_byob_request {
  /* The token of the code. */
  roma_byob_text code;
  /* An encoded protobuf message, which may be empty. */
  roma_byob_text body;
  /* How long the request may wait for a ready worker. With 0, one must be ready already. */
  uint64_t queue_timeout_nanos;
  /* How long the code may take from the first byte of the request to the last of the response.
   * With 0, the execution fails at once with the cause "deadline", and no process gets the
   * request. */
  uint64_t deadline_nanos;
  /* Call back when the process has ended and its logs are complete, instead of when the response
   * has arrived. */
  bool report;
  /* Passed to host functions with the request, and never to the UDF. The library calls
   * `metadata_free` once when it is no longer used, also if the call is refused. */
  void* metadata;
  void (*metadata_free)(void* metadata);
} roma_byob_request;

/* The result of an execution. */
typedef struct roma_byob_outcome {
  /* Null if there is a response. It belongs to the library: do not free it. */
  const roma_byob_status* status;
  roma_byob_text response;
  /* The times until a worker was ready, to send the request, and until the response had arrived. */
  uint64_t queue_nanos;
  uint64_t send_nanos;
  uint64_t run_nanos;
  /* With a report, of code that was loaded with logs: the end of the output of the process, as
   * it printed it (it may contain escape sequences that a terminal obeys), and how many bytes
   * before it were dropped. */
  bool has_logs;
  roma_byob_text logs;
  uint64_t logs_dropped;
  /* With a report, if there was a process and its end is known: its exit code, or -1 and the signal
   * that ended it; and the resources that it used. */
  bool has_exit;
  int32_t exit_code;
  int32_t exit_signal;
  uint64_t cpu_nanos;
  uint64_t peak_memory;
} roma_byob_outcome;

/* Called once for each execution that roma_byob_execute() accepted, on a thread of the library,
 * possibly before that function has returned. It may block and call any function except
 * roma_byob_end(). It must not throw. */
typedef void (*roma_byob_callback)(void* context, const roma_byob_outcome* outcome);

/* Executes a request in a fresh process, in the background. If this fails, the callback is not
 * called. Otherwise `*execution` must be freed, at any time. */
roma_byob_status* roma_byob_execute(const roma_byob_service* service,
                                    const roma_byob_request* request, roma_byob_callback callback,
                                    void* context, roma_byob_execution** execution);

/* Returns a name for logs. */
roma_byob_token roma_byob_execution_id(const roma_byob_execution* execution);

/* Ends an execution and its process at once. Does nothing if it is over. */
void roma_byob_cancel(const roma_byob_execution* execution);

/* Frees the handle; the execution continues. */
void roma_byob_execution_free(roma_byob_execution* execution);

#ifdef __cplusplus
}
#endif

#endif  /* SRC_FFI_ROMA_BYOB_H_ */
