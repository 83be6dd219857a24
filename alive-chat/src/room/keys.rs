//! The keys of accounts as a room knows them.

use std::collections::HashMap;

use alive_core::backend::{AccountAuthority, PublicKeyBytes};

use super::config::RoomConfig;
use crate::{moment::Moment, networks::Account, verified::KeySet};

/// Keys and when they were asked for; who is being asked for.
#[derive(Debug)]
pub(super) struct Keys {
    known: HashMap<Account, Known>,
    max: usize,
    for_ms: f64,
    again_after_ms: f64,
}

#[derive(Debug, Default)]
struct Known {
    /// `None` when the chain has no such account.
    keys: Option<KeySet>,
    at: Option<Moment>,
    asked: bool,
}

/// How a key compares with those of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Nobody knows yet: the keys must be asked for.
    Ask { again: bool },
    /// The keys are on their way.
    Asked,
    /// It is none of them.
    Bad,
    /// It is one of them.
    Good,
    /// There is no such account.
    NoAccount,
}

impl Keys {
    pub(super) fn new(config: &RoomConfig) -> Self {
        Self {
            known: HashMap::new(),
            max: config.history,
            for_ms: config.keys_for_ms,
            again_after_ms: config.again_after_ms,
        }
    }

    /// Compares a key; when the answer is to ask, the account counts as asked for from now on.
    pub(super) fn compare(
        &mut self,
        account: &Account,
        key: &PublicKeyBytes,
        now: Moment,
    ) -> Match {
        if !self.known.contains_key(account) && self.known.len() >= self.max {
            // Those that are being asked for stay, their messages wait.
            self.known.retain(|_, known| known.asked);
        }
        let known = self.known.entry(account.clone()).or_default();
        let age = known.at.map(|at| now.since(at).abs());
        let is_good = known.keys.as_ref().is_some_and(|keys| keys.contains(key));
        match age {
            Some(age) if is_good && age < self.for_ms => return Match::Good,
            _ if known.asked => return Match::Asked,
            Some(age) if age < self.again_after_ms => {
                return if known.keys.is_some() { Match::Bad } else { Match::NoAccount };
            }
            _ => {}
        }
        known.asked = true;
        Match::Ask { again: known.at.is_some() }
    }

    /// Takes the chain's answer.
    pub(super) fn answer(
        &mut self,
        account: &Account,
        authority: Option<&AccountAuthority>,
        now: Moment,
    ) {
        let known = Known { keys: authority.map(KeySet::from), at: Some(now), asked: false };
        self.known.insert(account.clone(), known);
    }

    /// There is no answer: the next message asks again.
    pub(super) fn give_up(&mut self, account: &Account) {
        if let Some(known) = self.known.get_mut(account) {
            known.asked = false;
        }
    }

    /// The keys as they are known.
    pub(super) fn known(&self, account: &Account) -> KeySet {
        self.known.get(account).and_then(|known| known.keys.clone()).unwrap_or_default()
    }
}
