//! Parts of a graph on their way: [`Delta`].

use std::collections::HashMap;

use crate::json::{Json, Object, Text, print_number, print_text};

use super::{Admission, Admitted, MAX_AHEAD_MS, Put, Refused, State, Value, ValueError};

/// Values of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDelta {
    /// The node.
    pub soul: Text,
    /// Its keys, their values and states; each key once.
    pub entries: Vec<(Text, Value, State)>,
}

/// Values of some nodes, each once: what a put carries.
///
/// ```
/// use alive_db::{gun::Delta, json::Json};
/// let text = r##"{"room":{"_":{"#":"room",">":{"n":5}},"n":1.5}}"##;
/// let delta = Delta::from_json(&Json::parse(text)?, 1000)?;
/// assert_eq!(delta.print(), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The nodes.
    pub nodes: Vec<NodeDelta>,
}

impl Delta {
    /// Longest soul, and longest key, in bytes. Ours; the disk keeps both in one key.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// One value.
    pub fn of(soul: impl Into<Text>, key: impl Into<Text>, value: Value, state: State) -> Self {
        let entries = vec![(key.into(), value, state)];
        Self { nodes: vec![NodeDelta { soul: soul.into(), entries }] }
    }

    /// Reads the `put` of a message, at most `max_keys` keys in all.
    ///
    /// # Errors
    /// Any part of it is not as `spec/alivedb.md`, "Data model" has it: nothing is skipped.
    pub fn from_json(put: &Json, max_keys: usize) -> Result<Self, DeltaError> {
        let nodes = put.as_object().ok_or(DeltaError::NoObject)?;
        let mut left = max_keys;
        let mut delta = Self { nodes: Vec::with_capacity(nodes.len().min(left)) };
        for (soul, node) in nodes.iter() {
            delta.nodes.push(NodeDelta::from_json(soul, node, &mut left, max_keys)?);
        }
        Ok(delta)
    }

    /// Lets every value pass an admission; those that have expired are left out.
    ///
    /// # Errors
    /// One may not enter, or is more than [`MAX_AHEAD_MS`] ahead of `now_ms`: then none may.
    pub fn check(mut self, by: &dyn Admission, now_ms: f64) -> Result<Checked, Refused> {
        for node in &mut self.nodes {
            let mut refused = None;
            let soul = &node.soul;
            node.entries.retain(|(key, value, state)| {
                if refused.is_some() {
                    return true;
                }
                if state.millis() > now_ms + MAX_AHEAD_MS {
                    refused = Some(Refused { reason: "State too far in the future." });
                    return true;
                }
                match by.admit(Put { soul, key, value, state: *state }, now_ms) {
                    Ok(admitted) => admitted == Admitted::Keep,
                    Err(why) => {
                        refused = Some(why);
                        true
                    }
                }
            });
            if let Some(refused) = refused {
                return Err(refused);
            }
        }
        self.nodes.retain(|node| !node.entries.is_empty());
        Ok(Checked(self))
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.nodes.iter().map(|node| node.entries.len()).sum()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.entries.is_empty())
    }

    /// Its JSON text as the `put` of a message.
    pub fn print(&self) -> String {
        let mut out = String::new();
        self.print_to(&mut out);
        out
    }

    /// Appends its JSON text.
    pub fn print_to(&self, out: &mut String) {
        out.push('{');
        for (n, node) in self.nodes.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            print_text(&node.soul, out);
            out.push(':');
            node.print_to(out);
        }
        out.push('}');
    }

    /// The hash `##` of a put. Source: `spec/alivedb.md`, "Message fields".
    pub fn hash(&self) -> i32 {
        let nodes = self.nodes.iter().map(|node| {
            let states = node.entries.iter();
            let states =
                states.map(|(key, _, state)| (key.clone(), Json::Number(state.millis()))).collect();
            let meta = [("#", Json::Text(node.soul.clone())), (">", Json::Object(states))];
            let values = node.entries.iter().map(|(key, value, _)| (key.clone(), value.to_json()));
            let meta = ("_".into(), Json::Object(Object::from_iter(meta)));
            (node.soul.clone(), Json::Object(values.chain([meta]).collect()))
        });
        hash(&Json::Object(nodes.collect()))
    }
}

impl NodeDelta {
    /// Whether others would refuse it for its names, whatever its values are.
    pub(crate) fn is_malformed(&self) -> bool {
        let is_bad_key = |key: &Text| *key == "_" || check_name(key).is_err();
        self.soul.is_empty()
            || check_name(&self.soul).is_err()
            || self.entries.iter().any(|(key, _, _)| is_bad_key(key))
    }

    fn from_json(
        soul: &Text,
        node: &Json,
        left: &mut usize,
        max_keys: usize,
    ) -> Result<Self, DeltaError> {
        let error = |reason| DeltaError::Node { soul: shorten(soul), reason };
        let node = node.as_object().ok_or_else(|| error(NodeReason::NoObject))?;
        check_name(soul).map_err(error)?;
        if soul.is_empty() {
            return Err(error(NodeReason::NoSoul));
        }
        let meta = node.member("_").ok_or_else(|| error(NodeReason::NoMeta))?;
        if meta.member("#").and_then(Json::as_text) != Some(soul) {
            return Err(error(NodeReason::OtherSoul));
        }
        let states = meta.member(">").and_then(Json::as_object);
        let states = states.ok_or_else(|| error(NodeReason::NoStates))?;
        let keys = node.len().saturating_sub(1);
        *left = left.checked_sub(keys).ok_or(DeltaError::TooManyKeys { max_keys })?;
        let mut entries = Vec::with_capacity(keys);
        // The states mostly stand in the order of the keys; a table serves only those that do not.
        let mut in_order = states.iter();
        let mut table: Option<HashMap<&Text, &Json>> = None;
        for (key, value) in node.iter().filter(|(key, _)| **key != "_") {
            check_name(key).map_err(error)?;
            let key_error = |reason| error(NodeReason::Key { key: shorten(key), reason });
            let state = match in_order.next() {
                Some((name, state)) if name == key => Some(state),
                _ => table.get_or_insert_with(|| states.iter().collect()).get(key).copied(),
            };
            let state = state.and_then(Json::as_number).and_then(State::new);
            let state = state.ok_or_else(|| key_error(KeyReason::State))?;
            let value = Value::from_json(value).map_err(|e| key_error(KeyReason::Value(e)))?;
            entries.push((key.clone(), value, state));
        }
        Ok(Self { soul: soul.clone(), entries })
    }

    /// Appends its JSON text: the node with its metadata.
    pub(crate) fn print_to(&self, out: &mut String) {
        out.push_str("{\"_\":{\"#\":");
        print_text(&self.soul, out);
        out.push_str(",\">\":{");
        for (n, (key, _, state)) in self.entries.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            print_text(key, out);
            out.push(':');
            print_number(state.millis(), out);
        }
        out.push_str("}}");
        for (key, value, _) in &self.entries {
            out.push(',');
            print_text(key, out);
            out.push(':');
            value.print_to(out);
        }
        out.push('}');
    }
}

/// Values that have passed an [`Admission`]. Only [`Delta::check`] makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked(Delta);

impl Checked {
    /// The values.
    pub fn as_delta(&self) -> &Delta {
        &self.0
    }

    /// Leaves out nodes.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&NodeDelta) -> bool) {
        self.0.nodes.retain(keep);
    }

    /// The values.
    pub fn into_delta(self) -> Delta {
        self.0
    }
}

/// The hash of a JSON value with all its keys sorted: `h * 31 + unit` over the UTF-16 units of its text.
pub fn hash(json: &Json) -> i32 {
    let mut text = String::new();
    sorted(json).print_to(&mut text);
    text.encode_utf16()
        .fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

fn sorted(json: &Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        Json::Object(object) => {
            let mut members: Vec<_> =
                object.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}

fn check_name(name: &Text) -> Result<(), NodeReason> {
    if name.len() > Delta::MAX_NAME_BYTES {
        return Err(NodeReason::LongName { len: name.len() });
    }
    Ok(())
}

/// Text of others in an error: 32 characters of it.
fn shorten(text: &Text) -> String {
    text.to_str_lossy().chars().take(32).collect()
}

/// Why a `put` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// It is no object.
    #[error("a put must be an object of nodes")]
    NoObject,
    /// A node is not as it should be.
    #[error("node {soul:?}: {reason}")]
    Node {
        /// The start of its soul.
        soul: String,
        /// What is wrong with it.
        reason: NodeReason,
    },
    /// It has more keys than are taken at once.
    #[error("more than {max_keys} keys in one message")]
    TooManyKeys {
        /// The limit.
        max_keys: usize,
    },
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeReason {
    /// Something with a key.
    #[error("key {key:?}: {reason}")]
    Key {
        /// The start of the key.
        key: String,
        /// What.
        reason: KeyReason,
    },
    /// Soul or key is longer than [`Delta::MAX_NAME_BYTES`].
    #[error("a soul or key of {len} bytes, at most {max}", max = Delta::MAX_NAME_BYTES)]
    LongName {
        /// How long it is, in bytes.
        len: usize,
    },
    /// No `_`.
    #[error("no metadata")]
    NoMeta,
    /// It is no object.
    #[error("it is no object")]
    NoObject,
    /// Its soul is empty.
    #[error("its soul is empty")]
    NoSoul,
    /// No `>` in its metadata.
    #[error("its metadata has no states")]
    NoStates,
    /// The soul in its metadata is another, or none.
    #[error("its metadata names another soul")]
    OtherSoul,
}

/// What is wrong with a key of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyReason {
    /// Its state is missing or no finite number.
    #[error("its state is no number")]
    State,
    /// Its value is none.
    #[error(transparent)]
    Value(ValueError),
}
