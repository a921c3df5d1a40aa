//! Structs that read themselves from pages: what each attribute reads, what errors name, and what the compiler says of
//! attributes that are wrong.
#![cfg(feature = "derive")]

mod outsider;

use actix_crawler::{
    extract::{Document, FromText, SelectorError, Source},
    prelude::*,
};
use serde_json::{Value, json};
use url::Url;

fn page(html: &str) -> Response {
    Response::html("https://e.org/shop/", html.to_owned())
}

#[derive(Clone, Debug, PartialEq, Extract)]
struct Card {
    #[extract(css = "h2")]
    name: String,
    #[extract(css = ".price", own_text)]
    price: f64,
    #[extract(css = ".old")]
    old: Option<u32>,
    #[extract(css = "a", url)]
    link: Url,
    #[extract(css = "img", attr = "data-src", url)]
    image: Option<String>,
    #[extract(css = "[data-tag]", attr = "data-tag", trim)]
    tags: Vec<String>,
    #[extract(attr = "id", re = r"\d+")]
    id: Option<u64>,
    #[extract(css = "pre", raw_text)]
    code: Option<String>,
    #[extract(css = "p", inner_html)]
    text: Option<String>,
    #[extract(css = "p", html)]
    whole: Option<String>,
    #[extract(css = ".left", default)]
    left: u8,
    #[extract(css = ".stars", default = 2.5)]
    stars: f32,
    #[extract(css = ".size", parse = size)]
    size: (u32, u32),
    #[extract(css = ".size", parse = size)]
    sizes: Vec<(u32, u32)>,
    #[extract(css = ".none", parse = size, default = (0, 0))]
    no_size: (u32, u32),
    #[extract(default)]
    note: String,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let (width, height) = text.split_once('x').ok_or("it has no `x`")?;
    let number = |text: &str| text.trim().parse().map_err(|error| format!("`{text}`: {error}"));
    Ok((number(width)?, number(height)?))
}

const CARD: &str =
    "<div class=card id=item-17 data-tag=' new '><h2>Black\n tea</h2><b class=price>3,50 € <s>5 €</s></b>
    <a href=tea>more</a><img data-src=/t.png><i data-tag=tea></i><pre>a\n b</pre><p>so <em>good</em></p>
    <u class=size>3 x 4</u><u class=size>5x6</u></div>";

#[test]
fn each_attribute_reads_what_it_says() {
    let card = Card::extract(page(CARD).first(".card").unwrap()).unwrap();
    let expected = Card {
        name: "Black tea".into(),
        price: 3.5,
        old: None,
        link: "https://e.org/shop/tea".parse().unwrap(),
        image: Some("https://e.org/t.png".into()),
        tags: vec!["tea".into()],
        id: Some(17),
        code: Some("a\n b".into()),
        text: Some("so <em>good</em>".into()),
        whole: Some("<p>so <em>good</em></p>".into()),
        left: 0,
        stars: 2.5,
        size: (3, 4),
        sizes: vec![(3, 4), (5, 6)],
        no_size: (0, 0),
        note: String::new(),
    };
    assert_eq!(card, expected);
    let all = Card::all(&page(&CARD.repeat(3)), ".card").unwrap();
    assert_eq!(all, vec![expected; 3]);
    assert!(Card::all(&page(CARD), ".none").unwrap().is_empty());
    // The whole page, whose elements include the card itself.
    assert_eq!(Card::extract(&page(CARD)).unwrap().tags, ["new", "tea"]);
    Card::check().unwrap();
}

#[derive(Debug, Extract)]
struct Placed {
    #[extract(page_url)]
    page: Url,
    #[extract(css = "b")]
    name: String,
}

#[test]
fn the_pages_own_url_is_a_field_also_within_an_element_whatever_its_base() {
    let page = Response::html("https://e.org/shop/", "<base href=/other/><p><b>Tea</b></p>");
    let expected = "https://e.org/shop/".parse().unwrap();
    let (whole, within) = (Placed::extract(&page).unwrap(), Placed::extract(page.first("p").unwrap()).unwrap());
    assert_eq!((whole.page, within.page, within.name.as_str()), (Url::clone(&expected), expected, "Tea"));
    let error = Placed::extract(&Document::parse("<b>Tea</b>")).unwrap_err();
    assert_eq!(error.to_string(), "`page` of `Placed`: the page was read without its URL");
}

#[test]
fn errors_name_the_struct_the_field_and_what_is_wrong() {
    let message = |html: &str| Card::extract(&page(html)).unwrap_err().to_string();
    let without = |part: &str, other: &str| message(&CARD.replace(part, other));
    assert_eq!(without("h2", "h3"), "`name` of `Card`: no element matches `h2` within <html>");
    assert_eq!(
        without("3,50", "ask"),
        "`price` of `Card` (`.price`): `ask €` of <b class=\"price\"> is not one number"
    );
    assert_eq!(without("href", "name"), "`link` of `Card` (`a`): <a> has no attribute `href`");
    assert_eq!(without("href=tea", "href=//["), "`link` of `Card` (`a`): `//[` of <a> is not a URL");
    assert_eq!(
        without("3 x 4", "3 by 4"),
        "`size` of `Card` (`.size`): `3 by 4` of <u class=\"size\"> cannot be parsed: it has no `x`"
    );
    let error = Card::all(&page("<div class=card>"), ".card").unwrap_err();
    assert!(matches!(error, SelectorError::Field { field: "name", of: "Card", .. }));
    // An error of a spider, too.
    fn spider(page: &Response) -> actix_crawler::Result<Parsed<Card>> {
        Ok(Parsed::of(Card::all(page, ".card")?).follow(page.links()))
    }
    assert!(matches!(spider(&page("<div class=card>")), Err(Error::Selector(_))));
    assert!(Card::all(&page(""), "div[").is_err());
}

#[derive(Debug, Extract)]
struct Thread {
    #[extract(css = ".title")]
    title: String,
    #[extract(css = ".replies > .reply")]
    replies: Vec<Reply>,
    #[extract(css = ".best")]
    best: Option<Reply>,
}

#[derive(Debug, Extract)]
struct Reply {
    #[extract(css = "b")]
    who: String,
    #[extract(css = ".reply")]
    replies: Vec<Reply>,
}

#[test]
fn structs_contain_others_and_themselves() {
    let html = "<h1 class=title>T</h1><div class=replies><div class=reply><b>A</b><div class=reply><b>B</b></div></div>
                <div class=reply><b>C</b></div></div>";
    let thread = Thread::extract(&page(html)).unwrap();
    assert_eq!((thread.title.as_str(), thread.replies.len(), thread.best.is_none()), ("T", 2, true));
    assert_eq!((thread.replies[0].who.as_str(), thread.replies[0].replies[0].who.as_str()), ("A", "B"));
    Thread::check().unwrap();
    let message = Thread::extract(&page(&html.replace("<b>C</b>", ""))).unwrap_err().to_string();
    assert_eq!(message, "`replies` of `Thread`: `who` of `Reply`: no element matches `b` within <div class=\"reply\">");
}

/// Without the bounds, each level would double what is read.
#[test]
fn structs_in_a_hostile_page_are_bounded() {
    let deep = format!("<h1 class=title>T</h1><div class=replies>{}</div>", "<div class=reply><b>A</b>".repeat(400));
    let message = Thread::extract(&page(&deep)).unwrap_err().to_string();
    assert!(message.contains("structs"), "{message}");
    assert!(message.len() < 5_000, "{}", message.len());
}

/// Regression: each repeated the text of all elements within it.
#[test]
fn the_texts_of_elements_within_each_other_are_bounded() {
    #[derive(Debug, Extract)]
    struct Cards {
        #[extract(css = ".card")]
        texts: Vec<String>,
    }
    #[derive(Debug, Extract)]
    struct Whole {
        #[extract(html)]
        _html: String,
    }
    let nested = |times: usize| page(&format!("{}{}", "<div class=card>".repeat(times), "some text ".repeat(20_000)));
    assert_eq!(Cards::extract(&nested(10)).unwrap().texts.len(), 10);
    assert_eq!(Whole::all(&nested(10), ".card").unwrap().len(), 10);
    let message = Cards::extract(&nested(400)).unwrap_err().to_string();
    assert!(message.starts_with("`texts` of `Cards` (`.card`): what is read is more than 16 times"), "{message}");
    let message = Whole::all(&nested(400), ".card").unwrap_err().to_string();
    assert!(message.starts_with("`_html` of `Whole`: what is read is more than 16 times"), "{message}");
}

/// A reference is made absolute before an expression takes a part of it.
#[test]
fn an_expression_reads_the_whole_url() {
    #[derive(Debug, Extract)]
    struct Link {
        #[extract(css = "a", url, re = r"^https://[^/]+/(\w+)")]
        first: String,
    }
    assert_eq!(Link::extract(&page("<a href=/tea/7>Tea</a>")).unwrap().first, "tea");
}

/// Regression: texts that an expression makes had no bound, and a number counted as the whole text that it stands in.
#[cfg(feature = "xpath")]
#[test]
fn texts_that_xpath_makes_are_bounded_too_and_only_what_is_kept_of_a_text_counts() {
    #[derive(Debug, Extract)]
    struct Row {
        #[extract(xpath = "normalize-space(.)")]
        _text: String,
    }
    #[derive(Debug, Extract)]
    struct Word {
        #[extract(xpath = "string(.)", re = "some (t)ext")]
        _letter: String,
    }
    let nested = |times: usize| page(&format!("{}{}", "<div class=card>".repeat(times), "some text ".repeat(20_000)));
    assert_eq!(Row::all(&nested(10), ".card").unwrap().len(), 10);
    let message = Row::all(&nested(400), ".card").unwrap_err().to_string();
    assert!(message.contains("what is read is more than 16 times"), "{message}");
    assert_eq!(Word::all(&nested(400), ".card").unwrap().len(), 400);
}

#[derive(Debug, PartialEq, Extract)]
#[extract(json_ld = "Product")]
struct Product {
    #[extract(json = "/name")]
    name: String,
    #[extract(json = "/offers")]
    offers: Vec<Offer>,
    #[extract(json = "/brand/name")]
    brand: Option<String>,
    #[extract(json = "/image", url)]
    image: Url,
    #[extract(css = "h1")]
    heading: String,
    #[extract(json = "")]
    all: Value,
}

#[derive(Debug, PartialEq, Extract)]
struct Offer {
    #[extract(json = "/price")]
    price: f64,
    #[extract(json = "/available", default)]
    available: bool,
}

#[derive(Debug, PartialEq, Extract)]
#[extract(inline_json = "__DATA__")]
struct State {
    #[extract(json = "/user/id")]
    id: u32,
}

#[test]
fn json_is_read_from_responses_from_linked_data_and_from_scripts() {
    let data = json!({
        "@type": "Product", "name": " Tea ", "image": "/t.png", "brand": null,
        "offers": [{"price": "1.234,50 €", "available": true}, {"price": 1.234}, null],
    });
    let html = format!("<h1>Our tea</h1><script type=application/ld+json>[{{}}, {data}]</script>");
    let product = Product::extract(&page(&html)).unwrap();
    let offers = [(1234.5, true), (1.234, false)].map(|(price, available)| Offer { price, available });
    assert_eq!((product.name.as_str(), &*product.offers), (" Tea ", &offers[..]), "a number is not read as a text");
    assert_eq!((product.brand, product.image.as_str(), &*product.heading), (None, "https://e.org/t.png", "Our tea"));
    assert_eq!(product.all, data);
    let message = Product::extract(&page("<h1>x</h1>")).unwrap_err().to_string();
    assert_eq!(message, "`name` of `Product`: there is no JSON to read: the page has no JSON-LD of type `Product`");

    let script = page("<script>window.__DATA__ = {\"user\": {\"id\": 7}}</script>");
    assert_eq!(State::extract(&script).unwrap(), State { id: 7 });

    let api = Response::json_text("https://e.org/", r#"{"price": 3, "available": "yes"}"#);
    let message = Offer::extract(&api).unwrap_err().to_string();
    assert_eq!(message, "`available` of `Offer` (`/available`): `yes` of the JSON is neither `true` nor `false`");
    assert_eq!(Offer::extract(&json!({"price": 3})).unwrap().price, 3.0);
    let message = |value: &Value| Offer::extract(value).unwrap_err().to_string();
    assert_eq!(message(&json!({})), "`price` of `Offer`: the JSON has no value at `/price`");
    assert_eq!(
        message(&json!({"price": [1, 2]})),
        "`price` of `Offer` (`/price`): `[… 2 values]` of the JSON is no text"
    );
    let no_json = Offer::extract(&page("<p>")).unwrap_err().to_string();
    assert!(no_json.contains("the page is none"), "{no_json}");
}

#[test]
fn a_type_of_ones_own_and_a_type_with_parameters_can_be_fields() {
    #[derive(Debug, PartialEq)]
    struct Stock(bool);

    impl FromText for Stock {
        fn from_text(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
            Ok(Self(text == "yes"))
        }
    }

    #[derive(Debug, PartialEq, Extract)]
    struct Wrapped<T: actix_crawler::extract::FieldValue> {
        #[extract(css = "b")]
        value: T,
        #[extract(css = "b")]
        r#type: String,
    }

    let document = Document::parse("<b>yes</b>");
    let wrapped = Wrapped::<Stock>::extract(&document).unwrap();
    assert_eq!(wrapped, Wrapped { value: Stock(true), r#type: "yes".into() });
    fn read<'a, T: Extract>(from: impl Into<Source<'a>>) -> Option<T> {
        T::extract(from).ok()
    }
    assert!(read::<Wrapped<u8>>(&document).is_none());
}

#[test]
fn a_check_finds_selectors_that_are_none_in_structs_within_too() {
    #[derive(Extract)]
    struct Outer {
        #[extract(css = "p")]
        _inner: Vec<Inner>,
    }
    #[derive(Extract)]
    struct Inner {
        #[extract(css = "b:nope(1)")]
        _text: Option<String>,
    }
    #[derive(Extract)]
    struct Pattern {
        #[extract(css = "b", re = "(")]
        _text: Option<String>,
    }
    let message = Outer::check().unwrap_err().to_string();
    assert!(message.starts_with("`_text` of `Inner`: `b:nope(1)` is no CSS selector"), "{message}");
    assert!(message.ends_with("\n    b:nope(1)\n     ^"), "{message}");
    assert!(
        Pattern::check().unwrap_err().to_string().starts_with("`_text` of `Pattern`: `(` is no regular expression")
    );
}

#[cfg(feature = "xpath")]
#[test]
fn a_field_is_found_by_xpath() {
    #[derive(Extract)]
    struct Facts {
        #[extract(xpath = "//dt[.='EAN']/following-sibling::dd[1]")]
        ean: u64,
        #[extract(xpath = "//dd/@title")]
        titles: Vec<String>,
        #[extract(xpath = "count(//dt)")]
        count: u32,
        #[extract(xpath = "//a/@href", url)]
        link: Url,
        #[extract(xpath = "//dl")]
        list: List,
    }
    #[derive(Extract)]
    struct List {
        #[extract(css = "dt")]
        terms: Vec<String>,
    }
    let html = "<dl><dt>EAN<dd title=t>4006<dt>Other<dd>x</dl><a href=more>more</a>";
    let facts = Facts::extract(&page(html)).unwrap();
    assert_eq!((facts.ean, facts.titles, facts.count), (4006, vec!["t".to_owned()], 2));
    assert_eq!((facts.link.as_str(), facts.list.terms.len()), ("https://e.org/shop/more", 2));
    let message = Facts::extract(&page("")).map(drop).unwrap_err().to_string();
    assert!(message.starts_with("`ean` of `Facts`: no element matches `//dt"), "{message}");
    Facts::check().unwrap();

    #[derive(Extract)]
    struct Broken {
        #[extract(xpath = "//b[")]
        _b: Option<String>,
    }
    let message = Broken::check().unwrap_err().to_string();
    assert!(message.starts_with("`_b` of `Broken`: `//b[` is no XPath expression"), "{message}");
}

#[cfg(feature = "jmespath")]
#[test]
fn a_field_is_found_by_jmespath() {
    #[derive(Extract)]
    struct Shop {
        #[extract(jmes = "offers[?price].sku")]
        skus: Vec<String>,
        #[extract(jmes = "length(offers)")]
        count: u32,
        #[extract(jmes = "offers[?price > `3`] | [0]")]
        dear: Option<Sku>,
    }
    #[derive(Extract)]
    struct Sku {
        #[extract(json = "/sku")]
        sku: String,
    }
    let shop = json!({"offers": [{"sku": "a", "price": 3}, {"sku": "b"}, {"sku": "c", "price": 4}]});
    let shop = Shop::extract(&shop).unwrap();
    assert_eq!((shop.skus, shop.count, shop.dear.unwrap().sku), (vec!["a".to_owned(), "c".to_owned()], 3, "c".into()));
    Shop::check().unwrap();
}

/// What is wrong in a field's attributes, where the compiler points, and what it says.
const WRONG: [(&str, &str, &str); 20] = [
    (r#"#[extract(ccs = "a")] f: String"#, "ccs", "`ccs` is unknown: did you mean `css`?"),
    (r#"#[extract(css = "a", ulr)] f: String"#, "ulr", "`ulr` is unknown: did you mean `url`?"),
    (r#"#[extract(css = "a", attribute = "b")] f: String"#, "attribute", "did you mean `attr`?"),
    (r#"#[extract(css = "a", fancy)] f: String"#, "fancy", "a field has `css`, `xpath`"),
    (r#"f: String"#, "f:", "this field needs to know what it is read from"),
    (r#"#[extract()] #[extract(css = "")] f: String"#, r#""""#, "`css` is empty"),
    (r#"#[extract(css)] f: String"#, "css", "`css` needs a text"),
    (r#"#[extract(css = 3)] f: String"#, "3", "expected string literal"),
    (r#"#[extract(css = "a", css = "b")] f: String"#, r#"css = "b""#, "a field is read from one place"),
    (r#"#[extract(css = "a", json = "/b")] f: String"#, "json", "a field is read from one place"),
    (r#"#[extract(css = "a::text")] f: String"#, r#""a::text""#, "leave `::text` out"),
    (r#"#[extract(css = "a::attr(b)")] f: String"#, r#""a::attr"#, "in place of `::attr(name)` write `attr = "),
    (r#"#[extract(json = "offers[0].price")] f: String"#, r#""offers"#, r#"write "/offers/0/price""#),
    (r#"#[extract(json = "/a", attr = "b")] f: String"#, r#""b""#, "a JSON value has no attributes"),
    (r#"#[extract(json = "/a", html)] f: String"#, "html", "this is of elements"),
    (r#"#[extract(css = "a", html, own_text)] f: String"#, "own_text", "give one"),
    (r#"#[extract(css = "a", html, attr = "b")] f: String"#, "html", "an attribute has no other text"),
    (r#"#[extract(css = "a", default)] f: Option<String>"#, "default", "leave `default` out"),
    (r#"#[extract(css = "a")] f: std::time::Duration"#, "std::time", "cannot be the field of a struct that derives"),
    (r#"#[extract(css = "a", re = "a", re = "b")] f: String"#, "re = \"b\"", "this is given twice"),
];

macro_rules! card {
    ($name:ident, $field:ident: $of:ty) => {
        #[derive(Debug, PartialEq, Extract)]
        struct $name {
            #[extract(css = ".tag")]
            $field: $of,
        }
    };
}

card!(Tags, tags: Vec<String>);
card!(Tag, tag: Option<String>);

/// Regression: a type that came through a macro was one required value, whatever it was.
#[test]
fn a_type_that_comes_through_a_macro_is_read_as_one_that_is_written_there() {
    let html = "<b class=tag>a</b><b class=tag>b</b>";
    assert_eq!(Tags::extract(&page(html)).unwrap().tags, ["a", "b"]);
    assert_eq!(Tag::extract(&page("")).unwrap(), Tag { tag: None });
}

/// Other shapes than a struct with named fields.
const SHAPES: [(&str, &str); 5] = [
    ("#[derive(Extract)] pub enum E { A }", "`Extract` is for structs; for an enum implement `FromText`"),
    ("#[derive(Extract)] pub struct T(String);", "`Extract` is for structs whose fields have names"),
    (
        "#[derive(Extract)] #[extract(css = \"a\")] pub struct S { #[extract(default)] pub f: u8 }",
        "a struct has no selector",
    ),
    (
        "#[derive(Extract)] #[extract(json_dl = \"a\")] pub struct S { #[extract(default)] pub f: u8 }",
        "did you mean `json_ld`?",
    ),
    (
        "pub struct S; pub fn f(p: &Response) { let _: Result<S, _> = Extract::extract(p).map_err(Error::from); }",
        "`S` does not read itself from a page",
    ),
];

#[test]
fn the_compiler_points_at_what_is_wrong_in_an_attribute_and_says_what_was_meant() {
    let allowed =
        "use actix_crawler::prelude::*; #[derive(Extract)] pub struct S { #[extract(css = \"a\")] pub f: String }";
    let outsider = outsider::Outsider::new(allowed);
    for (field, place, said) in WRONG {
        let program = format!("use actix_crawler::prelude::*; #[derive(Extract)] pub struct S {{\n{field},\n}}");
        let errors = outsider.errors(&program);
        let column = field.rfind(place).unwrap() + 1;
        let at = format!("outsider.rs:2:{column}: error");
        assert!(errors.iter().any(|error| error.contains(&at) && error.contains(said)), "{field}: {errors:#?}");
    }
    for (shape, said) in SHAPES {
        let errors = outsider.errors(&format!("use actix_crawler::prelude::*;\n{shape}"));
        assert!(errors.len() == 1 && errors[0].contains(said), "{shape}: {errors:#?}");
    }
    // Two faults are told at once.
    let twice = "use actix_crawler::prelude::*; #[derive(Extract)] pub struct S { #[extract(c)] a: u8, b: u8 }";
    assert_eq!(outsider.errors(twice).len(), 2);
}
