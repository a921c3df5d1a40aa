//! WireError: what a server did wrong.

use thiserror::Error;

/// What a server did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// What came is no HTTP response: HTTP/0.9, another protocol, TLS on a plain port.
    #[error("no HTTP response: it begins with \"{0}\"")]
    NotHttp(String),
    /// The status line is of another HTTP, or broken.
    #[error("a broken status line: \"{0}\"")]
    StatusLine(String),
    /// The head has a NUL byte.
    #[error("a NUL byte in the head")]
    Nul,
    /// A header that frames the body has a value that no header may have.
    #[error("control characters in {0}")]
    Control(String),
    /// Something is longer than we read.
    #[error("{what} of more than {most} bytes")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be, in bytes.
        most: usize,
    },
    /// There is more of something than we read.
    #[error("more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The server switches to a protocol that it was not asked for (101).
    #[error("a switch to another protocol that was not asked for")]
    Upgrade,
    /// Content-Length is no number, or several that differ.
    #[error("a Content-Length that is no length: \"{0}\"")]
    Length(String),
    /// Both Content-Length and Transfer-Encoding frame the body: somebody between us and the server may be deceived.
    #[error("conflicting Content-Length and Transfer-Encoding")]
    Conflict,
    /// The body has a transfer coding that was not asked for.
    #[error("a transfer coding that was not asked for: \"{0}\"")]
    Coding(String),
    /// A chunk begins with something else than its size, or with one that is too large.
    #[error("a broken chunk size: \"{0}\"")]
    ChunkSize(String),
    /// A chunk does not end where its size says.
    #[error("a chunk that does not end where it should")]
    ChunkEnd,
    /// The connection ended before the server said anything.
    #[error("the connection ended before an answer came")]
    NoAnswer,
    /// The connection ended within the head.
    #[error("the connection ended within the head")]
    HeadCut,
    /// The connection ended before the body was as long as promised.
    #[error("the connection ended after {got} of {of} bytes")]
    LengthCut {
        /// Bytes that came.
        got: u64,
        /// Bytes that were promised.
        of: u64,
    },
    /// The connection ended before the last chunk.
    #[error("the connection ended before the last chunk")]
    ChunksCut,
    /// The connection broke off in a body that only its end in order would have ended.
    #[error("the connection broke off within the body")]
    BrokenOff,
}

impl WireError {
    /// Tells whether the response began rightly and is not whole, rather than wrong.
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::HeadCut | Self::LengthCut { .. } | Self::ChunksCut | Self::BrokenOff)
    }
}

/// Shows bytes to people: the first few, escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MAX_SHOWN: usize = 40;
    let more = if bytes.len() > MAX_SHOWN { "…" } else { "" };
    format!("{}{more}", bytes.get(..MAX_SHOWN).unwrap_or(bytes).escape_ascii())
}
