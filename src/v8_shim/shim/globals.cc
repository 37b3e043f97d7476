// What scripts find of the host: `romaHost(name, kind, data)` and `romaLog(severity, line)`. The prelude makes the
// functions of the documentation of them, and hides them.

#include "isolate.h"

namespace roma {
namespace {

using v8::ArrayBufferView;
using v8::FunctionCallbackInfo;
using v8::Isolate;
using v8::Local;
using v8::String;
using v8::Value;

constexpr char kBytesKind = 'b';
constexpr char kJsonKind = 'j';

RomaV8Isolate *Own(Isolate *isolate) { return static_cast<RomaV8Isolate *>(isolate->GetData(0)); }

void Throw(Isolate *isolate, std::string_view text) {
  Local<String> message;
  if (Text(isolate, text).ToLocal(&message)) isolate->ThrowException(v8::Exception::Error(message));
}

std::string Bytes(Isolate *isolate, Local<Value> value) {
  if (value->IsArrayBufferView()) {
    Local<ArrayBufferView> view = value.As<ArrayBufferView>();
    std::string bytes(view->ByteLength(), '\0');
    view->CopyContents(bytes.data(), bytes.size());
    return bytes;
  }
  String::Utf8Value text(isolate, value);
  return *text ? std::string(*text, text.length()) : std::string();
}

void SetResult(const FunctionCallbackInfo<Value> &info, char kind, std::string_view bytes) {
  Isolate *isolate = info.GetIsolate();
  if (kind == kBytesKind) {
    Local<v8::ArrayBuffer> buffer;
    // Not `New`, which ends the process where there is no memory.
    if (!v8::ArrayBuffer::MaybeNew(isolate, bytes.size()).ToLocal(&buffer)) {
      return Throw(isolate, "ROMA: there is no memory for the result of a host function");
    }
    if (!bytes.empty()) memcpy(buffer->Data(), bytes.data(), bytes.size());
    return info.GetReturnValue().Set(v8::Uint8Array::New(buffer, 0, bytes.size()));
  }
  Local<String> text;
  if (!Text(isolate, bytes).ToLocal(&text)) return Throw(isolate, "ROMA: the result of a host function is too long");
  Local<Value> value;
  if (kind != kJsonKind) {
    info.GetReturnValue().Set(text);
  } else if (v8::JSON::Parse(isolate->GetCurrentContext(), text).ToLocal(&value)) {
    info.GetReturnValue().Set(value);
  }
}

void HostCall(const FunctionCallbackInfo<Value> &info) {
  Isolate *isolate = info.GetIsolate();
  RomaV8Isolate *own = Own(isolate);
  if (own == nullptr || own->host.call == nullptr) {
    return Throw(isolate, "ROMA: host functions cannot be called while code is loaded");
  }
  std::string name = Bytes(isolate, info[0]);
  std::string kind = Bytes(isolate, info[1]);
  std::string argument = Bytes(isolate, info[2]);
  char result_kind = 0;
  RomaV8Owned result{nullptr, 0};
  bool ok = own->host.call(own->host.context, {name.data(), name.size()}, kind.empty() ? 0 : kind[0],
                           {argument.data(), argument.size()}, &result_kind, &result);
  std::string bytes(result.data ? result.data : "", result.size);
  roma_v8_free(result.data);
  if (!ok) return Throw(isolate, bytes);
  SetResult(info, result_kind, bytes);
}

void Log(const FunctionCallbackInfo<Value> &info) {
  Isolate *isolate = info.GetIsolate();
  RomaV8Isolate *own = Own(isolate);
  if (own == nullptr || own->host.log == nullptr) return;
  int severity = info[0]->Int32Value(isolate->GetCurrentContext()).FromMaybe(0);
  std::string line = Bytes(isolate, info[1]);
  own->host.log(own->host.context, severity, {line.data(), line.size()});
}

}  // namespace

const intptr_t kExternalReferences[] = {reinterpret_cast<intptr_t>(HostCall), reinterpret_cast<intptr_t>(Log), 0};

Local<v8::ObjectTemplate> Globals(Isolate *isolate) {
  Local<v8::ObjectTemplate> globals = v8::ObjectTemplate::New(isolate);
  globals->Set(isolate, "romaHost", v8::FunctionTemplate::New(isolate, HostCall));
  globals->Set(isolate, "romaLog", v8::FunctionTemplate::New(isolate, Log));
  return globals;
}

}  // namespace roma
