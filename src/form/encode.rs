//! Encode: the three encodings of a form's entries (HTML §4.10.21.6 to 8). Knows no controls.

use encoding_rs::Encoding;
use xxhash_rust::xxh3::Xxh3;

use super::entry::{EntryValue, FormEntry};

/// Writes entries as `application/x-www-form-urlencoded` (URL §5.2). Of a file only the name is written.
pub(super) fn urlencoded(entries: &[FormEntry], encoding: &'static Encoding) -> String {
    let mut text = String::new();
    for entry in entries {
        if !text.is_empty() {
            text.push('&');
        }
        percent_encode(&crlf(&entry.name), encoding, &mut text);
        text.push('=');
        percent_encode(&crlf(entry.value.as_text()), encoding, &mut text);
    }
    text
}

/// Writes entries as `text/plain`. Of a file only the name is written.
pub(super) fn plain(entries: &[FormEntry], encoding: &'static Encoding) -> Vec<u8> {
    let lines = entries.iter().map(|entry| format!("{}={}\r\n", crlf(&entry.name), crlf(entry.value.as_text())));
    encoding.encode(&lines.collect::<String>()).0.into_owned()
}

/// Writes entries as `multipart/form-data` (RFC 7578, with HTML's escapes); also returns the boundary.
///
/// The boundary is derived from the entries, so that the same form with the same content gives the same request.
pub(super) fn multipart(entries: &[FormEntry], encoding: &'static Encoding) -> (String, Vec<u8>) {
    let parts: Vec<_> = entries.iter().map(|entry| part(entry, encoding)).collect();
    let mut hash = Xxh3::new();
    for part in &parts {
        hash.update(part);
    }
    let mut boundary = boundary_of(&hash);
    while parts.iter().any(|part| memchr::memmem::find(part, boundary.as_bytes()).is_some()) {
        hash.update(b"again");
        boundary = boundary_of(&hash);
    }
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(b"--");
        body.extend_from_slice(boundary.as_bytes());
        body.extend_from_slice(&part);
    }
    body.extend_from_slice(b"--");
    body.extend_from_slice(boundary.as_bytes());
    body.extend_from_slice(b"--\r\n");
    (boundary, body)
}

fn boundary_of(hash: &Xxh3) -> String {
    format!("----FormBoundary{:032x}", hash.digest128())
}

/// Writes the part between two boundaries.
fn part(entry: &FormEntry, encoding: &'static Encoding) -> Vec<u8> {
    let encode = |text: &str| encoding.encode(text).0.into_owned();
    let mut part = b"\r\nContent-Disposition: form-data; name=\"".to_vec();
    part.extend(encode(&quoted(&crlf(&entry.name))));
    match &entry.value {
        EntryValue::Text(text) => {
            part.extend_from_slice(b"\"\r\n\r\n");
            part.extend(encode(&crlf(text)));
        }
        EntryValue::File(file) => {
            part.extend_from_slice(b"\"; filename=\"");
            part.extend(encode(&quoted(file.name())));
            part.extend_from_slice(b"\"\r\nContent-Type: ");
            part.extend_from_slice(file.content_type().as_bytes());
            part.extend_from_slice(b"\r\n\r\n");
            part.extend_from_slice(file.content());
        }
    }
    part.extend_from_slice(b"\r\n");
    part
}

/// Escapes characters that would end a quoted name. A percent sign stays unescaped.
fn quoted(text: &str) -> String {
    text.replace('\n', "%0A").replace('\r', "%0D").replace('"', "%22")
}

/// Converts every line end to CR LF.
fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = ' ';
    for character in text.chars() {
        match character {
            '\n' if last == '\r' => {}
            '\r' | '\n' => out.push_str("\r\n"),
            other => out.push(other),
        }
        last = character;
    }
    out
}

/// Writes text in `encoding`, percent-encoded. A character that the encoding lacks becomes `&#8364;`, percent-encoded.
fn percent_encode(text: &str, encoding: &'static Encoding, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| HEX.get(usize::from(value)).copied().map_or('0', char::from);
    for &byte in encoding.encode(text).0.as_ref() {
        match byte {
            b' ' => into.push('+'),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'*' | b'-' | b'.' | b'_' => into.push(char::from(byte)),
            _ => into.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{UTF_8, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;
    use crate::form::FormFile;

    fn text(name: &str, value: &str) -> FormEntry {
        FormEntry { name: name.into(), value: EntryValue::Text(value.into()) }
    }

    #[test]
    fn the_urlencoded_form_is_that_of_the_url_standard() {
        let entries = [text("a b", "*-._~!é\n"), text("", "€")];
        assert_eq!(urlencoded(&entries, UTF_8), "a+b=*-._%7E%21%C3%A9%0D%0A&=%E2%82%AC");
        let entries = [text("é", "一")];
        assert_eq!(urlencoded(&entries, WINDOWS_1252), "%E9=%26%2319968%3B", "what the charset lacks is a reference");
    }

    #[test]
    fn names_cannot_break_out_of_a_multipart_header() {
        let file =
            FormEntry { name: "f".into(), value: EntryValue::File(FormFile::new("a\"\r\nx: y", "text/plain", "body")) };
        let (boundary, body) = multipart(&[text("n\"\nm", "1\n2"), file], UTF_8);
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"n%22%0D%0Am\"\r\n\r\n1\r\n2\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a%22%0D%0Ax: y\"\r\n\
             Content-Type: text/plain\r\n\r\nbody\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn a_boundary_never_stands_in_a_part() {
        let (boundary, _) = multipart(&[text("a", "b")], UTF_8);
        let entries = [text("a", &boundary)];
        let (other, body) = multipart(&entries, UTF_8);
        assert_ne!(boundary, other);
        assert_eq!(String::from_utf8(body).unwrap().matches(&other).count(), 2);
    }

    proptest! {
        #[test]
        fn every_urlencoded_entry_is_read_back(name in "\\PC{0,20}", value in "\\PC{0,40}") {
            let written = urlencoded(&[text(&name, &value)], UTF_8);
            let read: Vec<_> = url::form_urlencoded::parse(written.as_bytes()).collect();
            prop_assert_eq!(read, [(name.into(), value.into())]);
        }
    }
}
