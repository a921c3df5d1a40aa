//! NearDuplicates: the simhashes of earlier pages, and which of them a page nearly has. Knows no pages.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::HashMap;

use super::Simhash;

/// Remembers pages by their simhash, and finds the one that a new page is nearly the same as. Clones share what they
/// remember.
///
/// As [middleware](crate::middleware) it leaves such pages out, before the spider sees them. A spider that would rather
/// mark them asks itself:
///
/// ```
/// use actix_crawler::{extract::NearDuplicates, prelude::*};
///
/// struct Articles(NearDuplicates);
///
/// impl Spider for Articles {
///     type Item = (String, Option<String>);
///
///     fn parse(&self, page: &Response) -> Result<Parsed<Self::Item>> {
///         let like = page.simhash().and_then(|hash| self.0.find_or_add(hash, page.url().as_str()));
///         let mut parsed = Parsed::new().item((page.url().to_string(), like.map(|url| url.to_string())));
///         if parsed.items()[0].1.is_some() {
///             parsed.count("near_duplicate");
///         }
///         Ok(parsed)
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct NearDuplicates {
    distance: u32,
    recent: Arc<Mutex<RecentPages>>,
}

#[derive(Debug)]
struct RecentPages {
    max: usize,
    /// The number of the oldest page that is remembered.
    first: u64,
    pages: VecDeque<(Simhash, Arc<str>)>,
    /// For each block of a hash, the pages that have it there. If at most three bits of two hashes differ, one of their
    /// four blocks is the same.
    by_block: [HashMap<u16, VecDeque<u64>>; BLOCKS],
}

/// How many blocks a hash is cut into.
const BLOCKS: usize = 4;

/// The most bits that may differ: one fewer than there are blocks.
const MAX_DISTANCE: u32 = 3;

/// How many pages are remembered by default: about 150 MB with URLs of 60 bytes.
const DEFAULT_PAGES: usize = 500_000;

/// The most pages that are compared for one block of a hash; older ones are not found by that block. A million pages
/// have 15 for each; a site that makes pages with one and the same block must not make the search long.
const MAX_OF_BLOCK: usize = 1_024;

impl Default for NearDuplicates {
    fn default() -> Self {
        Self::new(DEFAULT_PAGES)
    }
}

impl NearDuplicates {
    /// Remembers the last `pages` pages, each in about 250 bytes with its URL. Hashes are near if at most three bits
    /// differ.
    pub fn new(pages: usize) -> Self {
        let recent = RecentPages { max: pages.max(1), first: 0, pages: VecDeque::new(), by_block: Default::default() };
        Self { distance: MAX_DISTANCE, recent: Arc::new(Mutex::new(recent)) }
    }

    /// Sets how many bits may differ, at most three; with 0, only the same words in the same order are the same page.
    #[must_use]
    pub fn distance(mut self, bits: u32) -> Self {
        self.distance = bits.min(MAX_DISTANCE);
        self
    }

    /// Returns the URL of an earlier page that nearly has this hash, the nearest one; else remembers this page. The
    /// page of the same URL is none: it may be read again.
    pub fn find_or_add(&self, hash: Simhash, url: &str) -> Option<Arc<str>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        match recent.nearest(hash, self.distance) {
            Some((_, earlier)) if *earlier == *url => None,
            Some((_, earlier)) => Some(earlier),
            None => {
                recent.add(hash, url.into());
                None
            }
        }
    }

    /// Returns how many pages are remembered.
    pub fn len(&self) -> usize {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).pages.len()
    }

    /// Tells whether no page is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl RecentPages {
    fn nearest(&self, hash: Simhash, distance: u32) -> Option<(u32, Arc<str>)> {
        let same_block =
            self.by_block.iter().zip(blocks(hash)).filter_map(|(pages, block)| pages.get(&block)).flatten();
        let near = same_block.filter_map(|number| {
            let (other, url) = self.pages.get(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
            Some((other.distance(hash), url)).filter(|(bits, _)| *bits <= distance)
        });
        near.min_by_key(|(bits, _)| *bits).map(|(bits, url)| (bits, url.clone()))
    }

    fn add(&mut self, hash: Simhash, url: Arc<str>) {
        if self.pages.len() >= self.max
            && let Some((oldest, _)) = self.pages.pop_front()
        {
            for (pages, block) in self.by_block.iter_mut().zip(blocks(oldest)) {
                if let Some(numbers) = pages.get_mut(&block) {
                    // Numbers rise, so the oldest is in front, unless it was pushed out before.
                    while numbers.front().is_some_and(|number| *number <= self.first) {
                        numbers.pop_front();
                    }
                    if numbers.is_empty() {
                        pages.remove(&block);
                    }
                }
            }
            self.first += 1;
        }
        let number = self.first + self.pages.len() as u64;
        for (pages, block) in self.by_block.iter_mut().zip(blocks(hash)) {
            let numbers = pages.entry(block).or_default();
            if numbers.len() >= MAX_OF_BLOCK {
                numbers.pop_front();
            }
            numbers.push_back(number);
        }
        self.pages.push_back((hash, url));
    }
}

#[allow(clippy::cast_possible_truncation, reason = "each block is its 16 bits")]
fn blocks(Simhash(hash): Simhash) -> [u16; BLOCKS] {
    [hash as u16, (hash >> 16) as u16, (hash >> 32) as u16, (hash >> 48) as u16]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_within_the_distance_is_found_and_no_other() {
        let recent = NearDuplicates::new(10_000);
        let mut random = fastrand::Rng::with_seed(1);
        let hashes: Vec<_> = (0..2_000).map(|_| Simhash(random.u64(..))).collect();
        for (number, hash) in hashes.iter().enumerate() {
            assert_eq!(recent.find_or_add(*hash, &number.to_string()), None);
        }
        for (number, hash) in hashes.iter().enumerate() {
            let changed = |bits: usize| {
                let places = fastrand::Rng::with_seed(number as u64).choose_multiple(0..64, bits);
                Simhash(places.into_iter().fold(hash.0, |hash, place| hash ^ 1 << place))
            };
            for bits in 0..=3 {
                let found = recent.find_or_add(changed(bits), "new");
                assert_eq!(found.as_deref(), Some(&*number.to_string()), "{bits} bits of {number}");
            }
            let lenient = recent.recent.lock().unwrap().nearest(changed(4), 3);
            assert_eq!(lenient, None, "four bits of {number}");
        }
        assert_eq!(recent.find_or_add(hashes[7], "7"), None, "it is the same page");
        assert!(recent.clone().distance(0).find_or_add(Simhash(hashes[7].0 ^ 1), "8").is_none());
    }

    #[test]
    fn only_the_last_pages_are_remembered_and_nothing_else_is_kept() {
        let recent = NearDuplicates::new(100);
        let mut random = fastrand::Rng::with_seed(2);
        let hashes: Vec<_> = (0..5_000).map(|_| Simhash(random.u64(..))).collect();
        for (number, hash) in hashes.iter().enumerate() {
            recent.find_or_add(*hash, &number.to_string());
        }
        assert_eq!(recent.len(), 100);
        let inside = recent.recent.lock().unwrap();
        let places: usize = inside.by_block.iter().flat_map(HashMap::values).map(VecDeque::len).sum();
        assert!(places <= BLOCKS * 100, "{places}");
        assert!(inside.nearest(hashes[0], 3).is_none() && inside.nearest(hashes[4_999], 3).is_some());
    }

    #[test]
    fn hashes_with_one_and_the_same_block_do_not_make_the_search_long() {
        let recent = NearDuplicates::new(100_000);
        for number in 0..20_000_u64 {
            // Far from each other, but for the lowest block.
            recent.find_or_add(Simhash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) << 16), &number.to_string());
        }
        let inside = recent.recent.lock().unwrap();
        assert!(inside.by_block.iter().flat_map(HashMap::values).all(|pages| pages.len() <= MAX_OF_BLOCK));
    }
}
