// Has a UDF echo a message: echo_host UDF MESSAGE

#include <chrono>
#include <iostream>

#include "sample_udf/echo_host/echo_client.h"

int Fail(const roma::byob::Status& status) {
  std::cerr << status.cause() << ", a fault of the " << status.fault() << ": " << status << "\n";
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto service = echo::ByobEchoService<>::Create();
  if (!service.ok()) return Fail(service.status());
  const auto code = service->Register(argv[1], /*num_workers=*/2);
  if (!code.ok()) return Fail(code.status());

  echo::EchoRequest request;
  request.set_message(argv[2]);
  roma::byob::Notification answered;
  roma::byob::StatusOr<echo::EchoResponse> response;
  const auto asked = service->Echo(answered, request, response, /*metadata=*/{}, *code,
                                   /*connection_timeout=*/std::chrono::seconds(1));
  if (!asked.ok()) return Fail(asked.status());
  answered.WaitForNotification();
  if (!response.ok()) return Fail(response.status());
  std::cout << response->message() << "\n";
}
