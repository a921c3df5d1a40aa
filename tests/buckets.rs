//! Feeds in a bucket, over a small server with the interface of S3: what is uploaded is whole, also over kills and
//! while the store is busy, and what is wrong is known before anything is fetched.

#![cfg(all(feature = "object-store", feature = "disk"))]

mod kills;
mod recorder;
mod tree;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_crawler::{
    feed::{Feed, Roll},
    prelude::*,
};
use kills::run_and_kill_on_its_way;
use percent_encoding::percent_decode_str;
use recorder::{Answer, Asked, Recorder};
use serde_json::{Value, json};

const PAGES: usize = 120;
const SECRET: &str = "s3cr3t-of-the-bucket";

/// A server with the interface of S3, which Google's store has too, and one bucket: `shop`.
#[derive(Default)]
struct S3 {
    objects: Mutex<BTreeMap<String, String>>,
    /// All that was ever uploaded, with its key.
    versions: Mutex<Vec<(String, String)>>,
    parts: Mutex<BTreeMap<String, BTreeMap<u32, String>>>,
    /// How many requests are answered by 503.
    busy: AtomicUsize,
}

impl S3 {
    fn start() -> (Arc<Self>, Recorder) {
        let store = Arc::new(Self::default());
        let server = Recorder::start({
            let store = store.clone();
            move |asked| store.answer(asked)
        });
        (store, server)
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let query: BTreeMap<_, _> = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        if let Some(answer) = Self::of_the_machine(asked) {
            return answer;
        }
        let is_ours =
            |value: &str| value.contains("Credential=key-of-the-bucket/") || value == format!("Bearer {SECRET}");
        if !asked.header("authorization").is_some_and(is_ours) {
            let body = "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>key-of-nobody</AWSAccessKeyId></Error>";
            return Answer { status: 403, ..Answer::ok(body) };
        }
        let Some(key) = path.strip_prefix("/shop").map(|key| key.trim_start_matches('/')) else {
            return Answer { status: 404, ..Answer::ok("<Error><Code>NoSuchBucket</Code></Error>") };
        };
        // Google's client writes `%2D` for `-`.
        let key = percent_decode_str(key).decode_utf8().unwrap().into_owned();
        let is_busy = self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_busy && asked.method != "GET" {
            return Answer { status: 503, ..Answer::ok("<Error><Code>SlowDown</Code></Error>") };
        }
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        let etag = |answer: Answer| answer.header("etag", "\"1\"");
        match (&*asked.method, query.get("uploadId")) {
            ("GET", _) if key.is_empty() => self.list(query.get("prefix").unwrap_or(&"")),
            ("GET", _) => match self.objects.lock().unwrap().get(&key) {
                Some(object) => etag(Answer::ok(object)).header("last-modified", "Sun, 29 Nov 2026 12:00:00 GMT"),
                None => Answer { status: 404, ..Answer::ok("<Error><Code>NoSuchKey</Code></Error>") },
            },
            ("PUT", None) => {
                self.put(key, body);
                etag(Answer::ok(""))
            }
            ("POST", None) => {
                let id = fastrand::u64(..).to_string();
                self.parts.lock().unwrap().insert(id.clone(), BTreeMap::new());
                Answer::ok(format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("PUT", Some(id)) => {
                let number = query["partNumber"].parse().unwrap();
                self.parts.lock().unwrap().get_mut(*id).unwrap().insert(number, body);
                etag(Answer::ok(""))
            }
            ("POST", Some(id)) => {
                let parts = self.parts.lock().unwrap().remove(*id).unwrap();
                self.put(key, parts.into_values().collect());
                Answer::ok("<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>")
            }
            _ => Answer::status(204),
        }
    }

    /// Answers as the metadata service of a machine that has a role.
    fn of_the_machine(asked: &Asked) -> Option<Answer> {
        let role = "/latest/meta-data/iam/security-credentials/";
        Some(match &*asked.path {
            "/latest/api/token" => Answer::ok("token"),
            path if path == role => Answer::ok("crawler"),
            path if path.strip_prefix(role) == Some("crawler") => Answer::ok(
                json!({"AccessKeyId": "key-of-the-bucket", "SecretAccessKey": SECRET, "Token": "t", "Expiration": "2126-11-29T12:00:00Z"})
                    .to_string(),
            ),
            _ => return None,
        })
    }

    fn put(&self, key: String, body: String) {
        self.versions.lock().unwrap().push((key.clone(), body.clone()));
        self.objects.lock().unwrap().insert(key, body);
    }

    fn list(&self, prefix: &str) -> Answer {
        let prefix = prefix.replace("%2F", "/");
        let objects = self.objects.lock().unwrap();
        let keys = objects.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(key, object)| {
            let size = object.len();
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-29T12:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
            )
        });
        Answer::ok(format!("<ListBucketResult>{}</ListBucketResult>", keys.collect::<String>()))
    }

    /// Returns the items of the objects whose keys begin so.
    fn items(&self, prefix: &str) -> Vec<Value> {
        let objects = self.objects.lock().unwrap();
        let texts = objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, text)| text);
        texts.flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn site() -> Recorder {
    Recorder::start(|asked| tree::answer(asked, PAGES, 0..20))
}

fn page(page: &Response) -> Result<Parsed<Value>> {
    let path = page.url().path();
    Ok(Parsed::of([json!({"url": path, "text": "line\n".repeat(path.len() * 40)})]).follow(page.links()))
}

/// The process with the crawl, since the store is named by the environment.
#[test]
fn child() {
    let Ok(dir) = std::env::var("BUCKETS_DIR").map(PathBuf::from) else { return };
    let crawler = Crawler::new(page, "buckets/1.0 (+https://example.org/)")
        .seed(std::env::var("BUCKETS_SEED").unwrap())
        .allow_private()
        .ignore_robots()
        .rate(Rate::UNLIMITED)
        .per_domain(6)
        .threads(1);
    let spool = std::env::var("BUCKETS_SPOOL").ok();
    let panics_at = std::env::var("BUCKETS_PANIC").ok();
    let has_state = spool.is_none() && panics_at.is_none();
    let crawler = if has_state { crawler.state(dir.join("state")) } else { crawler };
    let feeds = std::env::var("BUCKETS_FEEDS").unwrap();
    let within = std::env::var("BUCKETS_WITHIN").map_or(30_u64, |within| within.parse().unwrap());
    let crawler = feeds.split(' ').fold(crawler, |crawler, to| {
        let feed = Feed::to(to).upload_within(Duration::from_secs(within));
        let feed = if to.contains("{batch}") { feed.roll(Roll::items(7)) } else { feed };
        let feed = if let Some(spool) = &spool { feed.spool(spool) } else { feed };
        match panics_at.clone() {
            Some(page) => crawler.pipeline(feed.only(move |item: &Value| {
                assert!(item["url"] != *page, "a bug");
                true
            })),
            None => crawler.pipeline(feed),
        }
    });
    let report = match crawler.run_blocking() {
        Ok(report) => serde_json::to_value(&*report).unwrap(),
        Err(error) => json!({"refused": error.to_string()}),
    };
    fs::write(dir.join("report.json"), report.to_string()).unwrap();
}

fn command(store: &Recorder, site: &Recorder, dir: &Path, feeds: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).stdout(Stdio::null()).stderr(Stdio::piped());
    command.env("BUCKETS_DIR", dir).env("BUCKETS_SEED", site.url("/0")).env("BUCKETS_FEEDS", feeds.join(" "));
    name_stores(&mut command, store);
    command
}

/// Says where stores are, and who asks.
fn name_stores(command: &mut Command, store: &Recorder) {
    command.env("AWS_ENDPOINT", store.url("")).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "eu-central-1");
    command.env("AWS_ACCESS_KEY_ID", "key-of-the-bucket").env("AWS_SECRET_ACCESS_KEY", SECRET);
    command.env("GOOGLE_BASE_URL", store.url("")).env("GOOGLE_ALLOW_HTTP", "true").env("GOOGLE_BEARER_TOKEN", SECRET);
}

fn set(command: &mut Command, name: &str, value: &str) {
    command.env(name, value);
}

/// Returns the report of a crawl that has ended.
fn report(output: &Output, dir: &Path) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap()
}

fn run(mut command: Command, dir: &Path) -> Value {
    report(&command.output().unwrap(), dir)
}

/// Returns the files of a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn pages(items: &[Value]) -> usize {
    items.iter().map(|item| item["url"].as_str().unwrap()).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_bucket_has_every_page_in_whole_objects_after_kills_and_while_it_is_busy() {
    for scheme in ["s3", "gs"] {
        every_page_is_in_whole_objects(scheme);
    }
}

fn every_page_is_in_whole_objects(scheme: &str) {
    // By hand with more: BUCKETS_KILLS=30.
    let most = std::env::var("BUCKETS_KILLS").ok().map_or(4, |kills| kills.parse().unwrap());
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    let feeds = ["all.jsonl", "rolled/{spider}-{batch}.jsonl"].map(|name| format!("{scheme}://shop/{name}"));
    // Each process asks for three lists before its first page, and uploads count as pages do: some are killed within
    // one.
    let some = 3..(3 + 2 * PAGES / (most + 1)).max(5);
    let (kills, output) = run_and_kill_on_its_way(
        most,
        some,
        || site.count() + server.count(),
        || {
            store.busy.store(2, Ordering::SeqCst);
            command(&server, &site, dir.path(), &feeds.each_ref().map(|feed| &**feed)).spawn().unwrap()
        },
    );
    let report = report(&output, dir.path());
    assert_eq!((&report["ended"], &report["ledger_adds_up"]), (&"finished".into(), &true.into()), "{report}");
    for prefix in ["all", "rolled/buckets-"] {
        assert_eq!(pages(&store.items(prefix)), PAGES, "every page is in {prefix} after {kills} kills");
    }
    for (key, text) in &*store.versions.lock().unwrap() {
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let items = lines.filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
        assert_eq!(items, text.matches("\"url\":").count(), "{key} was whole when it was uploaded");
        assert!(items <= 7 || key == "all.jsonl", "{key} has {items}");
    }
    assert!(files(&dir.path().join("state/spool")).is_empty(), "all is uploaded");
    println!(
        "{scheme}: {kills} kills, {} pages fetched again, {} requests to the bucket",
        site.count() - PAGES,
        server.count()
    );
}

#[test]
fn a_store_that_stays_busy_ends_the_crawl_and_the_next_one_uploads_what_is_there() {
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    store.busy.store(usize::MAX, Ordering::SeqCst);
    let crawl = |within: &str| {
        let mut child = command(&server, &site, dir.path(), &["s3://shop/all.jsonl"]);
        set(&mut child, "BUCKETS_WITHIN", within);
        run(child, dir.path())
    };
    let report = crawl("1");
    let ends = [&report["ended"], &report["ledger_adds_up"], &report["complaints"]];
    assert_eq!(ends, [&json!("failed"), &json!(true), &json!([])], "{report}");
    let why = report["failure"].as_str().unwrap();
    let spool = dir.path().join("state/spool/s3/shop/all.jsonl");
    let file = spool.to_str().unwrap();
    for says in ["s3://shop/all.jsonl cannot be written", "503", "nothing is lost", file, "the next run uploads them"] {
        assert!(why.contains(says), "{says}: {why}");
    }
    assert_eq!(fs::read_to_string(&spool).unwrap().lines().count(), PAGES);
    assert!(store.objects.lock().unwrap().is_empty());
    let fetched = site.count();
    store.busy.store(3, Ordering::SeqCst);
    let report = crawl("30");
    assert_eq!((&report["ended"], &report["complaints"]), (&"finished".into(), &json!([])), "{report}");
    assert_eq!((pages(&store.items("all")), site.count()), (PAGES, fetched), "nothing is fetched again");
    assert!(!spool.exists());
}

#[test]
fn a_bucket_that_cannot_be_used_is_refused_before_anything_is_fetched() {
    let (site, dir, (_, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    type Change<'c> = &'c dyn Fn(&mut Command);
    let keyless = |command: &mut Command| {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("HOME", "/nonexistent");
        command.env_remove("AZURE_STORAGE_ACCOUNT_NAME").env_remove("GOOGLE_BEARER_TOKEN");
    };
    let named = |command: &mut Command| set(command, "AZURE_STORAGE_ACCOUNT_NAME", "shop");
    let cases: [(&str, Change, &str); 8] = [
        ("s3://other/items.jsonl", &|_| (), "is the bucket's name right"),
        ("s3://shop/items.jsonl", &|command| set(command, "AWS_ACCESS_KEY_ID", "key-of-nobody"), "see the guide"),
        ("s3://shop/{batch}.jsonl", &|command| set(command, "AWS_ENDPOINT", &format!("http://{gone}")), "refused"),
        ("s3://shop/items.jsonl", &|command| set(command, "AWS_ALLOW_HTTP", "false"), "AWS_ALLOW_HTTP=true"),
        ("s3://shop/items.jsonl", &keyless, "no credentials for it; set AWS_ACCESS_KEY_ID"),
        ("gs://shop/items.jsonl", &keyless, "no credentials for it; set GOOGLE_SERVICE_ACCOUNT"),
        ("az://shop/items.jsonl", &keyless, "Account must be specified; set AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://shop/items.jsonl", &named, "no credentials for it; set AZURE_STORAGE_ACCOUNT_NAME"),
    ];
    for (to, change, says) in cases {
        let mut command = command(&server, &site, dir.path(), &[to]);
        change(&mut command);
        let report = run(command, dir.path());
        let refused = report["refused"].as_str().unwrap_or_else(|| panic!("{to} is not refused: {report}"));
        assert!(refused.contains(says), "{says}: {refused}");
        assert!(!refused.contains("key-of-"), "{refused}");
    }
    assert_eq!(site.count(), 0);
}

#[test]
fn the_role_of_the_machine_is_used_where_its_address_is_named() {
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    let mut command = command(&server, &site, dir.path(), &["s3://shop/items.jsonl"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    set(&mut command, "AWS_METADATA_ENDPOINT", &server.url(""));
    let report = run(command, dir.path());
    assert_eq!(report["ended"], "finished", "{report}");
    assert_eq!(pages(&store.items("items")), PAGES);
}

#[cfg(feature = "cli")]
#[test]
fn the_command_exits_with_1_if_its_last_upload_fails_and_with_0_once_a_run_has_uploaded() {
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    let (config, state) = (dir.path().join("crawl.toml"), dir.path().join("state"));
    fs::write(&config, "[[feeds]]\nto = 's3://shop/pages.jsonl'\nupload_within = '1s'\n").unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
        command.args(["crawl", &site.url("/0"), "--allow-private", "--robots", "ignore", "--rate", "unlimited"]);
        command.args(["--progress", "never", "--state", state.to_str().unwrap(), "--config", config.to_str().unwrap()]);
        name_stores(&mut command, &server);
        let output = command.output().unwrap();
        (output.status.code(), [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat())
    };
    store.busy.store(usize::MAX, Ordering::SeqCst);
    let (code, said) = run();
    assert!(code == Some(1) && said.contains("error: s3://shop/pages.jsonl cannot be written"), "{code:?}: {said}");
    let fetched = site.count();
    store.busy.store(0, Ordering::SeqCst);
    let (code, said) = run();
    assert_eq!((code, site.count()), (Some(0), fetched), "{said}");
    assert_eq!(pages(&store.items("pages")), PAGES);
}

#[test]
fn without_a_state_the_report_says_that_what_is_not_uploaded_is_left_to_its_user() {
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    store.busy.store(usize::MAX, Ordering::SeqCst);
    let mut command = command(&server, &site, dir.path(), &["s3://shop/all.jsonl"]);
    set(&mut command, "BUCKETS_WITHIN", "1");
    set(&mut command, "BUCKETS_SPOOL", dir.path().join("spool").to_str().unwrap());
    let report = run(command, dir.path());
    let (ended, why) = (&report["ended"], report["failure"].as_str().unwrap());
    assert!(ended == "failed" && why.contains("upload that file yourself"), "{report}");
    let kept = fs::read_to_string(dir.path().join("spool/s3/shop/all.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), PAGES);
}

/// Each start of the pipeline once had a folder of its own, so the object had only the items since the last one.
#[test]
fn without_a_state_an_object_has_also_what_came_before_the_pipeline_was_restarted() {
    let (site, dir, (store, server)) = (site(), tempfile::tempdir().unwrap(), S3::start());
    let temporary = dir.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut command = command(&server, &site, dir.path(), &["s3://shop/all.jsonl", "s3://shop/rolled/{batch}.jsonl"]);
    set(&mut command, "BUCKETS_PANIC", "/60");
    set(&mut command, "TMPDIR", temporary.to_str().unwrap());
    let report = run(command, dir.path());
    assert!(report["complaints"].to_string().contains("restarted"), "{report}");
    for prefix in ["all", "rolled/"] {
        assert_eq!(pages(&store.items(prefix)), PAGES - 1, "all but the one that it panicked on are in {prefix}");
    }
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}
