//! JSON-LD: the blocks of linked data in a page's scripts (HTML embedding, JSON-LD 1.1 §7). Does not load contexts:
//! names are used as written.

use serde_json::Value;

use super::{MAX_METADATA, SkippedMetadata, items::is_type};
use crate::{extract::select::Element, text::json::from_json};

/// The most JSON parsed for one page, in bytes. Its values take about ten times as much memory.
const MAX_JSON: usize = 2 << 20;

/// The blocks of a page.
#[derive(Default)]
pub(super) struct JsonLd {
    pub blocks: Vec<Value>,
    bytes: usize,
}

impl JsonLd {
    /// Reads a script, if it is JSON-LD.
    pub fn script(&mut self, element: Element<'_>, skipped: &mut SkippedMetadata) {
        let kind = element.attr("type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/ld+json") {
            return;
        }
        let text = element.raw_text();
        self.bytes += text.len();
        if self.bytes > MAX_JSON || self.blocks.len() >= MAX_METADATA {
            skipped.over_limit += 1;
            return;
        }
        match read(&text) {
            Some(value) => self.blocks.push(value),
            None => skipped.broken_json += 1,
        }
    }
}

/// Returns the first object of a type in the scripts within an element.
#[cfg(feature = "derive")]
pub(crate) fn first_of(root: Element<'_>, kind: &str) -> Option<Value> {
    let mut json_ld = JsonLd::default();
    for script in root.with_descendants().filter(|element| element.name() == "script") {
        json_ld.script(script, &mut SkippedMetadata::default());
    }
    objects_of(&json_ld.blocks, kind).first().copied().cloned()
}

/// Parses a block. CDATA marks and a semicolon around it are removed, a comment of HTML around or before it and those
/// of JavaScript anywhere, and commas before a closing bracket; and line ends within strings, which JSON forbids,
/// become spaces.
fn read(text: &str) -> Option<Value> {
    let text = text.trim().trim_start_matches('\u{feff}');
    let after_comment = || text.strip_prefix("<!--")?.split_once("-->").map(|(_, after)| after.trim());
    read_unmarked(text).or_else(|| read_unmarked(after_comment()?))
}

fn read_unmarked(mut text: &str) -> Option<Value> {
    for (begin, end) in [("<!--", "-->"), ("//<![CDATA[", "//]]>"), ("/*<![CDATA[*/", "/*]]>*/"), ("<![CDATA[", "]]>")]
    {
        if let Some(inside) = text.strip_prefix(begin) {
            text = inside.trim().strip_suffix(end).unwrap_or(inside).trim();
        }
    }
    let text = text.trim_end_matches([';', ' ', '\n']);
    let strict = from_json(text).ok();
    let on_one_line = |text: &str| from_json(&text.replace(|c: char| c < ' ', " ")).ok();
    strict.or_else(|| on_one_line(text)).or_else(|| on_one_line(&without_comments_and_commas(text)))
}

/// Removes `/* … */`, `// …` and the last comma of lists, outside of strings.
fn without_comments_and_commas(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(at) = rest.find(['"', '\\', '/', ']', '}']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        kept.push_str(before);
        let end = match from.as_bytes() {
            [b'/', b'*', ..] if !in_string => from.find("*/").map_or(from.len(), |end| end + 2),
            [b'/', b'/', ..] if !in_string => from.find(['\n', '\r']).unwrap_or(from.len()),
            [b'\\', ..] if in_string => {
                let escaped = from.chars().take(2).map(char::len_utf8).sum();
                kept.push_str(from.get(..escaped).unwrap_or_default());
                escaped
            }
            [bracket @ (b']' | b'}'), ..] if !in_string => {
                let list = kept.trim_end();
                let length = list.strip_suffix(',').map_or(kept.len(), str::len);
                kept.truncate(length);
                kept.push(char::from(*bracket));
                1
            }
            [first, ..] => {
                in_string ^= *first == b'"';
                kept.push(char::from(*first));
                1
            }
            [] => 0,
        };
        rest = from.get(end..).unwrap_or_default();
    }
    kept + rest
}

/// Returns the objects of a type, in order.
pub(super) fn objects_of<'a>(blocks: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut waiting: Vec<&Value> = blocks.iter().rev().collect();
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(values) => waiting.extend(values.iter().rev()),
            Value::Object(fields) => {
                let has_kind = |value: &Value| value.as_str().is_some_and(|name| is_type(name, kind));
                let is_it = fields.get("@type").is_some_and(|of| match of {
                    Value::Array(kinds) => kinds.iter().any(has_kind),
                    one => has_kind(one),
                });
                if is_it {
                    found.push(value);
                }
                waiting.extend(fields.values().rev());
            }
            _ => {}
        }
    }
    found
}
