//! The structures of `roma_byob.h`, field by field.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::time::Duration;

use bytes::Bytes;
use roma_byob::{Binary, ExecuteOptions, LibraryMount, LoadOptions, Metadata, ServiceBuilder};

use crate::error_status::Status;
use crate::host_function::{ForeignMetadata, HostFunction};
use crate::service::{Answer, Request};
use crate::text::Text;

/// `roma_byob_failure`.
#[repr(C)]
pub struct Failure {
    code: i32,
    retryable: bool,
    message: Text,
    cause: Text,
    fault: Text,
}

/// `roma_byob_config`.
#[repr(C)]
pub struct Config {
    mode: Text,
    platform: Text,
    syscall_filter: Text,
    run_dir: Text,
    run_workers: Text,
    runsc: Text,
    libraries: Text,
    memory_limit: u64,
    sandboxes: u32,
    shared_ipc: bool,
    ignore_environment: bool,
    host_functions: *const HostFunction,
    host_function_count: usize,
}

/// `roma_byob_code_options`.
#[repr(C)]
pub struct CodeOptions {
    path: Text,
    same_as: Text,
    name: Text,
    workers: i32,
    logs: bool,
    host_functions: bool,
    max_request: u64,
    max_response: u64,
}

/// `roma_byob_request`.
#[repr(C)]
pub struct RequestView {
    code: Text,
    body: Text,
    queue_timeout_nanos: u64,
    deadline_nanos: u64,
    report: bool,
    metadata: *mut c_void,
    metadata_free: Option<unsafe extern "C" fn(*mut c_void)>,
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

/// `roma_byob_token`: a name that ends with a NUL.
#[repr(C)]
pub struct Token {
    text: [u8; Self::SIZE],
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

impl Config {
    /// What is to be started.
    ///
    /// # Safety
    ///
    /// The contract of [`Text::bytes`] holds for all texts in it.
    pub(crate) unsafe fn builder(&self) -> Result<ServiceBuilder, Status> {
        let mut builder = roma_byob::Service::builder()
            .private_ipc(!self.shared_ipc)
            .obey_environment(!self.ignore_environment);
        // SAFETY: this function's contract is that of the called ones.
        let (mode, platform, filter, libraries) = unsafe {
            (
                self.mode.utf8()?,
                self.platform.utf8()?,
                self.syscall_filter.utf8()?,
                self.libraries.utf8()?,
            )
        };
        // SAFETY: as above.
        let (run_dir, run_workers, runsc) = unsafe {
            (
                self.run_dir.path()?,
                self.run_workers.path()?,
                self.runsc.path()?,
            )
        };
        if let Some(mode) = parsed(mode)? {
            builder = builder.mode(mode);
        }
        if let Some(platform) = parsed(platform)? {
            builder = builder.platform(platform);
        }
        if let Some(filter) = parsed(filter)? {
            builder = builder.syscall_filter(filter);
        }
        if let Some(path) = run_dir {
            builder = builder.run_dir(path);
        }
        if let Some(path) = run_workers {
            builder = builder.run_workers(path);
        }
        if let Some(path) = runsc {
            builder = builder.runsc(path);
        }
        if self.memory_limit > 0 {
            builder = builder.memory_limit(self.memory_limit);
        }
        if self.sandboxes > 0 {
            builder = builder.sandboxes(self.sandboxes);
        }
        let folders = libraries.unwrap_or_default().split(',');
        let folders = folders.map(str::trim).filter(|folder| !folder.is_empty());
        builder = builder.libraries(folders.map(LibraryMount::same));
        // SAFETY: as above.
        for function in unsafe { self.host_functions() }? {
            // SAFETY: as above.
            builder = unsafe { function.register(builder) }?;
        }
        Ok(builder)
    }

    /// # Safety
    ///
    /// The header's contract.
    unsafe fn host_functions<'a>(&self) -> Result<&'a [HostFunction], Status> {
        match (self.host_functions.is_null(), self.host_function_count) {
            (_, 0) => Ok(&[]),
            (true, _) => Err(Status::refused("host_functions is null")),
            // SAFETY: not null, and by the header's contract as many as it says.
            (false, count) => Ok(unsafe { slice::from_raw_parts(self.host_functions, count) }),
        }
    }
}

fn parsed<T>(text: Option<&str>) -> Result<Option<T>, Status>
where
    T: std::str::FromStr<Err = roma_byob::ConfigError>,
{
    Ok(text
        .map(str::parse)
        .transpose()
        .map_err(roma_byob::Error::from)?)
}

impl CodeOptions {
    /// What is to be loaded.
    ///
    /// # Safety
    ///
    /// The contract of [`Text::bytes`] holds for all texts in it.
    pub(crate) unsafe fn binary(&self) -> Result<Binary, Status> {
        // SAFETY: this function's contract is that of the called ones.
        let (path, same_as) = unsafe { (self.path.path()?, self.same_as.token()) };
        match (path, same_as.map_err(Status::not_loaded)?) {
            (Some(path), None) => Ok(path.into()),
            (None, Some(token)) => Ok(token.into()),
            _ => Err(Status::refused(
                "name either a path or a token to load from",
            )),
        }
    }

    /// How.
    ///
    /// # Safety
    ///
    /// The contract of [`Text::bytes`] holds for all texts in it.
    pub(crate) unsafe fn options(&self) -> Result<LoadOptions, Status> {
        let workers = u32::try_from(self.workers)
            .map_err(|_| Status::refused("the number of workers must be positive"))?;
        let mut options = LoadOptions::with_workers(workers);
        // SAFETY: this function's contract is that of the called one.
        if let Some(name) = unsafe { self.name.utf8() }? {
            options.name = name.to_owned();
        }
        if self.max_request > 0 {
            options.max_request = bounded(self.max_request);
        }
        if self.max_response > 0 {
            options.max_response = bounded(self.max_response);
        }
        options.host_functions = self.host_functions;
        Ok(match self.logs {
            true => options.keeping_logs(),
            false => options,
        })
    }
}

fn bounded(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl RequestView {
    /// What is to be executed.
    ///
    /// # Safety
    ///
    /// The contract of [`Text::bytes`] holds for all texts in it.
    pub(crate) unsafe fn request(&self) -> Result<Request, Status> {
        let metadata = self.metadata();
        // SAFETY: this function's contract is that of the called ones.
        let (code, body) = unsafe { (self.code.token()?, self.body.bytes()?) };
        Ok(Request {
            code: code.ok_or_else(|| Status::refused("a request needs the token of its code"))?,
            body: Bytes::copy_from_slice(body),
            options: ExecuteOptions {
                queue_timeout: Duration::from_nanos(self.queue_timeout_nanos),
                deadline: Duration::from_nanos(self.deadline_nanos),
                metadata,
            },
            report: self.report,
        })
    }

    /// Taken over: freed when it is dropped, also where the request is refused.
    fn metadata(&self) -> Metadata {
        match self.metadata.is_null() {
            true => Metadata::default(),
            false => Metadata::new(ForeignMetadata {
                value: self.metadata,
                free: self.metadata_free,
            }),
        }
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

impl Token {
    /// A word, 64 bits as one or two numbers, and a NUL.
    const SIZE: usize = 32;

    pub(crate) fn of(name: impl ToString) -> Self {
        let mut text = [0; Self::SIZE];
        let name = name.to_string();
        for (to, from) in text[..Self::SIZE - 1].iter_mut().zip(name.bytes()) {
            *to = from;
        }
        Self { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ test says the same of the header.
    #[test]
    fn the_structures_are_as_large_as_those_of_the_header() {
        assert_eq!(size_of::<Text>(), 16);
        assert_eq!(size_of::<Failure>(), 56);
        assert_eq!(size_of::<Config>(), 144);
        assert_eq!(size_of::<CodeOptions>(), 72);
        assert_eq!(size_of::<RequestView>(), 72);
        assert_eq!(size_of::<Outcome>(), 112);
        assert_eq!(size_of::<Token>(), 32);
    }
}
