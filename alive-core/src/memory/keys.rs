//! [`MemoryAccountKeys`]: authorities that the caller sets.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use crate::{
    account::{AccountName, Network},
    backend::{AccountAuthority, AccountKeys, KeysError},
};

use super::{Count, lock};

/// Tells the authorities that were [set](Self::set).
///
/// ```
/// use alive_core::{Network, backend::AccountKeys, memory::MemoryAccountKeys};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = MemoryAccountKeys::new(Network::hive());
/// keys.set("alice".parse()?, Default::default());
/// assert!(keys.authority(&"alice".parse()?).await?.is_some());
/// assert!(keys.authority(&"bob".parse()?).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryAccountKeys(Arc<Shared>);

struct Shared {
    network: Network,
    accounts: Mutex<HashMap<AccountName, AccountAuthority>>,
}

impl MemoryAccountKeys {
    /// A chain without accounts.
    pub fn new(network: Network) -> Self {
        Self(Arc::new(Shared { network, accounts: Mutex::default() }))
    }

    /// Creates an account or changes its authorities.
    pub fn set(&self, account: AccountName, authority: AccountAuthority) {
        lock(&self.0.accounts).insert(account, authority);
    }

    /// Removes an account; whether it was there.
    pub fn remove(&self, account: &AccountName) -> bool {
        lock(&self.0.accounts).remove(account).is_some()
    }
}

impl fmt::Debug for MemoryAccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAccountKeys")
            .field("network", &self.0.network)
            .field("accounts", &Count(lock(&self.0.accounts).len()))
            .finish()
    }
}

impl AccountKeys for MemoryAccountKeys {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        Ok(lock(&self.0.accounts).get(account).cloned())
    }

    fn network(&self) -> &Network {
        &self.0.network
    }
}
