//! Recorder: a raw HTTP server on threads of its own, one for each connection, that notes when each request arrived.
//! It shares no runtime and no code with what it judges.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub index: usize,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What the server answers, and how much later.
#[derive(Clone, Debug)]
pub struct Answer {
    pub after: Duration,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Answer {
    pub fn ok(body: impl Into<String>) -> Self {
        Self { after: Duration::ZERO, status: 200, headers: Vec::new(), body: body.into() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn after(mut self, latency: Duration) -> Self {
        self.after = latency;
        self
    }
}

pub struct Recorder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Recorder {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, notes) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, notes) = (answer.clone(), notes.clone());
                thread::Builder::new().stack_size(128 * 1024).spawn(move || serve(&stream, &notes, &*answer)).unwrap();
            }
        });
        Self { address, asked }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn arrivals(&self) -> Arrivals {
        Arrivals(self.asked().iter().map(|asked| asked.at).collect())
    }
}

/// Serves one connection. It ends quietly when its client does.
fn serve(mut stream: &TcpStream, notes: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        // The moment of arrival is that of the first bytes.
        reader.fill_buf().ok()?;
        let at = Instant::now();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let asked = {
            let mut notes = notes.lock().unwrap();
            let asked = Asked { at, index: notes.len(), method, path, headers, body };
            notes.push(asked.clone());
            asked
        };
        let Answer { after, status, headers, body } = answer(&asked);
        thread::sleep(after);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let body = if asked.method == "HEAD" { "" } else { &body };
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}

/// When requests arrived.
#[derive(Clone, Debug)]
pub struct Arrivals(pub Vec<Instant>);

impl Arrivals {
    fn sorted(&self) -> Vec<Instant> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
    }

    /// Starts per second from the first to the last.
    pub fn rate(&self) -> f64 {
        let sorted = self.sorted();
        (sorted.len() - 1) as f64 / (sorted[sorted.len() - 1] - sorted[0]).as_secs_f64()
    }

    /// The most arrivals in any window of `per`.
    pub fn fullest(&self, per: Duration) -> usize {
        let sorted = self.sorted();
        let mut from = 0;
        let within = |(index, at): (usize, &Instant)| {
            while *at - sorted[from] >= per {
                from += 1;
            }
            index + 1 - from
        };
        sorted.iter().enumerate().map(within).max().unwrap_or(0)
    }

    pub fn smallest_gap(&self) -> Duration {
        self.sorted().windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(Duration::MAX)
    }
}
