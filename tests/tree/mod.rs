//! Tree: a site whose pages link to two further ones each, so that a crawl finds all from `/0`.

use std::{ops::Range, time::Duration};

use crate::recorder::{Answer, Asked};

/// Answers as a site of so many pages, each after some milliseconds.
pub fn answer(asked: &Asked, pages: usize, after_ms: Range<u64>) -> Answer {
    let Some(page) = asked.path.trim_start_matches('/').parse::<usize>().ok() else { return Answer::status(404) };
    let next = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < pages);
    Answer::page(next.map(|page| format!("/{page}"))).after(Duration::from_millis(fastrand::u64(after_ms)))
}
