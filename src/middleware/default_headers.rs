//! DefaultHeaders: headers that every request carries, or every request to one origin. The settings' `[headers]`.

use std::{collections::BTreeMap, fmt};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Attempt, Middleware, Refuse};
use crate::{
    error::{Error, Result},
    request::{Request, parse_url},
    user_agent,
};

/// Headers for every request, and for those to one origin, whose value then holds. A request's own header of the same
/// name is kept.
///
/// Headers for every request go to every origin that the crawl comes to: a token belongs to its origin, with
/// [`DefaultHeaders::header_for`].
///
/// ```
/// use actix_crawler::middleware::DefaultHeaders;
///
/// let headers = DefaultHeaders::new()
///     .header("accept-language", "de")
///     .header_for("https://api.example.org", "authorization", "Bearer secret");
/// assert!(headers.check().is_ok());
/// assert!(DefaultHeaders::new().header("user-agent", "Mozilla/5.0").check().is_err(), "never anonymous");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultHeaders {
    /// Headers of every request.
    pub all: BTreeMap<String, String>,
    /// Headers of the requests to an origin, `https://example.org`.
    pub origins: BTreeMap<String, BTreeMap<String, String>>,
}

impl DefaultHeaders {
    /// Begins without headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a header with every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.all.insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// Sends a header with every request to an origin, `https://example.org`; a path is ignored.
    #[must_use]
    pub fn header_for(mut self, origin: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        let origin = origin.into();
        // What is no URL is kept as it is, for `check` to complain of.
        let origin = parse_url(&origin).map_or(origin, |url| origin_of(&url));
        self.origins.entry(origin).or_default().insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.origins.is_empty()
    }

    /// Checks that each can be sent.
    ///
    /// # Errors
    /// A name or value is no header's, an origin is no URL, or a User-Agent has no contact; the message names it.
    pub fn check(&self) -> Result<()> {
        for origin in self.origins.keys() {
            parse_url(origin)?;
        }
        for (name, value) in self.origins.values().chain([&self.all]).flatten() {
            let refuse = |why: &str| Error::setting(format!("header {name}"), why);
            name.parse::<HeaderName>().map_err(|_| refuse("is no name of a header"))?;
            value.parse::<HeaderValue>().map_err(|_| refuse("its value has characters that a header cannot carry"))?;
            if name.eq_ignore_ascii_case("user-agent") {
                user_agent::check(value)?;
            }
        }
        Ok(())
    }

    /// Reads every origin as a URL once, so that those of a file match however they are written.
    #[must_use]
    pub(crate) fn normalised(self) -> Self {
        let mut normal = Self { all: BTreeMap::new(), origins: BTreeMap::new() };
        for (name, value) in self.all {
            normal = normal.header(name, value);
        }
        for (origin, headers) in self.origins {
            for (name, value) in headers {
                normal = normal.header_for(&origin, name, value);
            }
        }
        normal
    }
}

/// Shows names and no values: those may be secret.
impl fmt::Debug for DefaultHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins: Vec<_> = self.origins.iter().map(|(origin, headers)| (origin, headers.keys())).collect();
        f.debug_struct("DefaultHeaders").field("all", &self.all.keys()).field("origins", &origins).finish()
    }
}

impl Middleware for DefaultHeaders {
    fn name(&self) -> &'static str {
        "headers"
    }

    fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
        let of_origin = if self.origins.is_empty() { None } else { self.origins.get(&origin_of(&request.url)) };
        // The first of a name holds.
        for (name, value) in of_origin.into_iter().flatten().chain(&self.all) {
            request.default_header(name, value);
        }
        Ok(())
    }
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
