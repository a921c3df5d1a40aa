//! Markdown: a page or a part of it as GitHub Flavored Markdown, for people and language models to read. Knows no page's
//! habits: which part of a page is its main content is decided elsewhere.

mod blocks;
mod escape;
mod inline;
mod table;
mod writer;

use std::fmt;

use url::Url;

use self::writer::Writer;
use super::select::{Document, Element, SelectorError};

/// The longest Markdown that is written, in bytes: a small page can ask for much, by a long link around many paragraphs.
pub const MAX_MARKDOWN: usize = 16 << 20;

/// A page or a part of it, to be written as Markdown.
///
/// Kept are headings, paragraphs, emphasis, links and images with absolute URLs, lists with their numbers, tables, code
/// with its language, quotations, line breaks and formulas that carry their TeX. Left out is what a reader does not see:
/// scripts, styles, templates, elements with `hidden`, and what stands in for scripts. The same page gives the same text.
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
/// # Ok::<(), actix_crawler::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Markdown<'a> {
    element: Element<'a>,
    base: &'a Url,
    kept: Kept,
}

/// What of a page is written with its URL.
#[derive(Clone, Copy, Debug)]
struct Kept {
    links: bool,
    images: bool,
}

/// Markdown that was written, with what had to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenMarkdown {
    /// The text; it ends with a line end if there is any.
    pub text: String,
    /// How many lists and quotations were nested deeper than 32; what is in them stands at that depth.
    pub too_deep: usize,
    /// Whether it was cut at [`MAX_MARKDOWN`].
    pub is_cut: bool,
    /// How many links and images were written without their URL, since it is none, is longer than 2,048 bytes or is no
    /// address (`javascript:`, `data:`).
    pub without_url: usize,
}

impl<'a> Markdown<'a> {
    /// Takes a whole document whose references are relative to `base`.
    pub fn of(document: &'a Document, base: &'a Url) -> Self {
        Self::of_element(document.root(), base)
    }

    /// Takes one element.
    pub fn of_element(element: Element<'a>, base: &'a Url) -> Self {
        Self { element, base, kept: Kept { links: true, images: true } }
    }

    /// Takes only the first element within that matches.
    ///
    /// # Errors
    /// Nothing matches, or the selector is wrong.
    pub fn within(self, css: &str) -> Result<Self, SelectorError> {
        Ok(Self { element: self.element.first(css)?, ..self })
    }

    /// Writes of links only their text.
    #[must_use]
    pub fn without_links(self) -> Self {
        Self { kept: Kept { links: false, ..self.kept }, ..self }
    }

    /// Leaves images out.
    #[must_use]
    pub fn without_images(self) -> Self {
        Self { kept: Kept { images: false, ..self.kept }, ..self }
    }

    /// Writes it. [`ToString`] gives the text alone. Takes time in proportion to the page and to what is written.
    pub fn write(&self) -> WrittenMarkdown {
        Writer::new(self.base, self.kept).write(self.element)
    }
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write().text)
    }
}

#[cfg(test)]
mod tests;
