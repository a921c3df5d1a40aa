//! Fuzzes forms with any page, filled in by what the page itself names: nothing panics, and a request is sent only by
//! HTTP, with headers that can be sent.

use actix_crawler::{
    Response,
    form::{Form, FormFile},
};
use http::{HeaderName, HeaderValue};

const TYPES: [&str; 4] =
    ["text/html", "application/xhtml+xml", "text/html; charset=shift_jis", "text/html; charset=windows-1252"];

/// The first byte chooses the content type, the second how the form is filled in; both are printable in the seeds, so
/// that those can be read.
pub fn fuzz(input: &[u8]) {
    let [kind, does, body @ ..] = input else { return };
    let page = Response::bytes("https://e.org/a/b?c", TYPES[usize::from(*kind) % TYPES.len()], body.to_vec());
    let css = if does & 8 == 0 { "form" } else { "form:last-of-type" };
    let Ok(form) = page.form(css) else { return };
    let names: Vec<_> = form.names().into_iter().take(4).map(str::to_owned).collect();
    check(form.clone());
    for name in &names {
        let form = form.clone();
        let _ = form.values(name);
        let filled = match does % 8 {
            0 => form.set(name, "1é\r\n日\u{0}"),
            1 => form.choose(name, "1"),
            2 => form.check(name),
            3 => form.uncheck(name),
            4 => form.file(name, FormFile::new("a\"\r\n日", "text/plain", &b"--\r\n"[..])),
            5 => Ok(form.enable(name).without_button()),
            6 => Ok(form.remove(name).add("x\u{0}é", "日\n")),
            _ => form.click_at("input,button", 1, 2),
        };
        match filled {
            Ok(filled) => check(filled),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn check(form: Form<'_>) {
    let request = match form.submit() {
        Ok(request) => request,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(matches!(request.url.scheme(), "http" | "https"), "{}", request.url);
    assert_eq!(request.url.as_str().parse().as_ref(), Ok(&request.url), "{}", request.url);
    for (name, value) in &request.headers {
        assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name}");
        assert!(HeaderValue::from_str(value).is_ok(), "{value}");
    }
}
