//! Chunks that somebody wants and that are not here yet: [`Wanted`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alive_core::ContentId;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::{ChunkState, ResolverConfig};

/// Who wants a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Urgency {
    /// The index has learned of it; somebody may want to watch it.
    Background,
    /// Somebody watches its stream now.
    Viewer,
}

/// A bounded list of wanted chunks, each due at some time or being fetched.
#[derive(Debug)]
pub(super) struct Wanted {
    started: Instant,
    waits: ExponentialBuilder,
    limit: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    wants: HashMap<ContentId, Want>,
    /// Those that are not being fetched, by the time of their next try.
    due: BTreeSet<(Instant, ContentId)>,
}

#[derive(Debug)]
struct Want {
    attempts: u32,
    reason: Option<Arc<str>>,
    /// `None` while it is being fetched.
    due: Option<Instant>,
    waits: <ExponentialBuilder as BackoffBuilder>::Backoff,
}

impl Wanted {
    pub(super) fn new(config: &ResolverConfig, started: Instant) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(config.first_wait)
            .with_max_delay(config.longest_wait)
            .with_jitter()
            .without_max_times();
        Self { started, waits, limit: config.max_wanted, list: Mutex::default() }
    }

    /// Adds a chunk, or moves one that was never tried to the front; whether something is to be done now.
    pub(super) fn add(&self, id: ContentId, urgency: Urgency) -> bool {
        let due = match urgency {
            Urgency::Background => Instant::now(),
            Urgency::Viewer => self.started,
        };
        let mut list = self.list();
        if let Some(want) = list.wants.get(&id) {
            let before = want.due.filter(|&before| want.attempts == 0 && due < before);
            return before.is_some_and(|before| list.set_due(id, Some(before), Some(due)));
        }
        if list.wants.len() >= self.limit && !list.drop_last() {
            return false;
        }
        let want = Want { attempts: 0, reason: None, due: None, waits: self.waits.build() };
        list.wants.insert(id, want);
        list.set_due(id, None, Some(due))
    }

    /// Takes a chunk whose time has come. It must be [removed](Self::remove) or [failed](Self::failed).
    pub(super) fn take_due(&self, now: Instant) -> Option<ContentId> {
        let mut list = self.list();
        let &(due, id) = list.due.first().filter(|(due, _)| *due <= now)?;
        list.set_due(id, Some(due), None);
        Some(id)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.list().due.first().map(|(due, _)| *due)
    }

    /// Notes that a try failed and when the next one is due; how many there were.
    pub(super) fn failed(&self, id: &ContentId, reason: Arc<str>, now: Instant) -> u32 {
        let mut list = self.list();
        let Some(want) = list.wants.get_mut(id) else { return 0 };
        want.attempts = want.attempts.saturating_add(1);
        want.reason = Some(reason);
        let attempts = want.attempts;
        let due = now + want.waits.next().unwrap_or_default();
        list.set_due(*id, None, Some(due));
        attempts
    }

    pub(super) fn remove(&self, id: &ContentId) {
        let mut list = self.list();
        if let Some(due) = list.wants.remove(id).and_then(|want| want.due) {
            list.due.remove(&(due, *id));
        }
    }

    pub(super) fn state(&self, id: &ContentId) -> Option<ChunkState> {
        let list = self.list();
        let want = list.wants.get(id)?;
        Some(ChunkState::Missing { attempts: want.attempts, reason: want.reason.clone() })
    }

    /// Makes due again what was being fetched.
    pub(super) fn release_all(&self) {
        let mut list = self.list();
        let taken = list.wants.iter().filter(|(_, want)| want.due.is_none());
        for id in taken.map(|(id, _)| *id).collect::<Vec<_>>() {
            list.set_due(id, None, Some(self.started));
        }
    }

    // Nothing panics while it holds the lock.
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// Changes when a chunk is due; says `true`.
    fn set_due(&mut self, id: ContentId, before: Option<Instant>, due: Option<Instant>) -> bool {
        if let Some(before) = before {
            self.due.remove(&(before, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
        if let Some(want) = self.wants.get_mut(&id) {
            want.due = due;
        }
        true
    }

    /// Gives up the one that is due last: it has failed most. Nothing, when all are being fetched.
    fn drop_last(&mut self) -> bool {
        let Some((_, id)) = self.due.pop_last() else { return false };
        self.wants.remove(&id).is_some()
    }
}
