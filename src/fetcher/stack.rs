//! FetchStack: how each arbiter builds its stack: the innermost fetch and the layers around it. Does not know what a
//! layer does.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    fetch::Fetch,
    http::Http,
    layer::Layer,
    layers::{ArchiveLayer, ArchiveReplay, HttpCache, RecordLayer, ReplayLayer},
};
use crate::transport::{SharedTransport, Transport, response_store::Purpose};

/// How to build a stack: the innermost fetch and the layers around it. Each arbiter builds its own.
#[derive(Clone)]
pub struct FetchStack {
    innermost: Arc<dyn Fn() -> Box<dyn Fetch> + Send + Sync>,
    /// Innermost first.
    layers: Vec<Arc<dyn Layer>>,
}

impl FetchStack {
    /// Starts a stack with another innermost fetch than [`Http`], such as a browser.
    pub fn over(innermost: impl Fn() -> Box<dyn Fetch> + Send + Sync + 'static) -> Self {
        Self { innermost: Arc::new(innermost), layers: Vec::new() }
    }

    /// Starts a stack with the network and the layers that the transport's settings ask for.
    pub fn http(transport: SharedTransport, user_agent: HeaderValue) -> Self {
        let store = transport.response_store().cloned();
        let innermost = {
            let (transport, user_agent) = (transport.clone(), user_agent.clone());
            move || -> Box<dyn Fetch> { Box::new(Http::new(Transport::new(transport.clone()), user_agent.clone())) }
        };
        let stack = Self::over(innermost);
        if let Some(archived) = transport.archived().cloned() {
            return stack.layer(move |_| -> Box<dyn Fetch> {
                Box::new(ArchiveReplay::new(archived.clone(), transport.clone()))
            });
        }
        // Below the cache: an archive has what was on the wire and nothing else.
        let stack = match transport.archive() {
            Some(archive) => {
                archive.introduce(user_agent.to_str().unwrap_or_default());
                stack.layer(ArchiveLayer::new(archive.clone(), transport.secret_headers().to_vec()))
            }
            None => stack,
        };
        let Some(store) = store else { return stack };
        match store.purpose() {
            Purpose::Cache => stack.layer(move |inner| -> Box<dyn Fetch> {
                Box::new(HttpCache::new(inner, store.clone(), transport.clone(), user_agent.clone()))
            }),
            Purpose::Record => {
                stack.layer(move |inner| -> Box<dyn Fetch> { Box::new(RecordLayer::new(inner, store.clone())) })
            }
            Purpose::Replay => {
                stack.layer(move |_| -> Box<dyn Fetch> { Box::new(ReplayLayer::new(store.clone(), transport.clone())) })
            }
        }
    }

    /// Adds a layer around all others. User layers are added last, so that they see each request first and its response
    /// last.
    #[must_use]
    pub fn layer(self, layer: impl Layer) -> Self {
        self.layers([Arc::new(layer) as Arc<dyn Layer>])
    }

    /// Adds layers, each around the previous ones.
    #[must_use]
    pub fn layers(mut self, layers: impl IntoIterator<Item = Arc<dyn Layer>>) -> Self {
        self.layers.extend(layers);
        self
    }

    /// Builds the stack of this arbiter.
    pub fn build(&self) -> Box<dyn Fetch> {
        self.layers.iter().fold((self.innermost)(), |inner, layer| layer.wrap(inner))
    }
}
