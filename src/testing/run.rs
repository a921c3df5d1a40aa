//! Run: what a site saw in one run, with asserts that say what happened instead. Knows no site.

use std::{
    fmt::{self, Write},
    sync::Arc,
    time::Duration,
};

use url::{Position, Url};

use super::Arrival;
use crate::{error::Result, pipeline::Scraped, report::Report};

/// What came of a run, and every request that arrived at the site, in virtual time.
///
/// The asserts panic with what happened instead, and with all requests. URLs are relative to that of
/// [`Site::new`](super::Site::new), or absolute. `Display` shows the requests:
///
/// ```text
///     0.000 s  GET https://shop.example/robots.txt → 404
///     1.000 s  GET https://shop.example/ → 200
/// ```
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{prelude::*, testing::{Answer, Site}};
///
/// let site = Site::new("https://shop.example")
///     .page("/", "<a href=/busy>busy</a>")
///     .answers("/busy", [Answer::status(503).with_header("retry-after", "120"), "<h1>Now</h1>".into()]);
///
/// let names = |page: &Response| Ok(Parsed::of(page.maybe_text_of("h1")?).follow(page.links()));
/// let crawler = Crawler::new(names, "shopbot/1.0 (+https://example.org/bot)").seed("https://shop.example/");
/// let run = site.crawl(crawler)?;
///
/// run.assert_visited(["/", "/busy", "/busy"]);
/// run.assert_spaced("shop.example", Duration::from_secs(1));
/// let [refused, again] = run.times("/busy")[..] else { panic!("{run}") };
/// assert!(again - refused >= Duration::from_secs(120), "{run}");
/// assert_eq!(run.items(), ["Now"]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Run<T> {
    pub(super) output: T,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) elapsed: Duration,
    pub(super) base: Url,
}

/// What came of a crawl: see [`Run::items`] and [`Run::report`].
///
/// ```
/// use actix_crawler::testing::{Crawled, Run};
///
/// fn pages_and_items(run: &Run<Crawled<String>>) -> (u64, usize) {
///     (run.report().pages(), run.items().len())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Crawled<I> {
    pub(super) items: Vec<Scraped<I>>,
    pub(super) report: Arc<Report>,
}

impl<T> Run<T> {
    /// Returns the output of the future that ran.
    pub fn output(&self) -> &T {
        &self.output
    }

    /// Returns the output of the future that ran.
    pub fn into_output(self) -> T {
        self.output
    }

    /// Returns how much virtual time the run took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the requests in the order in which they arrived, robots files included.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// Returns the URLs that were asked for, in order, without robots files; those of the base's origin without it.
    pub fn visited(&self) -> Vec<&str> {
        self.visits().map(|arrival| self.shown(&arrival.url)).collect()
    }

    /// Returns the requests of one URL.
    pub fn asked(&self, url: &str) -> Vec<&Arrival> {
        self.arrivals.iter().filter(|arrival| self.is(&arrival.url, url)).collect()
    }

    /// Returns when one URL was asked for, since the run began.
    pub fn times(&self, url: &str) -> Vec<Duration> {
        self.asked(url).into_iter().map(Arrival::at).collect()
    }

    /// Returns the times between the requests to a domain, `example.org` with all its hosts, robots files included.
    pub fn gaps(&self, domain: &str) -> Vec<Duration> {
        self.pairs(domain).map(|(earlier, later)| later.at.saturating_sub(earlier.at)).collect()
    }

    /// Asserts which URLs were asked for, and in which order, without robots files.
    ///
    /// # Panics
    /// Others were, or in another order.
    #[track_caller]
    pub fn assert_visited<U: AsRef<str>>(&self, urls: impl IntoIterator<Item = U>) {
        let expected: Vec<_> = urls.into_iter().collect();
        let visits: Vec<_> = self.visits().collect();
        let is_expected = |(arrival, url): (&&Arrival, &U)| -> bool { self.is(&arrival.url, url.as_ref()) };
        if visits.len() == expected.len() && visits.iter().zip(&expected).all(is_expected) {
            return;
        }
        let mut table = String::new();
        for place in 0..visits.len().max(expected.len()) {
            let (visit, url) = (visits.get(place), expected.get(place).map(AsRef::as_ref));
            let shown = visit.map_or("nothing", |arrival| self.shown(&arrival.url));
            // Writing to a String cannot fail.
            let _ = match url {
                Some(url) if visit.is_some_and(|arrival| self.is(&arrival.url, url)) => writeln!(table, "    {shown}"),
                Some(url) => writeln!(table, "  ! {shown}, expected {url}"),
                None => writeln!(table, "  ! {shown}, expected nothing more"),
            };
        }
        panic!("other pages were visited than expected:\n{table}\n{self}")
    }

    /// Asserts how often one URL was asked for.
    ///
    /// # Panics
    /// It was more often, or less.
    #[track_caller]
    pub fn assert_asked(&self, url: &str, times: usize) {
        let asked = self.asked(url).len();
        assert!(asked == times, "{url} was asked for {asked} times, expected {times}:\n{self}");
    }

    /// Asserts that no URL was asked for that begins with this one: `/admin` means also `/admin/users`.
    ///
    /// # Panics
    /// One was.
    #[track_caller]
    pub fn assert_never_asked(&self, url: &str) {
        let beginning = self.absolute(url);
        let asked = self.arrivals.iter().find(|arrival| arrival.url.as_str().starts_with(&beginning));
        if let Some(asked) = asked {
            panic!("a URL was asked for that begins with {url}:\n{asked}\n\nof all requests:\n{self}");
        }
    }

    /// Asserts that no two requests to a domain arrived closer to each other than `least`.
    ///
    /// # Panics
    /// Two did, or there were fewer than two, which says nothing about the time between them.
    #[track_caller]
    pub fn assert_spaced(&self, domain: &str, least: Duration) {
        assert!(self.pairs(domain).next().is_some(), "fewer than two requests were made to {domain}:\n{self}");
        let close = self.pairs(domain).find(|(earlier, later)| later.at.saturating_sub(earlier.at) < least);
        if let Some((earlier, later)) = close {
            let gap = later.at.saturating_sub(earlier.at);
            panic!(
                "two requests to {domain} were {gap:?} apart, less than {least:?}:\n{earlier}\n{later}\n\n\
                 of all requests:\n{self}"
            );
        }
    }

    /// Changes the output.
    pub(super) fn try_map<U>(self, change: impl FnOnce(T) -> Result<U>) -> Result<Run<U>> {
        let Self { output, arrivals, elapsed, base } = self;
        Ok(Run { output: change(output)?, arrivals, elapsed, base })
    }

    fn visits(&self) -> impl Iterator<Item = &Arrival> {
        self.arrivals.iter().filter(|arrival| arrival.url.path() != "/robots.txt")
    }

    fn pairs(&self, domain: &str) -> impl Iterator<Item = (&Arrival, &Arrival)> {
        let belongs = move |arrival: &&Arrival| {
            let host = arrival.url.host_str().unwrap_or_default();
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let arrivals: Vec<_> = self.arrivals.iter().filter(belongs).collect();
        let later = arrivals.clone().into_iter().skip(1);
        arrivals.into_iter().zip(later)
    }

    fn is(&self, asked: &Url, url: &str) -> bool {
        asked.as_str() == self.absolute(url)
    }

    /// What is no URL is kept as it is, and equals none.
    fn absolute(&self, url: &str) -> String {
        self.base.join(url).map_or_else(|_| url.to_owned(), Into::into)
    }

    fn shown<'a>(&self, url: &'a Url) -> &'a str {
        if url.origin() == self.base.origin() { &url[Position::BeforePath..] } else { url.as_str() }
    }
}

impl<I> Run<Crawled<I>> {
    /// Returns the items, in the order in which they came to the pipelines.
    pub fn items(&self) -> Vec<&I> {
        self.output.items.iter().map(|scraped| &**scraped).collect()
    }

    /// Returns the items of one page.
    pub fn items_of(&self, url: &str) -> Vec<&I> {
        let url = self.absolute(url);
        self.output.items.iter().filter(|scraped| *scraped.url == *url).map(|scraped| &**scraped).collect()
    }

    /// Returns the crawl's report.
    pub fn report(&self) -> &Report {
        &self.output.report
    }
}

/// The most requests that are shown, half of them from the end: what went wrong is rarely in the middle.
const MAX_SHOWN: usize = 60;

impl<T> fmt::Display for Run<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, half) = (self.arrivals.len(), MAX_SHOWN / 2);
        for (number, arrival) in self.arrivals.iter().enumerate() {
            if number < half || number + half >= count {
                writeln!(f, "{arrival}")?;
            } else if number == half {
                writeln!(f, "    … {} more …", count - MAX_SHOWN)?;
            }
        }
        Ok(())
    }
}
