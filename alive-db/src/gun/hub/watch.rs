//! Subscriptions of the own process.

use std::{collections::HashMap, sync::Arc};

use crate::{
    gun::{NodeDelta, Origin, Query},
    json::Text,
};

use super::{Effect, Hub, Now, WatchId, job::Task};

/// Subscriptions of the own process, by soul.
#[derive(Debug, Default)]
pub(super) struct Watches {
    souls: HashMap<Text, Vec<WatchId>>,
    by_id: HashMap<WatchId, Text>,
}

impl Watches {
    pub(super) fn has(&self, soul: &Text) -> bool {
        self.souls.contains_key(soul)
    }

    pub(super) fn souls(&self) -> impl Iterator<Item = Text> {
        self.souls.keys().cloned()
    }

    pub(super) fn of(&self, soul: &Text) -> Option<&Vec<WatchId>> {
        self.souls.get(soul)
    }
}

impl Hub {
    /// Subscribes the own process to a node: what is there comes first, then every change.
    pub fn watch(&mut self, watch: WatchId, soul: Text, now: Now) {
        self.watches.souls.entry(soul.clone()).or_default().push(watch);
        self.watches.by_id.insert(watch, soul.clone());
        self.start(Task::Watch { watch, query: Query::node(soul) }, now);
    }

    /// Ends a subscription.
    pub fn unwatch(&mut self, watch: WatchId) {
        let Some(soul) = self.watches.by_id.remove(&watch) else { return };
        if let Some(watches) = self.watches.souls.get_mut(&soul) {
            watches.retain(|other| *other != watch);
            if watches.is_empty() {
                self.watches.souls.remove(&soul);
            }
        }
        self.forget_want(&soul);
    }

    pub(super) fn run_watch(&mut self, watch: WatchId, query: &Query, now: Now) {
        if let Some(node) = self.graph.select(&query.soul, &query.part, now.at) {
            let (change, origin) = (Arc::new(node), Origin::OWN);
            self.effects.push_back(Effect::Notify { watch: vec![watch], change, origin });
        }
        self.want(query, None, now);
    }

    pub(super) fn notify(&mut self, nodes: &[NodeDelta], origin: Origin) {
        for node in nodes {
            if let Some(watch) = self.watches.of(&node.soul) {
                let change = Arc::new(node.clone());
                self.effects.push_back(Effect::Notify { watch: watch.clone(), change, origin });
            }
        }
    }
}
