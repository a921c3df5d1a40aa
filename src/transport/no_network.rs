//! Network, without the feature `testing`: all connections use sockets.

use std::convert::Infallible;

use super::{address::AddressGuard, stream::Stream};
use crate::outcome::FetchError;

/// There is none.
pub struct Network(Infallible);

impl Network {
    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::unused_async, reason = "as with the feature")]
    pub async fn connect(&self, _: &AddressGuard, _: &str, _: u16, _: bool) -> Result<Box<dyn Stream>, FetchError> {
        match self.0 {}
    }
}

/// Returns `None`.
pub const fn in_memory() -> Option<Network> {
    None
}
