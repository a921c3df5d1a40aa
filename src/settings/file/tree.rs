//! Tree: the values of a parsed file, each with its place in the text. Finds, puts in and takes out. Knows no settings.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::settings::key::{Key, KeyPart};

/// Returns the place of a key; of one that is not there, the place of the last table on the way.
pub fn place(table: &DeTable<'_>, key: &Key) -> Range<usize> {
    let mut parts = key.parts().iter();
    let Some(KeyPart::Name(name)) = parts.next() else { return 0..0 };
    let Some((found, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { return 0..0 };
    let (mut place, mut value) = (found.span(), value);
    for part in parts {
        let next = match (part, value.get_ref()) {
            (KeyPart::Name(name), DeValue::Table(inner)) => {
                inner.iter().find(|(key, _)| key.get_ref() == name).map(|(key, value)| (key.span(), value))
            }
            (KeyPart::Index(index), DeValue::Array(list)) => list.get(*index).map(|value| (value.span(), value)),
            _ => None,
        };
        let Some(next) = next else { break };
        (place, value) = next;
    }
    place
}

/// Sets a value, in place of what is there.
pub fn insert<'a>(table: &mut DeTable<'a>, path: &[&str], value: Spanned<DeValue<'a>>, span: &Range<usize>) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = Spanned::new(span.clone(), (*first).to_owned().into());
    if rest.is_empty() {
        // The key too, since its place tells where the value is from.
        table.remove(&key);
        table.insert(key, value);
        return;
    }
    let inner = match table.remove_entry(&key) {
        Some((key, value)) => {
            let at = value.span();
            match value.into_inner() {
                DeValue::Table(inner) => Some((key, at, inner)),
                _ => None,
            }
        }
        None => None,
    };
    let (key, at, mut inner) = inner.unwrap_or_else(|| (key, span.clone(), DeTable::new()));
    insert(&mut inner, rest, value, span);
    table.insert(key, Spanned::new(at, DeValue::Table(inner)));
}

/// Gives a value, and all that is in it, one place.
pub fn at<'a>(value: DeValue<'a>, span: &Range<usize>) -> Spanned<DeValue<'a>> {
    let value = match value {
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|element| at(element.into_inner(), span)).collect())
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'a>>)| {
                (Spanned::new(span.clone(), key.into_inner()), at(value.into_inner(), span))
            };
            DeValue::Table(table.into_iter().map(entry).collect())
        }
        other => other,
    };
    Spanned::new(span.clone(), value)
}

/// Takes out the innermost key whose value has this span in it, or the one element of its list, and returns the key.
pub fn remove(table: &mut DeTable<'_>, span: &Range<usize>, path: &Key) -> Option<Key> {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    // A table that is written in parts has the span of its first part only, so what is in it is looked at first.
    for (key, value) in table.iter_mut() {
        let path = path.name(key.get_ref());
        let inner = match value.get_mut() {
            DeValue::Table(inner) => remove(inner, span, &path),
            DeValue::Array(list) => {
                // Elements that are tables lack a key without the one that is wrong: they go whole.
                let element = list.iter().position(|element| holds(element.span()));
                element.map(|index| {
                    let others = list.iter().enumerate().filter(|(other, _)| *other != index);
                    *list = others.map(|(_, element)| element.clone()).collect();
                    path
                })
            }
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    let key = table.iter().find(|(key, value)| holds(value.span()) || holds(key.span())).map(|(key, _)| key.clone())?;
    table.remove(&key);
    Some(path.name(key.get_ref()))
}
