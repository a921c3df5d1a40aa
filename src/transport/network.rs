//! Network: makes the connections of a thread in place of its sockets. Does not know what answers.

use std::{cell::RefCell, rc::Rc};

use futures_util::future::LocalBoxFuture;

use super::{address::AddressGuard, stream::Stream};
use crate::outcome::FetchError;

/// Makes connections without sockets.
pub trait Network {
    /// Connects to a host that `guard` allows. With `tls` the stream counts as encrypted.
    fn connect<'a>(
        &'a self,
        guard: &'a AddressGuard,
        host: &'a str,
        port: u16,
        tls: bool,
    ) -> LocalBoxFuture<'a, Result<Box<dyn Stream>, FetchError>>;
}

thread_local! {
    static NETWORK: RefCell<Option<Rc<dyn Network>>> = const { RefCell::new(None) };
}

/// Makes all further connections of this thread through `network`.
pub fn replace_sockets(network: Rc<dyn Network>) {
    NETWORK.set(Some(network));
}

/// Returns what makes the connections of this thread, if that is not its sockets.
pub fn in_memory() -> Option<Rc<dyn Network>> {
    NETWORK.with_borrow(Clone::clone)
}
