//! The connection on which a UDF calls host functions (its descriptor 4).
//!
//! Both directions carry size-delimited protobuf messages:
//!
//! ```proto
//! message HostCallRequest { uint64 id = 1; string function = 2; bytes payload = 3; }
//! message HostCallResponse { uint64 id = 1; int32 code = 2; string error = 3; bytes payload = 4; }
//! ```
//!
//! The UDF chooses the ids; answers come as they get ready. A code other than 0 is a gRPC code.
//! Whatever does not keep to this closes the connection, and nothing else.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use nix::sys::socket::{MsgFlags, send};
use prost::Message;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use crate::grpc::GrpcCode;
use crate::host_functions::{HostCall, HostCallError, HostFunctions, Metadata};
use crate::metrics;
use crate::reactor::watch;
use crate::seqpacket::recv_from;
use crate::token::{CodeToken, ExecutionId};

/// Room for the id, the name and the tags around a payload.
const OVERHEAD: usize = 1024;
const READ_BYTES: usize = 16 * 1024;

/// A call as it is on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HostCallRequest {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) function: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) payload: Bytes,
}

/// An answer as it is on the wire.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HostCallResponse {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(int32, tag = "2")]
    pub(crate) code: i32,
    #[prost(string, tag = "3")]
    pub(crate) error: String,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) payload: Bytes,
}

/// What every call of one execution shares.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    pub(crate) functions: Arc<HostFunctions>,
    pub(crate) execution: ExecutionId,
    pub(crate) code: CodeToken,
    pub(crate) metadata: Metadata,
}

/// Serves calls until the UDF closes the connection or breaks a rule. Dropped, it drops the handlers
/// that run.
pub(crate) async fn serve(socket: OwnedFd, context: CallContext) {
    if let Err(error) = Calls::new(socket, context).run().await {
        tracing::debug!(%error, "host calls ended");
    }
}

struct Calls {
    socket: io::Result<AsyncFd<OwnedFd>>,
    context: CallContext,
    received: BytesMut,
    running: JoinSet<HostCallResponse>,
    made: usize,
}

impl Calls {
    fn new(socket: OwnedFd, context: CallContext) -> Self {
        let socket = watch(socket, Interest::READABLE | Interest::WRITABLE);
        Self {
            socket,
            context,
            received: BytesMut::new(),
            running: JoinSet::new(),
            made: 0,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        let socket = std::mem::replace(&mut self.socket, Err(io::ErrorKind::Other.into()))?;
        let max_request = self.context.functions.limits.max_request;
        loop {
            while !self.is_full()
                && let Some(request) = take_request(&mut self.received, max_request)?
            {
                self.begin(request)?;
            }
            tokio::select! {
                Some(done) = self.running.join_next() => {
                    let Ok(response) = done else { continue };
                    send_all(&socket, &response.encode_length_delimited_to_vec()).await?;
                }
                read = receive(&socket, &mut self.received), if !self.is_full() => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.running.len() >= self.context.functions.limits.max_concurrent
    }

    fn begin(&mut self, request: HostCallRequest) -> io::Result<()> {
        self.made += 1;
        if self.made > self.context.functions.limits.max_calls {
            return Err(broken("number of calls"));
        }
        let context = self.context.clone();
        self.running.spawn(answer(context, request));
        Ok(())
    }
}

/// Takes one whole request off what has come.
pub(crate) fn take_request(
    received: &mut BytesMut,
    max_request: usize,
) -> io::Result<Option<HostCallRequest>> {
    let mut rest = &received[..];
    let Ok(length) = prost::decode_length_delimiter(&mut rest) else {
        return if received.len() < 10 {
            Ok(None)
        } else {
            Err(broken("length"))
        };
    };
    if length > max_request + OVERHEAD {
        return Err(broken("size"));
    }
    if rest.len() < length {
        return Ok(None);
    }
    let prefix = received.len() - rest.len();
    received.advance(prefix);
    let body = received.split_to(length).freeze();
    HostCallRequest::decode(body)
        .map(Some)
        .map_err(|_| broken("message"))
}

async fn answer(context: CallContext, request: HostCallRequest) -> HostCallResponse {
    let id = request.id;
    let response = HostCallResponse {
        id,
        ..Default::default()
    };
    match call(context, request).await {
        Ok(payload) => HostCallResponse {
            payload,
            ..response
        },
        Err(error) => HostCallResponse {
            code: error.code as i32,
            error: error.message,
            ..response
        },
    }
}

async fn call(context: CallContext, request: HostCallRequest) -> Result<Bytes, HostCallError> {
    let Some((function, handler)) = context.functions.find(&request.function) else {
        return Err(HostCallError::new(
            GrpcCode::NotFound,
            "no such host function",
        ));
    };
    let limits = &context.functions.limits;
    if request.payload.len() > limits.max_request {
        return Err(HostCallError::new(
            GrpcCode::InvalidArgument,
            "the argument is too large",
        ));
    }
    let since = Instant::now();
    let answer = handler(HostCall {
        function: Arc::clone(&function),
        payload: request.payload,
        execution: context.execution,
        code: context.code,
        metadata: context.metadata.clone(),
    });
    let result = match tokio::time::timeout(limits.deadline, answer).await {
        Err(_) => Err(HostCallError::new(
            GrpcCode::DeadlineExceeded,
            "the call took too long",
        )),
        Ok(Ok(payload)) if payload.len() > limits.max_response => Err(HostCallError::new(
            GrpcCode::ResourceExhausted,
            "the result is too large",
        )),
        Ok(result) => result,
    };
    let label = if result.is_ok() { "ok" } else { "error" };
    metrics::host_call(&function, label, since.elapsed());
    result
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("bad {what} of a host call"),
    )
}

async fn receive(socket: &AsyncFd<OwnedFd>, into: &mut BytesMut) -> io::Result<usize> {
    let receive = |fd: &OwnedFd| -> io::Result<usize> {
        let mut buffer = [0; READ_BYTES];
        let count = recv_from(fd.as_fd(), &mut buffer)?;
        into.extend_from_slice(&buffer[..count]);
        Ok(count)
    };
    socket.async_io(Interest::READABLE, receive).await
}

async fn send_all(socket: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    while !bytes.is_empty() {
        let send = |fd: &OwnedFd| Ok(send(fd.as_raw_fd(), bytes, flags)?);
        bytes = &bytes[socket.async_io(Interest::WRITABLE, send).await?..];
    }
    Ok(())
}

#[cfg(test)]
#[path = "host_calls_test.rs"]
mod tests;
