//! Pages: which answer a site has for which URL. Knows no time and no connection.

use std::{fmt, sync::Arc};

use hashbrown::{HashMap, HashSet};
use url::{Position, Url};

use super::{Answer, Arrival};

/// The pages of a site, of all its domains.
#[derive(Clone, Default)]
pub struct Pages {
    /// By URL without fragment.
    exact: HashMap<String, Vec<Answer>>,
    /// By the beginning of a URL.
    below: HashMap<String, Responder>,
    hosts: HashSet<(String, u16)>,
    unreachable: HashSet<(String, u16)>,
}

/// A function that answers.
type Responder = Arc<dyn Fn(&Arrival) -> Answer + Send + Sync>;

/// Whether a connection to a host can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can.
    Open,
    /// The host refuses it.
    Refused,
    /// There is no such host.
    Unknown,
}

impl Pages {
    /// Adds a page that has these answers, one after the other; the last is repeated.
    pub fn add(&mut self, url: &Url, answers: Vec<Answer>) {
        self.hosts.insert(host_of(url));
        self.exact.insert(key(url).to_owned(), answers);
    }

    /// Adds a function that answers for each URL that begins with this one and has no page.
    pub fn add_below(&mut self, url: &Url, responder: impl Fn(&Arrival) -> Answer + Send + Sync + 'static) {
        self.hosts.insert(host_of(url));
        self.below.insert(key(url).to_owned(), Arc::new(responder));
    }

    /// Adds a host that refuses connections.
    pub fn add_unreachable(&mut self, url: &Url) {
        self.unreachable.insert(host_of(url));
    }

    /// Tells whether a host can be connected to.
    pub fn reach(&self, host: &str, port: u16) -> Reach {
        let place = (host.to_owned(), port);
        if self.unreachable.contains(&place) {
            Reach::Refused
        } else if self.hosts.contains(&place) {
            Reach::Open
        } else {
            Reach::Unknown
        }
    }

    /// Answers a request, the `turn`-th of its URL counted from 0.
    pub fn answer(&self, arrival: &Arrival, turn: usize) -> Answer {
        let key = key(&arrival.url);
        if let Some(answer) = self.exact.get(key).and_then(|answers| answers.get(turn).or(answers.last())) {
            return answer.clone();
        }
        let below = self.below.iter().filter(|(beginning, _)| key.starts_with(*beginning));
        let closest = below.max_by_key(|(beginning, _)| beginning.len());
        closest.map_or_else(|| Answer::html("not found").with_status(404), |(_, responder)| responder(arrival))
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("pages", &self.exact.len())
            .field("functions", &self.below.len())
            .finish_non_exhaustive()
    }
}

fn key(url: &Url) -> &str {
    &url[..Position::AfterQuery]
}

fn host_of(url: &Url) -> (String, u16) {
    (url.host_str().unwrap_or_default().to_owned(), url.port_or_known_default().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, Method};

    use super::*;

    fn arrival(url: &str) -> Arrival {
        let (url, headers) = (Url::parse(url).unwrap(), HeaderMap::new());
        Arrival { at: Duration::ZERO, method: Method::GET, url, headers, body: "".into(), answered: None }
    }

    #[test]
    fn a_page_goes_before_a_function_and_the_longest_beginning_before_others() {
        let mut pages = Pages::default();
        let url = |text| Url::parse(text).unwrap();
        pages.add(&url("https://e.org/a/page"), vec![Answer::status(201), Answer::status(202)]);
        pages.add_below(&url("https://e.org/"), |_| Answer::status(203));
        pages.add_below(&url("https://e.org/a/"), |_| Answer::status(204));
        let status = |url, turn| pages.answer(&arrival(url), turn).status;
        assert_eq!([0, 1, 2].map(|turn| status("https://e.org/a/page#part", turn)), [201, 202, 202]);
        assert_eq!(status("https://e.org/a/b", 0), 204);
        assert_eq!(status("https://e.org/b?a", 0), 203);
        assert_eq!(status("http://e.org/", 0), 404);
    }
}
