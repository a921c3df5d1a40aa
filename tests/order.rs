//! In which order the pages of a domain are fetched, judged by what arrives at a site in virtual time, where the usual
//! second lies between two requests: so the links of a page are known before the next one is chosen.
#![cfg(feature = "testing")]

use actix_crawler::{
    Order,
    prelude::*,
    testing::{Crawled, Run, Site},
};

const SEED: &str = "https://one.test/";

type Links = fn(&Response) -> Result<Parsed<String>>;

fn links(page: &Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().follow(page.links()))
}

fn crawler(spider: Links) -> Crawler<Links> {
    Crawler::new(spider, "ordertest/1.0 (+https://example.org/bot)").seed(SEED)
}

fn page<T: AsRef<str>>(links: &[T]) -> String {
    links.iter().map(|link| format!("<a href=\"{}\">link</a> ", link.as_ref())).collect()
}

/// `/` links to `/a`, `/b` and `/c`, each of them to `/a/a`, `/a/b` and so on, down to paths of three letters.
fn tree() -> Site {
    let pages = before_what_is_below("").into_iter().map(|path| {
        let below: Vec<String> = below(&path).collect();
        (if path.is_empty() { "/".to_owned() } else { path }, page(&below))
    });
    Site::new(SEED).pages(pages)
}

fn below(path: &str) -> impl Iterator<Item = String> + '_ {
    let letters = ["a", "b", "c"].into_iter().filter(|_| path.matches('/').count() < 3);
    letters.map(move |letter| format!("{path}/{letter}"))
}

/// The order of the paths below a path, each page before what is below it.
fn before_what_is_below(path: &str) -> Vec<String> {
    let below = below(path).flat_map(|path| before_what_is_below(&path));
    std::iter::once(path.to_owned()).chain(below).collect()
}

/// The requested paths; the home page is empty.
fn paths(run: &Run<Crawled<String>>) -> Vec<String> {
    let path = |url: &&str| url.trim_start_matches("https://one.test").trim_end_matches('/').to_owned();
    run.visited().iter().map(path).collect()
}

#[test]
fn each_order_is_what_arrives_at_the_site() {
    let downwards = before_what_is_below("");
    let mut level_by_level = downwards.clone();
    level_by_level.sort_by_key(|path| path.matches('/').count());
    for (order, expected) in
        [(Order::Found, &level_by_level), (Order::BreadthFirst, &level_by_level), (Order::DepthFirst, &downwards)]
    {
        let run = tree().crawl(crawler(links).order(order)).unwrap();
        assert_eq!(paths(&run), *expected, "{order:?}");
    }
}

/// The redirect's target has the depth of what led there, and is found after pages that are deeper.
#[test]
fn breadth_first_goes_by_depth_also_where_a_near_page_is_found_late() {
    let asked_in = |order| {
        let site = Site::new(SEED)
            .page("/", page(&["/early", "/late"]))
            .page("/early", page(&["/early/below", "/early/below-too"]))
            .redirect("/late", "/late/here")
            .pages(["/early/below", "/early/below-too", "/late/here"].map(|path| (path, "the end")));
        paths(&site.crawl(crawler(links).order(order)).unwrap())
    };
    assert_eq!(asked_in(Order::Found)[3..], ["/early/below", "/early/below-too", "/late/here"]);
    assert_eq!(asked_in(Order::BreadthFirst)[3..], ["/late/here", "/early/below", "/early/below-too"]);
}

#[test]
fn a_higher_priority_goes_first_in_every_order() {
    let urgent = |page: &Response| {
        let request = |link: &url::Url| Request::get(link.clone()).priority(i32::from(link.path().ends_with("/c")));
        let requests: Vec<_> = page.links().map(|link| request(link.url())).collect();
        Ok(Parsed::new().follow(requests))
    };
    for order in [Order::Found, Order::BreadthFirst, Order::DepthFirst] {
        let run = tree().crawl(crawler(urgent).order(order)).unwrap();
        assert_eq!(paths(&run)[..4], ["", "/c", "/c/c", "/c/c/c"], "{order:?}");
    }
}

#[test]
fn best_first_goes_by_the_function_with_the_oldest_of_equals_first() {
    let score = |request: &Request| match request.url.path() {
        path if path.starts_with("/b") => 10 - request.depth.cast_signed(),
        "/a" => i32::MIN,
        _ => 0,
    };
    // The priority is the function's to count, and the order it replaces.
    let crawler = crawler(links).order(Order::DepthFirst).best_first(score);
    let asked = paths(&tree().crawl(crawler).unwrap());
    assert_eq!(asked[..5], ["", "/b", "/b/a", "/b/b", "/b/c"]);
    assert!(asked[5..14].iter().all(|path| path.starts_with("/b/") && path.len() == 6), "{asked:?}");
    assert_eq!(asked[14..18], ["/c", "/c/a", "/c/b", "/c/c"]);
    assert_eq!((asked.len(), asked[27].as_str()), (40, "/a"), "the least of all numbers is a number like others");
}

#[test]
fn a_function_that_panics_fails_the_page_and_not_the_crawl() {
    let score = |request: &Request| {
        assert_ne!(request.url.path(), "/b/c/a", "over this one");
        0
    };
    let run = tree().crawl(crawler(links).best_first(score)).unwrap();
    let report = run.report();
    assert_eq!((report.failed(), report.stats.get("outcome/panic")), (1, 1), "{report}");
    assert_eq!(paths(&run).len(), 37, "all but what is below /b/c");

    let refused = crawler(links).best_first(|_| panic!("over a seed"));
    let why = refused.start().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("best_first") && why.contains("over a seed"), "{why}");
}
