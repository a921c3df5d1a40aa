//! Tests of expressions: what they find, and that hostile ones end.

use std::thread;

use super::*;

const PAGE: &str =
    "<!doctype html><html lang=en><head><title>T</title></head><body><!-- c --><div id=a class='x y'><p>one</p>
<p>two <b>bold</b></p></div><table><tr><td>Price</td><td>3</td></tr><tr><td>Weight</td><td> 2  kg </td></tr></table>
<svg viewBox='0 0 1 1'><path d=m></path></svg><template><i>within</i></template><br></body></html>";

fn texts(expression: &str) -> Vec<String> {
    Document::parse(PAGE).xpath(expression).unwrap().texts().unwrap()
}

#[test]
fn axes_predicates_and_functions_find_what_the_recommendation_says() {
    for (expression, found) in [
        ("//p", &["one", "two bold"] as &[_]),
        ("/html/body/div/p[2]", &["two bold"]),
        ("//p[last()]/b/text()", &["bold"]),
        ("//div[@id='a']/@class", &["x y"]),
        ("//td[.='Price']/following-sibling::td", &["3"]),
        ("//td[normalize-space()='2 kg']/preceding-sibling::*", &["Weight"]),
        (
            "//b/ancestor::*",
            &["one two bold Price 3 Weight 2 kg", "one two bold Price 3 Weight 2 kg", "one two bold", "two bold"],
        ),
        ("//tr[td[1]='Weight']/td[2]", &["2 kg"]),
        ("//p[contains(., 'bold')] | //title", &["T", "two bold"]),
        ("//p[position() > 1]", &["two bold"]),
        ("//b/preceding::p", &["one"]),
        ("//p[1]/following::td[1]", &["Price"]),
        ("//table/tr", &[]),
        ("//table/tbody/tr/td[1]", &["Price", "Weight"]),
        ("id('a')/p[1]", &["one"]),
        ("//@lang", &["en"]),
        ("//comment()", &["c"]),
        ("//template//i", &["within"]),
        ("//svg/path/@d", &["m"]),
        ("//p[not(b)]", &["one"]),
        ("string(//b)", &["bold"]),
        ("count(//td)", &["4"]),
        ("sum(//td[.=3]) + 1", &["4"]),
        ("//p = 'one'", &["true"]),
        ("translate('abc', 'b', 'x')", &["axc"]),
        ("//nothing", &[]),
        ("//html:p", &[]),
    ] {
        assert_eq!(texts(expression), found, "{expression}");
    }
}

#[test]
fn an_element_is_the_context_of_its_own_expressions() {
    let page = Document::parse(PAGE);
    let list = page.first("#a").unwrap();
    assert_eq!(list.xpath("p[1]").unwrap().text().as_deref(), Some("one"));
    assert_eq!(list.xpath(".//b").unwrap().element(), page.find("b").unwrap());
    assert_eq!(list.xpath("//td").unwrap().elements().len(), 4, "from the root");
    assert_eq!(list.xpath("../table//td[2]").unwrap().texts().unwrap(), ["3", "2 kg"]);
    assert_eq!(list.xpath("b").unwrap().text(), None);
    // A clone has a tree of its own.
    let clone = page.clone();
    assert_eq!(clone.first("#a").unwrap().xpath(".//b").unwrap().element(), clone.find("b").unwrap());
    assert_eq!(list.xpath("count(p) * 2").unwrap().number(), 4.0);
    assert!(list.xpath("string(p)").unwrap().number().is_nan() && !list.xpath("b").unwrap().is_true());
}

/// Regression: Rust's numbers were read, as `1e3` and `inf`, and written, as `inf` and `-0`.
#[test]
fn numbers_are_read_and_written_as_xpath_does() {
    let page = Document::parse("<b>1e3</b><b>inf</b><b>+5</b><b> -1.5 </b><b>.5</b><b>7.</b><b>1 2</b><b>-</b>");
    let number = |at: usize| page.xpath(&format!("//b[{at}]")).unwrap().number();
    assert!([1, 2, 3, 7, 8].into_iter().all(|at| number(at).is_nan()));
    assert_eq!([4, 5, 6].map(number), [-1.5, 0.5, 7.0]);
    for (expression, text) in [("1 div 0", "Infinity"), ("-1 div 0", "-Infinity"), ("0 div 0", "NaN"), ("-0", "0")] {
        assert_eq!(page.xpath(expression).unwrap().text().as_deref(), Some(text), "{expression}");
        assert_eq!(page.xpath(expression).unwrap().texts().unwrap(), [text]);
    }
}

/// Regression: 512 elements within each other repeated the text of a page 512 times.
#[test]
fn the_texts_of_elements_within_each_other_are_bounded() {
    let page = Document::parse(&format!("{}{}", "<div>".repeat(400), "some text ".repeat(20_000)));
    let divs = page.xpath("//div").unwrap();
    assert_eq!(divs.elements().len(), 400);
    assert!(divs.texts().unwrap_err().to_string().contains("16 times as long as the page"));
    assert_eq!(page.xpath("//div/text()").unwrap().texts().unwrap().len(), 1);
}

#[test]
fn what_is_no_expression_says_where() {
    let page = Document::parse(PAGE);
    let message = |expression: &str| page.xpath(expression).unwrap_err().to_string();
    for (expression, caret) in [("//p[", "    ^"), ("//p[1]]", "      ^"), ("a b", "  ^"), ("'open", "^")] {
        assert!(message(expression).ends_with(&format!("\n    {expression}\n    {caret}")), "{}", message(expression));
    }
    assert!(message("nonsense(1)").contains("unknown function: nonsense"), "{}", message("nonsense(1)"));
    assert!(message("$x").contains("unbound variable"), "{}", message("$x"));
    assert!(message("count(1)").contains("node-set"), "{}", message("count(1)"));
}

/// Without the bounds, 10,000 brackets overflow the stack.
#[test]
fn hostile_expressions_are_refused_and_the_largest_allowed_fit_the_stack_of_a_thread() {
    let page = Document::parse("<p>x");
    for expression in
        ["(".repeat(4_000), "p[".repeat(1_000), "-".repeat(4_000) + "1", "1".to_owned() + &"+1".repeat(2_000)]
    {
        let message = page.xpath(&expression).unwrap_err().to_string();
        assert!(message.contains("brackets") || message.contains("operators"), "{message}");
    }
    assert!(page.xpath(&"p/".repeat(3_000)).unwrap_err().to_string().contains("longer"));
    let deepest = [
        "(".repeat(MAX_NESTED) + "1" + &")".repeat(MAX_NESTED),
        "p[".repeat(MAX_NESTED) + "1" + &"]".repeat(MAX_NESTED),
        "not(".repeat(MAX_NESTED) + "1" + &")".repeat(MAX_NESTED),
        "-".repeat(MAX_OPERATORS) + "1",
        "1".to_owned() + &"+1".repeat(MAX_OPERATORS),
        "p".to_owned() + &"|p".repeat(MAX_OPERATORS),
        "p".to_owned() + &" and p".repeat(MAX_OPERATORS),
    ];
    let run = move || {
        let page = Document::parse("<p>x");
        deepest.iter().for_each(|expression| drop(page.xpath(expression).unwrap()));
    };
    thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn an_expression_that_looks_through_the_page_for_each_element_ends_with_an_error() {
    let page = Document::parse(&"<p>some text</p>".repeat(2_000));
    for expression in [
        "//p[following-sibling::p[last()]]",
        "//p[count(//p) > 1]",
        "//*[. = //p[.='none']]",
        "//p[string-length(/) > 1]",
        "//p/preceding::*",
    ] {
        let message = page.root().xpath_within(expression, 50_000).unwrap_err().to_string();
        assert!(message.contains("takes more than 50000 steps on this page"), "{expression}: {message}");
    }
    assert_eq!(page.root().xpath_within("//p", 50_000).unwrap().elements().len(), 2_000);
    assert_eq!(page.root().xpath_within("//p[last()]", 50_000).unwrap().elements().len(), 1);
}

#[test]
fn a_page_that_nests_without_end_is_searched_as_it_was_cut() {
    let page = Document::parse(&("<div>".repeat(40_000) + "<p>deep"));
    assert_eq!(page.xpath("//p").unwrap().text(), page.maybe_text_of("p").unwrap());
    assert!(page.xpath("//div//div//div").is_ok());
}

proptest::proptest! {
    #[test]
    fn no_expression_panics(
        expression in "(//|/|\\.|@|[a-z]{1,3}|\\*|\\[|\\]|\\(|\\)|::|'é'|[0-9.]{1,3}|[-+|=<>,$ ]|count\\(|substring\\(|id\\(|string\\(){0,24}"
    ) {
        let page = Document::parse(PAGE);
        let _ = page.root().xpath_within(&expression, 10_000);
    }
}
