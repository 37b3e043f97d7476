//! A typed client of a service whose calls UDFs answer.

use std::fmt::Write;

use crate::service::{self, Call, Service};
use crate::type_names::{declared_in, rust_path};
use crate::{DescriptorSet, Error, ExternFile};

/// Generates the source of a crate with one client type for the service that `file` declares.
///
/// `service` chooses among several. The messages are those of other crates, as `externs` says. The
/// source depends on `roma_byob`.
pub fn client_source(
    descriptors: &DescriptorSet,
    file: &str,
    service: Option<&str>,
    externs: &[ExternFile],
) -> Result<String, Error> {
    let service = service::read(descriptors, file, service)?;
    let types = Types {
        descriptors,
        externs,
    };
    let mut methods = String::new();
    for call in &service.calls {
        methods.push_str(&method(call, &types)?);
    }
    let source = crate_source(file, &service, &methods);
    let header = format!("// Generated from {file}: do not edit.\n\n");
    Ok(header + &prettyplease::unparse(&syn::parse_file(&source)?))
}

fn crate_source(file: &str, service: &Service, methods: &str) -> String {
    let Service {
        full_name,
        client,
        documentation,
        ..
    } = service;
    let type_documentation = attributes(&match documentation.as_str() {
        "" => format!("Calls of `{full_name}`, each answered in a fresh sandboxed process."),
        text => text.to_owned(),
    });
    let crate_documentation = format!(
        "#![doc = {:?}]",
        format!(" A typed client of `{full_name}` ({file}).")
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

/// What every client has. [`service::RESERVED`] lists the names.
const COMMON: &str = "
    /// Starts a service in this mode, configured as `config` says otherwise.
    ///
    /// # Errors
    ///
    /// As [`ServiceBuilder::start`].
    pub async fn create(config: ServiceBuilder, mode: Mode) -> Result<Self, Error> {
        Ok(Self { service: config.mode(mode).start().await? })
    }

    /// The service beneath, for whatever is not of this API.
    #[must_use]
    pub fn service(&self) -> &Service { &self.service }

    /// Loads a binary that answers one of the calls: a path, bytes, or the token of code that is loaded
    /// already. `options` may be just a number of workers.
    ///
    /// # Errors
    ///
    /// As [`Service::load`].
    pub async fn register(&self, binary: impl Into<Binary>, options: impl Into<LoadOptions>) -> Result<CodeToken, Error> {
        self.service.load(binary, options.into()).await
    }

    /// As [`Self::register`], and keeps what the binary prints for the report of each execution.
    ///
    /// # Errors
    ///
    /// As [`Service::load`].
    pub async fn register_for_logging(&self, binary: impl Into<Binary>, options: impl Into<LoadOptions>) -> Result<CodeToken, Error> {
        self.service.load(binary, options.into().keeping_logs()).await
    }

    /// Ends the processes of this code and forgets it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] if there is no such code.
    pub async fn delete(&self, code: &CodeToken) -> Result<(), Error> {
        self.service.delete(code).await
    }

    /// Ends an execution: it fails with [`Error::Cancelled`], unless it is over.
    pub fn cancel(&self, execution: &Canceller) { execution.cancel(); }

    /// Ends everything that the service started.
    pub async fn shutdown(&self) { self.service.shutdown().await; }
";

fn method(call: &Call, types: &Types<'_>) -> Result<String, Error> {
    let Call {
        name,
        method,
        documentation,
        ..
    } = call;
    let request = types.path(&call.request, name)?;
    let response = types.path(&call.response, name)?;
    let documentation = attributes(&match documentation.as_str() {
        "" => format!("Calls `{name}`."),
        text => text.to_owned(),
    });
    Ok(format!(
        "{documentation}
        pub fn {method}(&self, code: &CodeToken, request: &{request}, options: ExecuteOptions) -> Execution<{response}> {{
            self.service.call(code, request, options)
        }}\n"
    ))
}

/// Where message types are.
struct Types<'a> {
    descriptors: &'a DescriptorSet,
    externs: &'a [ExternFile],
}

impl Types<'_> {
    fn path(&self, full_name: &str, call: &str) -> Result<String, Error> {
        if full_name == ".google.protobuf.Empty" {
            return Ok("()".into());
        }
        let files = self.descriptors.files();
        let file = files
            .into_iter()
            .find(|file| declared_in(file).iter().any(|name| name == full_name));
        let name = file.map_or("", |file| file.name());
        let owner = self.externs.iter().find(|it| it.file == name);
        match owner {
            Some(owner) => Ok(format!("::{}::{}", owner.crate_name, rust_path(full_name))),
            None => Err(Error::UnreachableType {
                field: call.into(),
                type_name: full_name.trim_start_matches('.').into(),
                defined_in: file.map_or("no known file", |file| file.name()).into(),
            }),
        }
    }
}

/// Documentation as attributes, which cannot be broken by what the text holds.
fn attributes(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(all, "#[doc = {:?}]", format!("{space}{line}"));
        all
    })
}

#[cfg(test)]
#[path = "client_source_test.rs"]
mod tests;
