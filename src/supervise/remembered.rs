//! Small facts about this machine that are kept between processes, in the user's cache.

use std::fs;
use std::path::PathBuf;

/// The file of one fact. Without a cache folder nothing is kept.
pub(crate) struct Remembered {
    file: Option<PathBuf>,
}

impl Remembered {
    /// Returns the fact with this name.
    pub(crate) fn new(name: &str) -> Self {
        let file = cache_dir().map(|dir| dir.join(name));
        Self { file }
    }

    /// Returns its text, if there is one.
    pub(crate) fn read(&self) -> Option<String> {
        fs::read_to_string(self.file.as_ref()?).ok()
    }

    /// Keeps a text. Ignores failures: they only cost the next start the same work again.
    pub(crate) fn write(&self, text: &str) {
        let Some(file) = &self.file else { return };
        let fresh = file.with_extension(std::process::id().to_string());
        let folder = file.parent().map(fs::create_dir_all);
        let written = folder.is_some_and(|made| made.is_ok()) && fs::write(&fresh, text).is_ok();
        if written {
            let _ = fs::rename(&fresh, file);
        }
    }
}

/// Returns Roma's folder in the user's cache, if the user has one.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("roma"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_and_no_other_file() {
        let scratch = tempfile::tempdir().unwrap();
        let fact = Remembered {
            file: Some(scratch.path().join("deep/fact-1")),
        };
        assert_eq!(fact.read(), None);
        fact.write("systrap\n");
        assert_eq!(fact.read().unwrap(), "systrap\n");
        assert_eq!(
            fs::read_dir(scratch.path().join("deep")).unwrap().count(),
            1
        );
    }
}
