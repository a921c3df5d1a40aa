//! WireError: the protocol errors of a server.

use thiserror::Error;

/// A protocol error of a server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Not an HTTP response: HTTP/0.9, another protocol, TLS on a plain port.
    #[error("no HTTP response: it begins with \"{0}\"")]
    NotHttp(String),
    /// An invalid status line, or an unsupported version.
    #[error("a broken status line: \"{0}\"")]
    StatusLine(String),
    /// A NUL byte in the head.
    #[error("a NUL byte in the head")]
    Nul,
    /// Control characters in a header that frames the body.
    #[error("control characters in {0}")]
    Control(String),
    /// An element is longer than the bound.
    #[error("{what} of more than {most} bytes")]
    TooLong {
        /// The element.
        what: &'static str,
        /// The bound in bytes.
        most: usize,
    },
    /// There are more elements than the bound.
    #[error("more than {most} {what}")]
    TooMany {
        /// The elements.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// The server switched to a protocol that was not requested (101).
    #[error("a switch to another protocol that was not asked for")]
    Upgrade,
    /// Content-Length is not a number, or has several values that differ.
    #[error("a Content-Length that is no length: \"{0}\"")]
    Length(String),
    /// Both Content-Length and Transfer-Encoding: an intermediary may have framed the message differently.
    #[error("conflicting Content-Length and Transfer-Encoding")]
    Conflict,
    /// A transfer coding that was not requested.
    #[error("a transfer coding that was not asked for: \"{0}\"")]
    Coding(String),
    /// A chunk without a valid size.
    #[error("a broken chunk size: \"{0}\"")]
    ChunkSize(String),
    /// A chunk longer than its size.
    #[error("a chunk that does not end where it should")]
    ChunkEnd,
    /// The connection ended before the response began.
    #[error("the connection ended before an answer came")]
    NoAnswer,
    /// The connection ended within the head.
    #[error("the connection ended within the head")]
    HeadCut,
    /// The connection ended before the announced length.
    #[error("the connection ended after {got} of {of} bytes")]
    LengthCut {
        /// Bytes received.
        got: u64,
        /// Bytes announced.
        of: u64,
    },
    /// The connection ended before the last chunk.
    #[error("the connection ended before the last chunk")]
    ChunksCut,
    /// The connection was reset within a body that only an orderly close would have ended.
    #[error("the connection broke off within the body")]
    BrokenOff,
}

impl WireError {
    /// Tells whether the response is valid so far but incomplete.
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::HeadCut | Self::LengthCut { .. } | Self::ChunksCut | Self::BrokenOff)
    }
}

/// Formats the first few bytes for people, escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MAX_SHOWN: usize = 40;
    let more = if bytes.len() > MAX_SHOWN { "…" } else { "" };
    format!("{}{more}", bytes.get(..MAX_SHOWN).unwrap_or(bytes).escape_ascii())
}
