//! Filling in forms, and what is refused. `tests/forms.rs` compares the requests with a browser's.

use proptest::prelude::*;

use super::*;
use crate::growth::{HostileInput, assert_linear};

fn page(html: &str) -> Response {
    Response::html("https://e.org/login?a=1#top", html.to_owned())
}

fn sent(form: Form<'_>) -> String {
    let request = form.submit().unwrap();
    assert_eq!(request.method, "GET");
    request.url.query().unwrap_or_default().to_owned()
}

#[test]
fn an_error_names_what_the_form_has_instead() {
    let page = page("<form><input name=user><select name=lang><option>en<option value=de>German</select></form><p>");
    let error = |result: Result<Form<'_>, FormError>| result.unwrap_err().to_string();
    let form = || page.form("form").unwrap();
    assert_eq!(
        error(form().set("usr", "x")),
        "the form has no control with a value named `usr`; its names are user, lang"
    );
    assert_eq!(error(form().choose("lang", "fr")), "`lang` offers no `fr`; it offers en, de");
    assert_eq!(error(form().check("user")), "the form has no checkbox named `user`; its names are user, lang");
    assert_eq!(error(page.form("p")), "`p` matches <p>, which is no form and stands in none");
    assert!(error(page.form("#none")).contains("no element matches `#none`"));
    assert!(error(form().click("p")).contains("no enabled button"));
}

/// HTML §4.10.10, "text". Chromium sends the same.
#[test]
fn a_script_is_no_part_of_an_options_text() {
    let page =
        page("<form><select name=a><option>  x <b>y</b><script>z</script>\n w<svg><script>v</script>u</svg></select>");
    assert_eq!(sent(page.form("form").unwrap()), "a=x+y+wu");
}

/// The standard splits `accept-charset` at white space. Chromium and Firefox split it at commas too, as HTML 4 did.
#[test]
fn accepted_charsets_may_be_separated_by_commas_as_in_browsers() {
    for accepted in ["gbk,utf-8", "bogus, gbk", "gbk utf-8", "bogus\nGB2312"] {
        let page = page(&format!("<form accept-charset='{accepted}'><input name=a value=洪>"));
        assert_eq!(sent(page.form("form").unwrap()), "a=%BA%E9", "{accepted}");
    }
}

/// A form that an end tag around it closes, or that stands in a table, owns the controls up to its own end tag, and no
/// further (HTML §13.2.6.1 and §13.2.6.4.7, the "form element pointer"). Chromium sends the same.
#[test]
fn a_form_owns_what_the_parser_gives_it_wherever_that_stands() {
    for (html, expected) in [
        ("<div><form></div><input name=a value=1></form><input name=b value=2>", "a=1"),
        ("<div><form></div><p><input name=a value=1></p><input name=b value=2>", "a=1&b=2"),
        ("<table><form><tr><td><input name=a value=1></tr></form><tr><td><input name=b value=2></table>", "a=1"),
        (
            "<table><form><tr><td><input name=a value=1><tr><td><input name=b value=2></table><input name=c value=3>",
            "a=1&b=2&c=3",
        ),
        ("<table><tr><form><td><input name=a value=1></form><td><input name=b value=2></table>", "a=1"),
        (
            "<div><form></div><input name=a value=1><form id=g><input name=b value=2></form><input name=c value=3>",
            "a=1&b=2",
        ),
        ("<form></form><input name=a value=1>", ""),
        ("<form><template><input name=a value=1></template><input name=b value=2></form>", "b=2"),
        ("<div><form></div><input name=a value=1 form=x><select name=s><option>2</select>", "s=2"),
    ] {
        assert_eq!(sent(page(html).form("form").unwrap()), expected, "{html}");
    }
}

/// HTML §3.2.6.4: a number has no direction of its own, and a telephone number never one of what is around. Chromium
/// sends the same.
#[test]
fn a_direction_is_that_of_the_text_where_it_is_asked_for() {
    let input = |attributes: &str| format!("<form dir=rtl><input {attributes} dirname=d name=n></form>");
    for (attributes, expected) in [
        ("value=x", "rtl"),
        ("dir=ltr value=ש", "ltr"),
        ("dir=auto value=ש", "rtl"),
        ("dir=auto value='1 - العربية x'", "rtl"),
        ("dir=AUTO value='1 x ש'", "ltr"),
        ("dir=auto value=12", "ltr"),
        ("dir=auto", "ltr"),
        ("type=tel value=1", "ltr"),
        ("type=tel dir=rtl value=1", "rtl"),
        ("type=tel dir=auto value=1", "ltr"),
    ] {
        let page = page(&input(attributes));
        assert!(sent(page.form("form").unwrap()).ends_with(&format!("&d={expected}")), "{attributes}");
    }
}

#[test]
fn a_form_is_found_by_an_element_within() {
    assert_eq!(sent(page("<form><p><input name=q value=1>").form("[name=q]").unwrap()), "q=1");
}

#[test]
fn an_input_refuses_what_its_type_cannot_hold() {
    let page = page("<form><input name=d type=date><input name=t>");
    let error = page.form("form").unwrap().set("d", "tomorrow").unwrap_err();
    assert_eq!(error.to_string(), "`d` is an input of type date, which cannot hold `tomorrow`");
    assert_eq!(
        sent(page.form("form").unwrap().set("d", "2026-01-01").unwrap().set("t", "a\nb").unwrap()),
        "d=2026-01-01&t=ab"
    );
}

#[test]
fn a_disabled_control_is_enabled_as_a_script_would() {
    let page = page("<form><input name=a disabled><button name=go disabled value=1>");
    assert!(matches!(page.form("form").unwrap().set("a", "x"), Err(FormError::Disabled { .. })));
    assert_eq!(sent(page.form("form").unwrap().enable("a").set("a", "x").unwrap()), "a=x");
    assert_eq!(sent(page.form("form").unwrap().enable("go").click("button").unwrap()), "go=1");
}

#[test]
fn what_a_script_adds_and_removes_is_sent_so() {
    let page = page("<form><input name=a value=1><input name=b value=2><input name=a value=3>");
    assert_eq!(sent(page.form("form").unwrap().add("c", "4").remove("a")), "b=2&c=4");
}

#[test]
fn a_choice_can_be_taken_back() {
    let page = page(
        "<form><input type=checkbox name=a checked><input type=radio name=r value=1 checked>\
         <select name=s multiple><option selected>1<option>2</select>",
    );
    let form = page.form("form").unwrap().uncheck("a").unwrap().uncheck("r").unwrap().uncheck("s").unwrap();
    assert_eq!(sent(form.clone()), "");
    assert_eq!(sent(form.set("s", "2").unwrap().set("r", "1").unwrap()), "r=1&s=2");
}

#[test]
fn dialogs_and_other_schemes_send_nothing() {
    assert!(matches!(page("<form method=dialog>").form("form").unwrap().submit(), Err(FormError::Dialog)));
    for action in ["javascript:void(0)", "mailto:me@e.org", "data:text/html,x", "http://["] {
        let page = page(&format!("<form action='{action}'>"));
        assert!(matches!(page.form("form").unwrap().submit(), Err(FormError::Action { .. })), "{action}");
    }
}

#[test]
fn an_image_is_clicked_where_asked() {
    let page = page("<form><input type=image name=map>");
    assert_eq!(sent(page.form("form").unwrap().click_at("input", 3, 4).unwrap()), "map.x=3&map.y=4");
}

#[test]
fn the_same_form_filled_in_alike_is_the_same_request() {
    let page = page("<form method=post enctype=multipart/form-data><input name=a value=1><input type=file name=f>");
    let request = |content: &'static str| {
        let file = FormFile::new("f", "text/plain", content);
        page.form("form").unwrap().file("f", file).unwrap().submit().unwrap()
    };
    assert_eq!(request("x").fingerprint(), request("x").fingerprint());
    assert_ne!(request("x").fingerprint(), request("y").fingerprint());
}

#[test]
fn debug_output_shows_no_values() {
    let page = page("<form><input name=password value=hidden>");
    let shown = format!("{:?}", page.form("form").unwrap());
    assert!(shown.contains("password") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn more_controls_than_are_read_are_counted() {
    let page = page(&format!("<form>{}", "<input name=a value=1>".repeat(MAX_CONTROLS + 5)));
    let form = page.form("form").unwrap();
    assert_eq!((form.values("a").len(), form.left_out()), (MAX_CONTROLS, 5));
}

#[test]
fn hostile_forms_take_linear_time() {
    let forms: [HostileInput; 7] = [
        |size| format!("<form>{}", "<div>".repeat(2 * size)),
        |size| format!("<form>{}", "<fieldset disabled><legend>".repeat(2 * size)),
        |size| format!("<form><fieldset disabled>{}", "<legend></legend>".repeat(size)),
        |size| format!("<form>{}", "<select><optgroup><option>".repeat(size)),
        |size| format!("<form id=a>{}", "<input form=a id=a>".repeat(size)),
        |size| "<table><form>".repeat(size),
        |size| format!("<form>{}", "<p dir=rtl><input dirname=a name=b>".repeat(size)),
    ];
    assert_linear(5_000, &forms, |html| {
        let page = page(html);
        page.document();
        let _ = page.form("form").unwrap().submit();
    });
}

proptest! {
    #[test]
    fn no_page_panics(
        html in "(<form>|</form>|<table>|<tr>|<input name=a>|<input type=radio checked name=r>|<select name=s>|</select>|<option>|\
                 <optgroup disabled>|<fieldset disabled>|<legend>|</fieldset>|<template>|</template>|<textarea name=t>|<button>|\
                 <datalist>|x|<div dir=rtl>|</div>){0,40}",
    ) {
        if let Ok(form) = page(&html).form("form") {
            let _ = form.values("s");
            let _ = form.submit();
        }
    }
}
