//! Shapes and statuses.

use alive_db::{
    gun::{self, Anyone, PeerConfig},
    rest::{Peer, Who, metrics},
};
use axum::{Extension, body::Body, http::Request};
use rstest::rstest;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{CID, Client, push_body, stream_path};

#[tokio::test]
async fn the_root_says_what_it_is() {
    Client::new().get("/").await.is(200, json!({ "ok": 1, "message": "AliveDB server" }));
}

#[tokio::test]
async fn a_user_is_made_and_logged_in_at_once() {
    let client = Client::new();
    client.get("/currentUser").await.is(200, json!({ "loggedIn": false }));
    let public = client.user("alice").await;
    let who = client.get("/currentUser").await.json();
    assert_eq!(who["pub"], *public);
    assert_eq!(who["epub"].as_str().unwrap().len(), 87);
    let rest = json!([who["alias"], who["loggedIn"], who["requiresAccessToken"], who["authId"]]);
    assert_eq!(rest, json!(["alice", true, false, null]));
}

#[tokio::test]
async fn a_user_without_an_id_gets_one() {
    let got = Client::new().post("/createUser", json!({ "key": "password1" })).await;
    let id = got.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((got.status.as_u16(), id.len()), (200, 16));
    assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
}

#[rstest]
#[case(json!({}), 400, "Key is required")]
#[case(json!({ "key": "" }), 400, "Key is required")]
#[case(json!({ "key": 5 }), 400, "Key must be a string")]
#[case(json!({ "key": "password1", "id": 5 }), 400, "User ID must be a string")]
#[case(json!({ "key": "password1", "id": "ab" }), 400, "User ID must be between 3 and 50 characters long")]
#[case(json!({ "key": "password1", "id": "a-b" }), 400, "invalid character -")]
#[case(json!({ "key": "1234567" }), 500, "Password too short!")]
#[tokio::test]
async fn refused_users(#[case] body: Value, #[case] status: u16, #[case] text: &str) {
    Client::new().post("/createUser", body).await.error(status, text);
}

#[tokio::test]
async fn an_alias_is_taken_once() {
    let client = Client::new();
    client.user("alice").await;
    let again = client.post("/createUser", json!({ "id": "alice", "key": "password2" })).await;
    again.error(500, "User already created!");
    client.user("Alice").await;
}

#[tokio::test]
async fn users_log_in_by_alias_and_by_key() {
    let client = Client::new();
    let alice = client.user("alice").await;
    let bob = client.user("bob").await;
    let current = async || client.get("/currentUser").await.json()["pub"].clone();
    let right = json!({ "success": true });
    client
        .post("/loginUser", json!({ "id": "alice", "key": "password1" }))
        .await
        .is(200, right.clone());
    assert_eq!(current().await, *alice);
    client.post("/loginUser", json!({ "pub": bob, "key": "password1" })).await.is(200, right);
    assert_eq!(current().await, *bob);
    let wrong = json!({ "success": false, "error": "Wrong user or password." });
    for who in [json!({ "id": "alice" }), json!({ "pub": alice }), json!({ "id": "nobody" })] {
        let mut body = who;
        body["key"] = "password2".into();
        client.post("/loginUser", body).await.is(400, wrong.clone());
    }
    assert_eq!(current().await, *bob, "who was logged in still is");
}

#[rstest]
#[case(json!({ "key": "password1" }), 400, "User ID or public key is required")]
#[case(json!({ "id": "", "pub": null, "key": "password1" }), 400, "User ID or public key is required")]
#[case(json!({ "id": "alice" }), 400, "Key is required")]
#[case(json!({ "pub": "a.b", "key": "password1" }), 404, "Public key does not exist")]
#[case(json!({ "pub": 5, "key": "password1" }), 400, "Public key must be a string")]
#[tokio::test]
async fn refused_logins(#[case] body: Value, #[case] status: u16, #[case] text: &str) {
    Client::new().post("/loginUser", body).await.error(status, text);
}

#[tokio::test]
async fn a_key_that_nobody_has_does_not_exist() {
    let stranger = Client::new().user("bob").await;
    let got =
        Client::new().post("/loginUser", json!({ "pub": stranger, "key": "password1" })).await;
    got.error(404, "Public key does not exist");
}

#[rstest]
#[case(json!({ "id": "alice", "newkey": "password2" }), "Old key is required")]
#[case(json!({ "id": "alice", "key": "password1" }), "New key is required")]
#[case(json!({ "key": "password1", "newkey": "password2" }), "User ID or public key is required")]
#[tokio::test]
async fn refused_changes(#[case] body: Value, #[case] text: &str) {
    Client::new().post("/changeKey", body).await.error(400, text);
}

#[tokio::test]
async fn a_short_new_password_is_refused() {
    let client = Client::new();
    client.user("alice").await;
    let body = json!({ "id": "alice", "key": "password1", "newkey": "short" });
    let got = client.post("/changeKey", body).await;
    got.is(400, json!({ "success": false, "error": "Password too short!" }));
    client.api.login("alice", "password1").await.unwrap();
    assert!(client.api.change_password(Who::Alias("alice"), "password1", "short").await.is_err());
}

#[tokio::test]
async fn what_is_pushed_is_listed() {
    let client = Client::new();
    let public = client.user("alice").await;
    client.get(&stream_path(&public)).await.is(200, json!([]));
    for len in [1, 2, 3] {
        let mut body = push_body();
        body["stream"]["len"] = len.into();
        client.post("/pushStream", body).await.is(200, json!({ "success": true }));
    }
    let got = client.get(&stream_path(&public)).await;
    let items = got.json();
    let lens: Vec<_> = items.as_array().unwrap().iter().map(|item| item["len"].clone()).collect();
    assert_eq!(lens, [json!(1), json!(2), json!(3)]);
    assert_eq!((&items[0]["src"], &items[0]["720"]), (&json!(CID), &json!(CID)));
    let soul = items[0]["_"]["#"].as_str().unwrap();
    assert!(soul.starts_with(&format!("~{public}/")), "{soul}");
    assert!(items[0]["_"][">"]["src"].as_f64().unwrap() > 1e12);
    assert_eq!(got.headers["access-control-allow-origin"], "*");
    // From the time of the second on, that one included.
    let since = items[1]["_"][">"]["src"].to_string();
    let later = client.get(&format!("{}&ts={since}", stream_path(&public))).await.json();
    assert_eq!(later.as_array().unwrap().len(), 2);
    let none = client.get(&format!("{}&ts=9999999999999", stream_path(&public))).await;
    none.is(200, json!([]));
}

#[rstest]
#[case(json!({ "network": "avalon" }), "invalid network")]
#[case(json!({ "network": "" }), "missing network")]
#[case(json!({ "streamer": "al" }), "Hive username must be between 3 and 16 characters.")]
#[case(json!({ "link": "a b" }), "Link must only contain letters, digits, dashes and underscores")]
#[case(json!({ "stream": null }), "Missing stream chunk")]
#[case(json!({ "stream": { "src": CID } }), "Stream chunk length must be a number")]
#[case(json!({ "stream": { "src": "x", "len": 1 } }), "Valid src hash is required")]
#[case(json!({ "stream": { "src": CID, "len": 1, "d": 1 } }), "Invalid resolution d")]
#[tokio::test]
async fn refused_pushes(#[case] change: Value, #[case] text: &str) {
    let client = Client::new();
    client.user("alice").await;
    let mut body = push_body();
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    client.post("/pushStream", body).await.error(400, text);
}

#[tokio::test]
async fn a_push_needs_a_user_and_an_object() {
    let client = Client::new();
    client.post("/pushStream", push_body()).await.error(401, "Not logged in");
    client.user("alice").await;
    let text = "Request body must be an object containing stream details";
    client.post("/pushStream", json!([1])).await.error(400, text);
}

#[rstest]
#[case("network=hive&streamer=alice&link=s", "Missing streamer public key")]
#[case("pub=&network=hive&streamer=alice&link=s", "Missing streamer public key")]
#[case("pub=x&streamer=alice&link=s", "missing network")]
#[case("pub=x&network=hive&link=s", "Hive username must not be empty.")]
#[case("pub=x&network=hive&streamer=alice", "Link must be a string")]
#[tokio::test]
async fn refused_lists(#[case] query: &str, #[case] text: &str) {
    Client::new().get(&format!("/getStream?{query}")).await.error(400, text);
}

#[tokio::test]
async fn a_list_of_what_is_no_key_is_empty() {
    Client::new().get(&stream_path("x")).await.is(200, json!([]));
}

#[tokio::test]
async fn what_is_not_switched_on_says_so() {
    let client = Client::new();
    let chat = client.get("/fetchParticipantsKeys").await;
    chat.error(500, "Live chat functionality not enabled");
    let token = client.post_with("/getToken", "text/plain", &[], "x").await;
    token.error(500, "Access tokens are not enabled");
}

#[rstest]
#[case([127, 0, 0, 1], 200)]
#[case([192, 0, 2, 9], 403)]
#[tokio::test]
async fn what_a_peer_did_is_told_to_its_own_machine(#[case] from: [u8; 4], #[case] status: u16) {
    let peer = gun::Peer::start(PeerConfig::default(), Anyone).unwrap();
    let router = metrics(peer.clone()).layer(Extension(Peer::Tcp((from, 1).into())));
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), status);
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let counts = peer.counts();
    let named = counts.iter().filter(|(name, count)| {
        let kind = format!("# TYPE alivedb_{name}_total counter\n");
        text.contains(&format!("{kind}alivedb_{name}_total {count}\n"))
    });
    assert_eq!(named.count() == counts.iter().count(), status == 200, "{text}");
    assert_eq!(text.contains("alivedb_links 0\n"), status == 200, "{text}");
}
