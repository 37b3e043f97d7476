// A server team's workspace in C++: their own proto and a generated client.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "greeting.pb.h"
#include "greeting_cc_client.h"

// ROMA_RUN_WORKERS and ROMA_RUNSC name the programs.
roma::byob::Status Greets(const roma::byob::Config<>& config, roma::byob::Mode mode) {
  auto service = greeting::v1::ByobGreetingService<>::Create(config, mode);
  if (!service.ok()) return service.status();
  const auto code = service->Register(std::getenv("GREET_CC"), 2);
  if (!code.ok()) return code.status();
  greeting::v1::GreetRequest request;
  request.set_name("integrator");
  request.mutable_at()->set_seconds(12);
  roma::byob::Notification answered;
  roma::byob::StatusOr<greeting::v1::GreetResponse> response;
  const auto asked =
      service->Greet(answered, request, response, {}, *code, std::chrono::seconds(60));
  if (!asked.ok()) return asked.status();
  answered.WaitForNotification();
  if (!response.ok()) return response.status();
  if (response->text() == "Hello, integrator! It is 12.") return {};
  return {roma::byob::StatusCode::kUnknown, response->text()};
}

int main() {
  roma::byob::Config<> config;
  const auto minimal = Greets(config, roma::byob::Mode::kModeMinimalSandbox);
  config.platform = "systrap";
  const auto gvisor = Greets(config, roma::byob::Mode::kModeGvisorSandbox);
  std::cout << minimal << "\n" << gvisor << "\n";
  return minimal.ok() && gvisor.ok() ? 0 : 1;
}
