//! Durable: the part of a frontier that outlives the process, and the news of its store. Knows no store.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use url::Url;

use super::Frontier;
use crate::{domain::Domain, recrawl::Recrawl, request::Request, stats::Ledger};

/// What a frontier offers beside [`Frontier`] if it outlives the process, or shares its work with other machines.
///
/// No method waits for a disk or a network: what the store answers later comes as [`News`].
///
/// `windowed` implements it over any [`Store`](super::windowed::store::Store).
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::frontier::{Frontier, durable::News};
///
/// /// Takes in all news, as the scheduler does when the listener was told of some.
/// fn take_in(frontier: &mut dyn Frontier, now: Instant) -> Option<String> {
///     let durable = frontier.durable()?;
///     while let Some(news) = durable.news(now) {
///         if let News::Failed(why) = news {
///             return Some(why);
///         }
///     }
///     None
/// }
/// ```
pub trait Durable {
    /// Says who is told that there is news.
    fn listen(&mut self, listener: Arc<dyn Listener>);

    /// Takes the next news in. Act on each before asking for the next.
    fn news(&mut self, now: Instant) -> Option<News>;

    /// Tells when what was done since the last commit is to be committed; `None` where nothing was done.
    fn commit_due(&self) -> Option<Instant>;

    /// Stores all that was done since the last commit, and the checkpoint with it: a crash leaves all of it or nothing.
    fn commit(&mut self, checkpoint: Checkpoint, now: Instant);

    /// Asks to be told by [`News::Stored`] when everything done up to now is stored so that it survives the end of this
    /// process. It comes after the next commit.
    fn acknowledge(&mut self) -> Ticket;

    /// Stores what is to be remembered of a domain, with the next commit.
    fn remember(&mut self, domain: &Domain, history: DomainHistory);

    /// Stores that this URL's host is in the scope, with the next commit.
    fn include(&mut self, seed: &Url);

    /// Keeps a request that failed for good, so that it can be tried again some day; with the next commit.
    fn bury(&mut self, domain: &Domain, request: &Arc<Request>, outcome: &str, detail: &str);

    /// Keeps the robots file of an origin (`https://example.org`), with the next commit. `fetched_at_ms` is in
    /// milliseconds since 1970. By default it is not kept.
    fn remember_robots(&mut self, _origin: &str, _body: &[u8], _fetched_at_ms: u64) {}

    /// Looks for the robots file of an origin: the answer is [`News::Robots`] with this ticket. `None`, the default,
    /// where none is kept.
    fn robots(&mut self, _origin: &str) -> Option<Ticket> {
        None
    }

    /// Tells whether the store is so far behind that no more work is to be taken on. [`News::Room`] ends that.
    fn is_behind(&self) -> bool;

    /// Writes everything that was committed, and closes the store.
    fn close(&mut self) -> Closed;
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

/// Is told that a store has news.
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
    /// Hears of it once; again only after [`Durable::news`] has answered `None`. It must not block.
    fn notify(&self);
}

/// Names one question to a store.
///
/// ```
/// use actix_crawler::frontier::durable::{News, Ticket};
///
/// fn is_stored(news: &News, asked: Ticket) -> bool {
///     matches!(news, News::Stored(ticket) if *ticket == asked)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a store has to say.
///
/// ```
/// use actix_crawler::{Domain, frontier::durable::News};
///
/// fn of_domain(news: &News) -> Option<&Domain> {
///     match news {
///         News::Arrived(domain) => Some(domain),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum News {
    /// The fingerprints of this look-up can be asked for, now and until the next news.
    Answered(Ticket),
    /// Requests of this domain were read.
    Arrived(Domain),
    /// What was done before [`Durable::acknowledge`] is stored.
    Stored(Ticket),
    /// The answer to [`Durable::robots`].
    Robots(Ticket, Option<RobotsFile>),
    /// This process answers for these domains from now on, and what waits for them is in [`Frontier::domains`]. Their
    /// last owner may have asked them right before.
    Gained(Vec<(Domain, DomainHistory)>),
    /// Another process answers for these domains from now on. Their loans have ended: `settle` and `give_back` find
    /// none, and nothing may be sent to them any more.
    Lost(Vec<Domain>),
    /// The store is not behind any more.
    Room,
    /// The store can store nothing any more, and why. What was committed before is safe.
    Failed(String),
}

/// A robots file that was kept.
///
/// ```
/// use actix_crawler::frontier::durable::RobotsFile;
///
/// let file = RobotsFile { body: "User-agent: *".into(), fetched_at_ms: 1_700_000_000_000 };
/// assert_eq!(RobotsFile::from_bytes(&file.to_bytes()), Some(file));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotsFile {
    /// The file as it came.
    pub body: Bytes,
    /// When, in milliseconds since 1970.
    pub fetched_at_ms: u64,
}

/// How far a crawl has come: what its report says beside what waits.
///
/// ```
/// use actix_crawler::{frontier::durable::Checkpoint, stats::Ledger};
///
/// let checkpoint = Checkpoint { ledger: Ledger { discovered: 1, done: 1, ..Ledger::default() }, ..Checkpoint::default() };
/// let stored = serde_json::to_string(&checkpoint)?;
/// assert!(serde_json::from_str::<Checkpoint>(&stored)?.ledger.adds_up());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// The accounts; what is queued and leased is counted by the frontier.
    pub ledger: Ledger,
    /// The counts.
    pub counts: BTreeMap<String, u64>,
    /// Bytes of bodies received.
    pub bytes: u64,
    /// Items that pipelines acknowledged.
    pub items: u64,
    /// Time spent crawling, by every process that did.
    pub elapsed: Duration,
}

/// What is remembered of a domain across a restart. Times are milliseconds since 1970.
///
/// ```
/// use actix_crawler::frontier::durable::DomainHistory;
///
/// let history = DomainHistory { requests: 7, pages: 6, ..DomainHistory::default() };
/// let stored = serde_json::to_string(&history)?;
/// assert_eq!(serde_json::from_str::<DomainHistory>(&stored)?, history);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DomainHistory {
    /// The spacing that its robots file asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Duration>,
    /// Until when that file is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing_until: Option<u64>,
    /// Its refusals, while they count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling: Option<CoolingHistory>,
    /// Requests of every kind.
    pub requests: u64,
    /// The least time between two starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
    /// Pages that ended well.
    pub pages: u64,
    /// Answers that refused us.
    pub refusals: u64,
}

/// The refusals of a domain.
///
/// ```
/// use actix_crawler::frontier::durable::{CoolingHistory, DomainHistory};
///
/// let refused = CoolingHistory { until: 1_700_000_060_000, status: Some(429), consecutive: 2 };
/// let history = DomainHistory { cooling: Some(refused), ..DomainHistory::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoolingHistory {
    /// Until when it is left alone.
    pub until: u64,
    /// The status that it refused with; `None` where it could not be reached.
    pub status: Option<u16>,
    /// How often in a row.
    pub consecutive: u32,
}

/// The setting that decides which queue a request stands in. It cannot change between two crawls with one state.
pub const DOMAIN_KEY: &str = "domain_key";

/// The setting that decides which requests are the same one. It cannot change between two crawls with one state.
pub const IDENTITY: &str = "identity";

/// What a frontier is opened with.
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
    /// The parts of the crawl's settings as text, by name, to tell which have changed since the last process.
    pub settings: Vec<(&'static str, String)>,
    /// Which URLs that were seen count as new.
    pub recrawl: Recrawl,
    /// The time.
    pub now: Instant,
}

impl Opening {
    /// Opens without settings to compare.
    pub fn new(recrawl: Recrawl, now: Instant) -> Self {
        Self { settings: Vec::new(), recrawl, now }
    }
}

/// A frontier that was opened, and what it knew.
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

/// What a store knew when it was opened.
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
    /// How far the crawl had come; `None` for a new one.
    pub checkpoint: Option<Checkpoint>,
    /// The domains that were asked before.
    pub histories: Vec<(Domain, DomainHistory)>,
    /// URLs whose hosts are in the scope.
    pub included: Vec<Url>,
    /// Which of the settings are not those of the last time.
    pub changed: Vec<String>,
}
