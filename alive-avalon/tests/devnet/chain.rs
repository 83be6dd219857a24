//! The chain without HTTP: what it takes, what it makes of it, and that it is still there after a crash.

use alive_avalon::{
    BlockHashing, JsonText, SignedTransaction, Transaction,
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

/// `B58` and `ID` stand for a good signature of alice, `BAD` for the other recovery id.
#[rstest]
#[case::good(r#"[["B58",ID]]"#, "")]
#[case::an_id_that_is_none(
    r#"[["B58",4]]"#,
    "invalid signatures: no key is recovered from one of them"
)]
#[case::another_id(r#"[["B58",BAD]]"#, "insufficient signature weight 0 to reach threshold of 1")]
#[case::half_an_id(r#"[["B58",0.5]]"#, "invalid multisig tx signature #0")]
#[case::an_id_in_words(r#"[["B58",ID],["B58","ID"]]"#, "invalid multisig tx signature #1")]
#[case::twice(r#"[["B58",ID],["B58",ID]]"#, "duplicate signatures found")]
#[case::one_of_two_is_none(
    r#"[["B58",ID],["1",ID]]"#,
    "invalid signatures: no key is recovered from one of them"
)]
#[case::nobody("[]", "insufficient signature weight 0 to reach threshold of 1")]
#[case::nothing(r#""""#, "invalid tx signature")]
#[case::null("null", "invalid tx signature")]
#[case::not_base58(r#""0OIl""#, "invalid signature")]
fn signatures_that_do_not_hold_are_refused_and_nothing_is_applied(
    #[case] signature: &str,
    #[case] want: &str,
) {
    let mut chain = open(config());
    let good = signed(&chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    let (body, list) = good.as_text().as_str().split_once(r#""signature":"#).unwrap();
    let (b58, id) = list.trim_matches(['[', ']', '}', '"']).split_once("\",").unwrap();
    let other = if id == "0" { "1" } else { "0" };
    let signature = signature.replace("B58", b58).replace("BAD", other).replace("ID", id);
    let text = format!("{body}\"signature\":{signature}}}");
    let pushed = SignedTransaction::from_json(&text).unwrap();
    let taken = chain.push_transaction(pushed, chain.head().time_ms());
    assert_eq!(taken.map_or_else(|words| words, |_| String::new()), want);
    assert_eq!(chain.pending(), usize::from(want.is_empty()));
}

/// What a client of ours would never make: the text is signed as it stands.
#[rstest]
#[case::half_a_character(r#"{"link":"show","json":{"a":"\ud800"}}"#, "unserializable transaction")]
#[case::a_prototype(
    r#"{"link":"show","json":{"__proto__":{"a":1}}}"#,
    "invalid tx hash does not match"
)]
#[case::a_key_with_nul(r#"{"link":"show","json":{"a\u0000":1}}"#, "throw")]
#[case::keys_twice(r#"{"link":"s","json":5,"link":"show","json":{"a":1,"a":2}}"#, "")]
#[case::odd_numbers(r#"{"link":"show","json":{"n":[1e21,-0,1E400,0.10,9007199254740993]}}"#, "")]
fn odd_json_is_taken_as_javascript_takes_it(#[case] data: &str, #[case] want: &str) {
    let mut chain = open(config());
    let now = chain.head().time_ms();
    let text = format!(r#"{{"type":25,"data":{data},"sender":"alice","ts":{now}}}"#);
    let transaction = Transaction::from_json(&text).unwrap();
    let pushed = chain.push_transaction(transaction.sign(&[&key("alice")]), now);
    match pushed {
        Ok(_) => assert_eq!(want, ""),
        Err(words) => assert!(!want.is_empty() && words.contains(want), "{words}"),
    }
    assert_eq!(chain.pending(), usize::from(want.is_empty()));
}

#[rstest]
#[case::too_early(3_600_001, "timestamp expiration exceeds max limit of 3600000ms")]
#[case::as_early_as_can_be(3_600_000, "")]
#[case::as_late_as_can_be(-60_000, "")]
#[case::too_late(-60_001, "invalid timestamp")]
fn times_are_taken_within_their_limits(#[case] offset_ms: i64, #[case] want: &str) {
    let mut chain = open(config());
    let now = chain.head().time_ms();
    let data = r#"{"link":"show","json":{}}"#;
    let pushed = chain.push_transaction(signed_at(now + offset_ms, "alice", 25, data), now);
    assert_eq!(pushed.map_or_else(|words| words, |_| String::new()), want);
    assert_eq!(chain.pending(), usize::from(want.is_empty()));
}

#[test]
fn a_push_of_more_entries_than_a_playlist_has_room_for_changes_nothing() {
    let mut chain = open(config());
    taken(&mut chain, "alice", 25, r#"{"link":"show","json":{}}"#);
    let push = |count| {
        let seq: Vec<_> = (0..count).map(|id| format!(r#"[{id},"x"]"#)).collect();
        format!(r#"{{"link":"show","seq":[{}]}}"#, seq.join(","))
    };
    assert_eq!(
        refused(&mut chain, "alice", 26, &push(1001)),
        "playlist sequence max limit exceeded"
    );
    let found = chain.respond("GET", "/playlist/alice/show", true, b"", 0);
    assert!(found.body.ends_with(r#""playlist":{}}"#), "{}", found.body);
    taken(&mut chain, "alice", 26, &push(1000));
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
