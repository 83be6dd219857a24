//! Accounts, transactions and nodes for the tests of devnet and rpc.

use std::time::Duration;

use alive_core::{Timestamp, backend::BlockSource as _};
use alive_hive::{
    Authority, Comment, CustomJson, Operation, PrivateKey, Role, SignAlgorithm, SignedTransaction,
    Tapos, Transaction,
    devnet::{DevAccount, Devnet, DevnetConfig, DevnetServer, serve_chain},
    rpc::{
        BroadcasterConfig, HiveAccountKeys, HiveBlockSource, HiveBlockSourceConfig,
        HiveBroadcaster, RpcClient, RpcConfig,
    },
};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "a password that everybody knows";

pub(crate) fn start() -> Timestamp {
    "2026-11-21T00:00:00".parse().unwrap()
}

/// `secs` seconds after the start.
pub(crate) fn at(secs: u64) -> Timestamp {
    start().after(Duration::from_secs(secs))
}

pub(crate) fn key(account: &str, role: Role) -> PrivateKey {
    PrivateKey::from_password(account, role, PASSWORD).unwrap()
}

/// A chain in memory, stepped by hand, with alice and bob.
pub(crate) fn config() -> DevnetConfig {
    let account = |name| DevAccount::from_password(name, PASSWORD).unwrap();
    DevnetConfig::default().account(account("alice")).account(account("bob")).by_hand()
}

pub(crate) fn open(config: DevnetConfig) -> Devnet {
    Devnet::open(config, start()).unwrap()
}

/// A transaction that leans on the head block and expires a minute after it.
pub(crate) fn build(node: &Devnet, operations: Vec<Operation>) -> Transaction {
    let expiration = node.head_time().after_secs(60);
    Transaction::new(Tapos::of(&node.head()), expiration, operations)
}

pub(crate) fn sign(transaction: Transaction, keys: &[&PrivateKey]) -> SignedTransaction {
    let chain = DevnetConfig::default().network.chain_id;
    transaction.sign(keys, &chain, SignAlgorithm::Dhive)
}

/// Data of alice, signed by her posting key.
pub(crate) fn data(node: &Devnet, json: &str) -> SignedTransaction {
    let op = CustomJson::posting("alice", "alive-test", json);
    sign(build(node, vec![op.into()]), &[&key("alice", Role::Posting)])
}

/// An authority that these keys and accounts meet.
pub(crate) fn authority(
    threshold: u32,
    keys: &[(&PrivateKey, u16)],
    accounts: &[(&str, u16)],
) -> Authority {
    Authority {
        weight_threshold: threshold,
        account_auths: accounts.iter().map(|(name, weight)| ((*name).into(), *weight)).collect(),
        key_auths: keys.iter().map(|(key, weight)| (key.public_key(), *weight)).collect(),
    }
}

pub(crate) async fn node() -> DevnetServer {
    serve_at_start(config()).await
}

/// A node whose chain begins at the start, not now.
pub(crate) async fn serve_at_start(config: DevnetConfig) -> DevnetServer {
    serve_chain(open(config)).await.unwrap()
}

pub(crate) fn client(url: &str) -> RpcClient {
    RpcClient::new(RpcConfig::new([url]).unwrap()).unwrap()
}

/// A broadcaster that looks again at once, as tests step the chain themselves.
pub(crate) fn broadcaster(url: &str, account: &str) -> HiveBroadcaster {
    let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
    let network = DevnetConfig::default().network;
    let key = key(account, Role::Posting);
    HiveBroadcaster::new(client(url), network, account.parse().unwrap(), key, config)
}

pub(crate) fn source(url: &str) -> HiveBlockSource {
    let source = HiveBlockSource::new(
        client(url),
        DevnetConfig::default().network,
        HiveBlockSourceConfig::default(),
    );
    assert_eq!(source.network().as_str(), "hive");
    source
}

pub(crate) fn account_keys(url: &str) -> HiveAccountKeys {
    HiveAccountKeys::new(client(url), DevnetConfig::default().network)
}

/// The whole answer of a node to a call, its id checked.
pub(crate) async fn call(server: &DevnetServer, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 7 });
    let request = reqwest::Client::new().post(server.url()).body(body.to_string());
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["id"], &answer["jsonrpc"]), (&json!(7), &json!("2.0")));
    answer
}

/// The result of a call that succeeds.
pub(crate) async fn result(server: &DevnetServer, method: &str, params: Value) -> Value {
    let answer = call(server, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// The error of a call that fails.
pub(crate) async fn error(server: &DevnetServer, method: &str, params: Value) -> Value {
    let answer = call(server, method, params).await;
    assert!(answer.get("result").is_none(), "{method}: {answer}");
    answer["error"].clone()
}

/// A post of an author, or an answer where a parent is given.
pub(crate) fn comment(author: &str, permlink: &str, parent: Option<(&str, &str)>) -> Comment {
    let (parent_author, parent_permlink) = parent.unwrap_or(("", "alive"));
    Comment {
        parent_author: parent_author.into(),
        parent_permlink: parent_permlink.into(),
        author: author.into(),
        permlink: permlink.into(),
        title: format!("Title of {permlink}"),
        body: format!("Body of {permlink}"),
        json_metadata: r#"{"app":"alive"}"#.into(),
    }
}

/// An operation of an account, signed by its key of that role.
pub(crate) fn signed_by(
    node: &Devnet,
    account: &str,
    role: Role,
    operation: impl Into<Operation>,
) -> SignedTransaction {
    sign(build(node, vec![operation.into()]), &[&key(account, role)])
}
