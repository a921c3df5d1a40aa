//! The steps of a crawl: what they leave out costs no request for a file, and of what they let through nothing is lost.

#![cfg_attr(not(feature = "disk"), allow(dead_code, unused_imports, reason = "some tests need a state"))]

mod crawls;
mod kills;
mod recorder;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use actix_crawler::{
    Settings,
    feed::{Batch, Record, Sink, SinkError},
    files::{File, Files},
    pipeline::{Batched, OwnSink},
    prelude::*,
    validation::Schema,
};
use crawls::{MS, crawl_with, run};
use kills::kill_when;
use recorder::{Answer, Recorder};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Product {
    name: String,
    price: Option<String>,
    images: Vec<File>,
}

type Products = fn(&Response) -> Result<Parsed<Product>>;

/// A product for each `.product`; every link is followed.
fn products(page: &Response) -> Result<Parsed<Product>> {
    let mut parsed = Parsed::new();
    for product in page.select(".product")? {
        parsed.push(Product {
            name: product.attr("id").unwrap_or_default().to_owned(),
            price: product.attr("title").map(str::to_owned),
            images: product.urls_of("img")?.into_iter().map(File::at).collect(),
        });
    }
    Ok(parsed.follow(page.links()))
}

/// Products, each with its price and an image at a path of its own, and links.
fn page<'a>(products: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>, links: &[&str]) -> Answer {
    let products = products.into_iter().map(|(name, price, image)| {
        let price = if price.is_empty() { String::new() } else { format!("title='{price}'") };
        format!("<div class=product id={name} {price}><img src={image}></div>")
    });
    let links = links.iter().map(|link| format!("<a href={link}>more</a>"));
    Answer::ok(products.chain(links).collect::<String>()).header("content-type", "text/html")
}

fn image() -> Answer {
    Answer::ok("GIF89a").header("content-type", "image/gif")
}

fn shop(site: &Recorder, dir: &Path, steps: Steps<Product>) -> Crawler<Products> {
    crawl_with(products as Products, site, Settings { files: Files::to(dir), ..Settings::default() })
        .per_domain(8)
        .seed("http://shop.test/")
        .files_of(|product: &mut Product| &mut product.images)
        .steps(steps)
}

fn by_name() -> Steps<Product> {
    Steps::of::<Product>().unique_by(|product| product.name.clone())
}

fn names(products: &[Product]) -> Vec<&str> {
    let mut names: Vec<_> = products.iter().map(|product| product.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The images that were asked for, sorted.
fn images(site: &Recorder) -> Vec<String> {
    let mut images: Vec<_> = site.paths().into_iter().filter(|path| path.ends_with(".gif")).collect();
    images.sort();
    images
}

#[test]
fn what_steps_leave_out_costs_no_request_for_a_file_and_what_they_make_of_an_item_has_its_own() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => page([("tea", "3", "/tea.gif"), ("free", "", "/free.gif"), ("tea", "3", "/same-page.gif")], &["/2"]),
        "/2" => page([("tea", "4", "/other-page.gif"), ("milk", "1", "/milk.gif"), ("none", "0", "/none.gif")], &[]),
        _ => image(),
    });
    let dir = tempfile::tempdir().unwrap();
    let found = Collect::new();
    let steps = by_name().drop_if("no_price", |product| product.price.is_none()).map(|product| Product {
        images: product
            .images
            .iter()
            .cloned()
            .chain([File::at("http://shop.test/logo.gif".parse().unwrap())])
            .collect(),
        ..product.clone()
    });
    let crawler = shop(&site, dir.path(), steps)
        .steps(Steps::of::<Product>().drop_if("costs_nothing", |product| product.price.as_deref() == Some("0")))
        .validate(Schema::new().required("name"))
        .pipeline(found.clone());
    let report = run(crawler);
    let found = found.take();
    assert_eq!(names(&found), ["milk", "tea"], "{report}");
    assert!(
        found.iter().all(|product| product.images.len() == 2 && product.images.iter().all(|f| f.status.is_there()))
    );
    assert_eq!(images(&site), ["/logo.gif", "/milk.gif", "/tea.gif"], "{report}");
    let counts = ["items/dropped", "items/dropped/duplicate", "items/dropped/no_price", "items/dropped/costs_nothing"];
    assert_eq!(counts.map(|count| report.stats.get(count)), [4, 2, 1, 1], "{report}");
    assert_eq!((report.stats.items, report.stats.get("outcome/ok")), (2, 2), "{report}");
}

/// Each would wait for a key that the other has, if a page kept keys while it waits.
#[test]
fn pages_that_have_each_others_keys_do_not_wait_for_each_other_and_each_key_comes_once() {
    const PAGES: usize = 12;
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => {
            page([], &(0..PAGES).map(|n| format!("/{n}")).collect::<Vec<_>>().iter().map(|p| &**p).collect::<Vec<_>>())
        }
        path if path.ends_with(".gif") => image().after(30 * MS),
        path => {
            let mut both = [("a", "1", "/a.gif"), ("b", "1", "/b.gif")];
            if path.trim_start_matches('/').parse::<usize>().unwrap() % 2 == 1 {
                both.reverse();
            }
            page(both, &[]).after(20 * MS)
        }
    });
    // So that two parsing threads have one key each, and want the other.
    let slowly = || {
        Steps::of::<Product>().unique_by(|product| {
            thread::sleep(5 * MS);
            product.name.clone()
        })
    };
    for _ in 0..3 {
        let (dir, found) = (tempfile::tempdir().unwrap(), Collect::new());
        let report = run(shop(&site, dir.path(), slowly()).pipeline(found.clone()));
        assert_eq!(names(&found.take()), ["a", "b"], "{report}");
        assert_eq!(report.stats.get("items/dropped/duplicate"), 2 * (PAGES as u64 - 1), "{report}");
    }
    assert_eq!(images(&site).len(), 2 * 3);
}

#[test]
fn an_item_whose_first_was_refused_takes_its_place_with_files_of_its_own() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => page([], &["/1", "/2", "/3"]),
        path if path.ends_with(".gif") => image().after(50 * MS),
        path => page([("tea", "3", &*format!("{path}.gif"))], &[]),
    });
    let (dir, written) = (tempfile::tempdir().unwrap(), Arc::<Mutex<Vec<Product>>>::default());
    let (calls, taken) = (AtomicUsize::new(0), written.clone());
    let refuses_first = Batched::new(1, Duration::ZERO, move |products: &[Arc<Product>]| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(PipelineError::refused("not this one"));
        }
        taken.lock().unwrap().extend(products.iter().map(|product| Product::clone(product)));
        Ok(())
    });
    let report = run(shop(&site, dir.path(), by_name()).pipeline(refuses_first).retry(Retry::attempts(1)));
    assert_eq!(written.lock().unwrap().len(), 1, "{report}");
    assert!(written.lock().unwrap()[0].images[0].status.is_there());
    assert_eq!((report.stats.get("failed/pipeline"), report.stats.get("items/dropped/duplicate")), (1, 1), "{report}");
    assert_eq!(images(&site).len(), 2, "the third is a duplicate of what was written");
}

/// Refuses an item at once, and takes its time with the others.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<String>>>);

impl Sink for Slow {
    fn write(&mut self, record: &Record) -> Result<(), SinkError> {
        let name = record.get("name").map(|name| name.to_cell().into_owned()).unwrap_or_default();
        if name == "refused" {
            return Err(SinkError::refused("not this one"));
        }
        self.0.lock().unwrap().push(name);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The other items of the page were written, and written again when another page had them.
#[test]
fn the_key_of_an_item_is_known_also_where_another_of_its_page_was_refused() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => page([], &["/1", "/2"]),
        "/1" => page([("tea", "3", ""), ("refused", "3", "")], &[]),
        _ => page([("tea", "3", "")], &[]).after(400 * MS),
    });
    let (dir, written) = (tempfile::tempdir().unwrap(), Slow::default());
    let sink = written.clone();
    let sink = OwnSink::new(move |_| Ok(sink.clone())).batch(Batch::of(9, 50 * MS));
    let report = run(shop(&site, dir.path(), by_name()).pipeline(sink).retry(Retry::attempts(1)));
    assert_eq!(*written.0.lock().unwrap(), ["tea"], "{report}");
    assert_eq!((report.stats.get("failed/pipeline"), report.stats.get("items/dropped/duplicate")), (1, 1), "{report}");
}

#[test]
fn a_step_that_panics_or_refuses_fails_its_page_and_no_other() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => page([("good", "1", "/good.gif")], &["/panics", "/refuses", "/2"]),
        "/panics" => page([("panics", "1", "/1.gif")], &[]),
        "/refuses" => page([("refuses", "1", "/2.gif")], &[]),
        "/2" => page([("better", "1", "/better.gif"), ("panics", "", "/3.gif")], &[]),
        _ => image(),
    });
    let (dir, found) = (tempfile::tempdir().unwrap(), Collect::new());
    let steps = by_name().drop_if("no_price", |product| product.price.is_none()).try_map(|product| {
        assert_ne!(product.name, "panics", "as asked");
        if product.name == "refuses" { Err(PipelineError::refused("no")) } else { Ok(product.clone()) }
    });
    let report = run(shop(&site, dir.path(), steps).pipeline(found.clone()).retry(Retry::attempts(1)));
    assert_eq!(names(&found.take()), ["better", "good"], "{report}");
    assert_eq!((report.stats.get("failed/panic"), report.stats.get("failed/pipeline")), (1, 1), "{report}");
    assert_eq!(images(&site), ["/better.gif", "/good.gif"], "{report}");
}

/// The test that crawls in the child process.
const CRAWLER: &str = "a_page_that_is_killed_while_its_files_come_brings_its_own_item_again_and_later_runs_know_it";

fn child(rule: &str) {
    let dir = PathBuf::from(std::env::var("STEPS_DIR").unwrap());
    let crawler = Crawler::new(products as Products, "steps/1.0 (+https://example.org/)")
        .seed("http://shop.test/")
        .resolve(rule)
        .files(dir.join("files"))
        .files_of(|product: &mut Product| &mut product.images)
        .steps(by_name())
        .pipeline(JsonLines::append(dir.join("items.jsonl")))
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .seeds_again()
        .state(dir.join("state"));
    crawler.run_blocking().unwrap().check().unwrap();
}

fn spawn(rule: &str, dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CRAWLER, "--nocapture"]).env("STEPS_SITE", rule).env("STEPS_DIR", dir);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[test]
#[cfg(feature = "disk")]
fn a_page_that_is_killed_while_its_files_come_brings_its_own_item_again_and_later_runs_know_it() {
    if let Ok(rule) = std::env::var("STEPS_SITE") {
        return child(&rule);
    }
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => page([("tea", "3", "/tea.gif")], &[]),
        _ if asked.time == 1 => image().after(Duration::from_secs(20)),
        _ => image(),
    });
    let dir = tempfile::tempdir().unwrap();
    let written = || fs::read_to_string(dir.path().join("items.jsonl")).unwrap_or_default().lines().count();
    kill_when(spawn(&site.rule(), dir.path()), || images(&site).len() == 1);
    assert_eq!(written(), 0);
    for run in 1..=2 {
        assert!(spawn(&site.rule(), dir.path()).wait().unwrap().success());
        assert_eq!((written(), images(&site).len()), (1, 2), "run {run}: the item, its image again, and then neither");
    }
    assert_eq!(site.paths().iter().filter(|path| *path == "/").count(), 3, "each run has read the page");
}
