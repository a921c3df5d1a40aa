//! ItemSpider: a spider that makes items by their `Extract` alone. Knows no fields.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{Parsed, Spider};
use crate::{
    error::{Error, Result},
    extract::{Document, Extract},
    request::Request,
    response::{PageLink, Response},
    scope::Pattern,
};

/// A spider for pages that say all in the fields of one struct: its items read themselves from each page, or from each element
/// of one, and the links to follow are named by selectors. What needs more is a function, as short as this.
/// [`Crawler::items`](crate::Crawler::items) begins a crawl with one.
///
/// ```
/// use actix_crawler::{ItemSpider, prelude::*};
///
/// #[derive(Extract, serde::Serialize)]
/// struct Quote {
///     #[extract(css = ".text")]
///     text: String,
///     #[extract(css = ".author")]
///     author: String,
/// }
///
/// let quotes = ItemSpider::<Quote>::new().each(".quote").follow(".next a");
///
/// let html = "<p class=quote><q class=text>To be</q><i class=author>Hamlet</i></p><p class=next><a href=/2>more</a>";
/// let parsed = quotes.parse(&Response::html("https://example.org/", html))?;
/// assert_eq!((parsed.items()[0].author.as_str(), parsed.requests().len()), ("Hamlet", 1));
///
/// let crawler = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)").seed("https://example.org/");
/// # Ok::<(), Error>(())
/// ```
///
/// A page that lacks a required field fails, and the report names the field. Where only some pages have items, name those by
/// [`ItemSpider::only`]. What is no selector or no pattern, also in the fields of the struct, is an error when the crawl starts.
#[must_use = "it is given to `Crawler::new`"]
pub struct ItemSpider<I> {
    each: Option<String>,
    only: Vec<Pattern>,
    follow: Vec<String>,
    rank: Option<Arc<Rank>>,
    /// What is no pattern, and why: told by [`Spider::check`].
    wrong: Option<String>,
    items: PhantomData<fn() -> I>,
}

type Rank = dyn Fn(&PageLink<'_>) -> i32 + Send + Sync;

impl<I: Extract> ItemSpider<I> {
    /// Makes one item of each page, and follows no links.
    pub fn new() -> Self {
        Self { each: None, only: Vec::new(), follow: Vec::new(), rank: None, wrong: None, items: PhantomData }
    }

    /// Makes an item of each element that the CSS selector finds, such as the cards of a list.
    pub fn each(mut self, css: impl Into<String>) -> Self {
        self.each = Some(css.into());
        self
    }

    /// Makes items only of pages whose URL matches a regular expression, such as `/product/`; the links of all are followed.
    /// With several patterns, one must match.
    pub fn only(mut self, pattern: &str) -> Self {
        match pattern.parse() {
            Ok(pattern) => self.only.push(pattern),
            Err(error) => self.wrong = Some(Error::into_why(error)),
        }
        self
    }

    /// Follows the links within the elements that the CSS selector finds, or that are those: `.next a`, `nav`, or `a` for all.
    /// With several selectors, the links of each.
    pub fn follow(mut self, css: impl Into<String>) -> Self {
        self.follow.push(css.into());
        self
    }

    /// Gives each link that is followed the priority that the function returns: higher goes first. It sees the link's text,
    /// element and `rel`; what needs the URL and the depth alone may be a [`Crawler::best_first`](crate::Crawler::best_first).
    ///
    /// ```
    /// # use actix_crawler::{ItemSpider, prelude::*};
    /// # #[derive(Extract)]
    /// # struct Page { #[extract(page_url)] url: String }
    /// let sales_first = ItemSpider::<Page>::new().follow("a").rank(|link| i32::from(link.text().contains("Sale")));
    ///
    /// let page = Response::html("https://shop.example/", "<a href=/about>About</a><a href=/tea>Tea in the Sale</a>");
    /// let priorities: Vec<_> = sales_first.parse(&page)?.requests().iter().map(|request| request.priority).collect();
    /// assert_eq!(priorities, [0, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn rank(mut self, priority: impl Fn(&PageLink<'_>) -> i32 + Send + Sync + 'static) -> Self {
        self.rank = Some(Arc::new(priority));
        self
    }
}

impl<I: Extract> Default for ItemSpider<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> Clone for ItemSpider<I> {
    fn clone(&self) -> Self {
        let Self { each, only, follow, rank, wrong, items } = self;
        let (each, only, follow) = (each.clone(), only.clone(), follow.clone());
        Self { each, only, follow, rank: rank.clone(), wrong: wrong.clone(), items: *items }
    }
}

impl<I> fmt::Debug for ItemSpider<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { each, only, follow, .. } = self;
        f.debug_struct("ItemSpider")
            .field("each", each)
            .field("only", only)
            .field("follow", follow)
            .finish_non_exhaustive()
    }
}

impl<I: Extract + Send + Sync + 'static> Spider for ItemSpider<I> {
    type Item = I;

    fn parse(&self, page: &Response) -> Result<Parsed<I>> {
        let has_items = self.only.is_empty() || self.only.iter().any(|pattern| pattern.is_match(page.url().as_str()));
        let mut parsed = match &self.each {
            _ if !has_items => Parsed::new(),
            Some(css) => Parsed::of(I::all(page, css.as_str())?),
            None => Parsed::new().item(I::extract(page)?),
        };
        for css in &self.follow {
            let request = |link: PageLink<'_>| match &self.rank {
                Some(rank) => Request::from(link).priority(rank(&link)),
                None => Request::from(link),
            };
            parsed.visit(page.links().within(css.as_str())?.map(request));
        }
        Ok(parsed)
    }

    fn check(&self) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            return Err(Error::setting("ItemSpider::only", wrong));
        }
        let empty = Document::parse("");
        for css in self.each.iter().chain(&self.follow) {
            empty.select(css.as_str())?;
        }
        Ok(I::check()?)
    }
}
