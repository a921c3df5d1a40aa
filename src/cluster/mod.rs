//! Cluster: a crawl that several machines share through PostgreSQL, each its own domains. Knows no domain and no
//! request.
//!
//! A process may send requests until its term lapses (`term`), and renews the term again and again. The others take its
//! parts of the crawl over when it has been silent for so long, by their own clocks, that its term must have lapsed.
//! Clocks of different machines are never compared. If it was stopped before a write, its system ends it before it does
//! anything more (`watchdog`).

mod control;
#[cfg_attr(not(target_os = "linux"), path = "no_watchdog.rs")]
mod watchdog;
mod node;
mod session;
mod status;

use std::{sync::mpsc, thread, time::Duration};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub use self::{
    control::{ClusterControl, add_seeds, control, export},
    status::{ClusterStatus, drop_crawl, status},
};
use self::{node::Node, session::Order};
use crate::{
    conducts::Conducts,
    error::{Error, Result},
    frontier::{
        durable::{Opened, Opening},
        stores::postgres::{PostgresStore, schema::CrawlPlace},
        windowed,
    },
    handle::CrawlHandle,
    term::TermLength,
};

/// How long a renewal holds by default. A shorter one is taken over sooner, and is lost more easily to a slow database.
const LENGTH: Duration = Duration::from_secs(10);

/// The shortest term: the database must answer within a small part of it.
const MIN_TERM: Duration = Duration::from_millis(500);

/// A crawl in a database, and how this process takes part.
#[derive(Clone)]
pub struct ClusterSettings {
    /// The database. It may hold a password, so it is not shown.
    pub url: String,
    /// The name of the crawl.
    pub name: String,
    /// How long a renewal holds; the others go by it.
    pub term: Duration,
}

impl ClusterSettings {
    /// Takes part in a crawl.
    pub fn new(url: String, name: String) -> Self {
        Self { url, name, term: LENGTH }
    }
}

/// This process takes part in a crawl.
pub(crate) struct Membership {
    orders: UnboundedSender<Order>,
}

/// Leaves the crawl when it is dropped. The store drops it after its last commit, and before the report is published.
struct Leave {
    orders: UnboundedSender<Order>,
    session: Option<thread::JoinHandle<()>>,
}

impl Membership {
    /// Takes part in a crawl. Crawls and clients that share `conducts` may send requests while it does. What is
    /// returned beside it opens the crawl's frontier.
    ///
    /// # Errors
    /// The database cannot be reached, it refuses, or another crawl of this process has the same `conducts` and takes
    /// part in a cluster too.
    pub fn join(settings: &ClusterSettings, conducts: &Conducts) -> Result<(Self, OpenFrontier)> {
        if settings.term < MIN_TERM {
            let why = format!("a term of {:?} is too short: the least is {MIN_TERM:?}", settings.term);
            return Err(Error::setting("cluster", why));
        }
        let place = CrawlPlace::of(&settings.url, &settings.name)?;
        let term = conducts.term();
        term.bind().map_err(|_| {
            let why = "another crawl of this process that machines share has these `conducts`, and it ends apart from this \
                       one; give each its own";
            Error::setting("conducts", why)
        })?;
        let (orders, inbox) = unbounded_channel();
        let (joined_to, joined) = mpsc::sync_channel(1);
        let (of_node, of_term, length) = (place.clone(), term.clone(), TermLength::new(settings.term));
        let thread = thread::Builder::new().name("cluster".to_owned());
        // The node is made there, since its timer belongs to one thread.
        let session = thread.spawn(move || session::run(Node::new(of_node, of_term, length), &joined_to, inbox));
        let session = Some(session.map_err(|error| {
            term.end();
            Error::Start(error)
        })?);
        let joined = joined.recv().map_err(|_| Error::Ended)??;
        let leave = Leave { orders: orders.clone(), session };
        let open = move |opening: Opening| {
            let store = PostgresStore::open(place, term, joined)?.member_until_dropped(Box::new(leave));
            windowed::open(store, opening)
        };
        Ok((Self { orders }, Box::new(open)))
    }

    /// Ends the crawl at once, as failed, if its term is lost.
    pub fn watch(&self, crawl: CrawlHandle) {
        // It fails only where the session has ended.
        let _ = self.orders.send(Order::Watch(crawl));
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        // It fails only where the session has ended.
        let _ = self.orders.send(Order::Leave);
        if self.session.take().is_some_and(|session| session.join().is_err()) {
            tracing::error!("the session of the cluster has panicked");
        }
    }
}

/// Opens the frontier of a crawl.
pub(crate) type OpenFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;

#[cfg(all(test, target_os = "linux"))]
mod tests;
