//! Typed Rust clients of services that UDFs implement.

use crate::message_types::MessageTypes;
use crate::service::{self, Call, Service};
use crate::source_text::{attributes, or, source_of};
use crate::{DescriptorSet, Error, ExternFile};

/// Generates the source of a crate with one client type for the service that `file` declares.
///
/// `service` selects one if the file declares several. `externs` names the crates of the messages. The source
/// depends on `roma_byob`.
pub fn client_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
    externs: &[ExternFile],
) -> Result<String, Error> {
    let service = service::read(descriptors, file, service, &TAKEN)?;
    let types = MessageTypes {
        descriptors,
        externs,
    };
    let mut methods = String::new();
    for call in &service.calls {
        methods.push_str(&method(call, &types)?);
    }
    source_of(file, &crate_source(file, &service, &methods))
}

fn crate_source(file: &str, service: &Service, methods: &str) -> String {
    let Service {
        full_name,
        documentation,
        ..
    } = service;
    let client = service.client_name();
    let type_documentation = attributes(&or(
        documentation,
        format!("Calls of `{full_name}`, each answered in a fresh sandboxed process."),
    ));
    let crate_documentation = format!(
        "#![doc = {:?}]",
        format!(" A typed client of `{full_name}` (`{file}`).")
    );
    format!(
        "{crate_documentation}
        use roma_byob::{{Binary, Canceller, CodeToken, Error, ExecuteOptions, Execution, LoadOptions, Mode, Service, ServiceBuilder}};

        {type_documentation}
        #[derive(Clone, Debug)]
        pub struct {client} {{ service: Service }}

        impl {client} {{
            {COMMON}
            {methods}
        }}

        impl From<Service> for {client} {{
            fn from(service: Service) -> Self {{ Self {{ service }} }}
        }}"
    )
}

/// Names of the methods that every client has.
const TAKEN: [&str; 9] = [
    "create",
    "new",
    "service",
    "register",
    "register_for_logging",
    "delete",
    "cancel",
    "clone",
    "shutdown",
];

/// The methods that every client has. [`TAKEN`] lists their names.
const COMMON: &str = "
    /// Starts a service in this mode with the configuration `config`.
    ///
    /// # Errors
    ///
    /// As [`ServiceBuilder::start`].
    pub async fn create(config: ServiceBuilder, mode: Mode) -> Result<Self, Error> {
        Ok(Self { service: config.mode(mode).start().await? })
    }

    /// Returns the underlying service, for everything outside this API.
    #[must_use]
    pub fn service(&self) -> &Service { &self.service }

    /// Loads a binary that implements one of the calls. It is a path, bytes, or the token of loaded code.
    /// `options` may be a number of workers.
    ///
    /// # Errors
    ///
    /// As [`Service::load`].
    pub async fn register(&self, binary: impl Into<Binary>, options: impl Into<LoadOptions>) -> Result<CodeToken, Error> {
        self.service.load(binary, options.into()).await
    }

    /// As [`Self::register`], and keeps the binary's output for the report of each execution.
    ///
    /// # Errors
    ///
    /// As [`Service::load`].
    pub async fn register_for_logging(&self, binary: impl Into<Binary>, options: impl Into<LoadOptions>) -> Result<CodeToken, Error> {
        self.service.load(binary, options.into().keeping_logs()).await
    }

    /// Unloads this code and ends its processes.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if the code is not loaded.
    pub async fn delete(&self, code: &CodeToken) -> Result<(), Error> {
        self.service.delete(code).await
    }

    /// Cancels an execution. It fails with [`Error::Cancelled`] unless it has ended.
    pub fn cancel(&self, execution: &Canceller) { execution.cancel(); }

    /// Ends everything that the service started.
    pub async fn shutdown(&self) { self.service.shutdown().await; }
";

fn method(call: &Call, types: &MessageTypes<'_>) -> Result<String, Error> {
    let Call {
        name,
        method,
        documentation,
        ..
    } = call;
    let request = types.path(&call.request, name)?;
    let response = types.path(&call.response, name)?;
    let documentation = attributes(&or(documentation, format!("Calls `{name}`.")));
    Ok(format!(
        "{documentation}
        pub fn {method}(&self, code: &CodeToken, request: &{request}, options: ExecuteOptions) -> Execution<{response}> {{
            self.service.call(code, request, options)
        }}\n"
    ))
}

#[cfg(test)]
#[path = "client_source_test.rs"]
mod tests;
