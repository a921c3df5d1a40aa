//! Serialized: times and durations as JSON has them: text in RFC 3339, and numbers of seconds. For serde's
//! `serialize_with` and `deserialize_with`.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Writes a time as RFC 3339, UTC, in milliseconds.
pub fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

/// Reads a time in RFC 3339.
pub fn from_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    humantime::parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for a time that may be unknown.
#[allow(clippy::ref_option, reason = "serde calls it with a reference")]
pub fn as_optional_rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Reads one that may be unknown.
#[cfg(feature = "disk")]
pub fn from_optional_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| humantime::parse_rfc3339(&text).map_err(D::Error::custom)).transpose()
}

/// Writes a duration in seconds. Time is measured in microseconds; more digits would only lengthen the lines.
pub fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*duration))
}

/// Reads a duration in seconds.
pub fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The same for a duration that may be unknown.
#[allow(clippy::ref_option, reason = "serde calls it with a reference")]
pub fn as_optional_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(seconds).serialize(serializer)
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
