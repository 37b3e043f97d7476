use super::*;
use crate::testing::{assert_has, compile};

const MESSAGES: &str = "message Question { string text = 1; } message Answer { string text = 1; }";

/// A client of the first service in a file of the package `p` with the messages and this content.
fn client(content: &str) -> Result<String, Error> {
    client_of(content, None)
}

fn client_of(content: &str, service: Option<&str>) -> Result<String, Error> {
    let file = format!("package p;\n{MESSAGES}\n{content}");
    let descriptors = compile(&[("api/p.proto", &file)]);
    let externs = ["messages=api/p.proto".parse().unwrap()];
    client_source(&descriptors, "api/p.proto", service, &externs)
}

#[test]
fn a_call_becomes_a_method_with_its_comment() {
    let source = client(
        "// Asks around.\nservice AskService {\n// Asks one.\nrpc AskOne(Question) returns (Answer); }",
    )
    .unwrap();
    assert_has(
        &source,
        "/// Asks around. #[derive(Clone, Debug)] pub struct ByobAskService {",
    );
    assert_has(
        &source,
        "/// Asks one.
        pub fn ask_one(&self, code: &CodeToken, request: &::messages::p::Question,
            options: ExecuteOptions,) -> Execution<::messages::p::Answer>",
    );
}

#[test]
fn names_of_services_and_calls_become_rust_names() {
    let source = client(
        "service Ask { rpc Type(Question) returns (Answer); rpc Self(Question) returns (Answer); }",
    );
    let source = source.unwrap();
    assert_has(&source, "pub struct ByobAskService");
    assert_has(&source, "pub fn r#type(");
    assert_has(&source, "pub fn self_(");
}

#[test]
fn annotations_describe_and_rename() {
    let source = client(
        "import \"privacysandbox/apis/roma/app_api/v1/options.proto\";
        service Ask {
            option (privacysandbox.apis.roma.app_api.v1.roma_svc_annotation) = {
                description: \"Asks */ \\\"all\\\".\" rust_client: \"Asker\" };
            rpc Register(Question) returns (Answer) {
                option (privacysandbox.apis.roma.app_api.v1.roma_rpc_annotation) = {
                    description: \"Signs up.\" rust_method: \"sign_up\" };
            }
        }",
    )
    .unwrap();
    assert_has(&source, "pub struct Asker");
    assert_has(&source, "Asks */ \"all\".");
    assert_has(&source, "/// Signs up. pub fn sign_up(");
}

#[test]
fn empty_messages_become_the_unit_type() {
    let source = client(
        "import \"google/protobuf/empty.proto\";
        service Ask { rpc Ping(google.protobuf.Empty) returns (google.protobuf.Empty); }",
    );
    assert_has(
        &source.unwrap(),
        "request: &(), options: ExecuteOptions,) -> Execution<()>",
    );
}

#[test]
fn a_streaming_call_is_refused_with_its_line() {
    for kind in [
        "stream Question) returns (Answer",
        "Question) returns (stream Answer",
    ] {
        let error = client(&format!(
            "service Ask {{\n rpc Good(Question) returns (Answer);\n rpc Flow({kind}); }}"
        ));
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with("api/p.proto:6: the call Flow streams"),
            "{message}"
        );
    }
}

#[test]
fn a_name_clash_is_refused_with_its_line() {
    let clash = |calls: &str| {
        client(&format!("service Ask {{\n{calls}\n}}"))
            .unwrap_err()
            .to_string()
    };
    let message = clash("rpc Delete(Question) returns (Answer);");
    assert!(
        message.starts_with("api/p.proto:5: the method delete"),
        "{message}"
    );
    let message =
        clash("rpc FooBar(Question) returns (Answer);\nrpc foo_bar(Question) returns (Answer);");
    assert!(
        message.contains("p.proto:6") && message.contains("the call FooBar"),
        "{message}"
    );
}

#[test]
fn an_ambiguous_service_is_refused() {
    let message = client("").unwrap_err().to_string();
    assert_eq!(message, "api/p.proto declares no service");
    let two = "service One { rpc A(Question) returns (Answer); } service Two { rpc B(Question) returns (Answer); }";
    let message = client(two).unwrap_err().to_string();
    assert!(
        message.contains("the services One, Two: name one of them"),
        "{message}"
    );
    assert_has(
        &client_of(two, Some("Two")).unwrap(),
        "pub struct ByobTwoService",
    );
    let message = client_of(two, Some("Three")).unwrap_err().to_string();
    assert!(message.contains("\"Three\""), "{message}");
}

#[test]
fn messages_without_a_crate_are_refused() {
    let descriptors = compile(&[(
        "p.proto",
        &format!("{MESSAGES} service S {{ rpc C(Question) returns (Answer); }}"),
    )]);
    let error = client_source(&descriptors, "p.proto", None, &[]).unwrap_err();
    assert!(matches!(error, Error::UnreachableType { .. }), "{error}");
}
