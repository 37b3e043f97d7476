// A UDF calls a host that is written in C++.

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "sample_udf/host_calls/ask_host_cc_client.h"
#include "sample_udf/host_calls/host_calls.pb.h"

namespace roma::sample::host_calls {
namespace {

using ::roma::byob::Config;
using ::roma::byob::LoadOptions;
using ::roma::byob::Mode;
using ::roma::byob::Notification;
using ::roma::byob::Status;
using ::roma::byob::StatusCode;
using ::roma::byob::StatusOr;

// A bound for hangs, not for speed.
constexpr std::chrono::seconds kPatience(60);

// The metadata of a request: the customer. Metadata may have any type, even one that cannot be copied.
struct Customer {
  std::unique_ptr<std::string> name;
};

using Service = ByobAskHostService<Customer>;

std::string Name(const std::string& call) {
  return "roma.sample.host_calls.SampleHostService/" + call;
}

Config<Customer> Host() {
  Config<Customer> config;
  config.run_dir = testing::TempDir();
  config.obey_environment = false;
  config.RegisterHostCall<Question, Answer>(
      Name("Ask"), [](const Question& question, const Customer* customer) {
        Answer answer;
        answer.set_text(question.text() + " of " + *customer->name);
        return answer;
      });
  config.RegisterHostCall<Payload, Size>(Name("Take"), [](const Payload& payload, const Customer*) {
    Size size;
    size.set_bytes(payload.data().size());
    return size;
  });
  config.RegisterHostCall<Size, Payload>(Name("Give"), [](const Size& size, const Customer*) {
    Payload payload;
    payload.set_data(std::string(size.bytes(), 'x'));
    return payload;
  });
  config.RegisterHostFunction(Name("Refuse"), [](std::string_view, const Customer*) {
    return Status(StatusCode::kFailedPrecondition, "closed");
  });
  return config;
}

TEST(HostCalls, AreAnsweredWithTheMetadataOfTheirRequest) {
  StatusOr<Service> created = Service::Create(Host(), Mode::kModeMinimalSandbox);
  ASSERT_TRUE(created.ok()) << created.status();
  // The functions move with the service.
  Service roma = *std::move(created);
  LoadOptions options(2);
  options.host_functions = true;
  const auto udf = std::filesystem::absolute(std::getenv("HOST_CALLS_UDF"));
  const StatusOr<std::string> code = roma.Register(udf, options);
  ASSERT_TRUE(code.ok()) << code.status();

  for (const char* name : {"acme", "zenith"}) {
    AskHostRequest request;
    request.set_question("last order");
    request.set_payload_bytes(1000);
    Notification answered;
    StatusOr<AskHostResponse> response;
    Customer customer{std::make_unique<std::string>(name)};
    const Status asked =
        roma.AskHost(answered, request, response, std::move(customer), *code, kPatience, kPatience)
            .status();
    ASSERT_TRUE(asked.ok()) << asked;
    answered.WaitForNotification();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->answer(), std::string("last order of ") + name);
    EXPECT_EQ(response->sent_bytes(), 1000u);
    EXPECT_EQ(response->received_bytes(), 1000u);
    EXPECT_EQ(response->refusal(), "closed");
    EXPECT_EQ(response->refusal_code(), 9);
  }
}

TEST(HostCalls, CodeForHostCallsIsRefusedByAServiceWithoutFunctions) {
  StatusOr<Service> created = Service::Create({}, Mode::kModeMinimalSandbox);
  ASSERT_TRUE(created.ok()) << created.status();
  LoadOptions options(1);
  options.host_functions = true;
  const auto udf = std::filesystem::absolute(std::getenv("HOST_CALLS_UDF"));
  const Status status = created->Register(udf, options).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace roma::sample::host_calls
