//! Politeness: the politeness settings. Knows no clock and no domain's history.

pub(crate) mod limits;

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use self::limits::Limits;
pub use crate::domain::DomainKey;
use crate::{
    domain::{Domain, covers},
    error::Error,
    rate::{MAX_WINDOW, Rate},
    text::durations,
};

/// How politely a crawl sends requests.
///
/// The default suits every site: robots.txt obeyed, one request at a time, one second between two starts. A rate, a
/// spacing or a rest replaces that second; if several are set, the strictest holds.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
///
/// use actix_crawler::Politeness;
///
/// let politeness = Politeness {
///     spacing: Some(Duration::from_secs(2)),
///     concurrency: NonZeroU32::new(16).unwrap(),
///     ..Politeness::default()
/// };
/// politeness.check()?;
///
/// let wrong = Politeness { jitter: 50.0, ..Politeness::default() };
/// assert!(wrong.check().unwrap_err().to_string().starts_with("politeness.jitter: "));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Politeness {
    /// The most starts in any window, for each domain.
    pub rate: Option<Rate>,
    /// The least time between two starts, for each domain.
    #[serde(with = "durations::optional")]
    pub spacing: Option<Duration>,
    /// The least time between the end of a response and the next start, for each domain.
    #[serde(with = "durations::optional")]
    pub rest: Option<Duration>,
    /// The random part of each spacing: it is lengthened by up to this share of itself (0.5: up to half as long again).
    pub jitter: f64,
    /// The most requests in flight to one domain.
    pub per_domain: NonZeroU32,
    /// The most requests in flight in total.
    pub concurrency: NonZeroU32,
    /// Whether robots.txt is obeyed.
    pub robots: RobotsPolicy,
    /// The longest `Crawl-delay` that is obeyed. A longer one is reduced to this, and the summary says so.
    #[serde(with = "durations")]
    pub max_crawl_delay: Duration,
    /// What counts as one domain.
    pub domain_key: DomainKey,
    /// Other settings for some domains; the first match applies. A file has them in
    /// [`domains`](crate::Settings::domains).
    #[serde(skip)]
    pub overrides: Vec<Override>,
}

/// One second: the common advice of Heritrix, Nutch and Scrapy, and bearable for the smallest servers.
pub const DEFAULT_SPACING: Duration = Duration::from_secs(1);

impl Default for Politeness {
    fn default() -> Self {
        Self {
            rate: None,
            spacing: None,
            rest: None,
            jitter: 0.0,
            per_domain: NonZeroU32::MIN,
            // 64 domains at once keep two cores busy at typical page sizes, and stay below all default limits on open
            // files.
            concurrency: NonZeroU32::MIN.saturating_add(63),
            robots: RobotsPolicy::Obey,
            // Nutch gives up above 30 s; a small crawl can wait a minute.
            max_crawl_delay: Duration::from_secs(60),
            domain_key: DomainKey::default(),
            overrides: Vec::new(),
        }
    }
}

/// Whether robots.txt is obeyed.
///
/// ```
/// use actix_crawler::{Politeness, RobotsPolicy};
///
/// assert_eq!(Politeness::default().robots, RobotsPolicy::Obey);
/// let of_our_own_sites = Politeness { robots: RobotsPolicy::Ignore, ..Politeness::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RobotsPolicy {
    /// Obeyed by RFC 9309, including `Crawl-delay` and `Request-rate`.
    #[default]
    Obey,
    /// Neither requested nor obeyed: for your own sites.
    Ignore,
}

/// Settings for the domains that match a pattern.
///
/// ```
/// use actix_crawler::{Politeness, Rate, settings::Override};
///
/// let slow = Override { domain: "*.slow.example".into(), rate: Some(Rate::per_minute(10)), ..Override::default() };
/// let politeness = Politeness { rate: Some(Rate::per_second(2)), overrides: vec![slow], ..Politeness::default() };
/// politeness.check()?;
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Override {
    /// A domain (`example.org`), or with a star all that end in it (`*.example.org`, which includes `example.org`).
    pub domain: String,
    /// See [`Politeness::rate`].
    pub rate: Option<Rate>,
    /// See [`Politeness::spacing`].
    pub spacing: Option<Duration>,
    /// See [`Politeness::rest`].
    pub rest: Option<Duration>,
    /// See [`Politeness::per_domain`].
    pub per_domain: Option<NonZeroU32>,
    /// See [`Politeness::robots`].
    pub robots: Option<RobotsPolicy>,
}

impl Override {
    /// Checks what the types cannot enforce; `place` is where it is set.
    pub(crate) fn check(&self, place: &str) -> Result<(), Error> {
        if self.domain.trim_start_matches(['*', '.']).is_empty() && self.domain != "*" {
            let why = "it is empty; write a domain such as example.org, *.example.org, or *";
            return Err(Error::setting(format!("{place}.domain"), why));
        }
        check_pace(place, self.rate, self.spacing, self.rest)
    }

    fn matches(&self, domain: &Domain) -> bool {
        domain.matches(&self.domain)
    }

    fn has_pace(&self) -> bool {
        self.rate.is_some() || self.spacing.is_some() || self.rest.is_some()
    }
}

impl Politeness {
    /// Returns the limits for `domain`.
    pub fn limits(&self, domain: &Domain) -> Limits {
        self.limits_by_override(domain).unwrap_or_else(|| self.usual_limits())
    }

    /// Returns the limits for domains without an override.
    pub(crate) fn usual_limits(&self) -> Limits {
        self.limits_with(None)
    }

    /// Returns the limits for `domain` if there is an override for it.
    pub(crate) fn limits_by_override(&self, domain: &Domain) -> Option<Limits> {
        Some(self.limits_with(Some(self.override_of(domain)?)))
    }

    /// Tells whether the robots files of `domain` are obeyed.
    pub(crate) fn obeys_robots(&self, domain: &Domain) -> bool {
        let own = self.override_of(domain).and_then(|given| given.robots);
        own.unwrap_or(self.robots) == RobotsPolicy::Obey
    }

    fn override_of(&self, domain: &Domain) -> Option<&Override> {
        self.overrides.iter().find(|candidate| candidate.matches(domain))
    }

    /// Changes what holds for all domains that a pattern matches, and nothing else of it: also the overrides of
    /// narrower patterns. Its own override, if it is new, begins as what holds for it so far.
    pub(crate) fn change_override(&mut self, pattern: &str, change: impl Fn(&mut Override)) {
        self.overrides.iter_mut().filter(|given| covers(pattern, &given.domain)).for_each(&change);
        // Of patterns that share domains, one covers the other. So narrower ones that apply stand before the first that
        // covers this one, and those behind it apply to nothing.
        let first = self.overrides.iter().position(|given| covers(&given.domain, pattern));
        let wider = first.and_then(|index| self.overrides.get(index));
        if wider.is_some_and(|given| covers(pattern, &given.domain)) {
            return;
        }
        let mut given = Override { domain: pattern.to_owned(), ..wider.cloned().unwrap_or_default() };
        change(&mut given);
        self.overrides.retain(|known| !(covers(pattern, &known.domain) && covers(&known.domain, pattern)));
        self.overrides.insert(first.unwrap_or(self.overrides.len()), given);
    }

    /// Changes the pace of all domains that a pattern matches. An override without one follows the crawl's, and begins
    /// with that.
    pub(crate) fn change_pace(&mut self, pattern: &str, change: impl Fn(&mut Override)) {
        let (rate, spacing, rest) = (self.rate, self.spacing, self.rest);
        self.change_override(pattern, |given| {
            if !given.has_pace() {
                (given.rate, given.spacing, given.rest) = (rate, spacing, rest);
            }
            change(given);
        });
    }

    fn limits_with(&self, given: Option<&Override>) -> Limits {
        let (rate, spacing, rest) = match given {
            Some(o) if o.has_pace() => (o.rate, o.spacing, o.rest),
            _ => (self.rate, self.spacing, self.rest),
        };
        let silent = rate.is_none() && spacing.is_none() && rest.is_none();
        Limits {
            rate: rate.unwrap_or(Rate::UNLIMITED),
            spacing: if silent { DEFAULT_SPACING } else { spacing.unwrap_or_default() },
            rest: rest.unwrap_or_default(),
            jitter: self.jitter,
            in_flight: given.and_then(|o| o.per_domain).unwrap_or(self.per_domain),
        }
    }

    /// Checks what the types cannot enforce.
    ///
    /// # Errors
    /// Names the invalid setting and what to write instead.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=10.0).contains(&self.jitter) {
            let why = format!("{} is not between 0 and 10; 0.5 lengthens a spacing by up to half", self.jitter);
            return Err(Error::setting("politeness.jitter", why));
        }
        check_pace("politeness", self.rate, self.spacing, self.rest)?;
        check_time("politeness.max_crawl_delay", self.max_crawl_delay)?;
        let mut overrides = self.overrides.iter().enumerate();
        overrides.try_for_each(|(index, given)| given.check(&format!("politeness.overrides[{index}]")))
    }
}

fn check_pace(place: &str, rate: Option<Rate>, spacing: Option<Duration>, rest: Option<Duration>) -> Result<(), Error> {
    let per = rate.and_then(|rate| rate.window()).map(|window| window.per);
    for (name, time) in [("rate", per), ("spacing", spacing), ("rest", rest)] {
        check_time(&format!("{place}.{name}"), time.unwrap_or_default())?;
    }
    Ok(())
}

/// The longest accepted time is a day: anything longer is a schedule, and distant instants could overflow.
fn check_time(setting: &str, time: Duration) -> Result<(), Error> {
    if time <= MAX_WINDOW {
        return Ok(());
    }
    let why = format!("{} is over a day; write at most 1d", humantime::format_duration(time));
    Err(Error::setting(setting, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: &str, domain: &str) -> Limits {
        serde_json::from_str::<Politeness>(json).unwrap().limits(&Domain::new(domain))
    }

    #[test]
    fn who_says_nothing_is_polite() {
        let limits = Politeness::default().limits(&Domain::new("example.org"));
        assert_eq!(limits.spacing, Duration::from_secs(1));
        assert_eq!(limits.in_flight.get(), 1);
        assert_eq!(Politeness::default().robots, RobotsPolicy::Obey);
    }

    #[test]
    fn what_is_given_replaces_the_default_second() {
        assert_eq!(limits(r#"{"rate": "5/s"}"#, "e.org").spacing, Duration::ZERO);
        assert_eq!(limits(r#"{"rest": "2s"}"#, "e.org").spacing, Duration::ZERO);
        let both = limits(r#"{"rate": "5/s", "spacing": "300ms"}"#, "e.org");
        assert_eq!((both.rate, both.spacing), (Rate::per_second(5), Duration::from_millis(300)));
    }

    #[test]
    fn an_override_holds_for_its_domain_and_below() {
        let of = |domain: &str| Override { domain: domain.to_owned(), ..Override::default() };
        let slow = Override { spacing: Some(Duration::from_secs(5)), ..of("*.slow.org") };
        let fast = Override { per_domain: NonZeroU32::new(4), ..of("fast.org") };
        let politeness = Politeness { overrides: vec![slow, fast], ..Politeness::default() };
        let limits = |domain| politeness.limits(&Domain::new(domain));
        assert_eq!(limits("slow.org").spacing, Duration::from_secs(5));
        assert_eq!(limits("a.slow.org").spacing, Duration::from_secs(5));
        assert_eq!(limits("notslow.org").spacing, Duration::from_secs(1));
        let fast = limits("fast.org");
        assert_eq!((fast.in_flight.get(), fast.spacing), (4, Duration::from_secs(1)), "the second is kept");
    }

    #[test]
    fn a_changed_override_begins_as_what_holds_for_its_domain() {
        let of = |domain: &str| Override { domain: domain.to_owned(), ..Override::default() };
        let all = Override { per_domain: NonZeroU32::new(4), robots: Some(RobotsPolicy::Ignore), ..of("*.org") };
        let shadowed = Override { spacing: Some(Duration::from_secs(9)), ..of("a.org") };
        let mut politeness = Politeness { overrides: vec![all, shadowed], ..Politeness::default() };
        let fast = |given: &mut Override| given.rate = Some(Rate::per_second(5));
        let limits = |politeness: &Politeness, name| politeness.limits(&Domain::new(name));
        for name in ["b.org", "A.org"] {
            politeness.change_pace(name, fast);
            let changed = limits(&politeness, name);
            assert_eq!(
                (changed.rate, changed.in_flight.get(), changed.spacing),
                (Rate::per_second(5), 4, Duration::ZERO)
            );
            assert!(!politeness.obeys_robots(&Domain::new(name)), "its robots policy is kept too");
        }
        assert_eq!((limits(&politeness, "c.org").rate, politeness.overrides.len()), (Rate::UNLIMITED, 3));
    }

    /// Regression: the narrower overrides were no longer looked at.
    #[test]
    fn what_is_said_of_a_wider_pattern_leaves_the_rest_of_narrower_overrides() {
        let seconds = Duration::from_secs;
        let slow = Override {
            domain: "slow.org".into(),
            spacing: Some(seconds(10)),
            robots: Some(RobotsPolicy::Obey),
            ..Override::default()
        };
        let robots = RobotsPolicy::Ignore;
        let mut politeness = Politeness { robots, overrides: vec![slow], ..Politeness::default() };
        let in_flight = |n| move |given: &mut Override| given.per_domain = NonZeroU32::new(n);
        let of = |politeness: &Politeness, name| {
            let domain = Domain::new(name);
            let limits = politeness.limits(&domain);
            (limits.spacing, limits.in_flight.get(), politeness.obeys_robots(&domain))
        };
        politeness.change_override("*", in_flight(2));
        assert_eq!(of(&politeness, "slow.org"), (seconds(10), 2, true));
        assert_eq!(of(&politeness, "other.org"), (seconds(1), 2, false));
        politeness.change_override("a.x.org", in_flight(4));
        politeness.change_pace("*.X.org", |given| given.spacing = Some(seconds(5)));
        assert_eq!(of(&politeness, "a.x.org"), (seconds(5), 4, false));
        assert_eq!(of(&politeness, "x.org"), (seconds(5), 2, false));
        politeness.change_override("*.x.org", in_flight(6));
        assert_eq!([of(&politeness, "a.x.org"), of(&politeness, "b.x.org")], [(seconds(5), 6, false); 2]);
        assert_eq!(of(&politeness, "slow.org"), (seconds(10), 2, true));
        assert_eq!(politeness.overrides.len(), 4, "one for each pattern");
    }

    /// Regression: a spacing for one domain lifted the rate of the crawl there.
    #[test]
    fn a_part_of_the_pace_that_is_said_of_a_domain_leaves_the_rest_of_the_crawls_pace() {
        let rate = Rate::per_minute(10);
        let mut politeness = Politeness { rate: Some(rate), ..Politeness::default() };
        politeness.change_override("a.org", |given| given.per_domain = NonZeroU32::new(2));
        politeness.change_pace("a.org", |given| given.spacing = Some(Duration::from_secs(1)));
        let limits = politeness.limits(&Domain::new("a.org"));
        assert_eq!((limits.rate, limits.spacing, limits.in_flight.get()), (rate, Duration::from_secs(1), 2));
    }

    #[test]
    fn an_unknown_or_wrong_setting_is_named() {
        let unknown = serde_json::from_str::<Politeness>(r#"{"spaceing": "1s"}"#).unwrap_err().to_string();
        assert!(unknown.contains("spaceing"), "{unknown}");
        let jitter = Politeness { jitter: -1.0, ..Politeness::default() }.check().unwrap_err().to_string();
        assert!(jitter.contains("politeness.jitter"), "{jitter}");
        assert!(serde_json::from_str::<Politeness>(r#"{"spacing": "soon"}"#).is_err());
    }

    /// Regression: instants overflowed, and the crawl panicked.
    #[test]
    fn times_over_a_day_are_refused_by_name() {
        let (day, most) = (Duration::from_secs(86_400), Duration::MAX);
        let with = |rate, spacing, rest| Politeness { rate, spacing, rest, ..Politeness::default() };
        assert!(with(Some(Rate::every(day)), Some(day), Some(day)).check().is_ok());
        let seldom = Override { domain: "*".into(), rate: Some(Rate::every(most)), ..Override::default() };
        for (politeness, name) in [
            (with(Some(Rate::every(most)), None, None), "politeness.rate"),
            (with(None, Some(most), None), "politeness.spacing"),
            (with(None, None, Some(most)), "politeness.rest"),
            (Politeness { max_crawl_delay: most, ..Politeness::default() }, "politeness.max_crawl_delay"),
            (Politeness { overrides: vec![seldom], ..Politeness::default() }, "politeness.overrides[0].rate"),
        ] {
            let why = politeness.check().unwrap_err().to_string();
            assert!(why.contains(name) && why.contains("over a day"), "{why}");
        }
    }
}
