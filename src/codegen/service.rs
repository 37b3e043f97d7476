//! A service as clients need it: Rust names, documentation, types.

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

use crate::annotations::join;
use crate::documentation::{documentation, place};
use crate::{DescriptorSet, Error};

// Field numbers in FileDescriptorProto and ServiceDescriptorProto. Locations consist of them.
const SERVICES: i32 = 6;
const CALLS: i32 = 2;

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its full name, without a leading dot.
    pub(crate) full_name: String,
    pub(crate) package: String,
    /// Its name in the proto.
    name: String,
    /// The annotated name of the client's type, or empty.
    rust_client: String,
    /// The annotated namespace of generated C++, or empty.
    pub(crate) cpp_namespace: String,
    pub(crate) documentation: String,
    pub(crate) calls: Vec<Call>,
}

impl Service {
    /// Returns the name of the integrator's client type.
    pub(crate) fn client_name(&self) -> String {
        match self.rust_client.as_str() {
            "" => self.cc_client_name(),
            chosen => chosen.to_owned(),
        }
    }

    /// Returns the name of the integrator's client type in C++.
    pub(crate) fn cc_client_name(&self) -> String {
        format!("Byob{}Service", self.stem())
    }

    /// Returns the name of the trait that the host implements.
    pub(crate) fn trait_name(&self) -> String {
        identifier(&self.name.to_upper_camel_case())
    }

    /// Returns the name of the UDF's client type.
    pub(crate) fn udf_client_name(&self) -> String {
        format!("{}Client", self.stem())
    }

    fn stem(&self) -> String {
        let name = self.name.to_upper_camel_case();
        name.strip_suffix("Service").unwrap_or(&name).to_owned()
    }
}

/// A call of a service.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The name of the client's method.
    pub(crate) method: String,
    pub(crate) documentation: String,
    /// Full names with a leading dot.
    pub(crate) request: String,
    pub(crate) response: String,
}

/// Returns the only service that `file` declares, or the named one. No method of it may have a `taken`
/// name.
pub(crate) fn read(
    descriptors: &DescriptorSet,
    file: &str,
    named: Option<&str>,
    taken: &[&str],
) -> Result<Service, Error> {
    let file = descriptors.file(file)?;
    let (index, service) = choose(file, named)?;
    let full_name = join(file.package(), service.name());
    let annotation = descriptors.annotations().of_service(&full_name);
    let path = [SERVICES, index as i32];
    let mut calls: Vec<Call> = Vec::new();
    for (number, method) in service.method.iter().enumerate() {
        let path = [SERVICES, index as i32, CALLS, number as i32];
        let call = read_call(descriptors, file, &full_name, method, &path)?;
        refuse_taken(file, &path, &call, taken)?;
        if let Some(first) = calls.iter().find(|first| first.method == call.method) {
            return Err(Error::NameClash {
                place: place(file, &path),
                call: call.name,
                method: call.method,
                taken_by: format!("the call {}", first.name),
            });
        }
        calls.push(call);
    }
    Ok(Service {
        name: service.name().into(),
        package: file.package().into(),
        rust_client: annotation.rust_client,
        cpp_namespace: annotation.cpp_namespace,
        documentation: documentation(file, &path, &annotation.description),
        full_name,
        calls,
    })
}

fn choose<'a>(
    file: &'a FileDescriptorProto,
    named: Option<&str>,
) -> Result<(usize, &'a ServiceDescriptorProto), Error> {
    let fits = |service: &ServiceDescriptorProto| named.is_none_or(|name| service.name() == name);
    let mut fitting = file.service.iter().enumerate().filter(|(_, it)| fits(it));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Error::ServiceChoice {
            file: file.name().into(),
            named: named.map(str::to_owned),
            known: file.service.iter().map(|it| it.name().into()).collect(),
        }),
    }
}

fn read_call(
    descriptors: &DescriptorSet,
    file: &FileDescriptorProto,
    service: &str,
    method: &MethodDescriptorProto,
    path: &[i32],
) -> Result<Call, Error> {
    if method.client_streaming() || method.server_streaming() {
        return Err(Error::Streaming {
            place: place(file, path),
            call: method.name().into(),
        });
    }
    let annotation = descriptors
        .annotations()
        .of_call(&join(service, method.name()));
    let name = match annotation.rust_method.as_str() {
        "" => method.name().to_snake_case(),
        chosen => chosen.to_owned(),
    };
    Ok(Call {
        name: method.name().into(),
        method: identifier(&name),
        documentation: documentation(file, path, &annotation.description),
        request: method.input_type().into(),
        response: method.output_type().into(),
    })
}

fn refuse_taken(
    file: &FileDescriptorProto,
    path: &[i32],
    call: &Call,
    taken: &[&str],
) -> Result<(), Error> {
    if !taken.contains(&call.method.trim_start_matches("r#")) {
        return Ok(());
    }
    Err(Error::NameClash {
        place: place(file, path),
        call: call.name.clone(),
        method: call.method.clone(),
        taken_by: "every client".into(),
    })
}

/// Returns a valid identifier: a keyword is escaped.
fn identifier(name: &str) -> String {
    if syn::parse_str::<syn::Ident>(name).is_ok() {
        return name.to_owned();
    }
    let raw = format!("r#{name}");
    match syn::parse_str::<syn::Ident>(&raw) {
        Ok(_) => raw,
        Err(_) => format!("{name}_"),
    }
}
