#include "isolate.h"

#include <cstdlib>
#include <cstring>

namespace roma {

using v8::Context;
using v8::Isolate;
using v8::Local;
using v8::String;
using v8::Value;

void *Allocator::Allocate(size_t size) {
  // Counted first, so that threads cannot exceed the limit together.
  size_t before = used_.fetch_add(size);
  if (limit_ != 0 && (size > limit_ || before > limit_ - size)) {
    used_.fetch_sub(size);
    return nullptr;
  }
  void *data = calloc(size == 0 ? 1 : size, 1);
  if (data == nullptr) used_.fetch_sub(size);
  return data;
}

void Allocator::Free(void *data, size_t size) {
  used_.fetch_sub(size);
  free(data);
}

v8::MaybeLocal<String> Text(Isolate *isolate, std::string_view text) {
  if (text.size() > static_cast<size_t>(String::kMaxLength)) return {};
  return String::NewFromUtf8(isolate, text.data(), v8::NewStringType::kNormal, static_cast<int>(text.size()));
}

RomaV8Owned Give(std::string_view bytes) {
  char *data = roma_v8_allocate(bytes.size());
  if (data == nullptr) return {nullptr, 0};
  memcpy(data, bytes.data(), bytes.size());
  return {data, bytes.size()};
}

std::string Describe(Isolate *isolate, Local<Context> context, const v8::TryCatch &caught) {
  if (!caught.HasCaught() || caught.HasTerminated()) return {};
  std::string text;
  Local<v8::Message> message = caught.Message();
  if (!message.IsEmpty()) {
    String::Utf8Value line(isolate, message->Get());
    if (*line) text.assign(*line, line.length());
  }
  Local<Value> stack;
  if (v8::TryCatch::StackTrace(context, caught.Exception()).ToLocal(&stack) && stack->IsString()) {
    String::Utf8Value lines(isolate, stack);
    if (*lines) text.append("\n").append(*lines, lines.length());
  }
  return text;
}

RomaV8Outcome Cause(const RomaV8Isolate *own, const v8::TryCatch &caught) {
  if (own->heap_limit_hits != 0) return ROMA_V8_OUT_OF_MEMORY;
  if (caught.HasTerminated() || own->isolate->IsExecutionTerminating()) return ROMA_V8_TERMINATED;
  return ROMA_V8_THREW;
}

}  // namespace roma

char *roma_v8_allocate(size_t size) { return static_cast<char *>(malloc(size == 0 ? 1 : size)); }

void roma_v8_free(char *data) { free(data); }
