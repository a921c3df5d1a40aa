//! Domain: the unit of politeness, and the assignment of URLs to it. Knows no limits and no network.

pub(crate) mod by_domain;
pub(crate) mod by_pattern;
pub(crate) mod domain_map;

use std::{
    fmt,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The unit of politeness: all requests with the same `Domain` share one throttle.
///
/// The name is in lower case and has no trailing dot. Cloning is cheap.
///
/// ```
/// use actix_crawler::politeness::DomainKey;
///
/// let domain = |url: &str| DomainKey::default().domain(&url.parse().unwrap()).to_string();
/// assert_eq!(domain("https://www.example.co.uk./page"), "example.co.uk");
/// assert_eq!(domain("http://127.0.0.1:8080/"), "127.0.0.1");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Creates the domain of this name, converted to lower case, without a trailing dot.
    pub fn new(name: &str) -> Self {
        let name = name.trim_end_matches('.');
        // Nearly every name is in lower case already: those of parsed URLs are.
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        Self(if is_lower { name.into() } else { name.to_ascii_lowercase().into() })
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a pattern matches: the name itself, or with a star all that end in it (`*.example.org`, which
    /// includes `example.org`).
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        let name = self.as_str();
        match pattern.strip_prefix('*') {
            None => name.eq_ignore_ascii_case(pattern),
            Some(suffix) => name.eq_ignore_ascii_case(suffix.trim_start_matches('.')) || ends_with(name, suffix),
        }
    }
}

/// Tells whether a pattern matches all domains that another one does: see [`Domain::matches`].
pub(crate) fn covers(wider: &str, pattern: &str) -> bool {
    match (wider.strip_prefix('*'), pattern.strip_prefix('*')) {
        (Some(wider), Some(suffix)) => ends_with(suffix, wider),
        (None, Some(_)) => false,
        (_, None) => Domain::new(pattern).matches(wider),
    }
}

/// Tells whether a name ends in another one, in upper or lower case.
fn ends_with(name: &str, end: &str) -> bool {
    let from = name.len().checked_sub(end.len());
    let rest = from.and_then(|from| name.as_bytes().get(from..));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(end.as_bytes()))
}

/// Lets maps look a domain up by reference and clone it only to insert it.
impl From<&Domain> for Domain {
    fn from(domain: &Domain) -> Self {
        domain.clone()
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

/// Chooses the [`Domain`] of a URL.
///
/// ```
/// use actix_crawler::politeness::DomainKey;
///
/// let url = "https://docs.example.co.uk:8443/".parse()?;
/// assert_eq!(DomainKey::RegistrableDomain.domain(&url).as_str(), "example.co.uk");
/// assert_eq!(DomainKey::Host.domain(&url).as_str(), "docs.example.co.uk");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainKey {
    /// The registrable domain by the public suffix list for names (`a.example.co.uk` → `example.co.uk`); for IP
    /// literals the address, whatever the port; for `localhost` and single labels the name.
    #[default]
    RegistrableDomain,
    /// The host, whatever the port: `a.example.com` and `b.example.com` are paced apart.
    Host,
    /// A function of the URL, for hosts that share a server although their names do not show it. It is called for each
    /// link on the scheduler's thread, so it must return at once, and always the same for one URL. If it panics, the
    /// registrable domain is used.
    #[serde(skip)]
    By(Arc<dyn Fn(&Url) -> String + Send + Sync>),
}

impl DomainKey {
    /// Returns the domain of a request to `url`.
    pub fn domain(&self, url: &Url) -> Domain {
        match self {
            Self::RegistrableDomain => registrable(url),
            Self::Host => Domain::new(url.host_str().unwrap_or_default()),
            Self::By(key) => {
                catch_unwind(AssertUnwindSafe(|| key(url))).map_or_else(|_| registrable(url), |name| Domain::new(&name))
            }
        }
    }
}

impl fmt::Debug for DomainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RegistrableDomain => "RegistrableDomain",
            Self::Host => "Host",
            Self::By(_) => "By(..)",
        })
    }
}

/// Returns the registrable domain of a URL's host. Addresses are checked first: for `127.0.0.1` the public suffix list
/// would return `0.1`.
pub fn registrable(url: &Url) -> Domain {
    match url.host() {
        Some(Host::Ipv4(address)) => Domain::new(&IpAddr::from(address).to_string()),
        Some(Host::Ipv6(address)) => Domain::new(&address.to_canonical().to_string()),
        Some(Host::Domain(name)) => Domain::new(psl::domain_str(name.trim_end_matches('.')).unwrap_or(name)),
        None => Domain::new(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registrable_of(url: &str) -> String {
        registrable(&Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn names_share_the_throttle_of_their_registrable_domain() {
        assert_eq!(registrable_of("https://a.b.example.co.uk/x"), "example.co.uk");
        assert_eq!(registrable_of("https://EXAMPLE.com.:8443/"), "example.com");
        assert_eq!(registrable_of("http://fast.demo.test/"), "demo.test");
        assert_eq!(DomainKey::Host.domain(&Url::parse("https://A.example.com./").unwrap()).as_str(), "a.example.com");
    }

    #[test]
    fn addresses_and_single_labels_are_their_own_domain_whatever_the_port() {
        assert_eq!(registrable_of("http://127.0.0.1:8080/"), "127.0.0.1");
        assert_eq!(registrable_of("http://0x7f.1/"), "127.0.0.1");
        assert_eq!(registrable_of("http://[::1]:81/"), "::1");
        assert_eq!(registrable_of("http://[::ffff:10.0.0.1]/"), "10.0.0.1");
        assert_eq!(registrable_of("http://localhost:1/"), "localhost");
        assert_eq!(registrable_of("http://intranet/"), "intranet");
    }

    #[test]
    fn a_public_suffix_itself_is_a_domain_of_its_own() {
        assert_eq!(registrable_of("https://co.uk/"), "co.uk");
    }

    #[test]
    fn a_pattern_covers_those_that_match_nothing_else() {
        let patterns = ["*", "*.org", "*x.org", "*.X.org", "*.a.x.org", "a.x.org"];
        for (index, wider) in patterns.iter().enumerate() {
            for (other, pattern) in patterns.iter().enumerate() {
                assert_eq!(covers(wider, pattern), index <= other, "{wider} {pattern}");
            }
        }
        assert!(covers("*.x.org", "x.org") && !covers("*.x.org", "*.y.org") && !covers("*.x.org", "notx.org"));
    }

    #[test]
    fn the_host_or_a_function_can_be_the_key() {
        let url = Url::parse("https://a.example.com/x").unwrap();
        assert_eq!(DomainKey::Host.domain(&url).as_str(), "a.example.com");
        let by = DomainKey::By(Arc::new(|url: &Url| url.scheme().to_owned()));
        assert_eq!(by.domain(&url).as_str(), "https");
        let panics = DomainKey::By(Arc::new(|_: &Url| panic!("foreign code")));
        assert_eq!(panics.domain(&url).as_str(), "example.com", "foreign code never ends the crawl");
    }
}
