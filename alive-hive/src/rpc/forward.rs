//! Calls of Hive's clients, passed on to nodes: [`Forwarder`] (feature `forward`).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, ORIGIN},
    },
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use crate::jsonrpc::{Call, Fault, Incoming, Request};

use super::{
    client::{RpcCall, RpcClient},
    error::RpcError,
    node_error::NodeErrorKind,
};

/// Longest body of a request, in bytes: a transaction of the largest size, 64 KiB in binary, fits. Our own limit.
const MAX_BODY: usize = 256 << 10;
/// How long a body may take. Our own limit.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Most requests of one batch. Our own limit.
const MAX_BATCH: usize = 20;
/// How many requests of one batch are asked at once.
const BATCH_AT_ONCE: usize = 4;
/// How many calls are with nodes at once; others wait. With the longest answer of the client it bounds the memory that
/// answers take.
const CALLS: usize = 32;

/// What is passed on: what clients need to look at accounts and blocks and to broadcast. All else is unknown here, so that
/// nobody makes the nodes work for what has nothing to do with streams. Source: `spec/hive.md`, sections 6 and 6.2.
const METHODS: [&str; 20] = [
    "account_by_key_api.get_key_references",
    "block_api.get_block",
    "block_api.get_block_header",
    "bridge.get_follow_list",
    "condenser_api.broadcast_transaction",
    "condenser_api.get_accounts",
    "condenser_api.get_block",
    "condenser_api.get_config",
    "condenser_api.get_dynamic_global_properties",
    "condenser_api.get_key_references",
    "condenser_api.get_version",
    "database_api.find_accounts",
    "database_api.get_config",
    "database_api.get_dynamic_global_properties",
    "database_api.get_version",
    "database_api.verify_signatures",
    "network_broadcast_api.broadcast_transaction",
    "rc_api.find_rc_accounts",
    "rc_api.get_rc_stats",
    "transaction_status_api.find_transaction",
];

/// Passes calls of unmodified Hive clients on to the nodes of an [`RpcClient`]: one of them has to answer, results and errors
/// come back as it gave them.
///
/// Only the [methods](Self::methods) that streaming needs are passed on, and bodies, batches, times and the number of calls
/// are bounded. It signs nothing and holds no keys. A transaction may be broadcast to several nodes, if the first one gives no
/// answer; that a later one knows it already is then told as the success that it is. Pages of browsers are refused, so that
/// none of them uses the nodes behind the back of whoever looks at it.
///
/// ```
/// use alive_hive::rpc::{Forwarder, RpcClient, RpcConfig};
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = RpcClient::new(RpcConfig::new(["https://api.hive.blog", "https://api.deathwing.me"])?)?;
/// let router = Forwarder::new(client).router();
/// // axum::serve(listener, router), with `listener` on 127.0.0.1:8090.
/// # let _: axum::Router = router;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Forwarder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: RpcClient,
    calls: Semaphore,
}

impl Forwarder {
    /// Passes calls on to these nodes.
    pub fn new(client: RpcClient) -> Self {
        Self { shared: Arc::new(Shared { client, calls: Semaphore::new(CALLS) }) }
    }

    /// What is passed on, as `api.method`.
    pub fn methods() -> impl Iterator<Item = &'static str> {
        METHODS.into_iter()
    }

    /// `POST /`, for a server that bounds connections, heads and times.
    pub fn router(self) -> Router {
        Router::new().route("/", post(handle)).with_state(self)
    }

    async fn answer(&self, request: Request) -> String {
        let outcome = match request.call {
            Ok(call) => self.pass_on(call).await,
            Err(fault) => Err(fault),
        };
        Request::answer(&request.id, &outcome)
    }

    /// The result as the node wrote it.
    async fn pass_on(&self, call: Call) -> Result<String, Fault> {
        let asked = format!("{}.{}", call.api, call.method);
        let Some(method) = METHODS.into_iter().find(|method| *method == asked) else {
            return Err(Fault::unknown_method(&call.api, &call.method));
        };
        let stopped = |_| Fault::unavailable("the server is ending");
        let _permit = self.shared.calls.acquire().await.map_err(stopped)?;
        let calls = [RpcCall::new(method, call.params)];
        let mut was_perhaps_heard = false;
        let asked = self.shared.client.ask_shapes(
            &calls,
            |_, result| Ok(result.get().to_owned()),
            // A node that says why not has not taken it.
            |error| was_perhaps_heard |= error.node().is_none(),
        );
        match asked.await {
            Ok((_, result)) => Ok(result),
            Err(RpcError::Node(error)) => {
                let is_done = error.kind() == NodeErrorKind::Duplicate;
                if is_done && was_perhaps_heard && is_broadcast(method) {
                    return Ok("{}".to_owned());
                }
                Err(Fault::told(error.to_json()))
            }
            Err(error) => {
                tracing::warn!(method, %error, "no node answers a call that is passed on");
                // Which nodes there are is no client's business.
                let why = if error.is_of_other_chain() {
                    "all are of another chain".to_owned()
                } else {
                    error.to_string()
                };
                Err(Fault::unavailable(&format!("no Hive node can be asked now: {why}")))
            }
        }
    }
}

fn is_broadcast(method: &str) -> bool {
    method.ends_with(".broadcast_transaction")
}

async fn handle(State(forwarder): State<Forwarder>, headers: HeaderMap, body: Body) -> Response {
    let whole = |body: String| ([(CONTENT_TYPE, "application/json")], body).into_response();
    if headers.contains_key(ORIGIN) {
        let fault = Err(Fault::refused("pages of browsers are not answered here"));
        return (StatusCode::FORBIDDEN, whole(Request::answer(&Value::Null, &fault)))
            .into_response();
    }
    let body = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    match Incoming::read(&body, MAX_BATCH) {
        Incoming::Single(request) => whole(forwarder.answer(request).await),
        Incoming::Batch(requests) => {
            let answers = stream::iter(requests).map(|request| forwarder.answer(request));
            let answers: Vec<String> = answers.buffered(BATCH_AT_ONCE).collect().await;
            whole(format!("[{}]", answers.join(",")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_are_in_order_and_few_of_them_write() {
        assert!(METHODS.is_sorted());
        let writing: Vec<_> = METHODS.into_iter().filter(|method| is_broadcast(method)).collect();
        assert_eq!(
            writing,
            ["condenser_api.broadcast_transaction", "network_broadcast_api.broadcast_transaction"]
        );
        assert!(METHODS.iter().all(|method| is_broadcast(method) || !method.contains("broadcast")));
    }
}
