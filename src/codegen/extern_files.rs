//! Proto files whose Rust types are in another crate.

use std::str::FromStr;

use crate::Error;

/// A proto file from which another crate was generated: `crate_name=path/of/file.proto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternFile {
    /// The crate's name in Rust source.
    pub crate_name: String,
    /// The name under which other files import it.
    pub file: String,
}

impl FromStr for ExternFile {
    type Err = Error;

    fn from_str(argument: &str) -> Result<Self, Error> {
        match argument.split_once('=') {
            Some((crate_name, file)) if is_crate_name(crate_name) && !file.is_empty() => Ok(Self {
                crate_name: crate_name.into(),
                file: file.into(),
            }),
            _ => Err(Error::InvalidExtern {
                argument: argument.into(),
            }),
        }
    }
}

fn is_crate_name(name: &str) -> bool {
    syn::parse_str::<syn::Ident>(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extern_is_a_crate_name_and_a_file() {
        let parsed: ExternFile = "some_crate=dir/a.proto".parse().unwrap();
        assert_eq!(parsed.crate_name, "some_crate");
        assert_eq!(parsed.file, "dir/a.proto");
    }

    #[test]
    fn an_invalid_extern_is_refused() {
        for argument in [
            "",
            "a.proto",
            "=a.proto",
            "some_crate=",
            "some-crate=a.proto",
        ] {
            let error = argument.parse::<ExternFile>().unwrap_err();
            assert!(
                matches!(error, Error::InvalidExtern { .. }),
                "{argument:?}: {error}"
            );
        }
    }
}
