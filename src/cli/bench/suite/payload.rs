//! Sizes of payloads, as users write them.

use std::fmt;
use std::str::FromStr;

/// A number of elements of the same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    pub size: u64,
    pub count: u64,
}

/// The largest payload of a service by default, without the encoding around it.
const MOST: u64 = 63 << 20;

impl Payload {
    /// Returns the total size in bytes.
    pub fn bytes(self) -> u64 {
        self.size * self.count
    }
}

impl FromStr for Payload {
    type Err = String;

    /// Parses `4096`, `1KiB`, `50MiB`, and `10KiBx100` for a hundred elements.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a payload size; write 1000, 64KiB, 50MiB or 10KiBx100");
        let (size, count) = text.split_once('x').unwrap_or((text, "1"));
        let size = bytes(size).ok_or_else(wrong)?;
        let count = count.parse().ok().ok_or_else(wrong)?;
        match u64::checked_mul(size, count) {
            Some(1..=MOST) => Ok(Self { size, count }),
            _ => Err(format!(
                "`{text}` is not between one byte and {} MiB",
                MOST >> 20
            )),
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "KB" => 1000,
        "MB" => 1_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&size(self.size as f64))?;
        match self.count {
            1 => Ok(()),
            count => write!(f, "x{count}"),
        }
    }
}

/// Formats a number of bytes with its unit.
pub fn size(bytes: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    match bytes {
        ..1024.0 => format!("{bytes:.0}B"),
        ..MIB => format!("{}KiB", rounded(bytes / 1024.0)),
        ..1_073_741_824.0 => format!("{}MiB", rounded(bytes / MIB)),
        _ => format!("{}GiB", rounded(bytes / MIB / 1024.0)),
    }
}

/// Formats a number with at most one decimal.
fn rounded(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_units_and_counts() {
        let of = |text: &str| {
            text.parse::<Payload>()
                .map(|payload| (payload.size, payload.count))
        };
        assert_eq!(of("1000"), Ok((1000, 1)));
        assert_eq!(of("1KiB"), Ok((1024, 1)));
        assert_eq!(of("50MiB"), Ok((50 << 20, 1)));
        assert_eq!(of("5MBx10"), Ok((5_000_000, 10)));
    }

    #[test]
    fn an_invalid_payload_is_refused() {
        for text in [
            "",
            "x",
            "5x",
            "-1",
            "5GiB",
            "0",
            "64MiB",
            "1MiBx64",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Payload>().is_err(), "{text}");
        }
        let huge = format!("{}x{}", u64::MAX, u64::MAX);
        assert!(huge.parse::<Payload>().is_err());
    }

    #[test]
    fn sizes_are_short() {
        let shown = |text: &str| text.parse::<Payload>().unwrap().to_string();
        assert_eq!(shown("1KiB"), "1KiB");
        assert_eq!(shown("50000000"), "47.7MiB");
        assert_eq!(shown("10KiBx100"), "10KiBx100");
        assert_eq!(size(3e9), "2.8GiB");
    }
}
