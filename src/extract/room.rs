//! TextRoom: how much text is read from the elements of a page, which may be within each other. Knows no elements.

use std::cell::Cell;

use super::selector_error::SelectorError;

/// The most text that one call reads from a page, as a multiple of the page's length. Real pages nest a text in a dozen
/// elements that one selector matches; in a hostile one 512 elements repeat ten megabytes, which are five gigabytes.
const MAX_TIMES: usize = 16;

/// What is read from a page of any length.
const LEAST: usize = 1 << 20;

/// How much text may still be read.
#[derive(Debug)]
pub(super) struct TextRoom(Cell<usize>);

impl TextRoom {
    /// Creates the room of a page of this length.
    pub fn of_page(bytes: usize) -> Self {
        Self(Cell::new(bytes.saturating_mul(MAX_TIMES).max(LEAST)))
    }

    /// Takes the room for a text.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&self, text: String) -> Result<String, SelectorError> {
        let Some(left) = self.0.get().checked_sub(text.len()) else {
            let why = format!("what is read is more than {MAX_TIMES} times as long as the page");
            return Err(SelectorError::Nested { why });
        };
        self.0.set(left);
        Ok(text)
    }
}
