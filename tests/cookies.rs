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

/// Sends whoever asks back to where he asked, with one more in the cookie, until there are `enough`.
fn wall(enough: u32) -> Server {
    Server::http(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let times = header(head, "cookie").and_then(|cookie| cookie.strip_prefix("n=")?.parse().ok()).unwrap_or(0);
        if times >= enough { page("in") } else { with_cookie(&redirect(path), &format!("n={}", times + 1)) }
    })
}

/// curl, wget and requests get the page: the next answer is another one.
#[test]
fn a_redirect_that_leads_to_itself_is_no_loop_while_the_cookies_change() {
    let folder = tempfile::tempdir().unwrap();
    for (enough, is_stored) in [(1, false), (3, false), (3, cfg!(feature = "disk"))] {
        let site = wall(enough);
        let crawler = crawl(&[&site.url("/")]).cookies();
        let crawled = Crawled::of(if is_stored { crawler.state(folder.path()) } else { crawler });
        assert_eq!(crawled.bodies, ["in"], "{:?}", crawled.ends);
        let ledger = crawled.report.stats.ledger;
        assert_eq!((ledger.discovered, ledger.done), (u64::from(enough) + 1, u64::from(enough) + 1));
        assert!(crawled.report.ledger_adds_up, "{}", crawled.report);
    }
    let without = wall(1);
    Crawled::of(crawl(&[&without.url("/")]));
    assert_eq!(without.heads().len(), 1, "nothing changes where no cookies are kept");
}

#[test]
fn a_wall_that_is_never_satisfied_ends_after_twenty_redirects() {
    let site = wall(u32::MAX);
    let crawled = Crawled::of(crawl(&[&site.url("/")]).cookies());
    assert_eq!(site.heads().len(), 21);
    assert_eq!(crawled.report.stats.get("outcome/redirect_loop"), 1, "{}", crawled.report);
    let same = Server::http(|_| with_cookie(&redirect("/"), "n=1"));
    Crawled::of(crawl(&[&same.url("/")]).cookies());
    assert_eq!(told(&same), ["-", "n=1"], "the same cookie again changes nothing");
}

#[test]
fn a_detour_that_sets_a_cookie_leads_back_to_the_page_once() {
    let site = Server::http(|head| match (head.split(' ').nth(1), header(head, "cookie")) {
        (Some("/set"), _) => with_cookie(&redirect("/page"), "ok=1; Path=/"),
        (_, Some(_)) => page("in"),
        _ => redirect("/set"),
    });
    let crawled = Crawled::of(crawl(&[&site.url("/page")]).cookies());
    assert_eq!(crawled.bodies, ["in"], "{:?}", crawled.ends);
    assert_eq!(site.heads().len(), 3);
}

/// A page that looks whether cookies are kept, and reloads itself at once.
#[test]
fn a_page_that_sets_a_cookie_and_reloads_itself_at_once_is_asked_again() {
    let site = Server::http(|head| match header(head, "cookie") {
        Some(_) => page("in"),
        None => with_cookie(&page("wait").replacen("\r\n", "\r\nrefresh: 0; url=/\r\n", 1), "ok=1"),
    });
    assert_eq!(Crawled::of(crawl(&[&site.url("/")]).cookies()).bodies, ["in"]);
    assert_eq!(Crawled::of(crawl(&[&site.url("/")])).bodies, ["wait"], "without cookies there is nothing else");
}

/// The client is another door to the same rule.
#[tokio::test]
async fn a_client_passes_the_wall_too() {
    use actix_crawler::{Conducts, Rate, ThrottledClient};
    let client = || {
        let builder = ThrottledClient::builder("cookietest/1.0 (+https://example.org/bot)").rate(Rate::UNLIMITED);
        builder.conducts(&Conducts::new()).allow_private()
    };
    let site = wall(3);
    let response = client().cookies().build().unwrap().get(site.url("/")).send().await.unwrap();
    assert_eq!((response.status(), site.heads().len()), (200, 4));
    let never = wall(u32::MAX);
    let error = client().cookies().build().unwrap().get(never.url("/")).send().await.unwrap_err();
    assert!(error.to_string().contains("over 20 redirects in a row"), "{error}");
    assert_eq!(never.heads().len(), 21);
    let without = wall(1);
    assert!(client().build().unwrap().get(without.url("/")).send().await.is_err());
    assert_eq!(without.heads().len(), 1);
}
