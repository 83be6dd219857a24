//! Which accounts exist: [`Accounts`].

use std::time::Duration;

use alive_core::{
    AccountName, Network,
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
    chain: Option<SharedAccountKeys>,
    /// What the chain said lately: viewers must not be able to make this node ask it again and again.
    said: moka::sync::Cache<AccountName, bool>,
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
    /// How many answers of the chain are remembered.
    const REMEMBERED: u64 = 10_000;
    /// For how long.
    const FOR: Duration = Duration::from_mins(1);

    pub(crate) fn new(
        network: Network,
        store: SharedStreamStore,
        chain: Option<SharedAccountKeys>,
    ) -> Self {
        let said = moka::sync::Cache::builder().max_capacity(Self::REMEMBERED);
        Self { network, store, chain, said: said.time_to_live(Self::FOR).build() }
    }

    /// Whether there is such an account.
    pub(crate) async fn knows(&self, account: &AccountName) -> Result<bool, AccountsError> {
        if self.store.account(&self.network, account).await?.is_some() {
            return Ok(true);
        }
        let Some(chain) = &self.chain else { return Ok(false) };
        if let Some(said) = self.said.get(account) {
            return Ok(said);
        }
        let known = chain.authority(account).await?.is_some();
        self.said.insert(account.clone(), known);
        Ok(known)
    }
}
