//! Blocks, undoing them, and forgetting how.

use alive_stake::{Call, NotReversible, Refusal};
use rstest::rstest;

use crate::support::{World, bond, n, name, terms};

#[rstest]
#[case(World::mature())]
#[case(World::milestone())]
fn every_block_can_be_restored(#[case] mut world: World) {
    let mut states = vec![world.0.clone()];
    for (block, call) in [(1, terms(1)), (2, bond(5, "a1")), (9, bond(7, "a1")), (60, terms(1))] {
        drop(world.0.apply(block, &name("a1"), &call));
        drop(world.0.apply(block, &name("a2"), &bond(3, "a1")));
        drop(world.0.apply(block, &name("a2"), &Call::InitializeRound));
        states.push(world.0.clone());
    }
    for state in states.iter().rev() {
        let mut undone = world.0.clone();
        undone.undo_to(state.block()).unwrap();
        assert!(undone == *state, "block {}", state.block());
        // Between two blocks with actions the state is that of the first.
        let next = states.iter().map(alive_stake::Stake::block).find(|b| *b > state.block());
        if let Some(next) = next {
            let mut undone = world.0.clone();
            undone.undo_to(next - 1).unwrap();
            assert!(undone == *state, "before block {next}");
        }
    }
}

#[test]
fn what_is_final_cannot_be_undone() {
    let mut world = World::mature();
    for block in [1, 4, 6, 9] {
        world.ok(block, "a1", bond(1, "a1"));
    }
    let at = |block| {
        let mut earlier = world.0.clone();
        earlier.undo_to(block).unwrap();
        earlier
    };
    let (at_4, at_6) = (at(4), at(6));
    world.0.finalize(5);
    assert_eq!(world.0.earliest_block(), 4);
    let mut undone = world.0.clone();
    assert_eq!(undone.undo_to(3), Err(NotReversible { wanted: 3, earliest: 4 }));
    assert!(undone == world.0, "nothing is undone");
    undone.undo_to(6).unwrap();
    assert!(undone == at_6);
    undone.undo_to(4).unwrap();
    assert!(undone == at_4);

    world.0.finalize(100);
    assert_eq!(world.0.earliest_block(), 9);
    world.ok(9, "a1", bond(1, "a1"));
    world.0.undo_to(9).unwrap();
    assert_eq!(world.0.undo_to(8), Err(NotReversible { wanted: 8, earliest: 9 }));
    assert_eq!(world.stake_of("a1"), Some(n(5)));
}

#[test]
fn a_refused_action_moves_the_block_and_nothing_else() {
    let mut world = World::mature();
    world.ok(1, "a1", bond(1, "a1"));
    let before = world.state();
    let balance = |has, needed| Refusal::InsufficientBalance {
        account: name("unknown"),
        has: n(has),
        needed: n(needed),
    };
    // The claim, the pool and the stake were changed when the balance turned out too small.
    assert_eq!(world.no(7, "unknown", bond(5, "a1")), balance(0, 5));
    let mut after = world.state();
    assert_eq!(after.block, 7);
    after.block = 1;
    assert_eq!(after, before);
}

#[test]
fn blocks_do_not_go_back() {
    let mut world = World::milestone();
    world.ok(5, "a1", terms(1));
    let refusal = world.no(4, "a1", terms(1));
    assert_eq!(refusal, Refusal::StaleBlock { block: 4, last: 5 });
    assert_eq!(world.0.block(), 5);
}
