//! Proxies, judged against tinyproxy and microsocks as Debian packages them, and against hostile ones.

mod network;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use actix_crawler::prelude::*;
use network::{Crawled, Server, crawl, guarded, header, page, redirect};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

/// A program that listens on a port, and ends with the test.
struct Program {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Program {
    fn start(name: &str, arguments: impl Fn(u16, &TempDir) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = Command::new(name)
            .args(arguments(port, &directory))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; install it with `apt-get install {name}`"));
        let mut program = Self { child, port, directory };
        program.wait(name);
        program
    }

    /// Waits until it listens, which programs do not report.
    fn wait(&mut self, name: &str) {
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        let come = (0..1_000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            listens()
        });
        assert!(come, "{name} does not listen: {:?}", self.child.try_wait());
    }

    fn tinyproxy(password: Option<&str>) -> Self {
        Self::start("tinyproxy", |port, directory| {
            let auth = password.map_or_else(String::new, |password| format!("BasicAuth me {password}\n"));
            let (config, log) = (directory.path().join("tinyproxy.conf"), directory.path().join("log"));
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 20\nLogFile \"{}\"\nLogLevel Connect\n{auth}",
                log.display()
            );
            std::fs::write(&config, text).unwrap();
            ["-d", "-c", config.to_str().unwrap()].map(str::to_owned).into()
        })
    }

    fn microsocks(password: Option<&str>) -> Self {
        Self::start("microsocks", |port, _| {
            let port = port.to_string();
            let auth = password.map_or_else(Vec::new, |password| vec!["-u", "me", "-P", password]);
            ["-i", "127.0.0.1", "-p", &port].into_iter().chain(auth).map(str::to_owned).collect()
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn at(&self, scheme: &str, credentials: &str) -> String {
        format!("{scheme}://{credentials}127.0.0.1:{}", self.port)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A site over plain HTTP and one over TLS, and the file of whom to trust.
struct Sites {
    http: Server,
    https: Server,
    certificate: CertificateDer<'static>,
    key: KeyPair,
    directory: TempDir,
}

impl Sites {
    fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "site.test".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        let certificate = certificate.der().clone();
        let https = Server::https(config(&certificate, &key), |_| page("encrypted"));
        Self { http: Server::http(|_| page("plain")), https, certificate, key, directory }
    }

    fn config(&self) -> ServerConfig {
        config(&self.certificate, &self.key)
    }

    fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn urls(&self) -> [String; 2] {
        [self.http.url("/"), format!("https://{}/", self.https.address)]
    }

    /// Crawls both sites through the proxy.
    fn by(&self, proxy: String) -> Crawled {
        let urls = self.urls();
        let mut crawled = Crawled::of(crawl(&[&urls[0], &urls[1]]).ca_file(self.ca_file()).proxy(proxy));
        crawled.bodies.sort();
        crawled
    }

    fn heads(&self) -> Vec<String> {
        [self.http.heads(), self.https.heads()].concat()
    }
}

fn config(certificate: &CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key.into()).unwrap()
}

#[test]
fn http_and_https_go_through_tinyproxy() {
    let (proxy, sites) = (Program::tinyproxy(None), Sites::start());
    let crawled = sites.by(proxy.at("http", ""));
    assert_eq!(crawled.bodies, ["encrypted", "plain"], "{:?}", crawled.ends);
    assert!(header(&sites.http.heads()[0], "via").is_some(), "absolute form: the proxy leaves its mark");
    assert_eq!(header(&sites.http.heads()[0], "host"), Some(sites.http.address.to_string().as_str()));
    assert!(header(&sites.https.heads()[0], "via").is_none(), "a tunnel: the proxy sees nothing");
    assert!(proxy.log().contains(&format!("CONNECT {}", sites.https.address)), "{}", proxy.log());
}

#[test]
fn the_way_to_a_proxy_can_be_encrypted() {
    let sites = Sites::start();
    let asked = crawl(&["http://far.test/"]).ca_file(sites.ca_file());
    let crawled = Crawled::of(asked.proxy(format!("https://{}", sites.https.address)));
    assert_eq!(crawled.bodies, ["encrypted"], "{:?}", crawled.ends);
    assert!(sites.https.heads()[0].starts_with("GET http://far.test/ HTTP/1.1\r\n"));
    let untrusted = Crawled::of(crawl(&["http://far.test/"]).proxy(format!("https://{}", sites.https.address)));
    let (outcome, detail) = untrusted.only();
    assert!(outcome == "proxy" && detail.contains("self-signed"), "{detail}");
}

#[test]
fn a_tunnel_goes_through_an_encrypted_way_to_a_proxy() {
    let sites = Sites::start();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(sites.config()));
    let target = sites.https.address;
    let proxy = Server::start(move |stream, heads| {
        stream.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.unwrap();
            heads.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut site = tokio::net::TcpStream::connect(target).await.unwrap();
            // The first to close ends it.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut site).await;
        });
    });
    let url = format!("https://{target}/");
    let asked = crawl(&[&url]).ca_file(sites.ca_file()).proxy(format!("https://{}", proxy.address));
    assert_eq!(Crawled::of(asked).bodies, ["encrypted"]);
    assert!(proxy.heads()[0].starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{:?}", proxy.heads());
}

#[test]
fn tinyproxy_lets_only_those_through_who_know_the_password_and_sites_never_see_it() {
    let (proxy, sites) = (Program::tinyproxy(Some("secret")), Sites::start());
    assert_eq!(sites.by(proxy.at("http", "me:secret@")).bodies, ["encrypted", "plain"]);
    for head in sites.heads() {
        assert_eq!(header(&head, "proxy-authorization"), None, "{head}");
    }
    let before = sites.heads().len();
    for (credentials, word) in [("me:wrong@", "refuses the credentials"), ("", "asks for credentials")] {
        let crawled = sites.by(proxy.at("http", credentials));
        assert_eq!(crawled.ends.len(), 2);
        for end in crawled.ends {
            assert_eq!(end.outcome, "proxy", "{end:?}");
            assert!(end.detail.contains(word) && !end.detail.contains("wrong"), "{end:?}");
        }
    }
    assert_eq!(sites.heads().len(), before);
}

#[test]
fn http_and_https_go_through_microsocks() {
    let sites = Sites::start();
    for (password, credentials) in [(None, ""), (Some("secret"), "me:secret@")] {
        let proxy = Program::microsocks(password);
        for scheme in ["socks5", "socks5h"] {
            let crawled = sites.by(proxy.at(scheme, credentials));
            assert_eq!(crawled.bodies, ["encrypted", "plain"], "{scheme} {:?}", crawled.ends);
        }
    }
    let proxy = Program::microsocks(Some("secret"));
    for credentials in ["me:wrong@", ""] {
        let crawled = sites.by(proxy.at("socks5", credentials));
        assert!(crawled.ends.iter().all(|end| end.outcome == "proxy"), "{:?}", crawled.ends);
    }
}

#[test]
fn names_are_resolved_here_with_socks5_and_there_with_socks5h() {
    let (proxy, sites) = (Program::microsocks(None), Sites::start());
    let resolved = format!("site.test:{}", sites.http.address);
    let here = crawl(&["http://site.test/"]).proxy(proxy.at("socks5", "")).resolve(resolved.as_str());
    assert_eq!(Crawled::of(here).bodies, ["plain"]);
    let there = Server::start(|mut stream, told| {
        let mut request = [0; 64];
        stream.read_exact(&mut request[..3]).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        let read = stream.read(&mut request).unwrap();
        told.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
        // The site refuses.
        stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    });
    let proxy = format!("socks5h://{}", there.address);
    let crawled = Crawled::of(crawl(&["http://site.test/"]).proxy(proxy).resolve(resolved));
    assert_eq!(there.heads(), ["\u{5}\u{1}\0\u{3}\u{9}site.test\0P"]);
    assert_eq!(crawled.only().0, "connect", "the site's failure, not the proxy's");
}

#[test]
fn a_dead_proxy_in_a_rotation_loses_no_url() {
    let (proxy, sites) = (Program::tinyproxy(None), Sites::start());
    let refusing = Server::blurts(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let urls: Vec<String> = (0..20).map(|n| format!("https://{}/{n}", sites.https.address)).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let asked = crawl(&urls)
        .ca_file(sites.ca_file())
        .proxy(format!("http://127.0.0.1:{}", free_port()))
        .proxy(format!("http://{}", refusing.address))
        .proxy(proxy.at("http", ""));
    let crawled = Crawled::of(asked);
    assert_eq!(crawled.report.pages(), 20, "each is tried once, and all come: {:?}", crawled.ends);
    assert!(refusing.heads().len() <= 8, "it rests after the first that were under way together");
}

#[test]
fn a_proxy_can_be_chosen_for_the_crawl_a_host_and_a_request() {
    let [crawls, hosts, requests] = ["crawl's", "host's", "request's"].map(|whose| Server::http(move |_| page(whose)));
    let proxy = |server: &Server| format!("http://{}", server.address);
    let own = Request::parse("http://a.site.test/own").unwrap().via(proxy(&requests));
    let asked = crawl(&["http://other.test/", "http://a.site.test/"])
        .proxy(proxy(&crawls))
        .proxy_for("*.site.test", proxy(&hosts))
        .request(own);
    let mut bodies = Crawled::of(asked).bodies;
    bodies.sort();
    assert_eq!(bodies, ["crawl's", "host's", "request's"]);
    assert!(requests.heads()[0].starts_with("GET http://a.site.test/own HTTP/1.1\r\n"), "{:?}", requests.heads());
}

#[test]
fn connections_through_different_proxies_are_never_mixed() {
    let [one, two] = ["1", "2"].map(|text| Server::http(move |_| page(text)));
    let urls: Vec<String> = (0..10).map(|n| format!("http://site.test/{n}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let asked = crawl(&urls)
        .per_domain(1)
        .proxy(format!("http://me:first@{}", one.address))
        .proxy(format!("http://me:second@{}", one.address))
        .proxy(format!("http://{}", two.address));
    assert_eq!(Crawled::of(asked).report.pages(), 10);
    let told = |server: &Server, value: Option<&str>| {
        server.heads().iter().filter(|head| header(head, "proxy-authorization") == value).count()
    };
    assert_eq!(told(&one, Some("Basic bWU6Zmlyc3Q=")), 4);
    assert_eq!(told(&one, Some("Basic bWU6c2Vjb25k")), 3);
    assert_eq!(told(&two, None), 3);
}

#[test]
fn a_header_for_proxies_is_never_sent_to_a_site() {
    let site = Server::http(|_| page("x"));
    let request = Request::parse(&site.url("/")).unwrap().header("Proxy-Authorization", "Basic c2VjcmV0");
    assert_eq!(Crawled::of(crawl(&[]).request(request)).report.pages(), 1);
    assert_eq!(header(&site.heads()[0], "proxy-authorization"), None);
}

#[test]
fn hostile_proxies_are_named_and_the_crawl_goes_on() {
    let endless = || {
        Server::start(|mut stream, _| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").is_ok() {}
        })
    };
    let silent = || {
        Server::start(|mut stream, _| {
            let _ = stream.read_to_end(&mut Vec::new());
        })
    };
    let closing = || Server::start(|stream, _| drop(stream));
    let hostile = [
        Server::blurts(b"\0\0\0\0garbage"),
        Server::blurts(b"HTTP/1.1 200 OK\r\n\r\nmore than asked for"),
        Server::blurts(b"HTTP/1.1 999999 OK\r\n\r\n"),
        Server::blurts(b"\x05\x00\x05\x00\x00\x07\x00"),
        Server::blurts(b"\x05\x63"),
        endless(),
        silent(),
        closing(),
    ];
    for (index, server) in hostile.iter().enumerate() {
        for scheme in ["http", "socks5"] {
            let mut settings = network::settings();
            settings.transport.deadlines.connect = Duration::from_millis(500);
            let asked = crawl(&["https://127.0.0.1:9/"]).settings(settings).allow_private().ignore_robots();
            let crawled = Crawled::of(asked.proxy(format!("{scheme}://{}", server.address)));
            assert_eq!(crawled.only().0, "proxy", "{index} {scheme}: {:?}", crawled.ends);
        }
    }
}

#[test]
fn addresses_are_checked_before_a_proxy_is_asked_and_the_proxys_own_is_not() {
    // As a seed each would be refused before anything is asked.
    let private = [
        "http://127.0.0.1:9/",
        "http://0x7f.1:9/2",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://printer.local/",
    ];
    let proxy = Server::http(move |head| {
        let asked = (0..private.len()).find(|n| head.starts_with(&format!("GET http://site.test/{n} ")));
        asked.map_or_else(|| page("from the proxy"), |n| redirect(private[n]))
    });
    let seeds: Vec<_> = (0..=private.len()).map(|n| format!("http://site.test/{n}")).collect();
    let seeds: Vec<_> = seeds.iter().map(String::as_str).collect();
    let crawled = Crawled::of(guarded(&seeds).proxy(format!("http://{}", proxy.address)));
    for end in &crawled.ends {
        let expected = match end.url.strip_prefix("http://site.test/") {
            Some("6") => "ok",
            Some(_) => "redirect",
            None => "private_address",
        };
        assert_eq!(end.outcome, expected, "{end:?}");
    }
    assert_eq!((proxy.heads().len(), crawled.ends.len()), (seeds.len(), seeds.len() + private.len()));
    let socks = Program::microsocks(None);
    let asked = guarded(&["http://inside.test/"]).proxy(socks.at("socks5", "")).resolve("inside.test:127.0.0.1:9");
    let crawled = Crawled::of(asked);
    assert_eq!(crawled.only().0, "private_address");
}

#[test]
fn a_wrong_proxy_is_named_before_anything_is_fetched() {
    let error = crawl(&["http://site.test/"]).proxy("me:hunter2@proxy.test:3128").start().err().unwrap().to_string();
    assert!(error.contains("proxies.via") && !error.contains("hunter2"), "{error}");
}

/// Runs itself once more, with the variables set.
#[test]
fn the_environment_is_asked_only_where_that_is_wanted() {
    if std::env::var_os("PROXY_TEST_CHILD").is_some() {
        let by_proxy = |crawler: Crawler<_>| Crawled::of(crawler).bodies == ["by the proxy"];
        assert!(by_proxy(crawl(&["http://site.test/"]).proxy_from_env()));
        assert!(!by_proxy(crawl(&["http://site.test/"]).resolve("site.test:127.0.0.1:9")));
        assert!(!by_proxy(crawl(&["http://not.test/"]).proxy_from_env().resolve("not.test:127.0.0.1:9")));
        return;
    }
    let proxy = Server::http(|_| page("by the proxy"));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_environment_is_asked_only_where_that_is_wanted"])
        .env("PROXY_TEST_CHILD", "1")
        .env("http_proxy", proxy.address.to_string())
        .env("NO_PROXY", "not.test")
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(proxy.heads().len(), 1);
}
