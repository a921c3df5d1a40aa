//! ProgressView: shows the progress of a crawl on stderr: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use actix_crawler::{
    internals::{Counted, Grouped},
    stats,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{bar::Bar, console::tell, options::ProgressMode, paint};

/// Shows the progress of a crawl.
pub struct ProgressView {
    view: View,
    max_pages: Option<u64>,
    /// Instants and page counts of the last seconds, for the speed.
    lately: VecDeque<(Instant, u64)>,
}

enum View {
    Bar(Bar),
    Lines { next: Instant },
    Nothing,
}

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// The period over which the speed is measured.
const LATELY: Duration = Duration::from_secs(5);

impl ProgressView {
    /// Chooses the view. Pages written to the terminal show the progress themselves, and a bar would come between them.
    /// `max_pages` is where the crawl ends at the latest.
    pub fn new(mode: ProgressMode, pages_on_terminal: bool, max_pages: Option<u64>, now: Instant) -> Self {
        let view = match mode {
            ProgressMode::Never => View::Nothing,
            ProgressMode::Auto if pages_on_terminal => View::Nothing,
            ProgressMode::Auto if std::io::stderr().is_terminal() => View::Bar(Bar::put(bar())),
            ProgressMode::Auto => View::Lines { next: now + BETWEEN_LINES },
        };
        Self { view, max_pages, lately: VecDeque::new() }
    }

    /// Shows the numbers.
    pub fn show(&mut self, progress: &stats::Progress, now: Instant) {
        let speed = self.speed(progress.pages, now);
        match &mut self.view {
            View::Nothing => {}
            View::Bar(bar) => {
                let bar = bar.get();
                let (position, length) = position(progress, self.max_pages);
                bar.set_length(length.max(1));
                bar.set_position(position);
                bar.set_message(describe(progress, speed, self.max_pages));
            }
            View::Lines { next } if now >= *next => {
                *next = now + BETWEEN_LINES;
                tell(describe(progress, speed, self.max_pages));
            }
            View::Lines { .. } => {}
        }
    }

    /// Prints a sentence above the bar.
    pub fn say(&self, sentence: &str) {
        tell(sentence);
    }

    /// Removes the bar.
    pub fn end(&mut self) {
        self.view = View::Nothing;
    }

    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    fn speed(&mut self, pages: u64, now: Instant) -> f64 {
        self.lately.push_back((now, pages));
        while self.lately.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= LATELY) {
            self.lately.pop_front();
        }
        let Some((since, before)) = self.lately.front() else { return 0.0 };
        pages.saturating_sub(*before) as f64 / now.duration_since(*since).as_secs_f64().max(0.2)
    }
}

/// The position and the length of the bar: the page limit if so many pages are in sight, else all known URLs.
fn position(progress: &stats::Progress, max_pages: Option<u64>) -> (u64, u64) {
    let ledger = &progress.ledger;
    match end_in_sight(progress, max_pages) {
        Some(max) => (progress.pages, max),
        None => (ledger.done + ledger.failed + ledger.dropped, ledger.discovered),
    }
}

/// The most pages, where as many are known.
fn end_in_sight(progress: &stats::Progress, max_pages: Option<u64>) -> Option<u64> {
    max_pages.filter(|max| progress.pages + progress.ledger.queued + progress.ledger.leased >= *max)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(10));
    let plain = !paint::is_wanted();
    let template =
        if plain { "{elapsed_precise} {bar:16} {msg}" } else { "{elapsed_precise:.dim} {bar:16.cyan/238} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}

fn describe(progress: &stats::Progress, speed: f64, max_pages: Option<u64>) -> String {
    let ledger = &progress.ledger;
    let pages = match end_in_sight(progress, max_pages) {
        Some(max) => format!("{} of {}", Grouped(progress.pages), Counted(max, "page")),
        None => Counted(progress.pages, "page").to_string(),
    };
    let mut words = format!(
        "{pages} · {} queued · {speed:.1}/s · domains: {} active",
        Grouped(ledger.queued + ledger.leased),
        progress.domains_active,
    );
    if progress.domains_cooling > 0 {
        words += &format!(", {} cooling", progress.domains_cooling);
    }
    if progress.files > 0 {
        words += &format!(" · {}", Counted(progress.files, "file"));
    }
    if ledger.failed > 0 {
        words += &format!(" · {} failed", Grouped(ledger.failed));
    }
    if let Some(outage) = &progress.outage {
        words += &format!(" · {outage}");
    }
    words
}

#[cfg(test)]
mod tests {
    use actix_crawler::stats::Ledger;

    use super::*;

    #[test]
    fn the_bar_ends_at_the_most_pages_where_they_are_in_sight() {
        let ledger = Ledger { discovered: 500, done: 12, failed: 1, dropped: 7, queued: 476, leased: 4 };
        let progress = stats::Progress { ledger, pages: 10, ..stats::Progress::default() };
        assert_eq!(position(&progress, Some(100)), (10, 100));
        assert_eq!(position(&progress, Some(1_000)), (20, 500), "the site is smaller");
        assert_eq!(position(&progress, None), (20, 500));
        assert!(describe(&progress, 1.0, Some(100)).starts_with("10 of 100 pages · 480 queued"));
        assert!(describe(&progress, 1.0, Some(1_000)).starts_with("10 pages · 480 queued"));
    }
}
