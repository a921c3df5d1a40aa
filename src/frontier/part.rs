//! Part: the share of a crawl that a domain belongs to. Machines that share a crawl divide it by parts. Knows no
//! machine.

use xxhash_rust::xxh3::xxh3_64;

use crate::domain::Domain;

/// One of 1,024 parts of a crawl, by a hash of the domain's name: so every machine knows the part of a domain by
/// itself.
///
/// ```
/// use actix_crawler::{Domain, frontier::part::Part};
///
/// let part = Part::of(&Domain::new("example.org"));
/// assert_eq!(part, Part::of(&Domain::new("Example.org")));
/// assert!(part.number() < Part::COUNT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part(u16);

impl Part {
    /// How many there are: ten for each of a hundred machines.
    pub const COUNT: u16 = 1_024;

    /// Returns the part of a domain.
    pub fn of(domain: &Domain) -> Self {
        Self::of_key(domain.as_str().as_bytes())
    }

    /// Returns the part of what is found by this key.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        Self(u16::try_from(xxh3_64(key) % u64::from(Self::COUNT)).unwrap_or_default())
    }

    /// Returns all parts, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// Returns the part of this number; `None` if there is none.
    pub fn numbered(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Returns its number, from 0 to 1,023.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// A set of parts.
///
/// ```
/// use actix_crawler::{Domain, frontier::part::{Part, PartSet}};
///
/// let part = Part::of(&Domain::new("example.org"));
/// let mut parts = PartSet::default();
/// parts.insert(part);
/// assert!(parts.contains(part) && parts.iter().eq([part]));
/// assert_eq!(PartSet::from_iter(Part::all()).len(), usize::from(Part::COUNT));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartSet([u64; WORDS]);

const BITS: u16 = 64;

const WORDS: usize = (Part::COUNT / BITS) as usize;

impl PartSet {
    /// Adds a part.
    pub fn insert(&mut self, part: Part) {
        if let Some(word) = self.0.get_mut(usize::from(part.0 / BITS)) {
            *word |= 1 << (part.0 % BITS);
        }
    }

    /// Tells whether a part is in the set.
    pub fn contains(&self, part: Part) -> bool {
        self.0.get(usize::from(part.0 / BITS)).is_some_and(|word| word & (1 << (part.0 % BITS)) != 0)
    }

    /// Adds all parts of another set.
    pub fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Returns the parts that are not in another set.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        self
    }

    /// Returns the parts that are in another set too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// Iterates over the parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = Part> + '_ {
        Part::all().filter(|part| self.contains(*part))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }
}

impl FromIterator<Part> for PartSet {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        let mut set = Self::default();
        parts.into_iter().for_each(|part| set.insert(part));
        set
    }
}
