//! What code can call of its host.

use std::ffi::{c_char, c_int, c_void};
use std::fmt;

use crate::ffi;

/// What a value is, for the script and the host: the shim passes both on unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// JSON.
    Json,
}

impl Kind {
    fn to_letter(self) -> u8 {
        match self {
            Self::Text => b't',
            Self::Bytes => b'b',
            Self::Json => b'j',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Text, Self::Bytes, Self::Json]
            .into_iter()
            .find(|kind| kind.to_letter() == letter)
    }
}

/// An argument or a result of a host function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What the bytes are.
    pub kind: Kind,
    /// A text or JSON in UTF-8, or bytes.
    pub bytes: Vec<u8>,
}

/// How important a line of output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `console.log`, `console.info`, `console.debug`.
    Info,
    /// `console.warn`.
    Warning,
    /// `console.error`.
    Error,
}

/// What code can call of its host. Everything that it passes is untrusted.
pub trait Host: Send {
    /// Calls a function. An error is thrown in the script, with this text.
    ///
    /// # Errors
    ///
    /// The text of the exception.
    fn call(&mut self, name: &str, argument: Value) -> Result<Value, String>;

    /// Takes a line of output.
    fn log(&mut self, severity: Severity, line: &str);
}

/// A host, at an address that stays.
pub(crate) struct Context(Box<Box<dyn Host>>);

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    pub(crate) fn new(host: Box<dyn Host>) -> Self {
        Self(Box::new(host))
    }

    pub(crate) fn to_ffi(&self) -> ffi::Host {
        ffi::Host {
            context: (&raw const *self.0).cast_mut().cast(),
            call: Some(call),
            log: Some(log),
        }
    }
}

/// # Safety
///
/// `context` is that of [`Context::to_ffi`], and only the thread that uses the isolate calls this.
unsafe fn host<'a>(context: *mut c_void) -> &'a mut Box<dyn Host> {
    // SAFETY: it points to the box of a `Context`, which the isolate keeps and does not touch otherwise.
    unsafe { &mut *context.cast::<Box<dyn Host>>() }
}

/// # Safety
///
/// The bytes live until the caller returns.
unsafe fn slice<'a>(bytes: ffi::Bytes) -> &'a [u8] {
    match bytes.data.is_null() {
        true => &[],
        // SAFETY: the shim passes so many bytes.
        false => unsafe { std::slice::from_raw_parts(bytes.data.cast(), bytes.size) },
    }
}

/// # Safety
///
/// The shim calls it, as `shim.h` says, with the context that it got and bytes that live until this returns.
// SAFETY: by the contract above.
unsafe extern "C" fn call(
    context: *mut c_void,
    name: ffi::Bytes,
    kind: c_char,
    argument: ffi::Bytes,
    result_kind: *mut c_char,
    result: *mut ffi::Owned,
) -> bool {
    // SAFETY: the shim passes the context that it got, and bytes that live until this returns.
    let (host, name, argument) = unsafe { (host(context), slice(name), slice(argument)) };
    let answer = match Kind::of_letter(kind.to_ne_bytes()[0]) {
        Some(kind) => {
            let bytes = argument.to_vec();
            host.call(&String::from_utf8_lossy(name), Value { kind, bytes })
        }
        None => Err("ROMA: an argument of an unknown kind".to_owned()),
    };
    let (ok, kind, bytes) = match answer {
        Ok(value) => (true, value.kind, value.bytes),
        Err(text) => (false, Kind::Text, text.into_bytes()),
    };
    // SAFETY: the shim passes places for one result, and frees what is allocated with its own function.
    unsafe {
        let data = ffi::roma_v8_allocate(bytes.len());
        if data.is_null() {
            return false;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), data, bytes.len());
        result.write(ffi::Owned {
            data,
            size: bytes.len(),
        });
        result_kind.write(c_char::from_ne_bytes([kind.to_letter()]));
    }
    ok
}

/// # Safety
///
/// As for [`call`].
// SAFETY: by the contract above.
unsafe extern "C" fn log(context: *mut c_void, severity: c_int, line: ffi::Bytes) {
    // SAFETY: as in `call`.
    let (host, line) = unsafe { (host(context), slice(line)) };
    let severity = match severity {
        0 => Severity::Info,
        1 => Severity::Warning,
        _ => Severity::Error,
    };
    host.log(severity, &String::from_utf8_lossy(line));
}
