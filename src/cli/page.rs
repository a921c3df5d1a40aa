//! Page: the spider of `crawl`, and its item for each page. Knows no output.

use std::time::Duration;

use actix_crawler::{Error, Parsed, Response, Result, Spider, extract::Element};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::values::Select;

/// Follows every link, and makes an item of each page, whatever its content type.
pub struct PageSpider {
    /// The fields selected from each page.
    pub select: Vec<Select>,
    /// Whether links marked `nofollow` are skipped.
    pub respect_nofollow: bool,
}

/// One page: its fields, in the order of its columns.
pub struct Page(Vec<(String, Value)>);

/// The fields of every page, in this order.
const FIELDS: [&str; 10] =
    ["url", "status", "depth", "parent", "title", "content_type", "bytes", "fetched_at", "elapsed", "links"];

/// Returns the names of a page's fields: the fixed ones, then the selected ones. A selected field replaces a fixed one
/// of the same name.
pub fn columns(select: &[Select]) -> Vec<String> {
    let own = FIELDS.iter().map(|field| (*field).to_owned());
    let selected = select.iter().filter(|select| !FIELDS.contains(&select.name.as_str()));
    own.chain(selected.map(|select| select.name.clone())).collect()
}

impl Spider for PageSpider {
    type Item = Page;

    fn parse(&self, page: &Response) -> Result<Parsed<Page>> {
        let parsed = Parsed::new().item(self.line(page)?);
        Ok(if self.respect_nofollow {
            parsed.follow(page.followed_links().cloned())
        } else {
            parsed.follow(page.links().cloned())
        })
    }
}

impl PageSpider {
    fn line(&self, page: &Response) -> Result<Page> {
        let own: [Value; FIELDS.len()] = [
            page.url().as_str().into(),
            page.status().into(),
            page.depth().into(),
            page.parent().into(),
            page.title().into(),
            page.header("content-type").map(|_| page.content_type().essence).into(),
            page.body().len().into(),
            humantime::format_rfc3339_millis(page.fetched_at()).to_string().into(),
            seconds(page.elapsed()).into(),
            page.links().count().into(),
        ];
        let mut fields: Vec<_> = FIELDS.iter().map(|field| (*field).to_owned()).zip(own).collect();
        for select in &self.select {
            let texts = texts(select, page)?;
            match fields.iter_mut().find(|(name, _)| *name == select.name) {
                Some((_, value)) => *value = texts.into(),
                None => fields.push((select.name.clone(), texts.into())),
            }
        }
        Ok(Page(fields))
    }
}

fn texts(select: &Select, page: &Response) -> Result<Vec<String>> {
    if !page.is_html() {
        return Ok(Vec::new());
    }
    let elements = page.select(&select.css)?;
    if let Some(name) = &select.attribute {
        return Ok(elements.iter().filter_map(|element| element.attr(name)).map(str::to_owned).collect());
    }
    let mut room = MAX_TIMES * page.content().len();
    let text = |element: &Element<'_>| {
        let text = element.text();
        room = room.checked_sub(text.len()).ok_or_else(|| {
            let why = format!(
                "the selected elements are nested, and their texts are over {MAX_TIMES} times as long as the page"
            );
            Error::setting(format!("--select {}={}", select.name, select.css), why + "; select the inner ones")
        })?;
        Ok(text)
    };
    elements.iter().map(text).collect()
}

/// The longest selected texts, as a multiple of their page's length: more than nested elements of real pages need, and
/// far less than 500 nested elements of a hostile page produce.
const MAX_TIMES: usize = 4;

/// Rounds to microseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTES: &str = "<title>Quotes</title><h1>All</h1><b class=a>One</b><b class=a>Two</b>\
                          <a href=/next rel=nofollow>next</a><a href=/more>more</a>";

    fn spider(select: &[&str], respect_nofollow: bool) -> PageSpider {
        PageSpider { select: select.iter().map(|text| text.parse().unwrap()).collect(), respect_nofollow }
    }

    fn line(select: &[&str]) -> Value {
        let page = Response::html("http://e.org/", QUOTES);
        serde_json::to_value(&spider(select, false).parse(&page).unwrap().items()[0]).unwrap()
    }

    #[test]
    fn a_page_is_a_line_with_what_was_selected() {
        let line = line(&["who=.a", "to=a@href", "none=.x"]);
        assert_eq!(line["title"], "Quotes");
        assert_eq!(line["links"], 2);
        assert_eq!(line["who"], serde_json::json!(["One", "Two"]));
        assert_eq!(line["to"], serde_json::json!(["/next", "/more"]));
        assert_eq!(line["none"], serde_json::json!([]));
    }

    #[test]
    fn elements_within_each_other_do_not_repeat_a_page_without_end() {
        let nested = |times: usize| format!("{}{}", "<div>".repeat(times), "text ".repeat(1_000));
        let select = Select { name: "t".into(), css: "div".into(), attribute: None };
        let texts_of = |times| texts(&select, &Response::html("http://e.org/", nested(times)));
        assert_eq!(texts_of(3).unwrap().len(), 3);
        assert!(texts_of(100).unwrap_err().to_string().contains("select the inner ones"));
    }

    #[test]
    fn a_selection_takes_the_place_of_the_field_with_its_name() {
        assert_eq!(line(&["title=h1"])["title"], serde_json::json!(["All"]));
        assert_eq!(columns(&spider(&["title=h1", "who=.a"], false).select).len(), FIELDS.len() + 1);
    }

    #[test]
    fn links_that_ask_to_be_left_are_left_only_where_that_is_asked_for() {
        let page = Response::html("http://e.org/", QUOTES);
        let followed = |respect| spider(&[], respect).parse(&page).unwrap().requests().len();
        assert_eq!((followed(false), followed(true)), (2, 1));
    }

    #[test]
    fn what_is_no_html_is_a_line_too() {
        let page = Response::json_text("http://e.org/data", "{}");
        let parsed = spider(&["who=.a"], false).parse(&page).unwrap();
        let line = serde_json::to_value(&parsed.items()[0]).unwrap();
        assert_eq!((&line["content_type"], &line["links"]), (&"application/json".into(), &0.into()));
    }
}
