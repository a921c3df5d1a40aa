//! Desk: the jobs of a folder and which of them run, on a thread of its own. Does not know what a job crawls.

use std::{
    collections::BTreeMap,
    mem::take,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, join_all, pending};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    Job, JobState, JobStatus,
    folder::{JobsFolder, check_name, check_tenant, delete},
    run::{self, Crawls, News, Numbers},
    status::files_of,
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
    crawls: Arc<Crawls<P>>,
    bounds: Bounds,
    jobs: BTreeMap<u64, Held<P>>,
    /// Numbers what is given and what begins, in order.
    turn: u64,
    /// Whether the crawls are stopped, and no job begins any more.
    is_closing: bool,
    /// Whether nobody can ask for the jobs any more, so that none begins.
    is_abandoned: bool,
    /// Until when none begins, since this machine lacked something that one needs.
    rests_until: Option<Instant>,
    /// Where the news of runs come.
    tell: mpsc::Sender<(u64, News)>,
}

/// How many jobs there may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The most that run at once.
    pub running: usize,
    /// The most of all.
    pub all: usize,
    /// The most of one tenant.
    pub of_tenant: usize,
}

/// Something to do with the desk, on its thread.
pub(super) type Work<P> = Box<dyn FnOnce(&mut Desk<P>) + Send>;

/// One job.
struct Held<P> {
    status: JobStatus<P>,
    run: Run,
    /// When it began to wait, and when it last began to run, as turns of the desk.
    waits_since: u64,
    began: u64,
    /// Those who wait until nothing of it runs any more.
    waiters: Vec<oneshot::Sender<()>>,
}

impl<P> Held<P> {
    fn new(status: JobStatus<P>, waits_since: u64) -> Self {
        Self { status, run: Run::None, waits_since, began: 0, waiters: Vec::new() }
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
    /// Its crawl has ended, and its thread or the state has not; or it could not begin.
    Ending { has_begun: bool },
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

/// How many things to do wait for the desk at once; further callers wait for a place. Each writes one record at the most, which
/// takes milliseconds.
pub(super) const MAX_WORKS: usize = 256;

/// How many news wait for the desk at once; the runs wait then.
pub(super) const MAX_NEWS: usize = 256;

/// How long a cancelled crawl may take to end: it is promised to end within a second.
const CANCEL_WITHIN: Duration = Duration::from_secs(1);

/// How long the thread and the state of a job that is to be removed may take to end.
const REMOVE_WITHIN: Duration = Duration::from_secs(30);

/// How long no job begins after this machine lacked something, unless another has ended.
const REST: Duration = Duration::from_secs(5);

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Desk<P> {
    /// Opens the jobs of a folder. Those that are not over wait. Returns also what is left of jobs that were removed.
    ///
    /// # Errors
    /// The folder cannot be used, or one of its records cannot be read.
    pub fn open(
        mut folder: JobsFolder,
        crawls: Arc<Crawls<P>>,
        bounds: Bounds,
        tell: mpsc::Sender<(u64, News)>,
    ) -> Result<(Self, Vec<PathBuf>)> {
        let opened = folder.read::<P>()?;
        let waiting = |mut status: JobStatus<P>| {
            if !status.state.is_over() {
                status.state = JobState::Waiting;
            }
            (status.id, Held::new(status, 0))
        };
        let jobs = opened.records.into_iter().map(waiting).collect();
        let desk = Self {
            folder,
            crawls,
            bounds,
            jobs,
            turn: 0,
            is_closing: false,
            is_abandoned: false,
            rests_until: None,
            tell,
        };
        Ok((desk, opened.leftovers))
    }

    /// Does what is asked for and hears the news, until nobody can ask any more and nothing runs.
    pub async fn serve(
        mut self,
        leftovers: Vec<PathBuf>,
        mut works: mpsc::Receiver<Work<P>>,
        mut news: mpsc::Receiver<(u64, News)>,
    ) {
        drop(spawn_blocking(move || leftovers.iter().for_each(|leftover| delete(leftover))));
        self.guarded(Self::fill_places);
        while !self.is_abandoned || self.running() > 0 {
            let rested = match self.rests_until {
                Some(until) => Either::Left(sleep(until.saturating_duration_since(clock::now()))),
                None => Either::Right(pending()),
            };
            tokio::select! {
                work = works.recv(), if !self.is_abandoned => match work {
                    Some(work) => self.guarded(work),
                    // Nobody would hear of their ends.
                    None => self.is_abandoned = true,
                },
                Some((id, news)) = news.recv() => {
                    // Known before a place is filled.
                    self.is_abandoned = works.is_closed() && works.is_empty();
                    self.guarded(|desk| desk.hear(id, news));
                }
                () = rested => {
                    self.rests_until = None;
                    self.guarded(Self::fill_places);
                }
            }
        }
    }

    /// Does something in which code of the parameters' type may panic; whoever asked hears that it came to nothing.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            tracing::error!("a job's parameters panicked: {}", message_of(&*panic));
        }
    }

    /// Takes a job. If it has a name that the tenant has given before, it is that one.
    ///
    /// # Errors
    /// There are too many, no more are taken, it cannot be stored, or the name of the tenant or of the job is none.
    pub fn take(&mut self, tenant: String, name: Option<String>, params: P) -> Result<JobStatus<P>> {
        check_tenant(&tenant)?;
        if let Some(name) = &name {
            check_name(name)?;
            if let Some(held) = self.of(&tenant).find(|held| held.status.name.as_ref() == Some(name)) {
                return Ok(held.status.clone());
            }
        }
        if self.is_closing {
            return Err(Error::JobsStopped);
        }
        self.check_room(&tenant)?;
        let status = JobStatus {
            id: self.folder.new_id()?,
            tenant,
            name,
            state: JobState::Waiting,
            params,
            created: clock::wall(),
            ended: None,
            why: None,
            progress: Progress::default(),
            first_failures: BTreeMap::new(),
        };
        // Parameters that panic when they are cloned do it here, before there is a job.
        let id = status.clone().id;
        self.folder.add(&status)?;
        let turn = self.next_turn();
        self.jobs.insert(id, Held::new(status, turn));
        self.fill_places();
        self.look(id)
    }

    fn check_room(&self, tenant: &str) -> Result<()> {
        let of_tenant = self.of(tenant).count();
        for (name, most, are) in
            [("max_jobs", self.bounds.all, self.jobs.len()), ("max_jobs_per_tenant", self.bounds.of_tenant, of_tenant)]
        {
            if are >= most {
                return Err(Error::TooManyJobs { most, bound: name });
            }
        }
        let mut tenants = self.jobs.values().map(|held| &*held.status.tenant);
        match tenants.find(|other| *other != tenant && other.eq_ignore_ascii_case(tenant)) {
            Some(other) => {
                let why = format!("there is a tenant `{other}`, whose folder would be the same on some systems");
                Err(Error::setting("tenant", why))
            }
            None => Ok(()),
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn running(&self) -> usize {
        self.jobs.values().filter(|held| held.run.is_any()).count()
    }

    /// Begins jobs while there are places.
    pub fn fill_places(&mut self) {
        let begins = !self.is_closing && !self.is_abandoned;
        while begins && self.rests_until.is_none() && self.running() < self.bounds.running {
            let Some(id) = self.next() else { return };
            self.begin(id);
        }
    }

    /// Returns the job that begins next: of the tenant of whom the fewest run, and of whom none began for the longest time, the
    /// one that has waited longest.
    fn next(&self) -> Option<u64> {
        let mut tenants = BTreeMap::<&str, (usize, u64)>::new();
        for held in self.jobs.values() {
            let (running, began) = tenants.entry(&held.status.tenant).or_default();
            *running += usize::from(held.run.is_any());
            *began = held.began.max(*began);
        }
        // One that was cancelled while it began, and is resumed, waits until that crawl has ended.
        let waiting = self.jobs.values().filter(|held| held.status.state == JobState::Waiting && !held.run.is_any());
        let order = |held: &&Held<P>| (tenants.get(&*held.status.tenant).copied(), held.waits_since);
        waiting.min_by_key(order).map(|held| held.status.id)
    }

    fn begin(&mut self, id: u64) {
        let turn = self.next_turn();
        let Some(held) = self.jobs.get_mut(&id) else { return };
        (held.began, held.run) = (turn, Run::Ending { has_begun: false });
        held.status.state = JobState::Running;
        let folder = self.folder.of(&held.status.tenant, id);
        // Its record says that it is not over, which is all that the next process has to know.
        let made = catch_unwind(AssertUnwindSafe(|| held.status.params.clone()));
        let started = match made {
            Ok(params) => {
                let (tenant, files, state) = (held.status.tenant.clone(), files_of(&folder), folder.join("state"));
                let job = Job { id, tenant, params, files, state };
                run::start(job, &self.crawls, self.tell.clone()).map_err(Error::Start)
            }
            Err(panic) => Err(Error::Crawl(format!("its parameters panicked: {}", message_of(&*panic)))),
        };
        match started {
            Ok(()) => (held.run, held.status.why) = (Run::Beginning, None),
            Err(error) => {
                self.end(id, &Err(error));
                self.rest(id);
            }
        }
    }

    /// Hears news of a job's run.
    fn hear(&mut self, id: u64, news: News) {
        match news {
            News::Began(crawl) => self.began(id, crawl),
            News::Numbers(numbers) => self.note(id, numbers),
            News::Ended(end) => self.end(id, &end),
            News::AtRest => {
                self.rest(id);
                self.fill_places();
            }
        }
    }

    fn began(&mut self, id: u64, crawl: CrawlHandle) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        held.run = Run::Crawl(crawl.clone());
        if held.status.state != JobState::Running || self.is_closing {
            drop(tokio::spawn(async move { crawl.suspend_within(Duration::ZERO).await }));
        }
    }

    /// Records how far a job is.
    fn note(&mut self, id: u64, numbers: Numbers) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        (held.status.progress, held.status.first_failures) = numbers;
        if let Err(error) = self.folder.write(&held.status) {
            tracing::warn!(%error, id, "the numbers of a job; after a kill they are older");
        }
    }

    /// Records that the crawl of a job has ended, or could not begin.
    fn end(&mut self, id: u64, end: &Result<Arc<Report>>) {
        let turn = self.next_turn();
        let Some(held) = self.jobs.get_mut(&id) else { return };
        let crawl = held.run.crawl();
        held.run = Run::Ending { has_begun: crawl.is_some() };
        let status = &mut held.status;
        let (state, why) = match end {
            Ok(report) => {
                status.progress = Progress::from(&report.stats);
                status.first_failures.clone_from(&report.stats.first_failures);
                // What its spider, its time or its handle has stopped is over, also if the service ends meanwhile.
                let is_stopped = report.stop_reason.is_some() || crawl.is_some_and(|crawl| crawl.was_told_to_end());
                match report.ended {
                    Ended::Finished => (JobState::Finished, report.stop_reason.clone()),
                    Ended::Stopped | Ended::Aborted if self.is_closing && !is_stopped => (JobState::Running, None),
                    Ended::Stopped | Ended::Aborted => (JobState::Stopped, report.stop_reason.clone()),
                    Ended::Failed => (JobState::Failed, report.failure.clone()),
                }
            }
            Err(error) if run::is_of_this_machine(error) => {
                tracing::warn!(%error, id, "a job cannot begin on this machine now; it is tried again");
                self.rests_until = Some(clock::now() + REST);
                // The others go first: it may be this job alone that lacks something, as a quota of its output.
                held.waits_since = turn;
                (JobState::Waiting, Some(error.to_string()))
            }
            Err(error) => (JobState::Failed, Some(error.to_string())),
        };
        // What was asked for meanwhile holds.
        if status.state == JobState::Running {
            (status.state, status.why) = (state, why);
        }
        if status.state.is_over() {
            status.ended = Some(clock::wall());
        }
        if let Err(error) = self.folder.write(status) {
            tracing::error!(%error, id, "the record of a job that has ended; it goes on with the next process");
        }
    }

    /// Takes note that nothing runs of a job any more.
    fn rest(&mut self, id: u64) {
        let Some(held) = self.jobs.get_mut(&id) else { return };
        if let Run::Ending { has_begun: true } = held.run {
            // What it had is free.
            self.rests_until = None;
        }
        held.run = Run::None;
        for waiter in take(&mut held.waiters) {
            // Whoever waited may have given up.
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

    fn of(&self, tenant: &str) -> impl Iterator<Item = &Held<P>> {
        self.jobs.values().filter(move |held| held.status.tenant == tenant)
    }

    /// Returns how far a job is, as its crawl tells.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn status(&mut self, tenant: &str, id: u64) -> Result<impl Future<Output = JobStatus<P>> + use<P>> {
        self.held(tenant, id).map(|held| told(held.status.clone(), held.run.crawl()))
    }

    /// Returns how far the jobs of a tenant are that were given after one of them, at most so many.
    pub fn list(&self, tenant: &str, after: u64, most: usize) -> impl Future<Output = Vec<JobStatus<P>>> + use<P> {
        let later = self.jobs.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, held)| held);
        let of_tenant = later.filter(|held| held.status.tenant == tenant).take(most);
        join_all(of_tenant.map(|held| told(held.status.clone(), held.run.crawl())))
    }

    /// Returns the crawl of a job.
    ///
    /// # Errors
    /// The tenant has no such job, or it does not run.
    pub fn crawl(&mut self, tenant: &str, id: u64) -> Result<CrawlHandle> {
        self.held(tenant, id)?.run.crawl().ok_or(Error::JobNotRunning { id })
    }

    /// Returns the folder of the files of a job.
    ///
    /// # Errors
    /// The tenant has no such job.
    pub fn files(&mut self, tenant: &str, id: u64) -> Result<PathBuf> {
        self.held(tenant, id)?;
        Ok(files_of(&self.folder.of(tenant, id)))
    }

    /// Cancels a job. Returns what comes when nothing of it runs any more, at most this time later.
    ///
    /// # Errors
    /// The tenant has no such job, or its record cannot be written.
    fn cancel_within(&mut self, tenant: &str, id: u64, time: Duration) -> Result<impl Future<Output = ()> + use<P>> {
        if !self.held(tenant, id)?.status.state.is_over() {
            // Recorded before its crawl has ended: after a kill it does not go on.
            self.change(tenant, id, |status| {
                (status.state, status.ended) = (JobState::Cancelled, Some(clock::wall()));
            })?;
        }
        let held = self.held(tenant, id)?;
        if let Some(crawl) = held.run.crawl() {
            drop(tokio::spawn(async move { crawl.abort().await }));
        }
        let rest = held.at_rest();
        Ok(async move { drop(timeout(time, rest).await) })
    }

    /// Cancels a job. Returns what comes when nothing of it runs any more, or after a second.
    ///
    /// # Errors
    /// As `cancel_within`.
    pub fn cancel(&mut self, tenant: &str, id: u64) -> Result<impl Future<Output = ()> + use<P>> {
        self.cancel_within(tenant, id, CANCEL_WITHIN)
    }

    /// Cancels a job that is to be removed.
    ///
    /// # Errors
    /// As `cancel_within`.
    pub fn cancel_to_remove(&mut self, tenant: &str, id: u64) -> Result<impl Future<Output = ()> + use<P>> {
        self.cancel_within(tenant, id, REMOVE_WITHIN)
    }

    /// Lets a job that is over go on from its state.
    ///
    /// # Errors
    /// The tenant has no such job, no more are taken, or its record cannot be written.
    pub fn resume(&mut self, tenant: &str, id: u64) -> Result<JobStatus<P>> {
        if self.held(tenant, id)?.status.state.is_over() {
            if self.is_closing {
                return Err(Error::JobsStopped);
            }
            self.change(tenant, id, |status| {
                (status.state, status.ended, status.why) = (JobState::Waiting, None, None);
            })?;
            let turn = self.next_turn();
            self.held(tenant, id)?.waits_since = turn;
            self.fill_places();
        }
        self.look(id)
    }

    /// Removes a job of which nothing runs. Its files are deleted later.
    ///
    /// # Errors
    /// The tenant has no such job, it is not at rest, or its folder cannot be renamed.
    pub fn remove(&mut self, tenant: &str, id: u64) -> Result<()> {
        let held = self.held(tenant, id)?;
        let why = match (held.status.state.is_over(), held.run.is_any()) {
            (true, false) => None,
            (false, _) => Some("it was resumed meanwhile; cancel it first"),
            (true, true) => Some("its crawl has not ended yet; try again later"),
        };
        if let Some(why) = why {
            return Err(Error::setting("remove", why));
        }
        let leftover = self.folder.remove(tenant, id)?;
        self.jobs.remove(&id);
        drop(spawn_blocking(move || delete(&leftover)));
        Ok(())
    }

    /// Begins no more jobs, and stops the crawls. Returns what comes when nothing runs any more, a second after this time at the
    /// latest, with how many were stopped. One that is just beginning is ended as soon as it has begun.
    pub fn close(&mut self, time: Duration) -> impl Future<Output = usize> + use<P> {
        self.is_closing = true;
        let (mut rests, mut stopped) = (Vec::new(), 0);
        for held in self.jobs.values_mut().filter(|held| held.run.is_any()) {
            if let Some(crawl) = held.run.crawl() {
                drop(tokio::spawn(async move { crawl.suspend_within(time).await }));
            }
            // One that has ended is waited for, since its state may still be written.
            stopped += usize::from(!matches!(held.run, Run::Ending { .. }));
            rests.push(held.at_rest());
        }
        async move {
            // Some may begin for longer.
            let _ = timeout(time.saturating_add(CANCEL_WITHIN), join_all(rests)).await;
            stopped
        }
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

/// Adds to what the desk knows of a job what its crawl tells.
async fn told<P>(mut status: JobStatus<P>, crawl: Option<CrawlHandle>) -> JobStatus<P> {
    if let Some(crawl) = crawl
        && let Some(numbers) = run::numbers_of(&crawl).await
    {
        (status.progress, status.first_failures) = numbers;
    }
    status
}
