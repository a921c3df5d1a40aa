//! Start: what a pipeline is told when it starts: on which arbiter, of which crawl, and whether its earlier output
//! counts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix::ArbiterHandle;

use super::NamedFields;
use crate::feed::{FeedStreams, Opening, Outputs, Temporary};

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
    /// The folder of its state, and the pipeline's place in it: its number, and behind steps those of the pipelines
    /// before it.
    pub state: Option<(PathBuf, String)>,
    /// The pipeline's folder for what it needs no longer than the crawl; the same in each of its starts.
    pub temporary: Temporary,
    /// What the pipeline has written to outputs that cannot be read again; the same in each of its starts.
    pub streams: FeedStreams,
    /// The files of all outputs of the crawl.
    pub outputs: Outputs,
    /// What feeds have found of the fields that they name.
    pub named_fields: NamedFields,
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

    /// Returns what feeds have found of the fields that they name.
    pub(crate) fn named_fields(&self) -> &NamedFields {
        &self.crawl.named_fields
    }

    /// Returns the folder of the crawl's state.
    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.crawl.state.as_ref().map(|(folder, _)| &**folder)
    }

    /// Returns the folder for what the pipeline needs no longer than the crawl.
    pub(crate) fn temporary(&self) -> &Temporary {
        &self.crawl.temporary
    }

    /// Returns what the pipeline has written to outputs that cannot be read again.
    pub(crate) fn streams(&self) -> &FeedStreams {
        &self.crawl.streams
    }

    /// Returns the files of all outputs of the crawl.
    pub(crate) fn outputs(&self) -> &Outputs {
        &self.crawl.outputs
    }

    /// Returns the file of a name in the folder of the crawl's state, which is this pipeline's own.
    pub(crate) fn file_in_state(&self, name: &str) -> Option<PathBuf> {
        let (folder, place) = self.crawl.state.as_ref()?;
        Some(folder.join(format!("pipeline-{place}-{name}")))
    }

    /// Returns the start of a pipeline behind this one, by its number there.
    pub(crate) fn behind(&self, number: usize) -> Self {
        let mut start = self.clone();
        start.crawl.temporary = start.crawl.temporary.below(number);
        if let Some((_, place)) = &mut start.crawl.state {
            *place = format!("{place}-{number}");
        }
        start
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
