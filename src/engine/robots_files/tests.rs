//! Robots files with a simulated clock: who waits, what is requested, and what follows from failures.

use super::*;
use crate::{outcome::RedirectBy, stats::Stats};

/// Robots files, what was counted of them, and the time.
struct World {
    world: RobotsFiles,
    accounts: Accounts,
    now: Instant,
    leases: u64,
}

fn url(url: &str) -> Url {
    Url::parse(url).unwrap()
}

impl World {
    fn new() -> Self {
        Self { world: RobotsFiles::new("bot"), accounts: Accounts::default(), now: Instant::now(), leases: 0 }
    }

    fn get(&self, key: &str) -> u64 {
        let counts = self.accounts.to_store(Duration::ZERO).counts;
        Stats { counts, ..Stats::default() }.get(key)
    }

    fn rule(&mut self, page: &str) -> Ruling {
        self.world.rule(&url(page), self.now)
    }

    /// Asks for a page as the crawl does: if it has to wait, it is parked.
    fn page(&mut self, page: &str) -> Ruling {
        let ruling = self.rule(page);
        if matches!(ruling, Ruling::Ask(_) | Ruling::Asked) {
            self.leases += 1;
            let request = Arc::new(Request::get(url(page)));
            let leased = Leased { id: LeaseId(self.leases), request, attempt: 1 };
            self.world.park(&domain(page), leased);
        }
        ruling
    }

    fn answer(&mut self, from: &str, outcome: Outcome) -> Vec<FollowUp> {
        self.world.answered(&url(from), &outcome, Extracted::Nothing, &mut self.accounts, self.now)
    }

    fn body(&mut self, from: &str, status: u16, body: &'static str) -> Vec<FollowUp> {
        match status {
            200 => {
                let content = Extracted::RobotsTxt(RobotsFile::read(body.as_bytes(), "bot"));
                self.world.answered(&url(from), &Outcome::Ok, content, &mut self.accounts, self.now)
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
        self.world.pending.is_empty() && self.world.awaited.is_empty() && self.world.parked.is_empty()
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
    let mut world = World::new();
    assert_eq!(world.page("https://me:pw@e.org/a?b#c"), ask("https://e.org/robots.txt"));
    assert_eq!(world.page("https://e.org/x"), Ruling::Asked);
    assert_eq!(world.world.parked(&domain("https://e.org/")), 2);
    let (asks, pages) = split(world.body("https://e.org/robots.txt", 200, DENY_X));
    assert!(asks.is_empty());
    assert_eq!(pages, ["https://e.org/x", "https://me:pw@e.org/a?b#c"]);
    assert_eq!(world.page("https://e.org/a"), Ruling::Allowed(Some(Duration::from_secs(3))));
    assert_eq!(world.page("https://e.org/x"), Ruling::Disallowed);
    assert_eq!(world.get("robots/fetched"), 1);
    assert!(world.is_idle());
    world.now += Duration::from_secs(24 * 3_600);
    assert_eq!(world.page("https://e.org/a"), ask("https://e.org/robots.txt"));
}

#[test]
fn scheme_host_and_port_make_an_origin() {
    let mut world = World::new();
    for origin in ["https://e.org", "http://e.org", "https://e.org:8443", "https://www.e.org"] {
        assert_eq!(world.page(&format!("{origin}/x")), ask(&format!("{origin}/robots.txt")));
    }
    assert_eq!(world.page("https://e.org:443/"), Ruling::Asked);
    world.body("https://e.org/robots.txt", 200, DENY_X);
    world.body("http://e.org/robots.txt", 404, "");
    assert_eq!(world.page("https://e.org/x"), Ruling::Disallowed);
    assert_eq!(world.page("http://e.org/x"), Ruling::Allowed(None));
    assert_eq!(world.page("https://www.e.org/x"), Ruling::Asked);
}

#[test]
fn the_robots_file_may_be_a_page_of_the_crawl() {
    let mut world = World::new();
    assert_eq!(world.page("https://e.org/robots.txt"), Ruling::Allowed(None), "without asking for itself first");
    world.page("https://e.org/x");
    assert_eq!(world.page("https://e.org/robots.txt"), Ruling::Allowed(None));
    world.body("https://e.org/robots.txt", 200, "user-agent: *\ndisallow: /");
    assert_eq!(world.page("https://e.org/robots.txt"), Ruling::Allowed(None));
    assert_eq!(world.page("https://e.org/x"), Ruling::Disallowed);
}

#[test]
fn a_file_may_be_elsewhere_on_its_origin_or_on_another_and_holds_for_who_asked() {
    let mut world = World::new();
    world.page("http://e.org/x");
    let (asks, _) = split(world.redirect("http://e.org/robots.txt", "http://e.org/r#top"));
    assert_eq!(asks, ["http://e.org/r"]);
    let (asks, _) = split(world.redirect("http://e.org/r", "https://other.org/robots.txt"));
    assert_eq!(asks, ["https://other.org/robots.txt"]);
    let (_, pages) = split(world.body("https://other.org/robots.txt", 200, DENY_X));
    assert_eq!(pages, ["http://e.org/x"]);
    assert_eq!(world.page("http://e.org/x"), Ruling::Disallowed);
    assert_eq!(world.page("https://other.org/x"), ask("https://other.org/robots.txt"));
}

/// Regression: the second of two origins redirected to one URL counted as a loop, which allowed all of it.
#[test]
fn two_origins_that_are_led_to_one_place_share_its_answer() {
    let mut world = World::new();
    for page in ["http://a.org/x", "http://b.org/x", "https://c.org/x"] {
        world.page(page);
    }
    let (asks, _) = split(world.redirect("http://a.org/robots.txt", "https://c.org/robots.txt"));
    assert!(asks.is_empty(), "it is being asked for already");
    let (asks, _) = split(world.redirect("http://b.org/robots.txt", "https://c.org/robots.txt"));
    assert!(asks.is_empty());
    assert_eq!(world.page("https://c.org/robots.txt"), Ruling::Allowed(None), "a page of its own");
    let (asks, _) = split(world.redirect("https://c.org/robots.txt", "https://c.org/r"));
    assert_eq!(asks, ["https://c.org/r"], "all three go on together");
    let (_, pages) = split(world.body("https://c.org/r", 200, DENY_X));
    assert_eq!(pages, ["http://a.org/x", "http://b.org/x", "https://c.org/x"]);
    for page in pages {
        assert_eq!(world.page(&page), Ruling::Disallowed);
    }
    assert!(world.is_idle());
}

#[test]
fn an_origin_joins_the_question_that_a_redirect_to_its_file_began() {
    let mut world = World::new();
    world.page("http://e.org/x");
    world.redirect("http://e.org/robots.txt", "https://e.org/robots.txt");
    assert_eq!(world.page("https://e.org/x"), Ruling::Asked);
    let (_, pages) = split(world.body("https://e.org/robots.txt", 200, DENY_X));
    assert_eq!(pages, ["http://e.org/x", "https://e.org/x"]);
    assert!(world.is_idle());
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut world = World::new();
    assert!(world.body("https://e.org/robots.txt", 404, "").is_empty());
    assert_eq!(world.page("https://e.org/x"), ask("https://e.org/robots.txt"));
    world.body("https://e.org/robots.txt", 200, DENY_X);
    assert!(world.body("https://e.org/robots.txt", 404, "").is_empty(), "the second answer to one question");
    assert_eq!(world.page("https://e.org/x"), Ruling::Disallowed);
}

#[test]
fn a_redirect_that_leads_nowhere_allows() {
    for to in ["http://e.org/robots.txt", "ftp://e.org/robots.txt", "data:text/plain,x"] {
        let mut world = World::new();
        world.page("http://e.org/x");
        let (_, pages) = split(world.redirect("http://e.org/robots.txt", to));
        assert_eq!(pages, ["http://e.org/x"]);
        assert_eq!(world.page("http://e.org/x"), Ruling::Allowed(None));
        assert_eq!(world.get("robots/too_many_redirects"), 1);
    }
}

#[test]
fn five_hops_are_followed_and_no_sixth_and_no_loop() {
    let mut world = World::new();
    world.page("http://e.org/x");
    let mut from = "http://e.org/robots.txt".to_owned();
    for hop in 1..=5 {
        let to = format!("http://e.org/{hop}");
        assert_eq!(split(world.redirect(&from, &to)).0, std::slice::from_ref(&to));
        from = to;
    }
    assert_eq!(split(world.redirect(&from, "http://e.org/6")).1, ["http://e.org/x"]);
    assert_eq!(world.page("http://e.org/x"), Ruling::Allowed(None));
    assert!(world.is_idle());

    world.page("http://loop.org/x");
    world.redirect("http://loop.org/robots.txt", "http://loop.org/1");
    assert_eq!(split(world.redirect("http://loop.org/1", "http://loop.org/robots.txt")).1, ["http://loop.org/x"]);
    assert!(world.is_idle());
}

#[test]
fn a_question_that_was_not_sent_is_asked_again() {
    let mut world = World::new();
    world.page("http://e.org/x");
    let (asks, pages) = split(world.answer("http://e.org/robots.txt", Outcome::Unsent));
    assert_eq!((asks, pages.len()), (vec!["http://e.org/robots.txt".to_owned()], 0));
    assert_eq!(split(world.body("http://e.org/robots.txt", 404, "")).1, ["http://e.org/x"]);
}

#[test]
fn a_server_that_fails_is_asked_again_a_few_times_and_then_its_pages_fail() {
    let mut world = World::new();
    let begin = world.now;
    for (nth, status) in [500, 429, 503, 502, 599, 504].into_iter().enumerate() {
        assert_eq!(world.page("http://e.org/x"), ask("http://e.org/robots.txt"), "after {nth} failures");
        assert_eq!(split(world.body("http://e.org/robots.txt", status, DENY_X)).1, ["http://e.org/x"]);
        match world.page("http://e.org/x") {
            Ruling::NotBefore(until) if nth < 5 => world.now = until,
            ruling => assert_eq!(ruling, Ruling::Unreachable("robots", "robots.txt: status 504".to_owned())),
        }
    }
    assert_eq!(world.now - begin, Duration::from_secs(5 + 10 + 20 + 40 + 80));
    assert_eq!((world.get("robots/unreachable"), world.get("robots/fetched")), (6, 0));
    world.now += Duration::from_secs(160);
    world.page("http://e.org/x");
    world.body("http://e.org/robots.txt", 200, DENY_X);
    assert_eq!(world.page("http://e.org/x"), Ruling::Disallowed, "it came back");
}

#[test]
fn a_refusal_is_no_missing_file_and_its_wait_is_the_first() {
    for (status, asked, wait) in [(403, Some(90), 90), (425, Some(0), 1), (403, None, 5)] {
        let mut world = World::new();
        world.page("http://e.org/x");
        world.answer(
            "http://e.org/robots.txt",
            Outcome::Refused { status, retry_after: asked.map(Duration::from_secs) },
        );
        assert_eq!(world.page("http://e.org/x"), Ruling::NotBefore(world.now + Duration::from_secs(wait)), "{status}");
        world.now += Duration::from_secs(wait);
        assert_eq!(world.page("http://e.org/x"), ask("http://e.org/robots.txt"));
    }
}

/// Regression: pages waiting for a robots file whose fetcher panicked waited for ever.
#[test]
fn a_question_that_is_lost_counts_as_a_failure() {
    let mut world = World::new();
    world.page("http://e.org/x");
    assert_eq!(split(world.lost("http://e.org/robots.txt")).1, ["http://e.org/x"]);
    assert!(matches!(world.page("http://e.org/x"), Ruling::NotBefore(_)));
}

#[test]
fn what_waiting_cannot_mend_fails_at_once() {
    let mut world = World::new();
    world.page("http://10.0.0.1/x");
    let error = FetchError::PrivateAddress("10.0.0.1 is private".into());
    world.answer("http://10.0.0.1/robots.txt", Outcome::Fetch(error));
    let expected = Ruling::Unreachable("private_address", "robots.txt: 10.0.0.1 is private".to_owned());
    assert_eq!(world.page("http://10.0.0.1/x"), expected);
    world.page("http://e.org/x");
    world.answer("http://e.org/robots.txt", Outcome::Fetch(FetchError::Connect("refused".into())));
    assert!(matches!(world.page("http://e.org/x"), Ruling::NotBefore(_)));
}

#[test]
fn rules_that_are_known_hold_while_the_file_cannot_be_had_again() {
    let mut world = World::new();
    world.page("http://e.org/x");
    world.body("http://e.org/robots.txt", 200, DENY_X);
    world.now += Duration::from_secs(24 * 3_600);
    world.page("http://e.org/y");
    world.body("http://e.org/robots.txt", 503, "");
    assert_eq!(world.page("http://e.org/x"), Ruling::Disallowed);
    assert_eq!(world.page("http://e.org/y"), Ruling::Allowed(Some(Duration::from_secs(3))));
    world.now += Duration::from_secs(5);
    assert_eq!(world.page("http://e.org/y"), ask("http://e.org/robots.txt"));
}

#[test]
fn redirects_to_a_slow_place_do_not_pile_up_for_ever() {
    let mut world = World::new();
    for n in 0..MAX_PENDING + 100 {
        world.page(&format!("http://{n}.org/x"));
        world.redirect(&format!("http://{n}.org/robots.txt"), &format!("http://slow.org/{n}"));
    }
    assert_eq!(world.world.pending.len(), MAX_PENDING);
    assert_eq!(world.world.awaited.len(), MAX_PENDING);
    assert_eq!(world.get("robots/too_many_at_once"), 100);
    assert!(matches!(world.page(&format!("http://{}.org/x", MAX_PENDING + 1)), Ruling::NotBefore(_)));
}

#[test]
fn stopping_takes_the_pages_back_and_the_answer_may_still_come() {
    let mut world = World::new();
    world.page("http://e.org/x");
    assert_eq!(world.world.unpark_all().len(), 1);
    assert_eq!(world.world.parked(&domain("http://e.org/")), 0);
    assert!(split(world.body("http://e.org/robots.txt", 200, "")).1.is_empty());
    assert!(world.is_idle());
}

/// Regression: an evicted file was requested again, because there was no other place to keep it.
#[test]
fn a_file_that_the_store_has_kept_is_not_asked_for_within_its_day() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let mut world = World::new();
    world.now += 48 * HOUR;
    for (ticket, page, age) in [(1, "http://e.org/x", 23), (2, "http://old.org/x", 24)] {
        let Ruling::Ask(file) = world.page(page) else { panic!("it is not in memory") };
        world.world.look_for(file, Ticket(ticket));
        assert_eq!(world.page(page), Ruling::Asked);
        let found = world.world.found(Ticket(ticket), Some((DENY_X.into(), age * HOUR)), world.now);
        match ticket {
            1 => assert_eq!(split(found).1, [page, page]),
            _ => assert_eq!(split(found).0, ["http://old.org/robots.txt"], "and it is awaited as any other"),
        }
    }
    assert_eq!(world.page("http://e.org/x"), Ruling::Disallowed);
    world.now += HOUR;
    assert_eq!(world.page("http://e.org/x"), ask("http://e.org/robots.txt"), "its day counts from when it was fetched");
    assert_eq!(split(world.body("http://old.org/robots.txt", 404, "")).1.len(), 2);
    assert!(world.world.found(Ticket(9), None, world.now).is_empty());
}
