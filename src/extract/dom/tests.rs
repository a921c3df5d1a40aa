//! Compares our tree with the one that html5ever builds with its own tokenizer.

use scraper::HtmlTreeSink;

use super::*;
use html5ever::driver::{ParseOpts, parse_document};
use html5ever::tendril::TendrilSink;
use proptest::prelude::*;
use scraper::{Node, Selector};

/// The tree that html5ever builds with its own tokenizer.
fn html5ever_tree(html: &str) -> Html {
    let tree_builder = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let options = ParseOpts { tree_builder, ..ParseOpts::default() };
    parse_document(HtmlTreeSink::new(Html::new_document()), options).one(html)
}

/// Formats a tree without the text of its comments: for an unclosed comment ours is longer.
fn outline(html: &Html) -> String {
    let mut written = format!("{:?} ", html.quirks_mode);
    let mut nodes = vec![(html.tree.root(), false)];
    while let Some((node, closes)) = nodes.pop() {
        match node.value() {
            Node::Element(element) if closes => written += &format!("</{}>", element.name()),
            Node::Element(element) => written += &format!("<{} {:?}>", element.name(), element.attrs),
            Node::Text(text) if closes => written += text,
            Node::Comment(_) if closes => written += "<!---->",
            _ => {}
        }
        if !closes {
            nodes.push((node, true));
            nodes.extend(node.children().rev().map(|child| (child, false)));
        }
    }
    written
}

fn assert_same_tree(html: &str) {
    assert_eq!(outline(&parse(html, Syntax::Html).0), outline(&html5ever_tree(html)), "{html:?}");
}

#[test]
fn the_tree_is_the_one_that_browsers_build() {
    for html in [
        "",
        "text",
        "<!doctype html><title>a&amp;b</title><p>c<p>d",
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 3.2//EN\"><p><table><tr><td>a</table>",
        "<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN' 'http://www.w3.org/TR/html4/loose.dtd'><p><table>",
        "<!doctype html SYSTEM 'about:legacy-compat'><p><table>",
        "<p><table><tr><td>a</table>",
        "<table><a href=x>fostered<tr><td>b</table>c",
        "<svg><title><p>a</title><style><b>c</b></style><![CDATA[d]]></svg><style><b></style>",
        "<math><mi><b>a</b></mi><annotation-xml encoding=text/html><p>b</math>",
        "<noscript><a href=x>y</a></noscript>",
        "<template><tr><td>a</template>",
        "<textarea>\n\n<b></textarea><pre>\n\nx</pre>",
        "a\0b<script>c\0d</script><svg>e\0f",
        "<B ID=1 id=2 Class=x>y</b>",
        "<a><p></a>x</p>",
    ] {
        assert_same_tree(html);
    }
}

proptest! {
    #[test]
    fn the_tree_of_any_soup_is_the_one_that_html5ever_builds(pieces in soup()) {
        assert_same_tree(&pieces.concat());
    }
}

/// Random pieces of markup.
fn soup() -> impl Strategy<Value = Vec<String>> {
    let tag = prop::sample::select(vec![
        "a",
        "b",
        "p",
        "div",
        "li",
        "table",
        "tr",
        "td",
        "select",
        "option",
        "svg",
        "math",
        "mi",
        "foreignObject",
        "title",
        "style",
        "script",
        "noscript",
        "template",
        "textarea",
        "plaintext",
        "iframe",
        "form",
        "h1",
        "br",
        "head",
        "button",
        "nobr",
        "font",
        "xmp",
        "desc",
    ]);
    let attributes = prop::sample::select(vec![
        "",
        " href=x",
        " href='&amp;y' id=\"&lt\"",
        " color",
        "/",
        " a=b/",
        " =x",
        " A a=2",
        " x='>'",
        "\r\ny\0=\0",
    ]);
    let bits = prop::sample::select(vec![
        "x",
        " ",
        "&amp;",
        "&notit;",
        "&#128;",
        "&#0;",
        "&#xd800;",
        "\0",
        "\r\n",
        "\r",
        "<",
        "</",
        ">",
        "--",
        "]]>",
        "<!--",
        "-->",
        "<!",
        "<?",
        "<![CDATA[",
        "<!doctype html>",
        "</>",
        "\"",
        "'",
        "=",
        "é",
        "<!-->",
        "--!>",
    ]);
    let piece = prop_oneof![
        3 => (tag.clone(), attributes).prop_map(|(tag, attributes)| format!("<{tag}{attributes}>")),
        2 => tag.prop_map(|tag| format!("</{tag}>")),
        2 => bits.prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..16)
}

#[test]
fn elements_beyond_the_depth_are_left_out_and_their_text_is_kept() {
    let html = format!("{}<i>deep</i>{}<p>after", "<div>".repeat(40_000), "</div>".repeat(40_000));
    let (tree, _, cut) = parse(&html, Syntax::Html);
    assert_eq!(cut, Some(Cut::TooDeep));
    let depth = tree.tree.nodes().map(|node| node.ancestors().count()).max();
    assert!(depth.is_some_and(|depth| (500..=MAX_OPEN + 2).contains(&depth)), "{depth:?}");
    let text: String = tree.root_element().text().collect();
    assert_eq!(text, "deepafter");
}

/// Regression: each paragraph reopened what the first left open: 16 KB gave two million nodes.
#[test]
fn elements_that_are_opened_again_and_again_do_not_multiply() {
    let unclosed: String = (0..1_000).map(|nth| format!("<b a{nth}>")).collect();
    let html = format!("<p>{unclosed}</p>{}", "<p>x".repeat(2_000));
    let (tree, _, cut) = parse(&html, Syntax::Html);
    assert!(cut.is_some());
    assert!(tree.tree.values().len() < html.len() + 2 * MAX_OPEN);
}

#[test]
fn an_element_has_no_more_attributes_than_are_read() {
    let attributes: String = (0..100_000).map(|nth| format!("a{nth} ")).collect();
    let (tree, ..) = parse(&format!("<p {attributes}>x"), Syntax::Html);
    let p = Selector::parse("p").expect("a selector");
    let count = tree.select(&p).next().map(|p| p.value().attrs().count());
    assert_eq!(count, Some(MAX_ATTRIBUTES));
}

#[test]
fn a_body_that_is_opened_again_keeps_its_first_attributes() {
    let (tree, ..) = parse("<body id=a><p>x<body class=b><p>y", Syntax::Html);
    assert_eq!(outline(&tree).matches("class").count(), 0);
    assert_eq!(outline(&tree).matches("<body").count(), 1);
}
