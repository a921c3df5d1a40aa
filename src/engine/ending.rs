//! Ending: the report of a crawl, published once. Where the scheduler has panicked or blocks, it is made from the
//! numbers of its last turn. Does not know why a crawl ends.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;

use crate::{
    clock,
    report::{Ended, Report, StateReport},
    sessions::SessionPool,
    stats::{Failure, Progress, Stats, count::Count},
    validation::{FoundItems, Validation},
};

/// Publishes the report. Shared by the scheduler and the crawl's handles, since the scheduler's thread also runs code
/// of a user's own (a frontier, an identity), which may block or panic.
pub struct Ending {
    report: watch::Sender<Option<Arc<Report>>>,
    /// When the report was published.
    ended: OnceLock<SystemTime>,
    started: Instant,
    warnings: Vec<String>,
    state: Option<StateReport>,
    found: Option<Arc<FoundItems>>,
    sessions: Option<SessionPool>,
    last_turn: Mutex<Progress>,
    /// The latest failures of a crawl that has ended, the last one first.
    failures: OnceLock<Vec<Failure>>,
    /// Whether a handle has asked for the end.
    told_to_end: AtomicBool,
    /// When it is published at the latest; a thread waits for that.
    deadline: Mutex<Option<Instant>>,
}

/// The warning in the report of a crawl whose scheduler did not end it in time.
const SCHEDULER_BLOCKS: &str = "the crawl did not close in time and was given up: its state, or code of its own frontier, \
     identity or domain key, blocks; the numbers are those of the last turn";

/// How long an aborted crawl may take to end: it is promised to end within a second.
pub const ABORT_WITHIN: Duration = Duration::from_millis(900);

/// How often the thread checks whether the report was published.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Ending {
    /// Creates the ending of a crawl that begins now. The report shows the given warnings and state, what was found in
    /// items, and what was done in sessions.
    pub fn new(
        warnings: Vec<String>,
        state: Option<StateReport>,
        found: Option<Arc<FoundItems>>,
        sessions: Option<SessionPool>,
    ) -> Arc<Self> {
        let (report, started) = (watch::Sender::new(None), clock::now());
        let (ended, last_turn, failures, told_to_end, deadline) = Default::default();
        Arc::new(Self {
            report,
            ended,
            started,
            warnings,
            state,
            found,
            sessions,
            last_turn,
            failures,
            told_to_end,
            deadline,
        })
    }

    /// Returns when the crawl began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Records the numbers of a turn that has ended.
    pub fn know(&self, progress: Progress) {
        *self.last_turn() = progress;
    }

    /// Returns the numbers of the last turn.
    pub fn known(&self) -> Progress {
        let elapsed = clock::now().saturating_duration_since(self.started);
        Progress { elapsed, ..*self.last_turn() }
    }

    /// Returns the stats as known from the last turn.
    pub fn known_stats(&self) -> Stats {
        let Progress { ledger, pages, bytes, items, elapsed, .. } = self.known();
        let counts = [(Count::PAGES.to_string(), pages)].into();
        Stats { ledger, counts, bytes, items, elapsed, ..Stats::default() }
    }

    /// Records the latest failures, before the report is published.
    pub fn know_failures(&self, failures: Vec<Failure>) {
        self.failures.get_or_init(|| failures);
    }

    /// Returns the latest failures of a crawl that has ended; none if its scheduler could not tell.
    pub fn failures(&self) -> &[Failure] {
        self.failures.get().map_or(&[], |failures| failures)
    }

    /// Adds the requests of log-ins to those of their domains.
    pub fn add_log_ins(&self, stats: &mut Stats) {
        for (domain, requests) in self.sessions.iter().flat_map(SessionPool::log_in_requests) {
            if let Some(of_domain) = stats.domain(&domain) {
                of_domain.requests += requests;
            }
        }
    }

    /// Publishes the report, unless there is one. Adds what validation found in the items and what was done in each
    /// session. Saves the cookies of sessions first; an aborted crawl has no time for that, and its last save is about
    /// a second old.
    pub fn publish(&self, mut report: Report) {
        if let Some(sessions) = &self.sessions {
            if report.ended != Ended::Aborted
                && let Err(error) = sessions.save_changes()
            {
                report.complaints.push(format!("the cookies of sessions could not be saved: {error}"));
            }
            report.sessions = sessions.counts().into_iter().filter(|(_, counts)| counts.is_any()).collect();
        }
        let validation = self.found.as_ref().map(|found| found.validation());
        let of_items = validation.iter().flat_map(Validation::warnings);
        let warnings = self.warnings.iter().cloned().chain(of_items).chain(report.warnings).collect();
        let report = Report { warnings, validation, state: self.state.clone(), ..report };
        self.report.send_if_modified(|published| {
            let is_first = published.is_none();
            if is_first {
                self.ended.get_or_init(clock::wall);
                *published = Some(Arc::new(report));
            }
            is_first
        });
    }

    /// Publishes a report for a scheduler that has died, unless there is one.
    pub fn publish_failed(&self, why: &str) {
        let report = Report::new(self.known_stats(), Ended::Failed, Vec::new());
        self.publish(Report { failure: Some(why.to_owned()), ..report });
    }

    /// Publishes a report of an aborted crawl after `time`, unless there is one by then. A dedicated thread waits for
    /// that, since every other thread may be blocked. Further calls share this thread; the earliest deadline counts.
    pub fn publish_within(self: &Arc<Self>, time: Duration) {
        // Another thread does not see virtual time; and code that blocks there blocks the caller too.
        if self.report().is_some() || clock::is_virtual() {
            return;
        }
        let at = clock::now() + time;
        let is_waited_for = {
            let mut deadline = self.deadline();
            let known = deadline.replace(at);
            *deadline = deadline.min(known.or(Some(at)));
            known.is_some()
        };
        if is_waited_for {
            return;
        }
        let ending = self.clone();
        let wait = move || {
            while ending.report().is_none() {
                let left = ending.deadline().map_or(Duration::ZERO, |at| at.saturating_duration_since(clock::now()));
                if left.is_zero() {
                    let complaints = vec![SCHEDULER_BLOCKS.to_owned()];
                    return ending.publish(Report::new(ending.known_stats(), Ended::Aborted, complaints));
                }
                thread::sleep(left.min(LOOK_AGAIN));
            }
        };
        if let Err(error) = thread::Builder::new().name("crawler-abort".to_owned()).spawn(wait) {
            *self.deadline() = None;
            tracing::error!(%error, "no thread that ends the crawl if it blocks");
        }
    }

    /// Records that a handle has asked for the end.
    pub fn tell_to_end(&self) {
        self.told_to_end.store(true, Ordering::Relaxed);
    }

    /// Tells whether a handle has asked for the end.
    #[cfg(feature = "disk")]
    pub fn was_told_to_end(&self) -> bool {
        self.told_to_end.load(Ordering::Relaxed)
    }

    /// Returns when the report was published, if it was.
    pub fn ended(&self) -> Option<SystemTime> {
        self.ended.get().copied()
    }

    /// Returns the report, if there is one.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.report.borrow().clone()
    }

    /// Waits for the report.
    pub async fn reported(&self) -> Option<Arc<Report>> {
        let mut report = self.report.subscribe();
        let reported = report.wait_for(Option::is_some).await.ok()?;
        reported.clone()
    }

    fn last_turn(&self) -> MutexGuard<'_, Progress> {
        // No code panics while it holds this lock.
        self.last_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Ledger;

    fn known() -> Progress {
        let ledger = Ledger { discovered: 3, done: 2, leased: 1, ..Ledger::default() };
        Progress { ledger, pages: 2, ..Progress::default() }
    }

    #[test]
    fn the_first_report_holds_and_the_last_turn_is_what_is_known_without_one() {
        let ending = Ending::new(vec!["a warning".to_owned()], None, None, None);
        ending.know(known());
        assert!(ending.report().is_none());
        ending.publish_failed("the frontier panicked");
        ending.publish(Report::new(Stats::default(), Ended::Finished, Vec::new()));
        let report = ending.report().unwrap();
        assert_eq!((report.ended, report.pages(), report.stats.ledger), (Ended::Failed, 2, known().ledger), "{report}");
        assert_eq!((report.failure.as_deref(), report.warnings.len()), (Some("the frontier panicked"), 1), "{report}");
        assert!(report.ledger_adds_up, "{report}");
    }

    #[test]
    fn a_report_comes_in_time_also_if_nobody_makes_one() {
        let (ending, begun) = (Ending::new(Vec::new(), None, None, None), clock::now());
        ending.know(known());
        ending.publish_within(Duration::from_millis(50));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(ending.reported()).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(50), "{:?}", begun.elapsed());
        assert_eq!((report.ended, report.pages(), report.complaints.len()), (Ended::Aborted, 2, 1), "{report}");
    }

    /// Regression: each call had a thread of its own, which waited until the end.
    #[test]
    fn of_all_who_give_it_time_the_soonest_counts_and_one_thread_waits() {
        let ending = Ending::new(Vec::new(), None, None, None);
        for hours in [3, 1, 2] {
            ending.publish_within(Duration::from_secs(3_600 * hours));
        }
        assert_eq!(Arc::strong_count(&ending), 2, "the test, and one thread");
        ending.publish_within(Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(ending.reported()).unwrap().ended, Ended::Aborted);
    }
}
