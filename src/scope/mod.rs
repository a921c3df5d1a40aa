//! Scope: the settings that say which URLs belong to a crawl. Judges no URL; `boundary` applies them.

pub(crate) mod boundary;
mod pattern;
mod wrong;

use serde::{Deserialize, Serialize};

pub use self::pattern::Pattern;
use crate::identity::CanonicalUrl;

/// Which URLs belong to a crawl. The default stays within the registrable domains of its seeds.
///
/// ```
/// use actix_crawler::{Scope, Within};
///
/// let scope = Scope {
///     within: Within::Host,
///     deny: vec![r"\?print=".parse()?],
///     max_depth: Some(3),
///     ..Scope::default()
/// };
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// How far from the seeds' hosts.
    pub within: Within,
    /// Hosts that belong to it in addition to those of the seeds.
    pub hosts: Vec<String>,
    /// Registrable domains that belong to it in addition to those of the seeds.
    pub domains: Vec<String>,
    /// Path prefixes; if there are any, a URL must begin with one of them.
    pub paths: Vec<String>,
    /// Patterns; if there are any, a URL must match one of them. Seeds need not.
    pub allow: Vec<Pattern>,
    /// Patterns; a URL that matches one of them is dropped.
    pub deny: Vec<Pattern>,
    /// Whether only `https` is crawled.
    pub https_only: bool,
    /// The most links from a seed.
    pub max_depth: Option<u32>,
    /// The most pages in total. Successful pages count; redirects, error statuses, robots files, sitemaps and files of
    /// items do not.
    pub max_pages: Option<u64>,
    /// The most requests in total. Pages, redirects, error statuses and retries count; robots files, sitemaps
    /// and files of items do not.
    pub max_requests: Option<u64>,
    /// The most pages of one domain.
    pub max_pages_per_domain: Option<u64>,
    /// The longest URL, in bytes.
    pub max_url_length: usize,
    /// Bounds that detect crawler traps.
    pub traps: Traps,
    /// How URLs are canonicalized.
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
            // The longest URL of Internet Explorer, so the longest that sites rely on; Heritrix drops longer ones too.
            max_url_length: 2_083,
            traps: Traps::default(),
            canonical: CanonicalUrl::default(),
        }
    }
}

/// How far from the seeds a crawl goes.
///
/// ```
/// use actix_crawler::{Scope, Within};
///
/// assert_eq!(Scope::default().within, Within::Domain);
/// let only_these_hosts = Scope { within: Within::Host, ..Scope::default() };
/// ```
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

/// Static bounds against endless sites.
///
/// ```
/// use actix_crawler::{Scope, settings::Traps};
///
/// let shop_with_many_filters = Traps { max_queries_per_path: 100_000, ..Traps::default() };
/// let scope = Scope { traps: shop_with_many_filters, ..Scope::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traps {
    /// The most consecutive repetitions of a group of path segments (`/a/b/a/b/a/b/` has three).
    pub max_repetitions: usize,
    /// The most path segments.
    pub max_segments: usize,
    /// The most different queries of one path, which bounds an endless calendar.
    pub max_queries_per_path: u32,
}

impl Default for Traps {
    fn default() -> Self {
        // Repetitions and segments as in Heritrix's PathologicalPath and TooManyPathSegments rules, with one repetition
        // more. Queries: above the largest listings that a crawl would want completely.
        Self { max_repetitions: 3, max_segments: 20, max_queries_per_path: 25_000 }
    }
}
