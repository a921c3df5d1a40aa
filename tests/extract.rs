//! The content of a page as a spider reads it: links, title, base, robots rules, text, selections.

use actix_crawler::{
    extract::{Document, LinkElement, LinkSet, Scanner, SelectorError, visible_text},
    prelude::*,
};
use proptest::prelude::*;

fn page(html: &str) -> Response {
    Response::html("https://e.org/docs/page.html?x=1", html.to_owned())
}

/// A page with these headers, as from a server.
fn answer<V: AsRef<[u8]>>(headers: &[(&'static str, V)], body: &[u8]) -> Response {
    let request = Request::parse("https://e.org/docs/page.html?x=1").unwrap();
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, http::HeaderValue::from_bytes(value.as_ref()).unwrap());
    }
    let (at, elapsed) = (std::time::SystemTime::UNIX_EPOCH, std::time::Duration::ZERO);
    Response::new(std::sync::Arc::new(request), 200, map, body.to_vec().into(), at, elapsed)
}

fn links_of(page: &Response) -> Vec<&str> {
    page.links().map(|link| link.url().as_str()).collect()
}

fn links(html: &str) -> Vec<String> {
    page(html).links().map(|link| link.url().to_string()).collect()
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

/// URL standard: a reference without a path leads to the base, and that is another page where a `<base>` says so.
#[test]
fn a_link_to_a_fragment_leads_to_the_base() {
    for link in [
        "<a href='#top'>x</a>",
        "<a href=''>x</a>",
        "<area href='# '>",
        "<a rel=nofollow href=' '>x</a><a href='#'>y</a>",
    ] {
        assert_eq!(
            links(&format!("<a href=a>x</a><base href=/d/x>{link}<a href=b>x</a>")),
            ["https://e.org/d/a", "https://e.org/d/x", "https://e.org/d/b"],
            "{link}"
        );
        assert_eq!(links(link), [""; 0], "the page itself: {link}");
        assert_eq!(links(&format!("<base href='#other'>{link}")), [""; 0], "the page itself: {link}");
    }
    let page = page("<base href=/d/x><a href=/d/x>x</a><a rel=nofollow href=#top>y</a>");
    let found: Vec<_> = page.links().collect();
    assert_eq!((found.len(), found[0].nofollow()), (1, false), "one page is one link");
    assert_eq!(links("<base href=/d/x><form action=''></form><img src=''><iframe src=''>"), [""; 0]);
}

/// URL standard: extra slashes before a host mean nothing ("special authority ignore slashes state"), and only the ends
/// of the whole reference are trimmed, so the space before a fragment belongs to the path ("basic URL parser").
#[test]
fn references_are_read_as_the_url_standard_says() {
    let html =
        "<a href='///example.org/path'>1</a><a href='page #top'>2</a><a href=' page '>3</a><a href='\\\\o.org'>4</a>";
    assert_eq!(
        links(html),
        ["https://example.org/path", "https://e.org/docs/page%20", "https://e.org/docs/page", "https://o.org/"]
    );
}

/// URL standard, "query state": a query is written in the page's charset, a path in UTF-8.
#[test]
fn the_query_of_a_link_is_in_the_charset_of_its_page() {
    let (html, _, _) = encoding_rs::GBK.encode("<base href=/b/><a href='/路?q=洪1700718'>x</a>");
    let page = answer(&[("content-type", "text/html; charset=gb2312")], &html);
    assert_eq!(links_of(&page), ["https://e.org/%E8%B7%AF?q=%BA%E91700718"]);
    assert_eq!(page.join("?q=洪").unwrap().as_str(), "https://e.org/b/?q=%BA%E9");
    let html = b"<meta charset=windows-1251><a href='?q=&#26085;'>x</a>";
    assert_eq!(
        links_of(&answer(&[("content-type", "text/html")], html)),
        ["https://e.org/docs/page.html?q=%26%2326085%3B"]
    );
    let html: Vec<u8> = "\u{feff}<a href='?q=é'>x</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(links_of(&answer(&[("content-type", "text/html")], &html)), ["https://e.org/docs/page.html?q=%C3%A9"]);
}

/// HTML standard, §14: XHTML is parsed as XML, where every element may close itself.
#[test]
fn in_xhtml_elements_close_themselves_and_other_xml_may_be_xhtml() {
    let xhtml = "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title>A <![CDATA[& B]]></title>\
                 <script src='x.js'/><style/></head><body><iframe src='f'/><textarea/><a href='one'>1</a>\
                 <script><![CDATA[ document.write('<a href=\"no\"></a>') ]]></script>\
                 <svg><a href='two'/><title>icon</title><p/></svg><a href='three'/></body></html>";
    for content_type in ["application/xhtml+xml", "text/xml", "application/xml", "application/vnd.x+xml; charset=utf-8"]
    {
        let page = answer(&[("content-type", content_type)], xhtml.as_bytes());
        assert!(page.is_html(), "{content_type}");
        assert_eq!(page.title(), Some("A & B"), "{content_type}");
        let expected = ["one", "two", "three"].map(|name| format!("https://e.org/docs/{name}"));
        assert_eq!(links_of(&page), expected, "{content_type}");
        assert_eq!(page.select("body > a").unwrap().len(), 2, "{content_type}");
        assert_eq!(page.select("script").unwrap().len(), 2, "{content_type}");
        assert!(page.text().contains('1'), "{content_type}");
    }
    let prefixed =
        "<h:html xmlns:h='http://www.w3.org/1999/xhtml'><h:title>T</h:title><h:a h:x='y' href='a'/></h:html>";
    let page = answer(&[("content-type", "text/xml")], prefixed.as_bytes());
    assert_eq!((page.title(), links_of(&page)), (Some("T"), vec!["https://e.org/docs/a"]));
    let both = "<html xmlns='http://www.w3.org/1999/xhtml' xmlns:h='http://www.w3.org/1999/xhtml'><h:a href='a'/>\
                <div xmlns:g='http://www.w3.org/1999/xhtml' xmlns:o='urn:o'><g:script><a href='no'/></g:script>\
                <g:area href='b'></g:area><o:a href='no'/></div></html>";
    let page = answer(&[("content-type", "application/xhtml+xml")], both.as_bytes());
    assert_eq!(links_of(&page), ["https://e.org/docs/a", "https://e.org/docs/b"]);
    for other in ["<rss><a href='x'/></rss>", "<feed xmlns='http://www.w3.org/2005/Atom'><a href='x'/></feed>", ""] {
        let page = answer(&[("content-type", "text/xml")], other.as_bytes());
        assert!(!page.is_html() && page.links().count() == 0, "{other}");
    }
    let html = answer(&[("content-type", "text/html")], b"<script src=x.js/><a href=no></script><a href=yes>");
    assert_eq!(links_of(&html), ["https://e.org/docs/yes"], "in HTML the slash means nothing");
}

/// Namespaces in XML 1.0, §6, and HTML standard, §4.6.1: a link is an element of XHTML or SVG, wherever it stands and
/// whatever its prefix. Chromium has the same links.
#[test]
fn in_xml_the_namespace_of_an_element_says_whether_it_links() {
    let page_of = |body: &str| {
        let xml = format!(
            "<html xmlns='http://www.w3.org/1999/xhtml' xmlns:s='http://www.w3.org/2000/svg' xmlns:o='urn:o'>\
             <head><title>T</title></head><body>{body}</body></html>"
        );
        answer(&[("content-type", "application/xhtml+xml")], xml.as_bytes())
    };
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'>";
    for (body, expected) in [
        (format!("{svg}<h:area xmlns:h='http://www.w3.org/1999/xhtml' href='x'/><h:area href='no'/></svg>"), "x"),
        (format!("{svg}<area href='no'/><a href='x'/><title>no</title></svg><area href='y'/>"), "x y"),
        (format!("{svg}<area xmlns='http://www.w3.org/1999/xhtml' href='x'/><area href='no'/></svg>"), "x"),
        (format!("{svg}<title><area href='no'/></title><foreignObject><area href='no'/></foreignObject></svg>"), ""),
        ("<s:svg><s:a href='x'/><s:area href='no'/><area href='y'/></s:svg>".to_owned(), "x y"),
        ("<x xmlns='urn:o'><a href='no'/><x><a href='no'/></x></x><a href='x'/>".to_owned(), "x"),
        (
            "<o:a href='no'/><p xmlns:o='http://www.w3.org/1999/xhtml'><o:a href='x'/></p><o:a href='no'/>".to_owned(),
            "x",
        ),
        ("<svg><title/><area href='x'/></svg>".to_owned(), "x"),
    ] {
        let page = page_of(&body);
        let expected: Vec<_> = expected.split_whitespace().map(|name| format!("https://e.org/docs/{name}")).collect();
        assert_eq!(links_of(&page), expected, "{body}");
        assert_eq!(page.title(), Some("T"), "{body}");
    }
    // The tree has their local names, so that selectors find them.
    let page = page_of(
        "<h:p xmlns:h='http://www.w3.org/1999/xhtml'><h:a href='x'>one</h:a><h:script>1 &lt; 2</h:script></h:p><a href='y'/>",
    );
    assert_eq!((page.select("p a, body > a").unwrap().len(), page.select("script").unwrap().len()), (2, 1));
    assert_eq!(page.links().within("body").unwrap().count(), 2);
    // XHTML within other XML is part of data, and that is no page: Scrapy's CrawlSpider follows no links of it either.
    let feed = b"<feed xmlns='http://www.w3.org/2005/Atom'><content><a xmlns='http://www.w3.org/1999/xhtml' href='x'/></content></feed>";
    for content_type in ["application/atom+xml", "application/xml"] {
        let page = answer(&[("content-type", content_type)], feed);
        assert!(!page.is_html() && page.links().count() == 0, "{content_type}");
    }
}

/// HTML standard, §13.2.6, "tree construction dispatcher": where an element is SVG, MathML or HTML. Chromium has the
/// same links.
#[test]
fn in_html_elements_within_drawings_and_formulas_are_what_the_tree_builder_makes_of_them() {
    for (html, expected) in [
        ("<svg><a xlink:href=x></a><a XLINK:HREF=y href=z></a></svg><a xlink:href=no>", "x z"),
        ("<math><svg><foreignObject><area href=no></foreignObject></svg></math><area href=x>", "x"),
        ("<math><annotation-xml><svg><foreignObject><area href=x></foreignObject></svg></annotation-xml></math>", "x"),
        ("<math><annotation-xml><area href=no><mi><area href=x></mi></annotation-xml></math><area href=y>", "x y"),
        ("<math><annotation-xml><area href=no></math><area href=x>", "x"),
        ("<math><annotation-xml encoding=text/html><area href=x></annotation-xml></math>", "x"),
        ("<math><mi><svg><desc><area href=x></desc></svg></mi></math>", "x"),
        ("<svg><math><mi><area href=no></mi></math></svg><area href=x>", "x"),
        ("<svg><svg><area href=no></svg><area href=no></svg><area href=x>", "x"),
        ("<svg><a href=x></a></svg><math><a href=y></a></math>", "x y"),
    ] {
        let page = page(html);
        let expected: Vec<_> = expected.split_whitespace().map(|name| format!("https://e.org/docs/{name}")).collect();
        assert_eq!(links_of(&page), expected, "{html}");
    }
}

/// The standard has no insertion mode for `select` any more, so `plaintext` is in it what it is elsewhere; so has
/// Chromium.
#[test]
fn plaintext_within_a_select_is_text_to_the_end_of_the_page() {
    for html in [
        "<a href=x>x</a><select><plaintext></select><a href=no>",
        "<a href=x>x</a><table><tr><td><select><option><plaintext></plaintext><a href=no>",
    ] {
        let page = page(html);
        assert_eq!(links_of(&page), ["https://e.org/docs/x"], "{html}");
        assert_eq!(page.links().within("html").unwrap().count(), 1, "{html}");
    }
}

/// HTML standard, §13.2.6.4.7 (`<image>`) and §4.2.3 (a base whose scheme is `data` or `javascript` is none).
#[test]
fn an_image_by_its_other_name_is_one_and_a_base_of_another_scheme_is_a_base() {
    let images = |html: &str| {
        page(html).links().of([LinkElement::Image]).map(|link| link.url().path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(images("<image src=a.png><img src=b.png><svg><image src=no.png></svg>"), ["/docs/a.png", "/docs/b.png"]);
    for (base, expected) in [
        ("data:,x", vec!["https://e.org/docs/a"]),
        ("javascript:x", vec!["https://e.org/docs/a"]),
        ("mailto:x", vec![]),
    ] {
        assert_eq!(links(&format!("<base href='{base}'><a href=a>x</a>")), expected, "{base}");
    }
}

/// The Fetch standard reads the values of headers by "isomorphic decode", so no byte makes one void. Regression: a
/// `Content-Type` whose file name was not ASCII, and such a `Refresh`, counted as missing.
#[test]
fn headers_with_bytes_beyond_ascii_are_read() {
    for name in ["\u{fc}".as_bytes(), b"\xfc"] {
        let image = answer(&[("content-type", [&b"image/png; name="[..], name, b".png"].concat())], b"<a href=x>x</a>");
        assert_eq!((image.is_html(), image.links().count()), (false, 0), "{name:?}");
        let page =
            answer(&[("content-type", [&b"text/html; n="[..], name, b"; charset=koi8-r"].concat())], b"<a href=?\xc4>");
        assert_eq!(
            (page.encoding(), links_of(&page)),
            ("KOI8-R", vec!["https://e.org/docs/page.html?%C4"]),
            "{name:?}"
        );
        let sends_on = answer(&[("refresh", [&b"0; url=/"[..], name].concat())], b"");
        assert_eq!(sends_on.refresh().unwrap().url.as_str(), "https://e.org/%C3%BC", "{name:?}");
    }
}

/// HTML standard, §4.2.5.3 ("shared declarative refresh steps").
#[test]
fn a_refresh_by_header_or_meta_is_offered() {
    let refresh = |headers: &[(&'static str, &str)], html: &str| {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "text/html"));
        answer(&headers, html.as_bytes()).refresh().map(|refresh| (refresh.delay.as_secs(), refresh.url.to_string()))
    };
    let to = |seconds, path: &str| Some((seconds, format!("https://e.org{path}")));
    assert_eq!(refresh(&[], "<meta http-equiv=Refresh content='0; url=next#x'>"), to(0, "/docs/next"));
    assert_eq!(refresh(&[], "<base href=/b/><META HTTP-EQUIV=refresh CONTENT=\"3;URL='next'\">"), to(3, "/b/next"));
    assert_eq!(refresh(&[("refresh", "1; url=/h")], "<meta http-equiv=refresh content='0;/m'>"), to(1, "/h"));
    assert_eq!(refresh(&[("refresh", "junk")], "<meta http-equiv=refresh content='0;/m'>"), to(0, "/m"));
    assert_eq!(
        refresh(&[], "<meta http-equiv=refresh content=5><meta http-equiv=refresh content='0;/m'>"),
        to(0, "/m")
    );
    for none in [
        "<meta http-equiv=refresh content=30>",
        "<meta http-equiv=refresh content='0;url=javascript:x'>",
        "<meta http-equiv=refresh content='0;url=page.html?x=1#top'>",
        "<template><meta http-equiv=refresh content='0;/m'></template>",
        "<!-- <meta http-equiv=refresh content='0;/m'> -->",
        "<meta name=refresh content='0;/m'>",
        // Scrapy's METAREFRESH_IGNORE_TAGS: it leads away from the page, to a notice for browsers without scripts.
        "<noscript><meta http-equiv=refresh content='0;/m'></noscript>",
    ] {
        assert_eq!(refresh(&[], none), None, "{none}");
    }
}

/// HTML standard, §4.2.3 and §4.12.3: a base is an HTML element in the document; what a template holds is no part of
/// it.
#[test]
fn a_drawing_and_a_template_say_nothing_of_the_page() {
    for html in [
        "<svg><base href=/no/></svg><a href=a>x</a>",
        "<math><base href=/no/></math><a href=a>x</a>",
        "<template><base href=/no/><title>no</title></template><a href=a>x</a>",
        "<template><template></template><base href=/no/></template><a href=a>x</a>",
        "<template><meta name=robots content=nofollow><link rel=canonical href=/no></template><a href=a>x</a>",
    ] {
        let page = page(html);
        assert_eq!(links_of(&page), ["https://e.org/docs/a"], "{html}");
        assert_eq!(
            (page.title(), page.links().followable().count(), &page.scan().canonical),
            (None, 1, &None),
            "{html}"
        );
    }
    assert_eq!(links("<template></template><base href=/yes/><a href=a>x</a>"), ["https://e.org/yes/a"]);
    assert_eq!(links("<svg><foreignObject><base href=/yes/></foreignObject></svg><a href=a>"), ["https://e.org/yes/a"]);
}

/// Fetch standard, "extract a MIME type".
#[test]
fn of_several_media_types_the_last_counts_and_takes_over_the_charset() {
    for lines in [&["text/html;charset=windows-1251, text/html"][..], &["text/html;charset=windows-1251", "text/html"]]
    {
        let headers: Vec<_> = lines.iter().map(|line| ("content-type", *line)).collect();
        assert_eq!(answer(&headers, b"\xcf").body_text(), "П", "{lines:?}");
    }
    assert!(!answer(&[("content-type", "text/html"), ("content-type", "text/plain")], b"<p>").is_html());
}

#[test]
fn links_beyond_a_bound_are_counted() {
    let long = format!("<a href=/{}>x</a>", "x".repeat(3_000));
    let many: String = (0..10_020).map(|n| format!("<a href=/{n}>x</a>")).collect();
    let page = page(&(long + &many));
    assert_eq!(page.links().count(), 10_000);
    assert_eq!((page.skipped().too_long, page.skipped().over_limit, page.skipped().over_bounds()), (1, 20, 21));
}

/// HTML standard, §4.2.5.3. Scrapy passes over what stands within `noscript`; as a link it is not lost.
#[test]
fn where_a_page_sends_its_readers_is_a_link() {
    let meta = "<a href=a>x</a><meta http-equiv=refresh content='30; url=next'>";
    assert_eq!(links(meta), ["https://e.org/docs/a", "https://e.org/docs/next"]);
    assert_eq!(links("<a href=a>x</a><meta http-equiv=refresh content='30; url=a'>"), ["https://e.org/docs/a"]);
    assert_eq!(links("<meta http-equiv=refresh content='30; url=page.html?x=1#top'>"), [""; 0], "it reloads itself");
    assert_eq!(
        links("<noscript><meta http-equiv=refresh content='0;url=no-js'></noscript>"),
        ["https://e.org/docs/no-js"]
    );
    let page = answer(&[("content-type", "text/plain"), ("refresh", "30; url=next")], b"plain");
    assert_eq!(links_of(&page), ["https://e.org/docs/next"]);
    let long = format!("<meta http-equiv=refresh content='0; url=/{}'>", "x".repeat(3_000));
    assert_eq!(answer(&[("content-type", "text/html")], long.as_bytes()).skipped().too_long, 1);
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
    let followed: Vec<_> = marked.links().followable().map(|link| link.url().path()).collect();
    assert_eq!(followed, ["/docs/b", "/docs/c"], "c is linked once without it");
    assert_eq!(page("<meta name=ROBOTS content='noindex,NoFollow'><a href=a>x</a>").links().followable().count(), 0);
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

/// Measured before the bounds: 40,000 nested elements cost a second and more, since every tag looks through all open
/// ones.
#[test]
fn a_page_that_nests_without_end_is_cut_and_says_so() {
    let hostile = "<div>".repeat(40_000) + "<p class=x>deep";
    let document = Document::parse(&hostile);
    assert!(document.cut().is_some());
    assert_eq!(document.text_of("html").unwrap(), "deep", "its text is kept");
    assert!((500..=512).contains(&document.select("div").unwrap().len()), "browsers stop at 512");
}

/// Regression: 512 elements within each other repeated the text of a page 512 times, which was five gigabytes of one of
/// ten megabytes.
#[test]
fn elements_within_each_other_do_not_repeat_the_text_of_a_page_without_end() {
    let nested = |times: usize| page(&format!("{}{}", "<div class=c>".repeat(times), "some text ".repeat(20_000)));
    assert_eq!(nested(10).texts_of(".c").unwrap().len(), 10);
    let hostile = nested(400);
    let message = hostile.texts_of(".c").unwrap_err().to_string();
    assert!(message.contains("16 times as long as the page") && message.contains("within each other"), "{message}");
    assert_eq!(hostile.select(".c").unwrap().len(), 400, "the elements themselves cost nothing");
    // However short a page is, its few elements may be within each other.
    let short = format!("{}text", "<p><b class=c><i class=c><u class=c>".repeat(100));
    assert!(page(&short).texts_of(".c").unwrap().len() > 100);
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

/// HTML §13.2.6.4.7 and 20: a frame in a body is ignored, a frameset replaces a body without content, and within it
/// there is nothing else.
#[test]
fn a_frameset_has_frames_only_and_a_body_has_none() {
    let links = |html: &str| {
        let page = page(html);
        let set = LinkSet::from([LinkElement::A, LinkElement::Frame, LinkElement::Next]);
        let links: Vec<_> =
            page.links().of(set).map(|link| link.url().path().trim_start_matches("/docs/").to_owned()).collect();
        let tree = page.links().of(set).within("html").unwrap().count();
        assert_eq!(tree, links.len(), "{html}");
        links
    };
    for (html, expected) in [
        ("<body><a href=a>x</a><frame src=f>", &["a"] as &[_]),
        ("<p>text</p><frameset><frame src=f><a href=a>x</a></frameset>", &["a"]),
        (
            "<head><link rel=next href=n></head><frameset><frame src=f><a href=a>x</a><frame src=g></frameset>",
            &["n", "f", "g"],
        ),
        ("<p><a href=a></a><link rel=next href=n><frameset><frame src=a></frameset><frame src=g>", &["a"]),
        (
            "<frameset><frameset><frame src=f></frameset><script><frame src=g></script></frameset><a href=a>",
            &["f", "g"],
        ),
        ("<frameset><frame src=f><noframes><a href=a><frame src=g></noframes></frameset>", &["f"]),
        ("<svg><frameset></svg><a href=a>x</a><frame src=f>", &["a"]),
    ] {
        assert_eq!(links(html), expected, "{html}");
    }
    assert!(links("<a href=a><frameset>words</a>").is_empty());
    let page = Response::html("https://e.org/", "x<a href=a><frameset>two words</a>");
    assert_eq!(page.links().next().unwrap().text(), "two words");
}

proptest! {
    #[test]
    fn the_links_of_any_soup_are_those_of_its_tree(pieces in soup()) {
        let page = page(&pieces.concat());
        let links = || page.links().of([LinkElement::A, LinkElement::Area, LinkElement::Frame]);
        let scanned: std::collections::BTreeSet<_> = links().map(|link| link.url().to_string()).collect();
        let tree = links().within("html").unwrap().map(|link| link.url().to_string()).collect();
        prop_assert_eq!(&scanned, &tree);
        let of_elements = page.select("a[href], area[href], frame[src]").unwrap().into_iter();
        let of_elements = of_elements.filter_map(|element| element.url()).map(|url| url.to_string()).collect();
        prop_assert_eq!(&scanned, &of_elements);
    }

    #[test]
    fn no_page_is_so_broken_that_it_fails(html in "[<>/!?a-z='\" \\-é\\[\\]&;#\0\r\n]{0,200}") {
        let response = page(&html);
        let _ = (response.links().count(), response.title(), response.text(), response.select("a"));
    }
}

/// Pieces of HTML in no order, but for drawings that nothing closes.
fn soup() -> impl Strategy<Value = Vec<String>> {
    let element = prop::sample::select(vec![
        "p",
        "b",
        "div",
        "table",
        "tr",
        "td",
        "select",
        "option",
        "li",
        "title",
        "textarea",
        "style",
        "script",
        "noscript",
        "xmp",
        "iframe",
        "button",
        "form",
        "h1",
        "head",
        "body",
        "html",
        "pre",
        "caption",
        "object",
        "ruby",
        "plaintext",
        "frameset",
        "noframes",
    ]);
    let piece = prop_oneof![
        4 => (0..9_u8).prop_map(|n| format!("<a href={n}>")),
        1 => (0..9_u8).prop_map(|n| format!("<area href={n}>")),
        1 => (0..9_u8).prop_map(|n| format!("<frame src=f{n}>")),
        1 => Just("<frameset>".to_owned()),
        4 => element.clone().prop_map(|name| format!("<{name}>")),
        3 => element.prop_map(|name| format!("</{name}>")),
        2 => prop::sample::select(vec!["</a>", "x", " ", "<!--", "-->", "<!", "\0", "&lt", "<a title='", "'>"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24)
}

/// URL standard, "query state" and "special authority ignore slashes state": the same as for links.
#[test]
fn the_urls_of_metadata_are_read_as_those_of_links() {
    let html = "<meta charset=gb2312><link rel=canonical href='/a?q=洪'><link rel=icon href='///cdn.e.org/i.png'>\
                <link rel=alternate hreflang=zh href='?q=洪'><meta property=og:image content='/洪?洪'>\
                <p itemscope itemid='///o.org/i'><a itemprop=url href='?洪'>x</a></p>";
    let (bytes, ..) = encoding_rs::GBK.encode(html);
    let page = Response::bytes("https://e.org/d/", "text/html", bytes.into_owned());
    let metadata = page.metadata();
    assert_eq!(metadata.canonical.as_ref().unwrap().as_str(), "https://e.org/a?q=%BA%E9");
    assert_eq!(metadata.canonical, page.scan().canonical);
    assert_eq!(metadata.icons[0].url.as_str(), "https://cdn.e.org/i.png");
    assert_eq!(metadata.alternates[0].url.as_str(), "https://e.org/d/?q=%BA%E9");
    assert_eq!(metadata.open_graph.images[0].url.as_str(), "https://e.org/%E6%B4%AA?%BA%E9");
    assert_eq!(metadata.microdata[0].id.as_deref(), Some("https://o.org/i"));
    assert_eq!(metadata.microdata[0].text("url"), Some("https://e.org/d/?%BA%E9"));
    let markdown = page.markdown().to_string();
    assert_eq!(markdown, "[x](https://e.org/d/?%BA%E9)\n");
}
