//! SoftBlock: finds pages that only look like pages, such as captchas with status 200, and lets their domain rest.

use std::time::Duration;

use regex::Regex;

use super::{Attempt, Decision, Middleware, Received};
use crate::{
    error::{Error, Result},
    request::Request,
};

/// Finds answers that refuse without saying so. The domain then rests, for everyone who asks it, and the page is asked
/// for again; see [`Decision::Cool`].
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::middleware::SoftBlock;
///
/// let soft_block = SoftBlock::new()
///     .status(403)
///     .body("(?i)are you a robot|unusual traffic")?
///     .rest(Duration::from_secs(300));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SoftBlock {
    statuses: Vec<u16>,
    bodies: Vec<Regex>,
    rest: Duration,
}

/// How long a domain rests by default: long enough for the usual window of a minute to pass.
const DEFAULT_REST: Duration = Duration::from_secs(120);

/// The most of a page's text that patterns are looked for in: a page that blocks is small, and says so at its
/// beginning.
const MAX_SEARCHED: usize = 64 << 10;

impl Default for SoftBlock {
    fn default() -> Self {
        Self { statuses: Vec::new(), bodies: Vec::new(), rest: DEFAULT_REST }
    }
}

impl SoftBlock {
    /// Begins with nothing to look for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes answers with this status for a block.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.statuses.push(status);
        self
    }

    /// Takes pages whose first 64 KiB match this regular expression for a block, whatever their status.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn body(mut self, pattern: &str) -> Result<Self> {
        let pattern = Regex::new(pattern).map_err(|error| Error::setting("soft block", error.to_string()))?;
        self.bodies.push(pattern);
        Ok(self)
    }

    /// Lets the domain rest for so long, in place of two minutes.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.rest = rest;
        self
    }

    fn sign(&self, received: &Received) -> Option<String> {
        if self.statuses.contains(&received.status()) {
            return Some(format!("status {} is taken for a block", received.status()));
        }
        if self.bodies.is_empty() {
            return None;
        }
        let text = received.page().ok()?.body_text();
        let end = (0..=MAX_SEARCHED.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let searched = text.get(..end).unwrap_or(text);
        let found = self.bodies.iter().find_map(|pattern| pattern.find(searched))?;
        Some(format!("the page says `{}`", found.as_str().chars().take(80).collect::<String>()))
    }
}

impl Middleware for SoftBlock {
    fn name(&self) -> &'static str {
        "soft_block"
    }

    fn after(&self, _: &Request, received: &Received, _: &Attempt) -> Decision {
        self.sign(received).map_or(Decision::Pass, |why| Decision::cool(self.rest, why))
    }
}
