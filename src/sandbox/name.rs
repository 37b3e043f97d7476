//! The name that a worker sees as its `argv[0]`.

use std::fmt;

/// A worker's `argv[0]`: random, so that it reveals nothing about other requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExecutionName(pub [u8; 16]);

impl ExecutionName {
    /// Length of [`Self::text`].
    pub const TEXT_BYTES: usize = 36;

    /// Returns the text form of a UUID (8-4-4-4-12 lower-case hexadecimal digits). Does not allocate.
    #[must_use]
    pub fn text(&self) -> [u8; Self::TEXT_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; Self::TEXT_BYTES];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        text
    }
}

impl fmt::Display for ExecutionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_name_has_the_form_of_a_uuid() {
        let name = ExecutionName(std::array::from_fn(|i| 17 * i as u8));
        assert_eq!(name.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    }
}
