//! Durations as people write them: `1s`, `250ms`, `2m 30s`, or a number of seconds. For serde's `with`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes a duration as text.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Reads a duration.
///
/// # Errors
/// It is neither text like `1s` nor a number of seconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(f64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Seconds(seconds) => Duration::try_from_secs_f64(seconds).map_err(D::Error::custom),
        Written::Text(text) => parse(&text).map_err(D::Error::custom),
    }
}

/// Parses a duration; a bare number is seconds.
///
/// # Errors
/// The text is not a duration; the message shows how to write one.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is no duration; write it like 1s, 250ms or 2m");
    match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| refuse()),
        Err(_) => humantime::parse_duration(text.trim()).map_err(|_| refuse()),
    }
}

/// The same for optional durations.
pub(crate) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde calls it with a reference")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Given(#[serde(with = "crate::duration_text")] Duration);
        Ok(Option::<Given>::deserialize(deserializer)?.map(|given| given.0))
    }
}
