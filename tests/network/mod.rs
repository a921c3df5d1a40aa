//! Network: servers on the loopback that respond as told and record requests, and a crawl to send them.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_crawler::{Report, Retry, Settings, prelude::*};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The time-out of everything here.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server.
pub struct Server {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves connections with a function, each on a thread of its own.
    pub fn start(serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (serve, shared) = (Arc::new(serve), heads.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serve, heads) = (serve.clone(), shared.clone());
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                thread::spawn(move || serve(stream, &heads));
            }
        });
        Self { address, heads }
    }

    /// Answers plain HTTP.
    pub fn http(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |stream, heads| converse(stream, heads, &answer))
    }

    /// Answers HTTP over TLS.
    pub fn https(config: ServerConfig, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let config = Arc::new(config);
        Self::start(move |stream, heads| {
            let tls = ServerConnection::new(config.clone()).unwrap();
            converse(StreamOwned::new(tls, stream), heads, &answer);
        })
    }

    /// Resets its first connections within the handshake, and answers HTTP over TLS on the others.
    pub fn https_after_resets(
        resets: usize,
        config: ServerConfig,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let (config, connections) = (Arc::new(config), AtomicUsize::new(0));
        Self::start(move |mut stream, heads| {
            if connections.fetch_add(1, Ordering::Relaxed) < resets {
                // Closed with unread bytes, a socket resets its connection.
                let _ = stream.read(&mut [0]);
                return;
            }
            let tls = ServerConnection::new(config.clone()).unwrap();
            converse(StreamOwned::new(tls, stream), heads, &answer);
        })
    }

    /// Reads up to an empty line, and responds with these bytes.
    pub fn blurts(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream, heads| {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).unwrap_or(0);
            heads.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
            // The client may have disconnected.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut buffer);
        })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests up to now.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn converse(mut stream: impl Read + Write, heads: &Mutex<Vec<String>>, answer: &impl Fn(&str) -> String) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
        while let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(received.drain(..end + 4).collect()).unwrap();
            let answer = answer(&head);
            heads.lock().unwrap().push(head);
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}

/// A page.
pub fn page(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

/// A redirect.
pub fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// The value of a header in a head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

/// How one request ended.
#[derive(Debug)]
pub struct Ended {
    pub url: String,
    pub outcome: String,
    pub detail: String,
}

pub fn text_of(page: &actix_crawler::Response) -> Result<Parsed<String>> {
    Ok(Parsed::new().item(String::from_utf8_lossy(page.body()).into_owned()))
}

/// Each is tried once.
pub fn settings() -> Settings {
    Settings { retry: Retry { attempts: 1, ..Retry::default() }, threads: 1, ..Settings::default() }
}

/// A crawl of these URLs as fast as it goes.
pub fn crawl(urls: &[&str]) -> Crawler<impl Spider<Item = String>> {
    guarded(urls).allow_private()
}

/// The same without access to the loopback, as by default.
pub fn guarded(urls: &[&str]) -> Crawler<impl Spider<Item = String>> {
    Crawler::new(text_of, "networktest/1.0 (+https://example.org/bot)")
        .conducts(&actix_crawler::Conducts::new())
        .settings(settings())
        .seeds(urls)
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(8)
}

/// The result of a crawl.
pub struct Crawled {
    pub report: Arc<Report>,
    pub ends: Vec<Ended>,
    pub bodies: Vec<String>,
}

impl Crawled {
    pub fn of(crawler: Crawler<impl Spider<Item = String>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log.jsonl");
        let bodies = Collect::new();
        let report = crawler.pipeline(bodies.clone()).log(&log).run_blocking().unwrap();
        let word = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let ends = std::fs::read_to_string(log)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| Ended {
                url: word(&line, "url"),
                outcome: word(&line, "outcome"),
                detail: word(&line, "detail"),
            })
            .collect();
        Self { report, ends, bodies: bodies.take() }
    }

    /// How the one request of a crawl ended.
    pub fn only(&self) -> (&str, &str) {
        assert_eq!(self.ends.len(), 1, "{:?}", self.ends);
        (&self.ends[0].outcome, &self.ends[0].detail)
    }
}
