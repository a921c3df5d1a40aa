//! XML: all records below one root, one a line. Knows no file system.

use std::{
    fs::File,
    io::{self, Read, Write as _},
};

use super::{
    closed_lines::{end_before, end_of_closed_lines},
    layout::Layout,
};
use crate::feed::{Record, SinkError, Value};

/// All records below `<items>`, each an `<item>`, whose fields are elements of their names.
pub(crate) struct XmlLayout;

const BEGINNING: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>";
const ITEM_END: &[u8] = b"</item>";
const NULL_ITEM: &[u8] = b"<item null=\"true\"/>";

impl Layout for XmlLayout {
    fn beginning(&self) -> Vec<u8> {
        BEGINNING.to_vec()
    }

    fn closing(&self) -> Vec<u8> {
        b"\n</items>\n".to_vec()
    }

    fn encode(&mut self, record: &Record, to: &mut Vec<u8>) -> Result<(), SinkError> {
        to.push(b'\n');
        element("item", record.value(), to);
        Ok(())
    }

    fn end_of_records(&mut self, file: &mut File) -> io::Result<u64> {
        // A torn write of ours leaves no whole end of the items: what stands over it is no text that could be one.
        if let Some(end) = end_before(file, b"</items>")? {
            return Ok(end);
        }
        end_of_closed_lines(file, BEGINNING, &self.closing(), |line, _| {
            let is_whole = line.ends_with(ITEM_END) || line == NULL_ITEM || line == b"<items>";
            is_whole.then_some(line.len())
        })
    }

    fn go_on(&mut self, content: &mut dyn Read, _: bool) -> io::Result<()> {
        let mut begin = Vec::new();
        content.take(BEGINNING.len() as u64).read_to_end(&mut begin)?;
        if begin == BEGINNING {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as XML of items does; write to another file"))
    }
}

/// The name of the elements of a list.
const VALUE: &str = "value";

/// Writes an element. Null has an attribute, so that it is not an empty text; the values of a list are elements of
/// their own; so are the fields within fields.
fn element(name: &str, value: &Value, to: &mut Vec<u8>) {
    let is_name = is_name(name);
    to.push(b'<');
    to.extend_from_slice(if is_name { name } else { "field" }.as_bytes());
    if !is_name {
        to.extend_from_slice(b" name=\"");
        text(name, to);
        to.push(b'"');
    }
    match value {
        Value::Null => return to.extend_from_slice(b" null=\"true\"/>"),
        Value::Float(number) if !number.is_finite() => return to.extend_from_slice(b" null=\"true\"/>"),
        Value::Bytes(_) => to.extend_from_slice(b" encoding=\"hex\">"),
        Value::Text(content) if content.contains(is_forbidden) => {
            // JSON has an escape for each; nothing is lost, and the attribute says so.
            to.extend_from_slice(b" encoding=\"json\">");
            let json = value.to_json().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
            text(&json, to);
            return end(if is_name { name } else { "field" }, to);
        }
        _ => to.push(b'>'),
    }
    match value {
        Value::Fields(fields) => fields.iter().for_each(|(name, value)| element(name, value, to)),
        Value::List(values) => values.iter().for_each(|value| element(VALUE, value, to)),
        plain => text(&plain.to_cell(), to),
    }
    end(if is_name { name } else { "field" }, to);
}

fn end(name: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(b"</");
    to.extend_from_slice(name.as_bytes());
    to.push(b'>');
}

/// Writes text. Ends of lines and tabs are references, so that parsers keep them, and a record is one line.
fn text(text: &str, to: &mut Vec<u8>) {
    for sign in text.chars() {
        // Writing to a Vec cannot fail.
        let _ = match sign {
            '&' => to.write_all(b"&amp;"),
            '<' => to.write_all(b"&lt;"),
            '>' => to.write_all(b"&gt;"),
            '"' => to.write_all(b"&quot;"),
            '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' => write!(to, "&#{};", u32::from(sign)),
            sign if is_forbidden(sign) => Ok(()),
            sign => to.write_all(sign.encode_utf8(&mut [0; 4]).as_bytes()),
        };
    }
}

/// What XML 1.0 cannot hold, not even as a reference.
fn is_forbidden(sign: char) -> bool {
    matches!(sign, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Tells whether an element can be called so. Names are those of a language's fields; others stand in an attribute.
fn is_name(name: &str) -> bool {
    let is_first = |sign: char| sign.is_ascii_alphabetic() || sign == '_';
    let is_next = |sign: char| is_first(sign) || sign.is_ascii_digit() || matches!(sign, '-' | '.');
    let is_reserved = name.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("xml"));
    name.starts_with(is_first) && name.chars().all(is_next) && !is_reserved
}
