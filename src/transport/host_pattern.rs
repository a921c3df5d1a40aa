//! HostPattern: the hosts to which a transport setting applies. Does not know the settings.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    domain::{Domain, DomainKey},
    error::Error,
};

/// A pattern of hosts. `example.org` matches that host and, if it is a registrable domain, all hosts below it;
/// `*.a.example.org` matches `a.example.org` and all hosts below it; `*` matches every host.
///
/// ```
/// use actix_crawler::transport::HostPattern;
///
/// let pattern = HostPattern::new("*.example.org");
/// assert!(pattern.matches("www.example.org") && pattern.matches("example.org"));
/// assert!(!pattern.matches("example.com"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostPattern(String);

impl HostPattern {
    /// Creates a pattern from its text.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Tells whether it matches a host, written as in a URL.
    pub fn matches(&self, host: &str) -> bool {
        let (name, pattern) = (Domain::new(bare(host)), Domain::new(bare(&in_ascii(&self.0))));
        match pattern.as_str().strip_prefix('*') {
            Some("") => true,
            Some(suffix) => name.as_str() == suffix.trim_start_matches('.') || name.as_str().ends_with(suffix),
            None => name == pattern || domain_of(host) == pattern,
        }
    }

    /// Tells whether it matches every host.
    pub fn is_everything(&self) -> bool {
        self.0.trim_matches(['*', '.']).is_empty()
    }

    /// Checks the pattern; `what` is the name of its setting for the message.
    ///
    /// # Errors
    /// The pattern is empty, or has a scheme, a port or a path.
    pub fn check(&self, what: &str) -> Result<(), Error> {
        let is_address = bare(&self.0).parse::<std::net::IpAddr>().is_ok();
        if self.0.is_empty() || (!is_address && self.0.contains([':', '/', ' '])) {
            let why = format!("`{self}` is no host; write example.org, *.example.org or an address");
            return Err(Error::setting(what, why));
        }
        Ok(())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a pattern as it stands in URLs: `*.xn--bcher-kva.example` for `*.bücher.example`.
fn in_ascii(pattern: &str) -> Cow<'_, str> {
    if pattern.is_ascii() {
        return pattern.into();
    }
    let name = pattern.trim_start_matches(['*', '.']);
    let star = pattern.strip_suffix(name).unwrap_or_default();
    match url::Host::parse(name) {
        Ok(host) => format!("{star}{host}").into(),
        Err(_) => pattern.into(),
    }
}

/// Returns the host without the brackets of an IPv6 address.
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Returns the registrable domain of a host.
pub fn domain_of(host: &str) -> Domain {
    url::Url::parse(&format!("http://{host}/"))
        .map_or_else(|_| Domain::new(host), |url| DomainKey::RegistrableDomain.domain(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_for_the_hosts_it_names_and_no_others() {
        for (pattern, host, expected) in [
            ("example.org", "example.org", true),
            ("example.org", "www.Example.org.", true),
            ("example.org", "notexample.org", false),
            ("www.example.org", "example.org", false),
            ("www.example.org", "a.www.example.org", false),
            ("*.a.example.org", "a.example.org", true),
            ("*.a.example.org", "x.a.example.org", true),
            ("*.a.example.org", "b.example.org", false),
            ("*", "anything", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.11", false),
            ("::1", "[::1]", true),
            ("Bücher.example", "xn--bcher-kva.example", true),
            ("*.a.bücher.example", "x.a.xn--bcher-kva.example", true),
            ("*.a.bücher.example", "b.xn--bcher-kva.example", false),
        ] {
            assert_eq!(HostPattern::new(pattern).matches(host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn a_pattern_is_a_host_and_nothing_more() {
        for wrong in ["", "https://example.org", "example.org:443", "example.org/path"] {
            assert!(HostPattern::new(wrong).check("x").is_err(), "{wrong}");
        }
        for right in ["*", "*.example.org", "localhost", "::1", "[::1]"] {
            assert!(HostPattern::new(right).check("x").is_ok(), "{right}");
        }
    }
}
