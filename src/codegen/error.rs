//! Errors in the input.

use std::io;
use std::path::PathBuf;

/// Why no source was generated. Each is a fault of the input, so trying again does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A descriptor set could not be read from disk.
    #[error("cannot read the descriptor set {path}")]
    Unreadable {
        /// The path of the descriptor set.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// The bytes are not a `google.protobuf.FileDescriptorSet`.
    #[error("{origin} is not a FileDescriptorSet")]
    NotADescriptorSet {
        /// The file that held the bytes.
        origin: String,
        /// The decoder's error.
        source: prost::DecodeError,
    },

    /// Two descriptor sets hold different files with the same name.
    #[error(
        "the descriptor sets hold two different files named {name:?}; \
         were they made from different revisions?"
    )]
    Conflict {
        /// The name of both files.
        name: String,
    },

    /// No descriptor set holds a requested file.
    #[error("no descriptor set holds {name:?}; they hold: {}", .known.join(", "))]
    MissingFile {
        /// The requested file.
        name: String,
        /// The files in the descriptor sets.
        known: Vec<String>,
    },

    /// No descriptor set holds a file that another file imports.
    #[error(
        "no descriptor set holds {name:?}, which {imported_by} imports; \
         were the sets made with all imports?"
    )]
    MissingImport {
        /// The file that is missing.
        name: String,
        /// A file that imports it.
        imported_by: String,
    },

    /// No file to generate code for was named.
    #[error("no file to generate code for was named")]
    NothingToGenerate,

    /// A file was assigned to two crates.
    #[error("{name:?} belongs to one crate only, but was given to {first} and to {second}")]
    TwoOwners {
        /// The file in question.
        name: String,
        /// The first owner, for display.
        first: String,
        /// The second owner, for display.
        second: String,
    },

    /// A requested file is part of protobuf.
    #[error("{name:?} is part of protobuf: its types are in the crate prost-types")]
    WellKnown {
        /// The requested file.
        name: String,
    },

    /// A field has a type whose file is neither generated here nor reachable in another crate.
    #[error(
        "field {field} has the type {type_name} of {defined_in}, which is neither listed as a \
         file of this crate nor as one of another crate"
    )]
    UnreachableType {
        /// The field, with the full name of its message.
        field: String,
        /// The full name of the type.
        type_name: String,
        /// The file that defines the type, or a remark that no known file does.
        defined_in: String,
    },

    /// No service was named and the file does not declare exactly one, or the named one does not exist.
    #[error(
        "{file} declares {}{}",
        if .known.is_empty() { "no service".to_owned() } else { format!("the services {}: name one of them", .known.join(", ")) },
        .named.as_ref().map(|name| format!("; {name:?} was requested")).unwrap_or_default()
    )]
    ServiceChoice {
        /// The file.
        file: String,
        /// The requested service, if any.
        named: Option<String>,
        /// The services that the file declares.
        known: Vec<String>,
    },

    /// A service has no calls.
    #[error("the service {service} has no calls")]
    NoCall {
        /// Its full name.
        service: String,
    },

    /// A call streams. A UDF receives one message and returns one.
    #[error("{place}: the call {call} streams; a UDF receives one message and returns one")]
    Streaming {
        /// File, and line if known.
        place: String,
        /// The call.
        call: String,
    },

    /// Two methods would have the same name in Rust.
    #[error(
        "{place}: the method {method} of the call {call} has the name of a method of {taken_by}; choose \
         another name with the option roma_rpc_annotation.rust_method"
    )]
    NameClash {
        /// File, and line if known.
        place: String,
        /// The call.
        call: String,
        /// The name of its method.
        method: String,
        /// What already has that name.
        taken_by: String,
    },

    /// An argument is not of the form `crate_name=path/of/file.proto`.
    #[error("{argument:?} is not of the form crate_name=path/of/file.proto")]
    InvalidExtern {
        /// The argument.
        argument: String,
    },

    /// The Rust generator refused the descriptors.
    #[error("prost cannot generate code for these files")]
    Prost(#[source] io::Error),

    /// The generated text is not Rust.
    #[error("the generated source does not parse as Rust")]
    InvalidSource(#[from] syn::Error),
}
