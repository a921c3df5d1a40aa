//! Tests of the choice among the links of a page.

use std::sync::Arc;

use super::*;
use crate::{extract::Scanner, request::Request};

fn page(html: &str) -> Response {
    Response::html("https://www.e.org/docs/", html.to_owned())
}

fn paths(links: Links<'_>) -> Vec<&str> {
    links.map(|link| link.url().path()).collect()
}

#[test]
fn links_are_chosen_by_place_pattern_and_domain() {
    let page = page(
        "<nav><a href=/a>nav</a></nav><main><a href=/a#x>main</a><a href=//o.org/b>o</a><a href=//cdn.e.org./c>c</a></main>",
    );
    assert_eq!(paths(page.links().within("main").unwrap()), ["/a", "/b", "/c"]);
    assert_eq!(paths(page.links().same_domain()), ["/a", "/c"], "a dot after the host is no other domain");
    assert_eq!(paths(page.links().allow("/[ab]$").unwrap().deny("^https://o").unwrap()), ["/a"]);
    assert_eq!(page.links().within("footer").unwrap().count(), 0);
    assert_eq!(page.links().next().unwrap().text(), "nav", "of several the first on the page");
    assert_eq!(page.links().within("main").unwrap().next().unwrap().text(), "main", "or the first there");
    assert!(
        page.links().within("main[").is_err() && page.links().allow("(").is_err() && page.links().deny("[").is_err()
    );
}

#[test]
fn each_link_has_its_text_and_attributes_with_and_without_the_tree() {
    let page = page(
        "<main><a href=1 rel='next nofollow' title='a &amp; b'> One\n<b>&eacute;</b><script>x</script><br>two</a>
         <a href=2>never closed <a href=3>three</a><map><area href=4 alt=' the  map '></map><a href=5></a>
         <svg><a href=6>drawn</a></svg><a href=7><img src=i alt=picture></a></main>",
    );
    let texts = ["One é two", "never closed", "three", "the map", "", "drawn", ""];
    for links in [page.links(), page.links().within("main").unwrap()] {
        assert_eq!(links.clone().map(|link| link.text().trim().replace("  ", " ")).collect::<Vec<_>>(), texts);
        let first = links.clone().next().unwrap();
        assert_eq!((first.rel().as_deref(), first.attr("title").as_deref()), (Some("next nofollow"), Some("a & b")));
        assert!(first.nofollow() && first.element() == LinkElement::A);
        assert_eq!(links.map(|link| link.nofollow()).filter(|nofollow| *nofollow).count(), 1);
    }
    let marked = self::page("<a href=1>x</a><main><a href=1 rel=nofollow>y</a></main>");
    assert!(!marked.links().next().unwrap().nofollow());
    assert!(marked.links().within("main").unwrap().next().unwrap().nofollow(), "all there are marked");
}

#[test]
fn what_links_beside_text_is_taken_where_asked() {
    let html = "<link rel=canonical href=/c><link rel='Stylesheet' href=/s.css><link rel=next href=/n>
                <script src=/j.js></script><script>'<img src=/no>'</script><a href=/a>x</a>
                <picture><source srcset='/1.png 1x, /2.png 2x'><img src=/i.png srcset=/i2.png></picture>
                <form action=/search?q=1><input name=q></form><form method=post action=/post></form><form></form>
                <iframe src=/f></iframe><video><source src=/v.mp4></video>";
    let page = page(html);
    let of = |elements: &[LinkElement]| {
        let set = elements.iter().fold(LinkSet::NONE, |set, element| set.with(*element));
        paths(page.links().of(set)).join(" ")
    };
    assert_eq!(of(&[LinkElement::Canonical]), "/c");
    assert_eq!(of(&[LinkElement::Stylesheet, LinkElement::Script]), "/s.css /j.js");
    assert_eq!(of(&[LinkElement::Image]), "/i.png /i2.png");
    assert_eq!(of(&[LinkElement::Source]), "/1.png /2.png /v.mp4");
    assert_eq!(of(&[LinkElement::Form]), "/search");
    assert_eq!(of(&[LinkElement::Iframe, LinkElement::Next, LinkElement::A]), "/n /a /f");
    assert_eq!(paths(page.links()), ["/a"], "asking for others changes nothing");
    assert_eq!(paths(page.links().of(LinkElement::Image).within("picture").unwrap()), ["/i.png", "/i2.png"]);
    assert_eq!(paths(page.links().of(LinkElement::A).within("picture").unwrap()), [""; 0]);
}

#[test]
fn nofollow_of_meta_tags_and_of_headers_is_honoured_where_asked() {
    let html = "<a href=1 rel=sponsored>x</a><a href=2>x</a>";
    assert_eq!(paths(page(html).links().followable()), ["/docs/2"]);
    let followable = |header: &str| {
        let page = page(html).with_scanner(Scanner::default().robot("mybot")).with_header("x-robots-tag", header);
        assert_eq!(page.links().count(), 2);
        page.links().followable().count()
    };
    assert_eq!(
        ["nofollow", "none", "mybot: nofollow", "otherbot: nofollow", "noindex"].map(followable),
        [0, 0, 0, 1, 1]
    );
    let named = page(&format!("<meta name=mybot content=nofollow>{html}"));
    assert_eq!(named.with_scanner(Scanner::default().robot("mybot")).links().followable().count(), 0);
}

#[test]
fn what_other_elements_lack_counts_as_left_out_too() {
    let many: String = (0..12).map(|n| format!("<a href={n}>x</a><img src={n}.png><img src=b{n}.png>")).collect();
    let page = page(&many).with_scanner(Scanner::default().max_links(10));
    assert_eq!(page.skipped_of_asked().over_limit, 0, "nobody has asked");
    assert_eq!((page.links().count(), page.skipped_of_asked().over_limit), (10, 2));
    assert_eq!((page.links().of(LinkElement::Image).count(), page.skipped_of_asked().over_limit), (10, 14));
}

/// Nested areas are walked once, a link that is never closed ends with the next, and a long base is kept for no link.
#[test]
fn hostile_pages_cost_what_their_length_allows() {
    let deep = "<div><a href=x>".repeat(20_000);
    let page = page(&deep);
    assert_eq!(page.links().within("div").unwrap().count(), 1);
    let unclosed: String = (0..9_000).map(|n| format!("<a href={n}>text ")).collect();
    assert_eq!(self::page(&unclosed).links().map(|link| link.text().len()).sum::<usize>(), 9_000 * "text".len());
    let endless = format!("<a href=1>{}", "text ".repeat(100_000));
    let text = self::page(&endless).links().next().unwrap().text();
    assert!((1_000..20_000).contains(&text.len()), "{}", text.len());
    let images = format!("<base href=/{}/><main>{}", "x".repeat(2_000), "<img src=y srcset='a,b c'>".repeat(2_000));
    assert!(self::page(&images).links().of(LinkElement::Image).within("main").unwrap().count() <= 2);
    let request = Arc::new(Request::parse("https://e.org/").unwrap());
    let binary = Response::new(
        request,
        200,
        http::HeaderMap::new(),
        (&b"\x00\x01"[..]).into(),
        std::time::SystemTime::UNIX_EPOCH,
        std::time::Duration::ZERO,
    );
    assert_eq!(binary.links().of(LinkElement::Script).count(), 0);
}
