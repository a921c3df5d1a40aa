//! Connection: what awc keeps in its pool. Makes a request pass its gate before the first byte is written, and reads
//! the response into the request's exchange; awc only learns that it has been received.

use std::{
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
    proxy::refusal,
    request_head::{Forwarded, request_head},
    sockets::SocketSlot,
    stream::Stream,
    tls_error,
    wire::{ResponseDecoder, WireError, WireLimits},
};
use crate::outcome::FetchError;

/// One connection to a server.
pub struct Connection {
    /// Shared with the socket registry, which closes the connection when it idles too long.
    slot: Rc<SocketSlot>,
    limits: WireLimits,
    /// Bytes received and not parsed yet.
    received: BytesMut,
    /// How the server ended its side, if it did.
    ended: Option<ConnectionEnd>,
    serving: Option<Serving>,
    /// The rest of the synthetic response that awc reads.
    telling: &'static [u8],
    /// Whether the connection has served a request before.
    is_used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    InOrder,
    /// Reset, or TLS ended without close_notify: the body may or may not be complete.
    BrokenOff,
}

struct Serving {
    exchange: Rc<Exchange>,
    decoder: ResponseDecoder,
    sent: SendState,
    /// Bytes to write instead of awc's: the head of the request.
    outgoing: BytesMut,
    /// Whether the body exceeds the wanted length, so that no more is read.
    has_enough: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SendState {
    /// The request has not passed the gate.
    Nothing,
    /// A part of the request, or all of it.
    Something,
    /// The server responded or closed before the whole request was written; the rest is not sent.
    Enough,
}

/// What a socket usually has ready at once.
const READ_SIZE: usize = 16 * 1024;

/// The synthetic response to awc after a complete one: no body, the connection is kept.
const CAME_AND_KEPT: &[u8] = b"HTTP/1.1 200 \r\n\r\n";

/// The synthetic response to awc when the connection must not be reused.
const CAME_AND_CLOSED: &[u8] = b"HTTP/1.1 200 \r\nconnection: close\r\n\r\n";

impl Connection {
    /// Wraps a stream that is ready for its first request.
    pub fn new(slot: Rc<SocketSlot>, limits: WireLimits) -> Self {
        Self { slot, limits, received: BytesMut::new(), ended: None, serving: None, telling: b"", is_used: false }
    }

    fn poll_stream<T>(&self, poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.slot.stream().borrow_mut().as_mut() {
            Some(stream) => poll(Pin::new(stream.as_mut())),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Starts serving the exchange that is being polled, unless it is already being served.
    fn serve_current(&mut self) -> io::Result<&mut Serving> {
        let current = Exchange::current().ok_or_else(|| io::Error::other("a write without a permit"))?;
        let is_new = self.serving.as_ref().is_none_or(|serving| !Rc::ptr_eq(&serving.exchange, &current));
        if is_new {
            self.slot.busy();
            current.note_server(self.slot.server());
            self.serving = Some(Serving::new(current, self.limits));
        }
        self.serving.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes awc's bytes, or their replacement.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8], is_first: bool) -> Poll<io::Result<usize>> {
        if is_first && self.serving.as_ref().is_some_and(|serving| !serving.outgoing.is_empty()) {
            ready!(self.poll_outgoing_once(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_outgoing(cx))?;
        let wrote = self.poll_stream(|stream| stream.poll_write(cx, bytes));
        self.capture_written(bytes, &wrote);
        wrote
    }

    /// Copies written bytes for a layer that archives them.
    fn capture_written(&self, bytes: &[u8], wrote: &Poll<io::Result<usize>>) {
        if let (Poll::Ready(Ok(wrote)), Some(serving)) = (wrote, &self.serving) {
            serving.exchange.capture_written(bytes.get(..*wrote).unwrap_or(bytes));
        }
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.serving.as_ref().is_some_and(|serving| !serving.outgoing.is_empty()) {
            ready!(self.poll_outgoing_once(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_outgoing_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(serving) = self.serving.as_mut() else { return Poll::Ready(Ok(())) };
        let mut outgoing = std::mem::take(&mut serving.outgoing);
        let wrote = self.poll_stream(|stream| stream.poll_write(cx, &outgoing));
        self.capture_written(&outgoing, &wrote);
        if let Poll::Ready(Ok(wrote)) = wrote {
            outgoing.advance(wrote.min(outgoing.len()));
        }
        if let Some(serving) = self.serving.as_mut() {
            serving.outgoing = outgoing;
        }
        match ready!(wrote)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn note_sent(&mut self, sent: SendState) {
        if let Some(serving) = self.serving.as_mut() {
            serving.sent = sent;
        }
    }

    /// Reads the response into its exchange; ready when it is complete, or as much was read as is wanted.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(serving) = self.serving.as_mut() else { return Poll::Ready(Ok(())) };
            serving.read(&mut self.received)?;
            ready!(serving.exchange.poll_reserved(cx));
            if serving.has_enough || serving.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            if let Some(ended) = self.ended {
                return Poll::Ready(serving.finish(self.received.len(), ended));
            }
            if self.poll_receive(cx).is_pending() {
                let Some(serving) = self.serving.as_ref() else { return Poll::Pending };
                let silence = ready!(serving.exchange.poll_silence(cx));
                return Poll::Ready(Err(serving.exchange.fail(silence)));
            }
        }
    }

    /// Waits for more bytes, or for the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let missing = self.serving.as_ref().map_or(0, |serving| serving.decoder.missing(self.received.len()));
        self.received.reserve(if missing == 0 { READ_SIZE } else { missing });
        let mut received = std::mem::take(&mut self.received);
        let read = self.poll_stream(|stream| tokio_util::io::poll_read_buf(stream, cx, &mut received));
        self.received = received;
        let Some(serving) = self.serving.as_ref() else { return Poll::Ready(()) };
        match ready!(read) {
            Ok(read @ 1..) => {
                let start = self.received.len().saturating_sub(read);
                serving.exchange.capture_received(self.received.get(start..).unwrap_or_default());
                if serving.exchange.answered(read) && tls_error::looks_like_tls(&self.received) {
                    let why = "an answer in TLS to a request in plain HTTP; is the URL https://?".to_owned();
                    let _ = serving.exchange.fail(FetchError::Protocol(why));
                }
            }
            Ok(0) => self.ended = Some(ConnectionEnd::InOrder),
            Err(error) => {
                if let Some(refused) = tls_error::refused(&error) {
                    let _ = serving.exchange.fail(FetchError::Tls(refused));
                }
                self.ended = Some(ConnectionEnd::BrokenOff);
            }
        }
        if self.ended.is_some() {
            serving.exchange.lost();
        }
        Poll::Ready(())
    }

    /// Reports a request to awc as fully written although it is not, if the server closed the connection or responded
    /// before the request was written: a client that sees an early response may stop writing (RFC 9112 §9.5). awc then
    /// reads the response, or the failure, as after any request. Otherwise it would report a failed write and drop the
    /// response.
    fn poll_unless_answered<T>(
        &mut self,
        wrote: Poll<io::Result<T>>,
        all: T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match wrote {
            Poll::Ready(Ok(wrote)) => return Poll::Ready(Ok(wrote)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => ready!(self.poll_early_answer(cx))?,
        }
        self.note_sent(SendState::Enough);
        Poll::Ready(Ok(all))
    }

    /// While a write is pending, waits for an early response or the end of the connection.
    fn poll_early_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(serving) = self.serving.as_mut() else { return Poll::Pending };
            if serving.read_head(&mut self.received)? || self.ended.is_some() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_receive(cx));
        }
    }

    /// Checks an idle connection for events; awc's pool does so to see whether the connection is alive. Anything
    /// received now belongs to no request.
    fn poll_idle(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.poll_stream(|stream| stream.poll_read(cx, buffer)) {
            Poll::Ready(Err(_)) => Poll::Ready(Ok(())),
            other => other,
        }
    }

    /// Refuses a kept-alive connection that the server closed, or sent bytes on, since the last response: those would
    /// be read as the response to the request about to be written.
    fn check_quiet(&self, exchange: &Exchange, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_used && self.poll_idle(cx, &mut ReadBuf::new(&mut [0])).is_ready() {
            exchange.lost();
            let why = "the server closed the idle connection, or sent something on it, before the request was written";
            return Err(exchange.fail(FetchError::Truncated(why.to_owned())));
        }
        Ok(())
    }

    /// Ends the service of a request whose response is complete.
    fn settle(&mut self) {
        let Some(served) = self.serving.take() else { return };
        let is_quiet = self.received.is_empty() && self.ended.is_none();
        if served.exchange.permit().is_bound() && self.slot.discard_when_closed(false).is_err() {
            // The connection is closed in any case where that matters.
            tracing::debug!("an answered connection will be reset when it is closed");
        }
        if served.sent == SendState::Something && served.decoder.is_reusable() && is_quiet {
            self.slot.idle();
            self.telling = CAME_AND_KEPT;
        } else {
            self.slot.close();
            self.telling = CAME_AND_CLOSED;
        }
        self.received = BytesMut::new();
        self.is_used = true;
    }
}

impl Serving {
    fn new(exchange: Rc<Exchange>, limits: WireLimits) -> Self {
        let decoder = ResponseDecoder::new(&exchange.method, limits);
        Self { exchange, decoder, sent: SendState::Nothing, outgoing: BytesMut::new(), has_enough: false }
    }

    /// Parses received bytes.
    fn read(&mut self, received: &mut BytesMut) -> io::Result<()> {
        while !self.has_enough {
            let read = self.decoder.read(received);
            self.note_head()?;
            let Some(piece) = read.map_err(|error| self.exchange.fail(error.into()))? else { break };
            self.has_enough |= !self.exchange.add(piece);
        }
        Ok(())
    }

    fn read_head(&mut self, received: &mut BytesMut) -> io::Result<bool> {
        let read = self.decoder.read_head(received);
        self.note_head()?;
        read.map_err(|error| self.exchange.fail(error.into()))
    }

    fn finish(&mut self, waiting: usize, ended: ConnectionEnd) -> io::Result<()> {
        self.decoder.finish(waiting, ended == ConnectionEnd::InOrder).map_err(|error| self.exchange.fail(error.into()))
    }

    fn note_head(&mut self) -> io::Result<()> {
        let Some(head) = self.decoder.take_head() else { return Ok(()) };
        let forwarder = self.exchange.target.forwarder();
        if let Some(why) = forwarder.and_then(|proxy| refusal(&head, proxy)) {
            return Err(self.exchange.fail(FetchError::Proxy(why)));
        }
        self.has_enough = !self.exchange.set_head(head, self.decoder.promised());
        Ok(())
    }

    /// Chooses what is sent in place of the head that awc wrote.
    fn rewrite(&mut self, written: &[u8]) -> io::Result<()> {
        let target = &self.exchange.target;
        let forwarded = target.forwarder().map(|by| Forwarded { by, host: &target.host, port: target.port });
        match request_head(written, self.exchange.has_date, forwarded.as_ref()) {
            Some(rewritten) => self.outgoing = rewritten,
            None if forwarded.is_none() => {}
            None => {
                let why = "its head cannot be rewritten for a proxy".to_owned();
                return Err(self.exchange.fail(FetchError::Request(why)));
            }
        }
        Ok(())
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
        if this.serving.is_some() {
            ready!(this.poll_answer(cx))?;
            this.settle();
        }
        if this.telling.is_empty() {
            return this.poll_idle(cx, buffer);
        }
        let (told, untold) = this.telling.split_at(this.telling.len().min(buffer.remaining()));
        buffer.put_slice(told);
        this.telling = untold;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let serving = this.serve_current()?;
        let (exchange, sent) = (serving.exchange.clone(), serving.sent);
        if sent == SendState::Enough {
            return Poll::Ready(Ok(bytes.len()));
        }
        if sent == SendState::Nothing {
            serving.rewrite(bytes)?;
            this.check_quiet(&exchange, cx)?;
            ready!(exchange.poll_start(cx))?;
            if exchange.permit().is_bound() {
                // Before the first byte: this process may be ended at any moment after it.
                this.slot.discard_when_closed(true)?;
                #[cfg(all(test, feature = "cluster", target_os = "linux"))]
                super::failpoint::stop_if_asked();
            }
        } else {
            exchange.check_term()?;
        }
        let wrote = this.poll_send(cx, bytes, sent == SendState::Nothing);
        if sent == SendState::Nothing {
            ready!(&wrote);
            exchange.wrote();
            this.note_sent(SendState::Something);
        } else if wrote.is_ready() {
            exchange.wrote_more();
        }
        this.poll_unless_answered(wrote, bytes.len(), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.serving.as_ref().map(|serving| serving.sent) {
            Some(SendState::Enough) => Poll::Ready(Ok(())),
            Some(SendState::Something) => {
                this.serving.as_ref().map_or(Ok(()), |serving| serving.exchange.check_term())?;
                let flushed = match this.poll_outgoing(cx) {
                    Poll::Ready(Ok(())) => this.poll_stream(|stream| stream.poll_flush(cx)),
                    unsent => unsent,
                };
                this.poll_unless_answered(flushed, (), cx)
            }
            Some(SendState::Nothing) | None => this.poll_stream(|stream| stream.poll_flush(cx)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stream(|stream| stream.poll_shutdown(cx))
    }
}

/// awc asks for readiness only in its own TLS layer, which is not used.
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

#[cfg(test)]
mod tests;
