//! Terms on scripted clocks: each machine has its own, whose rate differs from the true one.

use std::time::Duration;

use super::*;

const S: Duration = Duration::from_secs(1);
const LENGTH: TermLength = TermLength::new(Duration::from_secs(10));

/// The clock of a machine, which runs `percent` fast or slow.
struct Clock {
    begun: Instant,
    percent: i32,
}

impl Clock {
    fn at(&self, true_time: Duration) -> Instant {
        self.begun + true_time * u32::try_from(100 + self.percent).unwrap() / 100
    }
}

#[test]
fn a_term_without_bounds_never_lapses_and_one_with_bounds_has_lapsed_until_it_is_renewed() {
    let now = Instant::now();
    let term = Term::boundless(now);
    term.renew(now, LENGTH);
    term.end();
    assert_eq!((term.check(now + 1_000_000 * S), term.is_bound()), (Ok(()), false));
    term.bind().unwrap();
    assert_eq!((term.check(now), term.is_bound()), (Err(Lapsed), true));
    term.renew(now, LENGTH);
    assert_eq!(term.check(now + 8 * S), Ok(()));
    assert_eq!(term.check(now + 9 * S), Err(Lapsed), "it counts from when it was asked for");
}

#[test]
fn a_term_that_has_bounds_gets_no_others_before_it_has_ended() {
    let now = Instant::now();
    let term = Term::boundless(now);
    term.bind().unwrap();
    assert_eq!(term.bind(), Err(AlreadyBound), "before its first renewal, too");
    term.renew(now, LENGTH);
    assert_eq!((term.bind(), term.check(now)), (Err(AlreadyBound), Ok(())), "it goes on");
    term.end();
    assert_eq!((term.bind(), term.check(now)), (Ok(()), Err(Lapsed)));
    term.renew(now, LENGTH);
    assert_eq!(term.check(now), Ok(()));
}

#[test]
fn an_answer_that_comes_late_shortens_no_term_and_none_revives_one_that_has_ended() {
    let now = Instant::now();
    let term = Term::boundless(now);
    term.bind().unwrap();
    term.renew(now + 4 * S, LENGTH);
    term.renew(now, LENGTH);
    assert_eq!(term.check(now + 12 * S), Ok(()), "that of four seconds later holds");
    assert_eq!(term.check(now + 13 * S), Err(Lapsed));
    term.renew(now + 14 * S, LENGTH);
    assert_eq!(term.check(now + 14 * S), Ok(()), "an acknowledged renewal opens again");
    term.end();
    term.renew(now + 15 * S, LENGTH);
    assert_eq!(term.check(now + 15 * S), Err(Lapsed));
}

/// Scripts of an owner and one who waits: renewals and looks at odd times, answers of which some take most of a term,
/// an owner that is cut off or stopped after any of them, and clocks whose rates are up to ten percent wrong.
#[test]
fn whoever_waits_takes_over_after_the_owner_has_ended_whatever_the_rates_of_their_clocks() {
    let origin = Instant::now();
    let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Their zeros differ by days.
        let [owner, watcher] = [0, 1]
            .map(|nth| Clock { begun: origin + 86_400 * S * nth * random.u32(1..100), percent: random.i32(-10..=10) });
        let (term, mut asked) = (Term::boundless(owner.at(Duration::ZERO)), Duration::ZERO);
        term.bind().unwrap();
        // When each sign of life can be read.
        let mut beats = Vec::new();
        for beat in 0..random.i64(1..8) {
            let answered = asked + S * random.u32(0..=6_000) / 1_000;
            beats.push((asked + (answered - asked) * random.u32(0..=100) / 100, beat));
            term.renew(owner.at(asked), LENGTH);
            assert_eq!(term.check(owner.at(asked)), Ok(()), "seed {seed}");
            asked = answered.max(asked + 2 * S);
        }
        let times = || (0_u32..).map(|nth| Duration::from_millis(10) * nth);
        let asks_until =
            times().take_while(|time| *time < asked || term.check(owner.at(*time)).is_ok()).last().unwrap();
        let mut look = Duration::from_millis(random.u64(0..500));
        let mut silence: Option<HeartbeatWatch> = None;
        let taken_over = loop {
            let seen = beats.iter().rev().find(|(at, _)| *at <= look).map(|(_, beat)| *beat);
            let now = watcher.at(look);
            if let Some(beat) = seen {
                silence.get_or_insert(HeartbeatWatch::new(beat, now)).note(beat, now);
            }
            if silence.is_some_and(|silence| silence.is_death(now, LENGTH)) {
                break look;
            }
            look += Duration::from_millis(random.u64(1..300));
        };
        assert!(taken_over > asks_until, "seed {seed}: asks until {asks_until:?}, taken over at {taken_over:?}");
        let rest = taken_over - asks_until;
        (least, most) = (least.min(rest), most.max(rest));
    }
    assert!(least < 3 * S && most < 12 * S, "the script comes close, and nobody waits for ever: {least:?} {most:?}");
}

/// The worst case, by figures: the owner's clock runs slow, the other's fast.
#[test]
fn the_system_ends_a_stopped_owner_before_another_begins_while_rates_differ_by_ten_percent() {
    let ended = LENGTH.end() * 100 / 90;
    let begins = LENGTH.silence() * 100 / 110;
    assert!(ended < begins, "{ended:?} {begins:?}");
    assert!(LENGTH.open() < LENGTH.end() && 4 * LENGTH.renewal() < LENGTH.open());
}
