//! What reading finds: items behind links, and the rules of a user space.

use alive_chat::{
    AccessRequest, Account, Delivery, Entry, FieldValue, Item, Message, MessageError, Moment, Peer,
    Rule, StreamChat,
};
use alive_core::LiveKey;
use futures_util::future;

use crate::{
    database::{Database, DatabaseError},
    gun::{NodeDelta, Put, State, Value},
    json::Text,
    sea::PublicKey,
};

use super::{ChatDb, Shared, failed, moment, text};

/// Of what is held nobody remembers who has brought it.
pub(super) const NOBODY: Peer = Peer(0);

/// A list's link to an item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemLink {
    /// The key in the list.
    pub(super) key: Text,
    /// The node of the item.
    pub(super) soul: Text,
    /// When the link was written.
    pub(super) state: State,
    /// Who asks, for a request.
    pub(super) account: Option<Account>,
}

impl<D: Database> Shared<D> {
    /// The links of a list of messages that can lead to one, oldest first.
    pub(super) async fn message_links(
        &self,
        chat: &StreamChat,
    ) -> Result<Vec<ItemLink>, alive_core::backend::BackendError> {
        let list = self.database.node(&text(&chat.messages_soul())).await.map_err(failed)?;
        let mut links = list.map(|list| message_links(chat, &list)).unwrap_or_default();
        links.drain(..links.len().saturating_sub(ChatDb::<D>::MAX_MESSAGES));
        Ok(links)
    }

    /// The links to all requests, oldest first.
    pub(super) async fn request_links(
        &self,
        chat: &StreamChat,
    ) -> Result<Vec<ItemLink>, alive_core::backend::BackendError> {
        let mut links = Vec::new();
        for soul in request_lists(chat) {
            let list = self.database.node(&soul).await.map_err(failed)?;
            links.extend(list.iter().flat_map(|list| request_links(chat, list)));
        }
        links.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| a.soul.cmp(&b.soul)));
        Ok(links)
    }

    /// The message that a link leads to; `None` if it is none, or not all of it is here.
    pub(super) async fn message(&self, link: ItemLink) -> Result<Option<Delivery>, DatabaseError> {
        let node = self.database.node(&link.soul).await?;
        Ok(node.and_then(|node| self.read_message(&node).ok()))
    }

    /// The request that a link leads to.
    pub(super) async fn request(
        &self,
        chat: &StreamChat,
        link: ItemLink,
    ) -> Result<Option<Delivery>, DatabaseError> {
        let node = self.database.node(&link.soul).await?;
        Ok(node.zip(link.account).and_then(|(node, who)| read_request(chat, who, &node).ok()))
    }

    pub(super) fn read_message(&self, node: &NodeDelta) -> Result<Delivery, MessageError> {
        let message = Message::from_fields(&self.networks, fields(node))?;
        Ok(Delivery::new(NOBODY, Item::Message(message), state_of_time(node)))
    }

    /// The rules of the streamer and of all whom he has appointed, appointments first.
    pub(super) async fn all_rules(
        &self,
        chat: &StreamChat,
        streamer: &PublicKey,
    ) -> Result<Vec<Delivery>, alive_core::backend::BackendError> {
        let mut rules = self.rules_of(chat, streamer, rule_paths(chat, true)).await?;
        let moderators: Vec<PublicKey> = rules.iter().filter_map(appointed).collect();
        let spaces = moderators
            .iter()
            .take(alive_chat::Rulebook::MAX_MODERATORS)
            .map(|moderator| self.rules_of(chat, moderator, rule_paths(chat, false)));
        for space in future::try_join_all(spaces).await? {
            rules.extend(space);
        }
        Ok(rules)
    }

    async fn rules_of(
        &self,
        chat: &StreamChat,
        author: &PublicKey,
        paths: Vec<String>,
    ) -> Result<Vec<Delivery>, alive_core::backend::BackendError> {
        let nodes = paths.iter().map(async |path| {
            let soul = rules_soul(chat, author, path);
            let node = self.database.node(&soul).await.map_err(failed)?;
            Ok(node.map(|node| self.read_rules(chat, author, path, &node)).unwrap_or_default())
        });
        Ok(future::try_join_all(nodes).await?.concat())
    }

    /// The rules of a node of a user space. All that is in the database has been verified when it came in.
    pub(super) fn read_rules(
        &self,
        chat: &StreamChat,
        author: &PublicKey,
        path: &str,
        node: &NodeDelta,
    ) -> Vec<Delivery> {
        let Ok(key_of_author) = author.to_string().parse::<LiveKey>() else { return Vec::new() };
        let rules = node.entries.iter().filter_map(|(key, value, state)| {
            let rule = Rule::at(chat.networks(), path, key.as_str()?)?;
            let put = Put { soul: &node.soul, key, value, state: *state };
            let value = match (self.rules.plain(put)?, &rule) {
                (Value::Number(number), _) => number.get(),
                // Whatever is not 0 approves. Source: `spec/alivedb.md`, section 8.1.
                (Value::Bool(_) | Value::Link(_) | Value::Text(_), Rule::Participant(_)) => 1.0,
                _ => return None,
            };
            let state = moment(*state);
            let entry = Entry { author: key_of_author.clone(), rule, value, state };
            Some(Delivery::new(NOBODY, Item::Entry(entry), state))
        });
        rules.collect()
    }
}

/// The moderator whom an entry appoints.
pub(super) fn appointed(delivery: &Delivery) -> Option<PublicKey> {
    match &delivery.item {
        Item::Entry(Entry { rule: Rule::Moderator(key), value, .. }) if *value != 0.0 => {
            key.as_str().parse().ok()
        }
        _ => None,
    }
}

/// The nodes of a user space that have rules. Only the streamer appoints.
pub(super) fn rule_paths(chat: &StreamChat, is_streamer: bool) -> Vec<String> {
    let fixed = ["moderation/messages", "moderation/settings", "moderation/words"];
    let moderators = is_streamer.then_some("moderators");
    let networks = chat.networks().iter();
    let participants = networks.map(|family| format!("participants/{}", family.network()));
    moderators.into_iter().chain(fixed).map(str::to_owned).chain(participants).collect()
}

pub(super) fn rules_soul(chat: &StreamChat, author: &PublicKey, path: &str) -> Text {
    format!("~{author}/{}/{path}", chat.path()).into()
}

/// The nodes that link to requests, one for each network of those who ask.
pub(super) fn request_lists(chat: &StreamChat) -> Vec<Text> {
    let root = super::write::REQUESTS_ROOT;
    let networks = chat.networks().iter();
    networks.map(|family| format!("{root}/{}/{}", chat.path(), family.network()).into()).collect()
}

pub(super) fn message_links(chat: &StreamChat, list: &NodeDelta) -> Vec<ItemLink> {
    let mut links: Vec<_> = list
        .entries
        .iter()
        .filter_map(|(key, value, state)| {
            let Value::Link(soul) = value else { return None };
            let (key, soul, state) = (key.clone(), soul.clone(), *state);
            chat.is_item_soul(soul.as_str()?).then_some(ItemLink {
                key,
                soul,
                state,
                account: None,
            })
        })
        .collect();
    links.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| a.key.cmp(&b.key)));
    links
}

pub(super) fn request_links(chat: &StreamChat, list: &NodeDelta) -> Vec<ItemLink> {
    let links = list.entries.iter().filter_map(|(key, value, state)| {
        let Value::Link(soul) = value else { return None };
        let account = chat.requester(soul.as_str()?)?;
        let (key, soul, state) = (key.clone(), soul.clone(), *state);
        Some(ItemLink { key, soul, state, account: Some(account) })
    });
    links.collect()
}

pub(super) fn read_request(
    chat: &StreamChat,
    account: Account,
    node: &NodeDelta,
) -> Result<Delivery, MessageError> {
    let request = AccessRequest::from_fields(chat.networks(), account, fields(node))?;
    Ok(Delivery::new(NOBODY, Item::Request(request), state_of_time(node)))
}

/// What a node says, for the forms of messages and requests to judge.
fn fields(node: &NodeDelta) -> impl Iterator<Item = (String, FieldValue<'_>)> {
    node.entries.iter().map(|(key, value, _)| {
        let value = match value {
            Value::Null => FieldValue::Null,
            Value::Number(number) => FieldValue::Number(number.get()),
            Value::Text(text) => match text.as_str() {
                Some(text) => FieldValue::Text(text.into()),
                // Half of a surrogate pair cannot be hashed.
                None => FieldValue::Other,
            },
            Value::Bool(_) | Value::Link(_) => FieldValue::Other,
        };
        (key.to_str_lossy(), value)
    })
}

/// The state of `t` is the time that counts. Source: `spec/alivedb.md`, section 8.3.
fn state_of_time(node: &NodeDelta) -> Moment {
    let time = node.entries.iter().find(|(key, ..)| *key == "t");
    time.map_or(Moment::EPOCH, |(_, _, state)| moment(*state))
}
