//! A subscription: one task that watches the nodes of a chat and fetches what they link to.

use std::{
    collections::{HashMap, hash_map::Entry},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use alive_chat::{
    Account, ChatEvent, ChatEvents, Delivery, MessageError, Peer, Rulebook, StreamChat,
};
use alive_core::backend::BackendError;
use futures_util::{
    Stream, StreamExt as _, future,
    stream::{self, FuturesUnordered, SelectAll},
};
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    database::{Changes, Database, DatabaseError},
    gun::{Change, NodeDelta, State},
    json::Text,
    sea::PublicKey,
};

use super::{
    Shared, failed,
    read::{
        ItemLink, NOBODY, appointed, message_links, read_request, request_links, request_lists,
        rule_paths, rules_soul,
    },
    text,
};

/// How many deliveries a subscriber may lag behind: 20 seconds of a chat of 50 messages a second.
const LAG: usize = 1024;
/// How many items may be on their way; links to nothing take up a place for [`WAIT`]. One peer alone has half of them.
const FETCHES: usize = 2048;
/// How long an item may come after its link.
const WAIT: Duration = Duration::from_secs(2);
/// How soon an item that is not all here is looked for again; each time it takes twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// How many links are remembered as told. A relay's list is full before.
const MAX_SEEN: usize = 200_000;

/// Watches first and looks then, so that nothing is lost between the two.
pub(super) async fn subscribe<D: Database>(
    shared: Arc<Shared<D>>,
    chat: StreamChat,
    streamer: Option<PublicKey>,
) -> Result<ChatEvents, BackendError> {
    let mut sources = vec![(Source::Messages, text(&chat.messages_soul()))];
    if shared.decides(streamer.as_ref()) {
        sources.extend(request_lists(&chat).into_iter().map(|soul| (Source::Requests, soul)));
    }
    sources.extend(streamer.iter().flat_map(|streamer| rule_sources(&chat, streamer, true)));
    let opened = sources.into_iter().map(|(source, soul)| open(&shared, source, soul));
    let opened = future::try_join_all(opened).await.map_err(failed)?;
    let (out, events) = broadcast::channel(LAG);
    let mut follower = Follower {
        shared,
        chat,
        out,
        sources: SelectAll::new(),
        work: FuturesUnordered::new(),
        places: Places::default(),
        seen: HashMap::new(),
        moderators: HashMap::new(),
    };
    for opened in opened {
        match opened.source {
            // What is held is history.
            Source::Messages | Source::Requests => follower.note(&opened),
            Source::Rules { .. } => {}
        }
        follower.add(opened);
    }
    let task = AbortOnDropHandle::new(tokio::spawn(follower.run()));
    Ok(Box::pin(stream::unfold((events, task), async |(mut events, task)| {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(lost)) => ChatEvent::Missed(lost),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((event, (events, task)))
    })))
}

/// What a watched node is.
#[derive(Clone, Debug)]
enum Source {
    Messages,
    Requests,
    Rules { author: PublicKey, path: String },
}

/// A node that is watched from now on, and what it held.
struct Opened {
    source: Source,
    changes: Changes,
    held: Option<NodeDelta>,
}

/// What the task waits for beside changes.
enum Work {
    /// An item is here, or will not come.
    Fetched(Peer, Option<Delivery>),
    /// The space of a moderator is watched, or cannot be.
    Opened(PublicKey, Result<Vec<Opened>, DatabaseError>),
}

type Tagged = Pin<Box<dyn Stream<Item = (Source, Change)> + Send>>;
type Working = Pin<Box<dyn Future<Output = Work> + Send>>;

struct Follower<D> {
    shared: Arc<Shared<D>>,
    chat: StreamChat,
    out: broadcast::Sender<ChatEvent>,
    sources: SelectAll<Tagged>,
    work: FuturesUnordered<Working>,
    places: Places,
    /// Links that were told, or were there before. The state tells when one is written anew.
    seen: HashMap<Text, State>,
    moderators: HashMap<PublicKey, CancellationToken>,
}

impl<D: Database> Follower<D> {
    async fn run(mut self) {
        loop {
            tokio::select! {
                change = self.sources.next() => match change {
                    Some((source, change)) => {
                        if change.lost > 0 {
                            self.tell(ChatEvent::Missed(change.lost));
                        }
                        self.change(&source, &change.node, Peer(change.origin.0));
                    }
                    // The database has gone away.
                    None => return,
                },
                Some(work) = self.work.next(), if !self.work.is_empty() => self.worked(work),
            }
        }
    }

    fn change(&mut self, source: &Source, node: &NodeDelta, from: Peer) {
        match source {
            Source::Messages => {
                let links = message_links(&self.chat, node);
                self.fetch(links, from);
            }
            Source::Requests => {
                let links = request_links(&self.chat, node);
                self.fetch(links, from);
            }
            Source::Rules { author, path } => {
                for mut delivery in self.shared.read_rules(&self.chat, author, path, node) {
                    delivery.peer = from;
                    self.appoint(&delivery);
                    self.tell(ChatEvent::Came(delivery));
                }
            }
        }
    }

    fn worked(&mut self, work: Work) {
        match work {
            Work::Fetched(from, delivery) => {
                self.places.give_back(from);
                if let Some(mut delivery) = delivery {
                    delivery.peer = from;
                    self.tell(ChatEvent::Came(delivery));
                }
            }
            Work::Opened(moderator, Ok(opened)) if self.moderators.contains_key(&moderator) => {
                for opened in opened {
                    self.add(opened);
                }
            }
            // Revoked in the meantime.
            Work::Opened(_, Ok(_)) => {}
            Work::Opened(moderator, Err(error)) => {
                tracing::debug!(%error, "a moderator's space cannot be watched");
                self.moderators.remove(&moderator);
            }
        }
    }

    /// Fetches what new links lead to. Those that find no place are missed, and the subscriber is told.
    fn fetch(&mut self, links: Vec<ItemLink>, from: Peer) {
        let mut missed = 0_u64;
        for link in links {
            if !self.is_new(&link) {
                continue;
            }
            if !self.places.take(from) {
                missed = missed.saturating_add(1);
                continue;
            }
            let (shared, chat) = (Arc::clone(&self.shared), self.chat.clone());
            self.work.push(Box::pin(async move {
                let item = arriving(&shared, &chat, &link.soul, link.account.as_ref()).await;
                Work::Fetched(from, item)
            }));
        }
        if missed > 0 {
            self.tell(ChatEvent::Missed(missed));
        }
    }

    /// Watches the space of one who is appointed, and no longer that of one who is revoked.
    fn appoint(&mut self, delivery: &Delivery) {
        let alive_chat::Item::Entry(entry) = &delivery.item else { return };
        let alive_chat::Rule::Moderator(key) = &entry.rule else { return };
        let Some(moderator) = appointed(delivery) else {
            if let Ok(moderator) = key.as_str().parse::<PublicKey>()
                && let Some(token) = self.moderators.remove(&moderator)
            {
                token.cancel();
            }
            return;
        };
        let is_full = self.moderators.len() >= Rulebook::MAX_MODERATORS;
        if is_full || self.moderators.contains_key(&moderator) {
            return;
        }
        self.moderators.insert(moderator.clone(), CancellationToken::new());
        let shared = Arc::clone(&self.shared);
        let sources = rule_sources(&self.chat, &moderator, false);
        self.work.push(Box::pin(async move {
            let opened = sources.into_iter().map(|(source, soul)| open(&shared, source, soul));
            Work::Opened(moderator, future::try_join_all(opened).await)
        }));
    }

    fn add(&mut self, opened: Opened) {
        let Opened { source, changes, held } = opened;
        let token = match &source {
            Source::Rules { author, .. } => self.moderators.get(author).cloned(),
            Source::Messages | Source::Requests => None,
        };
        let tag = source.clone();
        let tagged = changes.map(move |node| (tag.clone(), node));
        self.sources.push(match token {
            Some(token) => Box::pin(tagged.take_until(token.cancelled_owned())),
            None => Box::pin(tagged),
        });
        if let (Source::Rules { .. }, Some(held)) = (&source, &held) {
            self.change(&source, held, NOBODY);
        }
    }

    fn note(&mut self, opened: &Opened) {
        let Some(held) = &opened.held else { return };
        let links = match opened.source {
            Source::Messages => message_links(&self.chat, held),
            _ => request_links(&self.chat, held),
        };
        for link in links {
            self.is_new(&link);
        }
    }

    /// Notes a link; whether it was not there before, or is written anew since.
    fn is_new(&mut self, link: &ItemLink) -> bool {
        if self.seen.len() >= MAX_SEEN {
            // What comes twice, a room drops.
            self.seen.clear();
        }
        let key = match link.account {
            // Requests of all networks are in one table.
            Some(_) => link.soul.clone(),
            None => link.key.clone(),
        };
        self.seen.insert(key, link.state).is_none_or(|before| before < link.state)
    }

    fn tell(&self, event: ChatEvent) {
        // Without a subscriber the task ends with the handle that he held.
        let _nobody_listens = self.out.send(event);
    }
}

/// The places of items that are on their way. A peer may have as many as are still free, so that one who floods leaves as
/// many to the next, and that one half of them to a third.
#[derive(Debug, Default)]
struct Places {
    by_peer: HashMap<Peer, usize>,
    taken: usize,
}

impl Places {
    /// Takes a place for something that this peer has brought, if there is one for it.
    fn take(&mut self, from: Peer) -> bool {
        let own = self.by_peer.get(&from).copied().unwrap_or(0);
        if own >= FETCHES.saturating_sub(self.taken) {
            return false;
        }
        self.by_peer.insert(from, own + 1);
        self.taken += 1;
        true
    }

    fn give_back(&mut self, from: Peer) {
        let Entry::Occupied(mut own) = self.by_peer.entry(from) else { return };
        self.taken = self.taken.saturating_sub(1);
        *own.get_mut() -= 1;
        if *own.get() == 0 {
            own.remove();
        }
    }
}

/// The nodes with the rules of a user.
fn rule_sources(chat: &StreamChat, author: &PublicKey, is_streamer: bool) -> Vec<(Source, Text)> {
    let paths = rule_paths(chat, is_streamer).into_iter();
    let source = |path: String| {
        let soul = rules_soul(chat, author, &path);
        (Source::Rules { author: author.clone(), path }, soul)
    };
    paths.map(source).collect()
}

async fn open<D: Database>(
    shared: &Shared<D>,
    source: Source,
    soul: Text,
) -> Result<Opened, DatabaseError> {
    // A question is answered once all of a long node is here; who watches gets it in parts, as it comes.
    shared.database.node(&soul).await?;
    let changes = shared.database.watch(&soul).await?;
    let held = shared.database.node(&soul).await?;
    Ok(Opened { source, changes, held })
}

/// An item as soon as all of it is here: its message may arrive after the list's.
async fn arriving<D: Database>(
    shared: &Shared<D>,
    chat: &StreamChat,
    soul: &Text,
    account: Option<&Account>,
) -> Option<Delivery> {
    let look = async {
        let mut pause = FIRST_PAUSE;
        loop {
            let node = shared.database.node(soul).await.ok()?;
            let read = node.map(|node| match account {
                Some(account) => read_request(chat, account.clone(), &node),
                None => shared.read_message(&node),
            });
            match read {
                Some(Ok(delivery)) => return Some(delivery),
                // It may be a part of a whole.
                None | Some(Err(MessageError::Missing(_))) => tokio::time::sleep(pause).await,
                Some(Err(why)) => {
                    tracing::debug!(%soul, %why, "a link leads to no item");
                    return None;
                }
            }
            pause *= 2;
        }
    };
    tokio::time::timeout(WAIT, look).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_all_places_he_can_leaves_some_to_everybody() {
        let mut places = Places::default();
        let take_all = |places: &mut Places, peer| {
            (0..=FETCHES).take_while(|_| places.take(Peer(peer))).count()
        };
        for (peer, all) in [(1, FETCHES / 2), (2, FETCHES / 4), (3, FETCHES / 8)] {
            assert_eq!(take_all(&mut places, peer), all);
        }
        assert!(!places.take(Peer(1)));
        assert!(places.take(Peer(4)));
        for _ in 0..FETCHES {
            places.give_back(Peer(1));
        }
        assert!(!places.by_peer.contains_key(&Peer(1)), "nobody is remembered for nothing");
        assert_eq!(places.taken, FETCHES / 4 + FETCHES / 8 + 1);
        assert!(places.take(Peer(1)));
    }
}
