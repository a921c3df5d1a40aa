//! Page: the spider of `crawl`, and its item for each page. Knows no output.

use std::time::Duration;

use actix_crawler::{
    Error, Parsed, Response, Result, Spider,
    extract::Element,
    files::File,
    pipeline::{HasMarkdown, MarkdownPage},
    recrawl::PageChange,
    settings::{PagePart, Pattern},
};
use clap::ValueEnum;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::select::{Select, SelectionRoom};

/// Follows every link, and makes an item of each page that is to be one, whatever its content type.
#[derive(Debug, Default)]
pub struct PageSpider {
    /// Which pages become items, by their URLs: all, or those that match one of these.
    pub items: Vec<Pattern>,
    /// A selector, for each element of which there is an item, in place of one for the page.
    pub each: Option<String>,
    /// The fields selected from each page, or within each of those elements.
    pub select: Vec<Select>,
    /// Whether links marked `nofollow` are skipped.
    pub respect_nofollow: bool,
    /// Whether each page has its simhash as a field.
    pub simhash: bool,
    /// Whether each page has its language as a field.
    pub language: bool,
    /// Whether each page has a field that says how it has changed.
    pub change: bool,
    /// Which part of each page is a field as Markdown, or its file.
    pub markdown: Option<MarkdownPart>,
    /// Whether each page becomes a file of Markdown.
    pub as_files: bool,
    /// Which files each page has: the `href` or `src` of what CSS selectors find.
    pub files: Vec<String>,
    /// Whether its files are lists of plain values, as a cell takes them.
    pub has_flat_files: bool,
}

/// Which part of a page is written as Markdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MarkdownPart {
    /// Its main content, or the whole where none stands out.
    #[default]
    Main,
    /// All of it.
    Whole,
}

impl From<PagePart> for MarkdownPart {
    fn from(part: PagePart) -> Self {
        match part {
            PagePart::Main => Self::Main,
            PagePart::Whole => Self::Whole,
        }
    }
}

impl From<MarkdownPart> for PagePart {
    fn from(part: MarkdownPart) -> Self {
        match part {
            MarkdownPart::Main => Self::Main,
            MarkdownPart::Whole => Self::Whole,
        }
    }
}

/// One page: its fields, in the order of its columns, and its file if it becomes one.
pub struct PageItem {
    fields: Vec<(String, Value)>,
    file: Option<MarkdownPage>,
    /// The files that are downloaded for it.
    pub files: Vec<File>,
    /// The names of the fields that tell of them.
    shows_files: ShowsFiles,
}

/// How a page tells of its files.
#[derive(Clone, Copy)]
enum ShowsFiles {
    /// Not at all.
    No,
    /// As they are.
    Whole,
    /// As the paths of those that are there, and the URLs of those that are not.
    Flat,
}

/// The fields of every page, in this order.
const FIELDS: [&str; 10] =
    ["url", "status", "depth", "parent", "title", "content_type", "bytes", "fetched_at", "elapsed", "links"];

/// The most items of one page: more than a list has that people read, and some 20 MB.
const MAX_ROWS: usize = 10_000;

/// The most bytes of texts of the page itself in all its items.
const MAX_BYTES_OF_ROWS: usize = 64 << 20;

/// The field of [`PageSpider::simhash`].
const SIMHASH: &str = "simhash";

/// The field of [`PageSpider::language`].
const LANGUAGE: &str = "language";

/// The field of [`PageSpider::change`].
const CHANGE: &str = "change";

/// The field of [`PageSpider::files`].
const FILES: &str = "files";

/// The field of those that could not be had, where a field is a list of plain values.
const FILES_FAILED: &str = "files_failed";

/// The field of [`PageSpider::markdown`].
const MARKDOWN: &str = "markdown";

impl PageSpider {
    /// Returns the names of a page's fields: the fixed ones, then the selected ones. A selected field replaces a fixed
    /// one of the same name.
    pub fn columns(&self) -> Vec<String> {
        let own: Vec<_> = FIELDS.into_iter().chain(self.asked_for()).collect();
        let selected = self.select.iter().map(|select| &*select.name).filter(|name| !own.contains(name));
        own.iter().copied().chain(selected).map(str::to_owned).collect()
    }
}

impl PageSpider {
    /// Returns the names of the fields that are there if they are asked for.
    fn asked_for(&self) -> impl Iterator<Item = &'static str> {
        let has_text = self.markdown.is_some() && !self.as_files;
        let (has_files, has_failed_files) = (!self.files.is_empty(), !self.files.is_empty() && self.has_flat_files);
        let asked_for =
            [(self.simhash, SIMHASH), (self.language, LANGUAGE), (self.change, CHANGE), (has_text, MARKDOWN)];
        let asked_for = asked_for.into_iter().chain([(has_files, FILES), (has_failed_files, FILES_FAILED)]);
        asked_for.filter_map(|(is_asked_for, name)| is_asked_for.then_some(name))
    }
}

impl Spider for PageSpider {
    type Item = PageItem;

    fn parse(&self, page: &Response) -> Result<Parsed<PageItem>> {
        let parsed = if self.is_item(page) { Parsed::of(self.items_of(page)?) } else { Parsed::new() };
        if is_llms_txt(page) {
            return Ok(parsed.follow(page.llms_txt().links.into_iter().map(|link| link.url)));
        }
        Ok(if self.respect_nofollow { parsed.follow(page.links().followable()) } else { parsed.follow(page.links()) })
    }
}

impl PageSpider {
    fn is_item(&self, page: &Response) -> bool {
        self.items.is_empty() || self.items.iter().any(|pattern| pattern.is_match(page.url().as_str()))
    }

    fn items_of(&self, page: &Response) -> Result<Vec<PageItem>> {
        let fields = self.fields_of(page);
        let mut rooms: Vec<_> = self.select.iter().map(|_| SelectionRoom::of(page)).collect();
        let Some(css) = &self.each else { return Ok(vec![self.line(page, None, fields, &mut rooms)?]) };
        let elements = if page.is_html() { page.select(css)? } else { Vec::new() };
        // Every row has the page's fields again.
        let bytes = fields.iter().filter_map(|(_, value)| value.as_str()).map(str::len).sum::<usize>();
        if elements.len() > MAX_ROWS || elements.len() * bytes > MAX_BYTES_OF_ROWS {
            let why = format!("it finds {} elements in one page, which are too many; select fewer", elements.len());
            return Err(Error::setting(format!("--each {css}"), why));
        }
        elements.into_iter().map(|element| self.line(page, Some(element), fields.clone(), &mut rooms)).collect()
    }

    /// Returns the fields of a page without the selected ones.
    fn fields_of(&self, page: &Response) -> Vec<(String, Value)> {
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
        for name in self.asked_for().filter(|name| ![FILES, FILES_FAILED].contains(name)) {
            let value = match name {
                SIMHASH => page.simhash().map(|hash| hash.to_string()),
                CHANGE => page.change_since_last_visit().map(|change| in_a_word(change).to_owned()),
                LANGUAGE => page.language().map(|language| language.to_string()),
                _ => markdown_of(page, self.markdown.unwrap_or_default()),
            };
            fields.push((name.to_owned(), value.into()));
        }
        fields
    }

    fn line(
        &self,
        page: &Response,
        within: Option<Element<'_>>,
        mut fields: Vec<(String, Value)>,
        rooms: &mut [SelectionRoom],
    ) -> Result<PageItem> {
        for (select, room) in self.select.iter().zip(rooms) {
            let values = select.values(page, within, room)?;
            match fields.iter_mut().find(|(name, _)| *name == select.name) {
                Some((_, value)) => *value = values.into(),
                None => fields.push((select.name.clone(), values.into())),
            }
        }
        let text = self.as_files.then(|| markdown_of(page, self.markdown.unwrap_or_default())).flatten();
        let file = text.map(|text| {
            // What every page has is in the line of another output, and its language in the file anyway.
            let is_own = |name: &str| name != LANGUAGE && self.is_special(name);
            let own = fields.iter().filter(|(name, _)| is_own(name));
            own.fold(MarkdownPage::of(page, text), |file, (name, value)| file.with(name, value))
        });
        let shows_files = match (self.files.is_empty(), self.has_flat_files) {
            (true, _) => ShowsFiles::No,
            (false, true) => ShowsFiles::Flat,
            (false, false) => ShowsFiles::Whole,
        };
        Ok(PageItem { fields, file, files: self.files_of(page, within)?, shows_files })
    }

    /// Returns the files of a page or of an element of it, each once.
    fn files_of(&self, page: &Response, within: Option<Element<'_>>) -> Result<Vec<File>> {
        let mut files: Vec<File> = Vec::new();
        if !page.is_html() {
            return Ok(files);
        }
        for query in &self.files {
            let urls = match within {
                Some(element) => element.urls_of(query.as_str())?,
                None => page.urls_of(query.as_str())?,
            };
            for url in urls.into_iter().filter(|url| matches!(url.scheme(), "http" | "https")) {
                let file = File::at(url);
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }

    /// Tells whether a field is there only since it was asked for.
    fn is_special(&self, name: &str) -> bool {
        !FIELDS.contains(&name) || self.select.iter().any(|select| select.name == name)
    }
}

/// Returns a page as Markdown; `None` if it is no text.
fn markdown_of(page: &Response, part: MarkdownPart) -> Option<String> {
    if page.is_html() {
        let markdown = page.markdown();
        return Some(match part {
            MarkdownPart::Main => markdown.main().to_string(),
            MarkdownPart::Whole => markdown.to_string(),
        });
    }
    // Plain text is read as it is: it may be Markdown, as that of `llms.txt`.
    let is_text = matches!(&*page.content_type().essence, "text/plain" | "text/markdown" | "text/x-markdown");
    is_text.then(|| page.body_text().to_owned())
}

fn in_a_word(change: PageChange) -> &'static str {
    match change {
        PageChange::None => "none",
        PageChange::Small => "small",
        PageChange::Large => "large",
    }
}

/// Tells whether a page is a list of links in Markdown, for language models.
fn is_llms_txt(page: &Response) -> bool {
    !page.is_html() && page.url().path().ends_with("/llms.txt")
}

impl HasMarkdown for PageItem {
    fn markdown_page(&self) -> Option<&MarkdownPage> {
        self.file.as_ref()
    }
}

/// Rounds to microseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

impl Serialize for PageItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        match self.shows_files {
            ShowsFiles::No => {}
            ShowsFiles::Whole => map.serialize_entry(FILES, &self.files)?,
            ShowsFiles::Flat => {
                let there: Vec<_> = self.files.iter().filter_map(|file| file.path.as_deref()).collect();
                let failed: Vec<_> =
                    self.files.iter().filter(|file| !file.status.is_there()).map(|file| file.url.as_str()).collect();
                map.serialize_entry(FILES, &there)?;
                map.serialize_entry(FILES_FAILED, &failed)?;
            }
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
        let select = select.iter().map(|text| text.parse().unwrap()).collect();
        PageSpider { select, respect_nofollow, ..PageSpider::default() }
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
    fn each_element_is_a_line_with_what_is_within_it() {
        let html = "<title>Shop</title><p class=card data-id=1><b>Tea</b><i>3,50 €</i><img src=/tea.png></p>\
                    <p class=card data-id=2><b>Milk</b></p><b>Footer</b><a href=/2>next</a>";
        let spider = PageSpider {
            each: Some(".card".to_owned()),
            files: vec!["img".to_owned()],
            ..spider(&["id=@data-id | number", "name=b", "price=i | number"], false)
        };
        let parsed = spider.parse(&Response::html("http://e.org/", html)).unwrap();
        let lines: Vec<_> = parsed.items().iter().map(|item| serde_json::to_value(item).unwrap()).collect();
        let told =
            |line: &Value| (line["id"].clone(), line["name"].clone(), line["price"].clone(), line["title"].clone());
        let list = |value: Value| Value::Array(vec![value]);
        let (tea, milk) = (list("Tea".into()), list("Milk".into()));
        assert_eq!(told(&lines[0]), (list(1.into()), tea, list(3.5.into()), "Shop".into()));
        assert_eq!(told(&lines[1]), (list(2.into()), milk, Value::Array(vec![]), "Shop".into()));
        assert_eq!((lines.len(), parsed.requests().len()), (2, 1));
        assert_eq!([parsed.items()[0].files.len(), parsed.items()[1].files.len()], [1, 0]);
        assert!(spider.parse(&Response::html("http://e.org/", "<p>none")).unwrap().items().is_empty());
        let endless = Response::html("http://e.org/", "<p class=card>".repeat(MAX_ROWS + 1));
        assert!(spider.parse(&endless).err().unwrap().to_string().contains("too many"));
    }

    #[test]
    fn a_selection_takes_the_place_of_the_field_with_its_name() {
        assert_eq!(line(&["title=h1"])["title"], serde_json::json!(["All"]));
        assert_eq!(spider(&["title=h1", "who=.a"], false).columns().len(), FIELDS.len() + 1);
    }

    #[test]
    fn the_simhash_is_a_field_where_that_is_asked_for() {
        let spider = PageSpider { simhash: true, ..PageSpider::default() };
        let page = Response::html("http://e.org/", QUOTES);
        let line = serde_json::to_value(&spider.parse(&page).unwrap().items()[0]).unwrap();
        assert_eq!(line["simhash"], page.simhash().unwrap().to_string());
        assert_eq!(spider.columns().last().map(String::as_str), Some("simhash"));
    }

    #[test]
    fn links_that_ask_to_be_left_are_left_only_where_that_is_asked_for() {
        let page = Response::html("http://e.org/", QUOTES);
        let followed = |respect| spider(&[], respect).parse(&page).unwrap().requests().len();
        assert_eq!((followed(false), followed(true)), (2, 1));
    }

    #[test]
    fn a_page_that_is_no_item_is_followed_alone() {
        let spider = PageSpider { items: vec!["/product/".parse().unwrap()], ..PageSpider::default() };
        let parsed = |url| spider.parse(&Response::html(url, QUOTES)).unwrap();
        let (product, category) = (parsed("http://e.org/product/1"), parsed("http://e.org/category/1"));
        assert_eq!((product.items().len(), category.items().len()), (1, 0));
        assert_eq!((product.requests().len(), category.requests().len()), (2, 2));
    }

    #[test]
    fn what_is_no_html_is_a_line_too() {
        let page = Response::json_text("http://e.org/data", "{}");
        let parsed = spider(&["who=.a"], false).parse(&page).unwrap();
        let line = serde_json::to_value(&parsed.items()[0]).unwrap();
        assert_eq!((&line["content_type"], &line["links"]), (&"application/json".into(), &0.into()));
    }
}
