//! Who may sign for an account: [`HiveAccountKeys`].

use alive_core::{
    AccountName, Network,
    backend::{self, AccountAuthority, AccountKeys, KeysError},
};
use serde_json::{Value, json};

use crate::{authority::Authority, network::HiveNetwork};

use super::{
    BACKEND,
    client::{RpcClient, RpcError},
    node::ChainNode,
};

/// The authorities of accounts, asked from a node each time.
///
/// Keys that are switched off (the null key) are left out: nothing ever verifies by them.
/// Source: `spec/hive.md`, sections 4.4 and 6.
///
/// ```
/// use alive_core::backend::AccountKeys;
/// use alive_hive::{HiveNetwork, rpc};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://api.hive.blog"])?)?;
/// let keys = rpc::HiveAccountKeys::new(client, HiveNetwork::hive());
/// if let Some(alice) = keys.authority(&"alice".parse()?).await? {
///     println!("{} posting keys", alice.posting.keys.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HiveAccountKeys {
    node: ChainNode,
}

impl HiveAccountKeys {
    /// Accounts of this chain.
    pub fn new(client: RpcClient, network: HiveNetwork) -> Self {
        Self { node: ChainNode::new(client, network) }
    }

    async fn find(&self, name: &AccountName) -> Result<Option<AccountAuthority>, RpcError> {
        self.node.check_chain().await?;
        let accounts = self.node.client.call("condenser_api.get_accounts", json!([[name]])).await?;
        let accounts = accounts.as_array().ok_or(RpcError::Answer("a list of accounts"))?;
        let found = accounts.iter().find(|account| account["name"] == *name.as_str());
        found.map(|account| self.read(account)).transpose()
    }

    fn read(&self, account: &Value) -> Result<AccountAuthority, RpcError> {
        let authority = |role: &str| {
            let prefix = &self.node.network.key_prefix;
            let read = account.get(role).and_then(|json| Authority::from_json(json, prefix).ok());
            read.and_then(to_core).ok_or(RpcError::Answer("the authorities of an account"))
        };
        Ok(AccountAuthority {
            active: authority("active")?,
            owner: authority("owner")?,
            posting: authority("posting")?,
        })
    }
}

impl AccountKeys for HiveAccountKeys {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        let found = self.find(account).await;
        found.map_err(|source| KeysError { backend: BACKEND, source: Box::new(source) })
    }

    fn network(&self) -> &Network {
        &self.node.network.name
    }
}

/// `None` if a name is none that core knows.
fn to_core(authority: Authority) -> Option<backend::Authority> {
    let keys = authority.key_auths.into_iter().filter(|(key, _)| !key.is_null());
    let accounts = authority.account_auths.into_iter();
    Some(backend::Authority {
        threshold: authority.weight_threshold,
        keys: keys.map(|(key, weight)| (key.into(), weight)).collect(),
        accounts: accounts
            .map(|(name, weight)| Some((name.parse().ok()?, weight)))
            .collect::<Option<_>>()?,
    })
}
