//! Crawler, the part of the builder about how fast, how often, and at whose cost. Does not know how a rate is kept.

use std::{num::NonZeroU32, time::Duration};

use super::Crawler;
use crate::{
    politeness::{Politeness, RobotsPolicy},
    rate::Rate,
    retry::Retry,
    settings::DomainSettings,
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Replaces the settings of politeness.
    #[must_use]
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.settings.politeness = politeness;
        self
    }

    /// Sets what is otherwise for a domain and all names below it; see [`DomainSettings`]. Given again, it replaces
    /// what was given before.
    #[must_use]
    pub fn domain(mut self, name: impl Into<String>, settings: DomainSettings) -> Self {
        self.settings.domains.insert(name.into(), settings);
        self
    }

    /// Limits the rate of starts at each domain, instead of the default second between two starts.
    ///
    /// A rate is a limit, and at most [`per_domain`](Self::per_domain) requests are in flight at once, one by default:
    /// where an answer takes 0.75 s, one at a time makes 1.3 requests a second, whatever the rate allows. So give both
    /// to reach a high rate; the report has a warning where the second was too small.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// // 50 a second of answers that take up to a second each.
    /// let crawler = crawler.rate(Rate::per_second(50)).per_domain(50);
    /// # }
    /// ```
    #[doc(alias("rate_limit", "limit", "throttle", "max_requests_per_minute"))]
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Self {
        self.settings.politeness.rate = Some(rate);
        self
    }

    /// Sets the least time between two starts at each domain, instead of the default second.
    #[doc(alias("delay", "download_delay", "crawl_delay", "same_domain_delay_secs"))]
    #[must_use]
    pub fn spacing(mut self, spacing: Duration) -> Self {
        self.settings.politeness.spacing = Some(spacing);
        self
    }

    /// Sets the most requests in flight at each domain, one by default; 0 is read as 1. See also [`rate`](Self::rate).
    #[doc(alias("concurrent_requests_per_domain", "parallelism"))]
    #[must_use]
    pub fn per_domain(mut self, in_flight: u32) -> Self {
        self.settings.politeness.per_domain = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Sets the most pages in flight in total, 64 by default; 0 is read as 1.
    #[doc(alias("concurrent_requests", "max_concurrency"))]
    #[must_use]
    pub fn concurrency(mut self, in_flight: u32) -> Self {
        self.settings.politeness.concurrency = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Searches for each domain's limit: starts at the given rate, raises it until the domain refuses, and settles just
    /// below. Only for your own sites, or with permission, since it provokes refusals. Each domain's limit is kept as
    /// long as the crawl runs, at about a kilobyte.
    #[doc(alias("autothrottle_enabled", "auto_throttle"))]
    #[must_use]
    pub fn adaptive(mut self) -> Self {
        self.settings.adaptive = true;
        self
    }

    /// Neither requests nor obeys robots.txt: for your own sites.
    #[doc(alias("robotstxt_obey", "ignore_robots_txt", "respect_robots_txt_file"))]
    #[must_use]
    pub fn ignore_robots(mut self) -> Self {
        self.settings.politeness.robots = RobotsPolicy::Ignore;
        self
    }

    /// Makes the crawl's threads give way to others of this machine, as `nice` does for a process: 0, the default, not
    /// at all, 19 the most. A service whose cores a crawl shares answers sooner so; the crawl takes what it leaves, and
    /// its limits hold as before. Only Linux has it for threads; elsewhere it changes nothing.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// let crawler = crawler.nice(10).stay_open();
    /// # }
    /// ```
    #[must_use]
    pub fn nice(mut self, niceness: u8) -> Self {
        self.settings.nice = niceness;
        self
    }

    /// Sets the number of network threads; 0 is read as 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// Sets which failures are tried again, and how often.
    ///
    /// ```
    /// # use actix_crawler::{Retry, prelude::*};
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// let crawler = crawler.retry(Retry::attempts(5));
    /// # }
    /// ```
    #[doc(alias("retry_times", "max_request_retries"))]
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }
}
