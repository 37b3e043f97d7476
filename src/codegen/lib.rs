//! Code generation from protobuf descriptors.
//!
//! The input is always the descriptor that the protobuf compiler wrote, never the text of a `.proto` file:
//! numbers, oneofs, maps, options and comments are as declared.
//!
//! ```no_run
//! # fn main() -> Result<(), roma_codegen::Error> {
//! let mut descriptors = roma_codegen::DescriptorSet::default();
//! descriptors.read("api.binpb".as_ref())?;
//! let source = roma_codegen::prost_source(&descriptors, &["api/api.proto".into()], &[])?;
//! # Ok(())
//! # }
//! ```

mod annotations;
mod cc_client_source;
mod cc_names;
mod client_source;
mod descriptors;
mod documentation;
mod error;
mod example_source;
mod extern_files;
mod host_source;
mod markdown;
mod message_types;
mod module_tree;
mod prost_source;
mod service;
mod source_text;
#[cfg(test)]
mod testing;
mod type_names;

pub use cc_client_source::cc_client_source;
pub use client_source::client_source;
pub use descriptors::DescriptorSet;
pub use error::Error;
pub use example_source::{Language, example_source};
pub use extern_files::ExternFile;
pub use host_source::{host_client_source, host_source};
pub use markdown::markdown;
pub use prost_source::prost_source;
