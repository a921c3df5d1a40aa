//! What a page costs the database.

use super::*;

/// How long each direction to the database takes.
const AWAY: Duration = Duration::from_millis(20);

/// Two nodes, each of which commits many pages at a time, since the database is far away. What counts is the time of
/// all processes of the database, with what it does in the background. Only with `ACTIX_CRAWLER_TEST_LONGER`: where
/// nodes are slow, what they ask all the time is divided by few pages.
#[test]
fn a_page_costs_the_database_at_most_60_us_where_a_hundred_are_in_a_commit() {
    if env::var_os("ACTIX_CRAWLER_TEST_LONGER").is_none() {
        return;
    }
    let pages = 15_000;
    let server = Arc::new(PostgresServer::start());
    let site = Site::of(Shape { network: [127, 1], domains: 100, pages: 200 });
    let mut shared = Shared::at(server.clone(), "costs", &site, None);
    shared.database = server.url_at(way::to(&server, AWAY, &Arc::default()), "costs");
    (shared.spacing, shared.term) = (Duration::from_millis(1), Duration::from_secs(10));
    (0..2).for_each(|_| shared.start());
    until("both crawl", || shared.has_shared_out(2) && site.times().len() > 300);
    let done = || {
        let sums = shared.sql("SELECT sum(pages), sum(commits) FROM node");
        let (pages, commits) = sums.split_once('\t').unwrap();
        [pages, commits].map(|sum| sum.parse::<f64>().unwrap())
    };
    let asked = || site.0.iter().map(Recorder::count).sum::<usize>();
    let (before, cpu, limit) = (done(), server.cpu(), asked() + pages);
    // Without a word to the database, which every connection costs some milliseconds.
    within(Duration::from_secs(200), "they have crawled many", || asked() >= limit);
    let (after, cpu) = (done(), (server.cpu() - cpu).as_secs_f64());
    let [pages, commits] = [0, 1].map(|which| after[which] - before[which]);
    let cost = cpu / pages * 1e6;
    println!("{cost:.0} µs a page, of {pages}, at {:.0} pages a commit", pages / commits);
    assert!(cost <= 60.0, "{cost:.0} µs a page at {:.0} pages a commit", pages / commits);
}
