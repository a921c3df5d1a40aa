//! What a page says, as a spider asks for it: links, title, base, robots rules, text, selections.

use actix_crawler::{
    extract::{Document, LinkElement, LinkSet, Scanner, SelectorError, visible_text},
    prelude::*,
};
use proptest::prelude::*;

fn page(html: &str) -> Response {
    Response::html("https://e.org/docs/page.html?x=1", html.to_owned())
}

fn links(html: &str) -> Vec<String> {
    page(html).links().map(ToString::to_string).collect()
}

#[test]
fn links_are_absolute_each_once_in_their_order() {
    let html = "<a href=b.html>1</a> <a href='/c#top'>2</a> <a href=b.html#x>3</a> <area href=//cdn.net/d>\
                <a href='  https://o.org/%C3%A9?q=1&amp;r=2 '>4</a><a href=''>5</a><a href=#frag>6</a><a name=x>7</a>";
    assert_eq!(
        links(html),
        ["https://e.org/docs/b.html", "https://e.org/c", "https://cdn.net/d", "https://o.org/%C3%A9?q=1&r=2"]
    );
}

#[test]
fn the_first_base_holds_for_all_links_also_those_before_it() {
    let html = "<a href=a>x</a><base target=_top><base href='../v2/'><base href=/no/><a href=b>x</a>";
    assert_eq!(links(html), ["https://e.org/v2/a", "https://e.org/v2/b"]);
    assert_eq!(links("<base href='javascript:0'><a href=a>x</a>"), ["https://e.org/docs/a"]);
    assert_eq!(page("<base href=/v2/>").join("x").unwrap().as_str(), "https://e.org/v2/x");
}

#[test]
fn what_is_no_link_is_counted_with_its_reason() {
    let response =
        page("<a href=mailto:a@e.org>x</a><a href='javascript:1'>x</a><a href='http://['>x</a><a href=ok>x</a>");
    let skipped = response.scan().skipped;
    assert_eq!((skipped.other_scheme, skipped.unreadable, response.links().count()), (2, 1, 1));
}

#[test]
fn markup_that_is_none_gives_no_links() {
    for html in [
        "<!-- <a href=x> -->",
        "<script>document.write('<a href=x>')</script>",
        "<style><a href=x></style>",
        "<textarea><a href=x></textarea>",
        "<title><a href=x></title>",
        "<a href=x",
    ] {
        assert_eq!(links(html), [""; 0], "{html}");
    }
    assert_eq!(links("<noscript><a href=x></noscript>").len(), 1, "a crawler runs no scripts");
}

#[test]
fn nofollow_is_honoured_where_asked() {
    let marked = page("<a rel='noopener nofollow' href=a>x</a><a href=b>x</a><a rel=ugc href=c>x</a><a href=c>x</a>");
    assert_eq!(marked.links().count(), 3);
    let followed: Vec<_> = marked.followed_links().map(|url| url.path()).collect();
    assert_eq!(followed, ["/docs/b", "/docs/c"], "c is linked once without it");
    assert_eq!(page("<meta name=ROBOTS content='noindex,NoFollow'><a href=a>x</a>").followed_links().count(), 0);
}

#[test]
fn other_elements_link_where_asked() {
    let html = "<link rel=next href=2><link rel='alternate stylesheet' href=s><iframe src=f></iframe><a href=a>x</a>";
    let url = "https://e.org/".parse().unwrap();
    let scanner = Scanner::default().elements(LinkSet::NONE.with(LinkElement::Next).with(LinkElement::Iframe));
    let found: Vec<_> = scanner.scan(html, &url).links.into_iter().map(|link| link.url.path().to_owned()).collect();
    assert_eq!(found, ["/2", "/f"]);
}

#[test]
fn the_title_is_one_line_and_that_of_a_drawing_is_none() {
    assert_eq!(page("<title> A &amp;\n B </title><title>C</title>").title(), Some("A & B"));
    assert_eq!(page("<svg><title>icon</title></svg><title>page</title>").title(), Some("page"));
    assert_eq!(page("<p>no title").title(), None);
}

#[test]
fn text_is_what_a_reader_sees_line_by_line() {
    let html = "<title>t</title><h1>Head</h1><p>one <b>two</b>\n three<br>four<script>x</script>\
                <table><tr><td>a<td>b</table><ul><li>i<li>ii</ul><pre>x\n  y</pre>";
    assert_eq!(visible_text(html), "Head\none two three\nfour\na b\ni\nii\nx\ny");
}

#[test]
fn what_must_be_there_is_named_when_it_is_not() {
    let document = Document::parse("<div class=quote id=q1><i class=text>Be &amp; become.</i></div>");
    let quote = document.first(".quote").unwrap();
    assert_eq!(quote.text_of(".text").unwrap(), "Be & become.");
    assert_eq!(quote.attr("id"), Some("q1"));
    let missing = quote.text_of(".author").unwrap_err().to_string();
    assert!(missing.contains(".author") && missing.contains(r#"<div id="q1" class="quote">"#), "{missing}");
    assert!(matches!(document.select("a::text"), Err(SelectorError::Invalid { why, .. }) if why.contains("text_of")));
    assert!(document.select("div >").is_err());
}

#[test]
fn a_link_can_be_taken_by_its_selector() {
    let response = page("<base href=/v/><li class=next><a href=2>next</a><img src=i.png>");
    assert_eq!(response.link(".next a").unwrap().unwrap().as_str(), "https://e.org/v/2");
    assert_eq!(response.link("img").unwrap().unwrap().as_str(), "https://e.org/v/i.png");
    assert_eq!(response.link(".none").unwrap(), None);
}

/// Measured before the bounds: 40,000 nested elements cost a second and more, since every tag looks through all open ones.
#[test]
fn a_page_that_nests_without_end_is_cut_and_says_so() {
    let hostile = "<div>".repeat(40_000) + "<p class=x>deep";
    let document = Document::parse(&hostile);
    assert!(document.cut().is_some());
    assert_eq!(document.text_of("html").unwrap(), "deep", "its text is kept");
    assert!((500..=512).contains(&document.select("div").unwrap().len()), "browsers stop at 512");
}

#[test]
fn json_and_state_are_typed() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Answer {
        n: u32,
    }
    let response = Response::json_text("https://e.org/api", r#"{"n": 7}"#);
    assert_eq!(response.json::<Answer>().unwrap(), Answer { n: 7 });
    assert!(response.json::<Vec<u8>>().is_err());
    assert_eq!(response.links().count(), 0, "JSON is no page");
    assert_eq!(response.state::<u32>().unwrap(), None);
}

proptest! {
    #[test]
    fn no_page_is_so_broken_that_it_fails(html in "[<>/!?a-z='\" \\-é\\[\\]&;#\0\r\n]{0,200}") {
        let response = page(&html);
        let _ = (response.links().count(), response.title(), response.text(), response.select("a"));
    }
}
