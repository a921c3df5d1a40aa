//! WriteFailed: what went wrong with a database, and what is to be done about it. Knows no SQL.

use tokio_postgres::Error as SqlError;

use crate::{
    error::Error,
    feed::table::FeedTable,
    postgres::{is_unreachable, said},
};

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum WriteFailed {
    /// The server or the connection says so.
    Sql(SqlError),
    /// A setting is wrong.
    Setting(Error),
    /// A value does not fit its column.
    Misfit(String),
    /// Another program has made the table at the same moment.
    MadeMeanwhile,
    /// The server has not answered in time.
    Late,
}

impl From<SqlError> for WriteFailed {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Try again with another connection.
    Reconnect,
    /// Try again.
    Retry,
    /// Write the records one by one: one of them is to blame.
    Refuse,
    /// End.
    End,
}

impl WriteFailed {
    /// Returns what is to be done.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Sql(error) if is_unreachable(error) => Remedy::Reconnect,
            Self::Sql(error) => error.code().map_or(Remedy::Reconnect, |code| remedy_of(code.code())),
            Self::Misfit(_) => Remedy::Refuse,
            Self::MadeMeanwhile => Remedy::Retry,
            Self::Late => Remedy::Reconnect,
            Self::Setting(_) => Remedy::End,
        }
    }

    /// Tells whether a column is of another type than the statement says.
    pub fn is_of_types(&self) -> bool {
        matches!(self, Self::Sql(error) if error.code().is_some_and(|code| code.code() == "42804"))
    }

    /// Returns the reason.
    pub fn why(&self) -> String {
        match self {
            Self::Sql(error) => said(error),
            Self::Setting(error) => error.to_string(),
            Self::Misfit(why) => why.clone(),
            Self::MadeMeanwhile => "another program makes this table again and again".to_owned(),
            Self::Late => "the server does not answer, or another session holds the table".to_owned(),
        }
    }

    /// Returns the error for a feed that cannot be opened.
    pub fn into_error(self, table: &FeedTable) -> Error {
        match self {
            Self::Setting(error) => error,
            Self::Sql(error) if error.as_db_error().is_none() => table.wrong(format!(
                "the database cannot be reached: {}; see that PostgreSQL runs there and lets this machine in",
                said(&error)
            )),
            other => table.wrong(format!("the database refuses: {}", other.why())),
        }
    }
}

/// Sorts the server's errors (PostgreSQL's documentation, appendix A).
fn remedy_of(code: &str) -> Remedy {
    match code {
        // Serialization, deadlock, a lock that was not waited for.
        "40001" | "40P01" | "55P03" => Remedy::Retry,
        // Errors of a trigger, of a view's condition, of the same row twice, and names that no column can have.
        "P0001" | "44000" | "21000" | "42701" | "42601" | "42602" | "42622" | "42804" | "42P16" => Remedy::Refuse,
        // Values, constraints, limits.
        _ if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => Remedy::Refuse,
        _ => Remedy::End,
    }
}
