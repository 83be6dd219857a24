//! A chain of nothing but its length, served.

#![cfg(test)]

use std::{io, time::Duration};

use alive_devnet::{Chain, Handle, ServeError, Server, open, read_body};
use axum::{
    Router,
    body::Body,
    http::StatusCode,
    routing::{get, post},
};

#[derive(Debug, Default)]
struct Counter {
    blocks: u32,
    is_full: bool,
    refused: u32,
}

impl Chain for Counter {
    type Error = io::Error;

    fn make_due_block(&mut self, since_1970: Duration) -> io::Result<bool> {
        assert!(since_1970 > Duration::from_hours(24));
        if self.is_full {
            self.refused += 1;
            return Err(io::Error::other("no room"));
        }
        self.blocks += 1;
        Ok(true)
    }
}

fn routes(node: Handle<Counter>) -> Router {
    let counted = node.clone();
    Router::new()
        .route("/blocks", get(async move || counted.lock().blocks.to_string()))
        .route(
            "/bytes",
            post(async |body: Body| match read_body(body, 8).await {
                Ok(body) => (StatusCode::OK, body.len().to_string()),
                Err(status) => (status, String::new()),
            }),
        )
        .route(
            "/panic",
            get(async move || {
                let held = node.lock();
                assert!(held.blocks > 0, "a handler fails while it holds the chain");
            }),
        )
}

async fn started(interval: Option<Duration>) -> Server<Counter> {
    let address = "127.0.0.1:0".parse().unwrap();
    Server::start(Counter::default(), address, interval, routes).await.unwrap()
}

async fn blocks(node: &Server<Counter>) -> u32 {
    let answer = reqwest::get(format!("{}/blocks", node.url())).await.unwrap();
    answer.text().await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_clock_makes_blocks_until_they_cannot_be_made_and_after() {
    let node = started(Some(Duration::from_millis(1))).await;
    while blocks(&node).await < 3 {}
    let full = node.with(|chain| {
        chain.is_full = true;
        chain.blocks
    });
    while node.with(|chain| chain.refused) < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(blocks(&node).await, full);
    node.with(|chain| chain.is_full = false);
    while blocks(&node).await == full {}
    node.shutdown().await;
}

#[tokio::test]
async fn who_waits_for_a_head_is_told_of_one_made_by_hand() {
    let heads = std::sync::OnceLock::new();
    let address = "127.0.0.1:0".parse().unwrap();
    let node = Server::start(Counter::default(), address, None, |node: Handle<Counter>| {
        heads.set(node.heads()).unwrap();
        routes(node)
    });
    let node = node.await.unwrap();
    let mut heads = heads.into_inner().unwrap();
    assert!(!heads.has_changed().unwrap());
    node.with(|chain| chain.blocks = 9);
    heads.changed().await.unwrap();
    assert_eq!(blocks(&node).await, 9);
}

#[tokio::test]
async fn a_handler_that_panics_takes_nothing_with_it() {
    let node = started(None).await;
    assert!(reqwest::get(format!("{}/panic", node.url())).await.is_err());
    assert_eq!(blocks(&node).await, 0);
}

#[tokio::test]
async fn a_body_is_bounded_and_pages_of_other_origins_may_send_it() {
    let node = started(None).await;
    let client = reqwest::Client::new();
    let send = async |body: &'static str| {
        let request =
            client.post(format!("{}/bytes", node.url())).header("origin", "https://x.example");
        request.body(body).send().await.unwrap()
    };
    let taken = send("12345678").await;
    assert_eq!(taken.headers()["access-control-allow-origin"], "*");
    assert_eq!(taken.text().await.unwrap(), "8");
    assert_eq!(send("123456789").await.status(), 413);
}

#[tokio::test]
async fn what_keeps_a_node_from_starting_is_told() {
    let opened = open(|_| Err::<Counter, _>(io::Error::other("a torn block"))).await;
    assert!(matches!(opened, Err(ServeError::Chain(error)) if error.to_string() == "a torn block"));
    let first = started(None).await;
    assert!(Server::start(Counter::default(), first.address(), None, routes).await.is_err());
}
