//! The HTTP calls as clients see them. Source: `spec/avalon.md`, section 9.

use serde_json::json;

use super::support::{config, get, get_json, key, post, server, signed, step};

#[tokio::test]
async fn accounts_blocks_playlists_and_transactions_are_told() {
    let server = server(config()).await;
    let configure =
        server.with(|chain| signed(chain, "alice", 25, r#"{"link":"a b/é","json":{"live":true}}"#));
    let (status, body) = post(&server, "/transact", &configure.to_string()).await;
    assert_eq!((status, body), (200, server.with(|chain| chain.head().num()).to_string()));
    let head = server.with(step);
    let push = server
        .with(|chain| signed(chain, "alice", 26, r#"{"link":"a b/é","seq":[[10,"b"],[2,"a"]]}"#));
    assert_eq!(post(&server, "/transact", &push.to_string()).await.0, 200);
    server.with(step);
    assert_eq!(get_json(&server, "/count").await, json!({ "count": head + 1 }));
    let (_, playlist) = get(&server, "/playlist/alice/a%20b%2F%C3%A9").await;
    assert!(
        playlist.ends_with(r#""json":{"live":true},"playlist":{"2":"a","10":"b"}}"#),
        "{playlist}"
    );
    let tx = get_json(&server, &format!("/tx/{}", configure.hash())).await;
    assert_eq!(tx["includedInBlock"], json!(head));
    let (_, block) = get(&server, &format!("/block/{head}")).await;
    let block = alive_avalon::Block::from_json(&block).unwrap();
    assert_eq!(block.transactions().next().unwrap().whole.as_str(), configure.as_text().as_str());
    let account = get_json(&server, "/account/alice").await;
    assert_eq!(account["pub"], json!(key("alice").public_key().to_string()));
    let both = get_json(&server, "/accounts/alice,nobody,bob").await;
    assert_eq!(both.as_array().unwrap().len(), 2);
    let by_key = get_json(&server, &format!("/accountByKey/{}", key("bob").public_key())).await;
    assert_eq!(by_key, json!([["bob"], []]));
    let history = get_json(&server, "/history/alice/0").await;
    assert_eq!(history[0]["type"], json!(26));
    let older = get_json(&server, &format!("/history/alice/{}", head + 1)).await;
    assert_eq!(older.as_array().unwrap().len(), 1);
    assert_eq!(get_json(&server, "/config").await["blockTime"], json!(3000));
    assert_eq!(get_json(&server, "/schedule").await["shuffle"][0]["name"], json!("dtube"));
}

#[tokio::test]
async fn what_is_not_there_is_said_as_a_node_says_it() {
    let server = server(config()).await;
    let not_found = (404, "Not Found".to_owned());
    for path in [
        "/account/nobody",
        "/block/99999999",
        "/block/x",
        "/content/a/b",
        "/leader/alice",
        "/no/such",
    ] {
        assert_eq!(get(&server, path).await, not_found, "{path}");
    }
    let playlist = r#"{"error":"playlist does not exist"}"#;
    assert_eq!(get(&server, "/playlist/alice/none").await, (404, playlist.into()));
    let transaction = r#"{"error":"transaction not found"}"#;
    assert_eq!(get(&server, "/tx/abc").await, (404, transaction.into()));
    assert_eq!(get(&server, "/accounts/nobody").await, (200, "[]".into()));
}

#[tokio::test]
async fn broken_requests_are_refused_and_the_node_lives_on() {
    let server = server(config()).await;
    let error = |words: &str| (500, format!(r#"{{"error":"{words}"}}"#));
    assert_eq!(post(&server, "/transact", "{}").await, error("invalid tx type"));
    assert_eq!(post(&server, "/transact", "[]").await, error("invalid tx type"));
    for body in ["{", "\"text\"", "5", "\u{feff}{}"] {
        assert_eq!(post(&server, "/transact", body).await.0, 400, "{body}");
    }
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(100_000));
    assert_eq!(post(&server, "/transact", &long).await.0, 413);
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(40_000), "]".repeat(40_000));
    assert_eq!(post(&server, "/transact", &deep).await, error("invalid tx type"));
    let plain = reqwest::Client::new().post(server.url() + "/transact").body("{");
    let plain = plain.send().await.unwrap();
    assert_eq!(plain.status().as_u16(), 500, "another content type is read as an empty object");
    assert_eq!(post(&server, "/alive_devnet/block", "").await.0, 404, "not controllable");
    assert_eq!(get(&server, "/count").await.0, 200);
}

#[tokio::test]
async fn a_confirmation_that_comes_too_late_does_no_harm() {
    let server = server(config().controllable()).await;
    let configure = server.with(|chain| signed(chain, "alice", 25, r#"{"link":"show","json":{}}"#));
    let body = configure.to_string();
    let confirmed = async {
        let confirmed = post(&server, "/transactWaitConfirm", &body).await;
        (confirmed, server.with(|chain| chain.head().num()))
    };
    let made = async {
        while server.with(|chain| chain.pending()) == 0 {
            tokio::task::yield_now().await;
        }
        server.with(step);
    };
    let ((confirmed, head), ()) = tokio::join!(confirmed, made);
    assert_eq!(confirmed, (200, head.to_string()));
    // One that is dropped times out at once and the block after it crashes nothing.
    let push = server
        .with(|chain| signed(chain, "alice", 26, r#"{"link":"show","seq":[[0,"a"]]}"#))
        .to_string();
    let dropped = async {
        while server.with(|chain| chain.pending()) == 0 {
            tokio::task::yield_now().await;
        }
        server.with(|chain| {
            chain.pop_blocks(1, false).unwrap();
            step(chain);
        });
    };
    let (answer, ()) = tokio::join!(post(&server, "/transactWaitConfirm", &push), dropped);
    assert_eq!(answer, (408, r#"{"error":"transaction timeout"}"#.to_owned()));
    assert_eq!(post(&server, "/alive_devnet/block", "").await.0, 200);
}
