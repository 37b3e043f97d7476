//! `roma_byob_outcome` and `roma_byob_failure`: what a callback and a caller get.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

use super::text::Text;
use crate::error_status::Status;
use crate::service::Answer;

/// `roma_byob_failure`.
#[repr(C)]
pub struct Failure {
    code: i32,
    retryable: bool,
    message: Text,
    cause: Text,
    fault: Text,
}

/// `roma_byob_outcome`.
#[repr(C)]
pub struct Outcome {
    status: *const Status,
    response: Text,
    queue_nanos: u64,
    send_nanos: u64,
    run_nanos: u64,
    has_logs: bool,
    logs: Text,
    logs_dropped: u64,
    has_exit: bool,
    exit_code: i32,
    exit_signal: i32,
    cpu_nanos: u64,
    peak_memory: u64,
}

/// `roma_byob_callback` with its context.
pub(crate) struct Callback {
    pub(crate) function: unsafe extern "C" fn(*mut c_void, *const Outcome),
    pub(crate) context: *mut c_void,
}

// SAFETY: the header says that the callback is called on another thread with its context.
unsafe impl Send for Callback {}

impl Callback {
    pub(crate) fn call(self, answer: &Answer) {
        let outcome = Outcome::of(answer);
        // SAFETY: the caller of `roma_byob_execute` passed both for this call, and all that the outcome
        // points to lives until it returns.
        unsafe { (self.function)(self.context, &raw const outcome) }
    }
}

impl Failure {
    pub(crate) fn of(status: Option<&Status>) -> Self {
        let Some(status) = status else {
            return Self {
                code: 0,
                retryable: false,
                message: Text::NONE,
                cause: Text::NONE,
                fault: Text::NONE,
            };
        };
        Self {
            code: status.code as i32,
            retryable: status.retryable,
            message: Text::of(status.message.as_bytes()),
            cause: Text::of(status.cause.as_bytes()),
            fault: Text::of(status.fault.as_bytes()),
        }
    }
}

impl Outcome {
    fn of(answer: &Answer) -> Self {
        let (status, response) = match &answer.result {
            Ok(response) => (ptr::null(), Text::of(response)),
            Err(status) => (ptr::from_ref(status), Text::NONE),
        };
        let logs = answer.logs.as_ref();
        let exit = answer.exit.as_ref();
        Self {
            status,
            response,
            queue_nanos: nanos(answer.times.queue),
            send_nanos: nanos(answer.times.send),
            run_nanos: nanos(answer.times.run),
            has_logs: logs.is_some(),
            logs: logs.map_or(Text::NONE, |logs| Text::of(logs.text.as_bytes())),
            logs_dropped: logs.map_or(0, |logs| logs.dropped),
            has_exit: exit.is_some(),
            exit_code: exit.and_then(|exit| exit.status.code()).unwrap_or(-1),
            exit_signal: exit.and_then(|exit| exit.status.signal()).unwrap_or(0),
            cpu_nanos: exit.map_or(0, |exit| nanos(exit.usage.cpu_time())),
            peak_memory: exit.map_or(0, |exit| exit.usage.peak_memory),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `roma_byob_test.cc` asserts the same of the header.
    #[test]
    fn a_failure_and_an_outcome_have_the_sizes_that_the_header_gives_them() {
        assert_eq!(size_of::<Failure>(), 56);
        assert_eq!(size_of::<Outcome>(), 112);
    }
}
