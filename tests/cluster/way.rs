//! Way: what lies between a node and its database.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::postgres_server::PostgresServer;

/// Forwards to the server, `later` in each direction, until the way is cut. Then all connections stay open without a
/// word. Returns the port.
pub fn to(server: &PostgresServer, later: Duration, is_cut: &Arc<AtomicBool>) -> u16 {
    let (listener, address, is_cut) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.address(), is_cut.clone());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = TcpStream::connect(address).unwrap();
            forward(client.try_clone().unwrap(), upstream.try_clone().unwrap(), later, is_cut.clone());
            forward(upstream, client, later, is_cut.clone());
        }
    });
    port
}

fn forward(mut from: TcpStream, mut to: TcpStream, later: Duration, is_cut: Arc<AtomicBool>) {
    to.set_nodelay(true).unwrap();
    let (on_its_way, arrives) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (at, bytes) in arrives {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            while is_cut.load(Ordering::SeqCst) {
                thread::park();
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if on_its_way.send((Instant::now() + later, buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    });
}
