//! A graph within one process, for tests and for what needs no network: [`MemoryDatabase`] (feature `testing`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::stream;
use tokio::sync::broadcast;

use crate::{
    database::{Changes, Database, DatabaseError, system_millis},
    gun::{Change, Delta, Merge, NodeDelta, Origin, State, StateClock, merge},
    json::Text,
    sea::UserSpace,
};

/// Nodes in memory behind SEA's rules. Nothing is ever forgotten.
///
/// ```
/// use alive_db::{database::Database, gun::{Delta, State, Value}, memory::MemoryDatabase};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let database = MemoryDatabase::default();
/// let state = State::new(5.0).ok_or("finite")?;
/// database.put(Delta::of("room", "n", Value::from("x"), state)).await?;
/// assert!(database.node(&"room".into()).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    rules: UserSpace,
    nodes: Mutex<HashMap<Text, NodeDelta>>,
    states: Mutex<StateClock>,
    watched: Mutex<HashMap<Text, broadcast::Sender<Arc<NodeDelta>>>>,
}

impl MemoryDatabase {
    /// How many changes a watcher may lag behind.
    const LAG: usize = 1024;

    fn accept(&self, delta: Delta) -> Result<Vec<NodeDelta>, DatabaseError> {
        let now_ms = system_millis();
        let refused = |why: crate::gun::Refused| DatabaseError::Refused(why.reason.into());
        let checked = delta.check(&self.0.rules, now_ms).map_err(refused)?.into_delta();
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        for NodeDelta { soul, entries } in checked.nodes {
            let node = nodes
                .entry(soul.clone())
                .or_insert_with(|| NodeDelta { soul: soul.clone(), entries: Vec::new() });
            let mut change = NodeDelta { soul, entries: Vec::new() };
            for (key, value, state) in entries {
                let at = node.entries.iter().position(|(known, ..)| *known == key);
                let held = at.and_then(|at| node.entries.get_mut(at));
                let current = held.as_ref().map(|held| (&held.1, held.2));
                if merge(f64::INFINITY, current, &value, state) != Merge::Accept {
                    continue;
                }
                let entry = (key, value, state);
                change.entries.push(entry.clone());
                match held {
                    Some(held) => *held = entry,
                    None => node.entries.push(entry),
                }
            }
            changes.push(change);
        }
        Ok(changes)
    }
}

impl Database for MemoryDatabase {
    async fn node(&self, soul: &Text) -> Result<Option<NodeDelta>, DatabaseError> {
        Ok(self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(soul).cloned())
    }

    async fn put(&self, delta: Delta) -> Result<(), DatabaseError> {
        let changes = self.accept(delta)?;
        let watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes.into_iter().filter(|change| !change.entries.is_empty()) {
            if let Some(watcher) = watched.get(&change.soul) {
                // Nobody may be watching any more.
                drop(watcher.send(Arc::new(change)));
            }
        }
        Ok(())
    }

    fn next_state(&self) -> State {
        let mut states = self.0.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.next(system_millis().floor())
    }

    async fn watch(&self, soul: &Text) -> Result<Changes, DatabaseError> {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, watcher| watcher.receiver_count() > 0);
        let watcher =
            watched.entry(soul.clone()).or_insert_with(|| broadcast::channel(Self::LAG).0);
        let changes = watcher.subscribe();
        Ok(Box::pin(stream::unfold(changes, async |mut changes| {
            let mut lost = 0;
            loop {
                match changes.recv().await {
                    Ok(node) => {
                        return Some((Change { node, origin: Origin::OWN, lost }, changes));
                    }
                    Err(broadcast::error::RecvError::Lagged(more)) => lost += more,
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })))
    }
}
