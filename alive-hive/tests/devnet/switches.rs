//! The faults that the development node shows on purpose, by its Rust interface and by calls.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use alive_hive::{
    ChainId, JsonForm, KeyPrefix, Pack, Role, SignedTransaction,
    devnet::{AnswerFault, DevnetConfig, DevnetServer, Fate, FaultRule, Forks, Switches},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::{at, call, config, data, error, key, open, result, serve_at_start};

const VERSION: &str = "condenser_api.get_version";

fn controllable() -> DevnetConfig {
    config().controllable().irreversible_lag(10)
}

async fn set(server: &DevnetServer, switches: Value) {
    result(server, "alive_devnet.set_switches", switches).await;
}

fn legacy(signed: &SignedTransaction) -> Value {
    signed.to_json(JsonForm::Legacy, &KeyPrefix::STM)
}

/// What comes back over a bare connection, whatever it is.
async fn raw(server: &DevnetServer, body: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    answer
}

fn request(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": [], "id": 1 }).to_string()
}

#[tokio::test]
async fn without_permission_no_client_controls_the_node() {
    let server = serve_at_start(config()).await;
    for method in ["set_switches", "fork", "create_account", "produce_blocks", "finalize"] {
        let refused = error(&server, &format!("alive_devnet.{method}"), json!({})).await;
        assert_eq!(refused["code"], -32601, "{method}");
    }
    assert_eq!(*server.with(|node| node.switches().clone()).answers, []);
}

#[rstest]
#[case(json!({ "kind": "status", "status": 503 }), "HTTP/1.1 503", "Service Unavailable")]
#[case(json!({ "kind": "status", "status": 429 }), "HTTP/1.1 429", "Too Many Requests")]
#[case(json!({ "kind": "status", "status": 7 }), "HTTP/1.1 500", "Internal Server Error")]
#[case(json!({ "kind": "html", "status": 502 }), "HTTP/1.1 502", "<html>")]
#[case(json!({ "kind": "html", "status": 200 }), "HTTP/1.1 200", "</html>")]
#[case(
    json!({ "kind": "error", "code": -32000, "message": "Unable to acquire database lock" }),
    "HTTP/1.1 200",
    r#"{"code":-32000,"message":"Unable to acquire database lock"}"#
)]
#[tokio::test]
async fn an_answer_is_what_the_switch_says_and_then_right_again(
    #[case] fault: Value,
    #[case] head: &str,
    #[case] words: &str,
) {
    let server = serve_at_start(controllable()).await;
    set(&server, json!({ "answers": [{ "fault": fault, "times": 1 }] })).await;
    let answer = String::from_utf8(raw(&server, &request(VERSION)).await).unwrap();
    assert!(answer.starts_with(head) && answer.contains(words), "{answer}");
    assert!(result(&server, VERSION, json!([])).await["chain_id"].is_string());
}

#[tokio::test]
async fn garbage_lost_and_truncated_answers_are_no_json() {
    let server = serve_at_start(controllable()).await;
    let whole = raw(&server, &request(VERSION)).await;
    for (fault, most) in [
        (json!({ "kind": "garbage" }), usize::MAX),
        (json!({ "kind": "lost" }), 0),
        (json!({ "kind": "truncated", "bytes": 20 }), 20),
    ] {
        set(&server, json!({ "answers": [{ "fault": fault }] })).await;
        let answer = raw(&server, &request(VERSION)).await;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        let body = answer.get(end + 4..).unwrap_or_default();
        assert!(body.len() <= most && answer.len() < whole.len(), "{fault}: {answer:?}");
        assert!(serde_json::from_slice::<Value>(body).is_err(), "{fault}");
        let client = reqwest::Client::new().post(server.url()).body(request(VERSION)).send().await;
        let text = match client {
            Ok(response) => response.json::<Value>().await,
            Err(error) => Err(error),
        };
        assert!(text.is_err(), "{fault}");
    }
    // What is lost has been done all the same.
    let signed = server.with(|node| data(node, "{}"));
    set(&server, json!({ "answers": [{ "fault": { "kind": "lost" }, "times": 1 }] })).await;
    let body = json!({
        "jsonrpc": "2.0", "method": "condenser_api.broadcast_transaction",
        "params": [legacy(&signed)], "id": 1,
    });
    raw(&server, &body.to_string()).await;
    assert_eq!(server.with(|node| node.pending()), 1);
}

#[tokio::test]
async fn slow_answers_come_whole() {
    let server = serve_at_start(controllable()).await;
    let whole = raw(&server, &request(VERSION)).await;
    for (fault, least) in [
        (json!({ "kind": "delay", "millis": 200 }), 200),
        (json!({ "kind": "drip", "bytes": 50, "millis": 50 }), 100),
    ] {
        set(&server, json!({ "answers": [{ "fault": fault }] })).await;
        let start = Instant::now();
        let answer = result(&server, VERSION, json!([])).await;
        // A lower bound only: the wait has been kept, however slow the machine is.
        assert!(start.elapsed() >= Duration::from_millis(least), "{fault}");
        assert!(String::from_utf8_lossy(&whole).contains(answer["chain_id"].as_str().unwrap()));
    }
    // An answer that would come in ten minutes does not keep the node from stopping.
    set(&server, json!({ "answers": [{ "fault": { "kind": "delay", "millis": 600_000 } }] })).await;
    let body = request(VERSION);
    let url = server.url();
    let waiting =
        tokio::spawn(async move { reqwest::Client::new().post(url).body(body).send().await });
    tokio::time::timeout(Duration::from_mins(1), server.shutdown()).await.unwrap();
    drop(waiting.await.unwrap());
}

#[tokio::test]
async fn a_rule_fits_the_methods_it_names_and_never_the_switches_themselves() {
    let server = serve_at_start(controllable()).await;
    let answers = json!([{
        "method": "condenser_api.get_v",
        "fault": { "kind": "error", "code": -1, "message": "no" },
    }, {
        "method": "alive_devnet",
        "fault": { "kind": "error", "code": -2, "message": "no" },
    }]);
    set(&server, json!({ "answers": answers })).await;
    assert_eq!(error(&server, VERSION, json!([])).await["code"], -1);
    result(&server, "condenser_api.get_config", json!([])).await;
    let now = result(&server, "alive_devnet.switches", json!({})).await;
    assert_eq!(now["answers"].as_array().unwrap().len(), 2);
    set(&server, json!({})).await;
    result(&server, VERSION, json!([])).await;
    let many = vec![json!({ "fault": { "kind": "garbage" } }); 65];
    let refused = error(&server, "alive_devnet.set_switches", json!({ "answers": many })).await;
    assert_eq!(refused["code"], -32002);
}

#[tokio::test]
async fn a_node_that_is_behind_or_frozen_shows_an_older_chain() {
    let server = serve_at_start(controllable().irreversible_lag(2)).await;
    let id = server.with(|node| {
        for number in 1..8 {
            node.produce_block(at(3 * number)).unwrap();
        }
        let id = node.push_transaction(data(node, "{}")).unwrap();
        node.produce_block(at(24)).unwrap();
        id
    });
    let method = "condenser_api.get_dynamic_global_properties";
    let real = result(&server, method, json!([])).await;
    assert_eq!(
        (&real["head_block_number"], &real["last_irreversible_block_num"]),
        (&json!(9), &json!(7))
    );
    set(&server, json!({ "behind": 3 })).await;
    let old = result(&server, method, json!([])).await;
    assert_eq!(
        (&old["head_block_number"], &old["last_irreversible_block_num"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(old["time"], at(15).to_string());
    let sixth = result(&server, "block_api.get_block", json!({ "block_num": 6 })).await;
    assert_eq!(sixth["block"]["block_id"], old["head_block_id"]);
    let seventh = result(&server, "block_api.get_block", json!({ "block_num": 7 })).await;
    assert_eq!(seventh, json!({}));
    let range = json!({ "starting_block_num": 5, "count": 10 });
    let range = result(&server, "block_api.get_block_range", range).await;
    assert_eq!(range["blocks"].as_array().unwrap().len(), 2);
    let asked = json!({ "transaction_id": id });
    let status = result(&server, "transaction_status_api.find_transaction", asked.clone()).await;
    assert_eq!(status, json!({ "status": "unknown" }));

    set(&server, json!({ "frozen_at": 4 })).await;
    server.with(|node| node.produce_block(at(27))).unwrap();
    let frozen = result(&server, method, json!([])).await;
    assert_eq!(frozen["head_block_number"], 4);
    set(&server, json!({})).await;
    let status = result(&server, "transaction_status_api.find_transaction", asked).await;
    assert_eq!(status["status"], "within_reversible_block");
}

#[tokio::test]
async fn a_node_lies_about_its_head_and_its_chain() {
    let server = serve_at_start(controllable()).await;
    let chain = ChainId::BLURT;
    set(&server, json!({ "head_offset": 1000, "chain_id": chain })).await;
    for api in ["condenser_api", "database_api"] {
        let method = format!("{api}.get_dynamic_global_properties");
        let properties = result(&server, &method, json!([])).await;
        assert_eq!(properties["head_block_number"], 1001);
        assert_eq!(properties["head_block_id"].as_str().unwrap().get(..8), Some("00000001"));
        let version = result(&server, &format!("{api}.get_version"), json!([])).await;
        assert_eq!(version["chain_id"], chain.to_string());
        let constants = result(&server, &format!("{api}.get_config"), json!([])).await;
        assert_eq!(constants["HIVE_CHAIN_ID"], chain.to_string());
    }
}

#[tokio::test]
async fn a_lost_broadcast_is_accepted_and_in_no_block() {
    let server = serve_at_start(controllable()).await;
    set(&server, json!({ "lost_broadcasts": 1000 })).await;
    let signed = server.with(|node| data(node, "{}"));
    let params = json!([legacy(&signed)]);
    let method = "condenser_api.broadcast_transaction";
    assert_eq!(result(&server, method, params.clone()).await, json!({}));
    server.with(|node| {
        assert_eq!(node.pending(), 0);
        node.produce_block(at(3)).unwrap();
    });
    let asked = json!({ "transaction_id": signed.id(Pack::Legacy) });
    let status = result(&server, "transaction_status_api.find_transaction", asked).await;
    assert_eq!(status["status"], "unknown");
    // The same bytes again are no duplicate; a bad transaction is still refused.
    set(&server, json!({})).await;
    result(&server, method, params.clone()).await;
    assert_eq!(error(&server, method, params).await["data"]["code"], 10);
}

#[tokio::test]
async fn a_fork_by_call_replaces_blocks_and_returns_or_loses_their_transactions() {
    let server = serve_at_start(controllable()).await;
    let (id, before) = server.with(|node| {
        let id = node.push_transaction(data(node, "{}")).unwrap();
        node.produce_block(at(3)).unwrap();
        (id, node.produce_block(at(6)).unwrap())
    });
    let asked = json!({ "transaction_id": id });
    let status = async || {
        let method = "transaction_status_api.find_transaction";
        result(&server, method, asked.clone()).await["status"].clone()
    };
    let forked = result(&server, "alive_devnet.fork", json!({ "blocks": 2 })).await;
    assert_ne!(forked["head_block_id"], before.to_string());
    server.with(|node| {
        assert_eq!((node.head().block_num(), node.head_time().to_string()), (3, at(6).to_string()));
    });
    assert_eq!(status().await, "within_reversible_block");
    result(&server, "alive_devnet.fork", json!({ "blocks": 2, "fate": "lose" })).await;
    assert_eq!(status().await, "unknown");
    assert_eq!(server.with(|node| node.head().block_num()), 3);
    let too_deep = error(&server, "alive_devnet.fork", json!({ "blocks": 3 })).await;
    assert_eq!(too_deep["data"]["code"], 10);
    let finalized = result(&server, "alive_devnet.finalize", json!({})).await;
    assert_eq!(finalized["last_irreversible_block_num"], 3);
    let too_late = error(&server, "alive_devnet.fork", json!({})).await;
    assert!(too_late["message"].as_str().unwrap().contains("irreversible"));
}

#[test]
fn forks_that_come_by_themselves_are_the_same_for_the_same_seed_and_go_no_deeper_than_finality() {
    let heads = |seed| {
        let mut node = open(controllable().irreversible_lag(3));
        let forks = Forks { blocks: 9, fate: Fate::Return, per_mille: 500 };
        node.set_switches(serde_json::from_value(json!({ "seed": seed, "forks": forks })).unwrap());
        let mut ids = Vec::new();
        for number in 1..60 {
            let finalized = node.irreversible();
            node.tick(at(3 * number)).unwrap();
            assert!(node.irreversible() >= finalized);
            ids.push(node.head());
        }
        assert_eq!(node.head().block_num(), 60);
        ids
    };
    assert_eq!(heads(1), heads(1));
    assert_ne!(heads(1), heads(2));
}

#[test]
fn a_stalled_chain_makes_no_block_until_it_is_let_go() {
    let mut node = open(config());
    node.set_switches(serde_json::from_str(r#"{"is_stalled":true}"#).unwrap());
    assert_eq!(node.tick(at(3)).unwrap(), None);
    assert_eq!(node.head().block_num(), 1);
    node.set_switches(Switches::default());
    assert_eq!(node.tick(at(3)).unwrap(), Some(node.head()));
    assert_eq!(node.head().block_num(), 2);
}

#[tokio::test]
async fn accounts_and_keys_are_made_by_call_and_act_at_once() {
    let server = serve_at_start(controllable()).await;
    let carol = json!({ "name": "carol", "password": "secret" });
    result(&server, "alive_devnet.create_account", carol.clone()).await;
    let posting = alive_hive::PrivateKey::from_password("carol", Role::Posting, "secret").unwrap();
    let send = |json: &str, key: &alive_hive::PrivateKey| {
        server.with(|node| {
            let op = alive_hive::CustomJson::posting("carol", "alive-test", json);
            let signed = super::support::sign(super::support::build(node, vec![op.into()]), &[key]);
            node.push_transaction(signed).is_ok()
        })
    };
    assert!(send("1", &posting));
    let again = error(&server, "alive_devnet.create_account", carol).await;
    assert!(again["message"].as_str().unwrap().contains("already exists"), "{again}");
    // Her creation is a transaction like any other: in a block, and gone with it.
    server.with(|node| node.produce_block(at(3))).unwrap();
    let block = result(&server, "block_api.get_block", json!({ "block_num": 2 })).await;
    let op = &block["block"]["transactions"][0]["operations"][0];
    assert_eq!(op["value"]["new_account_name"], "carol");

    let other = key("other", Role::Posting);
    let text = other.public_key().to_text(&KeyPrefix::STM);
    result(&server, "alive_devnet.set_keys", json!({ "name": "carol", "key": text })).await;
    assert!(!send("2", &posting) && send("3", &other));
    for (api, params) in
        [("account_by_key_api", json!({ "keys": [text] })), ("condenser_api", json!([[text]]))]
    {
        let found = result(&server, &format!("{api}.get_key_references"), params).await;
        let lists = found.get("accounts").unwrap_or(&found);
        assert_eq!(*lists, json!([["carol"]]), "{api}");
    }
    result(&server, "alive_devnet.produce_blocks", json!({ "blocks": 3 })).await;
    assert_eq!(server.with(|node| node.head().block_num()), 5);
    let too_many = error(&server, "alive_devnet.produce_blocks", json!({ "blocks": 1001 })).await;
    assert_eq!(too_many["code"], -32002);
    for wrong in [
        json!({ "name": "carol" }),
        json!({ "name": "Carol", "password": "x" }),
        json!({ "name": "dave", "key": "STMnonsense" }),
        json!({ "name": 5, "password": "x" }),
        json!([]),
    ] {
        let refused = call(&server, "alive_devnet.create_account", wrong.clone()).await;
        assert_eq!(refused["error"]["code"], -32002, "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn names_are_listed_from_one_on() {
    let server = serve_at_start(config()).await;
    let names = result(&server, "condenser_api.lookup_accounts", json!(["alice", 2])).await;
    assert_eq!(names, json!(["alice", "alive.wit-a"]));
    let last = result(&server, "condenser_api.lookup_accounts", json!(["b", 10])).await;
    assert_eq!(last, json!(["bob"]));
    let asked = json!([["bob", "nobody"]]);
    let both = result(&server, "condenser_api.lookup_account_names", asked).await;
    assert_eq!((&both[0]["name"], &both[1]), (&json!("bob"), &Value::Null));
    let asked = json!({ "start": "b", "limit": 5, "order": "by_name" });
    let listed = result(&server, "database_api.list_accounts", asked).await;
    assert_eq!(listed["accounts"][0]["name"], "bob");
    for params in [json!(["a"]), json!([1, 2]), json!(["a", "b"])] {
        let wrong = error(&server, "condenser_api.lookup_accounts", params).await;
        assert_eq!(wrong["code"], -32002);
    }
    let wrong = error(&server, "condenser_api.lookup_accounts", json!(["a", 1001])).await;
    assert_eq!(wrong["code"], -32003);
}

#[test]
fn rules_are_made_in_rust_too() {
    let rule = FaultRule {
        fault: AnswerFault::Delay { millis: 5 },
        method: "block_api".into(),
        per_mille: 1000,
        times: Some(3),
    };
    let json = serde_json::to_value(&rule).unwrap();
    assert_eq!(serde_json::from_value::<FaultRule>(json).unwrap(), rule);
}
