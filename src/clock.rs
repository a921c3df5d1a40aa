//! Clock: the one place that reads the time. Rules take `now` as an argument; actors and the transport ask here.

#![allow(clippy::disallowed_methods, reason = "this is the one place")]

use std::time::{Instant, SystemTime};

/// Returns the instant that it is: it never jumps, and means nothing to another process.
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the time of day, as servers, logs and other processes tell it.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the instant that the runtime's timers count by, which a test can pause.
pub fn runtime() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
