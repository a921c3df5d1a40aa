//! SecondChance: a map bounded in bytes. Evicts the oldest entry that was not used recently (the clock algorithm). Does
//! not know its values.

use std::{collections::VecDeque, hash::Hash, mem::size_of};

use hashbrown::{Equivalent, HashMap};

/// A map whose values have a total weight within a bound.
pub(super) struct SecondChance<K, V> {
    slots: HashMap<K, CacheSlot<V>>,
    /// Every key once. The front key is evicted next, unless it was used since it was last at the front.
    clock: VecDeque<K>,
    weight: usize,
    max_weight: usize,
}

struct CacheSlot<V> {
    value: V,
    weight: usize,
    was_used: bool,
}

impl<K, V> SecondChance<K, V> {
    /// The size of an entry in addition to its value's heap size: its key twice, and its slot.
    pub const OVERHEAD: usize = 2 * size_of::<K>() + size_of::<CacheSlot<V>>();

    /// Creates an empty map bounded to about `max_weight` bytes.
    pub fn new(max_weight: usize) -> Self {
        Self { slots: HashMap::new(), clock: VecDeque::new(), weight: 0, max_weight }
    }
}

#[cfg(test)]
impl<K, V> SecondChance<K, V> {
    pub fn weight(&self) -> usize {
        self.weight
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<K: Eq + Hash + Clone, V> SecondChance<K, V> {
    /// Returns a value and marks it as used.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&mut self, key: &Q) -> Option<&V> {
        let slot = self.slots.get_mut(key)?;
        slot.was_used = true;
        Some(&slot.value)
    }

    /// Inserts or replaces a value. Evicts others if there is no room, but never the last one.
    pub fn insert(&mut self, key: K, value: V, weight: usize) {
        self.weight += weight;
        match self.slots.insert(key.clone(), CacheSlot { value, weight, was_used: false }) {
            Some(old) => self.weight -= old.weight,
            None => self.clock.push_back(key),
        }
        while self.weight > self.max_weight && self.clock.len() > 1 {
            let Some(key) = self.clock.pop_front() else { return };
            match self.slots.get_mut(&key) {
                Some(slot) if slot.was_used => {
                    slot.was_used = false;
                    self.clock.push_back(key);
                }
                _ => {
                    if let Some(gone) = self.slots.remove(&key) {
                        self.weight -= gone.weight;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_looked_at_stays_when_room_is_short() {
        let mut map = SecondChance::new(100);
        for key in 0..1_000_u32 {
            map.insert(key, (), 1);
            assert!(map.get(&0).is_some(), "after {key}");
        }
        assert_eq!(map.slots.len(), 100);
        assert!(map.get(&999).is_some());
        assert!(map.get(&1).is_none());
    }

    proptest! {
        #[test]
        fn the_accounts_are_right_whatever_happens(steps in prop::collection::vec((0..8_u8, 0..40_usize), 0..100)) {
            let mut map = SecondChance::new(60);
            for (key, weight) in steps {
                match weight {
                    0..5 => drop(map.get(&key)),
                    weight => map.insert(key, (), weight),
                }
                prop_assert_eq!(map.weight, map.slots.values().map(|slot| slot.weight).sum::<usize>());
                prop_assert_eq!(map.clock.len(), map.slots.len());
                prop_assert!(map.weight <= map.max_weight || map.slots.len() == 1);
            }
        }
    }
}
