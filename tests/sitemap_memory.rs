//! The memory that a crawl takes for a sitemap as large as sitemaps.org allows, measured on this process.

#![cfg(target_os = "linux")]

mod peak;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use actix_crawler::{Conducts, Report, prelude::*};
use flate2::{Compression, write::GzEncoder};
use peak::{MIB, Peak};

/// The most URLs of one file, and the bytes of each that make it nearly 50 MiB.
const URLS: u64 = 50_000;
const ENTRY: usize = 1_040;

/// Writes such a sitemap, compressed, without ever having it in memory.
fn write_sitemap(path: &Path) {
    let mut file = GzEncoder::new(BufWriter::new(File::create(path).unwrap()), Compression::default());
    file.write_all(b"<urlset>").unwrap();
    for n in 0..URLS {
        let before = format!("<url><loc>/{n}</loc><image:image><image:loc>/{n}.png</image:loc><image:caption>");
        let after = "</image:caption></image:image></url>";
        let caption = "A caption of some length, ".repeat(ENTRY / 20);
        let caption = &caption[..ENTRY - before.len() - after.len()];
        file.write_all([&before, caption, after].concat().as_bytes()).unwrap();
    }
    file.write_all(b"</urlset>").unwrap();
    file.finish().unwrap().flush().unwrap();
}

/// Serves the file at every path, and from the disk, so that it is not in the memory that is measured.
fn serve(file: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends its connection.
            let _ = answer(stream, &file);
        }
    });
    origin
}

fn answer(mut stream: TcpStream, file: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next() {
        let path = line?.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        if path == "/small.xml" {
            let body = "<urlset><url><loc>/x</loc></url></urlset>";
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        } else {
            let length = fs::metadata(file)?.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/gzip\r\ncontent-length: {length}\r\n\r\n")?;
            io::copy(&mut File::open(file)?, &mut stream)?;
        }
    }
    Ok(())
}

fn crawl(url: &str) -> (Arc<Report>, u64) {
    let listed = Arc::new(AtomicU64::new(0));
    let counted = listed.clone();
    let crawler = Crawler::new(|_: &Response| Ok(Parsed::<()>::new()), "memorytest/1.0 (+https://example.org/bot)")
        .conducts(&Conducts::new())
        .allow_private()
        .ignore_robots()
        .threads(1)
        .sitemap(url)
        .sitemap_rule(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            None
        });
    let report = crawler.run_blocking().unwrap();
    (report, listed.load(Ordering::SeqCst))
}

#[test]
fn the_largest_sitemap_takes_less_than_8_mib() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sitemap.xml.gz");
    write_sitemap(&file);
    let on_the_wire = fs::metadata(&file).unwrap().len();
    let origin = serve(file);
    // What every crawl takes.
    assert_eq!(crawl(&format!("{origin}/small.xml")).1, 1);
    let peak = Peak::begin();
    let (report, listed) = crawl(&format!("{origin}/large.xml.gz"));
    let taken = peak.taken();
    println!("{taken} bytes for {} of XML, {on_the_wire} on the wire", URLS * ENTRY as u64);
    assert_eq!((listed, report.failed()), (URLS, 0), "{report}");
    assert!(taken < 8 * MIB, "{taken} bytes");
}
