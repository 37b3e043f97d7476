// A library for UDFs in C++17, which serve one request per process.
//
// A UDF is a program that is started once for each request. Its first argument is the decimal number
// of an open descriptor. It writes one byte there when it is ready, reads one request, writes one
// response and exits. Request and response are protobuf messages, each after its length as a
// varint. Serve() does all of this:
//
//   int main(int argc, char** argv) {
//     return roma::udf::Serve<EchoRequest, EchoResponse>(
//         argc, argv, [](const EchoRequest& request) {
//           EchoResponse response;
//           response.set_message(request.message());
//           return response;
//         });
//   }
//
// Code before Serve() runs before the request exists, so its time does not count for the request. A
// UDF that needs more control, such as work after the response, calls the steps of a Connection
// itself; Run() provides one.
//
// A Host calls functions that the server team provides.
//
// Nothing here throws. The library returns a Status, whose values are the exit codes of the
// process, and writes details to standard error.

#ifndef SRC_UDF_CC_ROMA_UDF_H_
#define SRC_UDF_CC_ROMA_UDF_H_

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/message_lite.h"

namespace roma::udf {

// The outcome of a step and of the process: its value is the exit code. The numbers are the closest
// ones of the BSD convention (sysexits.h).
enum class [[nodiscard]] Status : int {
  // The response was written.
  kOk = 0,
  // The first argument is not the number of an open descriptor.
  kUsage = 64,
  // The request is truncated, too large or not the expected message.
  kBadRequest = 65,
  // The connection was closed before any request came: this process is not needed any more.
  kNoRequest = 69,
  // The UDF's own code returned no response, or threw.
  kFailed = 70,
  // Reading or writing failed.
  kIo = 74,
};

// Returns the meaning of a status as text.
inline const char* Meaning(Status status) {
  switch (status) {
    case Status::kOk:
      return "the response was written";
    case Status::kUsage:
      return "the first argument is not the number of an open descriptor";
    case Status::kBadRequest:
      return "the request is truncated, too large or not the expected message";
    case Status::kNoRequest:
      return "the connection was closed before any request came";
    case Status::kFailed:
      return "the request could not be answered";
    case Status::kIo:
      return "reading or writing failed";
  }
  return "unknown status";
}

// The byte that reports that the UDF is ready. Its value has no meaning.
inline constexpr char kReady = 1;

// The default limit for the size of a request.
inline constexpr std::size_t kDefaultRequestLimit = std::size_t{64} << 20;

namespace internal {

// Messages on a descriptor, each after its length as a varint. Owns the descriptor and closes it.
class Stream {
 public:
  explicit Stream(int descriptor) : descriptor_(descriptor) {}

  Stream(Stream&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

  Stream& operator=(Stream&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  ~Stream() {
    if (descriptor_ != -1) close(descriptor_);
  }

  // Waits for one message of at most `limit` bytes. Returns Status::kNoRequest at the end of the
  // stream.
  Status Read(std::size_t limit, std::string& message) {
    std::string received;
    std::optional<Length> length;
    while (!(length = ParseLength(received))) {
      if (received.size() >= kMaxLengthBytes) return Status::kBadRequest;
      const std::size_t before = received.size();
      if (const Status status = ReadSome(received); status != Status::kOk) return status;
      if (received.size() == before) {
        return received.empty() ? Status::kNoRequest : Status::kBadRequest;
      }
    }
    if (length->value > limit) return Status::kBadRequest;

    // The other side sends nothing more before it gets a response: all bytes that were read ahead
    // belong to this message.
    received.erase(0, length->bytes);
    std::size_t filled = std::min<std::size_t>(received.size(), length->value);
    received.resize(length->value);
    while (filled < received.size()) {
      const ssize_t count = ReadOnce(&received[filled], received.size() - filled);
      if (count == -1) return Status::kIo;
      if (count == 0) return Status::kBadRequest;
      filled += static_cast<std::size_t>(count);
    }
    message = std::move(received);
    return Status::kOk;
  }

  // Writes one message.
  Status Write(const std::string& message) {
    std::string frame;
    frame.reserve(kMaxLengthBytes + message.size());
    std::uint64_t length = message.size();
    for (; length >= 0x80; length >>= 7) frame += static_cast<char>(length | 0x80);
    frame += static_cast<char>(length);
    frame += message;
    return WriteAll(frame.data(), frame.size());
  }

  // Writes these bytes without a length.
  Status WriteAll(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t count = write(descriptor_, data, size);
      if (count == -1 && errno == EINTR) continue;
      if (count == -1) return Status::kIo;
      data += count;
      size -= static_cast<std::size_t>(count);
    }
    return Status::kOk;
  }

 private:
  struct Length {
    std::uint64_t value;
    std::size_t bytes;
  };

  // A varint has seven bits in each byte, so five bytes hold any length below 4 GiB.
  static constexpr std::size_t kMaxLengthBytes = 5;

  // The size of a read until the length is known. Most requests fit, so one system call reads all of
  // them: system calls are expensive inside a sandbox.
  static constexpr std::size_t kFirstRead = 16 * 1024;

  // Returns the length at the start of `received`, once it is complete.
  static std::optional<Length> ParseLength(const std::string& received) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < std::min(received.size(), kMaxLengthBytes); ++i) {
      const auto byte = static_cast<std::uint8_t>(received[i]);
      value |= std::uint64_t{byte & 0x7fu} << (7 * i);
      if ((byte & 0x80) == 0) return Length{value, i + 1};
    }
    return std::nullopt;
  }

  // Appends the bytes of one read: none at the end of the stream.
  Status ReadSome(std::string& received) {
    const std::size_t before = received.size();
    received.resize(kFirstRead);
    const ssize_t count = ReadOnce(&received[before], received.size() - before);
    received.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return count == -1 ? Status::kIo : Status::kOk;
  }

  ssize_t ReadOnce(char* buffer, std::size_t size) {
    ssize_t count;
    do {
      count = read(descriptor_, buffer, size);
    } while (count == -1 && errno == EINTR);
    return count;
  }

  int descriptor_;
};

}  // namespace internal

// The descriptor that a UDF serves. The steps, in this order: Ready(), ReadRequest(),
// WriteResponse().
class Connection {
 public:
  // Takes the descriptor that the process's first argument names. Returns no value if the arguments
  // are not valid (Status::kUsage); the reason is on standard error.
  static std::optional<Connection> FromArgs(int argc, char** argv) {
    // The server team defines the arguments after the first.
    if (argc < 2) {
      std::fprintf(stderr, "the first argument must be the descriptor to serve; there is none\n");
      return std::nullopt;
    }
    const char* const end = argv[1] + std::strlen(argv[1]);
    int descriptor = -1;
    const auto [parsed, error] = std::from_chars(argv[1], end, descriptor);
    if (error != std::errc() || parsed != end || descriptor <= STDERR_FILENO) {
      std::fprintf(stderr, "\"%s\" is not the decimal number of a descriptor above 2\n", argv[1]);
      return std::nullopt;
    }
    if (fcntl(descriptor, F_GETFD) == -1) {
      std::fprintf(stderr, "descriptor %d is not open\n", descriptor);
      return std::nullopt;
    }
    return Connection(descriptor);
  }

  // Takes ownership of `descriptor` and closes it.
  explicit Connection(int descriptor, std::size_t request_limit = kDefaultRequestLimit)
      : stream_(descriptor), request_limit_(request_limit) {}

  // Accepts requests of up to `bytes` bytes.
  void set_request_limit(std::size_t bytes) { request_limit_ = bytes; }

  // Reports that this process is ready. A request may come from now on, and its time counts.
  Status Ready() { return stream_.WriteAll(&kReady, sizeof(kReady)); }

  // Waits for the request.
  Status ReadRequest(google::protobuf::MessageLite& request) {
    std::string bytes;
    if (const Status status = ReadRequestBytes(bytes); status != Status::kOk) return status;
    const bool parsed = request.ParseFromString(bytes);
    return parsed ? Status::kOk : Status::kBadRequest;
  }

  // Waits for the request and returns it encoded.
  Status ReadRequestBytes(std::string& request) { return stream_.Read(request_limit_, request); }

  // Writes the response.
  Status WriteResponse(const google::protobuf::MessageLite& response) {
    std::string bytes;
    return response.SerializeToString(&bytes) ? WriteResponseBytes(bytes) : Status::kFailed;
  }

  // Writes a response that is already encoded.
  Status WriteResponseBytes(const std::string& response) { return stream_.Write(response); }

 private:
  internal::Stream stream_;
  std::size_t request_limit_;
};

// The outcome of a call of the host.
struct [[nodiscard]] CallResult {
  // 0, or a gRPC status code: the host's, kBroken or kMalformed.
  int code = 0;
  // The error message of the host or of this library.
  std::string message;

  // The connection broke. The host closes it if a call is too large or if there are too many calls.
  static constexpr int kBroken = 14;
  // The result is not the expected message.
  static constexpr int kMalformed = 13;

  explicit operator bool() const { return code == 0; }
};

// The connection on which a UDF calls functions of its host, one at a time. The host answers calls
// once this process has its request: an earlier call waits for it.
//
//   std::optional<roma::udf::Host> host = roma::udf::Host::Connect();
//   if (!host) return std::nullopt;
//   Profile profile;
//   if (const auto result = host->Call("shop.Profiles/Find", id, profile); !result) {
//     std::fprintf(stderr, "no profile: %s\n", result.message.c_str());
//   }
class Host {
 public:
  // Takes the connection, descriptor 4. Returns no value if the code was loaded without host
  // functions. Call this once, before the process opens other sockets: one of them could have
  // number 4 and would be taken for the host.
  static std::optional<Host> Connect() {
    struct stat found;
    if (fstat(kDescriptor, &found) == -1 || !S_ISSOCK(found.st_mode)) {
      std::fprintf(stderr, "the host offers no functions to this code\n");
      return std::nullopt;
    }
    return Host(kDescriptor);
  }

  // Takes ownership of `descriptor` and closes it.
  explicit Host(int descriptor) : stream_(descriptor) {}

  // Calls a function whose argument and result are messages.
  CallResult Call(std::string_view function, const google::protobuf::MessageLite& argument,
                  google::protobuf::MessageLite& result) {
    std::string bytes;
    CallResult outcome = CallBytes(function, argument.SerializeAsString(), bytes);
    if (outcome && !result.ParseFromString(bytes)) {
      return {CallResult::kMalformed, "the result is not the expected message"};
    }
    return outcome;
  }

  // Calls a function whose argument and result are bytes.
  CallResult CallBytes(std::string_view function, std::string_view argument, std::string& result) {
    const std::uint64_t id = ++calls_;
    std::string answer;
    if (stream_.Write(EncodeCall(id, function, argument)) != Status::kOk ||
        stream_.Read(kDefaultRequestLimit, answer) != Status::kOk) {
      return {CallResult::kBroken, "the connection to the host broke"};
    }
    CallResult outcome;
    std::uint64_t answered = 0;
    if (!DecodeAnswer(answer, answered, outcome, result) || answered != id) {
      return {CallResult::kBroken, "the host's answer does not belong to the call"};
    }
    return outcome;
  }

 private:
  static constexpr int kDescriptor = 4;

  // message HostCallRequest { uint64 id = 1; string function = 2; bytes payload = 3; }
  static std::string EncodeCall(std::uint64_t id, std::string_view function,
                                std::string_view payload) {
    std::string call;
    AppendVarint(1 << 3, call);
    AppendVarint(id, call);
    AppendBytes(2, function, call);
    AppendBytes(3, payload, call);
    return call;
  }

  // message HostCallResponse {
  //   uint64 id = 1; int32 code = 2; string error = 3; bytes payload = 4;
  // }
  static bool DecodeAnswer(const std::string& answer, std::uint64_t& id, CallResult& outcome,
                           std::string& payload) {
    google::protobuf::io::CodedInputStream input(
        reinterpret_cast<const std::uint8_t*>(answer.data()), static_cast<int>(answer.size()));
    payload.clear();
    while (const std::uint32_t tag = input.ReadTag()) {
      std::uint64_t number = 0;
      std::string bytes;
      const bool is_number = (tag & 7) == 0;
      if (is_number ? !input.ReadVarint64(&number) : !ReadBytes(tag, input, bytes)) return false;
      if (tag == (1 << 3)) id = number;
      if (tag == (2 << 3)) outcome.code = static_cast<int>(number);
      if (tag == (3 << 3 | 2)) outcome.message = std::move(bytes);
      if (tag == (4 << 3 | 2)) payload = std::move(bytes);
    }
    return input.ConsumedEntireMessage();
  }

  static bool ReadBytes(std::uint32_t tag, google::protobuf::io::CodedInputStream& input,
                        std::string& bytes) {
    std::uint32_t size = 0;
    return (tag & 7) == 2 && input.ReadVarint32(&size) &&
           input.ReadString(&bytes, static_cast<int>(size));
  }

  static void AppendBytes(int field, std::string_view bytes, std::string& message) {
    AppendVarint(static_cast<std::uint64_t>(field) << 3 | 2, message);
    AppendVarint(bytes.size(), message);
    message += bytes;
  }

  static void AppendVarint(std::uint64_t number, std::string& message) {
    for (; number >= 0x80; number >>= 7) message += static_cast<char>(number | 0x80);
    message += static_cast<char>(number);
  }

  internal::Stream stream_;
  std::uint64_t calls_ = 0;
};

// Serves one request on `connection`. The handler takes a const Request& and returns a Response, or
// a std::optional<Response> if it can fail. For std::nullopt, nothing is written and the status is
// kFailed.
template <typename Request, typename Response, typename Handler>
Status ServeOn(Connection& connection, Handler&& handler) {
  if (const Status status = connection.Ready(); status != Status::kOk) return status;
  Request request;
  if (const Status status = connection.ReadRequest(request); status != Status::kOk) return status;
  const std::optional<Response> response = std::forward<Handler>(handler)(request);
  return response ? connection.WriteResponse(*response) : Status::kFailed;
}

// Takes the descriptor from the arguments and passes a Connection& to `body`, which performs the
// steps and returns a Status. Return the result from main().
template <typename Body>
int Run(int argc, char** argv, Body&& body) noexcept {
  // Report a closed connection as an error instead of dying of a signal.
  signal(SIGPIPE, SIG_IGN);
#if defined(__cpp_exceptions)
  try {
#endif
    std::optional<Connection> connection = Connection::FromArgs(argc, argv);
    if (!connection) return static_cast<int>(Status::kUsage);
    const Status status = std::forward<Body>(body)(*connection);
    if (status != Status::kOk) std::fprintf(stderr, "%s\n", Meaning(status));
    return static_cast<int>(status);
#if defined(__cpp_exceptions)
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", Meaning(Status::kFailed), error.what());
  } catch (...) {
    std::fprintf(stderr, "%s\n", Meaning(Status::kFailed));
  }
  return static_cast<int>(Status::kFailed);
#endif
}

// Serves this process's one request; see ServeOn() for the handler. Return the result from main().
template <typename Request, typename Response, typename Handler>
int Serve(int argc, char** argv, Handler&& handler) noexcept {
  return Run(argc, argv, [&](Connection& connection) {
    return ServeOn<Request, Response>(connection, std::forward<Handler>(handler));
  });
}

}  // namespace roma::udf

#endif  // SRC_UDF_CC_ROMA_UDF_H_
