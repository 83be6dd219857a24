//! Accounts, transactions and nodes for the tests.

use std::time::Duration;

use alive_avalon::{
    JsonText, PrivateKey, SignedTransaction, Transaction,
    devnet::{DevAccount, Devnet, DevnetConfig, DevnetServer, dev_key, serve_chain},
    rpc::{
        AvalonBlockSource, AvalonBlockSourceConfig, AvalonBroadcaster, BroadcasterConfig,
        RpcClient, RpcConfig,
    },
};
use serde_json::Value;

pub(crate) const START_MS: i64 = 1_795_219_484_711;
pub(crate) const CID: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

pub(crate) fn key(name: &str) -> PrivateKey {
    dev_key(name, "x")
}

/// A chain in memory, stepped by hand, with alice and bob, who have bandwidth for any test.
pub(crate) fn config() -> DevnetConfig {
    let account = |name| {
        let mut account = DevAccount::from_password(name, "x");
        account.account.base_growth = 1e12;
        account
    };
    DevnetConfig::default().account(account("alice")).account(account("bob")).by_hand()
}

pub(crate) fn open(config: DevnetConfig) -> Devnet {
    Devnet::open(config, START_MS).unwrap()
}

/// Makes a block 3 seconds after the last one.
pub(crate) fn step(chain: &mut Devnet) -> u64 {
    let now = chain.head().time_ms() + 3000;
    chain.produce_block(now).unwrap()
}

/// A transaction of the moment, signed by the sender's main key.
pub(crate) fn signed(chain: &Devnet, sender: &str, kind: u8, data: &str) -> SignedTransaction {
    signed_at(chain.head().time_ms(), sender, kind, data)
}

pub(crate) fn signed_at(ts_ms: i64, sender: &str, kind: u8, data: &str) -> SignedTransaction {
    let data = JsonText::of(data).unwrap();
    Transaction::new(kind, &data, sender, ts_ms).unwrap().sign(&[&key(sender)])
}

pub(crate) async fn server(config: DevnetConfig) -> DevnetServer {
    serve_chain(open(config)).await.unwrap()
}

pub(crate) fn client<'a>(urls: impl IntoIterator<Item = &'a str>) -> RpcClient {
    let config = RpcConfig::new(urls).unwrap().timeout(Duration::from_secs(5));
    RpcClient::new(config).unwrap()
}

/// A broadcaster that looks again at once, as tests step the chain themselves.
pub(crate) fn broadcaster(client: RpcClient, account: &str) -> AvalonBroadcaster {
    let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
    AvalonBroadcaster::new(client, account.parse().unwrap(), key(account), config)
}

pub(crate) fn source(url: &str) -> AvalonBlockSource {
    AvalonBlockSource::new(client([url]), AvalonBlockSourceConfig::default())
}

/// Awaits `work` while blocks are made.
pub(crate) async fn with_blocks<T>(servers: &[&DevnetServer], work: impl Future<Output = T>) -> T {
    let steps = async {
        loop {
            for server in servers {
                server.with(step);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = steps => unreachable!("it never ends"),
    }
}

/// How often the chain holds a transaction of this type, in blocks that count.
pub(crate) fn count_of(chain: &Devnet, kind: i64) -> usize {
    let first = chain.head().num() - chain.head().num().min(100_000);
    (first..=chain.head().num())
        .filter_map(|num| chain.block(num))
        .flat_map(alive_avalon::Block::transactions)
        .filter(|parts| parts.kind == Some(kind))
        .count()
}

pub(crate) async fn get(server: &DevnetServer, path: &str) -> (u16, String) {
    let answer = reqwest::get(server.url() + path).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub(crate) async fn get_json(server: &DevnetServer, path: &str) -> Value {
    let (status, body) = get(server, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

pub(crate) async fn post(server: &DevnetServer, path: &str, body: &str) -> (u16, String) {
    let request = reqwest::Client::new().post(server.url() + path);
    let request = request.header("content-type", "application/json").body(body.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
