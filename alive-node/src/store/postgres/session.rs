//! One connection to the server: [`Session`].

use std::{
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::{sync::Notify, task::JoinHandle, time};
use tokio_postgres::{AsyncMessage, Client, Row, Statement, types::ToSql};
use tokio_util::sync::CancellationToken;

use super::{
    config::PostgresStoreConfig,
    error::{Failure, PostgresStoreError},
};

/// How much longer than the server we wait, before we take it for dead.
const GRACE: Duration = Duration::from_secs(5);

/// The longest that connecting may take, over all hosts that are named.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for a lock of another session.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It changes tables, and holds locks while it lives. It ends when it is silent for a lease.
    Leader,
    /// It asks, or waits to be told.
    Reader,
}

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// A connection. Dropping it ends it, and with it whatever its transaction did and the locks it held.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    statements: Mutex<HashMap<&'static str, Statement>>,
    patience: Duration,
    ended: CancellationToken,
    told: Arc<Notify>,
}

impl Session {
    /// Connects. Every bound is the server's, so that it holds when we are gone.
    pub(super) async fn open(
        config: &PostgresStoreConfig,
        role: Role,
    ) -> Result<Self, PostgresStoreError> {
        // The bound of the settings is that of the socket alone; a server that hangs would take us on for ever.
        let connected = time::timeout(CONNECT_TIMEOUT, config.server.connect()).await;
        let (client, mut connection) =
            connected.map_err(|_| PostgresStoreError::Silent(CONNECT_TIMEOUT))??;
        let (ended, told) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (guard, tell) = (ended.clone().drop_guard(), Arc::clone(&told));
        let driver = tokio::spawn(async move {
            let _guard = guard;
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => tell.notify_one(),
                    Some(Ok(_)) => {}
                    // What ends the connection, its statements say as well.
                    Some(Err(error)) => return tracing::debug!(%error, "connection ended"),
                    None => return,
                }
            }
        });
        let session = Self {
            client,
            driver,
            statements: Mutex::default(),
            patience: config.statement_timeout + GRACE,
            ended,
            told,
        };
        session.set_up(config, role).await?;
        Ok(session)
    }

    async fn set_up(
        &self,
        config: &PostgresStoreConfig,
        role: Role,
    ) -> Result<(), PostgresStoreError> {
        let needed = format!(
            "SET search_path = {}; SET statement_timeout = {}; SET lock_timeout = {}",
            config.schema,
            config.statement_timeout.as_millis(),
            LOCK_TIMEOUT.as_millis(),
        );
        self.run(&needed).await?;
        // What a server does not know of these, it does without: then a client that vanished is noticed later.
        let lease = config.lease.as_millis();
        let mut helpful = vec![
            "tcp_keepalives_idle = 10".to_owned(),
            "tcp_keepalives_interval = 5".to_owned(),
            "tcp_keepalives_count = 3".to_owned(),
            "client_connection_check_interval = 2000".to_owned(),
            format!("idle_in_transaction_session_timeout = {lease}"),
        ];
        if role == Role::Leader {
            helpful.push(format!("idle_session_timeout = {lease}"));
        }
        for setting in helpful {
            match self.run(&format!("SET {setting}")).await {
                Err(PostgresStoreError::Statement(error)) if error.code().is_some() => {
                    tracing::debug!(setting, %error, "the server has no such setting");
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Runs statements that give nothing.
    pub(super) async fn run(&self, sql: &str) -> Result<(), PostgresStoreError> {
        self.wait(self.client.batch_execute(sql)).await
    }

    /// Prepares a statement, or finds it prepared.
    pub(super) async fn prepare(&self, sql: &'static str) -> Result<Statement, PostgresStoreError> {
        if let Some(statement) = self.statements().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql)).await?;
        self.statements().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Runs a prepared statement and gives back how many rows it was about. It is sent when it is first polled.
    pub(super) async fn execute(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, PostgresStoreError> {
        self.wait(self.client.execute(statement, parameters)).await
    }

    /// Runs a prepared query. It is sent when it is first polled.
    pub(super) async fn query(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, PostgresStoreError> {
        self.wait(self.client.query(statement, parameters)).await
    }

    /// Prepares and runs a query.
    pub(super) async fn rows(
        &self,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, PostgresStoreError> {
        let statement = self.prepare(sql).await?;
        self.query(&statement, parameters).await
    }

    /// Prepares and runs a query for at most one row.
    pub(super) async fn row(
        &self,
        sql: &'static str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, PostgresStoreError> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }

    /// Prepares and runs a query, and shows its rows one by one: they are never all in memory.
    pub(super) async fn each(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        mut each: impl FnMut(&Row) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let stream =
            self.wait(self.client.query_raw(statement, parameters.iter().copied())).await?;
        let mut stream = pin!(stream);
        while let Some(row) = self.wait(async { stream.next().await.transpose() }).await? {
            each(&row)?;
        }
        Ok(())
    }

    /// Is cancelled when the connection has ended.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.ended.is_cancelled()
    }

    /// Waits until a notification has come since the last call returned.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    async fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresStoreError> {
        match time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(PostgresStoreError::Statement),
            Err(_) => Err(PostgresStoreError::Silent(self.patience)),
        }
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
