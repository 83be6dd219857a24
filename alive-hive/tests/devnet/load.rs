//! Attacks on the development node: floods, slow clients, huge bodies. It stays bounded and goes on.

use std::time::Duration;

use alive_hive::{
    CustomJson, JsonForm, KeyPrefix, Role,
    devnet::{DevnetServer, TransactionError, fuzzing},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::support::{
    at, build, call, config, data, key, node, open, result, serve_at_start, sign,
};

const VERSION: &str = "condenser_api.get_version";
/// Long enough for any machine; only a hang is longer.
const PATIENCE: Duration = Duration::from_mins(2);

/// The node still answers and still makes blocks.
async fn is_alive(server: &DevnetServer) {
    let answer = tokio::time::timeout(PATIENCE, result(server, VERSION, json!([])));
    assert!(answer.await.unwrap()["chain_id"].is_string());
    let before = server.with(|node| node.head().block_num());
    server.with(|node| node.produce_block(at(3))).unwrap();
    assert_eq!(server.with(|node| node.head().block_num()), before + 1);
}

#[tokio::test]
async fn connections_that_say_nothing_are_bounded_and_closed() {
    let server = node().await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(server.address()).await.unwrap());
    }
    // More than the node takes at once, and each says only half a request: they are closed in the end, and those who
    // wait behind them are served.
    for stream in &mut idle {
        stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    }
    is_alive(&server).await;
    let mut closed = 0;
    for stream in idle.iter_mut().take(256) {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        closed += usize::from(read.is_err() || answer.is_empty() || answer.starts_with(b"HTTP"));
    }
    assert_eq!(closed, 256);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let server = node().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    is_alive(&server).await;
    let mut answer = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap();
    read.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn bodies_and_heads_that_are_too_large_are_refused() {
    let server = node().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    // The node may close before all is written.
    let written = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(written.is_err() || read.is_err() || answer.starts_with(b"HTTP/1.1 431"));

    // A length that is a lie, and chunks without end.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 1000 && stream.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "64 MiB were taken");
    is_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_is_answered() {
    let server = serve_at_start(config().controllable()).await;
    let client = reqwest::Client::new();
    let url = server.url();
    let mut floods = JoinSet::new();
    for flood in 0..16_u64 {
        let (client, url) = (client.clone(), url.clone());
        floods.spawn(async move {
            for number in 0..50_u64 {
                let body = match (flood + number) % 4 {
                    0 => request(VERSION, &json!([])),
                    1 => "[".repeat(20_000),
                    2 => request("condenser_api.get_accounts", &json!([vec!["alice"; 1000]])),
                    _ => format!("[{}0]", format!("{},", request(VERSION, &json!([]))).repeat(99)),
                };
                let answer = client.post(&url).body(body).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.json::<Value>().await.unwrap();
            }
        });
    }
    while let Some(done) = floods.join_next().await {
        done.unwrap();
    }
    is_alive(&server).await;
}

fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 }).to_string()
}

#[test]
fn the_pool_is_bounded_and_empties_into_blocks() {
    let mut config = config();
    let count = 3000;
    for number in 0..count {
        let name = format!("user{number:04}");
        let key = key("alice", Role::Posting).public_key();
        config = config.account(alive_hive::devnet::DevAccount::with_key(&name, key).unwrap());
    }
    let mut node = open(config);
    let (posting, mut taken) = (key("alice", Role::Posting), 0);
    // Each about 8 KiB of 32 MiB.
    let json = format!("\"{}\"", "x".repeat(8000));
    let mut bytes = 0;
    let refused = loop {
        let op = CustomJson::posting(&format!("user{:04}", taken / 5), "alive-test", json.clone());
        let mut transaction = build(&node, vec![op.into(); 1]);
        transaction.expiration = transaction.expiration.after_secs(taken % 5);
        let signed = sign(transaction, &[&posting]);
        bytes += signed.to_bytes(alive_hive::Pack::Legacy).len();
        match node.push_transaction(signed) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, TransactionError::TooManyPending);
    assert!(bytes <= 33 << 20, "{bytes}");
    let before = node.pending();
    node.produce_block(at(3)).unwrap();
    assert!(node.pending() < before);
}

#[tokio::test]
async fn answers_to_a_batch_are_bounded() {
    let server = node().await;
    server.with(|node| {
        for number in 0..5 {
            let json = format!("\"{}{number}\"", "x".repeat(8000));
            node.push_transaction(data(node, &json)).unwrap();
        }
        node.produce_block(at(3)).unwrap();
    });
    let one = json!({ "jsonrpc": "2.0", "method": "block_api.get_block", "params": { "block_num": 2 }, "id": 1 });
    let body = json!(vec![one; 1000]).to_string();
    let answer = reqwest::Client::new().post(server.url()).body(body).send().await.unwrap();
    let text = answer.text().await.unwrap();
    // 1000 blocks of 40 KiB would be 40 MiB.
    assert!(text.len() < 34 << 20, "{}", text.len());
    let answers: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(answers.len(), 1000);
    assert!(answers[0].get("result").is_some() && answers[999].get("error").is_some());
}

#[tokio::test]
async fn limits_of_lists_hold_for_every_method_that_takes_one() {
    let server = node().await;
    let many = vec!["alice"; 1001];
    for (method, params) in [
        ("condenser_api.get_accounts", json!([many])),
        ("database_api.find_accounts", json!({ "accounts": many })),
        ("condenser_api.lookup_account_names", json!([many])),
        ("rc_api.find_rc_accounts", json!({ "accounts": many })),
        ("account_by_key_api.get_key_references", json!({ "keys": many })),
        ("database_api.find_comments", json!({ "comments": vec![["alice", "p"]; 1001] })),
    ] {
        let answer = call(&server, method, params).await;
        assert_eq!(answer["error"]["code"], -32003, "{method}");
    }
}

/// Calls of every method of the newer interfaces with parameters that are almost right.
fn calls() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec![
        "account_by_key_api.get_key_references",
        "account_history_api.get_ops_in_block",
        "account_history_api.get_transaction",
        "alive_devnet.create_account",
        "alive_devnet.fork",
        "alive_devnet.produce_blocks",
        "alive_devnet.set_irreversible_lag",
        "alive_devnet.set_keys",
        "alive_devnet.set_switches",
        "bridge.get_post",
        "condenser_api.broadcast_transaction",
        "condenser_api.get_content",
        "condenser_api.lookup_accounts",
        "condenser_api.verify_authority",
        "database_api.find_comments",
        "database_api.list_accounts",
        "rc_api.find_rc_accounts",
        "rc_api.get_rc_operation_stats",
    ]);
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![
            "alice",
            "",
            "by_name",
            "lose",
            "return",
            "drip",
            "error",
            "custom_json",
            "\u{0}",
            "STM1111111111111111111111111111111114T1Anm",
            "0000000000000000000000000000000000000000",
        ])
        .prop_map(Value::from),
        Just(Value::Null),
    ];
    let names = prop::sample::select(vec![
        "accounts",
        "answers",
        "author",
        "behind",
        "blocks",
        "block_num",
        "bytes",
        "chain_id",
        "code",
        "comments",
        "fate",
        "fault",
        "forks",
        "frozen_at",
        "head_offset",
        "id",
        "is_stalled",
        "keys",
        "key",
        "kind",
        "limit",
        "lost_broadcasts",
        "message",
        "method",
        "millis",
        "name",
        "operation",
        "operations",
        "order",
        "password",
        "per_mille",
        "permlink",
        "seed",
        "start",
        "status",
        "times",
        "trx",
    ]);
    let value = leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    });
    (method, value).prop_map(|(method, params)| request(method, &params))
}

proptest! {
    #[test]
    fn any_call_of_any_interface_is_answered(calls in prop::collection::vec(calls(), 1..6)) {
        fuzzing::request(format!("[{}]", calls.join(",")).as_bytes());
    }

    #[test]
    fn any_body_of_a_control_call_is_answered(params: Vec<u8>) {
        let text = String::from_utf8_lossy(&params);
        fuzzing::request(request("alive_devnet.set_switches", &json!(text)).as_bytes());
    }
}

#[tokio::test]
async fn a_flood_of_bad_transactions_changes_nothing() {
    let server = node().await;
    let good = server.with(|node| data(node, "{}"));
    for number in 0..200_u32 {
        let mut bad = good.clone();
        bad.transaction.expiration = bad.transaction.expiration.after_secs(number + 1);
        let params = json!([bad.to_json(JsonForm::Legacy, &KeyPrefix::STM)]);
        let refused = call(&server, "condenser_api.broadcast_transaction", params).await;
        assert!(refused["error"].is_object());
    }
    assert_eq!(server.with(|node| node.pending()), 0);
    is_alive(&server).await;
}
