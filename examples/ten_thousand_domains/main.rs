//! Ten thousand domains: a crawl of three pages and the robots file of each, at the polite default of one second
//! between two requests of a domain and up to 2,000 in flight, beside as many requests by bare awc.
//!
//! You will see CPU for a request and peak memory of both, and what the server counted. It answers after a second and
//! closes each connection, so each request of either side has a connection of its own. With `tls`: a thousand names,
//! ten requests of each, beside the same handshakes and bytes by bare rustls; nine of ten sessions are resumed.
//! Run: `cargo run --release --example ten_thousand_domains [tls] [TURNS]`; needs a limit of 5,000 open files.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and reads clocks")]

mod server;

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_crawler::{politeness::DomainKey, prelude::*};
use futures_util::{StreamExt, stream};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, rustls};

type Done<T> = Result<T, Box<dyn Error>>;

const IN_FLIGHT: usize = 2_000;
const AUTHORITY: &str = "target/ten_thousand_domains.pem";

/// How many domains, and the requests of each: its pages and its robots file.
fn size(tls: bool) -> (u64, u64) {
    if tls { (1_000, 10) } else { (10_000, 4) }
}

fn main() -> Done<()> {
    let arguments: Vec<String> = env::args().collect();
    let (tls, last) = (arguments.iter().any(|word| word == "tls"), arguments.last().map_or("", String::as_str));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    match arguments.get(1).map(String::as_str) {
        Some("serve") => return actix_rt::System::new().block_on(server::serve(tls)),
        Some("crawl") => return measured(|| crawl(tls, last)),
        Some("bare") => return measured(|| actix_rt::System::new().block_on(bare(tls, last))),
        _ => std::fs::create_dir_all("target")?,
    }
    let role = |role: &str| {
        let mut command = Command::new(&arguments[0]);
        command.arg(role).args(tls.then_some("tls")).stdout(Stdio::piped());
        command
    };
    let mut ratios = Vec::new();
    for _ in 0..last.parse().unwrap_or(3_u32).max(1) {
        let mut costs = Vec::new();
        for side in ["bare", "crawl"] {
            let mut server = role("serve").stdin(Stdio::piped()).spawn()?;
            let mut told = BufReader::new(server.stdout.take().ok_or("no output")?).lines();
            let address = told.next().ok_or("no address")??;
            let output = String::from_utf8(role(side).arg(address).output()?.stdout)?;
            // The server tells its counts when its input ends.
            drop(server.stdin.take());
            println!("{side}: {}\n  at the server: {}", output.trim(), told.next().ok_or("no counts")??);
            server.wait()?;
            costs.push(output.split_whitespace().next().unwrap_or_default().parse::<f64>()?);
        }
        ratios.push(costs[1] / costs[0]);
    }
    ratios.sort_by(f64::total_cmp);
    println!("the crawl's CPU ÷ the bare side's: {:.2} (median of {})", ratios[ratios.len() / 2], ratios.len());
    Ok(())
}

/// Domain `n`; under TLS a name below one that the certificate is for.
fn name(n: u64, tls: bool) -> String {
    format!("d{n}.{}test", if tls { "names." } else { "" })
}

/// The address of domain `n`: sixteen share the ports that a machine can connect from.
fn address(n: u64, port: &str) -> String {
    format!("127.0.0.{}:{port}", 1 + n % 16)
}

/// What is requested of each domain: first its robots file, then its pages.
fn path(nth: u64) -> String {
    if nth == 0 { "/robots.txt".to_owned() } else { format!("/{nth}") }
}

fn crawl(tls: bool, port: &str) -> Done<u64> {
    let (domains, requests) = size(tls);
    let spider = |page: &Response| {
        let item = serde_json::json!({ "url": page.url().as_str(), "title": page.title() });
        Ok(Parsed::new().item(item).follow(page.links()))
    };
    let mut crawler = Crawler::new(spider, "tenthousandbot/1.0 (+https://example.org/bot)")
        .seeds((0..domains).map(|n| format!("http{}://{}/1", if tls { "s" } else { "" }, name(n, tls))))
        .concurrency(IN_FLIGHT as u32)
        .allow_private()
        .pipeline(JsonLines::create("target/ten_thousand_domains.jsonl"))
        .configure(|settings| settings.transport.max_connections = IN_FLIGHT);
    if tls {
        crawler = crawler.ca_file(AUTHORITY).configure(|settings| settings.politeness.domain_key = DomainKey::Host);
    }
    for n in 0..domains {
        crawler = crawler.resolve(format!("{}:{}", name(n, tls), address(n, port)));
    }
    let report = crawler.run_blocking()?;
    if report.pages() != domains * (requests - 1) {
        return Err(report.to_string().into());
    }
    Ok(domains * requests)
}

/// The same requests, as soon as there is place, without reading what the answers say.
async fn bare(tls: bool, port: &str) -> Done<u64> {
    let (domains, requests) = size(tls);
    let all = stream::iter(0..domains * requests).map(|nth| (nth % domains, path(nth / domains)));
    if !tls {
        let client = awc::Client::builder().timeout(Duration::from_secs(60)).finish();
        let get = async |(n, path): (u64, String)| {
            let mut answer = client.get(format!("http://{}{path}", address(n, port))).force_close().send().await?;
            Ok::<_, Box<dyn Error>>(answer.body().await?)
        };
        let mut answers = all.map(get).buffer_unordered(IN_FLIGHT);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        return Ok(domains * requests);
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_file_iter(AUTHORITY)? {
        roots.add(certificate?)?;
    }
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // Eight of each server.
    config.resumption = rustls::client::Resumption::in_memory_sessions(8 * domains as usize);
    let connector = TlsConnector::from(Arc::new(config));
    let get = async |(n, path): (u64, String)| {
        let stream = tokio::net::TcpStream::connect(address(n, port)).await?;
        stream.set_nodelay(true)?;
        let mut stream = connector.connect(name(n, tls).try_into()?, stream).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n\r\n", name(n, tls));
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, Box<dyn Error>>(answer)
    };
    let mut answers = all.map(get).buffer_unordered(IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(domains * requests)
}

/// Runs one side, and prints its CPU in ms a request, its time and its peak memory.
fn measured(work: impl FnOnce() -> Done<u64>) -> Done<()> {
    let start = Instant::now();
    let requests = work()?;
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = 1e3 * (seconds(used.user_time()) + seconds(used.system_time())) / requests as f64;
    let (took, peak) = (start.elapsed().as_secs_f64(), used.max_rss() / 1_024);
    println!("{cpu:.3} CPU-ms a request, {requests} requests in {took:.1} s, peak {peak} MiB");
    Ok(())
}
