//! Bounds: how much may wait, in all and of each domain.

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    domain::{Domain, by_domain::ByDomain},
    frontier::Frontier,
    outcome::DropReason,
    request::{Kind, Request},
};

/// How much may wait in a frontier. Further URLs are dropped and counted under `budget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the names that the settings have")]
pub struct QueueBounds {
    /// The most requests in total.
    pub max_queued: u64,
    /// The most requests of one domain.
    pub max_queued_per_domain: u64,
    /// The most memory for waiting requests, in bytes.
    pub max_queued_bytes: u64,
}

impl QueueBounds {
    /// No bound.
    pub const NONE: Self = Self { max_queued: u64::MAX, max_queued_per_domain: u64::MAX, max_queued_bytes: u64::MAX };
}

/// The bounds of a crawl, and the sitemap files that count against theirs.
pub(super) struct Bounds {
    /// Those of all requests.
    pub of_all: QueueBounds,
    /// The most waiting requests of domains that have their own settings.
    pub of_domains: ByDomain<Option<u64>>,
    /// The most sitemap files of one domain.
    pub max_sitemaps: u32,
    /// The sitemap files of each domain, by the hash of its name.
    sitemaps: HashMap<u64, u32>,
}

impl Default for Bounds {
    fn default() -> Self {
        let (of_domains, sitemaps) = Default::default();
        Self { of_all: QueueBounds::NONE, of_domains, max_sitemaps: u32::MAX, sitemaps }
    }
}

impl Bounds {
    /// Checks whether there is room for a request. A sitemap file counts from then on.
    ///
    /// # Errors
    /// There is none, for this reason.
    pub fn check(&mut self, frontier: &dyn Frontier, domain: &Domain, request: &Request) -> Result<(), DropReason> {
        let QueueBounds { max_queued, max_queued_per_domain, max_queued_bytes } = self.of_all;
        let queued = frontier.queued();
        if queued >= max_queued || frontier.queued_bytes() >= max_queued_bytes {
            return Err(DropReason::QueueFull);
        }
        let own = self.of_domains.get(domain.as_str()).copied().flatten();
        let max_queued_per_domain = own.unwrap_or(max_queued_per_domain);
        if queued >= max_queued_per_domain && frontier.queued_of(domain) >= max_queued_per_domain {
            return Err(DropReason::DomainQueueFull);
        }
        if matches!(request.kind(), Kind::Sitemap(_)) {
            let files = self.sitemaps.entry(xxh3_64(domain.as_str().as_bytes())).or_default();
            if *files >= self.max_sitemaps {
                return Err(DropReason::SitemapFiles);
            }
            *files += 1;
        }
        Ok(())
    }
}
