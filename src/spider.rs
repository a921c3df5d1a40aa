//! Spider: the user's code that extracts items and further requests from a page. Knows no network, no clock and no
//! actors.

use crate::{
    error::{Error, Result},
    request::Request,
    response::Response,
};

/// Extracts items and requests from pages. A function can be a spider too.
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
    /// The items that the spider extracts for the pipelines.
    type Item: Send + Sync + 'static;

    /// Parses one page. Runs on a separate thread, not on the network's. A panic, an error, or exceeding
    /// [`Settings::parse_timeout`](crate::Settings::parse_timeout) fails this page and nothing else.
    ///
    /// # Errors
    /// The page cannot be parsed; it counts as failed, and its URL is not retried.
    fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>>;

    /// Returns seeds in addition to the crawler's own. None by default.
    fn seeds(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Tells whether a response with this status is a page to be parsed; by default 2xx is. Others end as `status`.
    ///
    /// An accepted status is no failure: an accepted 500 is parsed at once and not retried, and an accepted 404 counts
    /// as done. Redirects (3xx with `Location`), 429 and 503 are handled by the crawler, and never passed here.
    fn accepts(&self, status: u16) -> bool {
        (200..300).contains(&status)
    }
}

/// The result of parsing a page: items and further requests.
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
    /// Creates an empty result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a result with items.
    pub fn of(items: impl IntoIterator<Item = I>) -> Self {
        Self { items: items.into_iter().collect(), requests: Vec::new() }
    }

    /// Adds an item.
    #[must_use]
    pub fn item(mut self, item: I) -> Self {
        self.items.push(item);
        self
    }

    /// Adds requests: anything that yields them, such as `page.links()`, one request, or an `Option` of one.
    #[must_use]
    pub fn follow<R: Into<Request>>(mut self, requests: impl IntoIterator<Item = R>) -> Self {
        self.requests.extend(requests.into_iter().map(Into::into));
        self
    }

    /// Returns the items.
    pub fn items(&self) -> &[I] {
        &self.items
    }

    /// Returns the requests, in the order they were added.
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

/// A function from a page to its items and requests is a spider.
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
