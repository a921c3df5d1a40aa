//! DefaultHeaders: headers that every request carries, or every request to one origin. The settings' `[headers]`.

use std::{collections::BTreeMap, fmt};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Attempt, Middleware, Refuse};
use crate::{
    domain::by_domain::ByDomain,
    error::{Error, Result},
    headers::origin_header::belongs_to_origin,
    request::{Request, parse_url},
    transport::host_pattern::bare,
    user_agent,
};

/// Headers for every request, and for those to one origin, whose value then holds. A request's own header of the same
/// name is kept.
///
/// Headers for every request go to every origin that the crawl comes to. So a `Host`, and one that looks like a secret
/// by its name, as `Authorization`, `Cookie` and `X-Api-Key` do, is refused there: it belongs to its origin, with
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
/// assert!(DefaultHeaders::new().header("x-api-key", "secret").check().is_err(), "never to all origins");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultHeaders {
    /// Headers of every request.
    pub all: BTreeMap<String, String>,
    /// Headers of the requests to an origin, `https://example.org`.
    pub origins: BTreeMap<String, BTreeMap<String, String>>,
    /// Headers of the requests to a domain, from its own settings.
    #[serde(skip)]
    domains: ByDomain<BTreeMap<String, String>>,
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

    /// Adds the headers of domains.
    #[must_use]
    pub(crate) fn with_domains(self, domains: ByDomain<BTreeMap<String, String>>) -> Self {
        Self { domains, ..self }
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.origins.is_empty() && self.domains.is_empty()
    }

    /// Checks that each can be sent.
    ///
    /// # Errors
    /// A name or value is no header's, an origin is no URL, a User-Agent has no contact, or a header for every request
    /// belongs to one origin; the message names it.
    pub fn check(&self) -> Result<()> {
        self.check_with(&[])
    }

    /// Checks that each can be sent; names of headers that the transport keeps to their origin are secrets too.
    ///
    /// # Errors
    /// As [`DefaultHeaders::check`].
    pub(crate) fn check_with(&self, secret_headers: &[String]) -> Result<()> {
        for origin in self.origins.keys() {
            parse_url(origin)?;
        }
        for (name, value) in self.origins.values().chain([&self.all]).chain(self.domains.values()).flatten() {
            let refuse = |why: &str| Error::setting(format!("header {name}"), why);
            name.parse::<HeaderName>().map_err(|_| refuse("is no name of a header"))?;
            value.parse::<HeaderValue>().map_err(|_| refuse("its value has characters that a header cannot carry"))?;
            if name.eq_ignore_ascii_case("user-agent") {
                user_agent::check(value)?;
            }
        }
        let of_many_origins = [&self.all].into_iter().chain(self.domains.values());
        of_many_origins.flat_map(BTreeMap::keys).try_for_each(|name| refuse_of_origin(name, secret_headers))
    }

    /// Reads every origin as a URL once, so that those of a file match however they are written.
    #[must_use]
    pub(crate) fn normalised(self) -> Self {
        let mut normal = Self { domains: self.domains, ..Self::default() };
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
        f.debug_struct("DefaultHeaders")
            .field("all", &self.all.keys())
            .field("origins", &origins)
            .finish_non_exhaustive()
    }
}

impl Middleware for DefaultHeaders {
    fn name(&self) -> &'static str {
        "headers"
    }

    fn before(&self, request: &mut Request, _: &Attempt) -> Result<(), Refuse> {
        let of_origin = if self.origins.is_empty() { None } else { self.origins.get(&origin_of(&request.url)) };
        let of_domain = self.domains.get(bare(request.url.host_str().unwrap_or_default()));
        // The first of a name holds.
        let in_turn = of_origin.into_iter().chain(of_domain).chain([&self.all]);
        for (name, value) in in_turn.flatten() {
            request.default_header(name, value);
        }
        Ok(())
    }
}

/// Refuses a header that would go to more than one origin although it belongs to one.
fn refuse_of_origin(name: &str, secret_headers: &[String]) -> Result<()> {
    if !belongs_to_origin(name) && !secret_headers.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let why = "belongs to one origin by its name, and would go to every one that is requested; bind it to its own with \
               .header_for(\"https://example.org\", …), or [headers.origins.\"https://example.org\"] in a file";
    Err(Error::setting(format!("header {name}"), why))
}

fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_settings_call_a_secret_goes_to_one_origin_only() {
        let secret = ["X-Pool".to_owned()];
        let to_all = DefaultHeaders::new().header("x-pool", "7");
        assert!(to_all.check().is_ok());
        assert!(to_all.check_with(&secret).unwrap_err().to_string().starts_with("header x-pool: "));
        assert!(DefaultHeaders::new().header_for("https://a.test", "x-pool", "7").check_with(&secret).is_ok());
    }
}
