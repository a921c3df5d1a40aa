//! Said: what a server says of what went wrong, and whether it is there at all. Knows no SQL.

use std::error::Error as _;

use tokio_postgres::Error as SqlError;

/// Tells whether the connection is lost, or the server takes none now: it shuts down, starts, is full of connections, or is no
/// longer the primary one (PostgreSQL's documentation, appendix A).
pub(crate) fn is_unreachable(error: &SqlError) -> bool {
    error.code().is_none_or(|code| {
        let code = code.code();
        matches!(code, "57P01" | "57P02" | "57P03" | "53300" | "25006") || code.starts_with("08")
    })
}

/// What a server says of a row at the most, in characters.
const MOST: usize = 500;

/// Returns what went wrong, in the server's own words where there are some.
pub(crate) fn said(error: &SqlError) -> String {
    let text = match error.as_db_error() {
        Some(said) => {
            let place = said.where_().and_then(|place| place.lines().next()).filter(|place| place.contains("column"));
            [Some(said.message()), said.detail(), said.hint(), place]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; ")
        }
        None => error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
