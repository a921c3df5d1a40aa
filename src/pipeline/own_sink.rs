//! OwnSink: a sink of one's own as a pipeline. Does not know where the sink writes.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::{
    Pipeline, PipelineError, Running, Scraped, Start,
    committing::{self, Commits},
};
use crate::{
    error::{Error, Result},
    feed::{Batch, Opening, Record, Sink},
    validation::{FieldCounts, Validate},
};

/// A [`Sink`] of your own as a pipeline: a function opens it, at the start of the crawl and again after a panic.
///
/// Items are acknowledged when the sink has committed them: those that have come meanwhile together, or as
/// [`OwnSink::batch`] says.
///
/// ```
/// use std::{fs::File, io::Write, time::Duration};
///
/// use actix_crawler::{feed::{Batch, Opening, Record, Sink, SinkError}, pipeline::OwnSink, prelude::*};
///
/// /// The URL of each item, as a line.
/// struct Urls(File);
///
/// impl Sink for Urls {
///     fn write(&mut self, record: &Record) -> Result<(), SinkError> {
///         writeln!(self.0, "{}", record.url()).map_err(SinkError::broken)
///     }
///
///     fn commit(&mut self) -> Result<(), SinkError> {
///         self.0.sync_data().map_err(SinkError::broken)
///     }
/// }
///
/// fn open(opening: Opening) -> Result<Urls> {
///     let file = File::options().create(true).append(opening.keeps()).write(true).open("urls.txt");
///     Ok(Urls(file.map_err(|source| Error::file("urls.txt", source))?))
/// }
///
/// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
/// let crawler = crawler.pipeline(OwnSink::new(open).batch(Batch::of(1_000, Duration::from_secs(1))));
/// # }
/// ```
#[derive(Clone)]
pub struct OwnSink {
    open: Arc<OpenSink>,
    batch: Batch,
}

type OpenSink = dyn Fn(Opening) -> Result<Box<dyn Sink>> + Send + Sync;

impl OwnSink {
    /// Creates the pipeline.
    pub fn new<S: Sink>(open: impl Fn(Opening) -> Result<S> + Send + Sync + 'static) -> Self {
        let open = move |opening| open(opening).map(|sink| Box::new(sink) as Box<dyn Sink>);
        Self { open: Arc::new(open), batch: Batch::default() }
    }

    /// Sets how many records are committed together, and how long the first waits for that.
    #[must_use]
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }
}

impl fmt::Debug for OwnSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSink").field("batch", &self.batch).finish_non_exhaustive()
    }
}

impl<I: Serialize + Send + Sync + 'static> Pipeline<I> for OwnSink {
    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        let sink = (self.open)(start.opening())?;
        Ok(committing::start(start, IntoSink { sink, takes: |_: &I| true, records: |_: &Record| true }, self.batch))
    }

    fn max_unacknowledged(&self) -> usize {
        self.batch.items
    }

    fn fields(&self) -> Option<Box<dyn Validate<I>>> {
        Some(Box::new(FieldCounts))
    }
}

/// Makes records of items, for a sink.
pub(super) struct IntoSink<S, T, R> {
    pub sink: S,
    /// Tells whether an item is for the sink.
    pub takes: T,
    /// Tells the same of its record.
    pub records: R,
}

impl<I, S, T, R> Commits<I> for IntoSink<S, T, R>
where
    I: Serialize + Send + Sync + 'static,
    S: Sink,
    T: Fn(&I) -> bool + Send + 'static,
    R: Fn(&Record) -> bool + Send + 'static,
{
    type Kept = Record;

    fn take(&mut self, scraped: Scraped<I>) -> Result<Record, PipelineError> {
        if !(self.takes)(&scraped.item) {
            return Err(PipelineError::NotForThis);
        }
        let record = Record::of(&*scraped.item, scraped.url.clone())?;
        if !(self.records)(&record) {
            return Err(PipelineError::NotForThis);
        }
        self.sink.write(&record)?;
        Ok(record)
    }

    fn commit(&mut self, _: &[Record]) -> Result<(), PipelineError> {
        Ok(self.sink.commit()?)
    }

    fn committed(&mut self) -> Vec<bool> {
        self.sink.stored()
    }

    fn commit_alone(&mut self, record: &Record) -> Result<(), PipelineError> {
        self.sink.write(record)?;
        Ok(self.sink.commit()?)
    }

    fn close(&mut self) -> Result<(), PipelineError> {
        Ok(self.sink.close()?)
    }
}
