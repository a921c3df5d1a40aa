//! Stream: what bytes travel over. Knows neither addresses nor HTTP.

use std::cell::RefCell;

use tokio::io::{AsyncRead, AsyncWrite};

/// What bytes travel over: TCP, TLS over it, or a tunnel through a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A stream that the registry of sockets can close while awc's pool holds the connection.
pub type SharedStream = RefCell<Option<Box<dyn Stream>>>;
