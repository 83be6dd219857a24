//! What the leader did, told to this process: [`follow`].
//!
//! Every step leaves its news in a table, counted without gaps. The server wakes who listens; who missed that, or cannot
//! listen, looks every now and then. So nothing is lost while the table has it, and who was away for longer is told so.

use std::{collections::HashMap, sync::Arc, time::Duration};

use alive_core::Network;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::{sync::broadcast, time};

use super::{
    config::PostgresStoreConfig,
    error::{Failure, PostgresStoreError},
    read::{text, unreadable, value},
    session::{Role, Session},
};
use crate::{event::NodeEvent, news::News};

/// The longest wait between two looks where the server tells by itself. It shows that the session lives, too.
const LONG_POLL: Duration = Duration::from_secs(5);

/// The longest wait between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Steps that are read at once.
const STEPS: i64 = 64;

/// Tells what every leader does, for ever.
pub(super) async fn follow(config: Arc<PostgresStoreConfig>, events: broadcast::Sender<NodeEvent>) {
    let mut follower = Follower { config, events, seen: HashMap::new() };
    let mut waits = waits();
    loop {
        let looked = follower.listen(&mut || waits = self::waits()).await;
        let wait = waits.next().unwrap_or(LONGEST_WAIT);
        if let Err(failure) = looked {
            tracing::warn!(%failure, ?wait, "news cannot be read, trying again");
        }
        time::sleep(wait).await;
    }
}

/// What one process has been told.
struct Follower {
    config: Arc<PostgresStoreConfig>,
    events: broadcast::Sender<NodeEvent>,
    /// The last step by the network's row.
    seen: HashMap<i64, i64>,
}

impl Follower {
    /// Tells until the connection is lost.
    async fn listen(&mut self, worked: &mut impl FnMut()) -> Result<(), Failure> {
        let session = Session::open(&self.config, Role::Reader).await?;
        let wait = match session.run(&format!("LISTEN {}", self.config.schema)).await {
            Ok(()) => LONG_POLL.min(self.config.poll_interval * 5),
            // A standby, or another engine.
            Err(PostgresStoreError::Statement(error)) if error.code().is_some() => {
                tracing::info!(%error, "the server tells nobody of changes, looking for them");
                self.config.poll_interval
            }
            Err(error) => return Err(error.into()),
        };
        while !session.is_closed() {
            self.look(&session).await?;
            worked();
            tokio::select! {
                () = session.told() => {}
                () = session.ended().cancelled() => {}
                () = time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    async fn look(&mut self, session: &Session) -> Result<(), Failure> {
        for row in session.rows("SELECT id, name, version FROM networks", &[]).await? {
            let (id, version) = (value(&row, 0)?, value(&row, 2)?);
            let network: Network = text(&row, 1)?;
            let Some(seen) = self.seen.get(&id).copied().filter(|seen| *seen <= version) else {
                // The first look, or a database from a backup: what came before is read from the store.
                self.miss(id, &network, version);
                continue;
            };
            self.tell(session, id, &network, seen..version).await?;
        }
        Ok(())
    }

    async fn tell(
        &mut self,
        session: &Session,
        id: i64,
        network: &Network,
        steps: std::ops::Range<i64>,
    ) -> Result<(), Failure> {
        let select = "SELECT version, told FROM news WHERE network = $1 AND version > $2
            ORDER BY version LIMIT $3";
        let mut seen = steps.start;
        while seen < steps.end {
            let rows = session.rows(select, &[&id, &seen, &STEPS]).await?;
            for row in &rows {
                let version: i64 = value(row, 0)?;
                if version != seen + 1 {
                    self.miss(id, network, version - 1);
                }
                let told: News = serde_json::from_slice(value(row, 1)?)
                    .map_err(|error| unreadable(error.into()))?;
                told.events(network).for_each(|event| self.send(event));
                self.seen.insert(id, version);
                seen = version;
            }
            if rows.is_empty() {
                self.miss(id, network, steps.end);
                seen = steps.end;
            }
        }
        Ok(())
    }

    /// Goes on behind a step without telling what came before.
    fn miss(&mut self, id: i64, network: &Network, version: i64) {
        self.seen.insert(id, version);
        self.send(NodeEvent::Missed(network.clone()));
    }

    /// Nobody needs to listen.
    fn send(&self, event: NodeEvent) {
        let _ = self.events.send(event);
    }
}

/// Waits after failures in a row: doubling from a tenth of a second, with jitter, for ever.
fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build()
}
