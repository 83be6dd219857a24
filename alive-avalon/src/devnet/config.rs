//! How a development node is set up: [`DevnetConfig`].

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::block::FIRST_PLAYLIST_BLOCK;

use super::accounts::DevAccount;

/// Settings of a development node.
///
/// The default is a chain in memory with a block every 3 seconds that listens on a free port of the loopback interface.
/// Transactions of Avalon name no chain, so never use a key here that is in use elsewhere: what it signs could be
/// published there.
///
/// ```
/// use alive_avalon::{PrivateKey, devnet::{DevAccount, DevnetConfig}};
/// let key = PrivateKey::from_bytes(&[1; 32])?;
/// let config = DevnetConfig::default().account(DevAccount::new("alice", key.public_key())).by_hand();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DevnetConfig {
    /// Accounts that exist from the start.
    pub accounts: Vec<DevAccount>,
    /// Where to listen. Port 0 takes any free one.
    pub address: SocketAddr,
    /// Time between blocks, `None` when only [`produce_block`](super::Devnet::produce_block) makes them.
    pub block_interval: Option<Duration>,
    /// Number of the first block.
    pub first_block: u64,
    /// Where the block log lives, `None` to keep it in memory.
    pub folder: Option<PathBuf>,
    /// Whether clients may change the switches and make blocks, by `POST /alive_devnet/…`.
    pub is_controllable: bool,
}

impl DevnetConfig {
    /// Time between blocks on Avalon. Source: `spec/avalon.md`, section 1.
    pub const AVALON_INTERVAL: Duration = Duration::from_secs(3);
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

    /// Lets clients change the switches and make blocks.
    #[must_use]
    pub fn controllable(self) -> Self {
        Self { is_controllable: true, ..self }
    }

    /// Sets where the block log lives.
    #[must_use]
    pub fn folder(self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            block_interval: Some(Self::AVALON_INTERVAL),
            first_block: FIRST_PLAYLIST_BLOCK,
            folder: None,
            is_controllable: false,
        }
    }
}
