//! EndWarnings: what the report of a finished crawl warns of that has little or nothing to show. Knows no queue.

use crate::{report::Counted, stats::Stats};

/// The most reasons that are named.
const MAX_REASONS: usize = 5;

/// Returns the warnings: that a limit holds back what waits, which `ended_by` names, and that every URL was dropped.
pub fn of(stats: &Stats, ended_by: Option<String>) -> Vec<String> {
    let ledger = &stats.ledger;
    let held_back = ended_by.filter(|_| ledger.queued > 0).map(|limit| {
        let waiting = Counted(ledger.queued, "URL");
        format!(
            "the limit {limit} counts all runs of the state and is reached; {waiting} still queued: raise it to go on"
        )
    });
    let is_all_dropped = ledger.dropped > 0 && ledger.dropped == ledger.discovered;
    let dropped = is_all_dropped.then(|| {
        let reasons = stats.counts_below("drop").into_iter().take(MAX_REASONS);
        let reasons: Vec<_> = reasons.map(|(reason, count)| format!("{count} by {reason}")).collect();
        format!("nothing was fetched, since all that was found was dropped: {}", reasons.join(", "))
    });
    held_back.into_iter().chain(dropped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Ledger;

    fn warnings(ledger: Ledger, ended_by: Option<&str>) -> Vec<String> {
        let counts = [("drop/scope/path".to_owned(), 2), ("drop/robots/disallowed".to_owned(), 1)].into();
        of(&Stats { ledger, counts, ..Stats::default() }, ended_by.map(str::to_owned))
    }

    #[test]
    fn a_crawl_that_dropped_all_it_found_says_why() {
        let ledger = Ledger { discovered: 3, dropped: 3, ..Ledger::default() };
        let [warning] = &warnings(ledger, None)[..] else { panic!("one") };
        assert!(warning.ends_with("dropped: 2 by scope/path, 1 by robots/disallowed"), "{warning}");
        let one_done = Ledger { discovered: 4, done: 1, ..ledger };
        assert_eq!((warnings(one_done, None).len(), warnings(Ledger::default(), None).len()), (0, 0));
    }

    #[test]
    fn a_limit_is_told_only_where_it_holds_something_back() {
        let (limit, done) = (Some("max_pages() of 4"), Ledger { discovered: 4, done: 4, ..Ledger::default() });
        assert!(warnings(done, limit).is_empty());
        let [warning] = &warnings(Ledger { discovered: 218, queued: 214, ..done }, limit)[..] else { panic!("one") };
        assert!(warning.contains("max_pages() of 4 counts all runs") && warning.contains("214 URLs"), "{warning}");
    }
}
