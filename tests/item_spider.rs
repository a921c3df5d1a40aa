//! Spiders of a type that reads itself: what is an item, which links are followed, and what is refused before a crawl
//! starts.
#![cfg(feature = "derive")]

mod recorder;

use actix_crawler::prelude::*;
use recorder::{Answer, Recorder};

const SEED: &str = "http://one.test/";

#[derive(Debug, Extract)]
struct Card {
    #[extract(css = "b")]
    name: String,
}

const LIST: &str =
    "<p><b>1</b></p><p><b>2</b></p><nav><a href=/2>next</a></nav><a class=ad href=/ad>ad</a><a href=/x>x</a>";

/// The names and the paths of links that it reads from a list at this URL.
fn read_by(spider: &ItemSpider<Card>, url: &str) -> (Vec<String>, Vec<String>) {
    let parsed = spider.parse(&Response::html(url, LIST)).unwrap();
    let paths = parsed.requests().iter().map(|request| request.url.path().to_owned()).collect();
    (parsed.items().iter().map(|card| card.name.clone()).collect(), paths)
}

#[test]
fn an_item_spider_makes_items_of_the_page_or_of_each_element_and_only_of_pages_that_are_named() {
    let page = ItemSpider::new();
    assert_eq!(read_by(&page, "http://e.org/"), (vec!["1".to_owned()], vec![]));
    let each = page.each("p").only("/list/").only("/all$");
    assert_eq!(read_by(&each, "http://e.org/list/1").0, ["1", "2"]);
    assert_eq!(read_by(&each, "http://e.org/all").0, ["1", "2"]);
    let follows = each.follow("nav").follow("a.ad");
    assert_eq!(read_by(&follows, "http://e.org/other"), (vec![], vec!["/2".to_owned(), "/ad".to_owned()]));
}

#[test]
fn an_item_spider_that_is_wrong_is_told_before_anything_is_fetched() {
    let site = Recorder::start(|_| Answer::ok(LIST));
    let started = |change: fn(ItemSpider<Card>) -> ItemSpider<Card>| {
        let crawler = Crawler::items::<Card>("bot/1.0 (+https://example.org/bot)").resolve(site.rule()).allow_private();
        crawler.spider(change).seed(SEED).start().err().map(|error| error.to_string())
    };
    for (change, word) in [
        ((|spider| spider.each("p[")) as fn(ItemSpider<Card>) -> ItemSpider<Card>, "no CSS selector"),
        (|spider| spider.follow("::x"), "no CSS selector"),
        (|spider| spider.only("("), "unclosed group"),
    ] {
        let told = started(change);
        assert!(told.as_ref().is_some_and(|told| told.contains(word)), "{told:?}");
    }
    assert_eq!(site.count(), 0);
    let without_name = Response::html("http://e.org/", "<p>none");
    assert!(ItemSpider::<Card>::new().parse(&without_name).unwrap_err().to_string().contains("`name` of `Card`"));
}

/// A misspelt selector once brought no item and no word.
#[test]
fn what_an_item_spider_has_found_on_no_page_is_a_warning_of_the_report() {
    let site = Recorder::start(|_| Answer::ok(LIST));
    let warnings = |change: fn(ItemSpider<Card>) -> ItemSpider<Card>| {
        let crawler = Crawler::items::<Card>("bot/1.0 (+https://example.org/bot)").resolve(site.rule()).allow_private();
        let report = crawler.spider(change).seed(SEED).spacing(std::time::Duration::ZERO).max_pages(2).run_blocking();
        let report = report.unwrap();
        assert!(report.to_string().contains("items  "), "{report}");
        report.warnings.clone()
    };
    assert_eq!(warnings(|cards| cards.each("p").only("test").follow("nav")), [""; 0]);
    assert_eq!(
        warnings(|cards| cards.each(".cart").follow("a.nxt")),
        [
            "no page of this run has an element that each(\".cart\") selects, so it has no items",
            "no page of this run has a link within what follow(\"a.nxt\") selects",
        ]
    );
    assert_eq!(
        warnings(|cards| cards.each("p").only("/produkt/")),
        ["no page of this run has a URL that only(\"/produkt/\") matches"]
    );
}

/// A pattern once counted as one that matches nothing where another went before it.
#[test]
fn patterns_that_match_the_same_pages_have_all_found_them() {
    let spider = ItemSpider::<Card>::new().each("p").only("/shop/").only("/shop/item/").only("/none/");
    assert_eq!(read_by(&spider, "http://e.org/shop/item/1").0, ["1", "2"]);
    assert_eq!(spider.warnings(), ["no page of this run has a URL that only(\"/none/\") matches"]);
}

/// It once ended well where every page had failed.
#[test]
fn a_crawl_that_brings_no_page_at_all_is_an_error_that_names_one() {
    let site = Recorder::start(|_| Answer::ok("<p>no name"));
    let crawler = Crawler::items::<Card>("bot/1.0 (+https://example.org/bot)").resolve(site.rule()).allow_private();
    let error = crawler.seed(SEED).run_to_end().unwrap_err().to_string();
    assert!(
        ["no page came, and 1 URL failed", SEED, "`name` of `Card`"].iter().all(|word| error.contains(word)),
        "{error}"
    );
}
