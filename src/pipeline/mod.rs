//! Pipelines: where items go. Any actor that handles [`Scraped`] and [`CrawlEnded`] is one. Knows nothing of pages,
//! domains or permits.

mod batching;
mod collect;
#[cfg(feature = "csv")]
mod csv;
mod each;
mod json_lines;
mod records;
mod supervisor;

use std::{ops::Deref, sync::Arc};

use actix::{Actor, ArbiterHandle, Context, Handler, Message, Recipient};
use thiserror::Error as ThisError;

#[cfg(feature = "csv")]
pub use self::csv::Csv;
pub(crate) use self::supervisor::Supervisor;
pub use self::{
    batching::Batching,
    collect::Collect,
    each::Each,
    json_lines::JsonLines,
    records::{append_lines, create_lines},
};
use crate::error::Error;

/// An item on its way from a page to a pipeline. The reply is the acknowledgement: a page is done only when all its
/// items were acknowledged, and pages that wait for that hold up new ones.
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

/// Tells a pipeline that no further item will come: it writes what it still holds. The crawl's report waits for the
/// reply, at most for the pipeline's timeout.
#[derive(Clone, Copy, Debug)]
pub struct CrawlEnded;

impl Message for CrawlEnded {
    type Result = Result<(), PipelineError>;
}

/// Tells a batching pipeline to commit what it holds, and to acknowledge it, although the batch is not full.
///
/// It comes when no item has come for a tenth of a second and some still wait to be acknowledged: by then every page in
/// flight may be waiting for this pipeline, and no further item would come. It may come when nothing is held.
#[derive(Clone, Copy, Debug)]
pub struct Flush;

impl Message for Flush {
    type Result = ();
}

/// Why an item was not taken.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum PipelineError {
    /// The pipeline refuses this item. Its page counts as failed, and the crawl goes on.
    #[error("{0}")]
    Refused(String),
    /// The pipeline leaves this item out, such as a duplicate. It is counted as `items/dropped`, and its page is fine.
    #[error("{0}")]
    Dropped(String),
    /// The pipeline's output is gone, for this item and for all that follow. The crawl stops as failed with this reason;
    /// the pages whose items were not acknowledged stay queued.
    #[error("{0}")]
    Broken(String),
    /// Whoever read the output has closed it, as in `… | head`. The crawl stops as it does for
    /// [`PipelineError::Broken`].
    #[error("whoever read the output has closed it")]
    ReaderGone,
    /// The pipeline panicked over this item. Its page counts as failed.
    #[error("the pipeline panicked")]
    Panicked,
    /// The pipeline did not answer in time. The page counts as failed.
    #[error("the pipeline did not answer within {}", humantime::format_duration(*.0))]
    Silent(std::time::Duration),
}

impl PipelineError {
    /// Refuses one item for the pipeline's own reason.
    pub fn refused(why: impl std::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }

    /// Leaves one item out, and counts it, without harm to its page:
    ///
    /// ```
    /// use std::collections::HashSet;
    ///
    /// use actix::{Actor, Context, Handler};
    /// use actix_crawler::prelude::*;
    ///
    /// #[derive(Default)]
    /// struct Distinct(HashSet<String>);
    /// # impl Actor for Distinct {
    /// #     type Context = Context<Self>;
    /// # }
    ///
    /// impl Handler<Scraped<String>> for Distinct {
    ///     type Result = Result<(), PipelineError>;
    ///
    ///     fn handle(&mut self, title: Scraped<String>, _: &mut Self::Context) -> Self::Result {
    ///         if self.0.insert(title.to_string()) { Ok(()) } else { Err(PipelineError::dropped("it was seen before")) }
    ///     }
    /// }
    /// ```
    pub fn dropped(why: impl std::fmt::Display) -> Self {
        Self::Dropped(why.to_string())
    }

    /// Says that the pipeline's output is gone, and why.
    pub fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }

    /// Tells whether the crawl stops for it: no later item can be taken either.
    pub fn stops_the_crawl(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::ReaderGone)
    }
}

/// The items that may wait for a pipeline's acknowledgement unless it says otherwise: as many as an actor's mailbox
/// takes.
pub const DEFAULT_MAX_UNACKNOWLEDGED: usize = 16;

/// A recipe for a pipeline actor: it is started once, and again after a panic or a timeout.
///
/// A function that makes an actor is a recipe: `.pipeline(Words::default)`. An actor that acknowledges several items
/// together goes into [`Batching`].
///
/// ```
/// use actix::{Actor, Context, Handler};
/// use actix_crawler::{
///     pipeline::{Pipeline, Running, Start},
///     prelude::*,
/// };
///
/// /// Takes a file's name to its actor.
/// struct Archive(std::path::PathBuf);
///
/// struct Writer(std::fs::File);
///
/// impl Pipeline<String> for Archive {
///     fn start(&self, start: &Start) -> Result<Running<String>> {
///         // A crawl that goes on from its state keeps what is in the file.
///         let keep = start.resumes() || start.restarts() > 0;
///         let file = std::fs::File::options().create(true).append(keep).write(true).truncate(!keep).open(&self.0);
///         let file = file.map_err(|source| Error::file(&self.0, source))?;
///         Ok(Running::start(start, move || Writer(file)))
///     }
/// }
///
/// impl Actor for Writer {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Scraped<String>> for Writer {
///     type Result = Result<(), PipelineError>;
///
///     fn handle(&mut self, text: Scraped<String>, _: &mut Self::Context) -> Self::Result {
///         use std::io::Write;
///         writeln!(self.0, "{}", *text).map_err(PipelineError::broken)
///     }
/// }
///
/// impl Handler<CrawlEnded> for Writer {
///     type Result = Result<(), PipelineError>;
///
///     fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
///         self.0.sync_all().map_err(PipelineError::broken)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pipeline for items of the type `{I}`",
    label = "this does not take such items",
    note = "`JsonLines` and `Csv` take items that are `serde::Serialize`, `Collect` those that are `Clone`: is `#[derive(serde::Serialize)]` or `#[derive(Clone)]` missing on `{I}`?",
    note = "or it is a function that makes an actor which handles `Scraped<{I}>` and `CrawlEnded`"
)]
pub trait Pipeline<I: Send + Sync + 'static>: Send + Sync + 'static {
    /// Starts the actor on the arbiter of `start`.
    ///
    /// # Errors
    /// Its output cannot be opened, or is not what the pipeline is about to write. At the crawl's start nothing was
    /// fetched then.
    fn start(&self, start: &Start) -> Result<Running<I>, Error>;

    /// Returns how many items may wait for their acknowledgement at a time; at least 1. Further items are held back.
    ///
    /// A pipeline that commits a hundred items together says 100 or more. It must not rely on the hundredth item to come:
    /// it starts its actor with [`Running::start_batching`], and commits at [`Flush`] too, or it has a timer of its own.
    fn max_unacknowledged(&self) -> usize {
        DEFAULT_MAX_UNACKNOWLEDGED
    }
}

/// What a pipeline is told when it is started.
#[derive(Clone, Debug)]
pub struct Start {
    arbiter: ArbiterHandle,
    resumes: bool,
    restarts: u64,
}

impl Start {
    /// Creates the start of a new crawl's pipeline on `arbiter`.
    pub fn new(arbiter: ArbiterHandle) -> Self {
        Self { arbiter, resumes: false, restarts: 0 }
    }

    /// Says whether the crawl goes on with what an earlier process left.
    #[must_use]
    pub fn resuming(mut self, resumes: bool) -> Self {
        self.resumes = resumes;
        self
    }

    /// Says how often the pipeline was started before, in this crawl.
    #[must_use]
    pub fn restarted(mut self, restarts: u64) -> Self {
        self.restarts = restarts;
        self
    }

    /// Returns the arbiter that the actor is to run on. The pipeline has it for itself.
    pub fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Tells whether the crawl goes on with a state that an earlier process left: what that process wrote is kept.
    pub fn resumes(&self) -> bool {
        self.resumes
    }

    /// Returns how often the pipeline was started before, in this crawl: more than 0 after a panic or a timeout.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

/// A pipeline actor that runs.
pub struct Running<I: Send + Sync + 'static> {
    /// Takes items.
    pub scraped: Recipient<Scraped<I>>,
    /// Takes the end.
    pub ended: Recipient<CrawlEnded>,
    /// Takes the request to commit what it holds; `None` where it holds nothing, or has its own timer.
    pub flush: Option<Recipient<Flush>>,
}

impl<I: Send + Sync + 'static> Clone for Running<I> {
    fn clone(&self) -> Self {
        Self { scraped: self.scraped.clone(), ended: self.ended.clone(), flush: self.flush.clone() }
    }
}

impl<I: Send + Sync + 'static> Running<I> {
    /// Starts the actor that `make` makes on the arbiter of `start`.
    pub fn start<A>(start: &Start, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded>,
    {
        let address = A::start_in_arbiter(start.arbiter(), |_| make());
        Self { scraped: address.clone().recipient(), ended: address.recipient(), flush: None }
    }

    /// As [`Running::start`], for an actor that acknowledges several items together.
    pub fn start_batching<A>(start: &Start, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded> + Handler<Flush>,
    {
        let address = A::start_in_arbiter(start.arbiter(), |_| make());
        let flush = Some(address.clone().recipient());
        Self { scraped: address.clone().recipient(), ended: address.recipient(), flush }
    }
}

impl<I, F, A> Pipeline<I> for F
where
    I: Send + Sync + 'static,
    F: Fn() -> A + Clone + Send + Sync + 'static,
    A: Actor<Context = Context<A>> + Handler<Scraped<I>> + Handler<CrawlEnded>,
{
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        Ok(Running::start(start, self.clone()))
    }
}
