// Messages of two libraries and of the well-known types have the same encoding as in Rust.

#include <string>

#include "bzl/tests/visit.pb.h"
#include "gtest/gtest.h"

namespace {

using bzl_tests::visit::v1::Visit;

// The same visit as in proto_test.rs, and the bytes that both expect.
constexpr char kBytes[] =
    "0a060a0462616e6b1a090900000000000008403a02080c4202083ca00600aa06"
    "100a0374656110ffffffffffffffffff01ca0c09090000000000803540f01205";

Visit MakeVisit() {
  Visit visit;
  visit.mutable_place()->set_name("bank");
  visit.mutable_door()->set_latitude(3.0);
  visit.mutable_at()->set_seconds(12);
  visit.mutable_lasted()->set_seconds(60);
  visit.set_guests(0);
  (*visit.mutable_spent())["tea"] = -1;
  visit.mutable_degrees()->set_value(21.5);
  visit.set_type(Visit::KIND_SHORT);
  return visit;
}

std::string Hex(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

TEST(Proto, TheEncodingEqualsThatOfRust) {
  EXPECT_EQ(Hex(MakeVisit().SerializeAsString()), kBytes);
}

TEST(Proto, ParsingReturnsTheSerialisedMessage) {
  Visit visit;
  ASSERT_TRUE(visit.ParseFromString(MakeVisit().SerializeAsString()));
  EXPECT_EQ(visit.SerializeAsString(), MakeVisit().SerializeAsString());
}

}  // namespace
