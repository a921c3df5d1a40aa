//! NearDuplicates as middleware: leaves out pages that are nearly the same as an earlier one.

use super::{Attempt, Decision, Middleware, Received};
use crate::{extract::NearDuplicates, request::Request, response::Response};

/// Drops pages whose text is nearly that of an earlier page as `middleware/skipped`, and counts them as
/// `middleware/near_duplicates/skipped`. Their links are not followed. Pages without text pass.
///
/// ```
/// use actix_crawler::{extract::NearDuplicates, prelude::*};
///
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let crawler = Crawler::new(titles, "newsbot/1.0 (+https://example.org/bot)")
///     .seed("https://example.org/")
///     .middleware(NearDuplicates::default());
/// ```
impl Middleware for NearDuplicates {
    fn name(&self) -> &'static str {
        "near_duplicates"
    }

    fn after(&self, request: &Request, received: &Received, _: &Attempt) -> Decision {
        if !(200..300).contains(&received.status()) {
            return Decision::Pass;
        }
        let hash = received.page().ok().filter(|page| page.is_html()).and_then(Response::simhash);
        let earlier = hash.and_then(|hash| self.find_or_add(hash, request.url.as_str()));
        earlier.map_or(Decision::Pass, |earlier| Decision::skip(format!("nearly the same as {earlier}")))
    }
}
