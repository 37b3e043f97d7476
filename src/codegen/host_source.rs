//! Both sides of a service that UDFs call: the trait that the host implements, and the UDF's client.

use crate::message_types::MessageTypes;
use crate::service::{self, Call, Service};
use crate::source_text::{attributes, or, source_of};
use crate::{DescriptorSet, Error, ExternFile};

/// Names of the methods that every client in a UDF has.
const TAKEN: [&str; 1] = ["new"];

/// Generates the source of a crate for the host's side of the service that `file` declares: a trait with
/// an async method for each call, and a function that registers an implementation.
///
/// `service` selects one if the file declares several. `externs` names the crates of the messages. The source
/// depends on `roma_byob`.
pub fn host_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
    externs: &[ExternFile],
) -> Result<String, Error> {
    let side = Side::of(descriptors, file, service, externs)?;
    let documentation = side.documentation("Functions that UDFs may call.");
    let name = side.service.trait_name();
    let methods = side.each_call(host_method)?;
    let registrations = side.each_call(registration)?;
    let crate_documentation = side.crate_documentation("The host's side of");
    let source = format!(
        "{crate_documentation}
        use std::future::Future;
        use std::sync::Arc;

        use roma_byob::{{HostCall, HostCallError, ServiceBuilder}};

        {documentation}
        ///
        /// Implement it with `async fn`. The [`HostCall`] identifies the calling execution and has the metadata of
        /// its request.
        pub trait {name}: Send + Sync + 'static {{
            {methods}
        }}

        /// Lets UDFs call these functions if their code is loaded with host functions
        /// (`LoadOptions::calling_host`).
        pub fn register(mut builder: ServiceBuilder, functions: impl {name}) -> ServiceBuilder {{
            let functions = Arc::new(functions);
            {registrations}
            builder
        }}"
    );
    source_of(file, &source)
}

/// Generates the source of a crate for UDFs that call the service that `file` declares.
///
/// As [`host_source`], but the source depends on `roma_udf`.
pub fn host_client_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
    externs: &[ExternFile],
) -> Result<String, Error> {
    let side = Side::of(descriptors, file, service, externs)?;
    let documentation = side.documentation("Functions of the host.");
    let name = side.service.udf_client_name();
    let methods = side.each_call(udf_method)?;
    let crate_documentation = side.crate_documentation("Calls, from inside a UDF, of");
    let source = format!(
        "{crate_documentation}
        use roma_udf::{{Host, HostError}};

        {documentation}
        #[derive(Debug)]
        pub struct {name}<'a> {{ host: &'a mut Host }}

        impl<'a> {name}<'a> {{
            /// Creates a client that uses this connection.
            pub fn new(host: &'a mut Host) -> Self {{
                Self {{ host }}
            }}

            {methods}
        }}"
    );
    source_of(file, &source)
}

/// The data from which both sides are generated.
struct Side<'a> {
    file: &'a str,
    service: Service,
    types: MessageTypes<'a>,
}

/// A call with the paths of its messages.
struct TypedCall<'a> {
    call: &'a Call,
    /// Its name on the wire.
    wire_name: String,
    documentation: String,
    request: String,
    response: String,
}

impl<'a> Side<'a> {
    fn of(
        descriptors: &'a DescriptorSet,
        file: &'a str,
        service: Option<&str>,
        externs: &'a [ExternFile],
    ) -> Result<Self, Error> {
        let service = service::read(descriptors, file, service, &TAKEN)?;
        if service.calls.is_empty() {
            return Err(Error::NoCall {
                service: service.full_name,
            });
        }
        let types = MessageTypes {
            descriptors,
            externs,
        };
        Ok(Self {
            file,
            service,
            types,
        })
    }

    fn documentation(&self, otherwise: &str) -> String {
        attributes(&or(&self.service.documentation, otherwise.to_owned()))
    }

    fn crate_documentation(&self, what: &str) -> String {
        let text = format!(" {what} `{}` (`{}`).", self.service.full_name, self.file);
        format!("#![doc = {text:?}]")
    }

    fn each_call(&self, source: impl Fn(&TypedCall<'_>) -> String) -> Result<String, Error> {
        let sources = self.service.calls.iter().map(|call| {
            let typed = TypedCall {
                call,
                wire_name: format!("{}/{}", self.service.full_name, call.name),
                documentation: attributes(&or(
                    &call.documentation,
                    format!("Calls `{}`.", call.name),
                )),
                request: self.types.path(&call.request, &call.name)?,
                response: self.types.path(&call.response, &call.name)?,
            };
            Ok(source(&typed))
        });
        sources.collect()
    }
}

fn host_method(typed: &TypedCall<'_>) -> String {
    let TypedCall {
        call,
        documentation,
        request,
        response,
        ..
    } = typed;
    let method = &call.method;
    format!(
        "{documentation}
        fn {method}(&self, request: {request}, call: HostCall) -> impl Future<Output = Result<{response}, HostCallError>> + Send;\n"
    )
}

fn registration(typed: &TypedCall<'_>) -> String {
    let TypedCall {
        call, wire_name, ..
    } = typed;
    let method = &call.method;
    format!(
        "let shared = Arc::clone(&functions);
        builder = builder.host_call({wire_name:?}, move |request, call| {{
            let functions = Arc::clone(&shared);
            async move {{ functions.{method}(request, call).await }}
        }});\n"
    )
}

fn udf_method(typed: &TypedCall<'_>) -> String {
    let TypedCall {
        call,
        wire_name,
        documentation,
        request,
        response,
    } = typed;
    let method = &call.method;
    format!(
        "{documentation}
        ///
        /// # Errors
        ///
        /// As [`Host::call`].
        pub fn {method}(&mut self, request: &{request}) -> Result<{response}, HostError> {{
            self.host.call({wire_name:?}, request)
        }}\n"
    )
}

#[cfg(test)]
#[path = "host_source_test.rs"]
mod tests;
