//! DomainHandle: controls what a running crawl does at one domain, or at all that a pattern matches.

use std::{num::NonZeroU32, time::Duration};

use super::CrawlHandle;
use crate::{
    engine::{Hold, SettingChange},
    error::Result,
    rate::Rate,
};

/// Controls what a running crawl does at some of its domains: [`CrawlHandle::domain`] gives it.
///
/// Each call returns when the crawl has taken it up, and is an error only if the crawl has ended or no domain can have
/// the name: with the default [`DomainKey`](crate::politeness::DomainKey) that is so of `www.example.org`, which has
/// the limits of `example.org`. What is said later holds, whichever of the patterns it was said of, and leaves all else
/// as it is: a spacing for `*` changes no rate and no robots policy of a domain that has its own. It ends with the
/// crawl: a crawl that is resumed from its state has the settings that it was given.
///
/// ```
/// use std::time::Duration;
///
/// use actix_crawler::{Rate, outcome::DropReason, handle::Seeded, prelude::*};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let handle = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open().start()?;
///
/// // The shop asks for less; its images come from servers that are slower still.
/// handle.domain("shop.example").set_rate(Rate::per_minute(30)).await?;
/// handle.domain("*.images.example").set_spacing(Duration::from_secs(5)).await?;
///
/// let shop = handle.domain("shop.example");
/// shop.pause().await?;
/// assert_eq!(handle.seed("https://shop.example/").await?, Seeded::Queued);
/// shop.cancel().await?;
/// assert_eq!(handle.seed("https://shop.example/2").await?, Seeded::Dropped(DropReason::Cancelled));
/// # handle.stop().await;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing by itself"]
pub struct DomainHandle {
    crawl: CrawlHandle,
    pattern: String,
}

impl CrawlHandle {
    /// Returns the handle of a domain as the report names it, by default the registrable one (`example.org`); with a
    /// star it is that of all that end in it (`*.example.org`, which includes `example.org`).
    pub fn domain(&self, name: impl Into<String>) -> DomainHandle {
        DomainHandle { crawl: self.clone(), pattern: name.into() }
    }
}

impl DomainHandle {
    /// Sends no more requests there until [`DomainHandle::resume`]: within milliseconds only those in flight are left,
    /// and end as usual. What waits stays queued, also for a crawl that would end otherwise, and so do pages whose
    /// files are of that domain; when [`Files::max_waiting_pages`](crate::files::Files::max_waiting_pages) of them
    /// wait, nothing else is asked.
    ///
    /// # Errors
    /// The crawl has ended, no domain can have the name, or more than 10,000 domains or 100 patterns are held.
    pub async fn pause(&self) -> Result<()> {
        self.hold(Some(Hold::Paused)).await
    }

    /// Sends requests there again. What a cancellation has dropped by then stays dropped, and counts as seen. A long
    /// queue is dropped in steps, a million requests in four seconds: what is left of it then is fetched.
    ///
    /// # Errors
    /// As [`DomainHandle::pause`].
    pub async fn resume(&self) -> Result<()> {
        self.hold(None).await
    }

    /// Drops what waits there, and what is found until [`DomainHandle::resume`], for the reason
    /// [`DropReason::Cancelled`](crate::outcome::DropReason::Cancelled). Requests in flight end as usual.
    ///
    /// # Errors
    /// As [`DomainHandle::pause`].
    pub async fn cancel(&self) -> Result<()> {
        self.hold(Some(Hold::Cancelled)).await
    }

    /// Changes the rate there, as [`Crawler::rate`](crate::Crawler::rate) sets it for all domains. Earlier starts
    /// count.
    ///
    /// # Errors
    /// The crawl has ended, no domain can have the name, the rate's window is longer than a day, or more than 10,000
    /// domains have settings of their own.
    pub async fn set_rate(&self, rate: Rate) -> Result<()> {
        self.crawl.change(SettingChange::Rate(Some(self.pattern.clone()), rate)).await
    }

    /// Changes the least time between two starts there.
    ///
    /// # Errors
    /// As [`DomainHandle::set_rate`].
    pub async fn set_spacing(&self, spacing: Duration) -> Result<()> {
        self.crawl.change(SettingChange::Spacing(Some(self.pattern.clone()), spacing)).await
    }

    /// Changes the most requests in flight at each such domain; 0 is read as 1.
    ///
    /// # Errors
    /// As [`DomainHandle::set_rate`].
    pub async fn set_per_domain(&self, in_flight: u32) -> Result<()> {
        let in_flight = NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN);
        self.crawl.change(SettingChange::PerDomain(Some(self.pattern.clone()), in_flight)).await
    }

    async fn hold(&self, hold: Option<Hold>) -> Result<()> {
        self.crawl.change(SettingChange::Hold(self.pattern.clone(), hold)).await
    }
}
