//! Pages with the exact Markdown that they give.

use proptest::prelude::*;

use super::*;
use crate::growth::{HostileInput, assert_linear};

fn written(html: &str) -> WrittenMarkdown {
    let document = Document::parse(html);
    Markdown::of(&document, &"https://e.org/dir/page".parse().unwrap()).write()
}

#[track_caller]
fn golden(html: &str, expected: &str) {
    assert_eq!(written(html).text, expected, "{html}");
}

#[test]
fn headings_and_paragraphs() {
    golden(
        "<title>t</title><h1> A <i>b</i>\n c</h1><p>one\n two</p>three<h2>D</h2>",
        "# A *b* c\n\none two\n\nthree\n\n## D\n",
    );
    golden("<h3>A<br>b</h3><h4></h4><h2>x<a class=headerlink href=#x>¶</a></h2>", "### A b\n\n## x\n");
    golden("<p>a</p><hr><p>b<br>c<br></p>", "a\n\n---\n\nb  \nc\n");
    golden("", "");
    golden(" \n ", "");
}

#[test]
fn emphasis_stands_at_the_words_that_it_is_for() {
    golden("<p>a<b> b </b>c <i>d</i>, <b><i>e</i></b> <del>f</del>", "a **b** c *d*, ***e*** ~~f~~\n");
    golden("<p>a<b>b</b>c<em><em>d</em></em> <b></b><b> </b>e", "a**b**c*d* e\n");
    golden("<p><b>a</b><b>b</b> <b>c</b>", "**ab** **c**\n");
    golden("<b>a<p>b</p>c</b>", "**a**\n\n**b**\n\n**c**\n");
    golden("<p>x<sup>2</sup> H<sub>2</sub>O <q>said</q>", "x<sup>2</sup> H<sub>2</sub>O \"said\"\n");
}

#[test]
fn links_and_images_are_absolute() {
    golden("<p>a <a href=b title='T \"q\"'>b <b>c</b></a>.", "a [b **c**](https://e.org/dir/b \"T \\\"q\\\"\").\n");
    golden("<a href='/a_(b'>x</a> <a href='/a_(b)'>y</a>", "[x](https://e.org/a_%28b) [y](https://e.org/a_(b))\n");
    golden("<a href=/a><h3>T</h3><p>text</p></a>", "### [T](https://e.org/a)\n\n[text](https://e.org/a)\n");
    golden(
        "<a href=/a><img src=i.png alt='a [b]'></a><a href=/b></a>",
        "[![a \\[b\\]](https://e.org/dir/i.png)](https://e.org/a)\n",
    );
    golden(
        "<a href='javascript:x'>x</a> <img src='data:x' alt=y> <img src='data:x' data-src=/z.png>",
        "x y ![](https://e.org/z.png)\n",
    );
    golden("<p>wow!<a href=/a>x</a>", "wow\\![x](https://e.org/a)\n");
    let document = Document::parse("<p>a <a href=b>b</a> <img src=c alt=c>");
    let base = "https://e.org/".parse().unwrap();
    assert_eq!(Markdown::of(&document, &base).without_links().without_images().to_string(), "a b\n");
}

#[test]
fn lists_keep_their_numbers_and_nesting() {
    golden("<p>x</p><ul><li>a<li><p>b</p><p>c</p><li>d</ul><p>y</p>", "x\n\n- a\n- b\n\n  c\n- d\n\ny\n");
    golden(
        "<ol start=9><li>a<ol><li>b<ul><li>c</li></ul></li></ol></li><li value=20>d<li>e</ol>",
        "9. a\n   1. b\n      - c\n20. d\n21. e\n",
    );
    golden("<ul><li>a</ul><ul><li>b</ul><ul><li>c</ul>", "- a\n\n* b\n\n- c\n");
    golden("<ul><li></li><li><ul><li>x</ul><li><pre>code</pre></ul>", "- - x\n- ```\n  code\n  ```\n");
    golden("<ul><li>a<blockquote>q</blockquote><li>b</ul>", "- a\n\n  > q\n- b\n");
    golden("<dl><dt>T<dd><pre>x</pre><p>y<dd>z</dl><p>w", "T\n:\n  ```\n  x\n  ```\n\n  y\n: z\n\nw\n");
    golden("<dl><dt>Term<dd>What it is<dd>Or this<dt>Other<dd>x</dl>", "Term\n: What it is\n: Or this\n\nOther\n: x\n");
}

#[test]
fn quotations_stay_apart() {
    golden("<blockquote><p>a</p><p>b</p></blockquote><blockquote>c</blockquote>d", "> a\n>\n> b\n\n> c\n\nd\n");
    golden("<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n>\n> > b\n");
    golden("<blockquote><ul><li>a<li>b</ul></blockquote>", "> - a\n> - b\n");
}

#[test]
fn code_is_kept_as_it_stands() {
    golden(
        "<p>a <code>b  c</code> <code>`x`</code> <code>a``b</code><kbd>*</kbd>",
        "a `b c` `` `x` `` ```a``b````*`\n",
    );
    golden(
        "<pre><code class='hljs language-rust'>\nfn a() {\n\n    b();<br>}\n</code></pre>",
        "```rust\nfn a() {\n\n    b();\n}\n```\n",
    );
    golden(
        "<div class='highlight-python notranslate'><div class=highlight><pre><span>x</span> = 1\n</pre></div></div>",
        "```python\nx = 1\n```\n",
    );
    golden("<pre>```\nx\n```</pre><pre> </pre>", "````\n```\nx\n```\n````\n");
    golden("<blockquote><pre>a\n\nb</pre></blockquote>", "> ```\n> a\n>\n> b\n> ```\n");
    golden("<pre class='lang-\"><x'>a</pre>", "```\na\n```\n");
}

#[test]
fn tables_of_data_are_tables() {
    golden(
        "<table><caption>Cap</caption><thead><tr><th>A<th align=right>B</thead><tr><td>1 | 2<td><b>x</b><br>y<tr><td><p>p</p><p>q</p></table>after",
        "Cap\n\n| A | B |\n| --- | ---: |\n| 1 \\| 2 | **x**<br>y |\n| p<br>q |\n\nafter\n",
    );
    golden(
        "<table><tr><td>1<td>2<tr><td>3<td><code>a|b</code></table>",
        "| | |\n| --- | --- |\n| 1 | 2 |\n| 3 | `a\\|b` |\n",
    );
    golden(
        "<table><tr><th>a<th>b<th>c<tr><td rowspan=2>1<td colspan=2>2<tr><td>3<td>4</table>",
        "| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | |\n| | 3 | 4 |\n",
    );
    golden(
        "<table><tr><th scope=row>a<td>1<tr><th scope=row>b<td>2</table>",
        "| | |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n",
    );
    golden(
        "<ul><li>x<table><tr><th>a<th>b<tr><td>1<td>2</table></ul>",
        "- x\n\n  | a | b |\n  | --- | --- |\n  | 1 | 2 |\n",
    );
    golden(
        "<table><tr><th>a<th>b<tr><td><ul><li>1<li>2</ul><td><pre>x\ny</pre></table>",
        "| a | b |\n| --- | --- |\n| 1<br>2 | `x`<br>`y` |\n",
    );
}

#[test]
fn tables_that_lay_out_a_page_are_none() {
    golden("<table><tr><td>menu<td>text</table>", "menu\n\ntext\n");
    golden("<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>", "a\n\nb\n\nc\n\nd\n");
    golden(
        "<table><tr><td>a<td><table><tr><th>x<th>y<tr><td>1<td>2</table><tr><td>b<td>c</table>",
        "a\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n\nb\n\nc\n",
    );
    golden("<table><tr><td><pre>1\n2</pre><td><pre>a\nb</pre></table>", "```\n1\n2\n```\n\n```\na\nb\n```\n");
}

#[test]
fn what_is_markup_is_escaped_and_nothing_else() {
    for (text, expected) in [
        ("snake_case a*b*c 2 * 3", "snake_case a\\*b\\*c 2 * 3"),
        ("_a_ __init__", "_a\\_ \\_\\_init\\_\\_"),
        ("# no", "\\# no"),
        ("#hash #1", "#hash #1"),
        ("- a", "\\- a"),
        ("-5 + 3 - 2", "-5 + 3 - 2"),
        ("+ a", "\\+ a"),
        ("1. a", "1\\. a"),
        ("1986) a", "1986\\) a"),
        ("1.5 and 2. x", "1.5 and 2. x"),
        ("&gt; a > b", "\\> a > b"),
        ("&lt;div> a &lt; b &lt;3", "\\<div> a < b <3"),
        ("&amp;amp; A&amp;B &amp;c", "\\&amp; A&B &c"),
        ("[1] [a](b) a[i]", "[1] [a\\](b) a[i]"),
        ("[1]: x", "\\[1]: x"),
        ("[^n]: x", "\\[^n]: x"),
        ("a [1]: x [2] [b[c]: d", "a [1]: x [2] [b[c]: d"),
        ("[a]<span>(b)</span><i>[c]</i>", "[a\\](b)*[c]*"),
        ("&amp;<span>amp</span>; &amp;<i>lt;</i> &amp;<span>x</span>", "\\&amp; &*lt;* &x"),
        ("C:\\dir \\* \\", "C:\\dir \\\\\\* \\\\"),
        ("`x`", "\\`x\\`"),
        ("~a ~~b~~", "~a \\~\\~b\\~\\~"),
        ("---", "\\---"),
        ("--", "\\--"),
        ("===", "\\==="),
        ("a.b!c(d){e}|f", "a.b!c(d){e}|f"),
        ("https://e.org/a_b?c=d&amp;e=f", "https://e.org/a_b?c=d&e=f"),
    ] {
        golden(&format!("<p>{text}</p>"), &format!("{expected}\n"));
    }
    golden("<p>a<br># b<br>- c", "a  \n\\# b  \n\\- c\n");
}

#[test]
fn what_a_reader_does_not_see_is_left_out() {
    golden(
        "<head><style>a</style></head><script>b</script><p hidden>c</p><template>d</template><noscript>e</noscript><!-- f -->g",
        "g\n",
    );
    golden(
        "<p>Sum <span class=katex><math><semantics><mi>x</mi><annotation encoding=application/x-tex>x^2</annotation></semantics></math><span class=katex-html>x2</span></span>",
        "Sum $x^2$\n",
    );
}

#[test]
fn every_limit_is_shown() {
    assert_eq!(written(&format!("{}x", "<blockquote>".repeat(40))).too_deep, 8);
    let long = format!("<a href=/{}>x</a><a href='http://['>y</a>", "a".repeat(3_000));
    assert_eq!((written(&long).without_url, written(&long).text), (2, "xy\n".into()));
    let many = format!("<a href=/{}>{}</a>", "a".repeat(2_000), "<p>x</p>".repeat(20_000));
    let cut = written(&many);
    assert!(cut.is_cut && cut.text.len() <= MAX_MARKDOWN, "{}", cut.text.len());
}

#[test]
fn hostile_pages_take_linear_time() {
    let pages: [HostileInput; 11] = [
        |size| "<div>".repeat(2 * size),
        |size| "<ul><li>".repeat(size),
        |size| "<blockquote>x".repeat(2 * size),
        |size| "<b><i><a href=x>".repeat(size),
        |size| "<sup>x".repeat(2 * size),
        |size| "<table><tr><td>".repeat(size),
        |size| format!("<table>{}", "<tr><td rowspan=1000 colspan=1000>".repeat(size / 4)),
        |size| format!("<pre>{}", "`\n".repeat(2 * size)),
        |size| "<math><semantics>".repeat(size),
        |size| "*_`[]<&\\ ".repeat(size),
        |size| "<h1><a href=#><b>".repeat(size),
    ];
    assert_linear(5_000, &pages, |html| drop(written(html)));
}

/// Regression: each of 125,000 rows was filled with 200 cells, which took 770 MB for a page of 1 MB.
#[test]
fn a_table_whose_cells_span_columns_and_rows_is_cut_at_its_bound() {
    let spanned = format!("<tr><td rowspan=1000 colspan=199>a<td>b{}", "<tr><td>c".repeat(999));
    let cut = written(&format!("<table>{}</table>", spanned.repeat(2).replacen("<td>b", "<td>b<td>b", 1)));
    assert!(cut.is_cut, "{} bytes", cut.text.len());
    let rows = cut.text.lines().count();
    assert!((500..1_010).contains(&rows), "{rows} rows of 200 cells");
    let whole = written("<table><tr><td rowspan=1000 colspan=199>a<td>b<tr><td>c<td>d</table>");
    assert!(!whole.is_cut && whole.text.lines().count() > 2, "{}", whole.text);
}

#[test]
fn links_within_code_are_links_of_code() {
    golden("<p>See <code><a href=k>Key</a></code>.", "See [`Key`](https://e.org/dir/k).\n");
    golden(
        "<code>Vec&lt;<a href=t>T</a>, <a href=u>U</a> &gt; x</code>",
        "`Vec<`[`T`](https://e.org/dir/t)`,` [`U`](https://e.org/dir/u) `> x`\n",
    );
    golden("<h2><tt><a href=h>H</a></tt></h2>", "## [`H`](https://e.org/dir/h)\n");
    golden("<code>a <a href='javascript:x'>b</a> c</code> <code>a<a>b</a></code>", "`a b c` `ab`\n");
    golden("<a href=x>one <code>two</code></a>", "[one `two`](https://e.org/dir/x)\n");
    let document = Document::parse("<code>a<a href=b>b</a></code>");
    let base = "https://e.org/".parse().unwrap();
    assert_eq!(Markdown::of(&document, &base).without_links().to_string(), "`ab`\n");
}

proptest! {
    #[test]
    fn no_page_panics_and_none_gives_two_texts(
        html in "(<p>|</p>|<b>|</b>|<a href=x>|</a>|<ul>|</ul>|<ol start=-3>|<li>|</li>|<blockquote>|</blockquote>|<table>|<tr>|<td>|<th colspan=3>|\
                 </table>|<pre>|</pre>|<code>|</code>|<h2>|</h2>|<br>|<hr>|<img src=x alt=y>| |x|\\*|_|`|\\[|\\]|é|\n|<dl>|<dt>|<dd>|<sup>){0,40}",
    ) {
        let text = written(&html).text;
        prop_assert_eq!(&text, &written(&html).text);
        prop_assert!(text.is_empty() || text.ends_with('\n'));
        prop_assert!(!text.contains("\n\n\n") || html.contains("<pre>"), "{}", text);
    }
}

#[cfg(feature = "readability")]
#[test]
fn the_title_of_a_page_stands_above_its_main_content_once() {
    let story =
        "<p>Once upon a time, a crawler asked politely for a page, waited, and was answered at last.</p>".repeat(12);
    for page in [
        format!(
            "<title>A tale - E</title><div id=header><h1>A <i>tale</i></h1></div><article><h2>Part</h2>{story}</article>"
        ),
        format!("<title>A tale</title><nav>Home</nav><article><h1>A <i>tale</i></h1><h2>Part</h2>{story}</article>"),
    ] {
        let (document, base) = (Document::parse(&page), Url::parse("https://e.org/").unwrap());
        let written = Markdown::of(&document, &base).main().write();
        assert_eq!(written.text.matches("tale").count(), 1, "{}", written.text);
        assert!(
            written.text.starts_with("# A *tale*\n\n") || written.text.starts_with("## A *tale*\n\n"),
            "{}",
            written.text
        );
        assert!(written.text.contains("\n## Part\n\nOnce") && !written.text.contains("Home"), "{}", written.text);
    }
}

#[cfg(feature = "readability")]
#[test]
fn what_a_selector_names_is_left_out_also_of_the_main_content() {
    let story = "<p class=s>Once upon a time, a crawler asked politely, waited, and was answered.</p>".repeat(20);
    let ad = "<div class=ad><h2>Buy</h2><ul><li>now</ul></div>";
    let html =
        format!("<nav>Home</nav><article>{story}{ad}<p id=last>The <i class=ad>very </i>end, at last.</p></article>");
    let (document, base) = (Document::parse(&html), "https://e.org/".parse().unwrap());
    let markdown = || Markdown::of(&document, &base);
    let whole = markdown().without(".ad").unwrap().without("nav, .s").unwrap().to_string();
    assert_eq!(whole, "The end, at last.\n");
    let main = markdown().main().without(".ad").unwrap().write();
    assert!(main.text.ends_with("The end, at last.\n") && !main.text.contains("Buy"), "{}", main.text);
    assert!(!main.without_main && !main.text.contains("Home"));
    assert_eq!(markdown().within("#last").unwrap().to_string(), "The *very* end, at last.\n");
    assert!(markdown().without("p[").is_err());
}

/// As in Python's documentation, where methods are described within classes. In CommonMark, which has no descriptions,
/// four spaces begin code, and a fence that is indented so is text.
#[test]
fn descriptions_within_descriptions_are_no_code_and_code_in_them_is() {
    golden(
        "<dl><dt>class<dd><p>One.<dl><dt>method<dd><p>Two.<p>Three.<pre>code</pre><ul><li>a<pre>b</pre></ul></dl><p>Four.</dl>",
        "class\n: One.\n\n  method\n  : Two.\n\n  Three.\n\n  ```\n  code\n  ```\n  - a\n\n    ```\n    b\n    ```\n\n  Four.\n",
    );
}
