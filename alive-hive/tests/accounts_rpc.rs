//! What a node tells of posts, credits and accounts, over real HTTP: good answers, odd ones and hostile ones.

#![cfg(test)]

use std::{collections::HashMap, sync::Arc, time::Duration};

use alive_core::{
    CachedAccountKeys, KeyCacheConfig, Timestamp,
    backend::{AccountKeys as _, PublicKeyBytes},
};
use alive_hive::{
    AccountUpdate2, Authority, HiveNetwork, NoExtensions, Operation, PrivateKey, Role,
    SignAlgorithm, Tapos, Transaction, accounts_with_new_keys,
    cost::{Manabar, RcSnapshot, StreamPlan},
    devnet::{DevAccount, Devnet, DevnetConfig, serve_chain},
    rpc::{
        CostsError, FindPostError, HiveAccountKeys, RpcClient, RpcConfig, RpcError, blacklisted,
        find_post, forecast,
    },
};
use serde_json::{Value, json};

/// A node that answers each method with what it was given: a result, or an error.
struct Stub {
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Stub {
    async fn start(
        answers: impl IntoIterator<Item = (&'static str, Result<Value, Value>)>,
    ) -> Self {
        let answers: Arc<HashMap<&str, _>> = Arc::new(answers.into_iter().collect());
        let answer = move |axum::Json(request): axum::Json<Value>| {
            let method = request["method"].as_str().unwrap_or_default();
            let missing = json!({ "code": -32601, "message": "no such method" });
            let mut body = json!({ "jsonrpc": "2.0", "id": request["id"] });
            match answers.get(method).cloned().unwrap_or(Err(missing)) {
                Ok(result) => body["result"] = result,
                Err(error) => body["error"] = error,
            }
            async move { axum::Json(body) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().route("/", axum::routing::post(answer));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, server }
    }

    fn client(&self) -> RpcClient {
        RpcClient::new(RpcConfig::new([&self.url]).unwrap()).unwrap()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn listed(answer: Result<Value, Value>) -> Result<Vec<String>, RpcError> {
    let node = Stub::start([("bridge.get_follow_list", answer)]).await;
    let names = blacklisted(&node.client(), &"alice".parse().unwrap()).await?;
    Ok(names.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_blacklist_is_its_names_and_nothing_else_that_a_node_says() {
    let described = json!([
        { "name": "spammer", "blacklist_description": "", "muted_list_description": "" },
        { "name": "bob" }, "carol", { "name": "Not A Name" }, { "name": 5 }, {}, null,
    ]);
    assert_eq!(listed(Ok(described)).await.unwrap(), ["spammer", "bob", "carol"]);
    assert_eq!(listed(Ok(json!([]))).await.unwrap(), [""; 0]);
    for answer in [json!({}), json!(null), json!("spammer")] {
        let error = listed(Ok(answer)).await.unwrap_err();
        assert!(matches!(error, RpcError::Answer(_)), "{error}");
    }
    assert!(listed(Err(json!({ "code": -32601, "message": "no such method" }))).await.is_err());
}

#[tokio::test]
async fn a_development_chain_tells_blacklists_that_it_was_given() {
    let config = DevnetConfig::default().blacklist("alice", ["spammer", "troll"]);
    let now = Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000));
    let server = serve_chain(Devnet::open(config, now).unwrap()).await.unwrap();
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let names = blacklisted(&client, &"alice".parse().unwrap()).await.unwrap();
    assert_eq!(names, ["spammer".parse().unwrap(), "troll".parse().unwrap()]);
    assert!(blacklisted(&client, &"bob".parse().unwrap()).await.unwrap().is_empty());
    server.shutdown().await;
}

fn properties() -> Value {
    json!({
        "head_block_number": 100, "time": "2026-11-21T00:00:00",
        "total_vesting_shares": { "amount": "346103701762032000", "precision": 6, "nai": "@@000000037" },
    })
}

fn costs(bar: Manabar) -> Vec<(&'static str, Result<Value, Value>)> {
    let json = RcSnapshot::mainnet_example().to_json();
    vec![
        ("rc_api.get_resource_params", Ok(json["get_resource_params"].clone())),
        ("rc_api.get_resource_pool", Ok(json["get_resource_pool"].clone())),
        ("rc_api.get_rc_stats", Ok(json["get_rc_stats"].clone())),
        ("rc_api.find_rc_accounts", Ok(json!({ "rc_accounts": [bar.to_json("alice")] }))),
        ("database_api.get_dynamic_global_properties", Ok(properties())),
    ]
}

fn plan() -> StreamPlan {
    let (alice, link) = ("alice".parse().unwrap(), "stream1".parse().unwrap());
    StreamPlan::new(alice, link, Duration::from_hours(1))
}

#[tokio::test]
async fn one_call_tells_whether_a_stream_can_be_paid_for_by_the_chains_own_time() {
    let RcSnapshot { sizes, prices } = RcSnapshot::mainnet_example();
    let cost = plan().cost(&sizes, &prices).unwrap();
    // Empty ten hours before the head block: a tenth of a day's fifth has come back.
    let max = cost.total() * 12;
    let updated = "2026-11-20T14:00:00".parse().unwrap();
    let node = Stub::start(costs(Manabar { current: 0, max, updated })).await;
    let (told, forecast) = forecast(&node.client(), &plan()).await.unwrap();
    assert_eq!(told, cost);
    assert_eq!(forecast.has, max / 12);
    assert!(forecast.can_pay(), "{forecast}");
}

#[tokio::test]
async fn an_account_that_is_not_there_and_a_chain_without_credits_are_told() {
    let bar = Manabar { current: 1, max: 1, updated: "2026-11-20T14:00:00".parse().unwrap() };
    let node = Stub::start(costs(bar)).await;
    let bob = StreamPlan::new("bob".parse().unwrap(), "s".parse().unwrap(), Duration::ZERO);
    let error = forecast(&node.client(), &bob).await.unwrap_err();
    assert!(matches!(error, CostsError::NoAccount(_)), "{error}");

    let none = Stub::start([]).await;
    let error = forecast(&none.client(), &plan()).await.unwrap_err();
    assert!(matches!(error, CostsError::Rpc(_)), "{error}");

    let mut odd = costs(bar);
    odd[1].1 = Ok(json!({ "resource_pool": { "resource_history_bytes": { "pool": "much" } } }));
    let error = forecast(&Stub::start(odd).await.client(), &plan()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("resource_pool.resource_history_bytes.pool"), "{source}");
}

fn post(author: &str, permlink: &str) -> Value {
    json!({
        "author": author, "permlink": permlink, "parent_author": "", "parent_permlink": "music",
        "title": "Live", "body": "Now.", "json_metadata": "{\"app\":\"x\"}",
    })
}

async fn find(answer: Result<Value, Value>) -> Result<Option<String>, FindPostError> {
    let node = Stub::start([("condenser_api.get_content", answer)]).await;
    let found = find_post(&node.client(), &"alice".parse().unwrap(), "stream1").await?;
    Ok(found.map(|post| post.title().to_owned()))
}

#[tokio::test]
async fn a_post_is_found_or_not_there_however_the_node_says_so() {
    assert_eq!(find(Ok(post("alice", "stream1"))).await.unwrap().as_deref(), Some("Live"));
    let none = [
        Ok(post("", "")),
        Ok(json!(null)),
        Err(json!({ "code": -32003, "message": "Post alice/stream1 does not exist" })),
    ];
    for answer in none {
        assert_eq!(find(answer.clone()).await.unwrap(), None, "{answer:?}");
    }
}

#[tokio::test]
async fn a_node_that_gives_another_post_or_none_that_can_be_kept_is_refused() {
    for (author, permlink) in [("bob", "stream1"), ("alice", "stream2")] {
        let error = find(Ok(post(author, permlink))).await.unwrap_err();
        assert!(matches!(error, FindPostError::Rpc(RpcError::Answer(_))), "{error}");
    }
    let mut broken = post("alice", "stream1");
    broken["json_metadata"] = json!("{\"app\":");
    assert!(matches!(find(Ok(broken)).await.unwrap_err(), FindPostError::Post(_)));
    let error = find(Err(json!({ "code": -32000, "message": "busy" }))).await.unwrap_err();
    assert!(matches!(error, FindPostError::Rpc(_)), "{error}");
}

#[tokio::test]
async fn a_changed_key_is_noticed_in_the_block_that_changes_it() {
    let start: Timestamp = "2026-11-21T00:00:00".parse().unwrap();
    let account = DevAccount::from_password("alice", "password").unwrap();
    let config = DevnetConfig::default().account(account).by_hand();
    let chain = Devnet::open(config.clone(), start).unwrap();
    let (tapos, expiration) = (Tapos::of(&chain.head()), chain.head_time().after_secs(60));
    let server = serve_chain(chain).await.unwrap();
    let client = RpcClient::new(RpcConfig::new([server.url()]).unwrap()).unwrap();
    let backend = HiveAccountKeys::new(client.clone(), HiveNetwork::hive());
    let keys = CachedAccountKeys::new(backend, KeyCacheConfig::default());
    let alice = "alice".parse().unwrap();
    let posting = async || keys.authority(&alice).await.unwrap().unwrap().posting.keys[0].0;
    let old = posting().await;

    let new = PrivateKey::from_bytes(&[9; 32]).unwrap().public_key();
    let update = Operation::AccountUpdate2(AccountUpdate2 {
        account: "alice".into(),
        owner: None,
        active: None,
        posting: Some(Authority::single(new)),
        memo_key: None,
        json_metadata: String::new(),
        posting_json_metadata: String::new(),
        extensions: NoExtensions,
    });
    let active = PrivateKey::from_password("alice", Role::Active, "password").unwrap();
    let transaction = Transaction::new(tapos, expiration, vec![update]);
    let signed = transaction.sign(&[&active], &config.network.chain_id, SignAlgorithm::Dhive);
    let next = start.after(Duration::from_secs(3));
    server.with(|chain| {
        chain.push_transaction(signed).unwrap();
        chain.produce_block(next).unwrap();
    });
    assert_eq!(posting().await, old, "remembered");
    let block = client.call("block_api.get_block", json!({ "block_num": 2 })).await.unwrap();
    for account in accounts_with_new_keys(&block.to_string()) {
        keys.forget(&account);
    }
    assert_eq!(posting().await, PublicKeyBytes::from(new));
}
