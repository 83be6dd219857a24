//! The shell around the chain: what [`alive_devnet`] serves, and how requests are answered ([`serve`]).

use std::time::Duration;

use alive_core::Timestamp;
use alive_devnet::{Chain, Handle, Server, read_body};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
    routing::post,
};
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    api::{Part, Reply},
    config::DevnetConfig,
    engine::{Devnet, DevnetError},
    faulty::faulty,
    jsonrpc::{Fault, Request},
};

/// Longest body of a request, in bytes: room for a batch of the largest transactions. Our own limit.
const MAX_BODY: usize = 2 << 20;

/// A running development node.
pub type DevnetServer = Server<Devnet>;

/// Why the node does not start.
pub type ServeError = alive_devnet::ServeError<DevnetError>;

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
    serve_chain(alive_devnet::open(|since_1970| Devnet::open(config, time(since_1970))).await?)
        .await
}

/// Serves a chain that is open already, such as one whose first block has a time of the caller's choice.
///
/// # Errors
/// [`ServeError`] if the address is taken.
pub async fn serve_chain(chain: Devnet) -> Result<DevnetServer, ServeError> {
    let (address, block_interval) = (chain.config.address, chain.config.block_interval);
    let routes = |node| Router::new().route("/", post(handle)).with_state(node);
    Ok(Server::start(chain, address, block_interval, routes).await?)
}

impl Chain for Devnet {
    type Error = DevnetError;

    fn make_due_block(&mut self, since_1970: Duration) -> Result<bool, DevnetError> {
        Ok(self.tick(time(since_1970))?.is_some())
    }
}

fn time(since_1970: Duration) -> Timestamp {
    Timestamp::EPOCH.after(since_1970)
}

async fn handle(State(node): State<Handle<Devnet>>, body: Body) -> Response {
    let body = match read_body(body, MAX_BODY).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    // Before the request is judged, so that no block is missed between the two.
    let mut heads = node.heads();
    let chain = node.clone();
    let reply = spawn_blocking(move || {
        let mut chain = chain.lock();
        let head = chain.head();
        let reply = chain.respond(&body, time(alive_devnet::since_1970()));
        (reply, chain.head() != head)
    });
    match reply.await {
        Ok((mut reply, is_new_head)) => {
            if is_new_head {
                node.tell_head();
            }
            settle(&mut reply, &node, &mut heads).await;
            let fault = reply.fault.take();
            let body = reply.into_body();
            match fault {
                Some(fault) => faulty(fault, body, node.stop()).await,
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
async fn settle(reply: &mut Reply, node: &Handle<Devnet>, heads: &mut watch::Receiver<()>) {
    for part in &mut reply.parts {
        while let Part::AfterInclusion { id, wait } = part {
            let included = node.lock().inclusion(wait);
            if let Some(result) = included {
                *part = Part::included(id, result);
                break;
            }
            tokio::select! {
                Ok(()) = heads.changed() => {}
                () = node.stop().cancelled() => {
                    *part = Part::stopped(id);
                }
            }
        }
    }
}
