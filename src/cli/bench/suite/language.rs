//! What samples are written in.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::programs;

/// One of the languages that there is a sample in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[value(alias = "cpp", alias = "c++")]
    Cc,
    Go,
    Rust,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::Cc, Self::Go, Self::Rust];

    /// The number that it has in names; Java, which we have no sample in, has 2.
    pub fn number(self) -> u8 {
        match self {
            Self::Cc => 0,
            Self::Go => 1,
            Self::Rust => 3,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Cc => "C++",
            Self::Go => "Go",
            Self::Rust => "Rust",
        }
    }

    /// The sample in it.
    pub fn sample(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Cc => programs::find(None, "ROMA_SAMPLE_CC_UDF", "sample_cc_udf"),
            Self::Go => programs::find(None, "ROMA_SAMPLE_GO_UDF", "sample_go_udf"),
            Self::Rust => programs::find(None, "ROMA_SAMPLE_UDF", "sample_udf"),
        }
    }

    /// What a name says of it that is about no language in particular. Without, it means C++.
    pub fn suffix(self) -> String {
        match self {
            Self::Cc => String::new(),
            other => format!("/lang:{}", other.number()),
        }
    }
}
