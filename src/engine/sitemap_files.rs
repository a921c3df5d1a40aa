//! SitemapFiles: the sites whose sitemaps are looked for, and the requests that follow. Knows no network, no permits
//! and no entries.

use std::sync::Arc;

use hashbrown::HashSet;
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    frontier::candidate::Candidate,
    identity::{CanonicalUrl, Fingerprint, Identity},
    request::{
        Kind, Request,
        sitemap_file::{FoundBy, SitemapFile},
    },
    robots::Robots,
    sitemaps::{named_by_robots, usual_place},
    stats::count::Count,
};

/// Looks for the sitemaps of sites.
pub struct SitemapFiles {
    /// Whether those of all seeds are read.
    of_seeds: bool,
    /// Whether files that an earlier process has read are read again.
    again: bool,
    identity: Arc<dyn Identity>,
    /// Hashes of all origins that were looked at.
    sites: HashSet<u64>,
    /// Origins whose robots file is not known yet.
    awaited: HashSet<Box<str>>,
    /// Origins whose robots file names sitemaps: the usual places after the first need not be tried.
    named: HashSet<Box<str>>,
    /// The files that were requested again: an index may list itself.
    asked: HashSet<Fingerprint>,
    /// What is to be requested next.
    found: Vec<Candidate>,
}

/// Looks for none but those that the user names.
impl Default for SitemapFiles {
    fn default() -> Self {
        Self::new(false, false, Arc::new(CanonicalUrl::default()))
    }
}

impl SitemapFiles {
    /// Looks for those of all seeds, or only for those that the user names; `again` also where they were read before.
    pub fn new(of_seeds: bool, again: bool, identity: Arc<dyn Identity>) -> Self {
        let (sites, awaited, named, asked, found) = Default::default();
        Self { of_seeds, again, identity, sites, awaited, named, asked, found }
    }

    /// Looks for the sitemaps of the seeds' sites. Returns the sites that are new.
    pub fn look_for(&mut self, seeds: &[Candidate]) -> Vec<Url> {
        let mut sites = Vec::new();
        for seed in seeds.iter().map(Candidate::request) {
            let is_site = match seed.kind() {
                Kind::Page => self.of_seeds,
                Kind::Sitemap(file) => file.is_guess(),
                Kind::RobotsTxt | Kind::File => false,
            };
            if is_site && self.sites.insert(xxh3_64(origin(&seed.url).as_bytes())) {
                self.awaited.insert(origin(&seed.url));
                self.find(usual_place(&seed.url, 0));
                sites.push(seed.url.clone());
            }
        }
        sites
    }

    /// Takes in the robots file of an origin.
    pub fn robots_known(&mut self, file: &Url, robots: &Robots) {
        // An unreachable robots file is requested again later.
        if self.awaited.is_empty() || matches!(robots, Robots::DenyAll { .. }) {
            return;
        }
        let origin = origin(file);
        if self.awaited.remove(&origin)
            && let Robots::Rules(rules) = robots
        {
            let sitemaps = rules.sitemaps_from(file);
            if !sitemaps.is_empty() {
                self.named.insert(origin);
            }
            for url in sitemaps {
                self.find(Some(named_by_robots(url)));
            }
        }
    }

    /// Handles the end of a request for a file: where nothing is at one usual place, the next is tried.
    pub fn ended(&mut self, request: &Request, counts: &[Count]) {
        let Kind::Sitemap(SitemapFile { by: FoundBy::Guess(place), .. }) = request.kind() else { return };
        let asked_first = request.rare.as_ref().and_then(|rare| rare.urls.first()).and_then(|url| Url::parse(url).ok());
        let site = asked_first.as_ref().unwrap_or(&request.url);
        if counts.contains(&Count::SITEMAP_MISSING) && !self.named.remove(&origin(site)) {
            self.find(usual_place(site, place.saturating_add(1)));
        }
    }

    /// Leaves out files that were requested again before.
    pub fn each_once(&mut self, candidates: &mut Vec<Candidate>) {
        if self.again {
            candidates.retain(|candidate| {
                let is_page = candidate.request().kind() == Kind::Page;
                is_page || self.asked.insert(candidate.fingerprint())
            });
        }
    }

    /// Takes what is to be requested next.
    pub fn take_found(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.found)
    }

    fn find(&mut self, file: Option<Request>) {
        if let Some(mut file) = file {
            file.dont_filter = self.again;
            self.found.push(Candidate::new(file, &*self.identity));
        }
    }
}

fn origin(url: &Url) -> Box<str> {
    url.origin().ascii_serialization().into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn files(again: bool) -> SitemapFiles {
        SitemapFiles::new(true, again, Arc::new(CanonicalUrl::default()))
    }

    fn seed(url: &str) -> Candidate {
        Candidate::new(Request::parse(url).unwrap(), &CanonicalUrl::default())
    }

    fn found(files: &mut SitemapFiles) -> Vec<String> {
        let found = files.take_found().into_iter();
        found.map(|candidate| candidate.request().url.to_string()).collect()
    }

    fn robots(text: &str) -> Robots {
        Robots::from_status(200, text.as_bytes(), "bot", Instant::now())
    }

    #[test]
    fn each_origin_is_looked_at_once_and_its_robots_file_says_where() {
        let mut files = files(false);
        let sites = files.look_for(&[seed("https://e.org/a"), seed("https://e.org/b"), seed("http://e.org/")]);
        assert_eq!(sites.len(), 2);
        assert_eq!(found(&mut files), ["https://e.org/sitemap.xml", "http://e.org/sitemap.xml"]);
        let file = "https://e.org/robots.txt".parse().unwrap();
        for _ in 0..2 {
            files.robots_known(&file, &robots("Sitemap: https://cdn.net/e.xml.gz\nSitemap: https://e.org/news.xml"));
        }
        assert_eq!(found(&mut files), ["https://cdn.net/e.xml.gz", "https://e.org/news.xml"]);
    }

    #[test]
    fn further_places_are_tried_one_by_one_only_where_nothing_is_named() {
        for (text, further) in [("", true), ("Sitemap: https://e.org/maps/1.xml", false)] {
            let mut files = files(false);
            files.look_for(&[seed("https://e.org/")]);
            files.robots_known(&"https://e.org/robots.txt".parse().unwrap(), &robots(text));
            let mut asked = Vec::new();
            loop {
                let guesses = files.take_found().into_iter().map(|candidate| candidate.request().clone());
                let guesses: Vec<_> = guesses.filter(|request| request.kind() != Kind::Page).collect();
                let Some(guess) = guesses.into_iter().find(|guess| guess.url.path() != "/maps/1.xml") else { break };
                files.ended(&guess, &[Count::SITEMAP_MISSING]);
                asked.push(guess.url.path().to_owned());
            }
            let places = ["/sitemap.xml", "/sitemap_index.xml", "/sitemap.xml.gz", "/sitemap.txt"];
            assert_eq!(asked, if further { &places[..] } else { &places[..1] });
        }
    }

    #[test]
    fn a_file_that_is_read_again_is_read_again_once() {
        let mut files = files(true);
        files.look_for(&[seed("https://e.org/")]);
        let mut first = files.take_found();
        assert!(first[0].request().dont_filter);
        let mut second = first.clone();
        files.each_once(&mut first);
        files.each_once(&mut second);
        assert_eq!((first.len(), second.len()), (1, 0));
    }
}
