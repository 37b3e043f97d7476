//! Functions of the integrator that UDFs call, where they are written in C.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use bytes::Bytes;
use roma_byob::{GrpcCode, HostCall, HostCallError, ServiceBuilder};

use super::metadata::ForeignMetadata;
use super::text::Text;
use crate::error_status::Status;

/// `roma_byob_host_function`.
#[repr(C)]
pub struct HostFunction {
    name: Text,
    handler: Option<Handler>,
    context: *mut c_void,
}

/// `roma_byob_host_handler`.
type Handler = unsafe extern "C" fn(*mut c_void, *const HostCallView, *mut HostAnswer);

/// `roma_byob_host_call`.
#[repr(C)]
pub struct HostCallView {
    function: Text,
    argument: Text,
    metadata: *const c_void,
}

/// `roma_byob_host_answer`.
pub struct HostAnswer(pub(crate) Result<Bytes, HostCallError>);

#[derive(Clone, Copy)]
struct BoundHandler {
    function: Handler,
    context: *mut c_void,
}

// SAFETY: the header says that the handler is called on other threads with its context.
unsafe impl Send for BoundHandler {}
// SAFETY: as above, many times at once.
unsafe impl Sync for BoundHandler {}

impl HostFunction {
    /// Registers it with a service.
    ///
    /// # Safety
    ///
    /// The header's contract: the name is as long as it says, and the context outlives the service.
    pub(crate) unsafe fn register(
        &self,
        builder: ServiceBuilder,
    ) -> Result<ServiceBuilder, Status> {
        // SAFETY: by this function's contract.
        let name = unsafe { self.name.utf8() }?.unwrap_or_default().to_owned();
        let function = self
            .handler
            .ok_or_else(|| Status::refused(format!("the handler of `{name}` is null")))?;
        let handler = BoundHandler {
            function,
            context: self.context,
        };
        Ok(builder.host_function(name, move |call| async move {
            let answered = tokio::task::spawn_blocking(move || handler.answer(&call)).await;
            answered.unwrap_or_else(|_| {
                Err(HostCallError::new(
                    GrpcCode::Internal,
                    "the handler ended without an answer",
                ))
            })
        }))
    }
}

impl BoundHandler {
    fn answer(&self, call: &HostCall) -> Result<Bytes, HostCallError> {
        let metadata = call.metadata.get::<ForeignMetadata>();
        let view = HostCallView {
            function: Text::of(call.function.as_bytes()),
            argument: Text::of(&call.payload),
            metadata: metadata.map_or(ptr::null(), |metadata| metadata.value.cast_const()),
        };
        let mut answer = HostAnswer(Ok(Bytes::new()));
        // SAFETY: the handler and its context were registered for this, and what the call points to lives
        // until the handler returns.
        unsafe { (self.function)(self.context, &raw const view, &raw mut answer) };
        answer.0
    }
}

/// Returns the code with this number; for any other number, `Internal`.
pub(crate) fn code_of(number: i32) -> GrpcCode {
    [
        GrpcCode::Cancelled,
        GrpcCode::InvalidArgument,
        GrpcCode::DeadlineExceeded,
        GrpcCode::NotFound,
        GrpcCode::ResourceExhausted,
        GrpcCode::FailedPrecondition,
        GrpcCode::Aborted,
        GrpcCode::Unavailable,
    ]
    .into_iter()
    .find(|code| *code as i32 == number)
    .unwrap_or(GrpcCode::Internal)
}
