//! Politeness: the politeness settings. Knows no clock and no domain's history.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Domain, DomainKey},
    duration_text,
    error::Error,
    limits::Limits,
    rate::{LONGEST_WINDOW, Rate},
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
    #[serde(with = "duration_text::optional")]
    pub spacing: Option<Duration>,
    /// The least time between the end of a response and the next start, for each domain.
    #[serde(with = "duration_text::optional")]
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
    #[serde(with = "duration_text")]
    pub max_crawl_delay: Duration,
    /// What counts as one domain.
    pub domain_key: DomainKey,
    /// Other settings for some domains; the first match applies.
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// A domain (`example.org`), or with a star all that end in it (`*.example.org`, which includes `example.org`).
    pub domain: String,
    /// See [`Politeness::rate`].
    pub rate: Option<Rate>,
    /// See [`Politeness::spacing`].
    #[serde(with = "duration_text::optional")]
    pub spacing: Option<Duration>,
    /// See [`Politeness::rest`].
    #[serde(with = "duration_text::optional")]
    pub rest: Option<Duration>,
    /// See [`Politeness::per_domain`].
    pub per_domain: Option<NonZeroU32>,
}

impl Override {
    fn matches(&self, domain: &Domain) -> bool {
        let name = domain.as_str();
        match self.domain.strip_prefix('*') {
            None => name.eq_ignore_ascii_case(&self.domain),
            Some("") => true,
            Some(suffix) => {
                let suffix = suffix.to_ascii_lowercase();
                name == suffix.trim_start_matches('.') || name.ends_with(&suffix)
            }
        }
    }
}

impl Politeness {
    /// Returns the limits for `domain`.
    pub fn limits(&self, domain: &Domain) -> Limits {
        let given = self.overrides.iter().find(|candidate| candidate.matches(domain));
        let (rate, spacing, rest) = match given {
            Some(o) if o.rate.is_some() || o.spacing.is_some() || o.rest.is_some() => (o.rate, o.spacing, o.rest),
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
        for (index, given) in self.overrides.iter().enumerate() {
            let place = format!("politeness.overrides[{index}]");
            if given.domain.trim_start_matches(['*', '.']).is_empty() && given.domain != "*" {
                let why = "it is empty; write a domain such as example.org, *.example.org, or *";
                return Err(Error::setting(format!("{place}.domain"), why));
            }
            check_pace(&place, given.rate, given.spacing, given.rest)?;
        }
        Ok(())
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
    if time <= LONGEST_WINDOW {
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
        let json =
            r#"{"overrides": [{"domain": "*.slow.org", "spacing": 5}, {"domain": "fast.org", "per_domain": 4}]}"#;
        assert_eq!(limits(json, "slow.org").spacing, Duration::from_secs(5));
        assert_eq!(limits(json, "a.slow.org").spacing, Duration::from_secs(5));
        assert_eq!(limits(json, "notslow.org").spacing, Duration::from_secs(1));
        let fast = limits(json, "fast.org");
        assert_eq!((fast.in_flight.get(), fast.spacing), (4, Duration::from_secs(1)), "the second is kept");
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
