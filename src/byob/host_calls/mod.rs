//! The connection on which a UDF calls host functions (its descriptor 4).

pub mod wire;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::BytesMut;
use prost::Message;
use roma_core::{Caller, HostFunctions};
use roma_io::stream::{recv_some, send_all};
use roma_io::watch;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use wire::{HostCallRequest, HostCallResponse, broken, take_request};

const READ_BYTES: usize = 16 * 1024;

/// Serves calls until the UDF closes the connection or breaks a rule. Dropping the future drops the
/// handlers that run.
pub(crate) async fn serve(socket: OwnedFd, functions: Arc<HostFunctions>, caller: Caller) {
    let calls = Calls {
        functions,
        caller: Arc::new(caller),
        received: BytesMut::new(),
        running: JoinSet::new(),
        made: 0,
    };
    if let Err(error) = calls.run(socket).await {
        tracing::debug!(%error, "host calls ended");
    }
}

struct Calls {
    functions: Arc<HostFunctions>,
    caller: Arc<Caller>,
    received: BytesMut,
    running: JoinSet<HostCallResponse>,
    made: usize,
}

impl Calls {
    async fn run(mut self, socket: OwnedFd) -> io::Result<()> {
        let socket = watch(socket, Interest::READABLE | Interest::WRITABLE)?;
        let max_request = self.functions.limits.max_request;
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
        self.running.len() >= self.functions.limits.max_concurrent
    }

    fn begin(&mut self, request: HostCallRequest) -> io::Result<()> {
        self.made += 1;
        if self.made > self.functions.limits.max_calls {
            return Err(broken("number of calls"));
        }
        let (functions, caller) = (Arc::clone(&self.functions), Arc::clone(&self.caller));
        self.running.spawn(answer(functions, caller, request));
        Ok(())
    }
}

async fn answer(
    functions: Arc<HostFunctions>,
    caller: Arc<Caller>,
    request: HostCallRequest,
) -> HostCallResponse {
    let result = functions
        .call(&request.function, request.payload, &caller)
        .await;
    let mut response = HostCallResponse {
        id: request.id,
        ..Default::default()
    };
    match result {
        Ok(payload) => response.payload = payload,
        Err(error) => (response.code, response.error) = (error.code as i32, error.message),
    }
    response
}

async fn receive(socket: &AsyncFd<OwnedFd>, into: &mut BytesMut) -> io::Result<usize> {
    let mut buffer = [0; READ_BYTES];
    let count = recv_some(socket, &mut buffer).await?;
    into.extend_from_slice(&buffer[..count]);
    Ok(count)
}

#[cfg(test)]
#[path = "host_calls_test.rs"]
mod tests;
