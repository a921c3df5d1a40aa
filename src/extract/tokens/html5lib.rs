//! Runs the tokenizer against the public suite `html5lib-tests`, which is not part of this repository: clone it and run
//! `HTML5LIB_TESTS=path cargo test html5lib -- --ignored`. Lists the intended differences.

use std::{collections::BTreeMap, fs, path::Path};

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

#[test]
#[ignore = "needs html5lib-tests"]
fn the_tokenizer_agrees_with_html5lib_tests() {
    let suite = std::env::var("HTML5LIB_TESTS").expect("HTML5LIB_TESTS names a clone of html5lib-tests");
    let (mut passed, mut failed) = (0, Vec::new());
    for entry in fs::read_dir(Path::new(&suite).join("tokenizer")).unwrap() {
        let path = entry.unwrap().path();
        // That file tests another mode, in which a tokenizer makes its output valid in XML.
        let is_suite =
            path.extension().is_some_and(|extension| extension == "test") && !path.ends_with("xmlViolation.test");
        if !is_suite {
            continue;
        }
        let text: Value = serde_json::from_str(&without_lone_surrogates(&fs::read_to_string(&path).unwrap())).unwrap();
        for case in text["tests"].as_array().into_iter().flatten() {
            let initial = case["initialStates"].as_array().cloned().unwrap_or_else(|| vec!["Data state".into()]);
            for state in &initial {
                let input = unescaped(case, case["input"].as_str().unwrap());
                let expected = expected(case, state.as_str().unwrap());
                let ours = ours(&input, state.as_str().unwrap(), case["lastStartTag"].as_str().unwrap_or_default());
                if ours == expected {
                    passed += 1;
                } else {
                    let name = path.file_name().unwrap().to_string_lossy();
                    failed.push(format!("{name}, {state}: {input:?}\n  ours     {ours:?}\n  expected {expected:?}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{passed} passed, {} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed > 7_000, "the suite has 7,032 cases: {passed}");
}

fn ours(input: &str, state: &str, last_start_tag: &str) -> Vec<Expected> {
    let mut tokens = Tokens::new(input);
    // The suite's input has no byte order mark to remove.
    tokens.page.rest = input;
    tokens.element = if last_start_tag.is_empty() { "none" } else { last_start_tag };
    tokens.content = match state {
        "PLAINTEXT state" => Content::Plaintext,
        "RCDATA state" => Content::Rcdata,
        "RAWTEXT state" => Content::Rawtext,
        "Script data state" => Content::Script,
        _ => Content::Markup,
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
        let name = |tag: &Tag<'_>| normalised(tag.name, "\u{fffd}").to_ascii_lowercase();
        let token = match token {
            Token::Doctype(_) => Expected::Doctype,
            Token::Comment(text) => Expected::Comment(normalised(text, "\u{fffd}").into_owned()),
            Token::End(tag) => Expected::End(name(&tag)),
            Token::Start(tag) => {
                let mut attributes = BTreeMap::new();
                for attribute in tag.attributes() {
                    let name = normalised(attribute.name, "\u{fffd}").to_ascii_lowercase();
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
