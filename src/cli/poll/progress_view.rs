//! PollProgressView: shows the progress of a poll on stderr: a bar on a terminal, a line every few seconds elsewhere.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    super::{bar::Bar, console::tell, now, options::ProgressMode},
    tally::PollTally,
};

/// Between two lines of progress.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows the progress of a poll.
pub enum PollProgressView {
    Bar(Bar),
    Lines { next: Instant },
    Nothing,
}

impl PollProgressView {
    /// Chooses the view. Responses written to the terminal show the progress themselves, and a bar would come between
    /// them. `total` is the number of requests, if known.
    pub fn new(mode: ProgressMode, answers_on_terminal: bool, total: Option<usize>) -> Self {
        match mode {
            ProgressMode::Never => Self::Nothing,
            ProgressMode::Auto if answers_on_terminal => Self::Nothing,
            ProgressMode::Auto if io::stderr().is_terminal() => Self::Bar(Bar::put(bar(total))),
            ProgressMode::Auto => Self::Lines { next: now() + BETWEEN_LINES },
        }
    }

    /// Shows the numbers.
    pub fn show(&mut self, tally: &PollTally) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.get().set_position(tally.done),
            Self::Lines { next } => {
                let now = now();
                if now >= *next {
                    *next = now + BETWEEN_LINES;
                    tell(format_args!("{} done, {} failed", tally.done, tally.failed));
                }
            }
        }
    }

    /// Removes the bar.
    pub fn end(&mut self) {
        *self = Self::Nothing;
    }
}

fn bar(total: Option<usize>) -> ProgressBar {
    let Some(total) = total else {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {pos} done") {
            bar.set_style(style);
        }
        return bar;
    };
    ProgressBar::new(total as u64)
}
