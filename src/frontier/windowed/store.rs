//! Store: the database interface that a windowed frontier needs. Knows no database: each driver is a file or folder in
//! `frontier/stores`.

use std::{collections::BTreeMap, ops::ControlFlow, time::Duration};

use bytes::Bytes;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use url::Url;

use super::entry::{Entry, QueuePosition};
pub use crate::frontier::durable::DeadLetter;
use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::{
        durable::{Checkpoint, DomainHistory, StoredRobotsFile},
        known_depth::KnownDepth,
        part::PartSet,
        shared::{Arrived, LastAsked, Others, ToOthers},
    },
    identity::Fingerprint,
    recrawl::page_visit::PageVisit,
};

/// A database of queues, fingerprints and everything else that must outlive the process.
///
/// It is called from one thread, and every call may block. Local and remote drivers must keep these laws:
/// 1. a batch is applied atomically, and batches are applied in order;
/// 2. when `apply` has returned, the batch survives the end of this process, also by `kill -9`;
/// 3. when `sync` has returned, all applied batches also survive a power failure;
/// 4. a read sees every batch applied before it;
/// 5. after an error the store applies nothing more: its content stays as it was.
///
/// ```
/// use actix_crawler::frontier::windowed::store::Store;
///
/// /// Counts what waits, whichever database keeps it.
/// fn queued(store: &dyn Store) -> actix_crawler::Result<u64> {
///     Ok(store.load()?.waiting.iter().map(|(_, count)| count).sum())
/// }
/// ```
pub trait Store: Send {
    /// Reads what the frontier keeps in memory: the counters, the domains, the settings of the last process.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn load(&self) -> Result<Contents>;

    /// Stores the settings of a crawl, by name.
    ///
    /// # Errors
    /// The store cannot be written.
    fn keep_settings(&self, settings: &BTreeMap<String, String>) -> Result<()>;

    /// Stores the settings of a crawl that had none. Returns those that another machine has stored meanwhile, if one
    /// has; then these are not. The default is [`Store::keep_settings`].
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn begin_settings(&self, settings: &BTreeMap<String, String>) -> Result<Option<BTreeMap<String, String>>> {
        self.keep_settings(settings).map(|()| None)
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// The store cannot be written; nothing of the batch is stored.
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Makes all applied batches survive a power failure.
    ///
    /// # Errors
    /// The store cannot be written.
    fn sync(&self) -> Result<()>;

    /// Reads up to `max` entries of a domain's queue in order, starting at a place.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn queue(&self, domain: &Domain, from: QueuePosition, max: usize) -> Result<QueuePart>;

    /// Returns those of the fingerprints that were admitted, each with the second since 1970 of its last admission.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>>;

    /// Returns the stored robots file of an origin.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn robots(&self, origin: &str) -> Result<Option<StoredRobotsFile>>;

    /// Visits every fingerprint once, with the second of its last admission. Starts near `from`, so that partial visits
    /// can start elsewhere each time.
    ///
    /// # Errors
    /// As [`Store::seen`]; the visit ends there.
    fn each_seen(&self, from: Fingerprint, visit: &mut dyn FnMut(Fingerprint, u32) -> ControlFlow<()>) -> Result<()>;

    /// Returns all that is known of depths.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn depths(&self) -> Result<Vec<(Fingerprint, KnownDepth)>>;

    /// Returns the last visits of pages, at most `max`. The default keeps none.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn visits(&self, _max: usize) -> Result<Vec<(Fingerprint, PageVisit)>> {
        Ok(Vec::new())
    }

    /// Visits every entry of every queue.
    ///
    /// # Errors
    /// As [`Store::queue`]; the visit ends there.
    fn each_queued(&self, visit: &mut dyn FnMut(Domain, StoredEntry) -> ControlFlow<()>) -> Result<()>;

    /// Visits every request that failed for good, with its number.
    ///
    /// # Errors
    /// As [`Store::queue`]; the visit ends there.
    fn each_dead(&self, visit: &mut dyn FnMut(u64, DeadLetter) -> ControlFlow<()>) -> Result<()>;

    /// Returns how often [`Store::look`] is to be called; `None`, the default, if no other machine uses the store.
    fn look_interval(&self) -> Option<Duration> {
        None
    }

    /// Looks what other machines have done, and takes the parts that fall to this one.
    ///
    /// # Errors
    /// The store cannot be reached, or others have taken this machine for dead.
    fn look(&self) -> Result<Look> {
        Ok(Look::default())
    }

    /// Creates an error that names this store.
    fn refuse(&self, why: String) -> Error;
}

/// What a frontier reads when its store is opened.
///
/// ```
/// use actix_crawler::frontier::windowed::store::Contents;
///
/// let of_a_new_store = Contents::default();
/// assert!(of_a_new_store.settings.is_none() && of_a_new_store.waiting.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Contents {
    /// The counters of the last batch; `None` if no batch was ever applied.
    pub counters: Option<Counters>,
    /// How many entries each domain has, waiting or leased.
    pub waiting: Vec<(Domain, u64)>,
    /// The histories of domains.
    pub histories: Vec<(Domain, DomainHistory)>,
    /// URLs whose hosts are in the scope.
    pub included: Vec<Url>,
    /// The settings of the last process, by name; `None` for a new store.
    pub settings: Option<BTreeMap<String, String>>,
    /// What was seen of other machines, if there may be any. All else is that of the parts that this one has; the
    /// counters are the sum of the others'.
    pub look: Option<Look>,
}

/// What a machine sees of the others with which it shares a store.
///
/// ```
/// use actix_crawler::frontier::windowed::store::Look;
///
/// let alone = Look::default();
/// assert!(alone.gained.is_none() && alone.arrived.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Look {
    /// The parts of this machine.
    pub held: PartSet,
    /// Those of them that should be another's, which is there to take them.
    pub unwanted: PartSet,
    /// Parts that this machine has lost since the last look, also such as it has again.
    pub lost: PartSet,
    /// What was gained since the last look.
    pub gained: Option<Gained>,
    /// How often parts were gained so far.
    pub gains: u64,
    /// Requests that have come for these parts since the last look.
    pub arrived: Vec<Arrived>,
    /// The other machines; `None` if they were not looked at this time.
    pub others: Option<Others>,
    /// In the first look: whether others crawled already when this machine joined.
    pub joins_others: bool,
}

/// What comes with parts that a machine has taken.
///
/// ```
/// use actix_crawler::frontier::windowed::store::Gained;
///
/// let nothing = Gained::default();
/// assert!(nothing.waiting.is_empty() && nothing.histories.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Gained {
    /// The parts.
    pub parts: PartSet,
    /// How many entries each domain has.
    pub waiting: Vec<(Domain, u64)>,
    /// The histories of domains.
    pub histories: Vec<(Domain, DomainHistory)>,
    /// When the domains were last asked of parts that their owners gave away in order.
    pub rested: Vec<LastAsked>,
    /// What was stored of depths since [`Store::depths`] or this were last read; nothing if they never were.
    pub depths: Vec<(Fingerprint, KnownDepth)>,
    /// What entries, leases and tickets are numbered from: no number of these parts is as high, and no other machine
    /// uses one of the next 2^40.
    pub numbers: u64,
}

/// A part of a domain's queue.
///
/// ```
/// use actix_crawler::frontier::windowed::store::{QueuePart, StoredEntry};
///
/// /// Takes what is at hand for `Store::queue`.
/// fn part(mut entries: Vec<StoredEntry>, max: usize) -> QueuePart {
///     let next = entries.get(max).map(|stored| stored.entry.place);
///     entries.truncate(max);
///     QueuePart { entries, next }
/// }
/// # assert!(part(Vec::new(), 1).next.is_none());
/// ```
#[derive(Debug, Default)]
pub struct QueuePart {
    /// The entries, in order.
    pub entries: Vec<StoredEntry>,
    /// Where to continue reading; `None` at the end of the queue.
    pub next: Option<QueuePosition>,
}

/// A stored entry.
///
/// ```
/// use actix_crawler::frontier::windowed::store::StoredEntry;
///
/// /// `now` is in milliseconds since 1970.
/// fn may_be_leased(stored: &StoredEntry, now: u64) -> bool {
///     stored.not_before.is_none_or(|time| time <= now)
/// }
/// ```
#[derive(Debug)]
pub struct StoredEntry {
    /// The entry.
    pub entry: Entry,
    /// When it may be leased, in milliseconds since 1970; `None` for at once.
    pub not_before: Option<u64>,
}

/// Changes that are stored atomically.
///
/// ```
/// use actix_crawler::{Domain, frontier::windowed::store::{Batch, Change}};
///
/// let forget = Change::Forget { domain: Domain::new("example.org") };
/// let batch = Batch { changes: vec![forget], ..Batch::default() };
/// assert!(batch.counters.is_none(), "the counters stay as they are");
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    /// The changes, in order: of several for one row, the last holds.
    pub changes: Vec<Change>,
    /// The new number of entries of these domains.
    pub waiting: HashMap<Domain, u64>,
    /// The new counters.
    pub counters: Option<Counters>,
    /// What it says to other machines.
    pub to_others: ToOthers,
}

/// One change.
///
/// ```
/// use actix_crawler::{Domain, frontier::windowed::{entry::QueuePosition, store::Change}};
///
/// let done = Change::Remove { domain: Domain::new("example.org"), place: QueuePosition::new(0, 7) };
/// ```
#[derive(Debug)]
pub enum Change {
    /// An entry waits.
    Put {
        /// The domain in whose queue it waits.
        domain: Domain,
        /// The entry.
        entry: Entry,
        /// When it may be leased, in milliseconds since 1970; `None` for at once.
        not_before: Option<u64>,
    },
    /// An entry is finished.
    Remove {
        /// The domain whose queue it is in.
        domain: Domain,
        /// Its place.
        place: QueuePosition,
    },
    /// A fingerprint was admitted, at a second since 1970.
    See(Fingerprint, u32),
    /// A fingerprint counts as never admitted.
    Unsee(Fingerprint),
    /// The history of a domain changed.
    Remember {
        /// The domain.
        domain: Domain,
        /// Its history.
        history: DomainHistory,
    },
    /// The history of a domain no longer matters.
    Forget {
        /// The domain.
        domain: Domain,
    },
    /// The host of a URL is in the scope.
    Include(Url),
    /// A request failed for good.
    Bury {
        /// Its number.
        number: u64,
        /// The request, and how it failed.
        dead: DeadLetter,
    },
    /// A request that failed for good is requeued.
    Unbury {
        /// Its number.
        number: u64,
    },
    /// What is known of a URL's depth; `None` removes it.
    Depth(Fingerprint, Option<KnownDepth>),
    /// The last visit of a page.
    Visit(Fingerprint, PageVisit),
    /// The robots file of an origin.
    Robots {
        /// The origin.
        origin: String,
        /// The file.
        file: StoredRobotsFile,
    },
}

/// The counters that are stored with each batch.
///
/// ```
/// use actix_crawler::frontier::windowed::store::Counters;
///
/// let stored = serde_json::to_string(&Counters { next: 7, ..Counters::default() })?;
/// assert_eq!(serde_json::from_str::<Counters>(&stored)?.next, 7);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// The accounts of the crawl.
    #[serde(rename = "progress")]
    pub checkpoint: Checkpoint,
    /// The last number given to an entry.
    pub next: u64,
    /// The number of admitted fingerprints.
    pub seen: u64,
}

impl StoredRobotsFile {
    /// Encodes the file for a store: the time, then the body.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.fetched_at_ms.to_be_bytes()[..], &self.body].concat()
    }

    /// Decodes what [`StoredRobotsFile::to_bytes`] encoded; `None` if it is truncated.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, body) = bytes.split_at_checked(8)?;
        Some(Self { fetched_at_ms: u64::from_be_bytes(time.try_into().ok()?), body: Bytes::copy_from_slice(body) })
    }
}
