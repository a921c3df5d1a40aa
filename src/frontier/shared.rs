//! Shared: what a frontier that several machines share tells its crawl, and is told. Knows no store and no other
//! machine.

use std::time::Duration;

use url::Url;

use super::{
    checkpoint::Checkpoint,
    part::{Part, PartSet},
};
use crate::{domain::Domain, identity::Fingerprint, request::Request};

/// The additional interface of a durable frontier that several machines share, each its own [`Part`]s of the crawl.
///
/// A part goes to another machine only after nothing of it is in flight here:
/// 1. the frontier stops lending requests of the part ([`Frontier::may_ask`](super::Frontier::may_ask) says so);
/// 2. the crawl calls [`Shared::let_go`] when the last request is over, and the part belongs to nobody after the next
///    commit;
/// 3. [`StoreNews::Lost`](super::durable::StoreNews::Lost) confirms it.
///
/// ```
/// use actix_crawler::frontier::{part::PartSet, shared::Shared};
///
/// /// Gives away what is to be given away and of which nothing is on lease.
/// fn let_go_of_quiet_parts(frontier: &mut dyn Shared, in_flight: &PartSet) {
///     let quiet = frontier.leaving().without(&frontier.lent()).without(in_flight);
///     // Nothing is said of when their domains were asked, so these count as asked just now.
///     frontier.let_go(&quiet, Vec::new());
/// }
/// ```
pub trait Shared {
    /// Returns the parts that are to be given to other machines.
    fn leaving(&self) -> PartSet;

    /// Returns the parts of which requests are on lease.
    fn lent(&self) -> PartSet;

    /// Gives up parts with the next commit. Loans of them end. `asked` tells their next owner when their domains were
    /// last asked; those of a part of which nothing is said count as asked just now.
    fn let_go(&mut self, parts: &PartSet, asked: Vec<LastAsked>);

    /// Takes the next requests that other machines have sent here.
    fn arrived(&mut self) -> Vec<Arrived>;

    /// Tells whether a part belongs to this machine. What has arrived for another is left to its owner.
    fn holds_part(&self, part: Part) -> bool;

    /// Ends requests of [`Shared::arrived`] with the next commit: they were admitted, or are not wanted.
    fn settled(&mut self, arrived: &[ArrivedId]);

    /// Says whether the parts of this machine should be another's, as long as there is one that does not say so too: it
    /// cannot send requests for a fault of its own, or is about to leave.
    fn set_unfit(&mut self, is_unfit: bool);

    /// Says whether anything is left to do on this machine. The crawl ends when nothing is left on any.
    fn set_idle(&mut self, is_idle: bool);

    /// Sets how many pages and requests the whole crawl may use; `None` means no limit.
    fn set_limits(&mut self, limits: Allowance<Option<u64>>);

    /// Says whether this machine could use more of the limits than it has.
    fn set_hungry(&mut self, is_hungry: bool);

    /// Gives back what this machine has of the limits and does not need, with the next commit.
    fn give_back(&mut self, unused: Allowance<u64>);
}

/// A number of pages and one of requests.
///
/// ```
/// use actix_crawler::frontier::shared::Allowance;
///
/// let none = Allowance::<u64>::default();
/// assert_eq!((none.pages, none.requests), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance<N> {
    /// Of pages.
    pub pages: N,
    /// Of requests.
    pub requests: N,
}

/// When a domain was last asked whose part its owner gives away.
///
/// Times are those since then, by the owner's clock: the next owner counts on from them, so it never asks too soon.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Domain, frontier::{part::Part, shared::LastAsked}};
///
/// let (domain, ago) = (Domain::new("example.org"), Duration::from_secs(3));
/// let asked = LastAsked { part: Part::of(&domain), domain: Some(domain), ago: Some(ago), starts: vec![ago], has_more: false };
/// let never = LastAsked { domain: None, ago: None, starts: Vec::new(), ..asked };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAsked {
    /// The part.
    pub part: Part,
    /// The domain; `None` for all of the part that are not named.
    pub domain: Option<Domain>,
    /// How long ago its last request began or ended, at the least; `None` for never.
    pub ago: Option<Duration>,
    /// How long ago the requests began that its rate counts, the first of them first.
    pub starts: Vec<Duration>,
    /// Whether as many as were lawful may have begun before those.
    pub has_more: bool,
}

/// A request that another machine has sent here.
///
/// ```
/// use actix_crawler::frontier::shared::Arrived;
///
/// /// A seed from outside has no fingerprint yet.
/// fn is_seed(arrived: &Arrived) -> bool {
///     arrived.fingerprint.is_none()
/// }
/// ```
#[derive(Debug)]
pub struct Arrived {
    /// What it is known by until it is settled.
    pub id: ArrivedId,
    /// The request.
    pub request: Request,
    /// Its fingerprint; `None` for a seed that came from no crawl.
    pub fingerprint: Option<Fingerprint>,
}

/// Identifies a request that another machine has sent.
///
/// ```
/// use actix_crawler::{Domain, frontier::{part::Part, shared::ArrivedId}};
///
/// let first = ArrivedId { part: Part::of(&Domain::new("example.org")), number: 1 };
/// assert_ne!(first, ArrivedId { number: 2, ..first });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArrivedId {
    /// The part for which it was sent.
    pub part: Part,
    /// Its number.
    pub number: i64,
}

/// What a frontier knows of the other machines.
///
/// ```
/// use actix_crawler::frontier::shared::{CrawlState, Others};
///
/// let others = Others::default();
/// assert_eq!((others.state, others.accounts.ledger.done), (CrawlState::Running, 0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// The sum of their accounts, those that are gone included.
    pub accounts: Checkpoint,
    /// URLs whose hosts are in the scope since the last time.
    pub included: Vec<Url>,
    /// What this machine has drawn of the limits since the last time.
    pub drawn: Allowance<u64>,
    /// Which limits are used up by all machines together.
    pub used_up: Allowance<bool>,
    /// Whether another machine needs some of what this one has of the limits.
    pub are_hungry: bool,
    /// How many machines crawl, this one included.
    pub machines: usize,
    /// How the whole crawl goes on.
    pub state: CrawlState,
    /// How long a sign of life of this machine holds: the crawl's sense of what is soon.
    pub term: Duration,
}

/// How a crawl goes on that several machines share.
///
/// ```
/// use actix_crawler::frontier::shared::CrawlState;
///
/// assert_eq!(CrawlState::default(), CrawlState::Running);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrawlState {
    /// Requests are sent.
    #[default]
    Running,
    /// Somebody has paused it: no requests are sent.
    Paused,
    /// Somebody has stopped it since this machine has joined.
    Stopped,
    /// It has ended since this machine has joined: nothing was left to do anywhere.
    Ended,
}

/// What a commit says to other machines.
///
/// ```
/// use actix_crawler::frontier::shared::ToOthers;
///
/// assert!(ToOthers::default().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct ToOthers {
    /// Requests for domains of other parts.
    pub sent: Vec<Sent>,
    /// Requests from others that are settled.
    pub settled: Vec<ArrivedId>,
    /// The parts that belong to nobody from now on.
    pub released: Vec<Part>,
    /// When the domains of those were last asked.
    pub rested: Vec<LastAsked>,
    /// Whether the parts of this machine should be another's.
    pub is_unfit: bool,
    /// If nothing is left to do here: how many gains of parts were known when that was found.
    pub idle: Option<u64>,
    /// Whether more of the limits could be used.
    pub is_hungry: bool,
    /// What is given back of the limits.
    pub unused: Allowance<u64>,
    /// The limits.
    pub limits: Allowance<Option<u64>>,
}

/// A request for a domain of another part.
///
/// ```
/// use actix_crawler::{Domain, Request, frontier::{part::Part, shared::Sent}};
///
/// let request = Request::parse("https://example.org/")?;
/// let part = Part::of(&Domain::new("example.org"));
/// let sent = Sent { part, fingerprint: request.fingerprint(), request };
/// # assert_eq!(sent.part, part);
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Debug)]
pub struct Sent {
    /// The part.
    pub part: Part,
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// The request.
    pub request: Request,
}

impl ToOthers {
    /// Tells whether it brings others anything.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
            && self.settled.is_empty()
            && self.released.is_empty()
            && self.unused == Allowance::default()
    }

    /// Adds what a later commit says.
    pub fn append(&mut self, later: Self) {
        self.sent.extend(later.sent);
        self.settled.extend(later.settled);
        self.released.extend(later.released);
        self.rested.extend(later.rested);
        self.unused.pages += later.unused.pages;
        self.unused.requests += later.unused.requests;
        (self.idle, self.is_hungry, self.is_unfit, self.limits) =
            (later.idle, later.is_hungry, later.is_unfit, later.limits);
    }
}
