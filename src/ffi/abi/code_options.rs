//! `roma_byob_code_options`: what is loaded, and how.
#![allow(unsafe_code)]

use roma_byob::{Binary, LoadOptions};

use super::text::Text;
use crate::error_status::Status;

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

impl CodeOptions {
    /// Returns the binary to load.
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

    /// Returns the options to load it with.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `roma_byob_test.cc` asserts the same of the header.
    #[test]
    fn code_options_has_the_size_that_the_header_gives_it() {
        assert_eq!(size_of::<CodeOptions>(), 72);
    }
}
