//! Cluster options of a crawl: the database that machines share it through.

use std::{cell::OnceCell, time::Duration};

use super::{Crawler, wiring::run_system};
use crate::{
    cluster::{ClusterSettings, Membership},
    conducts::Conducts,
    error::Result,
    handle::CrawlHandle,
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Shares the crawl called `name` with other machines through a PostgreSQL database, which keeps its state. Needs
    /// the feature `cluster`.
    ///
    /// All processes that start the same crawl crawl at once, each its own domains: every domain is paced and asked by
    /// one of them. When one ends before the crawl does, in whatever way, the others go on with its domains within 15
    /// seconds. No rate and no spacing is exceeded then, no request lost, and no page settled twice; see
    /// `docs/CLUSTER.md`. A limit on pages is that of the whole crawl. The crawl ends, for all of them, when nothing is
    /// left to do for any. The settings should be the same everywhere.
    ///
    /// A process whose renewal has not come for nine seconds, since it cannot reach the database, gives the crawl up
    /// and fails. It is then **ended by its system** within another second, together with all else that runs in it (on
    /// Linux), so that nothing of it is sent late. Let a supervisor start it again.
    ///
    /// `url` is written like `postgres://user@host:5432/database`, with `sslmode` and `sslrootcert` as in libpq; the
    /// password can be in `PGPASSWORD`. `name` has up to 48 lower-case letters, digits, `_` and `-`. The politeness of
    /// the crawl is not shared with other crawls and clients of this process, unless [`Crawler::conducts`] follows:
    /// then they too may ask only while this process takes part. Two crawls that are shared with other machines cannot
    /// have the same.
    ///
    /// ```no_run
    /// # use actix_crawler::prelude::*;
    /// # async fn example(quotes: impl Spider<Item = String>) -> Result<()> {
    /// let report = Crawler::new(quotes, "quotesbot/1.0 (+https://example.org/bot)")
    ///     .seed("https://quotes.toscrape.com/")
    ///     .cluster("postgres://crawler@db.example.org/crawls", "quotes")
    ///     .run()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn cluster(mut self, url: impl Into<String>, name: impl Into<String>) -> Self {
        self.cluster = Some(ClusterSettings::new(url.into(), name.into()));
        self.conducts = Conducts::new();
        self
    }

    /// Sets how long a sign of life of this process holds, in place of ten seconds; 0.5 s at the least. It gives up
    /// after nine tenths of it without the database, and the others take its domains over after five quarters.
    #[must_use]
    pub fn cluster_term(mut self, term: Duration) -> Self {
        if let Some(cluster) = &mut self.cluster {
            cluster.term = term;
        }
        self
    }

    /// Runs the crawl on this thread, as one of the processes that share it.
    pub(super) fn run_in_cluster(self, cluster: &ClusterSettings, started: impl FnOnce(Result<CrawlHandle>)) {
        let membership = OnceCell::new();
        let (nice, conducts) = (self.settings.nice, self.conducts.clone());
        let own = || {
            // What is wrong is told before the others hear of this process.
            let mut plan = self.check()?;
            let (joined, open) = Membership::join(cluster, &conducts)?;
            plan.open = Some(open);
            membership.get_or_init(|| joined);
            Ok(plan)
        };
        let begun = |begun: Result<CrawlHandle>| {
            if let (Ok(begun), Some(membership)) = (&begun, membership.get()) {
                membership.watch(begun.clone());
            }
            started(begun);
        };
        run_system(nice, own, begun);
    }
}
