//! Rare: what few requests have: a chain of redirects, an earlier visit, who waits for it, a session. Does not know
//! which redirects are followed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{identity::Fingerprint, recrawl::page_visit::PageVisit};

/// The chain of redirects that led to a request, the last visit of its page, who waits for it, and its session: few
/// requests have any of these, and they share the room for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// The fingerprints of the requests that redirected to this one, oldest first.
    pub from: Vec<Fingerprint>,
    /// The URLs of those requests, oldest first.
    pub urls: Vec<Arc<str>>,
    /// What cookies have changed for the loops of redirects.
    pub repeats: Repeats,
    /// What the page was like when it was last fetched; see [`Response::last_visit`](crate::Response::last_visit).
    pub visited: Option<PageVisit>,
    /// Who waits for the page at the end of the chain.
    pub submission: Option<SubmissionId>,
    /// The session that it names; see [`Request::session`](super::Request::session).
    pub session: Option<Arc<str>>,
}

/// Identifies a page that a caller waits for. In another process nobody knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SubmissionId(pub u64);

/// How far a chain of redirects may come back to where it was: it may where cookies have changed since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repeats {
    /// So many requests of the chain, from the oldest on, may be answered otherwise by now.
    pub allowed: usize,
    /// Whether [`Request::dont_filter`](super::Request::dont_filter) was set for such a repeat, and not by whoever made
    /// the request.
    pub is_repeat: bool,
}

impl Rare {
    /// Returns the approximate memory of it, in bytes.
    pub fn size(&self) -> usize {
        let urls: usize = self.urls.iter().map(|url| size_of::<Arc<str>>() + url.len()).sum();
        let session = self.session.as_ref().map_or(0, |name| name.len());
        size_of::<Self>() + urls + self.from.len() * size_of::<Fingerprint>() + session
    }
}

impl Repeats {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
