//! The shell around the chain: what [`alive_devnet`] serves, and how requests are answered ([`serve`]).

use std::{io, time::Duration};

use alive_devnet::{Chain, Handle, Server, read_body};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

use crate::digest::Hash;

use super::{
    answer::{Answer, MAX_BODY},
    config::DevnetConfig,
    engine::{Devnet, DevnetError},
    switches::AnswerFault,
};

/// How long `/transactWaitConfirm` waits. Source: `spec/avalon.md`, section 9.
const CONFIRM_TIMEOUT: Duration = Duration::from_millis(7500);

/// A running development node.
pub type DevnetServer = Server<Devnet>;

/// Why the node does not start.
pub type ServeError = alive_devnet::ServeError<DevnetError>;

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
    let open = |since_1970| Devnet::open(config, millis(since_1970));
    serve_chain(alive_devnet::open(open).await?).await
}

/// Serves a chain that is open already, such as one whose first block has a time of the caller's choice.
///
/// # Errors
/// [`ServeError`] if the address is taken.
pub async fn serve_chain(chain: Devnet) -> Result<DevnetServer, ServeError> {
    let (address, block_interval) = (chain.config.address, chain.config.block_interval);
    let clock = if block_interval.is_some() { Clock::Real } else { Clock::Head };
    let routes = |node| Router::new().fallback(handle).with_state(Served { node, clock });
    Ok(Server::start(chain, address, block_interval, routes).await?)
}

impl Chain for Devnet {
    type Error = DevnetError;

    fn make_due_block(&mut self, since_1970: Duration) -> Result<bool, DevnetError> {
        Ok(self.tick(millis(since_1970))?.is_some())
    }
}

fn millis(since_1970: Duration) -> i64 {
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// What time it is for a request.
#[derive(Clone, Copy, Debug)]
enum Clock {
    /// That of the last block: a chain that is stepped by hand lives in its own time.
    Head,
    Real,
}

/// What a request handler holds.
#[derive(Clone, Debug)]
struct Served {
    node: Handle<Devnet>,
    clock: Clock,
}

async fn handle(State(served): State<Served>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // One byte more than is allowed, so that the answer can say that it is too long.
    let body = match read_body(body, MAX_BODY + 1).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|kind| kind.starts_with("application/json"));
    // Before the request is judged, so that no block is missed between the two.
    let mut heads = served.node.heads();
    let Served { node, clock } = served.clone();
    let answered = spawn_blocking(move || {
        let mut chain = node.lock();
        let path = head.uri.path();
        let fault = chain.switches.fault_of(path);
        if let Some(AnswerFault::Status { status }) = fault {
            return (Answer::page(status, "nginx"), None);
        }
        let now_ms = match clock {
            Clock::Head => chain.head().time_ms(),
            Clock::Real => millis(alive_devnet::since_1970()),
        };
        (chain.respond(head.method.as_str(), path, is_json, &body, now_ms), fault)
    });
    match answered.await {
        Ok((mut answer, fault)) => {
            if let Some(hash) = answer.waits_for {
                answer = confirmed(&served.node, &mut heads, &hash).await;
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
async fn confirmed(node: &Handle<Devnet>, heads: &mut watch::Receiver<()>, hash: &Hash) -> Answer {
    let deadline = Instant::now() + CONFIRM_TIMEOUT;
    loop {
        if let Some(answer) = node.lock().confirmed(hash) {
            return answer;
        }
        let changed = tokio::select! {
            changed = timeout_at(deadline, heads.changed()) => matches!(changed, Ok(Ok(()))),
            () = node.stop().cancelled() => false,
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
