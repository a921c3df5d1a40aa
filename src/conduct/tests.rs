//! What a domain teaches, with one tenant and with several, under a simulated clock.

use std::{num::NonZeroU32, time::SystemTime};

use http::HeaderMap;

use super::*;
use crate::rate::Rate;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const ME: TenantId = TenantId(0);

fn conduct(terms: Terms, now: Instant) -> Conduct {
    Conduct::new(ME, terms, &Lessons::default(), now)
}

fn unlimited(now: Instant) -> Conduct {
    conduct(Terms::rate(Rate::UNLIMITED), now)
}

fn spaced(spacing: Duration) -> Terms {
    Terms::of(Limits { spacing, in_flight: NonZeroU32::new(4).unwrap(), ..Limits::rate(Rate::UNLIMITED) })
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn note_response(
    conduct: &mut Conduct,
    status: u16,
    headers: &HeaderMap,
    started: Instant,
    now: Instant,
) -> Option<Cooled> {
    let facts = ResponseFacts { status, headers, started, now, wall: SystemTime::UNIX_EPOCH + 1_700_000_000 * S };
    conduct.note_response(ME, &facts, 0.0)
}

/// Makes one instantaneous request, if it is lawful.
fn ask(conduct: &mut Conduct, tenant: TenantId, now: Instant) -> bool {
    if conduct.grant(tenant, now, now).is_err() {
        return false;
    }
    let may = conduct.try_start(now).is_ok();
    if may {
        conduct.started(tenant, now, 0.0);
    }
    conduct.release(tenant, now, may);
    may
}

#[test]
fn a_refusal_cools_the_domain_for_as_long_as_the_server_asks() {
    let now = Instant::now();
    let mut conduct = unlimited(now);
    let cooled = note_response(&mut conduct, 429, &headers(&[("retry-after", "7")]), now, now).unwrap();
    assert_eq!((cooled.back_off, cooled.asked), (BackOff::Cool(now + 7 * S), Some(7 * S)));
    assert_eq!(conduct.cooling_until(), Some(now + 7 * S));
}

#[test]
fn a_wait_is_heard_on_every_status_that_may_carry_it_and_without_one_they_are_what_they_were() {
    let now = Instant::now();
    for status in [403, 408, 413, 420, 425, 500, 501, 502, 504, 507, 509, 520, 521, 522, 523, 524, 529, 530, 598] {
        let mut conduct = unlimited(now);
        for none in ["", "0", "Thu, 01 Jan 1970 00:00:00 GMT"].map(|value| headers(&[("retry-after", value)])) {
            assert_eq!(note_response(&mut conduct, status, &none, now, now), None, "{status}");
        }
        let cooled = note_response(&mut conduct, status, &headers(&[("retry-after", "30")]), now, now).unwrap();
        assert_eq!((cooled.why, cooled.back_off), (CoolingCause::Status(status), BackOff::Cool(now + 30 * S)));
    }
    for status in [200, 301, 304, 400, 401, 404, 410, 451] {
        let asks = headers(&[("retry-after", "30")]);
        assert_eq!(note_response(&mut unlimited(now), status, &asks, now, now), None, "{status}");
    }
}

/// RFC 9110 §10.2.3: with 3xx it is "the minimum time that the user agent is asked to wait before issuing the
/// redirected request".
#[test]
fn a_redirect_may_ask_for_a_wait_before_its_hop() {
    let now = Instant::now();
    let asks = headers(&[("retry-after", "30")]);
    for (status, until) in [(302, Some(now + 30 * S)), (307, Some(now + 30 * S)), (200, None), (404, None)] {
        let mut conduct = unlimited(now);
        assert_eq!(note_response(&mut conduct, status, &asks, now, now), None, "no refusal");
        assert_eq!((conduct.cooling_until(), conduct.cooling().state(now)), (until, None), "{status}");
    }
}

/// GitHub's responses: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
#[test]
fn a_403_with_nothing_left_of_its_quota_is_asked_again_after_the_reset() {
    let now = Instant::now();
    let used_up = |left| headers(&[("x-ratelimit-remaining", left), ("x-ratelimit-reset", "1700000050")]);
    assert_eq!(
        note_response(&mut unlimited(now), 403, &used_up("0"), now, now).unwrap().back_off,
        BackOff::Cool(now + 50 * S)
    );
    assert_eq!(note_response(&mut unlimited(now), 403, &used_up("5"), now, now), None, "this one is forbidden");
}

/// Regression: a domain with such a 503 was requested once a second for ever: 160 requests in 170 s.
#[test]
fn a_retry_after_that_has_passed_is_no_wait_that_was_asked_for() {
    let mut now = Instant::now();
    let mut conduct = unlimited(now);
    let mut past =
        ["Thu, 01 Jan 1970 00:00:00 GMT", "0"].map(|value| headers(&[("retry-after", value)])).into_iter().cycle();
    let mut waits = Vec::new();
    loop {
        let cooled = note_response(&mut conduct, 503, &past.next().unwrap(), now, now).unwrap();
        let until = cooled.back_off.until();
        waits.push((until - now).as_secs());
        if cooled.gave_up {
            break;
        }
        // The next request comes when the domain's queue is empty and its throttle is fresh.
        now = until + 60 * S;
        assert!(conduct.is_fresh(now));
        conduct = Conduct::new(ME, spaced(S), &conduct.lessons(now), now);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600]);
    assert_eq!(conduct.given_up(now + 599 * S).map(|given_up| given_up.why), Some(CoolingCause::Status(503)));
}

/// Regression: the domain did not cool at all, and was requested 44 to 49 times a second.
#[test]
fn a_domain_that_was_given_up_is_left_alone_whatever_its_retry_after_says() {
    let mut now = Instant::now();
    let mut conduct = unlimited(now);
    let soon = headers(&[("retry-after", "1")]);
    for _ in 0..7 {
        let cooled = note_response(&mut conduct, 503, &soon, now, now).unwrap();
        assert_eq!(cooled.back_off, BackOff::Cool(now + S));
        now += 2 * S;
    }
    let last = note_response(&mut conduct, 503, &soon, now, now).unwrap();
    assert_eq!((last.back_off, last.gave_up), (BackOff::GiveUp(now + 600 * S), true));
    assert!(!note_response(&mut conduct, 503, &soon, now + S, now + S).unwrap().gave_up, "once");
    let again = now + 700 * S;
    assert!(
        note_response(&mut conduct, 503, &soon, again, again).unwrap().gave_up,
        "what comes after the wait fails too"
    );
}

#[test]
fn who_cannot_be_reached_is_left_alone_for_a_crawl_and_not_for_a_client() {
    let now = Instant::now();
    assert_eq!(unlimited(now).unreachable(ME, now, now, 0.0), None);
    let crawl = Terms { cools_unreachable: true, ..spaced(S) };
    assert_eq!(conduct(crawl, now).unreachable(ME, now, now, 0.0).unwrap().back_off, BackOff::Cool(now + S));
}

#[test]
fn an_answer_that_was_overtaken_does_not_loosen_what_a_later_one_said() {
    let now = Instant::now();
    let told = |left: &str| headers(&[("x-ratelimit-remaining", left), ("x-ratelimit-reset", "10")]);
    let mut conduct = unlimited(now);
    note_response(&mut conduct, 200, &told("0"), now + S, now + 2 * S);
    assert_eq!(conduct.cooling_until(), Some(now + 12 * S));
    note_response(&mut conduct, 200, &told("90"), now, now + 3 * S);
    assert!(!ask(&mut conduct, ME, now + 11 * S) && ask(&mut conduct, ME, now + 12 * S));
}

#[test]
fn of_several_robots_files_the_longest_spacing_holds_as_long_as_it_is_valid() {
    let now = Instant::now();
    let mut conduct = conduct(Terms { max_crawl_delay: Some(60 * S), ..spaced(S) }, now);
    let spacing = |conduct: &Conduct| conduct.limits(ME).spacing;
    conduct.ask_for(AskedSpacing { spacing: 3 * S, until: now + 100 * S }, now);
    conduct.ask_for(AskedSpacing { spacing: 2 * S, until: now + 900 * S }, now);
    assert_eq!(spacing(&conduct), 3 * S);
    assert!(ask(&mut conduct, ME, now) && !ask(&mut conduct, ME, now + 2 * S) && ask(&mut conduct, ME, now + 4 * S));
    assert!(ask(&mut conduct, ME, now + 101 * S));
    assert_eq!(spacing(&conduct), S, "the file is not valid any more");
    conduct.ask_for(AskedSpacing { spacing: 90 * S, until: now + 900 * S }, now + 101 * S);
    assert_eq!(spacing(&conduct), 60 * S, "no more than is granted");
    let mut client = unlimited(now);
    client.ask_for(AskedSpacing { spacing: 3 * S, until: now + 100 * S }, now);
    assert_eq!(spacing(&client), Duration::ZERO, "who asks for no robots files obeys none");
}

/// Regression: `a.x.test` asks for 3 s and `b.x.test` has no file; after a quiet moment the gaps were 1 s.
#[test]
fn what_a_robots_file_asks_for_holds_after_a_quiet_moment() {
    let now = Instant::now();
    let terms = Terms { max_crawl_delay: Some(60 * S), ..spaced(S) };
    let mut first = conduct(terms.clone(), now);
    first.ask_for(AskedSpacing { spacing: 3 * S, until: now + 86_400 * S }, now);
    assert!(ask(&mut first, ME, now));
    let later = now + 60 * S;
    assert!(first.is_fresh(later));
    let mut again = Conduct::new(ME, terms, &first.lessons(later), later);
    assert!(
        ask(&mut again, ME, later) && !ask(&mut again, ME, later + 2_900 * MS) && ask(&mut again, ME, later + 4 * S)
    );
}

/// Several tenants, each with its own horizon, that ask again when they were told to.
struct Tenants {
    conduct: Conduct,
    now: Instant,
    horizons: Vec<Duration>,
    /// When each tenant asks again.
    asks_at: Vec<Instant>,
    /// Due permits: tenant, instant, and whether the request is written.
    out: Vec<(TenantId, Instant)>,
    running: Vec<(TenantId, Instant)>,
    starts: Vec<(TenantId, Instant)>,
}

impl Tenants {
    fn new(terms: &[Terms], horizons: &[Duration]) -> Self {
        let now = Instant::now();
        let mut conduct = Conduct::new(TenantId(0), terms[0].clone(), &Lessons::default(), now);
        for (tenant, terms) in (1..).zip(&terms[1..]) {
            conduct.join(TenantId(tenant), terms.clone(), now);
        }
        let asks_at = vec![now; terms.len()];
        let horizons = horizons.to_vec();
        Self { conduct, now, horizons, asks_at, out: Vec::new(), running: Vec::new(), starts: Vec::new() }
    }

    fn told(&mut self, tenant: TenantId) {
        self.asks_at[usize::try_from(tenant.0).unwrap()] = self.now;
    }

    /// Runs the `busy` tenants for a time; responses take `latency`.
    fn run(&mut self, duration: Duration, latency: Duration, busy: &[bool]) {
        let end = self.now + duration;
        while self.now < end {
            for (tenant, _) in self.running.extract_if(.., |(_, ends)| *ends <= self.now).collect::<Vec<_>>() {
                let next = self.conduct.release(tenant, self.now, true);
                self.told(tenant);
                next.into_iter().for_each(|next| self.told(next));
            }
            for index in (0..busy.len()).filter(|index| busy[*index]).collect::<Vec<_>>() {
                let tenant = TenantId(index as u64);
                while self.asks_at[index] <= self.now {
                    match self.conduct.grant(tenant, self.now, self.now + self.horizons[index]) {
                        Ok(planned) => {
                            self.out.push((tenant, planned.due));
                            planned.next.into_iter().for_each(|next| self.told(next));
                        }
                        Err(Refusal::NotBefore(at)) => {
                            let early = at.checked_sub(self.horizons[index] / 2).unwrap();
                            self.asks_at[index] = early.max(self.now + MS);
                        }
                        Err(Refusal::OtherTenant(at)) => self.asks_at[index] = at,
                        Err(Refusal::Lapsed(_)) => unreachable!("a conduct knows no term"),
                        Err(Refusal::Full) => self.asks_at[index] = self.now + 3_600 * S,
                    }
                }
            }
            self.out.sort_by_key(|(_, due)| *due);
            while let Some((tenant, _)) = self.out.first().copied().filter(|(_, due)| *due <= self.now) {
                if self.conduct.try_start(self.now).is_err() {
                    break;
                }
                self.conduct.started(tenant, self.now, 0.0);
                self.starts.push((tenant, self.now));
                self.running.push((tenant, self.now + latency));
                self.out.remove(0);
            }
            self.now += MS;
        }
    }

    fn count(&self, tenant: u64, from: Instant) -> usize {
        self.starts.iter().filter(|(whose, at)| *whose == TenantId(tenant) && *at >= from).count()
    }

    fn smallest_gap(&self) -> Duration {
        self.starts.windows(2).map(|pair| pair[1].1 - pair[0].1).min().unwrap()
    }
}

#[test]
fn the_limits_of_all_tenants_hold_together_and_each_has_its_share() {
    let rate = || Terms::rate(Rate::per_second(20));
    for (terms, horizons, per_second) in [
        ([rate(), spaced(100 * MS)], [100 * MS, 5 * MS], 10),
        ([rate(), rate()], [100 * MS, 5 * MS], 20),
        ([rate(), rate()], [5 * MS, 100 * MS], 20),
        ([Terms::rate(Rate::per_second(500)), Terms::rate(Rate::per_second(400))], [100 * MS, 5 * MS], 400),
    ] {
        let mut tenants = Tenants::new(&terms, &horizons);
        let began = tenants.now;
        tenants.run(10 * S, 30 * MS, &[true, true]);
        let (one, other) = (tenants.count(0, began), tenants.count(1, began));
        assert!(one + other <= per_second * 10 + 1, "{one} and {other} of {per_second} a second");
        assert!((one + other) * 100 >= per_second * 950, "{one} and {other} of {per_second} a second");
        assert!(one * 2 >= other && other * 2 >= one, "{one} and {other}");
        if per_second <= 20 {
            assert!(tenants.smallest_gap() >= S / per_second as u32 - MS, "{:?}", tenants.smallest_gap());
        }
    }
}

#[test]
fn three_tenants_with_one_place_take_turns_and_one_that_stops_asking_holds_nobody_up() {
    let one = Terms::of(Limits { in_flight: NonZeroU32::MIN, ..Limits::rate(Rate::UNLIMITED) });
    let mut tenants = Tenants::new(&[(); 3].map(|()| one.clone()), &[100 * MS, 5 * MS, 5 * MS]);
    let began = tenants.now;
    tenants.run(9 * S, 20 * MS, &[true; 3]);
    let counts = [0, 1, 2].map(|tenant| tenants.count(tenant, began));
    assert!(counts.iter().sum::<usize>() >= 380, "{counts:?}");
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 5, "{counts:?}");
    let from = tenants.now;
    tenants.run(3 * S, 20 * MS, &[true, false, true]);
    let counts = [0, 1, 2].map(|tenant| tenants.count(tenant, from));
    assert!(counts[0] + counts[2] >= 130 && counts[0].abs_diff(counts[2]) <= 5, "{counts:?}");
}

/// Regression: the second had no due time, so its turn never lapsed, and the third waited for as long as it stayed.
#[test]
fn two_tenants_that_stop_asking_hold_nobody_up() {
    let now = Instant::now();
    let tenants @ [first, second, third] = [1, 2, 3].map(TenantId);
    let mut conduct = Conduct::new(first, spaced(S), &Lessons::default(), now);
    conduct.join(second, spaced(S), now);
    conduct.join(third, spaced(S), now);
    assert!(ask(&mut conduct, first, now));
    assert!(tenants.iter().all(|tenant| !ask(&mut conduct, *tenant, now + 100 * MS)));
    assert!((2..5).any(|n| ask(&mut conduct, third, now + n * S)));
}

#[test]
fn a_tenants_limits_leave_with_it_and_its_starts_still_count() {
    let now = Instant::now();
    let [slow, fast] = [TenantId(1), TenantId(2)];
    let mut conduct = Conduct::new(slow, spaced(10 * S), &Lessons::default(), now);
    conduct.join(fast, Terms::rate(Rate::per_second(10)), now);
    assert!(ask(&mut conduct, slow, now));
    assert!(!ask(&mut conduct, fast, now + 9 * S), "the slow one is here");
    conduct.leave(slow, now + 9 * S);
    assert!(ask(&mut conduct, fast, now + 9 * S) && !ask(&mut conduct, fast, now + 9 * S + 50 * MS));
    let again = TenantId(3);
    conduct.join(again, spaced(10 * S), now + 10 * S);
    assert!(!ask(&mut conduct, again, now + 18 * S), "it is ten seconds since the other's start that are to pass");
    assert_eq!((conduct.evidence(fast).requests, conduct.evidence(again).requests), (1, 0));
}

/// Regression: its window counted as full of starts made at the last one, and it waited an hour.
#[test]
fn who_joins_counts_the_starts_before_it_as_far_apart_as_they_were() {
    let mut now = Instant::now();
    let mut conduct = conduct(spaced(60 * S), now);
    for _ in 0..100 {
        assert!(ask(&mut conduct, ME, now));
        now += 61 * S;
    }
    let joined = TenantId(1);
    conduct.join(joined, Terms::rate(Rate::per_hour(120)), now);
    conduct.leave(ME, now);
    assert!(ask(&mut conduct, joined, now), "60 in the last hour, of 120");
}

#[test]
fn a_tenant_may_leave_when_its_own_starts_have_left_its_law_also_where_another_is_busy() {
    let now = Instant::now();
    let other = TenantId(1);
    let mut conduct = conduct(spaced(S), now);
    conduct.join(other, spaced(S), now);
    assert!(ask(&mut conduct, ME, now));
    for second in 2..30 {
        ask(&mut conduct, other, now + second * S);
    }
    assert!(conduct.may_leave(ME, now + S / 2).is_err());
    assert_eq!(conduct.may_leave(ME, now + 30 * S), Ok(()));
    let searches = Terms { adaptive: true, ..spaced(S) };
    assert_eq!(super::Conduct::new(ME, searches, &Lessons::default(), now).may_leave(ME, now), Err(None));
}

/// The number in the docs: a gate with its name in the registry takes about a kilobyte while in use.
#[test]
fn a_domain_with_one_tenant_is_small() {
    assert!(size_of::<Conduct>() <= 656, "{}", size_of::<Conduct>());
}

/// A crawl may use a million domains at once, each with a conduct.
#[test]
fn a_domain_that_has_only_its_usual_limits_takes_little_memory() {
    assert!(size_of::<Conduct>() <= 224, "{}", size_of::<Conduct>());
}

/// Regression: 50 starts were made in a second; a moment later the domain was forgotten, and a new rate of 50 a minute
/// allowed 50 more at once.
#[test]
fn stricter_terms_count_starts_that_were_made_before_the_domain_was_forgotten() {
    let mut now = Instant::now();
    let changing = |rate| Terms { may_change: true, ..Terms::rate(rate) };
    let mut first = conduct(changing(Rate::per_second(50)), now);
    let began = now;
    let mut made = Vec::new();
    while made.len() < 50 {
        now += MS;
        if ask(&mut first, ME, now) {
            made.push(now);
        }
    }
    now += 3 * S;
    assert!(first.leave(ME, now).is_empty() && first.is_vacant() && first.is_fresh(now));
    let lessons = first.lessons(now);
    let mut again = Conduct::new(ME, changing(Rate::per_minute(60).burst(60)), &lessons, now);
    while now < began + 60 * S {
        now += 10 * MS;
        if ask(&mut again, ME, now) {
            made.push(now);
        }
    }
    assert_eq!(made.len(), 60, "in a minute");
    let mut usual = Conduct::new(ME, changing(Rate::per_second(50)), &lessons, now);
    assert!(ask(&mut usual, ME, now) && usual.limits(ME).rate == Rate::per_second(50), "the same terms as ever");
    let crawl = conduct(Terms::rate(Rate::per_second(50)), now).lessons(now);
    assert!(crawl.is_empty(now), "of whose terms never change, nothing is kept");
}

/// At 50 a second, with so many requests in flight.
fn fifty(places: u32) -> Terms {
    Terms::of(Limits { in_flight: NonZeroU32::new(places).unwrap(), ..Limits::rate(Rate::per_second(50)) })
}

fn begin(conduct: &mut Conduct, tenant: TenantId, at: Instant) {
    conduct.grant(tenant, at, at).unwrap();
    conduct.try_start(at).unwrap();
    conduct.started(tenant, at, 0.0);
}

#[test]
fn starts_are_missed_only_while_one_waits_that_nothing_but_the_places_holds_up() {
    let start = Instant::now();
    let mut conduct = conduct(fifty(1), start);
    let missed = |conduct: &Conduct| conduct.evidence(ME).missed;
    begin(&mut conduct, ME, start);
    conduct.release(ME, start + 750 * MS, true);
    assert_eq!(missed(&conduct), 0, "none waited");
    // The rate allows the next after 20 ms, and what is missed of an interval adds up: 5.5 each time.
    for (second, expected) in [(1, 5), (2, 11)] {
        let now = start + second * S;
        begin(&mut conduct, ME, now);
        assert_eq!(conduct.grant(ME, now, now), Err(Refusal::Full));
        conduct.release(ME, now + 130 * MS, true);
        assert_eq!(missed(&conduct), expected);
    }
    let now = start + 3 * S;
    begin(&mut conduct, ME, now);
    assert_eq!(conduct.grant(ME, now, now), Err(Refusal::Full));
    note_response(&mut conduct, 429, &headers(&[("retry-after", "7")]), now, now + S).unwrap();
    conduct.release(ME, now + S, true);
    assert_eq!(missed(&conduct), 11, "it cools");
}

#[test]
fn starts_are_missed_by_the_tenant_whose_own_limits_give_too_few_places() {
    let now = Instant::now();
    let other = TenantId(1);
    let mut conduct = conduct(fifty(1), now);
    conduct.join(other, fifty(8), now);
    for (tenant, at, expected) in [(ME, now, [5, 0]), (other, now + S, [5, 0])] {
        begin(&mut conduct, tenant, at);
        assert_eq!(conduct.grant(tenant, at, at), Err(Refusal::Full), "the first tenant's limits hold for both");
        conduct.release(tenant, at + 130 * MS, true);
        assert_eq!([ME, other].map(|tenant| conduct.evidence(tenant).missed), expected);
    }
}
