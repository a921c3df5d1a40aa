//! Merged: what is stored, with the latest changes in its place. Knows no database.

use std::{cmp::Ordering, iter::Peekable};

use crate::error::Result;

/// Merges the latest changes of some keys, of which `None` is a removal, with what is stored. Both are in the order of
/// their keys.
pub(super) struct Merged<L: Iterator, S: Iterator> {
    latest: Peekable<L>,
    stored: Peekable<S>,
}

impl<K: Ord, V, L, S> Merged<L, S>
where
    L: Iterator<Item = (K, Option<V>)>,
    S: Iterator<Item = Result<(K, V)>>,
{
    pub fn new(latest: L, stored: S) -> Self {
        Self { latest: latest.peekable(), stored: stored.peekable() }
    }
}

impl<K: Ord, V, L, S> Iterator for Merged<L, S>
where
    L: Iterator<Item = (K, Option<V>)>,
    S: Iterator<Item = Result<(K, V)>>,
{
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.latest.peek(), self.stored.peek()) {
                (Some((latest, _)), Some(Ok((stored, _)))) => latest.cmp(stored),
                (Some(_), None) => Ordering::Less,
                (_, _) => Ordering::Greater,
            };
            if order == Ordering::Greater {
                return self.stored.next();
            }
            if order == Ordering::Equal {
                drop(self.stored.next());
            }
            if let Some((key, Some(value))) = self.latest.next() {
                return Some(Ok((key, value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_takes_the_place_of_what_is_stored_and_a_removal_hides_it() {
        let latest = [(1, Some('a')), (3, None), (4, Some('b')), (6, None), (9, Some('c'))];
        let stored = [2, 3, 4, 5, 6].map(|key| Ok((key, 's')));
        let merged: Vec<_> = Merged::new(latest.into_iter(), stored.into_iter()).map(Result::unwrap).collect();
        assert_eq!(merged, [(1, 'a'), (2, 's'), (4, 'b'), (5, 's'), (9, 'c')]);
    }
}
