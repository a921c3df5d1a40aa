//! FetchStack: the recipe of what answers an arbiter's requests: what is innermost, and the layers around it. Does not know
//! what a layer does.

use std::sync::Arc;

use http::HeaderValue;

use super::{
    fetch::Fetch,
    http::Http,
    layers::{HttpCache, Record, Replay},
};
use crate::transport::{SharedTransport, Transport, response_store::Purpose};

/// Wraps a [`Fetch`] in another, once for each arbiter.
pub trait Layer: Send + Sync + 'static {
    /// Puts this layer around `inner`.
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch>;
}

impl<F: Fn(Box<dyn Fetch>) -> Box<dyn Fetch> + Send + Sync + 'static> Layer for F {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        self(inner)
    }
}

/// The recipe of a stack: what is innermost, and the layers around it. Each arbiter builds its own.
#[derive(Clone)]
pub struct FetchStack {
    innermost: Arc<dyn Fn() -> Box<dyn Fetch> + Send + Sync>,
    /// From the innermost outwards.
    layers: Vec<Arc<dyn Layer>>,
}

impl FetchStack {
    /// Begins with something else than [`Http`], such as a browser.
    pub fn over(innermost: impl Fn() -> Box<dyn Fetch> + Send + Sync + 'static) -> Self {
        Self { innermost: Arc::new(innermost), layers: Vec::new() }
    }

    /// Begins with the network, and with the layer that its settings ask for.
    pub fn http(transport: SharedTransport, user_agent: HeaderValue) -> Self {
        let store = transport.response_store().cloned();
        let innermost = {
            let (transport, user_agent) = (transport.clone(), user_agent.clone());
            move || -> Box<dyn Fetch> { Box::new(Http::new(Transport::new(transport.clone()), user_agent.clone())) }
        };
        let stack = Self::over(innermost);
        // An archive goes here, below the cache: it sees what was on the wire and nothing else.
        let Some(store) = store else { return stack };
        match store.purpose() {
            Purpose::Cache => stack.layer(move |inner| -> Box<dyn Fetch> {
                Box::new(HttpCache::new(inner, store.clone(), transport.clone(), user_agent.clone()))
            }),
            Purpose::Record => {
                stack.layer(move |inner| -> Box<dyn Fetch> { Box::new(Record::new(inner, store.clone())) })
            }
            Purpose::Replay => {
                stack.layer(move |_| -> Box<dyn Fetch> { Box::new(Replay::new(store.clone(), transport.clone())) })
            }
        }
    }

    /// Adds a layer around all others. Those of a user come last, so that they see each request of a page first and its
    /// response last.
    #[must_use]
    pub fn layer(self, layer: impl Layer) -> Self {
        self.layers([Arc::new(layer) as Arc<dyn Layer>])
    }

    /// Adds layers, each around those before it.
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
