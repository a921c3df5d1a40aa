//! A sink of one's own: items become entries of a Redis stream, those of a commit in one transaction.
//!
//! You will see the summary of a crawl, and `redis-cli XLEN quotes` counts its items. With a Redis server at its usual
//! port: `cargo run --example redis_stream -- 127.0.0.1:6379`
#![allow(clippy::print_stdout, reason = "examples talk to people")]

mod site;

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use actix_crawler::{
    feed::{Batch, Opening, Record, Sink, SinkError},
    pipeline::OwnSink,
    prelude::*,
};

/// Publishes records to a stream. What is committed is as durable as the server's `appendfsync` says.
struct RedisStream {
    server: BufReader<TcpStream>,
    stream: String,
    pending: Vec<String>,
}

impl RedisStream {
    fn open(address: &str, stream: &str, opening: Opening) -> io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (server, stream) = (BufReader::new(connection), stream.to_owned());
        let mut sink = Self { server, stream, pending: Vec::new() };
        if !opening.keeps() {
            let stream = sink.stream.clone();
            sink.ask(&[&["DEL", stream.as_str()]])?;
        }
        Ok(sink)
    }

    /// Sends commands and reads as many replies.
    fn ask(&mut self, commands: &[&[&str]]) -> io::Result<()> {
        let mut sent = Vec::new();
        for command in commands {
            write!(sent, "*{}\r\n", command.len())?;
            command.iter().try_for_each(|word| write!(sent, "${}\r\n{word}\r\n", word.len()))?;
        }
        self.server.get_mut().write_all(&sent)?;
        commands.iter().try_for_each(|_| self.reply())
    }

    /// Reads a reply: one line, or a list of replies.
    fn reply(&mut self) -> io::Result<()> {
        let mut line = String::new();
        if self.server.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_at_checked(1) {
            Some(("-", why)) => Err(io::Error::other(why.to_owned())),
            Some(("*", length)) => (0..length.parse().unwrap_or(0)).try_for_each(|_: u32| self.reply()),
            Some(("$", _)) => self.server.read_line(&mut line).map(drop),
            _ => Ok(()),
        }
    }
}

impl Sink for RedisStream {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        self.pending.push(record.to_json());
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let (items, stream) = (std::mem::take(&mut self.pending), self.stream.clone());
        if items.is_empty() {
            return Ok(());
        }
        let entries: Vec<_> = items.iter().map(|item| ["XADD", stream.as_str(), "*", "item", item.as_str()]).collect();
        let begin: &[&str] = &["MULTI"];
        let all: Vec<&[&str]> = std::iter::once(begin).chain(entries.iter().map(|entry| &entry[..])).collect();
        self.ask(&all).and_then(|()| self.ask(&[&["EXEC"]])).map_err(SinkError::broken)
    }
}

fn titles(page: &Response) -> Result<Parsed<serde_json::Value>> {
    let item = serde_json::json!({"url": page.url().as_str(), "title": page.title()});
    Ok(Parsed::of([item]).follow(page.links()))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let site = site::serve(page).map_err(Error::spider)?;
    let open = move |opening| RedisStream::open(&address, "quotes", opening).map_err(Error::spider);
    let report = Crawler::new(titles, "redisbot/1.0 (+https://example.org/bot)")
        .seed(format!("{site}/1"))
        .allow_private()
        .spacing(Duration::from_millis(100))
        .pipeline(OwnSink::new(open).batch(Batch::of(100, Duration::from_millis(200))))
        .run_blocking()?;
    println!("{report}");
    report.check()
}

/// Page `n` of twenty, with a link to the next.
fn page(path: &str) -> Option<String> {
    let page: u32 = path.trim_start_matches('/').parse().ok().filter(|page| (1..=20).contains(page))?;
    let next = if page < 20 { format!("<a href=/{}>next</a>", page + 1) } else { String::new() };
    Some(format!("<title>Page {page}</title>{next}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use actix_crawler::feed::laws::{Row, Subject, check};

    use super::*;

    /// A server of its own, that keeps nothing on the disk.
    struct Redis {
        server: Child,
        port: String,
    }

    impl Redis {
        fn start() -> Self {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let port = free.port().to_string();
            let server = Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"])
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is installed");
            let redis = Self { server, port };
            while TcpStream::connect(redis.address()).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            redis
        }

        fn address(&self) -> String {
            format!("127.0.0.1:{}", self.port)
        }
    }

    impl Drop for Redis {
        fn drop(&mut self) {
            self.server.kill().unwrap();
            self.server.wait().unwrap();
        }
    }

    impl Subject for Redis {
        fn open(&mut self, opening: Opening) -> Result<Box<dyn Sink>> {
            Ok(Box::new(RedisStream::open(&self.address(), "laws", opening).map_err(Error::spider)?))
        }

        /// As the server's own client reads it: an ID, the name of the field, and the item.
        fn read(&mut self) -> Vec<Row> {
            let read =
                Command::new("redis-cli").args(["-p", &self.port, "--json", "XRANGE", "laws", "-", "+"]).output();
            let entries: Vec<(String, Vec<String>)> = serde_json::from_slice(&read.unwrap().stdout).unwrap();
            entries.iter().map(|(_, fields)| serde_json::from_str(&fields[1]).unwrap()).collect()
        }
    }

    #[test]
    fn it_keeps_the_laws_of_sinks_with_a_real_server() {
        check(&mut Redis::start(), 20);
    }
}
