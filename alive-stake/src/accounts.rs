//! Accounts by small numbers, so that records lie in tables: [`Accounts`] and [`Table`].

use std::{
    collections::HashMap,
    ops::{Index, IndexMut},
    sync::Arc,
};

use alive_core::AccountName;

/// An account's place in the tables: accounts are numbered in the order in which they first appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId(usize);

/// The names of all accounts that an accepted action ever named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    names: Vec<Arc<AccountName>>,
    /// Only ever asked for one name: its order shows nowhere.
    ids: HashMap<Arc<AccountName>, AccountId>,
}

impl Accounts {
    pub(crate) fn find(&self, name: &AccountName) -> Option<AccountId> {
        self.ids.get(name).copied()
    }

    /// Numbers a new name.
    pub(crate) fn add(&mut self, name: &AccountName) -> AccountId {
        let (id, name) = (AccountId(self.names.len()), Arc::new(name.clone()));
        self.ids.insert(Arc::clone(&name), id);
        self.names.push(name);
        id
    }

    /// Forgets the newest.
    pub(crate) fn pop(&mut self) {
        if let Some(name) = self.names.pop() {
            self.ids.remove(&name);
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "only `add` makes ids, and `pop` takes the last use"
    )]
    pub(crate) fn name(&self, id: AccountId) -> &AccountName {
        &self.names[id.0]
    }

    /// All accounts, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AccountId, &AccountName)> {
        self.names.iter().enumerate().map(|(id, name)| (AccountId(id), &**name))
    }
}

/// A record for every account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table<T>(Vec<T>);

impl<T: Default> Table<T> {
    /// The record of an account that was just numbered.
    pub(crate) fn push(&mut self) {
        self.0.push(T::default());
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }
}

impl<T> Index<AccountId> for Table<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "every table grows with every account")]
    fn index(&self, id: AccountId) -> &T {
        &self.0[id.0]
    }
}

impl<T> IndexMut<AccountId> for Table<T> {
    #[expect(clippy::indexing_slicing, reason = "every table grows with every account")]
    fn index_mut(&mut self, id: AccountId) -> &mut T {
        &mut self.0[id.0]
    }
}
