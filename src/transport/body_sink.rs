//! BodySink: takes the body of a response as it comes from the wire, in place of memory. Knows no files and no
//! requests.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;

/// Takes a body piece by piece. It belongs to one request, whose connection polls it.
pub trait BodySink {
    /// Begins with the head of the response.
    fn begin(&mut self, status: u16, headers: &HeaderMap);

    /// Takes the next piece; tells whether more is wanted.
    fn add(&mut self, piece: Bytes) -> bool;

    /// Ready when there is room for more; nothing more is read from the server until then. Tells whether it had to
    /// wait.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool>;
}

/// A sink that its reader and the connection share.
pub type SharedSink = Rc<RefCell<dyn BodySink>>;
