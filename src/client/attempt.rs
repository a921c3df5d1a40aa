//! Attempt: one job under one permit, from the write to the decision what follows. Does not know queues and workers:
//! the decision is returned.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::timeout;
use url::Url;

use super::job::ClientJob;
use crate::{
    clock,
    conduct::{Cooled, cooling::BackOff},
    error::Error,
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, NoPermits, NoResponse},
        receipt::Receipt,
        redirect::{self, Hop},
    },
    identity::CanonicalUrl,
    outcome::{FetchError, Outcome, Phase},
    permit::Permit,
    retry::Retry,
    sessions::Session,
    transport::{body::BodyLimits, raw_response::RawResponse},
    warnings::Warnings,
};

/// How a client handles the results of attempts.
pub struct Rules {
    /// What is retried, and when.
    pub retry: Retry,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether a refusal (429, 503) is retried once the domain may be requested again.
    pub retry_refusals: bool,
    /// How long a fault of this machine may hold a request up that has no time-out of its own.
    pub held_up_timeout: Duration,
    /// The recent warnings about faults of this machine, so that none is repeated too soon.
    pub warnings: Mutex<Warnings>,
    /// How the URLs of redirects are canonicalized.
    pub canonical: CanonicalUrl,
    /// Names of headers that stay with their origin, beside those that look like secrets.
    pub secret_headers: Vec<String>,
    /// How large a body may be.
    pub body: BodyLimits,
}

/// What follows an attempt.
pub enum AfterAttempt {
    /// The caller has the result, or no longer waits.
    Ended,
    /// The job returns to the queue of its URL's domain, after this wait.
    Again(Box<ClientJob>, Duration),
}

/// Makes one attempt. If the caller gives up, the attempt ends at once, and so does the permit: an unused one leaves
/// its slot to the next job.
pub async fn attempt(permit: Permit, mut job: ClientJob, fetch: &dyn Fetch, rules: &Rules) -> AfterAttempt {
    let (limit, may_repeat) = (job.options.timeout, job.may_repeat());
    let session = job.session.clone();
    let context = FetchContext {
        attempt: job.failures + 1,
        session: session.as_ref(),
        ..FetchContext::page(rules.body, may_repeat, &NoPermits)
    };
    let due = permit.due();
    let logs_in = session.as_ref().map(|session| (session, permit.domain().clone()));
    let begun = due.max(clock::now());
    let (request, abandoned) = job.watched();
    let FetchResult { response, receipt, cooled, cookies_changed, session: sent_in, sent_to, .. } = tokio::select! {
        biased;
        () = abandoned => return AfterAttempt::Ended,
        result = within(limit, fetch.fetch(permit, request, context), due) => result,
    };
    if let (Some((session, domain)), Some(_)) = (logs_in, receipt.started) {
        session.log_in_requested(&domain);
    }
    let session = sent_in;
    match response {
        Err(NoResponse::Unsent) => AfterAttempt::Again(job.into(), Duration::ZERO),
        Err(NoResponse::SessionRests(wait)) => AfterAttempt::Again(job.into(), wait),
        Err(NoResponse::Failed(error @ FetchError::Local(..))) => held_up(job, error, clock::now(), rules),
        Err(NoResponse::Ended(outcome)) => ended(job, &outcome, &receipt, rules),
        Err(NoResponse::Failed(error)) => failed(job, error, receipt.started, begun, rules),
        Ok(response) => {
            let started = receipt.started.unwrap_or_else(clock::now);
            job.attempts += 1;
            job.held_up_since = None;
            let receipt = Receipt { started: Some(started), ..receipt };
            if let (200..300, Some(session)) = (response.status, &session) {
                session.worked();
            }
            answered(job, response, receipt, Consequences { cooled, cookies_changed, session, sent_to }, rules)
        }
    }
}

/// Waits no longer than the caller allows, counted from when the request is due.
async fn within(limit: Option<Duration>, fetching: impl Future<Output = FetchResult>, due: Instant) -> FetchResult {
    let Some(limit) = limit else { return fetching.await };
    let until_due = due.saturating_duration_since(clock::now());
    timeout(until_due.saturating_add(limit), fetching).await.unwrap_or_else(|_| FetchResult {
        response: Err(NoResponse::Failed(FetchError::Timeout { phase: Phase::Whole, limit })),
        // It may have been written, so a request that must not be repeated is not retried.
        receipt: Receipt { started: Some(due), waited: until_due, elapsed: limit, ..Receipt::default() },
        ..FetchResult::offline(Err(NoResponse::Unsent))
    })
}

/// Retries a request that a fault of this machine has held up, for as long as one request may take. Counts no failure.
fn held_up(mut job: ClientJob, error: FetchError, now: Instant, rules: &Rules) -> AfterAttempt {
    let since = *job.held_up_since.get_or_insert(now);
    let lasted = now.saturating_duration_since(since);
    if let (true, FetchError::Local(fault, detail)) = (lasted.is_zero(), &error) {
        let mut warnings = rules.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = warnings.note(fault.key(), now) {
            tracing::warn!(detail, unsaid, "requests wait: {fault}");
        }
    }
    if lasted < job.options.timeout.unwrap_or(rules.held_up_timeout) {
        // As long as it has been held up so far, so each wait is about twice the one before it.
        return AfterAttempt::Again(job.into(), lasted.clamp(FIRST_HOLD, MAX_HOLD));
    }
    job.attempts += 1;
    give_up(job, error, since)
}

/// How soon a request is tried again that a fault of this machine has held up.
const FIRST_HOLD: Duration = Duration::from_millis(500);

/// The longest wait before it is tried again: thousands of requests may be held up, and each look at the network costs.
const MAX_HOLD: Duration = Duration::from_secs(5);

/// Retries failures that may pass, and reports the rest.
fn failed(
    mut job: ClientJob,
    error: FetchError,
    written: Option<Instant>,
    begun: Instant,
    rules: &Rules,
) -> AfterAttempt {
    job.attempts += 1;
    // A failure of the server shows that this machine works again.
    job.held_up_since = None;
    // A request that was never written can be repeated, whatever its method.
    let may_repeat = written.is_none() || job.may_repeat();
    match wait_after(&Outcome::Fetch(error.clone()), &job, rules).filter(|_| may_repeat) {
        Some(wait) => again(job, wait),
        None => give_up(job, error, written.unwrap_or(begun)),
    }
}

/// Makes the request again where a middleware asks for it, and reports what else a layer decided.
fn ended(mut job: ClientJob, outcome: &Outcome, receipt: &Receipt, rules: &Rules) -> AfterAttempt {
    if receipt.started.is_some() {
        job.attempts += 1;
        job.held_up_since = None;
    }
    if let Some(wait) = wait_after(outcome, &job, rules) {
        return again(job, wait);
    }
    let (url, why) = (job.request.url.clone(), outcome.detail());
    job.fail(match outcome {
        Outcome::Broken(_) => Error::Output(why),
        _ => Error::Middleware { url, why },
    });
    AfterAttempt::Ended
}

/// What an answer changed for the requests to come.
struct Consequences {
    cooled: Option<Cooled>,
    cookies_changed: bool,
    /// The session that it came in.
    session: Option<Session>,
    /// The URL that it answers, if a middleware has changed that of the request.
    sent_to: Option<Url>,
}

fn answered(
    mut job: ClientJob,
    response: RawResponse,
    receipt: Receipt,
    changes: Consequences,
    rules: &Rules,
) -> AfterAttempt {
    let status = response.status;
    let Consequences { cooled, cookies_changed, session, sent_to } = changes;
    let redirects_to = redirect::target(status, &response.headers, sent_to.as_ref().unwrap_or(&job.request.url));
    if let Some(cooled) = cooled {
        // The domain cools already, for all tenants. Its queue keeps the job's place until that ends. The caller gets
        // the response if the domain was given up, or if this request alone was refused as often as a domain may refuse
        // in a row.
        let cools = matches!(cooled.back_off, BackOff::Cool(_));
        job.refusals += u8::from(cooled.in_a_row > 0);
        let is_refused_alone = job.refusals >= cooled.why.max_in_a_row();
        return if rules.retry_refusals && cools && !is_refused_alone && job.may_repeat() {
            // Refused again after a rest: others go first, and show whether the domain refuses or only this URL.
            job.goes_behind = cooled.in_a_row > 1;
            AfterAttempt::Again(job.into(), Duration::ZERO)
        } else {
            deliver(job, response, receipt, redirects_to)
        };
    }
    if let Some(to) = &redirects_to
        && rules.follow_redirects
        && !job.request.keeps_redirects
        && matches!(to.scheme(), "http" | "https")
    {
        let pooled = session.as_ref().filter(|session| session.is_pooled()).map(Session::name);
        let hop = Hop { status, to, cookies_changed, pooled };
        return match redirect::follow(&job.request, hop, &rules.canonical, &rules.secret_headers) {
            Ok(next) => {
                job.request = next;
                AfterAttempt::Again(job.into(), Duration::ZERO)
            }
            Err(why) => {
                let started = receipt.started.unwrap_or_else(clock::now);
                give_up(job, FetchError::Protocol(Outcome::from(why).detail()), started)
            }
        };
    }
    match wait_after(&Outcome::Status(status), &job, rules).filter(|_| job.may_repeat()) {
        Some(wait) => again(job, wait),
        None => deliver(job, response, receipt, redirects_to),
    }
}

fn wait_after(outcome: &Outcome, job: &ClientJob, rules: &Rules) -> Option<Duration> {
    rules.retry.after(outcome, job.failures + 1, fastrand::f64())
}

fn again(mut job: ClientJob, wait: Duration) -> AfterAttempt {
    job.failures += 1;
    AfterAttempt::Again(job.into(), wait)
}

fn deliver(job: ClientJob, response: RawResponse, receipt: Receipt, redirects_to: Option<Url>) -> AfterAttempt {
    job.deliver(response, receipt, redirects_to);
    AfterAttempt::Ended
}

fn give_up(job: ClientJob, source: FetchError, started: Instant) -> AfterAttempt {
    let (url, attempts) = (job.request.url.clone().into(), job.attempts);
    let (ended_at, elapsed) = (clock::wall(), clock::now().saturating_duration_since(started));
    let started_at = ended_at.checked_sub(elapsed).unwrap_or(ended_at);
    job.fail(Error::Fetch { url, source, attempts, started_at, elapsed });
    AfterAttempt::Ended
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::LocalBoxFuture;
    use http::{HeaderMap, Method, header::LOCATION};
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::{
        client::job::RequestOptions, conduct::cooling::CoolingCause, internals::Grants,
        outcome::local_fault::LocalFault, politeness::limits::Limits, rate::Rate, request::Request,
        transport::body::Reservation,
    };

    /// A fetch with one given result, without a network.
    struct Once(Cell<Option<Result<u16, NoResponse>>>);

    impl Fetch for Once {
        fn fetch<'a>(&'a self, permit: Permit, _: &'a Request, _: FetchContext<'a>) -> LocalBoxFuture<'a, FetchResult> {
            drop(permit);
            let result = self.0.take().unwrap();
            let cooled = result.as_ref().ok().and_then(|status| cooled(*status, clock::now()));
            let response = result.map(|status| RawResponse {
                status,
                headers: HeaderMap::from_iter([(LOCATION, "/there".parse().unwrap())]),
                fetched_at: clock::wall(),
                body: "body".into(),
                streamed: 0,
                is_cut: false,
                reservation: Reservation::default(),
            });
            Box::pin(std::future::ready(FetchResult { cooled, ..FetchResult::offline(response) }))
        }
    }

    fn permit() -> Permit {
        Grants::new(Limits::rate(Rate::UNLIMITED)).permit(clock::now()).unwrap()
    }

    /// What the domain's conduct returns for a status.
    fn cooled(status: u16, now: Instant) -> Option<Cooled> {
        let back_off = BackOff::Cool(now + Duration::from_secs(5));
        let why = CoolingCause::Status(status);
        (status == 429).then_some(Cooled { why, back_off, asked: None, gave_up: false, in_a_row: 1 })
    }

    fn obliging() -> Rules {
        Rules {
            retry: Retry { attempts: 2, ..Retry::default() },
            follow_redirects: true,
            retry_refusals: true,
            held_up_timeout: Duration::from_secs(9),
            warnings: Mutex::default(),
            canonical: CanonicalUrl::default(),
            secret_headers: Vec::new(),
            body: BodyLimits::default(),
        }
    }

    /// Each fault has the whole time: one that was over counts no more.
    #[tokio::test]
    async fn a_fault_of_this_machine_is_over_when_anything_else_is_heard() {
        let no_route = || Err(NoResponse::Failed(FetchError::Local(LocalFault::Network, "no route".into())));
        let refused = Err(NoResponse::Failed(FetchError::Connect("refused".into())));
        for (result, is_over) in [
            (no_route(), false),
            (Err(NoResponse::Unsent), false),
            (Ok(302), true),
            (Ok(429), true),
            (Ok(502), true),
            (refused, true),
        ] {
            let case = format!("{result:?}");
            let (mut job, _reply) =
                ClientJob::new(Request::parse("http://e.test/here").unwrap(), RequestOptions::default(), 0);
            let since = clock::now().checked_sub(Duration::from_secs(1)).unwrap();
            job.held_up_since = Some(since);
            let AfterAttempt::Again(job, _) = attempt(permit(), job, &Once(Cell::new(Some(result))), &obliging()).await
            else {
                panic!("{case}: it is made again")
            };
            assert_eq!(job.held_up_since, Some(since).filter(|_| !is_over), "{case}");
        }
    }

    #[tokio::test]
    async fn what_follows_an_attempt_depends_on_its_result_and_on_the_rules() {
        let strict = || Rules { retry: Retry { attempts: 1, ..Retry::default() }, ..obliging() };
        let plain = || Rules { follow_redirects: false, retry_refusals: false, ..obliging() };
        let no_route = || Err(NoResponse::Failed(FetchError::Local(LocalFault::Network, "no route".into())));
        let connect = || Err(NoResponse::Failed(FetchError::Connect("refused".into())));
        // The path that is queued again; `None` if the caller has its result.
        let again = |path: &'static str| Some(path);
        for (method, result, rules, follows) in [
            (Method::GET, Ok(200), obliging(), None),
            (Method::GET, Ok(404), obliging(), None),
            (Method::GET, Ok(302), obliging(), again("/there")),
            (Method::GET, Ok(302), plain(), None),
            (Method::GET, Ok(429), obliging(), again("/here")),
            (Method::GET, Ok(429), strict(), again("/here")),
            (Method::GET, Ok(429), plain(), None),
            (Method::POST, Ok(429), obliging(), None),
            (Method::GET, Ok(502), obliging(), again("/here")),
            (Method::GET, Ok(502), strict(), None),
            (Method::POST, Ok(502), obliging(), None),
            (Method::POST, connect(), obliging(), again("/here")),
            (Method::POST, no_route(), strict(), again("/here")),
            (Method::GET, connect(), strict(), None),
            (Method::POST, Err(NoResponse::Unsent), strict(), again("/here")),
        ] {
            let case = format!("{method} {result:?}");
            let request = Request::new(method, "http://e.test/here".parse().unwrap());
            let (job, mut reply) = ClientJob::new(request, RequestOptions::default(), 0);
            let fetch = Once(Cell::new(Some(result)));
            match attempt(permit(), job, &fetch, &rules).await {
                AfterAttempt::Again(job, _) => assert_eq!(Some(job.request.url.path()), follows, "{case}"),
                AfterAttempt::Ended => {
                    assert_eq!(follows, None, "{case}");
                    assert!(!matches!(reply.try_recv(), Err(TryRecvError::Empty)), "{case}: the caller waits for ever");
                }
            }
        }
    }
}
