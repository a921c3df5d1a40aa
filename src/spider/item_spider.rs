//! ItemSpider: a spider that makes items by their `Extract` alone. Knows no fields.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Parsed, Spider};
use crate::{
    error::{Error, Result},
    extract::{Document, Extract},
    files::{EachFile, each_file},
    request::Request,
    response::{PageLink, Response},
    scope::Pattern,
};

/// A spider for pages that say all in the fields of one struct: its items read themselves from each page, or from each
/// element of one, and the links to follow are named by selectors. What needs more is a function, as short as this.
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
/// A page that lacks a required field fails, and the report names the field. Where only some pages have items, name
/// those by [`ItemSpider::only`]. What is no selector or no pattern, also in the fields of the struct, is an error when
/// the crawl starts; what finds nothing on any page of the run is a warning of the report.
#[must_use = "it is given to `Crawler::new`"]
pub struct ItemSpider<I> {
    each: Option<Chooser<String>>,
    only: Vec<Chooser<Pattern>>,
    follow: Vec<Chooser<String>>,
    rank: Option<Arc<RankFn>>,
    /// What is no pattern, and why: told by [`Spider::check`].
    wrong: Option<String>,
    /// Whether a page has come.
    has_parsed: Chooser<()>,
    items: PhantomData<fn() -> I>,
}

type RankFn = dyn Fn(&PageLink<'_>) -> i32 + Send + Sync;

/// What chooses pages or elements, and whether it has found one.
#[derive(Debug)]
struct Chooser<T> {
    by: T,
    has_found: AtomicBool,
}

impl<T> Chooser<T> {
    fn new(by: T) -> Self {
        Self { by, has_found: AtomicBool::new(false) }
    }

    /// Takes note of whether something was found, and returns that.
    fn found(&self, is_found: bool) -> bool {
        // Written once, since all threads that parse share it.
        if is_found && !self.has_found.load(Ordering::Relaxed) {
            self.has_found.store(true, Ordering::Relaxed);
        }
        is_found
    }

    /// Returns what has found nothing.
    fn idle(&self) -> Option<&T> {
        (!self.has_found.load(Ordering::Relaxed)).then_some(&self.by)
    }
}

impl<T: Clone> Clone for Chooser<T> {
    fn clone(&self) -> Self {
        Self::new(self.by.clone())
    }
}

impl<I: Extract> ItemSpider<I> {
    /// Makes one item of each page, and follows no links.
    pub fn new() -> Self {
        Self {
            each: None,
            only: Vec::new(),
            follow: Vec::new(),
            rank: None,
            wrong: None,
            has_parsed: Chooser::new(()),
            items: PhantomData,
        }
    }

    /// Makes an item of each element that the CSS selector finds, such as the cards of a list.
    pub fn each(mut self, css: impl Into<String>) -> Self {
        self.each = Some(Chooser::new(css.into()));
        self
    }

    /// Makes items only of pages whose URL matches a regular expression, such as `/product/`; the links of all are
    /// followed. With several patterns, one must match.
    pub fn only(mut self, pattern: &str) -> Self {
        match pattern.parse() {
            Ok(pattern) => self.only.push(Chooser::new(pattern)),
            Err(error) => self.wrong = Some(Error::into_why(error)),
        }
        self
    }

    /// Follows the links within the elements that the CSS selector finds, or that are those: `.next a`, `nav`, or `a`
    /// for all. With several selectors, the links of each.
    pub fn follow(mut self, css: impl Into<String>) -> Self {
        self.follow.push(Chooser::new(css.into()));
        self
    }

    /// Gives each link that is followed the priority that the function returns: higher goes first. It sees the link's
    /// text, element and `rel`; what needs the URL and the depth alone may be a
    /// [`Crawler::best_first`](crate::Crawler::best_first).
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
        let Self { each, only, follow, rank, wrong, has_parsed, items } = self;
        let (each, only, follow, has_parsed) = (each.clone(), only.clone(), follow.clone(), has_parsed.clone());
        Self { each, only, follow, rank: rank.clone(), wrong: wrong.clone(), has_parsed, items: *items }
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
        self.has_parsed.found(true);
        let url = page.url().as_str();
        // Each is tried: one that another goes before has found the page too.
        let is_named = self.only.iter().fold(false, |is_named, only| only.found(only.by.is_match(url)) | is_named);
        let has_items = self.only.is_empty() || is_named;
        let mut parsed = match &self.each {
            _ if !has_items => Parsed::new(),
            Some(each) => {
                let items = I::all(page, each.by.as_str())?;
                each.found(!items.is_empty());
                Parsed::of(items)
            }
            None => Parsed::new().item(I::extract(page)?),
        };
        for follow in &self.follow {
            let request = |link: PageLink<'_>| match &self.rank {
                Some(rank) => Request::from(link).priority(rank(&link)),
                None => Request::from(link),
            };
            let before = parsed.requests().len();
            parsed.visit(page.links().within(follow.by.as_str())?.map(request));
            follow.found(parsed.requests().len() > before);
        }
        Ok(parsed)
    }

    fn check(&self) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            return Err(Error::setting("ItemSpider::only", wrong));
        }
        let empty = Document::parse("");
        for choice in self.each.iter().chain(&self.follow) {
            empty.select(choice.by.as_str())?;
        }
        Ok(I::check()?)
    }

    fn each_file(&self) -> Option<EachFile<I>> {
        Some(each_file::<I>)
    }

    /// Names the selectors and patterns that have found nothing on any page of this run.
    fn warnings(&self) -> Vec<String> {
        if self.has_parsed.idle().is_some() {
            return Vec::new();
        }
        let of_pages = if self.only.is_empty() { "" } else { " that only() names" };
        let no_page = self
            .only
            .iter()
            .filter_map(Chooser::idle)
            .map(|only| format!("no page of this run has a URL that only({:?}) matches", only.to_string()));
        let had_pages = self.only.is_empty() || self.only.iter().any(|only| only.idle().is_none());
        let no_element = self.each.iter().filter(|_| had_pages).filter_map(Chooser::idle).map(|css| {
            format!("no page of this run{of_pages} has an element that each({css:?}) selects, so it has no items")
        });
        let no_link = self.follow.iter().filter_map(Chooser::idle);
        let no_link = no_link.map(|css| format!("no page of this run has a link within what follow({css:?}) selects"));
        no_page.chain(no_element).chain(no_link).collect()
    }
}
