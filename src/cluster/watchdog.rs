//! Watchdog: a timer of the system that ends this process when its term has lapsed, whatever it is doing then. Knows no
//! database.

use std::{io, time::Duration};

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::{ClockId, clock_gettime},
};

use crate::term::TermLength;

/// The timer. It counts on `CLOCK_BOOTTIME`, which goes on while the machine sleeps, and needs no privilege.
///
/// A process may be stopped, frozen or put to sleep between the check of its term and a write. When it is continued, it
/// would do that write late. The timer's signal is pending by then, and ends the process before its next instruction.
pub(super) struct Watchdog(Timer);

/// An instant of the timer's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootTime(Duration);

impl BootTime {
    /// Returns the time since the machine was started.
    ///
    /// # Errors
    /// The system has no such clock.
    pub fn now() -> io::Result<Self> {
        Ok(Self(clock_gettime(ClockId::CLOCK_BOOTTIME)?.into()))
    }
}

impl Watchdog {
    /// Creates a timer that is not set.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Self> {
        let kill = SigevNotify::SigevSignal { signal: Signal::SIGKILL, si_value: 0 };
        Ok(Self(Timer::new(ClockId::CLOCK_BOOTTIME, SigEvent::new(kill))?))
    }

    /// Sets the timer to the end of a term that was renewed at `asked`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set(&mut self, asked: BootTime, length: TermLength) -> io::Result<()> {
        #[cfg(test)]
        if std::env::var_os(super::tests::WITHOUT_TIMER).is_some() {
            return Ok(());
        }
        let at = asked.0 + length.end();
        // Absolute, so that a stop between the two clocks does not delay it.
        Ok(self.0.set(Expiration::OneShot(at.into()), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}
