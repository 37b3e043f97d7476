//! Why a request has no response: what its worker sent, or how the worker ended.

use roma_core::{Error, ExitStatus, ResponseError};
use roma_io::Broken;
use roma_pool::{Lease, WorkerEnd};
use roma_protocol::byob::frame::FrameError;

use super::Request;

const KILLED: ExitStatus = ExitStatus::Signal(nix::libc::SIGKILL);

impl Request {
    /// Returns why there is no response.
    pub(super) async fn explain(&self, lease: &mut Lease, broken: Broken) -> Error {
        let defect = match broken {
            Broken::Io(error) => return Error::host("talk to a worker", error),
            Broken::Early => return Error::Response(ResponseError::Early),
            Broken::Frame(error @ FrameError::Truncated { .. }) => Some(response_error(error)),
            Broken::Frame(error) => return Error::Response(response_error(error)),
            Broken::Closed => None,
        };
        // A connection that just ends is explained by the end of the process.
        let ended = lease.end(self.code.options.exit_grace).await;
        match (ended, defect) {
            (Ok((WorkerEnd::Lost(error), _)), _) => error,
            (_, Some(defect)) => Error::Response(defect),
            // It lived on until it was killed. One that only ended slowly has a status of its own.
            (Ok((WorkerEnd::Exited(exit), true)), None) if exit.status == KILLED => {
                Error::Response(ResponseError::Missing)
            }
            (Ok((WorkerEnd::Exited(exit), _)), None) => {
                let log_tail = lease.worker_mut().log.whole().await.text;
                Error::Died { exit, log_tail }
            }
            (Ok((WorkerEnd::NotStarted(failure), _)), None) => Error::WorkerStart(failure),
            (Err(error), None) => error,
        }
    }
}

fn response_error(error: FrameError) -> ResponseError {
    match error {
        FrameError::Oversize { bytes, limit } => ResponseError::Oversize { size: bytes, limit },
        FrameError::MalformedLength | FrameError::OverlongLength => ResponseError::Malformed,
        FrameError::Trailing => ResponseError::Trailing,
        FrameError::Missing | FrameError::Truncated { .. } => ResponseError::Truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_defect_of_a_frame_is_a_response_error_of_its_own() {
        assert_eq!(
            response_error(FrameError::Truncated { missing: 1 }),
            ResponseError::Truncated
        );
        assert_eq!(
            response_error(FrameError::Trailing),
            ResponseError::Trailing
        );
        assert_eq!(
            response_error(FrameError::MalformedLength),
            ResponseError::Malformed
        );
        assert_eq!(
            response_error(FrameError::Oversize { bytes: 9, limit: 8 }),
            ResponseError::Oversize { size: 9, limit: 8 }
        );
    }
}
