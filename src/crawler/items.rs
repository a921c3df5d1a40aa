//! Crawler, the part of the builder about what items are made of, what is asked of them, and which feeds the settings
//! have.

use std::fmt::Display;

use serde::Serialize;

use super::Crawler;
use crate::{
    pipeline::{Pipeline, Steps},
    response::conversion::Converted,
    spider::Spider,
    validation::Validate,
};

impl<S: Spider> Crawler<S> {
    /// Judges items before their files are requested, and before they go to the pipelines: by a
    /// [`Schema`](crate::validation::Schema), a function, or a [`Validate`] of your own; with several, each judges
    /// every item.
    ///
    /// Invalid items are left out, unless the schema keeps them, and counted as `items/invalid`. The report has each
    /// reason with its first item, and in how many items each field is
    /// ([`Report::validation`](crate::Report::validation)). It warns of a field that is in fewer items than expected.
    ///
    /// ```
    /// use actix_crawler::{prelude::*, validation::Schema};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Quote { text: String, author: Option<String> }
    ///
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Quote>>>) {
    /// let crawler = crawler.validate(Schema::new().required("text").expected("author", 0.9));
    /// # }
    /// ```
    #[must_use]
    pub fn validate(mut self, validator: impl Validate<S::Item>) -> Self {
        self.validators.push(Box::new(validator));
        self
    }

    /// Takes all items through steps before anything else is done with them: what they leave out costs no request for a
    /// file, and comes to no pipeline. Steps that are added again come after those that are there; all of them come
    /// after [`Crawler::validate`].
    ///
    /// They run where the spider's `parse` does. What they leave out is counted as [`Steps`] says, and its page is
    /// fine. A key counts from when all pipelines have acknowledged its item; until then a page with another item of
    /// that key waits. So a page that is fetched again, after a kill for instance, brings its item again, unless that
    /// was acknowledged.
    ///
    /// ```
    /// use actix_crawler::{files::File, prelude::*};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Product { ean: Option<String>, cents: Option<u64>, images: Vec<File> }
    ///
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<Product>>>) {
    /// let crawler = crawler
    ///     .steps(
    ///         Steps::of::<Product>()
    ///             .unique_by(|product| product.ean.clone())
    ///             .drop_if("no_price", |product| product.cents.is_none()),
    ///     )
    ///     .files("images")
    ///     .files_of(|product: &mut Product| &mut product.images);
    /// # }
    /// ```
    #[must_use]
    pub fn steps(mut self, steps: Steps<S::Item>) -> Self {
        self.steps.add(steps);
        self
    }

    /// Writes items to the feeds of the settings, as [`Settings::feeds`](crate::Settings::feeds) of a file has them.
    ///
    /// ```
    /// use actix_crawler::{Settings, prelude::*};
    ///
    /// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
    /// let file = r#"{ "seeds": ["https://example.org/"], "feeds": [{ "to": "titles.jsonl.gz" }] }"#;
    /// let crawler = Crawler::from_settings(titles, serde_json::from_str::<Settings>(file)?).feeds();
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn feeds(mut self) -> Self
    where
        S::Item: Serialize + Send + Sync + 'static,
    {
        let feeds = std::mem::take(&mut self.settings.feeds);
        self.pipelines.extend(feeds.into_iter().map(|feed| Box::new(feed) as Box<dyn Pipeline<S::Item>>));
        self
    }

    /// Makes pages of documents of a content type, as `application/pdf` or `image/*`, by a function that makes text or
    /// HTML of their bytes. The spider reads a document as a page then: its text, Markdown, language and links.
    /// [`Response::body`](crate::Response::body) has the original. Of several functions for a type the first is used.
    ///
    /// The function runs where the spider's `parse` does. If it fails, panics, takes too long, or makes more than the
    /// largest body, the document fails as a page that cannot be parsed.
    ///
    /// ```
    /// use actix_crawler::{response::Converted, prelude::*};
    /// # fn text_of_pdf(bytes: &[u8]) -> Result<String, std::string::FromUtf8Error> { String::from_utf8(bytes.to_vec()) }
    /// # fn html_of_epub(_: &[u8]) -> String { String::new() }
    ///
    /// let texts = |page: &Response| Ok(Parsed::of([page.text()]).follow(page.links()));
    /// let crawler = Crawler::new(texts, "bot/1.0 (+https://example.org/bot)")
    ///     .convert("application/pdf", text_of_pdf)
    ///     .convert("application/epub+zip", |bytes: &[u8]| Ok::<_, Error>(Converted::Html(html_of_epub(bytes))));
    /// ```
    #[must_use]
    pub fn convert<C, E>(
        mut self,
        content_type: &str,
        convert: impl Fn(&[u8]) -> std::result::Result<C, E> + Send + Sync + 'static,
    ) -> Self
    where
        C: Into<Converted>,
        E: Display,
    {
        self.conversions.add(content_type, convert);
        self
    }
}
