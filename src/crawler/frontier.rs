//! Frontier options of a crawl: your own frontier, the identity of requests, bounds on what waits.

use std::sync::Arc;

use super::Crawler;
use crate::{
    error::Result,
    frontier::durable::{Opened, Opening},
    identity::Identity,
    order::{BestFirst, Order},
    request::Request,
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Uses your own frontier, opened by this function when the crawl starts, instead of that of [`Crawler::state`].
    /// Test it with [`laws::check`](crate::frontier::laws::check). If it is durable, log and pipelines go on where they
    /// ended; the folder of a state then has only what pipelines keep there.
    ///
    /// ```
    /// use actix_crawler::{frontier::MemoryFrontier, prelude::*};
    ///
    /// # fn spider(_: &Response) -> Result<Parsed<()>> { Ok(Parsed::new()) }
    /// let crawler = Crawler::new(spider, "bot/1.0 (+https://example.org/bot)")
    ///     .frontier(|opening| Ok(MemoryFrontier::new(opening.recrawl, opening.now).into()));
    /// ```
    #[must_use]
    pub fn frontier(mut self, open: impl FnOnce(Opening) -> Result<Opened> + Send + 'static) -> Self {
        self.frontier = Some(Box::new(open));
        self
    }

    /// Uses your own rule for which requests are the same, instead of the scope's canonical URL. A state stores the
    /// rule's name, and refuses to open with another.
    ///
    /// ```
    /// use actix_crawler::{identity::{CanonicalUrl, Identity}, prelude::*};
    ///
    /// /// Takes `http` and `https` for one.
    /// #[derive(Debug)]
    /// struct AnyScheme;
    ///
    /// impl Identity for AnyScheme {
    ///     fn name(&self) -> &str {
    ///         "any-scheme/1"
    ///     }
    ///
    ///     fn canonicalize(&self, url: &mut url::Url) {
    ///         CanonicalUrl::default().canonicalize(url);
    ///         // Refused only for URLs that are not crawled.
    ///         let _ = url.set_scheme("https");
    ///     }
    /// }
    ///
    /// # fn spider(_: &Response) -> Result<Parsed<()>> { Ok(Parsed::new()) }
    /// let crawler = Crawler::new(spider, "bot/1.0 (+https://example.org/bot)").identity(AnyScheme);
    /// ```
    #[must_use]
    pub fn identity(mut self, identity: impl Identity + 'static) -> Self {
        self.identity = Some(Arc::new(identity));
        self
    }

    /// Sets which of a domain's waiting requests goes first.
    #[doc(alias = "depth_priority")]
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.settings.order = order;
        self
    }

    /// Fetches first, within each domain, the request for which this function returns most; of equals, the one that was
    /// found first. The result takes the place of the request's priority, and of the [`Order`]: whatever counts is for
    /// the function to add up, which sees priority, depth, parent and state.
    ///
    /// It is called once for each page that is found or seeded, where pages are parsed, and within their time-out. The
    /// target of a redirect keeps the rank of what led there. A panic fails the page whose links are judged, and the
    /// crawl does not start if it is a seed's.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// # fn spider(_: &Response) -> Result<Parsed<()>> { Ok(Parsed::new()) }
    /// let crawler = Crawler::new(spider, "bot/1.0 (+https://example.org/bot)")
    ///     .best_first(|request| if request.url.path().starts_with("/products/") { 10 } else { request.priority });
    /// ```
    #[must_use]
    pub fn best_first(mut self, score: impl Fn(&Request) -> i32 + Send + Sync + 'static) -> Self {
        self.best_first = Some(BestFirst::new(score));
        self
    }

    /// Sets the most waiting requests of one domain: see
    /// [`max_queued_per_domain`](super::Settings::max_queued_per_domain).
    #[must_use]
    pub fn max_queued_per_domain(mut self, requests: u64) -> Self {
        self.settings.max_queued_per_domain = Some(requests);
        self
    }

    /// Sets the most memory for waiting requests, in bytes: see
    /// [`max_queued_bytes`](super::Settings::max_queued_bytes).
    #[must_use]
    pub fn max_queued_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_queued_bytes = bytes;
        self
    }
}
