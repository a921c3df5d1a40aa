//! Prescan: finds the encoding that a page declares in its undecoded bytes (HTML standard, §13.2.3.2). Knows neither
//! headers nor detection.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use memchr::{memchr, memmem};

/// The number of bytes in which the standard searches for `<meta>`, regardless of context.
const PRESCAN: usize = 1_024;

/// Browsers also find a later `<meta>`, by restarting when they parse it. We search to the end of the head, but no
/// further than this: heads with scripts and styles are often a dozen KiB.
const LATE: usize = 64 << 10;

/// Returns the encoding of a label, except the "replacement" encoding, which stands for names that are unsafe in
/// browsers.
pub(super) fn named(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label)
}

/// Like [`named`], for a label in ASCII bytes: the page cannot be UTF-16, and `x-user-defined` is never meant.
fn named_in_ascii(label: &[u8]) -> Option<&'static Encoding> {
    let encoding = named(label)?;
    if encoding == UTF_16BE || encoding == UTF_16LE {
        return Some(UTF_8);
    }
    Some(if encoding == X_USER_DEFINED { WINDOWS_1252 } else { encoding })
}

/// Returns the encoding that an XML declaration names or implies.
pub(super) fn xml_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    if bytes.starts_with(b"<\0?\0x\0") {
        return Some(UTF_16LE);
    }
    if bytes.starts_with(b"\0<\0?\0x") {
        return Some(UTF_16BE);
    }
    let start = bytes.get(..PRESCAN).unwrap_or(bytes);
    let declaration = start.strip_prefix(b"<?xml").and_then(|rest| rest.get(..memchr(b'>', rest)?))?;
    let rest = declaration.get(memmem::find(declaration, b"encoding")? + 8..)?;
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    let is_quote = matches!(quote, b'"' | b'\'');
    named_in_ascii(rest.get(..memchr(*quote, rest)?)?).filter(|_| is_quote)
}

/// Returns the encoding in a `<meta>`.
pub(super) fn meta(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..LATE).unwrap_or(bytes);
    let mut rest = head;
    let mut in_body = false;
    while let Some(tag) = memchr(b'<', rest) {
        if in_body && head.len() - rest.len() + tag >= PRESCAN {
            return None;
        }
        rest = rest.get(tag + 1..)?;
        if rest.starts_with(b"!--") {
            // The dashes that begin a comment may also end it: `<!-->`.
            rest = rest.get(memmem::find(rest.get(1..)?, b"-->")? + 4..)?;
        } else if is_tag(rest, b"meta") {
            rest = rest.get(4..)?;
            let mut meta = MetaAttributes::default();
            while let Some((name, value)) = attribute(&mut rest) {
                meta.note(name, value);
            }
            // A tag without its end does not count.
            rest.first()?;
            if let Some(encoding) = meta.encoding() {
                return Some(encoding);
            }
        } else if matches!(rest, [b'/', b'a'..=b'z' | b'A'..=b'Z', ..] | [b'a'..=b'z' | b'A'..=b'Z', ..]) {
            in_body |= is_tag(rest, b"body") || is_tag(rest, b"/head");
            rest = rest.get(rest.iter().position(|byte| is_space(*byte) || *byte == b'>')?..)?;
            while attribute(&mut rest).is_some() {}
        } else if matches!(rest, [b'!' | b'/' | b'?', ..]) {
            rest = rest.get(memchr(b'>', rest)?..)?;
        }
    }
    None
}

/// The attributes of one `<meta>`. Of two with the same name the first counts.
#[derive(Default)]
struct MetaAttributes<'a> {
    http_equiv: Option<&'a [u8]>,
    content: Option<&'a [u8]>,
    charset: Option<&'a [u8]>,
}

impl<'a> MetaAttributes<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let place = match () {
            () if name.eq_ignore_ascii_case(b"http-equiv") => &mut self.http_equiv,
            () if name.eq_ignore_ascii_case(b"content") => &mut self.content,
            () if name.eq_ignore_ascii_case(b"charset") => &mut self.charset,
            () => return,
        };
        place.get_or_insert(value);
    }

    fn encoding(&self) -> Option<&'static Encoding> {
        if let Some(label) = self.charset {
            return named_in_ascii(label);
        }
        let is_pragma = self.http_equiv.is_some_and(|value| value.eq_ignore_ascii_case(b"content-type"));
        self.content.filter(|_| is_pragma).and_then(charset_of).and_then(named_in_ascii)
    }
}

/// Extracts the label from `text/html; charset=label` (HTML §2.4.4, "extracting a character encoding from a meta
/// element").
fn charset_of(mut content: &[u8]) -> Option<&[u8]> {
    loop {
        let at = content.windows(7).position(|there| there.eq_ignore_ascii_case(b"charset"))?;
        content = content.get(at + 7..)?;
        let Some(value) = content.trim_ascii_start().strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        return match value {
            [quote @ (b'"' | b'\''), quoted @ ..] => quoted.get(..memchr(*quote, quoted)?),
            _ => value.split(|byte| is_space(*byte) || *byte == b';').next(),
        };
    }
}

/// Takes the first attribute of a tag ("get an attribute"); `None` at the end of the tag or of the bytes.
fn attribute<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    skip(rest, |byte| is_space(byte) || byte == b'/');
    if rest.first()? == &b'>' {
        return None;
    }
    // An equals sign at the beginning is part of the name.
    let ends_name = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>' | b'=');
    let name = take(rest, 1 + rest.get(1..)?.iter().position(ends_name).unwrap_or(rest.len() - 1));
    skip(rest, is_space);
    if rest.first()? != &b'=' {
        return Some((name, &[]));
    }
    take(rest, 1);
    skip(rest, is_space);
    let first = *rest.first()?;
    let value = if matches!(first, b'"' | b'\'') {
        take(rest, 1);
        let length = memchr(first, rest).unwrap_or(rest.len());
        let value = take(rest, length);
        take(rest, 1);
        value
    } else {
        let length = rest.iter().position(|byte| is_space(*byte) || *byte == b'>').unwrap_or(rest.len());
        take(rest, length)
    };
    Some((name, value))
}

fn is_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.get(..name.len()).is_some_and(|there| there.eq_ignore_ascii_case(name))
        && rest.get(name.len()).is_some_and(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn skip(rest: &mut &[u8], passed: impl Fn(u8) -> bool) {
    let length = rest.iter().position(|byte| !passed(*byte)).unwrap_or(rest.len());
    take(rest, length);
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(length.min(rest.len()));
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(page: impl AsRef<[u8]>) -> Option<&'static str> {
        meta(page.as_ref()).map(Encoding::name)
    }

    #[test]
    fn meta_is_found_as_the_standard_says() {
        for (page, expected) in [
            ("<meta charset=shift_jis>", Some("Shift_JIS")),
            ("<META CharSet='Shift_JIS'/>", Some("Shift_JIS")),
            ("<meta\n/charset = \"gb2312\" >", Some("GBK")),
            ("<meta http-equiv=Content-Type content='text/html; charset=euc-kr'>", Some("EUC-KR")),
            ("<meta content='text/html; charset=\"euc-kr\"' http-equiv=content-type>", Some("EUC-KR")),
            ("<meta http-equiv=content-type content='charset ; charset= big5 ;x'>", Some("Big5")),
            ("<meta content='text/html; charset=euc-kr'>", None),
            ("<meta http-equiv=refresh content='0; url=?charset=euc-kr'>", None),
            ("<meta charset=big5 charset=gbk>", Some("Big5")),
            ("<meta charset=nonsense><meta charset=gbk>", Some("GBK")),
            ("<meta name=a content=b><meta charset=gbk>", Some("GBK")),
            ("<meta charset=utf-16>", Some("UTF-8")),
            ("<meta charset=utf-16be>", Some("UTF-8")),
            ("<meta charset=x-user-defined>", Some("windows-1252")),
            ("<meta charset=iso-2022-cn>", None),
            ("<metadata charset=gbk>", None),
            ("<meta charset=gbk", None),
            ("<meta charset='gbk>", None),
            ("<!-- <meta charset=gbk> --><meta charset=big5>", Some("Big5")),
            ("<!--><meta charset=gbk>", Some("GBK")),
            ("<!-- <meta charset=gbk>", None),
            ("<a title='<meta charset=gbk>'><meta charset=big5>", Some("Big5")),
            ("</a title='<meta charset=gbk>'><meta charset=big5>", Some("Big5")),
            ("<!doctype html><?php ?></><meta charset=gbk>", Some("GBK")),
            ("<html =x='>'><meta charset=gbk>", Some("GBK")),
            ("1 < 2 <meta charset=gbk>", Some("GBK")),
            ("<body><meta charset=gbk>", Some("GBK")),
            ("", None),
        ] {
            assert_eq!(found(page), expected, "{page}");
        }
    }

    #[test]
    fn meta_is_found_late_as_long_as_the_head_lasts() {
        let at =
            |length: usize, before: &str| format!("{before}{}<meta charset=gbk>", " ".repeat(length - before.len()));
        assert_eq!(found(at(1_000, "<head>")), Some("GBK"));
        assert_eq!(found(at(1_020, "<head>")), Some("GBK"), "it may straddle the standard's 1,024 bytes");
        assert_eq!(found(at(40_000, "<head><script>a</script>")), Some("GBK"));
        assert_eq!(found(at(1_000, "<head></head><body>")), Some("GBK"), "the standard does not ask where it is");
        assert_eq!(found(at(1_100, "<head></head>")), None);
        assert_eq!(found(at(1_100, "<body class=a>")), None);
        assert_eq!(found(at(LATE, "<head>")), None);
    }

    #[test]
    fn an_xml_declaration_names_an_encoding() {
        for (page, expected) in [
            ("<?xml version='1.0' encoding='koi8-r'?>", Some("KOI8-R")),
            ("<?xml encoding = \"UTF-16\" ?>", Some("UTF-8")),
            ("<?xml version='1.0'?><a encoding='koi8-r'>", None),
            ("<?xml encoding='koi8-r", None),
            ("<?xml encoding=koi8-r ?>", None),
            (" <?xml encoding='koi8-r'?>", None),
            ("<?xml>", None),
        ] {
            assert_eq!(xml_declaration(page.as_bytes()).map(Encoding::name), expected, "{page}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned(pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec!["<", ">", "<meta ", "charset", "=", "'", "\"", "/", "<!--", "-->", "content=", "<?xml ", " "])
                .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ], 0..40)) {
            let page = pieces.concat();
            meta(&page);
            xml_declaration(&page);
        }
    }
}
