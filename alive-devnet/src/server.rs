//! The shell around a chain: an HTTP listener and a clock that makes blocks ([`Server`]).

use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alive_serve::Limits;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

/// A chain without clock and sockets.
pub trait Chain: Send + 'static {
    /// Why no block can be made.
    type Error: fmt::Display + Send + 'static;

    /// Makes a block if one is due, and says whether it did. It gets the time since the beginning of 1970.
    ///
    /// # Errors
    /// No block can be made, for instance because it cannot be stored.
    fn make_due_block(&mut self, since_1970: Duration) -> Result<bool, Self::Error>;
}

/// Opens a chain on a thread that may wait for a disk. It gets the time since the beginning of 1970.
///
/// # Errors
/// [`ServeError::Chain`] with what `open` says.
pub async fn open<C, E>(
    open: impl FnOnce(Duration) -> Result<C, E> + Send + 'static,
) -> Result<C, ServeError<E>>
where
    C: Send + 'static,
    E: Error + Send + 'static,
{
    let opened = spawn_blocking(|| open(since_1970())).await;
    opened.map_err(|error| ServeError::Io(io::Error::other(error)))?.map_err(ServeError::Chain)
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError<E: Error + 'static> {
    /// The chain cannot be opened.
    #[error(transparent)]
    Chain(E),
    /// The address cannot be listened on.
    #[error("the development node cannot listen")]
    Io(#[from] io::Error),
}

/// A running development node. It ends when it is dropped.
#[derive(Debug)]
pub struct Server<C> {
    address: SocketAddr,
    handle: Handle<C>,
    tasks: JoinSet<()>,
}

impl<C: Chain> Server<C> {
    /// Listens, and makes a block at once and then one per interval, if there is one.
    ///
    /// Pages of any origin may call it. It keeps running whatever is sent: connections, heads and the time for each are
    /// bounded; the routes bound bodies with [`read_body`](crate::read_body).
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(
        chain: C,
        address: SocketAddr,
        block_interval: Option<Duration>,
        routes: impl FnOnce(Handle<C>) -> Router,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let handle = Handle(Arc::new(Shared {
            chain: Mutex::new(chain),
            heads: watch::Sender::new(()),
            stop: CancellationToken::new(),
        }));
        let any_origin = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
        let mut tasks = JoinSet::new();
        tasks.spawn(alive_serve::serve(
            alive_serve::tcp(listener),
            routes(handle.clone()).layer(any_origin),
            limits(),
            alive_serve::anyone,
            handle.stop().clone(),
        ));
        if let Some(interval) = block_interval {
            tasks.spawn(produce(handle.clone(), interval));
        }
        Ok(Self { address, handle, tasks })
    }
}

impl<C> Server<C> {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something with the chain, such as making a block by hand. Clients wait meanwhile.
    pub fn with<R>(&self, act: impl FnOnce(&mut C) -> R) -> R {
        let done = act(&mut self.handle.lock());
        self.handle.tell_head();
        done
    }

    /// Stops listening and making blocks, and waits until both have ended.
    pub async fn shutdown(mut self) {
        self.handle.stop().cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl<C> Drop for Server<C> {
    fn drop(&mut self) {
        self.handle.stop().cancel();
    }
}

/// The chain of a running node, for the handlers of requests.
#[derive(Debug)]
pub struct Handle<C>(Arc<Shared<C>>);

#[derive(Debug)]
struct Shared<C> {
    chain: Mutex<C>,
    /// Told whenever the head may have changed.
    heads: watch::Sender<()>,
    stop: CancellationToken,
}

impl<C> Handle<C> {
    /// The chain, for one at a time. A chain must leave nothing half done where it could panic: then a poisoned lock is as
    /// good as any.
    pub fn lock(&self) -> MutexGuard<'_, C> {
        self.0.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is told whenever the head may have changed.
    pub fn heads(&self) -> watch::Receiver<()> {
        self.0.heads.subscribe()
    }

    /// Tells those who wait that the head may have changed.
    pub fn tell_head(&self) {
        self.0.heads.send_replace(());
    }

    /// Cancelled when the node stops: nobody waits any longer then.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What clients may take; all bodies together take half a gigabyte at the most.
fn limits() -> Limits {
    Limits::default().head_timeout(Duration::from_secs(10)).grace(Duration::from_secs(2))
}

/// Makes a block at once, since clients call a node with an old head dead, and then one per interval.
async fn produce<C: Chain>(node: Handle<C>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while node.stop().run_until_cancelled(ticks.tick()).await.is_some() {
        let chain = node.clone();
        match spawn_blocking(move || chain.lock().make_due_block(since_1970())).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => node.tell_head(),
            Ok(Err(error)) => tracing::error!(%error, "no block could be made"),
            Err(error) => tracing::error!(%error, "making a block failed"),
        }
    }
}

/// The time since the beginning of 1970 by the clock of the machine, which only the shell reads.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
