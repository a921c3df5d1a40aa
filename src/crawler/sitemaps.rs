//! Crawler, the part of the builder about sitemaps. Does not know what a sitemap says.

use std::sync::Arc;

use super::Crawler;
use crate::{
    error::Error,
    extract::sitemap::{SitemapEntry, W3cDate},
    request::Request,
    sitemaps,
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Reads the sitemaps of all seeds' sites: those that robots.txt names, and `/sitemap.xml`, or where there is
    /// neither, other usual places. The pages that they list are followed as links of the sites are, within the scope;
    /// their depth is 1. Sitemaps of sitemaps are read too, and RSS, Atom and plain lists of URLs. Each file takes a
    /// permit of its domain. What is left out counts as dropped, and a file that cannot be read counts as failed, with
    /// the reason.
    ///
    /// [`Settings::sitemaps`](crate::Settings::sitemaps) has bounds and filters; [`Crawler::sitemap_rule`] makes the
    /// requests.
    ///
    /// ```no_run
    /// # use actix_crawler::prelude::*;
    /// # async fn example(pages: impl Spider<Item = String>) -> Result<()> {
    /// let crawler = Crawler::new(pages, "newsbot/1.0 (+https://example.org/bot)");
    /// let report = crawler.seed("https://example.org/").sitemaps().run().await?;
    /// println!("{} pages were listed", report.stats.get("sitemaps/urls"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sitemaps(mut self) -> Self {
        self.settings.sitemaps.read = true;
        self
    }

    /// Reads this sitemap, or the sitemaps of this site if the URL has no path (`https://example.org/`), as
    /// [`Crawler::sitemaps`] does for seeds. The page itself is not requested for that.
    #[must_use]
    pub fn sitemap(mut self, url: impl AsRef<str>) -> Self {
        self.seeds.push(Request::parse(url.as_ref()).map(|request| sitemaps::named(request.url)));
        self
    }

    /// Leaves out what sitemaps say was last modified before this date; what has no date is taken.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) -> Result<(), Box<dyn std::error::Error>> {
    /// let crawler = crawler.sitemap("https://news.example.org/").sitemaps_since("2026-03-01".parse()?);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sitemaps_since(mut self, date: W3cDate) -> Self {
        self.settings.sitemaps.since = Some(date);
        self
    }

    /// Takes from sitemaps only pages whose URL matches a regular expression; with several, one must match. The others
    /// count as dropped, as `sitemap/rule`. What is no regular expression is refused when the crawl starts.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    /// let crawler = crawler.sitemap("https://shop.example.org/").sitemaps_allow("/product/");
    /// # }
    /// ```
    #[must_use]
    pub fn sitemaps_allow(mut self, pattern: &str) -> Self {
        match pattern.parse() {
            Ok(pattern) => self.settings.sitemaps.allow.push(pattern),
            Err(error) => drop(self.wrong.get_or_insert(named("sitemaps_allow", error))),
        }
        self
    }

    /// Makes the requests for the pages that sitemaps list, in place of plain ones; `None` leaves a page out, as
    /// `sitemap/rule`. It is called for what [`Settings::sitemaps`](crate::Settings::sitemaps) takes. A panic in it
    /// fails the sitemap.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// enum Kind { Product, Other }
    ///
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let crawler = Crawler::new(titles, "shopbot/1.0 (+https://example.org/bot)")
    ///     .sitemap("https://shop.example.org/")
    ///     .sitemap_rule(|entry| match entry.url.path() {
    ///         path if path.starts_with("/p/") => Request::get(entry.url.clone()).priority(1).with_state(&Kind::Product).ok(),
    ///         path if path.starts_with("/legal/") => None,
    ///         _ => Request::get(entry.url.clone()).with_state(&Kind::Other).ok(),
    ///     });
    /// ```
    #[must_use]
    pub fn sitemap_rule(mut self, rule: impl Fn(&SitemapEntry) -> Option<Request> + Send + Sync + 'static) -> Self {
        self.sitemap_rule = Some(Arc::new(rule));
        self
    }

    /// Visits a URL again when a sitemap says that it was modified since: see
    /// [`Recrawl::by_lastmod`](crate::Recrawl::by_lastmod).
    #[must_use]
    pub fn revisit_modified(mut self) -> Self {
        self.settings.recrawl.by_lastmod = true;
        self
    }
}

/// Returns the error of an argument under the name of its function.
fn named(function: &str, error: Error) -> Error {
    Error::setting(function, error.into_why())
}
