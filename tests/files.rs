//! Files of items: what is requested and how fast, what is in the folder, and what the item says, judged by servers and
//! disk.

#![allow(clippy::disallowed_methods, reason = "tests read clocks")]
#![cfg_attr(not(feature = "disk"), allow(dead_code, unused_imports, reason = "some tests need a state"))]

mod crawls;
mod kills;
mod nginx;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{
    Collect, Conducts, Report, Settings,
    events::{CrawlEvent, Happened, Resource},
    files::{File, FileStatus, Files},
    prelude::*,
    report::Ended,
};
use crawls::{CONTACT, MS, block_on, crawl_with, end_of, read_log, run, until};
use futures_util::StreamExt;
use kills::{ended_well, kill_when, run_and_kill_on_its_way};
use nginx::Nginx;
use recorder::{Answer, Arrivals, Asked, Recorder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    name: String,
    images: Vec<File>,
}

type Items = fn(&Response) -> Result<Parsed<Item>>;

/// An item for each `.item`, with its images; every link is followed.
fn items(page: &Response) -> Result<Parsed<Item>> {
    let mut parsed = Parsed::new();
    for item in page.select(".item")? {
        let images = item.urls_of("img")?.into_iter().map(File::at).collect();
        parsed.push(Item { name: item.attr("id").unwrap_or_default().to_owned(), images });
    }
    Ok(parsed.follow(page.links()))
}

fn crawl(site: &Recorder, files: Files) -> (Crawler<Items>, Collect<Item>) {
    let found = Collect::new();
    let crawler = crawl_with(items as Items, site, Settings { files, ..Settings::default() });
    (crawler.files_of(|item: &mut Item| &mut item.images).pipeline(found.clone()), found)
}

/// A page with one item.
fn page<T: AsRef<str>>(name: &str, images: impl IntoIterator<Item = T>) -> Answer {
    let images: String = images.into_iter().map(|image| format!("<img src='{}'>", image.as_ref())).collect();
    Answer::ok(format!("<div class=item id={name}>{images}</div>")).header("content-type", "text/html")
}

fn svg(text: &str) -> Answer {
    Answer::ok(format!("<svg xmlns='http://www.w3.org/2000/svg'>{text}</svg>")).header("content-type", "image/svg+xml")
}

/// The whole files of a folder.
fn whole(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir.join("full")).map_or_else(
        |_| BTreeSet::new(),
        |all| all.map(|file| file.unwrap().file_name().into_string().unwrap()).collect(),
    )
}

/// What is half written: nothing, as soon as the last thread has let go of it.
fn parts(dir: &Path) -> usize {
    let began = Instant::now();
    loop {
        let parts = fs::read_dir(dir.join(".part")).map_or(0, Iterator::count);
        if parts == 0 || began.elapsed() > Duration::from_secs(5) {
            return parts;
        }
        thread::sleep(MS);
    }
}

#[test]
fn an_item_comes_when_its_files_have_ended_and_says_which_of_a_thousand_failed() {
    const ITEMS: usize = 20;
    const IMAGES: usize = 50;
    let site = Recorder::start(|asked| {
        let words: Vec<_> = asked.path.split('/').skip(1).collect();
        match words[..] {
            [""] => Answer::page((0..ITEMS).map(|item| format!("/{item}"))),
            [item] => page(item, (0..IMAGES).map(|image| format!("/{item}/{image}.svg"))),
            ["7", "31.svg"] => Answer::status(404),
            _ => svg(&asked.path),
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let (crawler, found) = crawl(&site, Files { types: vec!["image/*".into()], ..Files::to(dir.path()) });
    let report = run(crawler.per_domain(8).seed("http://one.test/"));
    let found = found.take();
    assert_eq!(found.len(), ITEMS, "{report}");
    for item in &found {
        assert_eq!(item.images.len(), IMAGES);
        for (image, file) in item.images.iter().enumerate() {
            if (item.name.as_str(), image) == ("7", 31) {
                assert_eq!((file.status, file.error.as_deref()), (FileStatus::Failed, Some("status: 404")));
                continue;
            }
            assert_eq!(
                (file.status, file.media_type.as_deref()),
                (FileStatus::Downloaded, Some("image/svg+xml")),
                "{file:?}"
            );
            let text = fs::read_to_string(dir.path().join(file.path.as_ref().unwrap())).unwrap();
            assert!(text.contains(&format!(">/{}/{image}.svg<", item.name)), "{text}");
        }
    }
    let count = |key: &str| report.stats.get(key);
    let images = (ITEMS * IMAGES) as u64;
    assert_eq!(
        (count("files/downloaded"), count("files/failed"), count("items/incomplete")),
        (images - 1, 1, 1),
        "{report}"
    );
    assert_eq!((count("failed/file/status"), report.pages()), (1, ITEMS as u64 + 1), "{report}");
    assert_eq!(report.stats.ledger.discovered, images + ITEMS as u64 + 1, "{report}");
    assert_eq!((whole(dir.path()).len(), parts(dir.path())), (ITEMS * IMAGES - 1, 0));
    let text = report.to_string();
    assert!(text.contains("files downloaded") && text.contains("items that lack a file"), "{text}");
}

#[derive(Clone, Debug, Serialize)]
struct Book {
    name: String,
    cover: File,
}

/// Regression: the columns were those of the first item, and a file that failed had others than one that came.
#[cfg(all(feature = "csv", feature = "sqlite"))]
#[test]
fn items_with_one_file_each_are_rows_whether_it_came_or_not() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/lost.svg" => Answer::status(404),
        path if path.ends_with(".svg") => svg(path),
        path => page(&path[1..], [format!("{path}.svg")]),
    });
    let book = |page: &Response| {
        let cover = File::at(page.urls_of("img")?.remove(0));
        let name = page.url().path()[1..].to_owned();
        // One is named, and one is not.
        let cover = if name == "lost" { cover } else { cover.named(format!("{name}.svg")) };
        Ok(Parsed::new().item(Book { name, cover }))
    };
    for order in [["came", "lost"], ["lost", "came"]] {
        let dir = tempfile::tempdir().unwrap();
        let (csv, sqlite) = (dir.path().join("books.csv"), dir.path().join("books.sqlite"));
        let settings = Settings { files: Files::to(dir.path().join("files")), ..Settings::default() };
        let crawler = crawl_with(book, &site, settings)
            .files_of(|book: &mut Book| &mut book.cover)
            .pipeline(actix_crawler::feed::Feed::to(&csv))
            .pipeline(actix_crawler::feed::Feed::to(&sqlite))
            .concurrency(1)
            .per_domain(1)
            .seeds(order.map(|name| format!("http://one.test/{name}")));
        let report = run(crawler);
        assert_eq!((report.pages(), report.stats.ledger.failed), (2, 1), "only the file failed: {report}");
        let rows = fs::read_to_string(&csv).unwrap();
        let names: Vec<_> = rows.lines().map(|row| row.split(',').next().unwrap()).collect();
        assert_eq!(names, ["name", order[0], order[1]], "{rows}");
        assert!(rows.contains(",status: 404"), "{rows}");
    }
}

#[cfg(feature = "derive")]
mod of_types {
    use super::*;

    #[derive(Clone, Extract, Serialize)]
    struct Listed {
        #[extract(css = "b")]
        name: String,
        #[extract(css = ".cover", url)]
        cover: Option<File>,
        #[extract(css = ".more", url)]
        more: Vec<File>,
        #[extract(css = ".author")]
        author: Author,
        #[extract(css = ".own", attr = "src", parse = own)]
        own: File,
        #[extract(default)]
        later: Vec<File>,
        #[extract(default)]
        else_where: BTreeMap<String, u8>,
    }

    #[derive(Clone, Extract, Serialize)]
    struct Author {
        #[extract(css = "img", url)]
        portrait: File,
    }

    fn own(path: &str) -> Result<File, String> {
        format!("http://one.test{path}").parse().map(File::at).map_err(|_| format!("`{path}` is no path"))
    }

    fn listed(page: &Response) -> Result<Parsed<Listed>> {
        let mut listed = Listed::all(page, ".item")?;
        for item in &mut listed {
            item.later.extend(page.urls_of(".later")?.into_iter().map(File::at));
        }
        Ok(Parsed::of(listed))
    }

    #[test]
    fn files_that_the_type_of_an_item_has_need_no_list() {
        let site = Recorder::start(|asked| {
            match &*asked.path {
            "/" => Answer::ok(
                "<div class=item><b>Tea</b><img class=cover src=/cover.svg><img class=more src=/1.svg><img class=more src=/2.svg>
                 <p class=author><img src=/author.svg></p><img class=own src=/own.svg></div><img class=later src=/later.svg>",
            )
            .header("content-type", "text/html"),
            path => svg(path),
        }
        });
        let all = ["/1.svg", "/2.svg", "/author.svg", "/cover.svg", "/later.svg", "/own.svg"];
        let statuses = |item: &Listed| {
            let of_item =
                item.cover.iter().chain(&item.more).chain([&item.author.portrait, &item.own]).chain(&item.later);
            of_item.map(|file| file.status).collect::<Vec<_>>()
        };
        let dir = tempfile::tempdir().unwrap();
        let settings = || Settings { files: Files::to(dir.path()), ..Settings::default() };
        let found = Collect::new();
        let crawler = crawl_with(listed, &site, settings()).files_of_items().pipeline(found.clone());
        let report = run(crawler.seed("http://one.test/"));
        let paths =
            |asked: usize| site.paths().into_iter().skip(asked).filter(|path| path != "/").collect::<BTreeSet<_>>();
        assert_eq!(statuses(&found.take()[0]), [FileStatus::Downloaded; 6], "{report}");
        assert_eq!(paths(0), all.map(str::to_owned).into());

        // A spider that knows the type of its items needs no word. Nothing fills in the field that it does not read.
        let dir_of_spider = tempfile::tempdir().unwrap();
        let files = Files::to(dir_of_spider.path());
        let spider = actix_crawler::ItemSpider::<Listed>::new().each(".item");
        let asked = site.count();
        let crawler = crawl_with(spider, &site, Settings { files, ..settings() }).pipeline(found.clone());
        let report = run(crawler.seed("http://one.test/"));
        assert_eq!(statuses(&found.take()[0]), [FileStatus::Downloaded; 5], "{report}");
        assert_eq!(paths(asked).len(), 5);
        assert!(report.warnings.is_empty(), "{report}");
    }
}

/// With one page in flight, one file at a time, and a budget of a single page: whoever waits never waits for itself.
#[test]
fn pages_that_wait_for_files_hold_up_neither_them_nor_each_other() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/" => page("a", ["/1.svg", "http://two.test/2.svg", "/3.svg"]),
        path if path.ends_with(".svg") => svg(path),
        _ => page("b", ["/4.svg", "/1.svg"]),
    });
    for (pages, seeds) in [(Some(1), 1), (None, 1), (None, 9)] {
        let dir = tempfile::tempdir().unwrap();
        let (crawler, found) = crawl(&site, Files { max_waiting_pages: 1, ..Files::to(dir.path()) });
        let crawler = crawler.concurrency(1).per_domain(1).seed("http://one.test/");
        let crawler = crawler.seeds((1..seeds).map(|seed| format!("http://s{seed}.test/p")));
        let report = run(pages.into_iter().fold(crawler, Crawler::max_pages));
        assert_eq!(found.take().len(), seeds, "{report}");
        assert_eq!(report.stats.get("files/failed"), 0, "{report}");
    }
}

#[test]
fn the_pace_of_a_domain_holds_with_files_in_it() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/robots.txt" => Answer::ok("User-agent: *\nDisallow: /private"),
        path if path.ends_with(".svg") => svg(path),
        path => page("a", [format!("{path}1.svg"), format!("{path}2.svg"), "/private/x.svg".to_owned()]),
    });
    let dir = tempfile::tempdir().unwrap();
    let spacing = 60 * MS;
    let files = Files::to(dir.path());
    let found = Collect::new();
    let crawler = Crawler::new(items as Items, CONTACT)
        .files(files)
        .files_of(|item: &mut Item| &mut item.images)
        .pipeline(found.clone())
        .conducts(&Conducts::new())
        .resolve(site.rule())
        .allow_private()
        .spacing(spacing)
        .threads(2)
        .seeds(["http://one.test/a", "http://one.test/b", "http://two.test/a", "http://two.test/b"]);
    let report = run(crawler);
    for (host, asked) in site.by_host() {
        assert_eq!(asked.len(), 1 + 2 + 4, "{host}: {asked:?}");
        assert!(Arrivals::of(&asked).smallest_gap() >= spacing, "{host}");
        assert!(asked.iter().all(|asked| asked.in_flight == 1), "{host}");
    }
    let refused: Vec<_> = found.take().into_iter().filter_map(|item| item.images[2].error.clone()).collect();
    assert_eq!(refused, vec!["robots/disallowed"; 4], "{report}");
}

#[test]
fn a_file_is_requested_once_whoever_wants_it_and_not_again_in_a_later_run() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/" => Answer::page(["/a", "/b", "/c"]),
        "/gone.svg" => Answer::status(404),
        "/same.svg" if asked.header("if-none-match") == Some("\"v1\"") => Answer::status(304).header("etag", "\"v1\""),
        "/same.svg" => svg("same").header("etag", "\"v1\"").after(50 * MS),
        "/dated.svg" if asked.header("if-modified-since").is_some() => Answer::status(304),
        "/dated.svg" => svg("dated").header("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT"),
        path if path.ends_with(".svg") => svg(&format!("{path} {}", asked.time)),
        path => page(&path[1..], ["/same.svg", "/same.svg#x", "/gone.svg", "/dated.svg", "/new.svg"]),
    });
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    let mut crawled = |expires: Duration| {
        let (crawler, found) = crawl(&site, Files { expires, ..Files::to(dir.path()) });
        let report = run(crawler.per_domain(3).seed("http://one.test/"));
        let mut of_files: Vec<_> = site.asked()[before..]
            .iter()
            .map(|asked| asked.path.clone())
            .filter(|path| path.ends_with(".svg"))
            .collect();
        before = site.count();
        of_files.sort();
        let statuses =
            found.take().into_iter().map(|item| item.images.iter().map(|file| file.status).collect::<Vec<_>>());
        (of_files, statuses.collect::<BTreeSet<_>>(), report)
    };
    use FileStatus::{Downloaded, Failed, Uptodate};
    let (asked, statuses, report) = crawled(Duration::from_secs(3_600));
    assert_eq!(asked, ["/dated.svg", "/gone.svg", "/new.svg", "/same.svg"], "{report}");
    assert_eq!(statuses, BTreeSet::from([vec![Downloaded, Downloaded, Failed, Downloaded, Downloaded]]), "{report}");
    let (asked, statuses, report) = crawled(Duration::from_secs(3_600));
    assert_eq!(asked, ["/gone.svg"], "{report}");
    assert_eq!(statuses, BTreeSet::from([vec![Uptodate, Uptodate, Failed, Uptodate, Uptodate]]), "{report}");
    assert!(report.stats.get("files/not_requested") >= 4, "{report}");
    let (asked, statuses, report) = crawled(Duration::ZERO);
    assert_eq!(asked, ["/dated.svg", "/gone.svg", "/new.svg", "/same.svg"], "{report}");
    assert_eq!(statuses, BTreeSet::from([vec![Uptodate, Uptodate, Failed, Uptodate, Downloaded]]), "{report}");
    assert_eq!((report.stats.get("files/not_modified"), report.stats.get("files/downloaded")), (2, 1), "{report}");
    assert_eq!(whole(dir.path()).len(), 4, "the older version of the third stays");
}

#[test]
fn a_file_may_be_anywhere_and_of_the_type_that_is_wanted_and_the_log_and_the_events_name_it() {
    let site = Recorder::start(|asked| match (&*asked.host, &*asked.path) {
        (_, "/") => page(
            "a",
            ["http://cdn.test/moved", "/html.png", "/text.png", "/loop", "ftp://one.test/x", "data:image/png,x"],
        ),
        ("cdn.test", "/moved") => Answer::redirect("http://far.test/a.png?sig=B%2b&a=1"),
        ("far.test", "/a.png?sig=B%2b&a=1") => Answer::ok("GIF89a and so on").header("content-type", "image/png"),
        (_, "/html.png") => Answer::ok("<!DOCTYPE html>sorry").header("content-type", "image/png"),
        (_, "/text.png") => Answer::ok("text").header("content-type", "image/png"),
        (_, "/loop") => Answer::redirect("/loop"),
        _ => Answer::status(500),
    });
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let (crawler, found) = crawl(&site, Files { types: vec!["image/*".into()], ..Files::to(dir.path()) });
    let handle = crawler.within(Within::Host).log(&log).stay_open().start().unwrap();
    let events = handle.events();
    let report = block_on(async {
        handle.seed("http://one.test/").await.unwrap();
        handle.close().await;
        end_of(&handle).await
    });
    let events: Vec<_> = block_on(events.collect());
    let is_of_file =
        |event: &CrawlEvent| matches!(&event.what, Happened::RequestEnded(end) if end.resource == Resource::File);
    assert_eq!(events.iter().filter(|event| is_of_file(event)).count(), 5, "{events:?}");
    let [item] = &found.take()[..] else { panic!("{report}") };
    let ends: Vec<_> = item.images.iter().map(|file| file.error.clone().unwrap_or_default()).collect();
    assert_eq!(ends[0], "");
    assert!(
        item.images[0].path.as_ref().unwrap().ends_with(".gif") && item.images[0].url.host_str() == Some("cdn.test"),
        "{item:?}"
    );
    assert!(ends[1].starts_with("file_type: it is text/html") && ends[2].starts_with("file_type"), "{ends:?}");
    assert!(ends[3].starts_with("redirect_loop") && ends[4].contains("`ftp`"), "{ends:?}");
    let lines: BTreeMap<_, _> = read_log(&log).into_iter().map(|line| (line.url, line.outcome)).collect();
    let of = |url: &str| lines.get(url).map(String::as_str);
    assert_eq!(
        (of("http://cdn.test/moved"), of("http://far.test/a.png?sig=B%2b&a=1")),
        (Some("file/redirect"), Some("file/ok"))
    );
    assert_eq!(of("http://one.test/html.png"), Some("file/file_type"), "{lines:?}");
    assert_eq!(report.stats.get("files/other_type"), 1, "{report}");
    assert_eq!(parts(dir.path()), 0);
}

/// A server that says what its bytes are to be, and sends them in its own way.
fn raw(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(line)) = lines.next() {
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    if answer(&path, &mut stream).is_err() {
                        return;
                    }
                }
            });
        }
    });
    origin
}

fn head(stream: &mut TcpStream, media_type: &str, length: usize) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n")
}

#[test]
fn a_body_that_is_cut_off_too_large_or_too_slow_leaves_no_file_and_one_at_the_bound_is_whole() {
    const MOST: usize = 600_000;
    let origin = raw(|path, stream| {
        let closed = || Err(std::io::ErrorKind::ConnectionAborted.into());
        match path {
            "/" => {
                let images = ["cut", "chunks", "large", "endless", "whole", "drips", "slow"]
                    .map(|path| format!("<img src=/{path}>"));
                let body = format!("<div class=item>{}</div>", images.concat());
                head(stream, "text/html", body.len())?;
                stream.write_all(body.as_bytes())
            }
            "/cut" => {
                head(stream, "application/x-test", MOST)?;
                stream.write_all(&vec![b'x'; MOST - 1])?;
                closed()
            }
            "/chunks" => {
                write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
                closed()
            }
            "/large" => {
                head(stream, "application/x-test", MOST + 1)?;
                stream.write_all(&vec![b'x'; MOST + 1])
            }
            "/endless" => {
                write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 10_000])?;
                }
            }
            "/whole" => {
                head(stream, "application/x-test", MOST)?;
                stream.write_all(&vec![b'x'; MOST])
            }
            "/drips" => {
                head(stream, "application/x-test", MOST)?;
                loop {
                    stream.write_all(b"x")?;
                    thread::sleep(100 * MS);
                }
            }
            _ => {
                head(stream, "application/x-test", 30)?;
                for _ in 0..3 {
                    thread::sleep(100 * MS);
                    stream.write_all(b"0123456789")?;
                }
                Ok(())
            }
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let found = Collect::new();
    let mut settings =
        Settings { files: Files { max_size: MOST as u64, ..Files::to(dir.path()) }, ..Settings::default() };
    settings.transport.deadlines.min_rate = 50;
    settings.transport.deadlines.rate_window = Duration::from_secs(1);
    // Shorter than the slow file takes, which is no page.
    settings.retry.attempts = 2;
    settings.retry.base = 10 * MS;
    let crawler = Crawler::new(items as Items, CONTACT)
        .settings(settings)
        .files_of(|item: &mut Item| &mut item.images)
        .pipeline(found.clone())
        .conducts(&Conducts::new())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(8)
        .seed(format!("{origin}/"));
    let report = run(crawler);
    let [item] = &found.take()[..] else { panic!("{report}") };
    let words: Vec<_> =
        item.images.iter().map(|file| file.error.as_deref().map_or("", |why| why.split(':').next().unwrap())).collect();
    assert_eq!(words, ["truncated", "truncated", "too_large", "too_large", "", "timeout", ""], "{item:?}");
    assert_eq!((item.images[4].size, item.images[6].size), (Some(MOST as u64), Some(30)));
    assert_eq!((whole(dir.path()).len(), parts(dir.path())), (2, 0));
}

#[test]
fn files_of_a_page_alone_are_downloaded_under_their_names_and_none_leaves_the_folder() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/" => Answer::page([""; 0]),
        path => Answer::ok(path).header("content-type", "text/plain"),
    });
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    let spider = |page: &Response| {
        let at = |path: &str| File::at(page.url().join(path).unwrap());
        let files = [
            ("1", "../../out.txt"),
            ("2", "/etc/x"),
            ("3", "nul.txt"),
            ("4", "same.txt"),
            ("5", "same.txt"),
            ("6", ".index/x"),
            ("7", "a/b.txt"),
        ];
        Ok(Parsed::<Item>::new().download(files.map(|(path, name)| at(path).named(name))))
    };
    let report = run(crawl_with(spider, &site, Settings { files: Files::to(&inside), ..Settings::default() })
        .seed("http://one.test/"));
    assert_eq!((report.stats.get("files/downloaded"), report.pages()), (7, 1), "{report}");
    let outside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(outside, ["inside"]);
    for (name, body) in [("out.txt", "/1"), ("etc/x", "/2"), ("_nul.txt", "/3"), ("_index/x", "/6"), ("a/b.txt", "/7")]
    {
        assert_eq!(fs::read_to_string(inside.join(name)).unwrap(), body, "{name}");
    }
    let same: BTreeSet<_> = fs::read_dir(&inside)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with("same"))
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect();
    assert_eq!(same, BTreeSet::from(["/4".to_owned(), "/5".to_owned()]));
}

#[test]
fn a_page_that_asks_for_files_without_a_folder_says_so_and_items_with_files_do_not_even_start() {
    let site = Recorder::start(|_| page("a", ["/1.svg"]));
    let spider = |page: &Response| Ok(Parsed::<Item>::new().download(page.urls_of("img")?));
    let report = run(crawl_with(spider, &site, Settings::default()).seed("http://one.test/"));
    assert_eq!(report.stats.get("failed/parse"), 1, "{report}");
    assert!(report.to_string().contains(".files("), "{report}");
    let crawler = crawl_with(items as Items, &site, Settings::default()).files_of(|item: &mut Item| &mut item.images);
    let error = crawler.seed("http://one.test/").start().err().unwrap().to_string();
    assert!(error.contains(".files("), "{error}");
    let not_a_folder = tempfile::NamedTempFile::new().unwrap();
    let (crawler, _) = crawl(&site, Files::to(not_a_folder.path()));
    assert!(crawler.seed("http://one.test/").start().is_err());
}

/// What a page says must not reach the network that the crawler runs in.
#[test]
#[cfg(feature = "testing")]
fn a_file_at_an_address_of_a_private_network_is_never_asked_for() {
    use actix_crawler::testing::{Answer, Site};
    let site = Site::new("https://one.test")
        .page(
            "/",
            "<div class=item><img src=http://10.0.0.1/x.gif><img src=/to><img src=http://169.254.169.254/latest></div>",
        )
        .page("/to", Answer::redirect("http://10.0.0.2/x.gif"));
    let dir = tempfile::tempdir().unwrap();
    let crawler = Crawler::new(items as Items, CONTACT).seed("https://one.test/").ignore_robots();
    let run = site.crawl(crawler.files(dir.path()).files_of(|item: &mut Item| &mut item.images)).unwrap();
    let report = run.report();
    assert_eq!(report.stats.get("failed/file/private_address"), 3, "{report}");
    assert!(whole(dir.path()).is_empty());
}

#[test]
fn a_crawl_that_stops_does_not_wait_for_files_and_its_pages_go_back() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/" => page("a", (0..100).map(|image| format!("/{image}.svg"))),
        path => svg(path),
    });
    let dir = tempfile::tempdir().unwrap();
    let (crawler, found) = crawl(&site, Files::to(dir.path()));
    let handle = crawler.spacing(100 * MS).seed("http://one.test/").start().unwrap();
    let report = block_on(async {
        until("some files were requested", async || site.count() > 4).await;
        let explained = handle.explain("http://one.test/99.svg").await.unwrap().to_string();
        assert!(explained.contains("waits"), "{explained}");
        handle.stop().await;
        end_of(&handle).await
    });
    assert_eq!((report.ended, found.take().len()), (Ended::Stopped, 0), "{report}");
    assert!(report.stats.ledger.queued > 80 && site.count() < 20, "{report}");
}

#[test]
fn files_of_a_cancelled_domain_are_given_up_and_the_item_comes_without_them() {
    let site = Recorder::start(|asked| match &*asked.host {
        "gone.test" => Answer::status(500),
        "one.test" if asked.path == "/" => page("a", ["http://gone.test/1.svg", "http://held.test/1.svg", "/2.svg"]),
        _ => svg(&asked.path),
    });
    let dir = tempfile::tempdir().unwrap();
    let found = Collect::new();
    let mut settings = Settings { files: Files::to(dir.path()), ..Settings::default() };
    settings.retry.attempts = 1;
    let crawler = crawl_with(items as Items, &site, settings).files_of(|item: &mut Item| &mut item.images);
    let handle = crawler.pipeline(found.clone()).stay_open().start().unwrap();
    let report = block_on(async {
        handle.domain("held.test").cancel().await.unwrap();
        handle.seed("http://one.test/").await.unwrap();
        until("the item", async || handle.progress().await.unwrap().items == 1).await;
        handle.close().await;
        end_of(&handle).await
    });
    let [item] = &found.take()[..] else { panic!("{report}") };
    let ends: Vec<_> = item.images.iter().map(|file| file.error.clone().unwrap_or_default()).collect();
    assert_eq!(ends, ["status: 500", "cancelled/domain", ""], "{report}");
    assert!(!site.by_host().contains_key("held.test"));
}

/// Regression: the file's redirect was followed with plain HTTP to the port of FTP.
#[test]
fn a_file_that_is_redirected_to_another_scheme_fails_and_nothing_is_asked_there() {
    let site = Recorder::start(|asked| match &*asked.path {
        "/" => page("a", ["/ftp.svg", "/data.svg", "/fine.svg"]),
        "/ftp.svg" => Answer::redirect("ftp://two.test/1.svg"),
        "/data.svg" => Answer::redirect("data:image/svg+xml,1"),
        _ => svg(&asked.path),
    });
    let dir = tempfile::tempdir().unwrap();
    let (crawler, found) = crawl(&site, Files::to(dir.path()));
    let report = run(crawler.seed("http://one.test/"));
    let [item] = &found.take()[..] else { panic!("{report}") };
    let ends: Vec<_> = item.images.iter().map(|file| file.error.clone().unwrap_or_default()).collect();
    let [ftp, data, fine] = &ends[..] else { panic!("{ends:?}") };
    assert!(
        ftp.contains("the scheme `ftp` is not downloaded") && data.contains("`data`") && fine.is_empty(),
        "{ends:?}"
    );
    assert_eq!(site.asked().len(), 4, "nothing is asked for elsewhere");
}

/// Regression: their pages waited for a day, and pages of all domains with them when there were as many as may wait.
#[test]
fn files_of_a_domain_that_asks_for_a_longer_wait_than_a_download_may_take_fail() {
    let site = Recorder::start(|asked| match (&*asked.host, &*asked.path) {
        ("cdn.test", _) => Answer::status(429).header("retry-after", 80_000),
        (_, "/" | "/1" | "/2") => page("a", ["http://cdn.test/1.svg"]),
        _ => Answer::ok(""),
    });
    let dir = tempfile::tempdir().unwrap();
    let (crawler, found) = crawl(&site, Files { max_waiting_pages: 2, ..Files::to(dir.path()) });
    let pages = (0..20).map(|n| format!("http://one.test/{n}"));
    let report = run(crawler.per_domain(1).seed("http://one.test/").seeds(pages));
    assert_eq!((report.pages(), site.by_host()["cdn.test"].len()), (21, 1), "{report}");
    let ends: Vec<_> = found.take().into_iter().map(|item| item.images[0].error.clone().unwrap_or_default()).collect();
    assert!(ends.len() == 3 && ends.iter().all(|end| end.contains("files.max_time allows 1h")), "{ends:?}");
}

#[test]
fn a_site_behind_nginx_gives_its_files_once_and_says_later_that_they_are_the_same() {
    let files = tempfile::tempdir().unwrap();
    let www = files.path().join("www");
    fs::create_dir(&www).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    fs::write(www.join("a.gif"), b"GIF89a").unwrap();
    fs::write(www.join("large.gif"), [b"GIF89a", &large[..]].concat()).unwrap();
    fs::write(www.join("text.gif"), b"<html>").unwrap();
    fs::write(
        www.join("index.html"),
        "<div class=item><img src=a.gif><img src=large.gif><img src=text.gif><img src=gone.gif></div>",
    )
    .unwrap();
    let nginx = Nginx::serve(files);
    let dir = tempfile::tempdir().unwrap();
    let mut asked = 0;
    for (run_of, statuses) in [(1, "200 200 200 404"), (2, "304 304 200 404")] {
        let found = Collect::new();
        let images = Files { types: vec!["image/*".into()], expires: Duration::ZERO, ..Files::to(dir.path()) };
        let report = run(Crawler::new(items as Items, CONTACT)
            .files(images)
            .files_of(|item: &mut Item| &mut item.images)
            .pipeline(found.clone())
            .conducts(&Conducts::new())
            .allow_private()
            .rate(Rate::UNLIMITED)
            .seed(format!("http://127.0.0.7:{}/", nginx.port)));
        let [item] = &found.take()[..] else { panic!("{report}") };
        let there: Vec<_> = item.images.iter().map(|file| file.status.is_there()).collect();
        assert_eq!(there, [true, true, false, false], "{item:?}");
        let path = dir.path().join(item.images[1].path.as_ref().unwrap());
        assert!(fs::read(path).unwrap() == [b"GIF89a", &large[..]].concat(), "run {run_of}");
        let log = fs::read_to_string(nginx.files.path().join("asked")).unwrap();
        let lines: Vec<_> = log.lines().skip(asked).filter(|line| line.contains(".gif")).collect();
        asked = log.lines().count();
        let said: Vec<_> = lines.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(said.join(" "), statuses, "{lines:?}");
    }
}

/// The test that crawls in the child process.
const CRAWLER: &str = "a_crawl_with_files_that_is_killed_again_and_again_loses_no_file_and_no_item";

fn child(origin: &str) {
    let dir = std::path::PathBuf::from(std::env::var("FILES_DIR").unwrap());
    let crawler = Crawler::new(items as Items, "files/1.0 (+https://example.org/)")
        .seed(origin)
        .files(dir.join("files"))
        .files_of(|item: &mut Item| &mut item.images)
        .pipeline(JsonLines::append(dir.join("items.jsonl")))
        .allow_private()
        .ignore_robots()
        .spacing(15 * MS)
        .threads(1)
        .state(dir.join("state"));
    let report: Arc<Report> = crawler.run_blocking().unwrap();
    fs::write(dir.join("report.json"), serde_json::to_vec(&*report).unwrap()).unwrap();
}

fn spawn(origin: &str, dir: &Path, blocks: Option<u32>) -> Child {
    let exe = std::env::current_exe().unwrap();
    let mut command = match blocks {
        None => Command::new(exe),
        // No file can grow beyond this, which is as a full disk is.
        Some(blocks) => {
            let mut limited = Command::new("sh");
            limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(exe);
            limited
        }
    };
    command.args(["--exact", CRAWLER, "--nocapture"]).env("FILES_SEED", origin).env("FILES_DIR", dir);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn report_of(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap()
}

fn items_of(dir: &Path) -> Vec<Item> {
    fs::read_to_string(dir.join("items.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// As many as it takes to be killed so often.
fn pages() -> usize {
    8.max(kills() * 2)
}

/// Thirty by hand.
fn kills() -> usize {
    std::env::var("FILES_KILLS").map_or(5, |kills| kills.parse().unwrap())
}

const IMAGES: usize = 6;

/// Pages in a row, each with images of its own and one that all have.
fn row(asked: &Asked) -> Answer {
    match asked.path.strip_suffix(".svg") {
        Some(path) => svg(&format!("{path}{}", "x".repeat(100_000))).after(Duration::from_millis(fastrand::u64(0..10))),
        None => {
            let here: usize = asked.path.trim_start_matches('/').parse().unwrap_or(0);
            let images: String = (1..IMAGES).map(|image| format!("<img src=/{here}-{image}.svg>")).collect();
            let next = if here + 1 < pages() { format!("<a href=/{}>next</a>", here + 1) } else { String::new() };
            let body = format!("<div class=item id=p{here}><img src=/all.svg>{images}</div>{next}");
            Answer::ok(body).header("content-type", "text/html")
        }
    }
}

#[test]
#[cfg(feature = "disk")]
fn a_crawl_with_files_that_is_killed_again_and_again_loses_no_file_and_no_item() {
    if let Ok(origin) = std::env::var("FILES_SEED") {
        return child(&origin);
    }
    let most = kills();
    let (site, dir) = (Recorder::start(row), tempfile::tempdir().unwrap());
    let kills = ended_well(run_and_kill_on_its_way(
        most,
        2..9,
        || site.count(),
        || {
            check_items(dir.path(), &[]);
            spawn(&site.url("/0"), dir.path(), None)
        },
    ));
    let report = report_of(dir.path());
    assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"finished".into(), &true.into()), "{report}");
    check_items(dir.path(), &(0..pages()).map(|page| format!("p{page}")).collect::<Vec<_>>());
    assert_eq!(parts(&dir.path().join("files")), 0);
    let mut again = BTreeMap::<_, usize>::new();
    for asked in site.asked().into_iter().filter(|asked| asked.path.ends_with(".svg")) {
        *again.entry(asked.path).or_default() += 1;
    }
    let again: usize = again.values().map(|times| times - 1).sum();
    // A kill costs the file in flight, and the one before it while that goes to the disk.
    assert!(again <= 2 * kills, "{again} files were requested again after {kills} kills");
    assert!(site.arrivals().smallest_gap() >= 15 * MS, "{:?}", site.arrivals().smallest_gap());
    println!("{kills} kills, {again} files requested again, {} requests", site.count());
}

/// Every item that was written has all its files, whole.
fn check_items(dir: &Path, wanted: &[String]) {
    let text = fs::read_to_string(dir.join("items.jsonl")).unwrap_or_default();
    let found: Vec<Item> = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for item in &found {
        assert_eq!(item.images.len(), IMAGES);
        for file in &item.images {
            assert!(file.status.is_there(), "{file:?}");
            let bytes = fs::read(dir.join("files").join(file.path.as_ref().unwrap())).unwrap();
            assert!(bytes.len() as u64 == file.size.unwrap() && bytes.ends_with(b"</svg>"), "{file:?}");
        }
    }
    let names: BTreeSet<_> = found.iter().map(|item| item.name.clone()).collect();
    for name in wanted {
        assert!(names.contains(name), "{name} is missing in {names:?}");
    }
}

#[test]
#[cfg(all(feature = "disk", target_os = "linux"))]
fn a_full_disk_ends_the_crawl_with_files_and_costs_none() {
    let (site, dir) = (Recorder::start(row), tempfile::tempdir().unwrap());
    kill_when(spawn(&site.url("/0"), dir.path(), None), || site.count() >= 4);
    // 60 KiB, and an image has 100.
    let full = spawn(&site.url("/0"), dir.path(), Some(120)).wait_with_output().unwrap();
    assert!(full.status.success(), "{}", String::from_utf8_lossy(&full.stderr));
    let failed = report_of(dir.path());
    assert_eq!((&failed["ended"], &failed["ledger_adds_up"]), (&"failed".into(), &true.into()), "{failed}");
    assert!(failed["failure"].as_str().unwrap().contains("cannot be written"), "{failed}");
    assert_eq!(parts(&dir.path().join("files")), 0, "what was begun is removed");
    let second = spawn(&site.url("/0"), dir.path(), None).wait_with_output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(report_of(dir.path())["ended"], "finished");
    assert_eq!(items_of(dir.path()).len(), pages());
    check_items(dir.path(), &(0..pages()).map(|page| format!("p{page}")).collect::<Vec<_>>());
}

/// Its items once said `wanted` for ever, and nothing else did.
#[test]
fn a_folder_for_files_of_which_no_field_is_named_is_a_warning() {
    let (site, dir) = (Recorder::start(|_| page("tea", ["/tea.png"])), tempfile::tempdir().unwrap());
    let settings = Settings { files: Files::to(dir.path()), ..Settings::default() };
    let report = run(crawl_with(items as Items, &site, settings).seed("http://shop.test/"));
    assert!(report.warnings.iter().any(|warning| warning.contains(".files_of(")), "{report}");
    assert!(!report.warnings.is_empty() && site.count() <= 2, "{report}");
}
