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

/// Returns how many letters have to be inserted, removed or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((to, above), before) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            next.push((before + usize::from(from != *to)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_suggested_and_others_are_not() {
        let names = ["css", "xpath", "attr", "own_text", "default"];
        for (written, name) in [
            ("ccs", Some("css")),
            ("atr", Some("attr")),
            ("attribute", Some("attr")),
            ("owntext", Some("own_text")),
            ("selector", Some("css")),
            ("deflaut", Some("default")),
            ("flatten", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &names), name, "{written}");
        }
    }
}
