//! Who may sign for an account: [`AvalonAccountKeys`].

use alive_core::{
    AccountName, Network,
    backend::{AccountAuthority, AccountKeys, Authority, KeysError, PublicKeyBytes},
};

use crate::account::{Account, AccountKey};

use super::{BACKEND, client::RpcClient, node::ChainNode};

/// The keys of accounts, asked from a node each time.
///
/// For messages, each key of an account stands for it, whatever the types of transactions it is limited to: the main
/// key and every custom key are its posting authority, the main key alone the other two. Weights and thresholds are
/// about transactions and do not count here. Source: `spec/avalon.md`, section 11.
///
/// ```
/// use alive_avalon::rpc;
/// use alive_core::backend::AccountKeys;
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rpc::RpcClient::new(rpc::RpcConfig::new(["https://avalon.d.tube"])?)?;
/// let keys = rpc::AvalonAccountKeys::new(client);
/// if let Some(alice) = keys.authority(&"alice".parse()?).await? {
///     println!("{} keys", alice.posting.keys.len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AvalonAccountKeys {
    node: ChainNode,
    network: Network,
}

impl AvalonAccountKeys {
    /// Accounts of Avalon.
    pub fn new(client: RpcClient) -> Self {
        Self { node: ChainNode { client }, network: Network::avalon() }
    }
}

impl AccountKeys for AvalonAccountKeys {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        // What is no name cannot be an account, and must not become a path.
        if !crate::is_user_name(account.as_str()) {
            return Ok(None);
        }
        let found = self.node.account(account.as_str()).await;
        let found =
            found.map_err(|source| KeysError { backend: BACKEND, source: source.into() })?;
        Ok(found.map(|account| to_core(&account)))
    }

    fn network(&self) -> &Network {
        &self.network
    }
}

fn to_core(account: &Account) -> AccountAuthority {
    let any_of = |keys: &mut dyn Iterator<Item = &AccountKey>| {
        let mut authority = Authority { threshold: 1, ..Authority::default() };
        // Texts that are no keys verify nothing.
        for key in keys.filter_map(AccountKey::key) {
            let key = PublicKeyBytes::from(*key);
            if !authority.keys.contains(&(key, 1)) {
                authority.keys.push((key, 1));
            }
        }
        authority
    };
    let main = || std::iter::once(&account.main_key);
    AccountAuthority {
        active: any_of(&mut main()),
        owner: any_of(&mut main()),
        posting: any_of(&mut main().chain(account.keys.iter().map(|key| &key.key))),
    }
}
