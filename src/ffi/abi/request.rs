//! `roma_byob_request`: what is executed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::time::Duration;

use bytes::Bytes;
use roma_byob::{ExecuteOptions, Metadata};

use super::metadata::ForeignMetadata;
use super::text::Text;
use crate::error_status::Status;
use crate::service::Request;

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

impl RequestView {
    /// Returns the request to execute.
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

    /// Takes ownership of the metadata, which is freed on drop, also if the request is refused.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `roma_byob_test.cc` asserts the same of the header.
    #[test]
    fn request_has_the_size_that_the_header_gives_it() {
        assert_eq!(size_of::<RequestView>(), 72);
    }
}
