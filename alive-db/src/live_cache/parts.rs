//! The parts of a stream as they come: [`PartFollower`].

use std::{collections::HashMap, sync::Arc};

use alive_core::{
    Quality,
    backend::{HeldParts, LivePart},
};
use futures_util::StreamExt as _;
use tokio::sync::broadcast;

use super::Shared;
use crate::{
    database::{Changes, Database},
    gun::{NodeDelta, State},
    schema::PartSpace,
};

/// Tells the parts of one stream: those that are there, then those that come.
pub(super) struct PartFollower<D> {
    shared: Arc<Shared<D>>,
    space: PartSpace,
    held: HeldParts,
    /// When the part at each place was written: what is there may be told of twice, and out of order.
    newest: HashMap<Place, State>,
    out: broadcast::Sender<LivePart>,
}

/// The place of a part in the node, of which there are few: the segment counts modulo its slot.
type Place = (u64, u8, Quality);

impl<D: Database> PartFollower<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        space: PartSpace,
        out: broadcast::Sender<LivePart>,
    ) -> Self {
        Self { shared, space, held: HeldParts::default(), newest: HashMap::new(), out }
    }

    /// Ends when nobody listens any more, or the database goes away.
    pub(super) async fn run(mut self, mut changes: Changes) {
        // The changes are watched already: nothing is lost between them and this look, which may take its time.
        if let Ok(Some(node)) = self.shared.database.node(self.space.soul()).await
            && !self.tell(&node)
        {
            return;
        }
        while let Some(change) = changes.next().await {
            if !self.tell(&change.node) {
                return;
            }
        }
    }

    /// Whether somebody still listens.
    fn tell(&mut self, node: &NodeDelta) -> bool {
        let now_ms = (self.shared.clock)();
        let mut new = Vec::new();
        for (state, part) in self.space.parts(node, now_ms, |put| self.shared.open(put)) {
            let segments = HeldParts::SEGMENTS.try_into().unwrap_or(u64::MAX);
            let place = (part.number % segments, part.index, part.quality);
            if self.newest.get(&place).is_some_and(|newest| *newest >= state) {
                continue;
            }
            self.newest.insert(place, state);
            if self.held.take(part) {
                new.push(part);
            }
        }
        // Places that no newer segment has used yet still have parts of one that does not count any more.
        for part in new.into_iter().filter(|new| self.held.iter().any(|held| held == new)) {
            if self.out.send(part).is_err() {
                return false;
            }
        }
        self.out.receiver_count() > 0
    }
}
