//! KnownDepth: what is stored of how far a URL is from a seed, so that a later process can bring it nearer. Knows no
//! store.

use crate::{identity::Fingerprint, request::Request};

/// What is known of a URL's depth.
///
/// ```
/// use actix_crawler::{Request, frontier::known_depth::{KnownDepth, DepthLink}};
///
/// let to = Request::parse("https://e.org/b")?.fingerprint();
/// let page = KnownDepth::Page { depth: 1, links: [DepthLink { to, is_redirect: false }].into() };
/// let read = KnownDepth::from_bytes(&page.to_bytes().unwrap());
/// assert!(matches!(read, Some(KnownDepth::Page { depth: 1, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum KnownDepth {
    /// It was taken in: it has come nearer since, or it was fetched and has links.
    Page {
        /// How many links it is from a seed.
        depth: u32,
        /// What it leads to; nothing before it was fetched.
        links: Box<[DepthLink]>,
    },
    /// It was dropped as too deep.
    TooDeep(Box<Request>),
}

/// A link of a page; a redirect's target is as deep as the page itself.
///
/// ```
/// use actix_crawler::{Request, frontier::known_depth::DepthLink};
///
/// let to = Request::parse("https://e.org/b")?.fingerprint();
/// let link = DepthLink { to, is_redirect: true };
/// assert!(link.is_redirect);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthLink {
    /// Where it leads.
    pub to: Fingerprint,
    /// Whether it is a redirect.
    pub is_redirect: bool,
}

impl DepthLink {
    /// Returns the depth of its target on a page of this depth.
    pub(super) fn depth(&self, page: u32) -> u32 {
        if self.is_redirect { page } else { page.saturating_add(1) }
    }
}

const PAGE: u8 = 0;
const TOO_DEEP: u8 = 1;

/// Bytes of a stored link: the fingerprint, and whether it is a redirect.
const LINK: usize = 17;

impl KnownDepth {
    /// Returns it as bytes for a store; `None` where the request cannot be written.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Page { depth, links } => {
                let mut bytes = Vec::with_capacity(5 + LINK * links.len());
                bytes.push(PAGE);
                bytes.extend(depth.to_be_bytes());
                for link in links {
                    bytes.extend(link.to.to_bytes());
                    bytes.push(link.is_redirect.into());
                }
                Some(bytes)
            }
            Self::TooDeep(request) => {
                let mut bytes = vec![TOO_DEEP];
                serde_json::to_writer(&mut bytes, request).ok()?;
                Some(bytes)
            }
        }
    }

    /// Reads what [`KnownDepth::to_bytes`] wrote; `None` if it is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&PAGE, rest) => {
                let (depth, links) = rest.split_at_checked(4)?;
                let link = |bytes: &[u8]| {
                    let (is_redirect, to) = bytes.split_last()?;
                    Some(DepthLink { to: Fingerprint::from_bytes(to.try_into().ok()?), is_redirect: *is_redirect != 0 })
                };
                let links = links.chunks(LINK).map(link).collect::<Option<_>>()?;
                Some(Self::Page { depth: u32::from_be_bytes(depth.try_into().ok()?), links })
            }
            (&TOO_DEEP, json) => Some(Self::TooDeep(serde_json::from_slice(json).ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_depth_can_be_read_back_and_what_is_damaged_is_nothing() {
        let links =
            (0..3_u128).map(|n| DepthLink { to: Fingerprint::from_bytes(n.to_be_bytes()), is_redirect: n == 1 });
        let page = KnownDepth::Page { depth: 7, links: links.collect() };
        let request = Request::parse("https://e.org/deep").unwrap();
        for known in [page, KnownDepth::TooDeep(request.into())] {
            let bytes = known.to_bytes().unwrap();
            assert_eq!(format!("{:?}", KnownDepth::from_bytes(&bytes).unwrap()), format!("{known:?}"));
            assert!(KnownDepth::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        }
        assert!(KnownDepth::from_bytes(b"").is_none() && KnownDepth::from_bytes(b"\x02").is_none());
    }
}
