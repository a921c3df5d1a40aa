//! Throttle: when a domain may be asked again. Knows no clock and no network.
//!
//! The law, for each domain: in *any* window of the rate at most `count` starts; between two starts at least the
//! spacing; after each response at least the rest; at most so many in flight; none while the domain cools.
//! [`Throttle::grant`] plans with this law and [`Throttle::try_start`] holds it at the moment of sending: it is
//! one rule, seen from two places.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::politeness::Limits;

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

/// See [`Throttle::assume_asked`].
const SHORT_WINDOW: Duration = Duration::from_secs(10);

/// How long to wait when another request of the domain is being written right now.
const WRITING: Duration = Duration::from_millis(1);

/// The state of one domain's rate law.
#[derive(Clone, Debug)]
pub struct Throttle {
    limits: Limits,
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
    /// A request is between [`Throttle::try_start`] and [`Throttle::started`].
    writing: bool,
    evidence: Evidence,
}

/// A wider spacing for a while.
#[derive(Clone, Copy, Debug)]
struct Slow {
    spacing: Duration,
    until: Instant,
}

/// What a domain was really asked, as measured at the moment of writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Requests started.
    pub requests: u64,
    /// The least time between two starts.
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
}

impl Throttle {
    /// Creates the throttle of a domain that was never asked.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
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
            evidence: Evidence::default(),
        }
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Changes the limits from now on. Starts that were made under the old ones count under the new; those that are
    /// not remembered one by one count as if they had come with the oldest that is.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.gap = with_margin(limits.spacing);
        self.grid = None;
        let Some(window) = limits.rate.window() else { return self.starts.clear() };
        let most = window.count.get() as usize;
        let surplus = self.starts.len().saturating_sub(most);
        self.starts.drain(..surplus);
        if let Some(oldest) = self.starts.front().copied().or(self.last_start) {
            let made = usize::try_from(self.evidence.requests).unwrap_or(usize::MAX).min(most);
            while self.starts.len() < made {
                self.starts.push_front(oldest);
            }
        }
    }

    /// Takes a place for one request and returns the instant that it is due, at or after `now`. The place is given
    /// back by [`Throttle::release`].
    ///
    /// # Errors
    /// [`Refusal::Full`], or [`Refusal::NotBefore`] where the place would be due only after `horizon`.
    pub fn grant(&mut self, now: Instant, horizon: Instant) -> Result<Instant, Refusal> {
        if self.in_flight() >= self.limits.in_flight.get() {
            return Err(Refusal::Full);
        }
        let due = self.due_after(self.planned, now);
        if due > horizon {
            return Err(Refusal::NotBefore(due));
        }
        self.planned += 1;
        Ok(due)
    }

    /// Allows one granted request to be written now. It must be followed by [`Throttle::started`] once it is written,
    /// or by [`Throttle::release`].
    ///
    /// # Errors
    /// The law allows it only later: a permit that comes late is timed again, never bunched with the next.
    pub fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        if self.writing {
            return Err(NotBefore(now + WRITING));
        }
        match self.earliest() {
            Some(earliest) if earliest > now => Err(NotBefore(earliest)),
            _ => {
                self.writing = self.is_paced();
                Ok(())
            }
        }
    }

    /// Records that a granted request was written at `at`. `random` in 0.0..1.0 draws the jitter of the next gap.
    pub fn started(&mut self, at: Instant, random: f64) {
        self.writing = false;
        self.planned = self.planned.saturating_sub(1);
        self.running += 1;
        self.evidence.note_start(self.last_start.map(|last| at.saturating_duration_since(last)), self.running);
        self.last_start = Some(at);
        self.slow = self.slow.filter(|slow| slow.until > at);
        self.gap = with_margin(self.limits.spacing.mul_f64(1.0 + self.limits.jitter * random));
        let Some(window) = self.limits.rate.window() else { return };
        while self.starts.len() >= window.count.get() as usize {
            self.starts.pop_front();
        }
        self.starts.push_back(at);
        let patience = self.patience();
        let on_time = self.grid.filter(|grid| at.saturating_duration_since(*grid) <= patience);
        self.grid = Some(on_time.unwrap_or(at) + window.interval());
    }

    /// Takes for granted that the domain was asked as much as was lawful up to `at`, by somebody who is gone.
    ///
    /// A rate that is kept evenly goes on evenly. Where it could have come in a burst, or its window is so short that
    /// waiting for it costs little, the window counts as full.
    pub fn assume_asked(&mut self, at: Instant) {
        (self.last_start, self.last_end) = (Some(at), Some(at));
        let Some(window) = self.limits.rate.window() else { return };
        self.grid = Some(at + window.interval());
        if self.limits.rate.burst_size() > 1 || window.per <= SHORT_WINDOW {
            self.starts = std::iter::repeat_n(at, window.count.get() as usize).collect();
        }
    }

    /// Gives a place back at `now`; `started` tells whether its request was written.
    pub fn release(&mut self, now: Instant, started: bool) {
        if started {
            self.running = self.running.saturating_sub(1);
            self.last_end = Some(now);
        } else {
            self.planned = self.planned.saturating_sub(1);
        }
    }

    /// Turns a started request into a granted one, for a second attempt under the same permit.
    pub fn restart(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.planned += 1;
    }

    /// Lets nothing start before `until`; a shorter wish never shortens a longer one.
    pub fn cool(&mut self, until: Instant) {
        self.cooling_until = self.cooling_until.max(Some(until));
    }

    /// Leaves at least `spacing` between two starts until `until`; the latest wish replaces the one before.
    pub fn slow(&mut self, spacing: Duration, until: Instant) {
        self.slow = Some(Slow { spacing, until });
    }

    /// Lifts what [`Throttle::slow`] asked for.
    pub fn hurry(&mut self) {
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
    pub fn cooling_until(&self) -> Option<Instant> {
        self.cooling_until
    }

    /// Returns how many permits are out, started or not.
    pub fn in_flight(&self) -> u32 {
        self.planned + self.running
    }

    /// Returns what the domain was really asked.
    pub fn evidence(&self) -> Evidence {
        self.evidence
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

impl Evidence {
    fn note_start(&mut self, gap: Option<Duration>, in_flight: u32) {
        self.requests += 1;
        self.smallest_gap = match (self.smallest_gap, gap) {
            (Some(smallest), Some(gap)) => Some(smallest.min(gap)),
            (smallest, gap) => smallest.or(gap),
        };
        self.most_in_flight = self.most_in_flight.max(in_flight);
    }

    /// Adds what was measured earlier for the same domain.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.smallest_gap = match (self.smallest_gap, other.smallest_gap) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.most_in_flight = self.most_in_flight.max(other.most_in_flight);
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
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::rate::Rate;

    const MS: Duration = Duration::from_millis(1);

    fn spaced(spacing: Duration, in_flight: u32) -> Limits {
        Limits { spacing, in_flight: NonZeroU32::new(in_flight).unwrap(), ..Limits::rate(Rate::UNLIMITED) }
    }

    /// A world with its own clock: as many workers as there may be in flight ask for permits whenever they have none,
    /// write when they are allowed to, as late as `stalls` says, and hold the permit for `latency`.
    struct World {
        throttle: Throttle,
        now: Instant,
        /// How fine its timer is.
        tick: Duration,
        starts: Vec<Instant>,
    }

    impl World {
        fn new(limits: Limits) -> Self {
            Self { throttle: Throttle::new(limits), now: Instant::now(), tick: MS, starts: Vec::new() }
        }

        fn run(
            &mut self,
            duration: Duration,
            latency: &mut dyn FnMut() -> Duration,
            stall: &mut dyn FnMut() -> Duration,
        ) {
            let end = self.now + duration;
            let mut ends: Vec<Instant> = Vec::new();
            while self.now < end {
                let now = self.now;
                let released = ends.iter().filter(|at| **at <= now).count();
                ends.retain(|at| *at > now);
                (0..released).for_each(|_| self.throttle.release(now, true));
                while self.throttle.grant(now, now + 5 * MS).is_ok() {}
                while self.throttle.planned > 0 && self.throttle.try_start(self.now).is_ok() {
                    self.throttle.started(self.now, 0.5);
                    self.starts.push(self.now);
                    ends.push(self.now + latency());
                }
                self.now += self.tick + stall();
            }
        }

        fn fullest_window(&self, per: Duration) -> usize {
            let most = |(from, start): (usize, &Instant)| {
                self.starts.iter().skip(from).take_while(|at| **at < *start + per).count()
            };
            self.starts.iter().enumerate().map(most).max().unwrap_or(0)
        }

        fn smallest_gap(&self) -> Duration {
            self.starts.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
        }
    }

    #[test]
    fn fifty_a_second_reaches_99_percent_and_never_51_in_any_second() {
        let mut world = World::new(Limits::rate(Rate::per_second(50)));
        world.run(Duration::from_secs(20), &mut || 700 * MS, &mut || Duration::ZERO);
        assert!(world.starts.len() >= 990, "{} of 1,000", world.starts.len());
        assert_eq!(world.fullest_window(Duration::from_secs(1)), 50);
        assert!(world.smallest_gap() >= 19 * MS);
    }

    #[test]
    fn five_thousand_a_second_reaches_99_percent_with_a_timer_of_one_millisecond() {
        let mut world = World::new(Limits::rate(Rate::per_second(5_000)));
        world.run(Duration::from_secs(3), &mut || MS, &mut || Duration::ZERO);
        assert!(world.starts.len() >= 14_850, "{} of 15,000", world.starts.len());
        assert!(world.fullest_window(Duration::from_secs(1)) <= 5_000);
    }

    #[test]
    fn after_a_restart_nothing_is_asked_that_could_break_the_law_together_with_what_was_asked_before() {
        let now = Instant::now();
        let mut spaced = Throttle::new(spaced(1_000 * MS, 1));
        spaced.assume_asked(now);
        assert!(spaced.grant(now, now).is_err_and(|why| why >= Refusal::NotBefore(now + 1_000 * MS)));
        let mut even = Throttle::new(Limits::rate(Rate::per_hour(60)));
        even.assume_asked(now);
        assert_eq!(even.grant(now, now + 3_600_000 * MS), Ok(now + 60_000 * MS), "an even rate goes on evenly");
        let mut bursty = Throttle::new(Limits::rate(Rate::per_minute(10).burst(10)));
        bursty.assume_asked(now);
        let due = bursty.grant(now, now + 3_600_000 * MS).unwrap();
        assert!(due >= now + 60_000 * MS, "all ten may have been used right before");
        assert!(!bursty.is_fresh(now + 59_000 * MS));
    }

    #[test]
    fn slow_rates_hold_over_virtual_hours() {
        for (rate, per, expected) in [("1/10s", 10, 360), ("30/m", 60, 1_800)] {
            let mut world = World::new(Limits::rate(rate.parse().unwrap()));
            world.run(Duration::from_secs(3_600), &mut || 300 * MS, &mut || 4 * MS);
            let (count, most) = (world.starts.len(), world.fullest_window(Duration::from_secs(per)));
            assert!(count * 100 >= expected * 99, "{rate}: {count} of {expected}");
            assert_eq!(most, expected * usize::try_from(per).unwrap() / 3_600, "{rate}");
        }
    }

    #[test]
    fn a_burst_comes_at_once_but_the_window_slides_exactly() {
        let mut world = World::new(Limits::rate(Rate::per_second(10).burst(10)));
        world.run(5 * MS, &mut || MS, &mut || Duration::ZERO);
        assert_eq!(world.starts.len(), 10, "all of the burst at once");
        world.run(Duration::from_secs(10), &mut || MS, &mut || Duration::ZERO);
        assert_eq!(world.fullest_window(Duration::from_secs(1)), 10, "a token bucket lets 19 through");
        assert!(world.starts.len() >= 99);
    }

    #[test]
    fn a_domain_rests_after_each_response() {
        let limits = Limits { rest: 500 * MS, ..spaced(Duration::ZERO, 1) };
        let mut world = World::new(limits);
        world.run(Duration::from_secs(6), &mut || 100 * MS, &mut || Duration::ZERO);
        assert!(world.smallest_gap() >= 600 * MS && world.starts.len() >= 9);
    }

    #[test]
    fn a_stall_is_not_made_up_for_in_a_burst() {
        let mut world = World::new(spaced(100 * MS, 8));
        let mut stalls = [0, 0, 950, 0, 0].into_iter().cycle();
        world.run(Duration::from_secs(5), &mut || MS, &mut || stalls.next().unwrap_or(0) * MS);
        assert!(world.smallest_gap() >= 100 * MS);
    }

    #[test]
    fn a_throttle_is_fresh_only_when_its_past_cannot_be_seen_any_more() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Limits { spacing: 100 * MS, ..Limits::rate(Rate::per_second(2)) });
        assert!(throttle.is_fresh(start));
        throttle.grant(start, start).unwrap();
        throttle.try_start(start).unwrap();
        throttle.started(start, 0.0);
        throttle.release(start + MS, true);
        assert!(!throttle.is_fresh(start + 999 * MS), "the start still counts in its window");
        assert!(throttle.is_fresh(start + 1_010 * MS));
        throttle.cool(start + 9_000 * MS);
        assert!(!throttle.is_fresh(start + 8_999 * MS), "a cooling domain is remembered");
    }

    #[test]
    fn while_one_request_is_being_written_no_other_starts() {
        let now = Instant::now();
        let mut throttle = Throttle::new(Limits::rate(Rate::per_second(1_000).burst(9)));
        throttle.grant(now, now).unwrap();
        throttle.grant(now, now).unwrap();
        throttle.try_start(now).unwrap();
        assert!(throttle.try_start(now).is_err());
        throttle.started(now, 0.0);
        assert!(throttle.try_start(now).is_ok());
    }

    /// Two threads passed together, since nothing but the quota held them apart.
    #[test]
    fn while_a_quota_is_spread_requests_are_written_one_by_one_also_without_a_rate() {
        let (now, second) = (Instant::now(), 1_000 * MS);
        let mut throttle = Throttle::new(Limits::rate(Rate::UNLIMITED));
        throttle.slow(second, now + 9 * second);
        for _ in 0..2 {
            throttle.grant(now, now + second).unwrap();
        }
        throttle.try_start(now).unwrap();
        assert!(throttle.try_start(now).is_err());
        throttle.started(now, 0.0);
        assert_eq!(throttle.try_start(now), Err(NotBefore(now + second)));
    }

    #[test]
    fn starts_made_under_the_old_rate_count_under_the_new() {
        for (old, new) in [("50/s", "10/2s"), ("10/s", "50/s"), ("50/s", "100/10s"), ("unlimited", "20/s")] {
            let (old, new): (Rate, Rate) = (old.parse().unwrap(), new.parse().unwrap());
            let mut world = World::new(Limits { in_flight: NonZeroU32::new(60).unwrap(), ..Limits::rate(old) });
            world.run(Duration::from_secs(1), &mut || 500 * MS, &mut || Duration::ZERO);
            let before = world.starts.len();
            world.throttle.set_limits(Limits::rate(new));
            world.run(Duration::from_secs(12), &mut || 500 * MS, &mut || Duration::ZERO);
            let window = new.window().unwrap();
            for (index, start) in world.starts.iter().enumerate().skip(before) {
                let within = world.starts[..=index].iter().filter(|at| **at > *start - window.per).count();
                assert!(within <= window.count.get() as usize, "{old} to {new}: {within}");
            }
            assert!(world.starts.len() > before + 10, "{old} to {new}");
        }
    }

    #[test]
    fn a_domain_that_is_slowed_keeps_the_spacing_until_it_may_hurry() {
        let mut world = World::new(Limits::rate(Rate::per_second(100)));
        world.run(100 * MS, &mut || MS, &mut || Duration::ZERO);
        let (from, until) = (world.starts.len(), world.now + Duration::from_secs(2));
        world.throttle.slow(200 * MS, until);
        world.run(Duration::from_secs(3), &mut || MS, &mut || Duration::ZERO);
        let slow = world.starts[from..].iter().filter(|at| **at < until).count();
        let fast = world.starts[from..].iter().filter(|at| **at >= until).count();
        assert!((9..=11).contains(&slow) && fast >= 95, "{slow} slow, {fast} fast");
    }

    #[test]
    fn a_permit_that_was_never_used_gives_its_place_to_the_next() {
        let now = Instant::now();
        let mut throttle = Throttle::new(Limits::rate(Rate::per_second(1)));
        assert_eq!(throttle.grant(now, now), Ok(now));
        throttle.release(now, false);
        assert_eq!(throttle.grant(now, now), Ok(now), "no slot was lost");
    }

    #[test]
    fn as_many_as_may_be_in_flight_and_not_one_more() {
        let now = Instant::now();
        let mut throttle = Throttle::new(spaced(Duration::ZERO, 2));
        assert!(throttle.grant(now, now).is_ok() && throttle.grant(now, now).is_ok());
        assert_eq!(throttle.grant(now, now), Err(Refusal::Full));
        throttle.release(now, false);
        assert!(throttle.grant(now, now).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_law_holds_whatever_arrives_and_however_it_stalls(
            count in 1_u32..40,
            per_ms in 200_u64..3_000,
            spacing_ms in prop_oneof![Just(0_u64), 1_u64..200],
            burst in 1_u32..10,
            in_flight in 1_u32..20,
            latencies in prop::collection::vec(0_u64..400, 1..20),
            stalls in prop::collection::vec(prop_oneof![8 => Just(0_u64), 1 => 0_u64..300], 1..50),
        ) {
            let per = Duration::from_millis(per_ms);
            let spacing = Duration::from_millis(spacing_ms);
            let rate = Rate::new(count, per).unwrap().burst(burst);
            let mut world = World::new(Limits { rate, ..spaced(spacing, in_flight) });
            let mut latency = latencies.iter().cycle().map(|ms| Duration::from_millis(*ms));
            let mut stall = stalls.iter().cycle().map(|ms| Duration::from_millis(*ms));
            world.run(Duration::from_secs(8), &mut || latency.next().unwrap_or(MS), &mut || stall.next().unwrap_or(MS));
            prop_assert!(world.fullest_window(per) <= count as usize);
            prop_assert!(world.smallest_gap() >= spacing);
            prop_assert!(world.starts.len() > 1, "nobody starves");
        }

        #[test]
        fn with_work_to_do_the_rate_is_reached(count in 1_u32..400, per_ms in 500_u64..4_000) {
            let per = Duration::from_millis(per_ms);
            let rate = Rate::new(count, per).unwrap();
            let mut world = World::new(Limits::rate(rate));
            // As the gate is woken: finely where starts are spread evenly.
            world.tick = if world.throttle.is_even() { MS / 5 } else { MS };
            world.run(per * 6, &mut || 90 * MS, &mut || Duration::ZERO);
            prop_assert!(world.starts.len() as f64 >= f64::from(count) * 6.0 * 0.99, "{} of {}", world.starts.len(), count * 6);
        }
    }
}
