//! DomainPermits: grants further permits to a layer that answers one request with several, such as a browser. Knows no
//! requests.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use url::Url;

use super::fetch::Permits;
use crate::{
    clock,
    conduct::Terms,
    conducts::{PermitQueue, Tenant},
    permit::Permit,
    politeness::Politeness,
};

/// Waits at the gates of domains for a crawl, under its limits.
pub(crate) struct DomainPermits {
    tenant: Tenant,
    /// The settings, which may change.
    politeness: watch::Receiver<Arc<Politeness>>,
}

impl DomainPermits {
    /// Creates the permits of a tenant.
    pub fn new(tenant: Tenant, politeness: watch::Receiver<Arc<Politeness>>) -> Self {
        Self { tenant, politeness }
    }
}

impl Permits for DomainPermits {
    fn permit<'a>(&'a self, url: &'a Url) -> LocalBoxFuture<'a, Option<Permit>> {
        Box::pin(async move {
            let politeness = self.politeness.borrow().clone();
            let domain = politeness.domain_key.domain(url);
            let terms = Terms::of(politeness.limits(&domain));
            // A domain that was given up grants none.
            PermitQueue::new(&self.tenant, &domain, terms, clock::now()).permit().await.ok()
        })
    }
}
