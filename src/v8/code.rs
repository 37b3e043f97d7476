//! Code objects.

use bytes::Bytes;
use roma_core::ConfigError;

/// Code to load, under a version by which it is called.
#[derive(Debug, Clone, Default)]
pub struct CodeObject {
    /// The version. Code of the same version is replaced.
    pub version: String,
    /// JavaScript. Without it, the functions that the module exports are the handlers.
    pub js: String,
    /// A module of WebAssembly. With JavaScript, the script finds its bytes in a global of the name
    /// `wasm_array_name`.
    pub wasm: Bytes,
    /// The name of the global with the bytes of the module, a `Uint8Array`.
    pub wasm_array_name: String,
}

impl CodeObject {
    /// Returns JavaScript of this version.
    pub fn script(version: impl Into<String>, js: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            js: js.into(),
            ..Self::default()
        }
    }

    /// Returns a module of WebAssembly of this version.
    pub fn module(version: impl Into<String>, wasm: impl Into<Bytes>) -> Self {
        Self {
            version: version.into(),
            wasm: wasm.into(),
            ..Self::default()
        }
    }

    /// Gives a script the bytes of a module, in a global of this name.
    #[must_use]
    pub fn with_wasm(mut self, name: impl Into<String>, wasm: impl Into<Bytes>) -> Self {
        self.wasm_array_name = name.into();
        self.wasm = wasm.into();
        self
    }

    /// Refuses what cannot be code.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |option, reason| Err(ConfigError::LoadOption { option, reason });
        if self.version.is_empty() {
            return wrong("version", "code is called by its version");
        }
        match (
            self.js.is_empty(),
            self.wasm.is_empty(),
            self.wasm_array_name.is_empty(),
        ) {
            (true, true, _) => wrong("js", "there is neither JavaScript nor WebAssembly"),
            (true, false, false) => wrong(
                "wasm_array_name",
                "only a script can find the bytes of a module",
            ),
            (false, false, true) => wrong("wasm_array_name", "the script cannot find the bytes"),
            (false, true, false) => wrong("wasm", "there are no bytes for this name"),
            (false, _, _) if !is_name(&self.wasm_array_name) && !self.wasm.is_empty() => {
                wrong("wasm_array_name", "it is not the name of a variable")
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether a text can be the name of a variable, in ASCII.
pub(crate) fn is_name(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    text.starts_with(starts) && text.chars().all(|c| starts(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_script_a_module_or_both() {
        let accepted = |code: CodeObject| code.check().is_ok();
        assert!(accepted(CodeObject::script("v1", "1")));
        assert!(accepted(CodeObject::module("v1", &b"\0asm"[..])));
        let both = CodeObject::script("v1", "1").with_wasm("bytes", &b"\0asm"[..]);
        assert!(accepted(both.clone()));
        assert!(!accepted(CodeObject::script("", "1")));
        assert!(!accepted(CodeObject::script("v1", "")));
        assert!(!accepted(CodeObject {
            wasm_array_name: String::new(),
            ..both.clone()
        }));
        assert!(!accepted(CodeObject {
            wasm_array_name: "a-b".into(),
            ..both.clone()
        }));
        assert!(!accepted(CodeObject {
            js: String::new(),
            ..both.clone()
        }));
        assert!(!accepted(CodeObject {
            wasm: Bytes::new(),
            ..both
        }));
    }
}
