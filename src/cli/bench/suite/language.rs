//! The languages of the samples.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::samples::programs;

/// A language that has a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    #[value(alias = "cpp", alias = "c++")]
    Cc,
    Go,
    Rust,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::Cc, Self::Go, Self::Rust];

    /// Returns its number in names; 2 is Java, which has no sample.
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

    /// Returns the sample in this language.
    pub fn sample(self) -> anyhow::Result<PathBuf> {
        match self {
            Self::Cc => programs::find(None, "ROMA_SAMPLE_CC_UDF", "sample_cc_udf"),
            Self::Go => programs::find(None, "ROMA_SAMPLE_GO_UDF", "sample_go_udf"),
            Self::Rust => programs::find(None, "ROMA_SAMPLE_UDF", "sample_udf"),
        }
    }

    /// Returns the part of names without a language number that tells the language; empty for C++.
    pub fn suffix(self) -> String {
        match self {
            Self::Cc => String::new(),
            other => format!("/lang:{}", other.number()),
        }
    }
}
