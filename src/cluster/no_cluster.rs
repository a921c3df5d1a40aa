//! Cluster, in a build without it.

use std::time::Duration;

use crate::{
    conducts::Conducts,
    error::{Error, Result},
    frontier::durable::{Opened, Opening},
    handle::CrawlHandle,
};

/// A crawl in a database, which this build cannot take part in.
#[derive(Clone)]
#[allow(dead_code, reason = "only its name is told")]
pub(crate) struct ClusterSettings {
    pub url: String,
    pub name: String,
    pub term: Duration,
}

/// There is none.
#[allow(dead_code, reason = "none can join")]
pub(crate) struct Membership(());

impl ClusterSettings {
    /// Takes note of it.
    pub fn new(url: String, name: String) -> Self {
        Self { url, name, term: Duration::ZERO }
    }
}

#[allow(clippy::unused_self, reason = "the same face as with the feature")]
impl Membership {
    /// Fails.
    ///
    /// # Errors
    /// Always; the message names the feature.
    pub fn join(settings: &ClusterSettings, _: &Conducts) -> Result<(Self, OpenFrontier)> {
        let name = &settings.name;
        let why =
            format!("this build cannot share `{name}` with others; build actix-crawler with the feature `cluster`");
        Err(Error::setting("cluster", why))
    }

    pub fn watch(&self, _: CrawlHandle) {}
}

/// Opens the frontier of a crawl.
pub(crate) type OpenFrontier = Box<dyn FnOnce(Opening) -> Result<Opened> + Send>;
