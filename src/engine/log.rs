//! Log: one line for every request that ended or was dropped, robots files among them, in the spirit of Heritrix's crawl
//! log.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{
    domain::Domain,
    fetcher::{RobotsAnswer, RobotsResult, visit::Visit},
    outcome::DropReason,
    request::Request,
};

/// One line of the crawl log.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    /// When it ended (RFC 3339, UTC).
    #[serde(serialize_with = "as_rfc3339")]
    pub time: SystemTime,
    /// The URL.
    pub url: Arc<str>,
    /// The domain.
    pub domain: Domain,
    /// How it ended, in one word; for a robots file after `robots/`, as `robots/ok`, `robots/status` or `robots/timeout`.
    pub outcome: Cow<'static, str>,
    /// What there is to say beside the word.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The status, if an answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Which attempt it was; 0 for what was never sent.
    pub attempt: u32,
    /// Whether the URL is done with; a request that is tried again later is not. Where a URL was dropped as too deep and
    /// then found by a shorter way, its last line holds. A robots file is never done with: it is no URL of the ledger,
    /// and is asked for again when its answer has grown old.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Seconds between the grant of the permit and the writing of the request.
    #[serde(serialize_with = "as_seconds")]
    pub waited: Duration,
    /// Seconds between the writing and the last byte.
    #[serde(serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// Bytes of body that came over the wire.
    pub bytes: u64,
    /// Links from a seed.
    pub depth: u32,
    /// The page it was found on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<str>>,
}

impl LogLine {
    /// Creates the line of a request that was sent.
    pub fn visited(time: SystemTime, domain: Domain, visit: &Visit, is_final: bool) -> Self {
        Self {
            outcome: visit.outcome.key().into(),
            detail: visit.outcome.detail(),
            status: visit.status,
            attempt: visit.leased.attempt,
            is_final,
            waited: visit.waited,
            elapsed: visit.elapsed,
            bytes: visit.bytes,
            ..Self::of(time, domain, &visit.leased.request)
        }
    }

    /// Creates the line of a request that was dropped.
    pub fn dropped(time: SystemTime, domain: Domain, request: &Request, reason: DropReason) -> Self {
        Self { outcome: reason.key().into(), detail: reason.detail().to_owned(), ..Self::of(time, domain, request) }
    }

    /// Creates the line of a request that ended without being sent.
    pub fn unsent(time: SystemTime, domain: Domain, request: &Request, outcome: &'static str, detail: String) -> Self {
        Self { outcome: outcome.into(), detail, ..Self::of(time, domain, request) }
    }

    /// Creates the line of an answer to the question for a robots file; `None` where it was not asked for.
    pub fn robots(time: SystemTime, domain: Domain, answer: &RobotsAnswer) -> Option<Self> {
        let (outcome, detail) = match &answer.result {
            RobotsResult::Unsent => return None,
            RobotsResult::Body(status, _) => {
                let outcome = match status {
                    200..=299 => "robots/ok",
                    _ if answer.heeded.is_some() => "robots/refused",
                    _ => "robots/status",
                };
                (outcome.into(), String::new())
            }
            RobotsResult::Redirect(to) => ("robots/redirect".into(), to.to_string()),
            RobotsResult::Failed(error) => (format!("robots/{}", error.key()).into(), error.to_string()),
            RobotsResult::Lost => ("robots/panic".into(), "the fetcher panicked over it".to_owned()),
        };
        Some(Self {
            time,
            url: answer.url.as_str().into(),
            domain,
            outcome,
            detail,
            status: answer.status,
            attempt: 1,
            is_final: false,
            waited: answer.waited,
            elapsed: answer.elapsed,
            bytes: answer.bytes,
            depth: 0,
            parent: None,
        })
    }

    fn of(time: SystemTime, domain: Domain, request: &Request) -> Self {
        Self {
            time,
            url: request.url.as_str().into(),
            domain,
            outcome: Cow::Borrowed(""),
            detail: String::new(),
            status: None,
            attempt: 0,
            is_final: true,
            waited: Duration::ZERO,
            elapsed: Duration::ZERO,
            bytes: 0,
            depth: request.depth,
            parent: request.parent.clone(),
        }
    }
}

fn as_rfc3339<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Microseconds are what can be measured; more digits only make lines longer.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e6)
}
