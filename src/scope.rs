//! Scope: which URLs belong to the crawl, judged from the URL alone. Knows neither what was seen nor what is queued.

use std::{collections::HashSet, fmt, str::FromStr};

use regex::Regex;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{domain::registrable, error::Error, identity::CanonicalUrl, outcome::DropReason, request::Request};

/// Which URLs a crawl takes. The default stays within the registrable domains of its seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// How far from the seeds' hosts.
    pub within: Within,
    /// Hosts that belong to it beside those of the seeds.
    pub hosts: Vec<String>,
    /// Registrable domains that belong to it beside those of the seeds.
    pub domains: Vec<String>,
    /// Path prefixes; where any is given, a URL must begin with one of them.
    pub paths: Vec<String>,
    /// Rules; where any is given, a URL must match one of them. Seeds are taken in any case.
    pub allow: Vec<Pattern>,
    /// Rules; a URL that matches one of them is dropped.
    pub deny: Vec<Pattern>,
    /// Only `https`.
    pub https_only: bool,
    /// The most links from a seed.
    pub max_depth: Option<u32>,
    /// The most pages in all. Pages that ended well count; redirects, error statuses and robots files do not.
    pub max_pages: Option<u64>,
    /// The most requests in all. Pages, redirects, error statuses and retries count; robots files do not.
    pub max_requests: Option<u64>,
    /// The most pages of one domain.
    pub max_pages_per_domain: Option<u64>,
    /// The longest URL, in bytes.
    pub max_url_length: usize,
    /// What looks like a trap.
    pub traps: Traps,
    /// How URLs are made canonical.
    pub canonical: CanonicalUrl,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            within: Within::default(),
            hosts: Vec::new(),
            domains: Vec::new(),
            paths: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            https_only: false,
            max_depth: None,
            max_pages: None,
            max_requests: None,
            max_pages_per_domain: None,
            // The longest that Internet Explorer took, so the longest that sites rely on; Heritrix drops above it too.
            max_url_length: 2_083,
            traps: Traps::default(),
            canonical: CanonicalUrl::default(),
        }
    }
}

/// How far from the seeds a crawl goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// The seeds' hosts.
    Host,
    /// The seeds' registrable domains, with all their hosts.
    #[default]
    Domain,
    /// Anywhere.
    Any,
}

/// Static guards against endless sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traps {
    /// The most times that a group of path segments may stand in a row (`/a/b/a/b/a/b/` is three).
    pub max_repetitions: usize,
    /// The most path segments.
    pub max_segments: usize,
    /// The most different queries of one path: an endless calendar ends here.
    pub max_queries_per_path: u32,
}

impl Default for Traps {
    fn default() -> Self {
        // Repetitions and segments as Heritrix's PathologicalPath and TooManyPathSegments rules, one repetition more
        // generous. Queries: above the largest listings that a page-by-page crawl would want whole.
        Self { max_repetitions: 3, max_segments: 20, max_queries_per_path: 25_000 }
    }
}

/// A regular expression over the whole URL, matched in linear time.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Regex::new(text).map(Self).map_err(|error| Error::setting("pattern", format!("`{text}`: {error}")))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The scope with its seeds: what is inside and what is not.
#[derive(Clone, Debug)]
pub struct Boundary {
    scope: Scope,
    hosts: HashSet<String>,
    domains: HashSet<String>,
    /// The host that was inside last: most links of a page lead to one.
    last_inside: String,
}

impl Boundary {
    /// Creates the boundary of a scope without seeds.
    pub fn new(scope: Scope) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { hosts: lower(&scope.hosts), domains: lower(&scope.domains), scope, last_inside: String::new() }
    }

    /// Returns the settings.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes a seed's host inside. A seed that redirects to another host takes that inside too: whoever asks for
    /// `example.com` means the site that answers there.
    pub fn include(&mut self, seed: &Url) {
        self.hosts.extend(seed.host_str().map(str::to_ascii_lowercase));
        self.domains.insert(registrable(seed).to_string());
    }

    /// Judges a request with a canonical URL.
    ///
    /// # Errors
    /// The reason why it is outside.
    pub fn check(&mut self, request: &Request) -> Result<(), DropReason> {
        let url = &request.url;
        if url.as_str().len() > self.scope.max_url_length {
            return Err(DropReason::Length);
        }
        let https = url.scheme() == "https";
        if !https && (self.scope.https_only || url.scheme() != "http") {
            return Err(DropReason::Scheme);
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
            || (self.scope.within == Within::Domain || !self.scope.domains.is_empty()) && self.holds_domain(url);
        if inside {
            host.clone_into(&mut self.last_inside);
        }
        inside
    }

    fn holds_domain(&self, url: &Url) -> bool {
        let domain = registrable(url);
        match self.scope.within {
            Within::Host => self.scope.domains.iter().any(|named| named.eq_ignore_ascii_case(domain.as_str())),
            Within::Domain | Within::Any => self.domains.contains(domain.as_str()),
        }
    }

    fn check_path(&self, request: &Request) -> Result<(), DropReason> {
        let (scope, url) = (&self.scope, request.url.as_str());
        let is_seed = request.depth == 0;
        if !scope.paths.is_empty()
            && !scope.paths.iter().any(|prefix| request.url.path().starts_with(prefix))
            && !is_seed
        {
            return Err(DropReason::Path);
        }
        let allowed = is_seed || scope.allow.is_empty() || scope.allow.iter().any(|rule| rule.0.is_match(url));
        if !allowed || scope.deny.iter().any(|rule| rule.0.is_match(url)) {
            return Err(DropReason::Rule);
        }
        Ok(())
    }

    fn check_traps(&self, url: &Url) -> Result<(), DropReason> {
        let traps = &self.scope.traps;
        let path = url.path();
        // The shortest path that can break a rule; most pages end here.
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

/// Returns how often the most repeated group of segments stands in a row.
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

    #[test]
    fn a_wrong_rule_is_shown() {
        let error = serde_json::from_str::<Scope>(r#"{"deny": ["(unclosed"]}"#).unwrap_err().to_string();
        assert!(error.contains("(unclosed"), "{error}");
    }
}
