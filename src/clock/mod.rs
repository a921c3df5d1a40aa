//! Clock: the one place that reads the time. Rules take `now` as an argument; actors and the transport ask here.

#![allow(clippy::disallowed_methods, reason = "this is the one place")]

#[cfg(feature = "testing")]
pub mod virtual_time;
#[cfg(not(feature = "testing"))]
#[path = "no_virtual_time.rs"]
mod virtual_time;

use std::time::{Instant, SystemTime};

/// Returns the current instant, which never jumps, and is valid in this process only.
pub fn now() -> Instant {
    virtual_time::now().unwrap_or_else(Instant::now)
}

/// Returns the calendar time, as used by servers, logs and other processes.
pub fn wall() -> SystemTime {
    virtual_time::wall().unwrap_or_else(SystemTime::now)
}

/// Returns the current instant of the runtime's timers, which a test can pause.
pub fn runtime() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Tells whether this thread's time is virtual: it stands still while anything is done, and jumps to the next timer.
/// Then everything runs on this one thread. Never without the feature `testing`.
pub fn is_virtual() -> bool {
    virtual_time::now().is_some()
}
