//! Durable: what a frontier offers that outlives the process, and what it tells when its store has answered. Knows no
//! store.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use url::Url;

use crate::{domain::Domain, request::Request, stats::Ledger};

/// The part of a frontier that is about its store. The store has a thread of its own: nothing here waits for a disk.
pub trait Durable {
    /// Says who is to be told of news.
    fn wake(&mut self, woken: Arc<dyn Woken>);

    /// Takes the next answer of the store in. Each is to be acted on before the next is asked for.
    fn news(&mut self, now: Instant) -> Option<News>;

    /// Tells when what was done since the last commit is to be committed: a little is gathered first. `None` where
    /// nothing was done.
    fn commit_due(&self) -> Option<Instant>;

    /// Stores all that was done since the last commit, and the progress with it: all of it or nothing survives a crash.
    fn commit(&mut self, progress: Progress, now: Instant);

    /// Stores what is to be remembered of a domain, with the next commit.
    fn remember(&mut self, domain: &Domain, past: Past);

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

    /// Tells whether the store is so far behind that no more work is to be taken on; news will come when it is not.
    fn is_behind(&self) -> bool;

    /// Has everything written that was committed, and the store closed. The answer is the store's last error, if any.
    fn close(&mut self) -> Closing;
}

/// Is answered when a store is closed: its last error, if any.
pub type Closing = oneshot::Receiver<Result<(), String>>;

/// Is told that the store has news.
pub trait Woken: Send + Sync {
    /// Takes the news; it must not block. It is called once until [`Durable::news`] was asked for.
    fn woken(&self);
}

/// Names one look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the store has to say.
#[derive(Debug)]
pub enum News {
    /// The fingerprints of this look-up can be asked for, now and until the next news.
    Answered(Ticket),
    /// Requests of this domain were read.
    Arrived(Domain),
    /// The answer to [`Durable::robots`].
    Robots(Ticket, Option<RobotsFile>),
    /// The store is not behind any more.
    Room,
    /// The store can store nothing any more, and why. What was committed before is safe.
    Failed(String),
}

/// A robots file that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotsFile {
    /// The file as it came.
    pub body: Bytes,
    /// When, in milliseconds since 1970.
    pub fetched_at_ms: u64,
}

/// How far a crawl has come: what its report says beside what waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
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

/// What is remembered of a domain, so that a restart is no forgiveness. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// The spacing that its robots file asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Duration>,
    /// Its refusals, while they count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling: Option<PastCooling>,
    /// Requests of every kind.
    pub requests: u64,
    /// The least time between two starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_gap: Option<Duration>,
    /// The most requests in flight at once.
    pub most_in_flight: u32,
    /// Pages that ended well.
    pub pages: u64,
    /// Answers 429 and 503.
    pub refusals: u64,
}

/// The refusals of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCooling {
    /// Until when it is left alone.
    pub until: u64,
    /// The status that it refused with; `None` where it could not be reached.
    pub status: Option<u16>,
    /// How often in a row.
    pub consecutive: u32,
}

/// What a store knew when it was opened.
#[derive(Debug, Default)]
pub struct Resumed {
    /// How far the crawl had come; `None` for a new one.
    pub progress: Option<Progress>,
    /// The domains that were asked before.
    pub pasts: Vec<(Domain, Past)>,
    /// URLs whose hosts are in the scope.
    pub included: Vec<Url>,
    /// Which of the settings are not those of the last time.
    pub changed: Vec<String>,
}
