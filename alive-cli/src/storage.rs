//! Which storage a demo keeps its content in: [`StorageArgs`].

use std::{net::Ipv4Addr, path::Path};

use alive_core::{GatewayUrl, StorageKind, backend::SharedStorage};
use alive_node::{ServerLimits, SharedContentReader};
use alive_storage::{
    DiskStorage, GatewayOptions, GatewayStorage, HttpOptions, KuboStorage, SkynetStorage,
    serve::{Face, FaceConfig},
};
use anyhow::Context as _;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The storages that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    /// The block store of the program itself.
    Embedded,
    /// Put into an IPFS node, read from an HTTP gateway, every byte checked.
    Gateway,
    /// An IPFS node, by Kubo's RPC.
    Kubo,
    /// A Skynet portal.
    Skynet,
}

/// Which storage.
#[derive(Debug, clap::Args)]
pub(crate) struct StorageArgs {
    /// Where content is kept.
    #[arg(long, env = "ALIVE_STORAGE", value_enum, default_value_t = Place::Embedded)]
    storage: Place,
    /// Address of the IPFS node's RPC, or of the Skynet portal; without it `kubo` and `gateway` use a node that the program
    /// shows of its own store.
    #[arg(
        long,
        env = "ALIVE_STORAGE_URL",
        value_name = "URL",
        required_if_eq("storage", "skynet")
    )]
    storage_url: Option<GatewayUrl>,
    /// Gateway of that node, for players and for `gateway`; by default at the same address.
    #[arg(long, env = "ALIVE_STORAGE_GATEWAY", value_name = "URL", requires = "storage_url")]
    storage_gateway: Option<GatewayUrl>,
}

/// A storage that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    /// What a stream of it is configured for.
    pub(crate) kind: StorageKind,
    /// Where the streamer puts content.
    pub(crate) put: SharedStorage,
    /// Where a node gets chunks from.
    pub(crate) get: SharedStorage,
    /// What a node serves itself.
    pub(crate) content: Option<SharedContentReader>,
    /// Where players fetch segments, if not from the node.
    pub(crate) gateway: Option<GatewayUrl>,
    own: Option<Own>,
}

/// A node over a store of the program.
#[derive(Debug)]
struct Own {
    cancel: CancellationToken,
    server: JoinHandle<()>,
}

impl Ready {
    /// Ends what was started for it.
    pub(crate) async fn shutdown(self) {
        if let Some(Own { cancel, server }) = self.own {
            cancel.cancel();
            // It ends by itself once it is told to, whatever it was doing.
            let _ = server.await;
        }
    }
}

impl StorageArgs {
    /// Opens it; a store of the program's own is made in `folder`.
    pub(crate) async fn open(&self, folder: &Path) -> anyhow::Result<Ready> {
        if self.storage == Place::Embedded {
            let store = DiskStorage::open_dir(folder)?;
            let storage = SharedStorage::new(store.clone());
            return Ok(Ready {
                kind: StorageKind::Ipfs,
                put: storage.clone(),
                get: storage,
                content: Some(SharedContentReader::new(store)),
                gateway: None,
                own: None,
            });
        }
        let (url, own) = match &self.storage_url {
            Some(url) => (url.clone(), None),
            None => show(folder).await.map(|(url, own)| (url, Some(own)))?,
        };
        let gateway = self.storage_gateway.clone().unwrap_or_else(|| url.clone());
        let options = HttpOptions::default();
        let kind = match self.storage {
            Place::Skynet => StorageKind::Skynet,
            _ => StorageKind::Ipfs,
        };
        let put = match kind {
            StorageKind::Skynet => SharedStorage::new(SkynetStorage::new(url, &options)?),
            _ => SharedStorage::new(KuboStorage::new(url, &options)?),
        };
        let get = match self.storage {
            Place::Gateway => {
                let options = GatewayOptions::default().http(options);
                SharedStorage::new(GatewayStorage::of([gateway.clone()], &options)?)
            }
            _ => put.clone(),
        };
        Ok(Ready { kind, put, get, content: None, gateway: Some(gateway), own })
    }
}

/// Shows a store as an IPFS node, on a port of its own.
async fn show(folder: &Path) -> anyhow::Result<(GatewayUrl, Own)> {
    let router = Face::new(DiskStorage::open_dir(folder)?, FaceConfig::default()).router();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a free port")?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    let cancel = CancellationToken::new();
    let serving = alive_node::serve(listener, router, ServerLimits::default(), cancel.clone());
    Ok((url, Own { cancel, server: tokio::spawn(serving) }))
}
