//! Markdown: converts a page or a part of it to GitHub Flavored Markdown, for people and language models. Does not
//! decide which part of a page is its main content.

mod blocks;
mod code;
mod elements;
pub(super) mod escape;
mod inline;
mod links;
mod table;
mod writer;

use std::{collections::HashSet, fmt};

use url::Url;

use self::writer::MarkdownWriter;
use super::{
    css::Selects,
    select::{Document, Element},
    selector_error::SelectorError,
    walk::NodeId,
};

/// The longest Markdown, in bytes. A small page could otherwise produce much more, for instance by a long link around
/// many paragraphs.
pub const MAX_MARKDOWN: usize = 16 << 20;

/// A page or a part of it, to be converted to Markdown.
///
/// The result has headings, paragraphs, emphasis, links and images with absolute URLs, lists with their numbers,
/// tables, code with its language, quotations, line breaks and formulas that contain their TeX. Invisible parts are
/// left out: scripts, styles, templates, elements with `hidden`, and replacements for scripts. The same page always
/// gives the same text.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html(
///     "https://e.org/docs/",
///     "<nav>Home</nav><main><h1>Use</h1><p>Call <code>run()</code>, see <a href=api.html>the <b>API</b></a>:</p>
///      <ol start=3><li>one<ul><li>two</ul></ol><pre><code class=language-rust>run();\n</code></pre></main>",
/// );
/// let markdown = page.markdown().within("main")?.to_string();
/// assert_eq!(
///     markdown,
///     "# Use\n\nCall `run()`, see [the **API**](https://e.org/docs/api.html):\n\n3. one\n   - two\n\n```rust\nrun();\n```\n"
/// );
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Markdown<'a> {
    element: Element<'a>,
    /// Whether only the main content is converted.
    main_only: bool,
    /// Elements that are not.
    left_out: HashSet<NodeId>,
    base: &'a Url,
    kept: KeptUrls,
}

/// Which elements are written with their URL.
#[derive(Clone, Copy, Debug)]
struct KeptUrls {
    links: bool,
    images: bool,
}

/// The Markdown, and what was left out of it.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html("https://e.org/", "<p><a href='javascript:go()'>Go</a>");
/// let written = page.markdown().write();
/// assert_eq!((written.without_url, written.is_cut), (1, false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenMarkdown {
    /// The text; it ends with a line end unless it is empty.
    pub text: String,
    /// The number of lists and quotations nested deeper than 32; their content is at that depth.
    pub too_deep: usize,
    /// Whether it was cut at [`MAX_MARKDOWN`].
    pub is_cut: bool,
    /// The number of links and images written without their URL, because it is invalid, longer than 2,048 bytes, or not
    /// an address (`javascript:`, `data:`).
    pub without_url: usize,
    /// Whether the main content was asked for and none stands out, so that this is the whole.
    pub without_main: bool,
}

impl<'a> Markdown<'a> {
    /// Converts a whole document whose references are relative to `base`.
    pub fn of(document: &'a Document, base: &'a Url) -> Self {
        Self::of_element(document.root(), base)
    }

    /// Converts one element.
    pub fn of_element(element: Element<'a>, base: &'a Url) -> Self {
        Self { element, main_only: false, left_out: HashSet::new(), base, kept: KeptUrls { links: true, images: true } }
    }

    /// Restricts the conversion to the first matching element.
    ///
    /// # Errors
    /// Nothing matches, or the selector is invalid.
    pub fn within(self, css: impl Selects) -> Result<Self, SelectorError> {
        Ok(Self { element: self.element.first(css)?, ..self })
    }

    /// Leaves out the elements that match, with all that is in them. It may be called several times, and main content
    /// is chosen from what they leave.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<p>One <sup class=note>1</sup><div class=ad>Buy!</div><p>Two");
    /// assert_eq!(page.markdown().without(".ad, .note")?.to_string(), "One\n\nTwo\n");
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    ///
    /// # Errors
    /// The selector is invalid.
    pub fn without(mut self, css: impl Selects) -> Result<Self, SelectorError> {
        self.left_out.extend(self.element.select(css)?.iter().map(|element| element.node().id()));
        Ok(self)
    }

    /// Restricts the conversion to the main content, without navigation, banners and footers: the whole is converted
    /// where no part of it with at least a quarter of the text stands out. What it is says
    /// [`Response::main_content`](crate::Response::main_content). The page's one heading of the first level stands
    /// above it.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let story = "<p>Once upon a time, a crawler asked politely, waited, and was answered.</p>".repeat(20);
    /// let html = format!("<nav><a href=/>Home</a></nav><article>{story}<a href=/2>On</a></article><footer>Imprint</footer>");
    /// let page = Response::html("https://e.org/", html);
    /// let written = page.markdown().main().write();
    /// assert!(written.text.starts_with("Once upon a time") && written.text.ends_with("[On](https://e.org/2)\n"));
    /// assert!(!written.without_main);
    /// ```
    #[cfg(feature = "readability")]
    #[must_use]
    pub fn main(self) -> Self {
        Self { main_only: true, ..self }
    }

    /// Writes only the text of links.
    #[must_use]
    pub fn without_links(self) -> Self {
        Self { kept: KeptUrls { links: false, ..self.kept }, ..self }
    }

    /// Leaves images out.
    #[must_use]
    pub fn without_images(self) -> Self {
        Self { kept: KeptUrls { images: false, ..self.kept }, ..self }
    }

    /// Converts it. [`ToString`] returns the text alone. Takes time linear in the page and the result.
    pub fn write(&self) -> WrittenMarkdown {
        let written = if self.main_only { self.write_main() } else { None };
        written.unwrap_or_else(|| WrittenMarkdown {
            without_main: self.main_only,
            ..self.writer(self.left_out.clone()).write(self.element)
        })
    }

    fn writer(&self, left_out: HashSet<NodeId>) -> MarkdownWriter {
        MarkdownWriter::new(self.element.address().with_base(self.base), self.kept, left_out)
    }

    /// Converts the main content; `None` if none stands out.
    #[cfg(feature = "readability")]
    fn write_main(&self) -> Option<WrittenMarkdown> {
        let rest = (!self.left_out.is_empty()).then(|| Document::parse(&self.element.html_without(&self.left_out)));
        let top = rest.as_ref().map_or(self.element, Document::root);
        let main = super::main_content(top)?;
        let mut written = self.writer(HashSet::new()).write(main.root());
        if let Some(title) = title_beyond(top, &main) {
            written.text.insert_str(0, &(self.writer(HashSet::new()).write(title).text + "\n"));
        }
        Some(written)
    }

    #[cfg(not(feature = "readability"))]
    fn write_main(&self) -> Option<WrittenMarkdown> {
        None
    }
}

/// Returns the one heading of the first level, if the main content has it no more: it often stands above it.
#[cfg(feature = "readability")]
fn title_beyond<'a>(top: Element<'a>, main: &Document) -> Option<Element<'a>> {
    let titles = top.select("h1").ok()?;
    let [title] = titles[..] else { return None };
    let text = title.text();
    let headings = main.texts_of("h1, h2").ok()?;
    (!text.is_empty() && !headings.contains(&text)).then_some(title)
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write().text)
    }
}

#[cfg(test)]
mod tests;
