//! The accounts of a development chain: [`DevAccount`], and [`Accounts`] with its journal for undoing.

use std::{collections::BTreeMap, ops::Bound};

use alive_core::Excerpt;

use crate::{
    authority::Authority,
    keys::{KeyError, PrivateKey, PublicKey, Role},
    time::TimePoint,
    validate::is_account_name,
};

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
    /// Its memo key.
    pub memo_key: PublicKey,
    /// Who owns it.
    pub owner: Authority,
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
        Ok(Self {
            name: name.into(),
            active: Authority::single(key),
            created: TimePoint::from_unix_secs(0),
            json_metadata: String::new(),
            memo_key: key,
            owner: Authority::single(key),
            posting: Authority::single(key),
            posting_json_metadata: String::new(),
        })
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

/// All accounts, and what each changed one was before, so that reversible blocks can be undone.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_name: BTreeMap<Box<str>, DevAccount>,
    journal: Vec<Before>,
}

/// An account before a block changed it, `None` if the block made it.
#[derive(Debug)]
struct Before {
    block: u32,
    name: Box<str>,
    account: Option<DevAccount>,
}

impl Accounts {
    /// An account that exists from the start, whatever is undone.
    pub(super) fn add_first(&mut self, account: DevAccount) {
        self.by_name.insert(account.name.clone(), account);
    }

    pub(super) fn find(&self, name: &str) -> Option<&DevAccount> {
        self.by_name.get(name)
    }

    /// The account's place among all, as its number.
    pub(super) fn number_of(&self, name: &str) -> usize {
        self.by_name.range::<str, _>((Bound::Unbounded, Bound::Excluded(name))).count()
    }

    /// Makes or changes an account in a block.
    pub(super) fn set(&mut self, block: u32, account: DevAccount) {
        let name = account.name.clone();
        let before = self.by_name.insert(name.clone(), account);
        self.journal.push(Before { block, name, account: before });
    }

    /// Undoes what blocks after this number changed.
    pub(super) fn undo_after(&mut self, block: u32) {
        while let Some(last) = self.journal.pop_if(|last| last.block > block) {
            match last.account {
                Some(account) => self.by_name.insert(last.name, account),
                None => self.by_name.remove(&last.name),
            };
        }
    }

    /// Forgets how to undo blocks up to this number.
    pub(super) fn settle(&mut self, block: u32) {
        self.journal.retain(|before| before.block > block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(memo: &str) -> DevAccount {
        let mut account = DevAccount::from_password("alice", "x").unwrap();
        account.json_metadata = memo.into();
        account
    }

    #[test]
    fn undoing_gives_back_what_was_before_each_block() {
        let mut accounts = Accounts::default();
        for block in 1..=3 {
            accounts.set(block, account(&block.to_string()));
        }
        accounts.undo_after(2);
        assert_eq!(accounts.find("alice").unwrap().json_metadata, "2");
        accounts.undo_after(0);
        assert_eq!(accounts.find("alice"), None);
    }

    #[test]
    fn what_is_settled_stays() {
        let mut accounts = Accounts::default();
        accounts.set(1, account("1"));
        accounts.set(2, account("2"));
        accounts.settle(1);
        accounts.undo_after(0);
        assert_eq!(accounts.find("alice").unwrap().json_metadata, "1");
    }

    #[test]
    fn a_name_that_the_chain_would_not_have_is_refused() {
        assert!(matches!(DevAccount::from_password("al", "x"), Err(DevAccountError::Name(_))));
    }
}
