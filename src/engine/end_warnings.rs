//! EndWarnings: what the report of a finished crawl says of its limits, and warns of. Knows no queue.

use url::Url;

use crate::{
    outcome::DropReason,
    politeness::Politeness,
    report::Counted,
    stats::{RedirectTarget, Stats, count::Count},
};

/// The most reasons that are named.
const MAX_REASONS: usize = 5;

/// Returns why the crawl ended with less than it had found: the limit that is given, where it held something back.
pub fn ended_by(stats: &Stats, limit: &str) -> Option<String> {
    let dropped = stats.count(Count::Dropped(DropReason::Budget)) + stats.count(Count::Dropped(DropReason::Requests));
    match (stats.ledger.queued, dropped) {
        (0, 0) => None,
        (0, dropped) => Some(format!("{limit} is reached; {} beyond it dropped", Counted(dropped, "URL"))),
        (queued, _) => Some(format!("{limit} is reached; {} still queued", Counted(queued, "URL"))),
    }
}

/// Returns the warnings: that a limit that earlier runs have used too holds back what waits, and that every URL was
/// dropped.
pub fn of(stats: &Stats, limit: Option<&str>) -> Vec<String> {
    let ledger = &stats.ledger;
    let held_back = limit.filter(|_| ledger.queued > 0).map(|limit| {
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

/// Returns the warning that a folder for files stays empty, since nothing says which files items have.
pub fn of_files(stats: &Stats) -> Option<String> {
    let is_idle = stats.items > 0 && stats.counts_below("files").is_empty();
    is_idle.then(|| {
        "there is a folder for files, and none was asked for; name the field of the items that has them, as in \
         .files_of(|item| &mut item.images), or give it the type `File` and call .files_of_items()"
            .to_owned()
    })
}

/// The fewest redirects to a page to log in at that are warned of: a site with some pages for its customers has fewer.
const LOG_INS_FROM: u64 = 10;

/// Returns the warning that the session has expired, or never was: one page to log in at is what many others redirect
/// to. It takes as many as a tenth of the pages.
pub fn of_log_ins(stats: &Stats, log_in_page: Option<RedirectTarget>) -> Option<String> {
    let RedirectTarget { url, times } = log_in_page?;
    let path = Url::parse(&url).map_or_else(|_| "/login".to_owned(), |url| url.path().to_owned());
    (times >= LOG_INS_FROM && times.saturating_mul(10) >= stats.pages()).then(|| {
        format!(
            "{times} URLs redirect to {url}, so their pages were not read: the session has expired, or nobody was logged \
             in; .sessions(Sessions::new().blocked_at(\"{path}\")) takes a session for refused there and tries the page \
             again, with .log_in(…) logged in anew"
        )
    })
}

/// The fewest requests to a domain by which its pace is judged.
const JUDGED_FROM: u64 = 10;

/// Returns the warning that a rate was not reached because too few requests may be in flight at once. It takes one
/// domain that missed more than a tenth of its starts for this reason; the warning names the domain that missed most.
pub fn of_rates(stats: &Stats, politeness: &Politeness) -> Option<String> {
    let slow = || {
        let judged = stats.domains.iter().filter(|(_, domain)| domain.requests >= JUDGED_FROM);
        judged.filter(|(_, domain)| u64::from(domain.missed) > domain.requests / 10)
    };
    let (domain, missed_most) = slow().max_by_key(|(_, domain)| domain.missed)?;
    let limits = politeness.limits(domain);
    let places = u64::from(limits.in_flight.get());
    let needed = (places * (missed_most.requests + u64::from(missed_most.missed))).div_ceil(missed_most.requests);
    let others = match slow().count() - 1 {
        0 => String::new(),
        others => format!("; so it is at {}", Counted(others as u64, "further domain")),
    };
    let concurrency = u64::from(politeness.concurrency.get());
    let in_all = if needed > concurrency { format!(", with a concurrency() of {needed} too") } else { String::new() };
    Some(format!(
        "{domain} was asked less often than the rate of {} allows, because per_domain() allows {} at once: a \
         per_domain() of {needed} reaches it{in_all}{others}",
        limits.rate,
        Counted(places, "request"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Domain,
        rate::Rate,
        stats::{DomainStats, Ledger},
    };

    #[test]
    fn a_rate_that_was_missed_by_more_than_a_tenth_is_told_with_what_reaches_it() {
        let told = |domains: &[(&str, u64, u32)]| {
            let stats = |(name, requests, missed): &(&str, u64, u32)| {
                (Domain::new(name), DomainStats { requests: *requests, missed: *missed, ..DomainStats::default() })
            };
            let stats = Stats { domains: domains.iter().map(stats).collect(), ..Stats::default() };
            of_rates(&stats, &Politeness { rate: Some(Rate::per_second(50)), ..Politeness::default() })
        };
        for reached in [&[("a.org", 100, 10)][..], &[("a.org", 9, 900)], &[]] {
            assert_eq!(told(reached), None, "{reached:?}");
        }
        let warning = told(&[("a.org", 20, 19), ("b.org", 20, 730), ("c.org", 20, 0)]).unwrap();
        let words = ["b.org", "rate of 50/s", "allows 1 request at once", "per_domain() of 38", "1 further domain"];
        assert!(words.iter().all(|word| warning.contains(word)) && !warning.contains("concurrency"), "{warning}");
        let warning = told(&[("a.org", 20, 1_980)]).unwrap();
        assert!(warning.ends_with("a per_domain() of 100 reaches it, with a concurrency() of 100 too"), "{warning}");
    }

    fn warnings(ledger: Ledger, limit: Option<&str>) -> Vec<String> {
        let counts = [("drop/scope/path".to_owned(), 2), ("drop/robots/disallowed".to_owned(), 1)].into();
        of(&Stats { ledger, counts, ..Stats::default() }, limit)
    }

    #[test]
    fn the_limit_that_ended_a_crawl_is_told_with_what_it_held_back() {
        let told = |queued, dropped: &[(&str, u64)]| {
            let counts = dropped.iter().map(|(reason, urls)| (format!("drop/{reason}"), *urls)).collect();
            let stats = Stats { ledger: Ledger { queued, ..Ledger::default() }, counts, ..Stats::default() };
            ended_by(&stats, "max_pages() of 4")
        };
        assert_eq!(told(0, &[("scope/host", 3)]), None);
        assert_eq!(told(1, &[]).unwrap(), "max_pages() of 4 is reached; 1 URL still queued");
        let dropped = told(0, &[("budget/pages", 2), ("budget/requests", 1)]).unwrap();
        assert_eq!(dropped, "max_pages() of 4 is reached; 3 URLs beyond it dropped");
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
