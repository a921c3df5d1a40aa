//! Shares: which parts fall to which node. Every node computes the same by itself. Knows no database.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::frontier::part::{Part, PartSet};

/// Returns the node to which a part falls, of those that are live (rendezvous hashing): when a node comes or goes, only
/// the parts that fall to it move.
pub(super) fn owner_of(part: Part, live: &[i64]) -> Option<i64> {
    let weight = |session: &i64| xxh3_64_with_seed(&session.to_be_bytes(), part.number().into());
    live.iter().copied().max_by_key(|session| (weight(session), *session))
}

/// Returns the parts that fall to a node.
pub(super) fn parts_of(session: i64, live: &[i64]) -> PartSet {
    Part::all().filter(|part| owner_of(*part, live) == Some(session)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_falls_to_one_node_evenly_and_only_those_of_a_node_that_comes_or_goes_move() {
        let mut random = fastrand::Rng::with_seed(7);
        let nodes: Vec<i64> = std::iter::repeat_with(|| random.i64(..)).take(10).collect();
        let shares: Vec<_> = nodes.iter().map(|node| parts_of(*node, &nodes)).collect();
        assert_eq!(shares.iter().map(PartSet::len).sum::<usize>(), usize::from(Part::COUNT));
        assert!(shares.iter().all(|share| (60..150).contains(&share.len())), "{shares:?}");
        let (gone, left) = nodes.split_last().unwrap();
        for (node, before) in left.iter().zip(&shares) {
            assert!(before.without(&parts_of(*node, left)).is_empty(), "it keeps what it had");
        }
        assert!(parts_of(*gone, left).is_empty() && parts_of(1, &[]).is_empty());
    }
}
