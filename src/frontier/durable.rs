//! Durable: the additional interface of a frontier that outlives the process, and the news of its store. Knows no
//! store.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use url::Url;

use super::{
    Frontier,
    known_depth::KnownDepth,
    part::PartSet,
    shared::{LastAsked, Others, Shared},
};
pub use super::{
    checkpoint::Checkpoint,
    domain_history::{CoolingHistory, DomainHistory, SlowedHistory},
};
use crate::{
    domain::Domain,
    identity::Fingerprint,
    recrawl::{Recrawl, page_visit::PageVisit},
    request::Request,
};

/// What a frontier offers in addition to [`Frontier`] if it outlives the process, or shares its work with other
/// machines.
///
/// No method waits for a disk or a network: later results of the store come as [`StoreNews`].
///
/// `windowed` implements it over any [`Store`](super::windowed::store::Store).
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::frontier::{Frontier, durable::StoreNews};
///
/// /// Takes in all news, as the scheduler does when the listener was told of some.
/// fn take_in(frontier: &mut dyn Frontier, now: Instant) -> Option<String> {
///     let durable = frontier.durable()?;
///     while let Some(news) = durable.news(now) {
///         if let StoreNews::Failed(why) = news {
///             return Some(why);
///         }
///     }
///     None
/// }
/// ```
pub trait Durable {
    /// Sets who is notified of news. The crawl begins: all that could refuse it was checked.
    fn listen(&mut self, listener: Arc<dyn Listener>);

    /// Takes the next news. Handle each before taking the next.
    fn news(&mut self, now: Instant) -> Option<StoreNews>;

    /// Returns when the next commit is due; `None` if there is nothing to commit.
    fn commit_due(&self) -> Option<Instant>;

    /// Commits everything done since the last commit together with the checkpoint, atomically.
    fn commit(&mut self, checkpoint: Checkpoint, now: Instant);

    /// Requests a [`StoreNews::Stored`] for when everything done so far is stored and survives the end of this process.
    /// It follows the next commit.
    fn acknowledge(&mut self) -> Ticket;

    /// Stores the history of a domain with the next commit.
    fn remember(&mut self, domain: &Domain, history: DomainHistory);

    /// Stores with the next commit that this URL's host is in the scope.
    fn include(&mut self, seed: &Url);

    /// Keeps a request that failed for good with the next commit, so that it can be retried some day.
    fn bury(&mut self, domain: &Domain, request: &Arc<Request>, outcome: &str, detail: &str);

    /// Keeps what is known of a URL's depth, or forgets it, with the next commit. By default it is not kept: which URLs
    /// are too deep for a crawl that is resumed may then depend on the order of answers.
    fn remember_depth(&mut self, _fingerprint: Fingerprint, _known: Option<KnownDepth>) {}

    /// Keeps the last visit of a page with the next commit. By default it is not kept: the page is then new in a crawl
    /// that is resumed.
    fn remember_visit(&mut self, _fingerprint: Fingerprint, _visit: PageVisit) {}

    /// Keeps the robots file of an origin (`https://example.org`) with the next commit. `fetched_at_ms` is in
    /// milliseconds since 1970. The default keeps nothing.
    fn remember_robots(&mut self, _origin: &str, _body: &[u8], _fetched_at_ms: u64) {}

    /// Looks for the robots file of an origin; the result is [`StoreNews::Robots`] with this ticket. `None`, the
    /// default, if no file is kept.
    fn robots(&mut self, _origin: &str) -> Option<Ticket> {
        None
    }

    /// Tells whether the store is too far behind to take on more work. [`StoreNews::Room`] ends this.
    fn is_behind(&self) -> bool;

    /// Writes everything that was committed, and closes the store.
    fn close(&mut self) -> Closed;

    /// Returns the interface of a frontier that several machines share; `None`, the default, if none do.
    fn shared(&mut self) -> Option<&mut dyn Shared> {
        None
    }
}

/// Receives the end of a store: its last error, if there was one.
///
/// ```
/// use actix_crawler::frontier::durable::Closed;
///
/// async fn last_error(closed: Closed) -> Option<String> {
///     closed.await.ok()?.err()
/// }
/// ```
pub type Closed = oneshot::Receiver<Result<(), String>>;

/// Is notified when a store has news.
///
/// ```
/// use std::sync::mpsc::Sender;
///
/// use actix_crawler::frontier::durable::Listener;
///
/// /// Wakes a thread that waits for news.
/// struct Waker(Sender<()>);
///
/// impl Listener for Waker {
///     fn notify(&self) {
///         // It fails only where nobody waits any more.
///         let _ = self.0.send(());
///     }
/// }
/// ```
pub trait Listener: Send + Sync {
    /// Called once, and again only after [`Durable::news`] has returned `None`. Must not block.
    fn notify(&self);
}

/// Identifies one request to a store.
///
/// ```
/// use actix_crawler::frontier::durable::{StoreNews, Ticket};
///
/// fn is_stored(news: &StoreNews, asked: Ticket) -> bool {
///     matches!(news, StoreNews::Stored(ticket) if *ticket == asked)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// News of a store.
///
/// ```
/// use actix_crawler::{Domain, frontier::durable::StoreNews};
///
/// fn of_domain(news: &StoreNews) -> Option<&Domain> {
///     match news {
///         StoreNews::Arrived(domain) => Some(domain),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreNews {
    /// [`Frontier::has_seen`] is valid for the fingerprints of this look-up until the next news.
    Answered(Ticket),
    /// Requests of this domain were read.
    Arrived(Domain),
    /// Everything done before this [`Durable::acknowledge`] is stored.
    Stored(Ticket),
    /// What was done before this [`Durable::acknowledge`] is not stored: the crawl had ended on all machines.
    TooLate(Ticket),
    /// The result of [`Durable::robots`].
    Robots(Ticket, Option<StoredRobotsFile>),
    /// This process owns these domains from now on; their requests are in [`Frontier::domains`]. The previous owner may
    /// have just sent requests to them.
    Gained(GainedParts),
    /// Another process owns these domains from now on. Their leases have ended: `settle` and `give_back` no longer find
    /// them, and nothing may be sent to these domains.
    Lost(Vec<Domain>),
    /// Parts are to be given to other machines: see [`Shared::leaving`].
    Leaving,
    /// These parts were to be given to other machines, and stay here.
    Stays(PartSet),
    /// Requests have come from other machines: see [`Shared::arrived`].
    Links,
    /// What the other machines have done.
    Others(Box<Others>),
    /// The store is no longer behind.
    Room,
    /// The store cannot store any more; the text says why. Earlier commits are safe.
    Failed(String),
}

/// What a process gains with parts that belonged to others.
///
/// ```
/// use actix_crawler::frontier::durable::GainedParts;
///
/// let nothing = GainedParts::default();
/// assert!(nothing.parts.is_empty() && nothing.domains.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct GainedParts {
    /// The parts.
    pub parts: PartSet,
    /// Their domains that have requests or a history.
    pub domains: Vec<(Domain, DomainHistory)>,
    /// When their domains were last asked; those of a part of which nothing is said may have been asked just now.
    pub rested: Vec<LastAsked>,
    /// What was stored of depths since they were last read, where the crawl has a largest one.
    pub depths: Vec<(Fingerprint, KnownDepth)>,
}

/// A stored robots file.
///
/// ```
/// use actix_crawler::frontier::durable::StoredRobotsFile;
///
/// let file = StoredRobotsFile { body: "User-agent: *".into(), fetched_at_ms: 1_700_000_000_000 };
/// assert_eq!(StoredRobotsFile::from_bytes(&file.to_bytes()), Some(file));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRobotsFile {
    /// The file as received.
    pub body: Bytes,
    /// When, in milliseconds since 1970.
    pub fetched_at_ms: u64,
}

/// The setting that decides the queue of a request. It cannot change between two crawls with one state.
pub const DOMAIN_KEY: &str = "domain_key";

/// The setting that decides which requests are the same. It cannot change between two crawls with one state.
pub const IDENTITY: &str = "identity";

/// The name of the setting that tells which of a domain's requests goes first, in [`Opening::settings`].
pub(crate) const ORDER: &str = "order";

/// The parameters for opening a frontier.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Recrawl, frontier::{MemoryFrontier, durable::{Opened, Opening}}};
///
/// /// What is given to `Crawler::frontier`.
/// fn open(opening: Opening) -> actix_crawler::Result<Opened> {
///     Ok(MemoryFrontier::new(opening.recrawl, opening.now).into())
/// }
///
/// let opened = open(Opening::new(Recrawl::default(), Instant::now()))?;
/// assert_eq!(opened.frontier.queued(), 0);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Opening {
    /// The crawl's settings as text, by name, to find those that changed since the last process.
    pub settings: Vec<(&'static str, String)>,
    /// Which seen URLs count as new.
    pub recrawl: Recrawl,
    /// Whether the crawl has a largest depth, so that the depths that were stored are read.
    pub has_max_depth: bool,
    /// The time.
    pub now: Instant,
}

impl Opening {
    /// Opens without settings to compare.
    pub fn new(recrawl: Recrawl, now: Instant) -> Self {
        Self { settings: Vec::new(), recrawl, has_max_depth: false, now }
    }
}

/// A request that failed for good, and how.
///
/// ```
/// use actix_crawler::{Domain, Request, frontier::durable::DeadLetter};
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
    /// The outcome in one word.
    pub outcome: String,
    /// Details of the outcome.
    pub detail: String,
}

impl DeadLetter {
    /// Returns the key under which its outcome is counted.
    pub fn count_key(&self) -> String {
        match self.outcome.as_str() {
            "status" => format!("failed/status/{}", self.detail),
            outcome => format!("failed/{outcome}"),
        }
    }
}

/// An opened frontier with what was stored.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::{Recrawl, frontier::{MemoryFrontier, durable::Opened}};
///
/// let opened = Opened::from(MemoryFrontier::new(Recrawl::default(), Instant::now()));
/// assert!(opened.resumed.checkpoint.is_none(), "it begins anew");
/// ```
pub struct Opened {
    /// The frontier.
    pub frontier: Box<dyn Frontier>,
    /// What an earlier process left.
    pub resumed: Resumed,
}

impl<F: Frontier + 'static> From<F> for Opened {
    fn from(frontier: F) -> Self {
        Self { frontier: Box::new(frontier), resumed: Resumed::default() }
    }
}

/// What a store contained when it was opened.
///
/// ```
/// use actix_crawler::frontier::durable::Resumed;
///
/// fn is_new(resumed: &Resumed) -> bool {
///     resumed.checkpoint.is_none()
/// }
/// ```
#[derive(Debug, Default)]
pub struct Resumed {
    /// Whether an earlier process had this store open. It may have asked any domain and been killed before its first
    /// commit.
    pub was_open: bool,
    /// The accounts of the crawl so far; `None` for a new one.
    pub checkpoint: Option<Checkpoint>,
    /// The domains with a history.
    pub histories: Vec<(Domain, DomainHistory)>,
    /// URLs whose hosts are in the scope.
    pub included: Vec<Url>,
    /// The depths that were stored, where the crawl has a largest one.
    pub depths: Vec<(Fingerprint, KnownDepth)>,
    /// The last visits of pages that were stored, with [`Recrawl::adaptive`].
    pub visits: Vec<(Fingerprint, PageVisit)>,
    /// The seeds that wait, with [`Recrawl::seeds`], as far as they were looked for: they are not queued a second time.
    pub waiting_seeds: Vec<Request>,
    /// Requests that failed for good, as far as they were looked for.
    pub failed: Vec<DeadLetter>,
    /// The settings that changed since the last process.
    pub changed: Vec<String>,
    /// Whether several machines share the crawl. Then the accounts are those of the others.
    pub is_shared: bool,
    /// Whether others crawl already.
    pub joins_others: bool,
}
