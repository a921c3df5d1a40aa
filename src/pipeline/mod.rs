//! Pipelines: the destinations of items. Any actor that handles [`Scraped`] and [`CrawlEnded`] is one. Knows no pages,
//! domains or permits.

mod batched;
mod batching;
mod collect;
mod committing;
#[cfg(feature = "csv")]
mod csv;
mod each;
mod feed;
mod json_lines;
mod markdown_folder;
mod own_sink;
mod steps;
mod supervisor;

use std::{
    borrow::Cow,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use actix::{Actor, ArbiterHandle, Context, Handler, Message, Recipient};
use thiserror::Error as ThisError;

#[cfg(feature = "csv")]
pub use self::csv::Csv;
pub(crate) use self::supervisor::Supervisor;
pub use self::{
    batched::Batched,
    batching::Batching,
    collect::Collect,
    each::Each,
    feed::Only,
    json_lines::JsonLines,
    markdown_folder::{HasMarkdown, MarkdownFolder, MarkdownPage},
    own_sink::OwnSink,
    steps::{Steps, StepsTo},
};
pub use crate::feed::files::records::{append_lines, create_lines};
use crate::{
    error::Error,
    feed::{Opening, SinkError},
};

/// An item sent from a page to a pipeline. The reply is the acknowledgement: a page is done only when all its items are
/// acknowledged, and unacknowledged items delay further requests.
///
/// [`Pipeline`] shows an actor that takes it.
///
/// ```
/// use actix_crawler::Scraped;
///
/// let scraped = Scraped::<String> { item: "a quote".to_owned().into(), url: "https://example.org/".into() };
/// assert_eq!(scraped.len(), 7, "it dereferences to the item");
/// ```
#[derive(Debug)]
pub struct Scraped<I> {
    /// The item, shared by all pipelines.
    pub item: Arc<I>,
    /// The URL of its page.
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

/// Tells a pipeline that no more items will come, so that it writes what it holds. The crawl's report waits for the
/// reply, for the pipeline's time-out at most.
///
/// ```
/// use actix::{Context, Handler};
/// use actix_crawler::prelude::*;
/// # struct Writer(std::fs::File);
/// # impl actix::Actor for Writer {
/// #     type Context = Context<Self>;
/// # }
///
/// impl Handler<CrawlEnded> for Writer {
///     type Result = Result<(), PipelineError>;
///
///     fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
///         self.0.sync_all().map_err(PipelineError::broken)
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CrawlEnded;

impl Message for CrawlEnded {
    type Result = Result<(), PipelineError>;
}

/// Tells a batching pipeline to commit and acknowledge what it holds, although its batch is not full.
///
/// Sent when no item has come for a tenth of a second while some are unacknowledged: every page in flight may then be
/// waiting for this pipeline, and no more items would come. It may also come when nothing is held.
///
/// [`Batching`] has the whole of such an actor.
///
/// ```
/// use actix::{Context, Handler};
/// use actix_crawler::pipeline::Flush;
/// # #[derive(Default)]
/// # struct Database(Vec<String>);
/// # impl actix::Actor for Database {
/// #     type Context = Context<Self>;
/// # }
///
/// impl Handler<Flush> for Database {
///     type Result = ();
///
///     fn handle(&mut self, _: Flush, _: &mut Self::Context) {
///         // Commit what is held, and acknowledge it.
///         self.0.clear();
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flush;

impl Message for Flush {
    type Result = ();
}

/// Why an item was not accepted.
///
/// ```
/// use actix_crawler::PipelineError;
///
/// let refused = PipelineError::refused("the price is missing");
/// assert!(!refused.stops_the_crawl());
/// assert!(PipelineError::broken("no space left on device").stops_the_crawl());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum PipelineError {
    /// The pipeline refuses this item. Its page counts as failed, and the crawl goes on.
    #[error("{0}")]
    Refused(String),
    /// The pipeline leaves this item out, such as a duplicate. It is counted as `items/dropped`, and its page is fine. A
    /// reason that is fixed is also counted by itself: see [`PipelineError::dropped_as`].
    #[error("{0}")]
    Dropped(Cow<'static, str>),
    /// The item is not for this pipeline, as [`Feed::only`](crate::feed::Feed::only) says, and the pipeline has done nothing
    /// with it. Item and page are fine; it is counted as `items/not_for_feed`.
    #[error("it is not for this pipeline")]
    NotForThis,
    /// The pipeline's output is gone, for this item and all further ones. The crawl stops as failed with this reason;
    /// pages with unacknowledged items stay queued.
    #[error("{0}")]
    Broken(String),
    /// The reader of the output has closed it, as in `…
    /// head`. The crawl stops as for [`PipelineError::Broken`].
    #[error("whoever read the output has closed it")]
    ReaderGone,
    /// The pipeline panicked on this item. Its page counts as failed.
    #[error("the pipeline panicked")]
    Panicked,
    /// The pipeline did not answer in time. The item's page counts as failed.
    #[error("the pipeline did not answer within {}", humantime::format_duration(*.0))]
    Silent(std::time::Duration),
}

impl PipelineError {
    /// Creates the refusal of one item, with a reason.
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
        Self::Dropped(Cow::Owned(why.to_string()))
    }

    /// Leaves one item out, as [`PipelineError::dropped`] does, and also counts it by its reason: `items/dropped/<reason>`.
    pub fn dropped_as(reason: &'static str) -> Self {
        Self::Dropped(Cow::Borrowed(reason))
    }

    /// Creates the error that the pipeline's output is gone, with a reason.
    pub fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }

    /// Tells whether the crawl stops, because no later item can be accepted either.
    pub fn stops_the_crawl(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::ReaderGone)
    }
}

impl From<SinkError> for PipelineError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Refused(why) => Self::Refused(why),
            SinkError::Broken(why) => Self::Broken(why),
            SinkError::ReaderGone => Self::ReaderGone,
        }
    }
}

/// The default for the most unacknowledged items of a pipeline: the capacity of an actor's mailbox.
pub const DEFAULT_MAX_UNACKNOWLEDGED: usize = 16;

/// A factory of pipeline actors: called once, and again after a panic or a time-out.
///
/// A function that creates an actor is a pipeline: `.pipeline(Words::default)`. For an actor that acknowledges several
/// items together, use [`Batching`].
///
/// ```
/// use actix::{Actor, Context, Handler};
/// use actix_crawler::{pipeline::{Pipeline, Running, Start}, prelude::*};
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
    note = "`Feed`, `JsonLines` and `Csv` take items that are `serde::Serialize`, `Collect` those that are `Clone`: is `#[derive(serde::Serialize)]` or `#[derive(Clone)]` missing on `{I}`?",
    note = "or it is a function that makes an actor which handles `Scraped<{I}>` and `CrawlEnded`"
)]
pub trait Pipeline<I: Send + Sync + 'static>: Send + Sync + 'static {
    /// Starts the actor on the arbiter of `start`.
    ///
    /// # Errors
    /// Its output cannot be opened, or does not fit what the pipeline would write. At the start of the crawl, nothing
    /// has been fetched then.
    fn start(&self, start: &Start) -> Result<Running<I>, Error>;

    /// Returns the most unacknowledged items; at least 1. Further items are held back.
    ///
    /// A pipeline that commits a hundred items together returns 100 or more. It must not depend on the hundredth item:
    /// it starts its actor with [`Running::start_batching`] and also commits at [`Flush`], or it has a timer of its
    /// own.
    fn max_unacknowledged(&self) -> usize {
        DEFAULT_MAX_UNACKNOWLEDGED
    }

    /// Returns how many files it has open at once, at the most; 1 by default.
    fn max_open_files(&self) -> usize {
        1
    }
}

/// The circumstances of a pipeline's start.
///
/// ```
/// use actix_crawler::pipeline::Start;
///
/// /// Whether what is in the file is kept.
/// fn keeps(start: &Start) -> bool {
///     start.resumes() || start.restarts() > 0
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Start {
    arbiter: ArbiterHandle,
    crawl: CrawlStart,
    restarts: u64,
}

/// What all pipelines of a crawl are told of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrawlStart {
    /// Whether it resumes a stored state.
    pub resumes: bool,
    /// Whether it has a state.
    pub has_state: bool,
    /// The name in its User-Agent.
    pub spider: Arc<str>,
    /// The folder of its state, and the number of the pipeline in it.
    pub state: Option<(PathBuf, usize)>,
}

impl Start {
    /// Creates the start of a new crawl's pipeline on `arbiter`.
    pub fn new(arbiter: ArbiterHandle) -> Self {
        Self { arbiter, crawl: CrawlStart::default(), restarts: 0 }
    }

    /// Creates the start of a pipeline of this crawl.
    pub(crate) fn of(arbiter: ArbiterHandle, crawl: CrawlStart) -> Self {
        Self { arbiter, crawl, restarts: 0 }
    }

    /// Sets whether the crawl resumes a stored state.
    #[must_use]
    pub fn resuming(mut self, resumes: bool) -> Self {
        self.crawl.resumes = resumes;
        self.crawl.has_state |= resumes;
        self
    }

    /// Sets how often the pipeline was started before in this crawl.
    #[must_use]
    pub fn restarted(mut self, restarts: u64) -> Self {
        self.restarts = restarts;
        self
    }

    /// Returns the arbiter for the actor, which no other actor uses.
    pub fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Tells whether the crawl resumes a stored state: the output of the earlier process is then kept.
    pub fn resumes(&self) -> bool {
        self.crawl.resumes
    }

    /// Tells whether the crawl has a state: what is acknowledged is not fetched again, also after a power failure.
    pub fn has_state(&self) -> bool {
        self.crawl.has_state
    }

    /// Returns the crawl's name: the product in its User-Agent, as `quotesbot`.
    pub fn spider(&self) -> &str {
        &self.crawl.spider
    }

    /// Returns the folder of the crawl's state.
    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.crawl.state.as_ref().map(|(folder, _)| &**folder)
    }

    /// Returns the file of a name in the folder of the crawl's state, which is this pipeline's own.
    pub(crate) fn file_in_state(&self, name: &str) -> Option<PathBuf> {
        let (folder, number) = self.crawl.state.as_ref()?;
        Some(folder.join(format!("pipeline-{number}-{name}")))
    }

    /// Returns how a sink is opened now.
    pub fn opening(&self) -> Opening {
        match (self.restarts, self.crawl.resumes) {
            (0, false) => Opening::Fresh,
            (0, true) => Opening::Resumed,
            _ => Opening::Restarted,
        }
    }

    /// Returns how often the pipeline was started before in this crawl: more than 0 after a panic or a time-out.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

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
