//! Fetcher: the actor of one arbiter that drives every request there. Knows what to do with one permit, and nothing of
//! who gets the next.

pub(crate) mod fetch;
pub(crate) mod http;
pub(crate) mod layers;
pub mod offload;
pub mod pool;
pub(crate) mod receipt;
pub(crate) mod redirect;
mod robots_file;
pub mod visit;

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler, MailboxError, Message, Recipient};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;
use url::Url;

use self::{offload::Offload, visit::Visit};
use crate::{
    frontier::{Lease, seen_cache::SeenCache},
    identity::Identity,
    outcome::FetchError,
    permit::Permit,
    pipeline::Supervisor,
    spider::Spider,
    transport::body::BodyLimits,
};

/// What a permit is for.
pub enum Errand {
    /// A page of the frontier.
    Page(Lease),
    /// A robots file, or a hop on the way to it.
    Robots(Question),
}

/// The question for a robots file, on its way. Dropped unanswered, because its fetcher panicked or died, it says so:
/// pages wait for it.
#[must_use = "a question that is dropped counts as lost"]
pub struct Question {
    url: Url,
    asker: Option<Arc<dyn Asker>>,
}

/// Is told that a question for a robots file will not be answered.
pub trait Asker: Send + Sync {
    /// Takes the news; it must not block.
    fn lost(&self, url: Url);
}

impl Question {
    /// Asks for the file at `url`, or on the way to it.
    pub fn new(url: Url, asker: Arc<dyn Asker>) -> Self {
        Self { url, asker: Some(asker) }
    }

    /// Returns where.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Ends the guard: an answer is there.
    pub fn answered(mut self) {
        self.asker = None;
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            asker.lost(self.url.clone());
        }
    }
}

/// A permit and what it is for; the seat counts what its fetcher has in hand.
pub struct Grant {
    /// Leave to make the request.
    pub permit: Permit,
    /// The request.
    pub errand: Errand,
    /// Held until the errand is done.
    pub seat: Arc<()>,
}

/// Hands a fetcher the permits for about one tick to come.
pub struct Fetch(pub Vec<Grant>);

impl Message for Fetch {
    type Result = ();
}

/// Tells the scheduler what became of permits, in batches: while one batch is on its way the next one fills.
#[derive(Default)]
pub struct Fetched {
    /// Pages.
    pub visits: Vec<Visit>,
    /// Robots files.
    pub robots: Vec<RobotsAnswer>,
    /// Whether a request panicked. Its guards have given back what it held; this comes after them and tells that its
    /// seat is free too, for it may have been the last.
    pub panicked: bool,
}

impl Message for Fetched {
    type Result = ();
}

/// What was answered to the question for a robots file.
pub struct RobotsAnswer {
    /// Where it was asked for.
    pub url: Url,
    /// The answer, or why there is none.
    pub result: RobotsResult,
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// Bytes of body that came over the wire.
    pub bytes: u64,
    /// When it was asked for; `None` if it was not.
    pub started: Option<Instant>,
    /// From the grant of the permit to the writing of the request.
    pub waited: Duration,
    /// From the writing to the last byte.
    pub elapsed: Duration,
    /// What follows for the domain where it refused us, or was not there.
    pub heeded: Option<Heeded>,
}

impl RobotsAnswer {
    /// Creates one that no request was made for.
    pub fn unasked(url: Url, result: RobotsResult) -> Self {
        let (waited, elapsed) = (Duration::ZERO, Duration::ZERO);
        Self { url, result, status: None, bytes: 0, started: None, waited, elapsed, heeded: None }
    }
}

/// The kinds of answer to the question for a robots file.
pub enum RobotsResult {
    /// A status with a body.
    Body(u16, bytes::Bytes),
    /// Elsewhere.
    Redirect(Url),
    /// None came.
    Failed(FetchError),
    /// It was not asked for: its domain cools.
    Unsent,
    /// The fetcher panicked over it, or died.
    Lost,
}

/// What every request of one arbiter works with.
pub struct Desk<S: Spider> {
    pub(crate) fetch: Box<dyn fetch::Fetch>,
    pub(crate) spider: Arc<S>,
    pub(crate) pipelines: Arc<[Supervisor<S::Item>]>,
    pub(crate) offload: Offload,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) seen_cache: Arc<SeenCache>,
    pub(crate) body_limits: BodyLimits,
}

/// Drives the requests of one arbiter: it takes permits in, and its driver polls all their futures in one set.
pub struct Fetcher {
    inbox: mpsc::UnboundedSender<Grant>,
}

/// As many batches of permits as the mailbox takes; what bounds the work is the number of permits.
const MAILBOX: usize = 256;

impl Fetcher {
    /// Starts the driver on this arbiter; it ends when the fetcher is gone and its last request is done.
    pub fn new<S: Spider>(desk: Desk<S>, fetched: Recipient<Fetched>) -> Self {
        // Unbounded as a queue, bounded by what it holds: a grant is a permit, and those are counted.
        let (inbox, grants) = mpsc::unbounded_channel();
        actix_rt::spawn(drive(Rc::new(desk), grants, fetched));
        Self { inbox }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Fetch> for Fetcher {
    type Result = ();

    fn handle(&mut self, Fetch(grants): Fetch, _: &mut Self::Context) {
        for grant in grants {
            // A driver that is gone drops the grant, whose guards give permit and lease back.
            drop(self.inbox.send(grant));
        }
    }
}

enum Done {
    Page(Visit),
    Robots(RobotsAnswer),
    /// It panicked; its guards have given back what it held.
    Nothing,
}

type Sending = Pin<Box<dyn Future<Output = Result<(), MailboxError>>>>;

/// Polls all errands of the arbiter, and reports what is done.
async fn drive<S: Spider>(
    desk: Rc<Desk<S>>,
    mut grants: mpsc::UnboundedReceiver<Grant>,
    scheduler: Recipient<Fetched>,
) {
    let mut errands = FuturesUnordered::new();
    let mut done = Fetched::default();
    let mut sending: Option<Sending> = None;
    let mut open = true;
    while open || !errands.is_empty() || sending.is_some() {
        tokio::select! {
            biased;
            grant = grants.recv(), if open => match grant {
                Some(grant) => errands.push(run(grant, desk.clone())),
                None => open = false,
            },
            Some(first) = errands.next(), if !errands.is_empty() => {
                done.take(first);
                while let Some(Some(more)) = errands.next().now_or_never() {
                    done.take(more);
                }
            },
            sent = async { match sending.as_mut() { Some(sending) => sending.await, None => Ok(()) } }, if sending.is_some() => {
                sending = None;
                if sent.is_err() {
                    // The scheduler is gone, and the crawl with it.
                    return;
                }
            },
        }
        if sending.is_none() && !done.is_empty() {
            sending = Some(Box::pin(scheduler.send(std::mem::take(&mut done))));
        }
    }
}

/// Runs one errand so that a panic in it harms no other.
async fn run<S: Spider>(Grant { permit, errand, seat }: Grant, desk: Rc<Desk<S>>) -> Done {
    let errand = async {
        match errand {
            Errand::Page(lease) => Done::Page(visit::visit(permit, lease, &desk).await),
            Errand::Robots(question) => {
                let answer =
                    robots_file::robots_file(&*desk.fetch, permit, question.url().clone(), desk.body_limits).await;
                question.answered();
                Done::Robots(answer)
            }
        }
    };
    let done = AssertUnwindSafe(errand).catch_unwind().await;
    drop(seat);
    done.unwrap_or_else(|panic| {
        tracing::error!(panic = offload::message_of(&*panic), "a request panicked in the fetcher");
        Done::Nothing
    })
}

impl Fetched {
    fn take(&mut self, done: Done) {
        match done {
            Done::Page(visit) => self.visits.push(visit),
            Done::Robots(answer) => self.robots.push(answer),
            Done::Nothing => self.panicked = true,
        }
    }

    fn is_empty(&self) -> bool {
        self.visits.is_empty() && self.robots.is_empty() && !self.panicked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Lost(Mutex<Vec<Url>>);

    impl Asker for Lost {
        fn lost(&self, url: Url) {
            self.0.lock().unwrap().push(url);
        }
    }

    #[test]
    fn a_question_is_lost_unless_it_was_answered_also_on_panic() {
        let lost = Arc::new(Lost::default());
        let url = |path| Url::parse("https://e.org/").unwrap().join(path).unwrap();
        Question::new(url("answered"), lost.clone()).answered();
        drop(Question::new(url("dropped"), lost.clone()));
        let held = Question::new(url("panicked"), lost.clone());
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
            let _held = held;
            panic!("in the middle of a request");
        }));
        assert!(panicked.is_err());
        assert_eq!(*lost.0.lock().unwrap(), [url("dropped"), url("panicked")]);
    }
}
