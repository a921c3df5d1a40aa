//! Spider: what a user writes, which makes items and further requests of a page. Knows no network, no clock and no actors.

use crate::{
    error::{Error, Result},
    request::Request,
    response::Response,
};

/// Reads pages.
///
/// `parse` is a pure function of the page, so a spider's test needs neither a network nor a runtime:
/// `assert_eq!(Quotes.parse(&Response::html(url, FIXTURE))?.items().len(), 10)`.
pub trait Spider: Send + Sync + 'static {
    /// What pages are read for.
    type Item: Send + Sync + 'static;

    /// Reads one page. It runs off the network's threads; a panic or an error fails this page and nothing else.
    ///
    /// # Errors
    /// Whatever keeps the page from being read; the page then counts as failed.
    fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>>;

    /// Returns the requests that the crawl begins with, beside those that are given to the crawler.
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

/// What a page said: items, and where to go next.
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
    /// Creates the result of a page that said nothing.
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

    /// Takes it apart.
    pub fn into_parts(self) -> (Vec<I>, Vec<Request>) {
        (self.items, self.requests)
    }
}

impl From<url::Url> for Request {
    fn from(url: url::Url) -> Self {
        Self::get(url)
    }
}

/// A closure is a spider whose items are what it returns.
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
