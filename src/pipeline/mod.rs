//! Pipelines: where items go. Any actor that takes [`Scraped`] and [`CrawlEnded`] is one.

mod collect;
#[cfg(feature = "csv")]
mod csv;
mod each;
mod json_lines;
mod outlet;
mod records;

use std::{ops::Deref, sync::Arc};

use actix::{Actor, ArbiterHandle, Context, Handler, Message, Recipient};
use thiserror::Error as ThisError;

#[cfg(feature = "csv")]
pub use self::csv::Csv;
pub(crate) use self::outlet::Outlet;
pub use self::{
    collect::Collect,
    each::Each,
    json_lines::JsonLines,
    records::{append_lines, create_lines},
};
use crate::error::Error;

/// An item, on its way from a page to a pipeline. The reply to it is the acknowledgement: a page is done only when
/// all its items were acknowledged, and a page that is waiting for that holds up new ones.
#[derive(Debug)]
pub struct Scraped<I> {
    /// The item; every pipeline gets the same.
    pub item: Arc<I>,
    /// The page that it was found on.
    pub url: Arc<str>,
}

impl<I> Clone for Scraped<I> {
    fn clone(&self) -> Self {
        Self { item: self.item.clone(), url: self.url.clone() }
    }
}

impl<I> Deref for Scraped<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.item
    }
}

impl<I: 'static> Message for Scraped<I> {
    type Result = Result<(), PipelineError>;
}

/// Tells a pipeline that no item will come any more: it writes what it still holds. The crawl's report waits for the
/// reply.
#[derive(Clone, Copy, Debug)]
pub struct CrawlEnded;

impl Message for CrawlEnded {
    type Result = Result<(), PipelineError>;
}

/// Why an item was not taken. Its page counts as failed.
#[derive(Clone, Debug, ThisError)]
#[non_exhaustive]
pub enum PipelineError {
    /// The pipeline's own reason.
    #[error("{0}")]
    Refused(String),
    /// The pipeline panicked over this item.
    #[error("the pipeline panicked")]
    Panicked,
    /// The pipeline did not answer in time.
    #[error("the pipeline did not answer within {}", humantime::format_duration(*.0))]
    Silent(std::time::Duration),
}

impl PipelineError {
    /// Creates a pipeline's own reason.
    pub fn refused(why: impl std::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

/// A recipe for a pipeline actor: it is started once, and again after a panic.
///
/// A function that makes an actor is one: `.pipeline(Tally::default)`. At most 16 items are under way to it at a time:
/// one that acknowledges several items together must not wait for more.
pub trait Pipeline<I: Send + Sync + 'static>: Send + Sync + 'static {
    /// Starts the actor on an arbiter.
    ///
    /// # Errors
    /// What it writes to cannot be opened.
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<I>, Error>;
}

/// A pipeline actor that runs.
pub struct Running<I: Send + Sync + 'static> {
    /// Takes items.
    pub scraped: Recipient<Scraped<I>>,
    /// Takes the end.
    pub ended: Recipient<CrawlEnded>,
}

impl<I: Send + Sync + 'static> Clone for Running<I> {
    fn clone(&self) -> Self {
        Self { scraped: self.scraped.clone(), ended: self.ended.clone() }
    }
}

impl<I: Send + Sync + 'static> Running<I> {
    /// Starts the actor that `make` makes on `arbiter`.
    pub fn start<A>(arbiter: &ArbiterHandle, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded>,
    {
        let address = A::start_in_arbiter(arbiter, |_| make());
        Self { scraped: address.clone().recipient(), ended: address.recipient() }
    }
}

impl<I, F, A> Pipeline<I> for F
where
    I: Send + Sync + 'static,
    F: Fn() -> A + Clone + Send + Sync + 'static,
    A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded>,
{
    fn start(&self, arbiter: &ArbiterHandle) -> Result<Running<I>, Error> {
        Ok(Running::start(arbiter, self.clone()))
    }
}
