//! What a stream costs, and whether an account can pay: against real transactions and a second by second simulation.

#![cfg(test)]

use std::time::Duration;

use alive_core::Op;
use alive_hive::{
    CustomJson, HiveNetwork, Pack, PrivateKey, SignAlgorithm, Tapos, TimePoint, Transaction,
    cost::{Forecast, Manabar, PerResource, PlanError, RcSnapshot, StreamCost, StreamPlan},
    post::NewPost,
};
use proptest::prelude::*;

const START: TimePoint = TimePoint::from_unix_secs(1_795_219_200);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn hours(hours: u64) -> Duration {
    secs(hours * 3600)
}

fn plan(length: Duration) -> StreamPlan {
    StreamPlan::new("alice".parse().unwrap(), "stream1".parse().unwrap(), length)
}

fn cost(plan: &StreamPlan) -> StreamCost {
    let RcSnapshot { sizes, prices } = RcSnapshot::mainnet_example();
    plan.cost(&sizes, &prices).unwrap()
}

fn counts(cost: &StreamCost) -> Vec<(&'static str, u64)> {
    cost.items().map(|item| (item.name, item.count)).collect()
}

/// Bytes of a real transaction of alice that carries this.
fn bytes(json: &str) -> u64 {
    let op = CustomJson::posting("alice", "alive-test", json);
    let tapos = Tapos { ref_block_num: 1, ref_block_prefix: 2 };
    let transaction = Transaction::new(tapos, START.after_secs(60), vec![op.into()]);
    let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
    let chain = HiveNetwork::hive().chain_id;
    let signed = transaction.sign(&[&key], &chain, SignAlgorithm::Dhive);
    u64::try_from(signed.to_bytes(Pack::Legacy).len()).unwrap()
}

#[test]
fn a_stream_is_one_transaction_to_create_one_to_end_and_one_for_each_interval() {
    assert_eq!(counts(&cost(&plan(hours(2)))), [("configure", 1), ("push", 120), ("end", 1)]);
    let half = plan(hours(2)).interval(secs(30));
    assert_eq!(cost(&half).push().count, 240);
    let odd = plan(secs(61));
    assert_eq!(cost(&odd).push().count, 2);
    assert_eq!(cost(&plan(Duration::ZERO)).push().count, 0);
}

#[test]
fn no_push_has_less_than_a_segment_nor_more_than_a_chunk_holds() {
    let every_segment = cost(&plan(hours(1)).interval(Duration::ZERO).segment(secs(4)));
    assert_eq!((every_segment.push().count, every_segment.push_interval()), (900, secs(4)));
    // 4200 bytes hold 63 lines of a 59-byte id and a length such as 1.001, with comma and line end.
    let full = cost(&plan(hours(1)).interval(secs(300)).segment(secs(1)));
    assert_eq!(full.push_interval(), secs(4201 / 66));
}

#[test]
fn the_bytes_are_those_of_real_transactions() {
    let cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let chunk = cost(&plan(hours(1)));
    let push = format!(r#"{{"op":0,"seq":59,"link":"stream1","src":"{cid}"}}"#);
    assert!(Op::from_json(&push).is_ok());
    assert_eq!(chunk.push().bytes, bytes(&push));

    let direct = cost(&plan(secs(90)).interval(Duration::ZERO).renditions(2));
    let renditions = format!(r#""240":"{cid}","480":"{cid}""#);
    let push =
        format!(r#"{{"op":0,"seq":8,"link":"stream1","src":"{cid}","len":10.001,{renditions}}}"#);
    let Op::Push(parsed) = Op::from_json(&push).unwrap() else { panic!("{push}") };
    assert_eq!(direct.push().bytes, bytes(&Op::Push(parsed).to_json()));

    let end = chunk.items().find(|item| item.name == "end").unwrap();
    assert_eq!(end.bytes, bytes(r#"{"op":1,"link":"stream1"}"#));
    let total: u64 = chunk.items().map(|item| item.count * item.bytes).sum();
    assert_eq!(chunk.bytes(), total);
    assert_eq!(chunk.total(), chunk.items().map(|item| item.count * item.cost.total).sum::<u64>());
}

#[test]
fn renditions_and_long_names_make_pushes_dearer_and_a_post_is_made_and_edited() {
    let plain = cost(&plan(hours(1)));
    let four = cost(&plan(hours(1)).renditions(4));
    assert!(four.push().cost.total > plain.push().cost.total * 3 / 2);
    assert_eq!(four.transactions(), plain.transactions());
    let long = cost(&plan(hours(1)).custom_json_id("x".repeat(32)));
    assert_eq!(long.push().bytes - plain.push().bytes, 22);

    let stream = "hive/alice/stream1".parse().unwrap();
    let post = NewPost::new(stream, "Live", "Now.").operations(&HiveNetwork::hive()).unwrap();
    let with_post = cost(&plan(hours(1)).post(post));
    let names = with_post.items().map(|item| item.name).collect::<Vec<_>>();
    assert_eq!(names, ["post", "configure", "push", "end", "edit"]);
    // A post stays in a node's memory, so it costs more than a hundred pushes' share of it.
    let post = with_post.items().next().unwrap();
    assert!(post.used.state_bytes > 4_237_056);
}

#[test]
fn what_no_stream_can_be_is_refused() {
    let RcSnapshot { sizes, prices } = RcSnapshot::mainnet_example();
    let refused = |plan: StreamPlan| plan.cost(&sizes, &prices).unwrap_err();
    assert_eq!(refused(plan(hours(30 * 24 + 1))), PlanError::TooLong);
    assert_eq!(refused(plan(hours(1)).renditions(5)), PlanError::Renditions(5));
    assert_eq!(refused(plan(hours(1)).segment(Duration::ZERO)), PlanError::Segment);
    assert_eq!(refused(plan(hours(1)).segment(hours(24 * 365))), PlanError::Segment);
    let often = plan(hours(24)).interval(secs(4)).segment(secs(4));
    assert_eq!(refused(often), PlanError::TooManyPushes { count: 21_600 });
    let just = plan(hours(24)).interval(secs(5)).segment(secs(5));
    assert_eq!(cost(&just).push().count, 17_280);
}

fn bar(current: u64, max: u64) -> Manabar {
    Manabar { current, max, updated: START }
}

#[test]
fn an_account_with_enough_can_pay_and_one_with_less_is_told_when_it_ends_and_what_to_do() {
    let cost = cost(&plan(hours(10)));
    let total = cost.total();
    let rich = Forecast::of(&cost, &bar(total * 5, total * 5), START);
    assert!(rich.can_pay() && rich.wait == Some(Duration::ZERO) && rich.runs_out_after.is_none());
    assert!(rich.to_string().contains("at its end"), "{rich}");

    // Half of it now, and a tenth of it comes back during the stream: waiting helps.
    let poor = Forecast::of(&cost, &bar(total / 2, total * 6 / 5), START);
    assert!(!poor.can_pay());
    let (after, wait) = (poor.runs_out_after.unwrap(), poor.wait.unwrap());
    assert!(hours(5) < after && after < hours(7), "{poor:?}");
    assert!(wait > Duration::ZERO && poor.to_string().contains("wait"), "{poor}");
    let later = START.after_secs(u32::try_from(wait.as_secs()).unwrap());
    assert!(Forecast::of(&cost, &bar(total / 2, total * 6 / 5), later).can_pay());
    let sooner = START.after_secs(u32::try_from(wait.as_secs()).unwrap() - 1);
    assert!(!Forecast::of(&cost, &bar(total / 2, total * 6 / 5), sooner).can_pay());

    // Never so much: waiting does not help.
    let never = Forecast::of(&cost, &bar(total / 4, total / 4), START);
    assert_eq!((never.can_pay(), never.wait), (false, None));
    assert!(never.to_string().contains("for ever"), "{never}");
    let nothing = Forecast::of(&cost, &bar(0, 0), START);
    assert_eq!((nothing.runs_out_after, nothing.sustained_interval), (Some(Duration::ZERO), None));
    assert_eq!(nothing.sustained_pushes_per_hour(), 0);
    assert!(nothing.to_string().contains("HIVE POWER"), "{nothing}");
}

#[test]
fn a_push_each_sustained_interval_goes_on_for_ever_and_a_little_faster_does_not() {
    let month = hours(30 * 24);
    let one = cost(&plan(month).interval(secs(300))).push().cost.total;
    // A push comes back in 200 seconds: every 300 is sustained, though the account holds few.
    let max = one * 432_000 / 200;
    let of = |interval: u64, has: u64| {
        let plan = plan(hours(40)).interval(secs(interval)).segment(secs(50));
        Forecast::of(&cost(&plan), &bar(has, max), START)
    };
    let sustained = of(300, one * 4).sustained_interval.unwrap();
    assert!(sustained.as_secs().abs_diff(200) <= 2, "{sustained:?}");
    assert_eq!(of(300, one * 4).sustained_pushes_per_hour(), 18);
    assert!(of(300, one * 4).can_pay());
    assert!(!of(150, one * 4).can_pay());
}

#[test]
fn where_nothing_costs_anything_everybody_can_pay() {
    let mut snapshot = RcSnapshot::mainnet_example();
    snapshot.prices.regen = 0;
    let cost = plan(hours(1)).cost(&snapshot.sizes, &snapshot.prices).unwrap();
    let forecast = Forecast::of(&cost, &bar(0, 0), START);
    assert!(forecast.can_pay());
    assert_eq!((forecast.needs, forecast.sustained_interval), (0, Some(Duration::ZERO)));
}

/// Second by second, without closed forms: what the account has left, or the second of the first failure.
fn slowly(cost: &StreamCost, start: u64, max: u64) -> Result<u64, u64> {
    let length = cost.length().as_secs();
    let mut has = start.min(max);
    let mut last = 0;
    let mut pushes = cost.push().count;
    let spend = |has: &mut u64, credits: u64, second| match has.checked_sub(credits) {
        Some(rest) => {
            *has = rest;
            Ok(())
        }
        None => Err(second),
    };
    let total = |names: &[&str]| -> Vec<u64> {
        cost.items().filter(|item| names.contains(&item.name)).map(|item| item.cost.total).collect()
    };
    for credits in total(&["post", "configure"]) {
        spend(&mut has, credits, 0)?;
    }
    let mut due = cost.push_interval().as_secs();
    for second in 0..=length {
        // The chain rounds down whenever an account is used, and only then.
        let back = |since: u64| {
            u64::try_from(u128::from(max) * u128::from(second - since) / 432_000).unwrap()
        };
        while pushes > 0 && (second == due || second == length) {
            has = (has + back(last)).min(max);
            last = second;
            spend(&mut has, cost.push().cost.total, second)?;
            pushes -= 1;
            due += cost.push_interval().as_secs();
        }
        if second == length {
            has = (has + back(last)).min(max);
            last = second;
        }
    }
    for credits in total(&["end", "edit"]) {
        spend(&mut has, credits, length)?;
    }
    Ok(has)
}

proptest! {
    #[test]
    fn the_forecast_is_what_happens(
        length in 0_u64..20_000,
        interval in 5_u64..300,
        renditions in 0_usize..5,
        has in 0_u64..400,
        max in 1_u64..400,
    ) {
        let cost = cost(&plan(secs(length)).interval(secs(interval)).segment(secs(5)).renditions(renditions));
        let one = cost.push().cost.total;
        let bar = bar(has * one / 2, max * one);
        let forecast = Forecast::of(&cost, &bar, START);
        match slowly(&cost, bar.current, bar.max) {
            Ok(left) => prop_assert_eq!((forecast.left, forecast.runs_out_after), (Some(left), None)),
            Err(second) => {
                prop_assert_eq!((forecast.left, forecast.runs_out_after), (None, Some(secs(second))));
            }
        }
        prop_assert_eq!(forecast.wait == Some(Duration::ZERO), forecast.can_pay());
    }

    #[test]
    fn a_longer_stream_never_takes_less(length in 0_u64..80_000, more in 0_u64..80_000) {
        let of = |length| cost(&plan(secs(length)));
        let (short, long) = (of(length), of(length + more));
        prop_assert!(short.transactions() <= long.transactions());
        prop_assert!(short.total() <= long.total());
    }
}

#[test]
fn the_snapshot_of_a_node_is_read_from_its_answers() {
    let snapshot = RcSnapshot::mainnet_example();
    let json = snapshot.to_json();
    let vesting = snapshot.prices.regen * 144_000 + 77;
    let read = RcSnapshot::from_answers(
        &json["get_resource_params"],
        &json["get_resource_pool"],
        &json["get_rc_stats"],
        vesting,
    );
    assert_eq!(read, Ok(snapshot));
    let properties = |shares| serde_json::json!({ "total_vesting_shares": shares });
    let total = |shares| alive_hive::cost::total_vesting_shares(&properties(shares));
    let nai = serde_json::json!({ "amount": "1234567", "precision": 6, "nai": "@@000000037" });
    assert_eq!(total(nai), Ok(1_234_567));
    assert_eq!(total("1.234567 VESTS".into()), Ok(1_234_567));
    assert!(total("1.000 HIVE".into()).is_err());
    assert!(total(serde_json::json!(7)).is_err());
}

#[test]
fn a_custom_json_of_the_spec_uses_what_the_spec_says() {
    let cost = cost(&plan(hours(1)));
    let push = cost.push();
    let used = PerResource {
        history_bytes: push.bytes,
        state_bytes: 128,
        execution_time: 6622 + 94_165 + 1509,
        ..PerResource::default()
    };
    assert_eq!(push.used, used);
}
