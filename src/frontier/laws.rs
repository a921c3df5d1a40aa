//! The laws of every frontier, tested with random operations against a plain model.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{Frontier, LeaseId, Leased, Left, Next, Offered, memory::MemoryFrontier};
use crate::{domain::Domain, recrawl::Recrawl, request::Request};

/// A frontier under test, which may answer late.
trait Subject {
    fn frontier(&mut self) -> &mut dyn Frontier;

    /// Waits until the fingerprint of this request can be asked for.
    fn look_up(&mut self, _: &Request) {}

    /// Waits for news of a domain.
    fn await_news(&mut self) {
        panic!("there are no news in memory");
    }

    /// Stores what was done since the last commit.
    fn commit(&mut self, _number: u64) {}

    /// Waits until all commits are stored.
    fn sync(&mut self) {}

    /// Ends, and holds what is stored against what it says of itself.
    fn verify(&mut self) {}

    /// Crashes and comes back; tells which commit it came back with. `None` for what cannot.
    fn crash(&mut self, _now: Instant) -> Option<u64> {
        None
    }
}

struct Memory(MemoryFrontier);

impl Subject for Memory {
    fn frontier(&mut self) -> &mut dyn Frontier {
        &mut self.0
    }
}

/// What a frontier is said to be.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<u32, Entry>,
    /// When each was last taken in.
    seen: BTreeMap<u8, Instant>,
}

#[derive(Clone)]
struct Entry {
    domain: u8,
    priority: i32,
    attempts: u32,
    until: Option<Instant>,
    lease: Option<LeaseId>,
}

impl Model {
    /// The entry that is to be lent next, if one is.
    fn first(&self, domain: u8, now: Instant) -> Option<u32> {
        let may_go = |entry: &(&u32, &Entry)| entry.1.until.is_none_or(|until| until <= now);
        self.waiting(domain)
            .filter(may_go)
            .max_by_key(|(name, entry)| (entry.priority, u32::MAX - **name))
            .map(|e| *e.0)
    }

    fn waiting(&self, domain: u8) -> impl Iterator<Item = (&u32, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| entry.domain == domain && entry.lease.is_none())
    }

    fn leased(&self) -> impl Iterator<Item = (&u32, LeaseId)> {
        self.entries.iter().filter_map(|(name, entry)| Some((name, entry.lease?)))
    }
}

#[derive(Clone, Debug)]
enum Op {
    Offer {
        domain: u8,
        page: u8,
        priority: i32,
        dont_filter: bool,
    },
    Lease {
        domain: u8,
    },
    Settle {
        which: usize,
    },
    GiveBack {
        which: usize,
        delay: Option<u8>,
        attempted: bool,
    },
    /// In so many steps of so many each, or less if nothing is left.
    Drain {
        domain: u8,
        most: usize,
        steps: usize,
    },
    Pass {
        seconds: u8,
    },
    Commit,
    Sync,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        // Many pages, and some that come again and again.
        12 => (0..3_u8, prop_oneof![0..60_u8, 0..6_u8], -1..2, any::<bool>()).prop_map(|(domain, page, priority, again)| {
            Op::Offer { domain, page, priority, dont_filter: again && page < 6 }
        }),
        10 => (0..3_u8).prop_map(|domain| Op::Lease { domain }),
        5 => (0..8_usize).prop_map(|which| Op::Settle { which }),
        4 => (0..8_usize, proptest::option::of(0..4_u8), any::<bool>())
            .prop_map(|(which, delay, attempted)| Op::GiveBack { which, delay, attempted }),
        1 => (0..3_u8, 1..8_usize, 1..20_usize).prop_map(|(domain, most, steps)| Op::Drain { domain, most, steps }),
        3 => (1..4_u8).prop_map(|seconds| Op::Pass { seconds }),
        6 => Just(Op::Commit),
        1 => Just(Op::Sync),
        2 => Just(Op::Crash),
    ]
}

/// Half of the trials visit nothing again.
fn recrawl() -> impl Strategy<Value = Recrawl> {
    proptest::option::of((0..8_u64).prop_map(Duration::from_secs))
        .prop_map(|revisit_after| Recrawl { revisit_after, seeds: false })
}

/// A frontier beside its model.
struct Trial<S> {
    subject: S,
    model: Model,
    recrawl: Recrawl,
    now: Instant,
    next: u32,
    /// The model as it was at each commit.
    commits: Vec<Model>,
    /// The last commit that is known to be stored.
    safe: u64,
    /// Offers since the last commit.
    gathered: usize,
}

/// A crawl commits long before a generation of fingerprints is full, of which the smallest frontier has eight: what is
/// not committed can be told from memory.
const MAX_GATHERED: usize = 7;

fn domain_of(number: u8) -> Domain {
    Domain::new(&format!("d{number}.org"))
}

impl<S: Subject> Trial<S> {
    fn new(subject: S, recrawl: Recrawl, now: Instant) -> Self {
        Self {
            subject,
            recrawl,
            model: Model::default(),
            now,
            next: 0,
            commits: vec![Model::default()],
            safe: 0,
            gathered: 0,
        }
    }

    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.apply(op);
            self.check_counts();
        }
        self.end();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Offer { domain, page, priority, dont_filter } => self.offer(domain, page, priority, dont_filter),
            Op::Lease { domain } => drop(self.lease(domain)),
            Op::Settle { which } => {
                if let Some((name, id)) = self.nth_lease(which) {
                    assert!(self.subject.frontier().settle(id));
                    assert!(!self.subject.frontier().settle(id), "a lease ends once");
                    self.model.entries.remove(&name);
                }
            }
            Op::GiveBack { which, delay, attempted } => {
                let Some((name, id)) = self.nth_lease(which) else { return };
                // Half a second off the steps of time, so that a millisecond more or less does not matter.
                let until = delay.map(|s| self.now + Duration::from_millis(u64::from(s) * 1_000 + 500));
                let domain = self.subject.frontier().give_back(id, until, attempted).unwrap();
                let entry = self.model.entries.get_mut(&name).unwrap();
                assert_eq!(domain, domain_of(entry.domain));
                (entry.lease, entry.until) = (None, until);
                entry.attempts += u32::from(attempted);
            }
            Op::Drain { domain, most, steps } => self.drain(domain, most, steps),
            Op::Pass { seconds } => self.now += Duration::from_secs(seconds.into()),
            Op::Commit => self.commit(),
            Op::Sync => {
                self.subject.sync();
                self.safe = self.commits.len() as u64 - 1;
            }
            Op::Crash => self.crash(),
        }
    }

    fn offer(&mut self, domain: u8, page: u8, priority: i32, dont_filter: bool) {
        if self.gathered >= MAX_GATHERED {
            self.commit();
        }
        self.gathered += 1;
        let mut request = Request::parse(&format!("http://d{domain}.org/{page}")).unwrap().priority(priority);
        request.dont_filter = dont_filter;
        request.depth = self.next;
        self.subject.look_up(&request);
        let fingerprint = request.fingerprint();
        let seen_at = self.model.seen.get(&(domain * 80 + page));
        let seen = seen_at.is_some_and(|at| self.recrawl.revisit_after.is_none_or(|after| self.now - *at <= after));
        assert_eq!(self.subject.frontier().has_seen(&fingerprint, self.now), seen, "the seen-set is exact");
        let offered = self.subject.frontier().offer(&domain_of(domain), fingerprint, request, self.now);
        if seen && !dont_filter {
            return assert_eq!(offered, Offered::AlreadySeen);
        }
        assert_eq!(offered, Offered::Queued);
        self.model.seen.insert(domain * 80 + page, self.now);
        let entry = Entry { domain, priority, attempts: 0, until: None, lease: None };
        self.model.entries.insert(self.next, entry);
        self.next += 1;
    }

    /// Leases what comes next, which has to be what the model says.
    fn lease(&mut self, domain: u8) -> Option<Leased> {
        let next = loop {
            match self.subject.frontier().lease(&domain_of(domain), self.now) {
                Next::Coming => {
                    self.commit();
                    self.subject.await_news();
                }
                next => break next,
            }
        };
        match (next, self.model.first(domain, self.now)) {
            (Next::Leased(leased), Some(name)) => {
                let entry = self.model.entries.get_mut(&name).unwrap();
                assert_eq!(leased.request.depth, name, "by priority, then by age");
                assert_eq!(leased.attempt, entry.attempts + 1);
                entry.lease = Some(leased.id);
                Some(leased)
            }
            (Next::Leased(leased), None) => panic!("nothing was to be lent, and {leased:?} was"),
            (Next::NotBefore(at), None) => {
                let soonest = self.model.waiting(domain).filter_map(|(_, entry)| entry.until).min().unwrap();
                assert!(at >= soonest && at - soonest <= Duration::from_millis(5), "{:?}", at - soonest);
                None
            }
            (Next::Empty, None) => {
                assert_eq!(self.model.waiting(domain).count(), 0, "what waits is not forgotten");
                None
            }
            (other, Some(name)) => panic!("{name} was to be lent, and the answer is {other:?}"),
            (Next::Coming, None) => unreachable!(),
        }
    }

    fn drain(&mut self, domain: u8, most: usize, steps: usize) {
        for _ in 0..steps {
            let drained = self.subject.frontier().drain(&domain_of(domain), most);
            assert!(drained.requests.len() <= most);
            for request in drained.requests {
                let entry = self.model.entries.remove(&request.depth).expect("what is drained was there, once");
                assert!(entry.lease.is_none() && entry.domain == domain);
            }
            self.check_counts();
            let waiting = self.model.waiting(domain).count();
            match drained.left {
                Left::Nothing => return assert_eq!(waiting, 0, "nothing is left"),
                Left::Here => assert!(waiting > 0),
                Left::Coming => {
                    self.commit();
                    self.subject.await_news();
                }
            }
        }
    }

    fn nth_lease(&self, which: usize) -> Option<(u32, LeaseId)> {
        self.model.leased().nth(which).map(|(name, id)| (*name, id))
    }

    fn commit(&mut self) {
        self.subject.commit(self.commits.len() as u64);
        self.commits.push(self.model.clone());
        self.gathered = 0;
    }

    fn crash(&mut self) {
        let Some(commit) = self.subject.crash(self.now) else { return };
        assert!(commit >= self.safe, "what was stored is not lost");
        self.commits.truncate(commit as usize + 1);
        self.safe = commit;
        self.model = self.commits[commit as usize].clone();
        // Nobody has anything on loan any more, and a loan that was never ended is no attempt.
        self.model.entries.values_mut().for_each(|entry| entry.lease = None);
    }

    fn check_counts(&mut self) {
        let frontier = self.subject.frontier();
        let leased = self.model.leased().count() as u64;
        assert_eq!(frontier.leased(), leased);
        assert_eq!(frontier.queued(), self.model.entries.len() as u64 - leased);
        let domains: BTreeSet<Domain> = frontier.domains().cloned().collect();
        let waiting = (0..3).filter(|domain| self.model.waiting(*domain).count() > 0).map(domain_of).collect();
        assert_eq!(domains, waiting);
        assert!((0..3).map(domain_of).all(|domain| frontier.has_waiting(&domain) == domains.contains(&domain)));
    }

    /// Every request that was taken in is leased in time; nothing else is.
    fn end(&mut self) {
        self.now += Duration::from_secs(3_600);
        while let Some((_, id)) = self.nth_lease(0) {
            self.apply(&Op::GiveBack { which: 0, delay: None, attempted: false });
            assert!(!self.subject.frontier().settle(id));
        }
        for domain in 0..3 {
            while let Some(leased) = self.lease(domain) {
                assert!(self.subject.frontier().settle(leased.id));
                self.model.entries.remove(&leased.request.depth);
            }
        }
        assert!(self.model.entries.is_empty());
        self.check_counts();
        self.commit();
        self.subject.verify();
    }
}

proptest! {
    #[test]
    fn a_frontier_in_memory_keeps_the_laws(ops in prop::collection::vec(op(), 0..200), recrawl in recrawl()) {
        let now = Instant::now();
        Trial::new(Memory(MemoryFrontier::new(recrawl.clone(), now)), recrawl, now).run(&ops);
    }
}

#[cfg(feature = "disk")]
mod on_disk {
    use std::{
        sync::{Arc, mpsc},
        time::SystemTime,
    };

    use super::*;
    use crate::frontier::{
        disk::{
            state::State,
            testing::{Tiny, crash, sync, tiny},
        },
        durable::{Durable, News, Progress, Woken},
    };

    /// A frontier with hardly any memory, in a directory that outlives it.
    struct Disk {
        dir: tempfile::TempDir,
        recrawl: Recrawl,
        frontier: Option<Tiny>,
        woken: mpsc::Receiver<()>,
        bell: Bell,
    }

    #[derive(Clone)]
    struct Bell(mpsc::Sender<()>);

    impl Woken for Bell {
        fn woken(&self) {
            let _ = self.0.send(());
        }
    }

    impl Disk {
        fn new(recrawl: Recrawl, now: Instant) -> Self {
            let (sender, woken) = mpsc::channel();
            let dir = tempfile::tempdir().unwrap();
            let mut disk = Self { dir, recrawl, frontier: None, woken, bell: Bell(sender) };
            disk.open(now);
            disk
        }

        /// Opens the directory; tells the number of the last commit in it.
        fn open(&mut self, now: Instant) -> u64 {
            let (mut frontier, resumed) = tiny(self.dir.path(), self.recrawl.clone(), now).unwrap();
            frontier.wake(Arc::new(self.bell.clone()));
            self.frontier = Some(frontier);
            resumed.progress.map_or(0, |progress| progress.items)
        }

        fn get(&mut self) -> &mut Tiny {
            self.frontier.as_mut().unwrap()
        }

        fn next_news(&mut self) -> News {
            loop {
                // Delays are told apart by seconds, and news say nothing of them.
                if let Some(news) = self.get().news(Instant::now()) {
                    return news;
                }
                self.woken.recv_timeout(Duration::from_secs(10)).expect("the store answers");
            }
        }
    }

    impl Subject for Disk {
        fn frontier(&mut self) -> &mut dyn Frontier {
            self.get()
        }

        fn look_up(&mut self, request: &Request) {
            let ticket = self.get().look_up(&mut std::iter::once(request.fingerprint()));
            while let Some(ticket) = ticket {
                if matches!(self.next_news(), News::Answered(answered) if answered == ticket) {
                    break;
                }
            }
        }

        fn await_news(&mut self) {
            let news = self.next_news();
            assert!(!matches!(news, News::Failed(_)), "{news:?}");
        }

        fn commit(&mut self, number: u64) {
            self.get().commit(Progress { items: number, ..Progress::default() }, Instant::now());
        }

        fn sync(&mut self) {
            sync(self.get());
        }

        fn verify(&mut self) {
            self.sync();
            crash(self.frontier.take().unwrap());
            let summary = State::open(self.dir.path()).unwrap().verify().unwrap();
            assert_eq!(summary.problems, Vec::<String>::new());
        }

        fn crash(&mut self, now: Instant) -> Option<u64> {
            crash(self.frontier.take().unwrap());
            while self.woken.try_recv().is_ok() {}
            Some(self.open(now))
        }
    }

    #[test]
    fn what_was_taken_in_again_is_seen_as_of_then_also_after_a_crash() {
        let recrawl = Recrawl { revisit_after: Some(Duration::from_secs(4)), seeds: false };
        for (wait, dont_filter) in [(5, false), (3, true)] {
            let offer = |dont_filter| Op::Offer { domain: 0, page: 0, priority: 0, dont_filter };
            let again =
                [offer(false), Op::Commit, Op::Pass { seconds: wait }, offer(dont_filter), Op::Commit, Op::Sync];
            let now = middle_of_a_second();
            let mut trial = Trial::new(Disk::new(recrawl.clone(), now), recrawl.clone(), now);
            trial.run(&[&again[..], &[Op::Crash, Op::Pass { seconds: 3 }, offer(false)]].concat());
            assert_eq!(trial.next, 2, "the third time it was seen");
        }
    }

    /// A page's links are looked up while other pages go on: those that were known then could be pushed out of memory
    /// before the answer for the others came, and were taken for new.
    #[test]
    fn what_was_looked_up_is_known_whatever_comes_before_the_answer() {
        let now = Instant::now();
        let mut disk = Disk::new(Recrawl::default(), now);
        let page = |page: u32| Request::parse(&format!("http://d0.org/{page}")).unwrap();
        let offer =
            |disk: &mut Disk, request: Request| disk.get().offer(&domain_of(0), request.fingerprint(), request, now);
        for known in 0..20 {
            offer(&mut disk, page(known));
        }
        disk.commit(0);
        disk.sync();
        for rounds in 1..6 {
            let known = page(20 * rounds - 8);
            let ticket =
                disk.get().look_up(&mut [page(1_000), known.clone()].iter().map(Request::fingerprint)).unwrap();
            for other in 20 * rounds..20 * (rounds + 1) {
                offer(&mut disk, page(other));
                disk.commit(0);
            }
            while !matches!(disk.next_news(), News::Answered(answered) if answered == ticket) {}
            assert!(disk.get().has_seen(&known.fingerprint(), now), "round {rounds}");
        }
    }

    /// The clocks are read anew after each crash, a little apart: a whole number of seconds from here stays one.
    fn middle_of_a_second() -> Instant {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Instant::now() + Duration::from_millis(1_500) - Duration::from_nanos(time.subsec_nanos().into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_frontier_on_disk_keeps_the_laws_also_across_crashes(
            ops in prop::collection::vec(op(), 0..150),
            recrawl in recrawl(),
        ) {
            let now = middle_of_a_second();
            Trial::new(Disk::new(recrawl.clone(), now), recrawl, now).run(&ops);
        }
    }
}
