// The arguments that the C ABI refuses. Its behaviour is tested through the C++ header.

#include "src/ffi/roma_byob.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace {

// The tests in Rust assert the same of the library's structures.
static_assert(sizeof(roma_byob_text) == 16);
static_assert(sizeof(roma_byob_failure) == 56);
static_assert(sizeof(roma_byob_config) == 144);
static_assert(sizeof(roma_byob_code_options) == 72);
static_assert(sizeof(roma_byob_request) == 72);
static_assert(sizeof(roma_byob_outcome) == 112);
static_assert(sizeof(roma_byob_token) == 32);

roma_byob_text Text(std::string_view text) { return {text.data(), text.size()}; }

// The code and the message of a failure, which is freed.
std::pair<int, std::string> Taken(roma_byob_status* status) {
  const roma_byob_failure failure = roma_byob_status_read(status);
  std::pair<int, std::string> taken(failure.code, {failure.message.data, failure.message.size});
  roma_byob_status_free(status);
  return taken;
}

void ExpectRefused(roma_byob_status* status, const std::string& part) {
  const auto [code, message] = Taken(status);
  EXPECT_EQ(code, 3);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(CAbi, NullIsRefusedOrIgnored) {
  roma_byob_config config = {};
  int garbage;
  auto* service = reinterpret_cast<roma_byob_service*>(&garbage);
  ExpectRefused(roma_byob_start(nullptr, &service), "config is null");
  EXPECT_EQ(service, nullptr);
  ExpectRefused(roma_byob_start(&config, nullptr), "service is null");
  roma_byob_token token;
  roma_byob_code_options options = {};
  ExpectRefused(roma_byob_load(nullptr, &options, &token), "service is null");
  ExpectRefused(roma_byob_delete(nullptr, Text("code-1-1")), "service is null");
  ExpectRefused(roma_byob_execute(nullptr, nullptr, nullptr, nullptr, nullptr), "request is null");
  EXPECT_STREQ(roma_byob_execution_id(nullptr).text, "");
  roma_byob_cancel(nullptr);
  roma_byob_execution_free(nullptr);
  roma_byob_end(nullptr);
  EXPECT_EQ(Taken(nullptr).first, 0);
}

TEST(CAbi, InvalidOptionsAreRefusedWithTheValidOnes) {
  roma_byob_service* service = nullptr;
  roma_byob_config config = {};
  config.mode = Text("nsjail");
  ExpectRefused(roma_byob_start(&config, &service), "gvisor-debug");
  EXPECT_EQ(service, nullptr);
  config = {};
  config.platform = Text("warp");
  ExpectRefused(roma_byob_start(&config, &service), "systrap");
  config = {};
  config.syscall_filter = Text("some");
  ExpectRefused(roma_byob_start(&config, &service), "strict");
  config = {};
  config.mode = Text("minimal");
  config.memory_limit = 1;
  ExpectRefused(roma_byob_start(&config, &service), "memory_limit");
  config = {};
  config.mode = Text("minimal");
  config.sandboxes = 2;
  ExpectRefused(roma_byob_start(&config, &service), "sandboxes");
  config = {};
  config.shared_ipc = true;
  config.syscall_filter = Text("none");
  ExpectRefused(roma_byob_start(&config, &service), "IPC");
  config = {};
  config.libraries = Text(" lib , ");
  ExpectRefused(roma_byob_start(&config, &service), "cannot mount lib");
}

TEST(CAbi, HostFunctionsNeedANameOfTheirOwnAndAHandler) {
  const roma_byob_host_handler handler = [](void*, const roma_byob_host_call*,
                                            roma_byob_host_answer*) {};
  const roma_byob_host_function functions[] = {
      {Text("f"), handler, nullptr}, {Text("f"), handler, nullptr}, {Text("g"), nullptr, nullptr}};
  roma_byob_service* service = nullptr;
  roma_byob_config config = {};
  config.host_function_count = 2;
  ExpectRefused(roma_byob_start(&config, &service), "host_functions is null");
  config.host_functions = functions;
  ExpectRefused(roma_byob_start(&config, &service), "`f`");
  config.host_functions = functions + 2;
  config.host_function_count = 1;
  ExpectRefused(roma_byob_start(&config, &service), "the handler of `g` is null");
}

TEST(CAbi, MetadataIsTakenOverEvenIfTheRequestIsRefused) {
  int freed = 0;
  roma_byob_request request = {};
  request.metadata = &freed;
  request.metadata_free = [](void* metadata) { ++*static_cast<int*>(metadata); };
  ExpectRefused(roma_byob_execute(nullptr, &request, nullptr, nullptr, nullptr),
                "token of its code");
  EXPECT_EQ(freed, 1);
  request.code = Text("code-1-1");
  ExpectRefused(roma_byob_execute(nullptr, &request, nullptr, nullptr, nullptr), "service is null");
  EXPECT_EQ(freed, 2);
}

TEST(CAbi, InvalidTextsAreRefused) {
  roma_byob_service* service = nullptr;
  roma_byob_config config = {};
  config.mode = Text("mi\xff");
  ExpectRefused(roma_byob_start(&config, &service), "UTF-8");
  config.mode = {nullptr, 7};
  ExpectRefused(roma_byob_start(&config, &service), "no data");
  config.mode = {"minimal", SIZE_MAX};
  ExpectRefused(roma_byob_start(&config, &service), "no data");
}

}  // namespace
