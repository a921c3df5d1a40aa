//! Exchange: one request and its response, as they are archived. Does not know how they came.

use std::{net::IpAddr, time::SystemTime};

use bytes::Bytes;

/// One request and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The URL, without user name and password.
    pub url: String,
    /// When the request was written.
    pub began: SystemTime,
    /// The address of the server, unless a proxy was between.
    pub server: Option<IpAddr>,
    /// The request.
    pub request: Vec<u8>,
    /// The head of the response, with the empty line at its end.
    pub head: Vec<u8>,
    /// The body without its transfer coding.
    pub body: Bytes,
    /// Why the body is not whole, if it is not.
    pub truncated: Option<Truncated>,
    /// What else is known, as fields of the metadata record.
    pub notes: Vec<(&'static str, String)>,
}

/// Why a body is not whole: the words of the standard (ISO 28500:2017 §5.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncated {
    /// It is longer than what is read.
    Length,
    /// It took too long.
    Time,
    /// The connection broke off.
    Disconnect,
    /// Anything else.
    Unspecified,
}

#[cfg(feature = "warc")]
impl Truncated {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Time => "time",
            Self::Disconnect => "disconnect",
            Self::Unspecified => "unspecified",
        }
    }
}
