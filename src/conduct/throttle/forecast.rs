//! Forecast: when a request will start that waits behind others. Changes nothing.

use std::time::{Duration, Instant};

use super::Throttle;

/// How many starts a forecast follows one by one: they take a tenth of a millisecond. A quota that ends, or a burst,
/// shows in them.
const FORECAST_STEPS: u64 = 2_000;

impl Throttle {
    /// Returns when the start after `ahead` others is due, if each starts as soon as the law allows and is answered at
    /// once. The law itself tells: it is followed for the first of them, and the rest go on at their pace.
    #[allow(clippy::cast_precision_loss, reason = "a forecast of so many starts is rough")]
    pub(crate) fn forecast(&self, ahead: u64, now: Instant) -> Instant {
        let mut law = self.clone();
        // What is planned goes before.
        let ahead = ahead + u64::from(law.planned);
        (law.planned, law.running, law.writing) = (0, 0, false);
        let first = law.due_after(0, now);
        let (mut due, followed) = (first, ahead.min(FORECAST_STEPS));
        for _ in 0..followed {
            law.planned += 1;
            law.started(due, 0.5);
            law.release(due, true);
            due = law.due_after(0, due);
        }
        let beyond = ahead - followed;
        if beyond == 0 {
            return due;
        }
        let pace = (due - first).as_secs_f64() / FORECAST_STEPS as f64;
        Duration::try_from_secs_f64(pace * beyond as f64).ok().and_then(|rest| due.checked_add(rest)).unwrap_or(due)
    }
}
