//! Attempt: one job under one permit, from the write to what follows: an answer for the caller, or a place in a line
//! again. Runs on a worker.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Desk, crew::Errand, job::Job, line::Line, pace::Heard};
use crate::{
    clock,
    error::Error,
    fetcher::{
        http::{Answer, Http, Sent},
        redirect,
    },
    outcome::{FetchError, Outcome, Phase},
};

/// Makes one attempt. A caller that gives up ends it at once, and with it the permit: one that was not used yet leaves
/// its place to the next.
pub async fn attempt(errand: Errand, http: Rc<Http>) {
    let Errand { permit, mut job, line, seat } = errand;
    let (limit, may_repeat) = (job.how.timeout, job.may_repeat());
    let due = permit.due();
    let begun = due.max(clock::now());
    let (request, abandoned) = job.watched();
    let sent = tokio::select! {
        biased;
        () = abandoned => return,
        sent = send(http.send(permit, request, may_repeat), due, limit) => sent,
    };
    drop(seat);
    let Some(desk) = line.desk() else { return };
    match sent.answer {
        Err(None) => drop(desk.admit(job)),
        Err(Some(error)) => failed(job, error, sent.started, begun, desk).await,
        Ok(answer) => answered(job, answer, sent.started.unwrap_or_else(clock::now), &line, desk).await,
    }
}

/// Waits no longer than the caller allows, from when the request is due.
async fn send(sending: impl Future<Output = Sent>, due: Instant, limit: Option<Duration>) -> Sent {
    let Some(limit) = limit else { return sending.await };
    let until_due = due.saturating_duration_since(clock::now());
    timeout(until_due.saturating_add(limit), sending).await.unwrap_or_else(|_| Sent {
        answer: Err(Some(FetchError::Timeout { phase: Phase::Whole, limit })),
        // It may have been written: what must not be repeated is not.
        started: Some(due),
        waited: until_due,
        elapsed: limit,
    })
}

/// Tries again what may end better, and reports the rest.
async fn failed(mut job: Job, error: FetchError, written: Option<Instant>, begun: Instant, desk: Arc<Desk>) {
    job.attempts += 1;
    // What was never written can be repeated whatever it is.
    let may_repeat = written.is_none() || job.may_repeat();
    let wait = desk.retry.after(&Outcome::Fetch(error.clone()), job.failures + 1, fastrand::f64());
    if let Some(wait) = wait.filter(|_| may_repeat) {
        return again(job, wait, desk).await;
    }
    give_up(job, error, written.unwrap_or(begun));
}

fn give_up(job: Job, source: FetchError, started: Instant) {
    let (url, attempts) = (job.request.url.clone().into(), job.attempts);
    let (ended_at, elapsed) = (clock::wall(), clock::now().saturating_duration_since(started));
    let started_at = ended_at.checked_sub(elapsed).unwrap_or(ended_at);
    job.fail(Error::Fetch { url, source, attempts, started_at, elapsed });
}

async fn answered(mut job: Job, answer: Answer, started: Instant, line: &Arc<Line>, desk: Arc<Desk>) {
    job.attempts += 1;
    let patience_left = listen(&answer, started, line);
    if matches!(answer.status, 429 | 503) {
        // The domain cools for all; its line holds the job's place until then.
        return if patience_left && job.may_repeat() { drop(desk.admit(job)) } else { job.deliver(answer, started) };
    }
    if let Some(to) = redirect::target(answer.status, &answer.headers, &job.request.url)
        && desk.follow_redirects
        && matches!(to.scheme(), "http" | "https")
    {
        return match redirect::follow(&job.request, answer.status, &to, &desk.canonical) {
            Ok(next) => {
                job.request = next;
                drop(desk.admit(job));
            }
            Err(outcome) => {
                give_up(job, FetchError::Protocol(outcome.detail()), started);
            }
        };
    }
    let wait = desk.retry.after(&Outcome::Status(answer.status), job.failures + 1, fastrand::f64());
    match wait.filter(|_| job.may_repeat()) {
        Some(wait) => again(job, wait, desk).await,
        None => job.deliver(answer, started),
    }
}

/// Lets the line learn from an answer; false where the domain has refused too often in a row.
fn listen(answer: &Answer, started: Instant, line: &Arc<Line>) -> bool {
    let now = clock::now();
    let started_since = line.gate().throttle().started_since(started);
    let heard =
        Heard { status: answer.status, headers: &answer.headers, started, now, wall: clock::wall(), started_since };
    // Held until the orders are obeyed: those of an earlier answer must not come after those of a later.
    let mut pace = line.pace();
    let orders = pace.listen(&heard, fastrand::f64());
    orders.obey(&mut line.gate().throttle());
    orders.patience_left
}

async fn again(mut job: Job, wait: Duration, desk: Arc<Desk>) {
    job.failures += 1;
    // The client may end meanwhile, and its callers with it.
    let waiting_desk = Arc::downgrade(&desk);
    drop(desk);
    if job.pause(wait).await
        && let Some(desk) = waiting_desk.upgrade()
    {
        drop(desk.admit(job));
    }
}
