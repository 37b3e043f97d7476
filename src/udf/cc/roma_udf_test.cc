#include "src/udf/cc/roma_udf.h"

#include <sys/socket.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sample_udf/proto/example.pb.h"

namespace roma::udf {
namespace {

using ::roma::example::EchoRequest;
using ::roma::example::EchoResponse;

std::string Frame(const std::string& message) {
  std::string frame;
  std::size_t length = message.size();
  for (; length >= 0x80; length >>= 7) frame += static_cast<char>(length | 0x80);
  return frame + static_cast<char>(length) + message;
}

std::string EncodedEcho(const std::string& text) {
  EchoRequest request;
  request.set_message(text);
  return request.SerializeAsString();
}

EchoResponse Echo(const EchoRequest& request) {
  EchoResponse response;
  response.set_message(request.message());
  return response;
}

// A socket pair with the test as the caller.
class RomaUdfTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    caller_ = pair[0];
    udf_ = pair[1];
  }

  void TearDown() override { Leave(); }

  void Leave() {
    if (caller_ != -1) close(std::exchange(caller_, -1));
  }

  void Send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = write(caller_, bytes.data() + sent, bytes.size() - sent);
      ASSERT_GT(count, 0);
      sent += static_cast<std::size_t>(count);
    }
  }

  void SendEnd() { ASSERT_EQ(shutdown(caller_, SHUT_WR), 0); }

  std::string ReceiveAll() {
    std::string received;
    char buffer[4096];
    ssize_t count;
    while ((count = read(caller_, buffer, sizeof(buffer))) > 0) received.append(buffer, count);
    return received;
  }

  // Serves `sent`, cut into the pieces given, and returns all that was answered.
  std::string Exchange(const std::vector<std::string>& sent, Status expected) {
    std::thread server([&] {
      Connection connection(udf_);
      EXPECT_EQ((ServeOn<EchoRequest, EchoResponse>(connection, Echo)), expected);
    });
    for (const std::string& piece : sent) {
      Send(piece);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    SendEnd();
    std::string received = ReceiveAll();
    server.join();
    return received;
  }

  Status ReadOf(const std::string& sent, std::size_t limit) {
    Send(sent);
    SendEnd();
    Connection connection(udf_, limit);
    std::string request;
    return connection.ReadRequestBytes(request);
  }

  int caller_ = -1;
  int udf_ = -1;
};

int ServeWith(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return Serve<EchoRequest, EchoResponse>(static_cast<int>(arguments.size()), argv.data(), Echo);
}

TEST_F(RomaUdfTest, EmptyMessageMakesTheRoundTrip) {
  EXPECT_EQ(Exchange({Frame("")}, Status::kOk), kReady + Frame(""));
}

TEST_F(RomaUdfTest, LargeMessageMakesTheRoundTrip) {
  const std::string frame = Frame(EncodedEcho(std::string(1 << 20, 'x')));
  EXPECT_TRUE(Exchange({frame}, Status::kOk) == kReady + frame);
}

TEST_F(RomaUdfTest, ARequestInPiecesIsAnswered) {
  const std::string frame = Frame(EncodedEcho(std::string(300, 'x')));
  // The first cut is within the length, the second within the message.
  const std::vector<std::string> pieces = {frame.substr(0, 1), frame.substr(1, 99),
                                           frame.substr(100)};
  EXPECT_EQ(Exchange(pieces, Status::kOk), kReady + frame);
}

TEST_F(RomaUdfTest, NoRequestIsNotABadRequest) {
  EXPECT_EQ(Exchange({}, Status::kNoRequest), std::string(1, kReady));
}

TEST_F(RomaUdfTest, TruncatedMessageGetsNoResponse) {
  const std::string frame = Frame(EncodedEcho("hello"));
  EXPECT_EQ(Exchange({frame.substr(0, frame.size() - 1)}, Status::kBadRequest),
            std::string(1, kReady));
}

TEST_F(RomaUdfTest, TruncatedLengthGetsNoResponse) {
  EXPECT_EQ(Exchange({"\x80"}, Status::kBadRequest), std::string(1, kReady));
}

TEST_F(RomaUdfTest, OtherBytesGetNoResponse) {
  EXPECT_EQ(Exchange({Frame("\xff\xff")}, Status::kBadRequest), std::string(1, kReady));
}

TEST_F(RomaUdfTest, LengthAtTheLimitIsAccepted) {
  EXPECT_EQ(ReadOf(Frame("four"), 4), Status::kOk);
}

TEST_F(RomaUdfTest, LengthAboveTheLimitIsRefused) {
  EXPECT_EQ(ReadOf(Frame("fours"), 4), Status::kBadRequest);
}

TEST_F(RomaUdfTest, LargestLengthIsRefusedWithoutMemoryForIt) {
  EXPECT_EQ(ReadOf("\xff\xff\xff\xff\x7f", kDefaultRequestLimit), Status::kBadRequest);
}

TEST_F(RomaUdfTest, EndlessLengthIsRefused) {
  EXPECT_EQ(ReadOf("\x80\x80\x80\x80\x80\x01", kDefaultRequestLimit), Status::kBadRequest);
}

TEST_F(RomaUdfTest, AClosedConnectionIsAnError) {
  Leave();
  Connection connection(udf_);
  EXPECT_EQ((ServeOn<EchoRequest, EchoResponse>(connection, Echo)), Status::kIo);
}

TEST_F(RomaUdfTest, AHandlerWithoutAResponseFails) {
  Send(Frame(""));
  {
    Connection connection(udf_);
    const auto nothing = [](const EchoRequest&) { return std::nullopt; };
    EXPECT_EQ((ServeOn<EchoRequest, EchoResponse>(connection, nothing)), Status::kFailed);
  }
  EXPECT_EQ(ReceiveAll(), std::string(1, kReady));
}

TEST_F(RomaUdfTest, AHandlerThatThrowsFails) {
  Send(Frame(""));
  std::string program = "udf", descriptor = std::to_string(udf_);
  char* argv[] = {program.data(), descriptor.data(), nullptr};
  const auto throwing = [](const EchoRequest&) -> EchoResponse {
    throw std::runtime_error("out of ideas");
  };
  EXPECT_EQ((Serve<EchoRequest, EchoResponse>(2, argv, throwing)),
            static_cast<int>(Status::kFailed));
  EXPECT_EQ(ReceiveAll(), std::string(1, kReady));
}

// As HostCallResponse: an id, perhaps a code with a text, and a payload.
std::string Answer(char id, const std::string& failure, const std::string& payload) {
  std::string answer = {1 << 3, id};
  if (!failure.empty()) answer += std::string{2 << 3, 9, 3 << 3 | 2} + Frame(failure);
  return Frame(answer + char{4 << 3 | 2} + Frame(payload));
}

TEST_F(RomaUdfTest, HostAnswersACall) {
  Host host(udf_);
  Send(Answer(1, "", EncodedEcho("hello")));
  EchoRequest argument;
  EchoResponse result;
  EXPECT_TRUE(host.Call("f", argument, result));
  EXPECT_EQ(result.message(), "hello");
  char call[64];
  const ssize_t size = read(caller_, call, sizeof(call));
  EXPECT_EQ(std::string(call, size), Frame({1 << 3, 1, 2 << 3 | 2, 1, 'f', 3 << 3 | 2, 0}));

  Send(Answer(2, "", "second"));
  std::string bytes;
  EXPECT_TRUE(host.CallBytes("f", "", bytes));
  EXPECT_EQ(bytes, "second");
}

TEST_F(RomaUdfTest, ARefusalOfTheHostIsReported) {
  Host host(udf_);
  Send(Answer(1, "not today", ""));
  std::string bytes;
  const CallResult result = host.CallBytes("f", "", bytes);
  EXPECT_FALSE(result);
  EXPECT_EQ(result.code, 9);
  EXPECT_EQ(result.message, "not today");
}

TEST_F(RomaUdfTest, AnInvalidAnswerOfTheHostIsAnError) {
  const std::vector<std::string> wrong = {Answer(2, "", ""), Frame("\x22\x05half"), Frame("\xff"),
                                          Frame(std::string(1, '\x80')), Frame("")};
  for (const std::string& answer : wrong) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    Connection far_end(pair[0]);
    Host host(pair[1]);
    ASSERT_EQ(write(pair[0], answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
    std::string bytes;
    EXPECT_EQ(host.CallBytes("f", "", bytes).code, CallResult::kBroken)
        << ::testing::PrintToString(answer);
  }
}

TEST_F(RomaUdfTest, AResultOfAnotherTypeIsAnError) {
  Host host(udf_);
  Send(Answer(1, "", "\xff"));
  EchoRequest argument;
  EchoResponse result;
  EXPECT_EQ(host.Call("f", argument, result).code, CallResult::kMalformed);
}

TEST_F(RomaUdfTest, AClosedConnectionToTheHostIsAnError) {
  Host host(udf_);
  Leave();
  std::string bytes;
  EXPECT_EQ(host.CallBytes("f", "", bytes).code, CallResult::kBroken);
}

TEST_F(RomaUdfTest, DescriptorIsTakenFromTheArguments) {
  Send(Frame(EncodedEcho("hello")));
  EXPECT_EQ(ServeWith({"udf", std::to_string(udf_), "--model=small"}), 0);
  EXPECT_EQ(ReceiveAll(), kReady + Frame(EncodedEcho("hello")));
}

TEST(RomaUdfArgumentsTest, InvalidArgumentsAreRefused) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"udf"},
      {"udf", ""},
      {"udf", "x"},
      {"udf", "3x"},
      {"udf", "-3"},
      {"udf", "+3"},
      {"udf", " 3"},
      {"udf", "2"},
      {"udf", "99999999999"},
      {"udf", "2147483647"},
  };
  for (const std::vector<std::string>& arguments : wrong) {
    EXPECT_EQ(ServeWith(arguments), static_cast<int>(Status::kUsage))
        << ::testing::PrintToString(arguments);
  }
}

TEST(RomaUdfConnectionTest, DescriptorIsClosedOnce) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  {
    Connection first(pair[0]);
    Connection second(std::move(first));
    EXPECT_NE(fcntl(pair[0], F_GETFD), -1);
    Connection third(pair[1]);
    third = std::move(second);
  }
  EXPECT_EQ(fcntl(pair[0], F_GETFD), -1);
  EXPECT_EQ(fcntl(pair[1], F_GETFD), -1);
}

}  // namespace
}  // namespace roma::udf
