//! Servers that violate HTTP in every known way: each page gets the right outcome and the right body, no request hangs,
//! and the next request gets its own response.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use actix_crawler::{Settings, prelude::*};
use http::Method;

/// A step of a server's response.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// Sends one byte at a time.
    Drip(Vec<u8>),
    Pause(Duration),
    /// Sends without end.
    Endless(&'static str),
    /// Closes without reading the request, which makes the system send a reset.
    Reset,
    Close,
    /// Sends nothing more until the client disconnects.
    Hang,
}
use Step::{Close, Drip, Endless, Hang, Pause, Reset, Send};

fn send(text: impl AsRef<[u8]>) -> Step {
    Send(text.as_ref().to_vec())
}

/// A path of the server, and the expected result of its request.
struct Case {
    name: &'static str,
    method: Method,
    request_body: Vec<u8>,
    steps: Vec<Step>,
    outcome: &'static str,
    body: Option<Vec<u8>>,
    /// Whether the next request may use the same connection.
    keeps: bool,
}

/// A page that is received completely.
fn whole(name: &'static str, body: impl AsRef<[u8]>, keeps: bool, steps: impl IntoIterator<Item = Step>) -> Case {
    let steps = steps.into_iter().collect();
    let body = Some(body.as_ref().to_vec());
    Case { name, method: Method::GET, request_body: Vec::new(), steps, outcome: "ok", body, keeps }
}

fn broken(outcome: &'static str, name: &'static str, steps: impl IntoIterator<Item = Step>) -> Case {
    let steps = steps.into_iter().collect();
    Case { name, method: Method::GET, request_body: Vec::new(), steps, outcome, body: None, keeps: false }
}

fn with(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}")
}

fn chunked(body: &str) -> String {
    with("Transfer-Encoding: chunked\r\n", body)
}

/// Responds by path; to an unknown path, with the path itself.
struct Server {
    address: SocketAddr,
    /// The paths requested over each connection.
    asked: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Server {
    fn start(cases: &[Case]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let scripts: HashMap<_, _> = cases.iter().map(|case| (format!("/{}", case.name), case.steps.clone())).collect();
        let (scripts, log) = (Arc::new(scripts), asked.clone());
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (scripts, log) = (scripts.clone(), log.clone());
                thread::spawn(move || serve(stream.unwrap(), number, &scripts, &log));
            }
        });
        Self { address, asked }
    }

    fn url(&self, name: &str) -> url::Url {
        format!("http://{}/{name}", self.address).parse().unwrap()
    }
}

fn serve(
    mut stream: TcpStream,
    number: usize,
    scripts: &HashMap<String, Vec<Step>>,
    log: &Mutex<Vec<(String, usize)>>,
) {
    stream.set_nodelay(true).unwrap();
    while let Some(path) = asked_for(&stream) {
        log.lock().unwrap().push((path.clone(), number));
        let answer = [send(with(&format!("Content-Length: {}\r\n", path.len()), &path))];
        let steps = scripts.get(&path).map_or(answer.as_slice(), Vec::as_slice);
        if !steps.iter().any(|step| matches!(step, Reset)) {
            take_request(&mut stream);
        }
        if steps.iter().try_for_each(|step| play(step, &mut stream)).is_err() {
            return;
        }
    }
}

/// An error ends the connection.
fn play(step: &Step, stream: &mut TcpStream) -> std::io::Result<()> {
    match step {
        Send(bytes) => stream.write_all(bytes),
        Drip(bytes) => bytes.chunks(1).try_for_each(|byte| stream.write_all(byte)),
        Pause(time) => {
            thread::sleep(*time);
            Ok(())
        }
        Endless(text) => loop {
            stream.write_all(text.repeat(1_000).as_bytes())?;
        },
        Reset | Close => Err(std::io::ErrorKind::NotConnected.into()),
        Hang => {
            while stream.read(&mut [0])? > 0 {}
            Err(std::io::ErrorKind::NotConnected.into())
        }
    }
}

/// Peeks at the path of the next request.
fn asked_for(stream: &TcpStream) -> Option<String> {
    let mut bytes = [0; 4_096];
    loop {
        let length = stream.peek(&mut bytes).ok().filter(|&length| length > 0)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        if text.contains("\r\n\r\n") {
            return text.split(' ').nth(1).map(str::to_owned);
        }
        thread::yield_now();
    }
}

/// Reads the head of the next request, but not its body.
fn take_request(stream: &mut TcpStream) {
    let mut taken = Vec::new();
    while !taken.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        taken.extend(byte);
    }
}

/// Keeps every page, whatever its status.
struct Keep;

#[derive(Clone, Debug)]
struct Page {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Spider for Keep {
    type Item = (String, Page);

    fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>> {
        let kept = Page { status: page.status(), headers: page.headers().clone(), body: page.body().to_vec() };
        Ok(Parsed::new().item((page.url().path()[1..].to_owned(), kept)))
    }

    fn accepts(&self, _: u16) -> bool {
        true
    }
}

/// The result of each path: the outcome, its details, and the page.
type Endings = HashMap<String, (String, String, Option<Page>)>;

fn crawl(server: &Server, requests: impl IntoIterator<Item = Request>, rate: impl FnOnce(&mut Settings)) -> Endings {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut settings = Settings { threads: 1, ..Settings::default() };
    settings.retry.attempts = 1;
    settings.transport.deadlines.head = Duration::from_millis(400);
    settings.transport.deadlines.idle = Duration::from_millis(400);
    settings.transport.deadlines.whole = Duration::from_secs(10);
    settings.transport.body.max_bytes = 4 << 20;
    settings.politeness.rate = Some(Rate::UNLIMITED);
    rate(&mut settings);
    let pages = Collect::new();
    let mut crawler = Crawler::new(Keep, "wire/1.0 (+https://example.org/)")
        .conducts(&actix_crawler::Conducts::new())
        .settings(settings);
    crawler = crawler.allow_private().ignore_robots().log(&log).pipeline(pages.clone());
    crawler = requests.into_iter().fold(crawler, Crawler::request);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(crawler.run_blocking().map(|report| report.ledger_adds_up)));
    let adds_up = ended.recv_timeout(Duration::from_secs(120)).expect("no request hangs").expect("the crawl runs");
    assert!(adds_up);
    let mut pages: HashMap<_, _> = pages.take().into_iter().collect();
    let start = server.url("").to_string();
    let lines = std::fs::read_to_string(log).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| {
            let path = text(&line["url"]).strip_prefix(&start).unwrap().to_owned();
            let page = pages.remove(&path);
            (path, (text(&line["outcome"]), text(&line["detail"]), page))
        })
        .collect()
}

/// Crawls each case and, after it, a correct page.
fn judge(cases: &[Case]) {
    let server = Server::start(cases);
    let requests = cases.iter().flat_map(|case| {
        let mut request = Request::new(case.method.clone(), server.url(case.name));
        request.body = case.request_body.clone().into();
        [request, Request::get(server.url(&format!("after_{}", case.name)))]
    });
    let endings = crawl(&server, requests, |_| {});
    let asked = server.asked.lock().unwrap().clone();
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.name;
        let (outcome, detail, page) = endings.get(name).unwrap_or_else(|| panic!("{name} in {endings:#?}"));
        let body = page.as_ref().map(|page| page.body.clone());
        if (outcome.as_str(), &body) != (case.outcome, &case.body) {
            let body = body.map(|body| body.escape_ascii().to_string());
            wrong.push(format!("{name}: {outcome} ({detail}) {body:?}"));
        }
        let after = format!("/after_{name}");
        assert!(endings.contains_key(&after[1..]), "{after} in {:?}", endings.keys());
        if endings[&after[1..]].2.as_ref().map(|page| page.body.as_slice()) != Some(after.as_bytes()) {
            wrong.push(format!("after {name}: {:?}", endings[&after[1..]]));
        }
        // The last one, since a request lost on a kept-alive connection is sent once more.
        let place = asked.iter().rposition(|(path, _)| path[1..] == *name).expect("it was asked for");
        let (next, next_connection) = &asked[place + 1];
        if *next != after || (*next_connection == asked[place].1) != case.keeps {
            wrong.push(format!("{name}: kept {}, and {next} came next", *next_connection == asked[place].1));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_right_or_nearly_so_comes_whole() {
    let hello = "5\r\nhello\r\n0\r\n\r\n";
    judge(&[
        whole("length", "hello", true, [send(with("Content-Length: 5\r\n", "hello"))]),
        whole("until_close", "hello", false, [send(with("", "hel")), send("lo"), Close]),
        whole("until_close_empty", "", false, [send(with("", "")), Close]),
        whole("old", "hello", false, [send("HTTP/1.0 200 OK\r\n\r\nhello"), Close]),
        whole("old_kept", "hello", true, [send(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        )]),
        whole("old_chunked", "hello", false, [send(format!(
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{hello}"
        ))]),
        whole("close", "hello", false, [send(with("Connection: close\r\nContent-Length: 5\r\n", "hello"))]),
        whole("chunked", "hello", true, [send(chunked(hello))]),
        whole("chunked_twice", "hello", true, [send(with("Transfer-Encoding: chunked, chunked\r\n", hello))]),
        whole("chunked_lf", "hello", true, [send("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n")]),
        whole("chunked_trailers", "hello", true, [send(chunked("5;a=\"b\"\r\nhello\r\n0\r\nT: r\r\nU: s\r\n\r\n"))]),
        whole("chunked_padded", "hello", true, [send(chunked("00005  \r\nhello\r\n0  \r\n\r\n"))]),
        whole("chunked_empty", "", true, [send(chunked("0\r\n\r\n"))]),
        whole("chunked_tiny", "a".repeat(5_000), true, [send(chunked(&("1\r\na\r\n".repeat(5_000) + "0\r\n\r\n")))]),
        whole("drip", "hello", true, [Drip(chunked(hello).into())]),
        whole("length_twice", "hello", true, [send(with("Content-Length: 5, 5\r\nContent-Length: 5\r\n", "hello"))]),
        whole("large", "x".repeat(3 << 20), true, [send(with("Content-Length: 3145728\r\n", &"x".repeat(3 << 20)))]),
        whole("empty", "", true, [send(with("Content-Length: 0\r\n", ""))]),
        whole("no_content", "", true, [send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")]),
        whole("not_modified", "", true, [send("HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n")]),
        whole("interim", "hello", true, [send(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: </a>\r\n\r\n".to_owned()
                + &with("Content-Length: 5\r\n", "hello"),
        )]),
        whole("many_headers", "hello", true, [send(with(
            &("A: b\r\n".repeat(900) + "Content-Length: 5\r\n"),
            "hello",
        ))]),
        whole("long_header", "hello", true, [send(with(
            &format!("A: {}\r\nContent-Length: 5\r\n", "b".repeat(200_000)),
            "hello",
        ))]),
        whole("identity", "hello", true, [send(with("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello"))]),
        whole("no_reason", "hello", true, [send("\r\nhttp/1.1 200\r\nContent-Length : 5\r\n\r\nhello")]),
        whole("faulty_lines", "hello", true, [send(
            b"HTTP/1.1 200 OK\nno colon\nX: \xff\xe9\r\n folded\r\na b: c\r\nB: c\rd\r\nContent-Length: 5\r\n\r\nhello",
        )]),
        whole("too_much", "hello", false, [send(
            with("Content-Length: 5\r\n", "hello") + &with("Content-Length: 4\r\n", "evil"),
        )]),
        whole("chunked_too_much", "hello", false, [send(chunked(hello) + &with("Content-Length: 4\r\n", "evil"))]),
        Case { method: Method::HEAD, ..whole("head", "", true, [send(with("Content-Length: 5\r\n", ""))]) },
        Case { method: Method::HEAD, ..whole("head_with_body", "", false, [send(with("Content-Length: 4\r\n", "evil"))]) },
    ]);
}

#[test]
fn what_is_cut_off_is_truncated() {
    judge(&[
        broken("truncated", "nothing", [Close]),
        broken("truncated", "nothing_reset", [Reset]),
        broken("truncated", "head", [send("HTTP/1.1 200 OK\r\nContent-Le"), Close]),
        broken("truncated", "only_interim", [send("HTTP/1.1 100 Continue\r\n\r\n"), Close]),
        broken("truncated", "length", [send(with("Content-Length: 6\r\n", "hello")), Close]),
        broken("truncated", "length_reset", [send(with("Content-Length: 6\r\n", "hello")), Reset]),
        broken("truncated", "chunk", [send(chunked("6\r\nhello")), Close]),
        broken("truncated", "no_last_chunk", [send(chunked("5\r\nhello\r\n")), Close]),
        broken("truncated", "no_last_line", [send(chunked("5\r\nhello\r\n0\r\n")), Close]),
        broken("truncated", "until_close_reset", [send(with("", "hello")), Pause(Duration::from_millis(50)), Reset]),
        broken("timeout", "slow_head", [send("HTTP/1.1 200 OK\r\n"), Hang]),
        broken("timeout", "slow_body", [send(with("Content-Length: 6\r\n", "hello")), Hang]),
        broken("timeout", "slow_chunk", [send(chunked("5\r\nhello\r\n")), Hang]),
    ]);
}

#[test]
fn what_is_wrong_is_a_protocol_error() {
    let length = |value: &str| [send(with(&format!("Content-Length: {value}\r\n"), "hello")), Hang];
    let coding =
        |value: &str| [send(with(&format!("Transfer-Encoding: {value}\r\n"), "5\r\nhello\r\n0\r\n\r\n")), Hang];
    let chunks = |body: &str| [send(chunked(body)), Hang];
    judge(&[
        broken("protocol", "http_0_9", [send("<html>hello</html>"), Close]),
        broken("protocol", "ssh", [send("SSH-2.0-OpenSSH_9.2\r\n"), Hang]),
        broken("protocol", "tls", [send(b"\x15\x03\x01\x00\x02\x02\x28"), Hang]),
        broken("protocol", "blank", [Endless("\r\n")]),
        broken("protocol", "http_2", [send("HTTP/2 200 OK\r\n\r\n"), Hang]),
        broken("protocol", "status", [send("HTTP/1.1 20x OK\r\n\r\n"), Hang]),
        broken("protocol", "upgrade", [send("HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"), Hang]),
        broken("protocol", "interim_flood", [Endless("HTTP/1.1 100 Continue\r\n\r\n")]),
        broken("protocol", "header_flood", [send("HTTP/1.1 200 OK\r\n"), Endless("A: b\r\n")]),
        broken("protocol", "header_endless", [send("HTTP/1.1 200 OK\r\nA: "), Endless("b")]),
        broken("protocol", "nul", [send(with("A: \0\r\nContent-Length: 0\r\n", "")), Hang]),
        broken("protocol", "length_differs", length("5, 6")),
        broken("protocol", "length_negative", length("-5")),
        broken("protocol", "length_overflow", length("99999999999999999999")),
        broken("protocol", "length_text", length("five")),
        broken("protocol", "length_empty", length("")),
        broken("protocol", "conflict", coding("chunked\r\nContent-Length: 5")),
        broken("protocol", "coding", coding("gzip, chunked")),
        broken("protocol", "coding_unknown", coding("xchunked")),
        broken("protocol", "coding_with_parameters", coding("chunked;q=1")),
        broken("protocol", "coding_control", coding("\u{b}chunked")),
        broken(
            "protocol",
            "unasked_part",
            [
                send("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/1000\r\nConnection: close\r\n\r\nhello"),
                Close,
            ],
        ),
        broken("protocol", "not_chunked", chunks("<html>")),
        broken("protocol", "chunk_size", chunks("-5\r\nhello\r\n0\r\n\r\n")),
        broken("protocol", "chunk_overflow", chunks("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n")),
        broken("protocol", "chunk_end", chunks("4\r\nhello\r\n0\r\n\r\n")),
        broken("protocol", "chunk_extension", [send(chunked("5;")), Endless("a")]),
        broken("protocol", "chunk_trailers", [send(chunked("0\r\n")), Endless("A: b\r\n")]),
        broken("too_large", "endless", [send(with("", "")), Endless("hello")]),
        broken(
            "too_large",
            "endless_chunks",
            [send(chunked("")), Endless("2c\r\na chunk that is forty bytes long, or near it\r\n")],
        ),
        broken("too_large", "endless_chunk", [send(chunked("FFFFFFFFFFFF\r\n")), Endless("hello")]),
        broken(
            "too_large",
            "endless_length",
            [send(with("Content-Length: 18446744073709551615\r\n", "")), Endless("a")],
        ),
    ]);
}

#[test]
fn an_answer_that_comes_before_the_whole_request_is_read() {
    let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let open = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello";
    let post = |case: Case| Case { method: Method::POST, request_body: vec![b'x'; 16 << 20], ..case };
    judge(&[
        post(whole("closes", "hello", false, [send(answer), Close])),
        post(whole("resets", "hello", false, [send(answer), Pause(Duration::from_millis(100)), Reset])),
        post(whole("stays_open", "hello", false, [send(open), Pause(Duration::from_secs(1)), Close])),
        post(whole(
            "after_an_interim",
            "hello",
            false,
            [send("HTTP/1.1 100 Continue\r\n\r\n"), Pause(Duration::from_millis(100)), send(answer), Close],
        )),
        post(broken("truncated", "says_nothing", [Pause(Duration::from_millis(100)), Close])),
    ]);
}

#[test]
fn headers_reach_the_spider_as_they_came() {
    let head = b"HTTP/1.1 218 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX: \xff\xe9\r\nY: a\r\n b\r\nContent-Length: 0\r\n\r\n";
    let case = whole("headers", "", true, [send(head)]);
    let server = Server::start(&[case]);
    let mut endings = crawl(&server, [Request::get(server.url("headers"))], |_| {});
    let page = endings.remove("headers").unwrap().2.unwrap();
    assert_eq!(page.status, 218);
    assert_eq!(page.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!((page.headers["x"].as_bytes(), &page.headers["y"]), (&b"\xff\xe9"[..], &"a b".parse().unwrap()));
}

#[test]
fn what_a_server_does_on_an_idle_connection_is_no_answer_to_the_next_request() {
    let hello = || send(with("Content-Length: 5\r\n", "hello"));
    let moment = || Pause(Duration::from_millis(100));
    let cases = [
        whole("speaks", "hello", false, [hello(), moment(), send(with("Content-Length: 4\r\n", "evil"))]),
        whole("speaks_and_closes", "hello", false, [hello(), moment(), send("HTTP/1.1 200 OK\r\n\r\nevil"), Close]),
        whole("closes", "hello", false, [hello(), moment(), Close]),
    ];
    let server = Server::start(&cases);
    let paths = cases.iter().flat_map(|case| [case.name.to_owned(), format!("after_{}", case.name)]);
    let requests: Vec<_> = paths.map(|path| Request::get(server.url(&path))).collect();
    let endings = crawl(&server, requests, |settings| {
        settings.politeness.rate = None;
        settings.politeness.spacing = Some(Duration::from_millis(300));
    });
    for case in &cases {
        for (path, body) in [(case.name.to_owned(), "hello"), (format!("after_{}", case.name), "")] {
            let expected = if body.is_empty() { format!("/{path}") } else { body.to_owned() };
            let (outcome, detail, page) = &endings[&path];
            assert_eq!(page.as_ref().map(|page| &*page.body), Some(expected.as_bytes()), "{path}: {outcome} {detail}");
        }
    }
}

/// Ten bytes a second: never idle for long, and never done.
fn dripping(text: &str) -> impl Iterator<Item = Step> + '_ {
    text.as_bytes().chunks(1).flat_map(|byte| [Send(byte.to_vec()), Pause(Duration::from_millis(100))])
}

#[test]
fn what_drips_ends_long_before_the_whole_deadline() {
    let head = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(80));
    let body = "b".repeat(80);
    let cases = [
        broken("timeout", "head", dripping(&head)),
        broken("timeout", "body", [send(with("Content-Length: 80\r\n", ""))].into_iter().chain(dripping(&body))),
        whole("short", "hello", true, [send(with("Content-Length: 5\r\n", ""))].into_iter().chain(dripping("hello"))),
    ];
    let server = Server::start(&cases);
    let requests = cases.iter().map(|case| Request::get(server.url(case.name)));
    let endings = crawl(&server, requests, |settings| {
        settings.transport.deadlines.rate_window = Duration::from_millis(900);
    });
    let detail = |name: &str| endings[name].1.as_str();
    assert_eq!(detail("head"), "no response head within 400ms");
    assert_eq!(detail("body"), "no sufficient bytes within 900ms");
    assert_eq!(endings["short"].0, "ok", "{}", detail("short"));
}

#[test]
fn a_redirect_is_one_whatever_comes_with_it() {
    let to = |headers: &str| send(format!("HTTP/1.1 302 Found\r\nLocation: /there\r\n{headers}\r\n"));
    let cases = [
        broken("redirect", "endless", [to(""), Endless("hello")]),
        broken("redirect", "long", [to("Content-Length: 99999999\r\n"), Endless("hello")]),
    ];
    let server = Server::start(&cases);
    let endings = crawl(&server, cases.iter().map(|case| Request::get(server.url(case.name))), |_| {});
    for case in &cases {
        assert_eq!(endings[case.name].0, case.outcome, "{}: {}", case.name, endings[case.name].1);
    }
    assert_eq!(endings["there"].0, "ok");
}

#[test]
fn what_may_have_done_its_work_is_not_sent_again() {
    let cut = || [send(with("Content-Length: 6\r\n", "hello")), Close];
    let cases = [broken("truncated", "get", cut()), broken("truncated", "post", cut())];
    let server = Server::start(&cases);
    let requests = [Request::get(server.url("get")), Request::post(server.url("post"), "a=b")];
    let endings = crawl(&server, requests, |settings| {
        settings.retry.attempts = 3;
        settings.retry.base = Duration::from_millis(1);
    });
    assert_eq!((endings["get"].0.as_str(), endings["post"].0.as_str()), ("truncated", "truncated"));
    let times = |name| server.asked.lock().unwrap().iter().filter(|(path, _)| path == name).count();
    assert_eq!((times("/get"), times("/post")), (3, 1));
}

#[test]
fn a_request_does_not_wait_for_leave_to_continue() {
    let server = Server::start(&[]);
    let request = Request::post(server.url("form"), "a=b").header("Expect", "100-continue");
    let endings = crawl(&server, [request], |_| {});
    assert_eq!(endings["form"].0, "ok", "{}", endings["form"].1);
}
