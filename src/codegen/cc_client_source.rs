//! Typed C++ clients of services that UDFs implement.

use std::collections::BTreeSet;

use crate::cc_names::{cc_comment, cc_header, cc_identifier, cc_namespace, cc_path};
use crate::service::{self, Call, Service};
use crate::source_text::or;
use crate::{DescriptorSet, Error};

/// Generates a header with one client class for the service that `file` declares.
///
/// `service` selects one if the file declares several. The header includes protobuf's headers for the messages
/// and `roma_byob.hpp`.
pub fn cc_client_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
) -> Result<String, Error> {
    let service = service::read(descriptors, file, service, &[])?;
    let client = service.cc_client_name();
    let methods: String = service
        .calls
        .iter()
        .map(|call| method(call, &client, descriptors))
        .collect();
    let class = class(&service, &client, &methods);
    let guard = format!("ROMA_BYOB_CLIENT_OF_{}_H_", shout(&service.full_name));
    let full_name = &service.full_name;
    let includes = includes(&service, descriptors)?;
    let body = within(&namespace(&service), &class);
    Ok(format!(
        "// Generated from {file}: do not edit.
//
// A typed client of {full_name}.

#ifndef {guard}
#define {guard}

#include <chrono>
#include <string_view>
#include <utility>

{includes}
{body}
#endif  // {guard}
"
    ))
}

fn class(service: &Service, client: &str, methods: &str) -> String {
    let documentation = or(
        &service.documentation,
        format!(
            "Calls of {}, each answered in a fresh sandboxed process.",
            service.full_name
        ),
    );
    let documentation = cc_comment("", &documentation);
    format!(
        "{documentation}template <typename TMetadata = ::roma::byob::NoMetadata>
class {client} final : public ::roma::byob::Client<TMetadata> {{
  using Base = ::roma::byob::Client<TMetadata>;

 public:
  using Base::Cancel;
  using Base::Delete;
  using Base::Register;
  using Base::RegisterForLogging;

// Starts a service and waits until it accepts code.
  static ::roma::byob::StatusOr<{client}> Create(
      ::roma::byob::Config<TMetadata> config = {{}},
      ::roma::byob::Mode mode = ::roma::byob::Mode::kModeGvisorSandbox) {{
    ::roma::byob::StatusOr<Base> base = Base::Start(std::move(config), mode);
    if (!base.ok()) return base.status();
    return {client}(*std::move(base));
  }}
{methods}
 private:
  explicit {client}(Base base) : Base(std::move(base)) {{}}
}};
"
    )
}

fn method(call: &Call, client: &str, descriptors: &DescriptorSet) -> String {
    let name = match call.name.as_str() {
        own if own == client || ["Base", "TMetadata"].contains(&own) => format!("{own}_"),
        name => cc_identifier(name),
    };
    let documentation = or(&call.documentation, format!("Calls {}.", call.name));
    let documentation = cc_comment("  ", &documentation);
    let request = cc_path(descriptors, &call.request);
    let response = cc_path(descriptors, &call.response);
    format!(
        "
{documentation}  //
// Notifies when `response` is set. Until then `notification`, `response` and this client must
  // exist. If an error is returned, nothing is executed and `notification` is not notified.
  ::roma::byob::StatusOr<::roma::byob::ExecutionToken> {name}(
      ::roma::byob::Notification& notification,
      const {request}& request,
      ::roma::byob::StatusOr<{response}>& response,
      TMetadata metadata = {{}}, std::string_view code_token = {{}},
      std::chrono::nanoseconds connection_timeout = std::chrono::nanoseconds::zero(),
      std::chrono::nanoseconds deadline = ::roma::byob::kDefaultDeadline) {{
    return Base::template Call<{response}>(
        notification, request, response,
        {{std::move(metadata), code_token, connection_timeout, deadline}});
  }}

// As above, but calls `callback` when the process has ended. It receives the response, the logs if
  // the code was registered for logging, and the execution's metrics.
  ::roma::byob::StatusOr<::roma::byob::ExecutionToken> {name}(
      ::roma::byob::Callback<{response}> callback,
      const {request}& request,
      TMetadata metadata = {{}}, std::string_view code_token = {{}},
      std::chrono::nanoseconds connection_timeout = std::chrono::nanoseconds::zero(),
      std::chrono::nanoseconds deadline = ::roma::byob::kDefaultDeadline) {{
    return Base::template Call<{response}>(
        std::move(callback), request,
        {{std::move(metadata), code_token, connection_timeout, deadline}});
  }}
"
    )
}

fn includes(service: &Service, descriptors: &DescriptorSet) -> Result<String, Error> {
    let mut headers = BTreeSet::from(["src/ffi/roma_byob.hpp".to_owned()]);
    for call in &service.calls {
        for type_name in [&call.request, &call.response] {
            let header = cc_header(descriptors, type_name);
            headers.insert(header.ok_or_else(|| Error::UnreachableType {
                field: call.name.clone(),
                type_name: type_name.clone(),
                defined_in: "no known file".to_owned(),
            })?);
        }
    }
    let line = |header: String| format!("#include \"{header}\"\n");
    Ok(headers.into_iter().map(line).collect())
}

/// Returns the annotated namespace, or that of the package.
fn namespace(service: &Service) -> String {
    match service.cpp_namespace.as_str() {
        "" => cc_namespace(&service.package),
        chosen => chosen.to_owned(),
    }
}

fn within(namespace: &str, source: &str) -> String {
    match namespace {
        "" => source.to_owned(),
        name => format!("namespace {name} {{\n\n{source}\n}}  // namespace {name}\n"),
    }
}

/// Returns a valid macro name.
fn shout(name: &str) -> String {
    name.replace('.', "_").to_ascii_uppercase()
}

#[cfg(test)]
#[path = "cc_client_source_test.rs"]
mod tests;
