//! The scenario of the book, and what the book says about it.

use std::{fs, path::Path};

use alive_core::{AccountName, Quality};
use alive_stake::{
    Admission, Amount, Fault, Refusal,
    scenario::{Outcome, Scenario},
};

use crate::support::{n, name};

fn scenario() -> Scenario {
    let path = "../docs/src/guides/renditions-by-stake.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn the_next_election_takes_over_from_who_stopped() {
    let run = scenario().run().unwrap();
    let elections: Vec<Vec<AccountName>> = run
        .steps
        .iter()
        .filter_map(|step| match &step.outcome {
            Ok(Outcome::Elected(order)) => Some(order.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(
        elections,
        [
            ["ann", "ben", "cleo"].map(name).to_vec(),
            ["ann", "ben"].map(name).to_vec(),
            ["ben", "cleo"].map(name).to_vec(),
        ]
    );
    let refusals: Vec<_> =
        run.steps.iter().filter_map(|step| step.outcome.as_ref().err().cloned()).collect();
    assert_eq!(refusals, [Refusal::RewardNotCalled(name("ann"))]);
    assert_eq!(run.stake.balance(&name("ann")), n(500), "she got back what she had, and no reward");
    assert!(run.stake.holdings().unwrap().solvent());
}

/// The same elections as a node's admission sees them: who fails is replaced within the round, too.
#[test]
fn the_order_is_that_of_the_admission() {
    let mut stake = scenario().run().unwrap().stake;
    stake.undo_to(39).unwrap();
    let mut admission = Admission::new(Amount::new(100));
    admission.begin_round(stake.round_set(), b"id of block 20");
    let stream = "hive/alice/launch".parse().unwrap();
    for account in ["ann", "ben", "cleo"] {
        assert_eq!(admission.elected(&stream, Quality::P720), Some(name(account)));
        assert!(admission.strike(&stream, Quality::P720, &name(account), &Fault::Missing));
    }
    assert_eq!(admission.elected(&stream, Quality::P720), None);
}
