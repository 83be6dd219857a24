//! Which accounts exist: [`Accounts`].

use alive_core::{
    AccountName, CachedAccountKeys, KeyCacheConfig, Network,
    backend::{
        AccountKeys as _, KeysError, SharedAccountKeys, SharedStreamStore, StoreError,
        StreamStore as _,
    },
};

/// Knows an account if it ever signed an operation of this protocol, or if the chain knows it.
#[derive(Debug)]
pub(crate) struct Accounts {
    network: Network,
    store: SharedStreamStore,
    /// Behind a cache: viewers must not be able to make this node ask the chain again and again.
    chain: Option<CachedAccountKeys<SharedAccountKeys>>,
}

/// Nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    #[error("the chain cannot be asked for accounts")]
    Chain(#[from] KeysError),
    #[error("the stream store failed")]
    Store(#[from] StoreError),
}

impl Accounts {
    pub(crate) fn new(
        network: Network,
        store: SharedStreamStore,
        chain: Option<SharedAccountKeys>,
    ) -> Self {
        let cached = |chain| CachedAccountKeys::new(chain, KeyCacheConfig::default());
        Self { network, store, chain: chain.map(cached) }
    }

    /// Whether there is such an account.
    pub(crate) async fn knows(&self, account: &AccountName) -> Result<bool, AccountsError> {
        if self.store.account(&self.network, account).await?.is_some() {
            return Ok(true);
        }
        let Some(chain) = &self.chain else { return Ok(false) };
        Ok(chain.authority(account).await?.is_some())
    }
}
