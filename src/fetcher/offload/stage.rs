//! Stage: how far a piece of work is. Knows no threads.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::clock;

/// The progress of a piece of work, shared by its thread and its caller.
#[derive(Default)]
pub struct Stage {
    began: OnceLock<Instant>,
    /// Set by the thread when the work ends, or by the caller when it abandons it; the first one wins.
    settled: AtomicBool,
}

impl Stage {
    /// Begins the work.
    pub fn begin(&self) {
        // Set once, by the thread that runs the work.
        let _ = self.began.set(clock::now());
    }

    /// Ends the work. Returns false if it was abandoned before.
    pub fn end(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Abandons the work. Returns false if it has ended before.
    pub fn abandon(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Returns how long ago it began; `None` if it has not.
    pub fn worked_for(&self) -> Option<Duration> {
        self.began.get().map(|began| clock::now().saturating_duration_since(*began))
    }
}
