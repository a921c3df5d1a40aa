//! PollStarts: when requests were sent, as far as a summary needs it. Knows no answers.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

/// The starts of a poll. Answers tell of them about in their order, so those of a while alone are held, for however
/// long the poll lasts.
pub struct PollStarts {
    window: Duration,
    /// How far behind the latest start one may be that is told of: no answer takes longer.
    longest_answer: Duration,
    latest: Option<Instant>,
    /// Those that others may still come before.
    recent: BinaryHeap<Reverse<Instant>>,
    /// Of the others, those of the last window.
    within: VecDeque<Instant>,
    /// The first and the last of the others.
    ends: Option<(Instant, Instant)>,
    pub count: u64,
    /// The most in any window.
    pub fullest: usize,
    /// The shortest time between two.
    pub smallest_gap: Option<Duration>,
}

impl PollStarts {
    /// Counts in windows of this length.
    pub fn new(window: Duration, longest_answer: Duration) -> Self {
        Self {
            window,
            longest_answer,
            latest: None,
            recent: BinaryHeap::new(),
            within: VecDeque::new(),
            ends: None,
            count: 0,
            fullest: 0,
            smallest_gap: None,
        }
    }

    /// Adds one.
    pub fn add(&mut self, start: Instant) {
        let latest = *self.latest.insert(self.latest.map_or(start, |latest| latest.max(start)));
        self.recent.push(Reverse(start));
        while let Some(Reverse(start)) = self.recent.peek().copied()
            && latest.saturating_duration_since(start) > self.longest_answer
        {
            self.recent.pop();
            self.settle(start);
        }
    }

    /// Takes all into account.
    pub fn end(&mut self) {
        while let Some(Reverse(start)) = self.recent.pop() {
            self.settle(start);
        }
    }

    /// Returns the time between the first and the last.
    pub fn span(&self) -> Duration {
        self.ends.map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// Takes one into account before which no other comes any more.
    fn settle(&mut self, start: Instant) {
        self.count += 1;
        let (first, last) = *self.ends.get_or_insert((start, start));
        if start < last {
            // Told of later than an answer can take: it is counted, and in no window.
            return;
        }
        if self.count > 1 {
            let gap = start - last;
            self.smallest_gap = Some(self.smallest_gap.map_or(gap, |smallest| smallest.min(gap)));
        }
        self.ends = Some((first, start));
        while self.within.front().is_some_and(|oldest| start - *oldest >= self.window) {
            self.within.pop_front();
        }
        self.within.push_back(start);
        self.fullest = self.fullest.max(self.within.len());
    }

    #[cfg(test)]
    fn held(&self) -> usize {
        self.recent.len() + self.within.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_million_answers_in_any_order_are_summed_up_as_a_sorted_list_and_a_few_thousand_starts_are_held() {
        let (mut random, begin) = (fastrand::Rng::with_seed(7), crate::cli::now());
        let mut starts = Vec::new();
        let mut at = Duration::ZERO;
        for _ in 0..1_000_000 {
            at += Duration::from_micros(random.u64(15_000..25_000));
            starts.push(begin + at);
        }
        let mut answers: Vec<_> =
            starts.iter().map(|start| (*start + Duration::from_millis(random.u64(0..30_000)), *start)).collect();
        answers.sort_unstable();
        let (mut counted, mut most) = (PollStarts::new(SECOND, 30 * SECOND), 0);
        for (_, start) in answers {
            counted.add(start);
            most = most.max(counted.held());
        }
        counted.end();
        assert!(most < 4_000, "{most}");
        let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]);
        let fullest =
            (0..starts.len()).map(|at| starts[at..].iter().take_while(|next| **next - starts[at] < SECOND).count());
        assert_eq!((counted.count, counted.smallest_gap), (1_000_000, gaps.min()));
        assert_eq!(counted.fullest, fullest.max().unwrap());
        assert_eq!(counted.span(), starts[starts.len() - 1] - starts[0]);
    }

    #[test]
    fn of_one_start_or_none_there_is_no_gap() {
        let mut starts = PollStarts::new(SECOND, SECOND);
        starts.end();
        assert_eq!((starts.count, starts.fullest, starts.smallest_gap, starts.span()), (0, 0, None, Duration::ZERO));
        starts.add(crate::cli::now());
        starts.end();
        assert_eq!((starts.count, starts.fullest, starts.smallest_gap, starts.span()), (1, 1, None, Duration::ZERO));
    }
}
