//! Bodies of the fuzz targets: sequences of actions under both rule sets, and scenarios in any text. Not part of the API.
//!
//! Each takes any bytes and panics when a promise is broken; the tests below call them with made-up bytes, a coverage
//! guided fuzzer with better ones.
#![expect(clippy::panic, reason = "a broken promise is a panic, which is what a fuzzer looks for")]

mod follower;
mod tape;

use std::collections::BTreeMap;

use alive_core::AccountName;

use crate::{
    amount::Amount,
    call::Call,
    params::Params,
    refusal::Refusal,
    scenario::Scenario,
    stake::{Stake, State},
};

use follower::Follower;
use tape::Tape;

/// Most actions of one run: each keeps a copy of the state.
const MAX_STEPS: usize = 400;

/// How often each call was accepted, and how often each refusal was given.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Tally {
    accepted: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
    undone: usize,
}

/// Any actions under `mature`: supply is conserved but for inflation, nobody is owed more than there is, a refused
/// action changes nothing, effects tell all, the pool is that of a slow model, undoing restores and replaying repeats.
///
/// # Panics
/// It is not so.
pub fn mature(data: &[u8]) -> Tally {
    let mut tape = Tape::new(data);
    let params = tape.mature_params();
    run(tape, &params)
}

/// Any actions under `milestone-2017`: as above, but for what is owed and the pool.
///
/// # Panics
/// It is not so.
pub fn milestone(data: &[u8]) -> Tally {
    let mut tape = Tape::new(data);
    let params = tape.milestone_params();
    run(tape, &params)
}

/// Any text: it is refused, or runs to its end the same way twice.
///
/// # Panics
/// It is not so.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(scenario) = text.parse::<Scenario>() else { return };
    let (Ok(once), Ok(again)) = (scenario.run(), scenario.run()) else {
        panic!("its parameters were accepted");
    };
    assert_eq!(once.to_json(), again.to_json());
    assert_eq!(once.steps.len(), scenario.actions().len());
}

type Done = (u64, AccountName, Call);

fn run(mut tape: Tape<'_>, params: &Params) -> Tally {
    let mut tally = Tally::default();
    let mut stake = start(params);
    let mut follower = Follower::new(params);
    // The state and the follower after the last action of each block, and how many actions led there.
    let mut past: Vec<(Stake, Follower, usize)> = Vec::new();
    let mut done: Vec<Done> = Vec::new();
    for _ in 0..MAX_STEPS {
        let Some(step) = tape.step(&stake) else { break };
        match step {
            tape::Step::Act { block, from, call } => {
                if block > stake.block() {
                    past.push((stake.clone(), follower.clone(), done.len()));
                }
                act(&mut stake, &mut follower, &mut tally, block, &from, &call);
                done.push((block, from, call));
            }
            tape::Step::Undo { block } => {
                let last = past.iter().rposition(|(stake, ..)| stake.block() <= block);
                if block >= stake.block() {
                    assert!(stake.undo_to(block).is_ok());
                } else if let Some(last) = last {
                    assert!(stake.undo_to(block).is_ok(), "undo to {block}");
                    past.truncate(last + 1);
                    let Some((was, followed, actions)) = past.pop() else { break };
                    assert!(stake == was, "undoing to {block} restores the state");
                    tally.undone += 1;
                    follower = followed;
                    done.truncate(actions);
                } else {
                    let before = stake.clone();
                    assert!(stake.undo_to(block).is_err() && stake == before);
                }
            }
        }
    }
    let mut again = start(params);
    for (block, from, call) in &done {
        drop(again.apply(*block, from, call));
    }
    assert!(again == stake, "the same actions give the same state");
    tally
}

fn start(params: &Params) -> Stake {
    match Stake::new(params.clone()) {
        Ok(stake) => stake,
        Err(why) => panic!("the tape makes good parameters: {why}"),
    }
}

fn act(
    stake: &mut Stake,
    follower: &mut Follower,
    tally: &mut Tally,
    block: u64,
    from: &AccountName,
    call: &Call,
) {
    let mut before = stake.clone();
    let safe = claims(call) && stake_at(stake, block).safe_to_claim(from);
    match stake.apply(block, from, call) {
        Ok(effects) => {
            *tally.accepted.entry(variant(call)).or_default() += 1;
            for effect in &effects {
                follower.follow(effect);
            }
        }
        Err(refusal) => {
            *tally.refused.entry(variant(&refusal)).or_default() += 1;
            let advanced = before.advance_to(block);
            let stale = matches!(refusal, Refusal::StaleBlock { .. });
            assert_eq!(advanced.is_err(), stale);
            assert!(*stake == before, "{call:?}, refused as {refusal:?}, changed something");
        }
    }
    follower.agrees_with(stake);
    if let State::Mature(state) = stake.state() {
        let solvent = stake.holdings().map(|holdings| holdings.solvent());
        assert_ne!(solvent, Ok(false), "insolvent after {call:?}: {:?}", stake.holdings());
        let pooled = state.active_pool.iter();
        let sum = pooled.fold(Amount::ZERO, |sum, entry| sum.plus(entry.stake).unwrap_or(sum));
        assert_eq!(sum, state.next_round_total_active_stake);
        if safe {
            keeps_its_reward(&before, block, from);
        }
    }
}

/// A claim that is safe gives a delegator no less than waiting for the round's end would.
fn keeps_its_reward(before: &Stake, block: u64, from: &AccountName) {
    let (mut claimed, mut waited) = (stake_at(before, block), stake_at(before, block));
    if claimed.apply(block, from, &Call::ClaimEarnings).is_err() {
        return;
    }
    let everybody: Vec<_> = claimed.active_pool().into_iter().map(|entry| entry.account).collect();
    for stake in [&mut claimed, &mut waited] {
        for account in &everybody {
            drop(stake.apply(block, account, &Call::Reward));
        }
    }
    let pending = |stake: &Stake| match stake.state() {
        State::Mature(state) => {
            state.delegators.get(from).and_then(|delegator| delegator.pending_stake)
        }
        State::Milestone2017(_) => None,
    };
    // Rounding may take a unit for each of the two steps.
    let (claimed, waited) = (pending(&claimed), pending(&waited));
    let least = waited.map(|waited| waited.minus(Amount::new(2)).unwrap_or_default());
    assert!(claimed >= least, "{from} has {claimed:?} after a safe claim, {waited:?} without");
}

fn claims(call: &Call) -> bool {
    matches!(call, Call::ClaimEarnings)
}

fn stake_at(stake: &Stake, block: u64) -> Stake {
    let mut stake = stake.clone();
    drop(stake.advance_to(block));
    stake
}

/// The name of a value's variant.
fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn any_actions_under_mature(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
            mature(&data);
        }

        #[test]
        fn any_actions_under_milestone_2017(
            data in proptest::collection::vec(any::<u8>(), 0..1200)
        ) {
            milestone(&data);
        }

        #[test]
        fn any_text_is_a_scenario_or_none(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            edit in 0..3,
        ) {
            let mut text = SCENARIO.as_bytes().to_vec();
            let at = at.index(text.len());
            match edit {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
            scenario(&text);
        }
    }

    const SCENARIO: &str = r#"{"params":{"rules":"mature","num_active":2,"round_length":5,
        "genesis":{"a":"1000","b":"900"}},"actions":[
        {"block":1,"from":"a","call":"bond","args":["500","a"]},
        {"block":2,"from":"b","call":"bond","args":[100,"a"]},
        {"block":5,"from":"b","call":"initializeRound"},
        {"block":6,"from":"a","call":"reward"},
        {"block":6,"from":"a","call":"transcoder","args":["1","2","3"]},
        {"block":7,"from":"b","call":"unbond","args":["50"]},
        {"block":8,"from":"b","call":"elect","args":["id","hive/a/b","720","9"]}]}"#;

    #[test]
    fn the_scenario_to_start_from_is_accepted() {
        let run = SCENARIO.parse::<Scenario>().unwrap().run().unwrap();
        assert!(run.steps.iter().all(|step| step.outcome.is_ok()), "{:#?}", run.steps);
    }

    /// A tape of bytes that look random and are always the same.
    fn bytes(seed: u64) -> Vec<u8> {
        let block = |n: u64| Sha256::digest([seed.to_be_bytes(), n.to_be_bytes()].concat());
        (0..60).flat_map(block).collect()
    }

    fn tally(body: fn(&[u8]) -> Tally) -> Tally {
        let mut sum = Tally::default();
        for seed in 0..60 {
            let one = body(&bytes(seed));
            sum.undone += one.undone;
            for (name, count) in one.accepted {
                *sum.accepted.entry(name).or_default() += count;
            }
            for (name, count) in one.refused {
                *sum.refused.entry(name).or_default() += count;
            }
        }
        sum
    }

    /// The properties would hold for actions that are all refused, too.
    #[test]
    fn the_actions_reach_every_call_and_most_refusals() {
        let sum = tally(mature);
        let calls = [
            "Bond",
            "BondFor",
            "ClaimEarnings",
            "Fees",
            "InitializeRound",
            "Rebond",
            "RebondFromUnbonded",
            "Reward",
            "Transcoder",
            "Transfer",
            "TransferBond",
            "Unbond",
            "WithdrawFees",
            "WithdrawStake",
        ];
        for call in calls {
            assert!(sum.accepted.get(call).is_some_and(|count| *count >= 20), "{call}: {sum:#?}");
        }
        let refusals = [
            "AlreadyRewarded",
            "Arithmetic",
            "ClaimNotAllowed",
            "DelegateNotTheirs",
            "InsufficientBalance",
            "InsufficientFees",
            "LockNotDue",
            "MoreThanBonded",
            "NoSuchLock",
            "NotActive",
            "NotBonded",
            "NotPaymentModule",
            "NotRegistered",
            "NotUnbonded",
            "OtherRules",
            "PoolsFull",
            "RateTooHigh",
            "RatesLocked",
            "RegisteredCannotMove",
            "Reserved",
            "RewardNotCalled",
            "RoundInitialized",
            "RoundNotInitialized",
            "SelfBondByOther",
            "StaleBlock",
            "ZeroAmount",
        ];
        for refusal in refusals {
            assert!(sum.refused.contains_key(refusal), "{refusal} is missing: {sum:#?}");
        }
        assert!(sum.undone >= 100, "{sum:#?}");
    }

    #[test]
    fn the_actions_of_2017_reach_every_call_and_most_refusals() {
        let sum = tally(milestone);
        let calls = [
            "Bond",
            "InitializeRound",
            "ResignAsTranscoder",
            "Reward",
            "Transcoder",
            "Transfer",
            "Unbond",
            "Withdraw",
        ];
        for call in calls {
            assert!(sum.accepted.get(call).is_some_and(|count| *count >= 20), "{call}: {sum:#?}");
        }
        let refusals = [
            "AlreadyRewarded",
            "Arithmetic",
            "InsufficientBalance",
            "NotADelegator",
            "NotBonded",
            "NotInAnyPool",
            "NotInRoundSet",
            "NotRegistered",
            "NotUnbonding",
            "OtherRules",
            "OutsideRewardWindow",
            "PeriodNotOver",
            "PoolsFull",
            "RateTooHigh",
            "Reserved",
            "RoundNotInitialized",
            "StaleBlock",
            "WindowZero",
        ];
        for refusal in refusals {
            assert!(sum.refused.contains_key(refusal), "{refusal} is missing: {sum:#?}");
        }
        assert!(sum.undone >= 100, "{sum:#?}");
    }
}
