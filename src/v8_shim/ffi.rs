//! The declarations of `shim/shim.h`.

use std::ffi::{c_char, c_int, c_void};

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) data: *const c_char,
    pub(crate) size: usize,
}

#[repr(C)]
pub(crate) struct Owned {
    pub(crate) data: *mut c_char,
    pub(crate) size: usize,
}

pub(crate) type Call = unsafe extern "C" fn(
    context: *mut c_void,
    name: Bytes,
    kind: c_char,
    argument: Bytes,
    result_kind: *mut c_char,
    result: *mut Owned,
) -> bool;

pub(crate) type Log = unsafe extern "C" fn(context: *mut c_void, severity: c_int, line: Bytes);

#[repr(C)]
pub(crate) struct Host {
    pub(crate) context: *mut c_void,
    pub(crate) call: Option<Call>,
    pub(crate) log: Option<Log>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) heap_initial: usize,
    pub(crate) heap_maximum: usize,
    pub(crate) array_buffers: usize,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct Heap {
    pub(crate) used: usize,
    pub(crate) limit: usize,
    pub(crate) physical: usize,
    pub(crate) array_buffers: usize,
    pub(crate) contexts: usize,
}

/// An isolate of V8, which only the shim looks into.
#[repr(C)]
pub(crate) struct Isolate {
    _private: [u8; 0],
}

// SAFETY: as `shim.h` declares them.
unsafe extern "C" {
    pub(crate) fn roma_v8_version() -> *const c_char;
    pub(crate) fn roma_v8_start(flags: *const c_char);
    pub(crate) fn roma_v8_allocate(size: usize) -> *mut c_char;
    pub(crate) fn roma_v8_free(data: *mut c_char);
    pub(crate) fn roma_v8_snapshot(
        prelude: Bytes,
        code: Bytes,
        limits: Limits,
        out: *mut Owned,
    ) -> c_int;
    pub(crate) fn roma_v8_isolate_new(snapshot: Bytes, limits: Limits, host: Host) -> *mut Isolate;
    pub(crate) fn roma_v8_isolate_delete(isolate: *mut Isolate);
    pub(crate) fn roma_v8_add_script(
        isolate: *mut Isolate,
        code: Bytes,
        name: *const c_char,
        failure: *mut Owned,
    ) -> c_int;
    pub(crate) fn roma_v8_add_module(
        isolate: *mut Isolate,
        wasm: Bytes,
        name: *const c_char,
        failure: *mut Owned,
    ) -> c_int;
    pub(crate) fn roma_v8_add_bytes(isolate: *mut Isolate, bytes: Bytes, name: *const c_char);
    pub(crate) fn roma_v8_prepare(isolate: *mut Isolate, failure: *mut Owned) -> c_int;
    pub(crate) fn roma_v8_call(
        isolate: *mut Isolate,
        handler: Bytes,
        inputs: *const Bytes,
        count: usize,
        as_bytes: bool,
        result_is_bytes: *mut bool,
        out: *mut Owned,
    ) -> c_int;
    pub(crate) fn roma_v8_terminate(isolate: *mut Isolate);
    pub(crate) fn roma_v8_heap(isolate: *mut Isolate, out: *mut Heap);
    pub(crate) fn roma_v8_modules_compiled() -> usize;
}
