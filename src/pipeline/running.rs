//! Running: the addresses of a pipeline's actor.

use actix::{Actor, Context, Handler, Recipient};

use super::{CrawlEnded, Flush, Scraped, Start};

/// A running pipeline actor.
///
/// ```
/// use actix::{Actor, Handler};
/// use actix_crawler::{pipeline::{Running, Start}, prelude::*};
///
/// fn start<A>(start: &Start, make: fn() -> A) -> Running<String>
/// where
///     A: Actor<Context = actix::Context<A>> + Handler<Scraped<String>> + Handler<CrawlEnded>,
/// {
///     Running::start(start, make)
/// }
/// ```
pub struct Running<I: Send + Sync + 'static> {
    /// Receives items.
    pub scraped: Recipient<Scraped<I>>,
    /// Receives the end of the crawl.
    pub ended: Recipient<CrawlEnded>,
    /// Receives requests to commit; `None` if the actor holds nothing back, or has its own timer.
    pub flush: Option<Recipient<Flush>>,
}

impl<I: Send + Sync + 'static> Clone for Running<I> {
    fn clone(&self) -> Self {
        Self { scraped: self.scraped.clone(), ended: self.ended.clone(), flush: self.flush.clone() }
    }
}

impl<I: Send + Sync + 'static> Running<I> {
    /// Starts the actor created by `make` on the arbiter of `start`.
    pub fn start<A>(start: &Start, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded>,
    {
        let address = A::start_in_arbiter(start.arbiter(), |_| make());
        Self { scraped: address.clone().recipient(), ended: address.recipient(), flush: None }
    }

    /// Like [`Running::start`], for an actor that acknowledges several items together.
    pub fn start_batching<A>(start: &Start, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded> + Handler<Flush>,
    {
        let address = A::start_in_arbiter(start.arbiter(), |_| make());
        let flush = Some(address.clone().recipient());
        Self { scraped: address.clone().recipient(), ended: address.recipient(), flush }
    }
}
