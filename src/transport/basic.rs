//! Basic: a user name and a password (RFC 7617). Does not know which server they are for.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

/// A user name and a password. Its `Debug` hides the password.
///
/// ```
/// use actix_crawler::transport::Basic;
///
/// let basic = Basic { user: "me".into(), password: "secret".into() };
/// assert_eq!(basic.header(), "Basic bWU6c2VjcmV0");
/// assert!(!format!("{basic:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Basic {
    /// Takes the user information of a URL, if it has any.
    pub fn of(url: &Url) -> Option<Self> {
        let password = url.password();
        if url.username().is_empty() && password.is_none() {
            return None;
        }
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        Some(Self { user: decode(url.username()), password: decode(password.unwrap_or_default()) })
    }

    /// Returns the value of the header.
    pub fn header(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic {{ user: {:?}, password: *** }}", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_information_of_a_url_is_decoded_and_sent_as_rfc_7617_says() {
        let of = |text: &str| Basic::of(&Url::parse(text).unwrap());
        // The example of RFC 7617 §2.
        let aladdin = of("http://Aladdin:open%20sesame@e.org/").unwrap();
        assert_eq!(aladdin.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(of("http://e.org/"), None);
        assert_eq!(of("http://u%40x@e.org/").unwrap().user, "u@x");
        assert!(!format!("{aladdin:?}").contains("sesame"));
    }
}
