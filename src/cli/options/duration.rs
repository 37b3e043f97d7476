//! Durations as users write them.

use std::time::Duration;

/// Parses `90`, `1.5s`, `500ms`, `1m30s`, `1h`: numbers with units; the default unit is seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write 30s, 500ms or 1m30s");
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let number: f64 = number.parse().map_err(|_| wrong())?;
        seconds += number * seconds_in(unit).ok_or_else(wrong)?;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(wrong)
}

fn seconds_in(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(0.001),
        "" | "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_written_in_parts() {
        let millis = |text| parse(text).unwrap().as_millis();
        assert_eq!(millis("2"), 2_000);
        assert_eq!(millis("0.5"), 500);
        assert_eq!(millis("500ms"), 500);
        assert_eq!(millis("1m30s"), 90_000);
        assert_eq!(millis("1h"), 3_600_000);
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for text in ["", "0", "0s", "s", "5 s", "5d", "-1s", "1.2.3", "1e99"] {
            assert!(parse(text).unwrap_err().contains("30s"), "{text}");
        }
    }
}
