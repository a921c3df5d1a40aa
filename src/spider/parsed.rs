//! Parsed: what a spider has read from one page. Knows no pages.

use std::time::Duration;

use super::{Items, Requests};
use crate::{files::File, request::Request};

/// What a page said: items, and the requests that follow from it.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let next = Request::parse("https://example.org/2")?;
/// let parsed = Parsed::new().item("first").item("second").follow(next);
/// assert_eq!((parsed.items().len(), parsed.requests().len()), (2, 1));
/// # Ok::<(), Error>(())
/// ```
///
/// In a loop, by reference:
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn books(page: &Response) -> Result<Parsed<String>> {
///     let mut parsed = Parsed::new();
///     for book in page.select(".book")? {
///         match book.find(".price")? {
///             Some(price) => parsed.push(price.text()),
///             None => parsed.count("no_price"),
///         }
///         parsed.visit(page.link(".next")?);
///     }
///     Ok(parsed)
/// }
///
/// let page = Response::html("https://example.org/", "<p class=book><b class=price>3</b></p><p class=book>sold</p>");
/// let parsed = books(&page)?;
/// assert_eq!((parsed.items(), parsed.counts()), (&["3".to_owned()][..], &["no_price"][..]));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "what was read is lost unless it is returned"]
pub struct Parsed<I> {
    pub(crate) items: Vec<I>,
    pub(crate) requests: Vec<Request>,
    pub(crate) downloads: Vec<File>,
    pub(crate) counts: Vec<&'static str>,
    pub(crate) again: Option<(Duration, String)>,
    pub(crate) refuses_session: bool,
    pub(crate) stop: Option<String>,
}

impl<I> Default for Parsed<I> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            requests: Vec::new(),
            downloads: Vec::new(),
            counts: Vec::new(),
            again: None,
            refuses_session: false,
            stop: None,
        }
    }
}

impl<I> Parsed<I> {
    /// Creates the result of a page without items and requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the result of a page with items: `Product::all(page, ".card")?`, or `page.title().map(str::to_owned)`.
    ///
    /// A `Result` is no list of items: unwrap it first. One item is given by [`Parsed::item`], as
    /// `Parsed::new().item(Product::extract(page)?)`.
    pub fn of<How>(items: impl Items<I, How>) -> Self {
        let mut parsed = Self::default();
        items.add_to(&mut parsed.items);
        parsed
    }

    /// Creates the result of a page that is to be asked for again, at the earliest after this time; a day at the most.
    ///
    /// It counts as an attempt: when [`Retry::attempts`](crate::retry::Retry) are used up, the URL fails as `retry`,
    /// for this reason. Items and requests of such a result are dropped.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_crawler::prelude::*;
    ///
    /// fn prices(page: &Response) -> Result<Parsed<String>> {
    ///     if page.title() == Some("One moment, please") {
    ///         return Ok(Parsed::retry(Duration::from_secs(30), "the page is being made"));
    ///     }
    ///     Ok(Parsed::of(page.select(".price")?.iter().map(|price| price.text())))
    /// }
    /// # drop(prices(&Response::html("https://example.org/", "")));
    /// ```
    pub fn retry(after: Duration, why: impl Into<String>) -> Self {
        Self { again: Some((after, why.into())), ..Self::default() }
    }

    /// Creates the result of a page that says that its session is refused: it is the log-in, or a notice. The session
    /// rests or is logged in again, and the page is asked for again, in another where there is one; see
    /// [`sessions`](crate::sessions). It counts as an attempt, as with [`Parsed::retry`].
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// fn orders(page: &Response) -> Result<Parsed<String>> {
    ///     if page.title() == Some("Please sign in") {
    ///         return Ok(Parsed::session_refused("it has expired"));
    ///     }
    ///     Ok(Parsed::of(page.select(".order")?.iter().map(|order| order.text())))
    /// }
    ///
    /// let parsed = orders(&Response::html("https://shop.example/", "<title>Please sign in</title>"))?;
    /// assert!(parsed.refuses_session());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn session_refused(why: impl Into<String>) -> Self {
        Self { refuses_session: true, ..Self::retry(Duration::ZERO, why) }
    }

    /// Adds an item.
    pub fn item(mut self, item: I) -> Self {
        self.push(item);
        self
    }

    /// Follows links: one request or URL, an `Option` of one, or several, such as `page.links()`. In a loop, use
    /// [`Parsed::visit`], which does not take `self` by value.
    #[doc(alias("yield", "enqueue_links", "add_requests"))]
    pub fn follow<How>(mut self, requests: impl Requests<How>) -> Self {
        self.visit(requests);
        self
    }

    /// Adds an item, by reference.
    #[doc(alias("yield", "push_data"))]
    pub fn push(&mut self, item: I) {
        self.items.push(item);
    }

    /// Follows links as [`Parsed::follow`] does, by reference.
    pub fn visit<How>(&mut self, requests: impl Requests<How>) {
        requests.add_to(&mut self.requests);
    }

    /// Downloads files that belong to no item: URLs, or [`File`]s with names of their own. The page is done when they
    /// have ended; what became of each is counted, and in the crawl log. Files of items are fields of theirs: see
    /// [`Crawler::files_of`](crate::Crawler::files_of).
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// fn reports(page: &Response) -> Result<Parsed<String>> {
    ///     Ok(Parsed::new().download(page.urls_of("a[href$='.pdf']")?).follow(page.links()))
    /// }
    ///
    /// let page = Response::html("https://example.org/", "<a href=2026.pdf>2026</a>");
    /// assert_eq!(reports(&page)?.downloads()[0].url.path(), "/2026.pdf");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn download<F: Into<File>>(mut self, files: impl IntoIterator<Item = F>) -> Self {
        self.downloads.extend(files.into_iter().map(Into::into));
        self
    }

    /// Downloads one file as [`Parsed::download`] does, by reference.
    pub fn push_file(&mut self, file: impl Into<File>) {
        self.downloads.push(file.into());
    }

    /// Counts something: the report shows how often under `spider/<name>`. Beyond about a thousand names, further ones
    /// are counted together as `spider/others`.
    pub fn count(&mut self, name: &'static str) {
        self.counts.push(name);
    }

    /// Stops the crawl for this reason, which the report shows. What is in flight ends as usual, this page included;
    /// what waits stays queued.
    pub fn stop(&mut self, why: impl Into<String>) {
        self.stop = Some(why.into());
    }

    /// Returns the items.
    pub fn items(&self) -> &[I] {
        &self.items
    }

    /// Returns the requests, in the order they were followed.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Returns the files that are downloaded for the page alone.
    pub fn downloads(&self) -> &[File] {
        &self.downloads
    }

    /// Returns the names that were counted, each as often as it was.
    pub fn counts(&self) -> &[&'static str] {
        &self.counts
    }

    /// Returns why the crawl is to stop, if it is.
    pub fn stops(&self) -> Option<&str> {
        self.stop.as_deref()
    }

    /// Returns after which wait the page is to be asked for again, and why, if it is.
    pub fn retries(&self) -> Option<(Duration, &str)> {
        self.again.as_ref().map(|(after, why)| (*after, why.as_str()))
    }

    /// Tells whether the page says that its session is refused.
    pub fn refuses_session(&self) -> bool {
        self.refuses_session
    }

    /// Splits it into items and requests.
    pub fn into_parts(self) -> (Vec<I>, Vec<Request>) {
        (self.items, self.requests)
    }
}
