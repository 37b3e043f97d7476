//! Greets, in Rust.

use greeting::greeting::v1::{GreetRequest, GreetResponse};

fn main() -> std::process::ExitCode {
    roma_udf::serve(|request: GreetRequest| GreetResponse {
        text: format!(
            "Hello, {}! It is {}.",
            request.name,
            request.at.unwrap_or_default().seconds
        ),
    })
}
