//! Bar: the single progress bar on stderr, and the way to write above it. Does not know what it shows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;

/// The bar that is currently shown. Global, because the library's warnings come from any thread.
static STANDING: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn standing() -> MutexGuard<'static, Option<ProgressBar>> {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on stderr, shown until this is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// Shows a bar.
    pub fn put(bar: ProgressBar) -> Self {
        *standing() = Some(bar.clone());
        Self(bar)
    }

    /// Returns the bar for updates.
    pub fn get(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        *standing() = None;
        self.0.finish_and_clear();
    }
}

/// Writes to stderr above the bar, if there is one: the bar is cleared first and redrawn afterwards.
pub fn above<T>(write: impl FnOnce() -> T) -> T {
    let bar = standing().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use indicatif::{ProgressDrawTarget, ProgressStyle, TermLike};

    use super::*;

    /// A terminal that records its input.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Screen {
        fn note(&self, what: &str) -> io::Result<()> {
            if !what.trim().is_empty() {
                self.0.lock().unwrap().push(what.trim().to_owned());
            }
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.note(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.note(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.note("(clear)")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Regression: a warning about a robots file was printed behind the bar, on the same line.
    #[test]
    fn what_is_said_meanwhile_has_a_line_of_its_own_and_the_bar_stands_below_it() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let bar = ProgressBar::with_draw_target(Some(9), target);
        bar.set_style(ProgressStyle::with_template("the bar").unwrap());
        let standing = Bar::put(bar);
        standing.get().force_draw();
        above(|| screen.note("a warning")).unwrap();
        let on_screen = screen.0.lock().unwrap().clone();
        assert_eq!(on_screen, ["the bar", "(clear)", "a warning", "the bar"]);
        drop(standing);
        above(|| screen.note("the summary")).unwrap();
        assert_eq!(screen.0.lock().unwrap()[on_screen.len()..], ["(clear)", "the summary"], "it is gone");
    }
}
