//! The connection to the engine, which the main loop and the functions of scripts share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;
use roma_udf::{Connection, Error};
use roma_v8_protocol::{FromWorker, ToWorker, from_worker};

/// The connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Connection>>);

impl Shared {
    pub(crate) fn new(connection: Connection) -> Self {
        // The engine bounds what it sends.
        let unlimited = connection.with_request_limit(usize::MAX);
        Self(Arc::new(Mutex::new(unlimited)))
    }

    pub(crate) fn receive(&self) -> Result<ToWorker, Error> {
        self.lock().read_request()
    }

    pub(crate) fn send(&self, body: from_worker::Body) -> Result<(), Error> {
        self.lock().write_response(&FromWorker { body: Some(body) })
    }

    /// Sends a message and waits for the next one.
    pub(crate) fn ask(&self, body: from_worker::Body) -> Result<ToWorker, Error> {
        let mut connection = self.lock();
        connection.write_response(&FromWorker { body: Some(body) })?;
        Ok(ToWorker::decode(
            connection.read_request_bytes()?.as_slice(),
        )?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
