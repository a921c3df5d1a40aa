//! Scheduler: the actor that grants permits on a timer tick and on every event. Passes the time to the [`Crawl`] and
//! sends its results; decides nothing itself.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, MailboxError, Message, Recipient, SpawnHandle,
    WrapFuture, fut,
};
use tokio::{sync::watch, time::sleep};

use super::{
    crawl::{Crawl, Mode},
    end_warnings,
    ending::Ending,
    log_line::LogLine,
};
use crate::{
    clock,
    frontier::durable::Closed,
    report::{Ended, Report},
    stats::{Failure, FirstFailure, MAX_FAILURES_LISTED, Progress, Stats},
    text::panic_message::message_of,
    transport::response_store::ResponseStore,
};

/// Runs a crawl to its end.
pub struct Scheduler {
    pub(super) crawl: Crawl,
    pub(super) stay_open: bool,
    max_time: Option<Duration>,
    tick: Option<(Instant, SpawnHandle)>,
    /// How many events were handled since the last turn.
    pub(super) events: u32,
    /// When the first of them was.
    pub(super) first_event: Instant,
    log: Option<Recipient<LogLines>>,
    log_is_busy: bool,
    /// The first reason why lines are missing from the log.
    log_failure: Option<String>,
    responses: Option<ResponseStore>,
    has_unnamed_files: bool,
    close_pipelines: Option<ClosePipelines>,
    ending: Arc<Ending>,
    ended: Option<Ended>,
    /// Set when closing must not take long, since the crawl was aborted.
    at_once: watch::Sender<bool>,
    /// The panic of user code on the scheduler's thread. The state of the crawl may be half changed, so the crawl ends.
    panicked: Option<String>,
}

/// Closes the pipelines at the end of the crawl.
pub type ClosePipelines = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ClosedPipelines>>>>;

/// How the pipelines were closed.
#[derive(Default)]
pub struct ClosedPipelines {
    /// Why an output may lack something, or is not where it should be.
    pub failure: Option<String>,
    /// What else there is to say.
    pub complaints: Vec<String>,
    /// What their output lacks that was asked for.
    pub warnings: Vec<String>,
}

/// What the scheduler needs in addition to the crawl.
pub struct SchedulerParts {
    /// Whether the crawl waits for more seeds when nothing is left to do.
    pub stay_open: bool,
    /// The longest that the crawl may take.
    pub max_time: Option<Duration>,
    /// Writes the crawl log.
    pub log: Option<Recipient<LogLines>>,
    /// Where responses are stored: the report tells what could not be.
    pub responses: Option<ResponseStore>,
    /// Whether there is a folder for files, and no field of items is named that has them.
    pub has_unnamed_files: bool,
    /// See [`ClosePipelines`].
    pub close_pipelines: ClosePipelines,
    /// Publishes the report.
    pub ending: Arc<Ending>,
}

/// Lines for the crawl log; the reply says that they are written, or why not.
pub struct LogLines(pub Vec<LogLine>);

impl Message for LogLines {
    type Result = Result<(), String>;
}

/// The shortest tick: the timers' resolution.
const MIN_TICK: Duration = Duration::from_millis(1);

/// Safety net: when a fetcher dies, its leases return before its slots are freed, and no message follows.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long an aborted crawl waits for its pipelines and its log. A working pipeline closes in milliseconds.
const CLOSE_AT_ONCE: Duration = Duration::from_millis(500);

/// The warning in the report if they did not close in that time.
const GIVEN_UP: &str = "a pipeline or the log did not close at once and was given up: what it held may be lost";

/// How long an aborted crawl then waits until its state is closed.
const STORE_AT_ONCE: Duration = Duration::from_millis(300);

/// The warning in the report if that was not closed in time.
const STATE_GIVEN_UP: &str = "the crawl's state was not closed at once: pages of the last moment may be fetched again";

impl Scheduler {
    /// Creates the scheduler of a crawl.
    pub fn new(crawl: Crawl, parts: SchedulerParts) -> Self {
        Self {
            crawl,
            stay_open: parts.stay_open,
            max_time: parts.max_time,
            tick: None,
            events: 0,
            first_event: clock::now(),
            log: parts.log,
            log_is_busy: false,
            log_failure: None,
            responses: parts.responses,
            has_unnamed_files: parts.has_unnamed_files,
            close_pipelines: Some(parts.close_pipelines),
            ending: parts.ending,
            ended: None,
            at_once: watch::Sender::new(false),
            panicked: None,
        }
    }

    /// Does what an event has made possible: grants permits, sets the next tick, and checks for the end.
    pub(super) fn turn(&mut self, context: &mut Context<Self>) {
        self.act(context, |_, _| {});
    }

    /// Handles an event, and does what it has made possible.
    pub(super) fn act(&mut self, context: &mut Context<Self>, handle: impl FnOnce(&mut Self, Instant)) {
        self.guarded(context, |scheduler, context| {
            handle(scheduler, clock::now());
            scheduler.events = 0;
            scheduler.take_turn(context);
            if scheduler.ended.is_none() {
                let progress = scheduler.crawl.known();
                scheduler.ending.know(progress);
            }
        });
    }

    /// Does some work. If code of a user's own panics, the crawl fails, with the numbers of the turn before.
    pub(super) fn guarded(&mut self, context: &mut Context<Self>, work: impl FnOnce(&mut Self, &mut Context<Self>)) {
        if self.panicked.is_none()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self, context)))
        {
            self.fail(message_of(&*panic), context);
        }
    }

    /// Reads numbers; after a panic, those of the last turn.
    pub(super) fn look<T>(
        &mut self,
        context: &mut Context<Self>,
        read: impl FnOnce(&mut Self) -> T,
        known: impl FnOnce(&Ending) -> T,
    ) -> T {
        if self.panicked.is_none() {
            match catch_unwind(AssertUnwindSafe(|| read(self))) {
                Ok(numbers) => return numbers,
                Err(panic) => self.fail(message_of(&*panic), context),
            }
        }
        known(&self.ending)
    }

    /// Ends the crawl after a panic.
    fn fail(&mut self, panic: &str, context: &mut Context<Self>) {
        let why = format!("code of the crawl's own frontier, identity or domain key panicked: {panic}");
        tracing::error!(why, "the crawl ends");
        self.panicked = Some(why);
        self.end(Ended::Failed, context);
    }

    fn take_turn(&mut self, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return self.write_log(context);
        }
        if self.crawl.ends_at_once() {
            return self.end(Ended::Failed, context);
        }
        let now = clock::now();
        self.crawl.set_open(self.stay_open);
        self.crawl.turn(now);
        self.crawl.commit(self.elapsed(now), now, clock::wall());
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

    /// Sets the timer for the next due instant.
    fn set_tick(&mut self, now: Instant, context: &mut Context<Self>) {
        let due = self.crawl.next_turn(now);
        if self.tick.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, tick)) = self.tick.take() {
            context.cancel_future(tick);
        }
        if let Some(due) = due {
            let wait = due.saturating_duration_since(now).max(MIN_TICK);
            let tick = context.run_later(wait, |scheduler, context| {
                scheduler.tick = None;
                scheduler.turn(context);
            });
            self.tick = Some((due, tick));
        }
    }

    /// Sends lines to the log, one batch at a time. The next batch fills meanwhile; when it is full, no more permits
    /// are granted.
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

    /// Records why the log could not be written, and logs the first reason only, since a full disk would repeat it
    /// without end.
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

    /// Closes the pipelines, writes the rest of the log, and publishes the report.
    pub(super) fn end(&mut self, ended: Ended, context: &mut Context<Self>) {
        if ended == Ended::Aborted || self.crawl.ends_at_once() {
            self.at_once.send_replace(true);
        }
        // An abort reaches this point also while the crawl is closing, since a pipeline may delay that.
        let Some(close) = self.close_pipelines.take() else { return };
        self.ended = Some(ended);
        let log = self.log.take();
        let rest = self.crawl.take_log();
        let frontier = self.close_frontier();
        let hurry = self.at_once.subscribe();
        let closing = async move {
            let logging = async {
                match log {
                    // Sent even if empty: its reply follows that of the batch in progress.
                    Some(log) => log.send(LogLines(rest)).await,
                    None => Ok(Ok(())),
                }
            };
            let outputs = async { tokio::join!(logging, close()) };
            let closed = unless_hurried(hurry.clone(), CLOSE_AT_ONCE, outputs).await;
            let stored = match frontier {
                Some(frontier) => unless_hurried(hurry, STORE_AT_ONCE, frontier).await,
                None => Some(Ok(Ok(()))),
            };
            (closed, stored)
        };
        let closed = closing.into_actor(self).then(|(closed, stored), scheduler, context: &mut Context<Self>| {
            let is_given_up = closed.is_none() || stored.is_none();
            let given_up = || ClosedPipelines { complaints: vec![GIVEN_UP.to_owned()], ..ClosedPipelines::default() };
            let (logged, mut closed) = closed.unwrap_or_else(|| (Ok(Ok(())), given_up()));
            let is_stored = stored.is_some();
            // If the store's thread died, the reason was reported before.
            let failure = stored.and_then(|stored| stored.unwrap_or(Ok(())).err());
            if !is_stored {
                closed.complaints.push(STATE_GIVEN_UP.to_owned());
            } else if failure.is_none() {
                scheduler.crawl.closed(clock::now());
            }
            scheduler.note_log(logged);
            scheduler.report(closed, failure, is_given_up);
            context.stop();
            fut::ready(())
        });
        context.spawn(closed);
    }

    /// Commits what was done, and closes the frontier's store. After a panic nothing is committed, since it may be half
    /// done.
    fn close_frontier(&mut self) -> Option<Closed> {
        let now = clock::now();
        let (elapsed, is_whole) = (self.elapsed(now), self.panicked.is_none());
        let closing = catch_unwind(AssertUnwindSafe(|| {
            if is_whole {
                self.crawl.let_go_of_all(now);
                self.crawl.commit_all(elapsed, now, clock::wall());
            }
            self.crawl.close(now)
        }));
        closing.unwrap_or_else(|panic| {
            self.panicked.get_or_insert(format!("the frontier panicked when it was closed: {}", message_of(&*panic)));
            None
        })
    }

    fn report(&mut self, closed: ClosedPipelines, failure: Option<String>, is_given_up: bool) {
        let failure = failure.or_else(|| self.panicked.clone());
        let failure = failure.or_else(|| self.crawl.failure().map(str::to_owned));
        let failure = failure.or_else(|| closed.failure.clone());
        let failure = failure.or_else(|| self.log_failure.take());
        let failure = failure.or_else(|| self.responses.as_ref()?.failure());
        // The reason that ended the crawl is not reported twice.
        let further = closed.failure.filter(|further| failure.as_ref() != Some(further));
        let complaints = further.into_iter().chain(closed.complaints).collect();
        let ended = match self.ended {
            _ if failure.is_some() => Ended::Failed,
            _ if is_given_up => Ended::Aborted,
            ended => ended.unwrap_or(Ended::Finished),
        };
        let stats = self.last_stats();
        let limit = (ended == Ended::Finished).then(|| self.crawl.ended_by()).flatten();
        let by_limit = || end_warnings::ended_by(&stats, limit.as_deref()?);
        let stop_reason = self.crawl.stop_reason().map(str::to_owned).or_else(by_limit);
        let of_earlier = limit.as_deref().filter(|_| self.crawl.is_resumed());
        let of_end = (ended == Ended::Finished).then(|| end_warnings::of(&stats, of_earlier));
        let of_responses = self.responses.as_ref().and_then(ResponseStore::warning);
        let of_rates = end_warnings::of_rates(&stats, &self.crawl.politeness());
        let of_files = if self.has_unnamed_files { end_warnings::of_files(&stats) } else { None };
        let of_log_ins = end_warnings::of_log_ins(&stats, self.crawl.accounts().log_in_page());
        let of_end = of_end.into_iter().flatten().chain(of_files).chain(of_log_ins);
        let warnings = closed.warnings.into_iter().chain(of_responses).chain(of_end).chain(of_rates).collect();
        let report = Report { warnings, failure, stop_reason, ..Report::new(stats, ended, complaints) };
        self.ending.know_failures(self.failures(MAX_FAILURES_LISTED));
        self.ending.publish(report);
    }

    /// Returns the stats for the report; after a panic with the ledger of the turn before.
    fn last_stats(&mut self) -> Stats {
        let ending = self.ending.clone();
        let stats = catch_unwind(AssertUnwindSafe(|| self.stats()));
        let mut stats = stats.unwrap_or_else(|_| ending.known_stats());
        if self.panicked.is_some() {
            stats.ledger = ending.known_stats().ledger;
        }
        stats
    }

    /// Tells whether it is too late for seeds.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some() || self.crawl.mode() == Mode::Stopping || self.crawl.has_ended_everywhere()
    }

    pub(super) fn progress(&mut self) -> Progress {
        let now = clock::now();
        self.crawl.progress(self.elapsed(now), now)
    }

    pub(super) fn first_failures(&mut self) -> BTreeMap<String, FirstFailure> {
        self.crawl.accounts().first_failures()
    }

    pub(super) fn failures(&self, most: usize) -> Vec<Failure> {
        self.crawl.accounts().failures(most)
    }

    pub(super) fn stats(&mut self) -> Stats {
        let now = clock::now();
        let mut stats = self.crawl.stats(self.elapsed(now), now);
        self.ending.add_log_ins(&mut stats);
        stats
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.ending.started())
    }
}

/// Does some work to its end. Once the crawl has to end at once, `limit` is left for it; `None` if that was too short.
async fn unless_hurried<T>(
    mut hurry: watch::Receiver<bool>,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let is_late = async {
        // Fails only if the scheduler is gone.
        let _ = hurry.wait_for(|is_hurried| *is_hurried).await;
        sleep(limit).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = is_late => None,
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Bounded by the permits, leases and batches that are out: each sends one message.
        context.set_mailbox_capacity(4_096);
        context.run_interval(LOOK_AGAIN, Self::turn);
        if let Some(time) = self.max_time {
            context.run_later(time, move |scheduler, context| {
                let why = format!("it has run for {}", humantime::format_duration(time));
                scheduler.act(context, |scheduler, _| scheduler.crawl.stop(why));
            });
        }
        self.turn(context);
    }
}

/// However it ends, there is a report, and the crawl's threads end too.
impl Drop for Scheduler {
    fn drop(&mut self) {
        self.ending.publish_failed("the crawl's scheduler has died");
        // In virtual time the system belongs to the test.
        if let Some(system) = actix_rt::System::try_current().filter(|_| !clock::is_virtual()) {
            system.stop();
        }
    }
}
