//! Broadcaster, block source and account keys against the development node, over HTTP: core's suites, and what they
//! leave open.

use std::cell::Cell;

use super::support::{
    account_keys, at, authority, broadcaster, build, client, config, data, key, node,
    serve_at_start, sign, source, start,
};
use alive_core::{
    AccountName, Link, Op,
    backend::{
        AccountAuthority, Authority, BlockSource, Broadcaster, Next, PublicKeyBytes,
        SharedAccountKeys, SharedBlockSource, SharedBroadcaster,
    },
    testing::{self, ChainDriver},
};
use alive_hive::{
    CustomJson, PrivateKey, Role,
    devnet::{DevAccount, DevnetServer},
    rpc::{HiveBlockSource, HiveBlockSourceConfig},
};

/// Steps the chain of a server, one second a block.
struct Driver<'a> {
    server: &'a DevnetServer,
    secs: Cell<u64>,
}

impl ChainDriver for Driver<'_> {
    fn account(&self) -> AccountName {
        "alice".parse().unwrap()
    }

    async fn produce(&self, payloads: &[String]) {
        self.secs.set(self.secs.get() + 1);
        self.server.with(|node| {
            if !payloads.is_empty() {
                let op = |json: &String| CustomJson::posting("alice", "alive-test", json).into();
                let ops = payloads.iter().map(op).collect();
                node.push_unjudged(sign(build(node, ops), &[&key("alice", Role::Posting)]));
            }
            node.produce_block(at(self.secs.get())).unwrap();
        });
    }

    async fn pop(&self, count: usize) -> bool {
        self.server.with(|node| node.pop_blocks(count.try_into().unwrap())).is_ok()
    }

    async fn finalize(&self) -> bool {
        self.server.with(alive_hive::devnet::Devnet::finalize).unwrap();
        true
    }
}

#[tokio::test]
async fn the_block_source_keeps_its_promises() {
    let server = serve_at_start(config().irreversible_lag(20)).await;
    let driver = Driver { server: &server, secs: Cell::new(0) };
    testing::block_source(&source(&server.url()), &driver).await;
}

#[tokio::test]
async fn the_block_source_keeps_its_promises_in_pages_and_behind_its_handle() {
    let server = serve_at_start(config().irreversible_lag(20)).await;
    let driver = Driver { server: &server, secs: Cell::new(0) };
    let config = HiveBlockSourceConfig::default().page(2);
    let network = alive_hive::devnet::DevnetConfig::default().network;
    let source = HiveBlockSource::new(client(&server.url()), network, config);
    testing::block_source(&SharedBlockSource::new(source), &driver).await;
}

async fn suite_of(mine: &impl Broadcaster, server: &DevnetServer, link: &str) {
    let link: Link = link.parse().unwrap();
    let wait = async || {
        server.with(|node| node.produce_block(start())).unwrap();
        tokio::task::yield_now().await;
    };
    testing::broadcaster(mine, &source(&server.url()), &link, wait).await;
}

#[tokio::test]
async fn the_broadcaster_keeps_its_promises() {
    let server = node().await;
    suite_of(&broadcaster(&server.url(), "alice"), &server, "one").await;
    let shared = SharedBroadcaster::new(broadcaster(&server.url(), "bob"));
    suite_of(&shared, &server, "two").await;
}

#[tokio::test]
async fn the_account_keys_keep_their_promises() {
    let (one, two) = (key("one", Role::Posting), key("two", Role::Posting));
    let posting = authority(3, &[(&one, 1), (&two, 2)], &[("alice", 1), ("bob", 3)]);
    let team = DevAccount::from_password("team", "x").unwrap().posting(posting);
    let server = serve_at_start(config().account(team)).await;
    let bytes = |key: &PrivateKey| PublicKeyBytes::from(key.public_key());
    let single = |key: &PrivateKey| Authority {
        threshold: 1,
        keys: vec![(bytes(key), 1)],
        accounts: Vec::new(),
    };
    let of = |name, password| {
        let key = |role| PrivateKey::from_password(name, role, password).unwrap();
        AccountAuthority {
            active: single(&key(Role::Active)),
            owner: single(&key(Role::Owner)),
            posting: single(&key(Role::Posting)),
        }
    };
    let mut team = of("team", "x");
    team.posting = Authority {
        threshold: 3,
        keys: vec![(bytes(&one), 1), (bytes(&two), 2)],
        accounts: vec![("alice".parse().unwrap(), 1), ("bob".parse().unwrap(), 3)],
    };
    team.posting.keys.sort();
    let alice = of("alice", super::support::PASSWORD);
    let known = [("alice".parse().unwrap(), alice), ("team".parse().unwrap(), team)];
    let missing = "nobody".parse().unwrap();
    let keys = account_keys(&server.url());
    testing::account_keys(&keys, &known, &missing).await;
    testing::account_keys(&SharedAccountKeys::new(keys), &known, &missing).await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_for_good_and_an_unknown_account_too() {
    let server = node().await;
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let network = alive_hive::devnet::DevnetConfig::default().network;
    let wrong = |account: &str| {
        alive_hive::rpc::HiveBroadcaster::new(
            client(&server.url()),
            network.clone(),
            account.parse().unwrap(),
            key("bob", Role::Active),
            alive_hive::rpc::BroadcasterConfig::default(),
        )
    };
    for account in ["alice", "nobody"] {
        let error = wrong(account).broadcast(&op).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_found_out_before_anything_is_signed() {
    let server = serve_at_start(config().network(alive_hive::HiveNetwork::blurt())).await;
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let error = broadcaster(&server.url(), "alice").broadcast(&op).await.unwrap_err();
    assert!(!error.is_transient());
    let error = source(&server.url()).next(None, 1).await.unwrap_err();
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_transaction_that_expires_is_signed_anew_and_published_once() {
    let server = node().await;
    let alice = broadcaster(&server.url(), "alice");
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let mut sent = std::pin::pin!(alice.broadcast(&op));
    // The first transaction reaches the pool; then time jumps over its expiration, twice so that it is irreversible.
    while server.with(|node| node.pending()) == 0 {
        tokio::select! {
            biased;
            done = &mut sent => panic!("in no block yet: {done:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    server.with(|node| {
        for secs in [100, 101] {
            node.produce_block(at(secs)).unwrap();
        }
    });
    let step = async {
        loop {
            server.with(|node| node.produce_block(at(102))).unwrap();
            tokio::task::yield_now().await;
        }
    };
    let receipt = tokio::select! {
        receipt = &mut sent => receipt.unwrap(),
        () = step => unreachable!("it never ends"),
    };
    let source = source(&server.url());
    let (mut last, mut numbers) = (None, Vec::new());
    // The node made as many blocks as it took, maybe more than a page.
    loop {
        let Next::Blocks { blocks, .. } = source.next(last.as_ref(), 1000).await.unwrap() else {
            panic!("forked")
        };
        let Some(newest) = blocks.last() else { break };
        last = Some(newest.at.clone());
        numbers.extend(blocks.iter().filter(|block| !block.ops.is_empty()).map(|b| b.at.num));
    }
    assert_eq!(numbers, [receipt.block]);
}

#[tokio::test]
async fn a_full_block_is_waited_for() {
    let server = node().await;
    server.with(|node| {
        for number in 0..5 {
            node.push_transaction(data(node, &number.to_string())).unwrap();
        }
    });
    let alice = broadcaster(&server.url(), "alice");
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let step = async {
        loop {
            server.with(|node| node.produce_block(start())).unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        receipt = alice.broadcast(&op) => assert!(receipt.unwrap().block > 1),
        () = step => unreachable!("it never ends"),
    }
}
