//! Credentials are sent to the origin they are for, and to no other, whatever redirects there are.

mod network;

use actix_crawler::{prelude::*, transport::Credentials};
use network::{Crawled, Server, crawl, header, page, redirect};

const BASIC: &str = "Basic bWU6c2VjcmV0";

/// The requested pages of a server, with the credentials that it received.
fn seen(server: &Server) -> Vec<(String, Option<String>)> {
    let path = |head: &str| head.split(' ').nth(1).unwrap_or_default().to_owned();
    server.heads().iter().map(|head| (path(head), header(head, "authorization").map(str::to_owned))).collect()
}

/// A site that redirects to another one, which redirects back.
fn there_and_back() -> (Server, Server) {
    let other = Server::http(|head| redirect(&format!("{}back", home_of(head))));
    let away = other.url("/away");
    let home = Server::http(move |head| match head.split(' ').nth(1) {
        Some("/start") => redirect(&format!("{away}?home={}", header(head, "host").unwrap_or_default())),
        _ => page("home"),
    });
    (home, other)
}

fn home_of(head: &str) -> String {
    let host = head.split(' ').nth(1).and_then(|path| path.split_once("home=")).map(|(_, host)| host);
    format!("http://{}/", host.unwrap_or_default())
}

#[test]
fn credentials_for_an_origin_are_shown_there_and_not_to_whom_it_redirects() {
    let (home, other) = there_and_back();
    let asked = crawl(&[&home.url("/start")]).credentials(home.url(""), Credentials::basic("me", "secret"));
    assert_eq!(Crawled::of(asked).bodies, ["home"]);
    let shown = Some(BASIC.to_owned());
    assert_eq!(seen(&home), [("/start".to_owned(), shown.clone()), ("/back".to_owned(), shown)]);
    assert_eq!(seen(&other).len(), 1);
    assert_eq!(seen(&other)[0].1, None);
}

#[test]
fn a_requests_own_header_goes_before_and_does_not_follow_a_redirect_elsewhere() {
    let (home, other) = there_and_back();
    let request = Request::parse(&home.url("/start")).unwrap().header("Authorization", "Bearer own");
    let asked = crawl(&[]).request(request).credentials(home.url(""), Credentials::bearer("crawl's"));
    assert_eq!(Crawled::of(asked).report.pages(), 1);
    let [start, back] = seen(&home).try_into().unwrap();
    assert_eq!(start.1.as_deref(), Some("Bearer own"));
    assert_eq!(back.1.as_deref(), Some("Bearer crawl's"));
    assert_eq!(seen(&other)[0].1, None);
}

#[test]
fn a_password_in_a_seed_opens_its_origin_and_is_logged_nowhere() {
    let (home, other) = there_and_back();
    let seed = format!("http://me:secret@{}/start", home.address);
    let crawled = Crawled::of(crawl(&[&seed]));
    assert_eq!(seen(&home)[1], ("/back".to_owned(), Some(BASIC.to_owned())));
    assert_eq!(seen(&other)[0].1, None);
    let said = format!("{:?} {}", crawled.ends, crawled.report);
    assert!(!said.contains("secret") && !said.contains('@'), "{said}");
}

#[test]
fn a_password_in_a_redirect_is_not_used() {
    let other = Server::http(|_| page("other"));
    let to = format!("http://me:secret@{}/", other.address);
    let home = Server::http(move |_| redirect(&to));
    let crawled = Crawled::of(crawl(&[&home.url("/")]));
    assert_eq!(seen(&other), [("/".to_owned(), None)]);
    assert!(!format!("{:?}", crawled.ends).contains("secret"), "{:?}", crawled.ends);
}

#[test]
fn a_wrong_origin_is_named_before_anything_is_fetched() {
    let server = Server::http(|_| page("x"));
    let asked = crawl(&[&server.url("/")]).credentials("example.org", Credentials::bearer("secret"));
    let error = asked.start().err().unwrap().to_string();
    assert!(error.contains("example.org") && !error.contains("secret"), "{error}");
    assert!(server.heads().is_empty());
}

#[tokio::test]
async fn a_password_in_a_url_that_comes_later_is_refused_and_says_where_to_give_it() {
    let handle = crawl(&[]).stay_open().start().unwrap();
    let error = handle.seed("http://me:secret@127.0.0.1:9/").await.unwrap_err().to_string();
    assert!(error.contains(".credentials(") && !error.contains("secret"), "{error}");
    handle.close().await;
    handle.wait().await.unwrap();
}
