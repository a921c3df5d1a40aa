//! Clock: the one place that reads the time. Rules take `now` as an argument; actors and the transport ask here.

#![allow(clippy::disallowed_methods, reason = "this is the one place")]

use std::time::{Instant, SystemTime};

/// Returns the current instant, which never jumps, and is valid in this process only.
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the calendar time, as used by servers, logs and other processes.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the current instant of the runtime's timers, which a test can pause.
pub fn runtime() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
