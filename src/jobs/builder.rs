//! JobsBuilder: the bounds of a service's jobs, and how their runner is started. Knows no job.

use std::{marker::PhantomData, path::PathBuf, thread};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use super::{
    Job, Jobs,
    folder::JobsFolder,
    run,
    runner::{JobRunner, MAX_EVENTS, MAX_WORKS},
    table::{JobBounds, JobTable},
};
use crate::{
    clock,
    crawler::Crawler,
    error::{Error, Result},
    spider::Spider,
};

/// Sets the bounds of [`Jobs`], and opens them: [`Jobs::builder`] gives it.
///
/// ```
/// # use actix_crawler::{Error, jobs::{Job, Jobs}, prelude::*};
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let jobs = Jobs::builder(folder).max_running(2).max_jobs(100).open(move |job: &Job<String>| {
///     Crawler::new(titles, "servicebot/1.0 (+https://example.org/bot)").seed(job.params())
/// })?;
/// # drop(jobs);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "it opens the jobs with `open`"]
pub struct JobsBuilder<P> {
    folder: PathBuf,
    max_running: usize,
    bounds: JobBounds,
    params: PhantomData<fn(P)>,
}

/// How many jobs run at once, unless it is set: each has threads of its own.
const MAX_RUNNING: usize = 8;

/// How many jobs there may be, unless it is set: some kilobytes of memory for each.
const MAX_JOBS: usize = 10_000;

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> JobsBuilder<P> {
    pub(super) fn new(folder: PathBuf) -> Self {
        let bounds = JobBounds { all: MAX_JOBS, of_tenant: usize::MAX };
        Self { folder, max_running: MAX_RUNNING, bounds, params: PhantomData }
    }

    /// Sets how many jobs run at once; the others wait. At least one does.
    pub fn max_running(mut self, jobs: usize) -> Self {
        self.max_running = jobs.max(1);
        self
    }

    /// Sets how many jobs there may be, those that are over too: further ones are refused until some are removed.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.bounds.all = jobs;
        self
    }

    /// Sets how many jobs of one tenant there may be, so that one cannot take the room of all; as many as of all by
    /// default.
    pub fn max_jobs_per_tenant(mut self, jobs: usize) -> Self {
        self.bounds.of_tenant = jobs;
        self
    }

    /// Opens the jobs: see [`Jobs::open`].
    ///
    /// # Errors
    /// As [`Jobs::open`].
    pub fn open<S, F>(self, crawler: F) -> Result<Jobs<P>>
    where
        S: Spider,
        F: Fn(&Job<P>) -> Crawler<S> + Send + Sync + 'static,
    {
        if clock::is_virtual() {
            return Err(Error::setting("jobs", "they work in real time; test the crawl of one job by itself"));
        }
        let ((works, asked), (events, received)) = (mpsc::channel(MAX_WORKS), mpsc::channel(MAX_EVENTS));
        let folder = JobsFolder::open(&self.folder)?;
        let (jobs, leftovers) = JobTable::open(folder, self.bounds)?;
        let runner = JobRunner::new(jobs, run::crawls(crawler), self.max_running, events);
        let (failed, waiting) = std::sync::mpsc::sync_channel(1);
        let serve = move || {
            // Large folders are deleted one after the other. Made here, since the caller may be within a runtime, where
            // none may be dropped.
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = match runtime.enable_time().max_blocking_threads(1).build() {
                Ok(runtime) => runtime,
                // Whoever opens waits for it.
                Err(error) => return drop(failed.send(error)),
            };
            drop(failed);
            runtime.block_on(runner.serve(leftovers, asked, received));
            // What is still to be deleted is when the jobs are opened again.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("crawler-jobs".to_owned()).spawn(serve).map_err(Error::Start)?;
        match waiting.recv() {
            Ok(error) => Err(Error::Start(error)),
            // Dropped, since it serves.
            Err(_) => Ok(Jobs { works }),
        }
    }
}
