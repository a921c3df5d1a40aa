//! What a connection writes, and what awc reads from it.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    conduct::Terms,
    conducts::Conducts,
    domain::{Domain, DomainKey},
    rate::Rate,
    request::Request,
    term::TermLength,
    transport::{
        Deadlines, SharedTransport, Transport, TransportSettings,
        exchange::{Extent, Route},
        proxy::Proxy,
        sockets::{SocketBudget, Sockets},
    },
};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn exchange(head: Duration) -> Rc<Exchange> {
    exchange_by(None, head)
}

fn exchange_by(proxy: Option<Arc<Proxy>>, head: Duration) -> Rc<Exchange> {
    exchange_within(&Conducts::new(), proxy, head)
}

#[allow(clippy::disallowed_methods, reason = "the gate is passed in real time")]
fn exchange_within(conducts: &Conducts, proxy: Option<Arc<Proxy>>, head: Duration) -> Rc<Exchange> {
    let now = std::time::Instant::now();
    let tenant = conducts.tenant(&DomainKey::Host);
    let tenancy = tenant.join(&Domain::new("e.org"), Terms::rate(Rate::UNLIMITED), Arc::new(()), now);
    let permit = tenancy.grant(now, now).unwrap();
    let target = Route { tls: false, host: "e.org".into(), port: 80, proxy };
    let deadlines = Deadlines { head, ..Deadlines::default() };
    let settings = TransportSettings { deadlines, ..TransportSettings::default() };
    let shared = SharedTransport::new(settings, &tokio::runtime::Handle::current()).unwrap();
    let extent = Extent { max_bytes: 6, accepts_part: true, keeps_wire_bytes: false };
    Exchange::new(
        permit,
        &Request::get("http://e.org/".parse().unwrap()),
        target,
        (extent, None),
        &Transport::new(shared),
    )
}

/// Returns a connection, the server's end of it, and its slot.
async fn connected(buffer: usize) -> (Connection, DuplexStream, Rc<SocketSlot>) {
    let (ours, theirs) = duplex(buffer);
    let sockets = Sockets::new(SocketBudget::new(1), Duration::from_secs(60));
    let slot = sockets.register(Box::new(ours), sockets.place().await, None);
    (Connection::new(slot.clone(), WireLimits::default()), theirs, slot)
}

async fn write(connection: &mut Connection, exchange: &Rc<Exchange>, bytes: &[u8]) -> io::Result<usize> {
    exchange.scope(poll_fn(|cx| Pin::new(&mut *connection).poll_write(cx, bytes))).await
}

/// Reads until awc would see the end of the response; returns what awc sees, and the body.
async fn read(connection: &mut Connection, exchange: &Rc<Exchange>) -> io::Result<(&'static str, Bytes)> {
    let mut seen = vec![0; 1_000];
    let length = exchange.scope(connection.read(&mut seen)).await?;
    let seen = if seen[..length] == *CAME_AND_KEPT { "kept" } else { "closed" };
    Ok((seen, exchange.take_response().expect("an answer").body))
}

/// Serves one request, after which the connection is kept.
async fn serve_one(connection: &mut Connection, server: &mut DuplexStream) {
    let first = exchange(Duration::from_secs(9));
    write(connection, &first, b"first").await.unwrap();
    server.write_all(HELLO).await.unwrap();
    assert_eq!(read(connection, &first).await.unwrap(), ("kept", "hello".into()));
    drop(first.into_permit().expect("a connection that served lets go of the exchange, and so of its permit"));
}

#[test]
fn awc_hears_of_an_answer_once_the_body_is_whole_and_its_connection_closes_with_one_that_is_cut() {
    actix_rt::System::new().block_on(async {
        let (mut connection, mut server, slot) = connected(1_000).await;
        serve_one(&mut connection, &mut server).await;
        let exchange = exchange(Duration::from_secs(9));
        write(&mut connection, &exchange, b"second").await.unwrap();
        server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await.unwrap();
        let mut seen = [0; 100];
        let early = exchange.scope(connection.read(&mut seen)).now_or_never();
        assert!(early.is_none(), "{early:?}");
        server.write_all(b"5\r\nworld\r\n").await.unwrap();
        assert_eq!(read(&mut connection, &exchange).await.unwrap(), ("closed", "hellow".into()));
        assert!(slot.stream().borrow().is_none());
    });
}

#[test]
fn what_comes_on_an_idle_connection_is_no_answer_and_the_request_stays_unsent() {
    actix_rt::System::new().block_on(async {
        for closes in [false, true] {
            let (mut connection, mut server, slot) = connected(1_000).await;
            serve_one(&mut connection, &mut server).await;
            if closes {
                server.shutdown().await.unwrap();
            } else {
                server.write_all(HELLO).await.unwrap();
            }
            let second = exchange(Duration::from_secs(9));
            write(&mut connection, &second, b"second").await.unwrap_err();
            assert!(second.died_unanswered(), "it may be sent again");
            drop(connection);
            drop(slot);
            let mut asked = String::new();
            server.read_to_string(&mut asked).await.unwrap();
            assert_eq!(asked, "first");
        }
    });
}

/// Regression: this was treated as a lost connection, and the request was sent twice.
#[test]
fn a_server_that_is_silent_has_not_died() {
    actix_rt::System::new().block_on(async {
        let (mut connection, mut server, _slot) = connected(1_000).await;
        serve_one(&mut connection, &mut server).await;
        let second = exchange(Duration::from_millis(10));
        write(&mut connection, &second, b"second").await.unwrap();
        read(&mut connection, &second).await.unwrap_err();
        assert!(matches!(second.take_failure(), Some(FetchError::Timeout { .. })));
        assert!(!second.died_unanswered());
    });
}

#[test]
fn a_request_that_is_answered_before_it_is_written_is_not_written_on_and_the_connection_is_closed() {
    actix_rt::System::new().block_on(async {
        let (mut connection, mut server, slot) = connected(200).await;
        let exchange = exchange(Duration::from_secs(9));
        assert_eq!(write(&mut connection, &exchange, &[b'x'; 500]).await.unwrap(), 200);
        server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        server.write_all(HELLO).await.unwrap();
        assert_eq!(write(&mut connection, &exchange, &[b'x'; 300]).await.unwrap(), 300);
        assert_eq!(read(&mut connection, &exchange).await.unwrap(), ("closed", "hello".into()));
        assert!(slot.stream().borrow().is_none());
    });
}

#[test]
fn a_head_is_rewritten_for_a_proxy_however_few_bytes_it_takes_at_once() {
    actix_rt::System::new().block_on(async {
        let proxy: Proxy = "http://me:secret@p:1".parse().unwrap();
        for buffer in [1, 7, 1_000] {
            let exchange = exchange_by(Some(Arc::new(proxy.clone())), Duration::from_secs(9));
            let (mut connection, mut server, _slot) = connected(buffer).await;
            let head = b"POST /a HTTP/1.1\r\nhost: e.org\r\n\r\n";
            let sending = async {
                assert_eq!(write(&mut connection, &exchange, head).await.unwrap(), head.len());
                assert!(write(&mut connection, &exchange, b"body").await.unwrap() > 0);
                exchange.scope(connection.flush()).await.unwrap();
            };
            let expected = "POST http://e.org/a HTTP/1.1\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n\
                            host: e.org\r\n\r\nb";
            let mut sent = vec![0; expected.len()];
            let (_, received) = tokio::join!(sending, server.read_exact(&mut sent));
            received.unwrap();
            assert_eq!(String::from_utf8(sent).unwrap(), expected);
        }
    });
}

/// A request within a term of a second, on a real socket; returns the server's end too.
#[allow(clippy::disallowed_methods, reason = "the gate is passed in real time")]
async fn within_a_term(conducts: &Conducts) -> (Connection, TcpStream, Rc<Exchange>, Rc<SocketSlot>) {
    let term = conducts.term();
    term.bind().unwrap();
    term.renew(std::time::Instant::now(), TermLength::new(Duration::from_secs(1)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().await.unwrap();
    let sockets = Sockets::new(SocketBudget::new(1), Duration::from_secs(60));
    let slot = sockets.register(Box::new(ours), sockets.place().await, None);
    let exchange = exchange_within(conducts, None, Duration::from_secs(9));
    (Connection::new(slot.clone(), WireLimits::default()), theirs, exchange, slot)
}

#[test]
fn what_a_term_bounds_is_discarded_while_it_is_unanswered_and_closed_in_order_after_that() {
    actix_rt::System::new().block_on(async {
        for is_answered in [false, true] {
            let conducts = Conducts::new();
            let (mut connection, mut server, exchange, slot) = within_a_term(&conducts).await;
            write(&mut connection, &exchange, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut seen = [0; 100];
            assert!(server.read(&mut seen).await.unwrap() > 0);
            if is_answered {
                server.write_all(HELLO).await.unwrap();
                assert_eq!(read(&mut connection, &exchange).await.unwrap().0, "kept");
            }
            slot.close();
            let end = server.read(&mut seen).await;
            let is_reset = end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
            assert_eq!(is_reset, !is_answered, "{end:?}");
        }
    });
}

#[test]
fn nothing_more_of_a_request_is_written_after_the_term() {
    actix_rt::System::new().block_on(async {
        let conducts = Conducts::new();
        let (mut connection, _server, exchange, _slot) = within_a_term(&conducts).await;
        write(&mut connection, &exchange, b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        write(&mut connection, &exchange, b"one").await.unwrap();
        conducts.term().end();
        assert!(write(&mut connection, &exchange, b"two").await.is_err());
        let other = exchange_lapsed(&conducts);
        assert!(other, "and nothing is granted");
    });
}

#[allow(clippy::disallowed_methods, reason = "the gate is asked in real time")]
fn exchange_lapsed(conducts: &Conducts) -> bool {
    let now = std::time::Instant::now();
    let tenant = conducts.tenant(&DomainKey::Host);
    let tenancy = tenant.join(&Domain::new("f.org"), Terms::rate(Rate::UNLIMITED), Arc::new(()), now);
    tenancy.grant(now, now).is_err()
}
