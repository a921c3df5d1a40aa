//! Simhash: a fingerprint of a text that similar texts nearly share (Charikar, STOC 2002; for web pages: Manku, Jain
//! and Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007). Knows no markup and no other texts.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// 64 bits that similar texts nearly share: of two pages that differ in a date or a counter, a few bits differ; of two
/// unrelated ones, about half. Manku et al. take up to three differing bits for the same page, among eight thousand
/// million.
///
/// It is made of shingles, each of three words in a row, in lower case; in scripts without spaces each character is a
/// word. A text of fewer than some fifty words changes much with a single one.
///
/// ```
/// use actix_crawler::extract::Simhash;
///
/// let story = "Once upon a time there was a crawler that asked politely for each page. ".repeat(9);
/// let [morning, evening] = ["08:15", "21:40"].map(|time| Simhash::of(&format!("{story} Printed at {time}")).unwrap());
/// assert!(morning.distance(evening) <= 8);
/// let other = Simhash::of("A quite different text about the weather on the coast, its tides and its birds").unwrap();
/// assert!(morning.distance(other) > 16);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Simhash(pub u64);

/// Words in a shingle. Single words would not see their order; with three, a changed word changes three shingles.
const SHINGLE: usize = 3;

impl Simhash {
    /// Returns the simhash of a text; `None` if it has no words.
    pub fn of(text: &str) -> Option<Self> {
        let mut tally = [0_i32; 64];
        let mut last = [0_u64; SHINGLE];
        let mut words = 0_usize;
        for_each_word(text, |word| {
            last.rotate_left(1);
            last[SHINGLE - 1] = word;
            words += 1;
            if words >= SHINGLE {
                add(&mut tally, shingle(last));
            }
        });
        if words == 0 {
            return None;
        }
        if words < SHINGLE {
            add(&mut tally, shingle(last));
        }
        let bits = tally.iter().enumerate().filter(|(_, sum)| **sum > 0);
        Some(Self(bits.fold(0, |bits, (place, _)| bits | 1 << place)))
    }

    /// Returns the number of bits that differ, 0 to 64.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// Formats it as 16 hexadecimal digits.
impl fmt::Display for Simhash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Simhash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simhash({self})")
    }
}

/// As text, since not all readers of JSON keep 64 bits.
impl Serialize for Simhash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Simhash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

fn add(tally: &mut [i32; 64], hash: u64) {
    for (place, sum) in tally.iter_mut().enumerate() {
        // 1 or -1; a page has far fewer words than 2^31.
        *sum += i32::from(hash >> place & 1 == 1) * 2 - 1;
    }
}

fn shingle(words: [u64; SHINGLE]) -> u64 {
    let mut bytes = [0; SHINGLE * 8];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// Calls `take` with the hash of each word.
fn for_each_word(text: &str, mut take: impl FnMut(u64)) {
    let mut word = String::new();
    for character in text.chars() {
        let stands_alone = is_a_word_alone(character);
        if character.is_alphanumeric() && !stands_alone && word.len() < MAX_WORD {
            word.extend(character.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            take(xxh3_64(word.as_bytes()));
            word.clear();
        }
        if stands_alone {
            take(xxh3_64(character.encode_utf8(&mut [0; 4]).as_bytes()));
        } else if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
    }
    if !word.is_empty() {
        take(xxh3_64(word.as_bytes()));
    }
}

/// The longest word, in bytes: a longer one is none, and is cut into several.
const MAX_WORD: usize = 256;

/// Tells whether a character belongs to a script without spaces between words: Thai, Lao, Burmese, Khmer, and those of
/// China, Japan and Korea, where also Hangul counts, whose spaces separate phrases.
fn is_a_word_alone(character: char) -> bool {
    matches!(
        character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, words: usize) -> Vec<String> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..words).map(|_| format!("w{}", random.u32(0..5_000))).collect()
    }

    #[test]
    fn pages_that_differ_in_a_word_or_two_are_near_and_others_are_far() {
        let mut near_misses = 0;
        for seed in 0..200 {
            let page = text(seed, 500);
            let mut changed = page.clone();
            changed[250] = "changed".to_owned();
            let [one, other] = [&page, &changed].map(|page| Simhash::of(&page.join(" ")).unwrap());
            near_misses += u32::from(one.distance(other) > 3);
            let unrelated = Simhash::of(&text(seed + 1_000, 500).join(" ")).unwrap();
            assert!(one.distance(unrelated) > 12, "{seed}: {}", one.distance(unrelated));
        }
        assert!(near_misses <= 40, "{near_misses} of 200");
    }

    #[test]
    fn case_space_and_punctuation_do_not_matter_but_the_order_of_words_does() {
        let plain = Simhash::of("the quick brown fox jumps over the lazy dog");
        assert_eq!(plain, Simhash::of("The  quick,\nbrown fox — jumps over the LAZY dog!"));
        assert_ne!(plain, Simhash::of("dog lazy the over jumps fox brown quick the"));
        assert_eq!((Simhash::of(""), Simhash::of(" … — ")), (None, None));
        assert_ne!(Simhash::of("one"), Simhash::of("two"), "also with fewer words than a shingle has");
    }

    #[test]
    fn scripts_without_spaces_have_words_too() {
        let text = "网络爬虫礼貌地请求每一个页面并且遵守机器人协议".repeat(20);
        let [one, other] = ["甲", "乙"].map(|end| Simhash::of(&format!("{text}{end}")).unwrap());
        assert!(one.distance(other) <= 6, "{}", one.distance(other));
        assert!(one.distance(Simhash::of(&"天气预报说明天有雨请带伞出门注意安全".repeat(20)).unwrap()) > 12);
    }

    #[test]
    fn a_page_of_one_endless_word_takes_no_more_time_than_others() {
        let began = std::time::Instant::now();
        assert!(Simhash::of(&"x".repeat(10 << 20)).is_some());
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
