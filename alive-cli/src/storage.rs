//! Which storage a stream keeps its content in: [`StorageArgs`].

use std::{net::Ipv4Addr, num::NonZeroUsize, path::Path};

use alive_core::{GatewayUrl, StorageKind, backend::SharedStorage};
use alive_node::{ServerLimits, SharedContentReader};
use alive_storage::{
    DiskStorage, GatewayOptions, GatewayStorage, HttpOptions, KuboStorage, SkynetStorage,
    adapters::Quorum,
    serve::{Face, FaceConfig},
};
use anyhow::{Context as _, ensure};
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
    /// Address of the IPFS node's RPC, or of the Skynet portal; several IPFS nodes are parted by commas. Without it the demo's
    /// `kubo` and `gateway` use a node that the program shows of its own store.
    #[arg(
        long,
        env = "ALIVE_STORAGE_URL",
        value_delimiter = ',',
        value_name = "URL",
        required_if_eq("storage", "skynet")
    )]
    storage_url: Vec<GatewayUrl>,
    /// How many of several IPFS nodes must have content before it counts as stored; all, unless told otherwise.
    #[arg(long, env = "ALIVE_STORAGE_NEED", value_name = "K", requires = "storage_url")]
    storage_need: Option<NonZeroUsize>,
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
    /// The program's own store, if content is kept there.
    pub(crate) disk: Option<DiskStorage>,
    /// The nodes, some of which may still be catching up.
    pub(crate) nodes: Option<Quorum<KuboStorage>>,
    own: Option<Own>,
}

/// A node over a store of the program.
#[derive(Debug)]
struct Own {
    cancel: CancellationToken,
    server: JoinHandle<()>,
}

impl Ready {
    /// Ends what was started for it, when slow nodes have what the others have.
    pub(crate) async fn shutdown(self) {
        if let Some(nodes) = self.nodes {
            nodes.settle().await;
        }
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
                content: Some(SharedContentReader::new(store.clone())),
                gateway: None,
                disk: Some(store),
                nodes: None,
                own: None,
            });
        }
        let (urls, own) = match &self.storage_url[..] {
            [] => show(folder).await.map(|(url, own)| (vec![url], Some(own)))?,
            urls => (urls.to_vec(), None),
        };
        let first = urls.first().context("--storage-url")?;
        let gateway = self.storage_gateway.clone().unwrap_or_else(|| first.clone());
        let options = HttpOptions::default();
        let (kind, put, nodes) = match self.storage {
            Place::Skynet => {
                ensure!(urls.len() == 1, "--storage skynet takes one --storage-url");
                let portal = SkynetStorage::new(first.clone(), &options)?;
                (StorageKind::Skynet, SharedStorage::new(portal), None)
            }
            _ => {
                let nodes = self.nodes(&urls, &options)?;
                (StorageKind::Ipfs, SharedStorage::new(nodes.clone()), Some(nodes))
            }
        };
        let get = match self.storage {
            Place::Gateway => {
                let options = GatewayOptions::default().http(options);
                SharedStorage::new(GatewayStorage::of([gateway.clone()], &options)?)
            }
            _ => put.clone(),
        };
        Ok(Ready { kind, put, get, content: None, gateway: Some(gateway), disk: None, nodes, own })
    }
}

impl StorageArgs {
    /// One IPFS node, or several of which enough must have what is stored.
    fn nodes(
        &self,
        urls: &[GatewayUrl],
        options: &HttpOptions,
    ) -> anyhow::Result<Quorum<KuboStorage>> {
        let nodes = urls.iter().map(|url| KuboStorage::new(url.clone(), options));
        let nodes: Vec<_> = nodes.collect::<Result<_, _>>()?;
        let need = self.storage_need.or(NonZeroUsize::new(nodes.len()));
        Quorum::new(nodes, need.context("--storage-url")?).context("--storage-need")
    }

    /// Whether content stays in the program's own store.
    pub(crate) fn is_embedded(&self) -> bool {
        self.storage == Place::Embedded
    }

    /// For a stream that outlives the program: content must stay somewhere.
    pub(crate) fn check_lasting(&self) -> anyhow::Result<()> {
        ensure!(
            self.is_embedded() || !self.storage_url.is_empty(),
            "give --storage-url, the address of the IPFS node"
        );
        Ok(())
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
