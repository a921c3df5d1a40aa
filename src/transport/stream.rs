//! Stream: the byte stream of a connection. Knows neither addresses nor HTTP.

use std::cell::RefCell;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream: TCP, TLS over TCP, or a tunnel through a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A stream that the socket registry can close while awc's pool holds the connection.
pub type SharedStream = RefCell<Option<Box<dyn Stream>>>;
