//! Warnings: suppresses repeated warnings. Knows no logger: the caller asks before it logs.

use std::time::{Duration, Instant};

use hashbrown::HashMap;

/// Lets the first warning of a kind through, and then one in a while with the number suppressed in between: 10,000
/// unreachable domains would otherwise log 10,000 lines.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kinds: HashMap<String, WarningKind>,
}

#[derive(Debug)]
struct WarningKind {
    said: Instant,
    unsaid: u64,
}

/// The pause between two warnings of one kind.
const BETWEEN: Duration = Duration::from_secs(10);

/// The most kinds that are distinguished. A kind is a reason, of which there are a few dozen; further ones count as
/// one.
const MAX_KINDS: usize = 200;

impl Warnings {
    /// Counts a warning. Returns the number suppressed since the last one if this one is to be logged; else `None`.
    pub fn note(&mut self, kind: &str, now: Instant) -> Option<u64> {
        let kind = if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(kind) { kind } else { "other" };
        let Some(known) = self.kinds.get_mut(kind) else {
            self.kinds.insert(kind.to_owned(), WarningKind { said: now, unsaid: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(known.said) < BETWEEN {
            known.unsaid += 1;
            return None;
        }
        known.said = now;
        Some(std::mem::take(&mut known.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_warnings_of_a_kind_are_one_line_and_then_a_number_every_ten_seconds() {
        let (mut warnings, start) = (Warnings::default(), Instant::now());
        let said: Vec<_> =
            (0..10_000u64).filter_map(|n| warnings.note("dns", start + Duration::from_millis(3 * n))).collect();
        assert_eq!(said, [0, 3_333, 3_333]);
        assert_eq!(warnings.note("connect", start), Some(0), "another kind");
    }
}
