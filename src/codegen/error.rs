//! What can be wrong with the input.

use std::io;
use std::path::PathBuf;

/// Why no source was generated. Each is a fault of the input; none goes away by trying again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A descriptor set could not be read from disk.
    #[error("cannot read the descriptor set {path}")]
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The bytes are not a `google.protobuf.FileDescriptorSet`.
    #[error("{origin} is not a FileDescriptorSet")]
    NotADescriptorSet {
        /// The file that held the bytes.
        origin: String,
        /// What the decoder said.
        source: prost::DecodeError,
    },

    /// Two descriptor sets disagree about one file.
    #[error(
        "the descriptor sets hold two different files named {name:?}; \
         were they made from different revisions?"
    )]
    Conflict {
        /// The name that both files claim.
        name: String,
    },

    /// A file was asked for that no descriptor set holds.
    #[error("no descriptor set holds {name:?}; they hold: {}", .known.join(", "))]
    MissingFile {
        /// The file asked for.
        name: String,
        /// The files that could have been asked for.
        known: Vec<String>,
    },

    /// A descriptor set holds a file, but no set holds what the file imports.
    #[error(
        "no descriptor set holds {name:?}, which {imported_by} imports; \
         were the sets made with all imports?"
    )]
    MissingImport {
        /// The file that is missing.
        name: String,
        /// A file that needs it.
        imported_by: String,
    },

    /// No file to generate code for was named.
    #[error("no file to generate code for was named")]
    NothingToGenerate,

    /// A file was listed both as this crate's own and as another crate's, or as two crates'.
    #[error("{name:?} belongs to one crate only, but was given to {first} and to {second}")]
    TwoOwners {
        /// The file in question.
        name: String,
        /// The first owner, for display.
        first: String,
        /// The second owner, for display.
        second: String,
    },

    /// A well-known file was asked for.
    #[error("{name:?} is part of protobuf itself: its types come from the prost-types crate")]
    WellKnown {
        /// The file asked for.
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
        /// The file that defines the type, or a remark that none does.
        defined_in: String,
    },

    /// It is not clear which service a client is for.
    #[error(
        "{file} declares {}{}: name one of them",
        if .known.is_empty() { "no service".to_owned() } else { format!("the services {}", .known.join(", ")) },
        .named.as_ref().map(|name| format!(", and {name:?} was asked for")).unwrap_or_default()
    )]
    ServiceChoice {
        /// The file.
        file: String,
        /// The service that was asked for, if any.
        named: Option<String>,
        /// The services that there are.
        known: Vec<String>,
    },

    /// A service has nothing to answer.
    #[error("the service {service} has no call")]
    NoCall {
        /// Its full name.
        service: String,
    },

    /// A call streams. A UDF gets one message and answers with one.
    #[error("{place}: the call {call} streams; a UDF gets one message and answers with one")]
    Streaming {
        /// File, and line if known.
        place: String,
        /// The call.
        call: String,
    },

    /// Two things would have the same name in Rust.
    #[error(
        "{place}: the method {method} of the call {call} would clash with that of {taken_by}; give it \
         another one with the option roma_rpc_annotation.rust_method"
    )]
    NameClash {
        /// File, and line if known.
        place: String,
        /// The call.
        call: String,
        /// What its method would be called.
        method: String,
        /// What has that name.
        taken_by: String,
    },

    /// An argument is not of the form `crate_name=path/of/file.proto`.
    #[error("{argument:?} is not of the form crate_name=path/of/file.proto")]
    InvalidExtern {
        /// The argument as it was given.
        argument: String,
    },

    /// The Rust generator refused the descriptors.
    #[error("prost cannot generate code for these files")]
    Prost(#[source] io::Error),

    /// The generated text is not Rust.
    #[error("the generated source does not parse as Rust")]
    InvalidSource(#[from] syn::Error),
}
