//! Calls passed on to nodes: which, how, and what comes back.

use std::{sync::Arc, time::Duration};

use alive_hive::{
    CustomJson, HiveNetwork, JsonForm, PrivateKey, Role, SignAlgorithm, Tapos, Transaction,
    devnet::{DevAccount, DevnetConfig, DevnetServer, serve},
    rpc::{Forwarder, RpcClient},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::stub::{Act, Reply, Stub, config, good, http};

/// A forwarder that listens.
struct Face {
    url: String,
    http: reqwest::Client,
    server: JoinHandle<()>,
}

impl Face {
    /// One that waits for a node as long as a loaded machine may need.
    async fn before(nodes: &[&str]) -> Self {
        Self::of(client(nodes, Duration::from_secs(30))).await
    }

    async fn of(client: RpcClient) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Forwarder::new(client).router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { url, http, server }
    }

    async fn post(&self, body: &str) -> (u16, String) {
        post(&self.http, &self.url, body).await
    }

    async fn ask(&self, body: &Value) -> Value {
        let (status, text) = self.post(&body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A client that waits so long for each node.
fn client(nodes: &[&str], patience: Duration) -> RpcClient {
    RpcClient::new(config(nodes).timeout(patience)).unwrap()
}

async fn post(http: &reqwest::Client, url: &str, body: &str) -> (u16, String) {
    let answer = http.post(url).body(body.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": "x" })
}

fn account() -> Value {
    request("condenser_api.get_accounts", &json!([["alice"]]))
}

fn broadcast() -> Value {
    request("condenser_api.broadcast_transaction", &json!([{}]))
}

/// A chain that stands still.
async fn still_chain() -> DevnetServer {
    let config = DevnetConfig::default()
        .account(DevAccount::from_password("alice", "secret").unwrap())
        .blacklist("alice", ["mallory"])
        .by_hand();
    let server = serve(config).await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    server.with(|chain| chain.produce_block(alive_core::Timestamp::EPOCH.after(now)).unwrap());
    server
}

fn key() -> PrivateKey {
    PrivateKey::from_password("alice", Role::Posting, "secret").unwrap()
}

/// Parameters that the method has an answer for.
fn params(method: &str) -> Value {
    match method {
        "account_by_key_api.get_key_references" => {
            json!({ "keys": [key().public_key().to_text(&HiveNetwork::hive().key_prefix)] })
        }
        "condenser_api.get_key_references" => {
            json!([[key().public_key().to_text(&HiveNetwork::hive().key_prefix)]])
        }
        "block_api.get_block" | "block_api.get_block_header" => json!({ "block_num": 1 }),
        "bridge.get_follow_list" => json!({ "observer": "alice", "follow_type": "blacklisted" }),
        "condenser_api.get_accounts" => json!([["alice"]]),
        "condenser_api.get_block" => json!([1]),
        "database_api.find_accounts" | "rc_api.find_rc_accounts" => {
            json!({ "accounts": ["alice"] })
        }
        "database_api.verify_signatures" => json!({
            "hash": "00".repeat(32), "signatures": [], "required_owner": [], "required_active": [],
            "required_posting": ["alice"], "required_witness": [], "required_other": [],
        }),
        "transaction_status_api.find_transaction" => json!({ "transaction_id": "00".repeat(20) }),
        method if method.starts_with("condenser_api.") => json!([]),
        _ => json!({}),
    }
}

#[tokio::test]
async fn what_streaming_needs_is_answered_as_the_node_answers_it() {
    let chain = still_chain().await;
    let face = Face::before(&[&chain.url()]).await;
    let mut asked = 0;
    for method in Forwarder::methods().filter(|method| !method.ends_with(".broadcast_transaction"))
    {
        let body = request(method, &params(method)).to_string();
        let (_, own) = post(&face.http, &chain.url(), &body).await;
        let (status, passed) = face.post(&body).await;
        assert_eq!((status, &passed), (200, &own), "{method}");
        let answer: Value = serde_json::from_str(&passed).unwrap();
        assert!(answer.get("result").is_some(), "{method}: {passed}");
        let (api, name) = method.split_once('.').unwrap();
        let old = request("call", &json!([api, name, params(method)]));
        assert_eq!(face.ask(&old).await, answer, "the older form of {method}");
        asked += 1;
    }
    assert_eq!(asked, 18);
    chain.shutdown().await;
}

/// What a client has signed goes to the chain, and what the chain has against it comes back word by word.
#[rstest]
#[case("condenser_api.broadcast_transaction")]
#[case("network_broadcast_api.broadcast_transaction")]
#[tokio::test]
async fn transactions_reach_the_chain_and_refusals_the_client(#[case] method: &str) {
    let chain = still_chain().await;
    let face = Face::before(&[&chain.url()]).await;
    let properties =
        face.ask(&request("condenser_api.get_dynamic_global_properties", &json!([]))).await;
    let head = properties["result"]["head_block_id"].as_str().unwrap().parse().unwrap();
    let now: alive_hive::TimePoint =
        properties["result"]["time"].as_str().unwrap().parse().unwrap();
    let op = CustomJson::posting("alice", "alive-test", r#"{"op":1,"link":"s"}"#);
    let transaction = Transaction::new(Tapos::of(&head), now.after_secs(30), vec![op.into()]);
    let body = |key: &PrivateKey| {
        let network = HiveNetwork::hive();
        let signed = transaction.clone().sign(&[key], &network.chain_id, SignAlgorithm::Dhive);
        let is_legacy = method.starts_with("condenser_api.");
        let form = if is_legacy { JsonForm::Legacy } else { JsonForm::Hf26 };
        let json = signed.to_json(form, &network.key_prefix);
        let params = if is_legacy { json!([json]) } else { json!({ "trx": json }) };
        request(method, &params)
    };
    let wrong = PrivateKey::from_password("alice", Role::Memo, "secret").unwrap();
    let refused = body(&wrong);
    let answer = face.ask(&refused).await;
    let (_, own) = post(&face.http, &chain.url(), &refused.to_string()).await;
    assert_eq!(answer, serde_json::from_str::<Value>(&own).unwrap());
    assert_eq!(answer["error"]["data"]["name"], "tx_missing_posting_auth", "{answer}");
    assert_eq!(chain.with(|chain| chain.pending()), 0);

    let good = body(&key());
    assert_eq!(face.ask(&good).await["result"], json!({}));
    assert_eq!(chain.with(|chain| chain.pending()), 1);
    // A client that sends the same again is told so: it was not this server that repeated it.
    let again = face.ask(&good).await;
    let words = again["error"]["message"].as_str().unwrap();
    assert!(words.contains("Duplicate transaction check failed"), "{again}");
    chain.shutdown().await;
}

#[rstest]
#[case::other_method("condenser_api.get_block_range")]
#[case::waits_for_a_block("condenser_api.broadcast_transaction_synchronous")]
#[case::control("alive_devnet.produce_block")]
#[case::no_api("get_accounts")]
#[case::case_matters("Condenser_api.get_accounts")]
#[case::more_behind_it("condenser_api.get_accounts.x")]
#[tokio::test]
async fn nothing_else_is_passed_on(#[case] method: &str) {
    let node = Stub::start(good).await;
    let face = Face::before(&[&node.url]).await;
    let answer = face.ask(&request(method, &json!([]))).await;
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32_601), &json!("x")));
    let batch = face.ask(&json!([request(method, &json!([])), account()])).await;
    assert_eq!(batch[0]["error"]["code"], -32_601);
    assert_eq!(batch[1]["result"], json!([["alice"]]), "the others of a batch are");
    assert_eq!(node.served(), 1);
    assert_eq!(node.bodies()[0]["method"], "condenser_api.get_accounts");
}

#[tokio::test]
async fn what_is_no_request_never_reaches_a_node() {
    let node = Stub::start(good).await;
    let face = Face::before(&[&node.url]).await;
    let too_many = format!("[{}]", vec![account().to_string(); 21].join(","));
    for (body, code) in [
        ("", -32_700),
        ("{", -32_700),
        ("[]", -32_600),
        ("7", -32_600),
        (r#"{"jsonrpc":"2.0","method":"condenser_api.get_accounts","id":1}"#, -32_001),
        (&too_many, -32_600),
    ] {
        let (status, text) = face.post(body).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &answer["error"]["code"]), (200, &json!(code)), "{text}");
    }
    let (status, _) = face.post(&" ".repeat((256 << 10) + 1)).await;
    assert_eq!(status, 413);
    assert_eq!(face.http.get(&face.url).send().await.unwrap().status(), 405);
    let page = face.http.post(&face.url).header("origin", "https://evil.example");
    assert_eq!(page.body(account().to_string()).send().await.unwrap().status(), 403);
    assert_eq!(node.served(), 0);
    let most = format!("[{}]", vec![account().to_string(); 20].join(","));
    assert_eq!(face.post(&most).await.0, 200);
    assert_eq!(node.served(), 20);
}

#[tokio::test]
async fn a_node_that_fails_is_passed_over() {
    let acts: [Act; 4] = [
        |_, _| Reply::Silence,
        |_, _| http("502 Bad Gateway", "", "<html>"),
        |_, _| Reply::Bytes(String::new()),
        |_, request| {
            let error = json!({ "code": -32_603, "message": "Internal Error" });
            let body = json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] });
            http("200 OK", "", &body.to_string())
        },
    ];
    // Long enough for the good one, and the silent one is waited for no longer.
    let patience = Duration::from_secs(3);
    for act in acts {
        let (bad, other) = (Stub::start(act).await, Stub::start(good).await);
        let face = Face::of(client(&[&bad.url, &other.url], patience)).await;
        assert_eq!(face.ask(&account()).await["result"], json!([["alice"]]));
        assert_eq!((bad.served(), other.served()), (1, 1));
        let alone = Face::of(client(&[&bad.url], patience)).await;
        let answer = alone.ask(&account()).await;
        assert_eq!(answer["error"]["code"], -32_603, "{answer}");
        let words = answer["error"]["message"].as_str().unwrap();
        assert!(!words.contains("127.0.0.1"), "where the nodes are is nobody's business: {words}");
    }
}

fn duplicate(_: usize, request: &Value) -> Reply {
    let error = json!({ "code": -32_003, "message": "Duplicate transaction check failed", "data": { "code": 10 } });
    let body = json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] });
    http("200 OK", "", &body.to_string())
}

/// The first node has taken it and its answer is lost; the second one has heard of it from the first.
#[tokio::test]
async fn a_transaction_that_this_server_repeated_is_a_success() {
    let lost: Act = |_, _| Reply::Bytes(String::new());
    let (first, second) = (Stub::start(lost).await, Stub::start(duplicate).await);
    let face = Face::before(&[&first.url, &second.url]).await;
    assert_eq!(face.ask(&broadcast()).await["result"], json!({}));
    assert_eq!((first.served(), second.served()), (1, 1));

    // Only of broadcasts, and only if the other one may have heard it.
    let (first, second) = (Stub::start(lost).await, Stub::start(duplicate).await);
    let face = Face::before(&[&first.url, &second.url]).await;
    let answer = face.ask(&account()).await;
    assert_eq!(answer["error"]["data"]["code"], 10, "{answer}");
    let busy: Act = |_, request| {
        let error = json!({ "code": 1, "message": "Unable to acquire READ lock" });
        let body = json!({ "jsonrpc": "2.0", "error": error, "id": request["id"] });
        http("200 OK", "", &body.to_string())
    };
    let (first, second) = (Stub::start(busy).await, Stub::start(duplicate).await);
    let face = Face::before(&[&first.url, &second.url]).await;
    assert_eq!(face.ask(&broadcast()).await["error"]["data"]["code"], 10);
}

#[tokio::test]
async fn nodes_of_another_chain_get_no_transaction() {
    let chain = still_chain().await;
    let client = client(&[&chain.url()], Duration::from_secs(30));
    let face = Face::of(client.of_network(HiveNetwork::blurt())).await;
    let answer = face.ask(&broadcast()).await;
    assert_eq!(answer["error"]["code"], -32_603, "{answer}");
    let words = answer["error"]["message"].as_str().unwrap();
    assert!(words.ends_with("all are of another chain"), "{answer}");
    assert_eq!(chain.with(|chain| chain.pending()), 0);
    chain.shutdown().await;
}

/// However many ask, the nodes have a bounded number of calls to answer.
#[tokio::test]
async fn calls_beyond_the_limit_wait() {
    let node = Stub::start(|_, _| Reply::Silence).await;
    let face = Arc::new(Face::of(client(&[&node.url], Duration::from_mins(1))).await);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let face = Arc::clone(&face);
        asking.spawn(async move { face.post(&account().to_string()).await });
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while node.served() < 32 {
        assert!(tokio::time::Instant::now() < deadline, "{} calls", node.served());
        tokio::task::yield_now().await;
    }
    // The others have arrived by now, as far as the scheduler lets one see.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.served(), 32);
}
