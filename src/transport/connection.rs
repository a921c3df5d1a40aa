//! Connection: what awc holds in its pool. Lets a request pass the gate before its first byte is written, and lets
//! awc see of a response only what it reads rightly.

use std::{
    cell::RefCell,
    fmt, io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_rt::net::ActixStream;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, Ready};

use super::{
    exchange::Exchange,
    proxy::{absolute, refusal},
    sockets::Slot,
    tls_error,
    wire::{ResponseDecoder, WireError, WireLimits},
};
use crate::outcome::FetchError;

/// What bytes travel over: TCP, TLS over it, or a tunnel through a proxy.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// One connection to a server.
pub struct Connection {
    /// Shared with the registry of sockets, which closes it when it has been idle for too long.
    slot: Rc<Slot>,
    limits: WireLimits,
    received: BytesMut,
    readable: BytesMut,
    serving: Option<Serving>,
}

struct Serving {
    exchange: Rc<Exchange>,
    decoder: ResponseDecoder,
    written: bool,
    /// The rest of what was written in another form than awc's.
    outgoing: BytesMut,
}

/// As much as a socket usually has ready at once.
const READ_SIZE: usize = 16 * 1024;

impl Connection {
    /// Wraps a stream that is ready for its first request.
    pub fn new(slot: Rc<Slot>, limits: WireLimits) -> Self {
        Self { slot, limits, received: BytesMut::new(), readable: BytesMut::new(), serving: None }
    }

    fn poll_stream<T>(&self, poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.slot.stream().borrow_mut().as_mut() {
            Some(stream) => poll(Pin::new(stream.as_mut())),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Begins to serve the exchange that is being polled, if it is not the one served already.
    fn serve_current(&mut self) -> io::Result<&mut Serving> {
        let current = Exchange::current().ok_or_else(|| io::Error::other("a write without a permit"))?;
        let is_new = self.serving.as_ref().is_none_or(|serving| !Rc::ptr_eq(&serving.exchange, &current));
        if is_new {
            let decoder = ResponseDecoder::new(&current.method, self.limits);
            self.slot.busy();
            self.serving = Some(Serving { exchange: current, decoder, written: false, outgoing: BytesMut::new() });
        }
        self.serving.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes the head of a request to a proxy that forwards it; as long as awc's own head, as far as awc can tell.
    fn poll_write_absolute(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        exchange: &Exchange,
    ) -> Poll<io::Result<usize>> {
        let target = &exchange.target;
        let rewritten = target.forwarder().and_then(|proxy| absolute(bytes, proxy, &target.host, target.port));
        let Some(mut rewritten) = rewritten else {
            let why = "its first line cannot be rewritten for a proxy".to_owned();
            return Poll::Ready(Err(exchange.fail(FetchError::Request(why))));
        };
        let wrote = ready!(self.poll_stream(|stream| stream.poll_write(cx, &rewritten)))?;
        rewritten.advance(wrote.min(rewritten.len()));
        if let Some(serving) = self.serving.as_mut() {
            serving.outgoing = rewritten;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(serving) = self.serving.as_mut().filter(|serving| !serving.outgoing.is_empty()) {
            let mut outgoing = std::mem::take(&mut serving.outgoing);
            let wrote = self.poll_stream(|stream| stream.poll_write(cx, &outgoing));
            if let Poll::Ready(Ok(wrote)) = wrote {
                outgoing.advance(wrote.min(outgoing.len()));
            }
            if let Some(serving) = self.serving.as_mut() {
                serving.outgoing = outgoing;
            }
            if ready!(wrote)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the socket until awc has something to read, or the response is whole.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.readable.is_empty() {
            let Some(serving) = self.serving.as_ref() else { return Poll::Ready(Ok(())) };
            if serving.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            self.received.reserve(READ_SIZE);
            let mut received = std::mem::take(&mut self.received);
            let read = self.poll_stream(|stream| tokio_util::io::poll_read_buf(stream, cx, &mut received));
            self.received = received;
            let read = match (read, self.serving.as_ref()) {
                (Poll::Ready(read), _) => read,
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(serving)) => {
                    let silence = ready!(serving.exchange.poll_silence(cx));
                    return Poll::Ready(Err(serving.exchange.fail(silence)));
                }
            };
            let Some(serving) = self.serving.as_mut() else { return Poll::Ready(Ok(())) };
            serving.take_in(read, &mut self.received, &mut self.readable)?;
            if serving.decoder.is_done() && !serving.decoder.is_reusable() {
                self.slot.close();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads while no request is served: awc's pool does so to see whether the connection still stands. Anything that
    /// comes now answers no question of ours.
    fn poll_idle(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.poll_stream(|stream| stream.poll_read(cx, buffer)) {
            Poll::Ready(Err(_)) => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl Serving {
    fn take_in(&mut self, read: io::Result<usize>, received: &mut BytesMut, readable: &mut BytesMut) -> io::Result<()> {
        let decoded = match read {
            Ok(0) => self.decoder.finish(readable),
            Ok(_) => {
                if self.exchange.answered() && tls_error::looks_like_tls(received) {
                    let why = "an answer in TLS to a request in plain HTTP; is the URL https://?".to_owned();
                    return Err(self.exchange.fail(FetchError::Protocol(why)));
                }
                self.decoder.feed(received, readable)
            }
            Err(error) => {
                if let Some(refused) = tls_error::refused(&error) {
                    return Err(self.exchange.fail(FetchError::Tls(refused)));
                }
                // What a reset cut off is as incomplete as what an early end cut off.
                self.decoder.finish(readable)
            }
        };
        if let Some(head) = self.decoder.take_head() {
            let forwarder = self.exchange.target.forwarder();
            if let Some(why) = forwarder.and_then(|proxy| refusal(&head, proxy)) {
                return Err(self.exchange.fail(FetchError::Proxy(why)));
            }
            self.exchange.set_head(head);
        }
        decoded.map_err(|error| self.exchange.fail(error.into()))
    }
}

impl From<WireError> for FetchError {
    fn from(error: WireError) -> Self {
        if error.is_truncation() { Self::Truncated(error.to_string()) } else { Self::Protocol(error.to_string()) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.serving.is_none() {
            return this.poll_idle(cx, buffer);
        }
        ready!(this.poll_fill(cx))?;
        let length = this.readable.len().min(buffer.remaining());
        buffer.put_slice(this.readable.get(..length).unwrap_or_default());
        this.readable.advance(length);
        if this.readable.is_empty() && this.serving.as_ref().is_some_and(|serving| serving.decoder.is_done()) {
            this.serving = None;
            this.received.clear();
            this.slot.idle();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let serving = this.serve_current()?;
        let exchange = serving.exchange.clone();
        if serving.written {
            ready!(this.poll_outgoing(cx))?;
            return this.poll_stream(|stream| stream.poll_write(cx, bytes));
        }
        ready!(exchange.poll_start(cx))?;
        let wrote = ready!(match exchange.target.forwarder() {
            None => this.poll_stream(|stream| stream.poll_write(cx, bytes)),
            Some(_) => this.poll_write_absolute(cx, bytes, &exchange),
        });
        exchange.wrote();
        if let Some(serving) = this.serving.as_mut() {
            serving.written = true;
        }
        Poll::Ready(wrote)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_outgoing(cx))?;
        this.poll_stream(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(|stream| stream.poll_shutdown(cx))
    }
}

/// awc asks for readiness only below its own TLS, which is not used here.
impl ActixStream for Connection {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("serving", &self.serving.is_some()).finish_non_exhaustive()
    }
}

/// A stream in its slot.
pub type BoxedStream = RefCell<Option<Box<dyn Stream>>>;
