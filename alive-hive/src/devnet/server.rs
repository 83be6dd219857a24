//! The shell around the chain: a clock that makes blocks and an HTTP listener ([`serve`], [`DevnetServer`]).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alive_core::Timestamp;
use alive_serve::Limits;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

use super::{
    api::{Part, Reply},
    config::DevnetConfig,
    engine::{Devnet, DevnetError},
    faulty::faulty,
    jsonrpc::{Fault, Request},
};

/// Longest body of a request, in bytes: room for a batch of the largest transactions. Our own limit.
const MAX_BODY: usize = 2 << 20;
/// How long the body of a request may take. Our own limit.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Opens the chain, listens, and makes blocks until [`DevnetServer::shutdown`] or the drop of what it returns.
///
/// It answers `POST /` with any content type, and pages of any origin may call it. It keeps running whatever is sent:
/// connections, heads, bodies, batches and the time for each are bounded.
///
/// ```
/// use alive_hive::devnet::{DevnetConfig, serve};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let server = serve(DevnetConfig::default()).await?;
/// println!("a Hive node at {}", server.url());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ServeError`] if the chain cannot be opened or the address is taken.
pub async fn serve(config: DevnetConfig) -> Result<DevnetServer, ServeError> {
    let chain = spawn_blocking(move || Devnet::open(config, now())).await;
    serve_chain(chain.map_err(|error| ServeError::Io(io::Error::other(error)))??).await
}

/// Serves a chain that is open already, such as one whose first block has a time of the caller's choice.
///
/// # Errors
/// [`ServeError`] if the address is taken.
pub async fn serve_chain(chain: Devnet) -> Result<DevnetServer, ServeError> {
    let (address, block_interval) = (chain.config.address, chain.config.block_interval);
    let shared = Arc::new(Shared { node: Mutex::new(chain), heads: watch::Sender::new(()) });
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let state = Served { shared: Arc::clone(&shared), stop: stop.clone() };
    tasks.spawn(alive_serve::serve(
        alive_serve::tcp(listener),
        router(state),
        limits(),
        alive_serve::anyone,
        stop.clone(),
    ));
    if let Some(interval) = block_interval {
        tasks.spawn(produce(Arc::clone(&shared), interval, stop.clone()));
    }
    Ok(DevnetServer { address, shared, stop, tasks })
}

/// A running development node.
#[derive(Debug)]
pub struct DevnetServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl DevnetServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something with the chain, such as making a block by hand. Clients wait meanwhile.
    pub fn with<R>(&self, act: impl FnOnce(&mut Devnet) -> R) -> R {
        let done = act(&mut self.shared.lock());
        self.shared.heads.send_replace(());
        done
    }

    /// Stops listening and making blocks, and waits until both have ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for DevnetServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Why the node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The chain cannot be opened.
    #[error(transparent)]
    Chain(#[from] DevnetError),
    /// The address cannot be listened on.
    #[error("the development node cannot listen")]
    Io(#[from] io::Error),
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    node: Mutex<Devnet>,
    /// Told whenever the head may have changed.
    heads: watch::Sender<()>,
}

impl Shared {
    /// Nothing in the chain is left half done where a thread could panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Devnet> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request handler holds.
#[derive(Clone, Debug)]
struct Served {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What clients may take; all bodies together take half a gigabyte at the most.
fn limits() -> Limits {
    Limits::default().head_timeout(Duration::from_secs(10)).grace(Duration::from_secs(2))
}

fn router(state: Served) -> Router {
    let any_origin = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    Router::new().route("/", post(handle)).layer(any_origin).with_state(state)
}

async fn handle(State(served): State<Served>, body: Body) -> Response {
    let body = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // Before the request is judged, so that no block is missed between the two.
    let mut heads = served.shared.heads.subscribe();
    let shared = Arc::clone(&served.shared);
    let reply = spawn_blocking(move || {
        let mut node = shared.lock();
        let head = node.head();
        let reply = node.respond(&body, now());
        (reply, node.head() != head)
    });
    match reply.await {
        Ok((mut reply, is_new_head)) => {
            if is_new_head {
                served.shared.heads.send_replace(());
            }
            settle(&mut reply, &served, &mut heads).await;
            let fault = reply.fault.take();
            let body = reply.into_body();
            match fault {
                Some(fault) => faulty(fault, body, &served.stop).await,
                None => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            }
        }
        Err(error) => {
            tracing::error!(%error, "a request failed");
            let fault = Err(Fault::server("internal error"));
            let body = Request::answer(&serde_json::Value::Null, &fault);
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

/// Waits for the transactions that the client waits for.
async fn settle(reply: &mut Reply, served: &Served, heads: &mut watch::Receiver<()>) {
    for part in &mut reply.parts {
        while let Part::AfterInclusion { id, wait } = part {
            let included = served.shared.lock().inclusion(wait);
            if let Some(result) = included {
                *part = Part::included(id, result);
                break;
            }
            tokio::select! {
                Ok(()) = heads.changed() => {}
                () = served.stop.cancelled() => {
                    *part = Part::stopped(id);
                }
            }
        }
    }
}

/// Makes a block at once, since clients call a node with an old head dead, and then one per interval.
async fn produce(shared: Arc<Shared>, every: Duration, stop: CancellationToken) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let chain = Arc::clone(&shared);
        match spawn_blocking(move || chain.lock().tick(now())).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(_))) => {
                shared.heads.send_replace(());
            }
            Ok(Err(error)) => tracing::error!(%error, "no block could be made"),
            Err(error) => tracing::error!(%error, "making a block failed"),
        }
    }
}

/// The clock, read in the shell only.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.after(since)
}
