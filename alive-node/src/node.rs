//! All parts together: [`Node`] starts them, [`RunningNode`] stops them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use alive_core::{
    Network,
    backend::{Cursor, SharedBlockSource, SharedStreamStore, StoreError, StreamStore as _},
};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

#[cfg(feature = "postgres")]
use crate::leader;
use crate::{
    api::Api,
    config::{Backends, NodeConfig},
    event::NodeEvent,
    indexer::Indexer,
    metrics::Metrics,
    pages::Pages,
    playlists::Playlists,
    presence::Presence,
    resolver::Resolver,
    server,
    visitors::Visitors,
};

/// An indexer and its HTTP server.
///
/// ```
/// use alive_core::{Network, backend::*, memory::*};
/// use alive_node::{Backends, Node, NodeConfig};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let backends = Backends::new(
///     SharedStreamStore::new(MemoryStreamStore::default()),
///     SharedStorage::new(MemoryStorage::default()),
/// )
/// .source(SharedBlockSource::new(MemoryChain::new(Network::hive())));
/// let config = NodeConfig::default().address(([127, 0, 0, 1], 0).into());
/// let node = Node::start(config, backends).await?;
/// assert!(node.address().ip().is_loopback());
/// node.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Node;

/// A node at work. It stops when this is dropped; [`shutdown`](Self::shutdown) waits until it has.
#[derive(Debug)]
pub struct RunningNode {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    network: Network,
    store: SharedStreamStore,
    events: broadcast::Sender<NodeEvent>,
    resolver: Resolver,
    playlists: Playlists,
    tasks: TaskTracker,
    cancel: DropGuard,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen on its address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Node {
    /// How many events wait for a slow listener.
    const EVENTS: usize = 4096;

    /// Starts to listen, and all parts. It needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(config: NodeConfig, backends: Backends) -> Result<RunningNode, StartError> {
        let (listener, address) = listen(config.address).await?;
        let metrics_listener = match config.metrics_address {
            Some(address) => Some(listen(address).await?),
            None => None,
        };

        let metrics = counts(&backends);
        let (events, _) = broadcast::channel(Self::EVENTS);
        let resolver = Resolver::new(backends.storage, backends.chunks, config.resolver);
        let content = backends.content.clone().filter(|_| config.presence.enabled);
        let presence = content.map(|content| Presence::new(content, config.presence));
        let pages = Pages::new(
            backends.store.clone(),
            config.playlists.list.gateway.as_ref(),
            config.pages,
        );
        #[cfg(feature = "chat")]
        let pages = pages.chat(backends.chat.clone());
        let playlists = Playlists::new(
            backends.store.clone(),
            resolver.clone(),
            backends.live,
            presence,
            config.playlists,
        );
        let cancel = CancellationToken::new();
        let running = RunningNode {
            address,
            metrics_address: metrics_listener.as_ref().map(|(_, address)| *address),
            network: config.network.clone(),
            store: backends.store.clone(),
            events: events.clone(),
            resolver: resolver.clone(),
            playlists: playlists.clone(),
            tasks: TaskTracker::new(),
            cancel: cancel.clone().drop_guard(),
        };
        running.keep_up("playlists", {
            let (playlists, resolver, events) =
                (playlists.clone(), resolver.clone(), events.clone());
            let cancel = cancel.clone();
            move || playlists.clone().run(events.subscribe(), resolver.settled(), cancel.clone())
        });
        running.keep_up("resolver", {
            let (resolver, cancel) = (resolver.clone(), cancel.clone());
            move || resolver.clone().run(cancel.clone())
        });
        Indexing {
            sources: backends.sources,
            page: config.page,
            memory: config.index_memory,
            #[cfg(feature = "postgres")]
            cluster: backends.cluster,
            cancel: cancel.clone(),
        }
        .begin(&running);
        let api = Api::new(
            config.network,
            backends.store,
            backends.accounts,
            playlists,
            backends.content,
            events,
        )
        .pages(pages);
        #[cfg(feature = "stake")]
        let api = api.desk(backends.renditions);
        #[cfg(feature = "chat")]
        let api = api.rooms(backends.chat.clone());
        #[cfg(feature = "chat")]
        if let Some(chat) = backends.chat {
            let cancel = cancel.clone();
            running.tasks.spawn(async move {
                cancel.cancelled().await;
                chat.stop().await;
            });
        }
        let visitors = Arc::new(Visitors::new(&config.limits));
        let api = api.counted(metrics.clone(), Arc::clone(&visitors));
        running.tasks.spawn(metrics.clone().follow(running.events(), cancel.clone()));
        let (express, router, metrics_router) = api.routers(config.limits.request_timeout);
        if let Some((listener, _)) = metrics_listener {
            let (limits, cancel) = (config.limits.clone(), cancel.clone());
            running.tasks.spawn(server::serve(listener, metrics_router, limits, cancel));
        }
        let limits = config.limits;
        running.tasks.spawn(server::serve_visitors(
            listener,
            (Some(express), router),
            limits,
            visitors,
            metrics,
            cancel,
        ));
        running.tasks.close();
        tracing::info!(%address, "node started");
        Ok(running)
    }
}

/// The counts of the node and of what it was given.
#[cfg(feature = "chat")]
fn counts(backends: &Backends) -> Metrics {
    Metrics::with(|registry| {
        if let Some(chat) = &backends.chat {
            chat.counts().register(registry);
        }
    })
}

/// The counts of the node.
#[cfg(not(feature = "chat"))]
fn counts(_: &Backends) -> Metrics {
    Metrics::new()
}

/// What is indexed, and how.
struct Indexing {
    sources: Vec<SharedBlockSource>,
    page: usize,
    memory: usize,
    #[cfg(feature = "postgres")]
    cluster: Option<crate::store::PostgresStore>,
    cancel: CancellationToken,
}

impl Indexing {
    fn begin(self, running: &RunningNode) {
        let Self { page, memory, cancel, .. } = self;
        for source in self.sources {
            let (store, resolver, events, cancel) = (
                running.store.clone(),
                running.resolver.clone(),
                running.events.clone(),
                cancel.clone(),
            );
            #[cfg(feature = "postgres")]
            let network = alive_core::backend::BlockSource::network(&source).clone();
            let indexer = move || {
                Indexer::new(source.clone(), store.clone())
                    .page(page)
                    .memory(memory)
                    .resolver(resolver.clone())
            };
            #[cfg(feature = "postgres")]
            if let Some(cluster) = self.cluster.clone() {
                running.keep_up("indexer", move || {
                    leader::index(cluster.clone(), network.clone(), indexer.clone(), cancel.clone())
                });
                continue;
            }
            running
                .keep_up("indexer", move || indexer().events(events.clone()).run(cancel.clone()));
        }
        // Of what is indexed, here or by another process, all nodes hear in the same way.
        #[cfg(feature = "postgres")]
        if let Some(cluster) = self.cluster {
            let events = running.events.clone();
            running.keep_up("follower", move || {
                let (cluster, events, cancel) = (cluster.clone(), events.clone(), cancel.clone());
                async move { cluster.follow(events, cancel).await }
            });
        }
    }
}

impl RunningNode {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where else it answers for its metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<NodeEvent> {
        self.events.subscribe()
    }

    /// How far the index of the node's network has come; `None` before its first block.
    ///
    /// # Errors
    /// The store failed.
    pub async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.store.cursor(&self.network).await
    }

    /// What fetches its chunks.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The lists that it keeps ready.
    pub fn playlists(&self) -> &Playlists {
        &self.playlists
    }

    /// Stops it: no new connections, the answers under way within their time, then everything else.
    pub async fn shutdown(self) {
        drop(self.cancel);
        self.tasks.wait().await;
        tracing::info!(address = %self.address, "node stopped");
    }

    /// Runs a part until it returns. If it panics, which only a backend's fault can cause, it is started again.
    fn keep_up<F>(&self, name: &'static str, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        /// The wait before a part that panicked starts again.
        const WAIT: Duration = Duration::from_secs(1);
        // Begun here and not in the task, so that it misses no event of the parts begun later.
        let mut part = start();
        self.tasks.spawn(async move {
            while let Err(error) = tokio::spawn(part).await {
                tracing::error!(
                    name, %error, monotonic_counter.panics = 1_u64, "a part of the node panicked"
                );
                tokio::time::sleep(WAIT).await;
                part = start();
            }
        });
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
