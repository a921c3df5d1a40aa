//! Exchange: one request and its response, as the connection sees them. Carries the permit to the connection, which
//! passes the gate when it writes, and carries the response or the failure back.

use std::{
    cell::{Cell, Ref, RefCell},
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, header::DATE};
use tokio::time::{Sleep, sleep_until};

use super::{
    SharedTransport, Transport,
    alarm::Alarm,
    body::PartialBody,
    body_sink::SharedSink,
    deadlines::Deadlines,
    proxy::Proxy,
    raw_response::{RawResponse, WireBytes},
    read_timeout::{Expiry, ReadTimeout},
    wire::Head,
};
use crate::{
    clock,
    conduct::throttle::Refusal,
    outcome::{FetchError, local_fault::LocalFault},
    permit::Permit,
    request::Request,
};

tokio::task_local! {
    /// The exchange whose future is being polled. awc reads and writes within that poll, so both new and kept-alive
    /// connections find their exchange here.
    static CURRENT: Rc<Exchange>;
}

/// The longest wait at the gate. A permit that must wait longer is given back: its domain began to cool after the
/// grant, and the wait would occupy a slot that another domain could use.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The runtime's timers are late by up to this much, so the alarm serves shorter waits. Measured with timers at 5,000
/// starts a second: requests that the gate delayed by microseconds started milliseconds later, which cost 3 % of the
/// rate.
const RESOLUTION: Duration = Duration::from_millis(2);

/// One request with its permit, and its response or failure.
pub struct Exchange {
    /// Where the request goes.
    pub target: Route,
    /// The method; it affects the framing of the response.
    pub method: Method,
    /// Whether the request has a `Date` of its own.
    pub has_date: bool,
    permit: RefCell<Permit>,
    /// When the gate opens for it, as far as that is known.
    due: Cell<Instant>,
    /// Wakes the request when the gate opens, if starts are evenly spaced. Otherwise a timer does, which is cheaper and
    /// exact to a millisecond.
    alarm: Alarm,
    /// The last call to the alarm: its instant and its waker.
    called: RefCell<Option<(Instant, Waker)>>,
    sleep: RefCell<Option<Pin<Box<Sleep>>>>,
    deadlines: Deadlines,
    /// Runs from the first written byte.
    read_timeout: RefCell<Option<ReadTimeout>>,
    /// The timer of the read time-out.
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
    extent: Extent,
    /// The bytes on the wire, if a layer wants them.
    captured: Option<RefCell<WireBytes>>,
    head: RefCell<Option<Head>>,
    body: RefCell<PartialBody>,
    /// What takes the body in place of `body`, and how much it was given.
    sink: Option<SharedSink>,
    streamed: Cell<u64>,
    /// Whether the body is longer than the part that was read.
    is_cut: Cell<bool>,
    failure: RefCell<Option<FetchError>>,
    started: Cell<Option<Instant>>,
    connected: Cell<bool>,
    lost: Cell<bool>,
    answered: Cell<bool>,
    postponed: Cell<bool>,
    cookies_changed: Cell<bool>,
    /// The fault of this machine that its connection waits for, or may be waiting for.
    suspect: Cell<Option<LocalFault>>,
}

/// How much of a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The most bytes of body.
    pub max_bytes: u64,
    /// Whether the first bytes of a longer body are useful. If not, a body that announces more is not read at all.
    pub accepts_part: bool,
    /// Whether request and response are also kept as they were on the wire. This takes about twice the memory.
    pub keeps_wire_bytes: bool,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whether TLS is used.
    pub tls: bool,
    /// The host as in the URL; an IPv6 address has its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The proxy to use, if any.
    pub proxy: Option<Arc<Proxy>>,
}

impl Route {
    /// Returns the proxy that receives the request itself in absolute form, rather than a tunnel.
    pub fn forwarder(&self) -> Option<&Proxy> {
        self.proxy.as_deref().filter(|proxy| !self.tls && proxy.forwards_http())
    }
}

impl Exchange {
    /// Begins an exchange under a permit, on this arbiter's transport.
    pub fn new(
        permit: Permit,
        request: &Request,
        target: Route,
        (extent, sink): (Extent, Option<SharedSink>),
        transport: &Transport,
    ) -> Rc<Self> {
        let SharedTransport { deadlines, alarm, bodies, .. } = &transport.shared;
        Rc::new(Self {
            target,
            method: request.method.clone(),
            has_date: request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(DATE.as_str())),
            extent,
            captured: extent.keeps_wire_bytes.then(RefCell::default),
            due: Cell::new(permit.due()),
            permit: RefCell::new(permit),
            alarm: alarm.clone(),
            called: RefCell::new(None),
            sleep: RefCell::new(None),
            deadlines: *deadlines,
            read_timeout: RefCell::new(None),
            timer: RefCell::new(None),
            head: RefCell::new(None),
            body: RefCell::new(bodies.gather()),
            sink,
            streamed: Cell::new(0),
            is_cut: Cell::new(false),
            failure: RefCell::new(None),
            started: Cell::new(None),
            cookies_changed: Cell::new(false),
            connected: Cell::new(false),
            lost: Cell::new(false),
            answered: Cell::new(false),
            postponed: Cell::new(false),
            suspect: Cell::new(None),
        })
    }

    /// Runs a future in which the connection can find this exchange.
    pub fn scope<F: Future>(self: &Rc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    /// Returns the exchange that is being polled.
    pub fn current() -> Option<Rc<Self>> {
        CURRENT.try_with(Rc::clone).ok()
    }

    /// Passes the gate: ready when the request may be written *now*. The caller writes at once and then calls
    /// [`Exchange::wrote`].
    pub fn poll_start(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(sleep) = self.sleep.borrow_mut().as_mut() {
                ready!(sleep.as_mut().poll(cx));
            }
            self.sleep.replace(None);
            let now = clock::now();
            // Only an interval of the gate is waited for here.
            let not_before = match self.permit.borrow_mut().try_start(now) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(Refusal::NotBefore(at)) => Some(at),
                Err(Refusal::Lapsed(_) | Refusal::OtherTenant(_) | Refusal::Full) => None,
            };
            let Some((not_before, wait)) =
                not_before.map(|at| (at, at.saturating_duration_since(now))).filter(|(_, wait)| *wait <= MAX_WAIT)
            else {
                self.postponed.set(true);
                return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
            };
            self.due.set(not_before);
            // Virtual time has whole milliseconds, and a thread beside it would not know it.
            let is_fine = (wait < RESOLUTION || self.permit.borrow().is_even()) && !clock::is_virtual();
            if is_fine && self.call(not_before, cx.waker()) {
                return Poll::Pending;
            }
            self.sleep.replace(Some(Box::pin(sleep_until(not_before.into()))));
        }
    }

    /// Returns when the request may be written: when its permit is due, or later if the gate has put it off.
    pub fn due(&self) -> Instant {
        self.due.get()
    }

    /// Schedules a wake-up with the alarm; false if the system cannot start its thread.
    fn call(&self, at: Instant, waker: &Waker) -> bool {
        let mut called = self.called.borrow_mut();
        if called.as_ref().is_some_and(|(known, whom)| *known == at && whom.will_wake(waker)) {
            return true;
        }
        *called = Some((at, waker.clone()));
        self.alarm.call(at, waker.clone()).is_ok()
    }

    /// Records that the first bytes of the request are written.
    pub fn wrote(&self) {
        let now = clock::now();
        self.permit.borrow_mut().wrote(now);
        self.started.set(Some(now));
        self.read_timeout.replace(Some(ReadTimeout::new(self.deadlines, now)));
    }

    /// Checks that more of the request may be written.
    ///
    /// # Errors
    /// The term has lapsed in which this process may ask anybody.
    pub fn check_term(&self) -> io::Result<()> {
        let permit = self.permit.borrow();
        if permit.is_bound() && permit.check_term(clock::now()).is_err() {
            let why = "the term in which this machine may ask has lapsed";
            return Err(self.fail(FetchError::Protocol(why.to_owned())));
        }
        Ok(())
    }

    /// Records that more of the request is written.
    pub fn wrote_more(&self) {
        self.with_read_timeout(ReadTimeout::wrote);
    }

    fn with_read_timeout(&self, note: impl FnOnce(&mut ReadTimeout, Instant)) {
        if let Some(read_timeout) = self.read_timeout.borrow_mut().as_mut() {
            note(read_timeout, clock::now());
        }
    }

    /// Returns when the request was written.
    pub fn started(&self) -> Option<Instant> {
        self.started.get()
    }

    /// Tells whether the gate refused for longer than `MAX_WAIT`, or the term had lapsed.
    pub fn was_postponed(&self) -> bool {
        self.postponed.get()
    }

    /// Notes which fault of this machine the connection waits for, or may be waiting for.
    pub fn suspect(&self, fault: Option<LocalFault>) {
        self.suspect.set(fault);
    }

    /// Returns what was suspected last.
    pub fn suspected(&self) -> Option<LocalFault> {
        self.suspect.get()
    }

    /// Notes that the request goes over a new connection.
    pub fn connecting(&self) {
        self.connected.set(true);
    }

    /// Tells whether the request was sent on a kept-alive connection that closed without a byte of response. The server
    /// may have closed it before it read the request.
    pub fn died_unanswered(&self) -> bool {
        self.lost.get() && !self.connected.get() && !self.answered.get()
    }

    /// Records that the connection failed, or cannot be used.
    pub fn lost(&self) {
        self.lost.set(true);
    }

    /// Records received bytes; tells whether they are the first of the response.
    pub fn answered(&self, bytes: usize) -> bool {
        self.with_read_timeout(|read_timeout, now| read_timeout.received(bytes, now));
        !self.answered.replace(true)
    }

    /// Ready when the read time-out has expired; polled while the connection has nothing to read.
    pub fn poll_silence(&self, cx: &mut Context<'_>) -> Poll<FetchError> {
        let Some(Expiry { at, phase, limit }) = self.read_timeout.borrow().as_ref().map(ReadTimeout::end) else {
            return Poll::Pending;
        };
        let until = tokio::time::Instant::from_std(at);
        let mut timer = self.timer.borrow_mut();
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        // Bytes may have been received since the timer was set. It is reset only when it fires, since most responses
        // end before.
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= until {
                return Poll::Ready(FetchError::Timeout { phase, limit });
            }
            timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// Stores the head of the response and the announced length of the body; tells whether the body is wanted.
    pub fn set_head(&self, head: Head, promised: Option<u64>) -> bool {
        self.with_read_timeout(|read_timeout, _| read_timeout.head_came());
        if let Some(sink) = &self.sink {
            sink.borrow_mut().begin(head.status.as_u16(), &head.headers);
            self.streamed.set(0);
        }
        self.head.replace(Some(head));
        let is_too_long = promised.is_some_and(|promised| promised > self.extent.max_bytes);
        self.is_cut.set(is_too_long);
        !is_too_long || self.extent.accepts_part
    }

    /// Adds a piece of the body; tells whether more is wanted.
    pub fn add(&self, mut piece: Bytes) -> bool {
        let mut body = self.body.borrow_mut();
        let room = self.extent.max_bytes.saturating_sub(body.length() + self.streamed.get());
        let fits = piece.len() as u64 <= room;
        if !fits {
            self.is_cut.set(true);
            piece.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        if let Some(sink) = &self.sink {
            self.streamed.set(self.streamed.get() + piece.len() as u64);
            return sink.borrow_mut().add(piece) && fits;
        }
        body.add(piece);
        fits
    }

    /// Ready when memory is reserved for all received bytes of the body, or its sink has room for more.
    pub fn poll_reserved(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_waited = ready!(self.body.borrow_mut().poll_reserved(cx));
        if let Some(sink) = &self.sink {
            has_waited |= ready!(sink.borrow_mut().poll_room(cx));
        }
        if has_waited {
            self.with_read_timeout(ReadTimeout::resumed);
        }
        Poll::Ready(())
    }

    /// Takes the response.
    pub fn take_response(&self) -> Option<RawResponse> {
        let Head { status, headers, .. } = self.head.take()?;
        let (body, reservation) = self.body.borrow_mut().take();
        let is_cut = self.is_cut.get();
        let (status, streamed, fetched_at) = (status.as_u16(), self.streamed.get(), clock::wall());
        Some(RawResponse { status, headers, fetched_at, body, streamed, is_cut, reservation })
    }

    /// Keeps a copy of bytes that were written.
    pub fn capture_written(&self, bytes: &[u8]) {
        if let Some(captured) = &self.captured {
            captured.borrow_mut().request.extend_from_slice(bytes);
        }
    }

    /// Keeps a copy of bytes that were received, within a bound.
    pub fn capture_received(&self, bytes: &[u8]) {
        if let Some(captured) = &self.captured {
            let added = captured.borrow_mut().add_received(bytes, self.extent.max_bytes);
            self.body.borrow_mut().charge(added);
        }
    }

    /// Notes which server the connection leads to, for a layer that archives.
    pub fn note_server(&self, server: Option<IpAddr>) {
        if let Some(captured) = &self.captured {
            captured.borrow_mut().server = server;
        }
    }

    /// Takes the captured wire bytes, if any.
    pub fn take_wire_bytes(&self) -> Option<WireBytes> {
        self.captured.as_ref().map(RefCell::take)
    }

    /// Stores the failure, unless there is one already, and returns it as an I/O error for awc.
    pub fn fail(&self, error: FetchError) -> io::Error {
        let text = error.to_string();
        self.failure.borrow_mut().get_or_insert(error);
        io::Error::other(text)
    }

    /// Takes the failure.
    pub fn take_failure(&self) -> Option<FetchError> {
        self.failure.take()
    }

    /// Notes whether the answer changed the cookies that are sent.
    pub fn note_cookies(&self, have_changed: bool) {
        self.cookies_changed.set(have_changed);
    }

    /// Tells whether the answer changed the cookies that are sent.
    pub fn cookies_changed(&self) -> bool {
        self.cookies_changed.get()
    }

    /// Returns the permit, so that its domain learns from the result.
    pub fn permit(&self) -> Ref<'_, Permit> {
        self.permit.borrow()
    }

    /// Ends the exchange and returns its permit, for a second attempt or to be dropped.
    pub fn into_permit(self: Rc<Self>) -> Option<Permit> {
        Rc::into_inner(self).map(|exchange| exchange.permit.into_inner())
    }
}
