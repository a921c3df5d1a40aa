//! Disks that are lost in the midst of a crawl: full from one moment to the next, or no longer permitted. For each
//! output the crawl ends with a report that says why, and when the disk is back, nothing is missing that was
//! acknowledged.

#![cfg(all(feature = "csv", feature = "disk", feature = "parquet", feature = "warc", target_os = "linux"))]

mod feed_reader;
mod parquet_file;
mod recorder;
mod tree;

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use actix_crawler::{
    feed::{Feed, Roll},
    files::File,
    pipeline::{MarkdownFolder, MarkdownPage},
    prelude::*,
    warc::Warc,
};
use feed_reader::read;
use recorder::{Answer, Asked, Recorder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const PAGES: usize = 80;

/// How many pages are under way at once.
const PER_DOMAIN: u32 = 4;

/// When the disk is lost.
const LOST_AFTER: usize = 25;

/// What is on the disk that is lost. A name with an ending is a feed.
const OUTPUTS: [&str; 11] = [
    "items.jsonl",
    "items.json",
    "items.csv",
    "items.xml",
    "items.jsonl.gz",
    "items.sqlite",
    "items.parquet",
    "rolled/{batch}.jsonl",
    "pages",
    "files",
    "archive",
];

/// Those that make a file after the first ones: the others keep theirs open.
const MAKE_FILES: [&str; 4] = ["items.parquet", "rolled/{batch}.jsonl", "pages", "files"];

/// Runs a crawl on a disk, loses the disk when the file `now` is there, repairs it, and runs the crawl again.
const SCRIPT: &str = r#"
cd "$LOST_DISKS_DIR" && mkdir disk || exit 98
used() { df --output=used -k disk | tail -1 | tr -d ' '; }
case $1 in
full)
    mount -t tmpfs -o size=24m none disk || exit 99
    # More may come between the question and the answer.
    lose() { until mount -o remount,size=$(used)k disk 2> /dev/null; do :; done; }
    repair() { mount -o remount,size=24m disk; };;
forbidden)
    lose() { find disk -type d -exec chmod 500 {} +; }
    repair() { find disk -type d -exec chmod 700 {} +; };;
esac
shift
# Who may do all is forbidden nothing.
crawl() { setpriv --inh-caps=-dac_override,-dac_read_search --bounding-set=-dac_override,-dac_read_search -- "$@"; }
crawl "$@" & crawler=$!
until [ -e now ] || ! kill -0 $crawler; do sleep 0.005; done
lose || exit 97
touch lost
wait $crawler
mv report.json first.json || exit 96
repair || exit 95
crawl "$@"
cp -r disk kept
"#;

/// Pages with two links, and a file of each.
fn answer(asked: &Asked) -> Answer {
    match asked.path.strip_suffix(".bin") {
        Some(page) => Answer::ok(format!("{page}{}", "x".repeat(2_000))),
        None => tree::answer(asked, PAGES, 5..20),
    }
}

#[derive(Serialize, Deserialize)]
struct Page {
    url: String,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct WithFile {
    url: String,
    file: File,
}

fn page(page: &Response) -> Result<Parsed<Page>> {
    let url = page.url().path().to_owned();
    // Of which compression leaves enough to fill a disk.
    let text = (0..2_000).map(|_| fastrand::alphanumeric()).collect();
    Ok(Parsed::of([Page { url, text }]).follow(page.links()))
}

fn markdown(page: &Response) -> Result<Parsed<MarkdownPage>> {
    Ok(Parsed::of([MarkdownPage::of(page, "text\n".repeat(500))]).follow(page.links()))
}

fn with_file(page: &Response) -> Result<Parsed<WithFile>> {
    let file = File::at(page.url().join(&format!("{}.bin", page.url().path())).map_err(Error::spider)?);
    Ok(Parsed::of([WithFile { url: page.url().path().to_owned(), file }]).follow(page.links()))
}

/// The process that crawls.
#[test]
fn child() {
    let Ok(output) = std::env::var("LOST_DISKS_OUTPUT") else { return };
    let dir = PathBuf::from(std::env::var("LOST_DISKS_DIR").unwrap());
    let disk = dir.join("disk").join(&*output);
    let items = dir.join("items.jsonl");
    match &*output {
        "pages" => crawl(Crawler::new(markdown, AGENT).pipeline(MarkdownFolder::create(disk)), &dir),
        "files" => {
            let crawler = Crawler::new(with_file, AGENT).files(disk).files_of(|item: &mut WithFile| &mut item.file);
            crawl(crawler.pipeline(Feed::to(items)), &dir);
        }
        "archive" => crawl(Crawler::new(page, AGENT).archive(Warc::to(disk)).pipeline(Feed::to(items)), &dir),
        name if name.contains('{') => {
            crawl(Crawler::new(page, AGENT).pipeline(Feed::to(disk).roll(Roll::items(5))), &dir);
        }
        _ => crawl(Crawler::new(page, AGENT).pipeline(Feed::to(disk)), &dir),
    }
}

const AGENT: &str = "disks/1.0 (+https://example.org/)";

fn crawl<S: Spider>(crawler: Crawler<S>, dir: &Path) {
    let crawler = crawler.seed(std::env::var("LOST_DISKS_SEED").unwrap()).allow_private().ignore_robots();
    let crawler = crawler.rate(Rate::UNLIMITED).per_domain(PER_DOMAIN).threads(1).state(dir.join("state"));
    let report = crawler.run_blocking().unwrap();
    fs::write(dir.join("report.json"), serde_json::to_vec(&*report).unwrap()).unwrap();
}

/// Crawls to an output whose disk is lost meanwhile. Returns the report of that crawl; the next one must bring what is
/// missing.
fn lose(fault: &str, output: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let lost = dir.path().join("lost");
    let site = Recorder::start(move |asked| {
        // The rest comes when the disk is lost.
        while asked.index > LOST_AFTER && !lost.exists() {
            thread::sleep(Duration::from_millis(5));
        }
        answer(asked)
    });
    // Without root, a user namespace gives the right to mount.
    let alone = "[ $(id -u) = 0 ] || map=-r; exec unshare $map -m sh -c \"$0\" sh \"$@\"";
    let mut script = Command::new("sh");
    script.args(["-c", alone, SCRIPT, fault]).arg(std::env::current_exe().unwrap());
    script.args(["--exact", "child", "--nocapture"]).env("LOST_DISKS_DIR", dir.path());
    script.env("LOST_DISKS_OUTPUT", output).env("LOST_DISKS_SEED", site.url("/0"));
    let mut running = script.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while site.count() < LOST_AFTER && running.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    fs::write(dir.path().join("now"), "").unwrap();
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{fault}, {output}: this test mounts disks; {:?}: {said}", ended.status.code());
    let report = |name: &str| serde_json::from_slice::<Value>(&fs::read(dir.path().join(name)).unwrap()).unwrap();
    let (first, second) = (report("first.json"), report("report.json"));
    assert_eq!(first["ledger_adds_up"], true, "{fault}, {output}: {first}");
    assert_eq!(second["ended"], "finished", "{fault}, {output}: {second}");
    let missing = PAGES - found(output, dir.path()).len();
    assert_eq!(missing, 0, "{fault}, {output}: after {first}");
    first
}

/// Returns the pages that are in an output, with all that belongs to them.
fn found(output: &str, dir: &Path) -> BTreeSet<String> {
    let kept = dir.join("kept").join(output.split('/').next().unwrap());
    let of_feed = |path: PathBuf| read(&[path]).concat();
    let url = |item: &Value| item["url"].as_str().unwrap().to_owned();
    match output {
        "pages" => {
            let texts = files_below(&kept).into_iter().map(|path| fs::read_to_string(path).unwrap());
            let whole = texts.filter(|text| text.matches("text\n").count() == 500);
            whole.map(|text| text.lines().nth(1).unwrap().to_owned()).collect()
        }
        "files" => {
            let items = of_feed(dir.join("items.jsonl"));
            let items = items.into_iter().map(|item| serde_json::from_value::<WithFile>(item).unwrap());
            let whole = items.filter(|item| {
                let bytes = fs::read(kept.join(item.file.path.as_ref().unwrap())).unwrap();
                bytes.len() as u64 == item.file.size.unwrap()
            });
            whole.map(|item| item.url).collect()
        }
        "archive" => files_below(&kept)
            .iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "gz"))
            .flat_map(|path| archived(path))
            .collect(),
        "rolled/{batch}.jsonl" => read(&files_below(&kept)).concat().iter().map(url).collect(),
        _ => of_feed(kept).iter().map(url).collect(),
    }
}

/// Returns the URLs of the responses in an archive.
fn archived(path: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let responses = text.split("WARC/1.1\r\n").filter(|record| record.contains("WARC-Type: response"));
    let url = |record: &str| record.split("WARC-Target-URI: ").nth(1)?.lines().next().map(str::to_owned);
    responses.filter_map(url).collect()
}

/// Returns the files of a folder and those below it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// Loses the disk under each output, two at once.
fn lose_under(fault: &str, outputs: &[&str], check: impl Fn(&str, &Value) + Sync) {
    let waiting = Mutex::new(outputs.iter());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(output) = { waiting.lock().unwrap().next() } {
                    check(output, &lose(fault, output));
                }
            });
        }
    });
}

/// The crawl has failed, and says what cannot be written and why.
fn has_failed(output: &str, report: &Value, whys: &[&str]) {
    assert_eq!(report["ended"], "failed", "{output}: {report}");
    let said = report["failure"].as_str().unwrap();
    let name = output.split(['/', '{']).next().unwrap();
    assert!(whys.iter().any(|why| said.contains(why)) && said.contains(name), "{output}: {said}");
}

#[test]
fn a_disk_that_is_full_from_one_moment_to_the_next_ends_the_crawl_and_a_larger_one_takes_the_rest() {
    lose_under("full", &OUTPUTS, |output, report| has_failed(output, report, &["No space left", "is full"]));
}

#[test]
fn a_folder_that_may_no_longer_be_written_ends_the_crawl_where_it_makes_files_and_no_other() {
    lose_under("forbidden", &OUTPUTS, |output, report| {
        if MAKE_FILES.contains(&output) {
            has_failed(output, report, &["ermission denied"]);
        } else {
            assert_eq!(report["ended"], "finished", "{output}: {report}");
        }
    });
}
