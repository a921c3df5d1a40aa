//! Visits: what pages were like when they were last fetched, and which of them are due again. Knows no clock and no store.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::Frontier;
use crate::{
    identity::Fingerprint,
    recrawl::{
        Adaptive, Recrawl,
        page_visit::{PageChange, PageVersion, PageVisit},
    },
};

/// The last visits of pages, and what sitemaps say of them.
#[derive(Debug, Default)]
pub struct Visits {
    adaptive: Option<Adaptive>,
    /// Whether the dates of sitemaps count.
    by_lastmod: bool,
    /// When this crawl began.
    began: Option<Instant>,
    known: HashMap<Fingerprint, PageVisit>,
    /// What is to be stored.
    changes: Vec<(Fingerprint, PageVisit)>,
    is_stored: bool,
}

/// The most pages whose visits are known, about 150 MB. Others are new each time that they are found again.
pub const MAX_KNOWN: usize = 2_000_000;

/// What is known of a page that was admitted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A sitemap says that it has not changed since.
    Unchanged,
    /// Its interval has not passed.
    NotDue,
    /// It is to be fetched again.
    Due,
}

impl Visits {
    /// Keeps visits if the interval of each page is adapted.
    pub fn new(recrawl: &Recrawl) -> Self {
        Self { adaptive: recrawl.adaptive.clone(), by_lastmod: recrawl.by_lastmod, ..Self::default() }
    }

    /// Judges a page, by the date that a sitemap gives it (it is `unchanged_for` so long), or else by its last visit. `None`
    /// if neither is known.
    pub fn judge(
        &mut self,
        frontier: &dyn Frontier,
        fingerprint: &Fingerprint,
        unchanged_for: Option<Duration>,
        now: Instant,
    ) -> Option<Verdict> {
        let began = *self.began.get_or_insert(now);
        if !self.by_lastmod && self.adaptive.is_none() {
            return None;
        }
        let ago = frontier.admitted_ago(fingerprint, now)?;
        if let Some(unchanged_for) = unchanged_for.filter(|_| self.by_lastmod)
            // Another sitemap may list it in the same crawl, with a date that is not over yet.
            && ago > now.saturating_duration_since(began)
        {
            return Some(if unchanged_for < ago { Verdict::Due } else { Verdict::Unchanged });
        }
        let due_after = self.known.get(fingerprint)?.due_after();
        Some(if ago < due_after { Verdict::NotDue } else { Verdict::Due })
    }

    /// Takes up what an earlier process stored, and collects what a later one needs.
    pub fn resume(&mut self, known: Vec<(Fingerprint, PageVisit)>) {
        self.is_stored = true;
        self.known.extend(known.into_iter().take(MAX_KNOWN));
    }

    /// Returns the last visit of a page.
    pub fn of(&self, fingerprint: &Fingerprint) -> Option<PageVisit> {
        self.known.get(fingerprint).copied()
    }

    /// Records a visit at this second since 1970. Returns what to count it as; `None` if no visits are kept.
    pub fn record(&mut self, fingerprint: Fingerprint, version: PageVersion, now: u32) -> Option<&'static str> {
        let adaptive = self.adaptive.as_ref()?;
        let before = self.known.get(&fingerprint);
        let change = before.map(|before| before.version.change_to(&version));
        let is_changed = match change {
            None | Some(PageChange::Large) => true,
            Some(PageChange::Small) => !adaptive.ignore_small_changes,
            Some(PageChange::None) => false,
        };
        let interval = adaptive.next(before.map(PageVisit::due_after), is_changed).as_secs();
        let visit = PageVisit {
            version,
            fetched_at: now,
            changed_at: before.filter(|_| !is_changed).map_or(now, |before| before.changed_at),
            interval: u32::try_from(interval).unwrap_or(u32::MAX),
        };
        let word = match change {
            None if self.known.len() >= MAX_KNOWN => return Some("not_remembered"),
            None => "first_visit",
            Some(_) if is_changed => "changed",
            Some(_) => "unchanged",
        };
        self.known.insert(fingerprint, visit);
        if self.is_stored {
            self.changes.push((fingerprint, visit));
        }
        Some(word)
    }

    /// Takes what is to be stored.
    pub fn take_changes(&mut self) -> Vec<(Fingerprint, PageVisit)> {
        std::mem::take(&mut self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Domain, frontier::MemoryFrontier, request::Request};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn recrawl(by_lastmod: bool) -> Recrawl {
        let adaptive = Adaptive { first: 8 * HOUR, least: 2 * HOUR, most: 20 * HOUR, ..Adaptive::default() };
        Recrawl { adaptive: (!by_lastmod).then_some(adaptive), by_lastmod, ..Recrawl::default() }
    }

    fn version(content: u64) -> PageVersion {
        PageVersion { content, simhash: None }
    }

    #[test]
    fn a_page_is_due_sooner_after_a_change_and_later_without_one() {
        let mut visits = Visits::new(&recrawl(false));
        visits.resume(Vec::new());
        let page = Fingerprint::from_bytes([7; 16]);
        let mut words = Vec::new();
        let mut intervals = Vec::new();
        for content in [1, 1, 1, 2, 3, 4, 5] {
            words.extend(visits.record(page, version(content), 1_000));
            intervals.push(visits.of(&page).unwrap().due_after().as_secs() / 3_600);
        }
        assert_eq!(words, ["first_visit", "unchanged", "unchanged", "changed", "changed", "changed", "changed"]);
        assert_eq!(intervals, [8, 16, 20, 10, 5, 2, 2]);
        assert_eq!(visits.take_changes().len(), 7);
        assert_eq!(Visits::new(&Recrawl::default()).record(page, version(1), 0), None);
    }

    /// Admits a page, and judges it so much later.
    fn judge_later(recrawl: &Recrawl, ago: Duration, unchanged_for: Option<Duration>) -> Option<Verdict> {
        let (mut visits, now) = (Visits::new(recrawl), Instant::now());
        let request = Request::parse("https://e.org/").unwrap();
        let page = request.fingerprint();
        let mut frontier = MemoryFrontier::new(recrawl.clone(), now);
        assert_eq!(visits.judge(&frontier, &page, unchanged_for, now), None, "it was never seen");
        frontier.offer(&Domain::new("e.org"), page, request, now);
        visits.record(page, version(1), 0);
        // As a later process does.
        visits.began = None;
        visits.judge(&frontier, &page, unchanged_for, now + ago)
    }

    #[test]
    fn a_page_is_due_when_its_interval_has_passed() {
        assert_eq!(judge_later(&recrawl(false), 7 * HOUR, None), Some(Verdict::NotDue));
        assert_eq!(judge_later(&recrawl(false), 8 * HOUR, None), Some(Verdict::Due));
        assert_eq!(judge_later(&recrawl(false), 8 * HOUR, Some(9 * HOUR)), Some(Verdict::Due), "dates do not count");
        assert_eq!(judge_later(&Recrawl::default(), 8 * HOUR, Some(HOUR)), None);
    }

    #[test]
    fn a_date_after_the_last_visit_makes_a_page_due_and_one_before_it_does_not() {
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, Some(HOUR)), Some(Verdict::Due));
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, Some(8 * HOUR)), Some(Verdict::Unchanged));
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, None), None);
    }
}
