//! Attempt: one job under one permit, from the write to what follows: an answer for the caller, or a place in its domain's
//! queue again. Runs on a worker.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use super::{Shared, crew::Errand, job::Job};
use crate::{
    clock,
    conduct::Heeded,
    cooling::Verdict,
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
    let Errand { permit, mut job, client, seat } = errand;
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
    // Gone with the last clone of the client, and with it everybody who waits.
    let Some(client) = client.upgrade() else { return };
    match sent.answer {
        Err(None) => drop(client.admit(job)),
        Err(Some(error)) => failed(job, error, sent.started, begun, client).await,
        Ok(answer) => {
            let started = sent.started.unwrap_or_else(clock::now);
            answered(job, answer, started, sent.heeded, client).await;
        }
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
        heeded: None,
    })
}

/// Tries again what may end better, and reports the rest.
async fn failed(mut job: Job, error: FetchError, written: Option<Instant>, begun: Instant, client: Arc<Shared>) {
    job.attempts += 1;
    // What was never written can be repeated whatever it is.
    let may_repeat = written.is_none() || job.may_repeat();
    let wait = client.retry.after(&Outcome::Fetch(error.clone()), job.failures + 1, fastrand::f64());
    if let Some(wait) = wait.filter(|_| may_repeat) {
        return again(job, wait, client).await;
    }
    give_up(job, error, written.unwrap_or(begun));
}

fn give_up(job: Job, source: FetchError, started: Instant) {
    let (url, attempts) = (job.request.url.clone().into(), job.attempts);
    let (ended_at, elapsed) = (clock::wall(), clock::now().saturating_duration_since(started));
    let started_at = ended_at.checked_sub(elapsed).unwrap_or(ended_at);
    job.fail(Error::Fetch { url, source, attempts, started_at, elapsed });
}

async fn answered(mut job: Job, answer: Answer, started: Instant, heeded: Option<Heeded>, client: Arc<Shared>) {
    job.attempts += 1;
    if let Some(heeded) = heeded {
        // The domain is left alone already, by whoever asks it; its queue keeps the job's place until that is over. Where
        // the domain was given up, the caller gets the answer that did it.
        let is_cooling = matches!(heeded.verdict, Verdict::Cool(_));
        return if is_cooling && job.may_repeat() { drop(client.admit(job)) } else { job.deliver(answer, started) };
    }
    if let Some(to) = redirect::target(answer.status, &answer.headers, &job.request.url)
        && client.follow_redirects
        && matches!(to.scheme(), "http" | "https")
    {
        return match redirect::follow(&job.request, answer.status, &to, &client.canonical) {
            Ok(next) => {
                job.request = next;
                drop(client.admit(job));
            }
            Err(outcome) => {
                give_up(job, FetchError::Protocol(outcome.detail()), started);
            }
        };
    }
    let wait = client.retry.after(&Outcome::Status(answer.status), job.failures + 1, fastrand::f64());
    match wait.filter(|_| job.may_repeat()) {
        Some(wait) => again(job, wait, client).await,
        None => job.deliver(answer, started),
    }
}

async fn again(mut job: Job, wait: Duration, client: Arc<Shared>) {
    job.failures += 1;
    // The client may end meanwhile, and its callers with it.
    let waiting_client = Arc::downgrade(&client);
    drop(client);
    if job.pause(wait).await
        && let Some(client) = waiting_client.upgrade()
    {
        drop(client.admit(job));
    }
}
