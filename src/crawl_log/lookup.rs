//! Lookup: where a URL stands by the crawl log, which may be that of a running crawl. Knows no state.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
    sync::Arc,
};

use memchr::memmem::Finder;
use serde::Deserialize;

use crate::{
    disk::input_file::read_line,
    domain::{Domain, DomainKey},
    error::{Error, Result},
    explain::{End, Explanation, Wait, WaitsFor, Whereabouts},
    identity::CanonicalUrl,
    request::parse_url,
};

/// What is read of a line.
#[derive(Deserialize)]
struct Logged {
    time: String,
    domain: Domain,
    outcome: String,
    #[serde(default)]
    detail: String,
    status: Option<u16>,
    attempt: u32,
    #[serde(rename = "final")]
    is_final: bool,
    parent: Option<Arc<str>>,
}

/// Reads a crawl log and tells where a URL stands by its last line.
///
/// # Errors
/// The text is not a URL that can be crawled, or the log cannot be read, or it is no crawl log.
pub fn explain(log: &Path, url: &str) -> Result<Explanation> {
    let mut url = parse_url(url)?;
    CanonicalUrl::default().apply(&mut url);
    let refuse = |source| Error::file(log, source);
    let mut lines = BufReader::new(File::open(log).map_err(refuse)?);
    // As the log spells it: JSON escapes the backslash that a query may have.
    let named = format!("\"url\":{}", serde_json::Value::from(url.as_str()));
    let named = Finder::new(&named);
    let (mut line, mut last) = (Vec::new(), None);
    let mut is_log = None;
    while read_line(&mut lines, &mut line).map_err(refuse)? > 0 {
        is_log = is_log.or_else(|| Some(may_be_logged(&line)));
        if named.find(&line).is_some()
            // The last line of a running crawl may be half written.
            && let Ok(logged) = serde_json::from_slice::<Logged>(&line)
            // Others tell of links of the page.
            && (logged.is_final || logged.attempt > 0)
        {
            last = Some(logged);
        }
        line.clear();
    }
    Ok(match last {
        Some(logged) => Explanation { url: url.into(), domain: logged.domain.clone(), stands: logged.into() },
        None if is_log == Some(false) => {
            let why = "it is no crawl log; name the file that the crawl was given for its log";
            return Err(refuse(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        None => {
            Explanation { domain: DomainKey::default().domain(&url), url: url.into(), stands: Whereabouts::NotLogged }
        }
    })
}

/// Tells whether a line may be one of a crawl log. One without an end may be half written.
fn may_be_logged(line: &[u8]) -> bool {
    if line.ends_with(b"\n") { serde_json::from_slice::<Logged>(line).is_ok() } else { line.starts_with(b"{") }
}

impl From<Logged> for Whereabouts {
    fn from(logged: Logged) -> Self {
        let Logged { time, outcome, detail, status, attempt, is_final, parent, .. } = logged;
        // No line of a robots file is final, since it is asked for again when its answer has grown old.
        let is_robots_file_answered = match outcome.as_str() {
            "robots/ok" | "robots/redirect" => true,
            "robots/status" => status.is_some_and(|status| status < 500),
            _ => false,
        };
        if !is_final && !is_robots_file_answered {
            let reasons = vec![WaitsFor::AnotherAttempt { outcome, detail }];
            return Self::Waits(Wait { attempts: attempt, reasons, found_on: parent, ..Wait::default() });
        }
        let (attempts, found_on) = (attempt, parent);
        let end = End { at: humantime::parse_rfc3339(&time).ok(), attempts, found_on, outcome, detail };
        match (end.outcome.as_str(), end.detail.as_str()) {
            ("ok" | "redirect", _) => Self::Done(end),
            _ if is_robots_file_answered => Self::Done(end),
            ("ignored" | "skipped", _) => Self::Dropped(end),
            ("scope" | "trap" | "budget" | "sitemap" | "stopped" | "domain", reason)
            | ("robots", reason @ "disallowed") => {
                let outcome = format!("{}/{reason}", end.outcome);
                Self::Dropped(End { outcome, detail: String::new(), ..end })
            }
            _ => Self::Failed(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Explains a URL by a log of these lines: path, outcome, detail, attempt, whether it is final.
    fn explained(lines: &[(&str, &str, &str, u32, bool)], rest: &str, path: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let mut text = String::new();
        for (path, outcome, detail, attempt, is_final) in lines {
            let head = format!(r#""time":"2026-01-02T03:04:05.000Z","url":"http://e.org{path}","domain":"e.org""#);
            let end = format!(r#""outcome":"{outcome}","detail":"{detail}","attempt":{attempt},"final":{is_final}"#);
            writeln!(text, "{{{head},{end},\"depth\":1,\"parent\":\"http://e.org/\"}}").unwrap();
        }
        std::fs::write(&log, text + rest).unwrap();
        let url = format!("http://e.org{}", path.replace(r"\\", r"\"));
        let explained = explain(&log, &url).unwrap();
        (explained.stands != Whereabouts::NotLogged).then(|| explained.to_string())
    }

    #[test]
    fn the_last_line_of_a_url_tells_where_it_stands() {
        let lines = [
            ("/again", "timeout", "no response head within 30s", 1, false),
            ("/fine", "status", "502", 1, false),
            ("/fine", "ok", "", 2, true),
            ("/fine", "budget", "links_per_page, 3 links of this page", 0, false),
            ("/fine/more", "status", "404", 1, true),
            ("/nearer", "scope", "depth", 0, true),
            ("/nearer", "ok", "", 1, true),
            ("/out", "scope", "host", 0, true),
            ("/denied", "robots", "disallowed", 0, true),
            ("/unknown", "robots", "status 503", 0, true),
            ("/cancelled", "domain", "cancelled", 0, true),
            ("/skipped", "skipped", "soft-block: a captcha", 1, true),
            (r"/s?path=C:\\x", "ok", "", 1, true),
            ("/robots.txt", "robots/ok", "", 1, false),
            ("/moved/robots.txt", "robots/redirect", "http://e.org/robots.txt", 1, false),
        ];
        let half = r#"{"time":"2026-01-02T03:04:05.000Z","url":"http://e.org/out","dom"#;
        let said = |path: &str| explained(&lines, half, path);
        let (at, found) = (", at 2026-01-02T03:04:05Z", "; found on http://e.org/");
        let told = [
            ("/fine", "done: ok"),
            ("/fine/more", "failed: status, 404"),
            ("/nearer", "done: ok"),
            ("/out", "dropped: scope/host"),
            ("/denied", "dropped: robots/disallowed"),
            ("/unknown", "failed: robots, status 503"),
            ("/cancelled", "dropped: domain/cancelled"),
            ("/skipped", "dropped: skipped, soft-block: a captcha"),
            (r"/s?path=C:\\x", "done: ok"),
            ("/robots.txt", "done: robots/ok"),
            ("/moved/robots.txt", "done: robots/redirect, http://e.org/robots.txt"),
        ];
        for (path, how) in told {
            assert_eq!(said(path), Some(format!("{how}{at}{found}")));
        }
        let again = "waits: another attempt after: timeout, no response head within 30s; found on http://e.org/";
        assert_eq!((said("/again").as_deref(), said("/none")), (Some(again), None));
    }

    #[test]
    fn a_file_that_is_no_log_is_refused_and_one_that_has_just_begun_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let explained = |text: &str| {
            std::fs::write(&file, text).unwrap();
            explain(&file, "http://e.org/").map(|explained| explained.to_string()).map_err(|error| error.to_string())
        };
        for begun in ["", r#"{"time":"2026"#] {
            assert!(explained(begun).unwrap().starts_with("not in the log"), "{begun}");
        }
        for other in ["url,title\nhttp://e.org/,One\n", "{\"url\":\"http://e.org/\"}\n", "url"] {
            assert!(explained(other).unwrap_err().contains("no crawl log"), "{other}");
        }
    }
}
