//! The accounts of a development chain: [`DevAccount`] and [`Accounts`].

use std::ops::Bound;

use alive_core::Excerpt;
use alive_devnet::{Journal, Mark};

use crate::{
    authority::Authority,
    keys::{KeyError, PrivateKey, PublicKey, Role},
    time::TimePoint,
    validate::is_account_name,
};

/// The time of what has not happened.
const NEVER: TimePoint = TimePoint::from_unix_secs(0);

/// An account of a development chain. It has no funds, and needs none.
///
/// ```
/// use alive_hive::{PrivateKey, Role, devnet::DevAccount};
/// let alice = DevAccount::from_password("alice", "secret")?;
/// let key = PrivateKey::from_password("alice", Role::Posting, "secret")?;
/// assert!(alice.posting.is_met_by_key(&key.public_key()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevAccount {
    /// Its name.
    pub name: Box<str>,
    /// Who moves its funds.
    pub active: Authority,
    /// When it was made.
    pub created: TimePoint,
    /// Anything else, as JSON text.
    pub json_metadata: String,
    /// When it made a post or an answer last.
    pub last_post: TimePoint,
    /// When it made or edited one last.
    pub last_post_edit: TimePoint,
    /// When it made a post of its own last.
    pub last_root_post: TimePoint,
    /// When its keys or metadata changed last.
    pub last_update: TimePoint,
    /// When it voted last.
    pub last_vote: TimePoint,
    /// Its memo key.
    pub memo_key: PublicKey,
    /// Who owns it.
    pub owner: Authority,
    /// How many posts and answers it has made.
    pub post_count: u32,
    /// Who posts.
    pub posting: Authority,
    /// Anything else that the posting key may change, as JSON text.
    pub posting_json_metadata: String,
}

impl DevAccount {
    /// An account whose four keys come from a master password, as wallets derive them.
    ///
    /// # Errors
    /// The name is no account name.
    pub fn from_password(name: &str, password: &str) -> Result<Self, DevAccountError> {
        let key =
            |role| PrivateKey::from_password(name, role, password).map(|key| key.public_key());
        let mut account = Self::with_key(name, key(Role::Posting)?)?;
        account.active = Authority::single(key(Role::Active)?);
        account.memo_key = key(Role::Memo)?;
        account.owner = Authority::single(key(Role::Owner)?);
        Ok(account)
    }

    /// An account with one key for everything.
    ///
    /// # Errors
    /// The name is no account name.
    pub fn with_key(name: &str, key: PublicKey) -> Result<Self, DevAccountError> {
        if !is_account_name(name) {
            return Err(DevAccountError::Name(Excerpt::of(name)));
        }
        Ok(Self::named(name, key))
    }

    /// An account of a name that is known to be one.
    pub(super) fn named(name: &str, key: PublicKey) -> Self {
        Self {
            name: name.into(),
            active: Authority::single(key),
            created: NEVER,
            json_metadata: String::new(),
            last_post: NEVER,
            last_post_edit: NEVER,
            last_root_post: NEVER,
            last_update: NEVER,
            last_vote: NEVER,
            memo_key: key,
            owner: Authority::single(key),
            post_count: 0,
            posting: Authority::single(key),
            posting_json_metadata: String::new(),
        }
    }

    /// Sets who posts.
    #[must_use]
    pub fn posting(self, posting: Authority) -> Self {
        Self { posting, ..self }
    }

    /// The authority of a role; memo keys have none.
    pub(crate) fn authority(&self, role: Role) -> Option<&Authority> {
        match role {
            Role::Active => Some(&self.active),
            Role::Memo => None,
            Role::Owner => Some(&self.owner),
            Role::Posting => Some(&self.posting),
        }
    }
}

/// Why there is no such [`DevAccount`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DevAccountError {
    /// The password gives no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The chain has no such names.
    #[error("{0} is no account name")]
    Name(Excerpt),
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts(Journal<Box<str>, DevAccount, u32>);

impl Accounts {
    /// An account that exists from the start, whatever is undone.
    pub(super) fn add_first(&mut self, account: DevAccount) {
        self.0.add_first(account.name.clone(), account);
    }

    pub(super) fn find(&self, name: &str) -> Option<&DevAccount> {
        self.0.get(name)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, by name, from this one on.
    pub(super) fn starting_at<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a DevAccount> {
        self.0.range::<str>((Bound::Included(name), Bound::Unbounded)).map(|(_, account)| account)
    }

    /// The names of the accounts in whose authorities a key stands, sorted.
    pub(super) fn with_key(&self, key: &PublicKey) -> Vec<&str> {
        let has = |account: &DevAccount| {
            [&account.owner, &account.active, &account.posting]
                .into_iter()
                .any(|authority| authority.key_auths.contains_key(key))
        };
        self.0.iter().filter(|(_, account)| has(account)).map(|(name, _)| &**name).collect()
    }

    /// The account's place among all, as its number.
    pub(super) fn number_of(&self, name: &str) -> usize {
        self.0.range::<str>((Bound::Unbounded, Bound::Excluded(name))).count()
    }

    /// Makes or changes an account in a block.
    pub(super) fn set(&mut self, block: u32, account: DevAccount) {
        self.0.set(block, account.name.clone(), account);
    }

    /// Changes an account, if it is there.
    pub(super) fn change(&mut self, block: u32, name: &str, change: impl FnOnce(&mut DevAccount)) {
        if let Some(mut account) = self.find(name).cloned() {
            change(&mut account);
            self.set(block, account);
        }
    }

    pub(super) fn mark(&self) -> Mark {
        self.0.mark()
    }

    pub(super) fn undo_to(&mut self, mark: Mark) {
        self.0.undo_to(mark);
    }

    pub(super) fn undo_after(&mut self, block: u32) {
        self.0.undo_after(block);
    }

    pub(super) fn settle(&mut self, block: u32) {
        self.0.settle(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_key_and_in_the_order_of_their_names() {
        let mut accounts = Accounts::default();
        for name in ["carol", "alice", "bob"] {
            accounts.add_first(DevAccount::from_password(name, "x").unwrap());
        }
        let key = accounts.find("bob").unwrap().posting.key_auths.keys().next().copied().unwrap();
        accounts.change(1, "alice", |alice| alice.posting = Authority::single(key));
        assert_eq!(accounts.with_key(&key), ["alice", "bob"]);
        accounts.undo_after(0);
        assert_eq!(accounts.with_key(&key), ["bob"]);
        let names: Vec<_> = accounts.starting_at("b").map(|account| &*account.name).collect();
        assert_eq!(names, ["bob", "carol"]);
    }

    #[test]
    fn a_name_that_the_chain_would_not_have_is_refused() {
        assert!(matches!(DevAccount::from_password("al", "x"), Err(DevAccountError::Name(_))));
    }
}
