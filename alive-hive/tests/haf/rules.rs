//! The loop, the transaction rule, and what is in a block.

use alive_core::{
    OpError,
    backend::{BlockSource as _, Next},
    testing,
};
use serde_json::json;

use crate::chain::{Caller, Driver, Haf, custom, ours, source_of};

const END: &str = r#"{"op":1,"link":"s"}"#;

#[tokio::test]
#[ignore = "needs postgresql"]
async fn irreversible_blocks_pass_the_suite() {
    let haf = Haf::start().await;
    let driver = Driver { haf: &haf, is_reversible: false };
    testing::block_source(&haf.source(), &driver).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn the_overlay_passes_the_suite() {
    let haf = Haf::start().await;
    let driver = Driver { haf: &haf, is_reversible: true };
    testing::block_source(&source_of(haf.config().overlay(true)), &driver).await;
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn the_stages_of_spec_follow_each_other() {
    let haf = Haf::with_blocks(245, 240).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    assert_eq!(caller.step(&source, 1000).await.unwrap(), Some(50));
    assert_eq!(haf.committed().await, "0", "nobody has said that the blocks are kept");
    assert_eq!(caller.catch_up(&source, 1000).await, [50, 50, 50, 40]);
    assert_eq!(haf.value("SELECT stage FROM hafd.contexts").await, "live");
    assert_eq!(haf.value("SELECT is_attached FROM hafd.contexts").await, "true");
    assert_eq!((caller.irreversible, haf.committed().await.as_str()), (240, "240"));
    for num in 241..=245 {
        haf.finalize_to(num).await;
        assert_eq!(caller.catch_up(&source, 1000).await, [1], "block {num} of the live stage");
    }
    for _ in 0..30 {
        haf.push(&[]).await;
    }
    haf.finalize().await;
    assert_eq!(caller.catch_up(&source, 1000).await, [30]);
    assert_eq!(haf.value("SELECT stage FROM hafd.contexts").await, "live");
    assert_eq!(caller.nums(), (1..=275).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_context_is_detached_in_massive_ranges_and_attached_behind_them() {
    let haf = Haf::with_blocks(100, 100).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.step(&source, 1000).await.unwrap();
    caller.step(&source, 1000).await.unwrap();
    assert_eq!(haf.value("SELECT stage FROM hafd.contexts").await, "massive");
    assert_eq!(haf.value("SELECT is_attached FROM hafd.contexts").await, "false");
    caller.catch_up(&source, 1000).await;
    assert_eq!(haf.value("SELECT is_attached FROM hafd.contexts").await, "true");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_range_is_committed_by_the_next_call_and_by_nothing_else() {
    let haf = Haf::with_blocks(100, 100).await;
    let source = haf.source();
    let ask = async |after: Option<&_>| match source.next(after, 10).await.unwrap() {
        Next::Blocks { blocks, .. } => blocks,
        Next::Forked => panic!("no fork"),
    };
    let first = ask(None).await;
    assert_eq!((first.len(), haf.committed().await.as_str()), (10, "0"));
    assert_eq!(ask(None).await, first, "what was not kept comes again");
    assert_eq!(haf.committed().await, "0");
    let rest = ask(Some(&first[3].at)).await;
    assert_eq!(rest[0].at.num, 5, "who kept a part gets the rest");
    assert_eq!(haf.committed().await, "4", "the part is committed, the rest is not");
    let more = ask(Some(&rest[9].at)).await;
    assert_eq!((more[0].at.num, haf.committed().await.as_str()), (15, "14"));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn at_the_head_no_transaction_stays_open() {
    let haf = Haf::with_blocks(3, 3).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.catch_up(&source, 1000).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    assert_eq!(haf.value(open).await, "0");
    caller.blocks.clear();
    haf.run("DELETE FROM hafd.contexts; DROP SCHEMA alive CASCADE").await;
    let source = haf.source();
    caller.step(&source, 1000).await.unwrap();
    assert_eq!(haf.value(open).await, "1", "a range that is being applied does stay open");
}

/// The stand-in refuses what HAF refuses; a source that wrote before its call would see this.
#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_late_call_is_refused_by_the_stand_in() {
    let haf = Haf::with_blocks(3, 3).await;
    Caller::default().catch_up(&haf.source(), 1000).await;
    haf.run("CREATE TABLE late (n integer)").await;
    let (client, connection) =
        tokio_postgres::connect(&haf.server.address(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; INSERT INTO late VALUES (1)").await.unwrap();
    let call = "CALL hive.app_next_iteration('alive'::hafd.context_name, NULL)";
    let error = client.simple_query(call).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message(), "invalid transaction termination");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn while_haf_is_not_ready_nothing_comes_and_then_all() {
    let haf = Haf::with_blocks(30, 30).await;
    haf.run("UPDATE hafd.hive_state SET is_ready = FALSE").await;
    let source = source_of(haf.config().overlay(true));
    let mut caller = Caller::default();
    assert_eq!(caller.step(&source, 1000).await.unwrap(), Some(0));
    assert_eq!(haf.value("SELECT stage FROM hafd.contexts").await, "wait_for_haf");
    haf.run("UPDATE hafd.hive_state SET is_ready = TRUE").await;
    assert_eq!(caller.catch_up(&source, 1000).await, [30]);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_new_context_goes_to_the_first_block_of_interest_at_once() {
    let haf = Haf::with_blocks(200, 200).await;
    let source = source_of(haf.config().from_block(150));
    let mut caller = Caller::default();
    assert_eq!(caller.step(&source, 20).await.unwrap(), Some(20));
    assert_eq!(haf.committed().await, "149");
    caller.catch_up(&source, 20).await;
    assert_eq!(caller.nums(), (150..=200).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn two_processes_create_one_context() {
    let haf = Haf::with_blocks(10, 10).await;
    let sources: Vec<_> = (0..4).map(|_| haf.source()).collect();
    let all = sources.iter().map(async |source| {
        let mut caller = Caller::default();
        caller.catch_up(source, 3).await;
        caller.nums()
    });
    for nums in futures_util::future::join_all(all).await {
        assert_eq!(nums, (1..=10).collect::<Vec<_>>(), "each source of a context gets all blocks");
    }
    assert_eq!(haf.value("SELECT count(*) FROM hafd.contexts").await, "1");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn names_and_stages_are_those_of_the_settings() {
    let haf = Haf::with_blocks(10, 10).await;
    let config = haf.config().context("films").unwrap().schema("films_of_alive").unwrap();
    Caller::default().catch_up(&source_of(config.batch(7).massive_distance(33)), 1000).await;
    let context = "SELECT name || ' ' || schema || ' ' || is_forking || ' ' || stages::text FROM hafd.contexts";
    let want = r#"films films_of_alive false {"(massive,33,7,00:00:20)","(live,0,1,00:00:03)"}"#;
    assert_eq!(haf.value(context).await, want);
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn operations_come_in_the_order_of_their_positions() {
    let haf = Haf::start().await;
    let payloads: Vec<_> = (0..300).map(|i| format!(r#"{{"op":2,"link":"s{i}"}}"#)).collect();
    let others =
        |i: usize| (if i.is_multiple_of(2) { 0 } else { 2 }, json!({ "type": "vote" }).to_string());
    let mut operations = Vec::new();
    for (i, payload) in payloads.iter().enumerate() {
        operations.extend([others(i), ours("alice", payload)]);
        let foreign =
            json!({ "id": "other", "json": payload, "required_posting_auths": ["alice"] });
        operations.push(custom(&foreign));
    }
    haf.push(&operations).await;
    haf.push(&[]).await;
    haf.finalize().await;
    let mut caller = Caller::default();
    caller.catch_up(&haf.source(), 1000).await;
    let links = caller.blocks[0].ops.iter().map(|op| op.as_ref().unwrap().op.link().to_string());
    assert!(links.eq((0..300).map(|i| format!("s{i}"))));
    assert_eq!(caller.blocks[1].ops, [], "a block without our operations comes all the same");
    let block = &caller.blocks[1];
    assert_eq!(block.at.id.as_str(), "0000000200000002070707070707070707070707");
    assert_eq!(block.previous.as_str(), "0000000100000001070707070707070707070707");
    assert_eq!(block.time.to_string(), "1970-01-01T00:00:06");
}

/// Bodies of any shape: what is not ours is passed over, what is ours and wrong is refused with its account.
#[tokio::test]
#[ignore = "needs postgresql"]
async fn odd_bodies_stop_nothing() {
    let haf = Haf::start().await;
    let auths = json!(["alice"]);
    let mine = |json: serde_json::Value, auths: &serde_json::Value| {
        custom(&json!({ "id": "alive-test", "json": json, "required_posting_auths": auths }))
    };
    let raw = |body: &str| (18, body.to_owned());
    let skipped = [
        raw("null"),
        raw("7"),
        raw("[]"),
        raw("{}"),
        raw(r#""text""#),
        raw(r#"{"value":[]}"#),
        raw(r#"{"value":{"id":["alive-test"],"json":"{}"}}"#),
        raw(r#"{"value":{"id":"alive-test"}}"#),
        mine(json!({ "op": 1 }), &auths),
        mine(json!(null), &auths),
        mine(json!(5), &auths),
        custom(&json!({ "id": "alive-test ", "json": END, "required_posting_auths": ["alice"] })),
        // What PostgreSQL cannot make JSON of.
        raw("{"),
        raw(r#"{"value":{"id":"alive-test","json":"\u0000"}}"#),
        raw(""),
        raw(r#"{"value":{"id":"alive-test","json":"\ud800"}}"#),
    ];
    let refused = [
        mine(json!(END), &json!([])),
        mine(json!(END), &json!(null)),
        mine(json!(END), &json!({})),
        mine(json!(END), &json!(["alice", "bob"])),
        mine(json!(END), &json!([5])),
        mine(json!(END), &json!("alice")),
        mine(json!("not JSON"), &auths),
        mine(json!(""), &auths),
        mine(
            json!(format!("{{\"op\":1,\"link\":\"s\",\"x\":\"{}\"}}", "x".repeat(1 << 20))),
            &auths,
        ),
        mine(json!(END), &json!(["a".repeat(1 << 20)])),
    ];
    let mut operations = Vec::new();
    for (i, odd) in skipped.iter().chain(&refused).enumerate() {
        operations.push(odd.clone());
        operations.push(ours("bob", &format!(r#"{{"op":2,"link":"good-{i}"}}"#)));
    }
    for _ in 0..5 {
        haf.push(&[]).await;
    }
    haf.push(&operations).await;
    haf.push(&[ours("bob", END)]).await;
    haf.finalize().await;
    let mut caller = Caller::default();
    assert_eq!(caller.catch_up(&haf.source(), 1000).await, [7]);
    let block = &caller.blocks[5];
    let good = block.ops.iter().flatten().filter(|op| op.account.as_str() == "bob").count();
    assert_eq!(good, skipped.len() + refused.len(), "no neighbour of an odd one is lost");
    let wrong: Vec<_> = block.ops.iter().filter_map(|op| op.as_ref().err()).collect();
    assert_eq!(wrong.len(), refused.len());
    let known =
        wrong.iter().filter(|op| op.account.as_ref().is_some_and(|a| a.as_str() == "alice"));
    assert_eq!(known.count(), 3);
    let huge = OpError::Envelope("json is longer than a transaction may be");
    assert!(wrong.iter().any(|op| op.reason == huge));
    assert_eq!(caller.blocks[6].ops.len(), 1);
}

/// Whitespace, key order, escapes and numbers of a payload are inside of a text, which `jsonb` leaves alone.
#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_payload_arrives_byte_for_byte() {
    let haf = Haf::start().await;
    let push = r#" {"link":"s","op":0,"link":"t", "seq":0,"len":1.50e0,"src":"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"}"#;
    let gateway = r#"{"op":2,"link":"s","gw":"https://gateway.example/it's\u002dé"}"#;
    haf.push(&[ours("alice", push), ours("alice", gateway)]).await;
    haf.finalize().await;
    let mut caller = Caller::default();
    caller.catch_up(&haf.source(), 1000).await;
    for (op, payload) in caller.blocks[0].ops.iter().zip([push, gateway]) {
        let read = op.clone().map(|signed| signed.op).map_err(|refused| refused.reason);
        assert_eq!(read, alive_core::Op::from_json(payload));
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_range_of_too_many_bytes_is_cut_between_blocks() {
    let haf = Haf::start().await;
    let payload = format!(r#"{{"op":2,"link":"s","x":"{}"}}"#, "x".repeat(1000));
    for num in 0..20 {
        // One block is more than a range may have; it comes alone.
        let count = if num == 7 { 30 } else { 2 };
        haf.push(&vec![ours("alice", &payload); count]).await;
    }
    haf.finalize().await;
    let source = source_of(haf.config().range_bytes(10_000));
    let mut caller = Caller::default();
    assert_eq!(caller.catch_up(&source, 1000).await, [4, 3, 1, 4, 4, 4]);
    let counts: Vec<_> = caller.blocks.iter().map(|block| block.ops.len()).collect();
    assert_eq!(counts[..9], [2, 2, 2, 2, 2, 2, 2, 30, 2]);
    assert_eq!(haf.committed().await, "20");
}
