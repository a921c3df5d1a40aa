//! The stores behind one interface.

use std::path::Path;

use crate::workload::Link;

pub type Key = [u8; 16];

pub trait Store {
    /// Stores the new ones of `links` and removes `settled`, atomically. Returns how many were new.
    fn commit(&mut self, links: &[Link], settled: &[Key]) -> usize;
    /// Makes all commits so far survive a power failure.
    fn sync(&mut self);
    /// Returns the first entries of a domain's queue.
    fn heads(&mut self, domain: u32, most: usize) -> Vec<Key>;
}

pub fn open(kind: &str, dir: &Path) -> Box<dyn Store> {
    match kind {
        "fjall" => Box::new(Fjall::open(dir)),
        "redb" => Box::new(Redb::open(dir)),
        "sqlite" => Box::new(Sqlite::open(dir)),
        _ => panic!("no store is called {kind}"),
    }
}

fn key(domain: u32, order: [u8; 12]) -> Key {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&domain.to_be_bytes());
    key[4..].copy_from_slice(&order);
    key
}

struct Fjall {
    db: fjall::Database,
    seen: fjall::Keyspace,
    queue: fjall::Keyspace,
}

impl Fjall {
    fn open(dir: &Path) -> Self {
        let db = fjall::Database::builder(dir)
            .cache_size(64 << 20)
            .max_journaling_size(std::env::var("JRN").map_or(128, |m| m.parse().unwrap()) << 20)
            .worker_threads(2)
            .open()
            .unwrap();
        let options = || {
            fjall::KeyspaceCreateOptions::default()
                .max_memtable_size(std::env::var("MEM").map_or(16, |m| m.parse().unwrap()) << 20)
        };
        let seen = db
            .keyspace("seen", || {
                options()
                    .data_block_compression_policy(fjall::config::CompressionPolicy::disabled())
                    .expect_point_read_hits(false)
            })
            .unwrap();
        let queue = db.keyspace("queue", options).unwrap();
        Self { db, seen, queue }
    }
}

impl Store for Fjall {
    fn commit(&mut self, links: &[Link], settled: &[Key]) -> usize {
        let mut batch = self.db.batch();
        let mut new = 0;
        let mut in_this_batch = std::collections::HashSet::new();
        for link in links {
            if in_this_batch.insert(link.fingerprint) && !self.seen.contains_key(link.fingerprint).unwrap() {
                new += 1;
                batch.insert(&self.seen, link.fingerprint, []);
                batch.insert(&self.queue, key(link.domain, link.order), link.value.as_slice());
            }
        }
        for key in settled {
            batch.remove(&self.queue, *key);
        }
        batch.commit().unwrap();
        new
    }

    fn sync(&mut self) {
        self.db.persist(fjall::PersistMode::SyncData).unwrap();
    }

    fn heads(&mut self, domain: u32, most: usize) -> Vec<Key> {
        self.queue
            .prefix(domain.to_be_bytes())
            .take(most)
            .map(|entry| (*entry.key().unwrap()).try_into().unwrap())
            .collect()
    }
}

const SEEN: redb::TableDefinition<[u8; 16], ()> = redb::TableDefinition::new("seen");
const QUEUE: redb::TableDefinition<[u8; 16], &[u8]> = redb::TableDefinition::new("queue");

struct Redb {
    db: redb::Database,
}

impl Redb {
    fn open(dir: &Path) -> Self {
        let db = redb::Builder::new().set_cache_size(256 << 20).create(dir.join("redb")).unwrap();
        let begin = db.begin_write().unwrap();
        begin.open_table(SEEN).unwrap();
        begin.open_table(QUEUE).unwrap();
        begin.commit().unwrap();
        Self { db }
    }
}

impl Store for Redb {
    fn commit(&mut self, links: &[Link], settled: &[Key]) -> usize {
        let mut write = self.db.begin_write().unwrap();
        write.set_durability(redb::Durability::None).unwrap();
        let mut new = 0;
        {
            let mut seen = write.open_table(SEEN).unwrap();
            let mut queue = write.open_table(QUEUE).unwrap();
            for link in links {
                if seen.insert(link.fingerprint, ()).unwrap().is_none() {
                    new += 1;
                    queue.insert(key(link.domain, link.order), link.value.as_slice()).unwrap();
                }
            }
            for key in settled {
                queue.remove(*key).unwrap();
            }
        }
        write.commit().unwrap();
        new
    }

    fn sync(&mut self) {
        self.db.begin_write().unwrap().commit().unwrap();
    }

    fn heads(&mut self, domain: u32, most: usize) -> Vec<Key> {
        use redb::ReadableDatabase;
        let read = self.db.begin_read().unwrap();
        let queue = read.open_table(QUEUE).unwrap();
        let range = queue.range(key(domain, [0; 12])..=key(domain, [255; 12])).unwrap();
        range.take(most).map(|entry| entry.unwrap().0.value()).collect()
    }
}

struct Sqlite {
    db: rusqlite::Connection,
}

impl Sqlite {
    fn open(dir: &Path) -> Self {
        let db = rusqlite::Connection::open(dir.join("sqlite")).unwrap();
        // With NORMAL the log is synced at checkpoints: a power failure corrupts nothing, but may lose the last
        // commits.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -262144;
             PRAGMA wal_autocheckpoint = 8000;
             CREATE TABLE IF NOT EXISTS seen (fingerprint BLOB PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS queue (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;",
        )
        .unwrap();
        Self { db }
    }
}

impl Store for Sqlite {
    fn commit(&mut self, links: &[Link], settled: &[Key]) -> usize {
        let write = self.db.transaction().unwrap();
        let mut new = 0;
        {
            let mut see = write.prepare_cached("INSERT OR IGNORE INTO seen VALUES (?1)").unwrap();
            let mut push = write.prepare_cached("INSERT INTO queue VALUES (?1, ?2)").unwrap();
            let mut settle = write.prepare_cached("DELETE FROM queue WHERE key = ?1").unwrap();
            for link in links {
                if see.execute([&link.fingerprint[..]]).unwrap() == 1 {
                    new += 1;
                    push.execute([&key(link.domain, link.order)[..], &link.value]).unwrap();
                }
            }
            for key in settled {
                settle.execute([&key[..]]).unwrap();
            }
        }
        write.commit().unwrap();
        new
    }

    fn sync(&mut self) {}

    fn heads(&mut self, domain: u32, most: usize) -> Vec<Key> {
        let mut query =
            self.db.prepare_cached("SELECT key FROM queue WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3").unwrap();
        let (from, to) = (key(domain, [0; 12]), key(domain, [255; 12]));
        let rows = query.query_map((&from[..], &to[..], most as i64), |row| row.get::<_, Key>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
