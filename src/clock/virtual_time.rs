//! VirtualTime: the clock of a thread whose runtime is paused. Knows no site and no crawl.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The calendar time at which virtual time begins, so that two runs write the same: 1 January 2030, 00:00 UTC.
const FIRST_DAY: Duration = Duration::from_secs(1_893_456_000);

/// Makes the time of this thread virtual, for as long as the thread runs. Its runtime is paused.
pub fn begin() {
    BEGUN.set(Some(tokio::time::Instant::now().into_std()));
}

/// Returns the virtual instant, on a thread that has one.
pub fn now() -> Option<Instant> {
    BEGUN.get().map(|_| tokio::time::Instant::now().into_std())
}

/// Returns the virtual calendar time.
pub fn wall() -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + FIRST_DAY + elapsed()?)
}

/// Returns how much virtual time has passed.
pub fn elapsed() -> Option<Duration> {
    Some(now()?.saturating_duration_since(BEGUN.get()?))
}
