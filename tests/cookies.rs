//! Cookies are sent back to the site that set them, and to no other.
#![cfg(feature = "cookies")]

mod network;

use network::{Crawled, Server, crawl, header, page, redirect};

fn with_cookie(answer: &str, cookie: &str) -> String {
    answer.replacen("\r\n", &format!("\r\nset-cookie: {cookie}\r\n"), 1)
}

/// The cookies that a server received, by request.
fn told(server: &Server) -> Vec<String> {
    server.heads().iter().map(|head| header(head, "cookie").unwrap_or("-").to_owned()).collect()
}

/// A site that sets a cookie with a redirect to another site, which redirects back.
fn there_and_back() -> (Server, Server) {
    let other = Server::http(|head| {
        let home = head.split(' ').nth(1).and_then(|path| path.split_once("home=")).map_or("", |(_, host)| host);
        with_cookie(&redirect(&format!("http://{home}/back")), "theirs=2")
    });
    // A different host name, since a different port would not separate cookies (RFC 6265 §8.5).
    let away = other.url("/away").replace("127.0.0.1", "localhost");
    let home = Server::http(move |head| match head.split(' ').nth(1) {
        Some("/start") => with_cookie(&redirect("/next"), "mine=1; Path=/; HttpOnly"),
        Some("/next") => redirect(&format!("{away}?home={}", header(head, "host").unwrap_or_default())),
        _ => page("home"),
    });
    (home, other)
}

#[test]
fn a_cookie_is_sent_back_after_a_redirect_and_never_to_another_origin() {
    let (home, other) = there_and_back();
    let crawled = Crawled::of(crawl(&[&home.url("/start")]).cookies());
    assert_eq!(crawled.bodies, ["home"], "{:?}", crawled.ends);
    assert_eq!(told(&home), ["-", "mine=1", "mine=1"]);
    assert_eq!(told(&other), ["-"]);
}

/// RFC 6265 §8.5: cookies do not provide isolation by port.
#[test]
fn ports_of_a_host_share_its_cookies() {
    let other = Server::http(|_| page("other"));
    let away = other.url("/");
    let home = Server::http(move |_| with_cookie(&redirect(&away), "mine=1"));
    let crawled = Crawled::of(crawl(&[&home.url("/")]).cookies());
    assert_eq!(crawled.bodies, ["other"], "{:?}", crawled.ends);
    assert_eq!(told(&other), ["mine=1"]);
}

#[test]
fn no_cookie_is_kept_unless_it_is_asked_for() {
    let (home, other) = there_and_back();
    Crawled::of(crawl(&[&home.url("/start")]));
    assert_eq!(told(&home), ["-", "-", "-"]);
    assert_eq!(told(&other), ["-"]);
}

#[test]
fn a_requests_own_cookie_goes_before() {
    let home = Server::http(|_| with_cookie(&redirect("/"), "jar=1"));
    let request = actix_crawler::prelude::Request::parse(&home.url("/first")).unwrap().header("Cookie", "own=1");
    Crawled::of(crawl(&[]).request(request).cookies());
    assert_eq!(told(&home)[0], "own=1");
}

#[test]
fn jars_of_different_proxies_are_never_mixed() {
    let [one, two] = ["one", "two"].map(|name| Server::http(move |_| with_cookie(&page(name), &format!("{name}=1"))));
    let urls: Vec<String> = (0..6).map(|n| format!("http://site.test/{n}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let proxy = |server: &Server| format!("http://{}", server.address);
    let crawled = Crawled::of(crawl(&urls).per_domain(1).cookies().proxy(proxy(&one)).proxy(proxy(&two)));
    assert_eq!(crawled.report.pages(), 6);
    assert_eq!(told(&one), ["-", "one=1", "one=1"]);
    assert_eq!(told(&two), ["-", "two=1", "two=1"]);
}
