//! RobotsCache: the robots files that are known, within a bound of memory. Knows not who asks for those that are not.

use std::{
    collections::VecDeque,
    hash::Hash,
    mem::size_of,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::{Equivalent, HashMap};

use super::{Robots, Unreachable};

/// What is known of origins' robots files. One that has expired, or had to go for want of room, counts as missing.
///
/// What is being asked for is not here but with who asks, so it can never be thrown out.
pub struct RobotsCache<K> {
    entries: HashMap<K, Entry>,
    /// Every key once. The one in front goes next, unless it was looked at since it last was there.
    clock: VecDeque<K>,
    weight: usize,
    most: usize,
}

struct Entry {
    robots: Robots,
    /// When the file was had.
    since: Instant,
    /// When to ask for it again.
    until: Instant,
    /// How often in a row that failed.
    failures: u32,
    weight: usize,
    was_used: bool,
}

/// RFC 9309 §2.4: no file is used for longer than a day, unless it cannot be had again.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// RFC 9309 §2.3.1.4: for how long a file that was had once serves while it cannot be had again.
const LONGEST_STALE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// 32 MiB hold the rules of some ten thousand origins, or a hundred thousand that have none; a crawl that has more of
/// them at once asks some of them for their file again. Bytes are counted since a hostile file can take as many as
/// thousands of others.
const MAX_BYTES: usize = 32 << 20;

impl<K> Default for RobotsCache<K> {
    fn default() -> Self {
        Self::holding(MAX_BYTES)
    }
}

impl<K> RobotsCache<K> {
    /// Creates an empty cache that holds about `most` bytes.
    fn holding(most: usize) -> Self {
        Self { entries: HashMap::new(), clock: VecDeque::new(), weight: 0, most }
    }
}

impl<K: Eq + Hash + Clone> RobotsCache<K> {
    /// Returns what is known; `None` where the file is to be asked for.
    pub fn look<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q, now: Instant) -> Option<&Robots> {
        let entry = self.entries.get_mut(key).filter(|entry| now < entry.until)?;
        entry.was_used = true;
        Some(&entry.robots)
    }

    /// Keeps an answer that came at `now`.
    pub fn store(&mut self, key: K, robots: Robots, now: Instant) {
        let (until, failures) = match &robots {
            Robots::DenyAll { until, failures, .. } => (*until, *failures),
            Robots::Rules(_) | Robots::AllowAll => (now + LIFETIME, 0),
        };
        self.insert(key, robots, now, until, failures);
    }

    /// Notes that the file could not be had at `now`. Rules that are known go on to hold, up to 30 days long; where
    /// there are none nothing may be fetched. Either way it is to be asked for again, after a wait that grows.
    pub fn failed(&mut self, key: K, why: Unreachable, now: Instant) {
        let known = self.entries.get(&key);
        let failures = known.map_or(0, |entry| entry.failures).saturating_add(1);
        let denied = Robots::unreachable(now, failures, why);
        match (known, &denied) {
            (Some(Entry { robots: robots @ Robots::Rules(_), since, .. }), Robots::DenyAll { until, .. })
                if *until <= *since + LONGEST_STALE =>
            {
                let (robots, since) = (robots.clone(), *since);
                self.insert(key, robots, since, *until, failures);
            }
            _ => self.store(key, denied, now),
        }
    }

    fn insert(&mut self, key: K, robots: Robots, since: Instant, until: Instant, failures: u32) {
        let weight = weight(&robots) + 2 * size_of::<K>() + size_of::<Entry>();
        let entry = Entry { robots, since, until, failures, weight, was_used: false };
        self.weight += weight;
        match self.entries.insert(key.clone(), entry) {
            Some(old) => self.weight -= old.weight,
            None => self.clock.push_back(key),
        }
        self.make_room();
    }

    /// Throws out what was not looked at for longest, roughly (the clock algorithm): what was looked at goes round
    /// once more.
    fn make_room(&mut self) {
        while self.weight > self.most && self.clock.len() > 1 {
            let Some(key) = self.clock.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.was_used => {
                    entry.was_used = false;
                    self.clock.push_back(key);
                }
                _ => {
                    if let Some(gone) = self.entries.remove(&key) {
                        self.weight -= gone.weight;
                    }
                }
            }
        }
    }
}

/// About how many bytes an entry takes, with its key's text.
fn weight(robots: &Robots) -> usize {
    const KEY: usize = 64;
    KEY + match robots {
        Robots::Rules(rules) => rules.weight(),
        Robots::AllowAll => 0,
        Robots::DenyAll { why: Unreachable { detail, .. }, .. } => size_of_arc(detail),
    }
}

fn size_of_arc(text: &Arc<str>) -> usize {
    text.len() + 2 * size_of::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::robots::RobotsTxt;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn rules() -> Robots {
        Robots::Rules(Arc::new(RobotsTxt::parse(b"User-agent: *\nDisallow: /", "bot")))
    }

    fn down() -> Unreachable {
        Unreachable::soon("connect", "refused")
    }

    #[test]
    fn a_file_lives_for_a_day() {
        let now = Instant::now();
        let mut cache = RobotsCache::default();
        cache.store("a", rules(), now);
        cache.store("b", Robots::AllowAll, now);
        for key in ["a", "b"] {
            assert!(cache.look(key, now + 23 * HOUR).is_some());
            assert!(cache.look(key, now + 24 * HOUR).is_none());
        }
    }

    #[test]
    fn a_file_that_cannot_be_had_is_asked_for_again_after_a_wait_that_grows() {
        let mut now = Instant::now();
        let mut cache = RobotsCache::default();
        for (nth, wait) in [(1, 1), (2, 2), (3, 4)] {
            cache.failed("a", down(), now);
            let Some(Robots::DenyAll { until, failures, .. }) = cache.look("a", now) else { panic!("denied") };
            assert_eq!((*failures, *until), (nth, now + Duration::from_secs(wait)));
            now = *until;
            assert!(cache.look("a", now).is_none());
        }
        cache.store("a", Robots::AllowAll, now);
        cache.failed("a", down(), now);
        assert!(
            matches!(cache.look("a", now), Some(Robots::DenyAll { failures: 1, .. })),
            "an answer begins anew, and a file that was not there is none to go by"
        );
    }

    #[test]
    fn known_rules_hold_while_the_file_cannot_be_had_but_not_for_ever() {
        let start = Instant::now();
        let mut cache = RobotsCache::default();
        cache.store("a", rules(), start);
        let mut now = start + 24 * HOUR;
        while now < start + 29 * 24 * HOUR {
            assert!(cache.look("a", now).is_none(), "it is asked for again");
            cache.failed("a", down(), now);
            assert!(matches!(cache.look("a", now), Some(Robots::Rules(_))));
            now += HOUR;
        }
        cache.failed("a", down(), start + 30 * 24 * HOUR);
        assert!(matches!(cache.look("a", start + 30 * 24 * HOUR), Some(Robots::DenyAll { .. })));
    }

    #[test]
    fn what_is_looked_at_stays_when_room_is_short() {
        let now = Instant::now();
        let mut cache =
            RobotsCache::holding(100 * (weight(&Robots::AllowAll) + 2 * size_of::<u32>() + size_of::<Entry>()));
        for key in 0..1_000_u32 {
            cache.store(key, Robots::AllowAll, now);
            assert!(cache.look(&0, now).is_some(), "after {key}");
        }
        assert_eq!(cache.entries.len(), 100);
        assert!(cache.look(&999, now).is_some());
        assert!(cache.look(&1, now).is_none());
    }

    #[test]
    fn one_hostile_file_costs_others_their_place_but_no_more_than_the_bound() {
        let now = Instant::now();
        let mut cache = RobotsCache::default();
        let mut file = b"User-agent: *\n".to_vec();
        for n in 0..60_000_u32 {
            file.extend(format!("allow:/{n:x}\n").bytes());
        }
        let robots = Robots::from_status(200, &file, "bot", now);
        for key in 0..60_u32 {
            cache.store(key, robots.clone(), now);
        }
        assert!(cache.weight <= MAX_BYTES);
        assert!((2..60).contains(&cache.entries.len()), "{}", cache.entries.len());
        assert!(cache.look(&59, now).is_some());
    }

    proptest! {
        #[test]
        fn the_accounts_are_right_whatever_happens(steps in proptest::collection::vec((0..8_u8, 0..4_u8), 0..100)) {
            let now = Instant::now();
            let mut cache = RobotsCache::holding(2_000);
            for (key, what) in steps {
                match what {
                    0 => cache.store(key, rules(), now),
                    1 => cache.store(key, Robots::AllowAll, now),
                    2 => cache.failed(key, down(), now),
                    _ => drop(cache.look(&key, now).cloned()),
                }
                prop_assert_eq!(cache.weight, cache.entries.values().map(|entry| entry.weight).sum::<usize>());
                prop_assert_eq!(cache.clock.len(), cache.entries.len());
                prop_assert!(cache.weight <= cache.most || cache.entries.len() == 1);
            }
        }
    }
}
