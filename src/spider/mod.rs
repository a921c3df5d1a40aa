//! Spider: the user's code that extracts items and further requests from a page. Knows no network, no clock and no
//! actors.

#[cfg(feature = "derive")]
mod item_spider;
mod items;
mod parsed;
mod requests;

use std::sync::Arc;

#[cfg(feature = "derive")]
pub use self::item_spider::ItemSpider;
pub use self::{items::Items, parsed::Parsed, requests::Requests};
use crate::{
    error::{Error, Result},
    files::EachFile,
    identity::Identity,
    outcome::Outcome,
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
///         Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
///     }
/// }
///
/// let page = Response::html("https://example.org/", "<title>Home</title><a href=/next>next</a>");
/// let parsed = Titles.parse(&page)?;
/// assert_eq!(parsed.items(), ["Home"]);
/// assert_eq!(parsed.requests()[0].url.as_str(), "https://example.org/next");
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no spider",
    label = "not a spider",
    note = "a spider is a type that implements `Spider`, or a function `fn(&Response) -> Result<Parsed<Item>>`",
    note = "a function with errors of another type becomes one by `any_error(function)`; a closure needs its argument's type, `|page: &Response|`",
    note = "its items must be `Send + Sync + 'static`"
)]
pub trait Spider: Send + Sync + 'static {
    /// The items that the spider extracts for the pipelines.
    type Item: Send + Sync + 'static;

    /// Parses one page. Runs on a separate thread, not on the network's. A panic, an error, or exceeding
    /// [`Settings::parse_timeout`](crate::Settings::parse_timeout) fails this page and nothing else.
    ///
    /// # Errors
    /// The page cannot be parsed; it counts as failed, and its URL is not retried.
    #[doc(alias("on_html", "request_handler"))]
    fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>>;

    /// Called once for each queued request that brought no page, as Scrapy's errback is: it failed, was dropped by a
    /// middleware, or was redirected. Nothing follows from it by default.
    ///
    /// A request that is tried again is reported when its attempts are used up. Each redirect is reported too, with
    /// [`Outcome::Redirect`]: its target is a request of its own, unless it was seen before. Items go to the pipelines
    /// and links are followed as those of a page are; the request keeps its outcome. It runs where `parse` does; if it
    /// panics, the report counts `spider/failed_did_not_return`.
    ///
    /// It also hears of URLs that end without a request of their own: those whose robots file could not be had, since
    /// the host is down or has no address, and those of a domain that is given up ([`Outcome::WithoutRequest`], with
    /// the word for what went wrong, such as `connect`, `dns` or `refused`); and what a robots file disallows
    /// ([`Outcome::Disallowed`]), which the report counts as dropped. If such a URL had
    /// [`dont_filter`](crate::Request::dont_filter), the requests that `failed` returns for it lose theirs: two dead
    /// hosts could otherwise stand in for each other without end.
    ///
    /// It does not hear of what the user leaves out, which is no failure: links outside the scope or seen before,
    /// requests of a domain that was cancelled, and what is beyond a budget. What still waits when the crawl is stopped
    /// stays queued; the crawl that goes on with its state hears of it. After a kill it may hear again of what was not
    /// stored yet, as the pipelines may see items again.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// /// A link checker: its items are the links that are broken, with the page that has them.
    /// struct BrokenLinks;
    ///
    /// impl Spider for BrokenLinks {
    ///     type Item = (String, String);
    ///
    ///     fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>> {
    ///         Ok(Parsed::new().follow(page.links()))
    ///     }
    ///
    ///     fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<Self::Item> {
    ///         match outcome {
    ///             Outcome::Redirect { .. } => Parsed::new(),
    ///             _ => Parsed::new().item((request.url.to_string(), request.parent.as_deref().unwrap_or("").to_owned())),
    ///         }
    ///     }
    /// }
    ///
    /// let gone = BrokenLinks.failed(&Request::parse("https://example.org/gone")?, &Outcome::Status(404));
    /// assert_eq!(gone.items()[0].0, "https://example.org/gone");
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("errback", "on_error", "failed_request_handler"))]
    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<Self::Item> {
        let _ = (request, outcome);
        Parsed::new()
    }

    /// Returns seeds in addition to the crawler's own. None by default.
    fn seeds(&self) -> Vec<Request> {
        Vec::new()
    }

    /// Tells what is wrong with the spider itself, before anything is fetched: a crawl whose spider is wrong does not
    /// start.
    ///
    /// # Errors
    /// It cannot read pages, since a selector of it is none, for instance.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns what the report should warn of when the crawl has ended: what the spider was told to find and has found
    /// on no page, for instance. Nothing by default.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Hears before the crawl begins by which rule it tells whether two requests are the same. A spider that remembers
    /// URLs needs it: each is requested in the form that [`Identity::canonicalize`] gives it. Does nothing by default.
    fn begins(&self, identity: &Arc<dyn Identity>) {
        let _ = identity;
    }

    /// Returns what shows the files of an item, where the type of the items names them.
    #[doc(hidden)]
    fn each_file(&self) -> Option<EachFile<Self::Item>> {
        None
    }

    /// Tells whether a response with this status is a page to be parsed; by default 2xx is. Others end as `status`.
    ///
    /// An accepted status is no failure: an accepted 500 is parsed at once and not retried, and an accepted 404 counts
    /// as done. Redirects (3xx with `Location`) and refusals are handled by the crawler, and never passed here: 429,
    /// 503, and other failures that ask for a wait, as by `Retry-After`.
    fn accepts(&self, status: u16) -> bool {
        (200..300).contains(&status)
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

/// Makes a spider of a function whose errors are of any type, so that `?` takes them all.
///
/// ```
/// use actix_crawler::{any_error, prelude::*};
///
/// fn prices(page: &Response) -> Result<Parsed<f64>, Box<dyn std::error::Error + Send + Sync>> {
///     let price = page.text_of(".price")?;
///     Ok(Parsed::of([price.parse()?]))
/// }
///
/// assert_eq!(prices(&Response::html("https://example.org/", "<b class=price>3.5"))?.items(), [3.5]);
/// let crawler = Crawler::new(any_error(prices), "bot/1.0 (+https://example.org/bot)");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub fn any_error<F, I, E>(parse: F) -> impl Spider<Item = I>
where
    F: Fn(&Response) -> Result<Parsed<I>, E> + Send + Sync + 'static,
    I: Send + Sync + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |page: &Response| parse(page).map_err(Error::spider)
}
