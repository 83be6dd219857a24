//! One connection to HAF's database: [`Session`].

use std::{future::Future, pin::pin, time::Duration};

use futures_util::StreamExt as _;
use tokio::{task::JoinHandle, time};
use tokio_postgres::{Client, Row, SimpleQueryMessage, types::ToSql};

use super::{config::HafBlockSourceConfig, error::HafError};

/// How much longer than the server we wait, before we take it for dead.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait for a lock of another process on our context.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection. Dropping it ends it, and with it whatever its transaction did.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    patience: Duration,
}

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

impl Session {
    /// Connects. Every bound is the server's, so that it holds when we are gone.
    pub(super) async fn open(config: &HafBlockSourceConfig) -> Result<Self, HafError> {
        let (client, connection) = config.server.connect().await?;
        // What ends the connection, its statements say as well.
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to HAF ended");
            }
        });
        let session = Self { client, driver, patience: config.statement_timeout + GRACE };
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; \
             SET default_transaction_isolation = 'read committed'",
            config.statement_timeout.as_millis(),
            LOCK_TIMEOUT.as_millis(),
            config.apply_timeout.as_millis(),
        );
        session.run("its settings were made", &settings).await?;
        Ok(session)
    }

    /// Runs statements that give nothing.
    pub(super) async fn run(&self, what: &'static str, sql: &str) -> Result<(), HafError> {
        self.wait(what, self.client.batch_execute(sql)).await
    }

    /// Runs one statement as `psql` does and gives back the first column of its row.
    pub(super) async fn value(
        &self,
        what: &'static str,
        sql: &str,
    ) -> Result<Option<String>, HafError> {
        let messages = self.wait(what, self.client.simple_query(sql)).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.and_then(|row| row.get(0)).map(str::to_owned))
    }

    /// Runs a query and shows its rows one by one, until there are no more or `each` says `false`. No more than a few
    /// rows are in memory at once.
    pub(super) async fn rows(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
        mut each: impl FnMut(&Row) -> Result<bool, HafError>,
    ) -> Result<(), HafError> {
        let stream =
            self.wait(what, self.client.query_raw(sql, parameters.iter().copied())).await?;
        let mut stream = pin!(stream);
        while let Some(row) = self.wait(what, async { stream.next().await.transpose() }).await? {
            if !each(&row)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the server has ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn wait<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, HafError> {
        match time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|error| HafError::Statement(what, error)),
            Err(_) => Err(HafError::Silent(what, self.patience)),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A column of a row.
pub(super) fn column<'a, T>(row: &'a Row, index: usize, want: &'static str) -> Result<T, HafError>
where
    T: tokio_postgres::types::FromSql<'a>,
{
    row.try_get(index).map_err(|_| HafError::Answer(want))
}
