//! Preparing a pool in a sandbox: its connections, its code, its spawners.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use roma_core::{Error, InForce, SandboxFailure};
use roma_io::stream::{self, send_all};
use roma_io::{Seqpacket, watch};
use roma_protocol::PoolId;
use roma_protocol::control::{LibraryMount, Load, MAX_MESSAGE_BYTES, ToRunWorkers};
use roma_protocol::spawner::{FromSpawner, MESSAGE_BYTES, Ready};
use tokio::io::Interest;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{PoolEnd, START_TIME, Sandbox, lock};
use crate::pool_code::PoolCode;

/// A pool that is prepared in a sandbox.
#[derive(Debug)]
pub struct Prepared {
    /// The connections to its spawners, each of which has reported that it is ready.
    pub spawners: Vec<Seqpacket>,
    /// Which limits hold.
    pub in_force: InForce,
    /// Its name in this sandbox.
    pub id: PoolId,
    /// Resolves when nothing of the pool is left.
    pub ended: oneshot::Receiver<PoolEnd>,
}

impl Sandbox {
    /// Prepares the root of a pool and `spawners` spawners inside.
    ///
    /// # Errors
    ///
    /// [`Error::PoolSetup`] names the step that failed; [`Error::SandboxDied`] if the sandbox failed.
    pub async fn prepare(&self, code: &PoolCode, spawners: u32) -> Result<Prepared, Error> {
        match timeout(START_TIME, self.prepare_now(code, spawners)).await {
            Ok(result) => result,
            Err(_) => Err(not_prepared(format!(
                "it did not prepare the code within {START_TIME:?}"
            ))),
        }
    }

    async fn prepare_now(&self, code: &PoolCode, count: u32) -> Result<Prepared, Error> {
        let no_connection = |e| Error::host("make a pool's connections", e);
        let id = PoolId(self.next_pool.fetch_add(1, Ordering::Relaxed));
        let (upload, upload_inside) = stream::pair().map_err(no_connection)?;
        let mut inside = vec![upload_inside];
        let mut spawners = Vec::new();
        for _ in 0..count {
            let (ours, theirs) = Seqpacket::pair().map_err(no_connection)?;
            spawners.push(ours);
            inside.push(theirs);
        }
        let (end, mut ended) = oneshot::channel();
        lock(&self.pool_ends).insert(id, end);
        self.send_load(self.load_message(id, spawners.len(), code), inside)
            .await?;
        let mut in_force = tokio::select! {
            biased;
            end = &mut ended => return Err(ended_early(end)),
            ready = until_ready(upload, &code.bytes, &spawners) => ready?,
        };
        in_force.own_files &= code.max_live <= code.roots(spawners.len());
        Ok(Prepared {
            spawners,
            in_force,
            id,
            ended,
        })
    }

    /// Kills a pool that does not end by itself.
    pub async fn kill(&self, pool: PoolId) {
        // A sandbox that cannot be reached is about to be replaced with everything in it.
        let _ = self
            .control
            .send(&ToRunWorkers::Kill(pool).encode(), &[])
            .await;
    }

    async fn send_load(&self, load: Load, inside: Vec<OwnedFd>) -> Result<(), Error> {
        let packet = ToRunWorkers::Load(Box::new(load)).encode();
        if packet.len() > MAX_MESSAGE_BYTES {
            let cause = io::Error::from(io::ErrorKind::ArgumentListTooLong);
            return Err(Error::host("send environment and arguments", cause));
        }
        let fds: Vec<_> = inside.iter().map(AsFd::as_fd).collect();
        self.control
            .send(&packet, &fds)
            .await
            .map_err(|e| not_prepared(format!("its control connection broke: {e}")))
    }

    fn load_message(&self, pool: PoolId, spawners: usize, code: &PoolCode) -> Load {
        let libraries = self.config.libraries.iter().enumerate();
        let libraries = libraries.map(|(index, mount)| LibraryMount {
            source: self
                .config
                .source_inside(index)
                .as_os_str()
                .as_bytes()
                .to_vec(),
            target: mount.target.as_os_str().as_bytes().to_vec(),
        });
        Load {
            pool,
            spawners: u16::try_from(spawners).unwrap_or(u16::MAX),
            roots: code.roots(spawners),
            binary_bytes: code.bytes.len() as u64,
            filter: code.filter,
            private_ipc: code.private_ipc,
            proc: code.proc,
            tmp_bytes: code.tmp_bytes,
            worker_limits: code.worker_limits,
            pool_limits: code.pool_limits,
            libraries: libraries.collect(),
            environment: code.environment.clone(),
            arguments: code.arguments.clone(),
        }
    }
}

/// Uploads the code and waits until every spawner is ready.
async fn until_ready(
    upload: OwnedFd,
    code: &Bytes,
    spawners: &[Seqpacket],
) -> Result<InForce, Error> {
    // If the pool stops reading, it sends the reason over the connection of its first spawner.
    let _ = send_code(upload, code).await;
    let mut in_force = InForce::default();
    for spawner in spawners {
        match receive(spawner).await {
            Ok(FromSpawner::Ready(ready)) => {
                tracing::debug!(?ready, "a spawner is ready");
                in_force = limits_in_force(&ready);
            }
            Ok(FromSpawner::SetupFailed(failure)) => return Err(Error::PoolSetup(failure)),
            Ok(other) => {
                return Err(not_prepared(format!(
                    "the first message of a spawner was {other:?}"
                )));
            }
            Err(error) => return Err(not_prepared(format!("a spawner failed: {error}"))),
        }
    }
    Ok(in_force)
}

async fn receive(spawner: &Seqpacket) -> io::Result<FromSpawner> {
    let mut packet = [0; MESSAGE_BYTES + 1];
    match spawner.recv(&mut packet).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended")),
        count => FromSpawner::decode(&packet[..count])
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
    }
}

fn limits_in_force(ready: &Ready) -> InForce {
    let mut in_force = InForce::default();
    in_force.own_user_ids = ready.own_user_ids;
    in_force.own_files = ready.own_libraries;
    in_force.pool_memory = ready.memory_limit;
    in_force.pool_processes = ready.processes_limit;
    in_force.pool_cpu = ready.cpu_limit;
    in_force
}

/// Sends the code, then its digest, which both ends compute while the bytes pass.
async fn send_code(upload: OwnedFd, code: &Bytes) -> io::Result<()> {
    let upload = watch(upload, Interest::WRITABLE)?;
    let bytes = code.clone();
    let digest = tokio::task::spawn_blocking(move || blake3::hash(&bytes));
    send_all(&upload, code).await?;
    let digest = digest.await.map_err(io::Error::other)?;
    send_all(&upload, digest.as_bytes()).await
}

fn ended_early(end: Result<PoolEnd, oneshot::error::RecvError>) -> Error {
    match end {
        Ok(Some(failure)) => Error::PoolSetup(failure),
        Ok(None) => not_prepared("the pool ended while it was prepared".into()),
        Err(_) => not_prepared("the sandbox ended while the code was prepared".into()),
    }
}

fn not_prepared(what: String) -> Error {
    Error::SandboxDied(Arc::new(SandboxFailure::new(what)))
}
