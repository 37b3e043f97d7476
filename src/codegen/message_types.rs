//! Rust paths of the messages of calls.

use crate::type_names::{declared_in, rust_path};
use crate::{DescriptorSet, Error, ExternFile};

/// Finds the Rust paths of messages.
pub(crate) struct MessageTypes<'a> {
    pub(crate) descriptors: &'a DescriptorSet,
    pub(crate) externs: &'a [ExternFile],
}

impl MessageTypes<'_> {
    /// Returns the path of a message that `call` takes or returns, by its full name with a leading dot.
    pub(crate) fn path(&self, full_name: &str, call: &str) -> Result<String, Error> {
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
