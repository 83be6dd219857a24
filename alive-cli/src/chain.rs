//! Which chains a command speaks to. A further network is registered here.

use std::time::Duration;

use alive_avalon::{
    FIRST_PLAYLIST_BLOCK,
    rpc::{
        self as avalon, AvalonAccountKeys, AvalonBlockSource, AvalonBlockSourceConfig,
        AvalonBroadcaster,
    },
};
use alive_core::{
    AccountName, Applied, CachedAccountKeys, ChainView, DEFAULT_CUSTOM_JSON_ID, Index,
    KeyCacheConfig, Link, LiveKey, Network,
    backend::{
        Block, BlockSource as _, Next, SharedAccountKeys, SharedBlockSource, SharedBroadcaster,
    },
};
use alive_hive::{
    HiveNetwork, HiveNetworkError,
    devnet::DevnetConfig,
    is_account_name,
    rpc::{
        BroadcasterConfig, Confirm, Follow, HiveAccountKeys, HiveBlockSource,
        HiveBlockSourceConfig, HiveBroadcaster, RpcClient, RpcConfig,
    },
};
use anyhow::{Context as _, bail, ensure};

use crate::secret::KeyArgs;

/// The chains and their nodes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ChainArgs {
    /// The network: `hive`, `hive_mirrornet`, `hive_testnet`, `blurt`, `steem`, `avalon`, or `devnet` for `alive devnet`;
    /// any other of Hive's family by its parameters, as `mine,chain-id=HEX,prefix=TST`. Given several times, each counts:
    /// the stream is on all of them, and the first one is the one that routes speak for.
    #[arg(long = "network", default_value = "hive", env = "ALIVE_NETWORK", value_parser = known_network, value_name = "NETWORK")]
    networks: Vec<Kind>,
    /// Address of an API node of a network of Hive's family; several are tried in order.
    #[arg(
        long = "hive-node",
        env = "ALIVE_HIVE_NODE",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:8090"
    )]
    nodes: Vec<String>,
    /// Address of a node of Avalon; several are tried in order.
    #[arg(
        long = "avalon-node",
        env = "ALIVE_AVALON_NODE",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:3001"
    )]
    avalon_nodes: Vec<String>,
    /// The first block of Avalon to read.
    #[arg(long, env = "ALIVE_AVALON_FROM_BLOCK", default_value_t = FIRST_PLAYLIST_BLOCK, value_name = "BLOCK")]
    avalon_from_block: u64,
    /// Id of the custom operations that carry the protocol on Hive.
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

/// A family of chains, or one of its networks.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Avalon,
    Hive(HiveNetwork),
}

/// A network by its name or its parameters.
pub(crate) fn known_network(name: &str) -> Result<Kind, String> {
    match name {
        "avalon" => Ok(Kind::Avalon),
        "devnet" => Ok(Kind::Hive(DevnetConfig::default().network)),
        text => text.parse().map(Kind::Hive).map_err(|error: HiveNetworkError| error.to_string()),
    }
}

impl ChainArgs {
    /// The chains, each once, in the order given.
    pub(crate) fn chains(&self) -> anyhow::Result<Vec<Chain>> {
        let mut chains: Vec<Chain> = Vec::new();
        for kind in &self.networks {
            let nodes = match kind {
                Kind::Avalon => &self.avalon_nodes,
                Kind::Hive(_) => &self.nodes,
            };
            let chain = Chain {
                network: kind.network(),
                kind: kind.clone(),
                nodes: nodes.clone(),
                avalon_from_block: self.avalon_from_block,
                custom_json_id: self.custom_json_id.clone(),
                poll_interval: Duration::from_millis(self.chain_poll_ms.max(1)),
                follow: self.follow,
                confirm: self.confirm,
            };
            ensure!(
                chains.iter().all(|known| known.network != chain.network),
                "network {} is given twice",
                chain.network
            );
            chains.push(chain);
        }
        Ok(chains)
    }

    /// The chain, for what concerns one only.
    pub(crate) fn one(&self) -> anyhow::Result<Chain> {
        let mut chains = self.chains()?;
        ensure!(chains.len() == 1, "this concerns one network, give --network once");
        chains.pop().context("give --network")
    }
}

impl Kind {
    fn network(&self) -> Network {
        match self {
            Self::Avalon => Network::avalon(),
            Self::Hive(network) => network.name.clone(),
        }
    }
}

/// One chain and its nodes.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    kind: Kind,
    network: Network,
    nodes: Vec<String>,
    avalon_from_block: u64,
    custom_json_id: String,
    poll_interval: Duration,
    follow: Reading,
    confirm: Certainty,
}

/// A key of the family that signs.
#[derive(Clone, Debug)]
pub(crate) enum SigningKey {
    Avalon(alive_avalon::PrivateKey),
    Hive(alive_hive::PrivateKey),
}

impl Chain {
    /// The development chain at `url`, which makes a block every `interval`.
    pub(crate) fn devnet(kind: Kind, url: String, interval: Duration) -> Self {
        Self {
            network: kind.network(),
            kind,
            nodes: vec![url],
            avalon_from_block: FIRST_PLAYLIST_BLOCK,
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.to_owned(),
            poll_interval: (interval / 4).max(Duration::from_millis(1)),
            follow: Reading::Head,
            confirm: Certainty::Seen,
        }
    }

    /// The network's name in stream ids.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Reads the key that this chain is signed with.
    pub(crate) fn key(&self, keys: &KeyArgs) -> anyhow::Result<SigningKey> {
        match self.kind {
            Kind::Avalon => keys.read_avalon().map(SigningKey::Avalon),
            Kind::Hive(_) => keys.read().map(SigningKey::Hive),
        }
    }

    /// Id of the custom operations that carry the protocol.
    pub(crate) fn custom_json_id(&self) -> &str {
        &self.custom_json_id
    }

    /// The network with what its chain is told by.
    ///
    /// # Errors
    /// It is none of Hive's family.
    pub(crate) fn hive(&self) -> anyhow::Result<&HiveNetwork> {
        match &self.kind {
            Kind::Avalon => {
                bail!("this is for networks of Hive's family, {} is none", self.network)
            }
            Kind::Hive(network) => Ok(network),
        }
    }

    /// Signs and broadcasts the protocol's operations for an account.
    pub(crate) fn broadcaster(
        &self,
        account: AccountName,
        key: SigningKey,
    ) -> anyhow::Result<SharedBroadcaster> {
        match (&self.kind, key) {
            (Kind::Avalon, SigningKey::Avalon(key)) => {
                self.avalon_broadcaster(account, key).map(SharedBroadcaster::new)
            }
            (Kind::Hive(_), SigningKey::Hive(key)) => {
                self.hive_broadcaster(account, key).map(SharedBroadcaster::new)
            }
            _ => bail!("the key is none of {}", self.network),
        }
    }

    /// Signs and broadcasts any operations for an account of Hive's family.
    pub(crate) fn hive_broadcaster(
        &self,
        account: AccountName,
        key: alive_hive::PrivateKey,
    ) -> anyhow::Result<HiveBroadcaster> {
        let is_name = is_account_name(account.as_str());
        ensure!(is_name, "{account} cannot be an account of {}", self.network);
        let confirm = match self.confirm {
            Certainty::Irreversible => Confirm::Irreversible,
            Certainty::Seen => Confirm::Seen,
        };
        let config = BroadcasterConfig::default()
            .confirm(confirm)
            .custom_json_id(self.custom_json_id.as_str())
            .poll_interval(self.poll_interval);
        let network = self.hive()?.clone();
        Ok(HiveBroadcaster::new(self.hive_client()?, network, account, key, config))
    }

    pub(crate) fn avalon_broadcaster(
        &self,
        account: AccountName,
        key: alive_avalon::PrivateKey,
    ) -> anyhow::Result<AvalonBroadcaster> {
        let is_name = alive_avalon::is_user_name(account.as_str());
        ensure!(is_name, "{account} cannot be an account of {}", self.network);
        let confirmations = match self.confirm {
            Certainty::Irreversible => AvalonBlockSourceConfig::default().irreversible_lag,
            Certainty::Seen => 0,
        };
        let config = avalon::BroadcasterConfig::default()
            .confirmations(confirmations)
            .poll_interval(self.poll_interval);
        Ok(AvalonBroadcaster::new(self.avalon_client()?, account, key, config))
    }

    /// Reads blocks from `from_block` on, or from Avalon's own first one.
    pub(crate) fn block_source(&self, from_block: u32) -> anyhow::Result<SharedBlockSource> {
        match &self.kind {
            Kind::Avalon => {
                let config = AvalonBlockSourceConfig::default();
                let head_lag = match self.follow {
                    Reading::Head => 0,
                    Reading::Irreversible => config.irreversible_lag,
                };
                let config = config
                    .from_block(self.avalon_from_block)
                    .head_lag(head_lag)
                    .poll_interval(self.poll_interval);
                let source = AvalonBlockSource::new(self.avalon_client()?, config);
                Ok(SharedBlockSource::new(source))
            }
            Kind::Hive(network) => {
                let follow = match self.follow {
                    Reading::Head => Follow::Head,
                    Reading::Irreversible => Follow::Irreversible,
                };
                let config = HiveBlockSourceConfig::default()
                    .custom_json_id(self.custom_json_id.as_str())
                    .follow(follow)
                    .from_block(from_block)
                    .poll_interval(self.poll_interval);
                let source = HiveBlockSource::new(self.hive_client()?, network.clone(), config);
                Ok(SharedBlockSource::new(source))
            }
        }
    }

    /// How far a stream is and which key of the live layer it has, by the state that nodes of the chain keep; `None` where
    /// they keep none.
    pub(crate) async fn kept_view(
        &self,
        account: &AccountName,
        link: &Link,
        key: &SigningKey,
    ) -> anyhow::Result<Option<(ChainView, Option<LiveKey>)>> {
        let SigningKey::Avalon(key) = key else { return Ok(None) };
        let broadcaster = self.avalon_broadcaster(account.clone(), key.clone())?;
        ensure!(
            broadcaster.may_stream().await?,
            "the key may not sign playlists (types 25 and 26) for {account} alone"
        );
        let (view, point) =
            (broadcaster.chain_view(link).await?, broadcaster.resume_point(link).await?);
        let known = view.zip(point).with_context(|| {
            format!("{}/{account}/{link} is not configured; see `alive configure`", self.network)
        })?;
        Ok(Some((known.0, known.1.live_key())))
    }

    /// Who may sign for the accounts of this chain; answers are remembered for a while.
    pub(crate) fn account_keys(&self) -> anyhow::Result<SharedAccountKeys> {
        let config = KeyCacheConfig::default();
        Ok(match &self.kind {
            Kind::Avalon => {
                let keys = AvalonAccountKeys::new(self.avalon_client()?);
                SharedAccountKeys::new(CachedAccountKeys::new(keys, config))
            }
            Kind::Hive(network) => {
                let keys = HiveAccountKeys::new(self.hive_client()?, network.clone());
                SharedAccountKeys::new(CachedAccountKeys::new(keys, config))
            }
        })
    }

    /// Whether it is Avalon, which has no posts with metadata but playlists with json.
    pub(crate) fn is_avalon(&self) -> bool {
        matches!(self.kind, Kind::Avalon)
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

    /// Asks the nodes of a network of Hive's family.
    pub(crate) fn hive_client(&self) -> anyhow::Result<RpcClient> {
        /// A person or a script waits for the answer, and has nobody else to ask.
        const ROUNDS: u32 = 5;
        self.hive()?;
        let config = RpcConfig::new(&self.nodes).context("--hive-node")?.rounds(ROUNDS);
        Ok(RpcClient::new(config)?)
    }

    /// Asks those nodes for others who wait for the answer with limits of their own. Nodes of another chain are left out.
    pub(crate) fn forwarding_client(&self) -> anyhow::Result<RpcClient> {
        /// Below the minute after which clients give up.
        const DEADLINE: Duration = Duration::from_secs(30);
        /// Of one node, so that there is time for another one.
        const TIMEOUT: Duration = Duration::from_secs(10);
        /// A full block fits.
        const MAX_ANSWER: usize = 8 << 20;
        let network = self.hive()?.clone();
        let config = RpcConfig::new(&self.nodes).context("--hive-node")?;
        let config = config.deadline(DEADLINE).timeout(TIMEOUT).max_answer(MAX_ANSWER);
        Ok(RpcClient::new(config)?.of_network(network))
    }

    pub(crate) fn avalon_client(&self) -> anyhow::Result<avalon::RpcClient> {
        let config = avalon::RpcConfig::new(&self.nodes).context("--avalon-node")?;
        Ok(avalon::RpcClient::new(config)?)
    }
}
