//! Feeds in buckets: the laws of sinks over a store in memory, and what becomes of objects when a crawl goes on.

use std::io::Read as _;

use object_store::memory::InMemory;

use super::*;
use crate::feed::{
    Record, Roll,
    laws::{Row, Subject, check},
    target::Scheme,
};

/// A bucket in memory, as a crawl after the other sees it.
struct InBucket {
    store: Arc<dyn ObjectStore>,
    dir: tempfile::TempDir,
    feed: Feed,
    key: &'static str,
}

impl InBucket {
    fn new(key: &'static str) -> Self {
        let store = Arc::new(InMemory::new());
        let feed = Feed::to(format!("s3://shop/{key}"));
        Self { store, dir: tempfile::tempdir().unwrap(), feed, key }
    }

    fn bucket(&self) -> Arc<Bucket> {
        let location = Location { scheme: Scheme::S3, bucket: "shop".to_owned(), key: self.key.to_owned() };
        Arc::new(Bucket::new(self.store.clone(), &location, self.dir.path()).unwrap())
    }

    fn sink(&self, opening: Opening) -> crate::Result<Box<dyn Sink>> {
        let bucket = self.bucket();
        let names = bucket.names(self.key)?;
        if names.are_filled() {
            let named = crate::feed::named::FeedFiles::new(crate::feed::named::NamedFeed {
                feed: self.feed.clone(),
                names,
                spider: "bot".to_owned(),
                opening,
                syncs: true,
                bucket: Some(bucket),
            });
            return Ok(Box::new(named?));
        }
        bucket.open_file(&self.feed, &self.file(), opening, false)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("s3/shop").join(self.key)
    }

    /// Returns the keys of the objects, and how many records each has.
    fn objects(&self) -> Vec<(String, usize)> {
        let bucket = self.bucket();
        let listed = bucket.run(async |store| store.list(None).try_collect::<Vec<_>>().await).unwrap();
        let mut objects: Vec<_> = listed.into_iter().map(|object| object.location.to_string()).collect();
        objects.sort();
        let content = |key: &str| self.content(key).unwrap().lines().count();
        objects.into_iter().map(|key| (key.clone(), content(&key))).collect()
    }

    fn content(&self, key: &str) -> Option<String> {
        let bytes = self.bucket().run(async |store| store.get(&super::key(key)?).await?.bytes().await);
        let mut text = String::new();
        match bytes {
            Ok(bytes) if key.ends_with(".gz") => {
                flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
            }
            Ok(bytes) => text = String::from_utf8(bytes.into()).unwrap(),
            Err(object_store::Error::NotFound { .. }) => return None,
            Err(error) => panic!("{error}"),
        }
        Some(text)
    }
}

impl Subject for InBucket {
    fn open(&mut self, opening: Opening) -> crate::Result<Box<dyn Sink>> {
        self.sink(opening)
    }

    /// What is committed is in the spool until it is uploaded.
    fn read(&mut self) -> Vec<Row> {
        let text = fs::read_to_string(self.file()).ok().or_else(|| self.content(self.key)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn tear(&mut self, part: f64) {
        // Uploaded, and killed before the file is removed; or within a write.
        let before = fs::read(self.file()).unwrap();
        if part < 0.5 {
            self.sink(Opening::Restarted).unwrap().close().unwrap();
            fs::write(self.file(), before).unwrap();
        } else {
            fs::write(self.file(), [before, b"{\"n\":9".to_vec()].concat()).unwrap();
        }
    }
}

fn record(n: usize) -> Record {
    let url = format!("https://www.d{}.test/", n % 100);
    Record::of(&Row { n: n as u64, text: "a".to_owned() }, url).unwrap()
}

#[test]
fn a_feed_in_a_bucket_keeps_the_laws_of_sinks() {
    check(&mut InBucket::new("items/rows.jsonl"), 60);
}

#[test]
fn a_crawl_that_goes_on_keeps_what_is_in_the_bucket_and_uploads_what_a_kill_left() {
    let rolled = InBucket::new("a/{domain}-{batch}.jsonl.gz");
    let rolled = InBucket { feed: rolled.feed.clone().roll(Roll::items(2)), ..rolled };
    let mut sink = rolled.sink(Opening::Fresh).unwrap();
    for _ in 0..3 {
        sink.write(&record(1)).unwrap();
        sink.commit().unwrap();
    }
    let first = ("a/d1.test-00001.jsonl.gz".to_owned(), 2);
    assert_eq!(rolled.objects(), std::slice::from_ref(&first), "what is not whole is not there");
    drop(sink);
    let mut sink = rolled.sink(Opening::Resumed).unwrap();
    let second = ("a/d1.test-00002.jsonl.gz".to_owned(), 1);
    assert_eq!(rolled.objects(), [first.clone(), second.clone()], "what a kill left");
    sink.write(&record(1)).unwrap();
    sink.close().unwrap();
    // The spool is empty, so its number is known from the bucket.
    let mut sink = rolled.sink(Opening::Resumed).unwrap();
    sink.write(&record(1)).unwrap();
    sink.close().unwrap();
    let more = [3, 4].map(|number| (format!("a/d1.test-0000{number}.jsonl.gz"), 1));
    assert_eq!(rolled.objects(), [vec![first, second], more.to_vec()].concat());
    // Without a state, it would mix its objects with those.
    let names = rolled.bucket().names(rolled.key).unwrap();
    let mixed = crate::feed::named::FeedFiles::new(crate::feed::named::NamedFeed {
        feed: rolled.feed.clone(),
        names,
        spider: "bot".to_owned(),
        opening: Opening::Fresh,
        syncs: false,
        bucket: Some(rolled.bucket()),
    });
    let refused = mixed.err().unwrap().to_string();
    assert!(refused.contains("s3://shop/a/d1.test-0000"), "{refused}");

    let one = InBucket::new("items.json");
    for (n, opening) in [Opening::Fresh, Opening::Resumed, Opening::Fresh].into_iter().enumerate() {
        let mut sink = one.sink(opening).unwrap();
        sink.write(&record(n)).unwrap();
        sink.close().unwrap();
        let there: Vec<Row> = serde_json::from_str(&one.content("items.json").unwrap()).unwrap();
        assert_eq!(there.len(), [1, 2, 1][n]);
    }
}

#[test]
fn more_domains_than_open_files_are_uploaded_once_each() {
    let domains = InBucket::new("{domain}.jsonl");
    let mut sink = domains.sink(Opening::Fresh).unwrap();
    for n in 0..300 {
        sink.write(&record(n)).unwrap();
    }
    sink.commit().unwrap();
    assert!(domains.objects().is_empty());
    sink.close().unwrap();
    let objects = domains.objects();
    assert!(objects.len() == 100 && objects.iter().all(|(_, records)| *records == 3), "{objects:?}");
    let left = domains.bucket().names(domains.key).unwrap().existing("bot").unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_large_object_is_uploaded_in_parts() {
    let large = InBucket::new("large.jsonl");
    let mut sink = large.sink(Opening::Fresh).unwrap();
    let text = "a".repeat(1 << 20);
    for n in 0..20 {
        sink.write(&Record::of(&Row { n, text: text.clone() }, "https://a.test/").unwrap()).unwrap();
        sink.commit().unwrap();
    }
    let file = fs::read_to_string(large.file()).unwrap();
    sink.close().unwrap();
    assert!(file.len() > 2 * PART && large.content("large.jsonl").unwrap() == file);
}

#[test]
fn a_bucket_that_is_not_named_is_refused() {
    for wrong in ["s3://bucket", "s3://bucket/", "s3:///items.csv", "gs://bucket/a//b.csv", "az://a/../b.csv"] {
        let refused = Feed::to(wrong).check().unwrap_err().to_string();
        assert!(refused.contains("://bucket/items.jsonl") || refused.contains("no format"), "{wrong}: {refused}");
    }
    let refused = Feed::to("items.csv").spool("spool").check().unwrap_err().to_string();
    assert!(refused.contains("nothing is uploaded"), "{refused}");
}
