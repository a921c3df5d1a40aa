//! Pipelines: the destinations of items. Any actor that handles [`Scraped`] and [`CrawlEnded`] is one. Knows no pages,
//! domains or permits.

mod batched;
mod batching;
mod collect;
mod committing;
#[cfg(feature = "csv")]
mod csv;
mod each;
mod error;
mod feed;
mod json_lines;
mod markdown_folder;
mod named_fields;
mod own_sink;
mod running;
mod start;
mod steps;
mod supervisor;

use std::{ops::Deref, sync::Arc};

use actix::{Actor, Context, Handler, Message};

#[cfg(feature = "csv")]
pub use self::csv::Csv;
pub use self::{
    batched::Batched,
    batching::Batching,
    collect::Collect,
    each::Each,
    error::PipelineError,
    feed::Only,
    json_lines::JsonLines,
    markdown_folder::{HasMarkdown, MarkdownFolder, MarkdownPage},
    own_sink::OwnSink,
    running::Running,
    start::Start,
    steps::{Steps, StepsTo},
};
pub(crate) use self::{
    named_fields::NamedFields,
    start::CrawlStart,
    steps::{Claims, EndOfClaim, Stepped, StepsAhead},
    supervisor::Supervisor,
};
pub use crate::feed::files::records::{append_lines, create_lines};
use crate::{error::Error, validation::Validate};

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
    note = "or it is a function that makes an actor which handles `Scraped<{I}>` and `CrawlEnded`",
    note = "`Steps` lead to a pipeline by `.to(…)`; without one, they are for `Crawler::steps`"
)]
pub trait Pipeline<I: Send + Sync + 'static>: Send + Sync + 'static {
    /// Checks that the output can be opened, and changes nothing of what is there. All outputs of a crawl are checked
    /// before the first is started, so a crawl that cannot start has emptied none. By default it does nothing.
    ///
    /// # Errors
    /// As [`Pipeline::start`], as far as that can be known.
    fn check(&self, start: &Start) -> Result<(), Error> {
        let _ = start;
        Ok(())
    }

    /// Starts the actor on the arbiter of `start`.
    ///
    /// # Errors
    /// Its output cannot be opened, or does not fit what the pipeline would write. At the start of the crawl, nothing
    /// has been fetched then; when the pipeline is started again, the crawl ends as failed, and its pages stay queued.
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

    /// Returns what counts the fields of the items for the report ([`Report::validation`](crate::Report::validation)),
    /// where the pipeline writes them by their fields, as feeds do. `None` by default.
    fn fields(&self) -> Option<Box<dyn Validate<I>>> {
        None
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
