//! Sockets: their number stays bounded with any number of domains, and so does the memory for closed ones.
#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader},
    num::NonZeroU32,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use actix_crawler::{
    Politeness, Report, RobotsPolicy, Settings,
    prelude::*,
    transport::{AddressGuard, TransportSettings},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Open files that are not sockets to servers: standard streams, epoll and event handles of each thread.
const BESIDE: usize = 40;

#[test]
fn ten_thousand_domains_need_no_more_sockets_than_allowed() {
    let (report, seen) = crawl(10_000, 64, 100);
    assert_eq!(report.pages(), 10_000, "{report}");
    assert!(report.ledger_adds_up, "{report}");
    assert!(seen.max_files <= 100 + BESIDE, "{} files were open", seen.max_files);
    assert!(seen.max_files >= 100, "the bound was never reached: {} files", seen.max_files);
}

#[test]
fn more_requests_than_sockets_wait_for_their_turn() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let (report, seen) = crawl(1_000, 200, 16);
    assert_eq!(report.pages(), 1_000, "{report}");
    assert!(seen.max_files <= 16 + BESIDE, "{} files were open", seen.max_files);
}

struct Seen {
    max_files: usize,
}

/// The files of the whole process are counted, so one crawl runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn crawl(names: usize, concurrency: u32, max_connections: usize) -> (Arc<Report>, Seen) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start();
    let settings = Settings {
        politeness: Politeness {
            rate: Some(Rate::UNLIMITED),
            concurrency: NonZeroU32::new(concurrency).unwrap(),
            robots: RobotsPolicy::Ignore,
            ..Politeness::default()
        },
        transport: TransportSettings {
            guard: AddressGuard { allow_private: true, ..AddressGuard::default() },
            resolve: vec![format!("*.test:127.0.0.1:{}", server.port)],
            max_connections,
            ..TransportSettings::default()
        },
        threads: 2,
        ..Settings::default()
    };
    let read = |_: &Response| Ok(Parsed::<()>::new());
    let crawler = Crawler::new(read, "socketbot/1.0 (+https://example.org/bot)")
        .settings(settings)
        .seeds((0..names).map(|n| format!("http://d{n:05}.test/")));
    let done = Arc::new(AtomicBool::new(false));
    let watching = thread::spawn({
        let done = done.clone();
        move || {
            let mut max_files = 0;
            while !done.load(Ordering::Relaxed) {
                max_files = max_files.max(std::fs::read_dir("/proc/self/fd").unwrap().count());
                thread::sleep(Duration::from_millis(2));
            }
            Seen { max_files }
        }
    });
    let report = crawler.run_blocking().unwrap();
    done.store(true, Ordering::Relaxed);
    (report, watching.join().unwrap())
}

/// Set for the child process that serves.
const SERVE: &str = "SOCKETS_SERVE";

/// The test that serves in the child process.
const SERVER: &str = "more_requests_than_sockets_wait_for_their_turn";

/// A server in a separate process, so that its sockets are not counted.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", SERVER, "--nocapture"])
            .env(SERVE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| line.split_once("port=")?.1.parse().ok()).unwrap();
        Self { process, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("port={}", listener.local_addr().unwrap().port());
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                let mut request = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut request).await {
                    if request.ends_with(b"\r\n\r\n") {
                        request.clear();
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}
