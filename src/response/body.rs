//! Body: the body of a page as text, and what kind of text it is. Knows no elements.

use bytestring::ByteString;
use encoding_rs::Encoding;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::Response;
use crate::{
    error::{Error, Result},
    extract::{
        self, Language, Syntax,
        charset::{self, CharsetHints},
        content_type::ContentType,
        llms_txt::LlmsTxt,
    },
    headers::field_text::text_of,
    text::json::from_json,
};

/// The decoded text of a page.
pub(super) struct BodyText {
    /// The body itself if that is UTF-8, or else the decoded text.
    text: ByteString,
    encoding: &'static str,
}

/// What the content type says of how a page is read.
#[derive(Clone, Copy)]
pub(super) struct Media {
    kind: MediaKind,
    charset: Option<&'static Encoding>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MediaKind {
    Html,
    Xhtml,
    /// XML, which may be in the XHTML namespace.
    Xml,
    Other,
}

impl Media {
    fn of(content_type: &ContentType<'_>) -> Self {
        let kind = match &*content_type.essence {
            "text/html" => MediaKind::Html,
            "application/xhtml+xml" => MediaKind::Xhtml,
            _ if content_type.is_xml() => MediaKind::Xml,
            _ => MediaKind::Other,
        };
        Self { kind, charset: content_type.charset.as_deref().and_then(charset::named) }
    }
}

impl Response {
    /// Returns the content type, from the header or else guessed from the body.
    pub fn content_type(&self) -> ContentType<'_> {
        let lines = || self.headers.get_all(CONTENT_TYPE).iter();
        // Rarely, a parameter such as the name of a file is not UTF-8.
        if lines().any(|line| str::from_utf8(line.as_bytes()).is_err()) {
            let lines: Vec<_> = lines().map(text_of).collect();
            return ContentType::of_all(lines.iter().map(|line| &**line), &self.body).into_owned();
        }
        ContentType::of_all(lines().filter_map(|line| str::from_utf8(line.as_bytes()).ok()), &self.body)
    }

    /// Tells whether this is an HTML page, including XHTML and other XML whose root element is in the XHTML namespace,
    /// and documents that were converted ([`Crawler::convert`](crate::Crawler::convert)).
    pub fn is_html(&self) -> bool {
        self.syntax().is_some()
    }

    /// Returns the syntax of the page; `None` if this is not a page.
    pub(super) fn syntax(&self) -> Option<Syntax> {
        if self.converted.is_some() {
            return Some(Syntax::Html);
        }
        match self.media().kind {
            MediaKind::Html => Some(Syntax::Html),
            MediaKind::Xhtml => Some(Syntax::Xml),
            MediaKind::Xml => extract::is_xhtml(self.body_text()).then_some(Syntax::Xml),
            MediaKind::Other => None,
        }
    }

    fn media(&self) -> Media {
        *self.media.get_or_init(|| Media::of(&self.content_type()))
    }

    /// Returns the body as text, or the HTML that it was converted to. A UTF-8 body is not copied.
    ///
    /// The charset is given by a byte order mark, the header, `<meta>` or the XML declaration, in this order, as in
    /// browsers. A body that declares none is UTF-8 if all of it is. Otherwise it is guessed from the bytes and the
    /// host's top-level domain with `chardetng`, as Firefox does: that is right for most texts of some sentences in the
    /// charsets of the web. Chromium guesses with another detector, and so differently where the bytes say little.
    pub fn body_text(&self) -> &str {
        &self.decoded().text
    }

    /// Returns the name of the body's encoding, such as `UTF-8` or `windows-1251`.
    pub fn encoding(&self) -> &'static str {
        self.decoded().encoding
    }

    fn decoded(&self) -> &BodyText {
        self.body_text.get_or_init(|| {
            if let Some(html) = &self.converted {
                return BodyText { text: html.clone(), encoding: "UTF-8" };
            }
            let Media { kind, charset } = self.media();
            let host = self.url().domain().map(|host| host.strip_suffix('.').unwrap_or(host));
            let tld = host.and_then(|host| host.rsplit_once('.')).map(|(_, tld)| tld);
            let is_html = matches!(kind, MediaKind::Html | MediaKind::Xhtml);
            let clues = CharsetHints { header: charset, is_html, tld };
            let (text, encoding) = charset::decode(&self.body, clues);
            BodyText { text, encoding }
        })
    }

    /// Returns the visible text of the page, as [`Element::text`](extract::Element::text) does that of an element.
    pub fn text(&self) -> String {
        extract::visible_text_in(self.body_text(), self.syntax().unwrap_or_default())
    }

    /// Returns the page's language: that of its `<html lang>`, or else of its `Content-Language`, or else, with the
    /// feature `language`, a guess from its text. `None` if nothing says it.
    pub fn language(&self) -> Option<Language> {
        let header = self.header("content-language");
        let syntax = self.syntax();
        let is_text = syntax.is_some() || self.content_type().essence.starts_with("text/");
        Language::of(self.body_text(), syntax, header, || if is_text { self.text() } else { String::new() })
    }

    /// Reads the body as an `llms.txt`, in which a site lists its pages for language models.
    pub fn llms_txt(&self) -> LlmsTxt {
        LlmsTxt::parse(self.body_text(), self.url())
    }

    /// Parses the body as JSON. An escape of half a surrogate pair, as `"\ud83d"` where a script has cut a text, is
    /// U+FFFD.
    ///
    /// # Errors
    /// The body is not the JSON that `T` expects.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        from_json(self.body_text()).map_err(Error::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://e.org/";

    #[test]
    fn the_text_of_a_utf_8_page_is_its_body() {
        for (body, skipped) in [("<p>plain", 0), ("<p>schön", 0), ("\u{feff}<p>schön", 3), ("", 0)] {
            let page = Response::html(URL, body);
            assert_eq!(page.body_text(), body.trim_start_matches('\u{feff}'));
            assert_eq!(page.body_text().as_ptr(), page.body()[skipped..].as_ptr(), "a copy of {body:?}");
            assert_eq!(page.encoding(), "UTF-8");
        }
    }

    #[test]
    fn the_text_of_other_pages_is_decoded_by_the_header_or_the_page() {
        let bytes = &b"<meta charset=gbk>\xcf\xf0\xe8\xe2\xe5\xf2"[..];
        let page = Response::fixture(URL, "text/html; charset=windows-1251", bytes.into());
        assert_eq!((page.body_text(), page.encoding()), ("<meta charset=gbk>Привет", "windows-1251"));
        let page = Response::fixture(URL, "text/html", bytes.into());
        assert_eq!(page.encoding(), "GBK");
        let page = Response::fixture("https://e.ru/", "text/plain", b"\xcf\xf0\xe8\xe2\xe5\xf2".as_slice().into());
        assert_eq!(page.body_text(), "Привет", "its host says what it looks like");
    }

    #[test]
    fn json_may_have_half_a_character() {
        let page = Response::json_text(URL, r#"["a \ud83d"]"#);
        assert_eq!(page.json::<Vec<String>>().unwrap(), ["a \u{fffd}"]);
    }

    #[test]
    fn json_may_begin_with_a_mark() {
        let page = Response::json_text(URL, "\u{feff}[1, 2]");
        assert_eq!(page.json::<Vec<u32>>().unwrap(), [1, 2]);
    }
}
