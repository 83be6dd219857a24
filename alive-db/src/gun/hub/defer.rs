//! Values whose state our clock has not reached.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use crate::{
    gun::{Merge, NodeDelta, Origin, State, Value},
    json::Text,
};

use super::{Hub, Now, Timer, Write, job::Task};

/// Values from the future, soonest first. Of two for the same key and state only the one that will win is kept.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    values: BTreeMap<(State, Text, Text), (Value, Origin)>,
    bytes: usize,
}

fn bytes_of(soul: &Text, key: &Text, value: &Value) -> usize {
    soul.len() + key.len() + value.weight()
}

impl Hub {
    /// Takes values that were waiting when the disk was last open.
    pub fn restore_deferred(
        &mut self,
        values: impl IntoIterator<Item = (Text, Text, Value, State)>,
        now: Now,
    ) {
        for (soul, key, value, state) in values {
            self.defer(&soul, &key, &value, state, Origin::OWN, now);
        }
    }

    /// Keeps a value until its time; whether it is news.
    pub(super) fn defer(
        &mut self,
        soul: &Text,
        key: &Text,
        value: &Value,
        state: State,
        origin: Origin,
        now: Now,
    ) -> bool {
        let bytes = bytes_of(soul, key, value);
        let is_full = self.deferred.values.len() >= self.config.deferred
            || self.deferred.bytes + bytes > self.config.deferred_bytes;
        match self.deferred.values.entry((state, soul.clone(), key.clone())) {
            Entry::Occupied(mut held) => {
                if value.rank(&held.get().0).is_le() {
                    return false;
                }
                if is_full {
                    self.counters.deferred_dropped(1);
                    return false;
                }
                let (old, _) = held.insert((value.clone(), origin));
                self.deferred.bytes += bytes;
                self.deferred.bytes -= bytes_of(soul, key, &old);
                self.counters.deferred(1);
                // Its timer is set.
                return true;
            }
            Entry::Vacant(_) if is_full => {
                self.counters.deferred_dropped(1);
                return false;
            }
            Entry::Vacant(free) => {
                free.insert((value.clone(), origin));
                self.deferred.bytes += bytes;
            }
        }
        self.counters.deferred(1);
        self.set_deferred_timer(state, now);
        true
    }

    /// Merges the values whose time has come.
    pub(super) fn apply_deferred(&mut self, now: Now) {
        while let Some(first) = self.deferred.values.first_entry()
            && first.key().0.millis() <= now.millis
        {
            let ((state, soul, key), (value, origin)) = first.remove_entry();
            self.deferred.bytes -= bytes_of(&soul, &key, &value);
            // Whatever the graph holds on disk was loaded when the value came; if it was evicted since, the disk decides.
            self.start(Task::Deferred { soul, key, value, state, origin }, now);
        }
        if let Some(((state, ..), _)) = self.deferred.values.first_key_value() {
            self.set_deferred_timer(*state, now);
        }
    }

    pub(super) fn merge_due(
        &mut self,
        soul: &Text,
        key: &Text,
        value: &Value,
        state: State,
        origin: Origin,
        now: Now,
    ) {
        let undefer = Write::Undefer { soul: soul.clone(), key: key.clone(), state };
        let mut writes = vec![undefer];
        let merged = self.graph.merge(soul, key, value, state, origin, now.at, now.millis);
        if merged == Merge::Accept {
            let (soul, key, value) = (soul.clone(), key.clone(), value.clone());
            let entries = vec![(key.clone(), value.clone(), state)];
            let nodes = [NodeDelta { soul: soul.clone(), entries }];
            self.notify(&nodes, origin);
            // Who has asked since it came has not been told of it.
            let id = self.ids.next();
            self.tell_audience(&id, &nodes, None, &[], &[]);
            self.settle_found(&nodes, now);
            writes.insert(0, Write::Put { soul, key, value, state });
        }
        self.store(writes, None);
        self.counters.evicted(self.graph.evict());
    }

    fn set_deferred_timer(&mut self, state: State, now: Now) {
        // Rounded up: a timer a moment too early would find nothing due.
        let wait = (state.millis() - now.millis).max(0.0).ceil();
        let wait = Duration::from_secs_f64((wait / 1000.0).min(86_400.0));
        self.set_timer(now.at + wait, Timer::Deferred);
    }
}
