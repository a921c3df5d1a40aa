//! PageFacts: what an element knows of its page beside the tree. Knows no markup.

#[cfg(feature = "xpath")]
use std::sync::OnceLock;

use super::address::Address;
#[cfg(feature = "xpath")]
use super::node_order::NodeOrder;

/// What the elements of a page share.
#[derive(Clone, Debug)]
pub(super) struct PageFacts {
    /// What references are resolved against.
    pub address: Address,
    /// The length of the page, in bytes.
    pub length: usize,
    /// Where each node stands, once an expression has asked.
    #[cfg(feature = "xpath")]
    pub order: OnceLock<NodeOrder>,
}

/// Those of a page that was read without an address. Elements of several pages have these, so nothing of one page may
/// be kept in them.
static UNKNOWN: PageFacts = PageFacts::of(usize::MAX);

impl PageFacts {
    /// Creates those of a page of this length whose address is not known.
    pub const fn of(length: usize) -> Self {
        Self {
            address: Address::UNKNOWN,
            length,
            #[cfg(feature = "xpath")]
            order: OnceLock::new(),
        }
    }

    /// Returns those of elements whose page is not known.
    pub fn unknown() -> &'static Self {
        &UNKNOWN
    }
}
