//! Claims: at least 1,000,000 simple actions per second on one core; a claim costs the same over 1, 100 and 10,000 rounds;
//! with 100,000 delegators and 100 active transcoders a round is initialised in less than 5 ms.
//!
//! Beside the actions the least that any ledger must do: move an amount between two entries of a map, without rules and
//! without undo. Beside the claims the rules of 2017, which add up round by round.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]

use std::{collections::HashMap, hint::black_box};

use alive_core::AccountName;
use alive_stake::{Amount, Call, MatureParams, MilestoneParams, Params, Rules, Stake, TOKEN};
use criterion::{BatchSize, Criterion, Throughput};

/// Blocks in a round.
const ROUND: u64 = 5760;
/// Actions in one measurement.
const ACTIONS: u64 = 10_000;
/// After so many actions a new block begins, and the block before it becomes final.
const PER_BLOCK: u64 = 50;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    actions(&mut criterion);
    claims(&mut criterion);
    rounds(&mut criterion);
    criterion.final_summary();
}

/// Bonds of one unit more, and transfers, by 1000 accounts to 100 transcoders.
fn actions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stake: simple actions");
    group.sample_size(20).throughput(Throughput::Elements(ACTIONS));
    let transcoders = names("t", 100);
    let delegators = names("d", 1000);
    let one = Amount::from(1_u64);
    let to = |n: usize, all: &[AccountName]| all.get(n % all.len()).expect("not empty").clone();
    let bonds: Vec<_> =
        (0..1000).map(|n| Call::Bond { amount: one, to: to(n, &transcoders) }).collect();
    let transfers: Vec<_> =
        (0..1000).map(|n| Call::Transfer { to: to(n * 7, &delegators), amount: one }).collect();
    let ledgers = [
        ("mature", ledger(mature(100), &transcoders, &delegators)),
        ("milestone-2017", ledger(milestone(100), &transcoders, &delegators)),
    ];
    for (rules, ready) in &ledgers {
        for (name, calls) in [("bond", &bonds), ("transfer", &transfers)] {
            group.bench_function(format!("{rules}, {name}"), |b| {
                let run = |stake: &mut Stake| {
                    let start = stake.block();
                    for (n, (from, call)) in (0..ACTIONS).zip(delegators.iter().zip(calls).cycle())
                    {
                        let block = start + n / PER_BLOCK;
                        if n % PER_BLOCK == 0 {
                            stake.finalize(block.saturating_sub(1));
                        }
                        black_box(stake.apply(block, from, call).expect("accepted"));
                    }
                };
                b.iter_batched_ref(|| ready.clone(), run, BatchSize::LargeInput);
            });
        }
    }
    group.bench_function("peer: map of numbers, transfer", |b| {
        let names = delegators.iter().cloned();
        let balances: HashMap<AccountName, u128> = names.map(|name| (name, 1 << 64)).collect();
        let run = |balances: &mut HashMap<AccountName, u128>| {
            let pairs = delegators.iter().zip(delegators.iter().skip(1)).cycle();
            for (_, (from, to)) in (0..ACTIONS).zip(pairs) {
                *balances.get_mut(from).expect("known") -= 1;
                *balances.get_mut(to).expect("known") += 1;
            }
        };
        b.iter_batched_ref(|| balances.clone(), run, BatchSize::LargeInput);
    });
    group.finish();
}

/// One claim of a delegator whose last one lies so many rounds back, in each of which its transcoder called reward.
fn claims(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stake: a claim");
    let (transcoders, delegators) = (names("t", 1), names("d", 1));
    let from = delegators.first().expect("one");
    let transcoder = transcoders.first().expect("one");
    for rounds in [1, 100, 10_000_u64] {
        for (name, rules, length, claim) in [
            ("mature", mature(1), ROUND, Call::ClaimEarnings),
            ("2017, beside it", milestone(1), 50, nothing_more(transcoder)),
        ] {
            let mut stake = ledger(rules, &transcoders, &delegators);
            let start = stake.block() / length;
            for round in start + 1..=start + rounds {
                stake.finalize(round * length);
                let begin = stake.apply(round * length, from, &Call::InitializeRound);
                begin.expect("a new round");
                stake.apply(round * length, transcoder, &Call::Reward).expect("its turn");
            }
            let block = stake.block();
            stake.finalize(block);
            group.bench_function(format!("{name}, over {rounds} rounds"), |b| {
                b.iter(|| {
                    let outcome = stake.apply(block + 1, from, &claim);
                    black_box(outcome.expect("accepted"));
                    stake.undo_to(block).expect("the last block");
                });
            });
        }
    }
    group.finish();
}

/// The beginning of a round in which every stake of the pool has changed.
fn rounds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stake: a round begins");
    let (transcoders, delegators) = (names("t", 100), names("d", 100_000));
    for (name, rules, length) in
        [("mature", mature(100), ROUND), ("milestone-2017", milestone(100), 200)]
    {
        let mut stake = ledger(rules, &transcoders, &delegators);
        let block = stake.block();
        stake.finalize(block);
        let next = (block / length + 1) * length;
        let from = delegators.first().expect("one");
        group.bench_function(format!("{name}, 100,000 delegators, 100 transcoders"), |b| {
            b.iter(|| {
                let outcome = stake.apply(next, from, &Call::InitializeRound);
                black_box(outcome.expect("a new round"));
                stake.undo_to(block).expect("the last block");
            });
        });
    }
    group.finish();
}

fn mature(num_active: u64) -> Rules {
    let mut rules = MatureParams::default();
    rules.num_active = num_active;
    Rules::Mature(rules)
}

fn milestone(n: u64) -> Rules {
    let mut rules = MilestoneParams::default();
    (rules.n, rules.candidate_size) = (n, n);
    // Two cycles of windows of one block each.
    rules.round_length = (2 * n).max(50).try_into().expect("more than nothing");
    Rules::Milestone2017(rules)
}

/// A claim under the rules of 2017 is a part of a bond.
fn nothing_more(to: &AccountName) -> Call {
    Call::Bond { amount: Amount::ZERO, to: to.clone() }
}

/// Every transcoder bonds to itself and every delegator to one of them; the first round with a set begins.
fn ledger(rules: Rules, transcoders: &[AccountName], delegators: &[AccountName]) -> Stake {
    let length = match &rules {
        Rules::Mature(rules) => rules.round_length.get(),
        Rules::Milestone2017(rules) => rules.round_length.get(),
        _ => unreachable!("there are two sets of rules"),
    };
    let is_mature = matches!(rules, Rules::Mature(_));
    let names = transcoders.iter().chain(delegators);
    let params = names.fold(Params::new(rules), |params, name| {
        params.with_balance(name.clone(), TOKEN.times(Amount::from(1000_u64)).expect("small"))
    });
    let mut stake = Stake::new(params).expect("good parameters");
    let mut act = |from: &AccountName, call: Call| {
        stake.apply(1, from, &call).expect("accepted");
    };
    for (name, more) in transcoders.iter().zip(1_u64..) {
        if !is_mature {
            act(name, Call::Transcoder { reward_cut: 10, fee_share: 5, price: None });
        }
        let amount = TOKEN.plus(Amount::from(more)).expect("small");
        act(name, Call::Bond { amount, to: name.clone() });
    }
    for (name, to) in delegators.iter().zip(transcoders.iter().cycle()) {
        act(name, Call::Bond { amount: TOKEN, to: to.clone() });
    }
    let first = transcoders.first().expect("one");
    stake.apply(length, first, &Call::InitializeRound).expect("a new round");
    stake
}

fn names(prefix: &str, count: usize) -> Vec<AccountName> {
    (0..count).map(|n| format!("{prefix}{n}").parse().expect("a short name")).collect()
}
