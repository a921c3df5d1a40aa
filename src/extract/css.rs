//! Css: selectors, compiled once. Knows no page.

use std::{ops::Deref, rc::Rc, sync::OnceLock};

use scraper::Selector;

use super::{compiled::Compiled, selector_error::SelectorError};

/// A CSS selector that is compiled once in a program, when it is first used: for selectors in a `static`.
///
/// Selectors given as text are compiled once in a thread and looked up by their text, which takes some 50 ns. So a
/// `Css` is for those that are used for each of many elements, and for names of one's own.
///
/// ```
/// use actix_crawler::{extract::Css, prelude::*};
///
/// static PRICE: Css = Css::new(".price");
///
/// let page = Response::html("https://e.org/", "<p class=card><b class=price>3 €</b>");
/// assert_eq!(page.first(".card")?.text_of(&PRICE)?, "3 €");
/// PRICE.check()?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Css {
    text: &'static str,
    /// `None` if the text is no selector.
    compiled: OnceLock<Option<Selector>>,
}

impl Css {
    /// Creates the selector of this text.
    pub const fn new(text: &'static str) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// Returns the text.
    #[cfg(feature = "derive")]
    pub(super) const fn text(&self) -> &'static str {
        self.text
    }

    /// Tells whether the text is a selector, for a test.
    ///
    /// # Errors
    /// [`SelectorError::Invalid`] says where it is none.
    pub fn check(&self) -> Result<(), SelectorError> {
        self.compiled().map(drop)
    }
}

/// What selects elements: the text of a CSS selector, or a [`Css`].
///
/// ```
/// use actix_crawler::{extract::{Element, Selects}, prelude::*};
///
/// fn words(element: &Element<'_>, css: impl Selects) -> Result<usize> {
///     Ok(element.texts_of(css)?.iter().map(|text| text.split(' ').count()).sum())
/// }
///
/// let page = Response::html("https://e.org/", "<p>one two<p>three");
/// assert_eq!(words(&page.document().root(), "p")?, 3);
/// # Ok::<(), Error>(())
/// ```
pub trait Selects: sealed::Compiles {}

impl<T: sealed::Compiles + ?Sized> Selects for T {}

pub(super) mod sealed {
    use super::{Selected, SelectorError};

    pub trait Compiles {
        fn css(&self) -> &str;

        /// # Errors
        /// The text is not a selector.
        fn compiled(&self) -> Result<Selected<'_>, SelectorError>;
    }
}

use sealed::Compiles;

/// A compiled selector.
pub enum Selected<'s> {
    OfProgram(&'s Selector),
    OfThread(Rc<Selector>),
}

impl Deref for Selected<'_> {
    type Target = Selector;

    fn deref(&self) -> &Selector {
        match self {
            Self::OfProgram(selector) => selector,
            Self::OfThread(selector) => selector,
        }
    }
}

impl Compiles for str {
    fn css(&self) -> &str {
        self
    }

    fn compiled(&self) -> Result<Selected<'_>, SelectorError> {
        of_thread(self).map(Selected::OfThread)
    }
}

impl Compiles for String {
    fn css(&self) -> &str {
        self
    }

    fn compiled(&self) -> Result<Selected<'_>, SelectorError> {
        self.as_str().compiled()
    }
}

impl Compiles for Css {
    fn css(&self) -> &str {
        self.text
    }

    fn compiled(&self) -> Result<Selected<'_>, SelectorError> {
        let selector = self.compiled.get_or_init(|| Selector::parse(self.text).ok());
        selector.as_ref().map(Selected::OfProgram).map_or_else(|| self.text.compiled(), Ok)
    }
}

impl<T: Compiles + ?Sized> Compiles for &T {
    fn css(&self) -> &str {
        T::css(self)
    }

    fn compiled(&self) -> Result<Selected<'_>, SelectorError> {
        T::compiled(self)
    }
}

/// The most compiled selectors that a thread keeps. A spider has a few dozen.
const MAX_COMPILED: usize = 256;

thread_local! {
    static COMPILED: Compiled<Rc<Selector>> = const { Compiled::new(MAX_COMPILED) };
}

/// Compiles a selector, or returns it from the cache: that takes microseconds, and a spider uses the same few selectors
/// on every page.
fn of_thread(css: &str) -> Result<Rc<Selector>, SelectorError> {
    let compile = || Selector::parse(css).map(Rc::new).map_err(|error| SelectorError::invalid(css, error));
    COMPILED.with(|known| known.get_or(css, compile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_selector_that_is_none_says_so_at_each_use() {
        static BROKEN: Css = Css::new("p[");
        for _ in 0..2 {
            assert!(matches!(BROKEN.check(), Err(SelectorError::Invalid { css, at: 1, .. }) if css == "p["));
        }
    }
}
