//! Fuzzes the reader of web archives with any file: it never panics, it ends, and no block is longer than its record
//! says.

use std::{fs, io::Read, path::PathBuf};

use actix_crawler::warc::{Reader, index_of, verify};

pub fn fuzz(input: &[u8]) {
    let path = file_of(input);
    if let Ok(mut archive) = Reader::open(&path) {
        let mut last = None;
        while let Ok(Some(record)) = archive.next_record() {
            assert!(last <= Some(record.offset()), "records are in order");
            last = Some(record.offset());
            let read = std::io::copy(&mut (&mut archive).take(64 << 10), &mut std::io::sink());
            assert!(read.is_err() || read.is_ok_and(|read| read <= record.length()));
        }
        assert!(archive.next_record().is_err() || matches!(archive.next_record(), Ok(None)), "the end is the end");
    }
    let index = index_of(&path);
    if let Ok(entries) = &index {
        for entry in entries {
            let line = entry.line("a.warc.gz");
            assert_eq!(line.find('\n'), Some(line.len() - 1), "{entry:?}");
            assert!(Reader::open_at(&path, entry.offset).and_then(|mut at| at.next_record()).is_ok(), "{entry:?}");
        }
    }
    let _ = verify(&path);
    let _ = fs::remove_file(path);
}

fn file_of(input: &[u8]) -> PathBuf {
    let dir = std::env::temp_dir();
    let path = dir.join(format!("actix-crawler-fuzz-{}-{:?}.warc", std::process::id(), std::thread::current().id()));
    fs::write(&path, input).unwrap();
    path
}
