//! Jobs: the crawls of a service, each with an id, parameters and a folder, which outlive its restarts. Knows no HTTP.
//!
//! A service says what a job is asked for, and how a crawl is made of that; [`Jobs`] does the rest. It takes jobs while others
//! run, runs some at once, tells how far each is, cancels and resumes, and goes on with all of them when the process starts again,
//! also after a kill.
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
//! The crawls of all tenants share the limits of each domain, as all crawls of a process do; where theirs differ, those of both
//! hold. Without a place among those that run, jobs wait: next is one of the tenant of whom the fewest run. The example
//! `job_service` has all of it behind HTTP.

mod desk;
mod folder;
mod status;

use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};

pub use self::status::{Job, JobState, JobStatus};
use self::{
    desk::{Begin, Desk, MAX_WORKS, Work},
    folder::{JobsFolder, check_file},
};
use crate::{
    clock,
    crawler::Crawler,
    error::{Error, Result},
    handle::CrawlHandle,
    spider::Spider,
    text::panic_message::message_of,
};

/// The jobs of a service. Clones are the same jobs, from any thread and any runtime. `P` is what a job is asked for: with its
/// state, it is all that a restart needs to go on with it.
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
/// [Its module](self) shows how it is used. When the last clone is dropped, the crawls that run go on to their end, and no more begin
/// before the folder is opened again. End the crawls by [`Jobs::stop_within`] when the service ends, and not by
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
    max_jobs: usize,
    params: PhantomData<fn(P)>,
}

/// How many jobs run at once, unless it is set: each has threads of its own.
const MAX_RUNNING: usize = 8;

/// How many jobs there may be, unless it is set: some kilobytes of memory for each.
const MAX_JOBS: usize = 10_000;

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Jobs<P> {
    /// Opens the jobs of a folder, and goes on with those that are not over. The function makes the crawl of a job, each time
    /// that it begins or goes on; the crawl's state is kept in the job's folder. Eight run at once, and 10,000 are kept.
    ///
    /// # Errors
    /// The folder cannot be used, another process has it open, or the record of a job cannot be read.
    pub fn open<S, F>(folder: impl Into<PathBuf>, crawler: F) -> Result<Self>
    where
        S: Spider,
        F: Fn(&Job<P>) -> Crawler<S> + Send + 'static,
    {
        Self::builder(folder).open(crawler)
    }

    /// Opens the jobs of a folder with other bounds.
    pub fn builder(folder: impl Into<PathBuf>) -> JobsBuilder<P> {
        JobsBuilder { folder: folder.into(), max_running: MAX_RUNNING, max_jobs: MAX_JOBS, params: PhantomData }
    }

    /// Takes a job of a tenant, and tells its id. `Ok` means that it is on disk. It begins at once if there is a place. Whether
    /// its crawl could begin is told by [`Jobs::status`]. The name of a tenant is up to 64 letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// The tenant has another name, there are too many jobs, the jobs were stopped, or the disk takes no more.
    pub async fn start(&self, tenant: &str, params: P) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        self.at_desk(move |desk| desk.take(tenant, params)).await?
    }

    /// Tells how far a job is: its state, its numbers, and the first URL that failed for each reason.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub async fn status(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        let (status, crawl) = self.at_desk(move |desk| desk.find(&tenant, id)).await??;
        now(status, crawl).await
    }

    /// Tells how far each job of a tenant is, in the order in which they were given.
    ///
    /// # Errors
    /// None today.
    pub async fn list(&self, tenant: &str) -> Result<Vec<JobStatus<P>>> {
        let tenant = tenant.to_owned();
        let listed = self.at_desk(move |desk| desk.list(&tenant)).await?;
        join_all(listed.into_iter().map(|(status, crawl)| now(status, crawl))).await.into_iter().collect()
    }

    /// Returns the handle of a job that runs: to seed it, to pause it, to change its rate, to see its events and failures.
    ///
    /// # Errors
    /// The tenant has no such job, or it does not run.
    pub async fn crawl(&self, tenant: &str, id: u64) -> Result<CrawlHandle> {
        let tenant = tenant.to_owned();
        let (_, crawl) = self.at_desk(move |desk| desk.find(&tenant, id)).await??;
        crawl.ok_or(Error::NoSuchJob { id })
    }

    /// Returns the path of a file in the folder of a job, as its pipelines have written it. The name may come from a stranger:
    /// one that leads out of the folder is refused.
    ///
    /// # Errors
    /// The tenant has no such job, or the name is not that of a file in its folder.
    pub async fn file(&self, tenant: &str, id: u64, name: &str) -> Result<PathBuf> {
        check_file(name)?;
        let tenant = tenant.to_owned();
        Ok(self.at_desk(move |desk| desk.folder(&tenant, id)).await??.join(name))
    }

    /// Cancels a job, and returns when its crawl has ended, within a second. What it has written stays, and
    /// [`Jobs::resume`] lets it go on. Has no effect on a job that is over.
    ///
    /// # Errors
    /// The tenant has no such job, or the disk takes no more.
    pub async fn cancel(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let of = tenant.to_owned();
        let (crawl, at_rest) = self.at_desk(move |desk| desk.cancel(&of, id)).await??;
        if let Some(crawl) = crawl {
            crawl.abort().await;
        }
        // Either way nothing of it runs any more.
        let _ = at_rest.await;
        self.status(tenant, id).await
    }

    /// Lets a job that is over go on where it was, as one that was cancelled, or that failed since the disk was full.
    ///
    /// # Errors
    /// The tenant has no such job, the jobs were stopped, or the disk takes no more.
    pub async fn resume(&self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        let tenant = tenant.to_owned();
        self.at_desk(move |desk| desk.resume(&tenant, id)).await?
    }

    /// Cancels a job, and removes it with its folder.
    ///
    /// # Errors
    /// The tenant has no such job, it is resumed meanwhile, or its folder cannot be removed.
    pub async fn remove(&self, tenant: &str, id: u64) -> Result<()> {
        self.cancel(tenant, id).await?;
        let tenant = tenant.to_owned();
        self.at_desk(move |desk| desk.remove(&tenant, id)).await?
    }

    /// Stops all crawls, as a service does before it ends, and takes no more jobs: requests in flight have this time to end. Jobs
    /// that were not over go on when they are opened again. Returns how many crawls were stopped.
    ///
    /// # Errors
    /// None today.
    pub async fn stop_within(&self, time: Duration) -> Result<usize> {
        let crawls = self.at_desk(Desk::close).await?;
        let stopped = crawls.into_iter().map(|(crawl, at_rest)| async move {
            if let Some(crawl) = crawl {
                crawl.stop_within(time).await?;
            }
            // Either way its end is recorded.
            let _ = at_rest.await;
            Ok::<_, Error>(())
        });
        Ok(join_all(stopped).await.into_iter().collect::<Result<Vec<_>>>()?.len())
    }

    /// Does something with the desk, on its thread.
    async fn at_desk<T: Send + 'static>(&self, work: impl FnOnce(&mut Desk<P>) -> T + Send + 'static) -> Result<T> {
        let (done, waiting) = oneshot::channel();
        // Whoever asked may have given up.
        let work = move |desk: &mut Desk<P>| drop(done.send(work(desk)));
        self.works.send(Box::new(work)).await.map_err(|_| Error::Ended)?;
        waiting.await.map_err(|_| Error::Crawl("the code of a job's parameters panicked".to_owned()))
    }
}

/// Adds to what the desk knows of a job what its crawl tells.
async fn now<P>(mut status: JobStatus<P>, crawl: Option<CrawlHandle>) -> Result<JobStatus<P>> {
    if let Some(crawl) = crawl {
        (status.progress, status.first_failures) = (crawl.progress().await?, crawl.first_failures().await?);
    }
    Ok(status)
}

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> JobsBuilder<P> {
    /// Sets how many jobs run at once; the others wait. At least one does.
    pub fn max_running(mut self, jobs: usize) -> Self {
        self.max_running = jobs.max(1);
        self
    }

    /// Sets how many jobs there may be, those that are over too: further ones are refused until some are removed.
    pub fn max_jobs(mut self, jobs: usize) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Opens the jobs: see [`Jobs::open`].
    ///
    /// # Errors
    /// As [`Jobs::open`].
    pub fn open<S, F>(self, crawler: F) -> Result<Jobs<P>>
    where
        S: Spider,
        F: Fn(&Job<P>) -> Crawler<S> + Send + 'static,
    {
        if clock::is_virtual() {
            return Err(Error::setting("jobs", "they work in real time; test the crawl of one job by itself"));
        }
        let begin: Box<Begin<P>> = Box::new(move |job| crawler(job).state(job.file("state")).begin());
        let (works, mut waiting) = mpsc::channel::<Work<P>>(MAX_WORKS);
        let bounds = (self.max_running, self.max_jobs);
        let mut desk = Desk::open(JobsFolder::open(self.folder)?, begin, bounds, works.downgrade())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Error::Start)?;
        let serve = move || {
            runtime.block_on(async {
                desk.fill_places();
                while let Some(work) = waiting.recv().await {
                    // What panics in it is code of the parameters' type; whoever asked hears that it came to nothing.
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&mut desk))) {
                        tracing::error!("a job's parameters panicked: {}", message_of(&*panic));
                    }
                }
            });
        };
        thread::Builder::new().name("crawler-jobs".to_owned()).spawn(serve).map_err(Error::Start)?;
        Ok(Jobs { works })
    }
}
