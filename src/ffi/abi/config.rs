//! `roma_byob_config`: how a service is started.
#![allow(unsafe_code)]

use std::slice;

use roma_byob::{LibraryMount, ServiceBuilder};

use super::host_function::HostFunction;
use super::text::Text;
use crate::error_status::Status;

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

impl Config {
    /// Returns the builder of the service.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `roma_byob_test.cc` asserts the same of the header.
    #[test]
    fn config_has_the_size_that_the_header_gives_it() {
        assert_eq!(size_of::<Config>(), 144);
    }
}
