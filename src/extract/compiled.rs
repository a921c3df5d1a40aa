//! Compiled: the expressions that a thread has compiled, by their text. Knows no language.

use std::{cell::RefCell, collections::HashMap};

/// What was compiled, up to a number. A spider has a few dozen expressions; those generated for each page must not
/// accumulate, so all are dropped at once when there are too many.
pub(super) struct Compiled<T> {
    known: RefCell<Option<HashMap<String, T>>>,
    most: usize,
}

impl<T: Clone> Compiled<T> {
    pub const fn new(most: usize) -> Self {
        Self { known: RefCell::new(None), most }
    }

    /// Returns what a text was compiled to, or compiles it.
    ///
    /// # Errors
    /// It cannot be compiled.
    pub fn get_or<E>(&self, text: &str, compile: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some(known) = self.known.borrow().as_ref().and_then(|known| known.get(text)) {
            return Ok(known.clone());
        }
        let compiled = compile()?;
        let mut known = self.known.borrow_mut();
        let known = known.get_or_insert_default();
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(text.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_compiled_once_and_only_so_many_are_kept() {
        let compiled = Compiled::new(2);
        let length = |text: &str, known: bool| {
            let compile = || if known { Err("again") } else { Ok(text.len()) };
            compiled.get_or(text, compile)
        };
        assert_eq!((length("a", false), length("bb", false), length("a", true)), (Ok(1), Ok(2), Ok(1)));
        assert_eq!((length("ccc", false), length("a", true)), (Ok(3), Err("again")));
    }
}
