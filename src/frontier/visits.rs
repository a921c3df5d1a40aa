//! Visits: what pages were like when they were last fetched, and which of them are due again. Knows no clock and no
//! store.

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
    known: HashMap<Fingerprint, KnownPage>,
    /// What is to be stored.
    changes: Vec<(Fingerprint, PageVisit)>,
    is_stored: bool,
}

/// A last visit, and what has become of the page in this process.
#[derive(Clone, Copy, Debug)]
struct KnownPage {
    visit: PageVisit,
    /// Seconds of this process, from 1 on, at which it was fetched; or one of those below.
    fetched: u32,
}

/// It was fetched by an earlier process, or not since it was last admitted.
const BEFORE: u32 = 0;

/// It waits to be fetched, or is being fetched.
const WAITING: u32 = u32::MAX;

/// The most pages whose visits are known, about 140 MB; a few more would double the table. Others are new each time
/// that they are found again.
pub const MAX_KNOWN: usize = 1_800_000;

/// What is known of a page that was admitted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisitDecision {
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

    /// Judges a page, by the date that a sitemap gives it (it is `unchanged_for` so long), or else by its last visit.
    /// `None` if neither is known.
    pub fn judge(
        &mut self,
        frontier: &dyn Frontier,
        fingerprint: &Fingerprint,
        unchanged_for: Option<Duration>,
        now: Instant,
    ) -> Option<RevisitDecision> {
        let began = *self.began.get_or_insert(now);
        if !self.by_lastmod && self.adaptive.is_none() {
            return None;
        }
        let since_began = now.saturating_duration_since(began);
        let ago = frontier.admitted_ago(fingerprint, now)?;
        if let Some(unchanged_for) = unchanged_for.filter(|_| self.by_lastmod)
            // Another sitemap may list it in the same crawl, with a date that is not over yet.
            && ago > since_began
        {
            return Some(if unchanged_for < ago { RevisitDecision::Due } else { RevisitDecision::Unchanged });
        }
        let KnownPage { visit, fetched } = self.known.get(fingerprint)?;
        let ago = match *fetched {
            // Links to a page that waits longer than its interval would queue it again and again.
            WAITING => return Some(RevisitDecision::NotDue),
            // Where it has waited long, its admission was long before.
            seconds @ 1.. => since_began.saturating_sub(Duration::from_secs(seconds.into())),
            BEFORE => ago,
        };
        Some(if ago < visit.due_after() { RevisitDecision::NotDue } else { RevisitDecision::Due })
    }

    /// Records that a page waits from now on.
    pub fn queued(&mut self, fingerprint: &Fingerprint) {
        self.known.entry(*fingerprint).and_modify(|known| known.fetched = WAITING);
    }

    /// Records that a page has ended, if it was not fetched: its admission counts in place of that.
    pub fn ended(&mut self, fingerprint: &Fingerprint) {
        if let Some(known) = self.known.get_mut(fingerprint).filter(|known| known.fetched == WAITING) {
            known.fetched = BEFORE;
        }
    }

    /// Tells whether any visits are known.
    pub fn is_active(&self) -> bool {
        !self.known.is_empty()
    }

    /// Takes up what an earlier process stored, and collects what a later one needs.
    pub fn resume(&mut self, known: Vec<(Fingerprint, PageVisit)>) {
        self.is_stored = true;
        let known = known.into_iter().map(|(page, visit)| (page, KnownPage { visit, fetched: BEFORE }));
        self.known.extend(known.take(MAX_KNOWN));
    }

    /// Returns the last visit of a page.
    pub fn of(&self, fingerprint: &Fingerprint) -> Option<PageVisit> {
        self.known.get(fingerprint).map(|known| known.visit)
    }

    /// Records a visit now, which is this second since 1970. Returns what to count it as; `None` if no visits are kept.
    pub fn record(
        &mut self,
        fingerprint: Fingerprint,
        version: PageVersion,
        now: Instant,
        second: u32,
    ) -> Option<&'static str> {
        let adaptive = self.adaptive.as_ref()?;
        let before = self.known.get(&fingerprint).map(|known| known.visit);
        let change = before.map(|before| before.version.change_to(&version));
        let is_changed = match change {
            None | Some(PageChange::Large) => true,
            Some(PageChange::Small) => !adaptive.ignore_small_changes,
            Some(PageChange::None) => false,
        };
        let interval = adaptive.next(before.as_ref().map(PageVisit::due_after), is_changed).as_secs();
        let visit = PageVisit {
            version,
            fetched_at: second,
            changed_at: before.filter(|_| !is_changed).map_or(second, |before| before.changed_at),
            interval: u32::try_from(interval).unwrap_or(u32::MAX),
        };
        let word = match change {
            None if self.known.len() >= MAX_KNOWN => return Some("not_remembered"),
            None => "first_visit",
            Some(_) if is_changed => "changed",
            Some(_) => "unchanged",
        };
        let since_began = now.saturating_duration_since(*self.began.get_or_insert(now)).as_secs();
        // Rounded up, so that the next visit is not early.
        let fetched = u32::try_from(since_began + 1).map_or(WAITING - 1, |seconds| seconds.min(WAITING - 1));
        self.known.insert(fingerprint, KnownPage { visit, fetched });
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
        let (mut visits, now) = (Visits::new(&recrawl(false)), Instant::now());
        visits.resume(Vec::new());
        let page = Fingerprint::from_bytes([7; 16]);
        let mut words = Vec::new();
        let mut intervals = Vec::new();
        for content in [1, 1, 1, 2, 3, 4, 5] {
            words.extend(visits.record(page, version(content), now, 1_000));
            intervals.push(visits.of(&page).unwrap().due_after().as_secs() / 3_600);
        }
        assert_eq!(words, ["first_visit", "unchanged", "unchanged", "changed", "changed", "changed", "changed"]);
        assert_eq!(intervals, [8, 16, 20, 10, 5, 2, 2]);
        assert_eq!(visits.take_changes().len(), 7);
        assert_eq!(Visits::new(&Recrawl::default()).record(page, version(1), now, 0), None);
    }

    /// Admits a page, and judges it so much later.
    fn judge_later(recrawl: &Recrawl, ago: Duration, unchanged_for: Option<Duration>) -> Option<RevisitDecision> {
        let (mut visits, now) = (Visits::new(recrawl), Instant::now());
        let request = Request::parse("https://e.org/").unwrap();
        let page = request.fingerprint();
        let mut frontier = MemoryFrontier::new(recrawl.clone(), now);
        assert_eq!(visits.judge(&frontier, &page, unchanged_for, now), None, "it was never seen");
        frontier.offer(&Domain::new("e.org"), page, request, now);
        visits.record(page, version(1), now, 0);
        // As a later process does.
        let known = visits.of(&page).map(|visit| (page, visit));
        let mut visits = Visits::new(recrawl);
        visits.resume(known.into_iter().collect());
        visits.judge(&frontier, &page, unchanged_for, now + ago)
    }

    #[test]
    fn a_page_is_due_when_its_interval_has_passed() {
        assert_eq!(judge_later(&recrawl(false), 7 * HOUR, None), Some(RevisitDecision::NotDue));
        assert_eq!(judge_later(&recrawl(false), 8 * HOUR, None), Some(RevisitDecision::Due));
        assert_eq!(
            judge_later(&recrawl(false), 8 * HOUR, Some(9 * HOUR)),
            Some(RevisitDecision::Due),
            "dates do not count"
        );
        assert_eq!(judge_later(&Recrawl::default(), 8 * HOUR, Some(HOUR)), None);
    }

    #[test]
    fn a_date_after_the_last_visit_makes_a_page_due_and_one_before_it_does_not() {
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, Some(HOUR)), Some(RevisitDecision::Due));
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, Some(8 * HOUR)), Some(RevisitDecision::Unchanged));
        assert_eq!(judge_later(&recrawl(true), 7 * HOUR, None), None);
    }

    /// Regression: a page that waited longer than its interval was queued again by each link to it, and was due again
    /// as soon as it was fetched.
    #[test]
    fn a_page_that_waits_is_not_due_and_its_interval_begins_when_it_is_fetched() {
        let (mut visits, began) = (Visits::new(&recrawl(false)), Instant::now());
        let request = Request::parse("https://e.org/").unwrap();
        let page = request.fingerprint();
        let mut frontier = MemoryFrontier::new(recrawl(false), began);
        frontier.offer(&Domain::new("e.org"), page, request, began);
        let at = |visits: &mut Visits, hours: u32| visits.judge(&frontier, &page, None, began + hours * HOUR);
        assert_eq!(at(&mut visits, 0), None);
        visits.record(page, version(1), began + 5 * HOUR, 0);
        assert_eq!(at(&mut visits, 12), Some(RevisitDecision::NotDue), "it was fetched seven hours ago");
        assert_eq!(at(&mut visits, 14), Some(RevisitDecision::Due));
        visits.queued(&page);
        assert_eq!(at(&mut visits, 40), Some(RevisitDecision::NotDue), "it waits");
        visits.ended(&page);
        assert_eq!(at(&mut visits, 40), Some(RevisitDecision::Due), "it brought no page");
        visits.queued(&page);
        visits.record(page, version(1), began + 50 * HOUR, 0);
        visits.ended(&page);
        assert_eq!(at(&mut visits, 60), Some(RevisitDecision::NotDue), "unchanged, it is due after 16 hours");
        assert_eq!(at(&mut visits, 67), Some(RevisitDecision::Due));
    }
}
