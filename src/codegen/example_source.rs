//! Example UDFs that answer the first call of a service with an empty message.

use crate::cc_names::{cc_comment, cc_path};
use crate::service::{self, Call};
use crate::type_names::rust_path;
use crate::{DescriptorSet, Error};

/// The name of the crate with the messages in an SDK.
const MESSAGES: &str = "udf_interface";

/// The language of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C++, with `roma_udf.h`.
    Cc,
    /// Rust, with `roma_udf`.
    Rust,
}

/// Generates a complete program. `service` selects one if `file` declares several.
pub fn example_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
    language: Language,
) -> Result<String, Error> {
    let service = service::read(descriptors, file, service, &[])?;
    let call = service.calls.first().ok_or_else(|| Error::NoCall {
        service: service.full_name.clone(),
    })?;
    let path = |name: &str| match language {
        Language::Cc => cc_path(descriptors, name),
        Language::Rust => rust_type(name),
    };
    let wire_name = format!("{}/{}", service.full_name, call.name);
    let (request, response) = (path(&call.request), path(&call.response));
    Ok(match language {
        Language::Cc => cc_source(&wire_name, call, &request, &response),
        Language::Rust => rust_source(&wire_name, call, &request, &response),
    })
}

fn rust_source(wire_name: &str, call: &Call, request: &str, response: &str) -> String {
    let documentation = rust_comment(call);
    format!(
        "//! Answers `{wire_name}`.

type Request = {request};
type Response = {response};

fn main() -> std::process::ExitCode {{
    // Initialise here, before a request exists: this time does not count for the request.
    roma_udf::serve(answer)
}}

{documentation}fn answer(_request: Request) -> Response {{
    Response::default()
}}
"
    )
}

fn cc_source(wire_name: &str, call: &Call, request: &str, response: &str) -> String {
    let documentation = cc_comment("", &call.documentation);
    format!(
        "// Answers {wire_name}.

#include \"roma_udf.h\"
#include \"udf_interface.pb.h\"

using Request = {request};
using Response = {response};

{documentation}Response Answer(const Request& /*request*/) {{
  Response response;
  return response;
}}

int main(int argc, char** argv) {{
  // Initialise here, before a request exists: this time does not count for the request.
  return roma::udf::Serve<Request, Response>(argc, argv, Answer);
}}
"
    )
}

fn rust_comment(call: &Call) -> String {
    let lines = call.documentation.lines();
    lines
        .map(|line| format!("/// {line}").trim_end().to_owned() + "\n")
        .collect()
}

fn rust_type(full_name: &str) -> String {
    match full_name.strip_prefix(".google.protobuf.") {
        Some("Empty") => "()".into(),
        Some(name) => format!("prost_types::{name}"),
        None => format!("{MESSAGES}::{}", rust_path(full_name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::compile;

    fn example(language: Language) -> String {
        let descriptors = compile(&[(
            "shop.proto",
            "package shop.v1; import \"google/protobuf/empty.proto\";
            message Query { message Inner {} }
            service Shop {
                // Finds one.
                //
                // Or none.
                rpc Find(Query.Inner) returns (google.protobuf.Empty);
                rpc Another(Query) returns (Query);
            }",
        )]);
        example_source(&descriptors, "shop.proto", None, language).unwrap()
    }

    #[test]
    fn a_rust_example_answers_the_first_call() {
        let source = example(Language::Rust);
        syn::parse_file(&source).unwrap();
        for part in [
            "//! Answers `shop.v1.Shop/Find`.\n",
            "type Request = udf_interface::shop::v1::query::Inner;\ntype Response = ();\n",
            "/// Finds one.\n///\n/// Or none.\nfn answer(",
        ] {
            assert!(source.contains(part), "no {part:?} in {source}");
        }
    }

    #[test]
    fn a_cc_example_answers_the_first_call() {
        let source = example(Language::Cc);
        for part in [
            "using Request = ::shop::v1::Query_Inner;\n",
            "using Response = ::google::protobuf::Empty;\n",
            "// Finds one.\n//\n// Or none.\nResponse Answer(",
        ] {
            assert!(source.contains(part), "no {part:?} in {source}");
        }
    }

    #[test]
    fn an_example_for_a_service_without_calls_is_refused() {
        let descriptors = compile(&[("s.proto", "service Empty {}")]);
        let error = example_source(&descriptors, "s.proto", None, Language::Cc).unwrap_err();
        assert!(matches!(error, Error::NoCall { .. }), "{error}");
    }
}
