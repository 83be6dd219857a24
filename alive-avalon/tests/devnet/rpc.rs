//! Core's suites against the node over HTTP.

use std::{cell::Cell, time::Duration};

use alive_avalon::{
    StreamTx, Transaction,
    devnet::{DevAccount, Devnet, DevnetServer},
    rpc::{
        AvalonAccountKeys, AvalonBlockSource, AvalonBlockSourceConfig, AvalonBroadcaster,
        BroadcasterConfig,
    },
};
use alive_core::{
    AccountName, Link, Op,
    backend::{
        AccountAuthority, Authority, BlockSource, Broadcaster, Next, PublicKeyBytes,
        SharedBlockSource, SharedBroadcaster,
    },
    testing::{self, ChainDriver},
};

use super::support::{
    CID, broadcaster, client, config, key, server, signed, source, step, with_blocks,
};

/// Steps the chain of a server.
struct Driver<'a> {
    server: &'a DevnetServer,
    /// How many blocks were made. It goes into their times, so that no block is made twice.
    made: Cell<i64>,
}

impl<'a> Driver<'a> {
    fn of(server: &'a DevnetServer) -> Self {
        Self { server, made: Cell::new(0) }
    }
}

/// The transaction that carries a payload; a push of an unknown stream is put into the chain unjudged.
fn transaction(payload: &str, ts_ms: i64) -> Option<Transaction> {
    let op = Op::from_json(payload).ok()?;
    let json = alive_avalon::JsonText::of("{}").unwrap();
    let tx = StreamTx::of(&op, Some(json.root()).filter(|_| matches!(op, Op::End(_)))).ok()?;
    tx.into_transaction("alice", ts_ms).ok()
}

impl ChainDriver for Driver<'_> {
    fn account(&self) -> AccountName {
        "alice".parse().unwrap()
    }

    fn carries(&self, payload: &str) -> bool {
        transaction(payload, 1).is_some()
    }

    async fn produce(&self, payloads: &[String]) {
        self.server.with(|chain| {
            for (payload, ms) in payloads.iter().zip(1..) {
                let ts_ms = chain.head().time_ms() + ms;
                let transaction = transaction(payload, ts_ms).unwrap();
                chain.push_unjudged(transaction.sign(&[&key("alice")]));
            }
            self.made.set(self.made.get() + 1);
            let now = chain.head().time_ms() + 3000 + self.made.get();
            chain.produce_block(now).unwrap();
        });
    }

    async fn pop(&self, count: usize) -> bool {
        self.server.with(|chain| chain.pop_blocks(count.try_into().unwrap(), false)).is_ok()
    }

    async fn finalize(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_block_source_keeps_its_promises() {
    let server = server(config()).await;
    testing::block_source(&source(&server.url()), &Driver::of(&server)).await;
}

#[tokio::test]
async fn the_block_source_keeps_its_promises_with_leaders_checked_and_behind_its_handle() {
    let server = server(config()).await;
    let leader = server.with(|chain| {
        let block = chain.head().clone();
        let key = alive_avalon::devnet::dev_key("dtube", "leader").public_key();
        assert!(block.check(alive_avalon::BlockHashing::V2, Some(&key)).is_ok());
        key
    });
    let mut config = AvalonBlockSourceConfig::default().leader("dtube", leader);
    config.page = 2;
    let source = AvalonBlockSource::new(client([server.url().as_str()]), config);
    let shared = SharedBlockSource::new(source);
    testing::block_source(&shared, &Driver::of(&server)).await;
    let config = AvalonBlockSourceConfig::default().leader("dtube", key("bob").public_key());
    let source = AvalonBlockSource::new(client([server.url().as_str()]), config);
    assert!(!source.next(None, 10).await.unwrap_err().is_transient(), "a false leader");
}

async fn suite_of(mine: &impl Broadcaster, server: &DevnetServer, link: &str) {
    let link: Link = link.parse().unwrap();
    let wait = async || {
        server.with(step);
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    testing::broadcaster(mine, &source(&server.url()), &link, wait).await;
}

#[tokio::test]
async fn the_broadcaster_keeps_its_promises() {
    let server = server(config()).await;
    let client = client([server.url().as_str()]);
    suite_of(&broadcaster(client.clone(), "alice"), &server, "one").await;
    let shared = SharedBroadcaster::new(broadcaster(client, "bob"));
    suite_of(&shared, &server, "two").await;
}

#[tokio::test]
async fn the_broadcaster_keeps_its_promises_where_nodes_hide_the_json() {
    let server = server(config()).await;
    server.with(|chain| {
        let mut switches = alive_avalon::devnet::Switches::default();
        switches.hides_json = true;
        chain.set_switches(switches);
    });
    let client = client([server.url().as_str()]);
    suite_of(&broadcaster(client, "alice"), &server, "one").await;
}

#[tokio::test]
async fn the_account_keys_keep_their_promises() {
    let (main, custom) = (key("carol"), key("stream"));
    let carol = DevAccount::new("carol", main.public_key()).custom_key(
        "stream",
        custom.public_key(),
        &[25, 26],
    );
    let server = server(config().account(carol)).await;
    let any_of = |keys: &[PublicKeyBytes]| Authority {
        threshold: 1,
        keys: keys.iter().map(|key| (*key, 1)).collect(),
        accounts: Vec::new(),
    };
    let of = |main: PublicKeyBytes, all: &[PublicKeyBytes]| AccountAuthority {
        active: any_of(&[main]),
        owner: any_of(&[main]),
        posting: any_of(all),
    };
    let [main, custom, alice] =
        [main, custom, key("alice")].map(|key| PublicKeyBytes::from(key.public_key()));
    let known = [
        ("carol".parse().unwrap(), of(main, &[main, custom])),
        ("alice".parse().unwrap(), of(alice, &[alice])),
    ];
    let keys = AvalonAccountKeys::new(client([server.url().as_str()]));
    testing::account_keys(&keys, &known, &"nobody".parse().unwrap()).await;
    testing::account_keys(&keys, &known, &"../alice".parse().unwrap()).await;
}

#[tokio::test]
async fn a_custom_key_streams_within_its_types_and_a_wrong_key_is_refused_for_good() {
    let custom = key("stream");
    let carol = DevAccount::from_password("carol", "x");
    let carol = carol.custom_key("stream", custom.public_key(), &[25, 26]);
    let server = server(config().account(carol)).await;
    let with = |key| {
        let config = BroadcasterConfig::default().poll_interval(Duration::from_millis(2));
        let client = client([server.url().as_str()]);
        AvalonBroadcaster::new(client, "carol".parse().unwrap(), key, config)
    };
    let op = Op::from_json(r#"{"op":2,"link":"show","pub":"a.b"}"#).unwrap();
    let carol = with(custom);
    assert!(carol.may_stream().await.unwrap());
    with_blocks(&[&server], carol.broadcast(&op)).await.unwrap();
    let wrong = with(key("bob"));
    assert!(!wrong.may_stream().await.unwrap());
    assert!(!wrong.broadcast(&op).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_stream_is_resumed_behind_its_last_push_and_never_after_its_end() {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    let link: Link = "show".parse().unwrap();
    assert_eq!(alice.resume_point(&link).await.unwrap(), None);
    server.with(|chain| {
        let json = signed(chain, "alice", 25, r#"{"link":"show","json":{"live":true,"x":1}}"#);
        chain.push_unjudged(json);
        step(chain);
        let push = signed(chain, "alice", 26, r#"{"link":"show","seq":[[0,"a"],[7,"b"]]}"#);
        chain.push_transaction(push, chain.head().time_ms()).unwrap();
        step(chain);
        let mut switches = alive_avalon::devnet::Switches::default();
        switches.hides_json = true;
        chain.set_switches(switches);
    });
    // Another program began it, and the node tells no json: the history does.
    let point = alice.resume_point(&link).await.unwrap().unwrap();
    assert_eq!((point.next_seq, point.json.as_str()), (8, r#"{"live":true,"x":1}"#));
    let view = alice.chain_view(&link).await.unwrap().unwrap();
    assert_eq!(view, alive_core::ChainView::default(), "what is no content id is no push of ours");
    let push = format!(r#"{{"op":0,"link":"show","seq":9,"src":"{CID}"}}"#);
    with_blocks(&[&server], alice.broadcast(&Op::from_json(&push).unwrap())).await.unwrap();
    let view = alice.chain_view(&link).await.unwrap().unwrap();
    assert_eq!((view.finalized, view.pushes.len()), (None, 1));
    let end = Op::from_json(r#"{"op":1,"link":"show"}"#).unwrap();
    with_blocks(&[&server], alice.broadcast(&end)).await.unwrap();
    assert!(alice.chain_view(&link).await.is_err());
    let fresh = broadcaster(client([server.url().as_str()]), "alice");
    let refused = fresh.resume_point(&link).await.unwrap_err();
    assert_eq!(refused.to_string(), "the stream has ended");
    let last = server.with(|chain: &mut Devnet| {
        chain.set_switches(alive_avalon::devnet::Switches::default());
        chain.head().num()
    });
    assert!(last > 0);
    let playlist = super::support::get_json(&server, "/playlist/alice/show").await;
    assert_eq!(playlist["json"], serde_json::json!({"live":true,"x":1,"ended":true}));
}

#[tokio::test]
async fn a_post_is_published_at_the_time_of_the_chain() {
    let server = server(config()).await;
    let alice = broadcaster(client([server.url().as_str()]), "alice");
    let json = alive_avalon::JsonText::of(r#"{"title":"Live now"}"#).unwrap();
    let post = alive_avalon::post::Post {
        link: "show",
        json: &json,
        votes: 1,
        tag: "alive",
        parent: None,
    };
    let post = alive_avalon::post::post("alice", &post, 1).unwrap();
    let receipt = with_blocks(&[&server], alice.publish(&post)).await.unwrap();
    let content = super::support::get_json(&server, "/content/alice/show").await;
    assert_eq!(content["json"]["title"], "Live now");
    let tx = super::support::get_json(&server, &format!("/tx/{}", receipt.transaction)).await;
    assert!(tx["ts"].as_i64().unwrap() >= super::support::START_MS);
    let wrong = alive_avalon::post::edit("alice", "none", &json, 1).unwrap();
    assert!(!alice.publish(&wrong).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn the_newest_blocks_are_left_alone_if_that_is_asked_for() {
    let server = server(config()).await;
    for _ in 0..10 {
        server.with(step);
    }
    let config = AvalonBlockSourceConfig::default().irreversible_lag(4).head_lag(4);
    let source = AvalonBlockSource::new(client([server.url().as_str()]), config);
    let head = server.with(|chain| chain.head().num());
    let next = source.next(None, 100).await.unwrap();
    let Next::Blocks { blocks, irreversible } = next else { panic!("{next:?}") };
    assert_eq!(blocks.last().map(|block| block.at.num), Some(head - 4));
    assert_eq!(irreversible, head - 4, "nothing of it can be taken back");
    let last = blocks.last().map(|block| block.at.clone());
    let next = source.next(last.as_ref(), 100).await.unwrap();
    assert!(matches!(&next, Next::Blocks { blocks, .. } if blocks.is_empty()), "{next:?}");
}

#[tokio::test]
async fn a_broadcast_waits_for_as_many_blocks_as_are_asked_for() {
    let server = server(config()).await;
    let settings = BroadcasterConfig::default();
    let settings = settings.confirmations(3).poll_interval(Duration::from_millis(2));
    let client = client([server.url().as_str()]);
    let alice = AvalonBroadcaster::new(client, "alice".parse().unwrap(), key("alice"), settings);
    let op = Op::from_json(r#"{"op":2,"link":"show"}"#).unwrap();
    let broadcast = alice.broadcast(&op);
    tokio::pin!(broadcast);
    let receipt = loop {
        // Far more time than it takes to look: were it content with one block, it would be done before the next.
        tokio::select! {
            done = &mut broadcast => break done.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                server.with(step);
            }
        }
    };
    let head = server.with(|chain| chain.head().num());
    assert!(head >= receipt.block + 3, "{} with head {head}", receipt.block);
}
