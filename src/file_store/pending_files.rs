//! PendingFiles: who waits for which file. A file that several items want is requested once, and each gets the
//! result. Knows no engine and no network.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use hashbrown::HashMap;
use tokio::sync::oneshot;

use super::{A_RUN, Entry, Wanted};
use crate::{
    clock,
    domain::Domain,
    files::File,
    request::SubmissionId,
    submissions::{SubmissionEnd, SubmissionEnds},
};

/// The files of one crawl that are waited for, and those that ended last.
#[derive(Default)]
pub struct PendingFiles {
    state: Mutex<PendingState>,
    waiting_pages: AtomicUsize,
}

#[derive(Default)]
struct PendingState {
    pending: HashMap<SubmissionId, PendingEntry>,
    ids: HashMap<Arc<Wanted>, SubmissionId>,
    ended: HashMap<Arc<Wanted>, (File, Instant)>,
    /// The ended ones, oldest first.
    order: VecDeque<Arc<Wanted>>,
    /// Whether nothing more is requested.
    is_closed: bool,
}

struct PendingEntry {
    wanted: Arc<Wanted>,
    known: Option<Entry>,
    /// The file, once it is read; it is told when the engine has settled the request.
    file: Option<File>,
    askers: Vec<oneshot::Sender<File>>,
}

/// The answer to who asks for a file.
pub enum AskOutcome {
    /// It has ended.
    Ended(Box<File>),
    /// It is being requested.
    Waits(oneshot::Receiver<File>),
    /// It is to be requested, with this ID.
    New(SubmissionId, oneshot::Receiver<File>),
    /// Nothing more is requested.
    Closed,
}

/// A page that waits for its files.
pub struct WaitingPage(Arc<PendingFiles>);

/// The most ended files that are remembered (5 MB): a file that was there is in the index also after that, and one that
/// failed is asked for again.
const MAX_ENDED: usize = 10_000;

impl PendingFiles {
    /// Asks for a file. `known` is what the index has of it.
    pub fn ask(&self, wanted: &Arc<Wanted>, known: Option<Entry>, now: Instant) -> AskOutcome {
        let mut state = self.state();
        if state.is_closed {
            return AskOutcome::Closed;
        }
        if let Some(file) = state.ended_lately(wanted, now) {
            return AskOutcome::Ended(file.clone().into());
        }
        let (asker, answer) = oneshot::channel();
        let id = state.ids.get(wanted).copied();
        if let Some(pending) = id.and_then(|id| state.pending.get_mut(&id)) {
            pending.askers.push(asker);
            return AskOutcome::Waits(answer);
        }
        let id = SubmissionId(fastrand::u64(..));
        state.ids.insert(wanted.clone(), id);
        state.pending.insert(id, PendingEntry { wanted: wanted.clone(), known, file: None, askers: vec![asker] });
        AskOutcome::New(id, answer)
    }

    /// Returns what becomes of a file that is waited for or has just ended; `None` if it must be looked for.
    pub fn join(&self, wanted: &Arc<Wanted>, now: Instant) -> Option<AskOutcome> {
        let is_known = {
            let state = self.state();
            state.is_closed || state.ended_lately(wanted, now).is_some() || state.ids.contains_key(wanted)
        };
        is_known.then(|| self.ask(wanted, None, now))
    }

    /// Returns which file a request is for, and what the index has of it.
    pub fn wanted(&self, id: SubmissionId) -> Option<(Arc<Wanted>, Option<Entry>)> {
        self.state().pending.get(&id).map(|pending| (pending.wanted.clone(), pending.known.clone()))
    }

    /// Keeps a file that was read until the engine has settled its request.
    pub fn keep(&self, id: SubmissionId, file: File) {
        if let Some(pending) = self.state().pending.get_mut(&id) {
            pending.file = Some(file);
        }
    }

    /// Counts a page as one that waits, as long as the result lives.
    pub fn wait(self: &Arc<Self>) -> WaitingPage {
        self.waiting_pages.fetch_add(1, Ordering::Relaxed);
        WaitingPage(self.clone())
    }

    /// Returns how many pages wait for files.
    pub fn waiting_pages(&self) -> usize {
        self.waiting_pages.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, PendingState> {
        // Nothing that is done under it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingPage {
    fn drop(&mut self) {
        self.0.waiting_pages.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SubmissionEnds for PendingFiles {
    fn ended(&self, id: SubmissionId, end: SubmissionEnd) {
        let mut state = self.state();
        let Some(PendingEntry { wanted, file, askers, .. }) = state.pending.remove(&id) else { return };
        state.ids.remove(&wanted);
        let failed = |why: String| wanted.failed(why);
        let file = match end {
            SubmissionEnd::Read => file.unwrap_or_else(|| failed("it was lost".to_owned())),
            SubmissionEnd::Failed(outcome) => failed(outcome.to_string()),
            SubmissionEnd::Dropped(reason) => failed(reason.to_string()),
            SubmissionEnd::AlreadySeen | SubmissionEnd::FailedBefore(_) | SubmissionEnd::Elsewhere => {
                failed(ELSEWHERE.to_owned())
            }
        };
        state.remember(wanted, file.clone());
        drop(state);
        for asker in askers {
            // A page that no longer waits needs no answer.
            let _ = asker.send(file.clone());
        }
    }

    fn queued(&self, _: SubmissionId, _: &Domain) {}

    fn lost(&self, _: &[Domain]) {}

    fn stopping(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.ids.clear();
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        // Who waits for one of them hears that there will be no answer.
        drop(pending);
    }
}

/// Why a file is not requested that another process would have to request.
pub const ELSEWHERE: &str = "another process owns its domain";

impl PendingState {
    fn ended_lately(&self, wanted: &Arc<Wanted>, now: Instant) -> Option<&File> {
        let (file, at) = self.ended.get(wanted)?;
        (now.saturating_duration_since(*at) < A_RUN).then_some(file)
    }

    fn remember(&mut self, wanted: Arc<Wanted>, file: File) {
        if self.ended.insert(wanted.clone(), (file, clock::now())).is_none() {
            self.order.push_back(wanted);
        }
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}

/// Tells of an end to those who wait for pages and to those who wait for files: an ID is known to one of them.
pub struct PagesAndFiles(pub Arc<dyn SubmissionEnds>, pub Arc<PendingFiles>);

impl SubmissionEnds for PagesAndFiles {
    fn ended(&self, id: SubmissionId, end: SubmissionEnd) {
        if self.1.wanted(id).is_some() { self.1.ended(id, end) } else { self.0.ended(id, end) }
    }

    fn queued(&self, id: SubmissionId, domain: &Domain) {
        self.0.queued(id, domain);
    }

    fn lost(&self, domains: &[Domain]) {
        self.0.lost(domains);
    }

    fn stopping(&self) {
        self.0.stopping();
        self.1.stopping();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::FileStatus, outcome::Outcome};

    fn wanted(url: &str) -> Arc<Wanted> {
        Wanted { url: url.parse().unwrap(), name: None }.into()
    }

    #[test]
    fn a_file_is_requested_once_and_all_who_ask_get_it() {
        let files = PendingFiles::default();
        let file = wanted("http://a.test/1");
        let AskOutcome::New(id, mut first) = files.ask(&file, None, clock::now()) else { panic!("not new") };
        let Some(AskOutcome::Waits(mut second)) = files.join(&file, clock::now()) else { panic!("not joined") };
        assert!(files.join(&wanted("http://a.test/2"), clock::now()).is_none());
        let mut read = File::at(file.url.clone());
        read.status = FileStatus::Downloaded;
        files.keep(id, read.clone());
        assert!(first.try_recv().is_err(), "its request is not settled");
        files.ended(id, SubmissionEnd::Read);
        assert_eq!((first.try_recv().unwrap(), second.try_recv().unwrap()), (read.clone(), read.clone()));
        assert!(matches!(files.ask(&file, None, clock::now()), AskOutcome::Ended(known) if *known == read));
    }

    #[test]
    fn what_failed_is_not_asked_for_again_and_says_why() {
        let files = PendingFiles::default();
        let file = wanted("http://a.test/1");
        let AskOutcome::New(id, mut answer) = files.ask(&file, None, clock::now()) else { panic!("not new") };
        files.ended(id, SubmissionEnd::Failed(Outcome::Status(404)));
        let failed = answer.try_recv().unwrap();
        assert_eq!((failed.status, failed.error.as_deref()), (FileStatus::Failed, Some("status: 404")));
        assert!(matches!(files.join(&file, clock::now()), Some(AskOutcome::Ended(_))));
    }

    #[test]
    fn who_waits_when_the_crawl_stops_hears_of_it() {
        let files = PendingFiles::default();
        let AskOutcome::New(_, mut answer) = files.ask(&wanted("http://a.test/1"), None, clock::now()) else {
            panic!("not new")
        };
        files.stopping();
        assert_eq!(answer.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
        assert!(matches!(files.ask(&wanted("http://a.test/2"), None, clock::now()), AskOutcome::Closed));
    }
}
