//! JobEntry: one job of the table: how far it is, and what runs of it. Knows no other jobs.

use tokio::sync::oneshot;

use super::JobStatus;
use crate::handle::CrawlHandle;

/// One job.
pub(super) struct JobEntry<P> {
    /// How far it is.
    pub status: JobStatus<P>,
    /// What runs of it.
    pub run: RunState,
    /// When it began to wait, and when it last began to run, as numbers of the table.
    pub waits_since: u64,
    pub began: u64,
    /// Those who wait until nothing of it runs any more.
    pub waiters: Vec<oneshot::Sender<()>>,
}

/// What runs of a job.
pub(super) enum RunState {
    /// Nothing.
    None,
    /// Its crawl begins.
    Beginning,
    /// Its crawl.
    Crawl(CrawlHandle),
    /// Its crawl has ended, and its thread or the state has not; or it could not begin.
    Ending { has_begun: bool },
}

impl<P> JobEntry<P> {
    /// A job of which nothing runs.
    pub fn new(status: JobStatus<P>, waits_since: u64) -> Self {
        Self { status, run: RunState::None, waits_since, began: 0, waiters: Vec::new() }
    }

    /// Returns what comes when nothing of it runs any more.
    pub fn at_rest(&mut self) -> oneshot::Receiver<()> {
        let (sender, rest) = oneshot::channel();
        if self.run.is_any() {
            self.waiters.push(sender);
        }
        // Otherwise the sender is dropped, which tells the same.
        rest
    }
}

impl RunState {
    /// Tells whether anything runs.
    pub fn is_any(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Returns the crawl, if it has begun and not ended.
    pub fn crawl(&self) -> Option<CrawlHandle> {
        match self {
            Self::Crawl(crawl) => Some(crawl.clone()),
            _ => None,
        }
    }
}
