//! Charset: decodes the bytes of a page as browsers do. Knows no network, and does not copy text that is UTF-8 already.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use memchr::memchr;

use super::prescan;

/// Hints for the charset of a page, in addition to its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct CharsetHints<'a> {
    /// The charset in the header, by [`named`].
    pub header: Option<&'static Encoding>,
    /// Whether it is HTML, where `<meta>` can specify one.
    pub is_html: bool,
    /// The last label of the host name, in lower case: the detector's guess depends on it (`.ru`, `.jp`).
    pub tld: Option<&'a str>,
}

/// The number of bytes for the detector. Its result is stable after a few KiB of any language, and this many take about
/// a millisecond.
const DETECTED: usize = 16 << 10;

/// The ASCII before and after other bytes that the detector gets, too: it is part of the words, and in some charsets of
/// the characters. Longer runs, such as scripts between a `©` and the text, would use up what it gets.
const AROUND: usize = 64;

/// Decodes a page and returns the name of its encoding: by byte order mark, header, `<meta>` or XML declaration, in
/// this order. Without any of them it is UTF-8 if that is valid, and otherwise the detector's guess. Unknown names are
/// ignored, and invalid bytes become U+FFFD.
///
/// Text that is UTF-8 already is the body itself, and read once.
pub fn decode(body: &Bytes, clues: CharsetHints<'_>) -> (ByteString, &'static str) {
    let (encoding, bytes) = match Encoding::for_bom(body) {
        Some((encoding, length)) => (Some(encoding), body.slice(length..)),
        None => (declared(body, clues), body.clone()),
    };
    if encoding.is_none_or(|encoding| encoding == UTF_8)
        && let Ok(text) = ByteString::try_from(bytes.clone())
        && (encoding.is_some() || !may_be_iso_2022_jp(&text))
    {
        return (text, UTF_8.name());
    }
    let encoding = encoding.unwrap_or_else(|| detected(&bytes, clues.tld));
    let text = match encoding.decode_without_bom_handling(&bytes).0 {
        // Never empty unless the body is, since it is text.
        Cow::Borrowed(text) => ByteString::try_from(bytes.slice_ref(text.as_bytes())).unwrap_or_default(),
        Cow::Owned(text) => text.into(),
    };
    (text, encoding.name())
}

/// Returns the encoding of a charset in a header; `None` for an unknown name.
pub fn named(label: &str) -> Option<&'static Encoding> {
    prescan::named(label.as_bytes())
}

/// Returns the encoding given by the header or the page.
fn declared(bytes: &[u8], clues: CharsetHints<'_>) -> Option<&'static Encoding> {
    let by_meta = || if clues.is_html { prescan::meta(bytes) } else { None };
    clues.header.or_else(by_meta).or_else(|| prescan::xml_declaration(bytes))
}

/// Tells whether a text has escapes of ISO-2022-JP, whose bytes are ASCII.
fn may_be_iso_2022_jp(text: &str) -> bool {
    memchr(0x1b, text.as_bytes()).is_some() && text.is_ascii()
}

fn detected(bytes: &[u8], tld: Option<&str>) -> &'static Encoding {
    // Browsers do not detect ISO-2022-JP and UTF-8 because of scripts, which spiders do not run.
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    if bytes.is_ascii() {
        // Escapes, if anything, tell ISO-2022-JP.
        let start = memchr(0x1b, bytes).unwrap_or_default();
        detector.feed(bytes.get(start..).map_or(bytes, |from| from.get(..DETECTED).unwrap_or(from)), false);
    } else {
        feed_what_is_not_ascii(&mut detector, bytes);
    }
    // The detector panics on invalid labels.
    let is_label = |tld: &&str| tld.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    detector.guess(tld.filter(is_label).map(str::as_bytes), Utf8Detection::Allow)
}

/// Feeds the runs of bytes that are not ASCII, with what is around them.
fn feed_what_is_not_ascii(detector: &mut EncodingDetector, bytes: &[u8]) {
    let (mut rest, mut left) = (bytes, DETECTED);
    let mut feed = |piece: &[u8], left: &mut usize| {
        let piece = piece.get(..*left).unwrap_or(piece);
        *left -= piece.len();
        detector.feed(piece, false);
    };
    let mut is_first = true;
    while left > 0 && !rest.is_empty() {
        let (ascii, other) = rest.split_at(Encoding::ascii_valid_up_to(rest));
        let before = ascii.get(ascii.len().saturating_sub(AROUND)..).unwrap_or(ascii);
        match ascii.get(..AROUND) {
            Some(after) if ascii.len() > 2 * AROUND => {
                if !is_first {
                    feed(after, &mut left);
                    feed(b"\n", &mut left);
                }
                if !other.is_empty() {
                    feed(before, &mut left);
                }
            }
            _ => feed(ascii, &mut left),
        }
        let length = other.iter().position(u8::is_ascii).unwrap_or(other.len());
        let (word, after) = other.split_at(length);
        feed(word, &mut left);
        rest = after;
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_KR, GBK, ISO_2022_JP, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};

    use super::*;

    const RUSSIAN: &str =
        "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний.";
    const JAPANESE: &str =
        "いろはにほへと ちりぬるを。吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。";
    const CHINESE: &str = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。我们的网站今天更新了。";
    const KOREAN: &str = "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 대한민국의 국민입니다.";

    const HTML: CharsetHints<'static> = CharsetHints { header: None, is_html: true, tld: None };

    fn decode(bytes: &[u8], clues: CharsetHints<'_>) -> (String, &'static str) {
        let (text, name) = super::decode(&Bytes::copy_from_slice(bytes), clues);
        (text.to_string(), name)
    }

    fn with_header(label: &str) -> CharsetHints<'static> {
        CharsetHints { header: named(label), ..HTML }
    }

    fn encoded(text: &str, encoding: &'static Encoding) -> Vec<u8> {
        let (bytes, _, lossy) = encoding.encode(text);
        assert!(!lossy);
        bytes.into_owned()
    }

    #[test]
    fn the_languages_of_the_web_are_read_by_header_by_meta_and_by_their_looks() {
        for (text, encoding) in [
            (RUSSIAN, WINDOWS_1251),
            (JAPANESE, SHIFT_JIS),
            (JAPANESE, encoding_rs::EUC_JP),
            (CHINESE, GBK),
            (KOREAN, EUC_KR),
            ("繁體中文網頁，歡迎光臨。今天的新聞在這裡，請大家多多指教。", BIG5),
            ("Où est passé l'été ? Là-bas, près du château.", WINDOWS_1252),
        ] {
            let name = encoding.name();
            let bytes = encoded(text, encoding);
            assert_eq!(decode(&bytes, with_header(name)), (text.into(), name));
            assert_eq!(decode(&bytes, HTML), (text.into(), name), "by its looks");
            let page = [format!("<meta charset={name}>").as_bytes(), &bytes].concat();
            assert_eq!(decode(&page, HTML), (format!("<meta charset={name}>{text}"), name));
            let as_text = decode(&page, CharsetHints::default()).0;
            assert!(as_text.ends_with(text), "a meta is one in HTML only, and here it tells the truth anyway");
        }
        let escapes = encoded(JAPANESE, ISO_2022_JP);
        assert_eq!(decode(&escapes, HTML), (JAPANESE.into(), "ISO-2022-JP"));
    }

    #[test]
    fn valid_utf_8_is_borrowed_and_needs_no_name() {
        for (bytes, clues) in [
            ("plain", CharsetHints::default()),
            (RUSSIAN, HTML),
            (JAPANESE, with_header("utf-8")),
            ("\u{feff}маркер", with_header("windows-1251")),
            ("an escape \u{1b}[1m and é", HTML),
        ] {
            let body = Bytes::copy_from_slice(bytes.as_bytes());
            let (text, name) = super::decode(&body, clues);
            assert_eq!(text.as_ptr(), body[body.len() - text.len()..].as_ptr(), "a copy of {bytes}");
            assert_eq!((&*text, name), (bytes.trim_start_matches('\u{feff}'), "UTF-8"));
        }
    }

    #[test]
    fn a_mark_beats_the_header_which_beats_the_page() {
        let utf16: Vec<u8> = [0xfeff].into_iter().chain(RUSSIAN.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&utf16, with_header("windows-1251")), (RUSSIAN.into(), "UTF-16LE"));
        let swapped: Vec<u8> = utf16.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
        assert_eq!(decode(&swapped, HTML), (RUSSIAN.into(), "UTF-16BE"));
        let page = b"<meta charset=utf-8>\xcf\xf0\xe8\xe2\xe5\xf2";
        assert_eq!(decode(page, with_header("cp1251")), ("<meta charset=utf-8>Привет".into(), "windows-1251"));
    }

    #[test]
    fn a_header_that_lies_is_believed_as_browsers_do_and_what_it_spoils_is_marked() {
        let (text, name) = decode(b"\xcf\xf0\xe8", with_header("utf-8"));
        assert_eq!((&*text, name), ("\u{fffd}\u{fffd}\u{fffd}", "UTF-8"));
        assert_eq!(decode("é".as_bytes(), with_header("iso-8859-1")), ("Ã©".into(), "windows-1252"));
    }

    #[test]
    fn a_name_that_means_nothing_is_passed_over() {
        for label in ["", "none", "utf8mb4", "iso-2022-cn", "\u{e9}"] {
            assert_eq!(decode(RUSSIAN.as_bytes(), with_header(label)).1, "UTF-8", "{label}");
            let page = [b"<meta charset=nonsense>", &encoded(RUSSIAN, WINDOWS_1251)[..]].concat();
            assert_eq!(decode(&page, with_header(label)).1, "windows-1251", "{label}");
        }
    }

    #[test]
    fn one_broken_byte_late_in_a_page_does_not_make_it_another_language() {
        let page = [RUSSIAN.repeat(200).as_bytes(), b"\xff", RUSSIAN.as_bytes()].concat();
        let (text, name) = decode(&page, HTML);
        assert_eq!(name, "UTF-8");
        assert_eq!(text.matches('\u{fffd}').count(), 1);
    }

    /// A sign in a script at the top says nothing of the text far below it.
    #[test]
    fn what_is_detected_is_the_text_however_much_ascii_is_around_it() {
        for (sign, text, encoding) in
            [("©", RUSSIAN, WINDOWS_1251), ("・", JAPANESE, SHIFT_JIS), ("·", CHINESE, GBK), ("·", KOREAN, EUC_KR)]
        {
            let script = format!("<script>/* {} */</script>", "var a = b; ".repeat(5_000));
            let parts = [&encoded(sign, encoding), script.as_bytes(), &encoded(text, encoding), script.as_bytes()];
            assert_eq!(decode(&parts.concat(), HTML).1, encoding.name());
            // With the text alone the guess is the same.
            assert_eq!(decode(&encoded(text, encoding), HTML).1, encoding.name());
        }
        let escapes = [" ".repeat(50_000).as_bytes(), &encoded(JAPANESE, ISO_2022_JP)].concat();
        assert_eq!(decode(&escapes, HTML).1, "ISO-2022-JP");
    }

    #[test]
    fn a_host_name_may_decide_and_cannot_break_the_detector() {
        let bytes = encoded("Привет", WINDOWS_1251);
        for tld in ["ru", "xn--p1ai", "RU", "1]", "é", "", "a.b"] {
            decode(&bytes, CharsetHints { tld: Some(tld), ..HTML });
        }
        assert_eq!(decode(&bytes, CharsetHints { tld: Some("ru"), ..HTML }), ("Привет".into(), "windows-1251"));
    }

    #[test]
    fn xml_names_its_encoding_also_where_it_is_no_html() {
        let page = [b"<?xml version='1.0' encoding='windows-1251'?>", &encoded("<a>да</a>", WINDOWS_1251)[..]].concat();
        let (text, name) = decode(&page, CharsetHints::default());
        assert_eq!(name, "windows-1251");
        assert!(text.ends_with("<a>да</a>"));
        let utf16: Vec<u8> = "<?xml version='1.0'?><a>да</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&utf16, CharsetHints::default()), ("<?xml version='1.0'?><a>да</a>".into(), "UTF-16BE"));
    }

    proptest::proptest! {
        /// What is decoded is text that decodes to itself.
        #[test]
        fn any_bytes_under_any_label_are_text(
            bytes: Vec<u8>,
            label in "(utf-?8|utf-16(le|be)?|gb(k|2312|18030)|big5|shift_jis|euc-(jp|kr)|iso-2022-jp|windows-125[0-8]|x-user-defined|replacement|[a-z0-9-]{0,8})",
            is_html: bool,
        ) {
            let clues = CharsetHints { header: named(&label), is_html, tld: Some("ru") };
            let (text, _) = decode(&bytes, clues);
            let (again, name) = decode(text.as_bytes(), CharsetHints { header: named("utf-8"), ..CharsetHints::default() });
            let plain = text.trim_start_matches('\u{feff}');
            proptest::prop_assert_eq!(again.trim_start_matches('\u{feff}'), plain);
            proptest::prop_assert_eq!(name, "UTF-8");
        }
    }
}
