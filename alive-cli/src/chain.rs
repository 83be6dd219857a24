//! Which chain a command speaks to. A further network is registered here.

use std::time::Duration;

use alive_core::{
    AccountName, Applied, DEFAULT_CUSTOM_JSON_ID, Index, Network,
    backend::{Block, BlockSource as _, Next, SharedBlockSource, SharedBroadcaster},
};
use alive_hive::{
    HiveNetwork, HiveNetworkError, PrivateKey,
    devnet::DevnetConfig,
    is_account_name,
    rpc::{
        BroadcasterConfig, Confirm, Follow, HiveBlockSource, HiveBlockSourceConfig,
        HiveBroadcaster, RpcClient, RpcConfig,
    },
};
use anyhow::{Context as _, ensure};

/// The chain and its nodes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChainArgs {
    /// The network: `hive`, `hive_mirrornet`, `hive_testnet`, `blurt`, `steem`, or `devnet` for `alive devnet`; any other of
    /// the family by its parameters, as `mine,chain-id=HEX,prefix=TST`.
    #[arg(long, default_value = "hive", env = "ALIVE_NETWORK", value_parser = known_network, value_name = "NETWORK")]
    network: HiveNetwork,
    /// Address of an API node of the network; several are tried in order.
    #[arg(
        long = "hive-node",
        env = "ALIVE_HIVE_NODE",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:8090"
    )]
    nodes: Vec<String>,
    /// Id of the custom operations that carry the protocol.
    #[arg(long, env = "ALIVE_CUSTOM_JSON_ID", default_value = DEFAULT_CUSTOM_JSON_ID, value_name = "ID")]
    custom_json_id: String,
    /// Milliseconds between two looks at the chain.
    #[arg(long, env = "ALIVE_CHAIN_POLL_MS", default_value_t = 1000, value_name = "MS")]
    chain_poll_ms: u64,
    /// What is read of the chain: every block up to its head, taken back when a fork replaces it, or irreversible blocks
    /// only.
    #[arg(long, env = "ALIVE_FOLLOW", default_value = "head", value_name = "BLOCKS")]
    follow: Reading,
    /// When an operation counts as published: seen in a block, or in one that is irreversible.
    #[arg(long, env = "ALIVE_CONFIRM", default_value = "seen", value_name = "CERTAINTY")]
    confirm: Certainty,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Reading {
    Head,
    Irreversible,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Certainty {
    Irreversible,
    Seen,
}

fn known_network(name: &str) -> Result<HiveNetwork, String> {
    match name {
        "devnet" => Ok(DevnetConfig::default().network),
        text => text.parse().map_err(|error: HiveNetworkError| error.to_string()),
    }
}

impl ChainArgs {
    /// The development chain at `url`, which makes a block every `interval`.
    pub(crate) fn devnet(url: String, interval: Duration) -> Self {
        Self {
            network: DevnetConfig::default().network,
            nodes: vec![url],
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.to_owned(),
            chain_poll_ms: u64::try_from(interval.as_millis() / 4).unwrap_or(u64::MAX).max(1),
            follow: Reading::Head,
            confirm: Certainty::Seen,
        }
    }

    /// The network's name in stream ids.
    pub(crate) fn network(&self) -> &Network {
        &self.network.name
    }

    /// Id of the custom operations that carry the protocol.
    pub(crate) fn custom_json_id(&self) -> &str {
        &self.custom_json_id
    }

    /// The network with what its chain is told by.
    pub(crate) fn hive(&self) -> &HiveNetwork {
        &self.network
    }

    /// Signs and broadcasts the protocol's operations for an account.
    pub(crate) fn broadcaster(
        &self,
        account: AccountName,
        key: PrivateKey,
    ) -> anyhow::Result<SharedBroadcaster> {
        self.hive_broadcaster(account, key).map(SharedBroadcaster::new)
    }

    /// Signs and broadcasts any operations for an account.
    pub(crate) fn hive_broadcaster(
        &self,
        account: AccountName,
        key: PrivateKey,
    ) -> anyhow::Result<HiveBroadcaster> {
        let network = &self.network.name;
        ensure!(is_account_name(account.as_str()), "{account} cannot be an account of {network}");
        let confirm = match self.confirm {
            Certainty::Irreversible => Confirm::Irreversible,
            Certainty::Seen => Confirm::Seen,
        };
        let config = BroadcasterConfig::default()
            .confirm(confirm)
            .custom_json_id(self.custom_json_id.as_str())
            .poll_interval(self.poll_interval());
        Ok(HiveBroadcaster::new(self.client()?, self.network.clone(), account, key, config))
    }

    /// Reads blocks from `from_block` on.
    pub(crate) fn block_source(&self, from_block: u32) -> anyhow::Result<SharedBlockSource> {
        let follow = match self.follow {
            Reading::Head => Follow::Head,
            Reading::Irreversible => Follow::Irreversible,
        };
        let config = HiveBlockSourceConfig::default()
            .custom_json_id(self.custom_json_id.as_str())
            .follow(follow)
            .from_block(from_block)
            .poll_interval(self.poll_interval());
        let network = self.network.clone();
        Ok(SharedBlockSource::new(HiveBlockSource::new(self.client()?, network, config)))
    }

    /// Follows the chain from `from_block` to its head and shows every block on the way.
    pub(crate) async fn index(
        &self,
        from_block: u32,
        mut show: impl FnMut(&Block, &Applied),
    ) -> anyhow::Result<Index> {
        /// Blocks asked for at once.
        const PAGE: usize = 1000;
        let source = self.block_source(from_block)?;
        let mut index = Index::default();
        loop {
            let last = index.last().cloned();
            match source.next(last.as_ref(), PAGE).await? {
                Next::Forked => {
                    index.undo_block().context("the chain replaced a final block")?;
                }
                Next::Blocks { blocks, .. } if blocks.is_empty() => return Ok(index),
                Next::Blocks { blocks, irreversible } => {
                    for block in &blocks {
                        show(block, &index.apply_block(block)?);
                    }
                    index.finalize(irreversible);
                }
            }
        }
    }

    /// Asks the network's nodes.
    pub(crate) fn client(&self) -> anyhow::Result<RpcClient> {
        /// A person or a script waits for the answer, and has nobody else to ask.
        const ROUNDS: u32 = 5;
        let config = RpcConfig::new(&self.nodes).context("--hive-node")?.rounds(ROUNDS);
        Ok(RpcClient::new(config)?)
    }

    fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.chain_poll_ms.max(1))
    }
}
