//! Crawler, the part of the builder about its spider. Does not know what an item is read from.

use super::Crawler;
use crate::{
    error::Result,
    extract::Extract,
    response::Response,
    spider::{ItemSpider, Parsed, Spider},
};

// `Crawler::items` names no spider, so it belongs to crawls of some one type, which is not used.
impl Crawler<fn(&Response) -> Result<Parsed<()>>> {
    /// Creates a crawl whose items read themselves from pages, by the [`ItemSpider`] of their type: one from each page,
    /// unless [`Crawler::spider`] says otherwise.
    ///
    /// ```no_run
    /// use actix_crawler::prelude::*;
    ///
    /// #[derive(Extract, serde::Serialize)]
    /// struct Quote {
    ///     #[extract(css = ".text")]
    ///     text: String,
    ///     #[extract(css = ".author")]
    ///     author: String,
    /// }
    ///
    /// fn main() -> Result<()> {
    ///     Crawler::items::<Quote>("quotesbot/1.0 (+https://example.org/bot)")
    ///         .spider(|quotes| quotes.each(".quote").follow(".next a"))
    ///         .seed("https://quotes.toscrape.com/")
    ///         .pipeline(JsonLines::create("quotes.jsonl"))
    ///         .run_to_end()
    /// }
    /// ```
    pub fn items<I: Extract + Send + Sync + 'static>(user_agent: impl Into<String>) -> Crawler<ItemSpider<I>> {
        Crawler::new(ItemSpider::new(), user_agent)
    }
}

impl<S: Spider> Crawler<S> {
    /// Changes the spider.
    #[must_use]
    pub fn spider(mut self, change: impl FnOnce(S) -> S) -> Self {
        self.spider = change(self.spider);
        self
    }
}
