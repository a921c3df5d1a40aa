//! Overrides: hosts with fixed addresses, as with curl's `--resolve`. Knows no name server.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use url::Host;

use crate::error::Error;

/// Hosts with fixed addresses, one rule each:
///
/// | rule | meaning |
/// |---|---|
/// | `HOST:ADDRESS` | `HOST` is at `ADDRESS`, on the port of the URL |
/// | `HOST:ADDRESS:PORT` | `HOST` is at `ADDRESS`, on `PORT` whatever the URL says |
/// | `HOST:PORT:ADDRESS` | as curl writes it: only URLs on `PORT` are led to `ADDRESS` |
///
/// An IPv6 address is written in brackets. Several addresses are separated by commas and tried as if a name server had
/// returned them. `*.test` matches every name below `test`, at any depth, but not `test` itself, as in name servers and
/// certificates; `*` alone matches every name. The most specific rule wins; of equally specific ones, the later. IP
/// addresses in URLs are never replaced.
#[derive(Debug, Default)]
pub struct Overrides(HashMap<String, Vec<HostRule>>);

#[derive(Debug)]
struct HostRule {
    /// The URL port to which the rule applies; `None` for every port.
    on: Option<u16>,
    addresses: Vec<IpAddr>,
    /// The port to connect to; `None` for the URL's.
    port: Option<u16>,
}

impl Overrides {
    /// Parses rules.
    ///
    /// # Errors
    /// A rule is invalid; the message shows the right form.
    pub fn parse<T: AsRef<str>>(rules: &[T]) -> Result<Self, Error> {
        let mut overrides = Self::default();
        for text in rules.iter().map(AsRef::as_ref) {
            let (host, rule) = parse(text).map_err(|why| {
                let how = "write it like shop.test:127.0.0.1, shop.test:127.0.0.1:8080, shop.test:443:[::1] or \
                           *.test:127.0.0.1:8080";
                Error::setting("resolve", format!("`{text}` {why}; {how}"))
            })?;
            let rules = overrides.0.entry(host).or_default();
            rules.retain(|other| other.on != rule.on);
            rules.push(rule);
            // A rule for one port is more specific than one for all.
            rules.sort_by_key(|rule| rule.on.is_none());
        }
        Ok(overrides)
    }

    /// Returns the addresses that a rule gives a host, if any. `name` is lower-case and without a trailing dot.
    pub fn find(&self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        if self.0.is_empty() {
            return None;
        }
        let parents = name.match_indices('.').map(|(dot, _)| format!("*{}", name.get(dot..).unwrap_or_default()));
        let patterns = std::iter::once(name.to_owned()).chain(parents).chain(std::iter::once("*".to_owned()));
        patterns
            .filter_map(|pattern| self.0.get(&pattern))
            .flatten()
            .find(|rule| rule.on.is_none_or(|on| on == port))
            .map(|rule| rule.addresses.iter().map(|ip| (*ip, rule.port.unwrap_or(port)).into()).collect())
    }
}

fn parse(text: &str) -> Result<(String, HostRule), String> {
    let (host, place) = text.trim().split_once(':').ok_or("has no address")?;
    let host = parse_host(host)?;
    let (on, place) = match place.split_once(':') {
        Some((on, place)) if is_number(on) => (Some(parse_port(on)?), place),
        _ => (None, place),
    };
    let (addresses, port) = match place.rsplit_once(':') {
        // A colon within brackets is no separator.
        Some((addresses, port)) if !port.ends_with(']') => (addresses, Some(parse_port(port)?)),
        _ => (place, None),
    };
    if on.is_some() && port.is_some() {
        return Err("has a port before the address and one after it".to_owned());
    }
    let addresses = addresses.split(',').map(parse_address).collect::<Result<_, _>>()?;
    Ok((host, HostRule { on, addresses, port }))
}

/// Returns the host as in URLs: lower-case, in Punycode, without a trailing dot.
fn parse_host(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (star, name) = text.strip_prefix("*.").map_or(("", text), |name| ("*.", name));
    match Host::parse(name.strip_suffix('.').unwrap_or(name)) {
        Ok(Host::Domain(name)) if !name.contains('*') => Ok(format!("{star}{name}")),
        Ok(Host::Domain(_)) => Err("has a * that is not the whole first label".to_owned()),
        Ok(_) => Err("leads an IP address elsewhere, which needs no look-up".to_owned()),
        Err(_) => Err(format!("has no host name before its colon, but `{text}`")),
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let inner = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let address = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::from),
        None => text.parse::<Ipv4Addr>().map(IpAddr::from),
    };
    address.map_err(|_| format!("has `{text}` where an IPv4 address, or an IPv6 address in brackets, belongs"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_port(text: &str) -> Result<u16, String> {
    let port = if is_number(text) { text.parse().unwrap_or(0) } else { 0 };
    if port == 0 { Err(format!("has `{text}` where a port from 1 to 65535 belongs")) } else { Ok(port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(rules: &[&str], name: &str, port: u16) -> String {
        let found = Overrides::parse(rules).unwrap().find(name, port).unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_rule_gives_the_address_and_maybe_the_port() {
        assert_eq!(find(&["shop.test:127.0.0.1"], "shop.test", 80), "127.0.0.1:80");
        assert_eq!(find(&["shop.test:127.0.0.1:8080"], "shop.test", 80), "127.0.0.1:8080");
        assert_eq!(find(&["shop.test:[::1]"], "shop.test", 80), "[::1]:80");
        assert_eq!(find(&["shop.test:[::1]:8080"], "shop.test", 80), "[::1]:8080");
        assert_eq!(find(&["Shop.Test.:127.0.0.1"], "shop.test", 80), "127.0.0.1:80");
        assert_eq!(find(&["bücher.test:127.0.0.1"], "xn--bcher-kva.test", 80), "127.0.0.1:80");
        assert_eq!(find(&["a.test:[::1],127.0.0.1:81"], "a.test", 80), "[::1]:81 127.0.0.1:81");
        assert_eq!(find(&["shop.test:127.0.0.1"], "other.test", 80), "");
    }

    #[test]
    fn a_rule_as_curl_writes_it_is_for_one_port() {
        let rules = ["shop.test:443:127.0.0.2", "shop.test:127.0.0.1", "six.test:80:[::1]"];
        assert_eq!(find(&rules, "shop.test", 443), "127.0.0.2:443");
        assert_eq!(find(&rules, "shop.test", 80), "127.0.0.1:80");
        assert_eq!(find(&rules, "six.test", 80), "[::1]:80");
        assert_eq!(find(&rules, "six.test", 81), "");
    }

    #[test]
    fn a_star_stands_for_all_names_below_and_the_most_exact_rule_wins() {
        let rules = ["*:127.0.0.9", "*.test:127.0.0.1:8080", "*.b.test:127.0.0.2", "a.b.test:127.0.0.3"];
        assert_eq!(find(&rules, "a.test", 80), "127.0.0.1:8080");
        assert_eq!(find(&rules, "x.y.z.test", 80), "127.0.0.1:8080");
        assert_eq!(find(&rules, "x.b.test", 80), "127.0.0.2:80");
        assert_eq!(find(&rules, "a.b.test", 80), "127.0.0.3:80");
        assert_eq!(find(&rules, "b.test", 80), "127.0.0.1:8080", "*.b.test is not b.test");
        assert_eq!(find(&rules, "test", 80), "127.0.0.9:80", "*.test is not test");
        assert_eq!(find(&rules, "contest", 80), "127.0.0.9:80");
        assert_eq!(find(&["a.test:127.0.0.1", "a.test:127.0.0.2"], "a.test", 80), "127.0.0.2:80", "the later");
    }

    #[test]
    fn a_wrong_rule_is_shown_and_corrected() {
        for wrong in [
            "",
            "shop.test",
            "shop.test:",
            ":127.0.0.1",
            "shop.test:localhost",
            "shop.test:::1",
            "shop.test:[::1",
            "shop.test:127.0.0.1:0",
            "shop.test:127.0.0.1:65536",
            "shop.test:127.0.0.1:http",
            "shop.test:80",
            "shop.test:80:127.0.0.1:81",
            "127.0.0.1:127.0.0.2",
            "0x7f.1:127.0.0.2",
            "a*.test:127.0.0.1",
            "*.*.test:127.0.0.1",
            "shop.test:256.0.0.1",
            "shop.test:127.0.0.1,",
            "shop.test:127.1",
            "sh op:127.0.0.1",
        ] {
            let error = Overrides::parse(&[wrong]).expect_err(wrong).to_string();
            assert!(error.starts_with("resolve: ") && error.contains("shop.test:127.0.0.1:8080"), "{error}");
        }
    }
}
