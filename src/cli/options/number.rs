//! Numbers as users write them, within bounds: more would take more than a machine has.

/// The largest number of clients, of requests under way and the like.
pub const MANY: usize = 100_000;
/// The largest payload of a request: 1 GiB.
pub const LARGE: usize = 1 << 30;

/// Parses a whole number from `LEAST` to `MOST`.
pub fn parse<const LEAST: usize, const MOST: usize>(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (LEAST..=MOST).contains(number))
        .ok_or_else(|| format!("`{text}` is not a whole number from {LEAST} to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_the_bounds_are_accepted_and_others_refused() {
        assert_eq!(parse::<1, 5>("1"), Ok(1));
        assert_eq!(parse::<1, 5>("5"), Ok(5));
        for text in ["0", "6", "-1", "x", "", "99999999999999999999999"] {
            let error = parse::<1, 5>(text).unwrap_err();
            assert!(error.contains("from 1 to 5"), "{error}");
        }
    }
}
