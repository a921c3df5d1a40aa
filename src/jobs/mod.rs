//! Jobs: the crawls of a service, each with an id, parameters and a folder, which outlive its restarts. Knows no HTTP.
//!
//! A service says what a job is asked for, and how a crawl is made of that; [`Jobs`] does the rest. It takes jobs while
//! others run, runs some at once, tells how far each is, cancels and resumes, and goes on with all of them when the
//! process starts again, also after a kill.
//!
//! ```no_run
//! use actix_crawler::{jobs::Jobs, prelude::*};
//!
//! fn titles(page: &Response) -> Result<Parsed<String>> {
//!     Ok(Parsed::of(page.title().map(str::to_owned)).follow(page.links()))
//! }
//!
//! # async fn example() -> Result<()> {
//! let jobs = Jobs::<String>::open("jobs", |job| {
//!     let rate = if job.tenant() == "alice" { Rate::per_second(20) } else { Rate::per_second(5) };
//!     Crawler::new(titles, "servicebot/1.0 (+https://example.org/bot)")
//!         .seed(job.params())
//!         .rate(rate)
//!         .pipeline(JsonLines::create(job.file("titles.jsonl")))
//! })?;
//!
//! let job = jobs.start("alice", "https://shop.example/".to_owned()).await?;
//! println!("{}", serde_json::to_string(&jobs.status("alice", job.id).await?).unwrap());
//! jobs.cancel("alice", job.id).await?;
//! # Ok(()) }
//! ```
//!
//! The crawls of all tenants share the limits of each domain, as all crawls of a process do; where theirs differ, those
//! of both hold. [`Conducts::pause`](crate::Conducts::pause) of [`Conducts::shared`](crate::Conducts::shared) leaves a
//! domain alone for all jobs, also for those that begin later. Without a place among those that run, jobs wait: next is
//! one of the tenant of whom the fewest run, and of several such tenants, of the one of whom none began for the longest
//! time. The example `job_service` has all of it behind HTTP.

mod builder;
mod entry;
mod folder;
mod run;
mod runner;
mod status;
mod table;

use std::{future::ready, path::PathBuf, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};

pub use self::{
    builder::JobsBuilder,
    status::{Job, JobState, JobStatus},
};
use self::{
    folder::check_file,
    runner::{JobRunner, Work},
};
use crate::{
    crawler::Crawler,
    error::{Error, Result},
    handle::CrawlHandle,
    spider::Spider,
};

/// The jobs of a service. Clones are the same jobs, from any thread and any runtime. `P` is what a job is asked for:
/// with its state, it is all that a restart needs to go on with it.
///
/// ```
/// use actix_crawler::{jobs::Jobs, prelude::*};
///
/// /// Lets all jobs of a tenant go on that have failed, since the disk was full for instance.
/// async fn retry_failed(jobs: &Jobs<String>, tenant: &str) -> Result<()> {
///     for job in jobs.list(tenant).await? {
///         if job.state == actix_crawler::jobs::JobState::Failed {
///             jobs.resume(tenant, job.id).await?;
///         }
///     }
///     Ok(())
/// }
/// # drop(retry_failed);
/// ```
///
/// [Its module](self) shows how it is used. When the last clone is dropped, the crawls that run go on to their end, and
/// no more begin before the folder is opened again. End the crawls by [`Jobs::stop_within`] when the service ends, and
/// not by
/// [`Crawler::stop_on_signals`]: a crawl that a signal has stopped counts as stopped, and does not go on by itself.
pub struct Jobs<P> {
    works: mpsc::Sender<Work<P>>,
}

impl<P> Clone for Jobs<P> {
    fn clone(&self) -> Self {
        Self { works: self.works.clone() }
    }
}

impl<P> std::fmt::Debug for Jobs<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Jobs<P> {
    /// Opens the jobs of a folder, and goes on with those that are not over. The function makes the crawl of a job,
    /// each time that it begins or goes on, on a thread of the crawl: it may read files and ask databases. The crawl's
    /// state is kept in the job's folder. Eight run at once, and 10,000 are kept.
    ///
    /// # Errors
    /// The folder cannot be used, another process has it open, or the record of a job cannot be read.
    pub fn open<S, F>(folder: impl Into<PathBuf>, crawler: F) -> Result<Self>
    where
        S: Spider,
        F: Fn(&Job<P>) -> Crawler<S> + Send + Sync + 'static,
    {
        Self::builder(folder).open(crawler)
    }

    /// Opens the jobs of a folder with other bounds.
    pub fn builder(folder: impl Into<PathBuf>) -> JobsBuilder<P> {
        JobsBuilder::new(folder.into())
    }

    /// Takes a job of a tenant, and tells its id. `Ok` means that it is on disk. It begins at once if there is a place.
    /// Whether its crawl could begin is told by [`Jobs::status`]. The name of a tenant is up to 64 letters, digits, `-`
    /// and `_`, no name of a device such as `con`, and differs from those of others not only by case.
    ///
    /// # Errors
    /// The tenant has another name, there are too many jobs, the jobs were stopped, the JSON of the parameters cannot
    /// be read again, or the disk takes no more.
    pub async fn start(&self, tenant: &str, params: P) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| runner.take(tenant, None, params).map(ready)).await
    }

    /// Takes a job as [`Jobs::start`] does, unless the tenant has one of this name: then it tells of that, whatever its
    /// parameters. So a request that was sent twice, with an `Idempotency-Key` for instance, makes one job. The name is
    /// free again when the job is removed.
    ///
    /// # Errors
    /// As [`Jobs::start`], or the name is empty, has controls, or is longer than 256 bytes.
    pub async fn start_once(&self, tenant: &str, name: &str, params: P) -> Result<JobStatus<P>> {
        let (tenant, name) = (tenant.to_owned(), Some(name.to_owned()));
        self.on_runner(move |runner| runner.take(tenant, name, params).map(ready)).await
    }

    /// Tells how far a job is: its state, its numbers, and the first URL that failed for each reason.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub async fn status(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| runner.jobs.status(&tenant, id)).await
    }

    /// Tells how far each job of a tenant is, in the order in which they were given. For many, see [`Jobs::list_page`].
    ///
    /// # Errors
    /// None, unless code of the parameters panics.
    pub async fn list(&self, tenant: &str) -> Result<Vec<JobStatus<P>>> {
        self.list_page(tenant, 0, usize::MAX).await
    }

    /// Tells how far the jobs of a tenant are that were given after one of them, in that order, and at most so many.
    /// The first page is after 0, and the next after the last id of this one; a page that is not full is the last.
    ///
    /// ```
    /// use actix_crawler::{jobs::Jobs, prelude::*};
    ///
    /// /// Counts the pages of all jobs of a tenant.
    /// async fn pages(jobs: &Jobs<String>, tenant: &str) -> Result<u64> {
    ///     let (mut pages, mut after) = (0, Some(0));
    ///     while let Some(last) = after {
    ///         let page = jobs.list_page(tenant, last, 100).await?;
    ///         pages += page.iter().map(|job| job.progress.pages).sum::<u64>();
    ///         after = page.last().map(|job| job.id);
    ///     }
    ///     Ok(pages)
    /// }
    /// # drop(pages);
    /// ```
    ///
    /// # Errors
    /// As [`Jobs::list`].
    pub async fn list_page(&self, tenant: &str, after: u64, most: usize) -> Result<Vec<JobStatus<P>>> {
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| Ok(runner.jobs.list(&tenant, after, most))).await
    }

    /// Returns the handle of a job that runs: to seed it, to pause it, to change its rate, to see its events and
    /// failures.
    ///
    /// # Errors
    /// The tenant has no such job, or it does not run.
    pub async fn crawl(&self, tenant: &str, id: u64) -> Result<CrawlHandle> {
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| runner.jobs.crawl(&tenant, id).map(ready)).await
    }

    /// Returns the path of a file in the folder of a job, as its pipelines have written it. The name may come from a
    /// stranger: one that leads out of the folder is refused, and what its crawl needs to go on, such as cookies, is
    /// not in there.
    ///
    /// # Errors
    /// The tenant has no such job, or the name is not that of a file in its folder.
    pub async fn file(&self, tenant: &str, id: u64, name: &str) -> Result<PathBuf> {
        check_file(name)?;
        let tenant = tenant.to_owned();
        Ok(self.on_runner(move |runner| runner.jobs.files(&tenant, id).map(ready)).await?.join(name))
    }

    /// Cancels a job, and returns when its crawl has ended, or after a second: one that is just beginning, or whose own
    /// thread is blocked, ends later. The job is cancelled also if this future is dropped. What it has written stays,
    /// and [`Jobs::resume`] lets it go on. Has no effect on a job that is over.
    ///
    /// # Errors
    /// The tenant has no such job, or the disk takes no more.
    pub async fn cancel(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let of = tenant.to_owned();
        self.on_runner(move |runner| runner.cancel(&of, id)).await?;
        self.status(tenant, id).await
    }

    /// Lets a job that is over go on where it was, as one that was cancelled, or that failed since the disk was full.
    ///
    /// # Errors
    /// The tenant has no such job, the jobs were stopped, or the disk takes no more.
    pub async fn resume(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| runner.resume(&tenant, id).map(ready)).await
    }

    /// Cancels a job, and removes it when its crawl has ended. Its files are then deleted beside other work: after a
    /// kill, when the jobs are opened again.
    ///
    /// # Errors
    /// The tenant has no such job, it is resumed meanwhile, its crawl does not end within half a minute, or the disk
    /// does not take the change.
    pub async fn remove(&self, tenant: &str, id: u64) -> Result<()> {
        let of = tenant.to_owned();
        self.on_runner(move |runner| runner.cancel_to_remove(&of, id)).await?;
        let tenant = tenant.to_owned();
        self.on_runner(move |runner| runner.remove(&tenant, id).map(ready)).await
    }

    /// Stops all crawls, as a service does before it ends, and takes no more jobs: requests in flight have this time to
    /// end. Jobs that were not over go on when they are opened again. Returns how many crawls were stopped, a second
    /// after this time at the latest. They are stopped also if this future is dropped.
    ///
    /// # Errors
    /// None today.
    pub async fn stop_within(&self, time: Duration) -> Result<usize> {
        self.on_runner(move |runner| Ok(runner.close(time))).await
    }

    /// Does something with the runner, on its thread, and waits there for what comes of it. What has begun is done to
    /// its end, also if whoever asked gives up.
    async fn on_runner<F>(
        &self,
        work: impl FnOnce(&mut JobRunner<P>) -> Result<F> + Send + 'static,
    ) -> Result<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (done, waiting) = oneshot::channel();
        let work = move |runner: &mut JobRunner<P>| match work(runner) {
            // Whoever asked may have given up.
            Ok(outcome) => drop(tokio::spawn(async move { drop(done.send(Ok(outcome.await))) })),
            Err(error) => drop(done.send(Err(error))),
        };
        self.works.send(Box::new(work)).await.map_err(|_| Error::JobsStopped)?;
        waiting.await.map_err(|_| Error::Crawl("the code of a job's parameters panicked".to_owned()))?
    }
}
