//! Store: what a windowed frontier needs of the database that keeps its requests. Knows no database: each driver is a
//! file or folder in `frontier/stores`.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use url::Url;

use super::entry::{Entry, Place};
use crate::{
    domain::Domain,
    error::{Error, Result},
    frontier::durable::{Checkpoint, DomainHistory, RobotsFile},
    identity::Fingerprint,
    request::Request,
};

/// A database of queues, fingerprints and what else must outlive the process.
///
/// One thread calls it, and may wait in every call. A driver for a remote database keeps these laws as one for local
/// files does:
/// 1. a batch is applied whole or not at all, and batches are applied in their order;
/// 2. what `apply` has returned from survives the end of this process, also by `kill -9`;
/// 3. what `sync` has returned from survives a power cut as well;
/// 4. a read sees every batch that was applied before it;
/// 5. after an error the store applies nothing more: what was stored stays as it was.
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

    /// Keeps the settings of a crawl, by name.
    ///
    /// # Errors
    /// The store cannot be written.
    fn keep_settings(&self, settings: &BTreeMap<String, String>) -> Result<()>;

    /// Applies a batch.
    ///
    /// # Errors
    /// The store cannot be written; nothing of the batch is stored then.
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Makes what was applied survive a power cut.
    ///
    /// # Errors
    /// The store cannot be written.
    fn sync(&self) -> Result<()>;

    /// Reads up to `max` entries of a domain's queue, in their order, from a place on.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn queue(&self, domain: &Domain, from: Place, max: usize) -> Result<QueuePart>;

    /// Tells which of these fingerprints were taken in, and at which second since 1970 each was last.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>>;

    /// Returns the robots file that was kept of an origin.
    ///
    /// # Errors
    /// The store is damaged or cannot be reached.
    fn robots(&self, origin: &str) -> Result<Option<RobotsFile>>;

    /// Visits every fingerprint once, with the second it was last taken in. It begins near `from`, so that who visits
    /// only some of them begins elsewhere each time.
    ///
    /// # Errors
    /// As [`Store::seen`]; the visit ends there.
    fn each_seen(&self, from: Fingerprint, visit: &mut dyn FnMut(Fingerprint, u32) -> ControlFlow<()>) -> Result<()>;

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

    /// Makes an error that names this store.
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
    /// The counters of the last batch; `None` where nothing was ever applied.
    pub counters: Option<Counters>,
    /// How many entries each domain has, waiting or leased.
    pub waiting: Vec<(Domain, u64)>,
    /// What is remembered of domains.
    pub histories: Vec<(Domain, DomainHistory)>,
    /// URLs whose hosts are in the scope.
    pub included: Vec<Url>,
    /// The settings of the last process, by name; `None` for a new store.
    pub settings: Option<BTreeMap<String, String>>,
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
    /// Where to read on; `None` at the end of the queue.
    pub next: Option<Place>,
}

/// An entry as it was stored.
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

/// Changes that are stored together.
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
    /// The changes, in order: of two that concern one row the later holds.
    pub changes: Vec<Change>,
    /// How many entries these domains have from now on.
    pub waiting: HashMap<Domain, u64>,
    /// The counters from now on.
    pub counters: Option<Counters>,
}

/// One change.
///
/// ```
/// use actix_crawler::{Domain, frontier::windowed::{entry::Place, store::Change}};
///
/// let done = Change::Remove { domain: Domain::new("example.org"), place: Place::new(0, 7) };
/// ```
#[derive(Debug)]
pub enum Change {
    /// An entry waits, not before a time in milliseconds since 1970.
    Put {
        /// The domain in whose queue it waits.
        domain: Domain,
        /// The entry.
        entry: Entry,
        /// When it may be leased.
        not_before: Option<u64>,
    },
    /// An entry is done with.
    Remove {
        /// The domain in whose queue it stood.
        domain: Domain,
        /// Where.
        place: Place,
    },
    /// A fingerprint was taken in, at a second since 1970.
    See(Fingerprint, u32),
    /// A fingerprint counts as never taken in.
    Unsee(Fingerprint),
    /// What is remembered of a domain.
    Remember {
        /// The domain.
        domain: Domain,
        /// What of it.
        history: DomainHistory,
    },
    /// What was remembered of a domain does not matter any more.
    Forget {
        /// The domain.
        domain: Domain,
    },
    /// The host of a URL is in the scope.
    Include(Url),
    /// A request failed for good.
    Bury {
        /// Names it.
        number: u64,
        /// The request, and how it failed.
        dead: DeadLetter,
    },
    /// A request that failed is to be tried again.
    Unbury {
        /// Its name.
        number: u64,
    },
    /// The robots file of an origin.
    Robots {
        /// The origin.
        origin: String,
        /// The file.
        file: RobotsFile,
    },
}

/// A request that failed for good, and how.
///
/// ```
/// use actix_crawler::{Domain, Request, frontier::windowed::store::DeadLetter};
///
/// let dead = DeadLetter {
///     domain: Domain::new("example.org"),
///     request: Request::parse("https://example.org/gone")?.into(),
///     outcome: "status".into(),
///     detail: "404".into(),
/// };
/// assert_eq!(dead.count_key(), "failed/status/404");
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its domain.
    pub domain: Domain,
    /// The request.
    pub request: Arc<Request>,
    /// How it ended, in one word.
    pub outcome: String,
    /// What there is to say beside the word.
    pub detail: String,
}

impl DeadLetter {
    /// Returns the key that it was counted under.
    pub fn count_key(&self) -> String {
        match self.outcome.as_str() {
            "status" => format!("failed/status/{}", self.detail),
            outcome => format!("failed/{outcome}"),
        }
    }
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
    /// How far the crawl has come.
    #[serde(rename = "progress")]
    pub checkpoint: Checkpoint,
    /// The last number given to an entry.
    pub next: u64,
    /// How many fingerprints were taken in.
    pub seen: u64,
}

impl RobotsFile {
    /// Returns the file as bytes for a store: the time, then the body.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.fetched_at_ms.to_be_bytes()[..], &self.body].concat()
    }

    /// Reads what [`RobotsFile::to_bytes`] wrote; `None` if it is cut short.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, body) = bytes.split_at_checked(8)?;
        Some(Self { fetched_at_ms: u64::from_be_bytes(time.try_into().ok()?), body: Bytes::copy_from_slice(body) })
    }
}
