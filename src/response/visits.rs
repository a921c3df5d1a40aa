//! Visits: what distinguishes this version of a page from others. Knows no store.

use super::Response;
use crate::{
    extract::Simhash,
    recrawl::page_visit::{PageChange, PageVersion, PageVisit},
};

impl Response {
    /// Returns the simhash of the page's visible text; `None` if it has none. Pages that are nearly the same nearly
    /// share it; [`NearDuplicates`](crate::extract::NearDuplicates) finds them.
    pub fn simhash(&self) -> Option<Simhash> {
        Simhash::of(&self.text())
    }

    /// Returns hashes of the page, by which a later version is compared with this one.
    pub fn version(&self) -> PageVersion {
        PageVersion::of(self.body(), self.simhash())
    }

    /// Returns the last visit of this page; `None` if it was never fetched before, or no visits are kept: see
    /// [`Recrawl::adaptive`](crate::Recrawl::adaptive).
    pub fn last_visit(&self) -> Option<&PageVisit> {
        self.request().rare.as_ref()?.visited.as_ref()
    }

    /// Tells how the page has changed since its last visit; `None` if none is known.
    pub fn change_since_last_visit(&self) -> Option<PageChange> {
        self.last_visit().map(|visit| visit.version.change_to(&self.version()))
    }
}
