//! Tuning: changes the settings of a running crawl.

use std::{num::NonZeroU32, time::Duration};

use super::CrawlHandle;
use crate::{
    engine::{GetScope, SettingChange, Tune},
    error::Result,
    rate::Rate,
    scope::Scope,
};

/// # Changing settings while the crawl runs
///
/// Each holds from the moment that the call returns, for every request that has not started; earlier starts count. A
/// resumed crawl has the settings that it was given. For some domains only, see [`CrawlHandle::domain`].
///
/// ```
/// use actix_crawler::{Rate, prelude::*};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let titles = |page: &Response| Ok(Parsed::of(page.title().map(str::to_owned)));
/// let handle = Crawler::new(titles, "quotesbot/1.0 (+https://example.org/bot)").stay_open().start()?;
///
/// handle.set_rate(Rate::per_minute(30)).await?;
/// handle.set_concurrency(8).await?;
/// let mut scope = handle.scope().await?;
/// scope.deny.push("/print/".parse()?);
/// handle.set_scope(scope).await?;
/// # handle.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
impl CrawlHandle {
    /// Changes the rate of domains without settings of their own: see [`Crawler::rate`](crate::Crawler::rate). A domain
    /// that has just been quiet may wait once as if it had been asked now.
    ///
    /// # Errors
    /// The crawl has ended, or the rate's window is longer than a day.
    pub async fn set_rate(&self, rate: Rate) -> Result<()> {
        self.change(SettingChange::Rate(None, rate)).await
    }

    /// Changes the least time between two starts at domains without settings of their own: see
    /// [`Crawler::spacing`](crate::Crawler::spacing).
    ///
    /// # Errors
    /// The crawl has ended, or the spacing is longer than a day.
    pub async fn set_spacing(&self, spacing: Duration) -> Result<()> {
        self.change(SettingChange::Spacing(None, spacing)).await
    }

    /// Changes the most requests in flight at each domain without settings of its own; 0 is read as 1. Those in flight
    /// end as usual.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn set_per_domain(&self, in_flight: u32) -> Result<()> {
        self.change(SettingChange::PerDomain(None, at_least_one(in_flight))).await
    }

    /// Changes the most pages in flight in total; 0 is read as 1. Those in flight end as usual.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn set_concurrency(&self, in_flight: u32) -> Result<()> {
        self.change(SettingChange::Concurrency(at_least_one(in_flight))).await
    }

    /// Returns the scope in force.
    ///
    /// # Errors
    /// The crawl has ended.
    pub async fn scope(&self) -> Result<Scope> {
        self.ask(GetScope).await.map(|scope| *scope)
    }

    /// Changes the scope, with its limits on pages and requests. What waits is dropped when its turn comes if it is
    /// outside now, and counts as seen. What was outside where it was found is judged anew when it is found or seeded
    /// again, and what was too deep at once; what was dropped at its turn stays dropped. The hosts of seeds still
    /// belong to it.
    ///
    /// # Errors
    /// The crawl has ended, the new scope canonicalizes URLs in another way, or it names what no URL can have.
    pub async fn set_scope(&self, scope: Scope) -> Result<()> {
        scope.check()?;
        self.change(SettingChange::Scope(scope.into())).await
    }

    pub(super) async fn change(&self, change: SettingChange) -> Result<()> {
        self.ask(Tune(change)).await?
    }
}

fn at_least_one(in_flight: u32) -> NonZeroU32 {
    NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN)
}
