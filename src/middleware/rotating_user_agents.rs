//! RotatingUserAgents: several User-Agents that take turns. Each names the crawler and a contact.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Attempt, Middleware, Refuse};
use crate::{
    error::{Error, Result},
    request::{Kind, Request},
    user_agent,
};

/// Sends each page's request with the next of several User-Agents. A request that has one of its own keeps it. Robots
/// files are asked for with the crawl's own, whose name their rules are read for.
///
/// ```
/// use actix_crawler::middleware::RotatingUserAgents;
///
/// let bots = ["bot/1.0 (+https://example.org/bot)", "bot/1.0 mobile (+https://example.org/bot)"];
/// assert!(RotatingUserAgents::new(bots).is_ok());
/// assert!(RotatingUserAgents::new(["Mozilla/5.0"]).is_err(), "a crawler is never anonymous");
/// ```
#[derive(Debug)]
pub struct RotatingUserAgents {
    user_agents: Vec<String>,
    next: AtomicUsize,
}

impl RotatingUserAgents {
    /// Creates the rotation.
    ///
    /// # Errors
    /// None is given, or one has no contact.
    pub fn new<T: Into<String>>(user_agents: impl IntoIterator<Item = T>) -> Result<Self> {
        let user_agents: Vec<String> = user_agents.into_iter().map(Into::into).collect();
        if user_agents.is_empty() {
            return Err(Error::setting("user agents", "none is given"));
        }
        user_agents.iter().try_for_each(|user_agent| user_agent::check(user_agent))?;
        Ok(Self { user_agents, next: AtomicUsize::new(0) })
    }
}

impl Middleware for RotatingUserAgents {
    fn name(&self) -> &'static str {
        "user_agents"
    }

    fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.user_agents.len();
        if request.kind() == Kind::Page
            && let Some(user_agent) = self.user_agents.get(turn)
        {
            request.default_header("user-agent", user_agent);
        }
        Ok(())
    }
}
