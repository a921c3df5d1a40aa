//! PipelineError: why a pipeline did not accept an item, and what that means for its page and the crawl.

use std::borrow::Cow;

use thiserror::Error;

use crate::feed::SinkError;

/// Why an item was not accepted.
///
/// ```
/// use actix_crawler::PipelineError;
///
/// let refused = PipelineError::refused("the price is missing");
/// assert!(!refused.stops_the_crawl());
/// assert!(PipelineError::broken("no space left on device").stops_the_crawl());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The pipeline refuses this item. Its page counts as failed, and the crawl goes on.
    #[error("{0}")]
    Refused(String),
    /// The pipeline leaves this item out, such as a duplicate. It is counted as `items/dropped`, and its page is fine.
    /// A reason that is fixed is also counted by itself: see [`PipelineError::dropped_as`].
    #[error("{0}")]
    Dropped(Cow<'static, str>),
    /// The item is not for this pipeline, as [`Feed::only`](crate::feed::Feed::only) says, and the pipeline has done
    /// nothing with it. Item and page are fine; it is counted as `items/not_for_feed`.
    #[error("it is not for this pipeline")]
    NotForThis,
    /// The pipeline's output is gone, for this item and all further ones. The crawl stops as failed with this reason;
    /// pages with unacknowledged items stay queued.
    #[error("{0}")]
    Broken(String),
    /// The reader of the output has closed it, as in `…
    /// head`. The crawl stops as for [`PipelineError::Broken`].
    #[error("whoever read the output has closed it")]
    ReaderGone,
    /// The pipeline panicked on this item. Its page counts as failed.
    #[error("the pipeline panicked")]
    Panicked,
    /// The pipeline did not answer in time. The item's page counts as failed.
    #[error("the pipeline did not answer within {}", humantime::format_duration(*.0))]
    Silent(std::time::Duration),
}

impl PipelineError {
    /// Creates the refusal of one item, with a reason.
    pub fn refused(why: impl std::fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }

    /// Leaves one item out, and counts it, without harm to its page:
    ///
    /// ```
    /// use std::collections::HashSet;
    ///
    /// use actix::{Actor, Context, Handler};
    /// use actix_crawler::prelude::*;
    ///
    /// #[derive(Default)]
    /// struct Distinct(HashSet<String>);
    /// # impl Actor for Distinct {
    /// #     type Context = Context<Self>;
    /// # }
    ///
    /// impl Handler<Scraped<String>> for Distinct {
    ///     type Result = Result<(), PipelineError>;
    ///
    ///     fn handle(&mut self, title: Scraped<String>, _: &mut Self::Context) -> Self::Result {
    ///         if self.0.insert(title.to_string()) { Ok(()) } else { Err(PipelineError::dropped("it was seen before")) }
    ///     }
    /// }
    /// ```
    pub fn dropped(why: impl std::fmt::Display) -> Self {
        Self::Dropped(Cow::Owned(why.to_string()))
    }

    /// Leaves one item out, as [`PipelineError::dropped`] does, and also counts it by its reason:
    /// `items/dropped/<reason>`.
    pub fn dropped_as(reason: &'static str) -> Self {
        Self::Dropped(Cow::Borrowed(reason))
    }

    /// Creates the error that the pipeline's output is gone, with a reason.
    pub fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }

    /// Tells whether the crawl stops, because no later item can be accepted either.
    pub fn stops_the_crawl(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::ReaderGone)
    }
}

impl From<SinkError> for PipelineError {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Refused(why) => Self::Refused(why),
            SinkError::Broken(why) => Self::Broken(why),
            SinkError::ReaderGone => Self::ReaderGone,
        }
    }
}
