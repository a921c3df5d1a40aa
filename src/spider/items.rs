//! Items: the lists that a page's items may come in. A `Result` is none of them, so that an error cannot pass for "no
//! items".

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::requests::{Iterated, Optional, Several};

/// What [`Parsed::of`](super::Parsed::of) takes: an `Option` of an item, or several items as a `Vec`, an array, another
/// collection of the standard library, or an iterator. `How` tells the compiler which of these it is, and is never
/// written.
///
/// A `Result` has to be unwrapped first, or its error would be a page without items, of which nobody hears:
///
/// ```compile_fail
/// use actix_crawler::prelude::*;
///
/// fn titles(page: &Response) -> Result<Parsed<String>> {
///     Ok(Parsed::of(page.text_of("h1")))
/// }
/// ```
///
/// ```
/// use actix_crawler::prelude::*;
///
/// fn titles(page: &Response) -> Result<Parsed<String>> {
///     Ok(Parsed::new().item(page.text_of("h1")?))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of items",
    label = "these are not items",
    note = "give an `Option` of an item, or a `Vec`, an array or an iterator of them",
    note = "unwrap a `Result` first, as in `Parsed::of(Product::all(page, \".card\")?)`; one item is given by `Parsed::new().item(item)`"
)]
pub trait Items<I, How> {
    /// Adds the items to a list.
    fn add_to(self, items: &mut Vec<I>);
}

impl<I> Items<I, Optional> for Option<I> {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}

impl<I> Items<I, Several> for Vec<I> {
    fn add_to(mut self, items: &mut Vec<I>) {
        items.append(&mut self);
    }
}

impl<I, const N: usize> Items<I, Several> for [I; N] {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}

impl<I> Items<I, Several> for VecDeque<I> {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}

impl<I, S> Items<I, Several> for HashSet<I, S> {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}

impl<I> Items<I, Several> for BTreeSet<I> {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}

impl<I, L: Iterator<Item = I>> Items<I, Iterated> for L {
    fn add_to(self, items: &mut Vec<I>) {
        items.extend(self);
    }
}
