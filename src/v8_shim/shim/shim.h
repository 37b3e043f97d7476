// The boundary between Rust and V8: plain C, and nothing of V8 in it.
//
// One thread at a time uses an isolate, except for `roma_v8_terminate`. Bytes that are passed in live until the
// call returns; bytes that are passed out are freed with `roma_v8_free`.

#ifndef ROMA_SRC_V8_SHIM_SHIM_H_
#define ROMA_SRC_V8_SHIM_SHIM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct RomaV8Bytes {
  const char *data;
  size_t size;
};

struct RomaV8Owned {
  char *data;
  size_t size;
};

// How a load or a call ended. Rust has the same numbers.
enum RomaV8Outcome {
  ROMA_V8_OK = 0,
  ROMA_V8_NOT_COMPILED = 1,      // the code is not a program
  ROMA_V8_THREW = 2,             // an exception that nothing caught
  ROMA_V8_TERMINATED = 3,        // by `roma_v8_terminate`
  ROMA_V8_OUT_OF_MEMORY = 4,     // the limit of the heap
  ROMA_V8_NEVER_SETTLES = 5,     // the result is a promise that nothing can settle any more
  ROMA_V8_NO_HANDLER = 6,        // there is no such function
  ROMA_V8_INPUT_NOT_JSON = 7,    // an input cannot be parsed
  ROMA_V8_NO_RESULT = 8,         // the result cannot be converted
  ROMA_V8_NO_SNAPSHOT = 9,       // the state after the load cannot be kept
};

// What scripts call. Kinds tell how the script and the host read the bytes; this side does not.
struct RomaV8Host {
  void *context;
  // Returns whether the call succeeded. If not, `result` is the text of the exception.
  bool (*call)(void *context, struct RomaV8Bytes name, char kind, struct RomaV8Bytes argument, char *result_kind,
               struct RomaV8Owned *result);
  void (*log)(void *context, int severity, struct RomaV8Bytes line);
};

struct RomaV8Limits {
  size_t heap_initial;   // 0: V8's default
  size_t heap_maximum;   // 0: V8's default
  size_t array_buffers;  // all array buffers together; 0: no limit
};

struct RomaV8Heap {
  size_t used;
  size_t limit;
  size_t physical;
  size_t array_buffers;
  size_t contexts;
};

struct RomaV8Isolate;

const char *roma_v8_version(void);

// Starts V8, once in a process, with flags as on V8's own command line. Without threads of its own.
void roma_v8_start(const char *flags);

// Allocates what a host's `call` returns.
char *roma_v8_allocate(size_t size);
void roma_v8_free(char *data);

// Runs a prelude and then the code in a new heap, and returns its state as a snapshot, or the text of the failure.
enum RomaV8Outcome roma_v8_snapshot(struct RomaV8Bytes prelude, struct RomaV8Bytes code, struct RomaV8Limits limits,
                                    struct RomaV8Owned *out);

// Makes an isolate. `snapshot` has to outlive it; an empty one is none.
struct RomaV8Isolate *roma_v8_isolate_new(struct RomaV8Bytes snapshot, struct RomaV8Limits limits,
                                          struct RomaV8Host host);
void roma_v8_isolate_delete(struct RomaV8Isolate *isolate);

// Compiles scripts that each context runs, in their order, when it is made.
enum RomaV8Outcome roma_v8_add_script(struct RomaV8Isolate *isolate, struct RomaV8Bytes code, const char *name,
                                      struct RomaV8Owned *failure);
// Compiles a module of WebAssembly, which each context has as a global of this name.
enum RomaV8Outcome roma_v8_add_module(struct RomaV8Isolate *isolate, struct RomaV8Bytes wasm, const char *name,
                                      struct RomaV8Owned *failure);
// Bytes that each context has as a global Uint8Array of this name.
void roma_v8_add_bytes(struct RomaV8Isolate *isolate, struct RomaV8Bytes bytes, const char *name);

// Makes the context of the next call ahead of it. A failure is that call's, too.
enum RomaV8Outcome roma_v8_prepare(struct RomaV8Isolate *isolate, struct RomaV8Owned *failure);

// Calls a handler, `name` or `namespace.name`, in a context that no call has had. With `as_bytes`, there is one
// input, which becomes a Uint8Array; otherwise each is parsed as JSON. The result is bytes if it is a view of an
// array buffer, and else JSON; `result_is_bytes` tells.
enum RomaV8Outcome roma_v8_call(struct RomaV8Isolate *isolate, struct RomaV8Bytes handler,
                                const struct RomaV8Bytes *inputs, size_t count, bool as_bytes, bool *result_is_bytes,
                                struct RomaV8Owned *out);

// Ends the code that runs, if any. For any thread.
void roma_v8_terminate(struct RomaV8Isolate *isolate);

void roma_v8_heap(struct RomaV8Isolate *isolate, struct RomaV8Heap *out);
// How many modules of WebAssembly were compiled in this process.
size_t roma_v8_modules_compiled(void);

#ifdef __cplusplus
}
#endif

#endif  // ROMA_SRC_V8_SHIM_SHIM_H_
