//! DemoServer: the demo's sites on one port of this machine; records when each request arrives.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedSender,
    time::sleep,
};

use super::{
    super::now,
    sites::{DemoResponse, answer},
};

/// The server, on a thread of its own that ends with the process.
pub struct DemoServer {
    /// Its address.
    pub address: SocketAddr,
    seen: Arc<Mutex<HashMap<String, HostLog>>>,
}

/// What the server recorded of one host.
#[derive(Clone, Debug, Default)]
pub struct HostLog {
    /// For each request: when it came, its path, and the status of its response.
    pub requests: Vec<(Instant, String, u16)>,
    /// The most requests at the same time.
    pub max_at_once: u32,
    at_once: u32,
}

impl HostLog {
    /// Returns the least time between two requests.
    pub fn smallest_gap(&self) -> Option<Duration> {
        let next = self.requests.iter().skip(1);
        self.requests.iter().zip(next).map(|(one, next)| next.0.duration_since(one.0)).min()
    }

    /// Returns the time between the response with a status and the next request.
    pub fn gap_after(&self, status: u16) -> Option<Duration> {
        let at = self.requests.iter().position(|request| request.2 == status)?;
        Some(self.requests.get(at + 1)?.0.duration_since(self.requests.get(at)?.0))
    }
}

impl DemoServer {
    /// Starts on a free port. Remarks are sent to `remarks`.
    ///
    /// # Errors
    /// The system provides no port or no thread.
    pub fn start(remarks: UnboundedSender<String>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let server = SiteServer { seen: seen.clone(), remarks };
        thread::Builder::new().name("demo".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    // A client that disconnects midway must not affect the others.
                    tokio::spawn(server.clone().serve(stream));
                }
                #[allow(unreachable_code, reason = "tells the type of `?`")]
                io::Result::Ok(())
            })
        })?;
        Ok(Self { address, seen })
    }

    /// Returns what was recorded of a host.
    pub fn seen(&self, host: &str) -> HostLog {
        lock(&self.seen).get(host).cloned().unwrap_or_default()
    }
}

#[derive(Clone)]
struct SiteServer {
    seen: Arc<Mutex<HashMap<String, HostLog>>>,
    remarks: UnboundedSender<String>,
}

impl SiteServer {
    async fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        let (reading, mut writing) = stream.split();
        let mut lines = BufReader::new(reading).lines();
        while let Some(first) = lines.next_line().await? {
            let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
            let mut host = String::new();
            while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("host")
                {
                    value.trim().clone_into(&mut host);
                }
            }
            let DemoResponse { status, headers, body, takes, remark } = self.note(&host, &path);
            if let Some(remark) = remark {
                // The receiver may have gone with the crawl.
                let _ = self.remarks.send(format!("{host} {remark}"));
            }
            sleep(takes).await;
            let head = format!("HTTP/1.1 {status} \r\ncontent-length: {}\r\n{headers}\r\n", body.len());
            self.answered(&host);
            writing.write_all((head + &body).as_bytes()).await?;
        }
        Ok(())
    }

    fn note(&self, host: &str, path: &str) -> DemoResponse {
        let now = now();
        let mut seen = lock(&self.seen);
        let seen = seen.entry(host.to_owned()).or_default();
        let before = seen.requests.iter().filter(|(_, asked, _)| asked == path).count();
        let answer = answer(host, path, u32::try_from(before).unwrap_or(u32::MAX));
        seen.requests.push((now, path.to_owned(), answer.status));
        seen.at_once += 1;
        seen.max_at_once = seen.max_at_once.max(seen.at_once);
        answer
    }

    fn answered(&self, host: &str) {
        if let Some(seen) = lock(&self.seen).get_mut(host) {
            seen.at_once = seen.at_once.saturating_sub(1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
