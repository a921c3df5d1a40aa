//! Past: the starts that a rate counts, and what is known of earlier ones. Knows no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::missed::Missed;
use crate::rate::Window;

/// The starts of one domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The last starts, oldest first: as many as the rate's window counts; empty without a rate.
    pub starts: VecDeque<Instant>,
    /// The place of the next start on the even grid of the rate.
    pub grid: Option<Instant>,
    /// The starts made before the limits last changed.
    pub before: Option<Starts>,
    /// The starts that were missed, where all places in flight were taken.
    pub missed: Missed,
}

/// Starts that are not remembered one by one. They count as made as late as possible: the last at its instant, and each
/// of the others the least distance before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starts {
    /// How many.
    pub made: u64,
    /// When the last of them was made.
    pub last: Instant,
    /// The least distance between two of them.
    pub apart: Duration,
}

/// When a domain was last asked, as another process has to know that asks it from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAsked {
    /// When the last request began or ended.
    pub last: Instant,
    /// When those began that the rate counts, oldest first.
    pub starts: Vec<Instant>,
    /// Whether as many as were lawful may have begun before those.
    pub has_more: bool,
}

/// Returns the place after a start on the even grid. One that came late begins a new grid.
pub(super) fn next_on_grid(grid: Option<Instant>, at: Instant, window: Window, catch_up: Duration) -> Instant {
    let on_time = grid.filter(|grid| at.saturating_duration_since(*grid) <= catch_up);
    on_time.unwrap_or(at) + window.interval()
}

/// The most starts that another process is told of, one by one.
const MAX_TOLD: usize = 256;

impl Past {
    /// Returns the latest starts, oldest first, and whether there may have been more.
    pub fn latest(&self, window: Window) -> (Vec<Instant>, bool) {
        let starts = self.starts.iter().skip(self.starts.len().saturating_sub(MAX_TOLD));
        let is_full = self.starts.len() >= MAX_TOLD.min(window.count.get() as usize);
        (starts.copied().collect(), is_full)
    }

    /// Counts starts that another process has made, in place of those that it may have made.
    pub fn set_starts(&mut self, window: Window, asked: &LastAsked) {
        let count = window.count.get() as usize;
        let told = asked.starts.iter().skip(asked.starts.len().saturating_sub(count)).copied();
        // Any before those count as made as late as possible.
        let first = asked.starts.first().copied().unwrap_or(asked.last);
        let more = if asked.has_more { count.saturating_sub(asked.starts.len()) } else { 0 };
        self.starts = std::iter::repeat_n(first, more).chain(told).collect();
    }

    /// Sets the even grid as it was where the starts were made: a burst that was used is not there again.
    pub fn set_grid(&mut self, window: Window, asked: &LastAsked, burst: u32, catch_up: Duration) {
        let next = |grid, at: &Instant| Some(next_on_grid(grid, *at, window, catch_up));
        let is_cut = asked.has_more && asked.starts.len() < window.count.get() as usize;
        let used_up = is_cut.then(|| asked.last + window.interval() * burst);
        self.grid = asked.starts.iter().fold(None, next).max(used_up).or(self.grid);
    }

    /// Keeps as many starts as `window` counts, of `all` that were made. Those that are not remembered are filled in,
    /// and those made before the limits last changed by what is known of them.
    pub fn fill(&mut self, window: Window, all: Starts) {
        let most = window.count.get() as usize;
        let surplus = self.starts.len().saturating_sub(most);
        self.starts.drain(..surplus);
        let oldest = self.starts.front().copied().unwrap_or(all.last);
        let before = self.before.unwrap_or(Starts { made: 0, last: oldest, apart: Duration::ZERO });
        let count = |made: u64| usize::try_from(made).unwrap_or(usize::MAX);
        let since_change = count(all.made.saturating_sub(before.made));
        // If none is remembered, the last start is the first to be filled in.
        let mut next = if self.starts.is_empty() { Some(oldest) } else { oldest.checked_sub(all.apart) };
        let mut earlier = before.last.min(oldest);
        while self.starts.len() < count(all.made).min(most) {
            let at = match next {
                Some(at) if self.starts.len() < since_change => at,
                _ => earlier,
            };
            if at + window.per * 2 < all.last {
                // It is outside every window that a later start can be in.
                return;
            }
            if self.starts.len() >= since_change {
                earlier = at.checked_sub(before.apart).unwrap_or(at);
            }
            self.starts.push_front(at);
            next = at.checked_sub(all.apart);
        }
    }
}
