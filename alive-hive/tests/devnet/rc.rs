//! Resource credits of the development node: what transactions cost, who runs out, what the calls tell.

use alive_hive::{
    JsonForm, KeyPrefix, Pack, Role,
    cost::{Manabar, ObjectSizes, Prices, RcParams},
    devnet::{Fate, TransactionError},
};
use serde_json::json;
use tempfile::TempDir;

use super::support::{
    at, call, comment, config, data, error, open, result, serve_at_start, signed_by,
};

/// Enough for two pieces of data and not for three.
fn limit() -> u64 {
    let node = open(config());
    let signed = data(&node, "{}");
    let used = ObjectSizes::HIVED.usage(&signed, Pack::Legacy, node.head_time());
    Prices::mainnet_example().cost(&used).total * 5 / 2
}

#[test]
fn an_account_that_runs_out_is_told_what_it_has_and_needs_and_waits() {
    let limit = limit();
    let mut node = open(config().credits(limit).irreversible_lag(10));
    assert_eq!(node.credits("alice").unwrap().current, limit);
    for number in 0..2 {
        node.push_transaction(data(&node, &number.to_string())).unwrap();
    }
    let third = data(&node, "2");
    let Err(TransactionError::NotEnoughCredits { account, has, needs }) =
        node.push_transaction(third.clone())
    else {
        panic!("taken")
    };
    assert_eq!((&*account, has), ("alice", limit - 2 * needs));
    // It has half a price left, and a 48th of one comes back in an hour.
    node.produce_block(at(3)).unwrap();
    let mut later = third.transaction;
    for (day, fits) in [(12, false), (25, true)] {
        let block = node.produce_block(at(day * 3600)).unwrap();
        let tapos = alive_hive::Tapos::of(&block);
        (later.ref_block_num, later.ref_block_prefix) =
            (tapos.ref_block_num, tapos.ref_block_prefix);
        later.expiration = node.head_time().after_secs(60);
        let key = super::support::key("alice", Role::Posting);
        let pushed = node.push_transaction(super::support::sign(later.clone(), &[&key]));
        assert_eq!(pushed.is_ok(), fits, "after {day} hours: {pushed:?}");
    }
    assert!(
        node.push_transaction(signed_by(
            &node,
            "bob",
            Role::Posting,
            alive_hive::CustomJson::posting("bob", "alive-test", "{}"),
        ))
        .is_ok(),
        "others have their own"
    );
}

#[test]
fn nobody_runs_out_where_there_is_no_limit() {
    let mut node = open(config());
    let before = node.credits("alice").unwrap();
    node.push_transaction(data(&node, "{}")).unwrap();
    assert_eq!(node.credits("alice"), Some(before));
    assert_eq!(node.credits("nobody"), None);
}

#[test]
fn credits_come_back_with_a_fork_and_are_the_same_after_reopening() {
    let folder = TempDir::new().unwrap();
    let config = config().credits(limit()).irreversible_lag(10).folder(folder.path());
    let mut node = open(config.clone());
    node.push_transaction(data(&node, "1")).unwrap();
    node.produce_block(at(3)).unwrap();
    node.push_transaction(data(&node, "2")).unwrap();
    node.produce_block(at(6)).unwrap();
    let left = node.credits("alice").unwrap();
    drop(node);
    let mut node = open(config);
    assert_eq!(node.credits("alice"), Some(left));
    node.fork(2, Fate::Lose).unwrap();
    let bar = node.credits("alice").unwrap();
    assert_eq!(bar.current, bar.max);
}

#[tokio::test]
async fn the_refusal_has_hiveds_code_and_words() {
    let server = serve_at_start(config().credits(5)).await;
    let signed = server.with(|node| data(node, "{}"));
    let params = json!([signed.to_json(JsonForm::Legacy, &KeyPrefix::STM)]);
    let refused = error(&server, "condenser_api.broadcast_transaction", params).await;
    assert_eq!(refused["code"], -32003);
    assert_eq!(refused["data"]["code"], 4_100_100);
    assert_eq!(refused["data"]["name"], "not_enough_rc_exception");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("Account: alice has 5 RC, needs "), "{message}");
    assert!(message.ends_with(" RC. Please wait to transact, or power up HIVE."), "{message}");
}

#[tokio::test]
async fn the_calls_tell_params_pools_stats_and_accounts_as_clients_read_them() {
    let server = serve_at_start(config().credits(1_000_000_000_000)).await;
    let params = result(&server, "rc_api.get_resource_params", json!({})).await;
    assert_eq!(RcParams::from_json(&params), Ok(RcParams::hived()));
    let pools = result(&server, "rc_api.get_resource_pool", json!({})).await;
    assert_eq!(Prices::pools_from_json(&pools), Ok(Prices::mainnet_example().pools));
    let stats = result(&server, "rc_api.get_rc_stats", json!({})).await;
    assert_eq!(Prices::shares_from_json(&stats), Ok(Prices::mainnet_example().shares));
    let properties = result(&server, "database_api.get_dynamic_global_properties", json!({})).await;
    let vests: u64 =
        properties["total_vesting_shares"]["amount"].as_str().unwrap().parse().unwrap();
    assert_eq!(Prices::regen_of(vests), Prices::mainnet_example().regen);

    // What is estimated from these answers is what the node then takes.
    let (signed, now) = server.with(|node| (data(node, "{}"), node.head_time()));
    let used = ObjectSizes::HIVED.usage(&signed, Pack::Legacy, now);
    let estimate = Prices::mainnet_example().cost(&used).total;
    let id = server.with(|node| {
        let id = node.push_transaction(signed).unwrap();
        node.produce_block(at(3)).unwrap();
        id
    });
    let asked = json!({ "transaction_id": id });
    let found = result(&server, "transaction_status_api.find_transaction", asked).await;
    assert_eq!(found["rc_cost"], estimate);
    let asked = json!({ "accounts": ["alice", "nobody"] });
    let accounts = result(&server, "rc_api.find_rc_accounts", asked).await;
    assert_eq!(accounts["rc_accounts"].as_array().unwrap().len(), 1);
    let bar = Manabar::from_json(&accounts, "alice").unwrap().unwrap();
    assert_eq!((bar.max, bar.current), (1_000_000_000_000, 1_000_000_000_000 - estimate));

    let asked = json!({ "operation": "custom_json_operation" });
    let of_data = result(&server, "rc_api.get_rc_operation_stats", asked).await;
    assert_eq!((&of_data["count"], &of_data["avg_cost_rc"]), (&json!(1), &json!(estimate)));
    assert_eq!(of_data["resource_usage"]["history_bytes"], used.history_bytes);
    assert_eq!(of_data["resource_usage"]["exec_ns"], used.execution_time);
    let asked = json!({ "operation": "vote_operation" });
    let of_votes = result(&server, "rc_api.get_rc_operation_stats", asked).await;
    assert_eq!((&of_votes["count"], &of_votes["avg_cost_rc"]), (&json!(0), &json!(0)));
    let wrong = call(&server, "rc_api.get_everything", json!({})).await;
    assert_eq!(wrong["error"]["code"], -32601);
}

#[test]
fn a_post_costs_more_than_data() {
    let mut node = open(config().credits(u64::MAX / 2));
    let before = node.credits("alice").unwrap().current;
    node.push_transaction(data(&node, "{}")).unwrap();
    let after_data = node.credits("alice").unwrap().current;
    let post = signed_by(&node, "alice", Role::Posting, comment("alice", "p", None));
    node.push_transaction(post).unwrap();
    let after_post = node.credits("alice").unwrap().current;
    assert!(after_data - after_post > before - after_data);
}
