//! Nests generated code by proto package.

use std::collections::BTreeMap;

use prost_build::Module;

/// One Rust module: its code and its modules.
#[derive(Default)]
pub(crate) struct ModuleTree {
    code: String,
    children: BTreeMap<String, ModuleTree>,
}

impl ModuleTree {
    /// Appends `code` to the module at `path`.
    pub(crate) fn insert(&mut self, path: &Module, code: &str) {
        let module = path.parts().fold(self, |module, part| {
            module.children.entry(part.into()).or_default()
        });
        module.code.push_str(code);
    }

    /// Returns the source of the whole tree. Only the outermost modules have `attributes`.
    pub(crate) fn into_source(self, attributes: &str) -> String {
        let mut source = self.code;
        for (name, child) in self.children {
            let body = child.into_source("");
            source.push_str(&format!("{attributes}\npub mod {name} {{\n{body}\n}}\n"));
        }
        source
    }
}
