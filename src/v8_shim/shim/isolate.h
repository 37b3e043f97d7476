// An isolate and all that belongs to it.

#ifndef ROMA_SRC_V8_SHIM_ISOLATE_H_
#define ROMA_SRC_V8_SHIM_ISOLATE_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shim.h"
#include "v8-microtask-queue.h"
#include "v8.h"

namespace roma {

// Counts the memory of array buffers, which is outside V8's heap.
class Allocator final : public v8::ArrayBuffer::Allocator {
 public:
  explicit Allocator(size_t limit) : limit_(limit) {}

  void *Allocate(size_t size) override;
  void *AllocateUninitialized(size_t size) override { return Allocate(size); }
  void Free(void *data, size_t size) override;
  size_t used() const { return used_; }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
};

struct Script {
  v8::Global<v8::UnboundScript> code;
};

struct Module {
  std::string name;
  v8::CompiledWasmModule code;
};

struct NamedBytes {
  std::string name;
  std::string bytes;
};

// A context with all code in it, or why it could not be made.
struct Prepared {
  // What promises of this context wait for. Apart from those of other contexts, so that nothing that a call leaves
  // behind runs in the next one.
  std::unique_ptr<v8::MicrotaskQueue> tasks;
  v8::Global<v8::Context> context;
  RomaV8Outcome outcome = ROMA_V8_OK;
  std::string failure;
};

}  // namespace roma

struct RomaV8Isolate {
  RomaV8Isolate(RomaV8Limits limits, RomaV8Host host) : allocator(limits.array_buffers), host(host) {}

  roma::Allocator allocator;
  const RomaV8Host host;
  v8::StartupData snapshot{nullptr, 0};
  v8::Isolate *isolate = nullptr;
  std::vector<roma::Script> scripts;
  std::vector<roma::Module> modules;
  std::vector<roma::NamedBytes> bytes;
  std::unique_ptr<roma::Prepared> prepared;
  // How often the running code has reached the limit of the heap.
  std::atomic<int> heap_limit_hits{0};
  // How much the heap may exceed its limit while the code that reached it is ended.
  size_t heap_slack = 0;
  // Promises that were rejected and that nothing handles, and the reason of the last one.
  int unhandled = 0;
  std::string unhandled_reason;
};

namespace roma {

// The functions that scripts find, and their addresses, which snapshots refer to.
v8::Local<v8::ObjectTemplate> Globals(v8::Isolate *isolate);
extern const intptr_t kExternalReferences[];

v8::MaybeLocal<v8::String> Text(v8::Isolate *isolate, std::string_view text);
RomaV8Owned Give(std::string_view bytes);
// The exception that was caught, with its stack if it has one.
std::string Describe(v8::Isolate *isolate, v8::Local<v8::Context> context, const v8::TryCatch &caught);
// Why the code that was interrupted or threw has ended.
RomaV8Outcome Cause(const RomaV8Isolate *own, const v8::TryCatch &caught);

}  // namespace roma

#endif  // ROMA_SRC_V8_SHIM_ISOLATE_H_
