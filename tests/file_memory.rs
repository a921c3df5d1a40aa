//! The memory that a crawl takes for a file of 200 MB, measured on this process; and that no more is read than the disk
//! takes.

#![cfg(target_os = "linux")]

mod peak;

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
};

use actix_crawler::{Conducts, Report, files::File, prelude::*};
use peak::{MIB, Peak};

const SIZE: u64 = 200_000_000;

/// Serves a file of any size at the path that names it, without ever having it in memory.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends its connection.
            thread::spawn(move || drop(answer(stream)));
        }
    });
    origin
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next() {
        let path = line?.split(' ').nth(1).unwrap_or_default().to_owned();
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let Ok(size) = path.trim_start_matches('/').parse::<u64>() else {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/x-test\r\ncontent-length: {size}\r\n\r\n")?;
        let piece = vec![7; 1 << 16];
        let mut left = size;
        while left > 0 {
            let next = left.min(piece.len() as u64);
            stream.write_all(&piece[..usize::try_from(next).unwrap()])?;
            left -= next;
        }
    }
    Ok(())
}

fn crawl(origin: &str, size: u64, dir: &Path) -> Arc<Report> {
    let file: url::Url = format!("{origin}/{size}").parse().unwrap();
    let spider = move |_: &Response| Ok(Parsed::<()>::new().download([File::at(file.clone()).named(size.to_string())]));
    Crawler::new(spider, "memorytest/1.0 (+https://example.org/bot)")
        .conducts(&Conducts::new())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .threads(1)
        .files(dir)
        .seed(format!("{origin}/"))
        .run_blocking()
        .unwrap()
}

#[test]
fn a_file_of_200_mb_takes_less_than_8_mib() {
    let dir = tempfile::tempdir().unwrap();
    let origin = serve();
    // What every crawl takes.
    assert_eq!(crawl(&origin, 100_000, dir.path()).stats.get("files/downloaded"), 1);
    let peak = Peak::begin();
    let report = crawl(&origin, SIZE, dir.path());
    let taken = peak.taken();
    println!("{taken} bytes for a file of {SIZE}");
    assert_eq!(report.stats.get("files/downloaded"), 1, "{report}");
    assert_eq!(fs::metadata(dir.path().join(SIZE.to_string())).unwrap().len(), SIZE);
    assert!(taken < 8 * MIB, "{taken} bytes");
}
