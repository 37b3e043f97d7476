use super::*;
use crate::testing::{assert_has, compile};

const PROFILES: &str = "package shop;
    message Id { uint64 id = 1; }
    message Profile { string name = 1; }
    // Who customers are.
    service ProfilesService {
        // Finds one.
        rpc Find(Id) returns (Profile);
        rpc Type(Id) returns (Profile);
    }";

type Generator = fn(&DescriptorSet, &str, Option<&str>, &[ExternFile]) -> Result<String, Error>;

fn generated(generator: Generator, content: &str) -> Result<String, Error> {
    let descriptors = compile(&[("shop.proto", content)]);
    let externs = ["messages=shop.proto".parse().unwrap()];
    generator(&descriptors, "shop.proto", None, &externs)
}

#[test]
fn the_host_implements_a_trait_with_a_method_for_each_call() {
    let source = generated(host_source, PROFILES).unwrap();
    assert_has(&source, "/// Who customers are. ///");
    assert_has(
        &source,
        "pub trait ProfilesService: Send + Sync + 'static {",
    );
    assert_has(
        &source,
        "/// Finds one.
        fn find(&self, request: ::messages::shop::Id, call: HostCall,)
            -> impl Future<Output = Result<::messages::shop::Profile, HostCallError>> + Send;",
    );
    assert_has(&source, "fn r#type(&self");
    assert_has(
        &source,
        "builder.host_call(\"shop.ProfilesService/Find\", move |request, call|",
    );
}

#[test]
fn a_udf_client_has_a_method_for_each_call() {
    let source = generated(host_client_source, PROFILES).unwrap();
    assert_has(
        &source,
        "/// Who customers are. #[derive(Debug)] pub struct ProfilesClient<'a>",
    );
    assert_has(
        &source,
        "/// Finds one. /// /// # Errors /// /// As [`Host::call`].
        pub fn find(&mut self, request: &::messages::shop::Id,)
            -> Result<::messages::shop::Profile, HostError> {
            self.host.call(\"shop.ProfilesService/Find\", request) }",
    );
}

#[test]
fn a_service_without_calls_is_refused() {
    for generator in [host_source, host_client_source] {
        let error = generated(generator, "service Empty {}").unwrap_err();
        assert!(matches!(error, Error::NoCall { .. }), "{error}");
    }
}

#[test]
fn name_clashes_and_streaming_calls_are_refused() {
    for call in [
        "rpc New(Id) returns (Id);",
        "rpc Flow(stream Id) returns (Id);",
    ] {
        let content = format!("message Id {{}} service S {{ {call} }}");
        for generator in [host_source, host_client_source] {
            let message = generated(generator, &content).unwrap_err().to_string();
            assert!(message.starts_with("shop.proto:2: the "), "{message}");
        }
    }
}
