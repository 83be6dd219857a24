//! Broadcaster, block source and account keys against the development node, over HTTP: core's suites, and what they
//! leave open.

use std::{cell::Cell, time::Duration};

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
    AccountUpdate2, CustomJson, Operation, PrivateKey, Role,
    devnet::{DevAccount, DevnetConfig, DevnetServer},
    rpc::{
        BroadcasterConfig, Confirm, HiveBlockSource, HiveBlockSourceConfig, HiveBroadcaster,
        KeyRefusal, NodeErrorKind, RpcCall, RpcClient, RpcConfig, RpcError, SubmitError,
    },
};
use serde_json::json;

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
    let network = DevnetConfig::default().network;
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
    let network = DevnetConfig::default().network;
    let wrong = |account: &str| {
        HiveBroadcaster::new(
            client(&server.url()),
            network.clone(),
            account.parse().unwrap(),
            key("bob", Role::Active),
            BroadcasterConfig::default(),
        )
    };
    for account in ["alice", "nobody"] {
        let error = wrong(account).broadcast(&op).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
    }
}

/// A broadcaster of alice with this key.
fn with_key(url: &str, key: PrivateKey, config: BroadcasterConfig) -> HiveBroadcaster {
    let network = DevnetConfig::default().network;
    let config = config.poll_interval(Duration::from_millis(2));
    HiveBroadcaster::new(client(url), network, "alice".parse().unwrap(), key, config)
}

/// Does something while the chain grows.
async fn while_growing<T>(server: &DevnetServer, act: impl Future<Output = T>) -> T {
    let grow = async {
        loop {
            server.with(|node| node.produce_block(start())).unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = act => done,
        () = grow => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn a_key_of_the_wrong_role_is_refused_before_anything_is_sent_with_its_role_named() {
    let server = node().await;
    let post = || vec![CustomJson::posting("alice", "alive-test", "{}").into()];
    let refusal = async |key: PrivateKey, operations: Vec<Operation>| {
        let alice = with_key(&server.url(), key, BroadcasterConfig::default());
        let error = alice.submit(operations).await.unwrap_err();
        assert!(!error.is_transient());
        assert!(matches!(error, SubmitError::Key(_)), "{error:?}");
        error.to_string()
    };
    for role in [Role::Active, Role::Owner, Role::Memo] {
        assert_eq!(
            refusal(key("alice", role), post()).await,
            format!("this is the {role} key of alice; a posting key is needed")
        );
    }
    assert_eq!(
        refusal(key("bob", Role::Posting), post()).await,
        "this is no key of alice; a posting key is needed"
    );
    let mut active = CustomJson::posting("alice", "alive-test", "{}");
    std::mem::swap(&mut active.required_auths, &mut active.required_posting_auths);
    assert_eq!(
        refusal(key("alice", Role::Posting), vec![active.clone().into()]).await,
        "this is the posting key of alice; an active key is needed"
    );
    let stranger = CustomJson::posting("nobody", "alive-test", "{}");
    assert_eq!(
        refusal(key("alice", Role::Posting), vec![stranger.into()]).await,
        "there is no account nobody on this chain"
    );
    assert_eq!(server.with(|node| node.pending()), 0, "nothing was sent");
    // The right key for each.
    let alice = with_key(&server.url(), key("alice", Role::Active), BroadcasterConfig::default());
    while_growing(&server, alice.submit(vec![active.into()])).await.unwrap();
}

#[tokio::test]
async fn a_key_may_sign_for_an_account_that_lets_it_and_not_where_it_needs_others() {
    let posting = authority(1, &[], &[("alice", 1)]);
    let team = DevAccount::from_password("team", "x").unwrap().posting(posting);
    let pair =
        authority(2, &[(&key("alice", Role::Posting), 1), (&key("bob", Role::Posting), 1)], &[]);
    let both = DevAccount::from_password("both", "x").unwrap().posting(pair);
    let server = serve_at_start(config().account(team).account(both)).await;
    let alice = with_key(&server.url(), key("alice", Role::Posting), BroadcasterConfig::default());
    let post = |name: &str| vec![CustomJson::posting(name, "alive-test", "{}").into()];
    while_growing(&server, alice.submit(post("team"))).await.unwrap();
    let error = alice.submit(post("both")).await.unwrap_err();
    assert_eq!(error.to_string(), "this posting key of both has weight 1 of the 2 that are needed");
}

#[tokio::test]
async fn a_key_that_is_taken_away_is_refused_and_found_out_the_next_time() {
    let server = node().await;
    let alice = with_key(&server.url(), key("alice", Role::Posting), BroadcasterConfig::default());
    let post = |json: &str| vec![CustomJson::posting("alice", "alive-test", json).into()];
    while_growing(&server, alice.submit(post("1"))).await.unwrap();
    let update = AccountUpdate2 {
        account: "alice".into(),
        owner: None,
        active: None,
        posting: Some(alive_hive::Authority::single(key("new", Role::Posting).public_key())),
        memo_key: None,
        json_metadata: String::new(),
        posting_json_metadata: String::new(),
        extensions: alive_hive::NoExtensions,
    };
    server.with(|node| {
        let update = sign(build(node, vec![update.into()]), &[&key("alice", Role::Active)]);
        node.push_transaction(update).unwrap();
        node.produce_block(start()).unwrap();
    });
    let error = alice.submit(post("2")).await.unwrap_err();
    let SubmitError::Rpc(RpcError::Node(refused)) = &error else { panic!("{error:?}") };
    assert_eq!(refused.kind(), NodeErrorKind::MissingAuthority);
    assert_eq!((refused.account(), refused.role()), (Some("alice"), Some(Role::Posting)));
    let error = alice.submit(post("3")).await.unwrap_err();
    assert!(matches!(error, SubmitError::Key(KeyRefusal::NoRole { .. })), "{error:?}");
}

#[tokio::test]
async fn irreversible_is_waited_for_where_it_is_asked_for() {
    let server = serve_at_start(config().irreversible_lag(7)).await;
    let strict = BroadcasterConfig::default().confirm(Confirm::Irreversible);
    for (config, confirmed) in
        [(BroadcasterConfig::default(), Confirm::Seen), (strict, Confirm::Irreversible)]
    {
        let alice = with_key(&server.url(), key("alice", Role::Posting), config);
        let post = vec![CustomJson::posting("alice", "alive-test", "{}").into()];
        let receipt = while_growing(&server, alice.submit(post)).await.unwrap();
        // The chain grows as fast as it is looked at, so what is seen may be there for good already.
        assert!(confirmed == Confirm::Seen || receipt.confirmed == confirmed);
        assert_eq!(receipt.block_id.block_num(), receipt.block_num);
        let last = server.with(|node| node.irreversible());
        assert!(confirmed == Confirm::Seen || last >= receipt.block_num, "{last} {receipt:?}");
    }
}

#[tokio::test]
async fn a_batch_of_calls_is_answered_by_the_node_itself() {
    let server = node().await;
    let calls = [
        RpcCall::new("condenser_api.get_version", json!([])),
        RpcCall::new("no_api.no_method", json!([])),
        RpcCall::new("block_api.get_block_header", json!({ "block_num": 1 })),
    ];
    let answers = client(&server.url()).call_batch(&calls).await;
    assert!(answers[0].as_ref().unwrap()["chain_id"].is_string());
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.node().unwrap().kind(), NodeErrorKind::UnknownMethod);
    assert!(answers[2].as_ref().unwrap()["header"].is_object());
}

#[tokio::test]
async fn a_node_of_another_chain_is_found_out_before_anything_is_signed() {
    let server = serve_at_start(config().network(alive_hive::HiveNetwork::blurt())).await;
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let error = broadcaster(&server.url(), "alice").broadcast(&op).await.unwrap_err();
    assert!(!error.is_transient());
    let error = source(&server.url()).next(None, 1).await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(server.with(|node| node.pending()), 0);
    // Both chains are named, and with another node beside it, it is passed over.
    let good = node().await;
    let post = || vec![CustomJson::posting("alice", "alive-test", "{}").into()];
    let alice = with_key(&server.url(), key("alice", Role::Posting), BroadcasterConfig::default());
    let error = alice.submit(post()).await.unwrap_err().to_string();
    assert!(error.contains("beeab0de") && error.contains("cd8d90f2"), "{error}");
    let both = RpcClient::new(RpcConfig::new([server.url(), good.url()]).unwrap()).unwrap();
    let network = DevnetConfig::default().network;
    let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
    let posting = key("alice", Role::Posting);
    let alice = HiveBroadcaster::new(both, network, "alice".parse().unwrap(), posting, config);
    while_growing(&good, alice.submit(post())).await.unwrap();
    assert_eq!(server.with(|node| node.pending()), 0);
}

#[tokio::test]
async fn a_node_with_another_key_prefix_is_not_used() {
    let mut network = DevnetConfig::default().network;
    network.key_prefix = alive_hive::KeyPrefix::TST;
    let server = serve_at_start(config().network(network)).await;
    let alice = with_key(&server.url(), key("alice", Role::Posting), BroadcasterConfig::default());
    let post = vec![CustomJson::posting("alice", "alive-test", "{}").into()];
    let error = alice.submit(post).await.unwrap_err();
    let SubmitError::Rpc(RpcError::OtherPrefix { .. }) = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("\"TST\"") && error.to_string().contains("STM"), "{error}");
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
