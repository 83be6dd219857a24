//! Who may write: [`Leadership`] of one network.
//!
//! A session of the server holds an advisory lock for as long as it lives, and all writes go through that session: who
//! loses the session has lost the lock, and its last transaction with it. As a second fence every leader counts up the
//! network's term, and every transaction holds the network's row and compares the term: so even where the lock means
//! nothing, two leaders never mix.

use std::{sync::Arc, time::Duration};

use alive_core::{Network, backend::Commit};
use tokio::{
    sync::Mutex,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    config::PostgresStoreConfig,
    error::{Failure, PostgresStoreError},
    lock_key,
    read::value,
    session::{Role, Session},
    write::Place,
};

/// How long a commit of a process that does not lead tries to, and how often: a session that was just dropped takes the
/// server a moment to notice.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// The place of one network's leader in this process: empty while it does not lead.
#[derive(Debug)]
pub(super) struct Seat {
    config: Arc<PostgresStoreConfig>,
    network: Network,
    leader: Mutex<Option<Leader>>,
}

/// A session that leads.
#[derive(Debug)]
struct Leader {
    session: Session,
    row: i64,
    term: i64,
    channel: Option<Box<str>>,
}

impl Seat {
    pub(super) fn new(config: Arc<PostgresStoreConfig>, network: Network) -> Self {
        Self { config, network, leader: Mutex::default() }
    }

    /// Takes a step; leads for it, if nobody else does.
    pub(super) async fn commit(&self, step: &Commit) -> Result<(), Failure> {
        let mut seat = self.leader.lock().await;
        // Taken out: what fails or is dropped half way takes its session with it, and the server rolls back.
        let leader = match seat.take().filter(|leader| !leader.session.is_closed()) {
            Some(leader) => leader,
            None => self.take_over().await?,
        };
        let place = Place {
            session: &leader.session,
            network: &self.network,
            row: leader.row,
            term: leader.term,
            channel: leader.channel.as_deref(),
        };
        let done = place.commit(step).await;
        if matches!(done, Ok(()) | Err(Failure::Order { .. })) {
            *seat = Some(leader);
        }
        done
    }

    /// Leads, or fails with [`PostgresStoreError::NotLeader`].
    async fn take_over(&self) -> Result<Leader, Failure> {
        let session = Session::open(&self.config, Role::Leader).await?;
        let deadline = Instant::now() + PATIENCE;
        while !self.locks(&session).await? {
            if Instant::now() >= deadline {
                return Err(PostgresStoreError::NotLeader(self.network.clone()).into());
            }
            time::sleep(PAUSE).await;
        }
        self.begin_term(session).await
    }

    /// Whether the session has the lock from now on.
    async fn locks(&self, session: &Session) -> Result<bool, Failure> {
        let key = lock_key(&self.config.schema, self.network.as_str());
        let row = session.row("SELECT pg_try_advisory_lock($1)", &[&key]).await?;
        row.map_or(Ok(false), |row| value(&row, 0))
    }

    /// Leads, if nobody else does. The session is kept for the next attempt.
    async fn stand(&self, candidate: &mut Option<Session>) -> Result<Option<Leader>, Failure> {
        let session = match candidate.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::open(&self.config, Role::Leader).await?,
        };
        if self.locks(&session).await? {
            return Ok(Some(self.begin_term(session).await?));
        }
        *candidate = Some(session);
        Ok(None)
    }

    async fn begin_term(&self, session: Session) -> Result<Leader, Failure> {
        let count = "INSERT INTO networks (name, created, irreversible, term, version)
            VALUES ($1, 0, 0, 1, 0)
            ON CONFLICT (name) DO UPDATE SET term = networks.term + 1 RETURNING id, term";
        let Some(row) = session.row(count, &[&self.network.as_str()]).await? else {
            return Err(PostgresStoreError::NotLeader(self.network.clone()).into());
        };
        let (row, term) = (value(&row, 0)?, value(&row, 1)?);
        let channel: &str = &self.config.schema;
        let channel = match session.rows("SELECT pg_notify($1, '')", &[&channel]).await {
            Ok(_) => Some(channel.into()),
            Err(PostgresStoreError::Statement(error)) if error.code().is_some() => {
                tracing::info!(%error, "the server tells nobody of changes, readers will look");
                None
            }
            Err(error) => return Err(error.into()),
        };
        tracing::info!(
            network = %self.network, term, monotonic_counter.terms_begun = 1_u64,
            "this process leads the indexing"
        );
        Ok(Leader { session, row, term, channel })
    }

    fn tell(&self, stood: &Result<Option<Leader>, Failure>) {
        let network = &self.network;
        match stood {
            Ok(Some(_)) => {}
            Ok(None) => tracing::info!(%network, "another process leads, this one stands by"),
            Err(failure) => tracing::warn!(%network, %failure, "cannot try to lead"),
        }
    }

    /// Asks the server whether this session still leads; gives up the seat if not.
    async fn is_held(&self, held: &CancellationToken) -> bool {
        let mut seat = self.leader.lock().await;
        let Some(leader) = seat.take_if(|leader| leader.session.ended() == held) else {
            return false;
        };
        let term = "SELECT term FROM networks WHERE id = $1";
        let is_held = match leader.session.row(term, &[&leader.row]).await {
            Ok(Some(row)) => row.try_get(0).ok() == Some(leader.term),
            Ok(None) => false,
            Err(error) => {
                let failure = Failure::from(error);
                tracing::warn!(network = %self.network, %failure, "the leader's session failed");
                false
            }
        };
        if is_held {
            *seat = Some(leader);
        }
        is_held
    }
}

/// The right to write the index of one network, as long as it lasts. Dropping it gives it up, for another process to take
/// over at once.
#[derive(Debug)]
pub struct Leadership {
    seat: Arc<Seat>,
    held: CancellationToken,
}

impl Leadership {
    /// Waits until this process leads, however long that takes.
    pub(super) async fn of(seat: Arc<Seat>) -> Self {
        let (mut candidate, mut told) = (None, None);
        loop {
            let mut place = seat.leader.lock().await;
            if place.as_ref().is_none_or(|leader| leader.session.is_closed()) {
                *place = None;
                let stood = seat.stand(&mut candidate).await;
                // Once each, however long it stays so.
                if told.replace(stood.is_ok()) != Some(stood.is_ok()) {
                    seat.tell(&stood);
                }
                *place = stood.unwrap_or_default();
            }
            if let Some(leader) = &*place {
                let held = leader.session.ended().clone();
                drop(place);
                return Self { seat, held };
            }
            drop(place);
            time::sleep(seat.config.takeover_interval).await;
        }
    }

    /// Waits until the right is lost: the session has ended, or the server does not answer. Keeps it alive meanwhile.
    pub async fn lost(&self) {
        let heartbeat = self.seat.config.lease / 3;
        loop {
            tokio::select! {
                () = self.held.cancelled() => break,
                () = time::sleep(heartbeat) => {}
            }
            if !self.seat.is_held(&self.held).await {
                break;
            }
        }
        tracing::warn!(network = %self.seat.network, "this process leads no longer");
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        // A commit that is under way has the seat, and keeps it.
        if let Ok(mut seat) = self.seat.leader.try_lock() {
            seat.take_if(|leader| *leader.session.ended() == self.held);
        }
    }
}
