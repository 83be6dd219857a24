//! The shell around the chain: a clock that makes blocks and an HTTP listener ([`serve`], [`DevnetServer`]).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alive_serve::Limits;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{Any, CorsLayer};

use crate::digest::Hash;

use super::{
    answer::{Answer, MAX_BODY},
    config::DevnetConfig,
    engine::{Devnet, DevnetError},
    switches::AnswerFault,
};

/// How long the body of a request may take. Our own limit.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long `/transactWaitConfirm` waits. Source: `spec/avalon.md`, section 9.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(7500);

/// Opens the chain, listens, and makes blocks until [`DevnetServer::shutdown`] or the drop of what it returns.
///
/// Pages of any origin may call it. It keeps running whatever is sent: connections, heads, bodies and the time for each
/// are bounded.
///
/// ```
/// use alive_avalon::devnet::{DevnetConfig, serve};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let server = serve(DevnetConfig::default()).await?;
/// println!("an Avalon node at {}", server.url());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ServeError`] if the chain cannot be opened or the address is taken.
pub async fn serve(config: DevnetConfig) -> Result<DevnetServer, ServeError> {
    let chain = spawn_blocking(move || Devnet::open(config, now_ms())).await;
    serve_chain(chain.map_err(|error| ServeError::Io(io::Error::other(error)))??).await
}

/// Serves a chain that is open already, such as one whose first block has a time of the caller's choice.
///
/// # Errors
/// [`ServeError`] if the address is taken.
pub async fn serve_chain(chain: Devnet) -> Result<DevnetServer, ServeError> {
    let (address, block_interval) = (chain.config.address, chain.config.block_interval);
    let clock = if block_interval.is_some() { Clock::Real } else { Clock::Head };
    let chain = Mutex::new(chain);
    let shared = Arc::new(Shared { chain, clock, heads: watch::Sender::new(()) });
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

/// What time it is for a request.
#[derive(Clone, Copy, Debug)]
enum Clock {
    /// That of the last block: a chain that is stepped by hand lives in its own time.
    Head,
    Real,
}

/// What the tasks share.
#[derive(Debug)]
struct Shared {
    chain: Mutex<Devnet>,
    clock: Clock,
    /// Told whenever the head may have changed.
    heads: watch::Sender<()>,
}

impl Shared {
    /// Nothing in the chain is left half done where a thread could panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Devnet> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
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
    Router::new().fallback(handle).layer(any_origin).with_state(state)
}

async fn handle(State(served): State<Served>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // One byte more than is allowed, so that the answer can say that it is too long.
    let body = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY + 1)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|kind| kind.starts_with("application/json"));
    // Before the request is judged, so that no block is missed between the two.
    let mut heads = served.shared.heads.subscribe();
    let shared = Arc::clone(&served.shared);
    let answered = spawn_blocking(move || {
        let mut chain = shared.lock();
        let path = head.uri.path();
        let fault = chain.switches.fault_of(path);
        if let Some(AnswerFault::Status { status }) = fault {
            return (Answer::page(status, "nginx"), None);
        }
        let now_ms = match shared.clock {
            Clock::Head => chain.head().time_ms(),
            Clock::Real => now_ms(),
        };
        (chain.respond(head.method.as_str(), path, is_json, &body, now_ms), fault)
    });
    match answered.await {
        Ok((mut answer, fault)) => {
            if let Some(hash) = answer.waits_for {
                answer = confirmed(&served, &mut heads, &hash).await;
            }
            faulty(answer, fault).await
        }
        Err(error) => {
            tracing::error!(%error, "a request failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Waits for the block of a transaction. Unlike a real node, which then answers twice and crashes, nothing listens any
/// more once the time is over.
async fn confirmed(served: &Served, heads: &mut watch::Receiver<()>, hash: &Hash) -> Answer {
    let deadline = Instant::now() + CONFIRM_TIMEOUT;
    loop {
        if let Some(answer) = served.shared.lock().confirmed(hash) {
            return answer;
        }
        let changed = tokio::select! {
            changed = timeout_at(deadline, heads.changed()) => matches!(changed, Ok(Ok(()))),
            () = served.stop.cancelled() => false,
        };
        if !changed {
            return Answer::timed_out();
        }
    }
}

async fn faulty(answer: Answer, fault: Option<AnswerFault>) -> Response {
    let Answer { status, content_type, body, .. } = answer;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let broken = || Err::<Vec<u8>, _>(io::Error::other("a fault that was switched on"));
    let body = match fault {
        Some(AnswerFault::Delay { millis }) => {
            sleep(AnswerFault::wait(millis)).await;
            Body::from(body)
        }
        Some(AnswerFault::Garbage) => Body::from(vec![0xff, 0x00, b'{', 0xfe]),
        Some(AnswerFault::Lost) => Body::from_stream(stream::iter([broken()])),
        Some(AnswerFault::Truncated { bytes }) => {
            let mut start = body.into_bytes();
            start.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
            Body::from_stream(stream::iter([Ok(start), broken()]))
        }
        Some(AnswerFault::Status { .. }) | None => Body::from(body),
    };
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}

/// Makes a block per interval.
async fn produce(shared: Arc<Shared>, every: Duration, stop: CancellationToken) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let chain = Arc::clone(&shared);
        match spawn_blocking(move || chain.lock().tick(now_ms())).await {
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
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
