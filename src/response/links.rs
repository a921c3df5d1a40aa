//! Links: where a page leads. Knows no scope.

use std::{cell::OnceCell, iter};

use url::Url;

use super::{Links, Response};
use crate::{
    error::{Error, Result},
    extract::{self, LinkSet, MetaRobots, Refresh, Scan, Scanner, Skipped},
    headers::field_text::text_of,
};

/// A scan for the links of other elements than the crawl's. There are as many as a spider names sets.
pub(super) struct FurtherScan {
    set: LinkSet,
    scan: Scan,
    next: OnceCell<Box<FurtherScan>>,
}

impl Response {
    /// Returns the page's title.
    pub fn title(&self) -> Option<&str> {
        self.scanned().title.as_deref()
    }

    /// Returns the links of the page, absolute, each once, in their order; `<base href>` is respected. The last is
    /// where the page sends its readers, if it does ([`Response::refresh`]). [`Links`] has methods that choose among
    /// them.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let html = "<nav><a href=/>Home</a></nav><main><a href=/item/1 rel=next>One</a><a href=//o.org/>Other</a></main>";
    /// let page = Response::html("https://e.org/", html);
    /// assert_eq!(page.links().count(), 3);
    ///
    /// let link = page.links().within("main")?.same_domain().allow("/item/")?.next().unwrap();
    /// assert_eq!((link.url().path(), &*link.text(), link.rel().as_deref()), ("/item/1", "One", Some("next")));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// There are at most 10,000, of at most 2,048 bytes each, or as many and as long as the crawl's settings say
    /// ([`Settings::max_links_per_page`](crate::Settings::max_links_per_page),
    /// [`Scope::max_url_length`](crate::scope::Scope::max_url_length)). [`Response::skipped`] tells what is left out;
    /// the crawl counts it as dropped.
    pub fn links(&self) -> Links<'_> {
        Links::of_page(self)
    }

    /// Returns what the page asks of robots: its `<meta name=robots>` and `X-Robots-Tag` headers, those for all and
    /// those for this crawler by its name.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use actix_crawler::{extract::Scanner, prelude::*};
    ///
    /// let page = Response::html("https://e.org/", "<meta name=robots content=noindex>")
    ///     .with_header("x-robots-tag", "otherbot: none, mybot: nofollow, unavailable_after: 2026-01-01")
    ///     .with_scanner(Scanner::default().robot("mybot"));
    /// assert!(page.robots().noindex && page.robots().nofollow);
    /// assert!(page.robots().is_unavailable(SystemTime::now()));
    /// ```
    pub fn robots(&self) -> MetaRobots {
        let mut robots = self.scanned().robots;
        for line in self.headers.get_all("x-robots-tag") {
            robots.add_header(&String::from_utf8_lossy(line.as_bytes()), self.scanner.robot_name());
        }
        robots
    }

    /// Returns the number of references that are not among the page's links, by reason.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/", "<a href=mailto:me@e.org>write</a><a href=/a>read</a>");
    /// assert_eq!((page.links().count(), page.skipped().other_scheme), (1, 1));
    /// assert_eq!(page.skipped().over_bounds(), 0);
    /// ```
    pub fn skipped(&self) -> Skipped {
        self.scanned().skipped
    }

    /// Returns the target and delay of the page's `Refresh` header or else its `<meta http-equiv=refresh>`. `None` if
    /// there is neither, or the page only reloads itself.
    ///
    /// ```
    /// use actix_crawler::prelude::*;
    ///
    /// let page = Response::html("https://e.org/old", "<meta http-equiv=refresh content='0; url=/new'>");
    /// assert_eq!(page.refresh().unwrap().url.as_str(), "https://e.org/new");
    /// ```
    pub fn refresh(&self) -> Option<Refresh> {
        self.sends_on().filter(|refresh| !self.is_at(&refresh.url))
    }

    /// Returns where the page sends its readers, even if that is the page itself.
    pub(crate) fn sends_on(&self) -> Option<Refresh> {
        self.refresh_header().or_else(|| {
            let may_have_one = self.scan.get().is_some() || (self.is_html() && extract::has_pragma(self.body_text()));
            may_have_one.then(|| self.scanned().refresh.clone())?
        })
    }

    fn refresh_header(&self) -> Option<Refresh> {
        extract::of_header(&text_of(self.headers.get("refresh")?), self.url())
    }

    fn is_at(&self, url: &Url) -> bool {
        let mut page = self.url().clone();
        page.set_fragment(None);
        page == *url
    }

    /// Returns what one streaming pass over the page finds: title, links, base, robots meta tags. Empty for what is not
    /// HTML, but for the target of a `Refresh` header.
    pub fn scan(&self) -> &Scan {
        self.links_asked.set(true);
        self.scanned()
    }

    fn scanned(&self) -> &Scan {
        self.scan.get_or_init(|| self.scan_with(&self.scanner))
    }

    fn scan_with(&self, scanner: &Scanner) -> Scan {
        let mut scan = match self.syntax() {
            Some(syntax) => {
                let scanner = scanner.clone().syntax(syntax).charset(self.encoding());
                scanner.scan(self.body_text(), self.url())
            }
            None => extract::scan("", self.url()),
        };
        if let Some(Refresh { url, .. }) = self.refresh_header().or_else(|| scan.refresh.clone())
            && !self.is_at(&url)
        {
            scanner.add_refresh(&mut scan, url);
        }
        scan
    }

    /// Returns the scan for the links of these elements. Each set is scanned for once.
    pub(super) fn scan_for(&self, set: LinkSet) -> &Scan {
        if set == self.scanner.set() {
            return self.scan();
        }
        let mut place = &self.further_scans;
        loop {
            let further = place.get_or_init(|| {
                let scan = self.scan_with(&self.scanner.clone().elements(set));
                Box::new(FurtherScan { set, scan, next: OnceCell::new() })
            });
            if further.set == set {
                return &further.scan;
            }
            place = &further.next;
        }
    }

    /// Returns what references are resolved against.
    pub(super) fn base(&self) -> &Url {
        &self.scanned().base
    }

    /// Returns how many references are not among the links that were asked for, if any were. Of several sets of
    /// elements the one counts that lacks most.
    pub(crate) fn skipped_of_asked(&self) -> Skipped {
        let first = if self.links_asked.get() { self.skipped() } else { Skipped::default() };
        let further = iter::successors(self.further_scans.get(), |scan| scan.next.get());
        further
            .map(|further| further.scan.skipped)
            .fold(first, |most, skipped| if skipped.over_bounds() > most.over_bounds() { skipped } else { most })
    }

    /// Returns the absolute URL in `href` or `src` of the first element matching `css`; `None` if nothing matches:
    /// `.follow(page.link(".next a")?)`.
    ///
    /// # Errors
    /// The selector or the reference is invalid.
    pub fn link(&self, css: &str) -> Result<Option<Url>> {
        let element = self.document().find(css)?;
        let reference = element.and_then(|element| element.attr("href").or_else(|| element.attr("src")));
        reference.map(|reference| self.join(reference)).transpose()
    }

    /// Resolves a reference against the page's base. Its query is encoded in the page's charset, as in browsers.
    ///
    /// # Errors
    /// The reference is invalid.
    pub fn join(&self, reference: &str) -> Result<Url> {
        let refuse = |error: url::ParseError| Error::Url { text: reference.to_owned(), why: error.to_string() };
        extract::resolve_from_charset(self.base(), reference, self.encoding()).map_err(refuse)
    }
}
