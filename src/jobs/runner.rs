//! JobRunner: which jobs run, from their beginning to their end, on a thread of its own. Does not know what a job
//! crawls.

use std::{
    mem::take,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{Either, join_all, pending};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    Job, JobState, JobStatus,
    entry::RunState,
    folder::delete,
    run::{self, Crawls, Numbers, RunEvent},
    status::files_of,
    table::JobTable,
};
use crate::{
    clock,
    error::{Error, Result},
    handle::CrawlHandle,
    report::{Ended, Report},
    stats::Progress,
    text::panic_message::message_of,
};

/// Runs the jobs of a table.
pub(super) struct JobRunner<P> {
    /// The jobs.
    pub jobs: JobTable<P>,
    crawls: Arc<Crawls<P>>,
    /// The most that run at once.
    max_running: usize,
    /// Whether the crawls are stopped, and no job begins any more.
    is_closing: bool,
    /// Whether nobody can ask for the jobs any more, so that none begins.
    is_abandoned: bool,
    /// Until when none begins, since this machine lacked something that one needs.
    rests_until: Option<Instant>,
    /// Where runs send their events.
    events: mpsc::Sender<(u64, RunEvent)>,
}

/// Something to do with the jobs, on the runner's thread.
pub(super) type Work<P> = Box<dyn FnOnce(&mut JobRunner<P>) + Send>;

/// How many things to do wait for the runner at once; further callers wait for a place. Each writes one record at the
/// most, which takes milliseconds.
pub(super) const MAX_WORKS: usize = 256;

/// How many events wait for the runner at once; the runs wait then.
pub(super) const MAX_EVENTS: usize = 256;

/// How long a cancelled crawl may take to end: it is promised to end within a second.
const CANCEL_WITHIN: Duration = Duration::from_secs(1);

/// How long the thread and the state of a job that is to be removed may take to end.
const REMOVE_WITHIN: Duration = Duration::from_secs(30);

/// How long no job begins after this machine lacked something, unless another has ended.
const REST: Duration = Duration::from_secs(5);

impl<P: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> JobRunner<P> {
    /// Creates it. Nothing runs before it serves.
    pub fn new(
        jobs: JobTable<P>,
        crawls: Arc<Crawls<P>>,
        max_running: usize,
        events: mpsc::Sender<(u64, RunEvent)>,
    ) -> Self {
        Self { jobs, crawls, max_running, is_closing: false, is_abandoned: false, rests_until: None, events }
    }

    /// Does what is asked for and handles the events, until nobody can ask any more and nothing runs.
    pub async fn serve(
        mut self,
        leftovers: Vec<PathBuf>,
        mut works: mpsc::Receiver<Work<P>>,
        mut events: mpsc::Receiver<(u64, RunEvent)>,
    ) {
        drop(spawn_blocking(move || leftovers.iter().for_each(|leftover| delete(leftover))));
        self.guarded(Self::fill_places);
        while !self.is_abandoned || self.jobs.running() > 0 {
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
                Some((id, event)) = events.recv() => {
                    // Known before a place is filled.
                    self.is_abandoned = works.is_closed() && works.is_empty();
                    self.guarded(|runner| runner.handle(id, event));
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
        if let Some(entry) = self.jobs.named(&tenant, name.as_ref())? {
            return Ok(entry.status.clone());
        }
        if self.is_closing {
            return Err(Error::JobsStopped);
        }
        let id = self.jobs.add(tenant, name, params)?;
        self.fill_places();
        self.jobs.look(id)
    }

    /// Begins jobs while there are places.
    fn fill_places(&mut self) {
        let begins = !self.is_closing && !self.is_abandoned;
        while begins && self.rests_until.is_none() && self.jobs.running() < self.max_running {
            let Some(id) = self.jobs.next() else { return };
            self.begin(id);
        }
    }

    fn begin(&mut self, id: u64) {
        let number = self.jobs.next_number();
        let Some(entry) = self.jobs.get(id) else { return };
        (entry.began, entry.run) = (number, RunState::Ending { has_begun: false });
        entry.status.state = JobState::Running;
        // Its record says that it is not over, which is all that the next process has to know.
        let tenant = entry.status.tenant.clone();
        let made = catch_unwind(AssertUnwindSafe(|| entry.status.params.clone()));
        let folder = self.jobs.folder(&tenant, id);
        let started = match made {
            Ok(params) => {
                let job = Job { id, tenant, params, files: files_of(&folder), state: folder.join("state") };
                run::start(job, &self.crawls, self.events.clone()).map_err(Error::Start)
            }
            Err(panic) => Err(Error::Crawl(format!("its parameters panicked: {}", message_of(&*panic)))),
        };
        match started {
            Ok(()) => {
                if let Some(entry) = self.jobs.get(id) {
                    (entry.run, entry.status.why) = (RunState::Beginning, None);
                }
            }
            Err(error) => {
                self.end(id, &Err(error));
                self.rest(id);
            }
        }
    }

    /// Handles an event of a job's run.
    fn handle(&mut self, id: u64, event: RunEvent) {
        match event {
            RunEvent::Began(crawl) => self.began(id, crawl),
            RunEvent::Numbers(numbers) => self.note(id, numbers),
            RunEvent::Ended(end) => self.end(id, &end),
            RunEvent::AtRest => {
                self.rest(id);
                self.fill_places();
            }
        }
    }

    fn began(&mut self, id: u64, crawl: CrawlHandle) {
        let Some(entry) = self.jobs.get(id) else { return };
        entry.run = RunState::Crawl(crawl.clone());
        if entry.status.state != JobState::Running || self.is_closing {
            drop(tokio::spawn(async move { crawl.suspend_within(Duration::ZERO).await }));
        }
    }

    /// Records how far a job is.
    fn note(&mut self, id: u64, numbers: Numbers) {
        let Some(entry) = self.jobs.get(id) else { return };
        (entry.status.progress, entry.status.first_failures) = numbers;
        if let Err(error) = self.jobs.write(id) {
            tracing::warn!(%error, id, "the numbers of a job; after a kill they are older");
        }
    }

    /// Records that the crawl of a job has ended, or could not begin.
    fn end(&mut self, id: u64, end: &Result<Arc<Report>>) {
        let number = self.jobs.next_number();
        let Some(entry) = self.jobs.get(id) else { return };
        let crawl = entry.run.crawl();
        entry.run = RunState::Ending { has_begun: crawl.is_some() };
        let status = &mut entry.status;
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
                entry.waits_since = number;
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
        if let Err(error) = self.jobs.write(id) {
            tracing::error!(%error, id, "the record of a job that has ended; it goes on with the next process");
        }
    }

    /// Records that nothing runs of a job any more.
    fn rest(&mut self, id: u64) {
        let Some(entry) = self.jobs.get(id) else { return };
        if let RunState::Ending { has_begun: true } = entry.run {
            // What it had is free.
            self.rests_until = None;
        }
        entry.run = RunState::None;
        for waiter in take(&mut entry.waiters) {
            // Whoever waited may have given up.
            let _ = waiter.send(());
        }
    }

    /// Cancels a job. Returns what comes when nothing of it runs any more, at most this time later.
    ///
    /// # Errors
    /// The tenant has no such job, or its record cannot be written.
    fn cancel_within(&mut self, tenant: &str, id: u64, time: Duration) -> Result<impl Future<Output = ()> + use<P>> {
        if !self.jobs.entry(tenant, id)?.status.state.is_over() {
            // Recorded before its crawl has ended: after a kill it does not go on.
            self.jobs.change(tenant, id, |status| {
                (status.state, status.ended) = (JobState::Cancelled, Some(clock::wall()));
            })?;
        }
        let entry = self.jobs.entry(tenant, id)?;
        if let Some(crawl) = entry.run.crawl() {
            drop(tokio::spawn(async move { crawl.abort().await }));
        }
        let rest = entry.at_rest();
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
        if self.jobs.entry(tenant, id)?.status.state.is_over() {
            if self.is_closing {
                return Err(Error::JobsStopped);
            }
            self.jobs.change(tenant, id, |status| {
                (status.state, status.ended, status.why) = (JobState::Waiting, None, None);
            })?;
            let number = self.jobs.next_number();
            self.jobs.entry(tenant, id)?.waits_since = number;
            self.fill_places();
        }
        self.jobs.look(id)
    }

    /// Removes a job of which nothing runs. Its files are deleted later.
    ///
    /// # Errors
    /// As [`JobTable::remove`].
    pub fn remove(&mut self, tenant: &str, id: u64) -> Result<()> {
        let leftover = self.jobs.remove(tenant, id)?;
        drop(spawn_blocking(move || delete(&leftover)));
        Ok(())
    }

    /// Begins no more jobs, and stops the crawls. Returns what comes when nothing runs any more, a second after this
    /// time at the latest, with how many were stopped. One that is just beginning is ended as soon as it has begun.
    pub fn close(&mut self, time: Duration) -> impl Future<Output = usize> + use<P> {
        self.is_closing = true;
        let (mut rests, mut stopped) = (Vec::new(), 0);
        for entry in self.jobs.iter_mut().filter(|entry| entry.run.is_any()) {
            if let Some(crawl) = entry.run.crawl() {
                drop(tokio::spawn(async move { crawl.suspend_within(time).await }));
            }
            // One that has ended is waited for, since its state may still be written.
            stopped += usize::from(!matches!(entry.run, RunState::Ending { .. }));
            rests.push(entry.at_rest());
        }
        async move {
            // Some may begin for longer.
            let _ = timeout(time.saturating_add(CANCEL_WITHIN), join_all(rests)).await;
            stopped
        }
    }
}
