//! A JSON-RPC client for Hive nodes: [`RpcClient`].

use std::{
    borrow::Cow,
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, timeout};

use crate::network::HiveNetwork;

pub(super) use super::error::RpcError;
use super::{
    answer::read_answer,
    config::{RpcConfig, name_of},
    health::{Backoff, Fleet, NodeHealth},
    identity,
    node_error::NodeErrorKind,
    route::Route,
    wire::{Reply, Wire},
};

/// Longest wait for a node that failed before and may be well again: the call has others to ask.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A method and its parameters.
///
/// ```
/// use alive_hive::rpc::RpcCall;
/// let call = RpcCall::new("block_api.get_block", serde_json::json!({ "block_num": 1 }));
/// assert_eq!(call.method(), "block_api.get_block");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RpcCall {
    method: Cow<'static, str>,
    params: Value,
}

impl RpcCall {
    /// A call of that method, named `api.method`, with an array or object of parameters.
    pub fn new(method: impl Into<Cow<'static, str>>, params: Value) -> Self {
        Self { method: method.into(), params }
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The request with that id.
    pub(super) fn to_json(&self, id: u64) -> Value {
        json!({ "jsonrpc": "2.0", "method": self.method, "params": self.params, "id": id })
    }
}

/// Asks Hive nodes, one after another until one answers.
///
/// A node that cannot be reached, answers something else than JSON-RPC, is busy or lacks the method makes it ask the
/// next one; any other error is the answer. It knows how each node fares: one that fails is left alone for a while
/// that grows, slow ones and those whose head is not where the chain is are asked last, and a pause that a node asks
/// for is kept. When all have failed, they are gone through once more after a moment ([`RpcConfig::rounds`]).
/// Clones share what they learn. Source: `spec/hive.md`, sections 5.5 and 6.
///
/// ```
/// use alive_hive::rpc::{RpcClient, RpcConfig};
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = RpcClient::new(RpcConfig::new(["https://api.hive.blog"])?)?;
/// let version = client.call("condenser_api.get_version", serde_json::json!([])).await?;
/// println!("{}", version["chain_id"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RpcClient {
    pub(super) inner: Arc<Inner>,
    /// The chain that nodes must be of, `None` for any.
    pub(super) network: Option<Arc<HiveNetwork>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) wire: Wire,
    pub(super) config: RpcConfig,
    fleet: Mutex<Fleet>,
    next_id: AtomicU64,
    dice: AtomicU64,
}

impl RpcClient {
    /// A client of these nodes.
    ///
    /// # Errors
    /// [`RpcError::Client`] if the system has no usable TLS set-up.
    pub fn new(config: RpcConfig) -> Result<Self, RpcError> {
        Ok(Self::over(Wire::http(&config)?, config))
    }

    pub(super) fn over(wire: Wire, config: RpcConfig) -> Self {
        let backoff = Backoff { base: config.pause, cap: config.max_pause };
        let inner = Inner {
            wire,
            fleet: Mutex::new(Fleet::new(config.nodes.len(), backoff)),
            config,
            next_id: AtomicU64::new(1),
            // Only spreads pauses, so the seed of the standard library's hash maps is random enough.
            dice: AtomicU64::new(RandomState::new().build_hasher().finish()),
        };
        Self { inner: Arc::new(inner), network: None }
    }

    /// The same client for nodes of one chain: each is asked for its chain id and key prefix before its first use, and
    /// again after it failed. One of another chain is never used.
    ///
    /// ```
    /// use alive_hive::{HiveNetwork, rpc::{RpcClient, RpcConfig}};
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = RpcClient::new(RpcConfig::new(["https://rpc.blurt.world"])?)?;
    /// let client = client.of_network(HiveNetwork::blurt());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn of_network(self, network: HiveNetwork) -> Self {
        Self { network: Some(Arc::new(network)), ..self }
    }

    /// How each node fares, in the order of the settings.
    pub fn health(&self) -> Vec<NodeHealth> {
        let (now, clock) = (Instant::now().into_std(), self.inner.wire.clock());
        let fleet = self.fleet();
        let nodes = self.inner.config.nodes.iter().enumerate();
        nodes.filter_map(|(index, url)| fleet.health(index, &name_of(url), now, clock)).collect()
    }

    /// Calls a method, such as `block_api.get_block`, and gives its result.
    ///
    /// # Errors
    /// [`RpcError`]: the node's own error, or what went wrong with the last node.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.ask(method, params, any_json).await
    }

    /// Calls a method and reads its result with `read`.
    ///
    /// A result that `read` refuses, with [`RpcError::Answer`] say, is a failure of that node like any other: the next
    /// one is asked. So whoever knows what the answer must look like says it here and not after the call.
    ///
    /// ```
    /// use alive_hive::rpc::{RpcClient, RpcError};
    /// # async fn run(client: RpcClient) -> Result<(), RpcError> {
    /// let method = "condenser_api.get_block";
    /// let block = client.ask(method, serde_json::json!([1]), |result| {
    ///     let block: Option<serde_json::Value> =
    ///         serde_json::from_str(result.get()).map_err(|_| RpcError::Answer("a block"))?;
    ///     block.ok_or(RpcError::Answer("a block that exists"))
    /// });
    /// println!("{}", block.await?["timestamp"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RpcError`]: the node's own error, or what went wrong with the last node.
    pub async fn ask<T>(
        &self,
        method: &str,
        params: Value,
        read: impl Fn(&RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let calls = [RpcCall::new(method.to_owned(), params)];
        let asked = self.ask_shapes(&calls, |_, result| read(result), |_| {});
        asked.await.map(|(_, result)| result)
    }

    /// Calls the first of some methods that a node has, for what appbase and condenser APIs both offer: a node without
    /// the first is asked for the second, and so on, before the next node is. `read` is also told which one it was.
    ///
    /// ```
    /// use alive_hive::rpc::{RpcCall, RpcClient, RpcError};
    /// # async fn run(client: RpcClient) -> Result<(), RpcError> {
    /// use serde_json::{Value, json};
    /// let calls = [
    ///     RpcCall::new("database_api.find_accounts", json!({ "accounts": ["alice"] })),
    ///     RpcCall::new("condenser_api.get_accounts", json!([["alice"]])),
    /// ];
    /// let name = client.ask_any(&calls, |shape, result| {
    ///     let result: Value = serde_json::from_str(result.get()).map_err(|_| RpcError::Answer("accounts"))?;
    ///     let accounts = if shape == 0 { &result["accounts"] } else { &result };
    ///     accounts[0]["name"].as_str().map(str::to_owned).ok_or(RpcError::Answer("an account"))
    /// });
    /// println!("{}", name.await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RpcError`]: the node's own error, or what went wrong with the last node.
    pub async fn ask_any<T>(
        &self,
        calls: &[RpcCall],
        read: impl Fn(usize, &RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        self.ask_shapes(calls, read, |_| {}).await.map(|(_, result)| result)
    }

    /// [`RpcClient::ask_any`] that also tells which node answered, and of every failure on the way: a request whose
    /// answer is lost may have been heard.
    pub(super) async fn ask_shapes<T>(
        &self,
        calls: &[RpcCall],
        read: impl Fn(usize, &RawValue) -> Result<T, RpcError>,
        mut failed: impl FnMut(&RpcError),
    ) -> Result<(usize, T), RpcError> {
        let methods: Vec<&str> = calls.iter().map(RpcCall::method).collect();
        let mut route = Route::new(self, &methods);
        while let Some(stop) = route.next().await {
            match self.ask_node(stop.index, stop.limit, calls, &read).await {
                Err(error) if error.is_of_this_node() => {
                    failed(&error);
                    route.fail(stop.index, error);
                }
                answered => return answered.map(|result| (stop.index, result)),
            }
        }
        Err(route.into_error())
    }

    /// Asks all nodes of the chain at once, each waited for at most `limit`, and gives what each said; nodes that asked
    /// for a pause and those of another chain are left out.
    pub(super) async fn ask_each<T>(
        &self,
        calls: &[RpcCall],
        limit: Duration,
        read: impl Fn(usize, &RawValue) -> Result<T, RpcError>,
    ) -> Vec<(usize, Result<T, RpcError>)> {
        let mut answers = self.ask_until(calls, limit, read, |_| None::<()>).await.1;
        answers.sort_by_key(|(index, _)| *index);
        answers.retain(|(_, answer)| !matches!(answer, Err(error) if error.is_of_other_chain()));
        answers
    }

    /// Asks like [`RpcClient::ask_each`], and waits for no further answer once one of them made `enough` give a value.
    /// Without such a value all answers are there, in the order in which they came.
    pub(super) async fn ask_until<T, V>(
        &self,
        calls: &[RpcCall],
        limit: Duration,
        read: impl Fn(usize, &RawValue) -> Result<T, RpcError>,
        mut enough: impl FnMut(&T) -> Option<V>,
    ) -> (Option<V>, Vec<(usize, Result<T, RpcError>)>) {
        let indexes = self.fleet().unheld(Instant::now().into_std());
        let asked = indexes.into_iter().map(async |index| {
            let answered = match self.admit(index, limit).await {
                Ok(()) => self.ask_node(index, limit, calls, &read).await,
                Err(error) => Err(error),
            };
            (index, answered)
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        let mut answers = Vec::new();
        while let Some((index, answered)) = asked.next().await {
            let value = answered.as_ref().ok().and_then(&mut enough);
            answers.push((index, answered));
            if value.is_some() {
                return (value, answers);
            }
        }
        (None, answers)
    }

    /// Asks one node, and notes how it fared.
    pub(super) async fn ask_node<T>(
        &self,
        index: usize,
        limit: Duration,
        calls: &[RpcCall],
        read: &impl Fn(usize, &RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let began = Instant::now();
        let mut answered = Err(RpcError::NoNode);
        for (shape, call) in calls.iter().enumerate() {
            let is_last = shape + 1 == calls.len();
            if !is_last && self.fleet().lacks(index, call.method()) {
                continue;
            }
            answered = self.ask_once(index, limit, call, |result| read(shape, result)).await;
            match answered.as_ref().err().and_then(RpcError::node) {
                Some(error) if error.kind() == NodeErrorKind::UnknownMethod => {
                    self.fleet().lack(index, call.method());
                }
                _ => break,
            }
        }
        self.note(index, began, answered.as_ref().err());
        answered
    }

    async fn ask_once<T>(
        &self,
        index: usize,
        limit: Duration,
        call: &RpcCall,
        read: impl FnOnce(&RawValue) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let id = self.new_ids(1);
        let reply = self.post(index, limit, call.to_json(id).to_string()).await?;
        read(reply.judge(read_answer(&reply.body, id))?)
    }

    /// Posts a body to a node.
    pub(super) async fn post(
        &self,
        index: usize,
        limit: Duration,
        body: String,
    ) -> Result<Reply, RpcError> {
        let inner = &self.inner;
        let url = inner.config.nodes.get(index).ok_or(RpcError::NoNode)?;
        let limit = limit.min(inner.config.timeout);
        let posted = timeout(limit, inner.wire.post(url, body, inner.config.max_answer));
        let reply = posted.await.unwrap_or(Err(RpcError::Timeout { after: limit }))?;
        if let Some(pause) = reply.pause {
            let pause = pause.min(inner.config.max_retry_after);
            self.fleet().hold(index, pause, Instant::now().into_std());
        }
        Ok(reply)
    }

    /// Lets a node be asked only if it is of the right chain.
    pub(super) async fn admit(&self, index: usize, limit: Duration) -> Result<(), RpcError> {
        let Some(network) = &self.network else { return Ok(()) };
        let known = self.fleet().identity(index, network, Instant::now().into_std());
        if let Some(identity) = known {
            return identity::compare(&identity, network, &self.name(index));
        }
        let calls = identity::calls();
        let identity = self.ask_node(index, limit, &calls, &identity::read).await?;
        let compared = identity::compare(&identity, network, &self.name(index));
        if let Err(error) = &compared {
            tracing::warn!(%error, "a node is not used");
        }
        self.fleet().identify(index, identity, Instant::now().into_std());
        compared
    }

    /// Notes how a node fared.
    pub(super) fn note(&self, index: usize, began: Instant, error: Option<&RpcError>) {
        let now = Instant::now();
        match error {
            Some(error) if error.is_failure_of_node() => {
                self.fleet().fail(index, now.into_std(), self.dice());
            }
            _ => self.fleet().succeed(index, now - began),
        }
    }

    /// How long a call may wait for this node.
    pub(super) fn patience(&self, is_probe: bool) -> Duration {
        let limit = self.inner.config.timeout;
        if is_probe { limit.min(PROBE_TIMEOUT) } else { limit }
    }

    /// How many nodes it may ask.
    pub(super) fn node_count(&self) -> usize {
        self.inner.config.nodes.len()
    }

    /// Host and port of a node; user and password stay out.
    pub(super) fn name(&self, index: usize) -> Box<str> {
        self.inner.config.nodes.get(index).map(name_of).unwrap_or_default()
    }

    /// Nothing is left half done under the lock, so a poisoned one is as good as any.
    pub(super) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.inner.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of `count` ids that no other request has.
    pub(super) fn new_ids(&self, count: usize) -> u64 {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.inner.next_id.fetch_add(count, Ordering::Relaxed)
    }

    /// The next number of a splitmix64 sequence.
    pub(super) fn dice(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut dice = self.inner.dice.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        dice ^ (dice >> 31)
    }
}

impl Reply {
    /// Errors come in the body whatever the status says; only what is no JSON-RPC, or says nothing in particular, is
    /// judged by the status. Source: `spec/hive.md`, section 6.
    pub(super) fn judge<T>(&self, answer: Result<T, RpcError>) -> Result<T, RpcError> {
        let status = self.status;
        answer.map_err(|error| {
            let says_nothing = match &error {
                RpcError::Node(error) => {
                    let is_overload = status.is_server_error() || status.as_u16() == 429;
                    is_overload && error.kind() == NodeErrorKind::Other
                }
                _ => !status.is_success(),
            };
            if says_nothing { RpcError::Status(status) } else { error }
        })
    }
}

/// Any result.
pub(super) fn any_json(result: &RawValue) -> Result<Value, RpcError> {
    serde_json::from_str(result.get()).map_err(|_| RpcError::Answer("JSON within bounds"))
}
