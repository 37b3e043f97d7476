use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use roma_core::{CodeToken, ExecutionId, GrpcCode, HostCall, HostCallLimits, Metadata};
use roma_io::stream;

use super::*;

struct Tenant(&'static str);

fn functions(limits: HostCallLimits) -> HostFunctions {
    let mut functions = HostFunctions::default();
    functions.limits = limits;
    functions
        .register("tenant".into(), |call: HostCall| async move {
            let tenant = call.metadata.get::<Tenant>().map_or("nobody", |t| t.0);
            Ok(Bytes::from(
                [tenant.as_bytes(), b":", &call.payload].concat(),
            ))
        })
        .unwrap();
    functions
        .register("sleep".into(), |_| async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(Bytes::new())
        })
        .unwrap();
    functions
}

/// Makes calls as a UDF would, one after the other's sending, and collects as many answers.
async fn calls(limits: HostCallLimits, requests: Vec<HostCallRequest>) -> Vec<HostCallResponse> {
    let (ours, theirs) = stream::pair().unwrap();
    let functions = Arc::new(functions(limits));
    let caller = Caller {
        execution: ExecutionId::next(),
        code: CodeToken::new(1, 1),
        metadata: Metadata::new(Tenant("acme")),
    };
    let udf = tokio::task::spawn_blocking(move || {
        let mut socket = std::fs::File::from(theirs);
        for request in &requests {
            socket
                .write_all(&request.encode_length_delimited_to_vec())
                .unwrap();
        }
        let mut received = Vec::new();
        let mut responses = Vec::new();
        while responses.len() < requests.len() {
            let mut buffer = [0; 1024];
            let count = socket.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                break;
            }
            received.extend_from_slice(&buffer[..count]);
            let mut rest = &received[..];
            while let Ok(response) = HostCallResponse::decode_length_delimited(&mut rest) {
                responses.push(response);
                if rest.is_empty() {
                    break;
                }
            }
            received = rest.to_vec();
        }
        responses
    });
    serve(ours, functions, caller).await;
    udf.await.unwrap()
}

fn request(id: u64, function: &str, payload: &'static [u8]) -> HostCallRequest {
    HostCallRequest {
        id,
        function: function.into(),
        payload: Bytes::from_static(payload),
    }
}

#[tokio::test]
async fn a_call_is_answered_with_the_metadata_at_hand() {
    let answers = calls(HostCallLimits::default(), vec![request(7, "tenant", b"x")]).await;
    assert_eq!((answers[0].id, answers[0].code), (7, 0));
    assert_eq!(answers[0].payload, "acme:x");
}

#[tokio::test]
async fn an_unknown_function_is_an_answer_too() {
    let answers = calls(HostCallLimits::default(), vec![request(1, "rm", b"")]).await;
    assert_eq!(answers[0].code, GrpcCode::NotFound as i32);
}

#[tokio::test]
async fn a_slow_handler_is_cut_off() {
    let limits = HostCallLimits {
        deadline: Duration::from_millis(10),
        ..Default::default()
    };
    let answers = calls(
        limits,
        vec![request(1, "sleep", b""), request(2, "tenant", b"")],
    )
    .await;
    let late = answers.iter().find(|a| a.id == 1).unwrap();
    assert_eq!(late.code, GrpcCode::DeadlineExceeded as i32);
    assert_eq!(answers.iter().find(|a| a.id == 2).unwrap().code, 0);
}

#[tokio::test]
async fn sizes_are_capped_both_ways() {
    let limits = HostCallLimits {
        max_request: 4,
        max_response: 7,
        ..Default::default()
    };
    let requests = vec![
        request(1, "tenant", b"too much"),
        request(2, "tenant", b"abcd"),
    ];
    let answers = calls(limits, requests).await;
    let code = |id| answers.iter().find(|a| a.id == id).unwrap().code;
    assert_eq!(code(1), GrpcCode::InvalidArgument as i32);
    assert_eq!(code(2), GrpcCode::ResourceExhausted as i32);
}

#[tokio::test]
async fn a_flood_is_served_a_few_at_a_time_and_then_cut() {
    let limits = HostCallLimits {
        max_concurrent: 2,
        max_calls: 50,
        ..Default::default()
    };
    let requests: Vec<_> = (0..50).map(|id| request(id, "tenant", b"")).collect();
    assert_eq!(calls(limits.clone(), requests).await.len(), 50);
    let requests: Vec<_> = (0..60).map(|id| request(id, "tenant", b"")).collect();
    assert!(calls(limits, requests).await.len() < 60);
}

#[tokio::test]
async fn nonsense_closes_the_connection() {
    let (ours, theirs) = stream::pair().unwrap();
    let functions = Arc::default();
    let caller = Caller {
        execution: ExecutionId::next(),
        code: CodeToken::new(1, 1),
        metadata: Metadata::default(),
    };
    let mut socket = std::fs::File::from(theirs);
    socket.write_all(&[0xff; 64]).unwrap();
    serve(ours, functions, caller).await;
    assert_eq!(socket.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn names_are_unique_and_not_empty() {
    let mut functions = functions(HostCallLimits::default());
    let handler = |_| async { Ok(Bytes::new()) };
    assert!(functions.register("tenant".into(), handler).is_err());
    assert!(functions.register(String::new(), handler).is_err());
}
