//! Serialized: times and durations as JSON has them: text in RFC 3339, and numbers of seconds. For serde's `serialize_with`.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// Writes a time as RFC 3339, UTC, in milliseconds.
pub fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

/// The same for a time that may be unknown.
#[allow(clippy::ref_option, reason = "serde calls it with a reference")]
pub fn as_optional_rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Writes a duration in seconds. Time is measured in microseconds; more digits would only lengthen the lines.
pub fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*duration))
}

/// The same for a duration that may be unknown.
#[allow(clippy::ref_option, reason = "serde calls it with a reference")]
pub fn as_optional_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(seconds).serialize(serializer)
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
