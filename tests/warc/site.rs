//! The site that the tests of archives crawl, and how its archive is read by Python's standard library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use actix_crawler::{Report, prelude::*};
use flate2::{Compression, write::GzEncoder};

use crate::network::{Server, settings};

/// Serves bytes by path, and closes each connection.
pub fn serve(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |mut stream: TcpStream, heads: &Mutex<Vec<String>>| {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let answer = answer(head.split(' ').nth(1).unwrap(), &head);
        heads.lock().unwrap().push(head);
        // The client may have disconnected.
        let _ = stream.write_all(&answer);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut buffer);
    })
}

pub fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let fields = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [fields.as_bytes(), body].concat()
}

pub fn html(body: &str) -> Vec<u8> {
    answer("Content-Type: text/html\r\n", body.as_bytes())
}

pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A record as Python reads it.
#[derive(Debug, serde::Deserialize)]
pub struct Seen {
    pub kind: String,
    pub fields: BTreeMap<String, String>,
    pub head: String,
    pub payload: String,
}

impl Seen {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn url(&self) -> &str {
        self.field("warc-target-uri").unwrap_or_default()
    }
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// All records of the closed files of a folder.
pub fn judge(dir: &Path) -> Vec<Seen> {
    let warcs = files(dir).into_iter().filter(|file| file.to_string_lossy().ends_with(".warc.gz"));
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/warc/judge.py");
    let output = Command::new("python3").arg(judge).args(warcs).output();
    let output = output.expect("python3 is needed for this test, as in `apt-get install python3`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The response of a path, or what refers to another.
pub fn response<'a>(records: &'a [Seen], path: &str) -> &'a Seen {
    let is_it = |seen: &&Seen| ["response", "revisit"].contains(&&*seen.kind) && seen.url().ends_with(path);
    records.iter().find(is_it).unwrap_or_else(|| panic!("{path}: {records:?}"))
}

pub fn links(page: &Response) -> Result<Parsed<String>> {
    let body = String::from_utf8_lossy(page.body()).into_owned();
    Ok(Parsed::new().item(format!("{} {} {body}", page.url().path(), page.status())).follow(page.links()))
}

pub type Links = fn(&Response) -> Result<Parsed<String>>;

pub fn crawler(seed: &str) -> Crawler<Links> {
    Crawler::new(links as Links, "warctest/1.0 (+https://example.org/bot)")
        .conducts(&actix_crawler::Conducts::new())
        .settings(settings())
        .seed(seed)
        .rate(Rate::UNLIMITED)
}

/// Crawls, and returns the items.
pub fn items(crawler: Crawler<Links>) -> (std::sync::Arc<Report>, BTreeSet<String>) {
    let collected = Collect::new();
    let report = crawler.pipeline(collected.clone()).run_blocking().unwrap();
    assert!(report.ledger_adds_up, "{report}");
    (report, collected.take().into_iter().collect())
}

/// The second is found on the first, so it is fetched after that was archived.
pub const TWIN: &str = "<a href=/twin/2>twin</a><p>the same text on two pages, and long enough that it is worth a reference; the \
    same text on two pages, and long enough that it is worth a reference; the same text on two pages, and long enough that it \
    is worth a reference; the same text on two pages, and long enough that it is worth a reference";

pub fn site() -> Server {
    serve(|path, _| match path {
        "/robots.txt" => answer("Content-Type: text/plain\r\n", b"User-agent: *\nDisallow: /no"),
        "/" => {
            let paths = ["gzip", "chunked", "old", "moved", "gone", "half", "large", "twin/1", "hints"];
            html(&paths.map(|path| format!("<a href=/{path}>{path}</a>")).concat())
        }
        "/gzip" => answer("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &gzip("<p>zipped")),
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nX-Odd:  spaced \r\n\
                        \r\n4\r\n<p>w\r\n4\r\nhole\r\n0\r\nTrailer: x\r\n\r\n"
                .to_vec()
        }
        "/old" => b"HTTP/1.0 200 Fine\r\nContent-Type: text/html\r\n\r\n<p>until the end".to_vec(),
        "/moved" => b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "/gone" => b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone".to_vec(),
        "/half" => b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nhalf".to_vec(),
        "/large" => answer("Content-Type: text/html\r\n", &vec![b'x'; 200_000]),
        "/hints" => {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
            [hints, html("<p>after hints")].concat()
        }
        "/twin/1" | "/twin/2" => html(TWIN),
        _ => html("<p>there"),
    })
}
