// A C++ client compiles for any names, and its own methods stay callable beside those of the API.

#include <type_traits>

#include "bzl/tests/names.pb.h"
#include "bzl/tests/names_cc_client.h"
#include "gtest/gtest.h"

namespace roma_names = bzl_tests::names::v1;

// Instantiates all of its methods.
template class roma_names::ByobNamesService<>;

namespace {

using Client = roma_names::ByobNamesService<>;
using Message = roma_names::class_;
using Answer = roma::byob::StatusOr<Message>;
using roma::byob::Notification;

TEST(Names, OfTheApiDoNotHideCallsOfTheClient) {
  const auto created = Client::Create({}, static_cast<roma::byob::Mode>(-1));
  EXPECT_EQ(created.status().code(), roma::byob::StatusCode::kInvalidArgument);
  const auto calls = [](Client& client, Notification& over, const Message& request,
                        Answer& answer) {
    static_cast<void>(client.Register("path", 1));
    static_cast<void>(client.Register(over, request, answer));
    static_cast<void>(client.Create(over, request, answer));
    static_cast<void>(client.delete_(over, roma_names::Outer_Inner(), answer));
    static_cast<void>(client.Base_(over, request, answer));
    static_cast<void>(client.TMetadata_(over, request, answer));
    return client.ByobNamesService_(over, request, answer);
  };
  EXPECT_TRUE((std::is_invocable_v<decltype(calls), Client&, Notification&, Message&, Answer&>));
}

}  // namespace
