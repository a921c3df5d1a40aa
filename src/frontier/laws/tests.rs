//! Runs the laws on every frontier of this crate, and shows that they find a frontier that breaks one.

use std::time::{Duration, Instant};

use super::{partitioned::Partitions, *};
use crate::{
    frontier::{
        Drained, LeaseId, Next, Offered,
        durable::Opening,
        memory::MemoryFrontier,
        stores::tables::TablesStore,
        windowed::{
            state::State,
            testing::{Tiny, crash, tiny},
        },
    },
    identity::Fingerprint,
    request::Request,
};

#[test]
fn a_frontier_in_memory_keeps_the_laws() {
    check(|recrawl, now| MemoryFrontier::new(recrawl.clone(), now));
}

#[test]
fn a_frontier_whose_domains_come_and_go_keeps_the_laws() {
    check_subject(&mut Partitions, 256);
}

/// Windowed frontiers with very little memory, over tables that outlive them.
#[derive(Default)]
struct OverTables {
    tables: TablesStore,
    recrawl: Recrawl,
}

impl Subject for OverTables {
    type Frontier = Tiny;

    fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Tiny {
        (self.tables, self.recrawl) = (TablesStore::default(), recrawl.clone());
        tiny(self.tables.clone(), Opening::new(recrawl.clone(), now)).unwrap().0
    }

    fn kill(&mut self, frontier: Tiny, now: Instant) -> Result<(Tiny, Resumed), Tiny> {
        crash(frontier);
        Ok(tiny(self.tables.clone(), Opening::new(self.recrawl.clone(), now)).unwrap())
    }

    fn end(&mut self, frontier: Tiny) {
        crash(frontier);
        assert_eq!(State::new(self.tables.clone()).verify().unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_windowed_frontier_keeps_the_laws_over_any_store_also_across_crashes() {
    check_subject(&mut OverTables::default(), 256);
}

/// Forgets what is given back for later, or, with a delay, tells that much too late when something is ready.
struct Forgetful(MemoryFrontier, Option<Duration>);

impl Frontier for Forgetful {
    fn offer(&mut self, domain: &Domain, fingerprint: Fingerprint, request: Request, now: Instant) -> Offered {
        self.0.offer(domain, fingerprint, request, now)
    }

    fn has_seen(&self, fingerprint: &Fingerprint, now: Instant) -> bool {
        self.0.has_seen(fingerprint, now)
    }

    fn lease(&mut self, domain: &Domain, now: Instant) -> Next {
        self.0.lease(domain, now)
    }

    fn ready_at(&mut self, domain: &Domain, now: Instant) -> Option<Instant> {
        Some(self.0.ready_at(domain, now)? + self.1.unwrap_or_default())
    }

    fn settle(&mut self, id: LeaseId) -> bool {
        self.0.settle(id)
    }

    fn give_back(&mut self, id: LeaseId, not_before: Option<Instant>, attempted: bool) -> Option<Domain> {
        self.0.give_back(id, not_before.and(None), attempted)
    }

    fn drain(&mut self, domain: &Domain, max: usize) -> Drained {
        self.0.drain(domain, max)
    }

    fn domains(&self) -> Box<dyn Iterator<Item = &Domain> + '_> {
        self.0.domains()
    }

    fn has_waiting(&self, domain: &Domain) -> bool {
        self.0.has_waiting(domain)
    }

    fn queued(&self) -> u64 {
        self.0.queued()
    }

    fn queued_of(&self, domain: &Domain) -> u64 {
        self.0.queued_of(domain)
    }

    fn leased(&self) -> u64 {
        self.0.leased()
    }
}

#[test]
fn a_frontier_that_breaks_a_law_is_shown_by_the_fewest_operations() {
    let checked = std::panic::catch_unwind(|| {
        check(|recrawl, now| Forgetful(MemoryFrontier::new(recrawl.clone(), now), None));
    });
    let said = *checked.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("nothing was to be leased") || said.contains("leased by rank"), "{said}");
    assert!(said.contains("GiveBack"), "{said}");
    assert!(said.lines().count() <= 12, "{said}");
}

/// The scheduler leases when it is told to, and what is ready late waits as long.
#[test]
fn a_frontier_that_tells_too_late_when_something_is_ready_breaks_a_law() {
    let checked = std::panic::catch_unwind(|| {
        let late = Some(Duration::from_millis(100));
        check(|recrawl, now| Forgetful(MemoryFrontier::new(recrawl.clone(), now), late));
    });
    let said = *checked.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("a domain tells when it has something to lend"), "{said}");
}

#[cfg(feature = "disk")]
mod on_disk {
    use super::*;
    use crate::frontier::{
        durable::{Checkpoint, Durable, Listener, StoreNews},
        laws::{operations::Operation, trial::domain_of},
        stores::fjall::{FjallStore, open_state},
        windowed::testing::sync,
    };

    /// Frontiers with very little memory, each in a directory that outlives it.
    #[derive(Default)]
    struct Disk {
        dir: Option<tempfile::TempDir>,
        recrawl: Recrawl,
    }

    impl Disk {
        fn open_dir(&self, now: Instant) -> (Tiny, Resumed) {
            let store = FjallStore::open(self.dir.as_ref().unwrap().path()).unwrap().moving_often();
            tiny(store, Opening::new(self.recrawl.clone(), now)).unwrap()
        }
    }

    impl Subject for Disk {
        type Frontier = Tiny;

        fn open(&mut self, recrawl: &Recrawl, now: Instant) -> Tiny {
            self.dir = Some(tempfile::tempdir().unwrap());
            self.recrawl = recrawl.clone();
            self.open_dir(now).0
        }

        fn kill(&mut self, frontier: Tiny, now: Instant) -> Result<(Tiny, Resumed), Tiny> {
            crash(frontier);
            Ok(self.open_dir(now))
        }

        fn end(&mut self, frontier: Tiny) {
            crash(frontier);
            let summary = open_state(self.dir.as_ref().unwrap().path()).unwrap().verify().unwrap();
            assert_eq!(summary.problems, Vec::<String>::new());
        }
    }

    #[test]
    fn a_frontier_on_disk_keeps_the_laws_also_across_crashes() {
        check_subject(&mut Disk::default(), 64);
    }

    #[test]
    fn what_was_taken_in_again_is_seen_as_of_then_also_after_a_crash() {
        let recrawl = Recrawl { revisit_after: Some(Duration::from_secs(4)), ..Recrawl::default() };
        for (wait, dont_filter) in [(5, false), (3, true)] {
            let offer = |dont_filter| Operation::Offer { domain: 0, page: 0, rank: 0, dont_filter };
            let operations = [
                offer(false),
                Operation::Commit,
                Operation::Pass { seconds: wait },
                offer(dont_filter),
                Operation::Commit,
                Operation::Sync,
                Operation::Kill,
                Operation::Pass { seconds: 3 },
                offer(false),
            ];
            // The model has seen it the third time; the frontier must agree.
            try_operations(&mut Disk::default(), &recrawl, &operations).unwrap();
        }
    }

    struct Notifier(std::sync::mpsc::Sender<()>);

    impl Listener for Notifier {
        fn notify(&self) {
            let _ = self.0.send(());
        }
    }

    /// Regression: a page's links are looked up while other pages continue. Fingerprints known when the look-up began
    /// could be evicted from memory before the result arrived, and were then treated as new.
    #[test]
    fn what_was_looked_up_is_known_whatever_comes_before_the_answer() {
        let now = middle_of_a_second();
        let mut disk = Disk::default();
        let mut frontier = disk.open(&Recrawl::default(), now);
        let (notifier, rung) = std::sync::mpsc::channel();
        frontier.listen(std::sync::Arc::new(Notifier(notifier)));
        let page = |page: u32| Request::parse(&format!("http://d0.org/{page}")).unwrap();
        let offer =
            |frontier: &mut Tiny, request: Request| frontier.offer(&domain_of(0), request.fingerprint(), request, now);
        for known in 0..20 {
            offer(&mut frontier, page(known));
        }
        frontier.commit(Checkpoint::default(), now);
        sync(&frontier);
        for round in 1..6 {
            let known = page(20 * round - 8);
            let asked = [page(1_000), known.clone()];
            let ticket = frontier.look_up(&mut asked.iter().map(Request::fingerprint)).unwrap();
            for other in 20 * round..20 * (round + 1) {
                offer(&mut frontier, page(other));
                frontier.commit(Checkpoint::default(), now);
            }
            loop {
                match frontier.news(now) {
                    Some(StoreNews::Answered(answered)) if answered == ticket => break,
                    Some(_) => {}
                    None => rung.recv_timeout(Duration::from_secs(10)).unwrap(),
                }
            }
            assert!(frontier.has_seen(&known.fingerprint(), now), "round {round}");
        }
        crash(frontier);
    }
}
