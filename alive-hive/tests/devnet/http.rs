//! The development node over HTTP: the shapes of answers and errors, and requests that must not stop it.

use super::support::{at, build, client, config, data, key, node, sign, start};
use alive_hive::{
    BlockAnswer, CustomJson, JsonForm, KeyPrefix, Pack, ReportedBlock, Role, SignedTransaction,
    devnet::{DevnetConfig, DevnetServer, MAX_CUSTOM_OPS, fuzzing, serve},
    extract_blocks,
    rpc::{NodeError, NodeErrorKind},
};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

async fn post(server: &DevnetServer, body: impl Into<reqwest::Body>) -> String {
    let response = reqwest::Client::new().post(server.url()).body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    response.text().await.unwrap()
}

async fn rpc(server: &DevnetServer, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 7 });
    let answer: Value = serde_json::from_str(&post(server, body.to_string()).await).unwrap();
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["jsonrpc"], "2.0");
    answer
}

async fn result(server: &DevnetServer, method: &str, params: Value) -> Value {
    let answer = rpc(server, method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

fn legacy(signed: &SignedTransaction) -> Value {
    signed.to_json(JsonForm::Legacy, &KeyPrefix::STM)
}

#[tokio::test]
async fn what_is_broadcast_is_in_a_block_that_holds_and_is_extracted() {
    let server = node().await;
    let payload = r#"{"op":1,"link":"stream1"}"#;
    let signed = server.with(|node| data(node, payload));
    let id = signed.id(Pack::Legacy).to_string();
    let sent =
        result(&server, "condenser_api.broadcast_transaction", json!([legacy(&signed)])).await;
    assert_eq!(sent, json!({}));
    let status = json!({ "transaction_id": id });
    let found = result(&server, "transaction_status_api.find_transaction", status.clone()).await;
    assert_eq!(found, json!({ "status": "within_mempool" }));
    server.with(|node| node.produce_block(at(3))).unwrap();
    let found = result(&server, "transaction_status_api.find_transaction", status).await;
    assert_eq!(
        (&found["status"], &found["block_num"]),
        (&json!("within_reversible_block"), &json!(2))
    );

    let block = result(&server, "block_api.get_block", json!({ "block_num": 2 })).await;
    assert_eq!(block["block"]["transaction_ids"], json!([id]));
    let condenser = result(&server, "condenser_api.get_block", json!([2])).await;
    assert_eq!(condenser["transactions"][0]["transaction_id"], id.as_str());
    assert_eq!(condenser["transactions"][0]["block_num"], 2);
    for (form, answer) in [(BlockAnswer::Block, &block), (BlockAnswer::Condenser, &condenser)] {
        let blocks = extract_blocks(answer, form, "alive-test").unwrap();
        assert_eq!(blocks[0].ops[0].json, payload);
    }
    for block in [&block["block"], &condenser] {
        let reported = ReportedBlock::from_json(block).unwrap();
        let signer = reported.check_header().unwrap();
        assert_eq!(block["signing_key"], signer.to_text(&KeyPrefix::STM).as_str());
        let transactions = reported.check_transactions(&KeyPrefix::STM).unwrap();
        assert_eq!(transactions, std::slice::from_ref(&signed));
    }
    let header = result(&server, "block_api.get_block_header", json!({ "block_num": 2 })).await;
    assert_eq!(header["header"]["previous"], block["block"]["previous"]);
    assert!(header["header"].get("witness_signature").is_none());
}

#[tokio::test]
async fn both_forms_of_a_transaction_and_the_older_call_are_taken() {
    let server = node().await;
    let signed = |number: u32| server.with(|node| data(node, &number.to_string()));
    let nai = signed(1).to_json(JsonForm::Hf26, &KeyPrefix::STM);
    let params = json!({ "trx": nai, "max_block_age": -1 });
    result(&server, "network_broadcast_api.broadcast_transaction", params).await;
    let old = json!(["condenser_api", "broadcast_transaction", [legacy(&signed(2))]]);
    result(&server, "call", old).await;
    assert_eq!(server.with(|node| node.pending()), 2);
    // The chain of these tests is of 2026-11-21 and the clock of the server is not.
    let params = json!({ "trx": nai, "max_block_age": 1 });
    server.with(|node| node.produce_block(at(3))).unwrap();
    let old = rpc(&server, "network_broadcast_api.broadcast_transaction", params).await;
    let text = old["error"]["message"].as_str().unwrap();
    assert!(text.contains("max_block_age") || text.contains("Duplicate"), "{text}");
}

#[tokio::test]
async fn a_synchronous_broadcast_answers_with_the_block() {
    let server = node().await;
    let signed = server.with(|node| data(node, "{}"));
    let params = json!([legacy(&signed)]);
    let asked = result(&server, "condenser_api.broadcast_transaction_synchronous", params);
    let step = async {
        while server.with(|node| node.pending()) == 0 {
            tokio::task::yield_now().await;
        }
        server.with(|node| node.produce_block(at(3))).unwrap();
    };
    let (mut answer, ()) = tokio::join!(asked, step);
    let id = signed.id(Pack::Legacy);
    assert!(answer.as_object_mut().unwrap().remove("rc_cost").unwrap().is_u64());
    assert_eq!(answer, json!({ "id": id, "block_num": 2, "trx_num": 0, "expired": false }));
}

#[tokio::test]
async fn a_synchronous_broadcast_that_expires_says_so() {
    let server = node().await;
    let signed = server.with(|node| data(node, "{}"));
    let params = json!([legacy(&signed)]);
    let asked = result(&server, "condenser_api.broadcast_transaction_synchronous", params);
    let step = async {
        while server.with(|node| node.pending()) == 0 {
            tokio::task::yield_now().await;
        }
        server.with(|node| node.produce_block(at(100))).unwrap();
    };
    let (answer, ()) = tokio::join!(asked, step);
    assert_eq!(answer["expired"], true);
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_a_client_that_waits() {
    let server = node().await;
    let signed = server.with(|node| data(node, "{}"));
    let url = server.url();
    let params = json!([legacy(&signed)]);
    let asked = tokio::spawn(async move {
        client(&url).call("condenser_api.broadcast_transaction_synchronous", params).await
    });
    while server.with(|node| node.pending()) == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown().await;
    assert!(asked.await.unwrap().is_err());
}

/// The error of a broadcast.
async fn refused(server: &DevnetServer, signed: &SignedTransaction) -> NodeError {
    let params = json!([legacy(signed)]);
    let answer = rpc(server, "condenser_api.broadcast_transaction", params).await;
    let error = &answer["error"];
    let top = &error["data"]["stack"][0];
    assert!(top["format"].is_string() && top["data"].is_object() && top["context"].is_object());
    assert!(error["data"]["name"].is_string() && error["data"]["message"].is_string());
    NodeError::read(error)
}

#[tokio::test]
async fn each_refusal_has_the_code_of_hived_and_our_client_knows_it() {
    let server = node().await;
    let posting = key("alice", Role::Posting);
    let good = server.with(|node| data(node, "{}"));
    result(&server, "condenser_api.broadcast_transaction", json!([legacy(&good)])).await;
    let changed = |change: &dyn Fn(&mut alive_hive::Transaction)| {
        let mut transaction = good.transaction.clone();
        change(&mut transaction);
        sign(transaction, &[&posting])
    };
    let later = good.transaction.expiration.after_secs(1);
    let op = |name: &str| vec![CustomJson::posting(name, "alive-test", "{}").into()];
    let cases = [
        (good.clone(), NodeErrorKind::Duplicate, 10),
        (
            changed(&|one| one.expiration = "2020-01-01T00:00:00".parse().unwrap()),
            NodeErrorKind::Expired,
            4_030_100,
        ),
        (
            changed(&|one| one.expiration = one.expiration.after_secs(90_000)),
            NodeErrorKind::ExpiresTooLate,
            4_030_100,
        ),
        (changed(&|one| one.ref_block_prefix ^= 1), NodeErrorKind::Tapos, 4_030_200),
        (
            sign(changed(&|one| one.expiration = later).transaction, &[&key("bob", Role::Posting)]),
            NodeErrorKind::MissingAuthority,
            3_030_000,
        ),
        (
            sign(changed(&|one| one.expiration = later).transaction, &[&posting, &posting]),
            NodeErrorKind::DuplicateSignature,
            3_060_000,
        ),
        (changed(&|one| one.operations = op("nobody")), NodeErrorKind::UnknownAccount, 13),
        (changed(&|one| one.operations.clear()), NodeErrorKind::Other, 10),
    ];
    for (signed, kind, code) in cases {
        let error = refused(&server, &signed).await;
        assert_eq!((error.code(), error.kind(), error.inner_code()), (-32003, kind, Some(code)));
    }
    let more =
        (1..=MAX_CUSTOM_OPS).map(|number| server.with(|node| data(node, &number.to_string())));
    let mut last = None;
    for signed in more {
        let params = json!([legacy(&signed)]);
        last =
            rpc(&server, "condenser_api.broadcast_transaction", params).await.get("error").cloned();
    }
    assert_eq!(NodeError::read(&last.unwrap()).kind(), NodeErrorKind::CustomOpLimit);
}

#[rstest]
#[case("condenser_api.broadcast_transaction", json!([]), -32002)]
#[case("condenser_api.broadcast_transaction", json!([null]), -32002)]
#[case("condenser_api.broadcast_transaction", json!([{ "operations": [["custom_json", 5]] }]), -32002)]
#[case("network_broadcast_api.broadcast_transaction", json!({}), -32002)]
#[case("condenser_api.get_accounts", json!(["alice"]), -32002)]
#[case("condenser_api.get_accounts", json!([[5]]), -32002)]
#[case("condenser_api.get_block", json!([-1]), -32002)]
#[case("condenser_api.get_block", json!([1.5]), -32002)]
#[case("condenser_api.get_dynamic_global_properties", json!([1]), -32002)]
#[case("block_api.get_block", json!({ "block_num": "1" }), -32002)]
#[case("block_api.get_block", json!(1), -32002)]
#[case("block_api.get_block_range", json!({ "starting_block_num": 1, "count": 1001 }), -32003)]
#[case("block_api.get_block_range", json!({ "starting_block_num": 1, "count": 0 }), -32003)]
#[case("transaction_status_api.find_transaction", json!({ "transaction_id": "x" }), -32002)]
#[case("database_api.verify_signatures", json!({ "hash": "", "signatures": [] }), -32002)]
#[case("condenser_api.get_ticker", json!([]), -32601)]
#[case("no_api.get_block", json!([]), -32601)]
#[tokio::test]
async fn wrong_parameters_and_methods_get_their_code(
    #[case] method: &str,
    #[case] params: Value,
    #[case] code: i64,
) {
    let server = node().await;
    let answer = rpc(&server, method, params).await;
    assert_eq!(answer["error"]["code"], code, "{answer}");
}

#[tokio::test]
async fn blocks_that_are_not_there_have_the_shapes_of_hived() {
    let server = node().await;
    let none = json!({ "block_num": 2 });
    assert_eq!(result(&server, "block_api.get_block", none.clone()).await, json!({}));
    assert_eq!(result(&server, "block_api.get_block_header", none).await, json!({}));
    assert_eq!(result(&server, "condenser_api.get_block", json!([0])).await, Value::Null);
    let range = |start: u32, count: u32| {
        let params = json!({ "starting_block_num": start, "count": count });
        result(&server, "block_api.get_block_range", params)
    };
    assert_eq!(range(2, 10).await, json!({ "blocks": [] }));
    assert_eq!(range(u32::MAX, 1000).await, json!({ "blocks": [] }));
    for number in 1..10 {
        server.with(|node| node.produce_block(at(3 * number))).unwrap();
    }
    let blocks = range(3, 1000).await;
    assert_eq!(blocks["blocks"].as_array().unwrap().len(), 8);
    assert_eq!(blocks["blocks"][0]["block_id"].as_str().unwrap().get(..8), Some("00000003"));
}

#[tokio::test]
async fn the_node_says_who_it_is() {
    let server = node().await;
    let network = DevnetConfig::default().network;
    for api in ["condenser_api", "database_api"] {
        let version = result(&server, &format!("{api}.get_version"), json!([])).await;
        assert_eq!(version["chain_id"], network.chain_id.to_string());
        let constants = result(&server, &format!("{api}.get_config"), json!({})).await;
        assert_eq!(constants["HIVE_CHAIN_ID"], network.chain_id.to_string());
        assert_eq!(constants["HIVE_ADDRESS_PREFIX"], "STM");
    }
    let head = server.with(|node| node.head());
    let legacy = result(&server, "condenser_api.get_dynamic_global_properties", json!([])).await;
    let nai = result(&server, "database_api.get_dynamic_global_properties", json!({})).await;
    for properties in [&legacy, &nai] {
        assert_eq!(properties["head_block_number"], 1);
        assert_eq!(properties["head_block_id"], head.to_string());
        assert_eq!(properties["time"], start().to_string());
        assert_eq!(properties["last_irreversible_block_num"], 1);
    }
    assert_eq!(legacy["total_vesting_fund_hive"], "500000.000 HIVE");
    assert_eq!(nai["total_vesting_fund_hive"]["nai"], "@@000000021");
}

#[tokio::test]
async fn accounts_are_shown_in_both_forms_and_unknown_ones_left_out() {
    let server = node().await;
    let legacy = result(&server, "condenser_api.get_accounts", json!([["alice", "nobody"]])).await;
    assert_eq!(legacy.as_array().unwrap().len(), 1);
    assert_eq!(legacy[0]["balance"], "0.000 HIVE");
    let posting = key("alice", Role::Posting).public_key().to_text(&KeyPrefix::STM);
    assert_eq!(legacy[0]["posting"]["key_auths"], json!([[posting, 1]]));
    let nai = result(&server, "database_api.find_accounts", json!({ "accounts": ["bob"] })).await;
    assert_eq!(nai["accounts"][0]["balance"]["amount"], "0");
}

#[tokio::test]
async fn signatures_are_verified_against_authorities() {
    let server = node().await;
    let digest = [0x77; 32];
    let sign = |role| {
        let key = key("alice", role);
        let algorithm = alive_hive::SignAlgorithm::Hived;
        alive_hive::RecoverableSignature::sign(&digest, &key, algorithm).to_string()
    };
    let verify = |role, required: &str| {
        let hash = "77".repeat(32);
        let params = json!({ "hash": hash, "signatures": [sign(role)], required: ["alice"] });
        result(&server, "database_api.verify_signatures", params)
    };
    assert_eq!(verify(Role::Posting, "required_posting").await, json!({ "valid": true }));
    assert_eq!(verify(Role::Posting, "required_active").await, json!({ "valid": false }));
    assert_eq!(verify(Role::Active, "required_active").await, json!({ "valid": true }));
    assert_eq!(verify(Role::Active, "required_witness").await, json!({ "valid": false }));
}

#[tokio::test]
async fn a_batch_is_answered_in_order() {
    let server = node().await;
    let one = |id: Value| json!({ "jsonrpc": "2.0", "method": "condenser_api.get_version", "params": [], "id": id });
    let batch = json!([one(json!(1)), 5, one(json!("two"))]);
    let answers: Value = serde_json::from_str(&post(&server, batch.to_string()).await).unwrap();
    assert_eq!(answers[0]["id"], 1);
    assert!(answers[1]["error"].is_object());
    assert_eq!(answers[2]["id"], "two");
}

#[tokio::test]
async fn no_request_stops_the_node() {
    let server = node().await;
    let good = r#"{"jsonrpc":"2.0","method":"condenser_api.get_block","params":[1],"id":1}"#;
    for cut in 0..good.len() {
        post(&server, &good[..cut]).await;
    }
    for body in [
        "[".repeat(1 << 20),
        "{\"a\":".repeat(100_000),
        format!("[{}1]", "1,".repeat(900_000)),
        "\u{feff}{}".into(),
        "\"\\ud800\"".into(),
    ] {
        let answer: Value = serde_json::from_str(&post(&server, body).await).unwrap();
        assert!(answer["error"].is_object());
    }
    post(&server, vec![0xff; 1000]).await;
    let huge = vec![b' '; 3 << 20];
    let refused = reqwest::Client::new().post(server.url()).body(huge).send().await;
    // Either the answer arrives or the connection is closed before all was sent.
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 413));
    let get = reqwest::get(server.url()).await.unwrap();
    assert_eq!(get.status(), 405);
    server.with(|node| node.produce_block(at(3))).unwrap();
    assert_eq!(
        result(&server, "condenser_api.get_block", json!([2])).await["witness"],
        "alive.wit-a"
    );
}

#[tokio::test]
async fn the_shell_makes_blocks_by_itself_and_goes_on_where_it_stopped() {
    let folder = TempDir::new().unwrap();
    let config = config().folder(folder.path()).block_interval(std::time::Duration::from_millis(1));
    let server = serve(config.clone()).await.unwrap();
    while server.with(|node| node.head().block_num()) < 5 {
        tokio::task::yield_now().await;
    }
    let before = server.with(|node| node.head().block_num());
    server.shutdown().await;
    let server = serve(config).await.unwrap();
    assert!(server.with(|node| node.head().block_num()) >= before);
    server.shutdown().await;
}

/// Texts that get past the first checks more often than random bytes do.
fn requests() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec![
        "condenser_api.broadcast_transaction",
        "condenser_api.get_accounts",
        "condenser_api.get_block",
        "block_api.get_block_range",
        "database_api.find_accounts",
        "database_api.verify_signatures",
        "network_broadcast_api.broadcast_transaction",
        "transaction_status_api.find_transaction",
        "call",
    ]);
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec!["", "alice", "custom_json", "condenser_api", "0", "\u{0}"])
            .prop_map(Value::from),
        Just(Value::Null),
    ];
    let names = prop::sample::select(vec![
        "trx",
        "block_num",
        "count",
        "starting_block_num",
        "accounts",
        "operations",
        "signatures",
        "hash",
        "expiration",
        "ref_block_num",
        "max_block_age",
        "transaction_id",
    ]);
    let value = leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    });
    (method, value).prop_map(|(method, params)| {
        json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 }).to_string()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(data: Vec<u8>) {
        fuzzing::request(&data);
    }

    #[test]
    fn any_parameters_are_answered(request in requests(), batch: bool) {
        let body = if batch { format!("[{request},{request}]") } else { request };
        fuzzing::request(body.as_bytes());
    }
}

#[test]
fn a_block_of_a_transaction_in_the_newer_pack_names_the_id_of_that_pack() {
    let mut node = super::support::open(config());
    let create = alive_hive::AccountCreate {
        fee: "0.000 HIVE".parse().unwrap(),
        creator: "alice".into(),
        new_account_name: "carol".into(),
        owner: super::support::authority(1, &[], &[]),
        active: super::support::authority(1, &[], &[]),
        posting: super::support::authority(1, &[], &[]),
        memo_key: key("carol", Role::Memo).public_key(),
        json_metadata: String::new(),
    };
    let transaction = build(&node, vec![create.into()]);
    let chain = DevnetConfig::default().network.chain_id;
    let digest = transaction.digest(&chain, Pack::Hf26);
    let algorithm = alive_hive::SignAlgorithm::Dhive;
    let active = key("alice", Role::Active);
    let signature = alive_hive::RecoverableSignature::sign(&digest, &active, algorithm);
    let newer = SignedTransaction { transaction: transaction.clone(), signatures: vec![signature] };
    assert_eq!(node.push_transaction(newer).unwrap(), transaction.id(Pack::Hf26));
    let again = sign(transaction, &[&active]);
    let refused = node.push_transaction(again);
    assert_eq!(refused, Err(alive_hive::devnet::TransactionError::Duplicate));
}
