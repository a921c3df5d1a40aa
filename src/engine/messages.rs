//! Messages: what the scheduler receives: from handles, from fetchers, and from guards and stores that cannot wait for
//! an answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use actix::{Addr, AsyncContext, Context, Handler, Message, MessageResult};

use super::{crawl::Mode, durability::SeedAnswer, ending::Ending, scheduler::Scheduler};
use crate::{
    capacity::HasRoom,
    clock,
    domain::Domain,
    fetcher::{Fetched, FilesAsked, Listed},
    frontier::{Leased, Returned, candidate::Candidate, durable::Listener},
    permit::Released,
    report::Ended,
    stats::{Failure, FirstFailure, Progress, Stats},
};

/// How many events are handled before a turn, however many more have come: fetchers wait for their grants meanwhile.
const MAX_EVENTS: u32 = 64;

/// How long a turn waits for further events: less than permits are granted ahead.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// The scheduler's message to itself, behind the events that have come.
struct TakeTurn;

impl Message for TakeTurn {
    type Result = ();
}

impl Handler<TakeTurn> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: TakeTurn, context: &mut Context<Self>) {
        if self.events > 0 {
            self.turn(context);
        }
    }
}

impl Scheduler {
    /// Handles an event of a kind of which many come together. One turn does what they have made possible, when all
    /// that have come are handled: a turn costs more than the event, and sends the fetchers a message of its own.
    fn note(&mut self, context: &mut Context<Self>, handle: impl FnOnce(&mut Self, Instant)) {
        self.events += 1;
        let now = clock::now();
        if self.events == 1 {
            self.first_event = now;
        }
        if self.events >= MAX_EVENTS || now.saturating_duration_since(self.first_event) >= MAX_WAIT {
            return self.act(context, handle);
        }
        if self.events == 1 {
            context.notify(TakeTurn);
        }
        self.guarded(context, |scheduler, _| handle(scheduler, clock::now()));
    }
}

/// Sent by guards and stores, without waiting for an answer.
pub enum Notice {
    /// A permit of the domain has ended.
    Released(Domain),
    /// A lease was dropped unsettled.
    LeaseDropped(Leased),
    /// The frontier's store has news.
    StoreNews,
    /// There is a place in the shared capacity.
    HasRoom,
}

impl Message for Notice {
    type Result = ();
}

impl Handler<Notice> for Scheduler {
    type Result = ();

    fn handle(&mut self, notice: Notice, context: &mut Context<Self>) {
        self.note(context, |scheduler, now| match notice {
            Notice::Released(domain) => scheduler.crawl.released(&domain, now),
            Notice::LeaseDropped(leased) => scheduler.crawl.lease_dropped(leased, now, clock::wall()),
            Notice::HasRoom => scheduler.crawl.has_room(),
            Notice::StoreNews => scheduler.crawl.store_news(now, clock::wall()),
        });
    }
}

/// Sends notices to the scheduler from any thread.
pub struct Notices(pub Addr<Scheduler>);

impl Notices {
    /// `do_send` is right only here: a guard's `Drop` cannot wait, and there are only as many messages as permits and
    /// leases. The store sends one, and no other until its news are read; a shared capacity sends one for each place
    /// that becomes free.
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

impl HasRoom for Notices {
    fn has_room(&self) {
        self.send(Notice::HasRoom);
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
        self.note(context, |scheduler, now| {
            // The calendar time is read for each: handling the one before took time.
            for visit in fetched.visits {
                scheduler.crawl.ended(*visit, now, clock::wall());
            }
            for notified in fetched.notified {
                scheduler.crawl.notified(notified, now, clock::wall());
            }
        });
    }
}

impl Handler<Listed> for Scheduler {
    type Result = ();

    fn handle(&mut self, listed: Listed, context: &mut Context<Self>) {
        if !self.is_over() {
            self.act(context, |scheduler, now| scheduler.crawl.listed(listed, now));
        }
    }
}

impl Handler<FilesAsked> for Scheduler {
    type Result = ();

    fn handle(&mut self, FilesAsked(files): FilesAsked, context: &mut Context<Self>) {
        if !self.is_over() {
            self.act(context, |scheduler, now| scheduler.crawl.files_asked(files, now));
        }
    }
}

/// Adds seeds. The sender gets the result of each once it is stored; a crawl that has ended drops it.
pub struct Seed(pub Vec<Candidate>, pub SeedAnswer);

impl Message for Seed {
    type Result = ();
}

impl Handler<Seed> for Scheduler {
    type Result = ();

    fn handle(&mut self, Seed(seeds, stored): Seed, context: &mut Context<Self>) {
        if !self.is_over() {
            self.act(context, |scheduler, now| scheduler.crawl.seed(seeds, Some(stored), now));
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
    /// As `Stop`, and as `Abort` after this time.
    StopWithin(Duration),
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
        self.act(context, |scheduler, _| match control {
            Control::Pause => scheduler.crawl.set_paused(true),
            Control::Resume => scheduler.crawl.set_paused(false),
            Control::Stop | Control::StopWithin(_) | Control::Abort => scheduler.crawl.set_mode(Mode::Stopping),
            Control::Close => scheduler.stay_open = false,
        });
        match control {
            Control::Abort => self.end(Ended::Aborted, context),
            Control::StopWithin(time) => {
                context.run_later(time, |scheduler, context| scheduler.end(Ended::Aborted, context));
            }
            _ => {}
        }
    }
}

/// The crawl can no longer go on, for this reason: it ends at once, as failed.
pub struct GiveUp(pub String);

impl Message for GiveUp {
    type Result = ();
}

impl Handler<GiveUp> for Scheduler {
    type Result = ();

    fn handle(&mut self, GiveUp(why): GiveUp, context: &mut Context<Self>) {
        self.act(context, |scheduler, _| scheduler.crawl.break_off(why));
        // The report has a failure, so it is no abort.
        self.end(Ended::Aborted, context);
    }
}

/// Tells of a signal that asks the process to end: the crawl stops at the first, and ends at once at the next.
pub struct Signalled {
    /// The name of the signal.
    pub name: &'static str,
    /// Whether it is the first.
    pub is_first: bool,
}

impl Message for Signalled {
    type Result = ();
}

impl Handler<Signalled> for Scheduler {
    type Result = ();

    fn handle(&mut self, Signalled { name, is_first }: Signalled, context: &mut Context<Self>) {
        if !is_first {
            return self.handle(Control::Abort, context);
        }
        self.act(context, |scheduler, _| scheduler.crawl.stop(format!("the process got {name}")));
    }
}

/// Requests the progress of the crawl.
pub struct GetProgress;

impl Message for GetProgress {
    type Result = Progress;
}

impl Handler<GetProgress> for Scheduler {
    type Result = MessageResult<GetProgress>;

    fn handle(&mut self, _: GetProgress, context: &mut Context<Self>) -> Self::Result {
        MessageResult(self.look(context, Self::progress, Ending::known))
    }
}

/// Requests the first URL that failed for each reason.
pub struct GetFirstFailures;

impl Message for GetFirstFailures {
    type Result = BTreeMap<String, FirstFailure>;
}

impl Handler<GetFirstFailures> for Scheduler {
    type Result = MessageResult<GetFirstFailures>;

    fn handle(&mut self, _: GetFirstFailures, context: &mut Context<Self>) -> Self::Result {
        MessageResult(self.look(context, Self::first_failures, |_| BTreeMap::new()))
    }
}

/// Requests the latest failures, at most so many, the last one first.
pub struct GetFailures(pub usize);

impl Message for GetFailures {
    type Result = Vec<Failure>;
}

impl Handler<GetFailures> for Scheduler {
    type Result = MessageResult<GetFailures>;

    fn handle(&mut self, GetFailures(most): GetFailures, context: &mut Context<Self>) -> Self::Result {
        MessageResult(self.look(context, |scheduler| scheduler.failures(most), |_| Vec::new()))
    }
}

/// Requests all stats. Copies the evidence of every domain, so use [`GetProgress`] for polling.
pub struct GetStats;

impl Message for GetStats {
    type Result = Box<Stats>;
}

impl Handler<GetStats> for Scheduler {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, context: &mut Context<Self>) -> Self::Result {
        MessageResult(Box::new(self.look(context, Self::stats, Ending::known_stats)))
    }
}
