//! The tokenizer against html5lib-tests, the public suite, and against html5ever's tokenizer in every state of the
//! suite. A few cases of the suite stand here; where `HTML5LIB_TESTS` names a clone of it, the same test runs all of
//! them. Knows which differences are meant.

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path};

use html5ever::tokenizer::{
    BufferQueue, TagKind, Token as Theirs, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
    states::{RawKind, State},
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A token in the suite.
#[derive(Clone, Debug, PartialEq)]
enum Expected {
    Doctype,
    Start(String, BTreeMap<String, String>, bool),
    End(String),
    Text(String),
    Comment(String),
}

/// Cases as the suite writes them, some for each state.
const CASES: &str = r#"{"tests": [
    {"input": "<!DOCTYPE html>a", "output": [["DOCTYPE", "html", null, null, true], ["Character", "a"]]},
    {"input": "<h a='b' A=c d>", "output": [["StartTag", "h", {"a": "b", "d": ""}]]},
    {"input": "<br/></BR >", "output": [["StartTag", "br", {}, true], ["EndTag", "br"]]},
    {"input": "<!--a--!>b", "output": [["Comment", "a"], ["Character", "b"]]},
    {"input": "I'm &notit; &#x80;", "output": [["Character", "I'm \u00acit; \u20ac"]]},
    {"input": "<h a='&noti;'>", "output": [["StartTag", "h", {"a": "&noti;"}]]},
    {"input": "a<?b>c</3>d", "output": [["Character", "a"], ["Comment", "?b"], ["Character", "c"], ["Comment", "3"],
        ["Character", "d"]]},
    {"input": "a\\u0000b", "doubleEscaped": true, "output": [["Character", "a\\u0000b"]]},
    {"input": "a&lt;<b></ttl></TITLE >c", "initialStates": ["RCDATA state"], "lastStartTag": "title",
        "output": [["Character", "a<<b></ttl>"], ["EndTag", "title"], ["Character", "c"]]},
    {"input": "&lt;</xmp", "initialStates": ["RAWTEXT state", "Script data state"], "lastStartTag": "xmp",
        "output": [["Character", "&lt;</xmp"]]},
    {"input": "<!--<script></script>--></script>", "initialStates": ["Script data state"], "lastStartTag": "script",
        "output": [["Character", "<!--<script></script>-->"], ["EndTag", "script"]]},
    {"input": "&lt;</plaintext>", "initialStates": ["PLAINTEXT state"], "lastStartTag": "plaintext",
        "output": [["Character", "&lt;</plaintext>"]]},
    {"input": "a&lt;]]>&lt;", "initialStates": ["CDATA section state"], "output": [["Character", "a&lt;<"]]}
]}"#;

#[test]
fn the_tokenizer_agrees_with_html5lib_tests() {
    let mut files = vec![("the cases of this file".to_owned(), CASES.to_owned())];
    let suite = std::env::var_os("HTML5LIB_TESTS");
    if let Some(suite) = &suite {
        for entry in fs::read_dir(Path::new(suite).join("tokenizer")).unwrap() {
            let path = entry.unwrap().path();
            // That one tests another mode, in which a tokenizer makes its output fit for XML.
            if path.extension().is_some_and(|extension| extension == "test") && !path.ends_with("xmlViolation.test") {
                files.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let (mut passed, mut failed) = (0, Vec::new());
    for (file, text) in files {
        let text: Value = serde_json::from_str(&without_lone_surrogates(&text)).unwrap();
        for case in text["tests"].as_array().into_iter().flatten() {
            let initial = case["initialStates"].as_array().cloned().unwrap_or_else(|| vec!["Data state".into()]);
            for state in &initial {
                let input = unescaped(case, case["input"].as_str().unwrap());
                let expected = expected(case, state.as_str().unwrap());
                let ours = ours(&input, state.as_str().unwrap(), case["lastStartTag"].as_str().unwrap_or_default());
                if ours == expected {
                    passed += 1;
                } else {
                    failed.push(format!("{file}, {state}: {input:?}\n  ours     {ours:?}\n  expected {expected:?}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{passed} passed, {} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed >= if suite.is_some() { 7_032 } else { 14 }, "too few cases: {passed}");
}

/// The states that the suite begins in, with an element whose text is read in each.
const STATES: [(&str, &str, State); 6] = [
    ("Data state", "", State::Data),
    ("RCDATA state", "title", State::RawData(RawKind::Rcdata)),
    ("RAWTEXT state", "style", State::RawData(RawKind::Rawtext)),
    ("Script data state", "script", State::RawData(RawKind::ScriptData)),
    ("PLAINTEXT state", "plaintext", State::Plaintext),
    ("CDATA section state", "", State::CdataSection),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn any_markup_gives_the_tokens_of_html5ever_in_every_state(pieces in markup()) {
        let html = pieces.concat();
        for (state, element, theirs) in STATES {
            // html5ever leaves a NUL in a section to the tree builder, which would know that it stands in one.
            let html = if theirs == State::CdataSection { html.replace('\0', "") } else { html.clone() };
            prop_assert_eq!(ours(&html, state, element), html5ever(&html, theirs, element), "{}: {:?}", state, html);
        }
    }
}

/// Pieces of markup in no order: whole tags, and what tags, comments and references are made of.
fn markup() -> impl Strategy<Value = Vec<&'static str>> {
    let pieces = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<a href=x>",
        "<A B='c' b=\"d\"/>",
        "</title>",
        "</TITLE ",
        "</style>",
        "</script>",
        "<script>",
        "<",
        ">",
        "/",
        "</",
        "<!",
        "<!-",
        "<!--",
        "--",
        "-",
        "-->",
        "--!>",
        "<!-->",
        "<?",
        "<!doctype",
        "<!DOCTYPE html>",
        "]]>",
        "]",
        "<![CDATA[",
        "=",
        "'",
        "\"",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\u{c}",
        "\0",
        "a",
        "script",
        "title",
        "é",
        "&",
        "&amp;",
        "&lt",
        "&notit;",
        "&not",
        "#",
        "x",
        "&#",
        "&#x",
        "80",
        ";",
        "&#0;",
        "&#xd800;",
        "&#x110000;",
        "&ngE;",
    ]);
    prop::collection::vec(pieces, 0..16)
}

/// The tokens of html5ever's own tokenizer.
fn html5ever(html: &str, state: State, element: &str) -> Vec<Expected> {
    #[derive(Default)]
    struct Sink(RefCell<Vec<Expected>>);

    impl TokenSink for Sink {
        type Handle = ();

        fn process_token(&self, token: Theirs, _line: u64) -> TokenSinkResult<()> {
            let token = match token {
                Theirs::DoctypeToken(_) => Expected::Doctype,
                Theirs::CommentToken(text) => Expected::Comment(text.to_string()),
                Theirs::CharacterTokens(text) => Expected::Text(text.to_string()),
                Theirs::TagToken(tag) if tag.kind == TagKind::EndTag => Expected::End(tag.name.to_string()),
                Theirs::TagToken(tag) => {
                    let attributes =
                        tag.attrs.iter().map(|a| (a.name.local.to_string(), a.value.to_string())).collect();
                    Expected::Start(tag.name.to_string(), attributes, tag.self_closing)
                }
                // The tree builder passes over a NUL in ordinary text; ours does at once.
                Theirs::NullCharacterToken | Theirs::EOFToken | Theirs::ParseError(_) => {
                    return TokenSinkResult::Continue;
                }
            };
            append(&mut self.0.borrow_mut(), token);
            TokenSinkResult::Continue
        }
    }

    let options = TokenizerOpts {
        discard_bom: false,
        initial_state: Some(state),
        last_start_tag_name: (!element.is_empty()).then(|| element.to_owned()),
        ..TokenizerOpts::default()
    };
    let tokenizer = Tokenizer::new(Sink::default(), options);
    let input = BufferQueue::default();
    input.push_back(html.into());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

fn ours(input: &str, state: &str, last_start_tag: &str) -> Vec<Expected> {
    let mut tokens = Tokens::new(input);
    // The suite's input has no byte order mark to remove.
    tokens.page.rest = input;
    tokens.element = if last_start_tag.is_empty() { "none" } else { last_start_tag };
    tokens.content = match state {
        "PLAINTEXT state" => ContentModel::Plaintext,
        "RCDATA state" => ContentModel::Rcdata,
        "RAWTEXT state" => ContentModel::Rawtext,
        "Script data state" => ContentModel::Script,
        _ => ContentModel::Markup,
    };
    let mut all: Vec<Expected> = Vec::new();
    let mut in_cdata = state == "CDATA section state";
    loop {
        let token = if std::mem::take(&mut in_cdata) {
            let (raw, rest) = input.split_once("]]>").unwrap_or((input, ""));
            tokens.page.rest = rest;
            Some(Token::Text(Text { raw, kind: TextKind::Cdata }))
        } else {
            tokens.next()
        };
        let Some(token) = token else { return all };
        let name = |tag: &Tag<'_>| normalised(tag.name).to_ascii_lowercase();
        let token = match token {
            Token::Doctype(_) => Expected::Doctype,
            Token::Comment(text) => Expected::Comment(normalised(text).into_owned()),
            Token::End(tag) => Expected::End(name(&tag)),
            Token::Start(tag) => {
                let mut attributes = BTreeMap::new();
                for attribute in tag.attributes() {
                    let name = normalised(attribute.name).to_ascii_lowercase();
                    attributes.entry(name).or_insert_with(|| attribute.value().into_owned());
                }
                Expected::Start(name(&tag), attributes, tag.self_closing)
            }
            Token::Text(text) => Expected::Text(text.decoded().into_owned()),
        };
        append(&mut all, token);
    }
}

/// The suite has the text between two other tokens in one piece.
fn append(all: &mut Vec<Expected>, token: Expected) {
    match (token, all.last_mut()) {
        (Expected::Text(text), _) if text.is_empty() => {}
        (Expected::Text(text), Some(Expected::Text(before))) => before.push_str(&text),
        (token, _) => all.push(token),
    }
}

fn expected(case: &Value, state: &str) -> Vec<Expected> {
    let text = |value: &Value| unescaped(case, value.as_str().unwrap_or_default());
    let mut all: Vec<Expected> = Vec::new();
    for token in case["output"].as_array().unwrap() {
        let token = match token[0].as_str().unwrap() {
            "DOCTYPE" => Expected::Doctype,
            "Comment" => Expected::Comment(text(&token[1])),
            "EndTag" => Expected::End(text(&token[1])),
            "StartTag" => {
                let attributes = token[2].as_object().unwrap();
                let attributes = attributes.iter().map(|(name, value)| (unescaped(case, name), text(value))).collect();
                Expected::Start(text(&token[1]), attributes, token[3] == true)
            }
            // The tree builder drops a NUL in ordinary text and replaces it in a CDATA section; ours does so at once.
            _ => match (text(&token[1]), state) {
                (text, "Data state") => Expected::Text(text.replace('\0', "")),
                (text, _) => Expected::Text(text.replace('\0', "\u{fffd}")),
            },
        };
        append(&mut all, token);
    }
    all
}

/// Some cases write characters as `\u0000` within a string.
fn unescaped(case: &Value, text: &str) -> String {
    if case["doubleEscaped"] != true {
        return text.to_owned();
    }
    let mut pieces = text.split("\\u");
    let mut all = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = u32::from_str_radix(&piece[..4], 16).unwrap();
        all.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        all.push_str(&piece[4..]);
    }
    all
}

/// Removes unpaired surrogates, which no Rust string can contain and no decoder produces.
fn without_lone_surrogates(text: &str) -> String {
    let surrogates =
        regex::Regex::new(r"(?i)\\u(d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}").unwrap();
    let replace = |found: &regex::Captures<'_>| {
        if found.get(1).is_some() { found[0].to_owned() } else { "\\uFFFD".to_owned() }
    };
    surrogates.replace_all(text, replace).into_owned()
}
