//! Layer: wraps a fetch in another. Does not know which.

use super::fetch::Fetch;

/// Wraps a [`Fetch`] in another, once for each arbiter.
pub trait Layer: Send + Sync + 'static {
    /// Wraps `inner` in this layer.
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch>;
}

impl<F: Fn(Box<dyn Fetch>) -> Box<dyn Fetch> + Send + Sync + 'static> Layer for F {
    fn wrap(&self, inner: Box<dyn Fetch>) -> Box<dyn Fetch> {
        self(inner)
    }
}
