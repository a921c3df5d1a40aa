//! TLS, judged with servers that have certificates of every kind.

#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod network;

use std::{
    io::{Read, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actix_crawler::{Conducts, Crawler, Rate, Retry};
use network::{Crawled, Server, crawl, header, page};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

/// A certificate authority of the test, whose certificate is in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        Self::called("The Authority")
    }

    fn called(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn sign(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }
}

fn for_names(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn config((certificate, key): (CertificateDer<'static>, KeyPair)) -> ServerConfig {
    ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], private(&key)).unwrap()
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// Serves a page with this certificate.
fn serve(certificate: (CertificateDer<'static>, KeyPair)) -> Server {
    Server::https(config(certificate), |_| page("hello over tls"))
}

/// Overrides that lead `name.test`, and all other names, to the server.
fn everything_at(server: &Server) -> String {
    format!("*.test:127.0.0.1:{}", server.port())
}

#[test]
fn a_page_comes_over_tls_from_a_server_whose_authority_is_given() {
    let authority = Authority::new();
    let server = serve(authority.sign(&for_names(&["name.test"])));
    let asked = crawl(&["https://name.test/"]).ca_file(authority.file()).resolve(everything_at(&server));
    let crawled = Crawled::of(asked);
    assert_eq!(crawled.only(), ("ok", ""));
    assert_eq!(crawled.bodies, ["hello over tls"]);
    assert_eq!(header(&server.heads()[0], "host"), Some("name.test"));
    assert!(crawled.report.warnings.is_empty());
}

#[test]
fn an_address_is_checked_as_an_address() {
    let authority = Authority::new();
    let server = serve(authority.sign(&for_names(&["127.0.0.1"])));
    let url = format!("https://127.0.0.1:{}/", server.port());
    assert_eq!(Crawled::of(crawl(&[&url]).ca_file(authority.file())).only(), ("ok", ""));
}

#[test]
fn what_is_wrong_with_a_certificate_is_named() {
    let authority = Authority::new();
    let mut expired = for_names(&["name.test"]);
    expired.not_before = date_time_ymd(2019, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 3);
    let mut early = for_names(&["name.test"]);
    early.not_before = date_time_ymd(2090, 1, 1);
    early.not_after = date_time_ymd(2091, 1, 1);
    let own_key = KeyPair::generate().unwrap();
    let own = for_names(&["name.test"]).self_signed(&own_key).unwrap().der().clone();
    let ca_key = KeyPair::generate().unwrap();
    let mut own_ca = for_names(&["name.test"]);
    own_ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own_ca = own_ca.self_signed(&ca_key).unwrap().der().clone();
    for (certificate, word) in [
        (authority.sign(&expired), "expired on 2020-02-03T00:00:00Z"),
        (authority.sign(&early), "not valid before 2090-01-01T00:00:00Z"),
        (authority.sign(&for_names(&["other.test", "third.test"])), "for other.test, third.test, not for this name"),
        ((own, own_key), "self-signed"),
        ((own_ca, ca_key), "self-signed"),
        (Authority::called("Another").sign(&for_names(&["name.test"])), "unknown issuer"),
    ] {
        let server = serve(certificate);
        let asked = crawl(&["https://name.test/"]).ca_file(authority.file()).resolve(everything_at(&server));
        let crawled = Crawled::of(asked);
        let (outcome, detail) = crawled.only();
        assert_eq!(outcome, "tls", "{word}: {detail}");
        assert!(detail.contains("name.test") && detail.contains(word), "{word}: {detail}");
        assert!(server.heads().is_empty(), "nothing is asked of a server that is not believed");
    }
}

/// What `openssl req -x509` makes has the CA flag, and no authority may serve as a server's certificate; curl takes one
/// that was given as it is.
#[test]
fn a_server_is_trusted_by_its_own_certificate_for_its_name_and_its_days() {
    let key = KeyPair::generate().unwrap();
    let own = |params: &CertificateParams| params.self_signed(&key).unwrap();
    let mut ca = for_names(&["name.test"]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut expired = ca.clone();
    expired.not_before = date_time_ymd(2019, 1, 1);
    expired.not_after = date_time_ymd(2020, 2, 3);
    let mut other = for_names(&["other.test"]);
    other.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signed = for_names(&["name.test"]).signed_by(&key, &Authority::new().issuer).unwrap();
    for (certificate, outcome, word) in [
        (own(&ca), "ok", ""),
        (own(&for_names(&["name.test"])), "ok", ""),
        (signed, "ok", ""),
        (own(&expired), "tls", "expired on 2020-02-03T00:00:00Z"),
        (own(&other), "tls", "for other.test, not for this name"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), certificate.pem()).unwrap();
        let server = Server::https(config((certificate.der().clone(), key_of(&key))), |_| page("mine"));
        let asked = crawl(&["https://name.test/"]).ca_file(file.path()).resolve(everything_at(&server));
        let crawled = Crawled::of(asked);
        let (ended, detail) = crawled.only();
        assert!(ended == outcome && detail.contains(word), "{ended} {detail}");
    }
    let server = Server::https(config((own(&ca).der().clone(), key_of(&key))), |_| page("another"));
    let file = tempfile::NamedTempFile::new().unwrap();
    // The same name and key, and another certificate.
    ca.distinguished_name.push(DnType::CommonName, "twin");
    std::fs::write(file.path(), own(&ca).pem()).unwrap();
    let crawled = Crawled::of(crawl(&["https://name.test/"]).ca_file(file.path()).resolve(everything_at(&server)));
    assert_eq!(crawled.only().0, "tls");
}

fn key_of(key: &KeyPair) -> KeyPair {
    KeyPair::try_from(key.serialize_der()).unwrap()
}

#[test]
fn an_authority_that_was_not_given_is_not_trusted() {
    let server = serve(Authority::new().sign(&for_names(&["name.test"])));
    let crawled = Crawled::of(crawl(&["https://name.test/"]).resolve(everything_at(&server)));
    assert_eq!(crawled.only().0, "tls");
}

#[test]
fn only_hosts_that_are_named_go_unchecked_and_the_report_says_so() {
    let server = serve(Authority::new().sign(&for_names(&["whatever.test"])));
    let urls = ["https://a.named.test/", "https://other.test/"];
    let crawled = Crawled::of(crawl(&urls).insecure("*.named.test").resolve(everything_at(&server)));
    let outcome = |host: &str| &crawled.ends.iter().find(|end| end.url.contains(host)).unwrap().outcome;
    assert_eq!(outcome("named"), "ok");
    assert_eq!(outcome("other"), "tls");
    assert!(crawled.report.to_string().contains("WARNING: TLS certificates of *.named.test are NOT checked"));
    let everything = crawl(&urls).insecure("*").start().err().unwrap().to_string();
    assert!(everything.contains("tls.insecure"), "{everything}");
}

#[test]
fn plain_http_on_a_tls_port_and_tls_on_a_plain_port_are_told() {
    let plain = Server::blurts(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let crawled = Crawled::of(crawl(&[&format!("https://{}/", plain.address)]));
    let (outcome, detail) = crawled.only();
    assert_eq!(outcome, "tls");
    assert!(detail.contains("http://"), "{detail}");
    // The response of every TLS server to plain HTTP: the alert `unexpected_message`.
    let tls = Server::blurts(&[0x15, 3, 3, 0, 2, 2, 10]);
    let crawled = Crawled::of(crawl(&[&tls.url("/")]));
    let (outcome, detail) = crawled.only();
    assert_eq!(outcome, "protocol");
    assert!(detail.contains("https://"), "{detail}");
    let silent = Server::start(|stream, _| drop(stream));
    let crawled = Crawled::of(crawl(&[&format!("https://{}/", silent.address)]));
    assert_eq!(crawled.only().0, "truncated");
}

/// Regression: it failed for good at the first attempt, and where it met the request for robots.txt, so did all that
/// was queued for the origin. A loaded balancer resets connections so, whatever they are to carry.
#[test]
fn a_connection_that_breaks_in_the_handshake_costs_an_attempt_and_no_page() {
    let authority = Authority::new();
    let paths: Vec<String> = (0..20).map(|n| format!("https://name.test/{n}")).collect();
    for (resets, robots) in [(1, false), (1, true), (2, true)] {
        let signed = config(authority.sign(&for_names(&["name.test"])));
        let server = Server::https_after_resets(resets, signed, |_| page("hello over tls"));
        let mut settings = network::settings();
        settings.retry = Retry { base: Duration::from_millis(10), ..Retry::attempts(3) };
        let asked = Crawler::new(network::text_of, "networktest/1.0 (+https://example.org/bot)")
            .conducts(&Conducts::new())
            .settings(settings)
            .seeds(&paths)
            .rate(Rate::UNLIMITED)
            .per_domain(1)
            .allow_private()
            .ca_file(authority.file())
            .resolve(everything_at(&server));
        let crawled = Crawled::of(if robots { asked } else { asked.ignore_robots() });
        assert_eq!((crawled.bodies.len(), crawled.report.failed()), (20, 0), "{resets}: {:?}", crawled.ends);
    }
}

#[test]
fn a_server_that_never_answers_the_handshake_costs_the_deadline_and_no_more() {
    let silent = Server::start(|mut stream, _| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut settings = network::settings();
    settings.transport.deadlines.tls = Duration::from_millis(200);
    let asked = crawl(&[&format!("https://{}/", silent.address)]);
    let crawled = Crawled::of(asked.settings(settings).ignore_robots().allow_private());
    assert_eq!(crawled.only(), ("timeout", "no TLS handshake within 200ms"));
}

/// Gives each server name its own certificate, and none without a name; requires HTTP/1.1 in ALPN.
#[derive(Debug)]
struct ByName(Vec<(String, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks_http_1 = hello.alpn()?.eq([b"http/1.1".as_slice()]);
        let (_, key) = self.0.iter().find(|(name, _)| Some(name.as_str()) == hello.server_name())?;
        asks_http_1.then(|| key.clone())
    }
}

#[test]
fn the_server_is_told_the_name_without_its_final_dot_and_the_protocol() {
    let authority = Authority::new();
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let by_name = ["one.test", "two.test"].map(|name| {
        let (certificate, key) = authority.sign(&for_names(&[name]));
        (name.to_owned(), Arc::new(CertifiedKey::from_der(vec![certificate], private(&key), &provider).unwrap()))
    });
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(ByName(by_name.into())));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = Server::https(config, |_| page("by name"));
    let port = server.port();
    let asked = crawl(&["https://one.test/", "https://two.test/", "https://two.test./dot"])
        .ca_file(authority.file())
        .resolve(format!("one.test:127.0.0.1:{port}"))
        .resolve(format!("two.test:127.0.0.1:{port}"))
        .resolve(format!("two.test.:127.0.0.1:{port}"));
    let crawled = Crawled::of(asked);
    assert_eq!(crawled.report.pages(), 3, "{:?}", crawled.ends);
}

#[test]
fn a_client_certificate_is_shown_to_its_host_only() {
    let authority = Authority::new();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let clients = WebPkiClientVerifier::builder(roots.into()).build().unwrap();
    let (certificate, key) = authority.sign(&for_names(&["name.test", "other.test"]));
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], private(&key))
        .unwrap();
    let server = Server::https(config, |_| page("I know you"));
    let mut params = for_names(&["client"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let (certificate_file, key_file) =
        (authority.directory.path().join("me.pem"), authority.directory.path().join("me.key"));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let asked = crawl(&["https://name.test/", "https://other.test/"])
        .ca_file(authority.file())
        .client_certificate("name.test", &certificate_file, &key_file)
        .resolve(everything_at(&server));
    let crawled = Crawled::of(asked);
    let end = |host: &str| crawled.ends.iter().find(|end| end.url.contains(host)).unwrap();
    assert_eq!(end("name").outcome, "ok", "{:?}", end("name"));
    assert_eq!(end("other").outcome, "tls", "{:?}", end("other"));
    assert!(end("other").detail.contains("CertificateRequired"), "{:?}", end("other"));
}

/// Answers one request of each connection, and records whether its session was resumed.
fn closing(config: ServerConfig) -> Server {
    let config = Arc::new(config);
    Server::start(move |stream, kinds| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).unwrap() > 0);
        kinds.lock().unwrap().push(format!("{:?}", stream.conn.handshake_kind()));
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    })
}

#[test]
fn a_second_connection_resumes_the_session_of_the_first() {
    let authority = Authority::new();
    let server = closing(config(authority.sign(&for_names(&["name.test"]))));
    let asked = crawl(&["https://name.test/1", "https://name.test/2"])
        .per_domain(1)
        .ca_file(authority.file())
        .resolve(everything_at(&server));
    assert_eq!(Crawled::of(asked).report.pages(), 2);
    assert_eq!(server.heads(), ["Some(Full)", "Some(Resumed)"]);
}

/// Regression: of 1,024 sessions rustls keeps those of 128 servers, since each may have eight.
#[test]
fn the_sessions_of_hundreds_of_servers_are_resumed() {
    const SERVERS: usize = 300;
    let authority = Authority::new();
    let mut config = config(authority.sign(&for_names(&["*.names.test"])));
    config.ticketer = tokio_rustls::rustls::crypto::ring::Ticketer::new().unwrap();
    let server = closing(config);
    let urls: Vec<_> = (0..2 * SERVERS).map(|n| format!("https://n{}.names.test/{n}", n % SERVERS)).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let asked = crawl(&urls).per_domain(4).ca_file(authority.file()).resolve(everything_at(&server));
    assert_eq!(Crawled::of(asked).report.pages(), 2 * SERVERS as u64);
    let resumed = server.heads().iter().filter(|kind| *kind == "Some(Resumed)").count();
    assert_eq!(resumed, SERVERS);
}

#[test]
fn a_file_that_is_missing_or_wrong_is_named_before_anything_is_fetched() {
    let server = Server::http(|_| page("fetched"));
    let wrong = tempfile::NamedTempFile::new().unwrap();
    let said = |crawler: actix_crawler::Crawler<_>| crawler.start().err().expect("an error").to_string();
    let missing = said(crawl(&[&server.url("/")]).ca_file("/nowhere/ca.pem"));
    assert!(missing.contains("/nowhere/ca.pem"), "{missing}");
    let name = wrong.path().display().to_string();
    let empty = said(crawl(&[&server.url("/")]).ca_file(wrong.path()));
    assert!(empty.contains(&name) && empty.contains("certificate"), "{empty}");
    let no_key = said(crawl(&[&server.url("/")]).client_certificate("a.test", wrong.path(), wrong.path()));
    assert!(no_key.contains(&name), "{no_key}");
    assert!(server.heads().is_empty());
}

#[test]
fn many_requests_to_one_host_open_no_more_connections_than_may_be_in_flight() {
    let authority = Authority::new();
    let config = Arc::new(config(authority.sign(&for_names(&["127.0.0.1"]))));
    // Recorded for each connection, instead of each request.
    let server = Server::start(move |stream, heads| {
        let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        heads.lock().unwrap().push(String::new());
        let (mut buffer, answer) = ([0; 4096], page("x"));
        while tls.read(&mut buffer).is_ok_and(|read| buffer[..read].ends_with(b"\r\n\r\n")) {
            tls.write_all(answer.as_bytes()).unwrap();
        }
    });
    let urls: Vec<_> = (0..2_000).map(|n| format!("https://{}/{n}", server.address)).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let began = std::time::Instant::now();
    let crawled = Crawled::of(crawl(&urls).ca_file(authority.file()).per_domain(32));
    assert_eq!(crawled.report.pages(), 2_000);
    let connections = server.heads().len();
    println!("2,000 requests over {connections} connections in {:?}", began.elapsed());
    assert!(connections <= 32, "{connections}");
}
