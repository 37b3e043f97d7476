//! Limits of a UDF's processes, as users write them: `--limit address-space=256m`.

use std::time::Duration;

use roma_byob::Limits;

use super::duration;

/// The limits that can be set, in the order of [`Limits`].
const NAMES: &str = "cpu-time, address-space, data, open-files, file-size, processes and stack";

/// One limit and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    CpuTime(Duration),
    AddressSpace(u64),
    Data(u64),
    OpenFiles(u32),
    FileSize(u64),
    Processes(u32),
    Stack(u64),
}

impl Limit {
    /// Parses `NAME=VALUE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!(
                "`{text}` is not NAME=VALUE; the limits are {NAMES}"
            ));
        };
        match name {
            "cpu-time" => duration::parse(value).map(Self::CpuTime),
            "address-space" => bytes(value).map(Self::AddressSpace),
            "data" => bytes(value).map(Self::Data),
            "open-files" => count(value).map(Self::OpenFiles),
            "file-size" => bytes(value).map(Self::FileSize),
            "processes" => count(value).map(Self::Processes),
            "stack" => bytes(value).map(Self::Stack),
            _ => Err(format!("there is no limit `{name}`, only {NAMES}")),
        }
    }

    /// Sets it among others.
    pub fn apply(self, limits: &mut Limits) {
        match self {
            Self::CpuTime(time) => limits.cpu_time = Some(time),
            Self::AddressSpace(bytes) => limits.address_space = Some(bytes),
            Self::Data(bytes) => limits.data = Some(bytes),
            Self::OpenFiles(count) => limits.open_files = count,
            Self::FileSize(bytes) => limits.file_size = Some(bytes),
            Self::Processes(count) => limits.processes = count,
            Self::Stack(bytes) => limits.stack = bytes,
        }
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a whole number"))
}

/// Parses a number of bytes: `4096`, `64k`, `256m`, `2g`.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is not a number of bytes; write 4096, 64k, 256m or 2g"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_sets_its_own_field() {
        let mut limits = Limits::default();
        for text in [
            "cpu-time=1.5s",
            "address-space=2g",
            "data=256M",
            "open-files=20",
            "file-size=64k",
            "processes=3",
            "stack=4096",
        ] {
            Limit::parse(text).unwrap().apply(&mut limits);
        }
        let mut expected = Limits::default();
        expected.cpu_time = Some(Duration::from_millis(1500));
        expected.address_space = Some(2 << 30);
        expected.data = Some(256 << 20);
        expected.open_files = 20;
        expected.file_size = Some(64 << 10);
        expected.processes = 3;
        expected.stack = 4096;
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_wrong_limit_is_refused_with_what_could_be_written() {
        for (text, words) in [
            ("data", "NAME=VALUE"),
            ("heap=1", "address-space"),
            ("data=1t", "256m"),
            ("data=99999999999g", "256m"),
            ("processes=many", "whole number"),
            ("cpu-time=0", "30s"),
        ] {
            let error = Limit::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
