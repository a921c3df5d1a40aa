//! Boundary: a scope with its seeds; decides about a request by its URL and its depth. Does not know what was seen or
//! queued.

use std::collections::HashSet;

use url::Url;

use crate::{
    domain::{by_domain::domain_name, registrable},
    identity::CanonicalUrl,
    outcome::DropReason,
    request::{Kind, Request},
    scope::{Scope, Within},
};

/// A scope with its seeds: decides what is inside.
#[derive(Clone, Debug)]
pub struct Boundary {
    scope: Scope,
    /// The hosts and domains that the scope names.
    named_hosts: HashSet<String>,
    named_domains: HashSet<String>,
    /// The path prefixes.
    paths: Vec<String>,
    /// Those of the seeds.
    hosts: HashSet<String>,
    domains: HashSet<String>,
    /// The last host found inside: most links of a page lead to one host.
    last_inside: String,
}

/// The longest host in bytes: a name in the DNS has 253 (RFC 1035 §2.3.4), and a dot may end it.
const MAX_HOST: usize = 254;

impl Boundary {
    /// Creates the boundary of a scope, without seeds.
    pub fn new(scope: Scope) -> Self {
        let (hosts, domains, last_inside) = Default::default();
        Self {
            named_hosts: scope.hosts.iter().map(|host| host_in_urls(host)).collect(),
            named_domains: scope.domains.iter().map(|domain| name_in_urls(domain)).collect(),
            paths: scope.paths.iter().map(|prefix| path_in_urls(prefix)).collect(),
            hosts,
            domains,
            scope,
            last_inside,
        }
    }

    /// Changes the scope; the seeds stay.
    pub fn change(&mut self, scope: Scope) {
        let Self { hosts, domains, .. } = std::mem::replace(self, Self::new(scope));
        (self.hosts, self.domains) = (hosts, domains);
    }

    /// Returns the settings.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Includes a seed's host. If a seed redirects to another host, that is included too: `example.com` stands for the
    /// site that answers there. Tells whether the host is new.
    pub fn include(&mut self, seed: &Url) -> bool {
        if seed.host_str().is_some_and(|host| self.hosts.contains(host)) {
            // Its domain has come in with it.
            return false;
        }
        self.domains.insert(registrable(seed).to_string());
        seed.host_str().is_some_and(|host| self.hosts.insert(host.to_ascii_lowercase()))
    }

    /// Checks a request with a canonical URL.
    ///
    /// # Errors
    /// The reason why it is outside.
    pub fn check(&mut self, request: &Request) -> Result<(), DropReason> {
        let url = &request.url;
        let is_no_host = url.host_str().is_some_and(|host| host.len() > MAX_HOST);
        if url.as_str().len() > self.scope.max_url_length || is_no_host {
            return Err(DropReason::Length);
        }
        let https = url.scheme() == "https";
        if !https && (self.scope.https_only || url.scheme() != "http") {
            return Err(DropReason::Scheme);
        }
        if let Kind::Sitemap(file) = request.kind() {
            // It is no page of the site: the rules for paths and depths are not about it.
            let is_inside = !file.is_within_scope() || self.holds_host(url);
            return if is_inside { Ok(()) } else { Err(DropReason::Host) };
        }
        if !self.holds_host(url) {
            return Err(DropReason::Host);
        }
        self.check_path(request)?;
        if self.scope.max_depth.is_some_and(|most| request.depth > most) {
            return Err(DropReason::Depth);
        }
        self.check_traps(url)
    }

    fn holds_host(&mut self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        if self.scope.within == Within::Any || (!host.is_empty() && host == self.last_inside) {
            return true;
        }
        let inside = self.hosts.contains(host)
            || self.named_hosts.contains(host)
            || (self.scope.within == Within::Domain || !self.scope.domains.is_empty()) && self.holds_domain(url);
        if inside {
            host.clone_into(&mut self.last_inside);
        }
        inside
    }

    fn holds_domain(&self, url: &Url) -> bool {
        let domain = registrable(url);
        match self.scope.within {
            Within::Host => self.named_domains.contains(domain.as_str()),
            Within::Domain | Within::Any => {
                self.domains.contains(domain.as_str()) || self.named_domains.contains(domain.as_str())
            }
        }
    }

    fn check_path(&self, request: &Request) -> Result<(), DropReason> {
        let (scope, url) = (&self.scope, request.url.as_str());
        let is_seed = request.depth == 0;
        let is_under = |prefix: &String| request.url.path().starts_with(prefix);
        if !self.paths.is_empty() && !self.paths.iter().any(is_under) && !is_seed {
            return Err(DropReason::Path);
        }
        let allowed = is_seed || scope.allow.is_empty() || scope.allow.iter().any(|rule| rule.is_match(url));
        if !allowed || scope.deny.iter().any(|rule| rule.is_match(url)) {
            return Err(DropReason::Rule);
        }
        Ok(())
    }

    fn check_traps(&self, url: &Url) -> Result<(), DropReason> {
        let traps = &self.scope.traps;
        let path = url.path();
        // Shorter paths cannot break a rule; most pages end here.
        if path.bytes().filter(|byte| *byte == b'/').count() <= traps.max_repetitions {
            return Ok(());
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments.len() > traps.max_segments || repetitions(&segments) > traps.max_repetitions {
            return Err(DropReason::TrapRepetition);
        }
        Ok(())
    }
}

/// Returns a name as it stands in canonical URLs: `xn--bcher-kva.example` for `Bücher.example`.
fn name_in_urls(name: &str) -> String {
    domain_name("", name).unwrap_or_else(|_| name.to_ascii_lowercase())
}

/// The same of a host, which may be an IPv6 address.
fn host_in_urls(host: &str) -> String {
    let name = name_in_urls(host);
    if name.contains(':') { format!("[{name}]") } else { name }
}

/// Returns a path prefix as it stands in canonical URLs: `/caf%C3%A9` for `/café`.
fn path_in_urls(prefix: &str) -> String {
    let Ok(mut url) = Url::parse("http://h/") else { return prefix.to_owned() };
    url.set_path(prefix);
    CanonicalUrl::default().apply(&mut url);
    url.path().to_owned()
}

/// Returns how often the most repeated group of consecutive segments occurs.
fn repetitions(segments: &[&str]) -> usize {
    let runs_of = |period: usize| {
        let mut most = 1;
        let mut equal = 0;
        for (segment, earlier) in segments.iter().skip(period).zip(segments) {
            equal = if segment == earlier { equal + 1 } else { 0 };
            most = most.max(equal / period + 1);
        }
        most
    };
    (1..=segments.len() / 2).map(runs_of).max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(json: &str, seed: &str) -> Boundary {
        let mut boundary = Boundary::new(serde_json::from_str(json).unwrap());
        boundary.include(&Url::parse(seed).unwrap());
        boundary
    }

    fn check(boundary: &mut Boundary, url: &str, depth: u32) -> Result<(), DropReason> {
        let mut request = Request::parse(url).unwrap();
        request.depth = depth;
        boundary.check(&request)
    }

    #[test]
    fn a_crawl_stays_as_near_to_its_seeds_as_it_was_told() {
        for (within, same_host, sibling, foreign) in
            [("host", true, false, false), ("domain", true, true, false), ("any", true, true, true)]
        {
            let mut boundary = boundary(&format!(r#"{{"within": "{within}"}}"#), "https://www.example.org/");
            let mut inside = |url| check(&mut boundary, url, 1).is_ok();
            assert_eq!(inside("https://www.example.org/x"), same_host, "{within}");
            assert_eq!(inside("https://docs.example.org/"), sibling, "{within}");
            assert_eq!(inside("https://other.org/"), foreign, "{within}");
        }
    }

    #[test]
    fn a_host_that_is_longer_than_names_can_be_is_outside() {
        let mut any = boundary(r#"{"within": "any", "max_url_length": 10000}"#, "https://www.example.org/");
        let host = |labels| format!("http://{}example.org/", "abcdefghi.".repeat(labels));
        assert_eq!(check(&mut any, &host(24), 1), Ok(()));
        assert_eq!(check(&mut any, &host(25), 1), Err(DropReason::Length));
    }

    #[test]
    fn names_and_paths_hold_as_a_reader_writes_them() {
        let mut widened = boundary(
            r#"{"within": "host", "hosts": ["Bücher.example", "::1"], "domains": ["straße.de."], "paths": ["/café", "/%7e"]}"#,
            "https://www.example.org/",
        );
        for url in ["https://bücher.example/café/1", "http://[::1]:8080/~me", "https://a.straße.de/caf%C3%A9"] {
            assert_eq!(check(&mut widened, url, 1), Ok(()), "{url}");
        }
        assert_eq!(check(&mut widened, "https://bücher.example/cafe", 1), Err(DropReason::Path));
    }

    #[test]
    fn named_hosts_and_domains_widen_it() {
        let mut widened = boundary(
            r#"{"within": "host", "hosts": ["cdn.net"], "domains": ["friend.org"]}"#,
            "https://www.example.org/",
        );
        assert!(check(&mut widened, "https://cdn.net/", 1).is_ok());
        assert!(check(&mut widened, "https://a.friend.org/", 1).is_ok());
        assert_eq!(check(&mut widened, "https://docs.example.org/", 1), Err(DropReason::Host));
    }

    #[test]
    fn each_drop_has_its_reason() {
        let json = r#"{"paths": ["/docs/"], "allow": ["/docs/.*html$"], "deny": ["/old/"], "max_depth": 2, "max_url_length": 60, "https_only": true}"#;
        let mut boundary = boundary(json, "https://e.org/");
        for (url, depth, expected) in [
            ("https://e.org/", 0, Ok(())),
            ("https://e.org/docs/a.html", 1, Ok(())),
            ("http://e.org/docs/a.html", 1, Err(DropReason::Scheme)),
            ("https://e.org/blog/a.html", 1, Err(DropReason::Path)),
            ("https://e.org/docs/a.pdf", 1, Err(DropReason::Rule)),
            ("https://e.org/docs/old/a.html", 1, Err(DropReason::Rule)),
            ("https://e.org/docs/a.html", 3, Err(DropReason::Depth)),
            (
                "https://e.org/docs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.html",
                1,
                Err(DropReason::Length),
            ),
        ] {
            assert_eq!(check(&mut boundary, url, depth), expected, "{url}");
        }
    }

    #[test]
    fn a_path_that_repeats_itself_is_a_trap() {
        let mut boundary = boundary("{}", "https://e.org/");
        assert!(check(&mut boundary, "https://e.org/a/b/a/b/a/b", 1).is_ok(), "three are allowed");
        assert_eq!(check(&mut boundary, "https://e.org/a/b/a/b/a/b/a/b", 1), Err(DropReason::TrapRepetition));
        assert_eq!(check(&mut boundary, "https://e.org/x/x/x/x", 1), Err(DropReason::TrapRepetition));
        assert!(check(&mut boundary, "https://e.org/2024/01/01/2024/x/y", 1).is_ok());
        let deep = format!("https://e.org/{}", (0..21).map(|n| n.to_string()).collect::<Vec<_>>().join("/"));
        assert_eq!(check(&mut boundary, &deep, 1), Err(DropReason::TrapRepetition));
    }
}
