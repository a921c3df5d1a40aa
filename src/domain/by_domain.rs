//! ByDomain: values for domains and all names below them. Knows no settings.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use url::Url;

use crate::{
    domain::{Domain, DomainKey, registrable},
    error::{Error, Result},
};

/// Values by domain; each holds for its name and all below it, and of several the nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByDomain<T>(HashMap<String, T>);

impl<T> Default for ByDomain<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> FromIterator<(String, T)> for ByDomain<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> ByDomain<T> {
    /// Returns the value for a name in lower case, as hosts in URLs are.
    pub fn get(&self, mut name: &str) -> Option<&T> {
        if self.0.is_empty() {
            return None;
        }
        loop {
            if let Some(value) = self.0.get(name) {
                return Some(value);
            }
            // Of an address no rest is left that could be a name: what ends in a number is an address.
            name = name.split_once('.')?.1;
        }
    }

    /// Iterates over the values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    /// Tells whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns the name of a domain as it stands in a URL: in lower case, and in ASCII.
///
/// # Errors
/// It is no name of a host; `what` names its setting.
pub fn domain_name(what: &str, given: &str) -> Result<String> {
    let refuse = |why: &str| Error::setting(what, format!("{why}; write a name as example.org, or an address"));
    if let Ok(address) = given.parse::<Ipv6Addr>() {
        return Ok(IpAddr::from(address).to_canonical().to_string());
    }
    if given.contains('*') {
        return Err(refuse("a name has no star, since it holds for all below it"));
    }
    if given.contains([':', '/', '@', '?', '#']) {
        return Err(refuse("it is more than the name of a host"));
    }
    let url = Url::parse(&format!("http://{given}/")).map_err(|_| refuse("it is no name of a host"))?;
    match url.host_str().unwrap_or_default().trim_end_matches('.') {
        "" => Err(refuse("it is no name of a host")),
        name => Ok(name.to_owned()),
    }
}

/// Returns the name of a domain that this key gives to hosts, as it stands in a URL.
///
/// # Errors
/// It is no name of a host, or hosts of that name share the limits of a wider one; `what` names its setting.
pub fn name_by(key: &DomainKey, what: &str, given: &str) -> Result<String> {
    let name = domain_name(what, given)?;
    if let DomainKey::RegistrableDomain = key
        && let Ok(url) = Url::parse(&format!("http://{name}/"))
        && registrable(&url).as_str() != name
    {
        let whole = registrable(&url);
        let why = format!(
            "all hosts of {whole} share their limits; write {whole}, or count hosts as domains with \
             politeness.domain_key = \"host\""
        );
        return Err(Error::setting(what, why));
    }
    Ok(name)
}

/// Returns a pattern as the names have it that this key gives to hosts: a name, `*.` before one, or `*`.
///
/// # Errors
/// No domain matches it.
pub fn pattern_by(key: &DomainKey, given: &str) -> Result<String> {
    let what = format!("domain(\"{given}\")");
    if given == "*" {
        return Ok(given.to_owned());
    }
    if let DomainKey::By(_) = key {
        // A user's own function gives whatever names.
        return match given.trim_start_matches(['*', '.']) {
            "" => Err(Error::setting(what, "it is empty; write a name that the domain key gives, or *")),
            _ => Ok(Domain::new(given).as_str().to_owned()),
        };
    }
    match given.strip_prefix("*.") {
        Some(name) => Ok(format!("*.{}", name_by(key, &what, name)?)),
        None if given.starts_with('*') => {
            Err(Error::setting(what, "a star stands alone or before a dot; write *.example.org"))
        }
        None => name_by(key, &what, given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_for_all_below_its_name_and_the_nearest_wins() {
        let values: ByDomain<u8> = [("example.org", 1), ("a.example.org", 2), ("10.0.0.1", 3), ("::1", 4)]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
        for (name, value) in [
            ("example.org", Some(1)),
            ("b.example.org", Some(1)),
            ("a.example.org", Some(2)),
            ("x.y.a.example.org", Some(2)),
            ("notexample.org", None),
            ("org", None),
            ("10.0.0.1", Some(3)),
            ("0.0.1", None),
            ("::1", Some(4)),
        ] {
            assert_eq!(values.get(name).copied(), value, "{name}");
        }
    }

    #[test]
    fn a_name_is_read_as_urls_have_it_and_what_is_more_is_refused() {
        for (given, name) in
            [("Example.ORG.", "example.org"), ("bücher.example", "xn--bcher-kva.example"), ("127.0.0.1", "127.0.0.1")]
        {
            assert_eq!(domain_name("x", given).unwrap(), name);
        }
        assert_eq!(domain_name("x", "0:0::1").unwrap(), "::1");
        for wrong in [
            "",
            "*.example.org",
            "https://example.org",
            "example.org:8080",
            "example.org/a",
            "me@example.org",
            "a b",
            ".",
        ] {
            assert!(domain_name("x", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_is_one_that_some_domain_matches() {
        let by = DomainKey::By(std::sync::Arc::new(|_: &Url| "Pool 1".to_owned()));
        for (key, given, pattern) in [
            (&DomainKey::RegistrableDomain, "*", "*"),
            (&DomainKey::RegistrableDomain, "Example.org.", "example.org"),
            (&DomainKey::RegistrableDomain, "*.b\u{fc}cher.example", "*.xn--bcher-kva.example"),
            (&DomainKey::RegistrableDomain, "*.co.uk", "*.co.uk"),
            (&DomainKey::RegistrableDomain, "::1", "::1"),
            (&DomainKey::Host, "www.example.org", "www.example.org"),
            (&by, "Pool 1", "pool 1"),
        ] {
            assert_eq!(pattern_by(key, given).unwrap(), pattern);
        }
        for (key, wrong) in [
            (&DomainKey::RegistrableDomain, "www.example.org"),
            (&DomainKey::RegistrableDomain, "*.www.example.org"),
            (&DomainKey::RegistrableDomain, "example.org:80"),
            (&DomainKey::Host, "*example.org"),
            (&DomainKey::Host, "*."),
            (&by, "*."),
        ] {
            let said = pattern_by(key, wrong).unwrap_err().to_string();
            assert!(said.starts_with(&format!("domain(\"{wrong}\"): ")) && said.contains("write "), "{said}");
        }
    }
}
