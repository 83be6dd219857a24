//! The chain without HTTP: what it takes, what it makes of it, and that it is still there after a crash.

use alive_avalon::{
    BlockHashing, JsonText, Transaction,
    devnet::{DevAccount, Devnet, DevnetConfig, DevnetError, dev_key},
};
use rstest::rstest;

use super::support::{START_MS, config, count_of, key, open, signed, signed_at, step};

fn refused(chain: &mut Devnet, sender: &str, kind: u8, data: &str) -> String {
    let transaction = signed(chain, sender, kind, data);
    chain.push_transaction(transaction, chain.head().time_ms()).unwrap_err()
}

fn taken(chain: &mut Devnet, sender: &str, kind: u8, data: &str) {
    let transaction = signed(chain, sender, kind, data);
    let now = chain.head().time_ms();
    chain.push_transaction(transaction, now).unwrap();
    step(chain);
}

#[test]
fn blocks_follow_each_other_and_are_signed() {
    let mut chain = open(config());
    let leader = dev_key("dtube", "leader").public_key();
    for _ in 0..3 {
        let before = chain.head().clone();
        taken(&mut chain, "alice", 25, &format!(r#"{{"link":"s-{}","json":{{}}}}"#, before.num()));
        let block = chain.head();
        block.check(BlockHashing::V2, Some(&leader)).unwrap();
        assert_eq!((block.previous(), block.num()), (before.hash(), before.num() + 1));
        assert_eq!(block.transactions().count(), 1);
    }
}

#[test]
fn a_pop_that_would_crash_a_real_node_is_refused_and_never_in_a_block() {
    let mut chain = open(config());
    let pop = r#"{"link":"show","seq":[0]}"#;
    assert_eq!(refused(&mut chain, "alice", 27, pop), "playlist does not exist");
    // Valid when it was taken, but the block in which its playlist came is replaced.
    taken(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    let transaction = signed(&chain, "alice", 27, pop);
    chain.push_transaction(transaction, chain.head().time_ms()).unwrap();
    chain.pop_blocks(1, false).unwrap();
    step(&mut chain);
    assert_eq!(count_of(&chain, 27), 0);
}

#[test]
fn what_one_transaction_makes_invalid_is_dropped_from_the_same_block() {
    let mut chain = open(config());
    taken(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    let now = chain.head().time_ms();
    for (at, from) in [(0, 0), (1, 600)] {
        let seq: Vec<_> = (from..from + 600).map(|id| format!(r#"[{id},"x"]"#)).collect();
        let data = format!(r#"{{"link":"show","seq":[{}]}}"#, seq.join(","));
        chain.push_transaction(signed_at(now + at, "alice", 26, &data), now).unwrap();
    }
    step(&mut chain);
    assert_eq!((count_of(&chain, 26), chain.pending()), (1, 0));
}

#[test]
fn a_transaction_counts_once_and_waits_once() {
    let mut chain = open(config());
    let transaction = signed(&chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    let now = chain.head().time_ms();
    for _ in 0..2 {
        chain.push_transaction(transaction.clone(), now).unwrap();
    }
    assert_eq!(chain.pending(), 1);
    step(&mut chain);
    let again = chain.push_transaction(transaction.clone(), now + 3000).unwrap_err();
    assert_eq!(again, "transaction already in chain");
    (0..30).for_each(|_| {
        step(&mut chain);
    });
    let late = chain.push_transaction(transaction, chain.head().time_ms()).unwrap_err();
    assert_eq!(late, "invalid timestamp");
}

#[test]
fn bandwidth_runs_out_and_comes_back() {
    let poor = {
        let mut account = DevAccount::from_password("poor", "x");
        account.account.base_growth = 36_000.0;
        account.account.bandwidth = Some(alive_avalon::Growing { value: 400.0, at_ms: 0.0 });
        account.account.bandwidth.as_mut().unwrap().at_ms = 1_795_219_484_711.0;
        account
    };
    let mut chain = open(config().account(poor));
    let data = |n| format!(r#"{{"link":"show-{n}","json":{{}}}}"#);
    taken(&mut chain, "poor", 25, &data(1));
    let words = refused(&mut chain, "poor", 25, &data(2));
    assert!(words.starts_with("need more bandwidth ("), "{words}");
    // One character a second.
    (0..100).for_each(|_| {
        step(&mut chain);
    });
    taken(&mut chain, "poor", 25, &data(2));
}

#[test]
fn keys_weights_and_thresholds_change_by_transactions() {
    let mut chain = open(config());
    let custom = key("custom").public_key();
    let add = format!(r#"{{"id":"s","pub":"{custom}","types":[25,26],"weight":2}}"#);
    taken(&mut chain, "alice", 20, &add);
    assert_eq!(refused(&mut chain, "alice", 20, &add), "cannot create key with duplicate id");
    taken(&mut chain, "alice", 21, r#"{"thresholds":{"25":3,"26":2}}"#);
    let words = refused(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    assert_eq!(words, "insufficient signature weight 1 to reach threshold of 3");
    let data = JsonText::of(r#"{"link":"show","json":{}}"#).unwrap();
    let now = chain.head().time_ms();
    let both = Transaction::new(25, &data, "alice", now).unwrap();
    chain.push_transaction(both.sign(&[&key("alice"), &key("custom")]), now).unwrap();
    step(&mut chain);
    taken(&mut chain, "alice", 23, r#"{"types":[25,26]}"#);
    taken(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    taken(&mut chain, "bob", 29, r#"{"user":"alice","id":"s","types":[25],"weight":1}"#);
    let now = chain.head().time_ms();
    let other = Transaction::new(25, &data, "bob", now).unwrap().sign_single(&key("custom"));
    chain.push_transaction(other, now).unwrap();
    taken(&mut chain, "bob", 30, r#"{"user":"alice","id":"s"}"#);
    taken(&mut chain, "alice", 11, r#"{"id":"s"}"#);
    taken(&mut chain, "alice", 22, r#"{"weight":1}"#);
    taken(&mut chain, "alice", 12, &format!(r#"{{"pub":"{custom}"}}"#));
    let words = refused(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    assert!(words.contains("insufficient signature weight 0"), "{words}");
}

#[test]
fn accounts_are_made_by_the_master_and_posts_by_all() {
    let mut chain = open(config());
    let new = format!(r#"{{"name":"carol","pub":"{}","bw":2000}}"#, key("carol").public_key());
    let data = JsonText::of(&new).unwrap();
    let master = Transaction::new(24, &data, "dtube", chain.head().time_ms()).unwrap();
    let now = chain.head().time_ms();
    chain.push_transaction(master.sign(&[&dev_key("dtube", "dtube")]), now).unwrap();
    step(&mut chain);
    taken(&mut chain, "carol", 25, r#"{"link":"show","json":{}}"#);
    let post = r#"{"link":"show","json":{"title":"Live now"},"vt":5,"tag":"alive"}"#;
    assert!(refused(&mut chain, "carol", 4, post).contains("not enough VP"));
    taken(&mut chain, "alice", 4, post);
    let answer = r#"{"link":"re","pa":"alice","pp":"show","json":{},"vt":-1,"tag":""}"#;
    taken(&mut chain, "bob", 4, answer);
    let (json, now) = (JsonText::of(r#"{"title":"Over"}"#).unwrap(), chain.head().time_ms());
    let edit = alive_avalon::post::edit("alice", "show", &json, now).unwrap();
    chain.push_transaction(edit.sign(&[&key("alice")]), now).unwrap();
    let new = alive_avalon::post::Post {
        link: "clip",
        json: &json,
        votes: 2,
        tag: "alive",
        parent: Some(("alice", "show")),
    };
    let new = alive_avalon::post::post("bob", &new, now).unwrap();
    chain.push_transaction(new.sign_single(&key("bob")), now).unwrap();
    step(&mut chain);
    let orphan = answer.replace("show", "none");
    assert!(refused(&mut chain, "bob", 4, &orphan.replace("re\"", "re2\"")).contains("parent"));
    let found = chain.respond("GET", "/content/alice/show", true, b"", now);
    let post: serde_json::Value = serde_json::from_str(&found.body).unwrap();
    assert_eq!(post["json"]["title"], "Over");
    assert_eq!(post["child"], serde_json::json!([["bob", "re"], ["bob", "clip"]]));
    assert_eq!(post["votes"][0]["u"], "alice");
}

#[rstest]
#[case(3, r#"{"receiver":"bob","amount":1,"memo":""}"#, "forbidden transaction type 3")]
#[case(14, r"{}", "only \"dtube\" can execute this transaction type")]
#[case(40, r"{}", "forbidden transaction type 40")]
#[case(25, r#"{"link":"show","json":{},"x":1}"#, "unknown tx.data.x")]
#[case(10, r#"{"id":"s","pub":"nokey","types":[25]}"#, "invalid tx data.pub")]
#[case(
    10,
    r#"{"id":"","pub":"wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy","types":[25]}"#,
    "invalid tx data.id"
)]
#[case(
    10,
    r#"{"id":"s","pub":"wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy","types":[]}"#,
    "invalid tx data.types"
)]
#[case(21, r#"{"thresholds":{"x":1}}"#, "invalid tx data.thresholds")]
#[case(29, r#"{"user":"nobody","id":"s","types":[25],"weight":1}"#, "invalid tx data.user")]
#[case(
    0,
    r#"{"name":"dan","pub":"wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy"}"#,
    "invalid tx not enough balance"
)]
fn what_breaks_a_rule_is_refused_in_words(
    #[case] kind: u8,
    #[case] data: &str,
    #[case] want: &str,
) {
    let mut chain = open(config());
    assert_eq!(refused(&mut chain, "alice", kind, data), want);
}

#[test]
fn a_chain_goes_on_from_its_folder_and_a_line_cut_off_by_a_crash_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let config = || config().folder(folder.path());
    let mut chain = open(config());
    taken(&mut chain, "alice", 25, r#"{"link":"show","json":{"live":true}}"#);
    taken(&mut chain, "alice", 26, r#"{"link":"show","seq":[[0,"a"]]}"#);
    step(&mut chain);
    chain.pop_blocks(1, false).unwrap();
    let (head, show) =
        (chain.head().clone(), chain.respond("GET", "/playlist/alice/show", true, b"", 0));
    assert!(matches!(Devnet::open(config(), START_MS), Err(DevnetError::Log(_))), "one at a time");
    drop(chain);
    let log = folder.path().join("avalon-blocks.jsonl");
    let whole = std::fs::read(&log).unwrap();
    for cut in [0, 1, 40] {
        std::fs::write(
            &log,
            [&whole[..], &whole[whole.len() - 300..whole.len() - 1 - cut]].concat(),
        )
        .unwrap();
        let mut chain = open(config().account(DevAccount::from_password("late", "x")));
        assert_eq!(chain.head(), &head);
        assert_eq!(chain.respond("GET", "/playlist/alice/show", true, b"", 0), show);
        taken(&mut chain, "late", 25, r#"{"link":"show","json":{}}"#);
        drop(chain);
        std::fs::write(&log, &whole).unwrap();
    }
    let text = String::from_utf8(whole).unwrap().replace("\"a\"", "\"b\"");
    std::fs::write(&log, text).unwrap();
    let refused = Devnet::open(config(), START_MS).unwrap_err();
    assert!(matches!(refused, DevnetError::Line { .. }), "a changed block is noticed: {refused:?}");
}

#[test]
fn no_more_than_the_undoable_blocks_are_taken_back() {
    let mut chain = Devnet::open(DevnetConfig::default(), START_MS).unwrap();
    (0..5).for_each(|_| {
        step(&mut chain);
    });
    assert!(matches!(chain.pop_blocks(6, true), Err(DevnetError::TooDeep(6))));
    chain.pop_blocks(5, true).unwrap();
    assert!(chain.pop_blocks(1, true).is_err(), "the first block stays");
}
