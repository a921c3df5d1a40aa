//! Sql: what statements of both databases have in common. Knows neither.

use super::FeedTable;

/// Returns a name as it stands in a statement, whatever is in it.
pub(in crate::feed) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns names with commas between them.
pub(in crate::feed) fn list<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Returns the end of a statement that replaces these columns of the rows that have the same key.
pub(in crate::feed) fn replacing(table: &FeedTable, columns: &[String]) -> String {
    let others = columns.iter().filter(|name| !table.key.contains(name));
    let set: Vec<_> = others.map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
    let action = if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
    format!("ON CONFLICT ({}) DO {action}", list(&table.key))
}
