//! Sitemaps: which sitemaps a crawl reads, and which of their entries it requests. Knows no network and no XML.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    error::Error,
    extract::sitemap::{SitemapEntry, SitemapLimits, Target, W3cDate},
    outcome::DropReason,
    request::{
        Request,
        sitemap_file::{FoundBy, SitemapFile},
    },
    scope::Pattern,
};

/// Which sitemaps are read, and which of their entries become requests. By default none are read:
/// [`Crawler::sitemaps`](crate::Crawler::sitemaps) reads those of all seeds' sites.
///
/// An entry that is left out counts as dropped, with the reason: `sitemap/older`, `sitemap/priority`, `sitemap/rule`.
///
/// ```
/// use actix_crawler::settings::Sitemaps;
///
/// let news = Sitemaps {
///     read: true,
///     since: Some("2026-02".parse()?),
///     allow: vec!["^https://[^/]+/news/".parse()?],
///     ..Sitemaps::default()
/// };
/// news.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sitemaps {
    /// Whether the sitemaps of all seeds' origins are read: those that robots.txt names, and `/sitemap.xml`.
    pub read: bool,
    /// Leaves out what was last modified before. What has no date is taken. Of an index, files that were last modified
    /// before are not requested.
    #[serde(with = "date_as_text")]
    pub since: Option<W3cDate>,
    /// Leaves out pages of a lower priority, 0.0 to 1.0. A page without one has 0.5, as sitemaps.org says.
    pub min_priority: Option<f32>,
    /// Patterns; if there are any, the URL of a page must match one of them.
    pub allow: Vec<Pattern>,
    /// Patterns; a page whose URL matches one of them is left out.
    pub deny: Vec<Pattern>,
    /// Patterns; if there are any, a file that an index lists must match one of them.
    pub files: Vec<Pattern>,
    /// The most indexes from robots.txt to a file. 4 by default: sitemaps.org allows one, and no site needs more than
    /// two.
    pub max_nesting: u8,
    /// The most files of one domain. 50,000 by default, the most that sitemaps.org allows one index.
    pub max_files_per_domain: u32,
    /// The most URLs of one file; 50,000 by default, the limit of sitemaps.org.
    pub max_urls: usize,
    /// The most bytes of one file, compressed and uncompressed; 50 MiB by default, the limit of sitemaps.org.
    pub max_bytes: u64,
}

impl Default for Sitemaps {
    fn default() -> Self {
        let SitemapLimits { max_urls, max_bytes } = SitemapLimits::default();
        Self {
            read: false,
            since: None,
            min_priority: None,
            allow: Vec::new(),
            deny: Vec::new(),
            files: Vec::new(),
            max_nesting: 4,
            max_files_per_domain: 50_000,
            max_urls,
            max_bytes,
        }
    }
}

/// Makes a request of an entry, or leaves the entry out.
pub(crate) type SitemapRule = Arc<dyn Fn(&SitemapEntry) -> Option<Request> + Send + Sync>;

impl Sitemaps {
    /// Checks that the settings can be met.
    ///
    /// # Errors
    /// Names the setting, and says what to write.
    pub fn check(&self) -> Result<(), Error> {
        match self.min_priority {
            Some(priority) if !(0.0..=1.0).contains(&priority) => {
                Err(Error::setting("sitemaps.min_priority", "a priority is between 0.0 and 1.0"))
            }
            _ => Ok(()),
        }
    }

    /// Decides about an entry.
    ///
    /// # Errors
    /// Why it is left out.
    pub(crate) fn takes(&self, entry: &SitemapEntry) -> Result<(), DropReason> {
        let url = entry.url.as_str();
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_match(url));
        if self.since.is_some_and(|since| entry.lastmod.is_some_and(|modified| !modified.may_be_since(since.time))) {
            return Err(DropReason::SitemapOlder);
        }
        let is_allowed = match entry.target {
            Target::Sitemap => self.files.is_empty() || matches(&self.files),
            Target::Page => (self.allow.is_empty() || matches(&self.allow)) && !matches(&self.deny),
        };
        if !is_allowed {
            return Err(DropReason::SitemapRule);
        }
        let is_page = entry.target == Target::Page;
        if is_page && self.min_priority.is_some_and(|least| entry.priority.unwrap_or(DEFAULT_PRIORITY) < least) {
            return Err(DropReason::SitemapPriority);
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> SitemapLimits {
        SitemapLimits { max_urls: self.max_urls, max_bytes: self.max_bytes }
    }
}

/// The priority of a page whose sitemap gives none (sitemaps.org).
const DEFAULT_PRIORITY: f32 = 0.5;

/// Where sites have sitemaps that their robots file does not name: the first is that of sitemaps.org; others that
/// crawlers look at are what WordPress and its plug-ins write, and the plain list of URLs.
const USUAL_PLACES: [&str; 4] = ["/sitemap.xml", "/sitemap_index.xml", "/sitemap.xml.gz", "/sitemap.txt"];

/// Returns the request for a sitemap file that the user names. The URL of a site without a path, `https://e.org/`,
/// stands for the sitemaps of that site.
pub(crate) fn named(url: Url) -> Request {
    let is_site = url.path() == "/" && url.query().is_none();
    let guess = is_site.then(|| usual_place(&url, 0)).flatten();
    guess.unwrap_or_else(|| request(url, FoundBy::User, 0))
}

/// Returns the request for a file that a robots file names.
pub(crate) fn named_by_robots(url: Url) -> Request {
    request(url, FoundBy::Robots, 0)
}

/// Returns the request for the usual place of this number at the origin of a URL; `None` after the last.
pub(crate) fn usual_place(origin: &Url, place: u8) -> Option<Request> {
    let path = USUAL_PLACES.get(usize::from(place))?;
    let mut url = origin.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for URLs that cannot have credentials, which also have none to remove.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    Some(request(url, FoundBy::Guess(place), 0))
}

/// Returns the request for a file that an index lists.
pub(crate) fn listed(index: &Url, file: SitemapFile, url: Url) -> Request {
    let is_same_host = index.host_str() == url.host_str();
    request(url, if is_same_host { FoundBy::Index } else { FoundBy::ForeignIndex }, file.nesting.saturating_add(1))
}

fn request(url: Url, by: FoundBy, nesting: u8) -> Request {
    // Those that the site itself names go before its pages: they say which pages are worth it.
    let priority = if nesting == 0 { i32::MAX } else { 0 };
    Request::sitemap(url, SitemapFile { by, nesting }).priority(priority)
}

/// Returns for how long a page is known to be unchanged: since the end of what its date may mean. `None` for a date in
/// the future, which says nothing.
pub(crate) fn unchanged_for(modified: W3cDate, now: SystemTime) -> Option<Duration> {
    (modified.time <= now).then(|| now.duration_since(modified.end()).unwrap_or_default())
}

mod date_as_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::W3cDate;

    #[allow(clippy::ref_option, reason = "serde calls it with a reference")]
    pub fn serialize<S: Serializer>(date: &Option<W3cDate>, serializer: S) -> Result<S::Ok, S::Error> {
        date.map(|date| date.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<W3cDate>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(|_| D::Error::custom("write a date as 2026-02-01"))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{extract::sitemap::SitemapReader, request::Kind};

    fn entries(file: &str) -> Vec<SitemapEntry> {
        let url = "https://e.org/sitemap.xml".parse().unwrap();
        SitemapReader::new(file.as_bytes(), &url).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_older_less_important_or_elsewhere_is_left_out_with_its_reason() {
        let entries = entries(
            "<urlset>
                <url><loc>/old</loc><lastmod>2025-12-31</lastmod></url>
                <url><loc>/same-day</loc><lastmod>2026-02-01</lastmod><priority>0.6</priority></url>
                <url><loc>/undated</loc></url>
                <url><loc>/minor</loc><priority>0.2</priority></url>
                <url><loc>/tags/a</loc></url>
                <sitemap><loc>/more.xml</loc><lastmod>2025</lastmod></sitemap>
            </urlset>",
        );
        let sitemaps = Sitemaps {
            since: Some("2026-02-01T12:00Z".parse().unwrap()),
            min_priority: Some(0.5),
            deny: vec!["/tags/".parse().unwrap()],
            ..Sitemaps::default()
        };
        let decided: Vec<_> = entries.iter().map(|entry| sitemaps.takes(entry)).collect();
        assert_eq!(
            decided,
            [
                Err(DropReason::SitemapOlder),
                Ok(()),
                Ok(()),
                Err(DropReason::SitemapPriority),
                Err(DropReason::SitemapRule),
                Err(DropReason::SitemapOlder),
            ]
        );
        assert!(entries.iter().all(|entry| Sitemaps::default().takes(entry).is_ok()));
    }

    #[test]
    fn a_site_stands_for_its_usual_places_and_a_file_for_itself() {
        let kind = |by| Kind::Sitemap(SitemapFile { by, nesting: 0 });
        let site = named("https://e.org/".parse().unwrap());
        assert_eq!((site.url.path(), site.kind()), ("/sitemap.xml", kind(FoundBy::Guess(0))));
        let file = named("https://e.org/maps/1.xml".parse().unwrap());
        assert_eq!((file.url.path(), file.kind()), ("/maps/1.xml", kind(FoundBy::User)));
        assert!(usual_place(&site.url, 4).is_none());
    }

    #[test]
    fn the_settings_are_read_back_from_their_text() {
        let text = r#"{"read": true, "since": "2026-02", "min_priority": 0.4, "allow": ["/a"], "max_urls": 7}"#;
        let sitemaps: Sitemaps = serde_json::from_str(text).unwrap();
        let again: Sitemaps = serde_json::from_str(&serde_json::to_string(&sitemaps).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{sitemaps:?}"));
        assert!(serde_json::from_str::<Sitemaps>(r#"{"since": "yesterday"}"#).is_err());
        assert!(Sitemaps { min_priority: Some(1.5), ..Sitemaps::default() }.check().is_err());
    }
}
