//! The functions of `roma_byob.h`. Each checks what it can of what C passes, and no panic leaves it.
//!
//! What cannot be checked is the header's contract, which all of them share: a pointer is null or points
//! to a live value of its type, a text is null or has as many bytes as it says, and a handle is one that
//! this library returned and that was not freed.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use bytes::Bytes;
use roma_byob::{Canceller, GrpcCode, HostCallError};

use super::code_options::CodeOptions;
use super::config::Config;
use super::host_function::{HostAnswer, code_of};
use super::outcome::{Callback, Failure, Outcome};
use super::request::RequestView;
use super::text::{Text, Token};
use crate::error_status::Status;
use crate::service::Service;

/// `roma_byob_callback`, which C may leave out.
type CallbackFunction = Option<unsafe extern "C" fn(*mut c_void, *const Outcome)>;

/// Runs a call and returns its failure. A panic must not unwind into the caller.
fn guarded(call: impl FnOnce() -> Result<(), Status>) -> *mut Status {
    match catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(Status::broken())) {
        Ok(()) => ptr::null_mut(),
        Err(status) => Box::into_raw(Box::new(status)),
    }
}

/// Runs a call that returns no status.
fn quietly(call: impl FnOnce()) {
    // The panic has been printed, and this call returns no status.
    let _ = catch_unwind(AssertUnwindSafe(call));
}

fn missing(what: &str) -> Status {
    Status::refused(format!("{what} is null"))
}

/// Returns the value that a pointer from C points to.
///
/// # Safety
///
/// It must be null or point to a value that is live and unchanged for `'a`.
unsafe fn given<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Status> {
    // SAFETY: by this function's contract.
    unsafe { pointer.as_ref() }.ok_or_else(|| missing(what))
}

/// Returns the place for a handle in C, after setting it to null.
///
/// # Safety
///
/// It must be null or point to memory for a pointer that is not used elsewhere for `'a`.
unsafe fn wanted<'a, T>(pointer: *mut *mut T, what: &str) -> Result<&'a mut *mut T, Status> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: not null, so memory by this function's contract; it holds a value before it is borrowed.
    unsafe {
        pointer.write(ptr::null_mut());
        Ok(&mut *pointer)
    }
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_start(
    config: *const Config,
    service: *mut *mut Service,
) -> *mut Status {
    guarded(|| {
        // SAFETY: by the header's contract.
        let service = unsafe { wanted(service, "service") }?;
        // SAFETY: by the header's contract.
        let builder = unsafe { given(config, "config")?.builder() }?;
        *service = Box::into_raw(Box::new(Service::start(builder)?));
        Ok(())
    })
}

/// # Safety
///
/// The header's contract. The handle is invalid afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_end(service: *mut Service) {
    if service.is_null() {
        return;
    }
    // SAFETY: `roma_byob_start` made it of a box, and by the header's contract it is given back once.
    let service = unsafe { Box::from_raw(service) };
    quietly(|| service.end());
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_host_answer_set(answer: *mut HostAnswer, result: Text) {
    // SAFETY: by the header's contract.
    if let Some(answer) = unsafe { answer.as_mut() } {
        // SAFETY: by the header's contract.
        answer.0 = match unsafe { result.bytes() } {
            Ok(result) => Ok(Bytes::copy_from_slice(result)),
            Err(status) => Err(HostCallError::new(GrpcCode::Internal, status.message)),
        };
    }
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_host_answer_fail(
    answer: *mut HostAnswer,
    code: i32,
    message: Text,
) {
    // SAFETY: by the header's contract.
    if let Some(answer) = unsafe { answer.as_mut() } {
        // SAFETY: by the header's contract.
        let message = unsafe { message.bytes() }.unwrap_or_default();
        let message = String::from_utf8_lossy(message);
        answer.0 = Err(HostCallError::new(code_of(code), message));
    }
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_load(
    service: *const Service,
    options: *const CodeOptions,
    token: *mut Token,
) -> *mut Status {
    guarded(|| {
        // SAFETY: by the header's contract.
        let (service, options) =
            unsafe { (given(service, "service")?, given(options, "options")?) };
        if token.is_null() {
            return Err(missing("token"));
        }
        // SAFETY: by the header's contract.
        let (binary, options) = unsafe { (options.binary()?, options.options()?) };
        let loaded = Token::of(service.load(binary, options)?);
        // SAFETY: not null, hence memory for a token by the header's contract.
        unsafe { token.write(loaded) };
        Ok(())
    })
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_delete(service: *const Service, token: Text) -> *mut Status {
    guarded(|| {
        // SAFETY: by the header's contract.
        let (service, token) = unsafe { (given(service, "service")?, token.token()?) };
        service.delete(token.ok_or_else(|| Status::refused("which code? the token is empty"))?)
    })
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_execute(
    service: *const Service,
    request: *const RequestView,
    callback: CallbackFunction,
    context: *mut c_void,
    execution: *mut *mut Canceller,
) -> *mut Status {
    guarded(|| {
        // SAFETY: by the header's contract. This comes first: it takes the metadata over.
        let request = unsafe { given(request, "request")?.request() }?;
        // SAFETY: by the header's contract.
        let service = unsafe { given(service, "service") }?;
        // SAFETY: by the header's contract.
        let execution = unsafe { wanted(execution, "execution") }?;
        let function = callback.ok_or_else(|| missing("callback"))?;
        let callback = Callback { function, context };
        let canceller = service.execute(request, move |answer| callback.call(&answer))?;
        *execution = Box::into_raw(Box::new(canceller));
        Ok(())
    })
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_execution_id(execution: *const Canceller) -> Token {
    // SAFETY: by the header's contract.
    let execution = unsafe { execution.as_ref() };
    Token::of(
        execution
            .map(|execution| execution.id().to_string())
            .unwrap_or_default(),
    )
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_cancel(execution: *const Canceller) {
    // SAFETY: by the header's contract.
    if let Some(execution) = unsafe { execution.as_ref() } {
        quietly(|| execution.cancel());
    }
}

/// # Safety
///
/// The header's contract. The handle is invalid afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_execution_free(execution: *mut Canceller) {
    if !execution.is_null() {
        // SAFETY: `roma_byob_execute` made it of a box, and by the header's contract it is given back
        // once.
        drop(unsafe { Box::from_raw(execution) });
    }
}

/// # Safety
///
/// The header's contract.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_status_read(status: *const Status) -> Failure {
    // SAFETY: by the header's contract.
    Failure::of(unsafe { status.as_ref() })
}

/// # Safety
///
/// The header's contract. The handle is invalid afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roma_byob_status_free(status: *mut Status) {
    if !status.is_null() {
        // SAFETY: `guarded` made it of a box, and by the header's contract it is given back once.
        drop(unsafe { Box::from_raw(status) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_status() {
        let status = guarded(|| panic!("on purpose"));
        // SAFETY: `guarded` has just made it of a box: the call did not succeed.
        let status = unsafe { Box::from_raw(status) };
        assert_eq!(status.code, GrpcCode::Internal);
        assert_eq!(status.cause, "panic");
        quietly(|| panic!("on purpose"));
    }
}
