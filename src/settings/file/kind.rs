//! Kind: whether a value is of the kind that its key takes, and what to write if it is not. Knows no settings.

use toml::de::DeValue;

use super::shape::Shape;
use crate::text::nearest::nearest;

/// Says what to write in place of a value of another kind; `None` if it is of the right one.
pub fn wrong_kind(shape: &Shape, value: &DeValue<'_>) -> Option<String> {
    let is_right = match (shape, value) {
        (Shape::OneOf(words), DeValue::String(given)) => return wrong_word(words, given),
        (Shape::OneOf(words), DeValue::Table(table)) => {
            let is_known = |key: &str| words.iter().any(|(word, shape)| *word == key && shape.is_some());
            table.len() == 1 && table.keys().all(|key| is_known(key.get_ref()))
        }
        (Shape::Table(_) | Shape::Map(_), DeValue::Table(_))
        | (Shape::List(_), DeValue::Array(_))
        | (Shape::Bool, DeValue::Boolean(_))
        | (Shape::Integer | Shape::Signed, DeValue::Integer(_))
        | (Shape::Number, DeValue::Integer(_) | DeValue::Float(_))
        | (Shape::Text, DeValue::String(_))
        | (Shape::TextOrNumber, DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_)) => true,
        _ => false,
    };
    (!is_right).then(|| format!("{} does not belong here; write {}", kind(value), wanted(shape)))
}

/// Says what to write in place of a number that is out of the range of its key.
pub fn out_of_range(value: &str) -> String {
    match value {
        "0" => "0 allows nothing; write at least 1".to_owned(),
        negative if negative.starts_with('-') => format!("{negative} is negative; write a whole number from 0 on"),
        large => format!("{large} is too large; write a smaller number"),
    }
}

fn wrong_word(words: &[(&str, Option<Shape>)], given: &str) -> Option<String> {
    let plain: Vec<&str> = words.iter().filter(|(_, shape)| shape.is_none()).map(|(word, _)| *word).collect();
    if plain.contains(&given) {
        return None;
    }
    if plain.is_empty() {
        // The text may be a password.
        return Some(format!("a text does not belong here; write {}", either(words)));
    }
    let meant = nearest(given, plain).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
    Some(format!("`{given}` is none of its words; write {}{meant}", either(words)))
}

/// Lists what one of several is.
fn either(words: &[(&str, Option<Shape>)]) -> String {
    let written = |(word, shape): &(&str, Option<Shape>)| match shape {
        None => format!("\"{word}\""),
        Some(Shape::Table(keys)) => {
            let keys: Vec<_> = keys.iter().map(|(key, _)| format!("{key} = …")).collect();
            format!("{{ {word} = {{ {} }} }}", keys.join(", "))
        }
        Some(_) => format!("{{ {word} = \"…\" }}"),
    };
    words.iter().map(written).collect::<Vec<_>>().join(" or ")
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Table(_) | Shape::Map(_) => "a table, as { key = value }".to_owned(),
        Shape::List(of_each) if **of_each == Shape::Text => "a list, as [\"one\", \"two\"]".to_owned(),
        Shape::List(_) => "a list of tables, as [{ … }, { … }]".to_owned(),
        Shape::OneOf(words) => either(words),
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer | Shape::Signed => "a whole number, as 10".to_owned(),
        Shape::Number => "a number, as 0.5".to_owned(),
        Shape::Text => "a text in quotation marks".to_owned(),
        Shape::TextOrNumber => {
            "a text in quotation marks, such as \"1s\", \"2m 30s\" or \"95%\", or a number".to_owned()
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotation marks",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
