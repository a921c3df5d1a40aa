//! Requests: what a spider may follow. A `Result` is none of it, so that an error cannot pass for "no links".

use url::Url;

use crate::{request::Request, response::PageLink};

/// What [`Parsed::follow`](super::Parsed::follow) takes: a request or a URL, an `Option` of one, or several of them as
/// a `Vec`, an array or an iterator. `How` tells the compiler which of these it is, and is never written.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://example.org/1", "<a class=next href=/2>next</a> <a href=/about>about</a>");
/// let parsed = Parsed::<()>::new().follow(page.link(".next")?).follow(page.links());
/// # Ok::<(), Error>(())
/// ```
///
/// A `Result` has to be unwrapped first, or its error would be lost in silence:
///
/// ```compile_fail
/// use actix_crawler::prelude::*;
///
/// let parsed = Parsed::<()>::new().follow(Request::parse("no URL"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a request nor a URL, nor several of them",
    label = "this cannot be followed",
    note = "follow a `Request`, a `Url`, an `Option` of one, or a `Vec`, an array or an iterator of them",
    note = "unwrap a `Result` first, as in `parsed.follow(page.link(\".next\")?)`"
)]
pub trait Requests<How> {
    /// Adds the requests to a list.
    fn add_to(self, requests: &mut Vec<Request>);
}

/// One request.
pub struct One;

/// At most one.
pub struct Optional;

/// Several, in a `Vec` or an array.
pub struct Several;

/// Several, from an iterator.
pub struct Iterated;

impl<R: Into<Request>> Requests<One> for R {
    fn add_to(self, requests: &mut Vec<Request>) {
        requests.push(self.into());
    }
}

impl<R: Into<Request>> Requests<Optional> for Option<R> {
    fn add_to(self, requests: &mut Vec<Request>) {
        requests.extend(self.map(Into::into));
    }
}

impl<R: Into<Request>> Requests<Several> for Vec<R> {
    fn add_to(self, requests: &mut Vec<Request>) {
        requests.extend(self.into_iter().map(Into::into));
    }
}

impl<R: Into<Request>, const N: usize> Requests<Several> for [R; N] {
    fn add_to(self, requests: &mut Vec<Request>) {
        requests.extend(self.map(Into::into));
    }
}

impl<I: Iterator<Item: Into<Request>>> Requests<Iterated> for I {
    fn add_to(self, requests: &mut Vec<Request>) {
        requests.extend(self.map(Into::into));
    }
}

impl From<Url> for Request {
    fn from(url: Url) -> Self {
        Self::get(url)
    }
}

impl From<&Url> for Request {
    fn from(url: &Url) -> Self {
        Self::get(url.clone())
    }
}

impl From<PageLink<'_>> for Request {
    fn from(link: PageLink<'_>) -> Self {
        link.url().into()
    }
}
