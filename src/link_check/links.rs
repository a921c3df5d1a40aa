//! Links: on which pages a link is, until it is known whether it is fine. Knows no pages and no requests.

use std::sync::Arc;

use hashbrown::HashMap;

use super::BrokenLink;

/// The links of a check.
pub(super) struct Links {
    targets: HashMap<Arc<str>, Target>,
    /// How many more targets, and pages that link to them, there is room for.
    room: usize,
}

/// What is known of a URL.
enum Target {
    /// It has not ended: on which pages it is, and what redirects to it.
    Waits {
        pages: Vec<Arc<str>>,
        redirected: Vec<Arc<str>>,
    },
    Ended(End),
}

/// How a URL has ended.
#[derive(Clone)]
pub(super) enum End {
    Fine,
    Broken {
        why: Arc<str>,
        /// Where its redirects lead.
        leads_to: Option<Arc<str>>,
    },
}

/// What became of a link that was found.
pub(super) enum Found {
    /// It is fine, or its page is noted until that is known.
    Noted,
    /// It is known to be broken.
    Broken(BrokenLink),
    /// There is no room to note its page.
    NoRoom,
}

impl Links {
    /// Notes as many links, at the most.
    pub fn new(room: usize) -> Self {
        Self { targets: HashMap::new(), room }
    }

    /// Notes a link on a page.
    pub fn found(&mut self, url: &str, page: &str) -> Found {
        match self.targets.get_mut(url) {
            Some(Target::Ended(End::Fine)) => Found::Noted,
            Some(Target::Ended(end)) => end.on(url, page).map_or(Found::Noted, Found::Broken),
            // A page may have it twice.
            Some(Target::Waits { pages, .. }) if pages.last().is_some_and(|last| &**last == page) => Found::Noted,
            Some(Target::Waits { pages, .. }) if self.room > 0 => {
                self.room -= 1;
                pages.push(page.into());
                Found::Noted
            }
            None if self.room > 1 => {
                self.room -= 2;
                self.targets.insert(url.into(), Target::Waits { pages: vec![page.into()], redirected: Vec::new() });
                Found::Noted
            }
            Some(Target::Waits { .. }) | None => Found::NoRoom,
        }
    }

    /// Notes that a URL redirects to another. Returns its links, if that is known to be broken.
    pub fn leads_to(&mut self, url: &str, to: &str) -> Vec<BrokenLink> {
        match self.targets.get_mut(to) {
            Some(Target::Ended(end)) => {
                let end = end.clone().by_way_of(to);
                self.end(url, &end)
            }
            Some(Target::Waits { redirected, .. }) if self.room > 0 => {
                self.room -= 1;
                redirected.push(url.into());
                Vec::new()
            }
            None if self.room > 1 => {
                self.room -= 2;
                self.targets.insert(to.into(), Target::Waits { pages: Vec::new(), redirected: vec![url.into()] });
                Vec::new()
            }
            // The end of the redirects has the first page.
            Some(Target::Waits { .. }) | None => Vec::new(),
        }
    }

    /// Notes that a URL is broken. Returns its links, or the first page that had it if none is noted.
    pub fn broken(&mut self, url: &str, why: &str, first: Option<&str>) -> Vec<BrokenLink> {
        let end = End::Broken { why: why.into(), leads_to: None };
        let mut links = self.end(url, &end);
        if links.is_empty() {
            links.extend(end.on(url, first.unwrap_or_default()));
        }
        links
    }

    /// Notes how a URL and all that redirects to it have ended. Returns the links to them, if they are broken.
    pub fn end(&mut self, url: &str, end: &End) -> Vec<BrokenLink> {
        let (mut links, mut ended) = (Vec::new(), vec![(Arc::<str>::from(url), end.clone())]);
        while let Some((url, end)) = ended.pop() {
            let before = match self.targets.get_mut(&url) {
                Some(target) => std::mem::replace(target, Target::Ended(end.clone())),
                None if self.room > 0 => {
                    self.room -= 1;
                    self.targets.insert(url, Target::Ended(end));
                    continue;
                }
                None => continue,
            };
            if let Target::Waits { pages, redirected } = before {
                self.room += pages.len() + redirected.len();
                links.extend(pages.iter().filter_map(|page| end.on(&url, page)));
                ended.extend(redirected.into_iter().map(|from| (from, end.clone().by_way_of(&url))));
            }
        }
        links
    }
}

impl End {
    /// Returns the link to a URL that ended so on a page, if it is broken.
    fn on(&self, url: &str, page: &str) -> Option<BrokenLink> {
        let Self::Broken { why, leads_to } = self else { return None };
        let leads_to = leads_to.as_deref().map(str::to_owned);
        Some(BrokenLink { page: page.to_owned(), url: url.to_owned(), leads_to, why: why.to_string() })
    }

    /// The end of what redirects to a URL that ended so.
    fn by_way_of(self, url: &str) -> Self {
        match self {
            Self::Broken { why, leads_to } => Self::Broken { why, leads_to: leads_to.or_else(|| Some(url.into())) },
            Self::Fine => Self::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(links: &mut Links, url: &str, page: &str) -> bool {
        matches!(links.found(url, page), Found::Noted)
    }

    fn texts(links: &[BrokenLink]) -> Vec<String> {
        let mut texts: Vec<_> = links.iter().map(ToString::to_string).collect();
        texts.sort();
        texts
    }

    #[test]
    fn every_page_is_told_of_a_broken_link_by_way_of_redirects_and_in_any_order() {
        let mut links = Links::new(100);
        assert!(noted(&mut links, "old", "p1") && noted(&mut links, "old", "p2") && noted(&mut links, "old", "p2"));
        assert!(links.leads_to("old", "older").is_empty());
        assert!(noted(&mut links, "gone", "p3") && links.leads_to("older", "gone").is_empty());
        let told = texts(&links.broken("gone", "404", Some("p3")));
        assert_eq!(told, ["p1: old → gone (404)", "p2: old → gone (404)", "p3: gone (404)"]);
        let Found::Broken(late) = links.found("old", "p4") else { panic!() };
        assert_eq!(late.to_string(), "p4: old → gone (404)");
        assert!(noted(&mut links, "late", "p5"));
        assert_eq!(texts(&links.leads_to("late", "old")), ["p5: late → gone (404)"], "its end is known already");
        assert!(noted(&mut links, "fine", "p1") && links.end("fine", &End::Fine).is_empty());
        assert!(noted(&mut links, "fine", "p2"));
        assert_eq!(texts(&links.broken("seed", "404", None)), [": seed (404)"]);
    }

    #[test]
    fn what_redirects_in_a_circle_ends() {
        let mut links = Links::new(100);
        assert!(
            noted(&mut links, "a", "p") && links.leads_to("a", "b").is_empty() && links.leads_to("b", "a").is_empty()
        );
        let told = texts(&links.broken("b", "a circle", Some("p")));
        assert_eq!(told, ["p: a → b (a circle)"]);
    }

    #[test]
    fn no_more_is_noted_than_there_is_room_for_and_what_is_fine_gives_it_back() {
        let mut links = Links::new(4);
        assert!(noted(&mut links, "a", "p1") && noted(&mut links, "b", "p1"));
        assert!(matches!(links.found("a", "p2"), Found::NoRoom) && matches!(links.found("c", "p2"), Found::NoRoom));
        assert_eq!(
            texts(&links.broken("c", "404", Some("p2"))),
            ["p2: c (404)"],
            "the first page is known all the same"
        );
        assert!(links.end("a", &End::Fine).is_empty());
        assert!(noted(&mut links, "b", "p2"), "its page has made room");
        assert_eq!(texts(&links.broken("b", "404", Some("p1"))), ["p1: b (404)", "p2: b (404)"]);
    }
}
