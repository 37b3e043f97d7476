use super::*;
use crate::testing::{assert_has, compile};

const MESSAGES: &str = "message Question { message Part {} } message Answer {}";

/// A client of the first service in a file of the package `p.q` with the messages and this content.
fn client(content: &str) -> Result<String, Error> {
    let file = format!("package p.q;\n{MESSAGES}\n{content}");
    let other = "package other; message Thing {}";
    let descriptors = compile(&[("api/p.proto", &file), ("other.proto", other)]);
    cc_client_source(&descriptors, "api/p.proto", None)
}

#[test]
fn a_call_becomes_two_methods_with_its_comment() {
    let source = client(
        "// Asks around.\nservice AskService {\n// Asks \\\n// one.\nrpc AskOne(Question.Part) returns (Answer); }",
    )
    .unwrap();
    assert_has(
        &source,
        "namespace p::q {
        // Asks around.
        template <typename TMetadata = ::roma::byob::NoMetadata>
        class ByobAskService final : public ::roma::byob::Client<TMetadata> {",
    );
    assert!(source.contains("\n  // Asks\n  // one.\n"), "{source}");
    for first in [
        "AskOne(::roma::byob::Notification& notification, const ::p::q::Question_Part& request,
            ::roma::byob::StatusOr<::p::q::Answer>& response,",
        "AskOne(::roma::byob::Callback<::p::q::Answer> callback, const ::p::q::Question_Part& request,",
    ] {
        assert_has(&source, first);
    }
}

#[test]
fn the_headers_of_the_messages_are_included() {
    let source = client(
        "import \"other.proto\"; import \"google/protobuf/empty.proto\";
        service Ask {
            rpc A(Question) returns (other.Thing);
            rpc B(google.protobuf.Empty) returns (Answer);
        }",
    );
    assert!(source.unwrap().contains(
        "
#include \"api/p.pb.h\"
#include \"google/protobuf/empty.pb.h\"
#include \"other.pb.h\"
#include \"src/ffi/roma_byob.hpp\"

namespace"
    ));
}

#[test]
fn annotations_describe_and_choose_the_namespace() {
    let source = client(
        "import \"privacysandbox/apis/roma/app_api/v1/options.proto\";
        service Ask {
            option (privacysandbox.apis.roma.app_api.v1.roma_svc_annotation) = {
                description: \"Asks all.\" cpp_namespace: \"my::own\" rust_client: \"Asker\" };
            rpc Register(Question) returns (Answer) {
                option (privacysandbox.apis.roma.app_api.v1.roma_rpc_annotation) = {
                    description: \"Signs up.\" };
            }
        }",
    )
    .unwrap();
    assert_has(&source, "namespace my::own { // Asks all. template");
    assert_has(&source, "class ByobAskService final");
    assert_has(&source, "// Signs up. // // Notifies");
}

#[test]
fn reserved_names_get_an_underscore() {
    let source = client(
        "service Ask {
            rpc delete(Question) returns (Answer);
            rpc ByobAskService(Question) returns (Answer);
            rpc TMetadata(Question) returns (Answer);
        }",
    )
    .unwrap();
    for name in ["delete_(", "ByobAskService_(", "TMetadata_("] {
        assert_has(&source, &format!("ExecutionToken> {name}"));
    }
}

#[test]
fn without_a_package_there_is_no_namespace() {
    let content = "message M {} service S { rpc C(M) returns (M); }";
    let descriptors = compile(&[("s.proto", content)]);
    let source = cc_client_source(&descriptors, "s.proto", None).unwrap();
    assert!(!source.contains("namespace "), "{source}");
    assert_has(&source, "const ::M& request");
}

#[test]
fn a_streaming_call_is_refused_with_its_line() {
    let error =
        client("service Ask {\n rpc Flow(stream Question) returns (Answer); }").unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("api/p.proto:5: the call Flow streams"),
        "{message}"
    );
}

#[test]
fn a_file_without_a_service_is_refused() {
    let message = client("").unwrap_err().to_string();
    assert_eq!(message, "api/p.proto declares no service");
}
