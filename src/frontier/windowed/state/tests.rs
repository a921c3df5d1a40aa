//! What is reported of sound and damaged directories, and what is recovered from them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::*;
use crate::{
    frontier::{
        Frontier, Next,
        durable::{Checkpoint, Durable, Opening},
        stores::fjall::{FjallStore, open_state},
        windowed::testing::{Tiny, copy_folder, sync},
    },
    recrawl::Recrawl,
};

const PAGES: u32 = 40;

fn tiny(dir: &Path, recrawl: Recrawl, now: Instant) -> Tiny {
    crate::frontier::windowed::testing::tiny(FjallStore::open(dir).unwrap(), Opening::new(recrawl, now)).unwrap().0
}

/// Stores a state in which two pages are done and one has failed, with a matching ledger.
fn stored(dir: &Path) {
    let mut frontier = tiny(dir, Recrawl::default(), Instant::now());
    let domain = Domain::new("e.org");
    let mut checkpoint = Checkpoint::default();
    for page in 0..PAGES {
        let request = Request::parse(&format!("http://e.org/{page}")).unwrap();
        frontier.offer(&domain, request.fingerprint(), request, Instant::now());
        checkpoint.ledger.discovered += 1;
        frontier.commit(checkpoint.clone(), Instant::now());
        sync(&frontier);
    }
    for page in 0..3 {
        let Next::Leased(leased) = frontier.lease(&domain, Instant::now()) else { panic!() };
        frontier.settle(leased.id);
        if page == 2 {
            frontier.bury(&domain, &leased.request, "status", "404");
            checkpoint.ledger.failed += 1;
        } else {
            checkpoint.ledger.done += 1;
        }
        frontier.commit(checkpoint.clone(), Instant::now());
    }
    frontier.close().blocking_recv().unwrap().unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_state_says_what_it_holds_and_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    let state = open_state(dir.path()).unwrap();
    let summary = state.verify().unwrap();
    assert_eq!(summary.problems, Vec::<String>::new());
    let Ledger { discovered, done, failed, queued, .. } = summary.ledger;
    assert_eq!((discovered, done, failed, queued), (40, 2, 1, 37));
    assert_eq!((summary.seen, summary.domains, summary.dead), (40, 1, 1));
    let mut exported = Vec::new();
    assert_eq!(state.export(&mut exported).unwrap(), (37, Vec::new()));
    let first: serde_json::Value = serde_json::from_slice(exported.split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!((&first["domain"], &first["url"]), (&"e.org".into(), &"http://e.org/3".into()));
}

#[test]
fn dead_letters_wait_again_when_asked_to_and_a_domain_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    let state = open_state(dir.path()).unwrap();
    let mut dead = Vec::new();
    state
        .each_dead_letter(|letter| {
            dead.push(letter);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((dead.len(), dead[0].outcome.as_str(), dead[0].detail.as_str()), (1, "status", "404"));
    assert_eq!(state.requeue_dead().unwrap(), 1);
    let summary = state.verify().unwrap();
    assert_eq!((summary.ledger.failed, summary.ledger.queued, summary.dead), (0, 38, 0));
    assert_eq!(summary.problems, Vec::<String>::new());
    assert_eq!(state.forget_domain(&Domain::new("e.org")).unwrap(), 38);
    let summary = state.verify().unwrap();
    assert_eq!((summary.ledger.dropped, summary.ledger.queued, summary.domains), (38, 0, 0));
    assert_eq!(summary.problems, Vec::<String>::new());
}

#[test]
fn what_is_due_is_forgotten_when_the_state_is_opened_and_the_rest_stays_exact() {
    let dir = tempfile::tempdir().unwrap();
    let now = Instant::now();
    let mut frontier = tiny(dir.path(), Recrawl::default(), now);
    for page in 0..PAGES {
        let request = Request::parse(&format!("http://e.org/{page}")).unwrap();
        let at = if page < 30 { now - std::time::Duration::from_secs(60) } else { now };
        frontier.offer(&Domain::new("e.org"), request.fingerprint(), request, at);
    }
    frontier.commit(Checkpoint::default(), now);
    frontier.close().blocking_recv().unwrap().unwrap();
    let mut seen = u64::from(PAGES);
    for _ in 0..50 {
        let recrawl = Recrawl { revisit_after: Some(std::time::Duration::from_secs(30)), ..Recrawl::default() };
        tiny(dir.path(), recrawl, now).close().blocking_recv().unwrap().unwrap();
        let summary = open_state(dir.path()).unwrap().verify().unwrap();
        assert!(!summary.problems.iter().any(|problem| problem.contains("fingerprints")), "{:?}", summary.problems);
        assert!(seen - summary.seen <= 16, "a part at a time");
        seen = summary.seen;
    }
    assert_eq!(seen, 10, "all had their turn");
}

#[test]
fn a_journal_that_was_cut_short_opens_as_it_was_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    let journal = files(dir.path()).into_iter().find(|file| file.extension().is_some_and(|e| e == "jnl")).unwrap();
    let journal = journal.strip_prefix(dir.path()).unwrap().to_owned();
    let length = fs::read(dir.path().join(&journal)).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let mut most = 0;
    for step in 0..40 {
        let torn = tempfile::tempdir().unwrap();
        copy_folder(dir.path(), torn.path());
        let file = fs::OpenOptions::new().write(true).open(torn.path().join(&journal)).unwrap();
        file.set_len(length * step / 40 + 1).unwrap();
        let summary = open_state(torn.path()).and_then(|state| state.verify()).unwrap();
        assert_eq!(summary.problems, Vec::<String>::new(), "cut at {step}/40");
        assert!(summary.ledger.discovered >= most, "what came earlier is there earlier");
        most = summary.ledger.discovered;
    }
    assert!(most > PAGES as u64 / 2);
}

#[test]
fn whatever_file_is_damaged_the_state_is_as_it_was_or_says_so() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path());
    FjallStore::open(dir.path()).unwrap().flush();
    let whole = open_state(dir.path()).and_then(|state| state.verify()).unwrap();
    assert_eq!(whole.problems, Vec::<String>::new());
    let mut noticed = 0;
    for file in files(dir.path()) {
        let name = file.strip_prefix(dir.path()).unwrap();
        if name == Path::new("lock") {
            continue;
        }
        for cut in [false, true] {
            let damaged = tempfile::tempdir().unwrap();
            copy_folder(dir.path(), damaged.path());
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last / 2);
            if cut {
                bytes.truncate(middle)
            } else if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0xff
            }
            fs::write(damaged.path().join(name), bytes).unwrap();
            match open_state(damaged.path()).and_then(|state| state.verify()) {
                Ok(summary) if summary.problems.is_empty() => {
                    assert!(summary.ledger.adds_up(), "{}", name.display());
                }
                Ok(_) => noticed += 1,
                Err(error) => {
                    noticed += 1;
                    assert!(error.to_string().contains("damaged"), "{}: {error}", name.display());
                }
            }
        }
    }
    assert!(noticed > 0);
}
