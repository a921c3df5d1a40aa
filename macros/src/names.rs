//! Names: what may be written in `#[extract(…)]`, and what somebody meant who wrote something else.

use syn::{Error, Path};

/// Returns the error for a name that is none of these, with the one that was meant.
pub fn unknown(path: &Path, names: &[&str], of: &str) -> Error {
    let written = path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::");
    let hint = match nearest(&written, names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{of} has {}", listed(names)),
    };
    Error::new_spanned(path, format!("`{written}` is unknown: {hint}"))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What people write who come from other crates.
const ALIASES: [(&str, &str); 11] = [
    ("selector", "css"),
    ("select", "css"),
    ("attribute", "attr"),
    ("regex", "re"),
    ("pattern", "re"),
    ("with", "parse"),
    ("jmespath", "jmes"),
    ("pointer", "json"),
    ("href", "url"),
    ("link", "url"),
    ("text", "css"),
];

/// Returns the name that is meant by another one, if there is one like it.
fn nearest<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == written).map(|(_, name)| *name);
    if let Some(name) = names.iter().find(|name| Some(**name) == alias) {
        return Some(name);
    }
    let near = names.iter().map(|name| (distance(written, name), *name)).min()?;
    Some(near.1).filter(|name| near.0 <= 1 + name.len() / 4)
}

/// Returns how many letters have to be inserted, removed, replaced or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or_default();
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, from) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(from != to);
            let cost = replaced.min(at(&last, j + 1) + 1).min(at(&next, j) + 1);
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            next.push(if is_swap { cost.min(at(&before, j - 1) + 1) } else { cost });
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_suggested_and_others_are_not() {
        let names = ["css", "xpath", "attr", "url", "own_text", "default"];
        for (written, name) in [
            ("ccs", Some("css")),
            ("atr", Some("attr")),
            ("attribute", Some("attr")),
            ("owntext", Some("own_text")),
            ("selector", Some("css")),
            ("deflaut", Some("default")),
            ("ulr", Some("url")),
            ("rul", Some("url")),
            ("flatten", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &names), name, "{written}");
        }
    }
}
