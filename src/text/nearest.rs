//! Nearest: the name that was probably meant. Does not know what is named.

/// The longest text that is compared, in bytes: twice as long as the longest name of a variable.
const MAX_LENGTH: usize = 128;

/// Returns the nearest of these names, if one is so near that it was probably meant: at most a third of it differs.
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > MAX_LENGTH {
        return None;
    }
    let near = names.into_iter().map(|name| (distance(given, name), name)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, name)| *distance <= name.chars().count().max(3).div_ceil(3)).map(|(_, name)| name)
}

/// Returns how many letters must be put in, taken out, replaced or swapped with the next to make one text of the other:
/// the distance of Damerau and Levenshtein, restricted to swaps that are not changed again.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Rows of the table of distances between beginnings: the last two, and the one in the making.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, other_letter) in other.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(letter != other_letter);
            let mut cost = replaced.min(at(&last, column + 1) + 1).min(at(&now, column) + 1);
            let is_swap = row > 0
                && column > 0
                && one.get(row - 1) == Some(other_letter)
                && other.get(column - 1) == Some(letter);
            if is_swap {
                cost = cost.min(at(&before, column - 1).saturating_add(1));
            }
            now.push(cost);
        }
        before = std::mem::replace(&mut last, now);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_little_was_meant_and_what_differs_much_was_not() {
        let names = ["spacing", "rate", "rest", "max_pages"];
        for (given, meant) in [
            ("spaceing", Some("spacing")),
            ("sapcing", Some("spacing")),
            ("raet", Some("rate")),
            ("max_page", Some("max_pages")),
            ("politeness", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names), meant, "{given}");
        }
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("ab", "ba")), (3, 3, 1));
        assert_eq!((distance("kitten", "sitting"), distance("same", "same")), (3, 0));
    }
}
