// Starting V8, and what is loaded before calls.

#include <sys/random.h>

#include <atomic>

#include "isolate.h"
#include "libplatform/libplatform.h"

namespace roma {
namespace {

using v8::Context;
using v8::HandleScope;
using v8::Isolate;
using v8::Local;
using v8::Script;
using v8::String;
using v8::TryCatch;
using v8::UnboundScript;
using v8::Value;

// How often the heap may grow while the code that reached its limit is ended. V8 ends the process after that.
constexpr int kMostExtensions = 4;

std::atomic<size_t> modules_compiled{0};

size_t NearHeapLimit(void *data, size_t current, size_t) {
  auto *own = static_cast<RomaV8Isolate *>(data);
  own->isolate->TerminateExecution();
  return own->heap_limit_hits.fetch_add(1) < kMostExtensions ? current + own->heap_slack : current;
}

void PromiseRejected(v8::PromiseRejectMessage message) {
  Isolate *isolate = Isolate::GetCurrent();
  auto *own = static_cast<RomaV8Isolate *>(isolate->GetData(0));
  if (own == nullptr) return;
  if (message.GetEvent() == v8::kPromiseRejectWithNoHandler) {
    own->unhandled += 1;
    String::Utf8Value reason(isolate, message.GetValue());
    own->unhandled_reason = *reason ? std::string(*reason, reason.length()) : "unknown";
  } else if (message.GetEvent() == v8::kPromiseHandlerAddedAfterReject && own->unhandled > 0) {
    own->unhandled -= 1;
  }
}

bool Run(Isolate *isolate, Local<Context> context, RomaV8Bytes code, const char *name, RomaV8Outcome *outcome,
         std::string *failure) {
  TryCatch caught(isolate);
  Local<String> text, origin_name;
  Local<Script> script;
  Local<Value> value;
  *outcome = ROMA_V8_NOT_COMPILED;
  if (!Text(isolate, {code.data, code.size}).ToLocal(&text)) {
    *failure = "the code is too long for a string of V8";
    return false;
  }
  if (!Text(isolate, name).ToLocal(&origin_name)) return false;
  v8::ScriptOrigin origin(origin_name);
  if (!Script::Compile(context, text, &origin).ToLocal(&script)) {
    *failure = Describe(isolate, context, caught);
    return false;
  }
  *outcome = ROMA_V8_THREW;
  if (!script->Run(context).ToLocal(&value)) {
    *failure = Describe(isolate, context, caught);
    return false;
  }
  *outcome = ROMA_V8_OK;
  return true;
}

void Constrain(Isolate::CreateParams *params, RomaV8Limits limits) {
  if (limits.heap_maximum != 0) {
    params->constraints.ConfigureDefaultsFromHeapSize(limits.heap_initial, limits.heap_maximum);
  }
}

// A context to compile in.
class Compiler {
 public:
  explicit Compiler(Isolate *isolate)
      : scope_(isolate),
        handles_(isolate),
        context_(Context::New(isolate)),
        in_context_(context_),
        caught_(isolate),
        isolate_(isolate) {}

  RomaV8Outcome Failed(RomaV8Owned *failure) const {
    *failure = Give(Describe(isolate_, context_, caught_));
    return ROMA_V8_NOT_COMPILED;
  }

 private:
  Isolate::Scope scope_;
  HandleScope handles_;
  Local<Context> context_;
  Context::Scope in_context_;
  TryCatch caught_;
  Isolate *isolate_;
};

}  // namespace
}  // namespace roma

using roma::Give;

const char *roma_v8_version(void) { return v8::V8::GetVersion(); }

void roma_v8_start(const char *flags) {
  v8::V8::SetFlagsFromString(flags);
  // Never deleted: V8 uses it until the process ends.
  v8::Platform *platform = v8::platform::NewSingleThreadedDefaultPlatform().release();
  v8::V8::SetEntropySource([](unsigned char *bytes, size_t size) {
    return getrandom(bytes, size, 0) == static_cast<ssize_t>(size);
  });
  v8::V8::InitializePlatform(platform);
  v8::V8::Initialize();
}

RomaV8Outcome roma_v8_snapshot(RomaV8Bytes prelude, RomaV8Bytes code, RomaV8Limits limits, RomaV8Owned *out) {
  roma::Allocator allocator(limits.array_buffers);
  v8::Isolate::CreateParams params;
  params.external_references = roma::kExternalReferences;
  params.array_buffer_allocator = &allocator;
  roma::Constrain(&params, limits);
  v8::SnapshotCreator creator(params);
  v8::Isolate *isolate = creator.GetIsolate();
  std::string failure;
  RomaV8Outcome outcome = ROMA_V8_OK;
  {
    v8::HandleScope handles(isolate);
    v8::Local<v8::Context> context = v8::Context::New(isolate, nullptr, roma::Globals(isolate));
    {
      v8::Context::Scope scope(context);
      if (roma::Run(isolate, context, prelude, "roma.js", &outcome, &failure)) {
        roma::Run(isolate, context, code, "udf.js", &outcome, &failure);
      }
    }
    creator.SetDefaultContext(context);
  }
  v8::StartupData data = creator.CreateBlob(v8::SnapshotCreator::FunctionCodeHandling::kKeep);
  if (outcome != ROMA_V8_OK) {
    *out = Give(failure);
  } else if (data.data == nullptr) {
    outcome = ROMA_V8_NO_SNAPSHOT;
    *out = Give("V8 cannot keep the state after the load");
  } else {
    *out = Give({data.data, static_cast<size_t>(data.raw_size)});
  }
  delete[] data.data;
  return outcome;
}

RomaV8Isolate *roma_v8_isolate_new(RomaV8Bytes snapshot, RomaV8Limits limits, RomaV8Host host) {
  auto *own = new RomaV8Isolate(limits, host);
  v8::Isolate::CreateParams params;
  if (snapshot.size != 0) {
    own->snapshot = {snapshot.data, static_cast<int>(snapshot.size)};
    params.snapshot_blob = &own->snapshot;
  }
  params.external_references = roma::kExternalReferences;
  params.array_buffer_allocator = &own->allocator;
  roma::Constrain(&params, limits);
  own->isolate = v8::Isolate::New(params);
  own->isolate->SetData(0, own);
  own->heap_slack = limits.heap_maximum / 4 + (4 << 20);
  if (limits.heap_maximum != 0) own->isolate->AddNearHeapLimitCallback(roma::NearHeapLimit, own);
  own->isolate->SetAllowAtomicsWait(false);
  own->isolate->SetMicrotasksPolicy(v8::MicrotasksPolicy::kExplicit);
  own->isolate->SetPromiseRejectCallback(roma::PromiseRejected);
  own->isolate->SetCaptureStackTraceForUncaughtExceptions(true);
  return own;
}

void roma_v8_isolate_delete(RomaV8Isolate *own) {
  own->scripts.clear();
  own->modules.clear();
  own->prepared.reset();
  own->isolate->Dispose();
  delete own;
}

RomaV8Outcome roma_v8_add_script(RomaV8Isolate *own, RomaV8Bytes code, const char *name, RomaV8Owned *failure) {
  v8::Isolate *isolate = own->isolate;
  roma::Compiler compiler(isolate);
  v8::Local<v8::String> text, origin_name;
  if (!roma::Text(isolate, {code.data, code.size}).ToLocal(&text) || !roma::Text(isolate, name).ToLocal(&origin_name)) {
    *failure = Give("the code is too long for a string of V8");
    return ROMA_V8_NOT_COMPILED;
  }
  v8::ScriptCompiler::Source source(text, v8::ScriptOrigin(origin_name));
  v8::Local<v8::UnboundScript> script;
  if (!v8::ScriptCompiler::CompileUnboundScript(isolate, &source, v8::ScriptCompiler::kEagerCompile).ToLocal(&script)) {
    return compiler.Failed(failure);
  }
  own->scripts.push_back({v8::Global<v8::UnboundScript>(isolate, script)});
  return ROMA_V8_OK;
}

RomaV8Outcome roma_v8_add_module(RomaV8Isolate *own, RomaV8Bytes wasm, const char *name, RomaV8Owned *failure) {
  v8::Isolate *isolate = own->isolate;
  roma::Compiler compiler(isolate);
  v8::Local<v8::WasmModuleObject> module;
  v8::MemorySpan<const uint8_t> bytes(reinterpret_cast<const uint8_t *>(wasm.data), wasm.size);
  if (!v8::WasmModuleObject::Compile(isolate, bytes).ToLocal(&module)) {
    return compiler.Failed(failure);
  }
  roma::modules_compiled += 1;
  own->modules.push_back({name, module->GetCompiledModule()});
  return ROMA_V8_OK;
}

void roma_v8_add_bytes(RomaV8Isolate *own, RomaV8Bytes bytes, const char *name) {
  own->bytes.push_back({name, std::string(bytes.data, bytes.size)});
}

size_t roma_v8_modules_compiled(void) { return roma::modules_compiled; }

void roma_v8_heap(RomaV8Isolate *own, RomaV8Heap *out) {
  v8::HeapStatistics statistics;
  own->isolate->GetHeapStatistics(&statistics);
  out->used = statistics.used_heap_size();
  out->limit = statistics.heap_size_limit();
  out->physical = statistics.total_physical_size();
  out->array_buffers = own->allocator.used();
  out->contexts = statistics.number_of_native_contexts();
}
