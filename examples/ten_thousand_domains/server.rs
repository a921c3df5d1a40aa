//! The server of `ten_thousand_domains`: the same few pages for all of its names, a second after they are asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls};

use super::{AUTHORITY, Done, address, path, size};

#[derive(Default)]
struct Counts {
    pages: u64,
    connections: AtomicU64,
    requests: AtomicU64,
    resumed: AtomicU64,
    open: AtomicU64,
    most: AtomicU64,
}

/// Listens at one port of sixteen loopback addresses, until its input ends.
pub async fn serve(tls: bool) -> Done<()> {
    let counts = Arc::new(Counts { pages: size(tls).1 - 1, ..Counts::default() });
    let acceptor = if tls { Some(TlsAcceptor::from(Arc::new(certified()?))) } else { None };
    let mut port = "0".to_owned();
    for n in 0..16 {
        let listener = TcpListener::bind(address(n, &port)).await?;
        port = listener.local_addr()?.port().to_string();
        let (counts, acceptor) = (counts.clone(), acceptor.clone());
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(stream, acceptor.clone(), counts.clone()));
            }
        });
    }
    println!("{port}");
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    let [connections, requests, resumed, most] =
        [&counts.connections, &counts.requests, &counts.resumed, &counts.most].map(|count| count.load(Relaxed));
    println!("{requests} requests, {connections} connections, {resumed} sessions resumed, at most {most} open");
    Ok(())
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, counts: Arc<Counts>) {
    counts.connections.fetch_add(1, Relaxed);
    counts.most.fetch_max(1 + counts.open.fetch_add(1, Relaxed), Relaxed);
    // A client that goes away is counted by what is missing.
    let _ended = match acceptor {
        None => answer(stream, &counts).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                let is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
                counts.resumed.fetch_add(u64::from(is_resumed), Relaxed);
                answer(stream, &counts).await
            }
            Err(error) => Err(error),
        },
    };
    counts.open.fetch_sub(1, Relaxed);
}

/// Answers with a robots file that allows all, or with a page of 2 KiB that leads to all of its domain.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, counts: &Counts) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    counts.requests.fetch_add(1, Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (kind, body) = if head.starts_with(b"GET /robots.txt ") {
        ("text/plain", "User-agent: *\nDisallow: /private/\n".to_owned())
    } else {
        let words = "words to read and more ".repeat(9);
        let links =
            (0..9).map(|n| path(1 + n % counts.pages)).map(|path| format!("<p>{words}<a href={path}>more</a></p>"));
        ("text/html", format!("<!doctype html><title>A page</title>{}", links.collect::<String>()))
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await
}

/// A certificate for all names below `names.test`, signed by an authority whose own is written to a file.
fn certified() -> Done<rustls::ServerConfig> {
    let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(AUTHORITY, authority.self_signed(&authority_key)?.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    let certificate = CertificateParams::new(vec!["*.names.test".to_owned()])?.signed_by(&key, &issuer)?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate.der().clone()], key.into())?;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}
