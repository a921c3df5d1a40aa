//! Test doubles for the fetch interface: an archive, a browser, a middleware. Each is judged by a real server.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use ::http::{HeaderMap, HeaderValue};
use futures_util::future::LocalBoxFuture;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use url::Url;

use super::Crawler;
use crate::{
    clock,
    conduct::{Terms, throttle::Refusal},
    conducts::{Conducts, Tenant},
    domain::{Domain, DomainKey},
    error::Result,
    fetcher::{
        fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse, Permits},
        layer::Layer,
        stack::FetchStack,
    },
    outcome::{FetchError, local_fault::LocalFault},
    permit::{Permit, Tenancy},
    politeness::limits::Limits,
    rate::Rate,
    request::{Kind, Request},
    response::Response,
    retry::Retry,
    spider::Parsed,
    transport::{
        SharedTransport, TransportSettings,
        address::AddressGuard,
        body::{BodyLimits, Reservation},
        raw_response::{RawResponse, WireBytes},
        response_store::{Purpose, ResponseStoreSettings},
    },
};

const CONTACT: &str = "seamtest/1.0 (+https://example.org/bot)";

/// Serves one request for each connection: `answer` gets the path.
fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut buffer = [0; 4096];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => head.extend_from_slice(&buffer[..read]),
                    Ok(0) | Err(_) => break,
                }
            }
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            // A client that has disconnected needs no response.
            drop(stream.write_all(answer(&path).as_bytes()));
        }
    });
    address
}

fn page(body: &str, headers: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

fn settings() -> TransportSettings {
    let guard = AddressGuard { allow_private: true, ..AddressGuard::default() };
    TransportSettings { guard, ..TransportSettings::default() }
}

fn http(settings: TransportSettings) -> FetchStack {
    let shared = SharedTransport::new(settings, &Handle::current()).unwrap();
    FetchStack::http(shared, CONTACT.parse().unwrap())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gates by host, with one request at a time each, like the registry.
struct Gates(Mutex<HashMap<String, Arc<Tenancy>>>, Tenant);

impl Default for Gates {
    fn default() -> Self {
        Self(Mutex::default(), Conducts::new().tenant(&DomainKey::Host))
    }
}

impl Gates {
    fn gate(&self, url: &Url) -> Arc<Tenancy> {
        let host = url.host_str().unwrap().to_owned();
        let terms = Terms::of(Limits::rate(Rate::UNLIMITED));
        let open = || self.1.join(&Domain::new(&host), terms, Arc::new(()), clock::now());
        lock(&self.0).entry(host.clone()).or_insert_with(open).clone()
    }

    /// The number of starts at a host.
    fn starts(&self, host: &str) -> u64 {
        lock(&self.0).get(host).map_or(0, |gate| gate.evidence().requests)
    }
}

impl Permits for Gates {
    fn permit<'a>(&'a self, url: &'a Url) -> LocalBoxFuture<'a, Option<Permit>> {
        Box::pin(async move {
            let gate = self.gate(url);
            loop {
                let now = clock::now();
                match gate.grant(now, now) {
                    Ok(permit) => return Some(permit),
                    Err(Refusal::NotBefore(at) | Refusal::OtherTenant(at) | Refusal::Lapsed(at)) => {
                        tokio::time::sleep_until(at.into()).await
                    }
                    Err(Refusal::Full) => tokio::task::yield_now().await,
                }
            }
        })
    }
}

async fn get(fetch: &dyn Fetch, url: &str, gates: &Gates) -> FetchResult {
    let mut request = Request::parse(url).unwrap();
    let permit = gates.permit(&request.url).await.unwrap();
    request.domain = Some(permit.domain().clone());
    fetch.fetch(permit, &request, FetchContext::page(BodyLimits::default(), true, gates)).await
}

/// What an archive keeps of one exchange.
struct Record {
    url: String,
    wire: WireBytes,
    failure: Option<NoResponse>,
    acknowledge: oneshot::Sender<()>,
}

/// An archive: sends every exchange to its writer, and returns when the writer has acknowledged it.
struct Archive {
    inner: Box<dyn Fetch>,
    writer: mpsc::Sender<Record>,
}

impl Fetch for Archive {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, mut context: FetchContext<'a>) -> Fetching<'a> {
        context.extent.keeps_wire_bytes = true;
        Box::pin(async move {
            let mut result = self.inner.fetch(permit, request, context).await;
            let (acknowledge, acknowledged) = oneshot::channel();
            let url = request.url.to_string();
            let failure = result.response.as_ref().err().cloned();
            let wire = result.wire.take().unwrap_or_default();
            let record = Record { url, wire, failure, acknowledge };
            let kept = self.writer.send(record).await.is_ok() && acknowledged.await.is_ok();
            assert!(kept, "the writer has gone");
            result
        })
    }
}

fn archive(writer: mpsc::Sender<Record>) -> impl Layer {
    move |inner| -> Box<dyn Fetch> { Box::new(Archive { inner, writer: writer.clone() }) }
}

/// What the writer wrote and the spider saw, in order.
#[derive(Default)]
struct Story {
    events: Vec<String>,
    records: Vec<(String, WireBytes, Option<NoResponse>)>,
}

/// Writes records as slowly as a disk.
fn write_records(story: Arc<Mutex<Story>>) -> mpsc::Sender<Record> {
    let (writer, mut records) = mpsc::channel::<Record>(1);
    thread::spawn(move || {
        while let Some(Record { url, wire, failure, acknowledge }) = records.blocking_recv() {
            thread::sleep(std::time::Duration::from_millis(5));
            let mut story = lock(&story);
            story.events.push(format!("archived {}", Url::parse(&url).unwrap().path()));
            story.records.push((url, wire, failure));
            drop(story);
            // A cancelled request no longer waits for its acknowledgement.
            let _ = acknowledge.send(());
        }
    });
    writer
}

#[test]
fn an_archive_gets_what_was_on_the_wire_before_the_page_is_parsed_and_settled() {
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Odd:  spaced \r\n\r\n4\r\nwhol\r\n1\r\ne\r\n0\r\n\r\n";
    const TRUNCATED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf";
    const REDIRECT: &str = "HTTP/1.1 302 Found\r\nLocation: /page\r\nContent-Length: 4\r\n\r\ngone";
    let robots = page("User-agent: *\nDisallow: /no", "");
    let site = serve({
        let robots = robots.clone();
        move |path| match path {
            "/robots.txt" => robots.clone(),
            "/moved" => REDIRECT.to_owned(),
            "/truncated" => TRUNCATED.to_owned(),
            _ => CHUNKED.to_owned(),
        }
    });
    let story = Arc::<Mutex<Story>>::default();
    let parsed = story.clone();
    let spider = move |page: &Response| -> Result<Parsed<String>> {
        lock(&parsed).events.push(format!("parsed {}", page.url().path()));
        Ok(Parsed::new())
    };
    let seeds = ["/moved", "/truncated"].map(|path| format!("http://{site}{path}"));
    let once = super::Settings { retry: Retry { attempts: 1, ..Retry::default() }, ..super::Settings::default() };
    let report = Crawler::new(spider, CONTACT)
        .settings(once)
        .seeds(&seeds)
        .allow_private()
        .rate(Rate::UNLIMITED)
        .layer(archive(write_records(story.clone())))
        .run_blocking()
        .unwrap();
    assert!(report.ledger_adds_up, "{report}");

    let story = lock(&story);
    let of = |path: &str| story.records.iter().find(|(url, ..)| url.ends_with(path)).expect(path);
    for (path, response) in
        [("/robots.txt", robots.as_str()), ("/moved", REDIRECT), ("/page", CHUNKED), ("/truncated", TRUNCATED)]
    {
        let (_, wire, failure) = of(path);
        assert_eq!(String::from_utf8_lossy(&wire.response), response);
        let request = String::from_utf8_lossy(&wire.request);
        assert!(request.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{request}");
        assert!(request.contains(CONTACT) && request.ends_with("\r\n\r\n"), "{request}");
        assert_eq!(failure.is_some(), path == "/truncated", "{failure:?}");
    }
    assert_eq!(story.records.len(), 4);
    let at = |event: &str| story.events.iter().position(|seen| seen == event).expect(event);
    assert!(at("archived /page") < at("parsed /page"), "{:?}", story.events);
}

/// A browser whose page load needs several requests. It has no network of its own: `network` fetches everything, each
/// under its own permit.
struct Browser {
    network: Box<dyn Fetch>,
}

impl Browser {
    /// Loads a document and what it refers to: here, each word that is a URL.
    async fn load(&self, permit: Permit, request: &Request, context: FetchContext<'_>) -> FetchResult {
        let mut document = self.network.fetch(permit, request, context).await;
        let Ok(response) = &mut document.response else { return document };
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let mut rendered = String::new();
        for word in text.split(' ') {
            let Ok(url) = Url::parse(word) else {
                rendered.push_str(word);
                continue;
            };
            let Some(permit) = context.permits.permit(&url).await else { break };
            let mut request = Request::get(url);
            request.domain = Some(permit.domain().clone());
            let part = self.network.fetch(permit, &request, context).await;
            document.receipt.bytes += part.receipt.bytes;
            document.receipt.elapsed += part.receipt.elapsed;
            if let Ok(part) = part.response {
                rendered.push_str(&String::from_utf8_lossy(&part.body));
            }
        }
        response.body = rendered.into();
        document
    }
}

impl Fetch for Browser {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(self.load(permit, request, context))
    }
}

#[test]
fn a_browser_takes_a_permit_of_its_own_domain_for_each_request_of_a_page() {
    actix_rt::System::new().block_on(async {
        let parts = serve(|path| page(&format!("[{path}]"), ""));
        let parts = format!("http://localhost:{}", parts.port());
        let site = serve(move |_| page(&format!("<b> {parts}/style {parts}/script </b>"), ""));
        let story = Arc::<Mutex<Story>>::default();
        let network = http(settings()).layer(archive(write_records(story.clone())));
        let browser = FetchStack::over(move || Box::new(Browser { network: network.build() }));

        let gates = Gates::default();
        let result = get(&*browser.build(), &format!("http://{site}/"), &gates).await;
        assert_eq!(result.response.unwrap().body, "<b>[/style][/script]</b>");
        assert_eq!(result.receipt.status, Some(200));
        assert_eq!((gates.starts("127.0.0.1"), gates.starts("localhost")), (1, 2));
        assert_eq!(lock(&story).records.len(), 3, "an archive below the browser sees each exchange");

        let none = get(&*browser.build(), "http://127.0.0.1:1/", &gates).await;
        assert!(matches!(none.response, Err(NoResponse::Failed(FetchError::Connect(_)))));
    });
}

/// Answers by itself, without an inner fetch or a network.
struct Banned;

impl Fetch for Banned {
    fn fetch<'a>(&'a self, permit: Permit, _: &'a Request, _: FetchContext<'a>) -> Fetching<'a> {
        drop(permit);
        let response = RawResponse {
            status: 403,
            headers: HeaderMap::new(),
            fetched_at: clock::wall(),
            body: "banned".into(),
            streamed: 0,
            is_cut: false,
            reservation: Reservation::default(),
        };
        Box::pin(std::future::ready(FetchResult::offline(Ok(response))))
    }
}

/// A middleware: adds a header to each request, and a mark to each response.
struct Mark(Box<dyn Fetch>, &'static str);

impl Fetch for Mark {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(async move {
            let request = request.clone().header("x-mark", self.1);
            let mut result = self.0.fetch(permit, &request, context).await;
            if let Ok(response) = &mut result.response {
                response.headers.append("x-mark", HeaderValue::from_static(self.1));
            }
            result
        })
    }
}

#[test]
fn each_layer_wraps_those_before_it_and_a_permit_that_none_needs_is_dropped_unused() {
    actix_rt::System::new().block_on(async {
        let mark = |name| move |inner| -> Box<dyn Fetch> { Box::new(Mark(inner, name)) };
        let stack = FetchStack::over(|| Box::new(Banned)).layer(mark("inner")).layer(mark("outer"));
        let gates = Gates::default();
        let result = get(&*stack.build(), "http://e.test/", &gates).await;
        let marks = result.response.unwrap().headers;
        assert_eq!(marks.get_all("x-mark").iter().collect::<Vec<_>>(), ["inner", "outer"]);
        let gate = gates.gate(&Url::parse("http://e.test/").unwrap());
        assert_eq!((gates.starts("e.test"), gate.in_flight()), (0, 0));
        assert_eq!((result.receipt.started, result.receipt.status), (None, Some(403)));
    });
}

#[test]
fn what_is_recorded_is_replayed_under_permits_that_are_not_spent() {
    actix_rt::System::new().block_on(async {
        let site = serve(|path| page(path, ""));
        let folder = tempfile::tempdir().unwrap();
        let gates = Gates::default();
        let with = |purpose| {
            let response_store = Some(ResponseStoreSettings::new(folder.path(), purpose));
            http(TransportSettings { response_store, ..settings() }).build()
        };
        let url = format!("http://{site}/a");
        for (purpose, starts) in [(Purpose::Record, 1), (Purpose::Replay, 1), (Purpose::Record, 2)] {
            let result = get(&*with(purpose), &url, &gates).await;
            assert_eq!(result.response.unwrap().body, "/a", "{purpose:?}");
            assert_eq!(gates.starts("127.0.0.1"), starts, "{purpose:?}");
        }
        let missing = get(&*with(Purpose::Replay), &format!("http://{site}/b"), &gates).await;
        assert!(matches!(missing.response, Err(NoResponse::Failed(FetchError::NotRecorded(_)))));
    });
}

/// Meets a fault of this machine at the first tries of a page.
struct FaultFirst {
    inner: Box<dyn Fetch>,
    tries: Arc<AtomicU32>,
}

impl Fetch for FaultFirst {
    fn fetch<'a>(
        &'a self,
        permit: Permit,
        request: &'a Request,
        context: FetchContext<'a>,
    ) -> LocalBoxFuture<'a, FetchResult> {
        if request.kind() == Kind::RobotsTxt || self.tries.fetch_add(1, Ordering::SeqCst) > 1 {
            return self.inner.fetch(permit, request, context);
        }
        drop(permit);
        let fault = FetchError::Local(LocalFault::Network, "no route".to_owned());
        Box::pin(std::future::ready(FetchResult::offline(Err(NoResponse::Failed(fault)))))
    }
}

/// Notes what the spider and a middleware are told of failures.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl crate::spider::Spider for Told {
    type Item = ();

    fn parse(&self, _: &Response) -> Result<Parsed<()>> {
        Ok(Parsed::new())
    }

    fn failed(&self, _: &Request, outcome: &crate::outcome::Outcome) -> Parsed<()> {
        lock(&self.0).push(format!("spider: {}", outcome.detail()));
        Parsed::new()
    }
}

impl crate::middleware::Middleware for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn failed(&self, _: &Request, error: &FetchError, _: &crate::middleware::Attempt) -> crate::middleware::Decision {
        lock(&self.0).push(format!("middleware: {error}"));
        crate::middleware::Decision::Pass
    }
}

#[test]
fn a_fault_of_this_machine_is_told_neither_to_the_spider_nor_to_middleware() {
    let site = serve(|_| page("here", ""));
    let (told, tries) = (Told::default(), Arc::new(AtomicU32::new(0)));
    let met = tries.clone();
    let layer = move |inner| -> Box<dyn Fetch> { Box::new(FaultFirst { inner, tries: met.clone() }) };
    let settings = super::Settings { retry: Retry { attempts: 1, ..Retry::default() }, ..super::Settings::default() };
    let crawler = Crawler::new(told.clone(), CONTACT).settings(settings).conducts(&Conducts::new());
    let crawler = crawler.seed(format!("http://{site}/")).allow_private().layer(layer).middleware(told.clone());
    let report = crawler.rate(Rate::UNLIMITED).run_blocking().unwrap();
    assert_eq!((report.pages(), report.failed(), tries.load(Ordering::SeqCst)), (1, 0, 3), "{report}");
    assert_eq!(report.stats.get("local/network"), 2, "{report}");
    assert!(lock(&told.0).is_empty(), "{:?}", lock(&told.0));
}
