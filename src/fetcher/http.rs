//! Http: the innermost [`Fetch`]. Sends a request over the network and reads its response. Nothing else in the crate
//! does, and it takes a [`Permit`] by value.

use std::{
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use awc::error::SendRequestError;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, ACCEPT_ENCODING, COOKIE, EXPECT, HOST, PROXY_AUTHORIZATION, RANGE, USER_AGENT},
};
use tokio::time::timeout;
use url::Url;

use super::{
    fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
    receipt::Receipt,
    redirect,
};
use crate::{
    clock,
    conduct::{Cooled, ResponseFacts, refusal},
    outcome::{FetchError, Phase},
    permit::Permit,
    request::{Kind, Request},
    sessions::Session,
    transport::{
        Transport, body,
        exchange::{Exchange, Extent},
        proxy::Proxy,
        raw_response::RawResponse,
    },
    user_agent,
};

/// Sends the requests of one arbiter.
pub struct Http {
    transport: Transport,
    /// Default headers, added to every request that does not set them itself.
    defaults: [(HeaderName, HeaderValue); 3],
    /// What is wrong with the User-Agent where it is sent to other machines; nothing but for a crawl that begins on
    /// this one.
    unnamed: Option<String>,
}

/// The `Accept` header of a crawl: as in browsers, without formats that only they can render.
pub const ACCEPT_PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The most alternative proxies tried after one failed. Each may take the connect deadline to fail.
const MAX_OTHER_PROXIES: usize = 3;

/// Headers that are never sent, even if the request has them. `Proxy-Authorization` is sent to the proxy only; no
/// server may see it. `Expect: 100-continue` would wait for an interim response, which the wire skips.
const NOT_SENT: [HeaderName; 2] = [PROXY_AUTHORIZATION, EXPECT];

/// Returns the default headers.
pub(super) fn default_headers(user_agent: HeaderValue) -> [(HeaderName, HeaderValue); 3] {
    [
        (USER_AGENT, user_agent),
        (ACCEPT, HeaderValue::from_static(ACCEPT_PAGES)),
        (ACCEPT_ENCODING, HeaderValue::from_static(body::ACCEPT_ENCODING)),
    ]
}

/// The result of one attempt; no exchange if it could not even start.
type AttemptResult = (Option<Rc<Exchange>>, Result<RawResponse, FetchError>);

impl Http {
    /// Creates the sender of an arbiter.
    pub fn new(transport: Transport, user_agent: HeaderValue) -> Self {
        let unnamed = user_agent::check(user_agent.to_str().unwrap_or_default()).err().map(|error| error.to_string());
        Self { transport, defaults: default_headers(user_agent), unnamed }
    }

    /// Sends one request under its permit, which ends with the last byte of the response; that of a robots file is
    /// returned.
    async fn send(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        let granted = clock::now();
        let may_repeat = context.may_repeat;
        let since = granted.max(permit.due());
        let (mut exchange, mut response) = self.exchange(permit, request, context, since).await;
        // A proxy that fails before anything is written leaves the permit unused, so another proxy is tried under it.
        let mut others = self.transport.other_proxies(request).min(MAX_OTHER_PROXIES);
        while others > 0 && matches!(response, Err(FetchError::Proxy(_))) {
            let unsent = exchange.take_if(|exchange| exchange.started().is_none());
            let Some(permit) = unsent.and_then(Exchange::into_permit) else { break };
            (exchange, response) = self.exchange(permit, request, context, since).await;
            others -= 1;
        }
        // A request that the server may have processed is not repeated, whoever is at fault.
        let may_go_again = |exchange: &Exchange| may_repeat || exchange.started().is_none();
        // If a kept-alive connection died before answering, or while the request waited at the gate, it is sent once
        // more under the same permit, which passes the gate again.
        if response.is_err()
            && exchange.as_ref().is_some_and(|exchange| exchange.died_unanswered() && may_go_again(exchange))
            && let Some(permit) = exchange.take().and_then(Exchange::into_permit)
        {
            (exchange, response) = self.exchange(permit.again(), request, context, since).await;
        }
        if let (Err(error), Some(exchange)) = (&mut response, &exchange)
            && may_go_again(exchange)
            && let Some(local) = self.transport.judge(error, exchange, clock::now()).await
        {
            *error = local;
        }
        let cooled = exchange.as_ref().and_then(|exchange| Self::learn(exchange, &response, granted, request.kind()));
        let started = exchange.as_ref().and_then(|exchange| exchange.started());
        let postponed = exchange.as_ref().is_some_and(|exchange| exchange.was_postponed());
        let cookies_changed = exchange.as_ref().is_some_and(|exchange| exchange.cookies_changed());
        let wire = exchange.as_ref().and_then(|exchange| exchange.take_wire_bytes());
        let proxy = exchange.as_ref().and_then(|exchange| Some(exchange.target.proxy.as_ref()?.id()));
        // The permit ends here, except that of a robots file: it ends when the file's `Crawl-delay` is known.
        let permit = exchange.and_then(Exchange::into_permit).filter(|_| request.kind() == Kind::RobotsTxt);
        let (status, bytes) =
            response.as_ref().map_or((None, 0), |response| (Some(response.status), response.length()));
        let receipt = receipt(granted, started, status, bytes);
        let response = response.map_err(|error| if postponed { NoResponse::Unsent } else { NoResponse::Failed(error) });
        FetchResult { receipt, wire, cooled, cookies_changed, permit, proxy, ..FetchResult::offline(response) }
    }

    /// Passes the result to the domain's conduct. The permit is still held, so the next permit is granted with this
    /// knowledge.
    fn learn(
        exchange: &Exchange,
        response: &Result<RawResponse, FetchError>,
        granted: Instant,
        kind: Kind,
    ) -> Option<Cooled> {
        let (started, now) = (exchange.started().unwrap_or(granted), clock::now());
        match response {
            Ok(response) => {
                let RawResponse { status, headers, fetched_at, .. } = response;
                exchange.permit().note_response(&ResponseFacts {
                    status: *status,
                    headers,
                    started,
                    now,
                    wall: *fetched_at,
                })
            }
            // For robots files, the caller decides how many consecutive failures are enough.
            Err(error) if error.is_unreachable() && !exchange.was_postponed() && kind != Kind::RobotsTxt => {
                exchange.permit().unreachable(started, now)
            }
            Err(_) => None,
        }
    }

    /// Makes one attempt at a request that began at `since`.
    async fn exchange(
        &self,
        permit: Permit,
        request: &Request,
        context: FetchContext<'_>,
        since: Instant,
    ) -> AttemptResult {
        let FetchContext { extent, session, stream, .. } = context;
        if let (None, Some(name)) = (session, request.session_name()) {
            let why = format!("it names session `{name}`, and no cookies are kept: add .cookies(), or .sessions(…)");
            return (None, Err(FetchError::Session(why)));
        }
        if let Err(error) = user_agent::check_headers(&request.headers, &request.url) {
            return (None, Err(FetchError::Request(error.to_string())));
        }
        if let Some(why) = &self.unnamed
            && !user_agent::is_loopback(&request.url)
            && !request.headers.iter().any(|(name, _)| USER_AGENT.as_str().eq_ignore_ascii_case(name))
        {
            return (None, Err(FetchError::Request(why.clone())));
        }
        let began = clock::now();
        let target = match permit.check(request).and_then(|()| self.transport.target(request, began)) {
            Ok(target) => target,
            Err(error) => return (None, Err(error)),
        };
        let sink = stream.map(|stream| stream.sink.clone());
        let exchange = Exchange::new(permit, request, target, (extent, sink), &self.transport);
        let whole = self.transport.shared().whole_deadline();
        let limit = stream.map_or(whole, |stream| stream.max_time.max(whole));
        let round_trip = exchange.scope(self.round_trip(request, session, &exchange, extent));
        let left = limit.saturating_sub(began.saturating_duration_since(since));
        let response = in_time(left, &exchange, round_trip).await;
        let response = response.unwrap_or(Err(FetchError::Timeout { phase: Phase::Whole, limit }));
        // The connection knows the cause better than awc's client.
        let response = response.map_err(|error| exchange.take_failure().unwrap_or(error));
        if let (Some(proxy), Ok(_) | Err(FetchError::Proxy(_))) = (&exchange.target.proxy, &response) {
            self.transport.served_by(proxy, response.is_ok(), began, clock::now());
        }
        (Some(exchange), response)
    }

    async fn round_trip(
        &self,
        request: &Request,
        session: Option<&Session>,
        exchange: &Exchange,
        extent: Extent,
    ) -> Result<RawResponse, FetchError> {
        let unwritable = |error: &dyn std::fmt::Display| FetchError::Request(error.to_string());
        let proxy = exchange.target.proxy.as_deref();
        let uri = Transport::uri(&request.url, &exchange.target)?;
        let mut outgoing = self
            .transport
            .client()
            .request(request.method.clone(), uri)
            .no_decompress()
            .insert_header((HOST, host_of(&request.url)));
        let identity = self.transport.shared().identity(request, session, proxy);
        for header in self.defaults.iter().cloned().chain(identity) {
            outgoing = outgoing.insert_header(header);
        }
        for (name, value) in &request.headers {
            if NOT_SENT.iter().any(|not_sent| name.eq_ignore_ascii_case(not_sent.as_str())) {
                continue;
            }
            outgoing = outgoing.insert_header((name.as_str(), value.as_str()));
        }
        let sending = if request.body.is_empty() && !carries_body(&request.method) {
            outgoing.send_body(awc::body::None::new())
        } else {
            outgoing.send_body(request.body.clone())
        };
        sending.await.map_err(|error| match error {
            SendRequestError::Url(_) | SendRequestError::Http(_) => unwritable(&error),
            // The connection failed and has not said why. The next may serve.
            SendRequestError::Connect(_) | SendRequestError::Send(_) => FetchError::Truncated(error.to_string()),
            other => FetchError::Protocol(other.to_string()),
        })?;
        let no_head = || FetchError::Protocol("an answer without a head".into());
        let response = exchange.take_response().ok_or_else(no_head)?;
        exchange
            .note_cookies(session.is_some_and(|session| take_in_cookies(request, session, proxy, &response.headers)));
        check(request, response, extent)
    }
}

impl Fetch for Http {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(self.send(permit, request, context))
    }
}

/// Waits for a response no longer than `limit`, to which the wait at the gate does not count; `None` if there is none
/// by then.
async fn in_time<T>(limit: Duration, exchange: &Exchange, round_trip: impl Future<Output = T>) -> Option<T> {
    let mut round_trip = pin!(round_trip);
    let mut due = exchange.due();
    let mut left = limit.saturating_add(due.saturating_duration_since(clock::now()));
    loop {
        if let Ok(response) = timeout(left, round_trip.as_mut()).await {
            return Some(response);
        }
        // The gate may have put it off meanwhile.
        left = exchange.due().saturating_duration_since(due);
        if left.is_zero() {
            return None;
        }
        due = exchange.due();
    }
}

/// Takes in the cookies that an answer sets. Tells whether other cookies would go with the same request now; one that
/// brings its own `Cookie` header gets no others.
fn take_in_cookies(request: &Request, session: &Session, proxy: Option<&Proxy>, headers: &HeaderMap) -> bool {
    let have_changed = session.take_in(&request.url, proxy.map(Proxy::id), headers);
    have_changed && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(COOKIE.as_str()))
}

/// Rejects a response that is only a part of what was requested.
fn check(request: &Request, response: RawResponse, extent: Extent) -> Result<RawResponse, FetchError> {
    let RawResponse { status, headers, is_cut, .. } = &response;
    // For a redirect or a refusal, the head is enough.
    let is_enough = || {
        extent.accepts_part
            || refusal(*status, headers, clock::wall()).is_some()
            || redirect::target(*status, headers, &request.url).is_some()
    };
    if *is_cut && !is_enough() {
        return Err(FetchError::TooLarge(format!("over {} bytes", extent.max_bytes)));
    }
    if *status == 206 && !asks_for_a_part(request) {
        return Err(FetchError::Protocol("a part (206) of what was asked for whole".into()));
    }
    Ok(response)
}

fn receipt(granted: Instant, started: Option<Instant>, status: Option<u16>, bytes: u64) -> Receipt {
    let ended = clock::now();
    Receipt {
        status,
        bytes,
        started,
        waited: started.unwrap_or(ended).saturating_duration_since(granted),
        elapsed: started.map_or(Duration::ZERO, |started| ended.saturating_duration_since(started)),
    }
}

/// A `206` is valid only in response to a range request (RFC 9110 §15.3.7).
fn asks_for_a_part(request: &Request) -> bool {
    request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(RANGE.as_str()))
}

/// Returns the host, with its port unless it is the scheme's default.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Tells whether repeating a request has the same effect as sending it once (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

/// Tells whether a request states the length of its body even if that is empty (RFC 9110 §8.6).
fn carries_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
