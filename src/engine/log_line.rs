//! LogLine: one line of the crawl log, made from an event; similar to Heritrix's crawl log. There is one for every
//! ended request and every dropped URL.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::{
    clock,
    domain::Domain,
    events::event::{Event, Fate, RequestEnded},
    fetcher::receipt::Receipt,
    outcome::Outcome,
    report::Counted,
    request::{Kind, Request},
    stats::count::Count,
    text::serialized::{as_rfc3339, as_seconds},
};

/// One line of the crawl log.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    /// When the request ended (RFC 3339, UTC).
    #[serde(serialize_with = "as_rfc3339")]
    pub time: SystemTime,
    /// The URL.
    pub url: Arc<str>,
    /// The domain.
    pub domain: Domain,
    /// The outcome in one word; for robots files prefixed with `robots/`: `robots/ok`, `robots/status`,
    /// `robots/timeout`; for sitemaps with `sitemap/`: also `sitemap/missing`, where nobody had named one; for files
    /// with `file/`.
    pub outcome: Cow<'static, str>,
    /// Details of the outcome.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The status, if there was a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The number of the attempt; 0 if nothing was sent.
    pub attempt: u32,
    /// Whether the URL is settled. False for a request that is tried again, and for a line about links beyond a page's
    /// bounds, which has the page's URL. Also false for robots files, which are no URLs of the ledger and are requested
    /// again when they expire. A URL that was dropped as too deep and then found by a shorter path has several final
    /// lines; the last one holds.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Seconds from the grant of the permit to the writing of the request.
    #[serde(serialize_with = "as_seconds")]
    pub waited: Duration,
    /// Seconds from the writing to the last byte.
    #[serde(serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// Length of the body on the wire, in bytes.
    pub bytes: u64,
    /// Number of links from a seed.
    pub depth: u32,
    /// The page on which it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<str>>,
}

impl LogLine {
    /// Returns the line for an event; `None` if the log does not record it.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match *event {
            Event::RequestEnded(ended) if matches!(ended.outcome, Outcome::Unsent | Outcome::Local(..)) => None,
            Event::RequestEnded(ended) => Some(match ended.request.kind() {
                Kind::RobotsTxt => Self::robots_txt(&ended),
                Kind::Sitemap(_) => Self::sitemap(&ended),
                Kind::File => Self::file(&ended),
                _ => Self::page(&ended),
            }),
            Event::Dropped { what: Some((domain, request)), reason, .. } => Some(Self {
                outcome: reason.key().into(),
                detail: reason.detail().to_owned(),
                ..Self::unsent(clock::wall(), domain, request)
            }),
            // The URLs themselves are not known. The line is not the page's last.
            Event::LinksDropped { domain, page, reason, links } => Some(Self {
                outcome: reason.key().into(),
                detail: format!("{}, {} of this page", reason.detail(), Counted(links, "link")),
                is_final: false,
                ..Self::unsent(clock::wall(), domain, page)
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
        let detail = ended.outcome.detail();
        Self {
            outcome: ended.outcome.key().into(),
            detail: if ended.is_redirect_to_seen { detail + ", already seen" } else { detail },
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

    fn sitemap(ended: &RequestEnded<'_>) -> Self {
        let is_missing = ended.counts.contains(&Count::SITEMAP_MISSING);
        let word = if is_missing { "missing" } else { ended.outcome.key() };
        Self { outcome: format!("sitemap/{word}").into(), ..Self::page(ended) }
    }

    fn file(ended: &RequestEnded<'_>) -> Self {
        Self { outcome: format!("file/{}", ended.outcome.key()).into(), ..Self::page(ended) }
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
