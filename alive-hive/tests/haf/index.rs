//! From the chain to the index: a node over HAF has what a node over an API has.

use alive_core::{
    Timestamp,
    backend::{Cursor, SharedBlockSource, SharedStreamStore, StoredStream, StreamStore as _},
};
use alive_hive::{
    CustomJson, PrivateKey, Role, SignAlgorithm, Tapos, TimePoint, Transaction,
    devnet::{DevAccount, Devnet, DevnetConfig, serve_chain},
    haf::HafBlockSource,
    rpc::{HiveBlockSource, HiveBlockSourceConfig, RpcClient, RpcConfig},
};
use alive_node::{Indexer, SqliteStore};
use serde_json::{Value, json};

use crate::chain::Haf;

const PASSWORD: &str = "a password that everybody knows";
const ACCOUNTS: [&str; 2] = ["alice", "bob"];
const LINKS: [&str; 3] = ["s0", "s1", "s2"];
const CONTENT: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";

/// A chain with streams of two accounts over a few hundred blocks, and what no index takes.
fn devnet(blocks: u64) -> Devnet {
    let account = |name| DevAccount::from_password(name, PASSWORD).unwrap();
    let config =
        DevnetConfig::default().account(account("alice")).account(account("bob")).by_hand();
    let start: Timestamp = "2026-11-21T00:00:00".parse().unwrap();
    let mut chain = Devnet::open(config, start).unwrap();
    for num in 0..blocks {
        let name = ACCOUNTS[usize::try_from(num / 3 % 2).unwrap()];
        let link = LINKS[usize::try_from(num % 3).unwrap()];
        let payloads = match num % 10 {
            0..3 => vec![format!(r#"{{"op":2,"link":"{link}","l2":"gundb"}}"#)],
            9 if num + 20 > blocks => vec![format!(r#"{{"op":1,"link":"{link}"}}"#)],
            8 => vec!["{}".to_owned(), r#"{"op":1,"link":"unknown"}"#.to_owned()],
            7 => vec![],
            _ => {
                vec![format!(r#"{{"op":0,"link":"{link}","seq":{},"src":"{CONTENT}"}}"#, num / 10)]
            }
        };
        let now = start.after(std::time::Duration::from_secs(3 * (num + 1)));
        for payload in payloads {
            let operation = CustomJson::posting(name, "alive-test", &payload);
            let expiration: TimePoint = chain.head_time().after_secs(60);
            let transaction =
                Transaction::new(Tapos::of(&chain.head()), expiration, vec![operation.into()]);
            let key = PrivateKey::from_password(name, Role::Posting, PASSWORD).unwrap();
            let chain_id = DevnetConfig::default().network.chain_id;
            let signed = transaction.sign(&[&key], &chain_id, SignAlgorithm::Dhive);
            chain.push_transaction(signed).unwrap();
        }
        chain.produce_block(now).unwrap();
    }
    chain
}

/// Writes into HAF what a node's API says of its blocks, as hived's serializer would.
async fn copy(client: &RpcClient, haf: &Haf, count: i32) {
    let params = json!({ "starting_block_num": 1, "count": count });
    let answer = client.call("block_api.get_block_range", params).await.unwrap();
    for (num, block) in (1..).zip(answer["blocks"].as_array().unwrap()) {
        let hash = |name: &str| hex::decode(block[name].as_str().unwrap()).unwrap();
        let time: Timestamp = block["timestamp"].as_str().unwrap().parse().unwrap();
        let transactions = block["transactions"].as_array().unwrap().iter();
        let operations: Vec<_> = transactions
            .flat_map(|transaction| transaction["operations"].as_array().unwrap())
            .map(|body: &Value| (18, body.to_string()))
            .collect();
        let secs = f64::from(u32::try_from(time.as_unix_secs()).unwrap());
        haf.push_as(num, &hash("block_id"), &hash("previous"), secs, &operations).await;
    }
    assert_eq!(haf.value("SELECT max(num) FROM hive.blocks_view").await, count.to_string());
}

/// Everything that a store has of the chain.
async fn indexed(source: SharedBlockSource) -> (Option<Cursor>, Vec<Option<StoredStream>>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SharedStreamStore::new(SqliteStore::open(folder.path().join("index")).unwrap());
    let network = DevnetConfig::default().network.name;
    let mut indexer = Indexer::new(source.clone(), store.clone()).page(30);
    let mut steps = 0;
    loop {
        if !indexer.step().await.unwrap().is_behind() {
            break;
        }
        steps += 1;
        if steps % 3 == 0 {
            // A node that was stopped, with whatever it had not yet told its source.
            indexer = Indexer::new(source.clone(), store.clone()).page(30);
        }
    }
    let mut streams = Vec::new();
    for (account, link) in ACCOUNTS.iter().flat_map(|name| LINKS.map(|link| (name, link))) {
        let id = format!("{network}/{account}/{link}").parse().unwrap();
        streams.push(store.stream(&id).await.unwrap());
    }
    (store.cursor(&network).await.unwrap(), streams)
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn an_index_over_haf_is_the_index_over_an_api() {
    // The chain begins with a block of its own.
    const BLOCKS: i32 = 301;
    let server = serve_chain(devnet(300)).await.unwrap();
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let haf = Haf::start().await;
    copy(&client, &haf, BLOCKS).await;
    haf.finalize_to(250).await;
    let network = DevnetConfig::default().network;
    let api = HiveBlockSource::new(client, network.clone(), HiveBlockSourceConfig::default());
    let over_api = indexed(SharedBlockSource::new(api)).await;
    let config = haf.config().overlay(true);
    let over_haf = indexed(SharedBlockSource::new(HafBlockSource::new(network.name, config))).await;
    assert_eq!(over_haf.0, over_api.0);
    for (over_haf, over_api) in over_haf.1.iter().zip(&over_api.1) {
        assert_eq!(over_haf, over_api);
    }
    let (cursor, streams) = over_api;
    assert_eq!(cursor.map(|cursor| cursor.last.num), Some(301));
    assert!(streams.iter().all(Option::is_some));
    assert!(streams.iter().flatten().map(|stream| stream.pushes.len()).sum::<usize>() > 50);
    server.shutdown().await;
}
