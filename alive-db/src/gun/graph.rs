//! The graph in memory: [`Graph`].

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use crate::json::{Json, Text};

use super::{Delta, Merge, NodeDelta, Part, State, Value, is_expired, merge};

/// What a key costs beside its texts, in bytes: measured on a node of many keys, rounded up.
const ENTRY_BYTES: usize = 120;
/// What a node costs beside its soul and its keys.
const NODE_BYTES: usize = 260;

impl Delta {
    /// Estimated memory of its values, in bytes.
    pub fn bytes(&self) -> usize {
        self.nodes.iter().map(NodeDelta::bytes).sum()
    }
}

impl NodeDelta {
    /// Estimated memory of its values, in bytes.
    pub fn bytes(&self) -> usize {
        let entries = self.entries.iter().map(|(key, value, _)| entry_bytes(key, value));
        NODE_BYTES + self.soul.len() + entries.sum::<usize>()
    }
}

/// Who has brought a value, for quotas and for limits of those who read: a remote address, not a connection.
///
/// ```
/// use alive_db::gun::Origin;
/// assert!(Origin::of_address(5).has_quota());
/// assert!(!Origin::of_relay(5).has_quota() && !Origin::OWN.has_quota());
/// assert_ne!(Origin::of_relay(0), Origin::OWN);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub u64);

impl Origin {
    /// The own process and its disk, which have no quota.
    pub const OWN: Self = Self(0);
    /// Set for relays only.
    const RELAY: u64 = 1 << 63;

    /// An address that others dial us from, by a hash of it that nobody else can compute.
    pub fn of_address(hash: u64) -> Self {
        // One bit is set: it is never the own process.
        Self((hash | 1) & !Self::RELAY)
    }

    /// A relay that we dial, by a hash of its URL. We have chosen it, so it has no quota.
    pub fn of_relay(hash: u64) -> Self {
        Self(hash | Self::RELAY)
    }

    /// Whether what it has brought is bounded by [`GraphLimits::bytes_per_origin`].
    pub fn has_quota(self) -> bool {
        self != Self::OWN && self.0 & Self::RELAY == 0
    }
}

/// How much a [`Graph`] may hold. All bytes are estimates of the memory taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLimits {
    /// All nodes together, in bytes; beyond it those go that were not used for longest. 256 MiB.
    pub bytes: usize,
    /// What one [`Origin`] has brought, in bytes; beyond it its puts are refused. 64 MiB.
    pub bytes_per_origin: usize,
    /// One node, in bytes; beyond it puts are refused. 8 MiB.
    pub node_bytes: usize,
    /// A node that was neither written nor read for so long goes. 24 hours.
    pub unused: Duration,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            bytes_per_origin: 64 << 20,
            node_bytes: 8 << 20,
            unused: Duration::from_hours(24),
        }
    }
}

impl GraphLimits {
    /// Sets [`bytes`](Self::bytes).
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Sets [`bytes_per_origin`](Self::bytes_per_origin).
    #[must_use]
    pub fn bytes_per_origin(self, bytes_per_origin: usize) -> Self {
        Self { bytes_per_origin, ..self }
    }

    /// Sets [`node_bytes`](Self::node_bytes).
    #[must_use]
    pub fn node_bytes(self, node_bytes: usize) -> Self {
        Self { node_bytes, ..self }
    }

    /// Sets [`unused`](Self::unused).
    #[must_use]
    pub fn unused(self, unused: Duration) -> Self {
        Self { unused, ..self }
    }
}

/// Nodes in memory: soul to key to value and state. Bounded by [`GraphLimits`].
///
/// ```
/// use std::time::Instant;
/// use alive_db::gun::{Graph, Merge, Origin, Part, State, Value};
/// let (mut graph, now) = (Graph::default(), Instant::now());
/// let state = State::new(5.0).unwrap();
/// let merged = graph.merge(&"room".into(), &"n".into(), &Value::from("x"), state, Origin::OWN, now, 9.0);
/// assert_eq!(merged, Merge::Accept);
/// assert_eq!(graph.select(&"room".into(), &Part::All, now).unwrap().entries.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    limits: GraphLimits,
    nodes: HashMap<Text, Node>,
    /// Souls by their last use.
    uses: BTreeMap<u64, Text>,
    next_use: u64,
    bytes: usize,
    brought: HashMap<Origin, usize>,
}

#[derive(Clone, Debug)]
struct Node {
    entries: BTreeMap<Text, Entry>,
    bytes: usize,
    used: u64,
    used_at: Instant,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    state: State,
    origin: Origin,
}

/// Why values may not enter although they are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Full {
    /// [`GraphLimits::node_bytes`]
    #[error("Node is full.")]
    Node,
    /// [`GraphLimits::bytes_per_origin`]
    #[error("Quota exceeded.")]
    Origin,
}

/// What has left the graph because it expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Keys of nodes that are still there, or not.
    pub keys: Vec<(Text, Text)>,
    /// Whole nodes.
    pub nodes: Vec<Text>,
}

impl Graph {
    /// An empty graph with these limits.
    pub fn new(limits: GraphLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many nodes it holds.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Estimated memory of all nodes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds a node.
    pub fn has(&self, soul: &Text) -> bool {
        self.nodes.contains_key(soul)
    }

    /// The value and state of a key.
    pub fn value(&self, soul: &Text, key: &Text) -> Option<(&Value, State)> {
        let entry = self.nodes.get(soul)?.entries.get(key)?;
        Some((&entry.value, entry.state))
    }

    /// A part of a node, which counts as used; `None` if it has nothing of it. Keys are in the order of UTF-16 units.
    pub fn select(&mut self, soul: &Text, part: &Part, now: Instant) -> Option<NodeDelta> {
        self.touch(soul, now);
        let node = self.nodes.get(soul)?;
        let copy = |(key, entry): (&Text, &Entry)| (key.clone(), entry.value.clone(), entry.state);
        let entries: Vec<_> = match part {
            Part::All => node.entries.iter().map(copy).collect(),
            Part::Key(key) => node.entries.get_key_value(key).map(copy).into_iter().collect(),
            Part::Range(lex) => {
                let inside = node.entries.iter().filter(|(key, _)| lex.has(key)).map(copy);
                let mut inside: Vec<_> = inside.collect();
                if lex.is_reverse() {
                    inside.reverse();
                }
                let mut room = lex.limit_bytes();
                let mut count = 0;
                inside.retain(|(key, value, _)| {
                    count += 1;
                    let Some(left) = &mut room else { return count == 1 };
                    // Once one did not fit, those behind it do not either: the answer has no hole.
                    *left = left.checked_sub(key.len() + value.weight() + 24).unwrap_or_default();
                    *left > 0
                });
                inside
            }
        };
        (!entries.is_empty()).then(|| NodeDelta { soul: soul.clone(), entries })
    }

    /// Whether all of a delta from this origin may enter.
    ///
    /// # Errors
    /// A limit would be passed.
    pub fn check_room(&self, delta: &Delta, origin: Origin) -> Result<(), Full> {
        let mut all = 0;
        for node in &delta.nodes {
            let held = self.nodes.get(&node.soul);
            let mut growth: usize = 0;
            for (key, value, _) in &node.entries {
                let old = held.and_then(|held| held.entries.get(key));
                let old = old.map_or(0, |old| entry_bytes(key, &old.value));
                growth += entry_bytes(key, value).saturating_sub(old);
            }
            if held.map_or(NODE_BYTES, |held| held.bytes) + growth > self.limits.node_bytes {
                return Err(Full::Node);
            }
            all += growth;
        }
        let brought = self.brought.get(&origin).copied().unwrap_or(0);
        if origin.has_quota() && brought + all > self.limits.bytes_per_origin {
            return Err(Full::Origin);
        }
        Ok(())
    }

    /// Merges one value and says what came of it. A deferred one is the caller's to keep.
    #[expect(clippy::too_many_arguments, reason = "a value, who brought it, and two clocks")]
    pub fn merge(
        &mut self,
        soul: &Text,
        key: &Text,
        value: &Value,
        state: State,
        origin: Origin,
        now: Instant,
        now_ms: f64,
    ) -> Merge {
        let merged = merge(now_ms, self.value(soul, key), value, state);
        if merged == Merge::Accept {
            self.set(soul, key, Entry { value: value.clone(), state, origin }, now);
        }
        merged
    }

    /// Takes what the disk holds of a node, as a whole.
    pub fn insert_loaded(&mut self, node: NodeDelta, now: Instant) {
        for (key, value, state) in node.entries {
            self.set(&node.soul, &key, Entry { value, state, origin: Origin::OWN }, now);
        }
        if !self.nodes.contains_key(&node.soul) {
            self.insert_node(&node.soul, now);
        }
    }

    /// Drops nodes until the limit of bytes holds; gives how many.
    pub fn evict(&mut self) -> usize {
        let mut evicted = 0;
        while self.bytes > self.limits.bytes
            && let Some((_, soul)) = self.uses.pop_first()
        {
            self.remove(&soul);
            evicted += 1;
        }
        evicted
    }

    /// Drops nodes that were not used for too long; gives how many.
    pub fn forget_unused(&mut self, now: Instant) -> usize {
        let mut forgotten = 0;
        while let Some((_, soul)) = self.uses.first_key_value() {
            let used_at = self.nodes.get(soul).map_or(now, |node| node.used_at);
            if now.saturating_duration_since(used_at) <= self.limits.unused {
                break;
            }
            let soul = soul.clone();
            self.remove(&soul);
            forgotten += 1;
        }
        forgotten
    }

    /// Drops values of souls with `<?N` that have expired. An expired entry of a user's list takes along the item that it
    /// links, if that is the same user's: nobody else finds it any more.
    pub fn prune(&mut self, now_ms: f64) -> Pruned {
        let mut pruned = Pruned::default();
        let lists = self.nodes.keys().filter(|soul| super::expiry_ms(soul).is_some());
        let lists: Vec<Text> = lists.cloned().collect();
        for list in lists {
            let Some(node) = self.nodes.get_mut(&list) else { continue };
            let old: Vec<_> =
                node.entries.extract_if(.., |_, e| is_expired(&list, e.state, now_ms)).collect();
            let is_empty = node.entries.is_empty();
            let freed: usize = old.iter().map(|(key, entry)| entry_bytes(key, &entry.value)).sum();
            node.bytes -= freed;
            self.bytes -= freed;
            for (key, entry) in old {
                release(&mut self.brought, &key, &entry);
                let item = item_of(&list, &entry.value);
                if let Some(item) = item.filter(|item| self.nodes.contains_key(item)) {
                    self.remove(&item);
                    pruned.nodes.push(item);
                }
                pruned.keys.push((list.clone(), key));
            }
            if is_empty {
                self.remove(&list);
            }
        }
        pruned
    }

    /// Drops a node.
    pub fn remove(&mut self, soul: &Text) {
        let Some(node) = self.nodes.remove(soul) else { return };
        self.uses.remove(&node.used);
        self.bytes -= node.bytes;
        for (key, entry) in &node.entries {
            release(&mut self.brought, key, entry);
        }
    }

    fn set(&mut self, soul: &Text, key: &Text, entry: Entry, now: Instant) {
        self.touch(soul, now);
        if !self.nodes.contains_key(soul) {
            self.insert_node(soul, now);
        }
        let Some(node) = self.nodes.get_mut(soul) else { return };
        let size = entry_bytes(key, &entry.value);
        *self.brought.entry(entry.origin).or_default() += size;
        let freed = match node.entries.insert(key.clone(), entry) {
            None => 0,
            Some(old) => {
                release(&mut self.brought, key, &old);
                entry_bytes(key, &old.value)
            }
        };
        node.bytes = node.bytes + size - freed;
        self.bytes = self.bytes + size - freed;
    }

    fn insert_node(&mut self, soul: &Text, now: Instant) {
        let used = self.next_use;
        self.next_use += 1;
        self.uses.insert(used, soul.clone());
        let bytes = NODE_BYTES + soul.len();
        self.bytes += bytes;
        let node = Node { entries: BTreeMap::new(), bytes, used, used_at: now };
        self.nodes.insert(soul.clone(), node);
    }

    fn touch(&mut self, soul: &Text, now: Instant) {
        let Some(node) = self.nodes.get_mut(soul) else { return };
        node.used_at = now;
        if let Some(soul) = self.uses.remove(&node.used) {
            node.used = self.next_use;
            self.uses.insert(self.next_use, soul);
            self.next_use += 1;
        }
    }
}

pub(super) fn entry_bytes(key: &Text, value: &Value) -> usize {
    ENTRY_BYTES + key.len() + value.weight()
}

fn release(brought: &mut HashMap<Origin, usize>, key: &Text, entry: &Entry) {
    if let Some(bytes) = brought.get_mut(&entry.origin) {
        *bytes = bytes.saturating_sub(entry_bytes(key, &entry.value));
        if *bytes == 0 {
            brought.remove(&entry.origin);
        }
    }
}

/// The item that an entry of a user's list links, if it is in the same user's space: nobody else can have put it there.
fn item_of(list: &Text, value: &Value) -> Option<Text> {
    let space = list.as_bytes().split_inclusive(|b| *b == b'/').next()?;
    let is_user = space.starts_with(b"~") && !space.starts_with(b"~@") && space.ends_with(b"/");
    let item = match value {
        Value::Link(soul) => soul.clone(),
        Value::Text(signed) => {
            match Value::from_json(Json::parse(signed.as_str()?).ok()?.member(":")?) {
                Ok(Value::Link(soul)) => soul,
                _ => return None,
            }
        }
        _ => return None,
    };
    (is_user && item.as_bytes().starts_with(space) && item != *list).then_some(item)
}

#[cfg(test)]
mod tests;
