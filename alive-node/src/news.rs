//! What a committed step tells: [`News`].

use std::{collections::BTreeSet, sync::Arc};

use alive_core::{
    Change, Network, StreamId, StreamInfo, StreamKey,
    backend::{BlockRef, Commit},
};
#[cfg(feature = "postgres")]
use serde::{Deserialize, Serialize};

use crate::event::NodeEvent;

/// The events of one step, in a form that can be kept and told by another process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "postgres", derive(Deserialize, Serialize))]
pub(crate) struct News {
    changed: BTreeSet<Arc<StreamKey>>,
    ended: BTreeSet<Arc<StreamKey>>,
    applied: Vec<BlockRef>,
    undone: Option<BlockRef>,
}

impl News {
    /// What a step tells.
    pub(crate) fn of(step: &Commit) -> Self {
        let mut news = Self::default();
        match step {
            Commit::Apply { blocks, .. } => {
                for block in blocks {
                    news.add(&block.changes);
                    news.applied.push(block.at.clone());
                }
            }
            Commit::Undo(block) => {
                news.add(&block.changes);
                news.undone = Some(block.at.clone());
            }
        }
        news
    }

    /// Whether there is nothing to tell.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.undone.is_none()
    }

    /// The events: the streams that changed, those of them that ended, then the blocks.
    pub(crate) fn events(self, network: &Network) -> impl Iterator<Item = NodeEvent> {
        let id =
            |key: &StreamKey| StreamId::new(network.clone(), key.account.clone(), key.link.clone());
        let changed = self.changed.into_iter().map(move |key| NodeEvent::StreamChanged(id(&key)));
        let ended = self.ended.into_iter().map(move |key| NodeEvent::StreamEnded(id(&key)));
        let applied = self
            .applied
            .into_iter()
            .map(|block| NodeEvent::BlockApplied { network: network.clone(), block });
        let undone = self
            .undone
            .into_iter()
            .map(|block| NodeEvent::BlockUndone { network: network.clone(), block });
        changed.chain(ended).chain(applied).chain(undone)
    }

    fn add(&mut self, changes: &[Change]) {
        let ended = |info: &Option<StreamInfo>| info.as_ref().is_some_and(|info| info.ended);
        for change in changes {
            self.changed.insert(Arc::clone(&change.key));
            if ended(&change.after) && !ended(&change.before) {
                self.ended.insert(Arc::clone(&change.key));
            }
        }
    }
}
