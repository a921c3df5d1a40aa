//! Robots files with a simulated clock: who waits, what is requested, and what follows from failures.

use super::*;
use crate::{outcome::RedirectBy, stats::Stats};

/// Robots files, what was counted of them, and the time.
struct Desk {
    desk: RobotsFiles,
    accounts: Accounts,
    now: Instant,
    leases: u64,
}

fn url(url: &str) -> Url {
    Url::parse(url).unwrap()
}

impl Desk {
    fn new() -> Self {
        Self { desk: RobotsFiles::new("bot"), accounts: Accounts::default(), now: Instant::now(), leases: 0 }
    }

    fn get(&self, key: &str) -> u64 {
        let counts = self.accounts.to_store(Duration::ZERO).counts;
        Stats { counts, ..Stats::default() }.get(key)
    }

    fn rule(&mut self, page: &str) -> Ruling {
        self.desk.rule(&url(page), self.now)
    }

    /// Asks for a page as the crawl does: if it has to wait, it is parked.
    fn page(&mut self, page: &str) -> Ruling {
        let ruling = self.rule(page);
        if matches!(ruling, Ruling::Ask(_) | Ruling::Asked) {
            self.leases += 1;
            let request = Arc::new(Request::get(url(page)));
            let leased = Leased { id: LeaseId(self.leases), request, attempt: 1 };
            self.desk.park(&domain(page), leased);
        }
        ruling
    }

    fn answer(&mut self, from: &str, outcome: Outcome) -> Vec<FollowUp> {
        self.desk.answered(&url(from), &outcome, Extracted::Nothing, &mut self.accounts, self.now)
    }

    fn body(&mut self, from: &str, status: u16, body: &'static str) -> Vec<FollowUp> {
        match status {
            200 => {
                let content = Extracted::RobotsTxt(RobotsFile::read(body.as_bytes(), "bot"));
                self.desk.answered(&url(from), &Outcome::Ok, content, &mut self.accounts, self.now)
            }
            429 | 503 => self.answer(from, Outcome::Refused { status, retry_after: None }),
            status => self.answer(from, Outcome::Status(status)),
        }
    }

    fn redirect(&mut self, from: &str, to: &str) -> Vec<FollowUp> {
        self.answer(from, Outcome::Redirect { status: 302, to: url(to), by: RedirectBy::Location })
    }

    fn lost(&mut self, from: &str) -> Vec<FollowUp> {
        self.answer(from, Outcome::Panic("the fetcher panicked over it".into()))
    }

    fn is_idle(&self) -> bool {
        self.desk.pending.is_empty() && self.desk.awaited.is_empty() && self.desk.parked.is_empty()
    }
}

fn domain(page: &str) -> Domain {
    crate::domain::registrable(&url(page))
}

fn ask(file: &str) -> Ruling {
    Ruling::Ask(url(file))
}

/// Returns the URLs to request next, and the pages that are released.
fn split(follow_ups: Vec<FollowUp>) -> (Vec<String>, Vec<String>) {
    let (mut asks, mut pages) = (Vec::new(), Vec::new());
    for follow_up in follow_ups {
        match follow_up {
            FollowUp::Ask(url) => asks.push(url.into()),
            FollowUp::Ruled { parked, .. } => {
                pages.extend(parked.iter().map(|(_, leased)| leased.request.url.to_string()));
            }
        }
    }
    pages.sort();
    (asks, pages)
}

const DENY_X: &str = "user-agent: *\ndisallow: /x\ncrawl-delay: 3";

#[test]
fn a_file_is_asked_for_once_and_its_pages_wait_for_it() {
    let mut desk = Desk::new();
    assert_eq!(desk.page("https://me:pw@e.org/a?b#c"), ask("https://e.org/robots.txt"));
    assert_eq!(desk.page("https://e.org/x"), Ruling::Asked);
    assert_eq!(desk.desk.parked(&domain("https://e.org/")), 2);
    let (asks, pages) = split(desk.body("https://e.org/robots.txt", 200, DENY_X));
    assert!(asks.is_empty());
    assert_eq!(pages, ["https://e.org/x", "https://me:pw@e.org/a?b#c"]);
    assert_eq!(desk.page("https://e.org/a"), Ruling::Allowed(Some(Duration::from_secs(3))));
    assert_eq!(desk.page("https://e.org/x"), Ruling::Disallowed);
    assert_eq!(desk.get("robots/fetched"), 1);
    assert!(desk.is_idle());
    desk.now += Duration::from_secs(24 * 3_600);
    assert_eq!(desk.page("https://e.org/a"), ask("https://e.org/robots.txt"));
}

#[test]
fn scheme_host_and_port_make_an_origin() {
    let mut desk = Desk::new();
    for origin in ["https://e.org", "http://e.org", "https://e.org:8443", "https://www.e.org"] {
        assert_eq!(desk.page(&format!("{origin}/x")), ask(&format!("{origin}/robots.txt")));
    }
    assert_eq!(desk.page("https://e.org:443/"), Ruling::Asked);
    desk.body("https://e.org/robots.txt", 200, DENY_X);
    desk.body("http://e.org/robots.txt", 404, "");
    assert_eq!(desk.page("https://e.org/x"), Ruling::Disallowed);
    assert_eq!(desk.page("http://e.org/x"), Ruling::Allowed(None));
    assert_eq!(desk.page("https://www.e.org/x"), Ruling::Asked);
}

#[test]
fn the_robots_file_may_be_a_page_of_the_crawl() {
    let mut desk = Desk::new();
    assert_eq!(desk.page("https://e.org/robots.txt"), Ruling::Allowed(None), "without asking for itself first");
    desk.page("https://e.org/x");
    assert_eq!(desk.page("https://e.org/robots.txt"), Ruling::Allowed(None));
    desk.body("https://e.org/robots.txt", 200, "user-agent: *\ndisallow: /");
    assert_eq!(desk.page("https://e.org/robots.txt"), Ruling::Allowed(None));
    assert_eq!(desk.page("https://e.org/x"), Ruling::Disallowed);
}

#[test]
fn a_file_may_be_elsewhere_on_its_origin_or_on_another_and_holds_for_who_asked() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    let (asks, _) = split(desk.redirect("http://e.org/robots.txt", "http://e.org/r#top"));
    assert_eq!(asks, ["http://e.org/r"]);
    let (asks, _) = split(desk.redirect("http://e.org/r", "https://other.org/robots.txt"));
    assert_eq!(asks, ["https://other.org/robots.txt"]);
    let (_, pages) = split(desk.body("https://other.org/robots.txt", 200, DENY_X));
    assert_eq!(pages, ["http://e.org/x"]);
    assert_eq!(desk.page("http://e.org/x"), Ruling::Disallowed);
    assert_eq!(desk.page("https://other.org/x"), ask("https://other.org/robots.txt"));
}

/// Regression: the second of two origins redirected to one URL counted as a loop, which allowed all of it.
#[test]
fn two_origins_that_are_led_to_one_place_share_its_answer() {
    let mut desk = Desk::new();
    for page in ["http://a.org/x", "http://b.org/x", "https://c.org/x"] {
        desk.page(page);
    }
    let (asks, _) = split(desk.redirect("http://a.org/robots.txt", "https://c.org/robots.txt"));
    assert!(asks.is_empty(), "it is being asked for already");
    let (asks, _) = split(desk.redirect("http://b.org/robots.txt", "https://c.org/robots.txt"));
    assert!(asks.is_empty());
    assert_eq!(desk.page("https://c.org/robots.txt"), Ruling::Allowed(None), "a page of its own");
    let (asks, _) = split(desk.redirect("https://c.org/robots.txt", "https://c.org/r"));
    assert_eq!(asks, ["https://c.org/r"], "all three go on together");
    let (_, pages) = split(desk.body("https://c.org/r", 200, DENY_X));
    assert_eq!(pages, ["http://a.org/x", "http://b.org/x", "https://c.org/x"]);
    for page in pages {
        assert_eq!(desk.page(&page), Ruling::Disallowed);
    }
    assert!(desk.is_idle());
}

#[test]
fn an_origin_joins_the_question_that_a_redirect_to_its_file_began() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    desk.redirect("http://e.org/robots.txt", "https://e.org/robots.txt");
    assert_eq!(desk.page("https://e.org/x"), Ruling::Asked);
    let (_, pages) = split(desk.body("https://e.org/robots.txt", 200, DENY_X));
    assert_eq!(pages, ["http://e.org/x", "https://e.org/x"]);
    assert!(desk.is_idle());
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut desk = Desk::new();
    assert!(desk.body("https://e.org/robots.txt", 404, "").is_empty());
    assert_eq!(desk.page("https://e.org/x"), ask("https://e.org/robots.txt"));
    desk.body("https://e.org/robots.txt", 200, DENY_X);
    assert!(desk.body("https://e.org/robots.txt", 404, "").is_empty(), "the second answer to one question");
    assert_eq!(desk.page("https://e.org/x"), Ruling::Disallowed);
}

#[test]
fn a_redirect_that_leads_nowhere_allows() {
    for to in ["http://e.org/robots.txt", "ftp://e.org/robots.txt", "data:text/plain,x"] {
        let mut desk = Desk::new();
        desk.page("http://e.org/x");
        let (_, pages) = split(desk.redirect("http://e.org/robots.txt", to));
        assert_eq!(pages, ["http://e.org/x"]);
        assert_eq!(desk.page("http://e.org/x"), Ruling::Allowed(None));
        assert_eq!(desk.get("robots/too_many_redirects"), 1);
    }
}

#[test]
fn five_hops_are_followed_and_no_sixth_and_no_loop() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    let mut from = "http://e.org/robots.txt".to_owned();
    for hop in 1..=5 {
        let to = format!("http://e.org/{hop}");
        assert_eq!(split(desk.redirect(&from, &to)).0, std::slice::from_ref(&to));
        from = to;
    }
    assert_eq!(split(desk.redirect(&from, "http://e.org/6")).1, ["http://e.org/x"]);
    assert_eq!(desk.page("http://e.org/x"), Ruling::Allowed(None));
    assert!(desk.is_idle());

    desk.page("http://loop.org/x");
    desk.redirect("http://loop.org/robots.txt", "http://loop.org/1");
    assert_eq!(split(desk.redirect("http://loop.org/1", "http://loop.org/robots.txt")).1, ["http://loop.org/x"]);
    assert!(desk.is_idle());
}

#[test]
fn a_question_that_was_not_sent_is_asked_again() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    let (asks, pages) = split(desk.answer("http://e.org/robots.txt", Outcome::Unsent));
    assert_eq!((asks, pages.len()), (vec!["http://e.org/robots.txt".to_owned()], 0));
    assert_eq!(split(desk.body("http://e.org/robots.txt", 404, "")).1, ["http://e.org/x"]);
}

#[test]
fn a_server_that_fails_is_asked_again_with_patience_and_then_its_pages_fail() {
    let mut desk = Desk::new();
    let begin = desk.now;
    for (nth, status) in [500, 429, 503, 502, 599, 504].into_iter().enumerate() {
        assert_eq!(desk.page("http://e.org/x"), ask("http://e.org/robots.txt"), "after {nth} failures");
        assert_eq!(split(desk.body("http://e.org/robots.txt", status, DENY_X)).1, ["http://e.org/x"]);
        match desk.page("http://e.org/x") {
            Ruling::NotBefore(until) if nth < 5 => desk.now = until,
            ruling => assert_eq!(ruling, Ruling::Unreachable("robots", "robots.txt: status 504".to_owned())),
        }
    }
    assert_eq!(desk.now - begin, Duration::from_secs(5 + 10 + 20 + 40 + 80));
    assert_eq!((desk.get("robots/unreachable"), desk.get("robots/fetched")), (6, 0));
    desk.now += Duration::from_secs(160);
    desk.page("http://e.org/x");
    desk.body("http://e.org/robots.txt", 200, DENY_X);
    assert_eq!(desk.page("http://e.org/x"), Ruling::Disallowed, "it came back");
}

#[test]
fn a_refusal_is_no_missing_file_and_its_wait_is_the_first() {
    for (status, asked, wait) in [(403, Some(90), 90), (425, Some(0), 1), (403, None, 5)] {
        let mut desk = Desk::new();
        desk.page("http://e.org/x");
        desk.answer(
            "http://e.org/robots.txt",
            Outcome::Refused { status, retry_after: asked.map(Duration::from_secs) },
        );
        assert_eq!(desk.page("http://e.org/x"), Ruling::NotBefore(desk.now + Duration::from_secs(wait)), "{status}");
        desk.now += Duration::from_secs(wait);
        assert_eq!(desk.page("http://e.org/x"), ask("http://e.org/robots.txt"));
    }
}

/// Regression: pages waiting for a robots file whose fetcher panicked waited for ever.
#[test]
fn a_question_that_is_lost_counts_as_a_failure() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    assert_eq!(split(desk.lost("http://e.org/robots.txt")).1, ["http://e.org/x"]);
    assert!(matches!(desk.page("http://e.org/x"), Ruling::NotBefore(_)));
}

#[test]
fn what_waiting_cannot_mend_fails_at_once() {
    let mut desk = Desk::new();
    desk.page("http://10.0.0.1/x");
    let error = FetchError::PrivateAddress("10.0.0.1 is private".into());
    desk.answer("http://10.0.0.1/robots.txt", Outcome::Fetch(error));
    let expected = Ruling::Unreachable("private_address", "robots.txt: 10.0.0.1 is private".to_owned());
    assert_eq!(desk.page("http://10.0.0.1/x"), expected);
    desk.page("http://e.org/x");
    desk.answer("http://e.org/robots.txt", Outcome::Fetch(FetchError::Connect("refused".into())));
    assert!(matches!(desk.page("http://e.org/x"), Ruling::NotBefore(_)));
}

#[test]
fn rules_that_are_known_hold_while_the_file_cannot_be_had_again() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    desk.body("http://e.org/robots.txt", 200, DENY_X);
    desk.now += Duration::from_secs(24 * 3_600);
    desk.page("http://e.org/y");
    desk.body("http://e.org/robots.txt", 503, "");
    assert_eq!(desk.page("http://e.org/x"), Ruling::Disallowed);
    assert_eq!(desk.page("http://e.org/y"), Ruling::Allowed(Some(Duration::from_secs(3))));
    desk.now += Duration::from_secs(5);
    assert_eq!(desk.page("http://e.org/y"), ask("http://e.org/robots.txt"));
}

#[test]
fn redirects_to_a_slow_place_do_not_pile_up_for_ever() {
    let mut desk = Desk::new();
    for n in 0..MAX_PENDING + 100 {
        desk.page(&format!("http://{n}.org/x"));
        desk.redirect(&format!("http://{n}.org/robots.txt"), &format!("http://slow.org/{n}"));
    }
    assert_eq!(desk.desk.pending.len(), MAX_PENDING);
    assert_eq!(desk.desk.awaited.len(), MAX_PENDING);
    assert_eq!(desk.get("robots/too_many_at_once"), 100);
    assert!(matches!(desk.page(&format!("http://{}.org/x", MAX_PENDING + 1)), Ruling::NotBefore(_)));
}

#[test]
fn stopping_takes_the_pages_back_and_the_answer_may_still_come() {
    let mut desk = Desk::new();
    desk.page("http://e.org/x");
    assert_eq!(desk.desk.unpark_all().len(), 1);
    assert_eq!(desk.desk.parked(&domain("http://e.org/")), 0);
    assert!(split(desk.body("http://e.org/robots.txt", 200, "")).1.is_empty());
    assert!(desk.is_idle());
}

/// Regression: an evicted file was requested again, because there was no other place to keep it.
#[test]
fn a_file_that_the_store_has_kept_is_not_asked_for_within_its_day() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let mut desk = Desk::new();
    desk.now += 48 * HOUR;
    for (ticket, page, age) in [(1, "http://e.org/x", 23), (2, "http://old.org/x", 24)] {
        let Ruling::Ask(file) = desk.page(page) else { panic!("it is not in memory") };
        desk.desk.look_for(file, Ticket(ticket));
        assert_eq!(desk.page(page), Ruling::Asked);
        let found = desk.desk.found(Ticket(ticket), Some((DENY_X.into(), age * HOUR)), desk.now);
        match ticket {
            1 => assert_eq!(split(found).1, [page, page]),
            _ => assert_eq!(split(found).0, ["http://old.org/robots.txt"], "and it is awaited as any other"),
        }
    }
    assert_eq!(desk.page("http://e.org/x"), Ruling::Disallowed);
    desk.now += HOUR;
    assert_eq!(desk.page("http://e.org/x"), ask("http://e.org/robots.txt"), "its day counts from when it was fetched");
    assert_eq!(split(desk.body("http://old.org/robots.txt", 404, "")).1.len(), 2);
    assert!(desk.desk.found(Ticket(9), None, desk.now).is_empty());
}
