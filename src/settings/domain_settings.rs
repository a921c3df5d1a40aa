//! DomainSettings: what is otherwise for one domain, and where each of it is applied.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, time::Duration};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::{
    domain::{
        DomainKey,
        by_domain::{ByDomain, name_by},
    },
    error::{Error, Result},
    middleware::DefaultHeaders,
    politeness::{Override, Politeness, RobotsPolicy},
    rate::Rate,
    text::durations,
    transport::{HostPattern, ProxyOverride, ProxySettings, ProxyUrl},
};

/// Settings for a domain that take the place of those for all; what is not set is as for all.
///
/// They hold for the domain that they are given for and for all names below it: those of `example.org` for
/// `www.example.org` too. Of several that cover a host, those of the nearest name hold, alone.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{prelude::*, settings::DomainSettings};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)")
///     .domain("slow.example", DomainSettings::new().spacing(Duration::from_secs(10)).max_pages(100))
///     .domain("ours.example", DomainSettings::new().rate(Rate::per_second(20)).per_domain(8).ignore_robots());
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainSettings {
    /// The most starts in any window. If one of rate, spacing and rest is set, all three are as they are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The least time between two starts.
    #[serde(with = "durations::optional", skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Duration>,
    /// The least time between the end of a response and the next start.
    #[serde(with = "durations::optional", skip_serializing_if = "Option::is_none")]
    pub rest: Option<Duration>,
    /// The most requests in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_domain: Option<NonZeroU32>,
    /// Whether robots.txt is obeyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robots: Option<RobotsPolicy>,
    /// Headers of requests that have none of the name. They win over those for all, and those of an origin over them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The proxies, `direct` for none; several take turns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyUrl>,
    /// The most pages of each domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pages: Option<u64>,
    /// The most waiting requests of each domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queued: Option<u64>,
}

impl DomainSettings {
    /// Begins with nothing that is otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the rate of starts; [`Crawler::rate`](crate::Crawler::rate) says what reaching it needs besides.
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Sets the least time between two starts.
    #[must_use]
    pub fn spacing(self, spacing: Duration) -> Self {
        Self { spacing: Some(spacing), ..self }
    }

    /// Sets the most requests in flight; 0 is read as 1.
    #[must_use]
    pub fn per_domain(self, in_flight: u32) -> Self {
        Self { per_domain: Some(NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN)), ..self }
    }

    /// Neither requests nor obeys robots.txt: for your own sites.
    #[must_use]
    pub fn ignore_robots(self) -> Self {
        Self { robots: Some(RobotsPolicy::Ignore), ..self }
    }

    /// Sends a header with every request that has none of its name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// Uses a proxy, `direct` for none; several take turns.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxies.push(ProxyUrl::new(url));
        self
    }

    /// Sets the most pages.
    #[must_use]
    pub fn max_pages(self, pages: u64) -> Self {
        Self { max_pages: Some(pages), ..self }
    }

    /// Sets the most waiting requests.
    #[must_use]
    pub fn max_queued(self, requests: u64) -> Self {
        Self { max_queued: Some(requests), ..self }
    }

    fn as_override(&self, domain: String) -> Override {
        let Self { rate, spacing, rest, per_domain, robots, .. } = *self;
        Override { domain, rate, spacing, rest, per_domain, robots }
    }
}

/// Shows the names of headers and not their values: those may be secret.
impl fmt::Debug for DomainSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainSettings")
            .field("rate", &self.rate)
            .field("spacing", &self.spacing)
            .field("rest", &self.rest)
            .field("per_domain", &self.per_domain)
            .field("robots", &self.robots)
            .field("headers", &self.headers.keys())
            .field("proxies", &self.proxies)
            .field("max_pages", &self.max_pages)
            .field("max_queued", &self.max_queued)
            .finish()
    }
}

/// The most of something, for the domains that have a bound of their own.
pub(crate) type DomainBounds = ByDomain<Option<u64>>;

/// The settings of all domains that have their own, with names as they stand in URLs.
#[derive(Debug)]
pub(crate) struct NamedDomains(BTreeMap<String, DomainSettings>);

impl NamedDomains {
    /// Checks the names.
    ///
    /// # Errors
    /// A name is no host's, is there twice, or shares its limits with others.
    pub fn new(given: &BTreeMap<String, DomainSettings>, key: &DomainKey) -> Result<Self> {
        let mut named = BTreeMap::new();
        for (given, settings) in given {
            let what = format!("domains.\"{given}\"");
            let name = name_by(key, &what, given)?;
            settings.as_override(name.clone()).check(&what)?;
            if named.insert(name, settings.clone()).is_some() {
                return Err(Error::setting(what, "the same domain is there twice; write its settings together"));
            }
        }
        Ok(Self(named))
    }

    /// Applies each setting where it has its place.
    ///
    /// # Errors
    /// A header cannot be sent.
    pub fn apply_to(&self, settings: &mut Settings) -> Result<()> {
        self.apply_to_politeness(&mut settings.politeness);
        self.apply_to_proxies(&mut settings.transport.proxies);
        settings.headers = self.apply_to_headers(std::mem::take(&mut settings.headers))?;
        Ok(())
    }

    /// Applies limits and robots policies, after the overrides that are there already.
    fn apply_to_politeness(&self, politeness: &mut Politeness) {
        let overrides = self.nearest_first().map(|(pattern, settings)| settings.as_override(pattern));
        politeness.overrides.extend(overrides);
    }

    /// Applies proxies, after the overrides that are there already. A domain without any has those of all.
    fn apply_to_proxies(&self, proxies: &mut ProxySettings) {
        let overrides = self.nearest_first().map(|(pattern, settings)| {
            let via = if settings.proxies.is_empty() { proxies.via.clone() } else { settings.proxies.clone() };
            ProxyOverride { host: HostPattern::new(pattern), via }
        });
        if self.0.values().any(|settings| !settings.proxies.is_empty()) {
            let overrides: Vec<_> = overrides.collect();
            proxies.overrides.extend(overrides);
        }
    }

    /// Returns the headers with those of the domains.
    ///
    /// # Errors
    /// One cannot be sent, or belongs to one origin, as a secret does.
    fn apply_to_headers(&self, headers: DefaultHeaders) -> Result<DefaultHeaders> {
        for (domain, settings) in &self.0 {
            for (name, value) in &settings.headers {
                let refuse = |why| Error::setting(format!("domains.\"{domain}\".headers.{name}"), why);
                name.parse::<HeaderName>().map_err(|_| refuse("it is no name of a header"))?;
                value.parse::<HeaderValue>().map_err(|_| refuse("its value has characters that no header has"))?;
            }
        }
        let of_domains = self.0.iter().map(|(domain, settings)| (domain.clone(), settings.headers.clone()));
        Ok(headers.with_domains(of_domains.collect()))
    }

    /// Returns bounds of one kind.
    pub fn bounds(&self, of: impl Fn(&DomainSettings) -> Option<u64>) -> DomainBounds {
        self.0.iter().map(|(domain, settings)| (domain.clone(), of(settings))).collect()
    }

    /// Iterates over patterns and settings so that the first match is the nearest.
    fn nearest_first(&self) -> impl Iterator<Item = (String, &DomainSettings)> {
        let mut names: Vec<_> = self.0.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
        let pattern = move |name: &String| if is_address(name) { name.clone() } else { format!("*.{name}") };
        names.into_iter().map(move |(name, settings)| (pattern(name), settings))
    }
}
