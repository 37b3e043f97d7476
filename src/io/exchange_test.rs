use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::*;
use crate::stream::pair;

/// Talks to a worker that is a thread of this process. A worker that is `ready` begins when some of the
/// request is sent to it.
async fn talk(
    request: Vec<u8>,
    ready: bool,
    worker: impl FnOnce(File) + Send + 'static,
) -> Result<Bytes, Broken> {
    let (ours, theirs) = pair().unwrap();
    let mut outgoing = Outgoing::new(request.into());
    if ready {
        outgoing.send_some(ours.as_fd()).unwrap();
    }
    let worker = tokio::task::spawn_blocking(move || worker(theirs.into()));
    let response = exchange(ours.as_fd(), outgoing, ready).await;
    drop(ours);
    worker.await.unwrap();
    response
}

async fn exchange(data: BorrowedFd<'_>, outgoing: Outgoing, ready: bool) -> Result<Bytes, Broken> {
    if !ready {
        until_ready(data).await?;
    }
    let mut exchange = Exchange::new(data, outgoing, 1 << 20)?;
    exchange.until_sent().await?;
    exchange.until_answered().await
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
async fn spinning_ends_with_the_response_or_without_one() {
    let (ours, theirs) = pair().unwrap();
    let mut theirs = File::from(theirs);
    let mut exchange = Exchange::new(ours.as_fd(), Outgoing::new(Bytes::new()), 1 << 20).unwrap();
    exchange.until_sent().await.unwrap();
    exchange.spin_for_response().unwrap();
    assert!(!exchange.is_over, "nothing is there");
    theirs.write_all(&frame(b"answer")).unwrap();
    exchange.spin_for_response().unwrap();
    assert!(exchange.is_over, "it is there");
    assert_eq!(exchange.until_answered().await.unwrap(), "answer");
}

#[tokio::test]
async fn a_connection_serves_one_exchange_after_the_other() {
    let (ours, theirs) = pair().unwrap();
    let worker = tokio::task::spawn_blocking(move || {
        let mut socket = File::from(theirs);
        for answer in [b"one", b"two"] {
            let mut request = [0; 3];
            socket.read_exact(&mut request).unwrap();
            assert_eq!(request, *b"\x02hi");
            socket.write_all(&frame(answer)).unwrap();
        }
    });
    for answer in ["one", "two"] {
        let response = exchange(ours.as_fd(), Outgoing::new(b"hi"[..].into()), true).await;
        assert_eq!(response.unwrap(), answer);
    }
    worker.await.unwrap();
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
async fn a_worker_that_writes_before_it_reads_is_served() {
    let response = talk(vec![7; 1 << 20], true, |mut socket| {
        socket.write_all(&frame(&vec![8; 1 << 20])).unwrap();
        // Once its response is whole, the rest of the request is not sent.
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
async fn what_a_ready_worker_sent_before_its_request_is_no_response() {
    let (ours, theirs) = pair().unwrap();
    let mut theirs = File::from(theirs);
    let outgoing = || Outgoing::new(b"question"[..].into());
    theirs
        .write_all(&[&b"!"[..], &frame(b"early")].concat())
        .unwrap();
    until_ready(ours.as_fd()).await.unwrap();
    let broken = exchange(ours.as_fd(), outgoing(), true).await.unwrap_err();
    assert!(matches!(broken, Broken::Early), "{broken:?}");
    let received = peek(theirs.as_fd(), &mut [0]).unwrap();
    assert_eq!(received, 0, "it did not get the request");
}

#[tokio::test]
async fn a_request_that_was_sent_before_readiness_has_a_response() {
    let (ours, theirs) = pair().unwrap();
    let mut theirs = File::from(theirs);
    let mut outgoing = Outgoing::new(b"question"[..].into());
    outgoing.send_some(ours.as_fd()).unwrap();
    theirs
        .write_all(&[&b"!"[..], &frame(b"answer")].concat())
        .unwrap();
    let response = exchange(ours.as_fd(), outgoing, false).await;
    assert_eq!(response.unwrap(), "answer");
}

#[test]
fn a_readiness_byte_is_no_begin_of_an_answer_and_any_more_is() {
    let (ours, theirs) = pair().unwrap();
    let mut theirs = File::from(theirs);
    let begun = |is_ready| has_begun_to_answer(ours.as_fd(), is_ready).unwrap();
    assert!(!begun(false) && !begun(true));
    theirs.write_all(b"!").unwrap();
    assert!(!begun(false) && begun(true));
    theirs.write_all(b"?").unwrap();
    assert!(begun(false) && begun(true), "looking takes nothing away");
    drop(theirs);
    assert!(begun(true), "nor does the end of the connection");
    let (ours, _) = pair().unwrap();
    assert!(
        !has_begun_to_answer(ours.as_fd(), true).unwrap(),
        "an end is no answer"
    );
}

#[tokio::test]
async fn each_defect_of_a_response_has_its_own_error() {
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
async fn an_end_before_readiness_is_an_error() {
    let error = talk(Vec::new(), false, drop).await.unwrap_err();
    assert!(matches!(error, Broken::Closed), "{error:?}");
}

#[tokio::test]
async fn a_request_tells_whether_any_of_it_was_sent() {
    let (ours, _theirs) = pair().unwrap();
    let mut outgoing = Outgoing::new(Bytes::from(vec![1; 1 << 22]));
    assert!(!outgoing.has_begun());
    outgoing.send_some(ours.as_fd()).unwrap();
    assert!(outgoing.has_begun() && !outgoing.is_sent());
}
