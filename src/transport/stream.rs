//! Stream: the byte stream of a connection. Knows neither addresses nor HTTP.

use std::{cell::RefCell, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// A byte stream: TCP, TLS over TCP, or a tunnel through a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Sets whether the system discards what it has not sent yet, and sends nothing again, when the stream is closed or
    /// the process ends. Otherwise it goes on for minutes where the way to the server is cut, and a request arrives
    /// long after its process has ended.
    ///
    /// # Errors
    /// The system refuses.
    fn discard_when_closed(&self, discards: bool) -> io::Result<()>;
}

/// A stream that the socket registry can close while awc's pool holds the connection.
pub type SharedStream = RefCell<Option<Box<dyn Stream>>>;

impl Stream for TcpStream {
    #[allow(deprecated, reason = "a time of zero, or none as at the beginning, blocks no thread")]
    fn discard_when_closed(&self, discards: bool) -> io::Result<()> {
        self.set_linger(discards.then_some(Duration::ZERO))
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn discard_when_closed(&self, discards: bool) -> io::Result<()> {
        self.as_ref().discard_when_closed(discards)
    }
}

impl<S: Stream> Stream for TlsStream<S> {
    fn discard_when_closed(&self, discards: bool) -> io::Result<()> {
        self.get_ref().0.discard_when_closed(discards)
    }
}

/// In memory nothing is sent twice.
impl Stream for DuplexStream {
    fn discard_when_closed(&self, _: bool) -> io::Result<()> {
        Ok(())
    }
}
