//! A few connections to one file, used on blocking threads.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alive_core::backend::StoreError;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{BACKEND, Failure};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// Connections that are lent out one by one; who finds none free waits.
pub(super) struct Connections {
    path: PathBuf,
    role: Role,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Connections {
    /// Up to `count` connections, opened when they are first needed.
    pub(super) fn new(path: &Path, role: Role, count: usize) -> Self {
        let permits = Arc::new(Semaphore::new(count));
        Self { path: path.to_path_buf(), role, idle: Arc::default(), permits }
    }

    /// Adds a connection that is open already.
    pub(super) fn give(&self, connection: Connection) {
        give(&self.idle, connection);
    }

    /// Does work on a connection of its own. Once it has begun it ends, whether or not somebody waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(unavailable)?;
        let (idle, path, role) = (Arc::clone(&self.idle), self.path.clone(), self.role);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = match take(&idle) {
                Some(connection) => connection,
                None => open(&path, role)?,
            };
            let value = work(&mut connection);
            give(&idle, connection);
            drop(permit);
            value
        });
        Ok(done.await.map_err(unavailable)??)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("path", &self.path)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

// A panic while the lock is held is impossible: it is held for a push or a pop.
fn take(idle: &Mutex<Vec<Connection>>) -> Option<Connection> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn give(idle: &Mutex<Vec<Connection>>, connection: Connection) {
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
}

/// Opens a connection and sets it up.
pub(super) fn open(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    /// Another process may hold the file for as long as its longest commit takes.
    const BUSY: Duration = Duration::from_secs(5);
    /// Statements in use: some twenty.
    const STATEMENTS: usize = 32;
    /// The write-ahead log is cut back to this many bytes after a long commit.
    const LOG_BYTES: u32 = 64 << 20;
    // Only the writer makes the file. A reader that finds none says so, instead of reading an empty one in its place.
    let flags = match role {
        Role::Reader => OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE),
        Role::Writer => OpenFlags::default(),
    };
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    match role {
        Role::Reader => connection.pragma_update(None, "query_only", true)?,
        Role::Writer => {
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        }
    }
    Ok(connection)
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable { backend: BACKEND, source: source.into() }
}
