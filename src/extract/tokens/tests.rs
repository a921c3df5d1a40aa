//! Tags, texts and comments as servers write them.

use super::*;
use proptest::prelude::*;

/// Formats each token of `html` as a string: `<a x=1>`, `</a>`, `text`.
fn tokens(html: &str) -> Vec<String> {
    Tokens::new(html).map(|token| written(&token)).collect()
}

fn tokens_with(html: &str, content: ContentModel) -> Vec<String> {
    let mut tokens = Tokens::new(html);
    let mut all = Vec::new();
    while let Some(token) = tokens.next() {
        if let Token::Start(tag) = token {
            tokens.expect(content, tag);
        }
        all.push(written(&token));
    }
    all
}

fn written(token: &Token<'_>) -> String {
    match token {
        Token::Doctype(inside) => format!("<!{inside}>"),
        Token::Comment(text) => format!("<!--{text}-->"),
        Token::End(tag) => format!("</{}>", tag.name),
        Token::Text(text) => text.decoded().into_owned(),
        Token::Start(tag) => {
            let attributes = tag.attributes().map(|attribute| format!(" {}={}", attribute.name, attribute.value()));
            let slash = if tag.self_closing { "/" } else { "" };
            format!("<{}{}{slash}>", tag.name, attributes.collect::<String>())
        }
    }
}

#[test]
fn attributes_are_read_however_they_are_written() {
    for (html, expected) in [
        ("<a href=x>", "<a href=x>"),
        ("<A\nHREF = 'x y' \t>", "<A HREF=x y>"),
        ("<a href=\"x>y\"id=z>", "<a href=x>y id=z>"),
        ("<a href=x />", "<a href=x/>"),
        ("<a / href='x' / >", "<a href=x>"),
        ("<a =x=y>", "<a =x=y>"),
        ("<a b\"c=d>", "<a b\"c=d>"),
        ("<a href=>", "<a href=>"),
        ("<a checked href>", "<a checked= href=>"),
        ("<a x=&lt;&#x41;&amp;b&copy=1&notit;>", "<a x=<A&b&copy=1&notit;>"),
        ("<a x='1\r\n2\r3\0'>", "<a x=1\n2\n3\u{fffd}>"),
        ("<br/>", "<br/>"),
        ("<é>", "<é>"),
    ] {
        assert_eq!(tokens(html), [expected], "{html}");
    }
}

#[test]
fn a_slash_at_the_end_of_an_unquoted_value_belongs_to_it() {
    let Some(Token::Start(tag)) = Tokens::new("<a href=x/>").next() else { panic!("no tag") };
    assert_eq!(tag.attribute("href").as_deref(), Some("x/"));
    assert!(!tag.self_closing);
}

#[test]
fn of_two_attributes_of_one_name_the_first_counts() {
    let Some(Token::Start(tag)) = Tokens::new("<a HREF=1 href=2>").next() else { panic!("no tag") };
    assert_eq!(tag.attribute("href").as_deref(), Some("1"));
}

#[test]
fn what_is_no_tag_is_text_or_nothing() {
    for (html, expected) in [
        ("a < b <3 <", &["a < b <3 <"] as &[&str]),
        ("a</", &["a</"]),
        ("a</></>b</>", &["a", "b"]),
        ("a</ x>b", &["a", "<!-- x-->", "b"]),
        ("a<?php x ?>b", &["a", "<!--?php x ?-->", "b"]),
        ("a<!x>b", &["a", "<!--x-->", "b"]),
        ("a<b", &["a"]),
        ("a<b c='>", &["a"]),
        ("<![CDATA[a]]>", &["<!--[CDATA[a]]-->"]),
        ("<!DOCTYPE html>", &["<! html>"]),
        ("&lt;b&gt;", &["<b>"]),
        ("\u{feff}a", &["a"]),
    ] {
        assert_eq!(tokens(html), expected, "{html}");
    }
}

#[test]
fn comments_end_where_browsers_end_them() {
    for (html, comment) in [
        ("<!---->b", "<!---->"),
        ("<!-->b", "<!---->"),
        ("<!--->b", "<!---->"),
        ("<!-- > -- --!>b", "<!-- > -- -->"),
        ("<!--a--->b", "<!--a--->"),
        ("<!--<!---->b", "<!--<!---->"),
        ("<!--a-->b", "<!--a-->"),
    ] {
        assert_eq!(tokens(html), [comment, "b"], "{html}");
    }
    assert_eq!(tokens("<!-- a -- > <b>").len(), 1);
}

#[test]
fn text_that_is_no_markup_ends_at_its_own_end_tag_only() {
    let html = "<title>a<b>&amp;</b></titles></TITLE >c";
    assert_eq!(tokens_with(html, ContentModel::Rcdata), ["<title>", "a<b>&</b></titles>", "</TITLE>", "c"]);
    assert_eq!(tokens_with("<style>&amp;</style", ContentModel::Rawtext), ["<style>", "&amp;</style"]);
    assert_eq!(tokens_with("<plaintext></plaintext>", ContentModel::Plaintext), ["<plaintext>", "</plaintext>"]);
}

#[test]
fn a_nul_ends_a_character_reference_before_it_is_removed() {
    for (html, expected) in [("&lt\0;", "<;"), ("&#6\x005;", "\u{6}5;"), ("&am\0p;", "&amp;"), ("1\r\0\n2", "1\n\n2")] {
        assert_eq!(tokens(html), [expected], "{html:?}");
    }
}

#[test]
fn a_script_within_a_comment_within_a_script_does_not_end_it() {
    for (inside, ends) in [
        ("x", true),
        ("<!-- x", true),
        ("<!-- <script> x", false),
        ("<!-- <script> </script> x", true),
        ("<!-- <script> --> x", true),
        ("<!--> <script> x", true),
        ("<!-- <scripts> x", true),
    ] {
        let html = format!("<script>{inside}</script>y");
        assert_eq!(tokens_with(&html, ContentModel::Script).last().is_some_and(|last| last == "y"), ends, "{html}");
    }
}

proptest! {
    #[test]
    fn every_token_is_a_piece_of_the_page_in_its_order(html in "[<>/!?a='\" \\-é\\[\\]&;\0\r\n]{0,60}") {
        let mut from = 0;
        for token in Tokens::new(&html) {
            let piece = match token {
                Token::Doctype(text) | Token::Comment(text) => text,
                Token::Start(tag) | Token::End(tag) => tag.name,
                Token::Text(text) => text.raw,
            };
            if piece.is_empty() {
                continue;
            }
            let at = piece.as_ptr() as usize - html.as_ptr() as usize;
            prop_assert!(at >= from);
            from = at + piece.len();
        }
    }
}
