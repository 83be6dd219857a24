//! Access tokens, with signatures of Hive.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alive_core::{
    Network,
    backend::{AccountAuthority, Authority, SharedAccountKeys},
    memory::MemoryAccountKeys,
};
use alive_db::{
    rest::{ChainUnavailable, LoginChain, RestConfig, SharedLoginChain, TokenConfig, TokenIssuer},
    token::{LoginError, Secret},
};
use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm};
use rstest::rstest;
use serde_json::json;

use crate::support::{CID, Client, push_body, stream_path};

const HEAD: u64 = 1000;

/// A chain whose blocks have ids like `block-7`.
#[derive(Clone, Debug)]
struct Chain {
    head: Arc<AtomicU64>,
    is_there: bool,
}

impl LoginChain for Chain {
    async fn block_id(&self, num: u64) -> Result<Option<String>, ChainUnavailable> {
        let head = self.head_num().await?;
        Ok((num <= head).then(|| format!("block-{num}")))
    }

    async fn head_num(&self) -> Result<u64, ChainUnavailable> {
        if self.is_there {
            return Ok(self.head.load(Ordering::Relaxed));
        }
        Err(ChainUnavailable("gone".into()))
    }
}

fn posting_key() -> PrivateKey {
    PrivateKey::from_bytes(&[7; 32]).unwrap()
}

fn issuer(is_there: bool) -> (TokenIssuer, Chain) {
    let chain = Chain { head: Arc::new(AtomicU64::new(HEAD)), is_there };
    let keys = vec![(posting_key().public_key().into(), 1)];
    let posting = Authority { threshold: 1, keys, accounts: Vec::new() };
    let accounts = MemoryAccountKeys::new(Network::hive());
    accounts.set("alice".parse().unwrap(), AccountAuthority { posting, ..Default::default() });
    let issuer = TokenIssuer::new(
        TokenConfig::default(),
        Secret::generate().unwrap().0,
        SharedAccountKeys::new(accounts),
        Arc::new(GraphenePlain),
        SharedLoginChain::new(chain.clone()),
    );
    (issuer, chain)
}

fn message(user: &str, num: u64, key: &PrivateKey) -> String {
    use alive_core::backend::SignatureScheme as _;
    let signed = format!("{user}:s-1:alivedb_login:hive:{num}:block-{num}");
    let digest = GraphenePlain.digest(signed.as_bytes());
    format!("{signed}:{}", RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive))
}

fn client() -> (Client, Chain) {
    let (issuer, chain) = issuer(true);
    (Client::with(RestConfig::default().burst(1000), Some(issuer)), chain)
}

async fn token(client: &Client, message: String) -> String {
    let got = client.post_with("/getToken", "text/plain", &[], message).await;
    assert_eq!((got.status.as_u16(), &got.json()["error"]), (200, &json!(null)), "{got:?}");
    got.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_signed_message_becomes_a_token_that_pushes_to_the_own_stream() {
    let (client, _) = client();
    let public = client.user("relay").await;
    let who = client.get("/currentUser").await.json();
    assert_eq!(
        (&who["requiresAccessToken"], &who["authId"]),
        (&json!(true), &json!("alivedb_login"))
    );
    let token = token(&client, message("alice", HEAD, &posting_key())).await;
    // From anywhere, with any word before the token, and into no other stream than that of the token.
    for scheme in ["Bearer", "bearer", "Token"] {
        let mut body = push_body();
        body["streamer"] = "mallory".into();
        body["network"] = 5.into();
        let header = format!("{scheme} {token}");
        let headers = [("authorization", header.as_str())];
        let client = client.from([192, 0, 2, 9]);
        let got =
            client.post_with("/pushStream", "application/json", &headers, body.to_string()).await;
        got.is(200, json!({ "success": true }));
    }
    let items = client.get(&stream_path(&public)).await.json();
    assert_eq!(items.as_array().unwrap().len(), 3);
    assert_eq!(items[0]["src"], CID);
}

#[tokio::test]
async fn a_push_without_a_token_that_counts_is_refused() {
    let (client, _) = client();
    client.user("relay").await;
    client.post("/pushStream", push_body()).await.error(401, "Missing authentication header");
    for (header, error) in [
        ("Bearer", json!("Invalid bearer auth token")),
        ("Bearer ", json!("Invalid bearer auth token")),
        ("Bearer x", json!({ "name": "JsonWebTokenError", "message": "jwt malformed" })),
        (
            "Bearer e30.e30.",
            json!({ "name": "JsonWebTokenError", "message": "jwt signature is required" }),
        ),
    ] {
        let headers = [("authorization", header)];
        let body = push_body().to_string();
        let got = client.post_with("/pushStream", "application/json", &headers, body).await;
        got.is(401, json!({ "error": error }));
    }
    // A token of another server.
    let other = self::client().0;
    let foreign = format!("Bearer {}", token(&other, message("alice", HEAD, &posting_key())).await);
    let headers = [("authorization", foreign.as_str())];
    let body = push_body().to_string();
    let got = client.post_with("/pushStream", "application/json", &headers, body).await;
    let error = json!({ "name": "JsonWebTokenError", "message": "invalid signature" });
    got.is(401, json!({ "error": error }));
}

#[tokio::test]
async fn a_token_alone_does_not_push_when_nobody_is_logged_in() {
    let (client, _) = client();
    let header = format!("Bearer {}", token(&client, message("alice", HEAD, &posting_key())).await);
    let headers = [("authorization", header.as_str())];
    let body = push_body().to_string();
    let got = client.post_with("/pushStream", "application/json", &headers, body).await;
    got.error(401, "Not logged in");
}

#[rstest]
#[case(message("alice", HEAD - 21, &posting_key()), "Block info specified timed out")]
#[case(message("alice", HEAD + 1, &posting_key()), "Invalid block ID for block")]
#[case(message("bob", HEAD, &posting_key()), "Invalid signature")]
#[case(message("alice", HEAD, &PrivateKey::from_bytes(&[8; 32]).unwrap()), "Invalid signature")]
#[case(message("alice", HEAD, &posting_key()).replace("s-1", "s-2"), "Invalid signature")]
#[case("alice".to_owned(), "Invalid auth message format")]
#[case(String::new(), "Invalid auth message format")]
#[tokio::test]
async fn refused_messages(#[case] message: String, #[case] why: &str) {
    let (client, _) = client();
    let got = client.post_with("/getToken", "text/plain", &[], message).await;
    got.error(400, &format!("Could not verify signature and/or recent block info: {why}"));
}

/// Hole 6: a body of JSON makes the original fail.
#[tokio::test]
async fn a_body_of_json_is_no_message() {
    let (client, _) = client();
    let got = client.post("/getToken", json!({ "message": "x" })).await;
    let why = "Could not verify signature and/or recent block info: Invalid auth message format";
    got.error(400, why);
    got_bytes(&client, vec![0xff, 0xfe], why).await;
}

async fn got_bytes(client: &Client, body: Vec<u8>, why: &str) {
    client.post_with("/getToken", "text/plain", &[], body).await.error(400, why);
}

/// Hole 8: a signature counts for 20 blocks, as often as anybody likes.
#[tokio::test]
async fn a_message_counts_once() {
    let (issuer, chain) = issuer(true);
    let message = message("alice", HEAD, &posting_key());
    assert!(issuer.issue(&message, 5.0).await.is_ok());
    assert_eq!(issuer.issue(&message, 5.0).await, Err(LoginError::Reused));
    // The same signature in capitals signs the same.
    let (signed, signature) = message.rsplit_once(':').unwrap();
    let shouted = format!("{signed}:{}", signature.to_uppercase());
    assert_eq!(issuer.issue(&shouted, 5.0).await, Err(LoginError::Reused));
    chain.head.store(HEAD + 21, Ordering::Relaxed);
    assert_eq!(issuer.issue(&message, 5.0).await, Err(LoginError::TimedOut));
}

#[tokio::test]
async fn a_chain_that_cannot_be_asked_gives_no_token() {
    let (issuer, _) = issuer(false);
    let issued = issuer.issue(&message("alice", HEAD, &posting_key()), 5.0).await;
    assert_eq!(issued, Err(LoginError::IdUnknown));
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let (issuer, _) = issuer(true);
    let token = issuer.issue(&message("alice", HEAD, &posting_key()), 100.5).await.unwrap();
    let day = 24.0 * 3600.0;
    assert_eq!(issuer.check(&token, 100.5).unwrap().user.as_str(), "alice");
    assert!(issuer.check(&token, 100.5 + day - 1.0).is_ok());
    assert!(issuer.check(&token, 101.0 + day).is_err());
}
