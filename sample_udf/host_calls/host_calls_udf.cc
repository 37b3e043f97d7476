// Calls every function of its host.

#include <optional>

#include "sample_udf/host_calls/host_calls.pb.h"
#include "src/udf/cc/roma_udf.h"

namespace {

namespace sample = ::roma::sample::host_calls;

std::optional<sample::AskHostResponse> Ask(const sample::AskHostRequest& request) {
  std::optional<roma::udf::Host> host = roma::udf::Host::Connect();
  if (!host) return std::nullopt;
  sample::AskHostResponse response;

  sample::Question question;
  question.set_text(request.question());
  sample::Answer answer;
  if (!host->Call("roma.sample.host_calls.SampleHostService/Ask", question, answer)) {
    return std::nullopt;
  }
  response.set_answer(answer.text());

  sample::Payload payload;
  payload.set_data(std::string(request.payload_bytes(), 'x'));
  sample::Size size;
  if (!host->Call("roma.sample.host_calls.SampleHostService/Take", payload, size)) {
    return std::nullopt;
  }
  response.set_sent_bytes(size.bytes());

  size.set_bytes(request.payload_bytes());
  if (!host->Call("roma.sample.host_calls.SampleHostService/Give", size, payload)) {
    return std::nullopt;
  }
  response.set_received_bytes(payload.data().size());

  const roma::udf::CallResult refused =
      host->Call("roma.sample.host_calls.SampleHostService/Refuse", question, answer);
  response.set_refusal(refused.message);
  response.set_refusal_code(refused.code);
  return response;
}

}  // namespace

int main(int argc, char** argv) {
  return roma::udf::Serve<sample::AskHostRequest, sample::AskHostResponse>(argc, argv, Ask);
}
