//! Calculates how a crawl of 1 billion URLs behaves on 100 nodes: nobody has them here, so time is virtual, and the
//! rules are the real ones: the files of the term, of silence and of shares are those of the crate. Clocks run up to
//! ten percent fast or slow, nodes join, end, are killed, hang and lose their database.
//!
//! You will see that no part is taken from an owner that may still ask, how long takeovers take, how many domains rest,
//! and what the database has to do. The same seed gives the same figures. Run:
//! `cargo run --release --features cluster --example cluster_paper [HOURS [SEED]]`

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "an example prints figures"
)]

#[allow(dead_code, unused_imports, reason = "the crate uses more of it")]
#[path = "../src/term/mod.rs"]
mod term;

#[allow(dead_code, reason = "the crate uses more of it")]
#[path = "../src/frontier/stores/postgres/shares.rs"]
mod shares;

/// Where `shares` finds parts.
mod frontier {
    pub use actix_crawler::frontier::part;
}

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, Instant},
};

use actix_crawler::frontier::part::{Part, PartSet};
use term::{HeartbeatWatch, Term, TermLength};

const NODES: usize = 100;
const LENGTH: TermLength = TermLength::new(Duration::from_secs(10));
const MS: Duration = Duration::from_millis(1);

/// What is assumed: of the crawl, and of what was measured of the database at 5 million rows and 8 nodes
/// (docs/FRONTIER.md).
const URLS: f64 = 1e9;
const DOMAINS: f64 = 1e7;
const PAGES_A_SECOND: f64 = 100.0;
const SEEN_BYTES: f64 = 94.0;
const QUEUE_BYTES: f64 = 238.0;
const WAL_BYTES_A_PAGE: f64 = 776.0;
const CPU_A_PAGE: [f64; 2] = [45e-6, 158e-6];

/// A process with a clock of its own.
struct Node {
    session: i64,
    percent: i64,
    begun: Instant,
    term: Term,
    /// When the last renewal that came was asked for, by its clock.
    renewed: Instant,
    silences: BTreeMap<i64, HeartbeatWatch>,
    /// What it knows to be its own.
    held: PartSet,
    /// What it gives away, and when nothing is in flight there any more.
    leaving: BTreeMap<u16, Duration>,
    is_alive: bool,
    has_left: bool,
    /// What had changed of nodes and parts when it last looked.
    seen: u64,
    /// Until when it hangs, or its database does not answer.
    hangs_until: Duration,
    cut_until: Duration,
}

/// The row of a node.
struct Row {
    beat: i64,
    is_live: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A node asks for a renewal, looks at the others and at the parts.
    Turn(usize),
    /// The database has renewed the term of a node, which asked at this time.
    Renewed(usize, Duration),
    /// The answer has come.
    Answered(usize, Duration),
    /// The system's timer.
    Timer(usize, Duration),
    /// Nothing is in flight in the part any more.
    Quiet(usize, u16),
    Fault,
    Sample,
}

#[derive(Default)]
struct Figures {
    takeovers: Vec<Duration>,
    moves: Vec<Duration>,
    moved: usize,
    early: usize,
    /// How many parts nobody asks, sampled each second.
    resting: Vec<usize>,
    /// How long a write was still possible before another took the part: the least.
    closest: Option<Duration>,
    faults: BTreeMap<&'static str, usize>,
    looks: u64,
}

struct World {
    now: Duration,
    end: Duration,
    random: fastrand::Rng,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    number: u64,
    origin: Instant,
    nodes: Vec<Node>,
    rows: BTreeMap<i64, (usize, Row)>,
    /// Whose each part is, and since when nobody asks there.
    parts: Vec<(Option<i64>, Option<Duration>)>,
    /// To whom each part falls, of the live nodes.
    falls: Vec<Option<i64>>,
    /// Counts the changes of nodes and parts.
    changes: u64,
    figures: Figures,
}

impl Node {
    fn at(&self, now: Duration) -> Instant {
        self.begun + now * u32::try_from(100 + self.percent).unwrap_or(100) / 100
    }

    /// How long a time of its clock is.
    fn long(&self, time: Duration) -> Duration {
        time * 100 / u32::try_from(100 + self.percent).unwrap_or(100)
    }

    fn hangs(&self, now: Duration) -> bool {
        now < self.hangs_until
    }

    fn asks(&self, part: Part, now: Duration) -> bool {
        let may_ask = self.is_alive && !self.hangs(now) && self.term.check(self.at(now)).is_ok();
        may_ask && self.held.contains(part) && !self.leaving.contains_key(&part.number())
    }
}

impl World {
    fn new(seed: u64, hours: u32) -> Self {
        let (parts, falls) = (vec![(None, None); Part::COUNT.into()], vec![None; Part::COUNT.into()]);
        let mut world = Self {
            now: Duration::ZERO,
            end: Duration::from_secs(3_600) * hours,
            random: fastrand::Rng::with_seed(seed),
            events: BinaryHeap::new(),
            number: 0,
            origin: Instant::now(),
            nodes: Vec::new(),
            rows: BTreeMap::new(),
            parts,
            falls,
            changes: 1,
            figures: Figures::default(),
        };
        (0..NODES).for_each(|_| world.join());
        // The first parts belong to nobody yet: that is no takeover.
        world.after(Duration::from_secs(300), Event::Fault);
        world.after(Duration::from_secs(60), Event::Sample);
        world
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.number += 1;
        self.events.push(Reverse((self.now + wait, self.number, event)));
    }

    /// Half of the answers take less than five milliseconds, and one in a hundred sixty.
    fn latency(&mut self) -> Duration {
        let slow = self.random.u32(0..100);
        MS * if slow == 0 { self.random.u32(20..60) } else { self.random.u32(1..10) }
    }

    fn join(&mut self) {
        let (session, node) = (self.random.i64(..), self.nodes.len());
        // Their zeros differ by days.
        let begun = self.origin + Duration::from_secs(86_400) * self.random.u32(1..100);
        let percent = self.random.i64(-10..=10);
        let term = Term::boundless(begun);
        let bound = term.bind();
        assert!(bound.is_ok());
        self.nodes.push(Node {
            session,
            percent,
            begun,
            term,
            renewed: begun,
            silences: BTreeMap::new(),
            held: PartSet::default(),
            leaving: BTreeMap::new(),
            is_alive: true,
            has_left: false,
            seen: 0,
            hangs_until: Duration::ZERO,
            cut_until: Duration::ZERO,
        });
        self.rows.insert(session, (node, Row { beat: 0, is_live: true }));
        self.nodes[node].renewed = self.nodes[node].at(self.now);
        self.set_shares();
        let wait = MS * self.random.u32(0..2_000);
        self.after(wait, Event::Turn(node));
    }

    fn set_shares(&mut self) {
        let live: Vec<i64> =
            self.rows.iter().filter(|(_, (_, row))| row.is_live).map(|(session, _)| *session).collect();
        self.changes += 1;
        self.falls = Part::all().map(|part| shares::owner_of(part, &live)).collect();
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > self.end {
                return;
            }
            self.now = at;
            match event {
                Event::Turn(node) => self.turn(node),
                Event::Renewed(node, asked) => self.renewed(node, asked),
                Event::Answered(node, asked) => self.answered(node, asked),
                Event::Timer(node, asked) => {
                    let of = &self.nodes[node];
                    if of.is_alive && of.renewed == of.at(asked) {
                        self.ends(node);
                    }
                }
                Event::Quiet(node, part) => self.quiet(node, part),
                Event::Fault => self.fault(),
                Event::Sample => {
                    // Nobody but its owner asks there.
                    let owner = |part: Part| self.rows.get(&self.parts[usize::from(part.number())].0?);
                    let asks = |part: Part, node: usize| self.nodes[node].asks(part, self.now);
                    let asked = Part::all().filter(|part| owner(*part).is_some_and(|(node, _)| asks(*part, *node)));
                    let resting = usize::from(Part::COUNT) - asked.count();
                    self.figures.resting.push(resting);
                    self.after(Duration::from_secs(1), Event::Sample);
                }
            }
        }
    }

    fn ends(&mut self, node: usize) {
        let (now, of) = (self.now, &mut self.nodes[node]);
        of.is_alive = false;
        for part in of.held.iter() {
            self.parts[usize::from(part.number())].1.get_or_insert(now);
        }
    }

    fn turn(&mut self, node: usize) {
        let (now, of) = (self.now, &self.nodes[node]);
        if !of.is_alive {
            return;
        }
        if of.hangs(now) {
            let wait = of.hangs_until - now;
            return self.after(wait, Event::Turn(node));
        }
        if of.term.is_bound() && of.at(now) >= of.renewed + LENGTH.open() {
            // It gives up by itself.
            return self.ends(node);
        }
        let wait = of.long(LENGTH.renewal());
        self.after(wait, Event::Turn(node));
        if self.nodes[node].cut_until <= now {
            let latency = self.latency();
            self.after(latency, Event::Renewed(node, now));
            self.look_after_others(node);
            self.look(node);
        }
    }

    fn renewed(&mut self, node: usize, asked: Duration) {
        let session = self.nodes[node].session;
        let is_live = self.rows.get(&session).is_some_and(|(_, row)| row.is_live);
        if !is_live {
            if self.nodes[node].is_alive && !self.nodes[node].hangs(self.now) {
                self.ends(node);
            }
            return;
        }
        if let Some((_, row)) = self.rows.get_mut(&session) {
            row.beat += 1;
        }
        let latency = self.latency();
        self.after(latency, Event::Answered(node, asked));
    }

    fn answered(&mut self, node: usize, asked: Duration) {
        let now = self.now;
        let of = &mut self.nodes[node];
        if !of.is_alive {
            return;
        }
        if of.hangs(now) {
            // It reads the answer when it goes on.
            let wait = of.hangs_until - now;
            return self.after(wait, Event::Answered(node, asked));
        }
        let asked_by_it = of.at(asked);
        of.term.renew(asked_by_it, LENGTH);
        of.renewed = asked_by_it;
        let fires = (asked + of.long(LENGTH.end())).saturating_sub(now);
        self.after(fires, Event::Timer(node, asked));
    }

    fn look_after_others(&mut self, node: usize) {
        let now = self.nodes[node].at(self.now);
        let me = self.nodes[node].session;
        let others = self.rows.iter().filter(|(session, (_, row))| row.is_live && **session != me);
        let others: Vec<_> = others.map(|(session, (_, row))| (*session, row.beat)).collect();
        let silences = &mut self.nodes[node].silences;
        silences.retain(|session, _| others.binary_search_by_key(session, |(other, _)| *other).is_ok());
        let mut is_dead = |session: i64, beat: i64| {
            let silence = silences.entry(session).or_insert_with(|| HeartbeatWatch::new(beat, now));
            silence.note(beat, now);
            silence.is_death(now, LENGTH)
        };
        let dead: Vec<_> = others.into_iter().filter(|(session, beat)| is_dead(*session, *beat)).collect();
        for (session, _) in &dead {
            if let Some((_, row)) = self.rows.get_mut(session) {
                row.is_live = false;
            }
        }
        if !dead.is_empty() {
            self.set_shares();
        }
    }

    fn look(&mut self, node: usize) {
        self.figures.looks += 1;
        let (me, now) = (self.nodes[node].session, self.now);
        let is_live = self.rows.get(&me).is_some_and(|(_, row)| row.is_live);
        if !is_live || self.nodes[node].seen == self.changes {
            return;
        }
        self.nodes[node].seen = self.changes;
        for part in Part::all() {
            let index = usize::from(part.number());
            let (owner, falls) = (self.parts[index].0, self.falls[index]);
            let is_free = owner.is_none_or(|owner| !self.rows.get(&owner).is_some_and(|(_, row)| row.is_live));
            if falls == Some(me) && is_free {
                self.take(node, part);
            }
            if owner == Some(me) && falls == Some(me) {
                self.nodes[node].leaving.remove(&part.number());
            }
            if owner == Some(me) && falls != Some(me) && !self.nodes[node].leaving.contains_key(&part.number()) {
                // What is in flight there ends.
                let quiet = MS * self.random.u32(0..3_000);
                self.nodes[node].leaving.insert(part.number(), now + quiet);
                self.parts[index].1 = Some(now);
                self.after(quiet, Event::Quiet(node, part.number()));
            }
        }
    }

    fn quiet(&mut self, node: usize, number: u16) {
        let Some(part) = Part::numbered(number) else { return };
        let (now, of) = (self.now, &mut self.nodes[node]);
        if !of.is_alive || of.leaving.get(&number).is_none_or(|at| *at > now) {
            return;
        }
        if of.hangs(now) || of.cut_until > now {
            let wait = of.hangs_until.max(of.cut_until) - now;
            of.leaving.insert(number, now + wait);
            return self.after(wait, Event::Quiet(node, number));
        }
        // The commit begins with its row.
        let is_live = self.rows.get(&of.session).is_some_and(|(_, row)| row.is_live);
        of.leaving.remove(&number);
        if is_live {
            of.held = of.held.without(&PartSet::from_iter([part]));
            self.parts[usize::from(number)].0 = None;
            self.changes += 1;
        }
    }

    /// A node takes a part that belongs to nobody who lives.
    fn take(&mut self, node: usize, part: Part) {
        let index = usize::from(part.number());
        let (owner, since) = std::mem::take(&mut self.parts[index]);
        let former = owner.and_then(|owner| self.rows.get(&owner)).map(|(former, _)| &self.nodes[*former]);
        if let Some(former) = former.filter(|former| !former.has_left) {
            // Until then a process that was stopped before a write may still do it.
            let ends = former.renewed + LENGTH.end();
            let now = former.at(self.now);
            if former.is_alive && now < ends {
                self.figures.early += 1;
            }
            let spare = now.saturating_duration_since(ends);
            self.figures.closest = Some(self.figures.closest.map_or(spare, |least| least.min(spare)));
        }
        if let Some(since) = since.filter(|_| self.now > Duration::from_secs(60)) {
            let took = self.now - since;
            if owner.is_some() {
                self.figures.takeovers.push(took)
            } else {
                self.figures.moves.push(took)
            }
            self.figures.moved += 1;
        }
        self.changes += 1;
        self.parts[index] = (Some(self.nodes[node].session), None);
        self.nodes[node].held.insert(part);
    }

    /// Something happens to a node, each few minutes; there are about as many nodes as before.
    fn fault(&mut self) {
        let wait = Duration::from_secs(self.random.u64(20..220));
        self.after(wait, Event::Fault);
        let now = self.now;
        let alive: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_alive).collect();
        let node = alive[self.random.usize(..alive.len())];
        let share = LENGTH.end() * self.random.u32(1..300) / 100;
        let what = match self.random.u8(0..5) {
            0 => {
                self.ends(node);
                "kill -9"
            }
            1 => {
                self.hang(node, share);
                "hangs"
            }
            2 => {
                self.nodes[node].cut_until = now + share;
                "cut off from the database"
            }
            3 => {
                self.ends(node);
                self.nodes[node].has_left = true;
                let session = self.nodes[node].session;
                if let Some((_, row)) = self.rows.get_mut(&session) {
                    row.is_live = false;
                }
                self.set_shares();
                "ends in order"
            }
            4 if alive.len() > NODES + 5 => {
                self.hang(node, MS * 3_000);
                "hangs for 3 s"
            }
            _ => {
                self.join();
                "joins"
            }
        };
        *self.figures.faults.entry(what).or_default() += 1;
        while self.nodes.iter().filter(|node| node.is_alive).count() < NODES {
            self.join();
        }
    }

    fn hang(&mut self, node: usize, long: Duration) {
        let now = self.now;
        self.nodes[node].hangs_until = now + long;
        for part in self.nodes[node].held.iter() {
            if long > LENGTH.end() {
                self.parts[usize::from(part.number())].1 = Some(now);
            }
        }
    }
}

/// The median, the 95th percentile and the most.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    format!("{:.1} s, {:.1} s, {:.1} s", seconds(at(50)), seconds(at(95)), seconds(at(100)))
}

/// Commits of a node that gathers pages for 100 ms where there are 25, and else for 250 ms: commits a second, and pages
/// in each.
fn commits(random: &mut fastrand::Rng) -> (f64, f64) {
    let (mut commits, mut pages, mut waiting, mut since) = (0_u32, 0_u32, 0_u32, 0_u32);
    let seconds = 600;
    for _ in 0..seconds * 1_000 {
        let arrives = random.f64() < PAGES_A_SECOND / 1_000.0;
        (waiting, pages, since) = (waiting + u32::from(arrives), pages + u32::from(arrives), since + 1);
        if since >= if waiting >= 25 { 100 } else { 250 } && waiting > 0 {
            (commits, waiting, since) = (commits + 1, 0, 0);
        }
    }
    (f64::from(commits) / f64::from(seconds), f64::from(pages) / f64::from(commits.max(1)))
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|number| number.parse().ok());
    let (hours, seed) = (arguments.next().unwrap_or(6), arguments.next().unwrap_or(7));
    let mut world = World::new(seed.into(), hours);
    world.run();
    let Figures { mut takeovers, mut moves, moved, early, resting, closest, faults, looks } = world.figures;
    println!("{NODES} nodes, {} parts, clocks up to 10 % wrong, {hours} h of virtual time, seed {seed}", Part::COUNT);
    println!("faults: {faults:?}");
    println!("parts taken while their owner could still write: {early}; the least time in between: {closest:?}");
    println!("a part that is taken over rests (median, 95 %, most): {}", spread(&mut takeovers));
    println!("a part that is given away rests:                       {}", spread(&mut moves));
    let mean = resting.iter().sum::<usize>() as f64 / resting.len().max(1) as f64;
    let most = resting.iter().max().copied().unwrap_or(0);
    let percent = |parts: f64| 100.0 * parts / f64::from(Part::COUNT);
    println!(
        "domains that nobody asks: {:.3} % on average, {:.1} % at the most; {moved} parts moved",
        percent(mean),
        percent(most as f64)
    );
    let (a_second, pages) = commits(&mut fastrand::Rng::with_seed(seed.into()));
    let nodes = NODES as f64;
    let looks = looks as f64 / (f64::from(hours) * 3_600.0);
    println!(
        "commits: {:.0} a second of {pages:.0} pages each; looks at nodes and parts: {looks:.0} a second",
        nodes * a_second
    );
    println!("looks at the inbox: {:.0} a second, renewals: {:.0}", nodes * 4.0, nodes / 2.0);
    let all = nodes * PAGES_A_SECOND;
    let [least, most] = CPU_A_PAGE.map(|seconds| seconds * all);
    println!(
        "{all:.0} pages a second: {:.0} h for all; the database needs {least:.1} to {most:.1} cores for them",
        URLS / all / 3_600.0
    );
    let giga = |bytes: f64| bytes / 1e9;
    println!(
        "seen {:.0} GB, queue {:.0} GB if half of all wait at a time, WAL {:.1} TB in all, {:.0} MB a second",
        giga(URLS * SEEN_BYTES),
        giga(URLS / 2.0 * QUEUE_BYTES),
        giga(URLS * WAL_BYTES_A_PAGE) / 1e3,
        all * WAL_BYTES_A_PAGE / 1e6
    );
    println!(
        "a part has {:.0} domains and {:.0} URLs, a node {:.0} parts",
        DOMAINS / 1_024.0,
        URLS / 1_024.0,
        1_024.0 / nodes
    );
    assert_eq!(early, 0, "no part is taken from an owner that may still ask");
}
