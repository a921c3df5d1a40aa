//! What a crawl may be told of its frontier: one of your own, which requests are the same one, how much may wait.

use std::sync::Arc;

use super::Crawler;
use crate::{
    error::Result,
    frontier::durable::{Opened, Opening},
    identity::Identity,
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Keeps requests in a frontier of your own, opened by this function when the crawl starts. It takes the place of
    /// [`Crawler::state`]. Hold it to the laws of every frontier with
    /// [`laws::check`](crate::frontier::laws::check).
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

    /// Decides by a rule of your own which requests are the same one, in place of the scope's canonical URL. With a state
    /// the rule's name is stored, and another one is refused.
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

    /// Lets at most so many requests of one domain wait: see [`max_queued_per_domain`](super::Settings::max_queued_per_domain).
    #[must_use]
    pub fn max_queued_per_domain(mut self, requests: u64) -> Self {
        self.settings.max_queued_per_domain = Some(requests);
        self
    }

    /// Lets requests that wait take at most so many bytes of memory: see [`max_queued_bytes`](super::Settings::max_queued_bytes).
    #[must_use]
    pub fn max_queued_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_queued_bytes = bytes;
        self
    }
}
