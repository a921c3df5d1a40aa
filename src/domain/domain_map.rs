//! DomainMap: values by domain, for crawls that know a million domains. Does not know what the values are.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::domain::Domain;

/// Values by domain. They stand one after another in the order in which their domains came, and a table of eight bytes
/// for each finds them.
///
/// A hash map that has just grown has room for twice as many values as it holds, scattered so that none of this room is
/// free for anything else. And many domains come up in the order in which they came first: then the next value is in
/// the cache already, but for its place in the table.
#[derive(Clone, Debug)]
pub(crate) struct DomainMap<V> {
    places: HashTable<SlotRef>,
    /// `None` where a value was removed.
    slots: Vec<Option<(Domain, V)>>,
    free: Vec<u32>,
    /// Before it no slot has a value: so a map that is emptied from its front is iterated over in a moment.
    first: usize,
    /// The slot that was changed last: whoever works on a domain looks it up several times in a row, and most then
    /// have a clone of the same name.
    last: usize,
    hasher: DefaultHashBuilder,
}

/// How many slots without a value a removal skips at most, so that all together skip them as fast as they come.
const MAX_SKIPPED: usize = 64;

/// Where a domain stands in a map, to find it without its name. Another domain may stand there once it was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(u32);

/// Where the value of a domain stands. With the hash the table can grow without reading names.
#[derive(Clone, Copy, Debug)]
struct SlotRef {
    hash: u32,
    /// So many domains would take 200 GB.
    slot: u32,
}

impl<V> Default for DomainMap<V> {
    fn default() -> Self {
        let (places, slots, free, first, last, hasher) = Default::default();
        Self { places, slots, free, first, last, hasher }
    }
}

impl<V> DomainMap<V> {
    /// Returns the value of a domain.
    pub fn get(&self, domain: &Domain) -> Option<&V> {
        let slot = self.slot(domain)?;
        self.slots.get(slot)?.as_ref().map(|(_, value)| value)
    }

    /// As [`DomainMap::get`].
    pub fn get_mut(&mut self, domain: &Domain) -> Option<&mut V> {
        self.last = self.slot(domain)?;
        self.slots.get_mut(self.last)?.as_mut().map(|(_, value)| value)
    }

    /// Returns the domain that stands in a slot, and its value.
    pub fn at(&self, Slot(slot): Slot) -> Option<(&Domain, &V)> {
        self.slots.get(slot as usize)?.as_ref().map(|(domain, value)| (domain, value))
    }

    /// As [`DomainMap::at`].
    pub fn at_mut(&mut self, Slot(slot): Slot) -> Option<(&Domain, &mut V)> {
        self.last = slot as usize;
        self.slots.get_mut(self.last)?.as_mut().map(|(domain, value)| (&*domain, value))
    }

    /// Tells whether a domain has a value.
    pub fn contains(&self, domain: &Domain) -> bool {
        self.slot(domain).is_some()
    }

    /// Returns the value of a domain, a new one if it has none, with its slot and the domain as it is kept.
    #[allow(clippy::indexing_slicing, reason = "the slot is there, or is made")]
    #[allow(clippy::cast_possible_truncation, reason = "slots are numbered with 32 bits")]
    pub fn get_or_default(&mut self, domain: &Domain) -> (Slot, &Domain, &mut V)
    where
        V: Default,
    {
        self.last = self.slot(domain).unwrap_or_else(|| self.add(domain));
        let (known, value) = self.slots[self.last].get_or_insert_with(|| (domain.clone(), V::default()));
        (Slot(self.last as u32), known, value)
    }

    /// Adds a place for a domain that has none.
    fn add(&mut self, domain: &Domain) -> usize {
        let hash = self.hash(domain);
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.places.insert_unique(spread(hash), SlotRef { hash, slot }, |place| spread(place.hash));
        let slot = slot as usize;
        self.first = self.first.min(slot);
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        slot
    }

    /// Removes the value of a domain.
    pub fn remove(&mut self, domain: &Domain) -> Option<V> {
        let (hash, slot) = (self.hash(domain), self.slot(domain)?);
        let is_it = |place: &SlotRef| place.slot as usize == slot;
        let (SlotRef { slot, .. }, _) = self.places.find_entry(spread(hash), is_it).ok()?.remove();
        let (_, value) = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        // A few of them at a time: a million may have gone before the last one.
        let until = self.slots.len().min(self.first + MAX_SKIPPED);
        let next = self.slots.get(self.first..until).unwrap_or_default();
        self.first += next.iter().position(Option::is_some).unwrap_or(next.len());
        Some(value)
    }

    /// Returns how many domains have a value.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Iterates over the domains that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &Domain> {
        self.iter().map(|(domain, _)| domain)
    }

    /// Iterates over the domains and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Domain, &V)> {
        self.slots.get(self.first..).unwrap_or_default().iter().flatten().map(|(domain, value)| (domain, value))
    }

    /// As [`DomainMap::iter`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Domain, &mut V)> {
        self.slots.iter_mut().flatten().map(|(domain, value)| (&*domain, value))
    }

    fn slot(&self, domain: &Domain) -> Option<usize> {
        if is_in(&self.slots, self.last, domain) {
            return Some(self.last);
        }
        let hash = self.hash(domain);
        let is_it = |place: &SlotRef| place.hash == hash && is_in(&self.slots, place.slot as usize, domain);
        self.places.find(spread(hash), is_it).map(|place| place.slot as usize)
    }

    #[allow(clippy::cast_possible_truncation, reason = "half of a hash is one, too")]
    fn hash(&self, domain: &Domain) -> u32 {
        self.hasher.hash_one(domain) as u32
    }
}

/// Makes a whole hash of half of one: the table takes its upper and its lower bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

fn is_in<V>(slots: &[Option<(Domain, V)>], slot: usize, domain: &Domain) -> bool {
    slots.get(slot).is_some_and(|kept| kept.as_ref().is_some_and(|(known, _)| known == domain))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_hash_map_holds(steps in prop::collection::vec((0..40_u32, 0..4_u8, any::<u16>()), 0..400)) {
            let (mut map, mut model) = (DomainMap::<u16>::default(), HashMap::<Domain, u16>::new());
            let mut slots = HashMap::new();
            for (number, what, value) in steps {
                let domain = Domain::new(&format!("d{number}.org"));
                match what {
                    0 => prop_assert_eq!(map.remove(&domain), model.remove(&domain)),
                    1 => prop_assert_eq!(map.get_mut(&domain), model.get_mut(&domain)),
                    _ => {
                        let (slot, known, kept) = map.get_or_default(&domain);
                        prop_assert_eq!(known, &domain);
                        let expected = model.entry(domain.clone()).or_default();
                        prop_assert_eq!(*kept, *expected);
                        (*kept, *expected) = (value, value);
                        prop_assert_eq!(map.at_mut(slot).map(|(known, kept)| (known.clone(), *kept)), Some((domain.clone(), value)));
                        slots.insert(domain.clone(), slot);
                    }
                }
                prop_assert_eq!(map.get(&domain), model.get(&domain));
                prop_assert_eq!((map.contains(&domain), map.len()), (model.contains_key(&domain), model.len()));
                prop_assert!(map.slots.len() <= 40);
                for (domain, slot) in &slots {
                    // Another one may stand where a removed one stood.
                    let stands = map.at(*slot).filter(|(known, _)| *known == domain).map(|(_, value)| value);
                    prop_assert_eq!(stands.or(map.get(domain)), model.get(domain));
                }
                let all: HashMap<_, _> = map.iter().map(|(domain, value)| (domain.clone(), *value)).collect();
                prop_assert_eq!(&all, &model);
            }
        }
    }

    #[test]
    fn half_a_hash_is_enough_to_find_a_hundred_thousand() {
        let mut map = DomainMap::<u32>::default();
        let domain = |number: u32| Domain::new(&format!("d{number}.org"));
        for number in 0..100_000 {
            *map.get_or_default(&domain(number)).2 = number;
        }
        assert!((0..100_000).all(|number| map.get(&domain(number)) == Some(&number)));
        assert_eq!(map.get(&domain(100_000)), None);
    }
}
