//! LogLine: one line of the crawl log, made from an event, in the spirit of Heritrix's crawl log. There is one for every
//! request that ended and every URL that was dropped.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{
    clock,
    domain::Domain,
    event::{Event, Fate, RequestEnded},
    fetcher::receipt::Receipt,
    outcome::Outcome,
    request::{Kind, Request},
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
    /// Returns the line that tells of an event; `None` for those that the log passes over.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match *event {
            Event::RequestEnded(ended) if matches!(ended.outcome, Outcome::Unsent | Outcome::Local(..)) => None,
            Event::RequestEnded(ended) => Some(match ended.request.kind() {
                Kind::RobotsTxt => Self::robots_txt(&ended),
                _ => Self::page(&ended),
            }),
            Event::Dropped { what: Some((domain, request)), reason, .. } => Some(Self {
                outcome: reason.key().into(),
                detail: reason.detail().to_owned(),
                ..Self::unsent(clock::wall(), domain, request)
            }),
            Event::Failed { domain, request, reason, detail } => Some(Self {
                outcome: reason.into(),
                detail: detail.to_owned(),
                ..Self::unsent(clock::wall(), domain, request)
            }),
            _ => None,
        }
    }

    fn page(ended: &RequestEnded<'_>) -> Self {
        Self {
            outcome: ended.outcome.key().into(),
            detail: ended.outcome.detail(),
            is_final: !matches!(ended.fate, Fate::Again { .. }),
            ..Self::sent(ended)
        }
    }

    fn robots_txt(ended: &RequestEnded<'_>) -> Self {
        let (outcome, detail) = match ended.outcome {
            Outcome::Ok => ("robots/ok".into(), String::new()),
            Outcome::Refused { .. } => ("robots/refused".into(), String::new()),
            Outcome::Status(_) => ("robots/status".into(), String::new()),
            Outcome::Redirect { to, .. } => ("robots/redirect".into(), to.to_string()),
            other => (format!("robots/{}", other.key()).into(), other.detail()),
        };
        Self { outcome, detail, is_final: false, ..Self::sent(ended) }
    }

    fn sent(ended: &RequestEnded<'_>) -> Self {
        let Receipt { status, bytes, waited, elapsed, .. } = *ended.receipt;
        let line = Self::unsent(ended.time, ended.domain, ended.request);
        Self { status, attempt: ended.attempt, waited, elapsed, bytes, ..line }
    }

    fn unsent(time: SystemTime, domain: &Domain, request: &Request) -> Self {
        Self {
            time,
            url: request.url.as_str().into(),
            domain: domain.clone(),
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
