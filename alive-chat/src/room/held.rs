//! The messages of a room, and which of them are shown.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use alive_core::backend::Digest;

use super::RoomEffect;
use crate::{
    message::Message,
    moderation::{Hidden, Rule, Rulebook},
    moment::Moment,
    networks::Account,
    verified::Verified,
};

/// Where a message stands: by time, then digest.
pub(super) type Place = (Moment, Digest);

/// Messages by place, each with its verdict. Which are shown depends on the messages and the rules, and not on the order
/// in which they came.
#[derive(Debug)]
pub(super) struct Held {
    max: usize,
    messages: BTreeMap<Place, One>,
    by_account: HashMap<Account, BTreeSet<Place>>,
    /// The latest place that was given up to make room.
    past: Option<Place>,
}

#[derive(Debug)]
struct One {
    message: Verified<Message>,
    hidden: Option<Hidden>,
}

impl Held {
    pub(super) fn new(max: usize) -> Self {
        Self { max, messages: BTreeMap::new(), by_account: HashMap::new(), past: None }
    }

    pub(super) fn has(&self, place: &Place) -> bool {
        self.messages.contains_key(place)
    }

    /// Whether the place is before what is still held.
    pub(super) fn is_past(&self, place: &Place) -> bool {
        self.past.is_some_and(|past| *place <= past)
    }

    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = &Verified<Message>> {
        self.messages.values().filter(|one| one.hidden.is_none()).map(|one| &one.message)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Verified<Message>> {
        self.messages.values().map(|one| &one.message)
    }

    /// Puts a message in its place.
    pub(super) fn insert(
        &mut self,
        place: Place,
        message: Verified<Message>,
        rules: &Rulebook,
        effects: &mut VecDeque<RoomEffect>,
    ) {
        let account = message.signed().account().clone();
        self.by_account.entry(account.clone()).or_default().insert(place);
        // It counts as not shown until it is judged, whatever the verdict.
        self.messages.insert(place, One { message, hidden: Some(Hidden::ByHand) });
        self.judge(&account, place, rules, effects);
        while self.messages.len() > self.max {
            let Some((oldest, one)) = self.messages.pop_first() else { break };
            self.past = self.past.max(Some(oldest));
            let account = one.message.signed().account();
            if let Some(places) = self.by_account.get_mut(account) {
                places.remove(&oldest);
                if places.is_empty() {
                    self.by_account.remove(account);
                }
            }
        }
    }

    /// Judges every message anew that a changed rule can speak of.
    pub(super) fn judge_by(
        &mut self,
        rule: &Rule,
        rules: &Rulebook,
        effects: &mut VecDeque<RoomEffect>,
    ) {
        let account = match rule {
            Rule::Participant(account) => Some(account.clone()),
            Rule::Message(digest) => {
                let mut all = self.messages.iter();
                let Some((_, one)) = all.find(|((_, held), _)| held == digest) else { return };
                Some(one.message.signed().account().clone())
            }
            Rule::Moderator(_) | Rule::SlowMode | Rule::Word(_) => None,
        };
        let Some(account) = account else { return self.judge_all(rules, effects) };
        if let Some(first) = self.by_account.get(&account).and_then(BTreeSet::first).copied() {
            self.judge(&account, first, rules, effects);
        }
    }

    fn judge_all(&mut self, rules: &Rulebook, effects: &mut VecDeque<RoomEffect>) {
        let firsts: Vec<_> = self
            .by_account
            .iter()
            .filter_map(|(account, places)| Some((account.clone(), *places.first()?)))
            .collect();
        for (account, first) in firsts {
            self.judge(&account, first, rules, effects);
        }
    }

    /// Judges what an account said at a place and later: slow mode makes what follows depend on what was before.
    fn judge(
        &mut self,
        account: &Account,
        from: Place,
        rules: &Rulebook,
        effects: &mut VecDeque<RoomEffect>,
    ) {
        let Some(places) = self.by_account.get(account) else { return };
        let slow = rules.slow_mode().filter(|_| account != rules.streamer());
        let is_shown =
            |place: &&Place| self.messages.get(place).is_some_and(|one| one.hidden.is_none());
        let mut last_shown = places.range(..from).rev().find(is_shown).map(|(time, _)| *time);
        for place in places.range(from..) {
            let Some(one) = self.messages.get_mut(place) else { continue };
            let (time, digest) = *place;
            let too_soon = slow.is_some_and(|(pause, since)| {
                time >= since && last_shown.is_some_and(|last| time.since(last) < pause)
            });
            let hidden = match rules.verdict(&one.message) {
                Err(why) => Some(why),
                Ok(()) if too_soon => Some(Hidden::Slow),
                Ok(()) => None,
            };
            match (one.hidden, hidden) {
                (Some(_), None) => effects.push_back(RoomEffect::Show(one.message.clone())),
                (None, Some(why)) => effects.push_back(RoomEffect::Hide { digest, why }),
                (None, None) | (Some(_), Some(_)) => {}
            }
            one.hidden = hidden;
            if hidden.is_none() {
                last_shown = Some(time);
            }
        }
    }
}
