//! What a node answers besides its own API, so that programs made for the original's services work with it unchanged: Kubo's
//! RPC, AliveDB's REST API, Hive's API.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use alive_core::{Network, StreamId};
use alive_db::rest::{self, Listener, RestConfig, TokenConfig};
use alive_hive::rpc::{Forwarder, RpcClient};
use alive_node::ServerLimits;
use alive_storage::{
    DiskStorage,
    serve::{Face, FaceConfig},
};
use anyhow::{Context as _, ensure};
use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::Chain,
    db_api::{self, ApiChains, ReadyApi},
    live::LivePeer,
    output,
};

/// Where else a node answers. Each face has an address of its own, because its clients put their own paths behind it.
#[derive(Debug, clap::Args)]
pub(crate) struct FaceArgs {
    /// Where to answer Kubo's RPC over the node's own block store, so that streamers can upload to it: only the machine
    /// itself, since whoever reaches it can write. `alive store serve` has one with a token.
    #[arg(long, env = "ALIVE_IPFS_LISTEN", value_name = "ADDRESS", conflicts_with = "content")]
    ipfs_listen: Option<SocketAddr>,
    /// Where to answer AliveDB's REST API over the node's own peer, so that streamers can push segments to it before the
    /// chain has them. Programs of this machine make and log in its user, who pushes; others read.
    #[arg(long, env = "ALIVE_ALIVEDB_LISTEN", value_name = "ADDRESS")]
    alivedb_listen: Option<SocketAddr>,
    /// Who is logged in there at the start, by alias or public key. The password comes from `ALIVE_ALIVEDB_PASSWORD`, from
    /// its file, or is asked for.
    #[arg(
        long,
        env = "ALIVE_ALIVEDB_USER",
        value_name = "USER",
        allow_hyphen_values = true,
        requires = "alivedb_listen"
    )]
    alivedb_user: Option<String>,
    /// File that holds the user's password.
    #[arg(
        long,
        env = "ALIVE_ALIVEDB_PASSWORD_FILE",
        value_name = "FILE",
        requires = "alivedb_user"
    )]
    alivedb_password_file: Option<PathBuf>,
    /// Take segments there only with an access token, which accounts of Hive get for a signature over a recent block, from
    /// any machine.
    #[arg(long, env = "ALIVE_ALIVEDB_TOKENS", requires = "alivedb_listen")]
    alivedb_tokens: bool,
    /// Chat to follow for that user: good requests for access are approved, and `/fetchParticipantsKeys` tells who takes
    /// part.
    #[arg(
        long,
        env = "ALIVE_CHAT_LISTENER",
        value_name = "NETWORK/AUTHOR/LINK",
        requires = "alivedb_listen"
    )]
    chat_listener: Option<StreamId>,
    /// Where to pass calls of Hive's clients on to the nodes of --hive-node, those that streaming needs: only the machine
    /// itself, since they are asked in this node's name.
    #[arg(long, env = "ALIVE_HIVE_LISTEN", value_name = "ADDRESS")]
    hive_listen: Option<SocketAddr>,
}

/// What the faces stand on.
pub(crate) struct Behind<'n> {
    pub(crate) chains: &'n [Chain],
    /// The node's folder.
    pub(crate) data: &'n Path,
    pub(crate) live: Option<&'n LivePeer>,
    /// The node's own block store, if it has one.
    pub(crate) store: Option<DiskStorage>,
}

/// Faces at work.
#[derive(Default)]
pub(crate) struct Faces {
    api: Option<ReadyApi>,
    servers: Vec<JoinHandle<()>>,
}

impl FaceArgs {
    /// Whether the node needs a peer of AliveDB for them.
    pub(crate) fn need_live(&self) -> bool {
        self.alivedb_listen.is_some()
    }

    /// Starts those that were asked for; they end with `cancel`.
    pub(crate) async fn start(
        &self,
        behind: Behind<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Faces> {
        let mut faces = Faces::default();
        if let Some(address) = self.ipfs_listen {
            let store = behind.store.clone();
            let store = store.context(
                "--ipfs-listen is for a node with a block store of its own, without --content",
            )?;
            let router = Face::new(store, FaceConfig::default()).router();
            faces.serve_here("ipfs", "--ipfs-listen", address, router, cancel).await?;
        }
        if let Some(address) = self.hive_listen {
            let router = Forwarder::new(hive_client(behind.chains)?).router();
            faces.serve_here("hive", "--hive-listen", address, router, cancel).await?;
        }
        if let Some(address) = self.alivedb_listen {
            let ready = self.alivedb(&behind, cancel).await?;
            let listener = bind(address).await?;
            output::line(format_args!("AliveDB on http://{}", listener.local_addr()?));
            let (router, cancel) = (ready.api.router(), cancel.clone());
            let server = rest::serve(Listener::Tcp(listener), router, cancel);
            faces.servers.push(tokio::spawn(server));
            faces.api = Some(ready);
        }
        Ok(faces)
    }

    async fn alivedb(
        &self,
        behind: &Behind<'_>,
        cancel: &CancellationToken,
    ) -> anyhow::Result<ReadyApi> {
        let live = behind.live.context("AliveDB's REST API needs a peer")?;
        let tokens = if self.alivedb_tokens {
            let hive = behind.chains.iter().find(|chain| chain.network() == &Network::hive());
            let hive = hive.context("--alivedb-tokens is for accounts of Hive: give --network")?;
            let (client, network) = (hive.hive_client()?, hive.hive()?.clone());
            let config = TokenConfig::default();
            Some(db_api::token_issuer(behind.data, client, network, config)?)
        } else {
            None
        };
        let mut chains = ApiChains::default();
        if let Some(chat) = &self.chat_listener {
            for chain in behind.chains {
                chains.keys.push(chain.account_keys()?);
                if chain.network() == &chat.network && chat.network == Network::hive() {
                    chains.blacklists = Some(chain.hive_client()?);
                }
            }
        }
        let (config, chat) = (RestConfig::default(), self.chat_listener.clone());
        let ready = ReadyApi::new(live.peer(), config, tokens, chat, chains, cancel)?;
        if let Some(who) = &self.alivedb_user {
            let file = self.alivedb_password_file.as_deref();
            let password = db_api::password(file, "ALIVE_ALIVEDB_PASSWORD")?;
            db_api::log_in(&ready.api, who, &password).await?;
        }
        Ok(ready)
    }
}

impl Faces {
    /// Serves the machine itself.
    async fn serve_here(
        &mut self,
        name: &str,
        flag: &str,
        address: SocketAddr,
        router: Router,
        cancel: &CancellationToken,
    ) -> anyhow::Result<()> {
        ensure!(address.ip().is_loopback(), "{flag} {address} is no loopback address");
        let listener = bind(address).await?;
        output::line(format_args!("{name} on http://{}", listener.local_addr()?));
        let server = alive_node::serve(listener, router, ServerLimits::default(), cancel.clone());
        self.servers.push(tokio::spawn(server));
        Ok(())
    }

    /// Waits until all have ended, after the cancellation.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        for server in self.servers {
            server.await?;
        }
        match self.api {
            Some(api) => api.ended().await,
            None => Ok(()),
        }
    }
}

/// The nodes that calls are passed on to: those of the first network of Hive's family, each only if it is of that chain.
fn hive_client(chains: &[Chain]) -> anyhow::Result<RpcClient> {
    let hive = chains.iter().find(|chain| !chain.is_avalon());
    let hive = hive.context("--hive-listen needs a network of Hive's family: give --network")?;
    hive.forwarding_client()
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}
