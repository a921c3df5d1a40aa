//! The network options of the binary, each judged by what a server saw.
#![cfg(feature = "cli")]

mod network;

use std::{
    fs,
    io::Read,
    process::{Command, Output, Stdio},
};

use network::{Server, header, page, redirect};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("HTTP_PROXY").env_remove("http_proxy");
    command.stdin(Stdio::null()).output().unwrap()
}

fn shows(output: &Output, body: &str) {
    assert_eq!(String::from_utf8_lossy(&output.stdout), body, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let proxy = Server::http(|_| page("by proxy"));
    let fetch = ["fetch", "http://site.test/a", "--contact", "me@example.org"];
    shows(&run(&[&fetch[..], &["--proxy", &proxy.url("")]].concat()), "by proxy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(fetch).arg("--proxy-env").env("http_proxy", proxy.url("")).env_remove("no_proxy");
    shows(&command.output().unwrap(), "by proxy");
    assert!(proxy.heads().iter().all(|head| head.starts_with("GET http://site.test/a ")), "{:?}", proxy.heads());
    let wrong = run(&[&fetch[..], &["--proxy", "ftp://x"]].concat());
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

/// Regression: these must behave as when `fetch` and `robots` created permits themselves: one request, its response
/// unchanged.
#[test]
fn fetch_shows_redirects_and_refusals_and_asks_once() {
    let refusal = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 5\r\n\r\nlater";
    let site = Server::http(move |head| match head.split(' ').nth(1) {
        Some("/moved") => redirect("/home"),
        Some("/failing") => page("oh").replace("200 OK", "502 Bad Gateway"),
        _ => refusal.to_owned(),
    });
    for (path, body, code, said) in [
        ("/moved", "", 0, "302 Found · 0 bytes"),
        ("/failing", "oh", 3, "502 Bad Gateway · 2 bytes"),
        ("/refusing", "later", 3, "429 Too Many Requests · 5 bytes"),
    ] {
        let output = run(&["fetch", &site.url(path), "--allow-private"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        shows(&output, body);
        assert_eq!(output.status.code(), Some(code), "{path}");
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(stderr.contains(&format!("leads to {}", site.url("/home"))), path == "/moved", "{stderr}");
    }
    assert_eq!(site.heads().len(), 3, "{:?}", site.heads());
    for head in site.heads() {
        assert!(header(&head, "accept").unwrap().starts_with("text/html,"), "what a crawl accepts: {head}");
    }
}

#[test]
fn robots_follows_redirects_and_takes_no_answer_for_not_now() {
    let site = Server::http(|head| match head.split(' ').nth(1) {
        Some("/robots.txt") => redirect("/rules.txt"),
        Some("/rules.txt") => page("User-agent: *\nDisallow: /no"),
        _ => page("page"),
    });
    let output = run(&["robots", &site.url("/"), "/no", "/yes", "--allow-private"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with(&format!("{}: 200, ", site.url("/rules.txt"))), "{said}");
    assert!(said.contains("disallowed  /no") && said.contains("allowed     /yes"), "{said}");

    for (status, header, expected) in [
        ("503 Service Unavailable", "x: y", "disallowed  /: status 503 means not now"),
        ("403 Forbidden", "retry-after: 60", "disallowed  /: status 403 means not now"),
        ("403 Forbidden", "x: y", "allowed     /: there is no robots file"),
    ] {
        let busy = Server::http(move |_| page("later").replace("200 OK\r\n", &format!("{status}\r\n{header}\r\n")));
        let output = run(&["robots", &busy.url("/"), "--allow-private"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{said}");
        assert_eq!((output.status.code(), busy.heads().len()), (Some(0), 1));
    }
}

#[test]
fn a_private_network_is_allowed_without_all_others() {
    let site = Server::http(|_| page("home"));
    let url = site.url("/");
    shows(&run(&["fetch", &url, "--allow-address", "127.0.0.0/8"]), "home");
    let other = run(&["fetch", &url, "--allow-address", "10.0.0.0/8"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("--allow-address"));
}

#[test]
fn a_name_and_a_password_go_to_their_origin() {
    let site = Server::http(|_| page("in"));
    let user = format!("{}=me:se:cret", site.url(""));
    shows(&run(&["fetch", &site.url("/"), "--allow-private", "--user", &user]), "in");
    assert_eq!(header(&site.heads()[0], "authorization"), Some("Basic bWU6c2U6Y3JldA=="));
}

#[test]
fn cookies_are_kept_where_that_is_asked_for() {
    let site = Server::http(|head| match head.split(' ').nth(1) {
        Some("/in") => redirect("/home").replacen("\r\n", "\r\nset-cookie: a=1\r\n", 1),
        _ => page("home"),
    });
    for (option, sent) in [(None, None), (Some("--cookies"), Some("a=1"))] {
        let url = site.url("/in");
        let arguments = ["crawl", &url, "--allow-private", "--robots", "ignore", "--rate", "unlimited"];
        let output = run(&arguments.into_iter().chain(option).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(header(site.heads().last().unwrap(), "cookie"), sent);
    }
}

#[test]
fn a_certificate_of_our_own_is_trusted_by_its_file_or_by_its_host() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, certificate.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let site = Server::https(config, |_| page("safe"));
    let url = format!("https://{}/", site.address);
    let fetch = ["fetch", &url, "--allow-private"];
    let output = run(&fetch);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    shows(&run(&[&fetch[..], &["--ca", ca.to_str().unwrap()]].concat()), "safe");
    shows(&run(&[&fetch[..], &["--insecure", "127.0.0.1"]].concat()), "safe");
}

#[test]
fn a_crawl_is_recorded_and_then_replayed_with_its_server_gone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let site = Server::http(|head| match head.split(' ').nth(1) {
        Some("/") => page("<a href=/a>a</a>").replace("text/plain", "text/html"),
        _ => page("a"),
    });
    let rule = format!("site.test:{}", site.address);
    let crawl = ["crawl", "http://site.test/", "--contact", "me@example.org", "--rate", "unlimited"];
    let recorded = run(&[&crawl[..], &["--allow-private", "--resolve", &rule, "--record", dir]].concat());
    assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
    let asked = site.heads().len();
    let replayed = run(&[&crawl[..], &["--replay", dir]].concat());
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert_eq!((replayed.stdout.iter().filter(|byte| **byte == b'\n').count(), site.heads().len()), (2, asked));
    let log = folder.path().join("log.jsonl");
    let missing = ["crawl", "http://other.test/", "--contact", "me@example.org", "--replay", dir];
    let missing = run(&[&missing[..], &["--log", log.to_str().unwrap()]].concat());
    assert!(!missing.status.success(), "{}", String::from_utf8_lossy(&missing.stderr));
    let log = fs::read_to_string(log).unwrap();
    assert!(
        log.contains("\"not_recorded\"") && log.contains("GET http://other.test/ is not in the recording"),
        "{log}"
    );
}

/// RFC 9112 §6.3 rule 3 allows both: an error, or chunked alone. curl reads such an answer.
#[test]
fn an_answer_with_both_lengths_is_read_where_that_is_asked_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n";
    let site = Server::http(move |_| format!("{head}5\r\nhello\r\n0\r\n\r\n"));
    let fetch = ["fetch", &site.url("/"), "--allow-private"];
    assert_eq!(run(&fetch).status.code(), Some(3));
    shows(&run(&[&fetch[..], &["--chunked-over-length"]].concat()), "hello");
}

/// Runs it with stdout on a terminal, and returns what the terminal was sent.
#[cfg(unix)]
fn on_terminal(arguments: &[&str]) -> String {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::from(terminal.slave)).spawn().unwrap();
    // Its copy of the terminal would keep the other end open.
    drop(command);
    let mut sent = Vec::new();
    // Linux ends the reading with an error when the last writer is gone.
    let _ = fs::File::from(terminal.master).read_to_end(&mut sent);
    child.wait().unwrap();
    String::from_utf8(sent).unwrap()
}

/// ECMA-48: `ESC ]` sets the title of a terminal, and U+009B begins a control sequence in one character.
#[cfg(unix)]
#[test]
fn what_a_server_sent_is_shown_on_a_terminal_and_not_obeyed() {
    const EVIL: &str = "\u{1b}]0;title\u{7}\u{9b}31m\u{8}";
    let site = Server::http(|head| match head.split(' ').nth(1) {
        Some("/robots.txt") => page(&format!("User-agent: *\nDisallow: /no{EVIL}\nDisallow: /{EVIL}*$\n")),
        _ => page(&format!("body {EVIL}\r\n")).replace("content-type", "x-evil: a\u{9b}31m\r\ncontent-type"),
    });
    let (url, page) = (site.url("/"), site.url("/page"));
    let robots = ["robots", &url, "/no%1B]0;title%07%C2%9B31m%08", "--allow-private"];
    for (arguments, shown) in [(&robots[..], "disallowed"), (&["fetch", "-i", &page, "--allow-private"], "x-evil: a")] {
        let sent = on_terminal(arguments);
        assert!(sent.contains(shown) && sent.contains(r"\u{9b}31m"), "{sent:?}");
        assert!(!sent.replace(['\r', '\n'], "").contains(char::is_control), "{sent:?}");
    }
    shows(&run(&["fetch", &page, "--allow-private"]), &format!("body {EVIL}\r\n"));
}

#[test]
fn poll_keeps_the_headers_that_it_is_told_to_at_their_origin() {
    let there = Server::http(|_| page("there"));
    let to = there.url("/").replace("127.0.0.1", "localhost");
    let site = Server::http(move |_| redirect(&to));
    let url = site.url("/");
    let poll = ["poll", &url, "--allow-private", "-H", "X-Tenant: 7", "-H", "X-Api-Key: 8"];
    for (options, tenant) in [(&[][..], Some("7")), (&["--secret-header", "x-tenant"], None)] {
        let output = run(&[&poll[..], options].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let head = there.heads().pop().unwrap();
        assert_eq!((header(&head, "x-tenant"), header(&head, "x-api-key")), (tenant, None));
    }
    assert!(site.heads().iter().all(|head| header(head, "x-tenant") == Some("7")));
    let wrong = run(&["poll", &url, "--secret-header", "x tenant"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn links_and_refreshes_are_bounded_by_option_or_by_file() {
    const PAGE: &str =
        "<meta http-equiv=refresh content='0; url=/next'><a href=/a>a</a><a href=/b>b</a><a href=/c>c</a>";
    let site = Server::http(|head| match head.split(' ').nth(1) {
        Some("/") => page(PAGE).replace("text/plain", "text/html"),
        _ => page(""),
    });
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crawl.toml");
    fs::write(&config, "max_links_per_page = 2\nfollow_refresh = false\n").unwrap();
    let config = config.to_str().unwrap();
    let url = site.url("/");
    let crawl = ["crawl", &url, "--allow-private", "--robots", "ignore", "--rate", "unlimited"];
    for (options, pages, dropped) in [
        (&[][..], 1, false),
        (&["--refresh", "ignore"], 5, false),
        (&["--refresh", "ignore", "--max-links-per-page", "2"], 3, true),
        (&["--config", config], 3, true),
        (&["--config", config, "--max-links-per-page", "4"], 5, false),
        (&["--config", config, "--refresh", "follow"], 1, false),
    ] {
        let output = run(&[&crawl[..], options].concat());
        let summary = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {summary}");
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), pages, "{options:?}: {summary}");
        assert_eq!(summary.contains("budget/links_per_page"), dropped, "{options:?}: {summary}");
        assert_eq!(summary.contains("redirects by a refresh"), pages == 1, "{options:?}: {summary}");
    }
    for wrong in [["--refresh", "no"], ["--max-links-per-page", "many"]] {
        assert_eq!(run(&[&crawl[..], &wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn headers_of_the_command_line_and_of_the_file_go_with_the_requests_that_they_are_for() {
    let site = Server::http(|_| page("page"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crawl.toml");
    let origin = site.url("");
    let headers = format!(
        "[headers.all]\nX-File = \"all\"\n[headers.origins.\"{origin}\"]\nx-origin = \"here\"\n[headers.origins.\"https://other.test\"]\nx-other = \"there\"\n"
    );
    fs::write(&file, headers).unwrap();
    let url = site.url("/");
    let crawl = ["crawl", &url, "--allow-private", "--config", file.to_str().unwrap()];
    let output = run(&[&crawl[..], &["-H", "X-Line: yes"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let heads = site.heads();
    assert!(heads.len() >= 2, "robots.txt and the page: {heads:?}");
    for head in &heads {
        let values = ["x-file", "x-line", "x-origin", "x-other"].map(|name| header(head, name));
        assert_eq!(
            values.map(|value| value.map(|value| value.to_string())),
            [Some("all"), Some("yes"), Some("here"), None].map(|value| value.map(str::to_owned))
        );
    }
    let nameless = run(&[&crawl[..], &["-H", "User-Agent: Mozilla/5.0"]].concat());
    assert_eq!(nameless.status.code(), Some(2), "{}", String::from_utf8_lossy(&nameless.stderr));
}

#[test]
fn a_secret_of_the_command_line_goes_to_the_origins_of_the_seeds_only() {
    let there = Server::http(|_| page("there"));
    let link = format!("<a href=\"{}\">there</a>", there.url("/"));
    let here = Server::http(move |_| page(&link).replace("text/plain", "text/html"));
    let url = here.url("/");
    let crawl = ["crawl", &url, "--allow-private", "--scope", "any", "--rate", "unlimited"];
    let output = run(&[&crawl[..], &["-H", "Authorization: Bearer 7", "-H", "X-Line: yes"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent = |server: &Server| {
        let heads = server.heads();
        assert!(heads.len() >= 2, "robots.txt and the page: {heads:?}");
        let has = |head: &String, name: &str| header(head, name).is_some();
        heads.iter().map(|head| (has(head, "authorization"), has(head, "x-line"))).collect::<Vec<_>>()
    };
    assert!(sent(&here).iter().all(|sent| *sent == (true, true)), "{:?}", sent(&here));
    assert!(sent(&there).iter().all(|sent| *sent == (false, true)), "{:?}", sent(&there));
}
