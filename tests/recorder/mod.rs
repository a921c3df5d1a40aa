//! Recorder: a raw HTTP server with one thread for each connection, which records when each request arrives. It shares
//! no runtime and no code with the crawler, and takes the arrival times from the kernel, so that threads woken late on
//! a busy machine do not distort them.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::{
    collections::{BTreeMap, HashMap},
    io::{IoSliceMut, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime},
};

use nix::{
    cmsg_space,
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
        time::TimeSpec,
    },
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub index: usize,
    /// The name in the `Host` header, without the port.
    pub host: String,
    /// The number of unanswered requests to this host, including this one.
    pub in_flight: usize,
    /// The same for all hosts.
    pub in_flight_in_all: usize,
    /// How often this path was requested at this host, including this time.
    pub time: usize,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Who has sent it.
    pub from: IpAddr,
}

impl Asked {
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A response, and its delay.
#[derive(Clone, Debug)]
pub struct Answer {
    pub after: Duration,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Whether the connection is closed instead of a response.
    pub hangs_up: bool,
}

impl Answer {
    pub fn ok(body: impl Into<String>) -> Self {
        Self { after: Duration::ZERO, status: 200, headers: Vec::new(), body: body.into(), hangs_up: false }
    }

    /// A page with these links.
    pub fn page<T: AsRef<str>>(links: impl IntoIterator<Item = T>) -> Self {
        let links = links.into_iter().map(|link| format!("<p><a href=\"{}\">link</a></p>", link.as_ref()));
        Self::ok(links.collect::<String>()).header("content-type", "text/html")
    }

    pub fn redirect(to: impl ToString) -> Self {
        Self::status(302).header("location", to)
    }

    pub fn hang_up() -> Self {
        Self { hangs_up: true, ..Self::ok("") }
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
    pub address: SocketAddr,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    asked: Vec<Asked>,
    in_flight: HashMap<String, usize>,
    times: HashMap<(String, String), usize>,
}

impl Recorder {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    pub fn at(listener: TcpListener, answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        // Connections inherit it.
        setsockopt(&listener, ReceiveTimestampns, &true).unwrap();
        let notes = Arc::new(Mutex::new(Notes::default()));
        let (answer, shared, clock) = (Arc::new(answer), notes.clone(), Arc::new(Clock::new()));
        let thread = |name: &str| thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024);
        let listen = move || {
            for stream in listener.incoming().flatten() {
                let (answer, notes, clock) = (answer.clone(), shared.clone(), clock.clone());
                let serve = move || serve(&stream, &clock, &notes, &*answer);
                thread("recorder").spawn(serve).unwrap();
            }
        };
        thread("recorder").spawn(listen).unwrap();
        Self { address, notes }
    }

    /// The same recorder, for another thread.
    pub fn share(&self) -> Self {
        Self { address: self.address, notes: self.notes.clone() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The override that leads every name below `test` here.
    pub fn rule(&self) -> String {
        format!("*.test:{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.notes.lock().unwrap().asked.clone()
    }

    pub fn count(&self) -> usize {
        self.notes.lock().unwrap().asked.len()
    }

    /// The requests by host.
    pub fn by_host(&self) -> BTreeMap<String, Vec<Asked>> {
        let mut hosts = BTreeMap::<_, Vec<_>>::new();
        for asked in self.asked() {
            hosts.entry(asked.host.clone()).or_default().push(asked);
        }
        hosts
    }

    pub fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// The requested URLs, sorted.
    pub fn sorted_urls(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.asked().iter().map(Asked::url).collect();
        urls.sort();
        urls
    }

    pub fn arrivals(&self) -> Arrivals {
        Arrivals::of(&self.asked())
    }
}

impl Notes {
    /// Records a request, and completes its numbers.
    fn take(&mut self, mut asked: Asked) -> Asked {
        asked.index = self.asked.len();
        let in_flight = self.in_flight.entry(asked.host.clone()).or_default();
        *in_flight += 1;
        asked.in_flight = *in_flight;
        asked.in_flight_in_all = self.in_flight.values().sum();
        let times = self.times.entry((asked.host.clone(), asked.path.clone())).or_default();
        *times += 1;
        asked.time = *times;
        self.asked.push(asked.clone());
        asked
    }

    fn answered(&mut self, host: &str) {
        if let Some(in_flight) = self.in_flight.get_mut(host) {
            *in_flight -= 1;
        }
    }
}

/// Serves one connection. It ends quietly when its client does.
fn serve(stream: &TcpStream, clock: &Clock, notes: &Mutex<Notes>, answer: &dyn Fn(&Asked) -> Answer) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let from = stream.peer_addr().ok()?.ip();
    let mut socket = Socket { stream, clock, read: Vec::new(), at: Instant::now() };
    loop {
        let head = socket.until(|read| read.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4))?;
        let at = socket.at;
        let head = String::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let host = header("host").map_or("", |host| host.rsplit_once(':').map_or(host, |(host, _)| host)).to_owned();
        let body = socket.until(|read| (read.len() >= length).then_some(length))?;
        let asked =
            Asked { at, index: 0, host, in_flight: 0, in_flight_in_all: 0, time: 0, method, path, headers, body, from };
        let asked = notes.lock().unwrap().take(asked);
        let Answer { after, status, headers, body, hangs_up } = answer(&asked);
        thread::sleep(after);
        // Before the response is written, since the next request may arrive before the write returns.
        notes.lock().unwrap().answered(&asked.host);
        if hangs_up {
            return None;
        }
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        let body = if asked.method == "HEAD" { "" } else { &body };
        socket.stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}

/// A socket that reports the arrival time of its bytes.
struct Socket<'a> {
    stream: &'a TcpStream,
    clock: &'a Clock,
    read: Vec<u8>,
    /// When the last read bytes arrived.
    at: Instant,
}

impl Socket<'_> {
    /// Reads until `end` finds the end, and returns the bytes before it.
    fn until(&mut self, end: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = end(&self.read) {
                let rest = self.read.split_off(end);
                return Some(std::mem::replace(&mut self.read, rest));
            }
            let mut bytes = [0; 8192];
            let mut room = cmsg_space!(TimeSpec);
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let got = recvmsg::<()>(self.stream.as_raw_fd(), &mut slices, Some(&mut room), MsgFlags::empty()).ok()?;
            let stamp = got.cmsgs().ok()?.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            });
            let length = Some(got.bytes).filter(|length| *length > 0)?;
            self.at = stamp.map_or_else(Instant::now, |stamp| self.clock.instant(stamp));
            self.read.extend_from_slice(&bytes[..length]);
        }
    }
}

/// Converts the kernel's timestamps, which are calendar times, to instants.
struct Clock(Instant, SystemTime);

impl Clock {
    fn new() -> Self {
        loop {
            let (before, wall) = (Instant::now(), SystemTime::now());
            // Not interrupted between the two readings.
            if before.elapsed() < Duration::from_micros(20) {
                return Self(before, wall);
            }
        }
    }

    fn instant(&self, stamp: TimeSpec) -> Instant {
        self.0 + (SystemTime::UNIX_EPOCH + Duration::from(stamp)).duration_since(self.1).unwrap_or_default()
    }
}

/// When requests arrived.
#[derive(Clone, Debug)]
pub struct Arrivals(pub Vec<Instant>);

impl Arrivals {
    pub fn of(asked: &[Asked]) -> Self {
        Self(asked.iter().map(|asked| asked.at).collect())
    }

    /// From the first to the last.
    pub fn span(&self) -> Duration {
        let sorted = self.sorted();
        sorted.first().zip(sorted.last()).map_or(Duration::ZERO, |(first, last)| *last - *first)
    }

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
