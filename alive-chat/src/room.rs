//! A chat as one reader sees it, as a state machine: [`Room`].

mod config;
mod held;
mod keys;
#[cfg(test)]
mod tests;

pub use config::RoomConfig;

use std::collections::{HashMap, HashSet, VecDeque};

use alive_core::{
    AccountName, Network,
    backend::{AccountAuthority, Digest},
};

use crate::{
    archive::ArchiveFilter,
    intake::{Intake, Peer},
    limits::Buckets,
    message::Message,
    moderation::{Entry, Hidden, Rulebook},
    moment::Moment,
    networks::Account,
    rules::{Arrival, Refusal, check_message_time, check_sender},
    stream_chat::StreamChat,
    verified::{Recovered, Verified},
};

use held::{Held, Place};
use keys::{Keys, Match};

/// What a [`Room`] wants done or tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoomEffect {
    /// Ask the chain for the keys of the account and answer with [`Room::handle_keys`]. With `again` a signature did not
    /// match the keys that are known: ask as [`authority_again`](alive_core::backend::AccountKeys::authority_again).
    AskKeys {
        /// Whose.
        account: Account,
        /// Whether known keys may be out of date.
        again: bool,
    },
    /// A message that was shown is not to be shown any more.
    Hide {
        /// Which.
        digest: Digest,
        /// Why.
        why: Hidden,
    },
    /// A message that had passed the first checks does not count.
    Refuse {
        /// Where it came from.
        peer: Peer,
        /// Who it said to be from.
        account: Account,
        /// Why.
        why: Refusal,
    },
    /// Show a message: a new one, or one that was hidden. Its place is by time, then digest.
    Show(Verified<Message>),
}

/// The chat of one stream as one reader sees it: what counts, who may write, what is hidden. It does no I/O and has no
/// clock; keys, rules and times are handed in, effects are taken out.
///
/// The cheap checks come first, signatures last and fairly ([`handle_work`](Self::handle_work)): who floods waits behind
/// his own flood. Rules apply to the past as to the future: a ban hides what the account said, an unban shows it again.
/// All memory is bounded by [`RoomConfig`].
///
/// ```
/// # use alive_chat::{Family, Networks, StreamChat, Moment};
/// # use alive_hive::{GraphenePlain, is_account_name};
/// # let networks = Networks::new([Family::new("hive".parse()?, GraphenePlain, is_account_name)])?;
/// # let chat = StreamChat::new(networks.clone(), "hive/techcoderx/live-1".parse()?)?;
/// use alive_chat::{Arrival, Message, Peer, Refusal, Room, RoomConfig};
/// let mut room = Room::new(chat, "streamers.key".parse()?, RoomConfig::default());
/// let now = Moment::EPOCH.after_ms(1_795_219_380_221.0);
/// let json = r#"{"u":"alice","n":"hive","s":"1f","t":1795219380221,"m":"hello"}"#;
/// let message = Message::from_json(&networks, json)?;
/// let refused = room.handle_message(Peer(1), message, now, Arrival::Live(now));
/// assert_eq!(refused, Err(Refusal::NotParticipant));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Room {
    chat: StreamChat,
    config: RoomConfig,
    rules: Rulebook,
    blacklist: HashSet<AccountName>,
    held: Held,
    keys: Keys,
    /// Messages whose keys were asked for, by account.
    waiting: HashMap<Account, Vec<Pending<Recovered<Message>>>>,
    waiting_len: usize,
    intake: Intake<Pending<(Message, Digest)>>,
    accounts: Buckets<Account>,
    peers: Buckets<Peer>,
    effects: VecDeque<RoomEffect>,
    accepted: u64,
}

/// A message on its way through the checks.
#[derive(Debug)]
struct Pending<T> {
    peer: Peer,
    arrival: Arrival,
    what: T,
}

impl Room {
    /// Most messages that wait for keys. Our own limit.
    pub const MAX_WAITING: usize = 4096;
    /// Most messages of one account that wait for its keys. Our own limit.
    pub const MAX_WAITING_ACCOUNT: usize = 64;

    /// An empty room. The key is that of the streamer's user space, which the stream names on the chain.
    pub fn new(chat: StreamChat, streamer_key: alive_core::LiveKey, config: RoomConfig) -> Self {
        Self {
            rules: Rulebook::new(chat.streamer().clone(), streamer_key),
            blacklist: HashSet::new(),
            held: Held::new(config.history),
            keys: Keys::new(&config),
            waiting: HashMap::new(),
            waiting_len: 0,
            intake: Intake::new(),
            accounts: Buckets::new(config.account_rate, config.history),
            peers: Buckets::new(config.peer_rate, config.history),
            effects: VecDeque::new(),
            accepted: 0,
            chat,
            config,
        }
    }

    /// Takes a message that came from a peer with this state. What passes the cheap checks waits for
    /// [`handle_work`](Self::handle_work).
    ///
    /// # Errors
    /// The message does not count, and why.
    pub fn handle_message(
        &mut self,
        peer: Peer,
        message: Message,
        state: Moment,
        arrival: Arrival,
    ) -> Result<(), Refusal> {
        let len = message.text().chars().count();
        if len > self.config.max_chars {
            return Err(Refusal::Long { len, max: self.config.max_chars });
        }
        check_message_time(&message, state, arrival)?;
        self.check_sender(message.account(), message.time(), arrival)?;
        let digest = self.chat.digest(&message)?;
        self.check_place((message.time(), digest))?;
        if let Arrival::Live(now) = arrival {
            // History is asked for, page by page; only what comes unasked is limited.
            if !self.accounts.has(message.account(), now) {
                return Err(Refusal::Rate("the account"));
            }
            if !self.peers.take(peer, now) {
                return Err(Refusal::Rate("the peer"));
            }
        }
        let account = message.account().clone();
        let pending = Pending { peer, arrival, what: (message, digest) };
        match self.intake.push(peer, &account, pending) {
            None => Ok(()),
            Some(lost) if lost.what.1 == digest => Err(Refusal::Full),
            Some(lost) => {
                self.refuse(lost.peer, lost.what.0.account().clone(), Refusal::Full);
                Ok(())
            }
        }
    }

    /// Checks up to `max` of the waiting signatures, each about 40 microseconds; how many wait still.
    pub fn handle_work(&mut self, max: usize, now: Moment) -> usize {
        for _ in 0..max {
            let Some(Pending { peer, arrival, what: (message, digest) }) = self.intake.pop() else {
                break;
            };
            let account = message.account().clone();
            let checked = self
                .check_place((message.time(), digest))
                .and_then(|()| Ok(self.chat.recover_digest(message, digest)?))
                .and_then(|what| self.find_keys(Pending { peer, arrival, what }, now));
            if let Err(why) = checked {
                self.refuse(peer, account, why);
            }
        }
        self.intake.len()
    }

    /// Takes the answer to [`RoomEffect::AskKeys`]; `None` when the chain has no such account.
    pub fn handle_keys(
        &mut self,
        account: &Account,
        authority: Option<&AccountAuthority>,
        now: Moment,
    ) {
        self.keys.answer(account, authority, now);
        for pending in self.take_waiting(account) {
            let peer = pending.peer;
            let why = match (authority, pending.what.is_allowed(&self.keys.known(account))) {
                (None, _) => Err(Refusal::NoAccount),
                (Some(_), false) => Err(Refusal::Key),
                (Some(_), true) => self.accept(pending),
            };
            if let Err(why) = why {
                self.refuse(peer, account.clone(), why);
            }
        }
    }

    /// Says that the keys of an account cannot be had now: what waits for them is given up, and may come again.
    pub fn handle_keys_unavailable(&mut self, account: &Account) {
        self.keys.give_up(account);
        for pending in self.take_waiting(account) {
            self.refuse(pending.peer, account.clone(), Refusal::Unavailable);
        }
    }

    /// Takes what the streamer or a moderator says; whether it changed anything.
    pub fn handle_entry(&mut self, entry: Entry) -> bool {
        let rule = entry.rule.clone();
        let changed = self.rules.apply(entry);
        if changed {
            self.held.judge_by(&rule, &self.rules, &mut self.effects);
        }
        changed
    }

    /// Takes the names on the blacklists that the streamer follows. They concern Hive only, and what is said from now on.
    /// When the chain cannot be asked, leave the last list as it is. Source: `spec/alivedb.md`, section 8.5.
    pub fn handle_blacklist(&mut self, names: impl IntoIterator<Item = AccountName>) {
        self.blacklist = names.into_iter().take(self.config.blacklist).collect();
    }

    /// The next effect.
    pub fn poll_effect(&mut self) -> Option<RoomEffect> {
        self.effects.pop_front()
    }

    /// What is shown, by time and digest.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Verified<Message>> {
        self.held.shown()
    }

    /// All that is held for an archive, by time and digest, as [`ArchiveFilter`] takes it. What was accepted before its
    /// account came onto a blacklist stays.
    pub fn archive(&self, keep_banned: bool) -> impl Iterator<Item = &Verified<Message>> {
        let mut filter = ArchiveFilter::new(self.rules.clone(), keep_banned);
        self.held.all().filter(move |message| filter.takes(message))
    }

    /// How many messages have passed all checks so far, those included that are hidden or not held any more.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// The rules as they stand.
    pub fn rules(&self) -> &Rulebook {
        &self.rules
    }

    /// The chat.
    pub fn chat(&self) -> &StreamChat {
        &self.chat
    }

    fn check_sender(
        &self,
        account: &Account,
        time: Moment,
        arrival: Arrival,
    ) -> Result<(), Refusal> {
        // What the banned said before is held as by those who heard it: hidden, to be shown again when the ban is lifted.
        if arrival == Arrival::History
            && self.rules.banned_since(account).is_some_and(|since| time < since)
        {
            return Ok(());
        }
        let blacklisted =
            account.network() == &Network::hive() && self.blacklist.contains(account.name());
        check_sender(self.rules.standing(account), blacklisted)
    }

    fn check_place(&self, place: Place) -> Result<(), Refusal> {
        if self.held.has(&place) {
            return Err(Refusal::Duplicate);
        }
        if self.held.is_past(&place) {
            return Err(Refusal::Old);
        }
        Ok(())
    }

    /// Compares a signature with the keys of its account, or has them asked for.
    fn find_keys(&mut self, what: Pending<Recovered<Message>>, now: Moment) -> Result<(), Refusal> {
        let account = what.what.signed().account().clone();
        let again = match self.keys.compare(&account, what.what.key(), now) {
            Match::Good => return self.accept(what),
            Match::Bad => return Err(Refusal::Key),
            Match::NoAccount => return Err(Refusal::NoAccount),
            Match::Ask { again } => Some(again),
            Match::Asked => None,
        };
        let waiting = self.waiting.entry(account.clone()).or_default();
        if self.waiting_len >= Self::MAX_WAITING || waiting.len() >= Self::MAX_WAITING_ACCOUNT {
            if waiting.is_empty() {
                self.waiting.remove(&account);
                self.keys.give_up(&account);
            }
            return Err(Refusal::Full);
        }
        waiting.push(what);
        self.waiting_len += 1;
        if let Some(again) = again {
            self.effects.push_back(RoomEffect::AskKeys { account, again });
        }
        Ok(())
    }

    fn take_waiting(&mut self, account: &Account) -> Vec<Pending<Recovered<Message>>> {
        let waiting = self.waiting.remove(account).unwrap_or_default();
        self.waiting_len = self.waiting_len.saturating_sub(waiting.len());
        waiting
    }

    /// Takes a message whose signature is good; much may have changed since it came.
    fn accept(&mut self, pending: Pending<Recovered<Message>>) -> Result<(), Refusal> {
        let signed = pending.what.signed();
        let place = (signed.time(), *pending.what.digest());
        self.check_sender(signed.account(), signed.time(), pending.arrival)?;
        self.check_place(place)?;
        if let Arrival::Live(now) = pending.arrival
            && !self.accounts.take(signed.account().clone(), now)
        {
            return Err(Refusal::Rate("the account"));
        }
        let keys = self.keys.known(signed.account());
        let verified = pending.what.allow(&keys).ok_or(Refusal::Key)?;
        self.held.insert(place, verified, &self.rules, &mut self.effects);
        self.accepted += 1;
        Ok(())
    }

    fn refuse(&mut self, peer: Peer, account: Account, why: Refusal) {
        self.effects.push_back(RoomEffect::Refuse { peer, account, why });
    }
}
