//! Credentials: passwords and tokens, each sent only to its origin.

use std::{collections::HashMap, fmt};

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use url::{Origin, Url};

use super::basic::Basic;
use crate::{
    error::{Error, Result},
    request::parse_url,
    text::masked::masked,
};

/// A password or a token. Its `Debug` hides the secret.
///
/// ```
/// use actix_crawler::{ThrottledClient, transport::Credentials};
///
/// let client = ThrottledClient::builder("pricebot/1.0 (+https://example.org/bot)")
///     .credentials("https://api.example.com", Credentials::bearer("token"))
///     .build()?;
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Credentials {
    /// A user name and a password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(String),
}

/// An origin with its credentials.
///
/// ```
/// use actix_crawler::transport::{Credentials, OriginCredentials, TransportSettings};
///
/// let login = OriginCredentials {
///     origin: "https://intranet.example".into(),
///     credentials: Credentials::basic("me", "secret"),
/// };
/// let settings = TransportSettings { credentials: vec![login], ..TransportSettings::default() };
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginCredentials {
    /// The origin: scheme, host and port, as in `https://example.org`.
    pub origin: String,
    /// Its credentials.
    pub credentials: Credentials,
}

/// The credentials of a crawl, by origin.
#[derive(Default)]
pub struct CredentialStore(HashMap<Origin, HeaderValue>);

impl Credentials {
    /// Creates credentials from a user name and a password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic(Basic { user: user.into(), password: password.into() })
    }

    /// Creates credentials from a token.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::Bearer(token.into())
    }

    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            // RFC 7617 §2: a user name must not contain a colon.
            Self::Basic(basic) => (!basic.user.contains(':')).then(|| basic.header())?,
            Self::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(basic) => basic.fmt(f),
            Self::Bearer(_) => f.write_str("Bearer(***)"),
        }
    }
}

impl OriginCredentials {
    /// Takes the user information of a URL as credentials for its origin.
    pub fn in_url(url: &Url) -> Option<Self> {
        let credentials = Credentials::Basic(Basic::of(url)?);
        Some(Self { origin: url.origin().ascii_serialization(), credentials })
    }
}

impl CredentialStore {
    /// Checks the credentials. If an origin has several, the first are used.
    ///
    /// # Errors
    /// Names the origin that is invalid, or whose credentials cannot be sent.
    pub fn new(given: &[OriginCredentials]) -> Result<Self> {
        let mut keyring = HashMap::new();
        for OriginCredentials { origin, credentials } in given {
            let refuse = |why: &str| Error::setting("credentials", format!("for `{}`: {why}", masked(origin)));
            let url = parse_url(origin).map_err(|_| refuse("it is no origin; write it as https://example.org"))?;
            if url.path() != "/" || url.query().is_some() || Basic::of(&url).is_some() {
                return Err(refuse("an origin is a scheme, a host and a port; write it as https://example.org"));
            }
            let header = credentials.header().ok_or_else(|| refuse("they have characters that cannot be sent"))?;
            keyring.entry(url.origin()).or_insert(header);
        }
        Ok(Self(keyring))
    }

    /// Returns the `Authorization` header for a request to `url`.
    pub fn header(&self, url: &Url) -> Option<&HeaderValue> {
        if self.0.is_empty() { None } else { self.0.get(&url.origin()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(origin: &str, credentials: Credentials) -> Result<CredentialStore> {
        CredentialStore::new(&[OriginCredentials { origin: origin.to_owned(), credentials }])
    }

    #[test]
    fn credentials_open_their_origin_and_no_other() {
        let keyring = keyring("https://e.org", Credentials::bearer("token")).unwrap();
        let header = |url: &str| keyring.header(&Url::parse(url).unwrap()).map(|value| value.to_str().unwrap());
        assert_eq!(header("https://e.org/any/page?x"), Some("Bearer token"));
        assert_eq!(header("https://E.ORG:443/"), Some("Bearer token"));
        for other in ["http://e.org/", "https://e.org:8443/", "https://www.e.org/", "https://e.org.evil.org/"] {
            assert_eq!(header(other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_being_shown() {
        for (origin, credentials) in [
            ("e.org", Credentials::bearer("s3cret")),
            ("https://e.org/path", Credentials::bearer("s3cret")),
            ("https://e.org", Credentials::bearer("s3cret\r\nx: y")),
            ("https://e.org", Credentials::basic("a:b", "s3cret")),
        ] {
            assert!(!format!("{credentials:?}").contains("s3cret"));
            let error = keyring(origin, credentials).err().unwrap().to_string();
            assert!(error.contains("e.org") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_user_information_of_a_url_is_basic_credentials_of_its_origin() {
        let given = OriginCredentials::in_url(&Url::parse("http://me:pw@e.org:8080/x").unwrap()).unwrap();
        assert_eq!((given.origin.as_str(), given.credentials), ("http://e.org:8080", Credentials::basic("me", "pw")));
        assert!(OriginCredentials::in_url(&Url::parse("http://e.org/").unwrap()).is_none());
    }
}
