//! Progress: what a crawl is doing, on stderr: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use actix_crawler::{
    report::{Counted, Grouped},
    stats,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    bar::{self, Bar},
    options::ProgressMode,
    paint,
};

/// Shows how far a crawl is.
pub struct Progress {
    view: View,
    /// Instants and pages of the last seconds: the speed is theirs.
    lately: VecDeque<(Instant, u64)>,
}

enum View {
    Bar(Bar),
    Lines { next: Instant },
    Nothing,
}

/// Between two lines where there is no terminal: enough to see that it lives.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// The speed is that of so many seconds.
const LATELY: Duration = Duration::from_secs(5);

impl Progress {
    /// Chooses the view. Pages that go to the terminal themselves show well enough how far it is.
    pub fn new(mode: ProgressMode, pages_on_terminal: bool, now: Instant) -> Self {
        let view = match mode {
            ProgressMode::Never => View::Nothing,
            ProgressMode::Auto if pages_on_terminal => View::Nothing,
            ProgressMode::Auto if std::io::stderr().is_terminal() => View::Bar(Bar::put(bar())),
            ProgressMode::Auto => View::Lines { next: now + BETWEEN_LINES },
        };
        Self { view, lately: VecDeque::new() }
    }

    /// Shows the numbers.
    pub fn show(&mut self, progress: &stats::Progress, now: Instant) {
        let speed = self.speed(progress.pages, now);
        match &mut self.view {
            View::Nothing => {}
            View::Bar(bar) => {
                let bar = bar.get();
                let ledger = &progress.ledger;
                bar.set_length(ledger.discovered.max(1));
                bar.set_position(ledger.done + ledger.failed + ledger.dropped);
                bar.set_message(describe(progress, speed));
            }
            View::Lines { next } if now >= *next => {
                *next = now + BETWEEN_LINES;
                eprintln!("{}", describe(progress, speed));
            }
            View::Lines { .. } => {}
        }
    }

    /// Says a sentence, above the bar.
    pub fn say(&self, sentence: &str) {
        bar::above(|| eprintln!("{sentence}"));
    }

    /// Takes the bar away.
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

fn describe(progress: &stats::Progress, speed: f64) -> String {
    let ledger = &progress.ledger;
    let mut words = format!(
        "{} · {} queued · {speed:.1}/s · domains: {} active",
        Counted(progress.pages, "page"),
        Grouped(ledger.queued + ledger.leased),
        progress.domains_active,
    );
    if progress.domains_cooling > 0 {
        words += &format!(", {} cooling", progress.domains_cooling);
    }
    if ledger.failed > 0 {
        words += &format!(" · {} failed", Grouped(ledger.failed));
    }
    words
}
