//! What publishing writes: the nodes of items, and the links that lead to them.

use alive_chat::{AccessRequest, Entry, Message, SignatureText, StreamChat};

use crate::{
    gun::{Delta, NodeDelta, Number, State, Value},
    json::Text,
    schema::base36,
    sea::{Account, KeyPair, SignError, random_text, sign_node},
};

pub(super) const MESSAGES_ROOT: &str = "alivedb_chat";
pub(super) const REQUESTS_ROOT: &str = "alivedb_chat_request";
/// How many random bytes naming a message takes: 12 characters, as GUN has them.
pub(super) const RANDOM_LEN: usize = 24;

/// A message as GUN's `set` adds it: a node of its own, and the list's link to it.
pub(super) fn message(
    chat: &StreamChat,
    message: &Message,
    random: [u8; RANDOM_LEN],
    state: State,
) -> Delta {
    let soul = Text::from(format!("{}{}", base36(state.millis()), random_text(&random)));
    let account = message.account();
    let mut entries = vec![
        ("u", Value::from(account.name().as_str())),
        ("n", Value::from(account.network().as_str())),
    ];
    entries.extend(signature(message.signature(), message.time().as_ms()));
    entries.push(("m", Value::from(message.text())));
    let item = node(soul.clone(), entries, state);
    let list = Text::from(chat.messages_soul());
    let link = NodeDelta { soul: list, entries: vec![(soul.clone(), Value::Link(soul), state)] };
    Delta { nodes: vec![item, link] }
}

/// A request: the node of its account.
pub(super) fn request(chat: &StreamChat, request: &AccessRequest, state: State) -> Delta {
    let soul = chat.request_soul(request.account()).into();
    let entries = signature(request.signature(), request.time().as_ms());
    Delta { nodes: vec![node(soul, entries, state)] }
}

/// An entry in the space of these keys, and the links from the account to it, all signed. One put, so none is there without
/// the others.
pub(super) fn entry(
    chat: &StreamChat,
    keys: &KeyPair,
    entry: &Entry,
    state: State,
) -> Result<Delta, SignError> {
    let (path, key) = entry.rule.place();
    let value = Number::new(entry.value).map(Value::Number);
    let value = value.ok_or(SignError::Unsignable(alive_core::Excerpt::of("no finite number")))?;
    let mut pieces = path.split('/');
    // The original's first step has slashes in its key: `NET/STREAMER/LINK/participants`.
    let mut step = format!("{}/{}", chat.path(), pieces.next().unwrap_or_default());
    let mut soul = Account::soul(keys.public());
    let mut nodes = Vec::new();
    loop {
        let below = Text::from(format!("{soul}/{step}"));
        nodes.push(sign_node(keys, soul, [(&*step, Value::Link(below.clone()))], state)?);
        soul = below;
        match pieces.next() {
            Some(piece) => piece.clone_into(&mut step),
            None => break,
        }
    }
    nodes.push(sign_node(keys, soul, [(key, value)], state)?);
    // The entry first, then what leads to it.
    nodes.reverse();
    Ok(Delta { nodes })
}

/// The links from a root to a soul below it, as GUN writes them when it puts at a path.
pub(super) fn links(root: &str, soul: &str, state: State) -> Delta {
    let rest = soul.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    let mut at = root.to_owned();
    let mut nodes = Vec::new();
    for step in rest.split('/').filter(|step| !step.is_empty()) {
        let below = format!("{at}/{step}");
        let entries = vec![(step.into(), Value::Link(below.as_str().into()), state)];
        nodes.push(NodeDelta { soul: at.into(), entries });
        at = below;
    }
    Delta { nodes }
}

/// The last link on the way to a soul.
pub(super) fn last_link(soul: &str, state: State) -> Delta {
    let (above, step) = soul.rsplit_once('/').unwrap_or((soul, soul));
    Delta::of(above, step, Value::Link(soul.into()), state)
}

fn signature(signature: &SignatureText, time_ms: f64) -> Vec<(&'static str, Value)> {
    let number = |number: f64| Number::new(number).map(Value::Number);
    let mut entries = vec![("s", Value::from(&*signature.text))];
    // Only where it counts: a reader of the original takes none but these fields.
    entries.extend(signature.recovery_id.and_then(|id| Some(("r", number(id.into())?))));
    entries.extend(number(time_ms).map(|time| ("t", time)));
    entries
}

fn node(soul: Text, entries: Vec<(&'static str, Value)>, state: State) -> NodeDelta {
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value, state)).collect();
    NodeDelta { soul, entries }
}
