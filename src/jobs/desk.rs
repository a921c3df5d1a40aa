//! Desk: the jobs of a folder and which of them run, on a thread of its own. Does not know what a job crawls.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::UNIX_EPOCH,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};

use super::{
    Job, JobState, JobStatus,
    folder::{JobsFolder, check_tenant},
};
use crate::{
    clock,
    error::{Error, Result},
    handle::CrawlHandle,
    report::{Ended, Report},
    stats::Progress,
    text::panic_message::message_of,
};

/// The jobs of a folder.
pub(super) struct Desk<P> {
    folder: JobsFolder,
    begin: Box<Begin<P>>,
    max_running: usize,
    max_jobs: usize,
    jobs: BTreeMap<u64, Held<P>>,
    /// The last id that was given.
    last_id: u64,
    /// Whether no job begins any more.
    is_closing: bool,
    /// Where a crawl's end is told.
    tell: mpsc::WeakSender<Work<P>>,
}

/// Makes the crawl of a job, and starts it.
pub(super) type Begin<P> = dyn Fn(&Job<P>) -> Result<Starting> + Send;

/// A crawl that has not told yet whether it has begun.
pub(super) type Starting = oneshot::Receiver<Result<CrawlHandle>>;

/// A crawl that is to be stopped, if it runs already, and what comes when nothing of its job runs any more.
pub(super) type Stopping = (Option<CrawlHandle>, oneshot::Receiver<()>);

/// Something to do with the desk, on its thread.
pub(super) type Work<P> = Box<dyn FnOnce(&mut Desk<P>) + Send>;

/// One job.
struct Held<P> {
    status: JobStatus<P>,
    run: Run,
    /// Those who wait until nothing of it runs any more.
    waiters: Vec<oneshot::Sender<()>>,
}

impl<P> Held<P> {
    fn new(status: JobStatus<P>) -> Self {
        Self { status, run: Run::None, waiters: Vec::new() }
    }

    /// Returns what comes when nothing of it runs any more.
    fn at_rest(&mut self) -> oneshot::Receiver<()> {
        let (tell, rest) = oneshot::channel();
        if self.run.is_any() {
            self.waiters.push(tell);
        }
        // Otherwise the sender is dropped, which tells the same.
        rest
    }
}

/// What runs of a job.
enum Run {
    /// Nothing.
    None,
    /// Its crawl begins.
    Beginning,
    /// Its crawl.
    Crawl(CrawlHandle),
}

impl Run {
    fn is_any(&self) -> bool {
        !matches!(self, Self::None)
    }

    fn crawl(&self) -> Option<CrawlHandle> {
        match self {
            Self::Crawl(crawl) => Some(crawl.clone()),
            _ => None,
        }
    }
}

/// How many things to do wait for the desk at once; further callers wait for a place. Each takes milliseconds at the most.
pub(super) const MAX_WORKS: usize = 256;

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Desk<P> {
    /// Opens the jobs of a folder. Those that are not over wait.
    ///
    /// # Errors
    /// The folder cannot be used, or one of its records cannot be read.
    pub fn open(
        folder: JobsFolder,
        begin: Box<Begin<P>>,
        (max_running, max_jobs): (usize, usize),
        tell: mpsc::WeakSender<Work<P>>,
    ) -> Result<Self> {
        let waiting = |mut status: JobStatus<P>| {
            if !status.state.is_over() {
                status.state = JobState::Waiting;
            }
            (status.id, Held::new(status))
        };
        let jobs: BTreeMap<_, _> = folder.records()?.into_iter().map(waiting).collect();
        let last_id = jobs.last_key_value().map_or(0, |(id, _)| *id);
        Ok(Self { folder, begin, max_running, max_jobs, jobs, last_id, is_closing: false, tell })
    }

    /// Takes a job.
    ///
    /// # Errors
    /// There are too many, no more are taken, or its record cannot be written.
    pub fn take(&mut self, tenant: String, params: P) -> Result<JobStatus<P>> {
        check_tenant(&tenant)?;
        if self.is_closing {
            return Err(Error::Ended);
        }
        if self.jobs.len() >= self.max_jobs {
            let why = format!("there are {} already; remove some that are over", self.jobs.len());
            return Err(Error::setting("max_jobs", why));
        }
        let created = clock::wall();
        // A time, so that the id of a job that was removed is not given again.
        let millis = created.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let id = u64::try_from(millis).unwrap_or(u64::MAX).max(self.last_id.saturating_add(1));
        let status = JobStatus {
            id,
            tenant,
            state: JobState::Waiting,
            params,
            created,
            ended: None,
            why: None,
            progress: Progress::default(),
            first_failures: BTreeMap::new(),
        };
        self.folder.write(&status)?;
        self.last_id = id;
        self.jobs.insert(id, Held::new(status));
        self.fill_places();
        self.look(id)
    }

    /// Begins jobs while there are places: of the tenant of whom the fewest run, the one that has waited longest.
    pub fn fill_places(&mut self) {
        while !self.is_closing && self.jobs.values().filter(|held| held.run.is_any()).count() < self.max_running {
            // Without anybody who could ask for the jobs, none begins: nobody would hear of its end.
            let Some(tell) = self.tell.upgrade() else { return };
            let mut running = BTreeMap::<&str, usize>::new();
            for held in self.jobs.values().filter(|held| held.run.is_any()) {
                *running.entry(&held.status.tenant).or_default() += 1;
            }
            // One that was cancelled while it began, and is resumed, waits until that crawl has ended.
            let waiting =
                self.jobs.values().filter(|held| held.status.state == JobState::Waiting && !held.run.is_any());
            let of_tenant = |held: &&Held<P>| running.get(&*held.status.tenant).copied().unwrap_or(0);
            let Some(id) = waiting.min_by_key(of_tenant).map(|held| held.status.id) else { return };
            self.begin(id, tell);
        }
    }

    fn begin(&mut self, id: u64, tell: mpsc::Sender<Work<P>>) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        let JobStatus { tenant, params, .. } = &held.status;
        let folder = self.folder.of(tenant, id);
        let job = Job { id, tenant: tenant.clone(), params: params.clone(), folder };
        (held.status.state, held.run) = (JobState::Running, Run::Beginning);
        let begun = catch_unwind(AssertUnwindSafe(|| (self.begin)(&job)));
        let begun =
            begun.unwrap_or_else(|panic| Err(Error::Crawl(format!("its maker panicked: {}", message_of(&*panic)))));
        // Its record says that it is not over, which is all that the next process has to know.
        match begun {
            Ok(starting) => drop(tokio::spawn(attend(id, starting, tell))),
            Err(error) => self.settle(id, &Err(error)),
        }
    }

    /// Takes note that the crawl of a job has begun.
    fn began(&mut self, id: u64, crawl: CrawlHandle) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        held.run = Run::Crawl(crawl.clone());
        if held.status.state != JobState::Running || self.is_closing {
            drop(tokio::spawn(async move { crawl.abort().await }));
        }
    }

    /// Takes note that the crawl of a job has ended, or could not begin, and fills its place.
    fn over(&mut self, id: u64, end: &Result<Arc<Report>>) {
        self.settle(id, end);
        self.fill_places();
    }

    fn settle(&mut self, id: u64, end: &Result<Arc<Report>>) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        held.run = Run::None;
        let waiters = std::mem::take(&mut held.waiters);
        let status = &mut held.status;
        let state = match end {
            Ok(report) => {
                (status.progress, status.why) = (Progress::from(&report.stats), report.stop_reason.clone());
                status.first_failures.clone_from(&report.stats.first_failures);
                match report.ended {
                    Ended::Finished => JobState::Finished,
                    // It goes on with the next process.
                    Ended::Stopped | Ended::Aborted if self.is_closing => status.state,
                    Ended::Stopped | Ended::Aborted => JobState::Stopped,
                    Ended::Failed => {
                        status.why.clone_from(&report.failure);
                        JobState::Failed
                    }
                }
            }
            Err(error) => {
                status.why = Some(error.to_string());
                JobState::Failed
            }
        };
        // What was asked for meanwhile holds.
        if status.state == JobState::Running {
            status.state = state;
        }
        if status.state.is_over() {
            status.ended = Some(clock::wall());
        }
        if let Err(error) = self.folder.write(status) {
            tracing::error!(%error, id, "the record of a job that has ended; it goes on with the next process");
        }
        // Whoever waited may have given up.
        for waiter in waiters {
            let _ = waiter.send(());
        }
    }

    /// Returns how far a job is, as far as the desk knows.
    fn look(&self, id: u64) -> Result<JobStatus<P>> {
        self.jobs.get(&id).map(|held| held.status.clone()).ok_or(Error::NoSuchJob { id })
    }

    fn held(&mut self, tenant: &str, id: u64) -> Result<&mut Held<P>> {
        self.jobs.get_mut(&id).filter(|held| held.status.tenant == tenant).ok_or(Error::NoSuchJob { id })
    }

    /// Returns a job with its crawl, if that runs.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn find(&mut self, tenant: &str, id: u64) -> Result<(JobStatus<P>, Option<CrawlHandle>)> {
        self.held(tenant, id).map(|held| (held.status.clone(), held.run.crawl()))
    }

    /// Returns all jobs of a tenant, each with its crawl, if that runs.
    pub fn list(&self, tenant: &str) -> Vec<(JobStatus<P>, Option<CrawlHandle>)> {
        let of_tenant = self.jobs.values().filter(|held| held.status.tenant == tenant);
        of_tenant.map(|held| (held.status.clone(), held.run.crawl())).collect()
    }

    /// Returns the folder of a job.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn folder(&mut self, tenant: &str, id: u64) -> Result<std::path::PathBuf> {
        self.held(tenant, id)?;
        Ok(self.folder.of(tenant, id))
    }

    /// Cancels a job. Returns its crawl, which is then to be aborted, if that runs, and what comes when it has ended.
    ///
    /// # Errors
    /// The tenant has no such job, or its record cannot be written.
    pub fn cancel(&mut self, tenant: &str, id: u64) -> Result<Stopping> {
        if !self.held(tenant, id)?.status.state.is_over() {
            // Recorded before its crawl has ended: after a kill it does not go on.
            self.change(tenant, id, |status| {
                (status.state, status.ended) = (JobState::Cancelled, Some(clock::wall()));
            })?;
        }
        let held = self.held(tenant, id)?;
        Ok((held.run.crawl(), held.at_rest()))
    }

    /// Lets a job that is over go on from its state.
    ///
    /// # Errors
    /// The tenant has no such job, no more are taken, or its record cannot be written.
    pub fn resume(&mut self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        if self.held(tenant, id)?.status.state.is_over() {
            if self.is_closing {
                return Err(Error::Ended);
            }
            self.change(tenant, id, |status| {
                (status.state, status.ended, status.why) = (JobState::Waiting, None, None);
            })?;
            self.fill_places();
        }
        self.look(id)
    }

    /// Removes a job of which nothing runs.
    ///
    /// # Errors
    /// The tenant has no such job, it runs, or its folder cannot be removed.
    pub fn remove(&mut self, tenant: &str, id: u64) -> Result<()> {
        if self.held(tenant, id)?.run.is_any() {
            return Err(Error::setting("remove", "it was resumed meanwhile; cancel it first"));
        }
        self.folder.remove(tenant, id)?;
        self.jobs.remove(&id);
        Ok(())
    }

    /// Begins no more jobs. Returns the crawls that run or begin, each with what comes when its end is recorded. One that is
    /// just beginning is ended as soon as it has begun.
    pub fn close(&mut self) -> Vec<Stopping> {
        self.is_closing = true;
        let running = self.jobs.values_mut().filter(|held| held.run.is_any());
        running.map(|held| (held.run.crawl(), held.at_rest())).collect()
    }

    /// Changes what is known of a job, on disk first: what the disk does not take is not so.
    ///
    /// # Errors
    /// The tenant has no such job, or its record cannot be written.
    fn change(&mut self, tenant: &str, id: u64, change: impl FnOnce(&mut JobStatus<P>)) -> Result<()> {
        let mut status = self.held(tenant, id)?.status.clone();
        change(&mut status);
        self.folder.write(&status)?;
        self.held(tenant, id)?.status = status;
        Ok(())
    }
}

/// Waits for the beginning and the end of a job's crawl, and tells the desk.
async fn attend<P>(id: u64, starting: Starting, tell: mpsc::Sender<Work<P>>)
where
    P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let crawl = match starting.await.unwrap_or(Err(Error::Ended)) {
        Ok(crawl) => crawl,
        Err(error) => return tell_desk(&tell, move |desk| desk.over(id, &Err(error))).await,
    };
    let begun = crawl.clone();
    tell_desk(&tell, move |desk| desk.began(id, begun)).await;
    let end = crawl.wait().await;
    tell_desk(&tell, move |desk| desk.over(id, &end)).await;
}

async fn tell_desk<P>(tell: &mpsc::Sender<Work<P>>, work: impl FnOnce(&mut Desk<P>) + Send + 'static) {
    // The desk hears until nobody is left who could tell it anything.
    drop(tell.send(Box::new(work)).await);
}
