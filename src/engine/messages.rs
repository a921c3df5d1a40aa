//! Messages: what the scheduler receives: from handles, from fetchers, and from guards and stores that cannot wait for
//! an answer.

use actix::{Addr, Context, Handler, Message, MessageResult};

use super::{crawl::Mode, durability::SeedAnswer, scheduler::Scheduler};
use crate::{
    clock,
    domain::Domain,
    fetcher::Fetched,
    frontier::{Leased, Returned, candidate::Candidate, durable::Listener},
    permit::Released,
    report::Ended,
    stats::{Progress, Stats},
};

/// Sent by guards and stores, without waiting for an answer.
pub enum Notice {
    /// A permit of the domain has ended.
    Released(Domain),
    /// A lease was dropped unsettled.
    LeaseDropped(Leased),
    /// The frontier's store has news.
    StoreNews,
}

impl Message for Notice {
    type Result = ();
}

impl Handler<Notice> for Scheduler {
    type Result = ();

    fn handle(&mut self, notice: Notice, context: &mut Context<Self>) {
        let now = clock::now();
        match notice {
            Notice::Released(domain) => self.crawl.released(&domain, now),
            Notice::LeaseDropped(leased) => self.crawl.lease_dropped(leased, now, clock::wall()),
            Notice::StoreNews => self.crawl.store_news(now, clock::wall()),
        }
        self.turn(context);
    }
}

/// Sends notices to the scheduler from any thread.
pub struct Notices(pub Addr<Scheduler>);

impl Notices {
    /// `do_send` is right only here: a guard's `Drop` cannot wait, and there are only as many messages as permits and
    /// leases. The store sends one, and no other until its news are read.
    fn send(&self, notice: Notice) {
        #[allow(clippy::disallowed_methods, reason = "bounded by the permits, the leases and the one of the store")]
        self.0.do_send(notice);
    }
}

impl Released for Notices {
    fn released(&self, domain: &Domain) {
        self.send(Notice::Released(domain.clone()));
    }
}

impl Returned for Notices {
    fn returned(&self, leased: Leased) {
        self.send(Notice::LeaseDropped(leased));
    }
}

impl Listener for Notices {
    fn notify(&self) {
        self.send(Notice::StoreNews);
    }
}

impl Handler<Fetched> for Scheduler {
    type Result = ();

    fn handle(&mut self, fetched: Fetched, context: &mut Context<Self>) {
        let (now, time) = (clock::now(), clock::wall());
        for visit in fetched.visits {
            self.crawl.ended(visit, now, time);
        }
        self.turn(context);
    }
}

/// Adds seeds; the sender is notified when they are stored. A crawl that has ended drops the sender.
pub struct Seed(pub Vec<Candidate>, pub SeedAnswer);

impl Message for Seed {
    type Result = ();
}

impl Handler<Seed> for Scheduler {
    type Result = ();

    fn handle(&mut self, Seed(seeds, stored): Seed, context: &mut Context<Self>) {
        if !self.is_over() {
            self.crawl.seed(seeds, Some(stored), clock::now());
            self.turn(context);
        }
    }
}

/// Changes how the crawl goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Grant no more permits until resumed.
    Pause,
    /// Grant permits again.
    Resume,
    /// Let requests in flight end, then end the crawl.
    Stop,
    /// End when nothing is left to do, even if the crawl was told to stay open.
    Close,
    /// End without waiting for requests in flight.
    Abort,
}

impl Message for Control {
    type Result = ();
}

impl Handler<Control> for Scheduler {
    type Result = ();

    fn handle(&mut self, control: Control, context: &mut Context<Self>) {
        match control {
            Control::Pause => self.crawl.set_mode(Mode::Paused),
            Control::Resume => self.crawl.set_mode(Mode::Running),
            Control::Stop => self.crawl.set_mode(Mode::Stopping),
            Control::Close => self.stay_open = false,
            Control::Abort => {
                self.crawl.set_mode(Mode::Stopping);
                return self.end(Ended::Aborted, context);
            }
        }
        self.turn(context);
    }
}

/// Requests the progress of the crawl.
pub struct GetProgress;

impl Message for GetProgress {
    type Result = Progress;
}

impl Handler<GetProgress> for Scheduler {
    type Result = MessageResult<GetProgress>;

    fn handle(&mut self, _: GetProgress, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.progress())
    }
}

/// Requests all stats. Copies the evidence of every domain, so use [`GetProgress`] for polling.
pub struct GetStats;

impl Message for GetStats {
    type Result = Box<Stats>;
}

impl Handler<GetStats> for Scheduler {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, _: &mut Context<Self>) -> Self::Result {
        MessageResult(Box::new(self.stats()))
    }
}
