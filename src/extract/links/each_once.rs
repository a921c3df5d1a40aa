//! EachOnce: a list of links without duplicates. Knows nothing of URLs.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

/// Links in order, no two with the same text. The hash table stores indices into the list, so no text is stored twice.
pub(super) struct EachOnce<L> {
    /// The links.
    pub list: Vec<L>,
    places: HashTable<usize>,
    hashes: DefaultHashBuilder,
    text: fn(&L) -> &str,
}

/// Room for the links of most pages: as many as a table with 64 places holds before it grows.
const USUAL_LINKS: usize = 56;

/// The hash of a text that is not in the list.
pub(super) struct NewText(u64);

impl<L> EachOnce<L> {
    /// Creates an empty list of links that are distinguished by this text, with room for the links of most pages.
    pub fn by(text: fn(&L) -> &str) -> Self {
        Self::with_room(USUAL_LINKS, text)
    }

    /// Creates an empty list with room for so many links.
    pub fn with_room(links: usize, text: fn(&L) -> &str) -> Self {
        let places = HashTable::with_capacity(links);
        Self { list: Vec::with_capacity(links), places, hashes: DefaultHashBuilder::default(), text }
    }

    /// Returns the link with this text.
    ///
    /// # Errors
    /// There is none; [`EachOnce::push`] may add it.
    pub fn find(&mut self, text: &str) -> Result<&mut L, NewText> {
        let hash = self.hashes.hash_one(text);
        let has_text = |at: &usize| self.list.get(*at).is_some_and(|link| (self.text)(link) == text);
        let found = self.places.find(hash, has_text).copied();
        found.and_then(|at| self.list.get_mut(at)).ok_or(NewText(hash))
    }

    /// Adds a link whose text is not in the list.
    pub fn push(&mut self, NewText(hash): NewText, link: L) {
        let hash_at = |at: &usize| self.list.get(*at).map_or(0, |link| self.hashes.hash_one((self.text)(link)));
        self.places.insert_unique(hash, self.list.len(), hash_at);
        self.list.push(link);
    }
}

/// Tells texts apart of which nothing else is kept.
#[derive(Default)]
pub(super) struct HashedTexts {
    hashes: HashSet<u64>,
    builder: DefaultHashBuilder,
}

/// Hashes that are kept (1.5 MiB); beyond, each text counts as a new one.
const MAX_HASHES: usize = 100_000;

impl HashedTexts {
    /// Tells whether a text was not asked about before.
    pub fn is_new(&mut self, text: &str) -> bool {
        let hash = self.builder.hash_one(text);
        if self.hashes.len() >= MAX_HASHES { !self.hashes.contains(&hash) } else { self.hashes.insert(hash) }
    }
}
