//! Share: a part of a whole. Knows not of what.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::error::Error;

/// A part of all items, from nothing to all of them; written `95%` or `0.95`.
///
/// ```
/// use actix_crawler::validation::Share;
///
/// let share: Share = "95%".parse()?;
/// assert_eq!(share, Share::of(0.95));
/// assert_eq!(share.to_string(), "95%");
/// assert!("95".parse::<Share>().is_err());
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// Creates a share; below 0 it is 0, above 1 it is 1.
    pub fn of(part: f64) -> Self {
        Self(if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) })
    }

    /// Returns it as a number from 0 to 1.
    pub fn part(self) -> f64 {
        self.0
    }

    /// Returns which share `part` is of `whole`; of nothing, it is none.
    #[allow(clippy::cast_precision_loss, reason = "numbers of items are far below 2^52")]
    pub(super) fn ratio(part: u64, whole: u64) -> Self {
        if whole == 0 { Self(0.0) } else { Self::of(part as f64 / whole as f64) }
    }
}

impl From<f64> for Share {
    fn from(part: f64) -> Self {
        Self::of(part)
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text.trim(), 1.0),
        };
        let part = number.parse::<f64>().ok().map(|number| number / whole).filter(|part| (0.0..=1.0).contains(part));
        part.map(Self)
            .ok_or_else(|| Error::setting("share", format!("`{text}` is no share of all items; write 95% or 0.95")))
    }
}

/// Rounds down to a tenth of a percent, so that only what is complete reads `100%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0.29 is a little less than 29 hundredths.
        let tenths = (self.0 * 1_000.0 + 1e-6).floor();
        f.pad(&format!("{}%", tenths / 10.0))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareText)
    }
}

/// What is written for a share.
struct ShareText;

impl Visitor<'_> for ShareText {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share such as \"95%\" or 0.95")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
        text.parse().map_err(|error: Error| E::custom(error.into_why()))
    }

    fn visit_f64<E: de::Error>(self, part: f64) -> Result<Share, E> {
        if (0.0..=1.0).contains(&part) {
            return Ok(Share(part));
        }
        Err(E::custom(format!("`{part}` is no share; write \"95%\" or 0.95")))
    }

    fn visit_u64<E: de::Error>(self, part: u64) -> Result<Share, E> {
        self.visit_f64(u32::try_from(part).map_or(f64::INFINITY, f64::from))
    }

    fn visit_i64<E: de::Error>(self, part: i64) -> Result<Share, E> {
        self.visit_f64(i32::try_from(part).map_or(f64::INFINITY, f64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_part_of_one() {
        for (text, part) in [("95%", 0.95), ("0.5", 0.5), ("100 %", 1.0), ("0%", 0.0), ("1", 1.0), ("99.5%", 0.995)] {
            assert_eq!(text.parse::<Share>().unwrap(), Share::of(part), "{text}");
        }
        for text in ["", "%", "95", "101%", "-1%", "x", "NaN", "1.5"] {
            assert!(text.parse::<Share>().unwrap_err().to_string().contains("95%"), "{text}");
        }
        let read = |json: &str| serde_json::from_str::<Share>(json);
        assert_eq!((read("0.95").unwrap(), read("\"95%\"").unwrap()), (Share::of(0.95), Share::of(0.95)));
        assert!(read("95").is_err());
    }

    #[test]
    fn only_what_is_complete_reads_as_all() {
        assert_eq!(Share::ratio(99_999, 100_000).to_string(), "99.9%");
        assert_eq!(Share::ratio(29, 100).to_string(), "29%");
        assert_eq!((Share::ratio(3, 3).to_string(), Share::ratio(0, 0).to_string()), ("100%".into(), "0%".into()));
    }
}
