//! Which loaded code answers which rpc.

use std::path::PathBuf;

use roma_byob::CodeToken;

/// Code that is loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub token: CodeToken,
    pub udf: PathBuf,
    /// The rpc that it answers; all of them if `None`.
    pub rpc: Option<String>,
}

/// All code that is loaded.
#[derive(Debug, Default)]
pub struct Codes(Vec<Loaded>);

impl Codes {
    /// Adds code. Returns the code that it replaces.
    pub fn add(&mut self, loaded: Loaded) -> Vec<Loaded> {
        let replaces = |old: &Loaded| loaded.rpc.is_none() || loaded.rpc == old.rpc;
        let (replaced, kept) = self.0.drain(..).partition(replaces);
        self.0 = kept;
        self.0.push(loaded);
        replaced
    }

    /// Returns the code that answers this rpc, or plain bytes.
    pub fn of(&self, rpc: Option<&str>) -> Option<CodeToken> {
        let own = self
            .0
            .iter()
            .find(|code| rpc.is_some() && code.rpc.as_deref() == rpc);
        let common = || self.0.iter().find(|code| code.rpc.is_none());
        let only = || {
            self.0
                .first()
                .filter(|_| rpc.is_none() && self.0.len() == 1)
        };
        own.or_else(common).or_else(only).map(|code| code.token)
    }

    /// Returns the code of this name, or the only one.
    pub fn named(&self, name: Option<&str>) -> Option<&Loaded> {
        match name {
            Some(name) => self.0.iter().find(|code| code.token.to_string() == name),
            None => self.0.first().filter(|_| self.0.len() == 1),
        }
    }

    pub fn remove(&mut self, token: CodeToken) {
        self.0.retain(|code| code.token != token);
    }

    pub fn all(&self) -> &[Loaded] {
        &self.0
    }
}
