//! Fuzzes forms with any page, filled in by what the page itself names: nothing panics, and a request is sent only by HTTP,
//! with headers that can be sent.

use actix_crawler::{
    Response,
    form::{Form, FormError, FormFile},
};
use http::{HeaderName, HeaderValue};

/// The first byte chooses how the form is filled in; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, body @ ..] = input else { return };
    let types =
        ["text/html", "application/xhtml+xml", "text/html; charset=shift_jis", "text/html; charset=windows-1252"];
    let page = Response::bytes("https://e.org/a/b?c", types[usize::from(*choice) % types.len()], body.to_vec());
    for css in ["form", "form:nth-of-type(2)", "#f", "[name]"] {
        let Ok(form) = page.form(css) else { continue };
        let names: Vec<_> = form.names().into_iter().map(str::to_owned).collect();
        check(form);
        for name in names.iter().take(8) {
            let form = || page.form(css).unwrap();
            let _ = form().values(name);
            let _ = form().set(name, "1é\r\n日\u{0}").map(check);
            let _ = form().choose(name, "1").map(check);
            let _ = form().check(name).map(check);
            let _ = form().uncheck(name).map(check);
            let _ = form().file(name, FormFile::new("a\"\r\n日", &b"--\r\n"[..])).map(check);
            check(form().enable(name).without_button());
            check(form().remove(name).add("x\u{0}é", "日\n"));
        }
        let _ = page.form(css).unwrap().click_at("input,button", 1, 2).map(check);
    }
}

fn check(form: Form<'_>) {
    let request = match form.submit() {
        Ok(request) => request,
        Err(error) => return drop::<(FormError, String)>((error.clone(), error.to_string())),
    };
    assert!(matches!(request.url.scheme(), "http" | "https"), "{}", request.url);
    assert_eq!(request.url.as_str().parse().as_ref(), Ok(&request.url), "{}", request.url);
    for (name, value) in &request.headers {
        assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name}");
        assert!(HeaderValue::from_str(value).is_ok(), "{value}");
    }
}
