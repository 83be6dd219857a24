//! Each client streams and posts over the development node, and our index shows it; and none gets through with a key
//! that may not.

use std::time::Duration;

use alive_core::{
    Index, Op, Seq,
    backend::{BlockSource, Next},
};
use alive_hive::{
    Beneficiary, Comment, CommentExtension, CommentOptions, CustomJson, HiveNetwork, KeyPrefix,
    Operation, PrivateKey, Role, TransactionId,
    devnet::{DevAccount, DevnetConfig, DevnetServer, TransactionStatus, serve},
    rpc::{HiveBlockSource, HiveBlockSourceConfig, RpcClient, RpcConfig},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::client::Client;

const PASSWORD: &str = "a-password-that-everybody-knows";
const ID: &str = "alive-test";
/// A whole stream. White space and the order of members are unlike what we write: a client must carry the bytes.
const PAYLOADS: [&str; 4] = [
    r#"{"op":2,"link":"stream1","l2":"gundb"}"#,
    r#"{"op":0,"seq":0,"link":"stream1","src":"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG","len":10.033}"#,
    r#"{ "len": 9.5, "src": "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", "link": "stream1", "seq": 1, "op": 0 }"#,
    r#"{"op":1,"link":"stream1"}"#,
];

/// hived of today is built with the usual prefix on test networks, too.
fn testnet_with_stm() -> HiveNetwork {
    let mut network = HiveNetwork::hive_testnet();
    network.key_prefix = KeyPrefix::STM;
    network
}

async fn started(network: HiveNetwork) -> DevnetServer {
    let names = ["alice", "bob", "carol"];
    let config =
        DevnetConfig::default().network(network).block_interval(Duration::from_millis(200));
    let config = names.into_iter().fold(config, |config, name| {
        config.account(DevAccount::from_password(name, PASSWORD).unwrap())
    });
    serve(config).await.unwrap()
}

fn job(server: &DevnetServer, network: &HiveNetwork) -> Value {
    json!({
        "url": server.url(),
        "chainId": network.chain_id,
        "prefix": network.key_prefix,
        "account": "alice",
        "password": PASSWORD,
        "customJsonId": ID,
        "payloads": PAYLOADS,
        "post": {
            "permlink": "stream1",
            "tag": "alive",
            "title": "A stream — ein Strom 流",
            "body": "It is live.\n\n\"Look\" \\ 🎥",
            "beneficiaries": [
                { "account": "bob", "weight": 300 },
                { "account": "carol", "weight": 1000 },
            ],
        },
    })
}

/// What the account must have on the chain in the end, the post's metadata left to the client.
fn operations(job: &Value, metadata: &str) -> Vec<Operation> {
    let data = |payload: &&str| CustomJson::posting("alice", ID, *payload).into();
    let mut operations: Vec<Operation> = PAYLOADS.iter().map(data).collect();
    let post = |name: &str| job["post"][name].as_str().unwrap().to_owned();
    let share = |account: &str, weight| Beneficiary { account: account.into(), weight };
    let comment = Comment {
        parent_author: String::new(),
        parent_permlink: post("tag"),
        author: "alice".into(),
        permlink: post("permlink"),
        title: post("title"),
        body: post("body"),
        json_metadata: metadata.into(),
    };
    let options = CommentOptions {
        author: "alice".into(),
        permlink: post("permlink"),
        max_accepted_payout: "1000.000 HBD".parse().unwrap(),
        percent_hbd: 5000,
        allow_votes: true,
        allow_curation_rewards: false,
        extensions: vec![CommentExtension::Beneficiaries(vec![
            share("bob", 300),
            share("carol", 1000),
        ])],
    };
    operations.extend([comment.into(), options.into()]);
    operations
}

/// What a client read back out of blocks.
fn seen(answer: &Value, prefix: &KeyPrefix) -> Vec<Operation> {
    let transactions = answer["seen"].as_array().unwrap().iter();
    let operations = transactions.flat_map(|one| one["operations"].as_array().unwrap());
    operations.map(|operation| Operation::from_json(operation, prefix).unwrap()).collect()
}

/// Our index over everything that is on the chain, with the block that it ends at.
async fn indexed(server: &DevnetServer, network: HiveNetwork) -> Index {
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let source = HiveBlockSource::new(client, network, HiveBlockSourceConfig::default());
    let (mut after, mut index) = (None, Index::default());
    while let Next::Blocks { blocks, .. } = source.next(after.as_ref(), 1000).await.unwrap() {
        let Some(last) = blocks.last() else { break };
        after = Some(last.at.clone());
        for block in &blocks {
            assert!(block.ops.iter().all(Result::is_ok), "{block:?}");
            index.apply_block(block).unwrap();
        }
    }
    index
}

async fn run(client: Client, work: &'static str, job: Value) -> Value {
    tokio::task::spawn_blocking(move || client.run(work, &job)).await.unwrap()
}

#[rstest]
#[case::beem(Client::Beem, HiveNetwork::hive())]
#[case::beem_on_a_testnet(Client::Beem, HiveNetwork::hive_testnet())]
#[case::dhive(Client::Dhive, HiveNetwork::hive())]
#[case::dhive_on_a_testnet(Client::Dhive, HiveNetwork::hive_testnet())]
#[case::hive_tx(Client::HiveTx, HiveNetwork::hive())]
#[case::wax(Client::Wax, HiveNetwork::hive())]
#[case::wax_on_a_testnet(Client::Wax, testnet_with_stm())]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node.js, npm, python3 and packages"]
async fn a_stream_and_its_post_by_an_unmodified_client_are_in_our_index(
    #[case] client: Client,
    #[case] network: HiveNetwork,
) {
    let server = started(network.clone()).await;
    let job = job(&server, &network);
    let answer = run(client, "stream", job.clone()).await;

    // What the client saw through its own calls.
    let seen = seen(&answer, &network.key_prefix);
    let Some(Operation::Comment(comment)) = seen.iter().rev().nth(1) else { panic!("{seen:?}") };
    let metadata: Value = serde_json::from_str(&comment.json_metadata).unwrap();
    assert_eq!(metadata["tags"], json!(["alive"]));
    assert_eq!(seen, operations(&job, &comment.json_metadata));
    for name in ["author", "permlink", "title", "body", "beneficiaries", "percent_hbd"] {
        let want = match name {
            "author" => json!("alice"),
            "percent_hbd" => json!(5000),
            _ => job["post"][name].clone(),
        };
        assert_eq!(answer["post"][name], want, "{name} of the post");
    }
    assert_eq!(answer["nothing"], true, "a post that is not there");
    if client != Client::HiveTx {
        assert!(answer["mana"].as_f64().unwrap() >= 0.0, "{answer}");
    }
    let key = PrivateKey::from_password("alice", Role::Posting, PASSWORD).unwrap().public_key();
    let key = key.to_text(&network.key_prefix);
    assert_eq!(answer["account"], json!({ "name": "alice", "key": key }));
    assert_eq!(answer["expectedKey"], key);
    assert_eq!(answer["chainId"], network.chain_id.to_string());
    for look in ["sameAccount", "sameOperation", "samePost", "sameWitness", "streamed", "verified"]
    {
        assert_ne!(answer[look], false, "{look}");
    }
    if let Some(status) = answer["status"].as_str() {
        assert!(status.starts_with("within_") && status.ends_with("_block"), "{status}");
    }

    // What the node says of the ids that the client made.
    let ids = answer["ids"].as_array().unwrap();
    assert_eq!(ids.len(), PAYLOADS.len() + 1);
    for (id, seen) in ids.iter().zip(answer["seen"].as_array().unwrap()) {
        assert_eq!(seen["id"], *id);
        let place = seen["block"].as_u64().unwrap();
        let block = match status(&server, id) {
            TransactionStatus::WithinIrreversibleBlock(block)
            | TransactionStatus::WithinReversibleBlock(block) => block,
            other => panic!("{id} is {other:?}"),
        };
        assert_eq!(u64::from(block), place);
        assert!(answer["head"].as_u64().unwrap() >= place);
    }

    // And what our index makes of it.
    let index = indexed(&server, network).await;
    assert_eq!(index.streams().count(), 1);
    let stream = index.stream(&"alice".parse().unwrap(), &"stream1".parse().unwrap()).unwrap();
    let ops = PAYLOADS.map(|payload| Op::from_json(payload).unwrap());
    let pushes = ops.iter().filter_map(|op| match op {
        Op::Push(push) => Some((push.seq, push.src, push.len)),
        _ => None,
    });
    let indexed = stream.pushes().map(|(seq, pushed)| (seq, pushed.src, pushed.len));
    assert_eq!(indexed.collect::<Vec<_>>(), pushes.collect::<Vec<_>>());
    assert_eq!(stream.info().finalized, Some(Seq::ZERO.next().unwrap()));
    assert!(stream.info().ended);
}

fn status(server: &DevnetServer, id: &Value) -> TransactionStatus {
    let id: TransactionId = id.as_str().unwrap().parse().unwrap();
    server.with(|node| node.status(&id, None))
}

#[rstest]
#[case::beem(Client::Beem)]
#[case::dhive(Client::Dhive)]
#[case::hive_tx(Client::HiveTx)]
#[case::wax(Client::Wax)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node.js, npm, python3 and packages"]
async fn a_client_with_the_wrong_key_sees_why_and_nothing_is_on_the_chain(#[case] client: Client) {
    let network = HiveNetwork::hive();
    let server = started(network.clone()).await;
    let mut job = job(&server, &network);
    // A key of the account, but not of the role; and one of another account.
    for (account, role) in [("alice", Role::Memo), ("bob", Role::Posting)] {
        let key = PrivateKey::from_password(account, role, PASSWORD).unwrap();
        job["wif"] = key.to_wif().as_str().into();
        let answer = run(client, "refused", job.clone()).await;
        let message = answer["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(message.contains("Missing Posting Authority alice"), "{message}");
        if client == Client::Beem {
            // It gives nothing but the message.
            assert_eq!(answer["name"], "UnhandledRPCError");
        } else {
            assert_eq!(answer["code"], 3_030_000);
            assert_eq!(answer["name"], "tx_missing_posting_auth");
        }
        assert_eq!(status(&server, &answer["id"]), TransactionStatus::Unknown);
    }
    assert_eq!(server.with(|node| node.pending()), 0);
    assert_eq!(indexed(&server, network).await.streams().count(), 0);
}
