//! Connection: an open connection to a database. Knows no SQL.

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error as SqlError};

use super::{address::ServerAddress, tls::PostgresTls};
use crate::error::Error;

/// A server with a database, which connections are opened to.
#[derive(Clone)]
pub(crate) struct Server {
    config: Config,
    tls: PostgresTls,
    /// What it is called in messages.
    name: String,
}

/// An open connection.
pub(crate) struct Connection {
    /// Sends statements.
    pub client: Client,
    /// Ends with the connection, after the client was dropped.
    pub task: JoinHandle<()>,
}

impl Server {
    /// Reads the URL of a database, which is called `name` in messages.
    ///
    /// # Errors
    /// It is no such URL, or its file of authorities cannot be read. `wrong` makes the error of a message that shows no
    /// password.
    pub fn of(url: &str, name: &str, wrong: &dyn Fn(String) -> Error) -> Result<Self, Error> {
        let ServerAddress { config, trust } = ServerAddress::of(url, wrong)?;
        Ok(Self { config, tls: PostgresTls::new(&trust)?, name: name.to_owned() })
    }

    /// Sets options of its sessions, as `-c name=value`.
    #[cfg(feature = "cluster")]
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        let given = self.config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
        self.config.options(format!("{given}{options}"));
        self
    }

    /// Connects. The connection works as long as the runtime that this is called in.
    ///
    /// # Errors
    /// The server cannot be reached, or lets nobody in.
    pub async fn connect(&self) -> Result<Connection, SqlError> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let at = self.name.clone();
        let task = tokio::spawn(async move {
            // Whoever uses it hears of it too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, at, "the connection has ended");
            }
        });
        Ok(Connection { client, task })
    }
}
