//! Sessions that read, lent out one by one: [`Pool`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::{
    config::PostgresStoreConfig,
    error::{Failure, PostgresStoreError},
    session::{Role, Session},
};

/// The longest time without an attempt to reach a server that is down.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What is asked of a session, and may be asked again of another one.
pub(super) trait Question: Sync {
    /// What comes back.
    type Answer: Send;

    /// Asks.
    fn ask(&self, session: &Session) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// Up to a number of sessions, opened when they are first needed; who finds none free waits.
#[derive(Debug)]
pub(super) struct Pool {
    config: Arc<PostgresStoreConfig>,
    idle: Mutex<Vec<Session>>,
    permits: Semaphore,
    down: Mutex<Down>,
}

/// How the last attempts to connect went.
#[derive(Debug, Default)]
struct Down {
    failures: u32,
    until: Option<Instant>,
}

impl Pool {
    pub(super) fn new(config: Arc<PostgresStoreConfig>) -> Self {
        let permits = Semaphore::new(config.connections);
        Self { config, idle: Mutex::default(), permits, down: Mutex::default() }
    }

    /// Asks on a session of its own; once more on a fresh one if the session turns out to be lost. Work that fails or is
    /// dropped half way takes its session with it.
    pub(super) async fn read<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Failure> {
        let _permit = self.permit().await?;
        if let Some(session) = self.take() {
            match question.ask(&session).await {
                Err(failure) if failure.is_lost() => {
                    tracing::debug!(%failure, "a connection to PostgreSQL was lost");
                    // The others went the same way, most likely.
                    lock(&self.idle).retain(|session| !session.is_closed());
                }
                Err(failure) => return Err(failure),
                Ok(value) => {
                    lock(&self.idle).push(session);
                    return Ok(value);
                }
            }
        }
        let session = self.connect().await?;
        let value = question.ask(&session).await?;
        lock(&self.idle).push(session);
        Ok(value)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, PostgresStoreError> {
        let limit = self.config.statement_timeout;
        match timeout(limit, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(PostgresStoreError::Busy(limit)),
        }
    }

    fn take(&self) -> Option<Session> {
        let mut idle = lock(&self.idle);
        idle.retain(|session| !session.is_closed());
        idle.pop()
    }

    /// Connects, unless that failed a moment ago: requests of viewers must not pile up on a server that is down.
    async fn connect(&self) -> Result<Session, PostgresStoreError> {
        let wait =
            lock(&self.down).until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(PostgresStoreError::Down(wait));
        }
        let session = Session::open(&self.config, Role::Reader).await;
        let mut down = lock(&self.down);
        match &session {
            Ok(_) => *down = Down::default(),
            Err(_) => {
                let doubled =
                    Duration::from_millis(50) * 2_u32.saturating_pow(down.failures.min(10));
                down.until = Some(Instant::now() + doubled.min(LONGEST_BACKOFF));
                down.failures = down.failures.saturating_add(1);
            }
        }
        session
    }
}

// A panic while a lock is held is impossible: it is held for a few moves.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
