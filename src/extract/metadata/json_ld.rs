//! JSON-LD: the blocks of linked data in a page's scripts (HTML embedding, JSON-LD 1.1 §7). Fetches no contexts: names are
//! taken as they are written.

use serde_json::Value;

use super::{MAX_METADATA, SkippedMetadata, items::is_type};
use crate::extract::select::Element;

/// The most JSON that is read of one page, in bytes. Its values take about ten times that.
const MAX_JSON: usize = 2 << 20;

/// The blocks that are read of a page.
#[derive(Default)]
pub(super) struct JsonLd {
    pub blocks: Vec<Value>,
    bytes: usize,
}

impl JsonLd {
    /// Takes a script, if it is JSON-LD.
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

/// Reads a block. What systems put around it (comments, CDATA, a semicolon) is taken off, and line ends within texts, which
/// JSON forbids, are spaces.
fn read(text: &str) -> Option<Value> {
    let mut text = text.trim().trim_start_matches('\u{feff}');
    for (begin, end) in [("<!--", "-->"), ("//<![CDATA[", "//]]>"), ("/*<![CDATA[*/", "/*]]>*/"), ("<![CDATA[", "]]>")]
    {
        if let Some(inside) = text.strip_prefix(begin) {
            text = inside.trim().strip_suffix(end).unwrap_or(inside).trim();
        }
    }
    let text = text.trim_end_matches([';', ' ', '\n']);
    let strict = serde_json::from_str(text).ok();
    strict.or_else(|| serde_json::from_str(&text.replace(|c: char| c < ' ', " ")).ok())
}

/// Returns the objects of a type, in their order.
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
