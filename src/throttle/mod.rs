//! Throttle: when a domain may be asked again, by one set of limits. Knows no clock and no network.
//!
//! The law: in *any* window of the rate at most `count` starts; between two starts at least the spacing; after each
//! response at least the rest; at most so many in flight; none while the domain cools. `Throttle::look` plans with
//! this law and `Throttle::may_start` holds it at the moment of writing: one rule, used in two places. Where several
//! tenants ask one domain, each brings a throttle of its own, every throttle counts every start, and a start needs
//! leave of all ([`Conduct`](crate::conduct::Conduct)).

mod evidence;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub use self::evidence::Evidence;
use crate::limits::Limits;

/// The earliest instant at which asking again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotBefore(pub Instant);

/// Why no permit is granted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The law allows the next start only at this instant.
    NotBefore(Instant),
    /// As many requests are in flight as may be: ask again when one ends.
    Full,
    /// Another tenant of the domain goes first: ask again when told so, at the latest at this instant.
    Turn(Instant),
}

/// How late after its place on the even grid a start may be and still keep that grid, so that the lateness of timers
/// does not add up. Longer pauses begin a new grid.
const CATCH_UP: Duration = Duration::from_millis(20);

/// As [`CATCH_UP`], where each start has its own place on the grid: the least distance of two starts holds while they
/// catch up, so nothing bunches, and a longer delay can be made good.
const CATCH_UP_EVENLY: Duration = Duration::from_millis(100);

/// Intervals shorter than a few ticks of a timer that counts milliseconds cannot be kept one by one; below this the
/// grid smooths and the window holds.
const SHORTEST_EVEN_INTERVAL: Duration = Duration::from_millis(4);

/// See [`Throttle::assume_asked`]: waiting for a window this short costs little.
const SHORT_WINDOW: Duration = Duration::from_secs(10);

/// How long to wait when another request of the domain is being written right now.
const WRITING: Duration = Duration::from_millis(1);

/// The state of one rate law at one domain.
#[derive(Clone, Debug)]
pub struct Throttle {
    limits: Limits,
    /// Starts in all, whoever made them.
    made: u64,
    /// How many of them were made before the limits last changed, and when the last of those was made.
    made_before: Option<(u64, Instant)>,
    /// The last starts, oldest first: as many as the rate's window counts; empty without a rate.
    starts: VecDeque<Instant>,
    last_start: Option<Instant>,
    last_end: Option<Instant>,
    /// Where on the even grid of the rate the next start belongs.
    grid: Option<Instant>,
    /// The spacing to the next start, its jitter drawn.
    gap: Duration,
    cooling_until: Option<Instant>,
    slow: Option<Slow>,
    /// Permits granted and not yet started.
    planned: u32,
    /// Permits started and not yet released.
    running: u32,
    /// A request is between [`Throttle::begin_writing`] and [`Throttle::started`].
    writing: bool,
}

/// A wider spacing for a while.
#[derive(Clone, Copy, Debug)]
struct Slow {
    spacing: Duration,
    until: Instant,
}

impl Throttle {
    /// Creates the throttle of a domain that was never asked.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            made: 0,
            made_before: None,
            starts: VecDeque::new(),
            last_start: None,
            last_end: None,
            grid: None,
            gap: with_margin(limits.spacing),
            cooling_until: None,
            slow: None,
            planned: 0,
            running: 0,
            writing: false,
        }
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes the limits from now on. Starts that were made under the old limits count under the new ones. Starts no
    /// longer remembered count as late as the old limits let them be: each at least the old spacing before the next, and
    /// those made under limits before the old ones as made with the last of them.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        let apart = self.least_apart();
        self.limits = limits;
        self.gap = with_margin(limits.spacing);
        self.grid = None;
        self.recall_starts(apart);
        self.made_before = self.last_start.map(|last| (self.made, last));
    }

    /// The least distance of two starts under the limits in force.
    fn least_apart(&self) -> Duration {
        let window = self.limits.rate.window().filter(|_| self.burst_slots() == 0 && self.is_even());
        window.map_or(Duration::ZERO, |window| floor_of(window.interval())).max(self.limits.spacing)
    }

    /// Fills the new window with starts that the old limits did not remember one by one.
    fn recall_starts(&mut self, apart: Duration) {
        let Some(window) = self.limits.rate.window() else { return self.starts.clear() };
        let most = window.count.get() as usize;
        let surplus = self.starts.len().saturating_sub(most);
        self.starts.drain(..surplus);
        let Some(oldest) = self.starts.front().copied().or(self.last_start) else { return };
        let made = usize::try_from(self.made).unwrap_or(usize::MAX);
        let (before, last_before) = self.made_before.map_or((0, oldest), |(count, at)| (count, at.min(oldest)));
        let under_old = made.saturating_sub(usize::try_from(before).unwrap_or(usize::MAX));
        // Where none is remembered, the last start is itself the first to be filled in.
        let mut next = if self.starts.is_empty() { Some(oldest) } else { oldest.checked_sub(apart) };
        while self.starts.len() < made.min(most) {
            let at = match next {
                Some(at) if self.starts.len() < under_old => at,
                _ => last_before,
            };
            if self.last_start.is_some_and(|last| at + window.per * 2 < last) {
                // It has left every window that a later start can be in.
                return;
            }
            self.starts.push_front(at);
            next = at.checked_sub(apart);
        }
    }

    /// Tells when one more request is due, at or after `now`, without taking a place for it.
    ///
    /// # Errors
    /// As many are in flight as may be.
    pub(crate) fn look(&self, now: Instant) -> Result<Instant, Refusal> {
        if self.in_flight() >= self.limits.in_flight.get() {
            return Err(Refusal::Full);
        }
        Ok(self.due_after(self.planned, now))
    }

    /// Takes a place for one request. It is given back by [`Throttle::release`].
    pub(crate) fn plan(&mut self) {
        self.planned += 1;
    }

    /// Tells whether one granted request may be written now. If all who must agree do, [`Throttle::begin_writing`]
    /// follows.
    ///
    /// # Errors
    /// The law allows it only later: a permit that comes late is timed again, never bunched with the next.
    pub(crate) fn may_start(&self, now: Instant) -> Result<(), NotBefore> {
        if self.writing {
            return Err(NotBefore(now + WRITING));
        }
        match self.earliest() {
            Some(earliest) if earliest > now => Err(NotBefore(earliest)),
            _ => Ok(()),
        }
    }

    /// Lets nothing else start until the granted request that is now being written has been: followed by
    /// [`Throttle::started`], or by [`Throttle::release`].
    pub(crate) fn begin_writing(&mut self) {
        self.writing = self.is_paced();
    }

    /// Records that a granted request was written at `at`. `random` in 0.0..1.0 draws the jitter of the next gap.
    /// Returns the time since the start before, whoever made that.
    pub(crate) fn started(&mut self, at: Instant, random: f64) -> Option<Duration> {
        self.writing = false;
        self.planned = self.planned.saturating_sub(1);
        self.running += 1;
        self.made += 1;
        let since_last = self.last_start.map(|last| at.saturating_duration_since(last));
        self.last_start = Some(at);
        self.slow = self.slow.filter(|slow| slow.until > at);
        self.gap = with_margin(self.limits.spacing.mul_f64(1.0 + self.limits.jitter * random));
        let Some(window) = self.limits.rate.window() else { return since_last };
        while self.starts.len() >= window.count.get() as usize {
            self.starts.pop_front();
        }
        self.starts.push_back(at);
        let patience = self.patience();
        let on_time = self.grid.filter(|grid| at.saturating_duration_since(*grid) <= patience);
        self.grid = Some(on_time.unwrap_or(at) + window.interval());
        since_last
    }

    /// Takes for granted that the domain was asked as much as was lawful up to `at`, by somebody who is gone.
    ///
    /// A rate that is kept evenly goes on evenly. Where it could have come in a burst, or its window is so short that
    /// waiting for it costs little, the window counts as full. What was really asked later than `at` is kept.
    pub(crate) fn assume_asked(&mut self, at: Instant) {
        if self.last_start >= Some(at) {
            return;
        }
        (self.last_start, self.last_end) = (Some(at), Some(at));
        let Some(window) = self.limits.rate.window() else { return };
        self.grid = Some(at + window.interval());
        if self.limits.rate.burst_size() > 1 || window.per <= SHORT_WINDOW {
            self.starts = std::iter::repeat_n(at, window.count.get() as usize).collect();
        }
    }

    /// Gives a place back at `now`; `started` tells whether its request was written.
    pub(crate) fn release(&mut self, now: Instant, started: bool) {
        if started {
            self.running = self.running.saturating_sub(1);
            self.last_end = Some(now);
        } else {
            self.planned = self.planned.saturating_sub(1);
        }
    }

    /// Turns a started request into a granted one, for a second attempt under the same permit.
    pub(crate) fn restart(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.planned += 1;
    }

    /// Lets nothing start before `until`; a shorter wish never shortens a longer one.
    pub(crate) fn cool(&mut self, until: Instant) {
        self.cooling_until = self.cooling_until.max(Some(until));
    }

    /// Leaves at least `spacing` between two starts until `until`; the latest wish replaces the one before.
    pub(crate) fn slow(&mut self, spacing: Duration, until: Instant) {
        self.slow = Some(Slow { spacing, until });
    }

    /// Lifts what [`Throttle::slow`] asked for.
    pub(crate) fn hurry(&mut self) {
        self.slow = None;
    }

    /// Returns how many requests may have started after `at`: exactly with a rate, else as many as are in flight.
    pub fn started_since(&self, at: Instant) -> u32 {
        if self.limits.rate.window().is_none() {
            return self.running;
        }
        let later = self.starts.len() - self.starts.partition_point(|start| *start <= at);
        u32::try_from(later).unwrap_or(u32::MAX)
    }

    /// Returns until when the domain cools.
    #[cfg(test)]
    pub fn cooling_until(&self) -> Option<Instant> {
        self.cooling_until
    }

    /// Returns how many permits are out, started or not.
    pub fn in_flight(&self) -> u32 {
        self.planned + self.running
    }

    /// Returns how many requests are in flight: written, and their permits not ended.
    pub(crate) fn running(&self) -> u32 {
        self.running
    }

    /// Tells whether each start has a place of its own on the even grid, rather than the window alone holding them.
    pub fn is_even(&self) -> bool {
        self.limits.rate.window().is_some_and(|window| window.interval() >= SHORTEST_EVEN_INTERVAL)
    }

    /// Tells whether nothing distinguishes this throttle from a fresh one any more, so that forgetting it changes
    /// nothing. Until then it must be kept, also when its domain has nothing queued.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.in_flight() == 0 && self.fresh_at().is_none_or(|at| at <= now)
    }

    /// Returns when [`Throttle::is_fresh`] will hold if nothing more is asked.
    pub fn fresh_at(&self) -> Option<Instant> {
        let newest_leaves_window =
            self.limits.rate.window().and_then(|window| Some(*self.starts.back()? + stretched(window.per)));
        self.earliest().max(newest_leaves_window).max(self.grid).max(self.slow.map(|slow| slow.until))
    }

    /// Returns the earliest lawful start; `None` where nothing holds it back.
    fn earliest(&self) -> Option<Instant> {
        self.earliest_without_window().max(self.window_frees(0))
    }

    /// Returns when a start is due that `ahead` other permits come before.
    fn due_after(&self, ahead: u32, now: Instant) -> Instant {
        // A grid that is a little behind is planned with as it is, or its starts would never catch up with it.
        let is_behind = |at: Instant| self.limits.rate.window().is_some() && at + self.patience() >= now;
        let first = self.earliest_without_window().map_or(now, |at| if is_behind(at) { at } else { at.max(now) });
        let interval = self.limits.rate.window().map_or(Duration::ZERO, |window| window.interval());
        let slowed = self.slow.filter(|slow| slow.until > now).map_or(Duration::ZERO, |slow| slow.spacing);
        let step = self.gap.max(interval).max(slowed);
        let paced = (first + step * ahead.saturating_sub(self.burst_slots())).max(now);
        self.window_frees(ahead).map_or(paced, |at| at.max(paced))
    }

    fn earliest_without_window(&self) -> Option<Instant> {
        let rested = if self.limits.rest.is_zero() { None } else { self.last_end.map(|end| end + self.limits.rest) };
        let spaced = if self.gap.is_zero() { None } else { self.last_start.map(|last| last + self.gap) };
        let slowed = self.slow.and_then(|slow| Some((self.last_start? + slow.spacing).min(slow.until)));
        self.cooling_until.max(rested).max(spaced).max(slowed).max(self.earliest_by_rate())
    }

    fn patience(&self) -> Duration {
        if self.is_even() { CATCH_UP_EVENLY } else { CATCH_UP }
    }

    fn burst_slots(&self) -> u32 {
        self.limits.rate.burst_size() - 1
    }

    /// The even grid, less what the burst lets come early, and not nearer to the last start than an interval less the
    /// resolution of timers.
    fn earliest_by_rate(&self) -> Option<Instant> {
        let interval = self.limits.rate.window()?.interval();
        let early = interval * self.burst_slots();
        let on_grid = self.grid.and_then(|grid| grid.checked_sub(early));
        // Not at all below the timers' resolution: a plan that begins at the last start would never see that it is behind.
        let is_apart = self.burst_slots() == 0 && self.is_even();
        let apart = self.last_start.filter(|_| is_apart).map(|last| last + floor_of(interval));
        on_grid.max(apart)
    }

    /// When the window has room again for one start after `ahead` others: the window slides exactly.
    fn window_frees(&self, ahead: u32) -> Option<Instant> {
        let window = self.limits.rate.window()?;
        let oldest_that_counts = (self.starts.len() + ahead as usize).checked_sub(window.count.get() as usize)?;
        let leaves = self.starts.get(oldest_that_counts).or(self.starts.back())?;
        Some(*leaves + stretched(window.per))
    }

    fn is_paced(&self) -> bool {
        !self.gap.is_zero() || self.limits.rate.window().is_some() || self.slow.is_some()
    }
}

/// A server notes an arrival a little later than we write it, and not always by the same little: a window stretched
/// by 0.4 % (at most 4 ms) holds by its clock too.
fn stretched(window: Duration) -> Duration {
    window + (window / 250).min(Duration::from_millis(4))
}

/// As [`stretched`], for a spacing: 2 %, at most 2 ms.
fn with_margin(spacing: Duration) -> Duration {
    spacing + (spacing / 50).min(Duration::from_millis(2))
}

/// The least distance of two starts that an even interval allows: its whole milliseconds, less half of one. Timers ring
/// at whole milliseconds, so this is what lets a late start catch up with the grid: were it 10.3 ms for 95 starts a
/// second (one each 10.5 ms), every start would come after 11 ms, and only 91 in a second.
fn floor_of(interval: Duration) -> Duration {
    let whole = interval.saturating_sub(Duration::from_nanos(u64::from(interval.subsec_nanos() % 1_000_000)));
    whole.saturating_sub(Duration::from_micros(500))
}

#[cfg(test)]
mod tests;
