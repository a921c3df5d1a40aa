//! Said: what a server says of what went wrong, and whether it is there at all. Knows no SQL.

use std::error::Error as _;

use tokio_postgres::Error as SqlError;

/// Tells whether the connection is lost, or the server takes none now: it shuts down, starts, is full of connections,
/// is no longer the primary one, or has closed a connection that was idle for too long, within a transaction or not
/// (PostgreSQL's documentation, appendix A). Such a server says so in answer to the next statement.
pub(crate) fn is_unreachable(error: &SqlError) -> bool {
    error.code().is_none_or(|code| {
        let code = code.code();
        matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" | "25006") || code.starts_with("08")
    })
}

/// What a server says of a row at the most, in characters.
const MAX_CHARS: usize = 500;

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
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;
    use crate::{error::Error, postgres::Server, postgres_server::PostgresServer};

    /// Regression: a break in the middle of a commit, shorter than a term, failed the crawl.
    #[test]
    fn a_connection_that_the_server_closes_since_it_was_idle_is_lost_like_any_other() {
        let server = PostgresServer::shared();
        let url = server.database("idle");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (setting, begin, code) in
            [("idle_session_timeout", "SELECT 1", "57P05"), ("idle_in_transaction_session_timeout", "BEGIN", "25P03")]
        {
            let of = Server::of(&url, "idle", &|why| Error::setting("url", why)).unwrap();
            let of = of.with_options(&format!("-c {setting}=100ms"));
            runtime.block_on(async {
                let live = of.connect().await.unwrap();
                live.client.batch_execute(begin).await.unwrap();
                // This blocks the connection's task too, so the server's word comes in answer to the next statement.
                let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'actix-crawler' \
                            AND datname = current_database()";
                while server.psql("idle", open) != "0" {}
                let error = live.client.batch_execute("SELECT 2").await.unwrap_err();
                assert_eq!(error.code().map(|code| code.code()), Some(code), "{error}");
                assert!(is_unreachable(&error), "{error}");
            });
        }
    }
}
