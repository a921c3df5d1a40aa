//! What is kept of the cookies that servers set, and what goes back.

use super::{
    jar::{MAX_HEADER_LENGTH, MAX_IN_A_JAR},
    jars::MAX_COOKIES,
    *,
};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn none() -> Arc<Cookies> {
    Cookies::new(&Arc::default())
}

fn set(cookies: &Cookies, from: &str, values: &[&str]) -> bool {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(SET_COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    cookies.take_in(&url(from), None, &headers)
}

fn sent(cookies: &Cookies, to: &str) -> String {
    cookies.header(&url(to), None).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

#[test]
fn a_cookie_goes_back_to_its_host_and_path_and_with_a_domain_to_all_below() {
    let cookies = none();
    set(&cookies, "https://a.e.org/x/y", &["host=1", "deep=2; Path=/x/y/z", "all=3; Domain=e.org; Path=/"]);
    assert_eq!(sent(&cookies, "https://a.e.org/x/q"), "host=1; all=3");
    assert_eq!(sent(&cookies, "https://a.e.org/x/y/z"), "deep=2; host=1; all=3");
    assert_eq!(sent(&cookies, "https://b.e.org/x/q"), "all=3");
    assert_eq!(sent(&cookies, "https://a.e.org/"), "all=3");
    set(&cookies, "https://a.e.org/x/y", &["host=; Max-Age=0"]);
    assert_eq!(sent(&cookies, "https://a.e.org/x/q"), "all=3");
}

/// RFC 6265 §5.4 step 2 and §5.3 step 11.3.
#[test]
fn cookies_of_one_path_go_in_the_order_they_were_created() {
    let cookies = none();
    set(&cookies, "https://e.org/", &["z=1", "a=1", "m=1; Path=/x", "b=1"]);
    assert_eq!(sent(&cookies, "https://e.org/x"), "m=1; z=1; a=1; b=1");
    set(&cookies, "https://e.org/", &["z=2"]);
    assert_eq!(sent(&cookies, "https://e.org/"), "z=2; a=1; b=1", "one that is replaced keeps its place");
    set(&cookies, "https://e.org/", &["z=; Max-Age=0"]);
    set(&cookies, "https://e.org/", &["z=3"]);
    assert_eq!(sent(&cookies, "https://e.org/"), "a=1; b=1; z=3", "one that was deleted is a new one");
}

/// Regression: these eleven valid forms of RFC 6265 §5.1.1 were ignored, so an expired session cookie was still
/// sent.
#[test]
fn a_date_in_the_past_deletes_in_whatever_form_it_is_written() {
    for date in [
        "Thu, 1 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 UTC",
        "Thu, 01 Jan 1970 00:00:00 +0000",
        "Thu, 01 Jan 1970 00:00:00",
        "Thu, 01-Jan-1970 00:00:00 GMT",
        "THU, 01 JAN 1970 00:00:00 GMT",
        "Thu, 01 Jan 1970 0:00:00 GMT",
        "Thu, 01 January 1970 00:00:00 GMT",
        "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)",
        "\"Thu, 01 Jan 1970 00:00:00 GMT\"",
        "Thu,01 Jan 1970 00:00:00 GMT",
        // RFC 6265bis §5.6.2: a `Max-Age` that is no number is none. An empty one made the cookie last until 9999.
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=",
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age",
        "Thu, 01 Jan 1970 00:00:00 GMT; max-age = ",
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=-",
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=+60",
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=\"60\"",
        "Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=1h",
        "Fri, 31 Dec 2100 01:02:03 GMT; Max-Age=0",
        "Fri, 31 Dec 2100 01:02:03 GMT; Max-Age=-1",
    ] {
        let cookies = none();
        set(&cookies, "https://e.org/", &["session=1; Path=/"]);
        set(&cookies, "https://e.org/", &[&format!("session=; Path=/; Expires={date}")]);
        assert_eq!(sent(&cookies, "https://e.org/"), "", "{date}");
    }
    let cookies = none();
    set(&cookies, "https://e.org/", &["a=1; expires=Fri Dec 31 2100 1:2:3", "b=1; Expires=never; Path=/"]);
    assert_eq!(sent(&cookies, "https://e.org/"), "a=1; b=1", "a date to come, and none at all");
}

/// A redirect that changes nothing and leads back is a loop.
#[test]
fn it_is_told_whether_anything_has_changed() {
    let cookies = none();
    for (value, has_changed) in [
        ("a=1", true),
        ("a=1", false),
        ("a=1; Max-Age=60", false),
        ("a=2", true),
        ("b=1; Path=/x", true),
        ("b=1; Max-Age=0", false),
        ("a=; Max-Age=0", true),
        ("a=; Max-Age=0", false),
        ("c=1; Domain=other.org", false),
        ("a=1", true),
    ] {
        assert_eq!(set(&cookies, "https://e.org/", &[value]), has_changed, "{value}");
    }
    assert!(!set(&cookies, "https://e.org/", &[]));
}

#[test]
fn nobody_sets_cookies_for_others() {
    let cookies = none();
    let values = ["a=1; Domain=other.org", "b=1; Domain=co.uk", "c=1; Domain=github.io", "d=1; Domain=org"];
    set(&cookies, "https://me.co.uk/", &values);
    set(&cookies, "https://me.github.io/", &values);
    for host in ["other.org", "me.co.uk", "you.co.uk", "me.github.io", "you.github.io"] {
        assert_eq!(sent(&cookies, &format!("https://{host}/")), "", "{host}");
    }
    set(&cookies, "https://github.io/", &["own=1; Domain=github.io"]);
    assert_eq!(sent(&cookies, "https://github.io/"), "own=1");
    assert_eq!(sent(&cookies, "https://me.github.io/"), "");
}

#[test]
fn ports_share_a_jar_and_proxies_have_jars_of_their_own() {
    let cookies = none();
    set(&cookies, "http://127.0.0.1:8001/", &["a=1"]);
    assert_eq!(sent(&cookies, "http://127.0.0.1:8001/"), "a=1");
    assert_eq!(sent(&cookies, "http://127.0.0.1:8002/"), "a=1", "RFC 6265 §8.5");
    assert_eq!(cookies.header(&url("http://127.0.0.1:8001/"), Some(7)), None);
}

#[test]
fn what_is_secure_is_neither_set_nor_replaced_nor_seen_over_plain_http() {
    let cookies = none();
    set(&cookies, "http://e.org/", &["plain=1; Secure", "__Host-x=1; Secure; Path=/", "__Secure-y=1"]);
    assert_eq!(sent(&cookies, "https://e.org/"), "");
    set(&cookies, "https://e.org/", &["s=1; Secure", "__Host-x=1; Secure; Path=/", "__Host-y=1; Secure; Path=/a"]);
    set(&cookies, "http://e.org/", &["s=2"]);
    assert_eq!(sent(&cookies, "https://e.org/"), "s=1; __Host-x=1");
    assert_eq!(sent(&cookies, "http://e.org/"), "");
    // The cookies of others, of other paths and for hosts beside do not matter (RFC 6265bis §5.7).
    set(&cookies, "https://accounts.shop.org/a", &["s=1; Secure; Path=/a"]);
    set(&cookies, "http://forum.shop.org/", &["s=2"]);
    set(
        &cookies,
        "http://accounts.shop.org/",
        &["s=3; Path=/", "s=4; Path=/a/b", "s=5; Path=/ab", "s=6; Domain=shop.org; Path=/a"],
    );
    assert_eq!(sent(&cookies, "http://forum.shop.org/"), "s=2");
    assert_eq!(sent(&cookies, "https://accounts.shop.org/a/b"), "s=1; s=3");
    assert_eq!(sent(&cookies, "http://accounts.shop.org/ab"), "s=5; s=3");
    // Loopback is no exception here, although the crate treats it as one.
    set(&cookies, "https://127.0.0.1/", &["s=1; Secure"]);
    assert_eq!(sent(&cookies, "http://127.0.0.1/"), "");
}

#[test]
fn there_are_never_more_than_the_bounds() {
    let cookies = none();
    for n in 0..200 {
        set(&cookies, "http://e.org/", &[&format!("c{n}={}", "x".repeat(300))]);
    }
    set(&cookies, "http://e.org/", &[&format!("long={}", "x".repeat(5_000))]);
    assert!(sent(&cookies, "http://e.org/").len() <= MAX_HEADER_LENGTH);
    assert_eq!(cookies.count(), MAX_IN_A_JAR);
    for n in 0..MAX_COOKIES + 100 {
        set(&cookies, &format!("http://e{n}.org/"), &["a=1"]);
        assert!(cookies.count() <= MAX_COOKIES);
    }
    assert_eq!(sent(&cookies, &format!("http://e{}.org/", MAX_COOKIES + 99)), "a=1", "what was used last is kept");
    assert_eq!(sent(&cookies, "http://e.org/"), "", "what was not used for long is forgotten");
}

/// It was once the first to be forgotten, though its site was asked all the time, through proxies.
#[test]
fn what_was_given_is_forgotten_last_however_many_proxies_use_it() {
    let through = |cookies: &Cookies, proxy| cookies.header(&url("http://e.org/"), Some(proxy));
    for is_in_use in [true, false] {
        let cookies = none();
        assert!(cookies.add(&SessionCookie::new("login", "1", "e.org")));
        for n in 0..MAX_COOKIES + 100 {
            set(&cookies, &format!("http://e{n}.org/"), &["a=1"]);
            if is_in_use {
                through(&cookies, 1);
            }
        }
        assert!(cookies.count() <= MAX_COOKIES && cookies.forgotten() > 0);
        assert_eq!(through(&cookies, 2), Some(HeaderValue::from_static("login=1")), "in use: {is_in_use}");
    }
    let cookies = none();
    for n in 0..30 {
        assert!(cookies.add(&SessionCookie::new(format!("login{n}"), "1", "e.org")));
    }
    for proxy in 0..400 {
        through(&cookies, proxy);
    }
    assert!(cookies.count() <= MAX_COOKIES && cookies.forgotten() > 0);
    assert_eq!(through(&cookies, 1_000).unwrap().to_str().unwrap().matches("login").count(), 30);
}

/// Regression: each domain whose cookies were refused or deleted left a jar for ever, and none of them held a cookie.
#[test]
fn a_domain_without_cookies_takes_no_room() {
    let cookies = none();
    set(&cookies, "http://kept.org/", &["a=1"]);
    for n in 0..20_000 {
        let (site, refused) = (format!("http://e{n}.org/"), "sid=1; Domain=other.example");
        set(&cookies, &site, &[["x=; Max-Age=0", refused, "a=1; Max-Age=60"][n % 3]]);
        set(&cookies, &site, &["a=; Max-Age=0"]);
    }
    let jars = cookies.jars().len();
    assert_eq!((jars, cookies.count(), cookies.forgotten()), (1, 1, 0));
    assert_eq!(sent(&cookies, "http://kept.org/"), "a=1");
}

#[test]
fn what_is_listed_can_be_given_again_in_the_same_order() {
    let cookies = none();
    let long = "Expires=Fri, 31 Dec 2100 01:02:03 GMT";
    set(
        &cookies,
        "https://e.org/a/b",
        &["z=1; Path=/; Secure", &format!("a=\"2\"; HttpOnly; {long}"), "gone=; Max-Age=0"],
    );
    set(&cookies, "https://www.other.org/", &["all=3; Domain=other.org"]);
    let again = none();
    for cookie in cookies.list(None) {
        assert!(again.add(&cookie), "{cookie:?}");
    }
    assert_eq!(again.list(None), cookies.list(None));
    for to in ["https://e.org/a/x", "http://e.org/a/x", "https://www.e.org/a/x", "https://x.other.org/"] {
        assert_eq!(sent(&again, to), sent(&cookies, to), "{to}");
    }
    assert_eq!(sent(&again, "https://e.org/a/x"), "a=\"2\"; z=1");
}

#[test]
fn what_cannot_be_a_cookie_is_not_taken() {
    let cookies = none();
    let good = SessionCookie::new("a", "1", "e.org");
    for wrong in [
        SessionCookie { name: "a;b".to_owned(), ..good.clone() },
        SessionCookie { name: "a=b".to_owned(), ..good.clone() },
        SessionCookie { value: "1\r\nx: y".to_owned(), ..good.clone() },
        SessionCookie { value: "1; Domain=org".to_owned(), ..good.clone() },
        SessionCookie { path: "/;".to_owned(), ..good.clone() },
        SessionCookie { domain: "e.org/path".to_owned(), ..good.clone() },
        SessionCookie { domain: "me@e.org".to_owned(), ..good.clone() },
        SessionCookie { domain: String::new(), ..good.clone() },
        SessionCookie { domain: "co.uk".to_owned(), host_only: false, name: "__Host-x".to_owned(), ..good.clone() },
        SessionCookie { expires: Some(0), ..good.clone() },
    ] {
        assert!(!cookies.add(&wrong), "{wrong:?}");
    }
    assert!(cookies.add(&good));
    assert_eq!(sent(&cookies, "http://e.org/"), "a=1");
}

#[test]
fn all_sessions_together_have_a_bound_and_one_that_ends_gives_its_room_back() {
    let in_all = Arc::<AllCookies>::default();
    let of_all = || in_all.count.load(Ordering::Relaxed);
    let sessions: Vec<_> = (0..7).map(|_| Cookies::new(&in_all)).collect();
    for (index, session) in sessions.iter().enumerate() {
        for n in 0..9_000 {
            set(session, &format!("http://e{index}x{n}.org/"), &["a=1"]);
        }
        assert_eq!(of_all(), sessions.iter().map(|session| session.count()).sum::<usize>());
        assert!(of_all() <= MAX_IN_ALL, "session {index}");
        assert_eq!(session.count(), 9_000, "who comes last has room");
    }
    let forgotten: Vec<_> = sessions.iter().map(|session| session.forgotten()).collect();
    assert!(forgotten[0] > 0 && forgotten[6] == 0, "{forgotten:?}, the one that was used least recently first");
    drop(sessions);
    assert_eq!(of_all(), 0);
}

/// Regression: where other sessions had all that there may be, a new one got none, and was logged in again and again.
#[test]
fn a_new_session_has_room_for_its_first_cookies_whatever_others_have() {
    let in_all = Arc::<AllCookies>::default();
    let mut others: Vec<_> = (0..MAX_IN_ALL / MAX_COOKIES).map(|_| Cookies::new(&in_all)).collect();
    for (index, session) in others.iter().enumerate() {
        for n in 0..MAX_COOKIES {
            set(session, &format!("http://e{index}x{n}.org/"), &["a=1"]);
        }
    }
    assert_eq!(in_all.count.load(Ordering::Relaxed), MAX_IN_ALL);
    // Those that are in use keep theirs.
    let unused = others.remove(2);
    assert!(others.iter().all(|session| session.header(&url("http://x.org/"), None).is_none()));
    let new = Cookies::new(&in_all);
    assert!(set(&new, "http://new.org/", &["a=1"]));
    assert_eq!(sent(&new, "http://new.org/"), "a=1");
    assert!(unused.forgotten() > 0 && others.iter().all(|session| session.forgotten() == 0));
    assert!(in_all.count.load(Ordering::Relaxed) <= MAX_IN_ALL);
}

/// Regression: a name that was known passed at every path, so one site could fill the session, and the cookies of all
/// others were forgotten for it.
#[test]
fn a_cookie_counts_at_each_of_its_paths_and_costs_no_other_domain_its_own() {
    let cookies = none();
    set(&cookies, "http://innocent.org/", &["log_in=1"]);
    for answer in 0..100 {
        let at_paths: Vec<_> = (0..200).map(|n| format!("a=1; Path=/{answer}/{n}")).collect();
        set(&cookies, "http://e.org/", &at_paths.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!((cookies.count(), cookies.forgotten()), (1 + MAX_IN_A_JAR, 20_000 - MAX_IN_A_JAR as u64));
    assert_eq!(sent(&cookies, "http://innocent.org/"), "log_in=1");
    assert!(set(&cookies, "http://e.org/", &["a=2; Path=/99/199"]), "one that is there is replaced");
    assert_eq!(sent(&cookies, "http://e.org/99/199"), "a=2");
    assert!(set(&cookies, "http://e.org/", &["a=; Path=/99/199; Max-Age=0"]) && cookies.count() == MAX_IN_A_JAR);
    assert!(set(&cookies, "http://e.org/", &["b=1"]) && cookies.count() == 1 + MAX_IN_A_JAR);
    assert_eq!(cookies.list(None).len(), cookies.count());
}

/// RFC 6265 §5.3: where a domain has too many, the one that was used least recently goes, and not the one that is new.
/// A site with some dozen cookies could not log anyone in.
#[test]
fn a_new_cookie_takes_the_place_of_the_one_that_its_domain_used_least_recently() {
    let cookies = none();
    set(&cookies, "https://e.org/", &["tls=1; Secure; Path=/rare"]);
    for n in 0..MAX_IN_A_JAR - 1 {
        set(&cookies, "https://e.org/", &[&format!("c{n}=1; Path=/{n}")]);
    }
    assert_eq!(sent(&cookies, "https://e.org/0"), "c0=1");
    assert!(set(&cookies, "https://e.org/", &["session=1; Path=/"]));
    assert_eq!(sent(&cookies, "https://e.org/1"), "session=1", "the first is the one that was not sent");
    assert_eq!(sent(&cookies, "https://e.org/0"), "c0=1; session=1");
    assert_eq!(sent(&cookies, "https://e.org/rare"), "tls=1; session=1", "one that is secure stays longer");
    assert_eq!((cookies.count(), cookies.forgotten()), (MAX_IN_A_JAR, 1));
    set(&cookies, "https://e.org/", &["gone=1; Max-Age=0"]);
    assert_eq!(cookies.count(), MAX_IN_A_JAR, "what has expired needs no room");
}

/// RFC 6265bis §5.6: the bound is that of name and value, and each attribute has one of its own.
#[test]
fn attributes_do_not_count_in_the_length_of_a_cookie() {
    let cookies = none();
    let (value, long) = ("x".repeat(4_090), "/".repeat(1_025));
    set(&cookies, "http://e.org/a/b", &[&format!("a={value}; Path=/; Comment={}", "y".repeat(1_000))]);
    assert_eq!(sent(&cookies, "http://e.org/").len(), 4_092);
    set(&cookies, "http://e.org/a/b", &[&format!("b=1; Path={long}"), &format!("ccccccc={value}; Path=/")]);
    assert_eq!(cookies.count(), 2);
    assert_eq!(sent(&cookies, "http://e.org/a/c").split(';').next(), Some("b=1"), "a path that is too long is none");
}
