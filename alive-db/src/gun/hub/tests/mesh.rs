//! Many peers at once.

use proptest::prelude::*;

use super::{net::Net, *};

/// What happens in a network.
#[derive(Clone, Debug)]
enum Step {
    /// A peer puts a value, so many milliseconds old.
    Put { peer: usize, soul: u8, key: u8, value: u8, ago: u8 },
    /// One of the messages that fly arrives.
    Carry { at: usize },
    /// Time passes.
    Wait { millis: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..5_usize, 0..2_u8, 0..2_u8, 0..3_u8, 0..3_u8)
            .prop_map(|(peer, soul, key, value, ago)| Step::Put { peer, soul, key, value, ago }),
        5 => any::<usize>().prop_map(|at| Step::Carry { at }),
        1 => any::<u8>().prop_map(|millis| Step::Wait { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    // 0 and 1 are relays that dial each other, 2 and 3 are clients of 0, 4 is one of 1: all watch both souls.
    #[test]
    fn whatever_the_order_of_messages_all_end_with_the_same(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut net = Net::new(5);
        for (from, to) in [(0, 1), (1, 0), (2, 0), (3, 0), (4, 1)] {
            net.dial(from, to);
        }
        net.settle();
        for peer in 0..5 {
            for (n, soul) in ["0", "1"].into_iter().enumerate() {
                net.peers[peer].hub.watch(WatchId(n as u64), soul.into(), net.now);
            }
        }
        net.settle();
        for step in steps {
            match step {
                Step::Put { peer, soul, key, value, ago } => {
                    let value = ["a", "～", "😀"][usize::from(value)];
                    net.put(peer, &soul.to_string(), &key.to_string(), value, ago.into());
                }
                Step::Carry { at } if !net.flying.is_empty() => {
                    let at = at % net.flying.len();
                    net.carry(at);
                }
                Step::Carry { .. } => {}
                // It also carries all that flies.
                Step::Wait { millis } => net.wait(millis.into()),
            }
        }
        net.settle();
        let ends: Vec<_> = (0..5).map(|peer| [net.texts(peer, "0"), net.texts(peer, "1")]).collect();
        for (peer, end) in ends.iter().enumerate() {
            prop_assert_eq!(end, &ends[0], "peer {}", peer);
        }
    }
}

#[test]
fn a_ring_of_relays_comes_to_rest_and_a_value_goes_all_around() {
    let mut net = Net::new(6);
    for n in 0..6 {
        net.dial(n, (n + 1) % 6);
    }
    net.settle();
    let got = net.get(3, Query::node("s"));
    net.wait(2_100);
    assert_eq!(net.outcome(3, got), Some(&Outcome::Got(None)));
    net.put(0, "s", "k", "v", 0.0);
    net.settle();
    for peer in 0..6 {
        assert_eq!(net.texts(peer, "s").len(), 1, "peer {peer}");
    }
}
