use super::*;
use crate::seqpacket::stream_pair;
use std::fs::File;
use std::io::{Read, Write};

/// Talks to a worker that is a thread of this process.
async fn talk(
    request: Vec<u8>,
    ready: bool,
    worker: impl FnOnce(File) + Send + 'static,
) -> Result<Bytes, Broken> {
    let (ours, theirs) = stream_pair().unwrap();
    let worker = tokio::task::spawn_blocking(move || worker(theirs.into()));
    let mut exchange = Exchange::new(ours, request.into(), 1 << 20, ready).unwrap();
    exchange.until_ready().await?;
    exchange.until_sent().await?;
    let response = exchange.until_answered().await;
    drop(exchange);
    worker.await.unwrap();
    response
}

fn frame(message: &[u8]) -> Vec<u8> {
    [LengthPrefix::new(message.len()).as_bytes(), message].concat()
}

#[tokio::test]
async fn a_request_is_answered() {
    let response = talk(b"question".to_vec(), false, |mut socket| {
        socket.write_all(b"!").unwrap();
        let mut request = [0; 9];
        socket.read_exact(&mut request).unwrap();
        assert_eq!(request, *b"\x08question");
        socket.write_all(&frame(b"answer")).unwrap();
    });
    assert_eq!(response.await.unwrap(), "answer");
}

#[tokio::test]
async fn who_looks_out_sees_the_response_or_goes_on_to_wait_for_it() {
    let (ours, theirs) = stream_pair().unwrap();
    let mut theirs = File::from(theirs);
    let mut exchange = Exchange::new(ours, Bytes::new(), 1 << 20, true).unwrap();
    exchange.until_sent().await.unwrap();
    exchange.look_out().unwrap();
    assert!(!exchange.over, "nothing is there");
    theirs.write_all(&frame(b"answer")).unwrap();
    exchange.look_out().unwrap();
    assert!(exchange.over, "it is there");
    assert_eq!(exchange.until_answered().await.unwrap(), "answer");
}

#[tokio::test]
async fn an_empty_request_and_response_are_messages_too() {
    let response = talk(Vec::new(), true, |mut socket| {
        let mut request = [9];
        socket.read_exact(&mut request).unwrap();
        socket.write_all(&[0]).unwrap();
    });
    assert_eq!(response.await.unwrap(), "");
}

#[tokio::test]
async fn a_worker_that_writes_before_it_reads_blocks_nobody() {
    let response = talk(vec![7; 1 << 20], true, |mut socket| {
        socket.write_all(&frame(&vec![8; 1 << 20])).unwrap();
        // Once its response is whole, nobody goes on to send it a request.
        let _ = socket.read_exact(&mut vec![0; 1 << 20]);
    });
    assert_eq!(response.await.unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn a_response_counts_although_the_request_was_never_read() {
    let response = talk(vec![1; 1000], true, |mut socket| {
        socket.write_all(&frame(b"early")).unwrap();
    });
    assert_eq!(response.await.unwrap(), "early");
}

#[tokio::test]
async fn each_defect_is_told_apart() {
    async fn broken_by(bytes: &'static [u8]) -> Broken {
        talk(Vec::new(), true, move |mut socket| {
            socket.write_all(bytes).unwrap()
        })
        .await
        .unwrap_err()
    }
    assert!(matches!(broken_by(b"").await, Broken::Closed));
    assert!(matches!(
        broken_by(b"\x05abc").await,
        Broken::Frame(FrameError::Truncated { .. })
    ));
    assert!(matches!(
        broken_by(b"\x01ab").await,
        Broken::Frame(FrameError::Trailing)
    ));
    assert!(matches!(
        broken_by(&[0xff; 10]).await,
        Broken::Frame(FrameError::MalformedLength)
    ));
    assert!(matches!(
        broken_by(b"\xff\xff\xff\xff\x0f").await,
        Broken::Frame(FrameError::Oversize { .. })
    ));
}

#[tokio::test]
async fn an_end_before_readiness_is_seen() {
    let error = talk(Vec::new(), false, drop).await.unwrap_err();
    assert!(matches!(error, Broken::Closed), "{error:?}");
}

#[tokio::test]
async fn a_connection_without_a_word_on_it_can_be_given_back() {
    let (ours, _theirs) = stream_pair().unwrap();
    let mut exchange = Exchange::new(ours, Bytes::from_static(b"x"), 1, false).unwrap();
    assert!(exchange.take_unused().is_some());
    let (ours, _theirs) = stream_pair().unwrap();
    let mut exchange = Exchange::new(ours, Bytes::from_static(b"x"), 1, false).unwrap();
    exchange.send_some().unwrap();
    assert!(exchange.take_unused().is_none());
}
