//! Order: which of a domain's waiting requests goes first. Knows no queue.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::request::{Kind, Request};

/// Which of a domain's waiting requests goes first; domains never wait for each other.
///
/// In every order a higher [`priority`](Request::priority) goes first, and of requests that the order holds for equal, the
/// one that was found first. The next request is chosen when its turn has come, from what is known then: with the usual
/// pause between requests that is after the links of the page in hand are read, at full speed often before. Depths are those
/// at which URLs are found; a shorter path that is found later moves nothing.
///
/// ```
/// use actix_crawler::{Order, prelude::*};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").order(Order::DepthFirst);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The one that was found first: nearly breadth first, but what a slow page brought waits behind what others brought.
    #[default]
    #[serde(rename = "found")]
    Found,
    /// The one with the fewest links from a seed.
    #[serde(rename = "breadth")]
    BreadthFirst,
    /// The one with the most links from a seed: all that is below a link is fetched before the next link of the same page.
    #[serde(rename = "depth")]
    DepthFirst,
}

/// What priorities and depths count at most in an order by depth: both fit in a rank together, and a priority in its upper
/// half outweighs every depth.
const STEPS: i32 = 1 << 16;

impl Order {
    /// Returns the rank of a request in the queue of its domain, if it is not its priority. Priorities beyond ±32,767 and
    /// depths beyond 65,535 count as these.
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

    /// Ranks a request. Runs a user's code, so it may panic or take long.
    pub fn rank(&self, request: &mut Request) {
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
    fn its_names_are_those_of_the_file_and_of_the_command_line() {
        for (order, name) in [(Order::Found, "found"), (Order::BreadthFirst, "breadth"), (Order::DepthFirst, "depth")] {
            assert_eq!(serde_json::to_string(&order).unwrap(), format!("\"{name}\""));
        }
    }
}
