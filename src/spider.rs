//! Spider: what a user writes: it makes items and further requests of a page. Knows no network, no clock and no actors.

use crate::{
    error::{Error, Result},
    request::Request,
    response::Response,
};

/// Reads pages. A function from a page to what it says is a spider too.
///
/// `parse` depends on the page alone, so a spider's test needs neither a network nor a runtime:
///
/// ```
/// use actix_crawler::prelude::*;
///
/// struct Titles;
///
/// impl Spider for Titles {
///     type Item = String;
///
///     fn parse(&self, page: &Response) -> Result<Parsed<String>> {
///         Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links().cloned()))
///     }
/// }
///
/// let page = Response::html("https://example.org/", "<title>Home</title><a href=/next>next</a>");
/// let parsed = Titles.parse(&page)?;
/// assert_eq!(parsed.items(), ["Home"]);
/// assert_eq!(parsed.requests()[0].url.as_str(), "https://example.org/next");
/// # Ok::<(), Error>(())
/// ```
pub trait Spider: Send + Sync + 'static {
    /// What the spider makes of pages, for the pipelines.
    type Item: Send + Sync + 'static;

    /// Reads one page. It runs on a thread of its own, not on the network's. A panic, an error, or more time than
    /// [`Settings::parse_timeout`](crate::Settings::parse_timeout) fails this page and nothing else.
    ///
    /// # Errors
    /// The page cannot be read; it then counts as failed, and its URL is not retried.
    fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>>;

    /// Returns the requests that the crawl begins with, in addition to the crawler's own seeds. None by default.
    fn seeds(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Tells whether an answer with this status is a page, to be parsed; by default 2xx is. Others end as `status`.
    ///
    /// A status that is accepted is no failure: an accepted 500 is parsed at once and not retried, and an accepted 404
    /// counts as done. Redirects that lead elsewhere (3xx with `Location`), 429 and 503 are the crawler's, and are not
    /// asked for here.
    fn accepts(&self, status: u16) -> bool {
        (200..300).contains(&status)
    }
}

/// What a page said: items, and the requests that follow from it.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let next = Request::parse("https://example.org/2")?;
/// let parsed = Parsed::new().item("first").item("second").follow([next]);
/// assert_eq!((parsed.items().len(), parsed.requests().len()), (2, 1));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parsed<I> {
    items: Vec<I>,
    requests: Vec<Request>,
}

impl<I> Default for Parsed<I> {
    fn default() -> Self {
        Self { items: Vec::new(), requests: Vec::new() }
    }
}

impl<I> Parsed<I> {
    /// Creates the result of a page without items and requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the result of a page with items.
    pub fn of(items: impl IntoIterator<Item = I>) -> Self {
        Self { items: items.into_iter().collect(), requests: Vec::new() }
    }

    /// Adds an item.
    #[must_use]
    pub fn item(mut self, item: I) -> Self {
        self.items.push(item);
        self
    }

    /// Follows links: anything that gives requests, such as `page.links()`, one request, or an `Option` of one.
    #[must_use]
    pub fn follow<R: Into<Request>>(mut self, requests: impl IntoIterator<Item = R>) -> Self {
        self.requests.extend(requests.into_iter().map(Into::into));
        self
    }

    /// Returns the items.
    pub fn items(&self) -> &[I] {
        &self.items
    }

    /// Returns the requests, in the order they were followed.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Splits it into items and requests.
    pub fn into_parts(self) -> (Vec<I>, Vec<Request>) {
        (self.items, self.requests)
    }
}

impl From<url::Url> for Request {
    fn from(url: url::Url) -> Self {
        Self::get(url)
    }
}

/// A function from a page to what it says is a spider.
impl<F, I> Spider for F
where
    F: Fn(&Response) -> Result<Parsed<I>, Error> + Send + Sync + 'static,
    I: Send + Sync + 'static,
{
    type Item = I;

    fn parse(&self, page: &Response) -> Result<Parsed<I>> {
        self(page)
    }
}
