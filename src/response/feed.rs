//! Feed: a response as a feed.

use super::Response;
use crate::{
    error::{Error, Result},
    extract::feed::{Feed, FeedError},
};

impl Response {
    /// Reads the page as a feed: RSS, Atom or JSON Feed. Relative URLs are resolved against the page's own.
    ///
    /// # Errors
    /// It is no feed, or a hostile one.
    pub fn feed(&self) -> Result<Feed> {
        Ok(Feed::parse(self.body_text(), self.url())?)
    }
}

impl From<FeedError> for Error {
    fn from(error: FeedError) -> Self {
        Self::spider(error)
    }
}
