//! Texts, bytes, paths and tokens as they cross the C ABI.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::slice;

use roma_byob::CodeToken;

use crate::error_status::Status;

/// `roma_byob_text`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    data: *const u8,
    size: usize,
}

/// `roma_byob_token`: a name that is terminated by a NUL.
#[repr(C)]
pub struct Token {
    text: [u8; Self::SIZE],
}

impl Text {
    pub(crate) const NONE: Self = Self {
        data: ptr::null(),
        size: 0,
    };

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            size: bytes.len(),
        }
    }

    /// Returns the bytes; empty if no value was given.
    ///
    /// # Safety
    ///
    /// `data` must be null or point to `size` bytes that live and stay unchanged for `'a`.
    pub(crate) unsafe fn bytes<'a>(self) -> Result<&'a [u8], Status> {
        if self.size == 0 {
            return Ok(&[]);
        }
        if self.data.is_null() || isize::try_from(self.size).is_err() {
            return Err(Status::refused(
                "a text has a size, and no data that could have it",
            ));
        }
        // SAFETY: not null, of a size that can be, and alive by this function's contract.
        Ok(unsafe { slice::from_raw_parts(self.data, self.size) })
    }

    /// Returns the text; `None` if no value was given.
    ///
    /// # Safety
    ///
    /// As for [`Text::bytes`].
    pub(crate) unsafe fn utf8<'a>(self) -> Result<Option<&'a str>, Status> {
        // SAFETY: this function's contract is that of the called one.
        let bytes = unsafe { self.bytes() }?;
        let text = str::from_utf8(bytes).map_err(|_| Status::refused("a text is not UTF-8"))?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// Returns a path; `None` if no value was given.
    ///
    /// # Safety
    ///
    /// As for [`Text::bytes`].
    pub(crate) unsafe fn path(self) -> Result<Option<PathBuf>, Status> {
        // SAFETY: this function's contract is that of the called one.
        let bytes = unsafe { self.bytes() }?;
        Ok((!bytes.is_empty()).then(|| OsStr::from_bytes(bytes).into()))
    }

    /// Returns the token of code; `None` if no value was given.
    ///
    /// # Safety
    ///
    /// As for [`Text::bytes`].
    pub(crate) unsafe fn token(self) -> Result<Option<CodeToken>, Status> {
        // SAFETY: this function's contract is that of the called one.
        let text = unsafe { self.utf8() }?;
        Ok(text
            .map(str::parse)
            .transpose()
            .map_err(roma_byob::Error::from)?)
    }
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

    /// `roma_byob_test.cc` asserts the same of the header.
    #[test]
    fn a_text_and_a_token_have_the_sizes_that_the_header_gives_them() {
        assert_eq!(size_of::<Text>(), 16);
        assert_eq!(size_of::<Token>(), 32);
    }
}
