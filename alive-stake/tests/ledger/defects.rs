//! The defects of the rules of 2017, each shown, and the same story under `mature`, which does not have it.
//! Source: `spec/livepeer.md`, section 1.10.

use alive_stake::{Amount, ArithmeticError, Call, Refusal, Status};

use crate::support::{World, bond, n, name, terms, unbond};

/// a1 is a transcoder with 500 of its own and keeps nothing, a2 bonds 500 to it, round 1 begins.
fn pair_2017() -> World {
    let mut world = World::milestone_with(|rules| (rules.n, rules.candidate_size) = (1, 1));
    world.ok(1, "a1", terms(0));
    world.ok(2, "a1", bond(500, "a1"));
    world.ok(3, "a2", bond(500, "a1"));
    world.begin(50);
    world
}

fn pair() -> World {
    let mut world = World::mature();
    world.ok(1, "a1", bond(500, "a1"));
    world.ok(3, "a2", bond(500, "a1"));
    world.begin(20);
    world
}

#[test]
fn defect_1_a_rounds_reward_can_be_claimed_again_and_again() {
    let mut old = pair_2017();
    old.ok(50, "a1", Call::Reward);
    let due = old.delegator_2017("a2").stake_with_rewards.unwrap().minus(n(500)).unwrap();
    for _ in 0..3 {
        old.ok(51, "a2", bond(0, "a1"));
    }
    // The bond grows, and with it what each further claim adds.
    let got = old.delegator_2017("a2").bonded_amount.minus(n(500)).unwrap();
    assert!(got > due.times(n(3)).unwrap(), "{got} of {due}");

    let mut new = pair();
    new.ok(21, "a1", Call::Reward);
    new.begin(40);
    new.ok(41, "a1", Call::Reward);
    let due = new.delegator("a2").pending_stake.unwrap();
    for _ in 0..3 {
        new.ok(42, "a2", Call::ClaimEarnings);
    }
    let delegator = new.delegator("a2");
    assert!(delegator.pending_stake == Some(delegator.bonded_amount));
    assert!(delegator.bonded_amount <= due && delegator.bonded_amount > n(500));
}

#[test]
fn defect_2_a_transcoders_own_bond_can_never_leave() {
    let mut old = pair_2017();
    assert_eq!(old.no(51, "a1", Call::Unbond { amount: None }), Refusal::NotADelegator(name("a1")));
    old.ok(52, "a1", Call::ResignAsTranscoder);
    assert_eq!(old.transcoder_2017("a1").bonded_amount, Amount::ZERO);
    old.begin(200);
    assert_eq!(old.no(200, "a1", Call::Withdraw), Refusal::NotADelegator(name("a1")));
    assert_eq!(old.0.balance(&name("a1")), n(9500));

    let mut new = pair();
    new.ok(21, "a1", unbond(500));
    new.begin(60);
    new.ok(61, "a1", Call::WithdrawStake { lock: 0 });
    assert_eq!(new.0.balance(&name("a1")), n(10_000));
}

#[test]
fn defect_3_a_transcoders_part_of_the_delegators_pool_is_paid_to_nobody() {
    let mut old = pair_2017();
    let minted = old.state_2017().minted_per_reward.unwrap();
    old.ok(50, "a1", Call::Reward);
    // Half of the stake is a1's own, but its bond did not grow.
    let half = minted.over(n(2)).unwrap();
    assert_eq!(old.transcoder_2017("a1").bonded_amount, n(500));
    let delegator = old.delegator_2017("a2");
    assert_eq!(delegator.stake_with_rewards, Some(half.plus(n(500)).unwrap()));

    let mut new = pair();
    new.ok(21, "a1", Call::Reward);
    let minted = new.state().current_minted_tokens;
    let pending = |account| new.delegator(account).pending_stake.unwrap().minus(n(500)).unwrap();
    assert_eq!((minted, pending("a1"), pending("a2")), (n(7000), n(3500), n(3500)));
}

#[test]
fn defect_4_registering_again_allows_another_reward() {
    let mut old = pair_2017();
    old.ok(50, "a1", Call::Reward);
    assert_eq!(old.no(51, "a1", Call::Reward), Refusal::AlreadyRewarded { round: 1 });
    old.ok(51, "a1", terms(0));
    old.ok(51, "a1", Call::Reward);

    let mut new = pair();
    new.ok(21, "a1", Call::Reward);
    new.ok(22, "a1", terms(0));
    assert_eq!(new.no(22, "a1", Call::Reward), Refusal::AlreadyRewarded { round: 1 });
}

#[test]
fn defect_5_who_moves_up_in_the_set_loses_its_reward() {
    let mut old = World::milestone();
    for (account, stake) in [("a1", 100), ("a2", 200)] {
        old.ok(1, account, terms(0));
        old.ok(1, account, bond(stake, account));
    }
    old.begin(50);
    old.ok(51, "a1", bond(200, "a1"));
    old.begin(100);
    let set: Vec<_> = old.state_2017().round_set.into_iter().map(|entry| entry.account).collect();
    assert_eq!(set, [name("a2"), name("a1")]);
    // a2 is the first of the set, its window is the first, and the flag is gone.
    assert!(!old.transcoder_2017("a2").reward_flag);
    assert_eq!(old.no(100, "a2", Call::Reward), Refusal::NotInRoundSet(name("a2")));

    let mut new = World::mature();
    new.ok(1, "a1", bond(100, "a1"));
    new.ok(1, "a2", bond(200, "a2"));
    new.begin(20);
    new.ok(21, "a1", bond(200, "a1"));
    new.begin(40);
    new.ok(41, "a2", Call::Reward);
    new.ok(41, "a1", Call::Reward);
}

#[test]
fn defect_6_who_left_the_set_keeps_its_flag() {
    let mut old = World::milestone();
    for account in ["a1", "a2"] {
        old.ok(1, account, terms(0));
        old.ok(1, account, bond(100, account));
    }
    old.begin(50);
    // The one whose place is cut off.
    old.ok(51, "a2", Call::ResignAsTranscoder);
    old.begin(100);
    assert_eq!(old.state_2017().round_set.len(), 1);
    assert!(old.transcoder_2017("a2").reward_flag);

    let mut new = World::mature();
    new.ok(1, "a1", bond(100, "a1"));
    new.ok(1, "a2", bond(100, "a2"));
    new.begin(20);
    new.ok(21, "a2", unbond(100));
    assert!(new.transcoder("a2").active);
    new.begin(40);
    assert!(!new.transcoder("a2").active);
    assert_eq!(new.no(41, "a2", Call::Reward), Refusal::NotActive(name("a2")));
}

#[test]
fn defect_7_bonding_while_unbonding_loses_the_stake() {
    let mut old = World::milestone();
    old.ok(1, "a1", terms(0));
    old.ok(2, "a1", bond(100, "a1"));
    old.ok(3, "a2", bond(500, "a1"));
    old.begin(50);
    old.ok(51, "a2", Call::Unbond { amount: None });
    old.ok(52, "a2", bond(0, "a1"));
    assert_eq!(old.delegator_2017("a2").status, Status::Bonded);
    assert_eq!(old.stake_of("a1"), Some(n(100)));
    let refusal = old.no(53, "a2", Call::Unbond { amount: None });
    assert_eq!(refusal, Refusal::Arithmetic(ArithmeticError::Underflow));

    let mut new = pair();
    new.ok(21, "a2", unbond(200));
    assert_eq!(new.stake_of("a1"), Some(n(800)));
    new.ok(22, "a2", Call::Rebond { lock: 0 });
    assert_eq!(new.stake_of("a1"), Some(n(1000)));
    new.ok(23, "a2", unbond(500));
}

#[test]
fn defect_8_delegators_cannot_leave_who_is_in_no_pool() {
    let mut old = World::milestone_with(|rules| (rules.n, rules.candidate_size) = (1, 1));
    for (account, stake) in [("a1", 100), ("a3", 50)] {
        old.ok(1, account, terms(0));
        old.ok(1, account, bond(stake, account));
    }
    old.ok(3, "a2", bond(5, "a3"));
    // a4 drives a1 to the candidates, and a1 drives a3 out.
    old.ok(4, "a4", terms(0));
    old.ok(4, "a4", bond(101, "a4"));
    assert_eq!(old.transcoder_2017("a3").total_stake, None);
    old.begin(50);
    assert_eq!(old.no(51, "a2", bond(0, "a1")), Refusal::NotInAnyPool(name("a3")));
    let refusal = old.no(51, "a2", Call::Unbond { amount: None });
    assert_eq!(refusal, Refusal::NotInAnyPool(name("a3")));

    let mut new = World::mature_with(|rules| rules.num_active = 1);
    new.ok(1, "a3", bond(50, "a3"));
    new.ok(1, "a2", bond(5, "a3"));
    new.ok(1, "a4", bond(101, "a4"));
    new.ok(1, "a5", bond(5, "a3"));
    assert_eq!(new.stake_of("a3"), None);
    new.begin(20);
    new.ok(21, "a2", bond(0, "a4"));
    new.ok(21, "a5", unbond(5));
    assert_eq!(new.stake_of("a4"), Some(n(106)));
}

#[test]
fn defect_9_registering_again_binds_waiting_delegators_without_their_stake() {
    let mut old = pair_2017();
    old.ok(51, "a1", Call::ResignAsTranscoder);
    assert_eq!(old.delegator_2017("a2").status, Status::Unbonding);
    old.ok(52, "a1", terms(0));
    assert_eq!(old.delegator_2017("a2").status, Status::Bonded);
    assert_eq!(old.transcoder_2017("a1").total_stake, None);

    let mut new = pair();
    new.ok(21, "a1", unbond(500));
    assert_eq!(new.delegator("a2").status, Status::Bonded);
    new.ok(22, "a1", bond(1, "a1"));
    assert_eq!(new.stake_of("a1"), Some(n(501)));
}

#[test]
fn defect_10_who_comes_late_shares_the_rounds_reward() {
    let mut old = World::milestone_with(|rules| (rules.n, rules.candidate_size) = (1, 1));
    old.ok(1, "a1", terms(0));
    old.ok(2, "a1", bond(100, "a1"));
    old.begin(50);
    old.ok(50, "a2", bond(900, "a1"));
    let minted = old.state_2017().minted_per_reward.unwrap();
    old.ok(51, "a1", Call::Reward);
    let got = old.delegator_2017("a2").stake_with_rewards.unwrap();
    assert_eq!(got, minted.times(n(9)).unwrap().plus(n(900)).unwrap());
    assert!(!old.0.holdings().unwrap().solvent());

    let mut new = World::mature();
    new.ok(1, "a1", bond(100, "a1"));
    new.begin(20);
    new.ok(21, "a2", bond(900, "a1"));
    new.ok(22, "a1", Call::Reward);
    assert_eq!(new.delegator("a2").pending_stake, Some(n(900)));
    assert!(new.0.holdings().unwrap().solvent());
}

#[test]
fn defect_11_eviction_drops_the_best_candidate_and_forgets_its_stake() {
    let mut old = World::milestone_with(|rules| (rules.n, rules.candidate_size) = (1, 3));
    for (account, stake) in [("a1", 100), ("a2", 90), ("a3", 80)] {
        old.ok(1, account, terms(0));
        old.ok(1, account, bond(stake, account));
    }
    old.ok(3, "a4", terms(0));
    old.ok(4, "a4", bond(200, "a4"));
    // There is room for three candidates: a1, a2 and a3 would all fit.
    let left: Vec<_> = old.0.candidates().into_iter().map(|entry| entry.account).collect();
    assert_eq!(left, [name("a1"), name("a3")]);
    old.ok(5, "a2", bond(1, "a2"));
    assert_eq!(old.transcoder_2017("a2").total_stake, Some(n(1)));
    assert_eq!(old.transcoder_2017("a2").bonded_amount, n(91));

    let mut new = World::mature_with(|rules| rules.num_active = 1);
    for (account, stake) in [("a1", 100), ("a2", 90), ("a3", 80), ("a4", 200)] {
        new.ok(1, account, bond(stake, account));
    }
    let outside: Vec<_> = new.0.candidates().into_iter().map(|entry| entry.account).collect();
    assert_eq!(outside, [name("a1"), name("a2"), name("a3")]);
    new.ok(5, "a2", bond(111, "a2"));
    assert_eq!(new.pool(), [("a2".to_owned(), n(201))]);
}

/// A mark of round 0 looks like a call in round 0. It cannot be met, because the first round has an empty set.
#[test]
fn defect_12_nobody_is_rewarded_before_round_1() {
    let mut old = World::milestone();
    old.ok(1, "a1", terms(0));
    old.ok(2, "a1", bond(100, "a1"));
    assert_eq!(old.no(3, "a1", Call::Reward), Refusal::NotInRoundSet(name("a1")));
    assert_eq!(old.transcoder_2017("a1").reward_round, 0);

    let mut new = World::mature();
    new.ok(1, "a1", bond(100, "a1"));
    assert_eq!(new.no(3, "a1", Call::Reward), Refusal::NotActive(name("a1")));
    new.begin(20);
    new.ok(21, "a1", Call::Reward);
}

#[test]
fn defect_13_deleting_from_the_middle_breaks_the_heap() {
    let stakes = [("a1", 10), ("a2", 50), ("a3", 20), ("a4", 60), ("a5", 55), ("a6", 25)];
    let mut old = World::milestone_with(|rules| rules.n = 7);
    for (account, stake) in stakes.into_iter().chain([("a7", 26)]) {
        old.ok(1, account, terms(0));
        old.ok(1, account, bond(stake, account));
    }
    old.ok(3, "a4", Call::ResignAsTranscoder);
    let stakes: Vec<_> = old.pool().into_iter().map(|(_, stake)| stake).collect();
    assert_eq!(stakes, [10, 50, 20, 26, 55, 25].map(n), "26 stands below 50");

    let mut new = World::mature_with(|rules| rules.num_active = 7);
    for (account, stake) in
        [("a1", 10), ("a2", 50), ("a3", 20), ("a4", 60), ("a5", 55), ("a6", 25), ("a7", 26)]
    {
        new.ok(1, account, bond(stake, account));
    }
    new.begin(20);
    new.ok(21, "a4", unbond(60));
    let stakes: Vec<_> = new.pool().into_iter().map(|(_, stake)| stake).collect();
    assert_eq!(stakes, [55, 50, 26, 25, 20, 10].map(n));
}

/// 2017 adds round by round to the bond of the last claim; `mature` needs the first and the last factor only, which is
/// measured in the benches, and compounds.
#[test]
fn defect_14_rounds_are_added_up_one_by_one() {
    let mut old = pair_2017();
    let minted = old.state_2017().minted_per_reward.unwrap();
    for round in 1..=4 {
        if round > 1 {
            old.begin(round * 50);
        }
        old.ok(round * 50, "a1", Call::Reward);
    }
    // The bond of a2 counts as 500 in every round, while the stake it is a part of grows by every reward.
    let parts = (0..4).map(|rewards| {
        let stake = minted.times(n(rewards)).unwrap().plus(n(1000)).unwrap();
        minted.times(n(500)).unwrap().over(stake).unwrap()
    });
    let sum = parts.fold(n(500), |sum, part| sum.plus(part).unwrap());
    assert_eq!(old.delegator_2017("a2").stake_with_rewards, Some(sum));

    let mut new = pair();
    for round in 1..=4 {
        if round > 1 {
            new.begin(round * 20);
        }
        new.ok(round * 20, "a1", Call::Reward);
    }
    // Half of everything, as its part of the stake stays a half.
    let minted = new.0.supply().minus(n(70_000)).unwrap();
    let half = minted.over(n(2)).unwrap().plus(n(500)).unwrap();
    let pending = new.delegator("a2").pending_stake.unwrap();
    assert!(half.minus(pending).unwrap() <= n(4), "{pending} of {half}");
}
