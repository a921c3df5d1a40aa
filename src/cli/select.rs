//! Select: a field of `--select NAME=CSS`, and what it reads from a page. Knows no other fields.

use std::str::FromStr;

use actix_crawler::{
    Error, Response, Result as CrawlResult,
    extract::{Document, Element, number_in},
};
use regex::Regex;
use serde_json::{Number, Value};

use super::values;

/// A field that `--select NAME=CSS` adds to each page: with `CSS@ATTRIBUTE` of an attribute, and with `| number` or
/// `| re REGEX` after it of a part of each text.
#[derive(Clone, Debug)]
pub struct Select {
    /// The name of the field.
    pub name: String,
    css: String,
    /// `None` for the element's text.
    attribute: Option<String>,
    part: TextPart,
}

/// What is read of each text.
#[derive(Clone, Debug)]
enum TextPart {
    Whole,
    /// Its number, where it has one.
    Number,
    /// What matches, or the first group of it.
    Matches(Regex),
}

impl Select {
    /// Checks a name and a selector.
    ///
    /// # Errors
    /// Says what is wrong with the name or the selector.
    pub fn new(name: &str, query: &str) -> Result<Self, String> {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
            return Err(format!("`{name}` is no name; use letters, digits, _, - and ."));
        }
        if name == "url" {
            return Err("`url` is the page's own URL, by which its line is known; write another name, as link=a@href"
                .to_owned());
        }
        let (whole, part) = match pipe_in(query) {
            Some((css, part)) => (css.trim(), TextPart::of(part.trim())?),
            None => (query, TextPart::Whole),
        };
        let (css, attribute) = match whole.rsplit_once('@') {
            Some((css, attribute)) if is_attribute(attribute) => (css, Some(attribute.to_ascii_lowercase())),
            _ => (whole, None),
        };
        // Without a selector it is the element itself, of which there is one only with --each.
        let selected = if css.is_empty() && attribute.is_some() { "*" } else { css };
        match Document::parse("").select(selected) {
            Ok(_) => Ok(Self { name: name.to_owned(), css: css.to_owned(), attribute, part }),
            Err(_) if css.contains("::text") || css.contains("::attr(") => {
                Err(format!("CSS has no ::text and no ::attr(); write {}", of_scrapy(name, whole)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Tells whether it reads elements as they are, and no part of them.
    pub fn is_plain(&self) -> bool {
        self.attribute.is_none() && matches!(self.part, TextPart::Whole)
    }

    /// Tells whether it reads an attribute of the element itself within which others read.
    pub fn is_of_element(&self) -> bool {
        self.css.is_empty()
    }

    /// Returns what it reads from a page, or within an element of it, in the page's order.
    ///
    /// # Errors
    /// Elements are within each other, and their texts longer than there is room for.
    pub fn values(
        &self,
        page: &Response,
        within: Option<Element<'_>>,
        room: &mut SelectionRoom,
    ) -> CrawlResult<Vec<Value>> {
        let texts = self.texts(page, within, room)?;
        Ok(match &self.part {
            TextPart::Whole => texts.into_iter().map(Value::from).collect(),
            TextPart::Number => texts.iter().filter_map(|text| number(text)).map(Value::from).collect(),
            TextPart::Matches(regex) => {
                let found = texts.iter().flat_map(|text| regex.captures_iter(text));
                // Without a group all of it; a group that takes no part in a match has no text.
                let first = found.filter_map(|captures| captures.get(usize::from(captures.len() > 1)));
                first.map(|found| found.as_str().into()).collect()
            }
        })
    }

    fn texts(
        &self,
        page: &Response,
        within: Option<Element<'_>>,
        room: &mut SelectionRoom,
    ) -> CrawlResult<Vec<String>> {
        if !page.is_html() {
            return Ok(Vec::new());
        }
        let elements = match within {
            Some(element) if self.is_of_element() => vec![element],
            Some(element) => element.select(&*self.css)?,
            None => page.select(&self.css)?,
        };
        if let Some(name) = &self.attribute {
            return Ok(elements.iter().filter_map(|element| element.attr(name)).map(str::to_owned).collect());
        }
        let text = |element: &Element<'_>| {
            let text = element.text();
            room.0 = room.0.checked_sub(text.len()).ok_or_else(|| {
                let why = format!(
                    "the selected elements are nested, and their texts are over {MAX_TIMES} times as long as the page"
                );
                Error::setting(format!("--select {}={}", self.name, self.css), why + "; select the inner ones")
            })?;
            Ok(text)
        };
        elements.iter().map(text).collect()
    }
}

/// How much text one selection may still read from a page.
pub struct SelectionRoom(usize);

impl SelectionRoom {
    /// Returns the room of one selection.
    pub fn of(page: &Response) -> Self {
        Self(MAX_TIMES * page.body_text().len())
    }
}

/// The longest selected texts, as a multiple of their page's length: more than nested elements of real pages need, and
/// far less than 500 nested elements of a hostile page produce.
const MAX_TIMES: usize = 4;

impl FromStr for Select {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` has no name; write it like author=.author or next=a.next@href");
        let (name, query) = text.split_once('=').ok_or_else(refuse)?;
        Self::new(name.trim(), query.trim())
    }
}

impl TextPart {
    fn of(text: &str) -> Result<Self, String> {
        match text.split_once(char::is_whitespace) {
            None if text == "number" => Ok(Self::Number),
            Some(("re", regex)) => values::regex(regex.trim_start()).map(Self::Matches),
            _ => Err(format!(r"`{text}` is no part of a text; write | number or | re REGEX, as | re \d{{13}}")),
        }
    }
}

/// Splits a query at the `|` after which it says what is read of each text. In CSS a `|` with a space after it stands
/// in strings alone.
fn pipe_in(query: &str) -> Option<(&str, &str)> {
    let mut string_ends_with = None;
    let pipe = query.char_indices().find(|(at, sign)| {
        match (string_ends_with, sign) {
            (None, '"' | '\'') => string_ends_with = Some(*sign),
            (Some(quote), sign) if quote == *sign => string_ends_with = None,
            _ => {}
        }
        let after = query.get(at + 1..).unwrap_or_default();
        let is_pipe = after.starts_with(' ') || after == "number" || after.starts_with("re ");
        *sign == '|' && string_ends_with.is_none() && is_pipe
    });
    let (css, part) = query.split_at_checked(pipe?.0)?;
    Some((css, part.get(1..)?))
}

/// Writes a query of Scrapy's as an option takes it: `price=.price` for `.price::text`, `to=a@href` for
/// `a::attr(href)`.
fn of_scrapy(name: &str, query: &str) -> String {
    let css = query.replace("::text", "");
    let query = match css.strip_suffix(')').and_then(|css| css.rsplit_once("::attr(")) {
        Some((css, attribute)) => format!("{}@{attribute}", css.trim()),
        None => css.trim().to_owned(),
    };
    // What still has `::` in it would be written anew without an end.
    let selected = (!query.contains("::")).then(|| Select::new(name, &query));
    match selected {
        Some(Ok(_)) => format!("{name}={query}"),
        _ => format!("{name}=CSS for texts, and {name}=CSS@ATTRIBUTE for an attribute"),
    }
}

fn is_attribute(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte))
}

/// Returns the number in a text, whole where it is.
fn number(text: &str) -> Option<Number> {
    let digits = number_in(text)?;
    digits.parse::<i64>().map(Number::from).ok().or_else(|| Number::from_f64(digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, html: &str) -> Value {
        let page = Response::html("http://e.org/", html.to_owned());
        text.parse::<Select>().unwrap().values(&page, None, &mut SelectionRoom::of(&page)).unwrap().into()
    }

    #[test]
    fn an_at_sign_separates_the_attribute_only_where_one_follows() {
        let html = r#"<a class=next href="/2">two</a><a href="mailto:me@example.org">mail</a>"#;
        assert_eq!(read("next=a.next@href", html), serde_json::json!(["/2"]));
        assert_eq!(read("next=.next", html), serde_json::json!(["two"]));
        assert_eq!(read(r#"mail=a[href*="@example"]"#, html), serde_json::json!(["mail"]));
    }

    #[test]
    fn of_each_text_the_number_or_what_matches_is_read() {
        let html = "<b title='EAN: 1'>2,19 €</b><b>3 EUR</b><b>on demand</b><i>EAN: 4006, 4007</i>\
                    <b class='a | number'>1.299,50</b>";
        assert_eq!(read("price=b | number", html), serde_json::json!([2.19, 3, 1299.5]));
        assert_eq!(read("price=b|number", html), serde_json::json!([2.19, 3, 1299.5]));
        assert_eq!(read("ean=b@title | number", html), serde_json::json!([1]));
        assert_eq!(read(r"ean=i | re \d{4}", html), serde_json::json!(["4006", "4007"]));
        assert_eq!(read(r"ean=i | re (EAN|GTIN): (?:\d+)", html), serde_json::json!(["EAN"]));
        assert_eq!(read(r"ean=i | re 9(\d)?|40(6)?", html), serde_json::json!([]), "a group without a text");
        assert_eq!(read("own=[class='a | number']", html), serde_json::json!(["1.299,50"]));
        for (text, word) in
            [("x=b | numbr", "| number or | re REGEX"), ("x=b | re", "| re"), ("x=b | re (", "unclosed")]
        {
            let error = text.parse::<Select>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_wrong_selection_says_how_to_write_it() {
        for text in ["h1", "=h1", "a b=h1", "x=", "x=h1[", "x=::nothing", "url=h1", "x= | number"] {
            assert!(text.parse::<Select>().is_err(), "{text}");
        }
        assert!("h1".parse::<Select>().unwrap_err().contains("author=.author"));
    }

    #[test]
    fn what_scrapy_writes_is_told_as_it_is_written_here() {
        for (given, told) in [
            ("price=.price::text", "write price=.price"),
            ("price=.price ::text", "write price=.price"),
            ("price=.price::attr(title)", "write price=.price@title"),
            ("all=a::text, b::text", "write all=a, b"),
            ("all=a::attr(x), b::attr(y)", "write all=CSS for texts"),
        ] {
            let error = given.parse::<Select>().unwrap_err();
            assert!(error.contains(told) && !error.contains("text_of"), "{error}");
        }
    }

    #[test]
    fn elements_within_each_other_do_not_repeat_a_page_without_end() {
        let nested = |times: usize| format!("{}{}", "<div>".repeat(times), "text ".repeat(1_000));
        let select: Select = "t=div".parse().unwrap();
        let texts_of = |times| {
            let page = Response::html("http://e.org/", nested(times));
            select.values(&page, None, &mut SelectionRoom::of(&page))
        };
        assert_eq!(texts_of(3).unwrap().len(), 3);
        assert!(texts_of(100).unwrap_err().to_string().contains("select the inner ones"));
    }
}
