//! Nodes that fail, lie or lack a method, in front of a good one.

use std::{sync::Arc, time::Duration};

use alive_core::{
    Op,
    backend::{BlockSource, Broadcaster, Next},
};
use alive_hive::{
    devnet::DevnetServer,
    rpc::{BroadcasterConfig, HiveBroadcaster, RpcClient, RpcConfig, RpcError, SubmitError},
};
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json, value::RawValue};
use tokio::task::JoinSet;

use super::support::{at, broadcaster, client, config, data, node, serve_at_start, source, start};

/// What a bad node does with a request.
enum Act {
    /// Answers this.
    Answer(StatusCode, String),
    /// Asks the good node and changes the answer.
    Change(fn(&mut Value)),
    /// Never answers.
    Hang,
    /// Asks the good node and loses the answer.
    Lose,
}

type Decide = fn(&str) -> Act;

struct Bad {
    decide: Decide,
    good: String,
}

/// A node that decides by the method what to do, in front of a good one.
async fn bad(decide: Decide, good: &str, tasks: &mut JoinSet<()>) -> String {
    let state = Arc::new(Bad { decide, good: good.to_owned() });
    let router = Router::new().route("/", post(answer)).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn answer(State(bad): State<Arc<Bad>>, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap();
    let Some(method) = request["method"].as_str() else {
        // A batch, from which only broadcasters ask and nothing of what is changed here.
        return bad.ask_good(body).await.to_string().into_response();
    };
    match (bad.decide)(method) {
        Act::Answer(status, text) => {
            (status, text.replace("$ID", &request["id"].to_string())).into_response()
        }
        Act::Change(change) => {
            let mut answer = bad.ask_good(body).await;
            change(&mut answer["result"]);
            answer.to_string().into_response()
        }
        Act::Hang => std::future::pending().await,
        Act::Lose => {
            bad.ask_good(body).await;
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

impl Bad {
    async fn ask_good(&self, body: String) -> Value {
        let asked = reqwest::Client::new().post(&self.good).body(body).send().await.unwrap();
        serde_json::from_str(&asked.text().await.unwrap()).unwrap()
    }
}

fn of(nodes: &[&str]) -> RpcClient {
    let config = RpcConfig::new(nodes).unwrap().timeout(Duration::from_millis(300));
    RpcClient::new(config.max_answer(1 << 20)).unwrap()
}

fn html(_: &str) -> Act {
    Act::Answer(StatusCode::OK, "<html>maintenance</html>".into())
}

fn unavailable(_: &str) -> Act {
    Act::Answer(StatusCode::SERVICE_UNAVAILABLE, "busy".into())
}

fn other_id(_: &str) -> Act {
    Act::Answer(StatusCode::OK, r#"{"jsonrpc":"2.0","result":{},"id":"other"}"#.into())
}

fn no_method(_: &str) -> Act {
    let text = r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":$ID}"#;
    Act::Answer(StatusCode::OK, text.into())
}

fn busy(_: &str) -> Act {
    let text = r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"Unable to acquire READ lock"},"id":$ID}"#;
    Act::Answer(StatusCode::INTERNAL_SERVER_ERROR, text.into())
}

fn endless(_: &str) -> Act {
    Act::Answer(StatusCode::OK, " ".repeat(2 << 20))
}

#[tokio::test]
async fn a_node_that_fails_is_passed_over() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let failing: [Decide; 7] =
        [html, unavailable, other_id, no_method, busy, endless, |_| Act::Hang];
    for decide in failing {
        let first = bad(decide, &good.url(), &mut tasks).await;
        let asked = of(&[&first, &good.url()]).call("condenser_api.get_version", json!([])).await;
        assert!(asked.unwrap()["chain_id"].is_string());
        let alone = of(&[&first]).call("condenser_api.get_version", json!([])).await.unwrap_err();
        assert_eq!(
            alone.is_transient(),
            !matches!(alone.node(), Some(error) if error.code() == -32601)
        );
    }
    // Port 1 of the loopback interface listens to nobody.
    let client = of(&["http://127.0.0.1:1", &good.url()]);
    client.call("condenser_api.get_version", json!([])).await.unwrap();
    let none = of(&["http://127.0.0.1:1"]).call("condenser_api.get_version", json!([])).await;
    assert!(matches!(none, Err(RpcError::Transport(_))));
}

#[tokio::test]
async fn a_result_that_its_reader_refuses_is_the_failure_of_that_node() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let lying: [Decide; 2] = [
        |_| Act::Change(|result| *result = json!({ "block": "garbage" })),
        |_| Act::Change(|result| *result = json!(null)),
    ];
    for decide in lying {
        let first = bad(decide, &good.url(), &mut tasks).await;
        let ask = async |nodes: &[&str]| {
            let read = |result: &RawValue| {
                let result: Value = serde_json::from_str(result.get()).unwrap();
                result["chain_id"].as_str().map(str::to_owned).ok_or(RpcError::Answer("a chain"))
            };
            of(nodes).ask("condenser_api.get_version", json!([]), read).await
        };
        assert_eq!(ask(&[&first, &good.url()]).await.unwrap().len(), 64);
        assert!(matches!(ask(&[&first]).await, Err(RpcError::Answer("a chain"))));
    }
}

#[tokio::test]
async fn an_error_that_is_an_answer_is_not_asked_for_again() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let first = bad(
        |_| {
            let text = r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"no such"},"id":$ID}"#;
            Act::Answer(StatusCode::OK, text.into())
        },
        &good.url(),
        &mut tasks,
    )
    .await;
    let asked = of(&[&first, &good.url()]).call("condenser_api.get_version", json!([])).await;
    assert_eq!(asked.unwrap_err().node().unwrap().message(), "no such");
}

fn without_status(method: &str) -> Act {
    if method.starts_with("transaction_status_api") {
        no_method(method)
    } else {
        Act::Change(|_| {})
    }
}

#[tokio::test]
async fn a_broadcaster_looks_through_the_blocks_of_a_node_without_transaction_status() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let url = bad(without_status, &good.url(), &mut tasks).await;
    let alice = broadcaster(&url, "alice");
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let step = async {
        loop {
            good.with(|node| node.produce_block(start())).unwrap();
            tokio::task::yield_now().await;
        }
    };
    let receipt = tokio::select! {
        receipt = alice.broadcast(&op) => receipt.unwrap(),
        () = step => unreachable!("it never ends"),
    };
    let params = json!({ "transaction_id": receipt.transaction });
    let method = "transaction_status_api.find_transaction";
    let found = client(&good.url()).call(method, params).await.unwrap();
    assert_eq!(found["block_num"], receipt.block);
}

#[tokio::test]
async fn a_broadcaster_that_looks_through_blocks_signs_anew_after_the_expiration() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let url = bad(without_status, &good.url(), &mut tasks).await;
    let alice = broadcaster(&url, "alice");
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let mut secs = 0;
    let step = async {
        loop {
            // The pool is emptied by the jump of time whenever something waits in it, three times.
            let waits = good.with(|node| node.pending()) > 0;
            secs += if waits && secs < 300 { 100 } else { 0 };
            good.with(|node| node.produce_block(at(secs))).unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        receipt = alice.broadcast(&op) => assert!(receipt.unwrap().block > 3),
        () = step => unreachable!("it never ends"),
    }
}

#[tokio::test]
async fn an_operation_whose_answers_are_lost_is_published_once() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let lossy: Decide =
        |method| if method.contains("broadcast") { Act::Lose } else { Act::Change(|_| {}) };
    let url = bad(lossy, &good.url(), &mut tasks).await;
    let alice = broadcaster(&url, "alice");
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    let step = async {
        loop {
            good.with(|node| node.produce_block(start())).unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        receipt = alice.broadcast(&op) => drop(receipt.unwrap()),
        () = step => unreachable!("it never ends"),
    }
    assert_eq!(published(&good.url()).await, 1);
}

/// How many operations the chain holds.
async fn published(url: &str) -> usize {
    let source = source(url);
    let (mut after, mut ops) = (None, 0);
    while let Next::Blocks { blocks, .. } = source.next(after.as_ref(), 1000).await.unwrap() {
        ops += blocks.iter().map(|block| block.ops.len()).sum::<usize>();
        let Some(last) = blocks.last() else { break };
        after = Some(last.at.clone());
    }
    ops
}

/// A broadcaster over these nodes that looks again at once.
fn alice(nodes: &[&str]) -> HiveBroadcaster {
    let config = RpcConfig::new(nodes).unwrap().timeout(Duration::from_millis(300));
    let client = RpcClient::new(config.pause(Duration::from_millis(1), Duration::from_millis(5)));
    let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
    let network = alive_hive::devnet::DevnetConfig::default().network;
    let name = "alice".parse().unwrap();
    let key = super::support::key("alice", alive_hive::Role::Posting);
    HiveBroadcaster::new(client.unwrap(), network, name, key, config)
}

/// Does something while the chain grows, by a block of three seconds at a time.
async fn while_growing<T>(good: &DevnetServer, act: impl Future<Output = T>) -> T {
    let mut secs = 0;
    let grow = async {
        loop {
            secs += 3;
            good.with(|node| node.produce_block(at(secs))).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = act => done,
        () = grow => unreachable!("it never ends"),
    }
}

/// Each way in which the first of two nodes may fail a broadcaster.
#[rstest::rstest]
#[case::html(html)]
#[case::unavailable(unavailable)]
#[case::other_id(other_id)]
#[case::busy(busy)]
#[case::endless(endless)]
#[case::hangs(hangs)]
#[case::answers_are_lost(loses)]
#[case::has_no_status(without_status)]
#[case::head_from_the_future(ahead)]
#[case::head_from_the_past(behind)]
#[case::knows_no_transaction(calls_unknown)]
#[case::calls_it_void(calls_void)]
#[case::calls_it_done(calls_done)]
#[case::says_nonsense(says_nonsense)]
#[case::calls_everything_known(calls_duplicate)]
#[tokio::test]
async fn a_broadcast_gets_through_whatever_one_of_two_nodes_does(#[case] decide: Decide) {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let first = bad(decide, &good.url(), &mut tasks).await;
    let alice = alice(&[&first, &good.url()]);
    for link in ["one", "two"] {
        let op = Op::from_json(&format!(r#"{{"op":1,"link":"{link}"}}"#)).unwrap();
        while_growing(&good, alice.broadcast(&op)).await.unwrap();
    }
    // Whatever is still on its way comes.
    while_growing(&good, tokio::time::sleep(Duration::from_millis(100))).await;
    assert_eq!(published(&good.url()).await, 2);
}

fn hangs(_: &str) -> Act {
    Act::Hang
}

fn loses(_: &str) -> Act {
    Act::Lose
}

fn calls_unknown(method: &str) -> Act {
    told(method, |result| *result = json!({ "status": "unknown" }))
}

fn calls_void(method: &str) -> Act {
    told(method, |result| *result = json!({ "status": "expired_irreversible" }))
}

fn calls_done(method: &str) -> Act {
    told(method, |result| {
        *result = json!({ "status": "within_irreversible_block", "block_num": 1 });
    })
}

fn says_nonsense(method: &str) -> Act {
    told(method, |result| *result = json!({ "status": 5 }))
}

fn calls_duplicate(method: &str) -> Act {
    if !method.contains("broadcast") {
        return Act::Change(|_| {});
    }
    let text = r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"Duplicate transaction check failed"},"id":$ID}"#;
    Act::Answer(StatusCode::OK, text.into())
}

fn told(method: &str, change: fn(&mut Value)) -> Act {
    Act::Change(if method.ends_with("find_transaction") { change } else { |_| {} })
}

fn ahead(method: &str) -> Act {
    Act::Change(if method.ends_with("properties") {
        |result| result["time"] = json!("2030-01-01T00:00:00")
    } else {
        |_| {}
    })
}

fn behind(method: &str) -> Act {
    Act::Change(if method.ends_with("properties") {
        |result| result["time"] = json!("2020-01-01T00:00:00")
    } else {
        |_| {}
    })
}

#[tokio::test]
async fn want_of_resource_credits_is_told_with_its_numbers_and_may_pass() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let poor: Decide = |method| {
        let text = r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"payer has not enough RC mana for transaction:has_mana: Account: alice has 5 RC, needs 7 RC. Please wait to transact or power up HIVE.","data":{"code":4100100,"name":"not_enough_rc_exception"}},"id":$ID}"#;
        if method.contains("broadcast") {
            Act::Answer(StatusCode::OK, text.into())
        } else {
            Act::Change(|_| {})
        }
    };
    let url = bad(poor, &good.url(), &mut tasks).await;
    let post = vec![alive_hive::CustomJson::posting("alice", "alive-test", "{}").into()];
    let error = alice(&[&url]).submit(post).await.unwrap_err();
    assert!(error.is_transient());
    let SubmitError::Rpc(RpcError::Node(error)) = error else { panic!("{error:?}") };
    let credits = error.credits().unwrap();
    assert_eq!((error.account(), credits.has, credits.needs), (Some("alice"), 5, 7));
}

#[tokio::test]
async fn a_head_that_is_off_shows_in_the_health_of_its_node() {
    let (good, mut tasks) = (node().await, JoinSet::new());
    let late = bad(behind, &good.url(), &mut tasks).await;
    let client = of(&[&late, &good.url()]);
    let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
    let network = alive_hive::devnet::DevnetConfig::default().network;
    let key = super::support::key("alice", alive_hive::Role::Posting);
    let alice =
        HiveBroadcaster::new(client.clone(), network, "alice".parse().unwrap(), key, config);
    let op = Op::from_json(r#"{"op":1,"link":"s"}"#).unwrap();
    while_growing(&good, alice.broadcast(&op)).await.unwrap();
    let off: Vec<bool> = client.health().iter().map(|node| node.is_off).collect();
    assert_eq!(off, [true, false]);
}

async fn ask_liar(decide: Decide) -> Result<Next, alive_core::backend::SourceError> {
    let (good, mut tasks) = (serve_at_start(config()).await, JoinSet::new());
    good.with(|node| {
        node.push_transaction(data(node, "{}")).unwrap();
        for number in 1..9 {
            node.produce_block(at(3 * number)).unwrap();
        }
    });
    let url = bad(decide, &good.url(), &mut tasks).await;
    source(&url).next(None, 100).await
}

#[tokio::test]
async fn a_source_does_not_take_blocks_that_are_wrong() {
    // Another witness: the id does not follow from the header.
    let lies: [Decide; 5] = [
        |method| {
            let change: fn(&mut Value) = |result| result["blocks"][3]["witness"] = "eve".into();
            Act::Change(if method.ends_with("range") { change } else { |_| {} })
        },
        // Another payload: the transactions do not follow from the header.
        |method| {
            let change: fn(&mut Value) = |result| {
                let op = &mut result["blocks"][1]["transactions"][0]["operations"][0]["value"];
                assert_eq!(op["json"], "{}");
                op["json"] = r#"{"op":1,"link":"s"}"#.into();
            };
            Act::Change(if method.ends_with("range") { change } else { |_| {} })
        },
        // It begins later than asked.
        |method| {
            let change: fn(&mut Value) = |result| {
                result["blocks"].as_array_mut().unwrap().remove(0);
            };
            Act::Change(if method.ends_with("range") { change } else { |_| {} })
        },
        // A block lacks its transactions.
        |method| {
            let change: fn(&mut Value) = |result| result["blocks"][2]["transactions"] = json!(null);
            Act::Change(if method.ends_with("range") { change } else { |_| {} })
        },
        // The head is not what its number says.
        |method| {
            let change: fn(&mut Value) = |result| result["head_block_number"] = json!(3);
            Act::Change(if method.ends_with("properties") { change } else { |_| {} })
        },
    ];
    for lie in lies {
        ask_liar(lie).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_gap_in_an_answer_ends_it_before_the_gap() {
    let next = ask_liar(|method| {
        let change: fn(&mut Value) = |result| {
            result["blocks"].as_array_mut().unwrap().remove(4);
        };
        Act::Change(if method.ends_with("range") { change } else { |_| {} })
    });
    let Next::Blocks { blocks, .. } = next.await.unwrap() else { panic!("forked") };
    assert_eq!(blocks.len(), 4);
}
