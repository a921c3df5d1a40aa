//! Ends: how the latest URLs ended, for whoever asks about one. Knows no queue and no reports.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use hashbrown::HashMap;
use http::Method;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    clock,
    event::{Event, Fate, RequestEnded},
    explain::{End, Whereabouts},
    outcome::{DropReason, Outcome},
    request::{Kind, Request},
};

/// The latest ends of requests as links make them: `GET`, and without a body. A URL has one, the last.
pub struct Ends {
    known: HashMap<u64, (u64, Ended)>,
    /// The URLs in the order of their ends, each with the number of its end; the last one of a URL counts.
    order: VecDeque<(u64, u64)>,
    next: u64,
    /// Unlike in every process, so that no site can make URLs whose hashes are the same.
    seed: u64,
}

struct Ended {
    how: How,
    detail: Option<Box<str>>,
    attempts: u32,
    at: SystemTime,
    found_on: Option<Arc<str>>,
}

/// How a URL ended, in one word.
#[derive(Clone, Copy)]
enum How {
    Done(&'static str),
    Failed(&'static str),
    Dropped(DropReason),
}

/// A page that comes to admission, which takes the request.
pub struct Arriving {
    key: u64,
    found_on: Option<Arc<str>>,
}

/// The most ends that are remembered, some 10 MB: what a fast crawl does in some seconds, and a polite one in hours. All
/// of them are in the crawl log.
const MAX_ENDS: usize = 65_536;

/// The longest detail that is remembered: an error may quote a whole page.
const MAX_DETAIL: usize = 200;

impl Default for Ends {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), next: 0, seed: fastrand::u64(..) }
    }
}

impl Ends {
    /// Takes note of an event, if a page has ended with it.
    pub fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Dropped { what: Some((_, request)), reason, was_queued: true } => {
                self.end(request, How::Dropped(reason), 0, String::new());
            }
            Event::Failed { request, reason, detail, .. } => {
                self.end(request, How::Failed(reason), 0, detail.to_owned());
            }
            Event::RequestEnded(ended) if ended.fate == Fate::Final => self.request_ended(&ended),
            _ => {}
        }
    }

    fn request_ended(&mut self, ended: &RequestEnded<'_>) {
        let how = match ended.outcome {
            Outcome::Ok | Outcome::Redirect { .. } => How::Done(ended.outcome.key()),
            outcome => outcome.dropped().map_or(How::Failed(outcome.key()), How::Dropped),
        };
        self.end(ended.request, how, ended.attempt, ended.outcome.detail());
    }

    /// Takes note of a page before admission takes its request. A link that is dropped there is told by
    /// [`Ends::dropped`].
    pub fn arriving(&self, request: &Request) -> Option<Arriving> {
        let is_page = matches!(request.kind(), Kind::Page | Kind::File);
        // Who asks means the page that a link leads to, and not what a form of the same URL was answered.
        let is_of_link = request.method == Method::GET && request.body.is_empty();
        (is_page && is_of_link)
            .then(|| Arriving { key: self.key(request.url.as_str()), found_on: request.parent.clone() })
    }

    /// Takes note of a page that was dropped where it was found.
    pub fn dropped(&mut self, page: Arriving, reason: DropReason) {
        self.keep(page, How::Dropped(reason), 0, String::new());
    }

    fn end(&mut self, request: &Request, how: How, attempts: u32, detail: String) {
        if let Some(page) = self.arriving(request) {
            self.keep(page, how, attempts, detail);
        }
    }

    fn keep(&mut self, Arriving { key, found_on }: Arriving, how: How, attempts: u32, mut detail: String) {
        if detail.len() > MAX_DETAIL {
            let signs = detail.char_indices().map(|(at, _)| at);
            let end = signs.take_while(|at| *at <= MAX_DETAIL).last().unwrap_or(0);
            detail.truncate(end);
            detail.push('…');
        }
        let detail = (!detail.is_empty()).then(|| detail.into());
        self.next += 1;
        self.known.insert(key, (self.next, Ended { how, detail, attempts, at: clock::wall(), found_on }));
        self.order.push_back((key, self.next));
        if self.order.len() > MAX_ENDS
            && let Some((oldest, number)) = self.order.pop_front()
            && self.known.get(&oldest).is_some_and(|(last, _)| *last == number)
        {
            self.known.remove(&oldest);
        }
    }

    /// Returns how a URL ended, if that is remembered.
    pub fn of(&self, url: &str) -> Option<Whereabouts> {
        let (_, ended) = self.known.get(&self.key(url))?;
        let detail = ended.detail.as_deref().unwrap_or_default().to_owned();
        let outcome = match ended.how {
            How::Done(word) | How::Failed(word) => word.to_owned(),
            How::Dropped(reason) => reason.to_string(),
        };
        let end =
            End { outcome, detail, attempts: ended.attempts, at: Some(ended.at), found_on: ended.found_on.clone() };
        Some(match ended.how {
            How::Done(_) => Whereabouts::Done(end),
            How::Failed(_) => Whereabouts::Failed(end),
            How::Dropped(_) => Whereabouts::Dropped(end),
        })
    }

    fn key(&self, url: &str) -> u64 {
        xxh3_64_with_seed(url.as_bytes(), self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Domain;

    #[test]
    fn the_latest_ends_are_remembered_each_url_has_its_last_and_details_are_cut() {
        let (mut ends, domain) = (Ends::default(), Domain::new("e.org"));
        let url = |number: usize| format!("http://e.org/{number}");
        let request = |number| Request::parse(&url(number)).unwrap();
        let failed = |ends: &mut Ends, number, detail: &str| {
            let request = request(number);
            ends.note(&Event::Failed { domain: &domain, request: &request, reason: "parse", detail });
        };
        let dropped = |ends: &mut Ends, number| {
            let request = request(number);
            let what = Some((&domain, &request));
            ends.note(&Event::Dropped { what, reason: DropReason::Robots, was_queued: true });
        };
        failed(&mut ends, 0, &"é".repeat(200));
        dropped(&mut ends, 1);
        failed(&mut ends, 1, "why");
        assert!(
            matches!(ends.of(&url(0)), Some(Whereabouts::Failed(end)) if end.detail == format!("{}…", "é".repeat(100)))
        );
        assert!(matches!(ends.of(&url(1)), Some(Whereabouts::Failed(end)) if end.detail == "why"));
        (2..MAX_ENDS).for_each(|number| dropped(&mut ends, number));
        assert!(ends.of(&url(0)).is_none());
        assert!(matches!(ends.of(&url(1)), Some(Whereabouts::Failed(_))), "its first end is forgotten, not its last");
        dropped(&mut ends, MAX_ENDS);
        assert!(ends.of(&url(1)).is_some());
        dropped(&mut ends, MAX_ENDS + 1);
        assert!(ends.of(&url(1)).is_none() && ends.of(&url(2)).is_some());
        assert_eq!((ends.order.len(), ends.known.len()), (MAX_ENDS, MAX_ENDS));
    }

    /// Regression: a form that had failed was taken for the page of its URL.
    #[test]
    fn the_end_of_a_form_is_not_said_of_the_page_of_its_url() {
        let (mut ends, domain) = (Ends::default(), Domain::new("e.org"));
        let page = Request::parse("http://e.org/").unwrap();
        let [mut form, mut query] = [(); 2].map(|()| page.clone());
        form.method = Method::POST;
        query.body = "{}".into();
        for request in [&form, &query] {
            ends.note(&Event::Failed { domain: &domain, request, reason: "parse", detail: "" });
        }
        assert!(ends.of("http://e.org/").is_none());
        ends.note(&Event::Failed { domain: &domain, request: &page, reason: "parse", detail: "" });
        assert!(ends.of("http://e.org/").is_some());
    }
}
