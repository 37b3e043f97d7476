// Calls: each in a context of its own, which may be made ahead.

#include <cctype>
#include <cstring>

#include "isolate.h"

namespace roma {
namespace {

using v8::Context;
using v8::Isolate;
using v8::Local;
using v8::String;
using v8::Value;

// Sets what a context has besides the snapshot, and runs the scripts in it.
bool Fill(RomaV8Isolate *own, Local<Context> context) {
  Isolate *isolate = own->isolate;
  Local<v8::Object> global = context->Global();
  Local<String> name;
  for (const Module &module : own->modules) {
    Local<v8::WasmModuleObject> object;
    if (!v8::WasmModuleObject::FromCompiledModule(isolate, module.code).ToLocal(&object) ||
        !Text(isolate, module.name).ToLocal(&name) || global->Set(context, name, object).IsNothing()) {
      return false;
    }
  }
  for (const NamedBytes &bytes : own->bytes) {
    Local<v8::ArrayBuffer> buffer;
    if (!v8::ArrayBuffer::MaybeNew(isolate, bytes.bytes.size()).ToLocal(&buffer)) return false;
    memcpy(buffer->Data(), bytes.bytes.data(), bytes.bytes.size());
    Local<Value> array = v8::Uint8Array::New(buffer, 0, bytes.bytes.size());
    if (!Text(isolate, bytes.name).ToLocal(&name) || global->Set(context, name, array).IsNothing()) return false;
  }
  for (const Script &script : own->scripts) {
    Local<Value> value;
    if (!script.code.Get(isolate)->BindToCurrentContext()->Run(context).ToLocal(&value)) return false;
  }
  return true;
}

std::unique_ptr<Prepared> Prepare(RomaV8Isolate *own) {
  Isolate *isolate = own->isolate;
  auto prepared = std::make_unique<Prepared>();
  v8::TryCatch caught(isolate);
  Local<v8::ObjectTemplate> globals;
  if (own->snapshot.raw_size == 0) globals = Globals(isolate);
  prepared->tasks = v8::MicrotaskQueue::New(isolate, v8::MicrotasksPolicy::kExplicit);
  Local<Context> context = Context::New(isolate, nullptr, globals, {}, {}, prepared->tasks.get());
  if (context.IsEmpty()) {
    prepared->outcome = ROMA_V8_OUT_OF_MEMORY;
    return prepared;
  }
  prepared->context.Reset(isolate, context);
  Context::Scope in_context(context);
  if (!Fill(own, context)) {
    prepared->outcome = Cause(own, caught);
    prepared->failure = Describe(isolate, context, caught);
  }
  return prepared;
}

// Looks a handler up: its namespaces one after the other, from the global object, or, for names that `const`,
// `let` and `class` declare, as an expression.
bool Find(Isolate *isolate, Local<Context> context, std::string_view path, Local<Value> *receiver, Local<Value> *found) {
  *receiver = context->Global();
  *found = context->Global();
  bool first = true;
  while (true) {
    size_t dot = path.find('.');
    Local<String> name;
    *receiver = *found;
    if (!(*receiver)->IsObject() || !Text(isolate, path.substr(0, dot)).ToLocal(&name)) return false;
    Local<v8::Object> object = receiver->As<v8::Object>();
    if (!object->Get(context, name).ToLocal(found)) return false;
    if (first && (*found)->IsUndefined()) {
      v8::TryCatch ignored(isolate);
      Local<v8::Script> script;
      if (!v8::Script::Compile(context, name).ToLocal(&script) || !script->Run(context).ToLocal(found)) return false;
    }
    first = false;
    if (dot == std::string_view::npos) return (*found)->IsFunction();
    path.remove_prefix(dot + 1);
  }
}

bool IsIdentifier(std::string_view name) {
  auto starts = [](unsigned char c) { return isalpha(c) || c == '_' || c == '$' || c >= 0x80; };
  if (name.empty() || !starts(name[0])) return false;
  for (unsigned char c : name) {
    if (!starts(c) && !isdigit(c)) return false;
  }
  return true;
}

bool IsPath(std::string_view path) {
  while (true) {
    size_t dot = path.find('.');
    if (!IsIdentifier(path.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
  }
}

bool ToValues(Isolate *isolate, Local<Context> context, const RomaV8Bytes *inputs, size_t count, bool as_bytes,
              std::vector<Local<Value>> *values) {
  for (size_t i = 0; i < count; i++) {
    std::string_view input(inputs[i].data, inputs[i].size);
    if (as_bytes) {
      Local<v8::ArrayBuffer> buffer;
      if (!v8::ArrayBuffer::MaybeNew(isolate, input.size()).ToLocal(&buffer)) return false;
      if (!input.empty()) memcpy(buffer->Data(), input.data(), input.size());
      values->push_back(v8::Uint8Array::New(buffer, 0, input.size()));
      continue;
    }
    Local<String> text;
    Local<Value> value;
    if (!Text(isolate, input).ToLocal(&text) || !v8::JSON::Parse(context, text).ToLocal(&value)) return false;
    values->push_back(value);
  }
  return true;
}

// Converts a result. It may run code of the script (`toJSON`, getters), which may throw or be ended.
bool FromValue(Isolate *isolate, Local<Context> context, Local<Value> value, bool *is_bytes, RomaV8Owned *out) {
  *is_bytes = value->IsArrayBufferView();
  if (*is_bytes) {
    Local<v8::ArrayBufferView> view = value.As<v8::ArrayBufferView>();
    *out = {roma_v8_allocate(view->ByteLength()), view->ByteLength()};
    if (out->data == nullptr) return false;
    view->CopyContents(out->data, out->size);
    return true;
  }
  if (value->IsUndefined()) {
    *out = Give("undefined");
    return true;
  }
  Local<String> json;
  if (!v8::JSON::Stringify(context, value).ToLocal(&json)) return false;
  size_t size = json->Utf8LengthV2(isolate);
  *out = {roma_v8_allocate(size), size};
  if (out->data == nullptr) return false;
  json->WriteUtf8V2(isolate, out->data, size, String::WriteFlags::kReplaceInvalidUtf8);
  return true;
}

// Runs what promises wait for. Returns OK with the settled value, or why there is none.
RomaV8Outcome Settle(RomaV8Isolate *own, v8::MicrotaskQueue *tasks, const v8::TryCatch &caught, Local<Value> *value,
                     std::string *failure) {
  Isolate *isolate = own->isolate;
  tasks->PerformCheckpoint(isolate);
  if (caught.HasTerminated() || isolate->IsExecutionTerminating()) return Cause(own, caught);
  if ((*value)->IsPromise()) {
    Local<v8::Promise> promise = value->As<v8::Promise>();
    if (promise->State() == v8::Promise::kPending) return ROMA_V8_NEVER_SETTLES;
    *value = promise->Result();
    if (promise->State() == v8::Promise::kRejected) {
      String::Utf8Value reason(isolate, *value);
      *failure = "Uncaught (in promise) " + std::string(*reason ? *reason : "unknown");
      return ROMA_V8_THREW;
    }
  }
  if (own->unhandled > 0) {
    *failure = "Uncaught (in promise) " + own->unhandled_reason;
    return ROMA_V8_THREW;
  }
  return ROMA_V8_OK;
}

struct Call {
  std::string_view handler;
  const RomaV8Bytes *inputs;
  size_t count;
  bool as_bytes;
};

RomaV8Outcome Run(RomaV8Isolate *own, const Prepared &prepared, const Call &call, bool *is_bytes, RomaV8Owned *out) {
  Isolate *isolate = own->isolate;
  Local<Context> context = prepared.context.Get(isolate);
  Context::Scope in_context(context);
  v8::TryCatch caught(isolate);
  auto ended = [&](RomaV8Outcome outcome) {
    RomaV8Outcome cause = Cause(own, caught);
    if (cause == ROMA_V8_THREW) cause = outcome;
    *out = Give(Describe(isolate, context, caught));
    return cause;
  };
  Local<Value> receiver, handler, value;
  if (!IsPath(call.handler) || !Find(isolate, context, call.handler, &receiver, &handler)) {
    return ended(caught.HasCaught() ? ROMA_V8_THREW : ROMA_V8_NO_HANDLER);
  }
  std::vector<Local<Value>> arguments;
  if (!ToValues(isolate, context, call.inputs, call.count, call.as_bytes, &arguments)) {
    return ended(call.as_bytes ? ROMA_V8_OUT_OF_MEMORY : ROMA_V8_INPUT_NOT_JSON);
  }
  int count = static_cast<int>(arguments.size());
  if (!handler.As<v8::Function>()->Call(context, receiver, count, arguments.data()).ToLocal(&value)) {
    return ended(ROMA_V8_THREW);
  }
  std::string failure;
  RomaV8Outcome outcome = Settle(own, prepared.tasks.get(), caught, &value, &failure);
  if (outcome != ROMA_V8_OK) {
    *out = Give(failure);
    return outcome;
  }
  if (!FromValue(isolate, context, value, is_bytes, out)) {
    roma_v8_free(out->data);
    return ended(ROMA_V8_NO_RESULT);
  }
  // What ended the conversion at its very end counts too.
  if (isolate->IsExecutionTerminating()) {
    roma_v8_free(out->data);
    return ended(ROMA_V8_TERMINATED);
  }
  return ROMA_V8_OK;
}

}  // namespace
}  // namespace roma

RomaV8Outcome roma_v8_prepare(RomaV8Isolate *own, RomaV8Owned *failure) {
  own->heap_limit_hits = 0;
  v8::Isolate::Scope scope(own->isolate);
  v8::HandleScope handles(own->isolate);
  // What was to end the call before this came too late.
  own->isolate->CancelTerminateExecution();
  own->prepared = roma::Prepare(own);
  own->isolate->CancelTerminateExecution();
  *failure = roma::Give(own->prepared->failure);
  return own->prepared->outcome;
}

RomaV8Outcome roma_v8_call(RomaV8Isolate *own, RomaV8Bytes handler, const RomaV8Bytes *inputs, size_t count,
                           bool as_bytes, bool *result_is_bytes, RomaV8Owned *out) {
  v8::Isolate *isolate = own->isolate;
  *out = {nullptr, 0};
  *result_is_bytes = false;
  own->unhandled = 0;
  own->unhandled_reason.clear();
  v8::Isolate::Scope scope(isolate);
  v8::HandleScope handles(isolate);
  isolate->CancelTerminateExecution();
  if (own->prepared == nullptr) {
    own->heap_limit_hits = 0;
    own->prepared = roma::Prepare(own);
  }
  std::unique_ptr<roma::Prepared> prepared = std::move(own->prepared);
  RomaV8Outcome outcome = prepared->outcome;
  if (outcome == ROMA_V8_OK) {
    own->heap_limit_hits = 0;
    roma::Call call{{handler.data, handler.size}, inputs, count, as_bytes};
    outcome = roma::Run(own, *prepared, call, result_is_bytes, out);
  } else {
    *out = roma::Give(prepared->failure);
  }
  isolate->CancelTerminateExecution();
  return outcome;
}

void roma_v8_terminate(RomaV8Isolate *own) { own->isolate->TerminateExecution(); }
