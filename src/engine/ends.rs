//! LatestEnds: how the latest URLs ended, for questions about one (`explain`). Knows no queue and no reports.

use std::{borrow::Cow, collections::VecDeque, sync::Arc, time::SystemTime};

use hashbrown::{HashTable, hash_table::Entry};
use http::Method;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    clock,
    events::event::{Event, Fate, RequestEnded},
    explain::{End, Whereabouts},
    frontier::durable::DeadLetter,
    outcome::{DropReason, Outcome},
    request::{Kind, Request},
};

/// The latest ends of requests as links make them: `GET`, and without a body. A URL has one, the last.
pub struct LatestEnds {
    /// In their order.
    ended: VecDeque<EndedUrl>,
    /// The number of the oldest, counted from the first of all.
    oldest: u32,
    /// The numbers of the last end of each URL, by its key.
    last: HashTable<u32>,
    /// Random in each process, so that no site can construct URLs with equal hashes.
    seed: u64,
}

struct EndedUrl {
    /// The hash of the URL.
    key: u64,
    how: EndKind,
    /// Empty for a dropped URL: its reason is enough.
    word: Cow<'static, str>,
    detail: Option<Box<str>>,
    attempts: u32,
    /// `None` if it ended in an earlier process.
    at: Option<SystemTime>,
    found_on: Option<Arc<str>>,
}

/// How a URL ended.
#[derive(Clone, Copy)]
enum EndKind {
    Done,
    Failed,
    Dropped(DropReason),
}

/// What [`LatestEnds`] keeps of a page before Admission takes its request by value.
pub struct Arriving {
    key: u64,
    found_on: Option<Arc<str>>,
}

/// The most ends that are remembered: about 7 MB, plus the URLs of the pages on which they were found. A fast crawl has
/// as many in seconds, a polite one in hours. The crawl log has all of them.
const MAX_ENDS: usize = 65_536;

/// The longest detail that is remembered: an error may quote a whole page.
const MAX_DETAIL: usize = 200;

impl Default for LatestEnds {
    fn default() -> Self {
        Self { ended: VecDeque::new(), oldest: 0, last: HashTable::new(), seed: fastrand::u64(..) }
    }
}

impl LatestEnds {
    /// Records an event, if a page has ended with it.
    pub fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Dropped { what: Some((_, request)), reason, was_queued: true } => {
                self.end(request, |page| EndedUrl::dropped(page, reason));
            }
            Event::Failed { request, reason, detail, .. } => {
                self.end(request, |Arriving { key, found_on }| EndedUrl {
                    key,
                    how: EndKind::Failed,
                    word: reason.into(),
                    detail: kept(detail.to_owned()),
                    attempts: 0,
                    at: Some(clock::wall()),
                    found_on,
                });
            }
            Event::RequestEnded(ended) if ended.fate == Fate::Final => self.request_ended(&ended),
            _ => {}
        }
    }

    fn request_ended(&mut self, ended: &RequestEnded<'_>) {
        let RequestEnded { outcome, attempt, time, .. } = *ended;
        let (how, word) = match (outcome, outcome.dropped()) {
            (Outcome::Ok | Outcome::Redirect { .. }, _) => (EndKind::Done, outcome.key()),
            (_, None) => (EndKind::Failed, outcome.key()),
            (_, Some(reason)) => (EndKind::Dropped(reason), ""),
        };
        let detail = outcome.detail();
        self.end(ended.request, |Arriving { key, found_on }| EndedUrl {
            key,
            how,
            word: word.into(),
            detail: kept(detail),
            attempts: attempt,
            at: Some(time),
            found_on,
        });
    }

    /// Restores the requests that failed for good in earlier processes. Called before anything ends in this one.
    pub fn resume(&mut self, failed: Vec<DeadLetter>) {
        for DeadLetter { request, outcome, detail, .. } in failed {
            self.end(&request, |Arriving { key, found_on }| EndedUrl {
                key,
                how: EndKind::Failed,
                word: outcome.into(),
                detail: kept(detail),
                attempts: 0,
                at: None,
                found_on,
            });
        }
    }

    /// Copies what [`LatestEnds::dropped`] needs of a page, before Admission takes its request.
    pub fn arriving(&self, request: &Request) -> Option<Arriving> {
        let is_page = matches!(request.kind(), Kind::Page | Kind::File);
        // A question about a URL means the page behind a link, not the response to a form of the same URL.
        let is_of_link = request.method == Method::GET && request.body.is_empty();
        (is_page && is_of_link)
            .then(|| Arriving { key: self.key(request.url.as_str()), found_on: request.parent.clone() })
    }

    /// Records a page that was dropped where it was found.
    pub fn dropped(&mut self, page: Arriving, reason: DropReason) {
        self.keep(EndedUrl::dropped(page, reason));
    }

    fn end(&mut self, request: &Request, how: impl FnOnce(Arriving) -> EndedUrl) {
        if let Some(page) = self.arriving(request) {
            self.keep(how(page));
        }
    }

    fn keep(&mut self, ended: EndedUrl) {
        if self.ended.len() >= MAX_ENDS {
            self.forget_oldest();
        }
        let key = ended.key;
        // The bound is far below 2^32, so numbers may begin again at 0.
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are asked for")]
        let number = self.oldest.wrapping_add(self.ended.len() as u32);
        self.ended.push_back(ended);
        let (kept, oldest) = (&self.ended, self.oldest);
        let key_of = |number: &u32| at(kept, oldest, *number).map_or(0, |ended| ended.key);
        match self.last.entry(key, |number| key_of(number) == key, key_of) {
            Entry::Occupied(mut known) => *known.get_mut() = number,
            Entry::Vacant(place) => drop(place.insert(number)),
        }
    }

    fn forget_oldest(&mut self) {
        let number = self.oldest;
        if let Some(oldest) = self.ended.front()
            && let Ok(last) = self.last.find_entry(oldest.key, |last| *last == number)
        {
            last.remove();
        }
        self.ended.pop_front();
        self.oldest = self.oldest.wrapping_add(1);
    }

    /// Returns how a URL ended, if that is remembered.
    pub fn of(&self, url: &str) -> Option<Whereabouts> {
        self.of_key(self.key(url))
    }

    /// Returns how a page that was seen before failed, if it failed and its end is still remembered.
    pub fn failure_of(&self, page: &Arriving) -> Option<End> {
        match self.of_key(page.key)? {
            Whereabouts::Failed(end) => Some(end),
            _ => None,
        }
    }

    fn of_key(&self, key: u64) -> Option<Whereabouts> {
        let of_number = |number: u32| at(&self.ended, self.oldest, number);
        let is_it = |number: &u32| of_number(*number).is_some_and(|ended| ended.key == key);
        let ended = of_number(*self.last.find(key, is_it)?)?;
        let outcome = match ended.how {
            EndKind::Done | EndKind::Failed => ended.word.clone().into_owned(),
            EndKind::Dropped(reason) => reason.to_string(),
        };
        let end = End {
            outcome,
            detail: ended.detail.as_deref().unwrap_or_default().to_owned(),
            attempts: ended.attempts,
            at: ended.at,
            found_on: ended.found_on.clone(),
        };
        Some(match ended.how {
            EndKind::Done => Whereabouts::Done(end),
            EndKind::Failed => Whereabouts::Failed(end),
            EndKind::Dropped(_) => Whereabouts::Dropped(end),
        })
    }

    fn key(&self, url: &str) -> u64 {
        xxh3_64_with_seed(url.as_bytes(), self.seed)
    }
}

impl EndedUrl {
    fn dropped(Arriving { key, found_on }: Arriving, reason: DropReason) -> Self {
        Self {
            key,
            how: EndKind::Dropped(reason),
            word: Cow::Borrowed(""),
            detail: None,
            attempts: 0,
            at: Some(clock::wall()),
            found_on,
        }
    }
}

/// Returns the end of this number.
fn at(ended: &VecDeque<EndedUrl>, oldest: u32, number: u32) -> Option<&EndedUrl> {
    ended.get(number.wrapping_sub(oldest) as usize)
}

/// Returns what is remembered of a detail.
fn kept(mut detail: String) -> Option<Box<str>> {
    if detail.len() > MAX_DETAIL {
        let signs = detail.char_indices().map(|(at, _)| at);
        let end = signs.take_while(|at| *at <= MAX_DETAIL).last().unwrap_or(0);
        detail.truncate(end);
        detail.push('…');
    }
    (!detail.is_empty()).then(|| detail.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Domain;

    #[test]
    fn the_latest_ends_are_remembered_each_url_has_its_last_and_details_are_cut() {
        let (mut ends, domain) = (LatestEnds::default(), Domain::new("e.org"));
        let url = |number: usize| format!("http://e.org/{number}");
        let request = |number| Request::parse(&url(number)).unwrap();
        let failed = |ends: &mut LatestEnds, number, detail: &str| {
            let request = request(number);
            ends.note(&Event::Failed { domain: &domain, request: &request, reason: "parse", detail });
        };
        let dropped = |ends: &mut LatestEnds, number| {
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
        assert_eq!((ends.ended.len(), ends.last.len()), (MAX_ENDS, MAX_ENDS));
    }

    /// Regression: a form that had failed was taken for the page of its URL.
    #[test]
    fn the_end_of_a_form_is_not_said_of_the_page_of_its_url() {
        let (mut ends, domain) = (LatestEnds::default(), Domain::new("e.org"));
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
