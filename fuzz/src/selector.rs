//! Fuzzes the languages that ask a page: CSS, XPath, JMESPath, regular expressions, and numbers in text. Nothing
//! panics, it ends soon, and each error can be shown.

use actix_crawler::extract::{Document, SelectorError, jmes, number_in};
use serde_json::Value;

const PAGE: &str = "<!doctype html><title>T</title><main id=m class='a b' lang=en><h1>One é</h1><table><tr><th>k<td>1.234,50 €\
    <tr><th>l<td>2</table><ul><li class=a>x<li class=b>y<ul><li>z</ul></ul><a href=/p?q=1#f rel=next>next</a>\
    <form><input name=n value=v checked><select><option selected>o</select></form><svg><a href=s>s</a></svg><p>&lt;!--</p></main>";

const JSON: &str = r#"{"a":[{"b":1,"c":"x"},{"b":2,"c":null},{"b":-3.5}],"d":{"e":[[1,2],[3]],"é":true},"f":"text"}"#;

/// The first byte chooses the language; it is printable in the seeds, so that those can be read.
pub fn fuzz(input: &[u8]) {
    let [choice, text @ ..] = input else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    READ.with(|(page, json)| ask(page, json, *choice, text));
}

thread_local! {
    static READ: (Document, Value) = (Document::parse(PAGE), serde_json::from_str(JSON).unwrap());
}

fn ask(page: &Document, json: &Value, choice: u8, text: &str) {
    match choice % 5 {
        0 => {
            if let Some(found) = shown(page.select(text)) {
                assert!(found.len() <= 64);
            }
            shown(page.attr_of(text, "href"));
        }
        1 => {
            if let Some(value) = shown(page.xpath(text)) {
                let _ = (value.number(), value.is_true(), value.text().map(|text| text.len()));
                assert!(value.texts().is_ok_and(|texts| texts.len() <= 512) && value.elements().len() <= 64);
            }
        }
        2 => {
            shown(jmes(json, text));
        }
        3 => {
            shown(page.root().re(text));
            shown(page.root().re_first(text));
        }
        _ => {
            if let Some(number) = number_in(text) {
                assert!(number.parse::<f64>().is_ok(), "{number}");
            }
        }
    }
}

fn shown<T>(result: Result<T, SelectorError>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}
