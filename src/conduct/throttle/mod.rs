//! Throttle: when the next request to a domain may start, under one set of limits. Knows no clock and no network.
//!
//! The law: in *any* window of the rate at most `count` starts; between two starts at least the spacing; after each
//! response at least the rest; at most so many in flight; none while the domain cools. `Throttle::look` plans with this
//! law and `Throttle::may_start` enforces it at the moment of writing: one rule, used in two places. If a domain has
//! several tenants, each has its own throttle, every throttle counts every start, and a start needs leave of all
//! ([`Conduct`](crate::conduct::Conduct)).

mod assumed;
mod evidence;
mod forecast;
mod missed;
mod past;
mod spared;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::{
    evidence::Evidence,
    past::{LastAsked, Starts},
};
use self::{
    past::{Past, next_on_grid},
    spared::{Slow, Spared},
};
use crate::politeness::limits::Limits;

/// The earliest instant at which it is useful to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotBefore(pub Instant);

/// Why no permit is granted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The law allows the next start only at this instant.
    NotBefore(Instant),
    /// The most requests are in flight, or the domain is paused: ask again when notified.
    Full,
    /// Another tenant of the domain goes first: ask again when notified, or at this instant at the latest.
    OtherTenant(Instant),
    /// The term has lapsed in which this process may ask anybody: look at this instant whether it is renewed.
    Lapsed(Instant),
}

impl From<NotBefore> for Refusal {
    fn from(NotBefore(at): NotBefore) -> Self {
        Self::NotBefore(at)
    }
}

/// How late a start may be for its place on the even grid without moving the grid, so that timer delays do not add up.
/// A longer delay starts a new grid.
const CATCH_UP: Duration = Duration::from_millis(20);

/// The same when each start has its own place on the grid. The least distance between two starts still holds while they
/// catch up, so nothing bunches, and a longer delay can be made up.
const CATCH_UP_EVENLY: Duration = Duration::from_millis(100);

/// The shortest interval with a place for each start: millisecond timers cannot keep shorter ones. Below it the grid
/// only smooths, and the window enforces the rate.
const MIN_EVEN_INTERVAL: Duration = Duration::from_millis(4);

/// How long to wait while another request of the domain is being written.
const WRITING: Duration = Duration::from_millis(1);

/// The state of one rate law at one domain. What most domains never have is held apart: a crawl knows a million.
#[derive(Clone, Debug)]
pub struct Throttle {
    limits: Arc<Limits>,
    /// The total number of starts, by all tenants.
    made: u64,
    last_start: Option<Instant>,
    last_end: Option<Instant>,
    /// The spacing to the next start, including its jitter.
    gap: Duration,
    /// The starts before the last one; `None` while neither a rate counts them nor the limits were changed.
    past: Option<Box<Past>>,
    /// `None` while nothing but the limits delays a start.
    spared: Option<Box<Spared>>,
    /// Permits granted and not yet started.
    planned: u32,
    /// Permits started and not yet released.
    running: u32,
    /// Whether a request is between [`Throttle::begin_writing`] and [`Throttle::started`].
    writing: bool,
}

impl Throttle {
    /// Creates the throttle of an unused domain.
    pub(crate) fn new(limits: impl Into<Arc<Limits>>) -> Self {
        let limits = limits.into();
        Self {
            gap: with_margin(limits.spacing),
            limits,
            made: 0,
            last_start: None,
            last_end: None,
            past: None,
            spared: None,
            planned: 0,
            running: 0,
            writing: false,
        }
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes the limits. Starts made under the old limits count under the new ones; those that are not remembered one
    /// by one count as made as late as possible (see [`Starts`]).
    pub(crate) fn set_limits(&mut self, limits: impl Into<Arc<Limits>>) {
        let (starts, apart) = (self.starts(), self.least_apart());
        self.limits = limits.into();
        self.gap = with_margin(self.limits.spacing);
        let Some(starts) = starts else { return };
        let past = self.past.get_or_insert_default();
        (past.grid, past.missed) = Default::default();
        match self.limits.rate.window() {
            Some(window) => past.fill(window, Starts { apart, ..starts }),
            None => past.starts.clear(),
        }
        past.before = Some(starts);
    }

    /// The least distance between two starts under the limits in force.
    fn least_apart(&self) -> Duration {
        let window = self.limits.rate.window().filter(|_| self.burst_slots() == 0 && self.is_even());
        window.map_or(Duration::ZERO, |window| floor_of(window.interval())).max(self.limits.spacing)
    }

    /// Returns when one more request would be due, at or after `now`, without planning it.
    ///
    /// # Errors
    /// The most requests are in flight.
    pub(crate) fn look(&self, now: Instant) -> Result<Instant, Refusal> {
        if self.in_flight() >= self.limits.in_flight.get() {
            return Err(Refusal::Full);
        }
        Ok(self.due_after(self.planned, now))
    }

    /// Tells whether one more request takes the last place in flight, and nothing has to be known of those that then
    /// wait for one: see [`Throttle::wait_for_place`].
    pub(crate) fn is_last_place(&self) -> bool {
        self.limits.rate.window().is_none() && self.in_flight() + 1 >= self.limits.in_flight.get()
    }

    /// Plans one request; [`Throttle::release`] ends it.
    pub(crate) fn plan(&mut self) {
        self.planned += 1;
    }

    /// Tells whether a granted request may be written now. If all tenants' throttles agree, [`Throttle::begin_writing`]
    /// follows.
    ///
    /// # Errors
    /// The law allows it only later: a late permit is re-timed, never bunched with the next.
    pub(crate) fn may_start(&self, now: Instant) -> Result<(), NotBefore> {
        if self.writing {
            return Err(NotBefore(now + WRITING));
        }
        match self.earliest() {
            Some(earliest) if earliest > now => Err(NotBefore(earliest)),
            _ => Ok(()),
        }
    }

    /// Blocks all other starts while the granted request is being written, until [`Throttle::started`] or
    /// [`Throttle::release`].
    pub(crate) fn begin_writing(&mut self) {
        self.writing = self.is_paced();
    }

    /// Records that a granted request was written at `at`. `random` in 0.0..1.0 draws the jitter of the next gap.
    /// Returns the time since the previous start by any tenant.
    pub(crate) fn started(&mut self, at: Instant, random: f64) -> Option<Duration> {
        self.writing = false;
        self.planned = self.planned.saturating_sub(1);
        self.running += 1;
        self.made += 1;
        let since_last = self.last_start.map(|last| at.saturating_duration_since(last));
        self.last_start = Some(at);
        self.spared.take_if(|spared| spared.is_over(at));
        self.gap = with_margin(self.limits.spacing.mul_f64(1.0 + self.limits.jitter * random));
        let Some(window) = self.limits.rate.window() else { return since_last };
        let catch_up = self.catch_up();
        let past = self.past.get_or_insert_default();
        while past.starts.len() >= window.count.get() as usize {
            past.starts.pop_front();
        }
        past.starts.push_back(at);
        past.grid = Some(next_on_grid(past.grid, at, window, catch_up));
        since_last
    }

    /// Notes that a request waits until one of those in flight ends: a rate has to know what it missed.
    pub(crate) fn wait_for_place(&mut self, now: Instant) {
        if self.limits.rate.window().is_some() {
            self.past.get_or_insert_default().missed.wait(now);
        }
    }

    /// Ends a planned request at `now`; `started` tells whether it was written. Returns how many starts the rate has
    /// allowed while another request waited for the place.
    pub(crate) fn release(&mut self, now: Instant, started: bool) -> u32 {
        let missed = self.limits.rate.window().map_or(0, |window| {
            let earliest = self.earliest();
            let past = self.past.as_mut();
            past.map_or(0, |past| past.missed.place_is_free(now, earliest, window.interval().max(self.gap)))
        });
        if started {
            self.running = self.running.saturating_sub(1);
            self.last_end = Some(now);
        } else {
            self.planned = self.planned.saturating_sub(1);
        }
        missed
    }

    /// Turns a started request back into a granted one, for a second attempt under the same permit.
    pub(crate) fn restart(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.planned += 1;
    }

    /// Blocks starts before `until`, or before the present end of cooling if that is later.
    pub(crate) fn cool(&mut self, until: Instant) {
        let spared = self.spared.get_or_insert_default();
        spared.cooling_until = spared.cooling_until.max(Some(until));
    }

    /// Requires at least `spacing` between two starts until `until`, replacing an earlier such requirement.
    pub(crate) fn slow(&mut self, spacing: Duration, until: Instant) {
        self.spared.get_or_insert_default().slow = Some(Slow { spacing, until });
    }

    /// Returns what [`Throttle::slow`] asked for, and until when.
    pub(crate) fn slowed(&self) -> Option<(Duration, Instant)> {
        self.slowness().map(|slow| (slow.spacing, slow.until))
    }

    /// Ends the effect of [`Throttle::slow`].
    pub(crate) fn hurry(&mut self) {
        if let Some(spared) = &mut self.spared {
            spared.slow = None;
        }
    }

    /// Returns how many requests may have started after `at`: exactly with a rate, else as many as are in flight.
    pub fn started_since(&self, at: Instant) -> u32 {
        if self.limits.rate.window().is_none() {
            return self.running;
        }
        let Some(past) = &self.past else { return 0 };
        let later = past.starts.len() - past.starts.partition_point(|start| *start <= at);
        u32::try_from(later).unwrap_or(u32::MAX)
    }

    /// Returns how many requests started of late, per second: those within the rate's window; 0 without a rate.
    pub(crate) fn starts_per_second(&self, now: Instant) -> f64 {
        let Some(window) = self.limits.rate.window() else { return 0.0 };
        let from = now.checked_sub(window.per).unwrap_or(now);
        f64::from(self.started_since(from)) / window.per.as_secs_f64()
    }

    /// Returns until when the domain cools.
    pub fn cooling_until(&self) -> Option<Instant> {
        self.spared.as_ref()?.cooling_until
    }

    fn slowness(&self) -> Option<Slow> {
        self.spared.as_ref()?.slow
    }

    /// Returns how many permits are out, started or not.
    pub fn in_flight(&self) -> u32 {
        self.planned + self.running
    }

    /// Returns how many requests are in flight: written, with permits that have not ended.
    pub(crate) fn running(&self) -> u32 {
        self.running
    }

    /// Tells whether each start has its own place on the even grid, rather than the window alone limiting them.
    pub fn is_even(&self) -> bool {
        self.limits.rate.window().is_some_and(|window| window.interval() >= MIN_EVEN_INTERVAL)
    }

    /// Tells whether this throttle is indistinguishable from a fresh one, so that it may be forgotten. Until then it
    /// must be kept, even if its domain has nothing queued.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.in_flight() == 0 && self.fresh_at().is_none_or(|at| at <= now)
    }

    /// Returns when [`Throttle::is_fresh`] becomes true if no more requests are made.
    pub fn fresh_at(&self) -> Option<Instant> {
        let past = self.past.as_ref();
        let newest = past.and_then(|past| past.starts.back());
        let newest_leaves_window = self.limits.rate.window().and_then(|window| Some(*newest? + stretched(window.per)));
        let grid = past.and_then(|past| past.grid);
        self.earliest().max(newest_leaves_window).max(grid).max(self.slowness().map(|slow| slow.until))
    }

    /// Returns the earliest lawful start; `None` if nothing delays it.
    fn earliest(&self) -> Option<Instant> {
        self.earliest_without_window().max(self.window_frees(0))
    }

    /// Returns when a start is due after `ahead` other permits.
    fn due_after(&self, ahead: u32, now: Instant) -> Instant {
        // Plan with a grid that is slightly late as it is; otherwise starts would never catch up with it.
        let is_behind = |at: Instant| self.limits.rate.window().is_some() && at + self.catch_up() >= now;
        let first = self.earliest_without_window().map_or(now, |at| if is_behind(at) { at } else { at.max(now) });
        let interval = self.limits.rate.window().map_or(Duration::ZERO, |window| window.interval());
        let slowed = self.slowness().filter(|slow| slow.until > now).map_or(Duration::ZERO, |slow| slow.spacing);
        let step = self.gap.max(interval).max(slowed);
        let paced = (first + step * ahead.saturating_sub(self.burst_slots())).max(now);
        self.window_frees(ahead).map_or(paced, |at| at.max(paced))
    }

    fn earliest_without_window(&self) -> Option<Instant> {
        let rested = if self.limits.rest.is_zero() { None } else { self.last_end.map(|end| end + self.limits.rest) };
        let spaced = if self.gap.is_zero() { None } else { self.last_start.map(|last| last + self.gap) };
        let slowed = self.slowness().and_then(|slow| Some((self.last_start? + slow.spacing).min(slow.until)));
        self.cooling_until().max(rested).max(spaced).max(slowed).max(self.earliest_by_rate())
    }

    fn catch_up(&self) -> Duration {
        if self.is_even() { CATCH_UP_EVENLY } else { CATCH_UP }
    }

    fn burst_slots(&self) -> u32 {
        self.limits.rate.burst_size() - 1
    }

    /// Returns the next place on the even grid, less what a burst allows to come early, but at least an interval, less
    /// the timers' resolution, after the last start.
    fn earliest_by_rate(&self) -> Option<Instant> {
        let interval = self.limits.rate.window()?.interval();
        let early = interval * self.burst_slots();
        let grid = self.past.as_ref().and_then(|past| past.grid);
        let on_grid = grid.and_then(|grid| grid.checked_sub(early));
        // Not below the timers' resolution: a plan based on the last start would never notice that it is late.
        let is_apart = self.burst_slots() == 0 && self.is_even();
        let apart = self.last_start.filter(|_| is_apart).map(|last| last + floor_of(interval));
        on_grid.max(apart)
    }

    /// Returns when the sliding window has room for one start after `ahead` others.
    fn window_frees(&self, ahead: u32) -> Option<Instant> {
        let window = self.limits.rate.window()?;
        let starts = &self.past.as_ref()?.starts;
        let oldest_that_counts = (starts.len() + ahead as usize).checked_sub(window.count.get() as usize)?;
        let leaves = starts.get(oldest_that_counts).or(starts.back())?;
        Some(*leaves + stretched(window.per))
    }

    fn is_paced(&self) -> bool {
        !self.gap.is_zero() || self.limits.rate.window().is_some() || self.slowness().is_some()
    }
}

/// Stretches the window by 0.4 %, at most 4 ms: a server records arrivals slightly later than we write, by a varying
/// time, and the law must also hold by its clock.
fn stretched(window: Duration) -> Duration {
    window + (window / 250).min(Duration::from_millis(4))
}

/// The same for a spacing: 2 %, at most 2 ms.
fn with_margin(spacing: Duration) -> Duration {
    spacing + (spacing / 50).min(Duration::from_millis(2))
}

/// The least distance between two starts at an even interval: its whole milliseconds, less half of one. Timers fire at
/// whole milliseconds, so this lets a late start catch up with the grid. If it were 10.3 ms for 95 starts a second (one
/// each 10.5 ms), every start would come after 11 ms, and a second would have only 91.
fn floor_of(interval: Duration) -> Duration {
    let whole = interval.saturating_sub(Duration::from_nanos(u64::from(interval.subsec_nanos() % 1_000_000)));
    whole.saturating_sub(Duration::from_micros(500))
}

#[cfg(test)]
mod tests;
