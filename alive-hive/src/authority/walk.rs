//! Following an authority through the accounts below it, within hived's bounds: [`Walk`].

use std::collections::BTreeSet;

use crate::keys::PublicKey;

use super::Authority;

/// How far below the first authority the accounts in it are followed. Source: `spec/hive.md`, section 4.4.
pub const MAX_DEPTH: usize = 2;
/// How many accounts are looked up. Source: `spec/hive.md`, section 4.4.
pub const MAX_ACCOUNTS: usize = 125;
/// How many members of one authority are looked at. Source: `spec/hive.md`, section 4.4.
pub const MAX_MEMBERS: usize = 40;
/// The account that everybody may act for: it is there to hand things over through.
const OPEN_ACCOUNT: &str = "temp";

/// What was found out while authorities were followed: one transaction needs several, and what one tells helps the next.
#[derive(Debug)]
pub(super) struct Walk<'k, 'a> {
    keys: &'k BTreeSet<PublicKey>,
    used: BTreeSet<&'k PublicKey>,
    approved: BTreeSet<&'a str>,
    /// Accounts looked up; the caller says when the count begins anew.
    pub(super) looked_up: usize,
}

impl<'k, 'a> Walk<'k, 'a> {
    /// Nothing is known but whose signatures there are.
    pub(super) fn new(keys: &'k BTreeSet<PublicKey>) -> Self {
        let approved = BTreeSet::from([OPEN_ACCOUNT]);
        Self { keys, used: BTreeSet::new(), approved, looked_up: 0 }
    }

    /// Whether the account is known to agree.
    pub(super) fn approves(&self, account: &str) -> bool {
        self.approved.contains(account)
    }

    /// Forgets which accounts agree: at another level each has another authority.
    pub(super) fn forget_accounts(&mut self) {
        self.approved = BTreeSet::from([OPEN_ACCOUNT]);
    }

    /// Whether each key was a member of some authority that was looked at.
    pub(super) fn has_used_all(&self) -> bool {
        self.used.len() == self.keys.len()
    }

    /// Whether the keys meet an authority. `find` gives the authority of an account below it.
    pub(super) fn is_met(
        &mut self,
        authority: &'a Authority,
        find: &impl Fn(&str) -> Option<&'a Authority>,
    ) -> bool {
        self.follow(authority, find, 0)
    }

    fn follow(
        &mut self,
        authority: &'a Authority,
        find: &impl Fn(&str) -> Option<&'a Authority>,
        depth: usize,
    ) -> bool {
        let threshold = authority.weight_threshold;
        let mut sum = Sum { weight: 0, members: 0 };
        for (key, weight) in &authority.key_auths {
            if self.is_signed_by(key) && sum.reaches(*weight, threshold) {
                return true;
            }
            if sum.is_last_member() {
                return false;
            }
        }
        for (name, weight) in &authority.account_auths {
            if !self.approves(name) {
                // Such an account is passed over, and does not count as a member.
                if depth == MAX_DEPTH {
                    continue;
                }
                if self.looked_up >= MAX_ACCOUNTS {
                    return false;
                }
                self.looked_up += 1;
                // An account that an authority names exists, since nothing ever removes one.
                if find(name).is_some_and(|below| self.follow(below, find, depth + 1)) {
                    self.approved.insert(name);
                }
            }
            if self.approves(name) && sum.reaches(*weight, threshold) {
                return true;
            }
            if sum.is_last_member() {
                return false;
            }
        }
        sum.weight >= threshold
    }

    fn is_signed_by(&mut self, key: &PublicKey) -> bool {
        let found = self.keys.get(key);
        self.used.extend(found);
        found.is_some()
    }
}

/// What the members of one authority bring together.
struct Sum {
    weight: u32,
    members: usize,
}

impl Sum {
    fn reaches(&mut self, weight: u16, threshold: u32) -> bool {
        self.weight = self.weight.saturating_add(weight.into());
        self.weight >= threshold
    }

    /// Counts a member that did not decide it; after the last one that is looked at nothing does.
    fn is_last_member(&mut self) -> bool {
        self.members += 1;
        self.members >= MAX_MEMBERS
    }
}
