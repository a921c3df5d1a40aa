//! Words: an explanation as a sentence. It may quote servers, so it is written without control characters.

use std::fmt::{self, Display, Formatter};

use super::{End, Explanation, Wait, WaitsFor, Whereabouts};
use crate::report::{Counted, Escaped, Took};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let line = self.stands.to_string().replace(['\r', '\n'], " ");
        write!(f, "{}", Escaped(&line))
    }
}

impl Display for Whereabouts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(wait) => wait.fmt(f),
            Self::InFlight { attempt: 1, .. } => f.write_str("in flight"),
            Self::InFlight { attempt, .. } => write!(f, "in flight, attempt {attempt}"),
            Self::Done(end) => end.describe("done: ", f),
            Self::Failed(end) if end.attempts > 1 => end.describe(&format!("failed {} times: ", end.attempts), f),
            Self::Failed(end) => end.describe("failed: ", f),
            Self::Dropped(end) => end.describe("dropped: ", f),
            Self::TakenIn { not_looked_at, at } => {
                f.write_str("taken in")?;
                if let Some(at) = at {
                    write!(f, " at {}", humantime::format_rfc3339_seconds(*at))?;
                }
                match not_looked_at {
                    0 => f.write_str(" and over: how is not known any more"),
                    count => {
                        let count = Counted(*count, "request");
                        write!(f, ": it waits among {count} that were not looked at, or is over")
                    }
                }
            }
            Self::NotLogged => f.write_str("not in the log: it waits, or was never found"),
            Self::NeverHeardOf { would_be_dropped, may_have_been_dropped } => {
                f.write_str("never heard of")?;
                if *may_have_been_dropped {
                    f.write_str(", or dropped where it was found, which is not stored")?;
                }
                match would_be_dropped {
                    Some(reason) => write!(f, "; if it is found it is dropped: {reason}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Wait {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("waits")?;
        if let Some(forecast) = self.forecast {
            write!(f, " {}", Took(forecast))?;
        }
        let mut parts: Vec<_> = self.reasons.iter().map(ToString::to_string).collect();
        parts.extend(match self.ahead {
            Some(ahead) => Some(format!("{ahead} before it")),
            None => (self.queued > 0).then(|| format!("among {}", Counted(self.queued, "request"))),
        });
        parts.extend(self.found_on.as_ref().map(|page| format!("found on {page}")));
        write!(f, ": {}", parts.join("; "))
    }
}

impl Display for WaitsFor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits { domain, rate: Some(rate), spacing } if spacing.is_zero() => write!(f, "{rate} at {domain}"),
            Self::Limits { domain, rate: Some(rate), spacing } => {
                write!(f, "{rate} and {} between starts at {domain}", Took(*spacing))
            }
            Self::Limits { domain, rate: None, spacing } => {
                write!(f, "{} between starts at {domain}", Took(*spacing))
            }
            Self::CrawlDelay { asked } => write!(f, "Crawl-delay {}", Took(*asked)),
            Self::Full { in_flight } => write!(f, "{in_flight} in flight at its domain, and no more at once"),
            Self::Concurrency { in_flight } => write!(f, "{in_flight} in flight in the crawl, and no more at once"),
            Self::Cools { cause, left } => write!(f, "its domain is left alone for {}: {cause}", Took(*left)),
            Self::GivenUp { cause } => write!(f, "its domain is given up, and it will fail: {cause}"),
            Self::NotBefore { left } => write!(f, "tried again in {} at the earliest", Took(*left)),
            Self::AnotherAttempt { outcome, detail } if detail.is_empty() => {
                write!(f, "another attempt after: {outcome}")
            }
            Self::AnotherAttempt { outcome, detail } => write!(f, "another attempt after: {outcome}, {detail}"),
            Self::RobotsFile => f.write_str("its robots file is being requested"),
            Self::Disallowed { rule } => write!(f, "it will be dropped: {rule} of its robots file"),
            Self::Budget { left } => write!(f, "of the limit on pages {left} are left, for those before it"),
            Self::Paused => f.write_str("the crawl is paused"),
            Self::DomainPaused => f.write_str("its domain is paused"),
            Self::Capacity => f.write_str("all places of the shared capacity are taken"),
            Self::Stopping => f.write_str("the crawl is stopping"),
            Self::Outage { fault } => write!(f, "the crawl is held up: {fault}"),
            Self::NoCrawl => f.write_str("no crawl runs"),
        }
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.describe("", f)
    }
}

impl End {
    fn describe(&self, verb: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{verb}{}", self.outcome)?;
        if !self.detail.is_empty() {
            write!(f, ", {}", self.detail)?;
        }
        if let Some(at) = self.at {
            write!(f, ", at {}", humantime::format_rfc3339_seconds(at))?;
        }
        match &self.found_on {
            Some(page) => write!(f, "; found on {page}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{domain::Domain, outcome::DropReason, rate::Rate};

    #[test]
    fn an_explanation_reads_as_a_sentence_and_quotes_no_control_characters() {
        let limits = |rate, spacing| WaitsFor::Limits { domain: Domain::new("example.org"), rate, spacing };
        let delay = WaitsFor::CrawlDelay { asked: Duration::from_secs(10) };
        let (wait, end) = (Wait::default(), End::default());
        let end = End { outcome: "timeout".into(), detail: "no response head within 30s".into(), attempts: 3, ..end };
        let host =
            End { outcome: "scope/host".into(), found_on: Some("https://example.org/".into()), ..End::default() };
        let said = [
            Whereabouts::Waits(Wait {
                forecast: Some(Duration::from_millis(3_240)),
                ahead: Some(412),
                reasons: vec![limits(Some(Rate::per_second(1)), Duration::ZERO), delay],
                ..wait.clone()
            }),
            Whereabouts::Waits(Wait {
                queued: 2_000_000,
                reasons: vec![WaitsFor::Paused, limits(None, Duration::from_secs(90))],
                ..wait
            }),
            Whereabouts::Failed(end),
            Whereabouts::Dropped(host),
            Whereabouts::NeverHeardOf { would_be_dropped: Some(DropReason::Path), may_have_been_dropped: false },
            Whereabouts::TakenIn { not_looked_at: 0, at: None },
        ];
        assert_eq!(
            said.map(|stands| stands.to_string()),
            [
                "waits 3.240 s: 1/s at example.org; Crawl-delay 10.0 s; 412 before it",
                "waits: the crawl is paused; 90.0 s between starts at example.org; among 2,000,000 requests",
                "failed 3 times: timeout, no response head within 30s",
                "dropped: scope/host; found on https://example.org/",
                "never heard of; if it is found it is dropped: scope/path",
                "taken in and over: how is not known any more",
            ]
        );
        let hostile = End { outcome: "parse".into(), detail: "\u{1b}[31m\nwaits".into(), ..End::default() };
        let (url, domain) = (String::new(), Domain::new("e.org"));
        let text = Explanation { url, domain, stands: Whereabouts::Failed(hostile) }.to_string();
        assert_eq!(text, r"failed: parse, \u{1b}[31m waits");
    }
}
