//! StoreThread: the thread that owns the store. Processes orders in sequence: applies all that have arrived as one
//! batch, then answers queries. Knows no database.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    entry::{Entry, QueuePosition},
    store::{Batch, Change, Counters, Look, QueuePart, Store},
};
use crate::{
    clock,
    domain::Domain,
    error::{Error, Result},
    frontier::{
        durable::{Checkpoint, Closed, Listener, StoredRobotsFile, Ticket},
        shared::ToOthers,
    },
    identity::Fingerprint,
    text::panic_message::message_of,
};

/// An order to the store.
pub enum StoreCommand {
    /// Stores a transaction atomically.
    Store(Box<Transaction>),
    /// Queries which fingerprints were seen, and when.
    Ask { ticket: Ticket, fingerprints: Vec<Fingerprint> },
    /// Reads a domain's queue from a place.
    Read { domain: Domain, from: QueuePosition, max: usize },
    /// Stores the settings of the crawl.
    KeepSettings(BTreeMap<String, String>),
    /// Reads the robots file of an origin.
    Robots { ticket: Ticket, origin: String },
    /// Stores everything received, then ends.
    Close(oneshot::Sender<std::result::Result<(), String>>),
}

/// An answer of the store.
pub enum StoreAnswer {
    /// Answers [`StoreCommand::Ask`].
    Seen { ticket: Ticket, seen: Vec<(Fingerprint, u32)> },
    /// Answers [`StoreCommand::Read`].
    Read { domain: Domain, read: QueuePart },
    /// The transaction of this ticket is stored.
    Stored(Ticket),
    /// The transaction of this ticket is not stored: the crawl had ended on all machines.
    TooLate(Ticket),
    /// Answers [`StoreCommand::Robots`].
    Robots { ticket: Ticket, file: Option<StoredRobotsFile> },
    /// What was seen of other machines.
    Look(Box<Look>),
    /// The store is no longer behind.
    Room,
    /// The store has failed.
    Failed(String),
}

/// Changes that belong together, such as the end of a page, its links and the ledger.
#[derive(Default)]
pub struct Transaction {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// The new number of entries of the domains.
    pub waiting: Vec<(Domain, u64)>,
    /// What is said to other machines.
    pub to_others: ToOthers,
    counters: Counters,
    /// The tickets to acknowledge when it is stored.
    tickets: Vec<Ticket>,
}

impl Transaction {
    /// Adds an entry.
    pub fn put(&mut self, domain: &Domain, entry: &Entry, not_before: Option<u64>) {
        self.changes.push(Change::Put { domain: domain.clone(), entry: entry.clone(), not_before });
    }

    /// Requests an acknowledgement when the transaction is stored.
    pub fn acknowledge(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    /// Tells whether there is nothing to store or acknowledge.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.tickets.is_empty()
    }

    /// Tells whether an acknowledgement was requested.
    pub fn is_awaited(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Completes the transaction.
    pub fn end(&mut self, checkpoint: Checkpoint, next: u64, seen: u64) {
        self.counters = Counters { checkpoint, next, seen };
    }
}

/// The scheduler's end of the channel to the store.
pub struct StoreLink {
    orders: Sender<StoreCommand>,
    shared: Arc<Shared>,
    #[cfg_attr(not(test), expect(dead_code, reason = "only a test waits for a crash"))]
    thread: thread::JoinHandle<()>,
}

struct Shared {
    answers: Mutex<VecDeque<StoreAnswer>>,
    /// Whether the scheduler was notified of answers and has not taken all of them.
    told: AtomicBool,
    /// Changes sent and not stored yet.
    backlog: AtomicUsize,
    /// Whether the scheduler waits for `StoreAnswer::Room`.
    behind: AtomicBool,
    listener: OnceLock<Arc<dyn Listener>>,
    #[cfg(test)]
    crashed: AtomicBool,
}

/// The most recent work that a power failure may undo.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// The most changes that may wait for the store before no more permits are granted: about 10 MB.
const MAX_BACKLOG: usize = 20_000;

/// The most changes in one batch: queries wait for its end.
const MAX_IN_A_BATCH: usize = 4_000;

impl StoreLink {
    /// Starts the store's thread.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub fn start(store: impl Store + 'static) -> Result<Self> {
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            told: AtomicBool::new(false),
            backlog: AtomicUsize::new(0),
            behind: AtomicBool::new(false),
            listener: OnceLock::new(),
            #[cfg(test)]
            crashed: AtomicBool::new(false),
        });
        // The channel itself is unbounded; `MAX_BACKLOG` bounds it, since no work is taken on beyond it.
        let (orders, inbox) = channel();
        let owner = StoreThread::new(store, shared.clone());
        let run = move || owner.run(&inbox);
        let thread = thread::Builder::new().name("frontier".to_owned()).spawn(run).map_err(Error::Start)?;
        Ok(Self { orders, shared, thread })
    }

    /// Sets who is notified of answers.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        let listener = self.shared.listener.get_or_init(|| listener);
        if !self.shared.answers().is_empty() {
            listener.notify();
        }
    }

    /// Sends an order.
    pub fn send(&self, order: StoreCommand) {
        self.shared.backlog.fetch_add(order.weight(), Ordering::Relaxed);
        // If the thread has ended, it sent `StoreAnswer::Failed` before.
        drop(self.orders.send(order));
    }

    /// Takes the next answer.
    pub fn next_answer(&self) -> Option<StoreAnswer> {
        let mut answers = self.shared.answers();
        let answer = answers.pop_front();
        if answer.is_none() {
            // Reset under the lock of the answers, so that the next answer notifies again.
            self.shared.told.store(false, Ordering::SeqCst);
        }
        answer
    }

    /// Tells whether the store is behind; if so, it will send `StoreAnswer::Room` later.
    pub fn is_behind(&self) -> bool {
        let behind = self.shared.backlog.load(Ordering::Relaxed) > MAX_BACKLOG;
        if behind {
            self.shared.behind.store(true, Ordering::SeqCst);
        }
        // The store may have caught up between the two lines above, before it knew that the scheduler waits.
        behind && self.shared.backlog.load(Ordering::SeqCst) > MAX_BACKLOG
    }

    /// Tells the store to end.
    pub fn close(&self) -> Closed {
        let (closed, waiting) = oneshot::channel();
        self.send(StoreCommand::Close(closed));
        waiting
    }

    #[cfg(all(test, feature = "disk"))]
    pub fn backlog(&self) -> usize {
        self.shared.backlog.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub fn crash(self) {
        self.shared.crashed.store(true, Ordering::SeqCst);
        drop(self.orders);
        self.thread.join().unwrap();
    }
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, VecDeque<StoreAnswer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, answer: StoreAnswer) {
        let mut answers = self.answers();
        answers.push_back(answer);
        let told = self.told.swap(true, Ordering::SeqCst);
        drop(answers);
        if let (false, Some(listener)) = (told, self.listener.get()) {
            listener.notify();
        }
    }
}

impl StoreCommand {
    fn weight(&self) -> usize {
        match self {
            Self::Store(transaction) => transaction.changes.len() + 1,
            _ => 0,
        }
    }
}

/// The state of the thread.
struct StoreThread<S> {
    store: S,
    shared: Arc<Shared>,
    failed: Option<String>,
    synced: Instant,
    /// Whether anything was stored since the last sync.
    dirty: bool,
    /// When other machines are looked at next; `None` if no other uses the store.
    next_look: Option<Instant>,
}

impl<S: Store> StoreThread<S> {
    fn new(store: S, shared: Arc<Shared>) -> Self {
        let now = clock::now();
        let next_look = store.look_interval().map(|interval| now + interval);
        Self { store, shared, failed: None, synced: now, dirty: false, next_look }
    }

    fn run(mut self, inbox: &Receiver<StoreCommand>) {
        loop {
            let wait = if self.dirty { SYNC_EVERY.saturating_sub(clock::now() - self.synced) } else { IDLE };
            let until_look = |at: Instant| at.saturating_duration_since(clock::now());
            let wait = self.next_look.map_or(wait, |at| wait.min(until_look(at)));
            let first = match inbox.recv_timeout(wait) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                // The frontier was dropped without being closed: uncommitted changes are lost, as in a crash.
                Err(RecvTimeoutError::Disconnected) => return,
            };
            #[cfg(test)]
            if self.shared.crashed.load(Ordering::SeqCst) {
                return;
            }
            let closed = self.work_off(first, inbox);
            if self.dirty && (closed.is_some() || clock::now() - self.synced >= SYNC_EVERY) {
                self.attempt(S::sync);
                (self.synced, self.dirty) = (clock::now(), false);
            }
            if closed.is_none() {
                self.look_if_due();
            }
            if let Some(closed) = closed {
                let result = self.failed.take().map_or(Ok(()), Err);
                // Closed before the notification, so that the receiver can open the store again.
                drop(self.store);
                return drop(closed.send(result));
            }
        }
    }

    /// Looks at the other machines, if it is time.
    fn look_if_due(&mut self) {
        let interval = self.store.look_interval().filter(|_| self.failed.is_none());
        if let Some(interval) = interval
            && self.next_look.is_none_or(|at| at <= clock::now())
        {
            if let Some(look) = self.attempt(S::look) {
                self.shared.answer(StoreAnswer::Look(Box::new(look)));
            }
            self.next_look = Some(clock::now() + interval);
        }
    }

    /// Applies all received orders as one batch, then answers queries: a read sees everything ordered before it.
    fn work_off(
        &mut self,
        first: Option<StoreCommand>,
        inbox: &Receiver<StoreCommand>,
    ) -> Option<oneshot::Sender<std::result::Result<(), String>>> {
        let (mut batch, mut weight) = (Batch::default(), 0);
        let (mut questions, mut tickets) = (Vec::new(), Vec::new());
        let mut closed = None;
        let mut next = first;
        while let Some(order) = next {
            weight += order.weight();
            match order {
                StoreCommand::Store(mut transaction) => {
                    batch.changes.append(&mut transaction.changes);
                    batch.waiting.extend(transaction.waiting);
                    batch.to_others.append(transaction.to_others);
                    batch.counters = Some(transaction.counters);
                    tickets.append(&mut transaction.tickets);
                }
                StoreCommand::Close(waiting) => {
                    closed = Some(waiting);
                    break;
                }
                question => questions.push(question),
            }
            next = if weight < MAX_IN_A_BATCH { inbox.try_recv().ok() } else { None };
        }
        if weight > 0 {
            self.dirty = true;
            if !batch.to_others.released.is_empty() {
                // Confirms that they are given up.
                self.next_look = None;
            }
            if let Some(is_stored) = self.attempt(|store| applied(store, batch)) {
                let answer = if is_stored { StoreAnswer::Stored } else { StoreAnswer::TooLate };
                for ticket in tickets {
                    self.shared.answer(answer(ticket));
                }
            }
            let before = self.shared.backlog.fetch_sub(weight, Ordering::SeqCst);
            if before - weight <= MAX_BACKLOG && self.shared.behind.swap(false, Ordering::SeqCst) {
                self.shared.answer(StoreAnswer::Room);
            }
        }
        for question in questions {
            self.answer(question);
        }
        closed
    }

    fn answer(&mut self, question: StoreCommand) {
        match question {
            StoreCommand::Ask { ticket, fingerprints } => {
                let seen = self.attempt(|store| store.seen(&fingerprints));
                if let Some(seen) = seen {
                    self.shared.answer(StoreAnswer::Seen { ticket, seen });
                }
            }
            StoreCommand::Read { domain, from, max } => {
                if let Some(read) = self.attempt(|store| store.queue(&domain, from, max)) {
                    self.shared.answer(StoreAnswer::Read { domain, read });
                }
            }
            StoreCommand::Robots { ticket, origin } => {
                if let Some(file) = self.attempt(|store| store.robots(&origin)) {
                    self.shared.answer(StoreAnswer::Robots { ticket, file });
                }
            }
            StoreCommand::KeepSettings(settings) => drop(self.attempt(|store| store.keep_settings(&settings))),
            StoreCommand::Store(_) | StoreCommand::Close(_) => {}
        }
    }

    /// Calls the store, unless it has failed before. Only the first failure is reported.
    fn attempt<T>(&mut self, act: impl FnOnce(&S) -> Result<T>) -> Option<T> {
        if self.failed.is_some() {
            return None;
        }
        let store = &self.store;
        let why = match catch_unwind(AssertUnwindSafe(|| act(store))) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("the store panicked: {}", message_of(&*panic)),
        };
        tracing::error!(why, "the frontier's store has failed");
        self.failed = Some(why.clone());
        self.shared.answer(StoreAnswer::Failed(why));
        None
    }
}

/// Applies a batch. Returns false if the crawl has ended before it, by what other machines have done: then it is
/// dropped.
fn applied(store: &impl Store, batch: Batch) -> Result<bool> {
    match store.apply(batch) {
        Ok(()) => Ok(true),
        Err(Error::Ended) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How often the thread wakes when it has nothing to do.
const IDLE: Duration = Duration::from_secs(3_600);
