//! The metadata of various pages.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::growth::{HostileInput, assert_linear};

const URL: &str = "https://e.org/dir/page";

fn read(html: &str) -> Metadata {
    Metadata::read(&Document::parse(html), &URL.parse().unwrap())
}

fn as_json(items: &[Item]) -> Value {
    serde_json::to_value(items).unwrap()
}

#[test]
fn meta_title_language_and_links_are_read() {
    let metadata = read(
        "<html lang=' de-CH '><title> A \n b </title><meta charset=utf-8><meta name=Description content=' d '>\
         <meta name=empty><meta http-equiv=Refresh content='0; url=x'>\
         <link rel='Canonical nofollow' href=../a><link rel=canonical href=/second>\
         <link rel=alternate hreflang=fr href=/fr><link rel=alternate media=print href=/print>\
         <link rel=alternate type='application/rss+xml; charset=x' title=News href=/rss>\
         <link rel='alternate stylesheet' href=/css type=text/css hreflang=en>\
         <link rel=alternate type=application/feed+json href=feed.json>\
         <link rel='shortcut icon' href=/f.ico sizes=16x16 type=image/png><link rel=apple-touch-icon href=http://[>",
    );
    assert_eq!((metadata.title.as_deref(), metadata.language.as_deref()), (Some("A b"), Some("de-CH")));
    assert_eq!((metadata.meta("DESCRIPTION"), metadata.meta("refresh")), (Some(" d "), Some("0; url=x")));
    assert_eq!(metadata.meta.len(), 2);
    assert_eq!(metadata.canonical.as_ref().unwrap().as_str(), "https://e.org/a");
    assert_eq!(metadata.alternates.len(), 1);
    let feeds: Vec<_> = metadata.feeds.iter().map(|feed| (feed.kind, feed.url.path(), feed.title.as_deref())).collect();
    assert_eq!(feeds, [(FeedKind::Rss, "/rss", Some("News")), (FeedKind::Json, "/dir/feed.json", None)]);
    assert_eq!(metadata.favicon().unwrap().path(), "/f.ico");
    assert_eq!(metadata.skipped.unreadable_urls, 1);
}

/// The examples of <https://ogp.me>.
#[test]
fn open_graph_keeps_the_details_with_the_image_that_they_follow() {
    let metadata = read(
        "<meta property=og:title content='The Rock'><meta property=og:title content=second><meta property=og:type content=video.movie>\
         <meta property=og:url content=https://www.imdb.com/title/tt0117500/>\
         <meta property=og:image content=https://example.com/rock.jpg><meta property=og:image:width content=300>\
         <meta property=og:image:alt content='A rock'><meta property=og:image content=rock2.jpg>\
         <meta name=og:image:height content=1000><meta property=og:image:secure_url content=https://s.e.org/rock2.jpg>\
         <meta property=og:locale:alternate content=fr_FR><meta property=article:tag content=a><meta property=article:tag content=b>\
         <meta property=og:price:amount content=3>\
         <meta name=twitter:card content=summary><meta name=twitter:image content=/t.png><meta name=twitter:label1 content=x>",
    );
    let og = &metadata.open_graph;
    assert_eq!((og.title.as_deref(), og.kind.as_deref()), (Some("The Rock"), Some("video.movie")));
    let images: Vec<_> = og.images.iter().map(|image| (image.url.as_str(), image.width, image.height)).collect();
    assert_eq!(
        images,
        [("https://example.com/rock.jpg", Some(300), None), ("https://e.org/dir/rock2.jpg", None, Some(1000))]
    );
    assert_eq!(og.images[1].secure_url.as_ref().unwrap().host_str(), Some("s.e.org"));
    assert_eq!((&og.tags[..], &og.locale_alternates[..]), (&["a".into(), "b".into()][..], &["fr_FR".into()][..]));
    assert_eq!(og.properties.len(), 14);
    assert_eq!(metadata.twitter.image.as_ref().unwrap().as_str(), "https://e.org/t.png");
    assert_eq!(metadata.twitter.properties.len(), 3);
}

#[test]
fn json_ld_is_found_by_type_at_any_depth() {
    let metadata = read(
        "<script type='Application/LD+JSON; charset=utf-8'>[{\"@type\": [\"Product\", \"Thing\"], \"name\": \"1\"},\
         {\"@graph\": [{\"@type\": \"http://schema.org/Product\", \"name\": \"2\", \"x\": {\"@type\": \"schema:Product\", \"name\": \"3\"}}]}]\
         </script><script type=application/ld+json><!-- {\"@type\": \"Product\", \"name\": \"a\nb\"}; --></script>\
         <script type=application/ld+json>{broken</script><script type=application/json>{\"@type\": \"Product\"}</script>",
    );
    let names: Vec<_> = metadata.json_ld("Product").iter().map(|product| product["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["1", "2", "3", "a b"]);
    assert_eq!((metadata.json_ld_blocks.len(), metadata.skipped.broken_json), (2, 1));
    assert!(metadata.json_ld("Offer").is_empty());
}

/// The examples of HTML §5.1.
#[test]
fn microdata_is_read_as_the_standard_says() {
    let metadata = read(
        "<div itemscope itemtype='https://schema.org/Product https://e.org/x' itemid=#p>\
         <span itemprop=name>Panasonic  <b>White</b></span><img itemprop=image src=a.jpg>\
         <span itemprop=aggregateRating itemscope itemtype=https://schema.org/AggregateRating>\
         <meter itemprop=ratingValue value=3.5>3.5 of 5</meter><time itemprop=at datetime=2009-05-10>May</time></span>\
         <span itemprop='price cost'>$55.00</span><meta itemprop=sku content=' 7 '><a itemprop=url href=/p>x</a></div>",
    );
    assert_eq!(
        as_json(&metadata.microdata),
        json!([{"types": ["https://schema.org/Product", "https://e.org/x"], "id": "https://e.org/dir/page#p", "properties": [
            {"name": "name", "value": "Panasonic White"},
            {"name": "image", "value": "https://e.org/dir/a.jpg"},
            {"name": "aggregateRating", "value": {"types": ["https://schema.org/AggregateRating"], "id": null, "properties": [
                {"name": "ratingValue", "value": "3.5"}, {"name": "at", "value": "2009-05-10"}]}},
            {"name": "price", "value": "$55.00"}, {"name": "cost", "value": "$55.00"},
            {"name": "sku", "value": "7"}, {"name": "url", "value": "https://e.org/p"},
        ]}])
    );
    assert_eq!(metadata.items("AggregateRating")[0].text("ratingValue"), Some("3.5"));
}

/// Regression: `$13.00` was read in place of `13.00`, which W3C's HTML Microdata has in `content` on any element.
#[test]
fn a_property_has_its_content_and_a_title_its_text() {
    let item = "<div itemscope><b itemprop=price content=13.00>$13.00</b><title itemprop=name>Tea</title></div>";
    let metadata = read(item);
    assert_eq!((metadata.microdata[0].text("price"), metadata.microdata[0].text("name")), (Some("13.00"), Some("Tea")));
    let metadata = read("<html typeof=foaf:Document><head><title property=dc:title>Test</title></head>");
    assert_eq!(metadata.rdfa[0].text("title"), Some("Test"));
}

/// Regression: only the first of the names had the item.
#[test]
fn an_item_that_is_several_properties_is_each_of_them_while_there_is_room() {
    let metadata = read("<div itemscope><p itemprop='author creator' itemscope><b itemprop='name'>Ada</b></p></div>");
    for name in ["author", "creator"] {
        let Some(ItemValue::Item(person)) = metadata.microdata[0].get(name) else { panic!("{name}") };
        assert_eq!(person.text("name"), Some("Ada"));
    }
    let rdfa = read("<div typeof=A><p property='author creator' typeof=B><b property=name>Ada</b></p></div>");
    assert_eq!((rdfa.rdfa[0].properties.len(), rdfa.items("B").len()), (2, 2));
    // Each level would multiply what is within.
    let deep = read(&("<div itemscope>".to_owned() + &"<div itemscope itemprop='a b c d e f g h i j'>".repeat(30)));
    assert!(deep.skipped.over_limit > 0);
    let size = serde_json::to_string(&deep.microdata).unwrap().len();
    assert!((1_000..16 << 20).contains(&size), "{size}");
}

#[test]
fn itemref_brings_in_what_stands_elsewhere_but_no_circles() {
    let metadata = read(
        "<div itemscope id=amanda itemref='a b'></div><p id=a>Name: <span itemprop=name>Amanda</span></p>\
         <div id=b itemprop=band itemscope itemref=c></div>\
         <div id=c><p>Band: <span itemprop=name>Jazz</span></p><p itemprop=friend itemscope itemref=b></p></div>",
    );
    assert_eq!(
        as_json(&metadata.microdata),
        json!([{"types": [], "id": null, "properties": [
            {"name": "name", "value": "Amanda"},
            {"name": "band", "value": {"types": [], "id": null, "properties": [
                {"name": "name", "value": "Jazz"}, {"name": "friend", "value": {"types": [], "id": null, "properties": []}}]}},
        ]}])
    );
}

/// The examples of RDFa Lite 1.1 §2.
#[test]
fn rdfa_lite_is_read_as_its_recommendation_says() {
    let metadata = read(
        "<p vocab=http://schema.org/ resource=#manu typeof=Person prefix='ov: http://open.vocab.org/terms/'>\
         My name is <span property=name>Manu Sporny</span> <a property=url href=http://manu.sporny.org/>blog</a>\
         <img property=image src=/m.jpg><span property=ov:preferredAnimal>Liger</span>\
         <span property=address typeof='PostalAddress foaf:Agent'><meta property=postalCode content=1></span></p>\
         <meta property=og:title content=x>",
    );
    assert_eq!(
        as_json(&metadata.rdfa),
        json!([{"types": ["http://schema.org/Person"], "id": "https://e.org/dir/page#manu", "properties": [
            {"name": "name", "value": "Manu Sporny"},
            {"name": "url", "value": "http://manu.sporny.org/"},
            {"name": "image", "value": "https://e.org/m.jpg"},
            {"name": "ov:preferredAnimal", "value": "Liger"},
            {"name": "address", "value": {
                "types": ["http://schema.org/PostalAddress", "http://xmlns.com/foaf/0.1/Agent"], "id": null,
                "properties": [{"name": "postalCode", "value": "1"}]}},
        ]}])
    );
    assert_eq!(metadata.rdfa[0].text("preferredAnimal"), Some("Liger"));
}

/// RDFa Core 1.1 §7.5, and the same as extruct (pyRdfa) has: a link or an image that is no value itself is the subject
/// of what it contains, and one that is an item names it.
#[test]
fn properties_belong_to_what_the_elements_around_them_refer_to() {
    let page = |inside: &str| as_json(&read(&format!("<div vocab=v: typeof=A>{inside}</div>")).rdfa);
    let a = |properties: serde_json::Value| json!({"types": ["v:A"], "id": null, "properties": properties});
    let of = |types: serde_json::Value| json!({"types": types, "id": "http://r.org/", "properties": [{"name": "c", "value": "v"}]});
    let c = "<span property=c>v</span>";
    for (inside, expected) in [
        (
            format!("<p property=b resource=http://r.org/>{c}</p>"),
            json!([a(json!([{"name": "b", "value": "http://r.org/"}, {"name": "c", "value": "v"}]))]),
        ),
        (format!("<p resource=http://r.org/>{c}</p>"), json!([a(json!([])), of(json!([]))])),
        (format!("<a href=http://r.org/>{c}</a>"), json!([a(json!([])), of(json!([]))])),
        (
            format!("<a property=b href=http://r.org/ typeof=B>{c}</a>"),
            json!([a(json!([{"name": "b", "value": of(json!(["v:B"]))}]))]),
        ),
        (format!("<a href=http://r.org/ typeof=B>{c}</a>"), json!([a(json!([])), of(json!(["v:B"]))])),
        (
            format!("<p property=b typeof=B content=x>{c}</p>"),
            json!([
                a(json!([])),
                {"types": ["v:B"], "id": null, "properties": [{"name": "b", "value": "x"}, {"name": "c", "value": "v"}]}
            ]),
        ),
        (format!("<p about=http://r.org/>{c}</p>"), json!([a(json!([])), of(json!([]))])),
        (format!("<p about=http://r.org/ typeof=B>{c}</p>"), json!([a(json!([])), of(json!(["v:B"]))])),
        (format!("<p about='[r:]' prefix='r: http://r.org/'>{c}</p>"), json!([a(json!([])), of(json!([]))])),
        ("<p about=r: property=c prefix='r: http://r.org/'>v</p>".to_owned(), json!([a(json!([])), of(json!([]))])),
        (
            format!("<p property=b about=http://r.org/ typeof=B>{c}</p>"),
            json!([a(json!([])), {"types": ["v:B"], "id": "http://r.org/", "properties": [
                {"name": "b", "value": "v"}, {"name": "c", "value": "v"}
            ]}]),
        ),
        (format!("<p about='[nobody:x]'>{c}</p>"), json!([a(json!([{"name": "c", "value": "v"}]))])),
        (
            format!("<p resource='[_:x]'>{c}</p>"),
            json!([a(json!([])), {"types": [], "id": "_:x", "properties": [{"name": "c", "value": "v"}]}]),
        ),
        (
            "<p property=b resource=foaf:x></p>".to_owned(),
            json!([a(json!([{"name": "b", "value": "http://xmlns.com/foaf/0.1/x"}]))]),
        ),
        ("<a href=/x>text</a><img src=/y>".to_owned(), json!([a(json!([]))])),
        (
            "<a property=b>text</a><meta property=c><a property=d href=''>x</a>".to_owned(),
            json!([a(json!([
                {"name": "b", "value": "text"}, {"name": "c", "value": ""}, {"name": "d", "value": "https://e.org/dir/page"}
            ]))]),
        ),
    ] {
        assert_eq!(page(&inside), expected, "{inside}");
    }
}

/// extruct, which many read JSON-LD with, passes over the same comments and commas.
#[test]
fn json_ld_may_have_the_comments_and_commas_of_a_script() {
    for script in [
        "/* c */ {\"@type\": \"A\", \"n\": \"b\"}",
        "{ // one\n\"@type\": \"A\", /* two */ \"n\": \"b\" } // end",
        "/*<![CDATA[*/ {\"@type\": \"A\", \"n\": \"b\"} /*]]>*/",
        "//<![CDATA[\n{\"@type\": \"A\", \"n\": \"b\"}\n//]]>",
        "<!-- {\"@type\": \"A\", \"n\": \"b\"} -->",
        "<!-- c -->\n{\"@type\": \"A\", \"n\": \"b\", \"x\": \"<!-- y -->\"}",
        "{\"@type\": [\"A\", ], \"n\": \"b\",\n}",
        "[{\"x\": \",]\", \"@type\": \"A\", \"n\": \"b\", /* c */ }, // last\n]",
    ] {
        let metadata = read(&format!("<script type=application/ld+json>{script}</script>"));
        assert_eq!(metadata.json_ld("A").first().map(|found| &found["n"]), Some(&json!("b")), "{script}");
    }
    let urls = "/**/{\"@type\": \"A\", \"u\": \"http://e.org/*x*/\\\"//\"}";
    let metadata = read(&format!("<script type=application/ld+json>{urls}</script>"));
    assert_eq!(metadata.json_ld("A")[0]["u"], "http://e.org/*x*/\"//", "within strings they are text");
    for broken in ["/*", "{\"a\": /", "//", "\"\\", "{\"\\\\\"", "[1,,]", ",]"] {
        let metadata = read(&format!("<script type=application/ld+json>{broken}</script>"));
        assert_eq!(metadata.skipped.broken_json, 1, "{broken}");
    }
}

#[test]
fn every_limit_is_counted() {
    let metadata = read(&"<meta name=a content=b>".repeat(MAX_METADATA + 3));
    assert_eq!((metadata.meta.len(), metadata.skipped.over_limit), (MAX_METADATA, 3));
    let metadata = read(&format!("<meta name=a content='{}'>", "é".repeat(MAX_METADATA_TEXT)));
    assert_eq!((metadata.meta[0].content.len(), metadata.skipped.cut_texts), (MAX_METADATA_TEXT, 1));
    let metadata = read(&format!("<script type=application/ld+json>\"{}\"</script>", "x".repeat(3 << 20)));
    assert_eq!((metadata.json_ld_blocks.len(), metadata.skipped.over_limit), (0, 1));
    let metadata = read(&"<p itemscope>".repeat(10_003));
    assert_eq!((metadata.microdata.len(), metadata.skipped.over_limit), (10_000, 3));
    let metadata = read(&"<div itemscope itemprop=a>".repeat(40).replacen(" itemprop=a", "", 1));
    assert_eq!(metadata.skipped.over_limit, 1, "nested deeper than {}", items::MAX_ITEM_DEPTH);
    let metadata = read(&format!("<script type=application/ld+json>{}</script>", "[".repeat(10_000)));
    assert_eq!(metadata.skipped.broken_json, 1);
}

/// Regression: 10,000 items that refer to 333 elements each took 400 MB before any bound was asked.
#[test]
fn what_items_refer_to_is_bounded_over_the_whole_page() {
    let named: String = (0..300).map(|n| format!("<i id=i{n} itemprop=a>x</i>")).collect();
    let items = format!("<p itemscope itemref='{}'>", ids(300)).repeat(100);
    let metadata = read(&(named + &items));
    let properties: usize = metadata.microdata.iter().map(|item| item.properties.len()).sum();
    assert_eq!((metadata.microdata.len(), properties), (100, 20_000));
    assert_eq!(metadata.skipped.over_limit, 34, "items that are not whole");
}

#[test]
fn hostile_pages_take_linear_time() {
    let pages: [HostileInput; 7] = [
        |size| "<div itemscope itemprop=a>".repeat(size),
        |size| "<div itemprop=a>".repeat(size),
        |size| format!("<div itemscope>{}", "<p itemscope itemprop='a b c d e f'>text</p>".repeat(size)),
        |size| format!("<div itemscope>{}", "<div itemprop=a>text".repeat(size)),
        |size| "<div typeof=a property=b prefix='x: y'>".repeat(size),
        |size| format!("<div typeof=a prefix='{}'>{}", "a: b ".repeat(size), "<p typeof=x:y>".repeat(size / 2)),
        |size| {
            let item = |n| format!("<div id=i{n} itemscope itemprop=a itemref='{}'>x</div>", ids(100));
            format!("<div itemscope itemref='{}'></div>{}", ids(100), (0..size / 400).map(item).collect::<String>())
        },
    ];
    assert_linear(10_000, &pages, |html| drop(read(html)));
}

fn ids(count: usize) -> String {
    (0..count).map(|n| format!("i{n} ")).collect()
}

proptest! {
    #[test]
    fn no_page_panics(
        html in "(<p itemscope>|<i itemprop=a>|</i>|</p>|<p itemscope itemprop=b id=x itemref=x>|<div typeof='a b:c' property=d>|</div>|\
                 <meta property=og:image content=x>|<link rel=icon href=x>|<script type=application/ld\\+json>|\\{\"@type\":\"a\"\\}|\
                 </script>|text|<div vocab=x resource=y>){0,30}",
    ) {
        let metadata = read(&html);
        metadata.items("a");
        metadata.json_ld("a");
    }
}
