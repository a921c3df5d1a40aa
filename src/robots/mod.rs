//! Robots: what an origin allows us to fetch, from the response to the request for its robots file (RFC 9309). Knows no
//! network: the engine sends the request and holds the waiting pages.

mod cache;
mod directives;
mod file;
mod pattern;
mod rules;
mod second_chance;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::rules::{Group, MAX_BYTES, RobotsDecision, RobotsTxt, Rule, Why};
pub(crate) use self::{
    cache::{LIFETIME, RobotsCache},
    file::RobotsFile,
    rules::is_robots_file,
};

/// What an origin allows us to fetch.
///
/// ```
/// use std::time::Instant;
///
/// use actix_crawler::robots::Robots;
///
/// let now = Instant::now();
/// assert!(matches!(Robots::from_status(404, b"", "quotesbot", now), Robots::AllowAll));
/// assert!(matches!(Robots::from_status(503, b"", "quotesbot", now), Robots::DenyAll { until, .. } if until > now));
/// ```
#[derive(Clone, Debug)]
pub enum Robots {
    /// What its robots file allows.
    Rules(Arc<RobotsTxt>),
    /// Everything: it has no robots file (RFC 9309 §2.3.1.3).
    AllowAll,
    /// Nothing: its robots file is unreachable (RFC 9309 §2.3.1.4).
    DenyAll {
        /// When to ask again.
        until: Instant,
        /// The number of consecutive failures.
        failures: u32,
        /// The cause of the last failure.
        why: Unreachable,
    },
}

/// Why a robots file is unreachable.
///
/// ```
/// use actix_crawler::robots::Robots;
///
/// let answer = Robots::from_status(503, b"", "quotesbot", std::time::Instant::now());
/// let Robots::DenyAll { why, .. } = answer else { panic!("503 says not now") };
/// assert_eq!((why.outcome, &*why.detail), ("robots", "status 503"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The outcome, as in logs and counts.
    pub outcome: &'static str,
    /// Details.
    pub detail: Arc<str>,
    /// The wait after the first failure; it doubles with each consecutive one.
    pub(crate) first_wait: Duration,
    /// After this many consecutive failures, the pages that wait for the file fail.
    pub(crate) max_in_a_row: u32,
}

/// The longest wait between two requests for an unreachable robots file. A server that comes back is found within an
/// hour, and one request an hour is no burden.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// The least wait for a file that was refused. A quota may be renewed within milliseconds, and after six requests the
/// pages that wait for the file fail.
const MIN_WAIT_ASKED: Duration = Duration::from_secs(1);

impl Robots {
    /// Interprets a response (RFC 9309 §2.3.1) for the crawler whose product token is `token`.
    ///
    /// The caller follows redirects; one that is passed here counts as a missing file, which allows everything. So does
    /// a status 4xx except 429, which like 5xx means "not now". What makes other statuses mean that, such as
    /// `Retry-After`, stands in the headers, and is for the caller to see.
    pub fn from_status(status: u16, body: &[u8], token: &str, now: Instant) -> Self {
        match status {
            200..=299 => Self::Rules(Arc::new(RobotsTxt::parse(body, token))),
            429 => Self::unreachable(now, 1, Unreachable::status(status)),
            300..=499 => Self::AllowAll,
            _ => Self::unreachable(now, 1, Unreachable::status(status)),
        }
    }

    /// Records that the file is unreachable for the `failures_in_a_row`-th time: nothing may be fetched, and the wait
    /// before the next request doubles each time.
    pub fn unreachable(now: Instant, failures_in_a_row: u32, why: Unreachable) -> Self {
        let doublings = failures_in_a_row.saturating_sub(1).min(16);
        let wait = why.first_wait.saturating_mul(1 << doublings).min(MAX_WAIT);
        Self::DenyAll { until: now + wait, failures: failures_in_a_row, why }
    }
}

impl Unreachable {
    /// For an unreachable server. It may be restarting, which takes seconds; four requests within seven seconds tell
    /// that from a server that is gone.
    pub(crate) fn soon(outcome: &'static str, detail: &str) -> Self {
        Self { outcome, detail: detail.into(), first_wait: Duration::from_secs(1), max_in_a_row: 4 }
    }

    /// For a failure that another request cannot fix, because of our own settings or the server's.
    pub(crate) fn for_good(outcome: &'static str, detail: &str) -> Self {
        Self { max_in_a_row: 1, ..Self::soon(outcome, detail) }
    }

    /// For a response that refuses for now and may ask for a wait, which is then the first. RFC 9309 §2.3.1.3 lets a
    /// crawler take any 4xx for a missing file, but one that asks for a wait says that the file is there later.
    pub(crate) fn refused(status: u16, asked: Option<Duration>) -> Self {
        let usual = Self::status(status);
        let first_wait = asked.map_or(usual.first_wait, |asked| asked.max(MIN_WAIT_ASKED));
        Self { first_wait, ..usual }
    }

    /// For a status that means "not now". Such a server is running, and is given two and a half minutes.
    pub(crate) fn status(status: u16) -> Self {
        let detail = format!("status {status}").into();
        Self { outcome: "robots", detail, first_wait: Duration::from_secs(5), max_in_a_row: 6 }
    }
}

/// Returns the product token of a User-Agent: the name that robots files address us by (RFC 9309 §2.2.1).
///
/// Digits and dots are part of it, in addition to the letters, `-` and `_` of the RFC: `bot2` is another crawler than
/// `bot`.
pub fn product_token(user_agent: &str) -> &str {
    let user_agent = user_agent.trim_start();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    user_agent.split(|c| !is_part(c)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16) -> &'static str {
        match Robots::from_status(status, b"User-agent: *\nDisallow: /", "bot", Instant::now()) {
            Robots::Rules(_) => "rules",
            Robots::AllowAll => "allow",
            Robots::DenyAll { .. } => "deny",
        }
    }

    #[test]
    fn a_missing_file_allows_and_a_broken_server_denies() {
        for status in [200, 203, 206, 299] {
            assert_eq!(kind(status), "rules", "{status}");
        }
        for status in [301, 304, 308, 400, 401, 403, 404, 410, 451, 499] {
            assert_eq!(kind(status), "allow", "{status}");
        }
        for status in [429, 500, 502, 503, 504, 599, 0, 100, 999] {
            assert_eq!(kind(status), "deny", "{status}");
        }
    }

    #[test]
    fn the_wait_for_a_file_that_cannot_be_had_doubles_up_to_an_hour() {
        let now = Instant::now();
        let waits = [1, 2, 3, 4, 10, 11, 1_000, u32::MAX].map(|failures| {
            match Robots::unreachable(now, failures, Unreachable::status(503)) {
                Robots::DenyAll { until, .. } => (until - now).as_secs(),
                _ => 0,
            }
        });
        assert_eq!(waits, [5, 10, 20, 40, 2_560, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn the_product_token_is_the_name_without_its_version_and_contact() {
        for (user_agent, token) in [
            ("quotesbot/1.0 (+https://example.org/bot)", "quotesbot"),
            ("my-bot_2 http://e.org", "my-bot_2"),
            ("  Bot(x)", "Bot"),
            ("", ""),
            ("(none)", ""),
        ] {
            assert_eq!(product_token(user_agent), token, "{user_agent}");
        }
    }
}
