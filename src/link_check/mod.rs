//! LinkCheck: a spider whose items are broken links, each with a page that has it. Knows no output.

mod hosts;
mod links;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use serde::{Deserialize, Serialize};
use url::Url;

use self::{
    hosts::Hosts,
    links::{CheckedLinks, FoundLink, LinkEnd},
};
use crate::{
    error::Result,
    identity::{CanonicalUrl, Identity},
    outcome::{FetchError, Outcome},
    request::Request,
    response::Response,
    spider::{Parsed, Spider},
};

/// Checks the links of sites: of each that is broken, every page that has it is an item, also pages that are read after
/// it has failed.
///
/// It follows the links of pages on the hosts of its seeds, and of those that the seeds redirect to. Links to other
/// hosts are checked too where the scope lets them, as by `within(Within::Any)`; what is there is not followed. A URL
/// is requested once, however many pages link to it.
///
/// Broken is what fails for good, with all attempts: a status that is no success, a host that is not there, redirects
/// in a circle. What a robots file disallows or a middleware leaves out is not checked, and not broken.
///
/// ```
/// use actix_crawler::{LinkChecker, Within, prelude::*, testing::Site};
///
/// let site = Site::new("https://example.org")
///     .page("/", "<a href=/about>about</a> <a href=/gone>gone</a>")
///     .page("/about", "<a href=/gone>gone</a>");
///
/// let checker = LinkChecker::new(["https://example.org/"])?;
/// let run = site.crawl(Crawler::new(checker, "linkbot/1.0 (+https://example.org/bot)").within(Within::Any))?;
///
/// let mut lines: Vec<_> = run.items().iter().map(ToString::to_string).collect();
/// lines.sort();
/// assert_eq!(lines, [
///     "https://example.org/: https://example.org/gone (status: 404)",
///     "https://example.org/about: https://example.org/gone (status: 404)",
/// ]);
/// # Ok::<(), Error>(())
/// ```
///
/// Memory is needed for the links that are not known to be fine, and a little for those that are: by default for a
/// million of each at the most, some 400 MB ([`LinkChecker::remember`]). Of those beyond the oldest are forgotten, also
/// such as the scope does not let through, and counted as `spider/links_not_remembered`. If one of them is broken, only
/// the page is named that was the first to have it. So it is in a crawl that goes on from its state, for the links of
/// earlier runs.
pub struct LinkChecker {
    seeds: Vec<Request>,
    hosts: Mutex<Hosts>,
    links: Mutex<CheckedLinks>,
    /// By which rule URLs are requested.
    identity: Mutex<Arc<dyn Identity>>,
    /// Whether links to other hosts are asked for by HEAD.
    head_elsewhere: bool,
}

/// A broken link on a page. As text: the page, the link, and why it is broken.
///
/// ```
/// use actix_crawler::link_check::BrokenLink;
///
/// let link = BrokenLink {
///     page: "https://example.org/".into(),
///     url: "https://example.org/old".into(),
///     leads_to: Some("https://example.org/gone".into()),
///     why: "status: 404".into(),
/// };
/// assert_eq!(link.to_string(), "https://example.org/: https://example.org/old → https://example.org/gone (status: 404)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BrokenLink {
    /// The page that has the link; empty for a seed.
    pub page: String,
    /// Where the link leads.
    pub url: String,
    /// Where that redirects to, if it is the end of its redirects that is broken.
    pub leads_to: Option<String>,
    /// Why it is broken: `status: 404`.
    pub why: String,
}

impl LinkChecker {
    /// Creates a check that begins with these URLs.
    ///
    /// # Errors
    /// One of them is no URL that can be crawled.
    pub fn new<T: AsRef<str>>(seeds: impl IntoIterator<Item = T>) -> Result<Self> {
        let seeds = seeds.into_iter().map(|seed| Request::parse(seed.as_ref())).collect::<Result<Vec<_>>>()?;
        let hosts = Hosts::of_seeds(seeds.iter().filter_map(|seed| seed.url.host_str()));
        let identity: Arc<dyn Identity> = Arc::new(CanonicalUrl::default());
        let links = CheckedLinks::new(1_000_000);
        let (hosts, links, identity) = (Mutex::new(hosts), Mutex::new(links), Mutex::new(identity));
        Ok(Self { seeds, hosts, links, identity, head_elsewhere: false })
    }

    /// Asks for links to other hosts by HEAD, so that they send no body: what is there is not read anyway. A server
    /// that refuses the method (405 or 501) is asked again by GET. Not so by default, since some servers answer HEAD
    /// otherwise than GET.
    #[must_use]
    pub fn head_elsewhere(mut self) -> Self {
        self.head_elsewhere = true;
        self
    }

    /// Sets the most links that are remembered at once; a million by default. Each may need 320 bytes with its pages,
    /// and those with URLs that are longer than usual count as several.
    #[must_use]
    pub fn remember(mut self, links: usize) -> Self {
        self.links = Mutex::new(CheckedLinks::new(links));
        self
    }

    fn links(&self) -> MutexGuard<'_, CheckedLinks> {
        locked(&self.links)
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        locked(&self.hosts)
    }

    fn identity(&self) -> Arc<dyn Identity> {
        locked(&self.identity).clone()
    }

    /// Returns the requests of a page's links, each with what a later run needs to know of it; `None` where they are
    /// not followed.
    fn followed(&self, page: &Response) -> Option<Vec<Request>> {
        let mut hosts = self.hosts();
        let (request, host) = (page.request(), page.url().host_str()?);
        // State of another type is of a request that the program has made.
        let told = request.state::<String>().ok().flatten();
        if !hosts.learn(host, request.depth == 0 || told.as_deref() == Some(host)) {
            return None;
        }
        let follow = |url: &Url| {
            let is_elsewhere = url.host_str().is_none_or(|host| !hosts.has(host));
            let method = if self.head_elsewhere && is_elsewhere { Method::HEAD } else { Method::GET };
            let link = Request::new(method, url.clone());
            match hosts.learned([url.host_str(), Some(host)].into_iter().flatten()) {
                // A text is always JSON.
                Some(host) => link.clone().with_state(&host).unwrap_or(link),
                None => link,
            }
        };
        Some(page.links().map(|link| follow(link.url())).collect())
    }
}

impl Spider for LinkChecker {
    type Item = BrokenLink;

    fn seeds(&self) -> Vec<Request> {
        self.seeds.clone()
    }

    fn begins(&self, identity: &Arc<dyn Identity>) {
        *locked(&self.identity) = identity.clone();
    }

    fn parse(&self, page: &Response) -> Result<Parsed<BrokenLink>> {
        let (mut parsed, identity) = (Parsed::new(), self.identity());
        if page.request().method == Method::HEAD && page.url().host_str().is_some_and(|host| self.hosts().has(host)) {
            // A redirect has led back to a page whose links are followed.
            return Ok(parsed.follow([by_get(page.request())]));
        }
        let followed = self.followed(page);
        let mut links = self.links();
        links.end(page.url().as_str(), &LinkEnd::Fine);
        let Some(followed) = followed else { return Ok(parsed) };
        for link in page.links() {
            match links.found(&canonical(&*identity, link.url()), page.url().as_str()) {
                FoundLink::Noted => {}
                FoundLink::Broken(link) => parsed.push(link),
            }
        }
        let forgotten = links.take_forgotten();
        drop(links);
        (0..forgotten).for_each(|_| parsed.count("links_not_remembered"));
        Ok(parsed.follow(followed))
    }

    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<BrokenLink> {
        let (url, parent) = (request.url.as_str(), request.parent.as_deref());
        if let (&Method::HEAD, Outcome::Status(405 | 501)) = (&request.method, outcome) {
            return Parsed::new().follow([by_get(request)]);
        }
        let identity = self.identity();
        let mut links = self.links();
        Parsed::of(match outcome {
            Outcome::Redirect { to, .. } => links.leads_to(url, &canonical(&*identity, to)),
            // It is there, or nobody has asked whether it is.
            Outcome::Disallowed
            | Outcome::Ignored { .. }
            | Outcome::Skipped { .. }
            | Outcome::Fetch(FetchError::TooLarge(_)) => links.end(url, &LinkEnd::Fine),
            _ => links.broken(url, &outcome.to_string(), parent),
        })
    }
}

/// Returns a request of HEAD as one of GET.
fn by_get(request: &Request) -> Request {
    let mut by_get = request.clone();
    by_get.method = Method::GET;
    by_get
}

/// Returns a URL in the form in which it is requested.
fn canonical(identity: &dyn Identity, url: &Url) -> String {
    let mut url = url.clone();
    identity.canonicalize(&mut url);
    url.into()
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.page, self.url)?;
        if let Some(end) = &self.leads_to {
            write!(f, " → {end}")?;
        }
        write!(f, " ({})", self.why)
    }
}
