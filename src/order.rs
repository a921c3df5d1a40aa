//! Order: which of a domain's waiting requests goes first, and what gives pages their priorities. Knows no queue.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    request::{Kind, Request},
    scope::Pattern,
};

/// Which of a domain's waiting requests goes first; domains never wait for each other.
///
/// In every order a higher [`priority`](Request::priority) goes first, and of requests that the order holds for equal,
/// the one that was found first. The next request is chosen when its turn has come, from what is known then: with the
/// usual pause between requests that is after the links of the page in hand are read, at full speed often before.
/// Depths are those at which URLs are found; a shorter path that is found later moves nothing.
///
/// ```
/// use actix_crawler::{Order, prelude::*};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").order(Order::DepthFirst);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The one that was found first: nearly breadth first, but what a slow page brought waits behind what others
    /// brought.
    #[default]
    #[serde(rename = "found")]
    Found,
    /// The one with the fewest links from a seed.
    #[serde(rename = "breadth")]
    BreadthFirst,
    /// The one with the most links from a seed: all that is below a link is fetched before the next link of the same
    /// page.
    #[serde(rename = "depth")]
    DepthFirst,
}

/// What priorities and depths count at most in an order by depth: both fit in a rank together, and a priority in its
/// upper half outweighs every depth.
const STEPS: i32 = 1 << 16;

impl Order {
    /// Returns the rank of a request in the queue of its domain, if it is not its priority. Priorities beyond ±32,767
    /// and depths beyond 65,535 count as these.
    pub(crate) fn rank(self, request: &Request) -> Option<i32> {
        let deepest = STEPS - 1;
        let depth = i32::try_from(request.depth).map_or(deepest, |depth| depth.min(deepest));
        // A sitemap brings pages, so it does not wait for them.
        let step = match (self, request.kind()) {
            (Self::Found, _) => return None,
            (_, Kind::RobotsTxt | Kind::Sitemap(_) | Kind::File) => deepest,
            (Self::BreadthFirst, Kind::Page) => deepest - depth,
            (Self::DepthFirst, Kind::Page) => depth,
        };
        Some(request.priority.clamp(-STEPS / 2 + 1, STEPS / 2 - 1) * STEPS + step)
    }
}

/// A user's function that tells how good a request is.
#[derive(Clone)]
pub struct BestFirst(Arc<dyn Fn(&Request) -> i32 + Send + Sync>);

impl BestFirst {
    pub fn new(score: impl Fn(&Request) -> i32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(score))
    }

    fn rank(&self, request: &mut Request) {
        if request.kind() == Kind::Page {
            request.rank = Some((self.0)(request));
        }
    }
}

impl fmt::Debug for BestFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BestFirst")
    }
}

/// The priority of the pages whose URLs match, for a file and the command line: what
/// [`Crawler::best_first`](crate::Crawler::best_first) is for a program.
///
/// Of several rules the first that matches counts. A page to which the spider gave another priority than 0
/// keeps that one.
///
/// ```
/// use actix_crawler::{Settings, settings::PriorityRule};
///
/// let products = PriorityRule { url: "/product/".parse()?, priority: 10 };
/// let settings = Settings { priorities: vec![products], ..Settings::default() };
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorityRule {
    /// What the URL has to match.
    pub url: Pattern,
    /// The [`priority`](Request::priority) of the page; below 0 it goes after those that no rule matches.
    pub priority: i32,
}

/// What gives pages their priorities and ranks when they are found or seeded.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    /// The rules, of which the first that matches counts.
    pub rules: Arc<[PriorityRule]>,
    /// The function whose result is the rank.
    pub best_first: Option<BestFirst>,
}

impl Ranking {
    /// Gives a request its priority and its rank. It may be a copy of another one, and still carry that one's rank.
    /// Runs a user's code, so it may panic or take long.
    pub fn rank(&self, request: &mut Request) {
        request.rank = None;
        if request.priority == 0
            && request.kind() == Kind::Page
            && let Some(rule) = self.rules.iter().find(|rule| rule.url.is_match(request.url.as_str()))
        {
            request.priority = rule.priority;
        }
        if let Some(best_first) = &self.best_first {
            best_first.rank(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(priority: i32, depth: u32) -> Request {
        let mut request = Request::parse("https://e.org/").unwrap().priority(priority);
        request.depth = depth;
        request
    }

    #[test]
    fn a_priority_outweighs_every_depth_and_depths_are_told_apart() {
        for (order, near_first) in [(Order::BreadthFirst, true), (Order::DepthFirst, false)] {
            let rank = |priority, depth| order.rank(&request(priority, depth)).unwrap();
            assert_eq!(rank(0, 1) > rank(0, 2), near_first);
            assert_eq!(rank(0, 0) > rank(0, 65_535), near_first);
            assert_eq!(rank(-3, 1) > rank(-3, 2), near_first);
            for depth in [0, 7, u32::MAX] {
                assert!(rank(1, depth) > rank(0, 0).max(rank(0, u32::MAX)));
                assert!(rank(-1, depth) < rank(0, 0).min(rank(0, u32::MAX)));
                assert_eq!(rank(i32::MAX, depth), rank(32_767, depth));
                assert_eq!(rank(i32::MIN, depth), rank(-32_767, depth));
            }
        }
        assert_eq!(Order::Found.rank(&request(i32::MIN, 3)), None, "there the priority is the rank");
    }

    #[test]
    fn the_first_rule_that_matches_gives_a_page_the_priority_that_nobody_else_gave_it() {
        let rule = |url: &str, priority| PriorityRule { url: url.parse().unwrap(), priority };
        let rules = [rule("/product/", 10), rule("/product/old", 20), rule("^https://e.org/$", -5)];
        let ranking = Ranking { rules: rules.into(), best_first: None };
        let priority = |url: &str, given| {
            let mut request = Request::parse(url).unwrap().priority(given);
            ranking.rank(&mut request);
            request.priority
        };
        assert_eq!(priority("https://e.org/product/old", 0), 10);
        assert_eq!(priority("https://e.org/", 0), -5);
        assert_eq!(priority("https://e.org/about", 0), 0);
        assert_eq!(priority("https://e.org/product/1", 3), 3, "the spider's own");
    }

    #[test]
    fn its_names_are_those_of_the_file_and_of_the_command_line() {
        for (order, name) in [(Order::Found, "found"), (Order::BreadthFirst, "breadth"), (Order::DepthFirst, "depth")] {
            assert_eq!(serde_json::to_string(&order).unwrap(), format!("\"{name}\""));
        }
    }
}
