//! Scheduler: the actor that grants permits, on a timer tick and on every event. It brings the clock to the
//! [`crawl::Crawl`] and carries what comes out; it decides nothing itself.

pub mod budget;
pub mod crawl;
pub mod domains;
pub mod log;
mod past;
pub mod robots;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, MailboxError, Message, Recipient,
    SpawnHandle, WrapFuture, fut,
};
use tokio::sync::{oneshot, watch};
use url::Url;

use self::{
    crawl::{Crawl, Mode},
    log::LogLine,
};
use crate::{
    clock,
    domain::Domain,
    error::Error,
    fetcher::{Asker, Fetched},
    frontier::{self, Leased, candidate::Candidate, durable::Listener},
    permit,
    report::{Ended, Report, StateReport},
    stats::{Progress, Stats},
};

/// Drives a crawl to its end.
pub struct Scheduler {
    crawl: Crawl,
    started: Instant,
    stay_open: bool,
    tick: Option<(Instant, SpawnHandle)>,
    log: Option<Recipient<LogLines>>,
    log_is_busy: bool,
    /// Why some lines are not in the log; the first reason.
    log_failure: Option<String>,
    warnings: Vec<String>,
    close_pipelines: Option<ClosePipelines>,
    report: watch::Sender<Option<Arc<Report>>>,
    state: Option<StateReport>,
    ended: Option<Ended>,
}

/// Closes the pipelines when the crawl has ended, and returns what they complained of.
pub type ClosePipelines = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Vec<String>>>>>;

/// What the scheduler works with beside the crawl.
pub struct SchedulerParts {
    /// Whether the crawl waits for more seeds when it has nothing to do.
    pub stay_open: bool,
    /// Who writes the crawl log.
    pub log: Option<Recipient<LogLines>>,
    /// What the report is to warn of.
    pub warnings: Vec<String>,
    /// See [`ClosePipelines`].
    pub close_pipelines: ClosePipelines,
    /// Where the report goes.
    pub report: watch::Sender<Option<Arc<Report>>>,
    /// The state that the crawl keeps, for the report.
    pub state: Option<StateReport>,
}

/// Lines for the crawl log; the reply tells that they are written, or why not.
pub struct LogLines(pub Vec<LogLine>);

impl Message for LogLines {
    type Result = Result<(), String>;
}

/// The shortest tick: what timers resolve.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// How often to turn without an event. A fetcher that dies as a whole gives its leases back before its seats are free,
/// and no message comes after; all else has one.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Scheduler {
    /// Creates the scheduler of a crawl.
    pub fn new(crawl: Crawl, parts: SchedulerParts) -> Self {
        Self {
            crawl,
            started: clock::now(),
            stay_open: parts.stay_open,
            tick: None,
            log: parts.log,
            log_is_busy: false,
            log_failure: None,
            warnings: parts.warnings,
            close_pipelines: Some(parts.close_pipelines),
            report: parts.report,
            state: parts.state,
            ended: None,
        }
    }

    /// Does what an event has made possible: grants, sets the next tick, sees whether the end has come.
    fn turn(&mut self, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return self.write_log(context);
        }
        let now = clock::now();
        self.crawl.grant(now);
        self.crawl.commit(now.saturating_duration_since(self.started), now, clock::wall());
        self.set_tick(now, context);
        self.write_log(context);
        let stopping = self.crawl.mode() == Mode::Stopping;
        if self.crawl.is_finished() && (stopping || !self.stay_open) {
            let ended = match self.crawl.failure() {
                Some(_) => Ended::Failed,
                None if stopping => Ended::Stopped,
                None => Ended::Finished,
            };
            self.end(ended, context);
        }
    }

    /// One timer, for the instant that is due first.
    fn set_tick(&mut self, now: Instant, context: &mut Context<Self>) {
        let due = self.crawl.next_tick(now);
        if self.tick.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, tick)) = self.tick.take() {
            context.cancel_future(tick);
        }
        if let Some(due) = due {
            let wait = due.saturating_duration_since(now).max(SHORTEST_TICK);
            let tick = context.run_later(wait, |scheduler, context| {
                scheduler.tick = None;
                scheduler.turn(context);
            });
            self.tick = Some((due, tick));
        }
    }

    /// Hands lines to the log, one batch at a time; while one is being written the next one fills, and when that is
    /// full no more permits are granted.
    fn write_log(&mut self, context: &mut Context<Self>) {
        let Some(log) = self.log.clone().filter(|_| !self.log_is_busy) else { return };
        let lines = self.crawl.take_log();
        if lines.is_empty() {
            return;
        }
        self.log_is_busy = true;
        let written =
            log.send(LogLines(lines)).into_actor(self).map(|written, scheduler, context: &mut Context<Self>| {
                scheduler.log_is_busy = false;
                scheduler.note_log(written);
                scheduler.turn(context);
            });
        context.spawn(written);
    }

    /// Keeps why the log could not be written, and says it at once: once, or a full disk would fill the other log.
    fn note_log(&mut self, written: Result<Result<(), String>, MailboxError>) {
        let failure = match written {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(lost) => format!("the crawl log cannot be written: {lost}"),
        };
        if self.log_failure.is_none() {
            tracing::warn!(%failure, "the crawl goes on without a log");
            self.log_failure = Some(failure);
        }
    }

    /// Closes the pipelines, writes the last of the log, and hands the report out.
    fn end(&mut self, ended: Ended, context: &mut Context<Self>) {
        if self.ended.replace(ended).is_some() {
            return;
        }
        let Some(close) = self.close_pipelines.take() else { return };
        let log = self.log.take();
        let rest = self.crawl.take_log();
        let now = clock::now();
        let frontier = self.crawl.close(now.saturating_duration_since(self.started), now, clock::wall());
        let closing = async move {
            let logged = match log {
                // Sent even when there is nothing more: its reply comes after that of the batch on its way.
                Some(log) => log.send(LogLines(rest)).await,
                None => Ok(Ok(())),
            };
            let complaints = close().await;
            let stored = match frontier {
                // A store whose thread has died has told why before.
                Some(frontier) => frontier.await.unwrap_or(Ok(())),
                None => Ok(()),
            };
            (complaints, logged, stored.err())
        };
        let closed =
            closing.into_actor(self).then(|(complaints, logged, failure), scheduler, context: &mut Context<Self>| {
                let stats = scheduler.stats();
                if failure.is_none() {
                    scheduler.crawl.answer_seeders();
                }
                scheduler.note_log(logged);
                let failure = failure.or_else(|| scheduler.crawl.failure().map(str::to_owned));
                let failure = failure.or_else(|| scheduler.log_failure.take());
                let ended = if failure.is_some() { Ended::Failed } else { scheduler.ended.unwrap_or(Ended::Finished) };
                let report = Report {
                    warnings: std::mem::take(&mut scheduler.warnings),
                    state: scheduler.state.take(),
                    failure,
                    ..Report::new(stats, ended, complaints)
                };
                scheduler.report.send_replace(Some(Arc::new(report)));
                context.stop();
                fut::ready(())
            });
        context.spawn(closed);
    }

    fn stats(&mut self) -> Stats {
        let now = clock::now();
        self.crawl.stats(now.saturating_duration_since(self.started), now)
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Every message is answered for: one for each permit, lease and batch that is out.
        context.set_mailbox_capacity(4_096);
        context.run_interval(LOOK_AGAIN, Self::turn);
        self.turn(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(system) = actix_rt::System::try_current() {
            system.stop();
        }
    }
}

/// Declares a message that the scheduler takes in and then turns.
macro_rules! takes {
    ($(#[$doc:meta])* $message:ident $(($($field:ty),*))? -> $reply:ty, |$scheduler:ident, $msg:pat_param| $body:expr) => {
        $(#[$doc])*
        pub struct $message $(($(pub $field),*))?;

        impl Message for $message {
            type Result = $reply;
        }

        impl Handler<$message> for Scheduler {
            type Result = $reply;

            fn handle(&mut self, $msg: $message, context: &mut Self::Context) -> Self::Result {
                let $scheduler = self;
                let reply = $body;
                $scheduler.turn(context);
                reply
            }
        }
    };
}

takes! {
    /// A permit of the domain has ended.
    Released(Domain) -> (), |scheduler, Released(domain)| scheduler.crawl.released(&domain, clock::now())
}
takes! {
    /// A lease was dropped unsettled.
    LeaseDropped(Leased) -> (), |scheduler, LeaseDropped(leased)| scheduler.crawl.lease_dropped(&leased, clock::now())
}
takes! {
    /// A question for a robots file was dropped unanswered.
    RobotsLost(Url) -> (), |scheduler, RobotsLost(url)| scheduler.crawl.robots_lost(url, clock::now())
}
takes! {
    /// More seeds, and who is answered when they are stored. A crawl that has ended drops the sender.
    Seed(Vec<Candidate>, oneshot::Sender<Result<(), Error>>) -> (), |scheduler, Seed(seeds, stored)| {
        if scheduler.ended.is_none() && scheduler.crawl.mode() != Mode::Stopping {
            scheduler.crawl.seed_and_answer(seeds, stored, clock::now());
        }
    }
}
takes! {
    /// Grant no more permits until told otherwise.
    Pause -> (), |scheduler, Pause| scheduler.crawl.set_mode(Mode::Paused)
}
takes! {
    /// Grant permits again.
    Resume -> (), |scheduler, Resume| scheduler.crawl.set_mode(Mode::Running)
}
takes! {
    /// Let what is in flight end, and then end.
    Stop -> (), |scheduler, Stop| scheduler.crawl.set_mode(Mode::Stopping)
}
takes! {
    /// End when there is nothing left to do, although the crawl was to stay open.
    Close -> (), |scheduler, Close| scheduler.stay_open = false
}

/// End at once, whatever is in flight.
pub struct Abort;

impl Message for Abort {
    type Result = ();
}

impl Handler<Abort> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Abort, context: &mut Self::Context) {
        self.crawl.set_mode(Mode::Stopping);
        self.end(Ended::Aborted, context);
    }
}

/// Asks how far the crawl has come.
pub struct GetProgress;

impl Message for GetProgress {
    type Result = Progress;
}

impl Handler<GetProgress> for Scheduler {
    type Result = actix::MessageResult<GetProgress>;

    fn handle(&mut self, _: GetProgress, _: &mut Self::Context) -> Self::Result {
        let now = clock::now();
        actix::MessageResult(self.crawl.progress(now.saturating_duration_since(self.started), now))
    }
}

/// Asks for all numbers up to now. The evidence of every domain is copied: what polls asks for [`GetProgress`].
pub struct GetStats;

impl Message for GetStats {
    type Result = Box<Stats>;
}

impl Handler<GetStats> for Scheduler {
    type Result = actix::MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(Box::new(self.stats()))
    }
}

impl Handler<Fetched> for Scheduler {
    type Result = ();

    fn handle(&mut self, fetched: Fetched, context: &mut Self::Context) {
        let (now, time) = (clock::now(), clock::wall());
        for visit in fetched.visits {
            self.crawl.visited(visit, now, time);
        }
        for answer in fetched.robots {
            self.crawl.robots_answered(answer, now);
        }
        self.turn(context);
    }
}

takes! {
    /// The frontier's store has news.
    StoreNews() -> (), |scheduler, StoreNews()| scheduler.crawl.news(clock::now())
}

/// The way back from guards and from the store to the scheduler. Sending without waiting is right here and nowhere else:
/// a guard's `Drop` cannot wait, and there are only as many messages as there were permits and leases; the store rings
/// once, until its news are read.
pub struct WayBack(pub Addr<Scheduler>);

impl permit::Released for WayBack {
    fn released(&self, domain: &Domain) {
        #[allow(clippy::disallowed_methods, reason = "a guard's Drop cannot wait; bounded by the permits")]
        self.0.do_send(Released(domain.clone()));
    }
}

impl frontier::Returned for WayBack {
    fn returned(&self, leased: Leased) {
        #[allow(clippy::disallowed_methods, reason = "a guard's Drop cannot wait; bounded by the leases")]
        self.0.do_send(LeaseDropped(leased));
    }
}

impl Asker for WayBack {
    fn lost(&self, url: Url) {
        #[allow(clippy::disallowed_methods, reason = "a guard's Drop cannot wait; bounded by the permits")]
        self.0.do_send(RobotsLost(url));
    }
}

impl Listener for WayBack {
    fn notify(&self) {
        #[allow(clippy::disallowed_methods, reason = "the store's thread does not wait; one message until it is read")]
        self.0.do_send(StoreNews());
    }
}
