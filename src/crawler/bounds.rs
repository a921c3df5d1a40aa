//! Crawler, the part of the builder about how far a crawl goes, and how much it takes. Does not know how that is
//! counted.

use std::time::Duration;

use super::Crawler;
use crate::{
    scope::{Scope, Within},
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Replaces the settings of the scope.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.settings.scope = scope;
        self
    }

    /// Sets how far from the seeds' hosts the crawl goes.
    #[doc(alias("allowed_domains", "same_domain"))]
    #[must_use]
    pub fn within(mut self, within: Within) -> Self {
        self.settings.scope.within = within;
        self
    }

    /// Sets the most links from a seed to a page.
    #[doc(alias("depth_limit", "max_crawl_depth"))]
    #[must_use]
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.settings.scope.max_depth = Some(depth);
        self
    }

    /// Sets the most pages. Successful pages count; redirects, error statuses, robots files, sitemaps and files of
    /// items do not.
    #[doc(alias("closespider_pagecount", "max_requests_per_crawl"))]
    #[must_use]
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.settings.scope.max_pages = Some(pages);
        self
    }

    /// Sets the most requests. Pages, redirects, error statuses and retries count; robots files, sitemaps, files of
    /// items, and what a middleware refuses before it is sent do not.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.settings.scope.max_requests = Some(requests);
        self
    }

    /// Reads at most so many links from one page; 0 is refused when the crawl starts.
    #[must_use]
    pub fn max_links_per_page(mut self, links: usize) -> Self {
        self.settings.max_links_per_page = links;
        self
    }

    /// Stops after this time: what is in flight ends as usual, and what waits stays queued.
    #[doc(alias = "closespider_timeout")]
    #[must_use]
    pub fn max_time(mut self, time: Duration) -> Self {
        self.settings.max_time = Some(time);
        self
    }

    /// Hands pages that send their readers on to the spider, as any other page. By default such a page is a redirect,
    /// if it does so within 5 s: the spider sees the page that it leads to, and not the page itself. In either case
    /// [`Response::links`](crate::response::Response::links) has the target of a page that the spider sees.
    #[must_use]
    pub fn ignore_refresh(mut self) -> Self {
        self.settings.follow_refresh = false;
        self
    }
}
