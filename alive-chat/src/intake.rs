//! What waits for its signature to be checked, and who is next: [`Intake`].

use std::collections::{HashMap, VecDeque};

use crate::networks::Account;

/// A connection that messages come from, by a number that the transport gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a peer is its number")]
pub struct Peer(pub u64);

/// A queue in which nobody can hold up others: peers take turns, and within a peer the accounts that messages are said to
/// be from. A flood waits behind itself, and is cut where it is longest.
#[derive(Debug)]
pub(crate) struct Intake<T> {
    peers: HashMap<Peer, Lane<T>>,
    turn: VecDeque<Peer>,
    len: usize,
}

#[derive(Debug)]
struct Lane<T> {
    accounts: HashMap<Account, VecDeque<T>>,
    turn: VecDeque<Account>,
    len: usize,
}

/// Most that wait in all: 16,384 messages are a second of checking on one core.
const MAX: usize = 16_384;
/// Most of one peer.
const MAX_PEER: usize = 1024;
/// Most of one account from one peer.
pub(crate) const MAX_ACCOUNT: usize = 64;

impl<T> Intake<T> {
    pub(crate) fn new() -> Self {
        Self { peers: HashMap::new(), turn: VecDeque::new(), len: 0 }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Lets something wait. When a peer has too much of it, the account with the most loses its newest, be it this one.
    /// What was lost comes back.
    pub(crate) fn push(&mut self, peer: Peer, account: &Account, item: T) -> Option<T> {
        if self.len >= MAX && !self.peers.contains_key(&peer) {
            return Some(item);
        }
        let lane = self.peers.entry(peer).or_insert_with(|| {
            self.turn.push_back(peer);
            Lane { accounts: HashMap::new(), turn: VecDeque::new(), len: 0 }
        });
        let own = lane.accounts.get(account).map_or(0, VecDeque::len);
        if own >= MAX_ACCOUNT {
            return Some(item);
        }
        let mut lost = None;
        if lane.len >= MAX_PEER || self.len >= MAX {
            let longest = lane.accounts.iter_mut().max_by_key(|(_, queue)| queue.len());
            match longest {
                Some((_, queue)) if queue.len() > own + 1 => lost = queue.pop_back(),
                _ => return Some(item),
            }
            lane.len -= 1;
            self.len -= 1;
        }
        let queue = lane.accounts.entry(account.clone()).or_insert_with(|| {
            lane.turn.push_back(account.clone());
            VecDeque::new()
        });
        queue.push_back(item);
        lane.len += 1;
        self.len += 1;
        lost
    }

    /// The next in turn.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let peer = self.turn.pop_front()?;
        let lane = self.peers.get_mut(&peer)?;
        let item = lane.pop();
        self.len -= usize::from(item.is_some());
        if lane.len == 0 {
            self.peers.remove(&peer);
        } else {
            self.turn.push_back(peer);
        }
        item
    }
}

impl<T> Lane<T> {
    fn pop(&mut self) -> Option<T> {
        let account = self.turn.pop_front()?;
        let queue = self.accounts.get_mut(&account)?;
        let item = queue.pop_front();
        self.len -= usize::from(item.is_some());
        if queue.is_empty() {
            self.accounts.remove(&account);
        } else {
            self.turn.push_back(account);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::account;

    fn all(intake: &mut Intake<u32>) -> Vec<u32> {
        std::iter::from_fn(|| intake.pop()).collect()
    }

    #[test]
    fn peers_and_accounts_take_turns() {
        let mut intake = Intake::new();
        let (a, b) = (account("hive/alice"), account("hive/bobby"));
        for (peer, account, item) in [(1, &a, 1), (1, &a, 2), (1, &b, 3), (2, &a, 4), (1, &a, 5)] {
            assert_eq!(intake.push(Peer(peer), account, item), None);
        }
        assert_eq!(all(&mut intake), [1, 4, 3, 2, 5]);
        assert!(intake.peers.is_empty() && intake.turn.is_empty());
    }

    #[test]
    fn a_flood_is_cut_where_it_is_longest() {
        let mut intake = Intake::new();
        let flood: Vec<_> = (0..20).map(|n| account(&format!("hive/flood{n}"))).collect();
        for item in 0..10_000 {
            intake.push(Peer(1), &flood[item as usize % 20], item);
        }
        assert_eq!(intake.len(), MAX_PEER);
        let lost = intake.push(Peer(1), &account("hive/alice"), 77_777);
        assert!(lost.is_some_and(|lost| lost != 77_777), "the flood makes room");
        let place = all(&mut intake).iter().position(|item| *item == 77_777);
        assert!(place.unwrap() <= 20, "and it waits one round at most: {place:?}");
    }

    #[test]
    fn other_peers_do_not_feel_it() {
        let mut intake = Intake::new();
        for item in 0..5000 {
            intake.push(Peer(1), &account("hive/flood"), item);
        }
        assert_eq!(intake.len(), MAX_ACCOUNT);
        assert_eq!(intake.push(Peer(2), &account("hive/flood"), 9999), None);
        assert_eq!(all(&mut intake)[1], 9999);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_but_what_is_given_back(items in proptest::collection::vec((0..4_u64, 0..5_usize), 0..400)) {
            let mut intake = Intake::new();
            let mut lost = Vec::new();
            for (n, (peer, who)) in (0..).zip(&items) {
                lost.extend(intake.push(Peer(*peer), &account(&format!("hive/user{who}")), n));
                if n % 7 == 0 {
                    lost.extend(intake.pop());
                }
            }
            let mut seen = all(&mut intake);
            seen.extend(lost);
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..u32::try_from(items.len()).unwrap()).collect::<Vec<_>>());
            prop_assert_eq!(intake.len(), 0);
        }
    }
}
