//! Work that needs nodes from the disk first.

use std::collections::{BTreeMap, HashMap};

use crate::{
    gun::{Checked, NodeDelta, Origin, Query, State, Value},
    json::Text,
};

use super::{Effect, Hub, LinkId, Now, PutError, WatchId, ask::Asker, put::Source};

/// Something to be done once certain nodes are in memory.
#[derive(Debug)]
pub(super) enum Task {
    Deferred { soul: Text, key: Text, value: Value, state: State, origin: Origin },
    Get { asker: Asker, query: Query },
    Put { source: Source, id: Option<Text>, delta: Checked },
    Reply { link: LinkId, query: Option<Query>, delta: Checked, more: bool },
    Watch { watch: WatchId, query: Query },
}

/// Tasks that wait for the disk.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    next: u64,
    parked: BTreeMap<u64, Parked>,
    /// Who waits for which node.
    loading: HashMap<Text, Vec<u64>>,
    /// Estimated memory of the tasks.
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Parked {
    task: Task,
    bytes: usize,
    /// How many nodes it waits for.
    missing: usize,
    /// How often it had to wait again, because nodes were evicted before the last one came.
    again: usize,
}

/// What a task costs beside the values that it carries.
const TASK_BYTES: usize = 300;

/// A task whose nodes do not fit into memory together is refused after so many attempts.
const ATTEMPTS: usize = 3;

impl Task {
    /// Estimated memory, in bytes.
    fn bytes(&self) -> usize {
        let own = match self {
            Self::Deferred { soul, key, value, .. } => {
                soul.len() + crate::gun::graph::entry_bytes(key, value)
            }
            Self::Get { query, .. } | Self::Watch { query, .. } => query.soul.len(),
            Self::Put { delta, .. } | Self::Reply { delta, .. } => delta.as_delta().bytes(),
        };
        TASK_BYTES + own
    }

    /// Whether it is sure to write to the disk if it runs, and may be refused instead.
    fn can_wait(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Reply { .. })
    }

    fn souls(&self) -> Vec<Text> {
        let of = |delta: &Checked| -> Vec<Text> {
            delta.as_delta().nodes.iter().map(|node| node.soul.clone()).collect()
        };
        match self {
            Self::Deferred { soul, .. } => vec![soul.clone()],
            Self::Get { query, .. } | Self::Watch { query, .. } => vec![query.soul.clone()],
            Self::Put { delta, .. } => of(delta),
            Self::Reply { query, delta, .. } => {
                let mut souls = of(delta);
                souls.extend(query.iter().map(|query| query.soul.clone()));
                souls.sort();
                souls.dedup();
                souls
            }
        }
    }
}

impl Hub {
    /// Does a task, now or when its nodes are in memory.
    pub(super) fn start(&mut self, task: Task, now: Now) {
        self.start_again(task, 0, now);
    }

    fn start_again(&mut self, task: Task, again: usize, now: Now) {
        if !self.config.has_disk {
            return self.run(task, now);
        }
        let mut missing = task.souls();
        missing.retain(|soul| !self.graph.has(soul));
        let bytes = task.bytes();
        let is_full = self.jobs.parked.len() + self.stores.waiting.len() >= self.config.jobs
            || self.jobs.bytes + self.stores.bytes + bytes > self.config.jobs_bytes;
        // Who has waited already gets his turn.
        let is_refused = if missing.is_empty() {
            is_full && again == 0 && task.can_wait()
        } else {
            is_full || again == ATTEMPTS
        };
        if is_refused {
            self.counters.busy(1);
            return self.refuse(task, now);
        }
        if missing.is_empty() {
            return self.run(task, now);
        }
        let job = self.jobs.next;
        self.jobs.next += 1;
        self.jobs.bytes += bytes;
        self.jobs.parked.insert(job, Parked { task, bytes, missing: missing.len(), again });
        for soul in missing {
            let waiting = self.jobs.loading.entry(soul.clone()).or_default();
            if waiting.is_empty() {
                self.effects.push_back(Effect::Load { soul });
            }
            waiting.push(job);
        }
    }

    /// Takes a node from the disk; without entries it is not there.
    pub fn handle_loaded(&mut self, node: NodeDelta, now: Now) {
        let Some(waiting) = self.jobs.loading.remove(&node.soul) else { return };
        self.graph.insert_loaded(node, now.at);
        let mut ready = Vec::new();
        for job in waiting {
            let Some(parked) = self.jobs.parked.get_mut(&job) else { continue };
            parked.missing = parked.missing.saturating_sub(1);
            if parked.missing == 0 {
                let parked = self.jobs.parked.remove(&job);
                self.jobs.bytes -= parked.as_ref().map_or(0, |parked| parked.bytes);
                ready.extend(parked);
            }
        }
        for Parked { task, again, .. } in ready {
            self.start_again(task, again + 1, now);
        }
        self.counters.evicted(self.graph.evict());
    }

    fn run(&mut self, task: Task, now: Now) {
        match task {
            Task::Deferred { soul, key, value, state, origin } => {
                self.merge_due(&soul, &key, &value, state, origin, now);
            }
            Task::Get { asker, query } => self.run_get(asker, &query, now),
            Task::Put { source, id, delta } => self.run_put(source, id, &delta, now),
            Task::Reply { link, query, delta, more } => {
                self.run_reply(link, query, &delta, more, now);
            }
            Task::Watch { watch, query } => self.run_watch(watch, &query, now),
        }
    }

    /// Ends a task that finds no room.
    fn refuse(&mut self, task: Task, now: Now) {
        match task {
            // It stays on the disk, to be taken up at the next start.
            Task::Deferred { .. } => self.counters.deferred_dropped(1),
            Task::Get { asker, .. } => self.answer_nothing(&asker),
            Task::Put { source: Source::Own(ticket), .. } => {
                self.resolve_put(ticket, Err(PutError::Busy));
            }
            Task::Put { source, id, .. } => self.refuse_put(&source, id.as_ref(), "Busy."),
            Task::Reply { .. } => {}
            Task::Watch { query, .. } => self.want(&query, None, now),
        }
    }
}
