//! Items are judged before the pipelines: invalid ones reach none, each page counts once, and the report says why and
//! in how many items each field is.

mod crawls;
mod recorder;

use actix_crawler::{
    Settings,
    prelude::*,
    report::Ended,
    validation::{Findings, Schema, Validate},
};
use crawls::{block_on, crawl_with, end_of, run};
use recorder::{Answer, Recorder};

const SEED: &str = "http://shop.test/";

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
struct Product {
    name: String,
    price: Option<f64>,
}

fn products(page: &Response) -> Result<Parsed<Product>> {
    let mut parsed = Parsed::new().follow(page.links());
    for card in page.select(".card")? {
        parsed.push(Product { name: card.text_of("b")?, price: card.maybe_parse_of("i")? });
    }
    Ok(parsed)
}

/// Ten pages with a product each; the third is free of charge, the fourth has no price.
fn shop() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page((1..=10).map(|number| format!("/{number}"))),
        "/3" => Answer::ok("<p class=card><b>Three</b><i>0.00 €</i>"),
        "/4" => Answer::ok("<p class=card><b>Four</b>"),
        // The first answer is of no use, and the page is asked for again.
        "/5" if asked.time == 1 => Answer::status(502),
        path => Answer::ok(format!("<p class=card><b>No. {}</b><i>{} €</i>", &path[1..], &path[1..])),
    })
}

#[test]
fn invalid_items_reach_no_pipeline_and_the_report_says_why() {
    let (site, items) = (shop(), Collect::new());
    let schema = Schema::new().required("name").at_least("price", 0.01).expected("price", 0.95);
    let few = |product: &Product| if product.name == "No. 7" { Err("it is the seventh") } else { Ok(()) };
    let retry = actix_crawler::Retry { base: crawls::MS, ..Default::default() };
    let crawler = crawl_with(products, &site, Settings { retry, ..Settings::default() });
    let report = run(crawler.validate(schema).validate(few).pipeline(items.clone()).seed(SEED));

    let names: Vec<_> = items.take().into_iter().map(|product| product.name).collect();
    assert!(
        names.len() == 8 && !names.contains(&"Three".to_owned()) && !names.contains(&"No. 7".to_owned()),
        "{names:?}"
    );
    assert_eq!((report.stats.items, report.stats.get("items/invalid")), (8, 2), "{report}");
    let validation = report.validation.as_ref().unwrap();
    assert_eq!(
        (validation.items, validation.invalid, validation.left_out),
        (10, 2, 2),
        "each page counts once: {report}"
    );
    let reasons: Vec<_> = validation.reasons.iter().map(|reason| (reason.to_string(), reason.url.as_str())).collect();
    assert!(reasons.contains(&("price is less than 0.01".to_owned(), "http://shop.test/3")), "{reasons:?}");
    assert!(reasons.contains(&("it is the seventh".to_owned(), "http://shop.test/7")), "{reasons:?}");
    assert_eq!(validation.fields["price"].items, 9);
    assert_eq!(report.warnings, ["`price` is in 90% of the items (9 of 10), and expected in 95%"]);

    let text = report.to_string();
    assert!(text.contains("price is less than 0.01") && text.contains("http://shop.test/3: 0.0"), "{text}");
    assert!(text.contains("95% are expected") && !text.contains("name "), "what every item has is not listed: {text}");
    let json = serde_json::to_value(&*report).unwrap();
    assert_eq!(json["validation"]["fields"]["price"]["items"], 9);
    assert_eq!(json["validation"]["fields"]["price"]["expected"], 0.95);
    assert_eq!(json["items"], 8, "the number of items keeps its name");
}

#[test]
fn a_crawl_that_writes_its_items_to_a_feed_tells_in_how_many_each_field_is() {
    let (site, dir) = (shop(), tempfile::tempdir().unwrap());
    let retry = actix_crawler::Retry { base: crawls::MS, ..Default::default() };
    let crawl = || crawl_with(products, &site, Settings { retry: retry.clone(), ..Settings::default() }).seed(SEED);
    let report = run(crawl()
        .pipeline(JsonLines::create(dir.path().join("all.jsonl")))
        .pipeline(actix_crawler::feed::Feed::to(dir.path().join("all.csv"))));
    let validation = report.validation.as_ref().unwrap();
    let of = |field: &str| validation.fields[field].items;
    assert_eq!((validation.items, of("name"), of("price")), (10, 10, 9), "each once, whatever is written: {report}");
    let text = report.to_string();
    assert!(text.contains("10 items in this run\n") && text.contains("90%  of the items"), "{text}");
    assert!(!text.contains("invalid") && report.warnings.is_empty(), "{text}");

    // Functions judge whole items, and leave their fields to the feed.
    let any = |_: &Product| Ok::<(), &str>(());
    let report = run(crawl().validate(any).pipeline(JsonLines::create(dir.path().join("any.jsonl"))));
    assert_eq!(report.validation.as_ref().unwrap().fields["price"].items, 9, "{report}");
}

#[test]
fn a_crawl_without_rules_says_nothing_of_its_items() {
    let site = shop();
    let report = run(crawl_with(products, &site, Settings::default()).max_pages(2).seed(SEED));
    assert!(report.validation.is_none() && !report.to_string().contains("invalid"), "{report}");
}

/// Panics over one product.
struct Clumsy;

impl Validate<Product> for Clumsy {
    fn validate(&self, product: &Product, _: &mut Findings) {
        assert_ne!(product.name, "No. 2", "that one");
    }
}

#[test]
fn a_judge_that_panics_fails_its_page_and_nothing_else() {
    let site = shop();
    let crawler = crawl_with(products, &site, Settings::default()).validate(Clumsy).max_depth(1).seed(SEED);
    let report = block_on(async { end_of(&crawler.start().unwrap()).await });
    assert_eq!(report.ended, Ended::Finished, "{report}");
    assert_eq!(report.stats.get("failed/panic"), 1, "{report}");
    let validation = report.validation.as_ref().unwrap();
    assert!(validation.items >= 8 && validation.fields.is_empty(), "{report}");
}
