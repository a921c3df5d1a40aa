//! Sites: a dozen small sites, as functions from a request to a response. Knows no network.

use std::{fmt::Write, time::Duration};

/// One of the demo's sites.
pub struct DemoSite {
    /// Its host.
    pub host: &'static str,
    /// The name for its pages.
    noun: &'static str,
    /// The number of pages beside the front page.
    pages: u32,
    /// What the site demonstrates.
    pub story: &'static str,
}

const fn site(host: &'static str, noun: &'static str, pages: u32, story: &'static str) -> DemoSite {
    DemoSite { host, noun, pages, story }
}

/// The sites. Names under `.test` are reserved for tests (RFC 2606).
pub const SITES: [DemoSite; 12] = [
    site("library.test", "shelf", 13, "answers at once"),
    site("bakery.test", "loaf", 12, "answers at once"),
    site("garden.test", "bed", 12, "answers at once"),
    site("observatory.test", "star", 8, "takes its time: 1.2 seconds an answer"),
    site("tearoom.test", "tea", 8, "gets tired: 429, come back in 4 seconds"),
    site("monastery.test", "cell", 6, "robots.txt: 2 seconds between requests, and no visitors in /cloister/"),
    site("gazette.test", "issue", 9, "has moved its last issues to archive.test"),
    site("archive.test", "box", 8, "is where gazette.test redirects to"),
    site("museum.test", "exhibit", 8, "links to a page that was stolen"),
    site("ferry.test", "crossing", 8, "breaks down once, and must be asked again"),
    site("post.test", "letter", 7, "sends you round in circles"),
    site("maze.test", "room", 5, "goes on for ever"),
];

/// The `Retry-After` of an overloaded site.
pub const TIRED: Duration = Duration::from_secs(4);

/// The Crawl-delay of `monastery.test`.
pub const QUIET: Duration = Duration::from_secs(2);

/// A response.
pub struct DemoResponse {
    /// The status.
    pub status: u16,
    /// Headers, each with its line's end.
    pub headers: String,
    /// The body.
    pub body: String,
    /// How long it takes.
    pub takes: Duration,
    /// A remark to show about it.
    pub remark: Option<String>,
}

impl DemoResponse {
    fn new(status: u16, body: String) -> Self {
        Self { status, headers: String::new(), body, takes: Duration::ZERO, remark: None }
    }

    fn moved(to: &str) -> Self {
        Self { headers: format!("location: {to}\r\n"), ..Self::new(301, String::new()) }
    }

    fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }
}

/// Responds to the request for a path, which was requested `before` times already.
pub fn answer(host: &str, path: &str, before: u32) -> DemoResponse {
    let Some(site) = SITES.iter().find(|site| site.host == host) else {
        return DemoResponse::new(404, format!("there is no {host}"));
    };
    match (host, path) {
        ("monastery.test", "/robots.txt") => {
            let file = format!("User-agent: *\nCrawl-delay: {}\nDisallow: /cloister/\n", QUIET.as_secs());
            DemoResponse { headers: "content-type: text/plain\r\n".into(), ..DemoResponse::new(200, file) }
        }
        ("tearoom.test", "/tea/3") if before == 0 => {
            let headers = format!("retry-after: {}\r\n", TIRED.as_secs());
            DemoResponse { headers, ..DemoResponse::new(429, String::new()) }
                .remark(format!("says 429, come back in {} seconds", TIRED.as_secs()))
        }
        ("ferry.test", "/crossing/2") if before == 0 => {
            DemoResponse::new(502, String::new()).remark("says 502 for one page, which is asked for again later")
        }
        ("gazette.test", "/issue/7" | "/issue/8" | "/issue/9") => {
            let to = format!("http://archive.test{path}");
            DemoResponse::moved(&to).remark(format!("{path} has moved to {to}"))
        }
        ("archive.test", "/issue/7" | "/issue/8" | "/issue/9") => page(site, path, &[]),
        ("museum.test", "/exhibit/stolen") => {
            DemoResponse::new(404, String::new()).remark(format!("says 404 to {path}"))
        }
        ("post.test", "/forward/here") => DemoResponse::moved("/forward/there"),
        ("post.test", "/forward/there") => DemoResponse::moved("/forward/here").remark("redirects in a circle"),
        ("maze.test", path) if is_deep(path) => page(site, path, &["deeper/".to_owned()]),
        _ => site.page_at(path),
    }
}

fn is_deep(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| !rest.is_empty() && rest.replace("deeper/", "").is_empty())
}

impl DemoSite {
    fn page_at(&self, path: &str) -> DemoResponse {
        let number = match path.strip_prefix('/').map(|path| path.split_once('/')) {
            Some(None) if path == "/" => 0,
            Some(Some((noun, number))) if noun == self.noun => match number.parse() {
                Ok(number) if number <= self.pages => number,
                _ => return DemoResponse::new(404, String::new()),
            },
            _ => return DemoResponse::new(404, String::new()),
        };
        // Each page links to three more, so that the crawl finds them gradually.
        let next = (number * 3 + 1..=number * 3 + 3).filter(|next| *next <= self.pages);
        let mut links: Vec<_> = next.map(|next| format!("/{}/{next}", self.noun)).collect();
        if number == 0 {
            links.extend(SITES.iter().map(|site| format!("http://{}/", site.host)));
            links.extend(match self.host {
                "monastery.test" => vec!["/cloister/choir".to_owned(), "/cloister/garden".to_owned()],
                "museum.test" => vec!["/exhibit/stolen".to_owned()],
                "post.test" => vec!["/forward/here".to_owned()],
                "maze.test" => vec!["/deeper/".to_owned()],
                "library.test" => vec!["http://elsewhere.example/".to_owned()],
                _ => Vec::new(),
            });
        }
        let page = page(self, path, &links);
        let takes = if self.host == "observatory.test" { Duration::from_millis(1_200) } else { Duration::ZERO };
        DemoResponse { takes, ..page }
    }
}

fn page(site: &DemoSite, path: &str, links: &[String]) -> DemoResponse {
    let mut body = format!("<!doctype html><title>{} {path}</title><h1>{path}</h1>", site.host);
    for link in links {
        // Writing to a String cannot fail.
        let _ = write!(body, "<p><a href=\"{link}\">{link}</a>");
    }
    DemoResponse { headers: "content-type: text/html; charset=utf-8\r\n".into(), ..DemoResponse::new(200, body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_a_site_is_there_and_nothing_beyond() {
        for site in SITES.iter().filter(|site| !matches!(site.host, "tearoom.test" | "ferry.test" | "gazette.test")) {
            for number in 1..=site.pages {
                assert_eq!(answer(site.host, &format!("/{}/{number}", site.noun), 0).status, 200, "{}", site.host);
            }
            assert_eq!(answer(site.host, &format!("/{}/{}", site.noun, site.pages + 1), 0).status, 404);
            assert_eq!(answer(site.host, "/", 0).status, 200);
        }
    }

    #[test]
    fn what_breaks_once_works_when_it_is_asked_again() {
        assert_eq!(
            (answer("tearoom.test", "/tea/3", 0).status, answer("tearoom.test", "/tea/3", 1).status),
            (429, 200)
        );
        assert_eq!(answer("ferry.test", "/crossing/2", 1).status, 200);
    }

    #[test]
    fn where_the_gazette_redirects_to_there_is_a_page() {
        for number in 7..=9 {
            assert_eq!(answer("gazette.test", &format!("/issue/{number}"), 0).status, 301);
            assert_eq!(answer("archive.test", &format!("/issue/{number}"), 0).status, 200);
        }
    }
}
