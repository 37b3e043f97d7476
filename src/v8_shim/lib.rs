//! V8 behind a small safe interface: isolates, each with one piece of code, and calls of its handlers, each in a
//! context of its own.
//!
//! All code that is loaded and called is untrusted, and V8 is one of several things that enclose it: this crate
//! belongs into a process that has nothing but the code.
#![allow(unsafe_code, reason = "the boundary to V8")]

mod failure;
mod ffi;
mod host;

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

pub use failure::Failure;
pub use host::{Host, Kind, Severity, Value};

/// Returns V8's version.
#[must_use]
pub fn version() -> &'static str {
    // SAFETY: it returns a constant text with a final zero.
    let text = unsafe { CStr::from_ptr(ffi::roma_v8_version()) };
    text.to_str().unwrap_or("unknown")
}

/// Starts V8, with flags as on V8's own command line. Only the first call in a process counts.
pub fn start(flags: &[&str]) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let flags = text(&flags.join(" "));
        // SAFETY: the text lives until the call returns, and no other thread is in the shim.
        unsafe { ffi::roma_v8_start(flags.as_ptr()) };
    });
}

/// Returns how many modules of WebAssembly were compiled in this process.
#[must_use]
pub fn modules_compiled() -> usize {
    // SAFETY: it reads an atomic number.
    unsafe { ffi::roma_v8_modules_compiled() }
}

/// What the code may take, in bytes. 0 is V8's default, and for array buffers no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// The heap at the beginning.
    pub heap_initial: usize,
    /// The heap at most.
    pub heap_maximum: usize,
    /// All array buffers together, which are outside the heap.
    pub array_buffers: usize,
}

impl Limits {
    fn to_ffi(self) -> ffi::Limits {
        ffi::Limits {
            heap_initial: self.heap_initial,
            heap_maximum: self.heap_maximum,
            array_buffers: self.array_buffers,
        }
    }
}

/// The state of a heap after code was run in it.
#[derive(Clone)]
pub struct Snapshot(Arc<Vec<u8>>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({} bytes)", self.size())
    }
}

impl Snapshot {
    /// Runs a prelude and then the code, and keeps the state.
    ///
    /// # Errors
    ///
    /// [`Failure::NotCompiled`], [`Failure::Threw`], or [`Failure::NoSnapshot`] for what cannot be kept.
    pub fn of(prelude: &str, code: &str, limits: Limits) -> Result<Self, Failure> {
        let mut out = Given::empty();
        // SAFETY: the texts live until the call returns, and `out` is written once.
        let outcome = unsafe {
            ffi::roma_v8_snapshot(
                borrowed(prelude.as_bytes()),
                borrowed(code.as_bytes()),
                limits.to_ffi(),
                &raw mut out.0,
            )
        };
        Failure::of(outcome, || out.text())?;
        Ok(Self(Arc::new(out.bytes().to_vec())))
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// What a heap holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// Bytes of objects.
    pub used: usize,
    /// Bytes at most.
    pub limit: usize,
    /// Bytes of memory.
    pub physical: usize,
    /// Bytes of array buffers, which are outside the heap.
    pub array_buffers: usize,
    /// How many contexts there are.
    pub contexts: usize,
}

/// The inputs of a call.
#[derive(Debug, Clone, Copy)]
pub enum Inputs<'a> {
    /// Each is an argument, in JSON.
    Json(&'a [&'a str]),
    /// One argument, as a `Uint8Array`.
    Bytes(&'a [u8]),
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// JSON, or `undefined`.
    Json(String),
    /// The bytes of a view of an array buffer.
    Bytes(Vec<u8>),
}

/// A heap with one piece of code, whose handlers can be called.
#[derive(Debug)]
pub struct Isolate {
    shared: Arc<Shared>,
    // The isolate has pointers to both.
    _snapshot: Option<Snapshot>,
    _host: host::Context,
    // One thread at a time may use it.
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

/// The isolate, as long as it is not deleted.
#[derive(Debug)]
struct Shared(Mutex<*mut ffi::Isolate>);

// SAFETY: the pointer is used by the thread that has the `Isolate`, and under the lock by terminators, which call
// the only function that is for any thread.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, *mut ffi::Isolate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the code that an isolate runs, from any thread.
#[derive(Debug, Clone)]
pub struct Terminator(Arc<Shared>);

impl Terminator {
    /// Ends the code that runs, if any. It cannot catch that.
    pub fn terminate(&self) {
        let isolate = self.0.lock();
        if !isolate.is_null() {
            // SAFETY: the isolate is not deleted while the lock is held, and this function is for any thread.
            unsafe { ffi::roma_v8_terminate(*isolate) };
        }
    }
}

impl Isolate {
    /// Returns an isolate in the state of a snapshot, or an empty one, whose code calls this host.
    #[must_use]
    pub fn new(snapshot: Option<Snapshot>, limits: Limits, host: Box<dyn Host>) -> Self {
        let state = snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.0);
        let host = host::Context::new(host);
        // SAFETY: the snapshot and the host live as long as the isolate.
        let isolate =
            unsafe { ffi::roma_v8_isolate_new(borrowed(state), limits.to_ffi(), host.to_ffi()) };
        Self {
            shared: Arc::new(Shared(Mutex::new(isolate))),
            _snapshot: snapshot,
            _host: host,
            _not_sync: PhantomData,
        }
    }

    /// Returns what ends the code that runs.
    #[must_use]
    pub fn terminator(&self) -> Terminator {
        Terminator(Arc::clone(&self.shared))
    }

    /// Compiles a script that each context runs when it is made, after those that were added before.
    ///
    /// # Errors
    ///
    /// [`Failure::NotCompiled`].
    pub fn add_script(&mut self, name: &str, code: &str) -> Result<(), Failure> {
        let (name, mut out) = (text(name), Given::empty());
        // SAFETY: the isolate lives, the texts live until the call returns, and `out` is written once.
        let outcome = unsafe {
            let code = borrowed(code.as_bytes());
            ffi::roma_v8_add_script(self.pointer(), code, name.as_ptr(), &raw mut out.0)
        };
        Failure::of(outcome, || out.text())
    }

    /// Compiles a module of WebAssembly, which each context has as a global of this name.
    ///
    /// # Errors
    ///
    /// [`Failure::NotCompiled`].
    pub fn add_module(&mut self, name: &str, wasm: &[u8]) -> Result<(), Failure> {
        let (name, mut out) = (text(name), Given::empty());
        // SAFETY: as above.
        let outcome = unsafe {
            ffi::roma_v8_add_module(
                self.pointer(),
                borrowed(wasm),
                name.as_ptr(),
                &raw mut out.0,
            )
        };
        Failure::of(outcome, || out.text())
    }

    /// Gives each context these bytes as a global `Uint8Array` of this name.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        let name = text(name);
        // SAFETY: the isolate lives, and the bytes and the text live until the call returns.
        unsafe { ffi::roma_v8_add_bytes(self.pointer(), borrowed(bytes), name.as_ptr()) };
    }

    /// Makes the context of the next call ahead of it.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the code in the new context. The next call fails likewise.
    pub fn prepare(&mut self) -> Result<(), Failure> {
        let mut out = Given::empty();
        // SAFETY: the isolate lives, and `out` is written once.
        let outcome = unsafe { ffi::roma_v8_prepare(self.pointer(), &raw mut out.0) };
        Failure::of(outcome, || out.text())
    }

    /// Calls a handler, `name` or `namespace.name`, in a context that no call has had.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the call.
    pub fn call(&mut self, handler: &str, inputs: Inputs<'_>) -> Result<Output, Failure> {
        let (inputs, as_bytes) = match inputs {
            Inputs::Json(texts) => {
                let all = texts.iter().map(|text| borrowed(text.as_bytes()));
                (all.collect::<Vec<_>>(), false)
            }
            Inputs::Bytes(bytes) => (vec![borrowed(bytes)], true),
        };
        let mut out = Given::empty();
        let mut is_bytes = false;
        // SAFETY: the isolate lives, the inputs live until the call returns, and both results are written once.
        let outcome = unsafe {
            ffi::roma_v8_call(
                self.pointer(),
                borrowed(handler.as_bytes()),
                inputs.as_ptr(),
                inputs.len(),
                as_bytes,
                &raw mut is_bytes,
                &raw mut out.0,
            )
        };
        Failure::of(outcome, || out.text())?;
        Ok(match is_bytes {
            true => Output::Bytes(out.bytes().to_vec()),
            false => Output::Json(out.text()),
        })
    }

    /// Returns what the heap holds.
    #[must_use]
    pub fn heap(&self) -> Heap {
        let mut heap = ffi::Heap::default();
        // SAFETY: the isolate lives, and `heap` is written once.
        unsafe { ffi::roma_v8_heap(self.pointer(), &raw mut heap) };
        Heap {
            used: heap.used,
            limit: heap.limit,
            physical: heap.physical,
            array_buffers: heap.array_buffers,
            contexts: heap.contexts,
        }
    }

    /// Not null: only dropping this deletes the isolate.
    fn pointer(&self) -> *mut ffi::Isolate {
        *self.shared.lock()
    }
}

impl Drop for Isolate {
    fn drop(&mut self) {
        let mut isolate = self.shared.lock();
        // SAFETY: it is deleted once, and no terminator has the lock.
        unsafe { ffi::roma_v8_isolate_delete(*isolate) };
        *isolate = ptr::null_mut();
    }
}

/// Bytes that the shim has allocated.
struct Given(ffi::Owned);

impl Given {
    fn empty() -> Self {
        Self(ffi::Owned {
            data: ptr::null_mut(),
            size: 0,
        })
    }

    fn bytes(&self) -> &[u8] {
        if self.0.data.is_null() {
            return &[];
        }
        // SAFETY: the shim has allocated and written so many bytes, which live as long as this.
        unsafe { std::slice::from_raw_parts(self.0.data.cast(), self.0.size) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        // SAFETY: the shim has allocated it, or it is null.
        unsafe { ffi::roma_v8_free(self.0.data) };
    }
}

fn borrowed(bytes: &[u8]) -> ffi::Bytes {
    ffi::Bytes {
        data: bytes.as_ptr().cast::<c_char>(),
        size: bytes.len(),
    }
}

/// Returns the text up to its first zero, with a final one.
fn text(text: &str) -> CString {
    let until_zero = text.split('\0').next().unwrap_or_default();
    CString::new(until_zero).unwrap_or_default()
}
