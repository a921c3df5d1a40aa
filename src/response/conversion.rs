//! Conversion: functions of a user that make text or HTML of documents, by content type. Knows no format itself.

use std::{fmt::Display, sync::Arc};

use crate::response::Response;

/// What a function of [`Crawler::convert`](crate::Crawler::convert) makes of a document.
///
/// ```
/// use actix_crawler::response::Converted;
///
/// // What a String becomes by `?` and `into()`; paragraphs are separated by empty lines.
/// assert_eq!(Converted::from("One.\n\nTwo.".to_owned()), Converted::Text("One.\n\nTwo.".to_owned()));
/// let html = Converted::Html("<h1>Report</h1><table>…</table>".to_owned());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Converted {
    /// Plain text. Empty lines separate paragraphs.
    Text(String),
    /// HTML, which is read as that of any page.
    Html(String),
}

impl From<String> for Converted {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Converted {
    /// Returns it as the HTML of a page.
    fn into_html(self) -> String {
        match self {
            Self::Html(html) => html,
            Self::Text(text) => html_of(&text),
        }
    }
}

/// The conversions of a crawl, in the order in which they were given.
#[derive(Clone, Default)]
pub(crate) struct Conversions(Vec<Conversion>);

#[derive(Clone)]
struct Conversion {
    content_type: String,
    convert: Arc<Convert>,
}

/// A function of a user, whose error is text.
type Convert = dyn Fn(&[u8]) -> Result<Converted, String> + Send + Sync;

impl Conversions {
    /// Adds a function for a content type, as `application/pdf` or `image/*`.
    pub fn add<C, E>(&mut self, content_type: &str, convert: impl Fn(&[u8]) -> Result<C, E> + Send + Sync + 'static)
    where
        C: Into<Converted>,
        E: Display,
    {
        let convert = move |body: &[u8]| convert(body).map(Into::into).map_err(|error| error.to_string());
        self.0.push(Conversion { content_type: content_type.trim().to_ascii_lowercase(), convert: Arc::new(convert) });
    }

    /// Converts a page by the first function for its content type; a page without one stays as it is.
    ///
    /// # Errors
    /// The function fails, or what it makes is longer than `max_bytes`.
    pub fn apply(&self, page: Response, max_bytes: u64) -> Result<Response, String> {
        if self.0.is_empty() {
            return Ok(page);
        }
        let essence = page.content_type().essence.into_owned();
        let Some(conversion) = self.0.iter().find(|conversion| conversion.takes(&essence)) else { return Ok(page) };
        let refuse = |why: String| format!("{essence} was not converted: {why}");
        let html = (conversion.convert)(page.body()).map_err(refuse)?.into_html();
        if html.len() as u64 > max_bytes {
            return Err(refuse(format!("it became {} bytes, and a body has at most {max_bytes}", html.len())));
        }
        Ok(page.with_converted(html))
    }
}

impl Conversion {
    fn takes(&self, essence: &str) -> bool {
        match self.content_type.strip_suffix("/*") {
            Some(kind) => essence.split('/').next() == Some(kind),
            None => self.content_type == essence,
        }
    }
}

/// Returns text as HTML with a `<p>` for each paragraph.
fn html_of(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    let mut in_paragraph = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            in_paragraph = false;
            continue;
        }
        html.push_str(if in_paragraph { "\n" } else { "<p>" });
        in_paragraph = true;
        for character in line.chars() {
            match character {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                // Where the pages of a document end.
                '\u{c}' => html.push_str("<p>"),
                other => html.push(other),
            }
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str) -> Response {
        let mut conversions = Conversions::default();
        conversions.add("Application/PDF", |body: &[u8]| String::from_utf8(body.to_vec()));
        let page =
            Response::html("https://e.org/a.pdf", text.to_owned()).with_header("content-type", "application/pdf");
        conversions.apply(page, 1_000).unwrap()
    }

    #[test]
    fn text_becomes_a_page_of_paragraphs_and_the_body_stays() {
        let page = converted("One & <b>\nmore\n \nTwo\u{c}Three");
        assert_eq!(page.text(), "One & <b> more\nTwo\nThree");
        assert_eq!(page.markdown().to_string(), "One & \\<b> more\n\nTwo\n\nThree\n");
        assert_eq!((&page.body()[..3], page.content_type().essence.as_ref()), (&b"One"[..], "application/pdf"));
        assert!(page.is_html() && page.simhash().is_some());
    }

    #[test]
    fn the_first_function_for_a_type_holds_and_what_fails_or_is_too_long_is_an_error() {
        let mut conversions = Conversions::default();
        conversions.add("image/*", |_: &[u8]| Ok::<_, String>(Converted::Html("<h1>a picture</h1>".into())));
        conversions.add("image/png", |_: &[u8]| Err::<String, _>("never called"));
        conversions.add("text/x-long", |_: &[u8]| Ok::<_, String>("x".repeat(2_000)));
        conversions.add("text/x-bad", |_: &[u8]| Err::<String, _>("no such font"));
        let apply = |kind: &str| {
            conversions.apply(Response::html("https://e.org/", "").with_header("content-type", kind), 1_000)
        };
        assert_eq!(apply("image/png").unwrap().text_of("h1").unwrap(), "a picture");
        assert!(apply("text/plain").unwrap().text().is_empty());
        assert_eq!(apply("text/x-bad").err().unwrap(), "text/x-bad was not converted: no such font");
        assert!(apply("text/x-long").err().unwrap().contains("2003 bytes"));
    }
}
