//! Scheduler: the actor that grants permits on a timer tick and on every event. Passes the time to the [`Crawl`] and
//! sends its results; decides nothing itself.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, MailboxError, Message, Recipient, SpawnHandle,
    WrapFuture, fut,
};
use tokio::{sync::watch, time::timeout};

use super::{
    crawl::{Crawl, Mode},
    log_line::LogLine,
    signals::Signals,
};
use crate::{
    clock,
    report::{Ended, Report, StateReport},
    stats::{Progress, Stats},
};

/// Runs a crawl to its end.
pub struct Scheduler {
    pub(super) crawl: Crawl,
    started: Instant,
    pub(super) stay_open: bool,
    max_time: Option<Duration>,
    stops_on_signals: bool,
    tick: Option<(Instant, SpawnHandle)>,
    log: Option<Recipient<LogLines>>,
    log_is_busy: bool,
    /// The first reason why lines are missing from the log.
    log_failure: Option<String>,
    warnings: Vec<String>,
    close_pipelines: Option<ClosePipelines>,
    report: watch::Sender<Option<Arc<Report>>>,
    state: Option<StateReport>,
    ended: Option<Ended>,
}

/// Closes the pipelines at the end of the crawl; returns their warnings.
pub type ClosePipelines = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Vec<String>>>>>;

/// What the scheduler needs in addition to the crawl.
pub struct SchedulerParts {
    /// Whether the crawl waits for more seeds when nothing is left to do.
    pub stay_open: bool,
    /// The longest that the crawl may take.
    pub max_time: Option<Duration>,
    /// Whether signals stop it.
    pub stops_on_signals: bool,
    /// Writes the crawl log.
    pub log: Option<Recipient<LogLines>>,
    /// Warnings for the report.
    pub warnings: Vec<String>,
    /// See [`ClosePipelines`].
    pub close_pipelines: ClosePipelines,
    /// Receives the report.
    pub report: watch::Sender<Option<Arc<Report>>>,
    /// The stored state, for the report.
    pub state: Option<StateReport>,
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

impl Scheduler {
    /// Creates the scheduler of a crawl.
    pub fn new(crawl: Crawl, parts: SchedulerParts) -> Self {
        Self {
            crawl,
            started: clock::now(),
            stay_open: parts.stay_open,
            max_time: parts.max_time,
            stops_on_signals: parts.stops_on_signals,
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

    /// Does what an event has made possible: grants permits, sets the next tick, and checks for the end.
    pub(super) fn turn(&mut self, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return self.write_log(context);
        }
        if self.crawl.ends_at_once() {
            return self.end(Ended::Failed, context);
        }
        let now = clock::now();
        self.crawl.turn(now);
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
        if self.ended.replace(ended).is_some() {
            return;
        }
        let Some(close) = self.close_pipelines.take() else { return };
        let log = self.log.take();
        let rest = self.crawl.take_log();
        let now = clock::now();
        let frontier = self.crawl.close(now.saturating_duration_since(self.started), now, clock::wall());
        let at_once = ended == Ended::Aborted || self.crawl.ends_at_once();
        let closing = async move {
            let outputs = async {
                let logged = match log {
                    // Sent even if empty: its reply follows that of the batch in progress.
                    Some(log) => log.send(LogLines(rest)).await,
                    None => Ok(Ok(())),
                };
                (logged, close().await)
            };
            let (logged, complaints) = if at_once {
                let given_up = |_| (Ok(Ok(())), vec![GIVEN_UP.to_owned()]);
                timeout(CLOSE_AT_ONCE, outputs).await.unwrap_or_else(given_up)
            } else {
                outputs.await
            };
            let stored = match frontier {
                // If the store's thread died, the reason was reported before.
                Some(frontier) => frontier.await.unwrap_or(Ok(())),
                None => Ok(()),
            };
            (complaints, logged, stored.err())
        };
        let closed =
            closing.into_actor(self).then(|(complaints, logged, failure), scheduler, context: &mut Context<Self>| {
                let stats = scheduler.stats();
                if failure.is_none() {
                    scheduler.crawl.closed();
                }
                scheduler.note_log(logged);
                let failure = failure.or_else(|| scheduler.crawl.failure().map(str::to_owned));
                let failure = failure.or_else(|| scheduler.log_failure.take());
                let ended = if failure.is_some() { Ended::Failed } else { scheduler.ended.unwrap_or(Ended::Finished) };
                let report = Report {
                    warnings: std::mem::take(&mut scheduler.warnings),
                    state: scheduler.state.take(),
                    failure,
                    stop_reason: scheduler.crawl.stop_reason().map(str::to_owned),
                    ..Report::new(stats, ended, complaints)
                };
                scheduler.report.send_replace(Some(Arc::new(report)));
                context.stop();
                fut::ready(())
            });
        context.spawn(closed);
    }

    /// Stops at the first signal, and ends at once at the second.
    fn heed_signals(&self, mut signals: Signals, context: &mut Context<Self>) {
        let next = async move {
            let name = signals.next().await;
            (signals, name)
        };
        let heed = next.into_actor(self).map(|(signals, name), scheduler, context: &mut Context<Self>| {
            if scheduler.crawl.mode() == Mode::Stopping {
                return scheduler.end(Ended::Aborted, context);
            }
            scheduler.crawl.stop(format!("the process got {name}"));
            scheduler.turn(context);
            scheduler.heed_signals(signals, context);
        });
        context.spawn(heed);
    }

    /// Tells whether it is too late for seeds.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some() || self.crawl.mode() == Mode::Stopping
    }

    pub(super) fn progress(&mut self) -> Progress {
        let now = clock::now();
        self.crawl.progress(now.saturating_duration_since(self.started), now)
    }

    pub(super) fn stats(&mut self) -> Stats {
        let now = clock::now();
        self.crawl.stats(now.saturating_duration_since(self.started), now)
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
                scheduler.crawl.stop(format!("it has run for {}", humantime::format_duration(time)));
                scheduler.turn(context);
            });
        }
        if self.stops_on_signals {
            match Signals::listen() {
                Ok(signals) => self.heed_signals(signals, context),
                Err(error) => tracing::error!(%error, "signals cannot be listened for and will not stop the crawl"),
            }
        }
        self.turn(context);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(system) = actix_rt::System::try_current() {
            system.stop();
        }
    }
}
