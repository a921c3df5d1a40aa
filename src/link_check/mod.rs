//! LinkCheck: a spider whose items are broken links, each with a page that has it. Knows no output.

mod links;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};
use url::Url;

use self::links::{End, Found, Links};
use crate::{
    error::Result,
    identity::CanonicalUrl,
    outcome::{FetchError, Outcome},
    request::Request,
    response::Response,
    spider::{Parsed, Spider},
};

/// Checks the links of sites: of each that is broken, every page that has it is an item, also pages that are read after it has
/// failed.
///
/// It follows the links of pages on the hosts of its seeds, and of those that the seeds redirect to. Links to other hosts
/// are checked too where the scope lets them, as by `within(Within::Any)`; what is there is not followed. A URL is
/// requested once, however many pages link to it.
///
/// Broken is what fails for good, with all attempts: a status that is no success, a host that is not there, redirects in a circle.
/// What a robots file disallows or a middleware leaves out is not checked, and not broken.
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
/// Memory is needed for the links that are not known to be fine, and a little for those that are: by default for a million of each
/// at the most, some 400 MB ([`LinkChecker::remember`]). Of those beyond the oldest are forgotten, also such as the scope does not
/// let through, and counted as `spider/links_not_remembered`. If one of them is broken, only the page is named that was the first
/// to have it. So it is in a crawl that goes on from its state, for the links of earlier runs.
pub struct LinkChecker {
    seeds: Vec<Request>,
    own_hosts: Mutex<HashSet<String>>,
    links: Mutex<Links>,
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
        let hosts = seeds.iter().filter_map(|seed| seed.url.host_str().map(str::to_owned)).collect();
        Ok(Self { seeds, own_hosts: Mutex::new(hosts), links: Mutex::new(Links::new(1_000_000)) })
    }

    /// Sets the most links that are remembered at once; a million by default. Each may need 320 bytes with its pages, and those
    /// with URLs that are longer than usual count as several.
    #[must_use]
    pub fn remember(mut self, links: usize) -> Self {
        self.links = Mutex::new(Links::new(links));
        self
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the links of a page are followed.
    fn is_own(&self, page: &Response) -> bool {
        let mut hosts = self.own_hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(host) = page.url().host_str() else { return false };
        let is_seed = page.request().depth == 0;
        if is_seed && !hosts.contains(host) {
            hosts.insert(host.to_owned());
        }
        is_seed || hosts.contains(host)
    }
}

impl Spider for LinkChecker {
    type Item = BrokenLink;

    fn seeds(&self) -> Vec<Request> {
        self.seeds.clone()
    }

    fn parse(&self, page: &Response) -> Result<Parsed<BrokenLink>> {
        let (mut parsed, mut links) = (Parsed::new(), self.links());
        links.end(page.url().as_str(), &End::Fine);
        if !self.is_own(page) {
            return Ok(parsed);
        }
        for link in page.links() {
            match links.found(&canonical(link.url()), page.url().as_str()) {
                Found::Noted => {}
                Found::Broken(link) => parsed.push(link),
            }
        }
        let forgotten = links.take_forgotten();
        drop(links);
        (0..forgotten).for_each(|_| parsed.count("links_not_remembered"));
        Ok(parsed.follow(page.links()))
    }

    fn failed(&self, request: &Request, outcome: &Outcome) -> Parsed<BrokenLink> {
        let (url, parent) = (request.url.as_str(), request.parent.as_deref());
        let mut links = self.links();
        Parsed::of(match outcome {
            Outcome::Redirect { to, .. } => links.leads_to(url, &canonical(to)),
            // It is there, or nobody has asked whether it is.
            Outcome::Disallowed
            | Outcome::Ignored { .. }
            | Outcome::Skipped { .. }
            | Outcome::Fetch(FetchError::TooLarge(_)) => links.end(url, &End::Fine),
            _ => links.broken(url, &outcome.to_string(), parent),
        })
    }
}

fn canonical(url: &Url) -> String {
    let mut url = url.clone();
    CanonicalUrl::default().apply(&mut url);
    url.into()
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
