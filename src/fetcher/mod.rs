//! Fetcher: the actor of one arbiter that runs every request there. Handles a permit it is given, and does not decide
//! who gets the next one.
//!
//! ```text
//! permit + lease ─→ visit ─→ fetch: the stack that each arbiter builds (stack)
//!                     │         layers/: sessions, middleware, cache, record, replay, archive
//!                     │         http: the innermost; a browser is another innermost `Fetch`, in a file beside it
//!                     ├─ readers/: one for each kind of request
//!                     ├─ delivery: items, with their files (item_files), to the pipelines
//!                     └─ offload: code of a user's own runs beside the network's threads
//! ```

pub mod visit;
pub(crate) mod readers;
pub(crate) mod fetch;
pub(crate) mod layer;
pub(crate) mod layers;
pub(crate) mod http;
pub(crate) mod permits;
pub(crate) mod stack;
pub(crate) mod receipt;
pub(crate) mod redirect;
pub(crate) mod delivery;
pub(crate) mod turn_end;
pub mod item_files;
pub mod offload;
pub mod pool;

use std::{
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix::{Actor, Context, Handler, MailboxError, Message, Recipient};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;

use self::{
    fetch::Fetch,
    item_files::FilesContext,
    offload::Offload,
    permits::DomainPermits,
    readers::{page::PageRules, sitemap::SitemapSettings},
    turn_end::TurnEnd,
    visit::{Notified, Visit},
};
pub use self::{item_files::FilesAsked, readers::sitemap::Listed};
use crate::{
    frontier::Lease, outcome::Outcome, permit::Permit, pipeline::Supervisor, retry::Retry, spider::Spider,
    submissions::Submissions, text::panic_message::message_of,
};

/// A permit and the request it is for.
pub struct Grant {
    /// Leave to send the request.
    pub permit: Permit,
    /// The request.
    pub lease: Lease,
    /// Held until the request has ended; its count tells the requests in progress.
    pub slot: Arc<()>,
}

/// What a fetcher is to do with a request.
pub enum Assignment {
    /// Send it.
    Send(Grant),
    /// Notify the spider that it has ended and how. Without a permit, nothing is sent.
    Notify(Lease, Outcome),
}

/// Sends a fetcher the grants for about the next tick, and the failures of which to notify the spider.
pub struct Granted(pub Vec<Assignment>);

impl Message for Granted {
    type Result = ();
}

/// Reports ended requests to the scheduler in batches: while one batch is being sent, the next one fills.
#[derive(Default)]
pub struct Fetched {
    /// The ended requests, of every kind.
    #[allow(clippy::vec_box, reason = "each comes in its box, and is not copied into a list that grows")]
    pub visits: Vec<Box<Visit>>,
    /// The failures of which the spider was notified.
    pub notified: Vec<Notified>,
    /// Whether a request panicked. Its guards have returned its permit and its lease already. The scheduler must still
    /// be told that the slot is free, since no other message may follow.
    pub panicked: bool,
}

impl Message for Fetched {
    type Result = ();
}

/// What all requests of one arbiter share.
pub struct VisitContext<S: Spider> {
    pub(crate) fetch: Box<dyn Fetch>,
    pub(crate) permits: DomainPermits,
    /// How pages are read.
    pub(crate) rules: Arc<PageRules<S>>,
    pub(crate) pipelines: Arc<[Supervisor<S::Item>]>,
    pub(crate) offload: Offload,
    /// Where pages wait before they go to another thread.
    pub(crate) turn_end: TurnEnd,
    /// When a request is made again: the engine decides by the same.
    pub(crate) retry: Retry,
    /// The product token that robots files address this crawler by.
    pub(crate) robots_token: Arc<str>,
    /// What is taken from sitemaps.
    pub(crate) sitemaps: Arc<SitemapSettings>,
    /// The submitted pages that callers wait for.
    pub(crate) submissions: Arc<Submissions<S::Item>>,
    /// The folder for files, and who waits for them.
    pub(crate) files: FilesContext,
    /// Who admits what a sitemap lists.
    pub(crate) listed: Recipient<Listed>,
}

/// Runs the requests of one arbiter: receives grants, and polls all their futures in one set.
pub struct Fetcher {
    inbox: mpsc::UnboundedSender<Assignment>,
}

/// The most batches of grants in the mailbox; the number of permits bounds the work.
const MAILBOX: usize = 256;

impl Fetcher {
    /// Starts the driver on this arbiter; it ends when the fetcher has stopped and the last request is done.
    pub fn new<S: Spider>(context: VisitContext<S>, fetched: Recipient<Fetched>) -> Self {
        // Unbounded as a channel, bounded by its content: each grant holds a permit, and those are counted, and so are
        // the failures that are being told of.
        let (inbox, grants) = mpsc::unbounded_channel();
        actix_rt::spawn(drive(Rc::new(context), grants, fetched));
        Self { inbox }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Granted> for Fetcher {
    type Result = ();

    fn handle(&mut self, Granted(grants): Granted, _: &mut Self::Context) {
        for assignment in grants {
            // If the driver is gone, the assignment is dropped, and its guards return permit and lease.
            drop(self.inbox.send(assignment));
        }
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<(), MailboxError>>>>;

/// Polls all requests of the arbiter and reports those that ended.
async fn drive<S: Spider>(
    context: Rc<VisitContext<S>>,
    mut grants: mpsc::UnboundedReceiver<Assignment>,
    scheduler: Recipient<Fetched>,
) {
    let mut visits = FuturesUnordered::new();
    let mut ended = Fetched::default();
    let mut sending: Option<Sending> = None;
    let mut open = true;
    while open || !visits.is_empty() || sending.is_some() {
        tokio::select! {
            biased;
            grant = grants.recv(), if open => match grant {
                Some(grant) => visits.push(run(grant, context.clone())),
                None => open = false,
            },
            Some(first) = poll_fn(|cx| context.turn_end.poll(&mut visits, cx)), if !visits.is_empty() => {
                ended.take(first);
                while let Some(Some(more)) = visits.next().now_or_never() {
                    ended.take(more);
                }
            },
            sent = async { match sending.as_mut() { Some(sending) => sending.await, None => Ok(()) } }, if sending.is_some() => {
                sending = None;
                if sent.is_err() {
                    // The scheduler has stopped, and the crawl with it.
                    return;
                }
            },
        }
        if sending.is_none() && !ended.is_empty() {
            sending = Some(Box::pin(scheduler.send(std::mem::take(&mut ended))));
        }
    }
}

/// How an assignment ended.
enum Done {
    Visit(Box<Visit>),
    Notified(Box<Notified>),
}

/// Carries out one assignment so that a panic harms no other; `None` if it panicked.
async fn run<S: Spider>(assignment: Assignment, context: Rc<VisitContext<S>>) -> Option<Done> {
    let done = match assignment {
        Assignment::Send(Grant { permit, lease, slot }) => {
            let visit = AssertUnwindSafe(visit::visit(permit, lease, &context)).catch_unwind().await;
            drop(slot);
            visit.map(|visit| Done::Visit(Box::new(visit)))
        }
        Assignment::Notify(lease, outcome) => {
            let notified = AssertUnwindSafe(Box::pin(visit::notify(lease, outcome, &context))).catch_unwind().await;
            notified.map(|notified| Done::Notified(Box::new(notified)))
        }
    };
    if let Err(panic) = &done {
        tracing::error!(panic = message_of(&**panic), "a request panicked in the fetcher");
    }
    done.ok()
}

impl Fetched {
    fn take(&mut self, done: Option<Done>) {
        match done {
            Some(Done::Visit(visit)) => self.visits.push(visit),
            Some(Done::Notified(notified)) => self.notified.push(*notified),
            None => self.panicked = true,
        }
    }

    fn is_empty(&self) -> bool {
        self.visits.is_empty() && self.notified.is_empty() && !self.panicked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use url::Url;

    use super::*;
    use crate::{
        frontier::{LeaseId, Leased, Returned},
        request::{Kind, Request},
    };

    #[derive(Default)]
    struct Back(Mutex<Vec<(Kind, String)>>);

    impl Returned for Back {
        fn returned(&self, leased: Leased) {
            self.0.lock().unwrap().push((leased.request.kind(), leased.request.url.path().to_owned()));
        }
    }

    #[test]
    fn a_request_of_any_kind_is_lost_unless_its_lease_was_settled_also_on_panic() {
        let back = Arc::new(Back::default());
        let lease = |path: &str, kind| {
            let url = Url::parse("https://e.org/").unwrap().join(path).unwrap();
            let request = if kind == Kind::RobotsTxt { Request::robots_txt(url) } else { Request::get(url) };
            Lease::new(Leased { id: LeaseId(1), request: Arc::new(request), attempt: 1 }, back.clone())
        };
        for kind in [Kind::Page, Kind::RobotsTxt] {
            drop(lease("settled", kind).settle());
            drop(lease("dropped", kind));
            let held = lease("panicked", kind);
            let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
                let _held = held;
                panic!("in the middle of a request");
            }));
            assert!(panicked.is_err());
            let lost = std::mem::take(&mut *back.0.lock().unwrap());
            assert_eq!(lost, ["/dropped", "/panicked"].map(|path| (kind, path.to_owned())));
        }
    }
}
