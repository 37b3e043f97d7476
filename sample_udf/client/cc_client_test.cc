// A generated client for C++ drives samples through the engine.

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "sample_udf/client/sample_cc_client.h"
#include "sample_udf/proto/sample.pb.h"

namespace {

using roma::byob::Config;
using roma::byob::ExecutionToken;
using roma::byob::LoadOptions;
using roma::byob::Mode;
using roma::byob::Notification;
using roma::byob::ProcessRequestMetrics;
using roma::byob::Status;
using roma::byob::StatusCode;
using roma::byob::StatusOr;
using roma::sample::ByobSampleService;
using roma::sample::SampleRequest;
using roma::sample::SampleResponse;

// A bound for hangs, not for speed.
constexpr std::chrono::seconds kPatience(60);

std::filesystem::path Program(const char* variable) {
  return std::filesystem::absolute(std::getenv(variable));
}

SampleRequest Hello() {
  SampleRequest request;
  request.mutable_hello_world();
  return request;
}

void ExpectFailure(const Status& status, StatusCode code, std::string_view cause) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(status.cause(), cause) << status;
  EXPECT_FALSE(status.message().empty());
}

class Client : public testing::TestWithParam<Mode> {
 protected:
  Client() {
    Config<> config;
    config.run_dir = testing::TempDir();
    config.obey_environment = false;
    if (GetParam() == Mode::kModeGvisorSandbox) config.platform = "systrap";
    StatusOr<ByobSampleService<>> created = ByobSampleService<>::Create(config, GetParam());
    if (!created.ok()) ADD_FAILURE() << created.status();
    roma_ = std::make_unique<ByobSampleService<>>(*std::move(created));
  }

  std::string Registered(const char* variable, LoadOptions options) {
    const StatusOr<std::string> code = roma_->Register(Program(variable), options);
    if (!code.ok()) ADD_FAILURE() << code.status();
    return *code;
  }

  StatusOr<SampleResponse> Ask(const std::string& code, const SampleRequest& request,
                               std::chrono::nanoseconds deadline = kPatience) {
    Notification answered;
    StatusOr<SampleResponse> response;
    const StatusOr<ExecutionToken> asked =
        roma_->Run(answered, request, response, /*metadata=*/{}, code, kPatience, deadline);
    if (!asked.ok()) return asked.status();
    answered.WaitForNotification();
    return response;
  }

  std::unique_ptr<ByobSampleService<>> roma_;
};

TEST_P(Client, EveryLanguageAnswers) {
  for (const char* udf : {"CC_SAMPLE_UDF", "RUST_SAMPLE_UDF"}) {
    const std::string code = Registered(udf, 2);
    const StatusOr<SampleResponse> hello = Ask(code, Hello());
    ASSERT_TRUE(hello.ok()) << hello.status();
    EXPECT_EQ(hello->hello_world().greeting(), "Hello, world!");
    SampleRequest sieve;
    sieve.mutable_prime_sieve()->set_up_to(30);
    const StatusOr<SampleResponse> sieved = Ask(code, sieve);
    ASSERT_TRUE(sieved.ok()) << sieved.status();
    EXPECT_EQ(sieved->prime_sieve().prime_count(), 10);
    roma_->Delete(code);
    ExpectFailure(Ask(code, Hello()).status(), StatusCode::kInvalidArgument, "unknown_token");
  }
}

TEST_P(Client, ALoadThatFailsNamesTheCause) {
  ExpectFailure(roma_->Register("/no/such/file", 1).status(), StatusCode::kNotFound, "binary");
  ExpectFailure(roma_->Register("/", 1).status(), StatusCode::kInvalidArgument, "binary");
  const std::filesystem::path udf = Program("CC_SAMPLE_UDF");
  ExpectFailure(roma_->Register(udf, 0).status(), StatusCode::kInvalidArgument, "config");
  ExpectFailure(roma_->Register(udf, -1).status(), StatusCode::kInvalidArgument, "argument");
  ExpectFailure(roma_->Register("", 1).status(), StatusCode::kInvalidArgument, "argument");
  ExpectFailure(roma_->Register(Program("ABORT_EARLY_UDF"), 1).status(), StatusCode::kInternal,
                "start_crashed");
  for (const char* token : {"code-0-0", "nonsense"}) {
    const Status status = roma_->RegisterForLogging(std::string(token), 1).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  }
}

TEST_P(Client, ARequestToUnknownCodeIsRefused) {
  for (const char* token : {"", "nonsense", "code-0-0"}) {
    Notification answered;
    StatusOr<SampleResponse> response;
    const StatusOr<ExecutionToken> asked = roma_->Run(answered, Hello(), response, {}, token);
    EXPECT_EQ(asked.status().code(), StatusCode::kInvalidArgument) << asked.status();
    EXPECT_FALSE(answered.HasBeenNotified());
  }
}

TEST_P(Client, AFailedUdfIsReportedAsUnavailableWithTheReason) {
  // Without a task it exits without a response.
  const std::string code = Registered("CC_SAMPLE_UDF", 1);
  const Status died = Ask(code, SampleRequest()).status();
  ExpectFailure(died, StatusCode::kUnavailable, "died");
  EXPECT_EQ(died.fault(), "udf");
  EXPECT_NE(died.message().find("exited with code"), std::string::npos) << died;
  EXPECT_TRUE(Ask(code, Hello()).ok());
}

TEST_P(Client, RequestsAndResponsesAboveTheLimitAreRefused) {
  LoadOptions options(1);
  options.max_request = 100;
  options.max_response = 100;
  const std::string code = Registered("PAYLOAD_WRITE_UDF", options);
  SampleRequest request;
  request.mutable_payload_write()->set_element_count(1);
  request.mutable_payload_write()->set_element_size(101);
  ExpectFailure(Ask(code, request).status(), StatusCode::kUnavailable, "response");
  request.mutable_payload_read()->add_payloads(std::string(101, 'x'));
  ExpectFailure(Ask(code, request).status(), StatusCode::kInvalidArgument, "request_too_large");
}

TEST_P(Client, ADeadlineACancelOrADeleteEndsAnExecution) {
  const std::string code = Registered("PAUSE_UDF", 2);
  const Status late = Ask(code, Hello(), std::chrono::milliseconds(100)).status();
  ExpectFailure(late, StatusCode::kDeadlineExceeded, "deadline");

  const auto begin = [&](Notification& over, StatusOr<SampleResponse>& response) {
    StatusOr<ExecutionToken> token =
        roma_->Run(over, Hello(), response, {}, code, kPatience, kPatience);
    if (!token.ok()) ADD_FAILURE() << token.status();
    EXPECT_FALSE(token->value().empty());
    return *token;
  };
  Notification cancelled, deleted;
  StatusOr<SampleResponse> of_cancelled, of_deleted;
  const ExecutionToken to_cancel = begin(cancelled, of_cancelled);
  begin(deleted, of_deleted);
  roma_->Cancel(to_cancel);
  cancelled.WaitForNotification();
  ExpectFailure(of_cancelled.status(), StatusCode::kUnavailable, "cancelled");
  EXPECT_FALSE(deleted.HasBeenNotified());
  roma_->Delete(code);
  deleted.WaitForNotification();
  ExpectFailure(of_deleted.status(), StatusCode::kUnavailable, "deleted");
  // Has no effect.
  roma_->Cancel(to_cancel);
  roma_->Cancel(ExecutionToken());
  roma_->Delete(code);
}

TEST_P(Client, TheConnectionTimeoutEndsTheWaitForAFreeWorker) {
  // One worker is ready and two more may start, which is the maximum: the other requests get none.
  const std::string code = Registered("PAUSE_UDF", 1);
  constexpr int kMaxLive = 3;
  constexpr int kRequests = kMaxLive + 3;
  std::atomic<int> refused = 0;
  Notification enough;
  const auto callback = [&](StatusOr<SampleResponse> response, StatusOr<std::string_view>,
                            ProcessRequestMetrics) {
    if (response.status().cause() != "no_worker") return;
    EXPECT_EQ(response.status().code(), StatusCode::kDeadlineExceeded) << response.status();
    if (++refused == kRequests - kMaxLive) enough.Notify();
  };
  for (int i = 0; i < kRequests; ++i) {
    const auto timeout = std::chrono::nanoseconds::zero();
    ASSERT_TRUE(roma_->Run(callback, Hello(), {}, code, timeout, kPatience).ok());
  }
  enough.WaitForNotification();
  // All callbacks return before the variables that they use are destroyed.
  roma_.reset();
}

TEST_P(Client, LogsAndMetricsComeWithTheCallback) {
  const std::string without = Registered("LOG_UDF", 1);
  const StatusOr<std::string> with = roma_->RegisterForLogging(without, 1);
  ASSERT_TRUE(with.ok()) << with.status();
  const StatusOr<std::string> same = roma_->RegisterForLogging(Program("LOG_UDF"), 1);
  ASSERT_TRUE(same.ok()) << same.status();
  SampleRequest request;
  request.mutable_log()->set_standard_error("I was here");
  for (const std::string& code : {*with, *same, without}) {
    Notification over;
    const auto callback = [&](StatusOr<SampleResponse> response, StatusOr<std::string_view> logs,
                              ProcessRequestMetrics metrics) {
      EXPECT_TRUE(response.ok()) << response.status();
      if (code == without) {
        EXPECT_EQ(logs.status().code(), StatusCode::kInternal);
      } else {
        EXPECT_EQ(*logs, "I was here");
      }
      EXPECT_EQ(metrics.exit_code, 0);
      EXPECT_EQ(metrics.signal, std::nullopt);
      EXPECT_GT(metrics.response_time.count(), 0);
      EXPECT_GT(metrics.peak_memory, 0u);
      over.Notify();
    };
    ASSERT_TRUE(roma_->Run(callback, request, {}, code, kPatience, kPatience).ok());
    over.WaitForNotification();
    // The loaded code does not need the file any more.
    if (code == *with) roma_->Delete(code);
  }
}

TEST_P(Client, ACallbackReceivesTheEndOfTheProcessAndMayCall) {
  const std::string nonzero = Registered("NONZERO_RETURN_UDF", 1);
  const std::string pause = Registered("PAUSE_UDF", 1);
  Notification over;
  std::optional<int> exit_code, signal;
  const auto second = [&](StatusOr<SampleResponse>, StatusOr<std::string_view>,
                          ProcessRequestMetrics metrics) {
    signal = metrics.signal;
    over.Notify();
  };
  const auto first = [&](StatusOr<SampleResponse> response, StatusOr<std::string_view>,
                         ProcessRequestMetrics metrics) {
    EXPECT_EQ(response->hello_world().greeting(), "I return a non-zero status!");
    exit_code = metrics.exit_code;
    EXPECT_TRUE(Ask(nonzero, Hello()).ok());
    const auto token = roma_->Run(second, Hello(), {}, pause, kPatience, kPatience);
    roma_->Cancel(*token);
  };
  ASSERT_TRUE(roma_->Run(first, Hello(), {}, nonzero, kPatience, kPatience).ok());
  over.WaitForNotification();
  EXPECT_EQ(exit_code, 23);
  // Cancelled before a process was assigned, or killed.
  EXPECT_EQ(signal.value_or(SIGKILL), SIGKILL);
}

TEST_P(Client, TheEndOfAServiceEndsItsExecutions) {
  const std::string code = Registered("PAUSE_UDF", 1);
  Status status;
  const auto callback = [&](StatusOr<SampleResponse> response, StatusOr<std::string_view>,
                            ProcessRequestMetrics) { status = response.status(); };
  ExecutionToken token = *roma_->Run(callback, Hello(), {}, code, kPatience, kPatience);
  roma_.reset();
  ExpectFailure(status, StatusCode::kUnavailable, "shut_down");
  EXPECT_FALSE(token.value().empty());
}

INSTANTIATE_TEST_SUITE_P(RealModes, Client,
                         testing::Values(Mode::kModeGvisorSandbox, Mode::kModeMinimalSandbox),
                         [](const auto& info) {
                           return info.param == Mode::kModeGvisorSandbox ? "Gvisor" : "Minimal";
                         });

TEST(Create, AStartThatFailsNamesTheCause) {
  Config<> config;
  config.run_workers = "/no/such/program";
  const Status missing = ByobSampleService<>::Create(config, Mode::kModeMinimalSandbox).status();
  ExpectFailure(missing, StatusCode::kInvalidArgument, "config");
  config = {};
  config.disable_ipc_namespace = true;
  config.syscall_filtering = roma::byob::SyscallFiltering::kNoSyscallFiltering;
  const Status leaky = ByobSampleService<>::Create(config, Mode::kModeMinimalSandbox).status();
  ExpectFailure(leaky, StatusCode::kInvalidArgument, "config");
}

}  // namespace
