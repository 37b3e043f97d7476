//! The metadata of requests: a value of C that this library only passes on.
#![allow(unsafe_code)]

use std::ffi::c_void;

/// A request's metadata, whose type only the caller knows.
pub(crate) struct ForeignMetadata {
    pub(crate) value: *mut c_void,
    pub(crate) free: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the header says that handlers, on other threads, access the value.
unsafe impl Send for ForeignMetadata {}
// SAFETY: as above, many of them at once.
unsafe impl Sync for ForeignMetadata {}

impl Drop for ForeignMetadata {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the header says that this is called with the value, once.
            unsafe { free(self.value) }
        }
    }
}
