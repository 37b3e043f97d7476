//! A server that embeds Roma, for the image. It finds the files of the layers by itself.

use std::process::ExitCode;

use greeting::greeting::v1::GreetRequest;
use greeting_client::ByobGreetingService;
use roma_byob::{Error, ExecuteOptions, Mode, Service};

async fn greeting() -> Result<String, Error> {
    let client = ByobGreetingService::create(Service::builder(), Mode::Gvisor).await?;
    let code = client.register("/server/greet_rust", 2).await?;
    let request = GreetRequest {
        name: "container".to_owned(),
        at: None,
    };
    let response = client.greet(&code, &request, ExecuteOptions::default()).await?;
    client.shutdown().await;
    Ok(response.text)
}

#[tokio::main]
async fn main() -> ExitCode {
    match greeting().await {
        Ok(text) => println!("{text}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
