//! Forms: what is sent of them is what a browser sends. `forms/browser.json` holds what Chromium 156 sent for sixty forms;
//! `forms/record.py` recorded it.

use std::{sync::Arc, time::Duration};

use actix_crawler::{
    form::{Form, FormError, FormFile},
    prelude::*,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use encoding_rs::{Encoding, UTF_16LE};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde::Deserialize;

const RECORDED: &str = include_str!("forms/browser.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    charset: String,
    html: String,
    does: Vec<Vec<String>>,
    sends: Sent,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Sent {
    method: String,
    target: String,
    content_type: Option<String>,
    body: String,
}

#[test]
fn sixty_forms_are_sent_as_chromium_sends_them() {
    let cases: Vec<Case> = serde_json::from_str(RECORDED).unwrap();
    assert!(cases.len() >= 60, "{}", cases.len());
    let wrong: Vec<_> = cases.iter().enumerate().filter_map(|(number, case)| difference(number, case)).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn difference(number: usize, case: &Case) -> Option<String> {
    let page = page(number, case);
    let ours = match filled(&page, &case.does).and_then(Form::submit) {
        Ok(request) => sent(&request),
        Err(error) => return Some(format!("{}: {error}", case.name)),
    };
    let shown = |sent: &Sent| {
        let body = BASE64_STANDARD.decode(&sent.body).unwrap();
        format!("{} {} {:?} {:?}", sent.method, sent.target, sent.content_type, String::from_utf8_lossy(&body))
    };
    (ours != case.sends)
        .then(|| format!("{}:\n  ours    {}\n  browser {}", case.name, shown(&ours), shown(&case.sends)))
}

fn page(number: usize, case: &Case) -> Response {
    let html = format!("<!doctype html>{}", case.html);
    let encoding = Encoding::for_label(case.charset.as_bytes()).unwrap();
    let body = if encoding == UTF_16LE {
        html.encode_utf16().flat_map(u16::to_le_bytes).collect()
    } else {
        encoding.encode(&html).0.into_owned()
    };
    let mut headers = HeaderMap::new();
    let content_type = format!("text/html; charset={}", case.charset);
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(&content_type).unwrap());
    let request = Request::parse(&format!("http://127.0.0.1/case/{number}")).unwrap();
    Response::new(Arc::new(request), 200, headers, body.into(), std::time::UNIX_EPOCH, Duration::ZERO)
}

fn filled<'a>(page: &'a Response, does: &[Vec<String>]) -> Result<Form<'a>, FormError> {
    let chosen = does.iter().find(|step| step[0] == "form");
    let mut form = page.form(chosen.map_or("form", |step| &step[1]))?;
    for step in does {
        let step: Vec<_> = step.iter().map(String::as_str).collect();
        form = match step[..] {
            ["form", _] => form,
            ["set", name, value] => form.set(name, value)?,
            ["choose", name, value] => form.choose(name, value)?,
            ["check", name] => form.check(name)?,
            ["click", css] => form.click(css)?,
            ["script"] => form.without_button(),
            ["file", name, file, kind, content] => {
                form.file(name, FormFile::new(file, kind, content.as_bytes().to_vec()))?
            }
            ref other => panic!("{other:?}"),
        };
    }
    Ok(form)
}

fn sent(request: &Request) -> Sent {
    let content_type = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
    let boundary = content_type.as_deref().and_then(|value| value.split_once("boundary=")).map(|(_, it)| it.to_owned());
    let mut body = request.body.to_vec();
    let mut kind = content_type;
    if let Some(boundary) = boundary {
        body = replaced(&body, boundary.as_bytes(), b"BOUNDARY");
        kind = kind.map(|kind| kind.replace(&boundary, "BOUNDARY"));
    }
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Sent {
        method: request.method.to_string(),
        target: format!("{}{query}", request.url.path()),
        content_type: kind,
        body: BASE64_STANDARD.encode(body),
    }
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|there| there == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}
