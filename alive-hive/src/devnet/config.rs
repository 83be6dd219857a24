//! How a development node is set up: [`DevnetConfig`].

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{cost::Prices, network::HiveNetwork};

use super::accounts::DevAccount;

/// Settings of a development node.
///
/// The default is a chain in memory with a block every 3 seconds that listens on a free port of the loopback
/// interface. It has the chain id of Hive itself, since not every client can be told another one (hive-tx cannot); what
/// is signed for it is void on the main chain all the same, because every transaction leans on a block of this one.
///
/// ```
/// use alive_hive::devnet::{DevAccount, DevnetConfig};
/// let alice = DevAccount::from_password("alice", "a password for tests")?;
/// let config = DevnetConfig::default().account(alice).by_hand();
/// # Ok::<(), alive_hive::devnet::DevAccountError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DevnetConfig {
    /// Accounts that exist from the first block on, besides those of the witnesses.
    pub accounts: Vec<DevAccount>,
    /// Where to listen. Port 0 takes any free one.
    pub address: SocketAddr,
    /// Whom accounts have blacklisted, as `bridge.get_follow_list` tells: by the observer.
    pub blacklists: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Time between blocks, `None` when only [`produce_block`](super::Devnet::produce_block) makes them. An interval
    /// of less than a second gives several blocks of one time.
    pub block_interval: Option<Duration>,
    /// Most resource credits that an account has, `None` where nobody runs out of them.
    pub credits: Option<u64>,
    /// Where the block log lives, `None` to keep it in memory.
    pub folder: Option<PathBuf>,
    /// How many blocks behind the head is the last one that cannot be replaced.
    pub irreversible_lag: u32,
    /// Whether clients may make accounts, blocks, forks and faults, by the calls of `alive_devnet`.
    pub is_controllable: bool,
    /// The chain that the node pretends to be.
    pub network: HiveNetwork,
    /// What resources cost. It does not change.
    pub prices: Prices,
    /// Least time between two posts of an account that answer nobody, by the time of blocks.
    pub root_post_interval: Duration,
}

impl DevnetConfig {
    /// Time between blocks on Hive. Source: `spec/hive.md`, section 5.5.
    pub const HIVE_INTERVAL: Duration = Duration::from_secs(3);
    /// Lag of irreversibility when witnesses confirm each block at once. Source: `spec/hive.md`, section 5.5.
    pub const HIVE_LAG: u32 = 1;
    /// Time between two posts of an account on Hive.
    pub const HIVE_ROOT_POST_INTERVAL: Duration = Duration::from_mins(5);
    /// Shortest interval; a shorter one is lengthened to it.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, account: DevAccount) -> Self {
        self.accounts.push(account);
        self
    }

    /// Sets where to listen.
    #[must_use]
    pub fn address(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Sets whom an account has blacklisted.
    #[must_use]
    pub fn blacklist<'n>(
        mut self,
        observer: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Self {
        self.blacklists.insert(observer.into(), names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the time between blocks.
    #[must_use]
    pub fn block_interval(self, interval: Duration) -> Self {
        Self { block_interval: Some(interval.max(Self::MIN_INTERVAL)), ..self }
    }

    /// Makes blocks only when told to.
    #[must_use]
    pub fn by_hand(self) -> Self {
        Self { block_interval: None, ..self }
    }

    /// Lets clients make accounts, blocks, forks and faults.
    #[must_use]
    pub fn controllable(self) -> Self {
        Self { is_controllable: true, ..self }
    }

    /// Limits the resource credits of each account.
    #[must_use]
    pub fn credits(self, most: u64) -> Self {
        Self { credits: Some(most), ..self }
    }

    /// Sets where the block log lives.
    #[must_use]
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Sets how many blocks stay replaceable.
    #[must_use]
    pub fn irreversible_lag(self, blocks: u32) -> Self {
        Self { irreversible_lag: blocks, ..self }
    }

    /// Sets the chain.
    #[must_use]
    pub fn network(self, network: HiveNetwork) -> Self {
        Self { network, ..self }
    }

    /// Sets what resources cost.
    #[must_use]
    pub fn prices(self, prices: Prices) -> Self {
        Self { prices, ..self }
    }

    /// Sets the least time between two posts of an account, zero to allow any number.
    #[must_use]
    pub fn root_post_interval(self, interval: Duration) -> Self {
        Self { root_post_interval: interval, ..self }
    }
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            blacklists: BTreeMap::new(),
            block_interval: Some(Self::HIVE_INTERVAL),
            credits: None,
            folder: None,
            irreversible_lag: Self::HIVE_LAG,
            is_controllable: false,
            network: HiveNetwork::hive(),
            prices: Prices::mainnet_example(),
            root_post_interval: Self::HIVE_ROOT_POST_INTERVAL,
        }
    }
}
