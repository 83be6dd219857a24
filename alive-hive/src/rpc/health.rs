//! Which node to ask: [`Fleet`], what is known of each node's health. Time and dice are arguments.
//!
//! A node that fails is left alone for a while that doubles with every failure in a row. When the while is over, one
//! call tries it again; until that call is answered, the others still pass it by. Nodes whose head is not where the
//! chain is are asked last, and so are slow ones.
//! Source: `spec/hive.md`, section 5.5, "Fail-over".

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alive_core::Timestamp;

use crate::{network::HiveNetwork, time::TimePoint};

/// How far a head may be from where it should be, in seconds. Source: `spec/hive.md`, section 5.5, "Fail-over".
pub(super) const MAX_HEAD_AGE_SECS: u64 = 30;
/// How long a head counts as news of a node; later, the node has to show it again.
const SIGHTING_TTL: Duration = Duration::from_mins(1);
/// How long a node of another chain stays unused before it is asked again which chain it has.
const OTHER_CHAIN_TTL: Duration = Duration::from_mins(5);
/// How long a node is left alone while the one call that tries it again is under way.
const PROBE_GRACE: Duration = Duration::from_secs(10);
/// Most methods remembered that a node does not have. Our own limit.
const MAX_LACKING: usize = 64;
/// Latencies below this count as equal, so that the order of the settings decides.
const LATENCY_STEP: u128 = 50;

/// How long failing nodes are left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// After the first failure.
    pub(super) base: Duration,
    /// At most.
    pub(super) cap: Duration,
}

impl Backoff {
    /// The while after that many failures in a row, half to all of it by the dice: nodes that failed together are not
    /// tried again together, and neither do many clients come back at once.
    pub(super) fn after(self, failures: u32, dice: u64) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.base.saturating_mul(doubled).min(self.cap);
        let part = u32::try_from(dice % 1000).unwrap_or_default();
        full / 2 + full / 2000 * part
    }
}

/// What a node said of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) chain_id: String,
    pub(super) key_prefix: String,
}

impl Identity {
    pub(super) fn is_of(&self, network: &HiveNetwork) -> bool {
        self.chain_id.parse() == Ok(network.chain_id)
            && self.key_prefix == network.key_prefix.as_str()
    }
}

/// The head that a node showed.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: Instant,
    time: TimePoint,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// In a row.
    failures: u32,
    /// It failed, and is left alone until then.
    closed_until: Option<Instant>,
    /// It asked to be left alone until then.
    held_until: Option<Instant>,
    identity: Option<(Identity, Instant)>,
    lacking: BTreeSet<Box<str>>,
    latency: Option<Duration>,
    refuses_batches: bool,
    sighting: Option<Sighting>,
}

/// All nodes of a client.
#[derive(Debug)]
pub(super) struct Fleet {
    nodes: Vec<Node>,
    backoff: Backoff,
}

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeHealth {
    /// Host and port.
    pub name: Box<str>,
    /// Failures in a row; 0 for one that answers.
    pub failures: u32,
    /// Time that its answers took lately, `None` before the first.
    pub latency: Option<Duration>,
    /// Whether its head is more than 30 seconds from where the other nodes, or the clock, have the chain.
    pub is_off: bool,
    /// Whether calls pass it by for now, since it failed or asked for that.
    pub is_paused: bool,
}

impl Fleet {
    pub(super) fn new(count: usize, backoff: Backoff) -> Self {
        Self { nodes: vec![Node::default(); count], backoff }
    }

    /// The nodes to ask one after another, the best first. Those left alone are in it only when there is no other;
    /// those that asked for it never.
    pub(super) fn order(&self, methods: &[&str], now: Instant, clock: Timestamp) -> Vec<usize> {
        let free = |node: &Node| node.held_until.is_none_or(|until| until <= now);
        let free = self.nodes.iter().enumerate().filter(|(_, node)| free(node));
        let is_closed = |node: &Node| node.closed_until.is_some_and(|until| until > now);
        let (mut closed, mut open): (Vec<_>, Vec<_>) = free.partition(|(_, node)| is_closed(node));
        if open.is_empty() {
            closed.sort_by_key(|(_, node)| node.closed_until);
            return closed.into_iter().map(|(index, _)| index).collect();
        }
        // One whose time is over goes first, once: nothing else would tell that it is well again.
        open.sort_by_key(|(index, node)| {
            let lacks = methods.iter().all(|method| node.lacking.contains(*method));
            (lacks, node.failures == 0, self.is_off(*index, now, clock), latency_class(node))
        });
        open.into_iter().map(|(index, _)| index).collect()
    }

    /// All nodes that did not ask to be left alone.
    pub(super) fn unheld(&self, now: Instant) -> Vec<usize> {
        let free = |node: &Node| node.held_until.is_none_or(|until| until <= now);
        let nodes = self.nodes.iter().enumerate().filter(|(_, node)| free(node));
        nodes.map(|(index, _)| index).collect()
    }

    /// How long until the first node that asked to be left alone may be asked, `None` if one may be asked now.
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        let waits = self.nodes.iter().map(|node| {
            node.held_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
        });
        waits.min().filter(|wait| !wait.is_zero())
    }

    /// A call is about to ask this node. Whether it is one that failed and may be well again.
    pub(super) fn begin(&mut self, index: usize, now: Instant) -> bool {
        let Some(node) = self.nodes.get_mut(index) else { return false };
        let is_probe = node.failures > 0;
        if is_probe {
            let grace = now.checked_add(PROBE_GRACE);
            node.closed_until = node.closed_until.max(grace);
        }
        is_probe
    }

    /// The node answered.
    pub(super) fn succeed(&mut self, index: usize, latency: Duration) {
        if let Some(node) = self.nodes.get_mut(index) {
            (node.failures, node.closed_until) = (0, None);
            node.latency = Some(node.latency.map_or(latency, |old| old / 8 * 7 + latency / 8));
        }
    }

    /// The node failed. What it said of its chain is forgotten, since another may answer in its place next time.
    pub(super) fn fail(&mut self, index: usize, now: Instant, dice: u64) {
        let backoff = self.backoff;
        if let Some(node) = self.nodes.get_mut(index) {
            node.failures = node.failures.saturating_add(1);
            node.closed_until = now.checked_add(backoff.after(node.failures, dice));
            node.identity = None;
            node.refuses_batches = false;
            node.lacking.clear();
        }
    }

    /// The node asked to be left alone for this long.
    pub(super) fn hold(&mut self, index: usize, pause: Duration, now: Instant) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.held_until = now.checked_add(pause);
        }
    }

    /// What the node said of its chain. One that is of another network than `network` is asked again after a while.
    pub(super) fn identity(
        &self,
        index: usize,
        network: &HiveNetwork,
        now: Instant,
    ) -> Option<Identity> {
        let (identity, at) = self.nodes.get(index)?.identity.as_ref()?;
        let is_old = now.saturating_duration_since(*at) > OTHER_CHAIN_TTL;
        (identity.is_of(network) || !is_old).then(|| identity.clone())
    }

    pub(super) fn identify(&mut self, index: usize, identity: Identity, now: Instant) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.identity = Some((identity, now));
        }
    }

    /// The node does not have this method.
    pub(super) fn lack(&mut self, index: usize, method: &str) {
        if let Some(node) = self.nodes.get_mut(index)
            && node.lacking.len() < MAX_LACKING
        {
            node.lacking.insert(method.into());
        }
    }

    pub(super) fn lacks(&self, index: usize, method: &str) -> bool {
        self.nodes.get(index).is_some_and(|node| node.lacking.contains(method))
    }

    pub(super) fn refuse_batches(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.refuses_batches = true;
        }
    }

    pub(super) fn refuses_batches(&self, index: usize) -> bool {
        self.nodes.get(index).is_some_and(|node| node.refuses_batches)
    }

    /// The node showed this head.
    pub(super) fn sight(&mut self, index: usize, time: TimePoint, at: Instant) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.sighting = Some(Sighting { at, time });
        }
    }

    /// Whether every node of the chain that may be asked has lately shown where it is.
    pub(super) fn has_sighted_all(&self, network: &HiveNetwork, now: Instant) -> bool {
        self.nodes.iter().all(|node| {
            let is_away = node.failures > 0 || node.held_until.is_some_and(|until| until > now);
            let is_other = node.identity.as_ref().is_some_and(|(found, _)| !found.is_of(network));
            is_away || is_other || fresh(node, now).is_some()
        })
    }

    /// Whether the node's head is not where the chain is: behind, or further than anybody else has it.
    ///
    /// With three heads the middle one tells where the chain is, with two the later one that is not ahead of the clock.
    /// The clock alone only counts against a single head: where it is wrong, all nodes are equally far from it.
    pub(super) fn is_off(&self, index: usize, now: Instant, clock: Timestamp) -> bool {
        let Some(own) = self.nodes.get(index).and_then(|node| expected(node, now)) else {
            return false;
        };
        let clock = u64::try_from(clock.as_unix_secs()).unwrap_or_default();
        let mut heads: Vec<u64> =
            self.nodes.iter().filter_map(|node| expected(node, now)).collect();
        heads.sort_unstable();
        let chain = match heads.as_slice() {
            [early, late] if *late <= clock.saturating_add(MAX_HEAD_AGE_SECS) => early.max(late),
            [early, _] => early,
            [_, .., _] => heads.get(heads.len() / 2).unwrap_or(&own),
            _ => &clock,
        };
        own.abs_diff(*chain) > MAX_HEAD_AGE_SECS
    }

    pub(super) fn health(
        &self,
        index: usize,
        name: &str,
        now: Instant,
        clock: Timestamp,
    ) -> Option<NodeHealth> {
        let node = self.nodes.get(index)?;
        let pauses = [node.closed_until, node.held_until];
        Some(NodeHealth {
            name: name.into(),
            failures: node.failures,
            latency: node.latency,
            is_off: self.is_off(index, now, clock),
            is_paused: pauses.into_iter().flatten().any(|until| until > now),
        })
    }
}

fn fresh(node: &Node, now: Instant) -> Option<&Sighting> {
    let is_fresh = |one: &&Sighting| now.saturating_duration_since(one.at) <= SIGHTING_TTL;
    node.sighting.as_ref().filter(is_fresh)
}

/// Where the head of the node should be by now, in seconds since 1970.
fn expected(node: &Node, now: Instant) -> Option<u64> {
    let sighting = fresh(node, now)?;
    let since = now.saturating_duration_since(sighting.at).as_secs();
    Some(u64::from(sighting.time.as_unix_secs()) + since)
}

/// Nodes of one class are equally good; each class is about twice as slow as the one before.
fn latency_class(node: &Node) -> u32 {
    node.latency.map_or(0, |latency| (latency.as_millis() / LATENCY_STEP + 1).ilog2())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff =
        Backoff { base: Duration::from_millis(250), cap: Duration::from_mins(1) };
    const CLOCK: u32 = 1_795_219_800;

    fn clock() -> Timestamp {
        Timestamp::from_unix_secs(CLOCK)
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn fleet(count: usize) -> (Fleet, Instant) {
        (Fleet::new(count, BACKOFF), Instant::now())
    }

    fn sight(fleet: &mut Fleet, index: usize, offset: i32, at: Instant) {
        let time = TimePoint::from_unix_secs(CLOCK.checked_add_signed(offset).unwrap());
        fleet.sight(index, time, at);
    }

    #[test]
    fn a_failing_node_is_left_alone_and_tried_again_by_one_call_only() {
        let (mut fleet, now) = fleet(2);
        fleet.fail(0, now, 999);
        assert_eq!(fleet.order(&[], now, clock()), [1]);
        let later = now + Duration::from_millis(251);
        assert_eq!(fleet.order(&[], later, clock()), [0, 1], "it goes first once");
        assert!(fleet.begin(0, later));
        assert_eq!(fleet.order(&[], later, clock()), [1], "others pass it by meanwhile");
        fleet.succeed(0, secs(0));
        assert_eq!(fleet.order(&[], later, clock()), [0, 1]);
        assert!(!fleet.begin(0, later));
    }

    #[test]
    fn a_probe_that_nobody_finishes_does_not_lose_the_node() {
        let (mut fleet, now) = fleet(2);
        fleet.fail(0, now, 999);
        let later = now + secs(1);
        fleet.begin(0, later);
        assert_eq!(fleet.order(&[], later + PROBE_GRACE, clock()), [0, 1]);
    }

    #[test]
    fn when_all_fail_the_one_that_is_ready_first_is_asked_first() {
        let (mut fleet, now) = fleet(3);
        for _ in 0..4 {
            fleet.fail(0, now, 0);
        }
        fleet.fail(1, now, 999);
        fleet.fail(2, now, 0);
        assert_eq!(fleet.order(&[], now, clock()), [2, 1, 0]);
    }

    #[test]
    fn a_node_that_asked_for_a_pause_gets_it() {
        let (mut fleet, now) = fleet(1);
        fleet.hold(0, secs(9), now);
        fleet.fail(0, now, 0);
        fleet.succeed(0, secs(0));
        assert!(fleet.order(&[], now + secs(8), clock()).is_empty());
        assert_eq!(fleet.held_for(now + secs(8)), Some(secs(1)));
        assert_eq!(fleet.order(&[], now + secs(9), clock()), [0]);
        assert_eq!(fleet.held_for(now + secs(9)), None);
    }

    #[test]
    fn a_fast_node_goes_before_a_slow_one_and_settings_decide_among_equals() {
        let (mut fleet, now) = fleet(3);
        fleet.succeed(0, Duration::from_millis(900));
        fleet.succeed(1, Duration::from_millis(30));
        fleet.succeed(2, Duration::from_millis(10));
        assert_eq!(fleet.order(&[], now, clock()), [1, 2, 0]);
        // One slow answer does not turn the order over, many do.
        fleet.succeed(1, Duration::from_millis(150));
        assert_eq!(fleet.order(&[], now, clock()), [1, 2, 0]);
        for _ in 0..40 {
            fleet.succeed(1, Duration::from_millis(200));
        }
        assert_eq!(fleet.order(&[], now, clock()), [2, 1, 0]);
    }

    #[test]
    fn a_node_without_the_method_goes_last_for_that_method() {
        let (mut fleet, now) = fleet(2);
        fleet.lack(0, "a.b");
        assert_eq!(fleet.order(&["a.b"], now, clock()), [1, 0]);
        assert_eq!(fleet.order(&["a.b", "c.d"], now, clock()), [0, 1]);
        fleet.fail(0, now, 0);
        assert!(!fleet.lacks(0, "a.b"), "it may be another one next time");
    }

    #[test]
    fn heads_are_judged_by_the_others_and_by_the_clock() {
        let (mut fleet, now) = fleet(3);
        let off = |fleet: &Fleet, now| -> Vec<usize> {
            (0..3).filter(|index| fleet.is_off(*index, now, clock())).collect()
        };
        sight(&mut fleet, 0, -31, now);
        assert_eq!(off(&fleet, now), [0], "the clock against one");
        sight(&mut fleet, 1, -40, now);
        assert!(off(&fleet, now).is_empty(), "two against the clock");
        sight(&mut fleet, 1, -3, now);
        sight(&mut fleet, 0, -40, now);
        assert_eq!(off(&fleet, now), [0], "the later one is right");
        sight(&mut fleet, 0, 3600, now);
        assert_eq!(off(&fleet, now), [0], "but not from the future");
        sight(&mut fleet, 2, -6, now);
        assert_eq!(off(&fleet, now), [0], "two against a liar");
        // The clock is an hour slow: all nodes are fine.
        for index in 0..3 {
            sight(&mut fleet, index, 3600 - 3 * i32::try_from(index).unwrap(), now);
        }
        assert!(off(&fleet, now).is_empty());
        // What was seen earlier counts as where it should be now, and not for ever.
        sight(&mut fleet, 0, 3600 + 40, now + secs(40));
        assert!(off(&fleet, now + secs(40)).is_empty());
        assert!(off(&fleet, now + secs(101)).is_empty());
        assert_eq!(fleet.order(&[], now + secs(101), clock()), [0, 1, 2]);
    }

    #[test]
    fn a_node_that_is_off_goes_last_until_its_head_is_old_news() {
        let (mut fleet, now) = fleet(2);
        sight(&mut fleet, 0, -600, now);
        sight(&mut fleet, 1, -3, now);
        assert_eq!(fleet.order(&[], now, clock()), [1, 0]);
        let later = now + SIGHTING_TTL + secs(1);
        assert_eq!(fleet.order(&[], later, clock()), [0, 1], "it may show its head again");
        assert!(!fleet.has_sighted_all(&HiveNetwork::hive(), later));
    }

    #[test]
    fn a_node_of_another_chain_is_asked_again_only_after_a_while() {
        let (mut fleet, now) = fleet(1);
        let identity = Identity { chain_id: "00".repeat(32), key_prefix: "STM".into() };
        fleet.identify(0, identity.clone(), now);
        let hive = HiveNetwork::hive();
        assert!(!identity.is_of(&hive));
        assert_eq!(fleet.identity(0, &hive, now + OTHER_CHAIN_TTL), Some(identity));
        assert_eq!(fleet.identity(0, &hive, now + OTHER_CHAIN_TTL + secs(1)), None);
        assert!(fleet.identity(0, &HiveNetwork::steem(), now + secs(9999)).is_some());
        assert!(fleet.has_sighted_all(&hive, now), "its head does not matter");
        assert!(!fleet.has_sighted_all(&HiveNetwork::steem(), now));
        fleet.fail(0, now, 0);
        assert_eq!(fleet.identity(0, &HiveNetwork::steem(), now), None);
    }

    proptest! {
        #[test]
        fn the_pause_grows_to_its_cap_and_is_never_under_half(failures: u32, dice: u64) {
            let pause = BACKOFF.after(failures, dice);
            let full = BACKOFF.after(failures, 999);
            prop_assert!(pause <= BACKOFF.cap);
            prop_assert!(pause * 2 >= full);
            prop_assert!(BACKOFF.after(failures.saturating_add(1), 999) >= full);
            prop_assert!(pause >= BACKOFF.base / 2);
        }

        #[test]
        fn every_order_has_each_node_once_and_never_none_unless_held(
            events in prop::collection::vec((0_usize..4, 0_u8..6, 0_u64..5000), 0..60),
        ) {
            let (mut fleet, mut now) = fleet(4);
            for (index, kind, millis) in events {
                now += Duration::from_millis(millis);
                match kind {
                    0 => fleet.succeed(index, Duration::from_millis(millis)),
                    1 => fleet.fail(index, now, millis),
                    2 => fleet.hold(index, Duration::from_millis(millis), now),
                    3 => drop(fleet.begin(index, now)),
                    4 => sight(&mut fleet, index, i32::try_from(millis).unwrap() - 2500, now),
                    _ => fleet.lack(index, "a.b"),
                }
                let order = fleet.order(&["a.b"], now, clock());
                let once: BTreeSet<usize> = order.iter().copied().collect();
                prop_assert_eq!(once.len(), order.len());
                prop_assert_eq!(order.is_empty(), fleet.held_for(now).is_some());
            }
        }
    }
}
