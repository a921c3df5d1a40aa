//! RobotsCache: the known robots files, within a memory bound. Does not know who requests the missing ones.

use std::{
    hash::Hash,
    mem::size_of,
    sync::Arc,
    time::{Duration, Instant},
};

use hashbrown::Equivalent;

use super::{Robots, RobotsFile, RobotsTxt, Unreachable, file::Packed, second_chance::SecondChance};

/// The known robots files of origins. A file that has expired or was evicted counts as missing.
///
/// Each file is kept packed, in a few hundred bytes; recently used ones are also kept as parsed rules, which take about
/// ten times as much. So the files of many origins stay known although not all of their rules fit. Pending requests for
/// files are not kept here, so they cannot be evicted.
pub struct RobotsCache<K> {
    token: Box<str>,
    known: SecondChance<K, CachedFile>,
    parsed: SecondChance<K, Arc<RobotsTxt>>,
}

struct CachedFile {
    robots: PackedRobots,
    /// When the file was fetched.
    since: Instant,
    /// When to request it again.
    until: Instant,
    /// The number of consecutive failures.
    failures: u32,
}

/// Like [`Robots`], with the file packed.
#[derive(Clone)]
enum PackedRobots {
    File(Arc<Packed>),
    AllowAll,
    DenyAll { until: Instant, failures: u32, why: Unreachable },
}

/// RFC 9309 §2.4: no file is used for longer than a day, unless it has become unreachable.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// RFC 9309 §2.3.1.4: how long a file is used while it is unreachable.
const MAX_STALE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// 24 MiB hold the packed files of about thirty thousand origins, or a hundred thousand without a file; a larger crawl
/// requests some files again. The bound is in bytes, since one hostile file can be as large as thousands of others.
const MAX_PACKED_BYTES: usize = 24 << 20;

/// 8 MiB hold the parsed rules of a thousand origins or more, as many as have pages within the same few seconds. Other
/// rules are parsed again when a page is due, which takes about ten microseconds.
const MAX_PARSED_BYTES: usize = 8 << 20;

/// The approximate size of a key's text.
const KEY: usize = 64;

impl<K: Eq + Hash + Clone> RobotsCache<K> {
    /// Creates the empty cache of a crawler whose product token is `token`.
    pub fn new(token: &str) -> Self {
        Self::holding(token, MAX_PACKED_BYTES, MAX_PARSED_BYTES)
    }

    /// Creates a cache bounded to about so many bytes of packed files and of parsed rules.
    pub(crate) fn holding(token: &str, max_packed: usize, max_parsed: usize) -> Self {
        Self { token: token.into(), known: SecondChance::new(max_packed), parsed: SecondChance::new(max_parsed) }
    }

    /// Returns the product token for which files are parsed.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns what is known of an origin; `None` if its file must be requested.
    pub fn look<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q, now: Instant) -> Option<Robots>
    where
        K: for<'a> From<&'a Q>,
    {
        let entry = self.known.get(key).filter(|entry| now < entry.until)?;
        let packed = match &entry.robots {
            PackedRobots::AllowAll => return Some(Robots::AllowAll),
            PackedRobots::DenyAll { until, failures, why } => {
                return Some(Robots::DenyAll { until: *until, failures: *failures, why: why.clone() });
            }
            PackedRobots::File(packed) => packed.clone(),
        };
        if let Some(rules) = self.parsed.get(key) {
            return Some(Robots::Rules(rules.clone()));
        }
        let rules = Arc::new(RobotsTxt::parse(&packed.text()?, &self.token));
        self.keep_parsed(K::from(key), rules.clone());
        Some(Robots::Rules(rules))
    }

    /// Stores a file fetched at `now`.
    pub fn store_file(&mut self, key: K, file: &RobotsFile, now: Instant) {
        self.keep_parsed(key.clone(), file.rules.clone());
        self.insert(key, PackedRobots::File(file.packed.clone()), now, now + LIFETIME, 0);
    }

    /// Stores that the origin has no robots file at `now`.
    pub fn store_none(&mut self, key: K, now: Instant) {
        self.insert(key, PackedRobots::AllowAll, now, now + LIFETIME, 0);
    }

    /// Records that the file was unreachable at `now`, and returns what holds now. Known rules continue to hold, for up
    /// to 30 days; without any, nothing may be fetched. In both cases the file is requested again, after a growing
    /// wait.
    pub fn failed(&mut self, key: K, why: Unreachable, now: Instant) -> Robots {
        let known = self.known.get(&key);
        let failures = known.as_ref().map_or(0, |entry| entry.failures).saturating_add(1);
        let denied = Robots::unreachable(now, failures, why);
        let Robots::DenyAll { until, failures, why } = &denied else { return denied };
        if let Some(CachedFile { robots: robots @ PackedRobots::File(packed), since, .. }) = known
            && *until <= *since + MAX_STALE
            && let Some(text) = packed.text()
        {
            let (robots, since) = (robots.clone(), *since);
            self.insert(key, robots, since, *until, *failures);
            return Robots::Rules(Arc::new(RobotsTxt::parse(&text, &self.token)));
        }
        let kept = PackedRobots::DenyAll { until: *until, failures: *failures, why: why.clone() };
        self.insert(key, kept, now, *until, *failures);
        denied
    }

    fn insert(&mut self, key: K, robots: PackedRobots, since: Instant, until: Instant, failures: u32) {
        let weight = KEY + SecondChance::<K, CachedFile>::OVERHEAD + robots.weight();
        self.known.insert(key, CachedFile { robots, since, until, failures }, weight);
    }

    fn keep_parsed(&mut self, key: K, rules: Arc<RobotsTxt>) {
        let weight = SecondChance::<K, Arc<RobotsTxt>>::OVERHEAD + rules.weight();
        self.parsed.insert(key, rules, weight);
    }
}

impl PackedRobots {
    /// The approximate heap size.
    fn weight(&self) -> usize {
        match self {
            Self::File(packed) => packed.weight(),
            Self::AllowAll => 0,
            Self::DenyAll { why, .. } => why.detail.len() + 2 * size_of::<usize>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn file() -> RobotsFile {
        RobotsFile::read(b"User-agent: *\nDisallow: /", "bot")
    }

    fn cache() -> RobotsCache<String> {
        RobotsCache::new("bot")
    }

    fn down() -> Unreachable {
        Unreachable::soon("connect", "refused")
    }

    #[test]
    fn a_file_lives_for_a_day() {
        let now = Instant::now();
        let mut cache = cache();
        cache.store_file("a".into(), &file(), now);
        cache.store_none("b".into(), now);
        for key in ["a", "b"] {
            assert!(cache.look(key, now + 23 * HOUR).is_some());
            assert!(cache.look(key, now + 24 * HOUR).is_none());
        }
    }

    #[test]
    fn a_file_that_cannot_be_had_is_asked_for_again_after_a_wait_that_grows() {
        let mut now = Instant::now();
        let mut cache = cache();
        for (nth, wait) in [(1, 1), (2, 2), (3, 4)] {
            cache.failed("a".into(), down(), now);
            let Some(Robots::DenyAll { until, failures, .. }) = cache.look("a", now) else { panic!("denied") };
            assert_eq!((failures, until), (nth, now + Duration::from_secs(wait)));
            now = until;
            assert!(cache.look("a", now).is_none());
        }
        cache.store_none("a".into(), now);
        cache.failed("a".into(), down(), now);
        assert!(
            matches!(cache.look("a", now), Some(Robots::DenyAll { failures: 1, .. })),
            "an answer begins anew, and a file that was not there is none to go by"
        );
    }

    #[test]
    fn known_rules_hold_while_the_file_cannot_be_had_but_not_for_ever() {
        let start = Instant::now();
        let mut cache = cache();
        cache.store_file("a".into(), &file(), start);
        let mut now = start + 24 * HOUR;
        while now < start + 29 * 24 * HOUR {
            assert!(cache.look("a", now).is_none(), "it is asked for again");
            cache.failed("a".into(), down(), now);
            assert!(matches!(cache.look("a", now), Some(Robots::Rules(_))));
            now += HOUR;
        }
        cache.failed("a".into(), down(), start + 30 * 24 * HOUR);
        assert!(matches!(cache.look("a", start + 30 * 24 * HOUR), Some(Robots::DenyAll { .. })));
    }

    #[test]
    fn one_hostile_file_costs_others_their_place_but_no_more_than_the_bound() {
        let now = Instant::now();
        let mut cache = cache();
        let mut text = b"User-agent: *\n".to_vec();
        for n in 0..60_000_u32 {
            // Incompressible content.
            text.extend(format!("allow:/{:x}\n", xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes())).bytes());
        }
        let file = RobotsFile::read(&text, "bot");
        for key in 0..200 {
            cache.store_file(format!("{key}"), &file, now);
        }
        assert!(
            cache.known.weight() <= MAX_PACKED_BYTES
                && cache.parsed.weight() <= MAX_PARSED_BYTES.max(file.rules.weight())
        );
        assert!((20..200).contains(&cache.known.len()), "{}", cache.known.len());
        assert!(cache.look("199", now).is_some());
    }

    /// Regression: of twenty thousand files of 1.4 KB only some four thousand were known at a time.
    #[test]
    fn typical_files_of_twenty_thousand_origins_stay_known_and_say_the_same_when_their_rules_had_to_go() {
        let now = Instant::now();
        let mut cache = cache();
        let text = |n: u32| {
            let lines = (0..40).map(|line| format!("Disallow: /{:x}/private-{line}/\n", n.wrapping_mul(2_654_435_761)));
            format!("User-agent: *\n{}", lines.collect::<String>())
        };
        for n in 0..20_000_u32 {
            cache.store_file(format!("https://www.{n}.example.org"), &RobotsFile::read(text(n).as_bytes(), "bot"), now);
        }
        assert!(cache.parsed.len() < 10_000);
        for n in 0..20_000_u32 {
            let Some(Robots::Rules(rules)) = cache.look(&*format!("https://www.{n}.example.org"), now) else {
                panic!("{n} is not known");
            };
            let page = format!("https://e.org/{:x}/private-7/", n.wrapping_mul(2_654_435_761));
            assert!(!rules.decide(&page.parse().unwrap()).is_allowed());
        }
    }
}
