//! Inline JSON: the data that a page's scripts have under a name, as `__NEXT_DATA__`. Runs no script.

use std::borrow::Cow;

use serde_json::{Deserializer, Value};

use super::{
    prefix::prefix,
    select::{Document, Element},
    selector_error::SelectorError,
};
use crate::text::json::without_lone_surrogates;

/// The longest JSON that is parsed, in bytes. Its values take about ten times as much memory.
pub const MAX_INLINE_JSON: usize = 8 << 20;

/// The most places of a name in one script that are tried. Each may cost as much as the longest JSON.
const MAX_PLACES: usize = 10;

impl Element<'_> {
    /// Returns the JSON that a script within has under this name; see [`Document::inline_json`].
    ///
    /// # Errors
    /// [`SelectorError::NoJson`] if there is none.
    pub fn inline_json(&self, name: &str) -> Result<Value, SelectorError> {
        let mut fault = format!("no script has `{name}` as its `id`, or assigns it");
        let scripts = self.with_descendants().filter(|element| element.name() == "script");
        for script in scripts {
            let text = script.raw_text();
            let is_named = script.attr("id") == Some(name);
            let starts = if is_named { vec![text.as_str()] } else { values_of(&text, name) };
            for start in starts {
                match first_value(start) {
                    Ok(value) => return Ok(value),
                    Err(why) => fault = format!("what the page has under `{name}` is none: {why}"),
                }
            }
        }
        Err(SelectorError::NoJson { why: fault })
    }
}

impl Document {
    /// Returns the JSON that the page's scripts have under this name: the content of `<script id=NAME>`, or what is
    /// assigned in `window.NAME = {…}`, `var NAME = JSON.parse("…")` with any quotes, `window["NAME"] = …`.
    ///
    /// ```
    /// use actix_crawler::extract::Document;
    ///
    /// let page = Document::parse(
    ///     r#"<script id=__NEXT_DATA__ type=application/json>{"props": {"price": 3.5}}</script>
    ///     <script>window.dataLayer = []; window.__STATE__ = {"user": null};</script>"#,
    /// );
    /// assert_eq!(page.inline_json("__NEXT_DATA__")?["props"]["price"], 3.5);
    /// assert!(page.inline_json("__STATE__")?["user"].is_null());
    /// assert!(page.inline_json("__NUXT__").is_err());
    /// # Ok::<(), actix_crawler::extract::SelectorError>(())
    /// ```
    /// # Errors
    /// [`SelectorError::NoJson`] if no script has it, or it is not JSON, as JavaScript with functions, or longer than
    /// [`MAX_INLINE_JSON`].
    pub fn inline_json(&self, name: &str) -> Result<Value, SelectorError> {
        self.root().inline_json(name)
    }
}

/// Returns what stands behind each assignment to `name` in a script.
fn values_of<'s>(script: &'s str, name: &str) -> Vec<&'s str> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let value = |(at, _): (usize, &str)| {
        let before = script.get(..at)?.chars().next_back();
        let after = script.get(at..)?.strip_prefix(name)?;
        if before.is_some_and(is_word) || after.starts_with(is_word) {
            return None;
        }
        let rest = after.trim_start_matches(['"', '\'', ']']).trim_start();
        let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':'))?.trim_start();
        // A comparison is no assignment.
        (!value.starts_with('=')).then_some(value)
    };
    if name.is_empty() { Vec::new() } else { script.match_indices(name).take(MAX_PLACES).filter_map(value).collect() }
}

/// Parses the value at the start of a text, also one in `JSON.parse("…")` or `JSON.parse('…')`.
fn first_value(text: &str) -> Result<Value, String> {
    let whole = prefix(text, MAX_INLINE_JSON);
    let quoted = whole.strip_prefix("JSON.parse(").and_then(|inside| string_literal(inside.trim_start()));
    let json = quoted.as_deref().unwrap_or(whole);
    let first = |text: &str| Deserializer::from_str(text).into_iter::<Value>().next().unwrap_or(Ok(Value::Null));
    let value = first(json).or_else(|error| match without_lone_surrogates(json) {
        Cow::Owned(text) => first(&text),
        Cow::Borrowed(_) => Err(error),
    });
    let is_cut = whole.len() < text.len();
    value.map_err(|error| if is_cut { format!("it is longer than {MAX_INLINE_JSON} bytes") } else { error.to_string() })
}

/// Reads the string literal of JavaScript at the start of a text (ECMAScript, §12.9.4); `None` if it is none, or has no
/// end.
fn string_literal(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let quote = characters.next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    // As JavaScript has them: two escapes may be one character.
    let mut units = Vec::with_capacity(text.len().min(1 << 16));
    loop {
        let character = match characters.next()? {
            end if end == quote => return Some(String::from_utf16_lossy(&units)),
            '\\' => match characters.next()? {
                '\n' => continue,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                '0' => '\0',
                escape @ ('x' | 'u') => {
                    let (number, rest) = escaped_number(escape, characters.as_str())?;
                    characters = rest.chars();
                    match u16::try_from(number) {
                        Ok(unit) => {
                            units.push(unit);
                            continue;
                        }
                        Err(_) => char::from_u32(number)?,
                    }
                }
                itself => itself,
            },
            other => other,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
}

/// Reads the number after `\x` or `\u`; returns what follows it, too.
fn escaped_number(escape: char, text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = match text.strip_prefix('{').filter(|_| escape == 'u') {
        Some(braced) => braced.split_once('}')?,
        None => text.split_at_checked(if escape == 'x' { 2 } else { 4 })?,
    };
    let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| is_number)?, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_found_however_a_script_assigns_it() {
        for script in [
            "window.DATA = {\"a\": 1}",
            "var DATA={\"a\":1};more()",
            "window['DATA'] = {\"a\": 1};",
            "window[\"DATA\"]={\"a\":1}",
            "if (DATA == null) DATA = {\"a\": 1}",
            "MY_DATA = 2; DATA2 = 3; DATA = {\"a\": 1}",
            "DATA = function() {}; DATA = {\"a\": 1}",
            r#"DATA = JSON.parse("{\"a\": 1}")"#,
            r#"DATA = JSON.parse('{"a": 1}')"#,
            r#"DATA = JSON.parse( `{"\u{61}": 1}` )"#,
            r#"DATA = JSON.parse("{\x22a\x22: 1}")"#,
            r#"DATA = JSON.parse('{\u0022a\u0022: 1}')"#,
            "DATA = JSON.parse('{\"a\": \\\n1}')",
        ] {
            let page = Document::parse(&format!("<script>{script}</script>"));
            assert_eq!(page.inline_json("DATA").unwrap(), json!({"a": 1}), "{script}");
        }
        let cut = Document::parse(r#"<script>DATA = {"name": "tea \ud83c"}; more()</script>"#);
        assert_eq!(cut.inline_json("DATA").unwrap(), json!({"name": "tea \u{fffd}"}));
    }

    #[test]
    fn a_literal_of_javascript_is_read_as_javascript_reads_it() {
        let read = |literal: &str| {
            let page = Document::parse(&format!("<script>D = JSON.parse({literal})</script>"));
            page.inline_json("D").map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"'["it\'s \\"a\\" \\n\\u00e9"]'"#), Ok(json!(["it's \"a\" \n\u{e9}"])));
        assert_eq!(
            read(r#"'["\ud83d\ude00 \u{1f600} \\ud83d\\ude00 \ud83d"]'"#),
            Ok(json!(["\u{1f600} \u{1f600} \u{1f600} \u{fffd}"]))
        );
        for broken in [r"'[1]", r"'\u00'", r"'\xg1'", r"'\u{110000}'", r"'\u{+1}'", "data", "'", ""] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_is_not_there_or_no_json_says_so() {
        let page = Document::parse("<script>A = {a: 1}; B = [1, 2</script><script id=C></script><p id=D>{}</p>");
        let message = |name| page.inline_json(name).unwrap_err().to_string();
        assert!(message("A").contains("`A` is none: key must be a string"), "{}", message("A"));
        assert!(message("B").contains("EOF"), "{}", message("B"));
        assert!(message("D").contains("no script has `D`") && page.inline_json("").is_err());
        assert_eq!(page.inline_json("C").unwrap(), Value::Null);
    }

    #[test]
    fn hostile_scripts_cost_what_their_length_allows() {
        let deep = Document::parse(&format!("<script>A = {}</script>", "[".repeat(1_000_000)));
        assert!(deep.inline_json("A").unwrap_err().to_string().contains("recursion limit"));
        let many = Document::parse(&format!("<script>{}</script>", "A=[1,".repeat(200_000)));
        assert!(many.inline_json("A").is_err());
    }
}
