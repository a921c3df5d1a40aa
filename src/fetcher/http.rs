//! Http: permit in, answer out. The one door to the network: nothing is sent but through `Http::send`, which takes a
//! [`Permit`] by value.

mod kept;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, EXPECT, HOST, PROXY_AUTHORIZATION, RANGE,
        USER_AGENT,
    },
};
use tokio::time::timeout;
use url::Url;

use super::{RobotsAnswer, RobotsResult, redirect};
use crate::{
    clock,
    conduct::{Heard, Heeded, refusal},
    outcome::{FetchError, Phase},
    permit::Permit,
    request::Request,
    robots::MAX_BYTES,
    transport::{
        Transport,
        body::{self, BodyDecoder, BodyLimits, Held},
        exchange::{Exchange, Extent, Incoming},
    },
};

/// Sends requests from one arbiter.
pub struct Http {
    transport: Transport,
    /// Headers that every request carries which does not say otherwise.
    usual: [(HeaderName, HeaderValue); 4],
}

/// What came of a permit.
pub struct Sent {
    /// The answer; `Err(None)` where the request was not sent because its domain cools.
    pub answer: Result<Answer, Option<FetchError>>,
    /// When the request was written.
    pub started: Option<Instant>,
    /// From the grant to the writing.
    pub waited: Duration,
    /// From the writing to the last byte.
    pub elapsed: Duration,
    /// What follows for the domain where it refused us, or was not there. It is obeyed already.
    pub heeded: Option<Heeded>,
}

/// A whole answer, its body still encoded.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// When it was complete.
    pub fetched_at: SystemTime,
    /// From the writing of the request to the last byte.
    pub elapsed: Duration,
    /// Bytes of body that came over the wire.
    pub received: u64,
    body: Bytes,
    held: Held,
}

/// How a request is made.
#[derive(Clone, Copy)]
struct Manner {
    /// How much of the body is read. Where a part is of no use, an answer with more is an error.
    extent: Extent,
    /// Whether it may be written once more where it may have been seen.
    may_repeat: bool,
}

/// Headers that one request has beside its own.
type MoreHeaders<'a> = &'a [(HeaderName, HeaderValue)];

/// What browsers say, less what they can show and we cannot.
const ACCEPTED: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The most proxies that are tried at once after one that failed: each may take the connect deadline to fail.
const MAX_OTHER_PROXIES: usize = 3;

/// Of a robots file only the first [`MAX_BYTES`] count; twice as much is read, since a coding may end in the midst of
/// its step.
const FOR_ROBOTS: Manner = Manner { extent: Extent { most: 2 * MAX_BYTES as u64, takes_part: true }, may_repeat: true };

/// Headers that a request does not carry, whoever gives them. The proxy's own credentials are written on the way to it,
/// and no server is to see others. Who expects a `100 Continue` waits for an answer that the wire skips.
const NOT_SENT: [HeaderName; 2] = [PROXY_AUTHORIZATION, EXPECT];

impl Http {
    /// Creates the sender of an arbiter.
    pub(crate) fn new(transport: Transport, user_agent: HeaderValue) -> Self {
        let usual = [
            (USER_AGENT, user_agent),
            (ACCEPT, HeaderValue::from_static(ACCEPTED)),
            (ACCEPT_LANGUAGE, HeaderValue::from_static("*")),
            (ACCEPT_ENCODING, HeaderValue::from_static(body::ACCEPT_ENCODING)),
        ];
        Self { transport, usual }
    }

    /// Sends one request under its permit, which ends with the last byte of the answer.
    ///
    /// A request that `may_repeat` and went down with a kept-alive connection is sent once more, on the same permit,
    /// which passes the gate again.
    pub(crate) async fn send(&self, permit: Permit, request: &Request, may_repeat: bool) -> Sent {
        let extent = Extent { most: self.transport.body_limits().max_bytes, takes_part: false };
        let manner = Manner { extent, may_repeat };
        self.send_or_recall(permit, request, manner).await
    }

    async fn send_within(&self, permit: Permit, request: &Request, manner: Manner, more: MoreHeaders<'_>) -> Sent {
        let granted = clock::now();
        let (mut exchange, mut answer) = self.exchange(permit, request, manner, more).await;
        // A proxy that fails before anything is written has used nothing of the permit: another takes its turn.
        let mut others = self.transport.other_proxies(request).min(MAX_OTHER_PROXIES);
        while others > 0 && matches!(answer, Err(FetchError::Proxy(_))) {
            let unsent = exchange.take_if(|exchange| exchange.started().is_none());
            let Some(permit) = unsent.and_then(Exchange::into_permit) else { break };
            (exchange, answer) = self.exchange(permit, request, manner, more).await;
            others -= 1;
        }
        if answer.is_err()
            && exchange.as_ref().is_some_and(|exchange| exchange.died_unanswered())
            && manner.may_repeat
            && let Some(permit) = exchange.take().and_then(Exchange::into_permit)
        {
            (exchange, answer) = self.exchange(permit.again(), request, manner, more).await;
        }
        let started = exchange.as_ref().and_then(|exchange| exchange.started());
        let postponed = exchange.as_ref().is_some_and(|exchange| exchange.was_postponed());
        let ended = clock::now();
        // Before the permit ends: whoever is granted the next one is granted it by what is learned here.
        let heeded = match (&exchange, &answer) {
            (Some(exchange), Ok(answer)) => exchange.permit().hear(&answer.heard(started.unwrap_or(granted), ended)),
            // Whoever asks for a robots file decides itself how often in vain is enough.
            (Some(exchange), Err(error)) if !postponed && error.is_unreachable() && !manner.extent.takes_part => {
                exchange.permit().unreachable(started.unwrap_or(granted), ended)
            }
            _ => None,
        };
        drop(exchange);
        let elapsed = started.map_or(Duration::ZERO, |started| ended.saturating_duration_since(started));
        Sent {
            answer: match answer {
                Ok(answer) => Ok(Answer { elapsed, ..answer }),
                Err(_) if postponed => Err(None),
                Err(error) => Err(Some(error)),
            },
            started,
            waited: started.unwrap_or(ended).saturating_duration_since(granted),
            elapsed,
            heeded,
        }
    }

    /// Asks for a robots file. A redirect is a hop of its own, under a permit of its own.
    pub(crate) async fn robots(&self, permit: Permit, url: Url, limits: BodyLimits) -> RobotsAnswer {
        let sent = self.send_or_recall(permit, &Request::get(url.clone()), FOR_ROBOTS).await;
        let (status, bytes) = sent.answer.as_ref().map_or((None, 0), |answer| (Some(answer.status), answer.received));
        let result = match sent.answer {
            Err(None) => RobotsResult::Unsent,
            // Whoever is asked nothing need not be asked for leave.
            Err(Some(FetchError::NotRecorded(_))) => RobotsResult::Body(404, Bytes::new()),
            Err(Some(error)) => RobotsResult::Failed(error),
            Ok(answer) => match redirect::target(answer.status, &answer.headers, &url) {
                Some(to) => RobotsResult::Redirect(to),
                None => match answer.decoded(BodyLimits { keep_partial: true, ..limits }) {
                    Ok((body, None)) => RobotsResult::Body(answer.status, body),
                    Ok((body, Some(_))) if body.len() > MAX_BYTES => RobotsResult::Body(answer.status, body),
                    // Half a robots file would allow what the other half forbids.
                    Ok((_, Some(error))) | Err(error) => RobotsResult::Failed(error),
                },
            },
        };
        let Sent { started, waited, elapsed, heeded, .. } = sent;
        RobotsAnswer { url, result, status, bytes, started, waited, elapsed, heeded }
    }

    async fn exchange(
        &self,
        permit: Permit,
        request: &Request,
        manner: Manner,
        more: MoreHeaders<'_>,
    ) -> (Option<std::rc::Rc<Exchange>>, Result<Answer, FetchError>) {
        let began = clock::now();
        let target = match permit.check(request).and_then(|()| self.transport.target(request, began)) {
            Ok(target) => target,
            Err(error) => return (None, Err(error)),
        };
        let exchange = Exchange::new(permit, request.method.clone(), target, manner.extent, &self.transport);
        let whole = self.transport.whole_deadline();
        let round_trip = exchange.scope(self.round_trip(request, &exchange, manner.extent, more));
        let answer = match timeout(whole, round_trip).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::Timeout { phase: Phase::Whole, limit: whole }),
        };
        // The connection names what went wrong better than the client above it.
        let answer = answer.map_err(|error| exchange.take_failure().unwrap_or(error));
        if let (Some(proxy), Ok(_) | Err(FetchError::Proxy(_))) = (&exchange.target.proxy, &answer) {
            self.transport.served_by(proxy, answer.is_ok(), began, clock::now());
        }
        (Some(exchange), answer)
    }

    async fn round_trip(
        &self,
        request: &Request,
        exchange: &Exchange,
        extent: Extent,
        more: MoreHeaders<'_>,
    ) -> Result<Answer, FetchError> {
        let unwritable = |error: &dyn std::fmt::Display| FetchError::Request(error.to_string());
        let uri = self.transport.uri(&request.url, &exchange.target)?;
        let mut outgoing = self
            .transport
            .client()
            .request(request.method.clone(), uri)
            .no_decompress()
            .insert_header((HOST, host_of(&request.url)));
        let identity = self.transport.identity(request, exchange.target.proxy.as_deref());
        for header in self.usual.iter().chain(more).cloned().chain(identity) {
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
            awc::error::SendRequestError::Url(_) | awc::error::SendRequestError::Http(_) => unwritable(&error),
            other => FetchError::Protocol(other.to_string()),
        })?;
        let no_answer = || FetchError::Protocol("an answer without a head".into());
        let Incoming { head, body, memory, length, is_cut } = exchange.take_answer().ok_or_else(no_answer)?;
        let (status, headers) = (head.status.as_u16(), head.headers);
        self.transport.take_in_cookies(request, exchange.target.proxy.as_deref(), &headers);
        // Of a redirect or a refusal the head says all that matters.
        let is_enough = || {
            extent.takes_part
                || refusal(status, &headers, clock::wall()).is_some()
                || redirect::target(status, &headers, &request.url).is_some()
        };
        if is_cut && !is_enough() {
            return Err(FetchError::TooLarge(format!("over {} bytes", extent.most)));
        }
        if status == 206 && !asks_for_a_part(request) {
            return Err(FetchError::Protocol("a part (206) of what was asked for whole".into()));
        }
        let (fetched_at, elapsed) = (clock::wall(), Duration::ZERO);
        Ok(Answer { status, headers, fetched_at, elapsed, received: length, body, held: memory })
    }
}

impl Answer {
    /// Returns what its domain's conduct can learn from the answer.
    fn heard(&self, started: Instant, now: Instant) -> Heard<'_> {
        Heard { status: self.status, headers: &self.headers, started, now, wall: self.fetched_at }
    }

    /// Gives the memory of the body back to those that come in: whoever has the answer now answers for it.
    pub fn release_memory(&mut self) -> Held {
        std::mem::take(&mut self.held)
    }

    /// Returns the body without its content codings, and why it is only a part of it where `limits` let that pass.
    ///
    /// # Errors
    /// A coding is unknown or broken, or the body is larger than `limits` allow.
    pub fn decoded(&self, limits: BodyLimits) -> Result<(Bytes, Option<FetchError>), FetchError> {
        let codings = body::codings(self.headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
        if codings.is_empty() {
            return Ok((self.body.clone(), None));
        }
        let mut decoder = BodyDecoder::new(codings, limits);
        match decoder.write(&self.body).and_then(|()| decoder.finish()) {
            Ok(()) => Ok((decoder.into_bytes(), None)),
            Err(why) if limits.keep_partial => Ok((decoder.into_bytes(), Some(why))),
            Err(error) => Err(error),
        }
    }
}

/// Without a range, a `206` and its body are no answer (RFC 9110 §15.3.7).
fn asks_for_a_part(request: &Request) -> bool {
    request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(RANGE.as_str()))
}

/// The host with its port where that is not the scheme's own.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Tells whether making a request twice means no more than once (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

/// Methods whose requests say a length even when they have no body (RFC 9110 §8.6).
fn carries_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn answer(codings: &[&'static str], body: Vec<u8>) -> Answer {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let received = body.len() as u64;
        let fetched_at = SystemTime::UNIX_EPOCH;
        Answer {
            status: 200,
            headers,
            fetched_at,
            elapsed: Duration::ZERO,
            received,
            body: body.into(),
            held: Held::default(),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codings_come_off_in_the_reverse_of_their_order_over_all_headers() {
        let body = zstd::encode_all(&gzip(&gzip(b"content"))[..], 1).unwrap();
        let answer = answer(&["x-gzip, identity", "gzip, zstd"], body);
        assert_eq!(answer.decoded(BodyLimits::default()), Ok((Bytes::from("content"), None)));
    }

    #[test]
    fn an_answer_without_a_body_needs_no_coding() {
        assert_eq!(answer(&["gzip"], Vec::new()).decoded(BodyLimits::default()), Ok((Bytes::new(), None)));
    }

    #[test]
    fn half_a_body_is_an_error_unless_it_is_asked_for() {
        let whole = gzip(&b"as much as it takes, ".repeat(9_000));
        let answer = answer(&["gzip"], whole[..whole.len() - 8].to_vec());
        let error = answer.decoded(BodyLimits::default()).unwrap_err();
        let limits = BodyLimits { keep_partial: true, ..BodyLimits::default() };
        let (body, why) = answer.decoded(limits).unwrap();
        assert_eq!((body.len(), why), (21 * 9_000, Some(error)));
    }
}
