//! Documents that are no pages, or hostile ones: what a user's function makes pages of is read as pages are, what fails
//! is a page that fails, and nothing that is read of any bytes fails or grows.
#![cfg(all(feature = "readability", feature = "feeds"))]

mod crawls;
mod recorder;

use actix_crawler::{extract::MAX_URL_LENGTH, form::Form, prelude::*, response::Converted};
use crawls::{crawl_with, run};
use proptest::prelude::*;
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

/// Pieces of all formats that are read, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "<p>", "</p>", "<a href='x?q=é'>", "</a>", "<ul><li>", "</ul>", "<table><tr><td rowspan=9>", "<pre>", "<code>",
            "<b>", "<img src=i alt='a|b'>", "<h1>", "<blockquote>", "<svg>", "<math><annotation-xml>", "<frameset>", "<frame src=f>",
            "<form action=a method=post>", "<input name=n type=color value='rgb(1 2 3)'>", "<textarea name=t wrap=hard cols=3>",
            "<select name=s><option selected>", "<base href=//b/>", "<meta http-equiv=refresh content='0;url=r'>",
            "<meta property=og:image content=i>", "<p itemscope itemprop=a itemtype=T>", "<p vocab=v: typeof=T property=p resource=r>",
            "<script type=application/ld+json>{\"@type\":\"T\"}", "</script>", "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE html>",
            "<rss><channel><item><link>u</link>", "</item>", "<feed xmlns='http://www.w3.org/2005/Atom'><entry>", "<content type='xhtml'>",
            "{\"version\":\"https://jsonfeed.org/version/1\",\"items\":[{\"id\":1}]}", "# T\n", "> s\n", "## S\n", "- [a](b): c\n", "```\n",
            "<?xml version='1.0' encoding='gbk'?>", "&eacute;", "&#x110000;", "\u{feff}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..12),
        1 => "\\PC{0,12}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// All that is read of a document, whatever it is and is said to be. `fuzz/fuzz_targets/document.rs` looks longer.
    #[test]
    fn no_document_is_so_hostile_that_reading_it_fails_or_grows(
        body in pieces(),
        kind in prop::sample::select(vec![
            "text/html", "application/xhtml+xml", "text/html; charset=gb18030", "text/html; charset=utf-16", "text/plain",
            "text/markdown", "application/atom+xml", "application/feed+json", "application/pdf", "",
        ]),
    ) {
        let page = Response::bytes("https://e.org/a/b?c", kind, body.clone());
        prop_assert!(page.body_text().len() <= 3 * body.len() + 3);
        prop_assert!(page.text().len() <= 8 * body.len() + 8);
        for link in page.links() {
            prop_assert!(matches!(link.url().scheme(), "http" | "https") && link.url().as_str().len() <= MAX_URL_LENGTH);
            prop_assert!(link.text().len() <= 2 * body.len() + 2);
        }
        for markdown in [page.markdown(), page.markdown().main()] {
            let written = markdown.write();
            prop_assert!(written.text.is_empty() || written.text.ends_with('\n'));
        }
        let metadata = page.metadata();
        prop_assert!(metadata.meta.len() + metadata.microdata.len() + metadata.rdfa.len() <= body.len());
        prop_assert!(page.llms_txt().links.len() <= body.len());
        prop_assert!(page.feed().is_ok_and(|feed| feed.entries.len() <= body.len()) || page.feed().is_err());
        let form = page.form("form").and_then(Form::submit);
        prop_assert!(form.is_err() || form.is_ok_and(|request| request.url.scheme().starts_with("http")));
        prop_assert!(page.simhash().is_none() || !page.text().is_empty());
        prop_assert!(page.language().is_none_or(|language| !language.to_string().is_empty()));
    }
}
