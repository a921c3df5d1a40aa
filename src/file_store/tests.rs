//! Tests of the folder: what is in it after each way that a file can come.

use std::io::Write;

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::*;
use crate::{outcome::FetchError, transport::body::BodyLimits};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and its chunks";

fn store(dir: &Path, files: Files) -> FileStore {
    FileStore::open(&Files { dir: Some(dir.to_owned()), ..files }, SystemTime::now()).unwrap().unwrap()
}

fn wanted(url: &str, name: Option<&str>) -> Arc<Wanted> {
    Wanted { url: url.parse().unwrap(), name: name.map(str::to_owned) }.into()
}

fn write(store: &FileStore, wanted: &Arc<Wanted>, media_type: &'static str, bytes: &[u8]) -> Result<File, NotWritten> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    write_with(store, wanted, &headers, bytes)
}

fn write_with(store: &FileStore, wanted: &Arc<Wanted>, headers: &HeaderMap, bytes: &[u8]) -> Result<File, NotWritten> {
    let declared = Declared::of(headers).unwrap();
    let mut writer = FileWriter::new(store.clone(), wanted.clone(), declared, BodyLimits::default());
    for piece in bytes.chunks(7) {
        writer.write(piece)?;
    }
    writer.finish(SystemTime::now()).map(|(file, _)| file)
}

/// Returns the files of a folder, but for the index.
fn there(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with(".index") {
                    walk(&path, root, found);
                }
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

#[test]
fn a_file_has_the_name_of_its_content_and_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files::default());
    let [one, other] = ["http://e.org/1.jpg", "http://e.org/2"].map(|url| wanted(url, None));
    let file = write(&store, &one, "image/jpeg", PNG).unwrap();
    let path = file.path.clone().unwrap();
    assert!(path.starts_with("full/") && path.ends_with(".png") && path.len() == 5 + 64 + 4, "{path}");
    assert_eq!(file.checksum.as_deref(), Some(&*format!("sha256:{}", &path[5..69])));
    assert_eq!(write(&store, &other, "text/plain", PNG).unwrap().path, Some(path.clone()));
    assert_eq!(there(dir.path()), std::slice::from_ref(&path));
    assert_eq!(fs::read(dir.path().join(&path)).unwrap(), PNG);
    assert_eq!(part::hash_of(&dir.path().join(&path)).unwrap(), &path[5..69]);
}

#[test]
fn what_is_not_wanted_too_large_or_broken_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files { types: vec!["image/*".into()], max_size: 1_000, ..Files::default() });
    let file = wanted("http://e.org/1.png", None);
    let html = format!("<!doctype html>{}", "x".repeat(900));
    assert!(
        matches!(write(&store, &file, "image/png", html.as_bytes()), Err(NotWritten::Type(why)) if why.contains("text/html"))
    );
    assert!(matches!(write(&store, &file, "image/png", b""), Err(NotWritten::Type(_))));
    let large = [PNG, &[0; 1_000]].concat();
    assert!(matches!(write(&store, &file, "image/png", &large), Err(NotWritten::Body(FetchError::TooLarge(_)))));
    assert_eq!(write(&store, &file, "image/png", &large[..1_000]).unwrap().size, Some(1_000), "as many as allowed");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(PNG).unwrap();
    let coded = gzip.finish().unwrap();
    assert!(matches!(write_with(&store, &file, &headers, &coded[..coded.len() - 4]), Err(NotWritten::Body(_))));
    let whole = write_with(&store, &file, &headers, &coded).unwrap();
    assert_eq!(fs::read(dir.path().join(whole.path.unwrap())).unwrap(), PNG);
    assert!(there(dir.path()).iter().all(|path| path.starts_with("full/")), "{:?}", there(dir.path()));
}

#[test]
fn an_archive_is_not_unpacked_because_its_type_is_called_its_coding() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files::default());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-gzip"));
    let file = write_with(&store, &wanted("http://e.org/a.tar.gz", None), &headers, b"\x1f\x8b and so on").unwrap();
    assert_eq!((file.size, file.media_type.as_deref()), (Some(12), Some("application/x-gzip")));
}

#[test]
fn files_of_one_name_do_not_overwrite_each_other_and_a_newer_version_replaces_the_older() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files::default());
    let [one, other, folder] = [("1", "report.txt"), ("2", "report.txt"), ("3", "report.txt/part.txt")]
        .map(|(id, name)| wanted(&format!("http://e.org/{id}"), Some(name)));
    let path = |wanted, bytes: &[u8]| write(&store, wanted, "text/plain", bytes).unwrap().path.unwrap();
    assert_eq!(path(&one, b"a"), "report.txt");
    let apart = path(&other, b"b");
    assert!(apart.starts_with("report-") && apart.ends_with(".txt"), "{apart}");
    assert_eq!(path(&other, b"b"), apart);
    assert_eq!(path(&one, b"a, newer"), "report.txt");
    assert_eq!(fs::read(dir.path().join("report.txt")).unwrap(), b"a, newer");
    assert_eq!(fs::read(dir.path().join(apart)).unwrap(), b"b");
    let within = path(&folder, b"c");
    assert!(!within.contains('/') && fs::read(dir.path().join(within)).unwrap() == b"c");
    fs::create_dir_all(dir.path().join("taken.txt")).unwrap();
    assert!(path(&wanted("http://e.org/4", Some("taken.txt")), b"d").starts_with("taken-"));
}

/// The texts of its links once let a page end the crawl: one name was too long, another that of a folder.
#[test]
fn whatever_names_a_page_gives_its_files_each_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files::default());
    let mut there = std::collections::BTreeSet::new();
    let mut keep = |name: &str, bytes: &[u8]| {
        let wanted = wanted(&format!("http://e.org/{}", there.len()), Some(name));
        let path = write(&store, &wanted, "text/plain", bytes).unwrap().path.unwrap();
        assert_eq!(fs::read(dir.path().join(&path)).unwrap(), bytes, "{name}");
        assert!(there.insert(path.clone()), "{path} is another's");
        path
    };
    keep("r/a.pdf", b"a");
    let (part, name) = ("x".repeat(190), "y".repeat(100));
    let long = keep(&format!("r/a.pdf/{part}/{name}.pdf"), b"b");
    assert!(long.ends_with(".pdf"), "{long}");
    let hash = ring::digest::digest(&ring::digest::SHA256, b"c");
    let hash = crate::text::hexadecimal::hexadecimal(hash.as_ref());
    let mark = &hash[..HASH_IN_NAME];
    for folder in ["r/n.pdf/x".to_owned(), format!("r/n-{mark}.pdf/x"), format!("r_n-{mark}.pdf/x")] {
        keep(&folder, folder.as_bytes());
    }
    let last = keep("r/n.pdf", b"c");
    assert!(last.starts_with(mark) && last.ends_with(".pdf"), "{last}");
}

/// Two URLs that had the same placeholder once had one path, and each overwrote the other's photo.
#[test]
fn urls_that_begin_with_the_same_content_have_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Files::default());
    let urls = ["1", "2", "3"].map(|id| wanted(&format!("http://e.org/{id}"), Some("main.jpg")));
    let mut told: Vec<(usize, String, &str)> = Vec::new();
    for (at, content) in
        [(0, "same"), (1, "same"), (2, "same"), (0, "newer"), (1, "other's"), (2, "same"), (1, "newest")]
    {
        let path = write(&store, &urls[at], "text/plain", content.as_bytes()).unwrap().path.unwrap();
        told.retain(|(of, ..)| *of != at);
        told.push((at, path, content));
        for (at, path, content) in &told {
            assert_eq!(
                fs::read_to_string(dir.path().join(path)).unwrap(),
                *content,
                "what {at} was told last: {told:?}"
            );
        }
    }
    assert_eq!(told.iter().find(|(at, ..)| *at == 0).unwrap().1, "main.jpg");
    // The first is removed by hand, and another gets its path.
    fs::remove_file(dir.path().join("main.jpg")).unwrap();
    let taken = write(&store, &urls[1], "text/plain", b"taken").unwrap().path.unwrap();
    let apart = write(&store, &urls[0], "text/plain", b"back").unwrap().path.unwrap();
    assert_eq!([taken, apart].map(|path| fs::read_to_string(dir.path().join(path)).unwrap()), ["taken", "back"]);
}

#[test]
fn what_is_there_is_found_again_while_it_is_young_whole_and_there() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let open = |expires| {
        let files = Files { dir: Some(dir.path().to_owned()), expires, ..Files::default() };
        FileStore::open(&files, now + Duration::from_secs(60)).unwrap().unwrap()
    };
    let file = wanted("http://e.org/1.png", None);
    let first = open(Duration::ZERO);
    assert!(first.look_up(&file, now).is_none());
    let path = dir.path().join(write(&first, &file, "image/png", PNG).unwrap().path.unwrap());
    let is_fresh =
        |store: &FileStore| store.look_up(&file, now + Duration::from_secs(90)).map(|(_, is_fresh)| is_fresh);
    assert_eq!(
        (is_fresh(&open(Duration::from_secs(3_600))), is_fresh(&open(Duration::ZERO))),
        (Some(true), Some(false))
    );
    let (entry, _) = first.look_up(&file, now).unwrap();
    first.renew(&file, &entry, now + Duration::from_secs(70)).unwrap();
    assert_eq!(is_fresh(&first), Some(true), "it was asked about in this run");
    fs::write(&path, b"cut").unwrap();
    assert_eq!(is_fresh(&first), None, "not whole any more");
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let parts = dir.path().join(part::DIR);
    let first = store(dir.path(), Files::default());
    fs::write(parts.join("left"), b"half").unwrap();
    let mut written = part::Part::create(&parts).unwrap();
    written.write_all(b"half").unwrap();
    drop(store(dir.path(), Files::default()));
    assert_eq!(there(dir.path()).len(), 1, "{:?}", there(dir.path()));
    drop(written);
    assert!(there(dir.path()).is_empty());
    drop(first);
}
