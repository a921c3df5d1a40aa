//! Documents that a user's function makes pages of: they are read as pages are, and what fails is a page that fails.

mod crawls;
mod recorder;

use actix_crawler::{Converted, prelude::*};
use crawls::{crawl_with, run};
use recorder::{Answer, Recorder};

const SEED: &str = "http://docs.test/";

fn site() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::page(["/good.pdf", "/bad.pdf", "/wicked.pdf", "/plain"]),
        "/plain" => Answer::ok("plain").header("content-type", "text/plain"),
        "/linked" => Answer::ok("<p>linked"),
        path => Answer::ok(path.to_owned()).header("content-type", "application/pdf"),
    })
}

fn texts(page: &Response) -> Result<Parsed<(String, String, usize)>> {
    let item = (page.url().path().to_owned(), page.text(), page.body().len());
    Ok(Parsed::of([item]).follow(page.links()))
}

#[test]
fn a_document_is_read_as_a_page_and_one_that_fails_or_panics_fails_alone() {
    let (site, items) = (site(), Collect::new());
    let convert = |document: &[u8]| match document {
        b"/good.pdf" => Ok(Converted::Html("<h1>Good</h1><a href=/linked>on</a>".to_owned())),
        b"/bad.pdf" => Err("it is encrypted"),
        _ => panic!("a font that nobody has seen"),
    };
    let crawler = crawl_with(texts, &site, actix_crawler::Settings::default());
    let report = run(crawler.convert("application/pdf", convert).pipeline(items.clone()).seed(SEED));
    let mut found = items.take();
    found.sort();
    let paths: Vec<_> = found.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, ["/", "/good.pdf", "/linked", "/plain"], "{report}");
    assert_eq!((found[1].1.as_str(), found[1].2), ("Good\non", "/good.pdf".len()), "the body is the document");
    assert_eq!((report.stats.get("failed/parse"), report.stats.get("failed/panic")), (1, 1), "{report}");
    let first = &report.stats.first_failures["parse"];
    assert!(first.url.ends_with("/bad.pdf"), "{first:?}");
    assert_eq!(first.detail, "application/pdf was not converted: it is encrypted");
}
