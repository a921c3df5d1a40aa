//! What a store keeps, and within which bounds.

use std::time::SystemTime;

use super::{
    folder::{KEY_LENGTH, PART_LENGTH},
    *,
};
use crate::{request::Request, transport::stored_response::tests::stored};

fn key(url: &str) -> StoreKey {
    StoreKey::new(&Request::parse(url).unwrap(), b"")
}

fn store(dir: &Path, max_bytes: u64, purpose: Purpose) -> ResponseStore {
    ResponseStore::open(
        &ResponseStoreSettings { max_bytes, ..ResponseStoreSettings::new(dir, purpose) },
        &Handle::current(),
    )
    .unwrap()
}

#[test]
fn settings_of_earlier_versions_are_read() {
    let told = serde_json::json!({"shelf": {"dir": "site", "purpose": "replay"}});
    let settings: crate::transport::TransportSettings = serde_json::from_value(told).unwrap();
    assert_eq!(settings.response_store, Some(ResponseStoreSettings::new("site", Purpose::Replay)));
}

#[tokio::test]
async fn a_full_cache_removes_its_oldest_and_a_full_recording_stores_no_more() {
    for purpose in [Purpose::Cache, Purpose::Record] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 100_000, purpose);
        let urls: Vec<_> = (0..20).map(|n| format!("https://e.org/{n}")).collect();
        for url in &urls {
            let is_stored = store.write(key(url), stored(url, &[b'x'; 9_000])).await;
            assert!(is_stored || purpose == Purpose::Record, "{url}");
            assert!(files(dir.path()).unwrap().iter().map(|file| file.length).sum::<u64>() <= 100_000);
        }
        let (first, last, bodies) = (&urls[0], &urls[19], Bodies::new(0));
        assert_eq!(store.read(key(first), first, &bodies).await.is_some(), purpose == Purpose::Record);
        assert_eq!(store.read(key(last), last, &bodies).await.is_some(), purpose == Purpose::Cache);
        let failure = store.failure().unwrap_or_default();
        assert_eq!(failure.contains("lacks 10 responses"), purpose == Purpose::Record, "{failure}");
        assert!(failure.contains("may have 100000 bytes (max_bytes)") || purpose == Purpose::Cache, "{failure}");
        assert_eq!(store.warning(), None);
    }
}

/// Regression: it removed all others, was stored beyond the bound, and was removed again by the next.
#[tokio::test]
async fn a_response_that_takes_most_of_a_cache_costs_no_other_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), 100_000, Purpose::Cache);
    let urls: Vec<_> = (0..10).map(|n| format!("https://e.org/{n}")).collect();
    for (index, url) in urls.iter().enumerate() {
        assert!(store.write(key(url), stored(url, &[b'x'; 8_000])).await);
        for large in [120_000, 60_000] {
            let name = format!("https://e.org/large/{index}");
            assert!(!store.write(key(&name), stored(&name, &vec![b'x'; large])).await, "{large}");
        }
    }
    let bodies = Bodies::new(0);
    for url in &urls {
        assert!(store.read(key(url), url, &bodies).await.is_some(), "{url}");
    }
    // What was there before is out of date.
    assert!(!store.write(key(&urls[0]), stored(&urls[0], &[b'x'; 60_000])).await);
    assert!(store.read(key(&urls[0]), &urls[0], &bodies).await.is_none());
    let warning = store.warning().unwrap();
    assert!(warning.contains("21 responses") && warning.contains("max_bytes"), "{warning}");
}

/// A cache in a folder of pictures once removed the oldest of them.
#[tokio::test]
async fn a_full_cache_removes_nothing_that_it_has_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let key_name = "0".repeat(KEY_LENGTH - PART_LENGTH);
    let own = ["photos/old.jpg", "ab/notes.txt", &format!("photos/{key_name}"), &format!("ab/{key_name}.jpg")];
    for name in own {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [b'x'; 50_000]).unwrap();
        fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    // What a killed writer has left counts, and goes first.
    let left = dir.path().join("ab").join(format!("{key_name}.1f"));
    fs::write(&left, [b'x'; 50_000]).unwrap();
    fs::File::open(&left).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let store = store(dir.path(), 100_000, Purpose::Cache);
    for n in 0..20 {
        let url = format!("https://e.org/{n}");
        assert!(store.write(key(&url), stored(&url, &[b'x'; 9_000])).await);
    }
    assert!(own.iter().all(|name| dir.path().join(name).exists()) && !left.exists());
    let stored: u64 = files(dir.path()).unwrap().iter().map(|file| file.length).sum();
    assert!((50_000..=100_000).contains(&stored), "{stored}");
}

#[tokio::test]
async fn a_response_that_is_written_again_takes_no_more_room() {
    let dir = tempfile::tempdir().unwrap();
    let url = "https://e.org/";
    let open = |dir| store(dir, 1 << 20, Purpose::Record);
    let store = open(dir.path());
    for body in [&b"first"[..], b"second"] {
        assert!(store.write(key(url), stored(url, body)).await);
    }
    assert_eq!(store.read(key(url), url, &Bodies::new(0)).await.unwrap().0.body, "second");
    let reopened = open(dir.path());
    assert_eq!(store.bytes.load(Ordering::Relaxed), reopened.bytes.load(Ordering::Relaxed));
    assert_ne!(StoreKey::new(&Request::parse(url).unwrap(), b"me"), key(url), "who asks is part of the name");
}
