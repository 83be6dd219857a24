//! What can be asked of a ledger, and the parameters it takes.

use alive_stake::{
    Amount, Call, Effect, MatureParams, MilestoneParams, Params, ParamsError, Refusal, Rules, Stake,
};
use rstest::rstest;

use crate::support::{World, bond, n, name, terms, unbond};

fn pair() -> World {
    let mut world = World::mature();
    world.ok(1, "a1", bond(500, "a1"));
    world.ok(1, "a2", bond(500, "a1"));
    world.begin(20);
    world
}

/// The trap of the exact rules: a claim before the delegate's reward loses it. Source: section 2.6.
#[test]
fn a_claim_is_safe_after_the_delegates_reward() {
    let mut world = pair();
    assert!(!world.0.safe_to_claim(&name("a2")));
    assert!(world.0.safe_to_claim(&name("a3")), "who has no bond has nothing to lose");
    let mut hasty = world.clone();
    hasty.ok(21, "a2", Call::ClaimEarnings);
    hasty.ok(22, "a1", Call::Reward);
    assert_eq!(hasty.delegator("a2").pending_stake, Some(n(500)));
    world.ok(22, "a1", Call::Reward);
    assert!(world.0.safe_to_claim(&name("a2")));
    world.ok(23, "a2", Call::ClaimEarnings);
    assert_eq!(world.delegator("a2").bonded_amount, n(4000));
    assert!(world.0.safe_to_claim(&name("a2")));
}

#[test]
fn others_cannot_make_an_account_claim_too_early() {
    let mut world = pair();
    let gift = || Call::BondFor { amount: n(1), owner: name("a2"), to: name("a1") };
    assert_eq!(world.no(21, "a3", gift()), Refusal::ClaimNotAllowed(name("a2")));
    world.ok(22, "a1", Call::Reward);
    world.ok(23, "a3", gift());
    assert_eq!(world.delegator("a2").bonded_amount, n(4001));
    assert_eq!(world.0.balance(&name("a3")), n(9999));
}

#[test]
fn the_rounds_set_stays_while_pool_and_prices_move() {
    let mut world = pair();
    let price = |price| Call::Transcoder { reward_cut: 0, fee_share: 0, price: Some(n(price)) };
    let set = world.0.round_set();
    assert_eq!((set.round(), set.entries().len()), (1, 1));
    assert_eq!((set.entries()[0].stake, set.entries()[0].price), (n(1000), Amount::ZERO));
    world.ok(21, "a1", Call::Reward);
    world.ok(22, "a1", price(7));
    world.ok(23, "a1", price(9));
    world.ok(24, "a3", bond(10, "a3"));
    assert_eq!(world.0.round_set(), set);
    assert_eq!(world.transcoder("a1").price, Amount::ZERO);
    world.begin(40);
    let next = world.0.round_set();
    let entries: Vec<_> = next.entries().iter().map(|e| (e.id.as_str(), e.price)).collect();
    assert_eq!((next.round(), entries), (2, vec![("a1", n(9)), ("a3", Amount::ZERO)]));
    world.0.undo_to(39).unwrap();
    assert_eq!(world.0.round_set(), set);
}

#[test]
fn a_new_ledger_has_an_empty_set_under_both_rule_sets() {
    for world in [World::mature(), World::milestone()] {
        assert!(world.0.round_set().entries().is_empty());
    }
}

#[test]
fn prices_of_2017_come_into_force_with_the_round() {
    let mut world = World::milestone();
    let price = |price| Call::Transcoder { reward_cut: 0, fee_share: 0, price: Some(n(price)) };
    world.ok(1, "a1", price(3));
    world.ok(2, "a1", bond(5, "a1"));
    world.begin(50);
    world.ok(51, "a1", price(4));
    assert_eq!(world.0.round_set().entries()[0].price, n(3));
    world.begin(100);
    assert_eq!(world.0.round_set().entries()[0].price, n(4));
}

#[test]
fn a_least_own_bond_keeps_others_stake_from_making_a_transcoder() {
    let mut world = World::mature_with(|rules| rules.min_self_bond = n(100));
    world.ok(1, "a1", bond(99, "a1"));
    world.ok(1, "a2", bond(5000, "a1"));
    assert_eq!(world.pool(), []);
    world.ok(2, "a1", bond(1, "a1"));
    assert_eq!(world.pool(), [("a1".to_owned(), n(5100))]);
    world.begin(20);
    world.ok(20, "a1", unbond(1));
    assert_eq!(world.pool(), []);
    assert!(world.transcoder("a1").active, "until the round's end");
    world.ok(21, "a1", Call::Rebond { lock: 0 });
    assert_eq!(world.pool(), [("a1".to_owned(), n(5100))]);
}

#[test]
fn effects_are_in_the_order_of_what_happened() {
    let mut world = World::mature_with(|rules| rules.num_active = 1);
    world.ok(1, "a1", bond(5, "a1"));
    let effects = world.ok(2, "a2", bond(6, "a2"));
    assert_eq!(
        effects,
        [
            Effect::Left { transcoder: name("a1") },
            Effect::Joined { transcoder: name("a2"), stake: n(6) },
            Effect::StakeChanged { transcoder: name("a2"), stake: n(6) },
            Effect::Transferred { from: name("a2"), to: name("minter"), amount: n(6) },
        ]
    );
    assert_eq!(effects[1].to_string(), "a2 joined the pool with 6");
}

#[test]
fn calls_of_the_other_rule_set_are_refused() {
    let mut world = World::mature();
    for call in [Call::ResignAsTranscoder, Call::Withdraw, Call::Unbond { amount: None }] {
        assert_eq!(world.no(1, "a1", call), Refusal::OtherRules);
    }
    let mut world = World::milestone();
    for call in [Call::ClaimEarnings, unbond(1), Call::Rebond { lock: 0 }] {
        assert_eq!(world.no(1, "a1", call), Refusal::OtherRules);
    }
}

#[test]
fn nobody_acts_for_the_protocol() {
    for (mut world, holder) in [(World::mature(), "minter"), (World::milestone(), "protocol")] {
        world.ok(1, "a1", Call::Transfer { to: name(holder), amount: n(5) });
        let refusal = world.no(2, holder, Call::Transfer { to: name("a1"), amount: n(5) });
        assert_eq!(refusal, Refusal::Reserved(name(holder)));
        assert_eq!(world.0.protocol_accounts()[0], name(holder));
    }
}

/// A pool of 2^256 - 1 is more than anything can be added to, and nothing wraps.
#[test]
fn amounts_at_the_limit_refuse_instead_of_wrapping() {
    let params = Params::new(Rules::Mature(MatureParams::default()));
    let mut stake = Stake::new(params.with_balance(name("a1"), Amount::MAX)).unwrap();
    let all = Call::Bond { amount: Amount::MAX, to: name("a1") };
    stake.apply(1, &name("a1"), &all).unwrap();
    let begin = stake.apply(5760, &name("a1"), &Call::InitializeRound);
    assert!(matches!(begin, Err(Refusal::Arithmetic(_))));
    assert_eq!(stake.round_set().round(), 0);
}

#[rstest]
#[case(|rules: &mut MatureParams| rules.round_lock_amount = 1_000_001)]
#[case(|rules: &mut MatureParams| rules.inflation = 1_000_000_001)]
#[case(|rules: &mut MatureParams| rules.inflation_change = 1_000_000_001)]
#[case(|rules: &mut MatureParams| rules.target_bonding_rate = 1_000_000_001)]
#[case(|rules: &mut MatureParams| rules.treasury_reward_cut_rate = Amount::MAX)]
fn a_fraction_is_at_most_its_whole(#[case] change: fn(&mut MatureParams)) {
    let mut rules = MatureParams::default();
    change(&mut rules);
    let made = Stake::new(Params::new(Rules::Mature(rules)));
    assert!(matches!(made, Err(ParamsError::Fraction { .. })));
}

#[test]
fn the_protocols_account_begins_empty_and_alone() {
    let mut rules = MatureParams::default();
    let params = Params::new(Rules::Mature(rules.clone()));
    let made = Stake::new(params.with_balance(name("minter"), n(1)));
    assert_eq!(made.err(), Some(ParamsError::Reserved(name("minter"))));
    rules.treasury = rules.minter.clone();
    let made = Stake::new(Params::new(Rules::Mature(rules)));
    assert_eq!(made.err(), Some(ParamsError::Reserved(name("minter"))));
    let params = Params::new(Rules::Milestone2017(MilestoneParams::default()));
    let params = params.with_balance(name("a1"), Amount::MAX).with_balance(name("a2"), n(1));
    assert_eq!(Stake::new(params).err(), Some(ParamsError::Genesis));
}

#[test]
fn terms_are_locked_in_the_last_part_of_a_round() {
    let mut world = pair();
    world.ok(21, "a1", Call::Reward);
    world.ok(37, "a1", terms(5));
    assert_eq!(world.no(38, "a1", terms(6)), Refusal::RatesLocked);
    assert_eq!(world.transcoder("a1").reward_cut, 5);
}

/// The reward factor before a round's reward is computed backwards when earlier rewards were missed, without the treasury's
/// and the transcoder's part. No vector has these two; the numbers are by hand. Source: section 2.5, "fees".
#[test]
fn fees_after_missed_rewards_are_shared_by_the_factor_before_the_reward() {
    let mut world = World::mature_with(|rules| {
        rules.treasury_reward_cut_rate = n(100_000_000_000_000_000_000_000_000);
    });
    world.ok(1, "a1", bond(500, "a1"));
    world.ok(1, "a2", bond(500, "a1"));
    let half = Call::Transcoder { reward_cut: 200_000, fee_share: 500_000, price: None };
    world.ok(2, "a1", half);
    world.begin(20);
    world.begin(40);
    world.ok(41, "a1", Call::Reward);
    world.ok(42, "broker", Call::Fees { transcoder: name("a1"), amount: n(1000) });
    let pool = world.transcoder("a1").earnings_pool_this_round;
    assert_eq!(pool.cumulative_reward_factor, n(6_040_000_000_000_000_000_000_000_000));
    assert_eq!(pool.cumulative_fee_factor, n(272_563_176_895_306_859_205_776_172));
    assert_eq!(world.0.balance(&name("treasury")), n(700));
    assert_eq!(world.transcoder("a1").cumulative_fees, n(500));
}
