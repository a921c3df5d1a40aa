//! The throttle's law under a simulated clock. `tests/rate.rs` and `tests/politeness.rs` judge it by what a server
//! sees.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::rate::Rate;

const MS: Duration = Duration::from_millis(1);

fn spaced(spacing: Duration, in_flight: u32) -> Limits {
    Limits { spacing, in_flight: NonZeroU32::new(in_flight).unwrap(), ..Limits::rate(Rate::UNLIMITED) }
}

/// Combines the steps as a domain with one tenant does.
impl Throttle {
    fn grant(&mut self, now: Instant, horizon: Instant) -> Result<Instant, Refusal> {
        let due = self.look(now)?;
        if due > horizon {
            return Err(Refusal::NotBefore(due));
        }
        self.plan();
        Ok(due)
    }

    fn try_start(&mut self, now: Instant) -> Result<(), NotBefore> {
        self.may_start(now)?;
        self.begin_writing();
        Ok(())
    }
}

/// A world with its own clock. As many workers as may be in flight ask for a permit whenever they have none, write when
/// allowed, delayed by `stalls`, and hold the permit for `latency`.
struct World {
    throttle: Throttle,
    now: Instant,
    /// The resolution of its timer.
    tick: Duration,
    starts: Vec<Instant>,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self { throttle: Throttle::new(limits), now: Instant::now(), tick: MS, starts: Vec::new() }
    }

    fn run(&mut self, duration: Duration, latency: &mut dyn FnMut() -> Duration, stall: &mut dyn FnMut() -> Duration) {
        let end = self.now + duration;
        let mut ends: Vec<Instant> = Vec::new();
        while self.now < end {
            let now = self.now;
            let released = ends.iter().filter(|at| **at <= now).count();
            ends.retain(|at| *at > now);
            for _ in 0..released {
                self.throttle.release(now, true);
            }
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

/// Regression: two threads passed together, because only the quota separated them.
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

/// Regression: a crawl that was resumed, and then told to be slower, made all starts of the new window at once.
#[test]
fn what_an_earlier_process_may_have_asked_counts_under_limits_that_are_set_later() {
    let now = Instant::now();
    let hourly = Limits::rate(Rate::per_hour(10).burst(10));
    let mut throttle = Throttle::new(spaced(1_000 * MS, 1));
    throttle.assume_asked(now);
    throttle.set_limits(hourly);
    let due = throttle.grant(now + 2_000 * MS, now + 4_000_000 * MS).unwrap();
    assert!(due > now + 3_590_000 * MS, "ten may have been made in the ten seconds before: {:?}", due - now);
    throttle.release(now, false);
    let mut seldom = Throttle::new(spaced(1_800_000 * MS, 1));
    seldom.assume_asked(now);
    seldom.set_limits(hourly);
    assert!(seldom.grant(now + 2_000 * MS, now + 3_000 * MS).is_ok(), "at most three were lawful in that hour");
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
    fn a_forecast_is_what_the_law_does(
        count in 1_u32..40,
        per_ms in 200_u64..3_000,
        spacing_ms in prop_oneof![Just(0_u64), 1_u64..200],
        burst in 1_u32..10,
        made in 0_u64..60,
        ahead in 0_u64..200,
    ) {
        let rate = Rate::new(count, Duration::from_millis(per_ms)).unwrap().burst(burst);
        let mut throttle = Throttle::new(Limits { rate, ..spaced(Duration::from_millis(spacing_ms), 1) });
        let mut now = Instant::now();
        let ask = |throttle: &mut Throttle, from: Instant| {
            let due = throttle.look(from).unwrap();
            throttle.plan();
            throttle.started(due, 0.5);
            throttle.release(due, true);
            due
        };
        for _ in 0..made {
            now = ask(&mut throttle, now);
        }
        let forecast = throttle.forecast(ahead, now);
        for _ in 0..ahead {
            now = ask(&mut throttle, now);
        }
        prop_assert_eq!(ask(&mut throttle, now), forecast);
    }

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
        // The alarm's resolution if starts are evenly spaced, else the runtime's.
        world.tick = if world.throttle.is_even() { MS / 5 } else { MS };
        world.run(per * 6, &mut || 90 * MS, &mut || Duration::ZERO);
        prop_assert!(world.starts.len() as f64 >= f64::from(count) * 6.0 * 0.99, "{} of {}", world.starts.len(), count * 6);
    }
}

/// A domain that goes from process to process, each of which knows only what the one before has told. Times between are
/// those in which it belongs to nobody.
#[test]
fn a_domain_that_is_handed_over_in_order_keeps_its_law_and_loses_no_time() {
    for (limits, per, most, expected) in [
        (spaced(100 * MS, 1), 100, 1, 280),
        (Limits::rate(Rate::per_second(20)), 1_000, 20, 540),
        (Limits::rate("10/3s".parse::<Rate>().unwrap().burst(10)), 3_000, 10, 90),
        (Limits::rate(Rate::per_minute(30).burst(30)), 60_000, 30, 30),
        (Limits::rate(Rate::per_minute(600).burst(600)), 60_000, 600, 600),
        // Regression: a burst that was used came again after each move.
        (Limits::rate(Rate::per_minute(60).burst(5)), 500, 5, 30),
    ] {
        let mut world = World::new(limits);
        for _ in 0..30 {
            world.run(970 * MS, &mut || MS, &mut || Duration::ZERO);
            if world.throttle.running > 0 {
                world.throttle.release(world.now, true);
            }
            (world.throttle.planned, world.throttle.running) = (0, 0);
            let asked = world.throttle.last_asked().unwrap();
            // Its successor begins later, and knows how long ago that is.
            world.now += 30 * MS;
            world.throttle = Throttle::new(limits);
            world.throttle.assume(&asked);
        }
        assert!(world.fullest_window(Duration::from_millis(per)) <= most, "{limits:?}");
        assert!(world.starts.len() >= expected, "{limits:?}: {}", world.starts.len());
    }
}

#[test]
fn starts_that_another_process_does_not_tell_of_count_as_made_as_late_as_possible() {
    let (now, limits) = (Instant::now(), Limits::rate(Rate::per_hour(1_000).burst(1_000)));
    let mut before = Throttle::new(limits);
    for nth in 0..600 {
        before.plan();
        before.try_start(now + nth * MS).unwrap();
        before.started(now + nth * MS, 0.0);
        before.release(now + nth * MS, true);
    }
    let asked = before.last_asked().unwrap();
    assert!(asked.has_more && asked.starts.len() < 600);
    let mut after = Throttle::new(limits);
    after.assume(&asked);
    let later = now + 1_000 * MS;
    assert!(after.grant(later, later).is_err(), "400 more would be lawful, but that is not told");
    let nothing_told = LastAsked { last: now, starts: Vec::new(), has_more: true };
    let mut after = Throttle::new(Limits::rate(Rate::per_hour(10).burst(10)));
    after.assume(&nothing_told);
    assert!(after.grant(now + 3_599_000 * MS, now + 3_599_000 * MS).is_err());
    let never_more = LastAsked { starts: vec![now], has_more: false, ..nothing_told };
    let mut after = Throttle::new(Limits::rate(Rate::per_hour(10).burst(10)));
    after.assume(&never_more);
    assert_eq!(after.grant(later, later), Ok(later));
}
