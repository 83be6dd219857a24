//! Bytes that may wait at once: [`Backlog`].

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gun::Counters;

/// Room for what waits, in bytes. Who finds none waits in turn, before it has anything that takes memory.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    free: Arc<Semaphore>,
    limit_bytes: u32,
}

/// Room that was taken; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Backlog {
    pub(super) fn new(limit_bytes: usize) -> Self {
        let limit_bytes = u32::try_from(limit_bytes).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(limit_bytes as usize)), limit_bytes }
    }

    /// Takes room if there is some at once. What is larger than all of it needs all of it.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Room> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(self.bounded(bytes)).ok()?;
        Some(Room { _permit: Some(permit) })
    }

    /// Waits for room, which is counted if there is none at once.
    pub(super) async fn enter(&self, bytes: usize, counters: &Counters) -> Room {
        if let Some(room) = self.try_take(bytes) {
            return room;
        }
        counters.backlogged(1);
        self.take(bytes).await
    }

    /// Waits for room.
    pub(super) async fn take(&self, bytes: usize) -> Room {
        // It is never closed.
        let permit = Arc::clone(&self.free).acquire_many_owned(self.bounded(bytes)).await;
        Room { _permit: permit.ok() }
    }

    fn bounded(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.limit_bytes)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_finds_no_room_waits_for_his_turn() {
        let backlog = Backlog::new(100);
        let first = backlog.try_take(60).unwrap();
        assert!(backlog.try_take(41).is_none());
        let small = backlog.try_take(40).unwrap();
        let (mut large, mut last) = (Box::pin(backlog.take(1000)), Box::pin(backlog.take(1)));
        assert!((&mut large).now_or_never().is_none() && (&mut last).now_or_never().is_none());
        drop(first);
        assert!((&mut last).now_or_never().is_none(), "not before him who came first");
        drop(small);
        let large = large.now_or_never().unwrap();
        assert!((&mut last).now_or_never().is_none(), "what is too large alone has all");
        drop(large);
        last.now_or_never().unwrap();
        assert!(Backlog::new(0).try_take(5).is_some(), "nothing waits for ever");
    }
}
