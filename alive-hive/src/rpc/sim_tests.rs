//! The client and the broadcaster against nodes in memory, under a paused clock.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, timeout};

use crate::{
    block_id::TransactionId,
    keys::{PrivateKey, Role},
    network::HiveNetwork,
    operation::{CustomJson, Operation},
    transaction::Tapos,
};

use super::{
    broadcaster::{BroadcasterConfig, Confirm, HiveBroadcaster, SubmitError},
    client::{RpcCall, RpcClient, RpcError},
    config::RpcConfig,
    inclusion::{Proof, Search},
    node::ChainNode,
    sim::{Nature, Net, key},
};

fn net(nodes: Vec<Nature>) -> Arc<Net> {
    Net::new(nodes, key().public_key(), 5)
}

fn same(config: RpcConfig) -> RpcConfig {
    config
}

fn op(json: &str) -> Operation {
    CustomJson::posting("alice", "alive-test", json).into()
}

fn ops(json: &str) -> Vec<Operation> {
    vec![op(json)]
}

fn broadcaster(client: RpcClient, config: BroadcasterConfig) -> HiveBroadcaster {
    HiveBroadcaster::new(client, HiveNetwork::hive(), "alice".parse().unwrap(), key(), config)
}

/// Does something while the chain grows.
async fn while_running<T>(net: &Net, forks: bool, act: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = act => done,
        () = net.run(forks) => unreachable!("it never ends"),
    }
}

/// Submits until it is done, however often it fails or is given up.
async fn insist(alice: &HiveBroadcaster, json: &str, patience: impl Fn() -> Duration) {
    for _ in 0..2000 {
        match timeout(patience(), alice.submit(ops(json))).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => assert!(error.is_transient(), "{json}: {error:?}"),
            Err(_) => {}
        }
    }
    panic!("{json} does not get through");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(future)
}

/// What happens to operations on their way.
#[derive(Clone, Copy, Debug)]
struct Weather {
    seed: u64,
    /// What may happen to a request to an honest node, in percent; to one that lies half of it.
    faults: u64,
    /// How often the nodes that lie do so, in percent.
    lies: u64,
    /// How many nodes lie, and before which of the three honest ones they stand.
    liars: (usize, usize),
    /// Blocks that one of the honest nodes is behind.
    behind: usize,
    skew: i64,
    confirm: Confirm,
}

impl Weather {
    fn nodes(&self) -> Vec<Nature> {
        let nature = |faults| Nature { faults, ..Nature::default() };
        let (honest, late) =
            (nature(self.faults), Nature { behind: self.behind, ..nature(self.faults) });
        let (count, place) = self.liars;
        // Fewer than half lie: of three nodes one, of five two.
        let mut nodes =
            if count == 2 { vec![honest.clone(), honest, late] } else { vec![honest, late] };
        let liar = Nature { lies: self.lies, ..nature(self.faults / 2) };
        let place = place.min(nodes.len());
        nodes.splice(place..place, std::iter::repeat_n(liar, count));
        nodes
    }
}

/// Publishes five operations, and gives what is on the chain in the end.
async fn publish(weather: Weather) -> Vec<String> {
    let net = Net::new(weather.nodes(), key().public_key(), weather.seed).skewed(weather.skew);
    let client = net.client(|config| config.deadline(Duration::from_secs(20)));
    let config = BroadcasterConfig::default().confirm(weather.confirm).expiration_secs(30);
    let alice = broadcaster(client, config.patience(Duration::from_mins(3)));
    while_running(&net, true, async {
        let patience = || Duration::from_secs(20 + net.world().roll() % 300);
        for number in 0..5 {
            insist(&alice, &number.to_string(), patience).await;
        }
        let mut tries = 0;
        while let Err(error) = alice.settle().await {
            assert!(error.is_transient() && tries < 2000, "{tries}: {error:?}");
            tries += 1;
        }
        // Whatever is still on its way comes, or not.
        tokio::time::sleep(Duration::from_hours(2)).await;
    })
    .await;
    net.world().published()
}

fn weather() -> impl Strategy<Value = Weather> {
    let lies = prop_oneof![1 => Just(0_u64), 2 => Just(50), 1 => Just(100)];
    let behind = prop_oneof![2 => Just(0_usize), 1 => 1_usize..4, 1 => 20_usize..60];
    let skew = prop_oneof![Just(0_i64), Just(-7200), Just(7200)];
    let confirm = prop_oneof![Just(Confirm::Irreversible), Just(Confirm::Seen)];
    let places = (1_usize..3, 0_usize..4);
    (any::<u64>(), 0_u64..45, lies, places, behind, skew, confirm).prop_map(
        |(seed, faults, lies, liars, behind, skew, confirm)| Weather {
            seed,
            faults,
            lies,
            liars,
            behind,
            skew,
            confirm,
        },
    )
}

fn check_published(weather: Weather) {
    let mut published = block_on(publish(weather));
    if weather.confirm == Confirm::Seen {
        // What a micro-fork takes back comes again behind the others.
        published.sort();
    }
    assert_eq!(published, ["0", "1", "2", "3", "4"], "each once and in order");
}

proptest! {
    #![proptest_config(cases(96))]
    /// The one that counts: over random faults, lies, micro-forks, lost and late transactions, dropped futures and a
    /// wrong clock, every operation is on the chain exactly once and, where irreversible blocks are waited for, in order.
    /// Fewer than half of the nodes lie, about everything that a node can be asked: they deny, invent and forge blocks,
    /// and pass on what they refuse.
    #[test]
    fn every_operation_is_on_the_chain_once_and_in_order(weather in weather()) {
        check_published(weather);
    }

    /// Whatever happens on the way, a result of a batch is that of its own call.
    #[test]
    fn a_batch_gives_each_call_its_own_result(
        seed: u64,
        faults in 0_u64..60,
        size in 1_usize..8,
        count in 0_usize..30,
        takes in prop::collection::vec(any::<bool>(), 3),
    ) {
        let nature = |takes_batches| Nature { faults, takes_batches, ..Nature::default() };
        let nodes = takes.into_iter().map(nature).collect();
        block_on(async {
            let net = Net::new(nodes, key().public_key(), seed);
            let calls: Vec<RpcCall> = (0..count).map(|index| header_call(1 + index % 5)).collect();
            let client = net.client(|config| config.max_batch(size).rounds(20));
            let client = client.of_network(HiveNetwork::hive());
            let results = client.ask_batch(&calls, |index, result| {
                assert_eq!(number_of(result)?, 1 + index % 5);
                Ok(index)
            });
            let results = results.await;
            assert_eq!(results.len(), count);
            for (index, result) in results.into_iter().enumerate() {
                // A deadline may come first, but nothing else.
                assert!(result.as_ref().map_or_else(RpcError::is_transient, |own| *own == index));
            }
        });
    }
}

/// As many cases as are asked for by the environment, else these.
fn cases(usual: u32) -> ProptestConfig {
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    if is_asked { ProptestConfig::default() } else { ProptestConfig::with_cases(usual) }
}

/// Weather in which something was once wrong: published twice, refused for good on the word of the fewer.
#[rstest]
#[case(3_475_047_615_175_840_100, 28, 50, (1, 0), 2, Confirm::Irreversible)]
#[case(15_215_385_888_673_743_229, 10, 100, (2, 2), 0, Confirm::Irreversible)]
fn what_went_wrong_once_does_not_again(
    #[case] seed: u64,
    #[case] faults: u64,
    #[case] lies: u64,
    #[case] liars: (usize, usize),
    #[case] behind: usize,
    #[case] confirm: Confirm,
) {
    check_published(Weather { seed, faults, lies, liars, behind, skew: 0, confirm });
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_found_from_its_own_reference_and_a_node_that_forges_blocks_is_outvoted() {
    let liar = Nature { lies: 100, ..Nature::default() };
    let net = net(vec![Nature::default(), Nature::default(), Nature::default()]);
    let alice = broadcaster(net.client(same), BroadcasterConfig::default());
    let receipt = while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
    let (id, block) = (receipt.transaction_id, receipt.block_id);
    let signed = net.world().transaction(&id).unwrap().transaction;
    let search = || Search::new(id, signed.expiration, signed.tapos());
    let node = ChainNode::new(net.client(same), HiveNetwork::hive());
    net.world().nodes[0] = liar;
    assert_eq!(node.prove(&mut search()).await, Proof::InBlock(block), "it may be replaced yet");
    while_running(&net, false, tokio::time::sleep(Duration::from_mins(2))).await;
    for _ in 0..100 {
        assert_eq!(node.prove(&mut search()).await, Proof::Irreversible(block));
        assert_eq!(node.settled_block(receipt.block_num, &id).await, Some(block));
        assert_eq!(node.settled_block(receipt.block_num + 1, &id).await, None);
    }
    // One that no block has, leaning on the same block or on one that never was.
    let other = TransactionId::from_bytes([7; 20]);
    for tapos in [signed.tapos(), Tapos { ref_block_num: 9, ref_block_prefix: 9 }] {
        let mut search = Search::new(other, signed.expiration, tapos);
        for _ in 0..100 {
            assert_eq!(node.prove(&mut search.clone()).await, Proof::Void);
        }
        // What one node was looked through for stays, and says the same.
        assert_eq!(node.prove(&mut search).await, Proof::Void);
        assert_eq!(node.prove(&mut search).await, Proof::Void);
    }
}

fn header_call(num: usize) -> RpcCall {
    RpcCall::new("block_api.get_block_header", json!({ "block_num": num }))
}

/// The number of the block whose header it is.
fn number_of(header: &RawValue) -> Result<usize, RpcError> {
    let header: Value = serde_json::from_str(header.get()).unwrap();
    let id = header["header"]["block_id"].as_str().ok_or(RpcError::Answer("a header"))?;
    Ok(usize::from_str_radix(&id[..8], 16).unwrap())
}

async fn head_of(client: &RpcClient) -> Result<Value, RpcError> {
    client.call("condenser_api.get_dynamic_global_properties", json!([])).await
}

fn asked(net: &Net, node: usize) -> usize {
    net.world().asked.iter().filter(|(index, _)| *index == node).count()
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_chain_or_prefix_is_never_used() {
    let testnet = Nature { network: HiveNetwork::hive_testnet(), ..Nature::default() };
    let mut prefix = Nature::default();
    prefix.network.key_prefix = "TST".parse().unwrap();
    let net = net(vec![testnet, prefix, Nature::default()]);
    let client = net.client(same).of_network(HiveNetwork::hive());
    for _ in 0..3 {
        head_of(&client).await.unwrap();
    }
    assert_eq!((asked(&net, 0), asked(&net, 1)), (1, 1), "once for its constants each");
    net.world().nodes.truncate(2);
    let alone = net.client(same).of_network(HiveNetwork::hive());
    let error = head_of(&alone).await.unwrap_err();
    assert!(matches!(&error, RpcError::OtherPrefix { .. } | RpcError::OtherChain { .. }));
    assert!(!error.is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_is_asked_again_which_chain_it_has() {
    let net = net(vec![Nature::default()]);
    let client = net.client(same).of_network(HiveNetwork::hive());
    head_of(&client).await.unwrap();
    net.world().nodes[0].is_dead = true;
    head_of(&client).await.unwrap_err();
    net.world().nodes[0] = Nature { network: HiveNetwork::hive_testnet(), ..Nature::default() };
    let error = head_of(&client).await.unwrap_err();
    assert!(error.to_string().contains("node:7000"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_costs_one_call_each_time_its_pause_is_over() {
    let dead = Nature { is_dead: true, ..Nature::default() };
    let net = net(vec![dead, Nature::default()]);
    let pause = Duration::from_secs(10);
    let client = net.client(|config| config.pause(pause, Duration::from_mins(5)));
    for _ in 0..100 {
        head_of(&client).await.unwrap();
    }
    assert!(client.health()[0].is_paused);
    assert_eq!(client.health()[0].failures, 1);
    tokio::time::sleep(pause).await;
    for _ in 0..100 {
        head_of(&client).await.unwrap();
    }
    assert_eq!(client.health()[0].failures, 2);
    assert!(!client.health()[1].is_paused);
}

#[tokio::test(start_paused = true)]
async fn one_call_never_takes_longer_than_its_deadline() {
    let dead = || Nature { is_dead: true, ..Nature::default() };
    let net = net(vec![dead(), dead(), dead()]);
    let limit = Duration::from_secs(7);
    let client = net.client(|config| config.rounds(1000).deadline(limit));
    for _ in 0..20 {
        let began = Instant::now();
        let error = head_of(&client).await.unwrap_err();
        assert!(error.is_transient());
        assert!(began.elapsed() <= limit + Duration::from_millis(100), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_condenser_api_is_asked_where_the_other_is_missing_and_the_other_way_round() {
    let lacks = |methods: &[&'static str]| Nature {
        lacks: methods.iter().copied().collect(),
        ..Nature::default()
    };
    let old = lacks(&["database_api.get_config", "network_broadcast_api.broadcast_transaction"]);
    let new = lacks(&[
        "condenser_api.get_config",
        "condenser_api.get_dynamic_global_properties",
        "condenser_api.broadcast_transaction",
    ]);
    for nature in [old, new] {
        let net = net(vec![nature]);
        let alice = broadcaster(net.client(same), BroadcasterConfig::default());
        while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
        while_running(&net, false, alice.submit(ops("2"))).await.unwrap();
        assert_eq!(net.world().published(), ["1", "2"]);
        // What a node lacks is found out once.
        let world = net.world();
        for method in &world.nodes[0].lacks {
            let times = world.asked.iter().filter(|(_, asked)| asked == method).count();
            assert!(times <= 1, "{method} was asked for {times} times");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_five_custom_operations_wait_at_a_time_and_the_order_stays() {
    let net = net(vec![Nature::default()]);
    let alice = Arc::new(broadcaster(net.client(same), BroadcasterConfig::default()));
    let wanted: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    let all = wanted.iter().map(|json| alice.submit(ops(json)));
    let receipts = while_running(&net, false, futures_util::future::join_all(all)).await;
    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    let world = net.world();
    assert_eq!(world.published(), wanted);
    assert!(world.sizes().iter().all(|size| *size <= 5), "{:?}", world.sizes());
    assert!(world.sizes().contains(&5), "a block is filled: {:?}", world.sizes());
    let sent = world.asked.iter().filter(|(_, method)| method.contains("broadcast")).count();
    assert_eq!(sent, 17, "nothing is refused for want of room");
}

#[tokio::test(start_paused = true)]
async fn more_custom_operations_than_a_block_takes_are_refused_at_once() {
    let net = net(vec![Nature::default()]);
    let alice = broadcaster(net.client(same), BroadcasterConfig::default());
    let error = alice.submit(vec![op("1"); 6]).await.unwrap_err();
    assert!(matches!(error, SubmitError::TooManyCustomOps { found: 6 }));
    assert!(matches!(alice.submit(Vec::new()).await, Err(SubmitError::Invalid(_))));
    assert_eq!(asked(&net, 0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_wrong_role_signs_nothing() {
    let net = net(vec![Nature::default()]);
    let with = |key: PrivateKey| {
        let (client, config) = (net.client(same), BroadcasterConfig::default());
        let name = "alice".parse().unwrap();
        HiveBroadcaster::new(client, HiveNetwork::hive(), name, key, config)
    };
    // The simulated chain has this one as the active key.
    let active = PrivateKey::from_bytes(&[9; 32]).unwrap();
    let error = with(active).submit(ops("1")).await.unwrap_err();
    assert_eq!(error.to_string(), "this is the active key of alice; a posting key is needed");
    assert!(!error.is_transient());
    let other = PrivateKey::from_password("bob", Role::Posting, "x").unwrap();
    let error = with(other).submit(ops("1")).await.unwrap_err();
    assert_eq!(error.to_string(), "this is no key of alice; a posting key is needed");
    let is_send = |(_, method): &(usize, String)| method.contains("broadcast");
    assert!(!net.world().asked.iter().any(is_send), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_submission_is_gone_on_with() {
    let net = net(vec![Nature::default()]);
    let alice = broadcaster(net.client(same), BroadcasterConfig::default());
    // It is sent, and then nobody waits for it.
    assert!(timeout(Duration::from_secs(1), alice.submit(ops("1"))).await.is_err());
    let receipt = while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
    // The same operations once more are other ones.
    let again = while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
    assert_ne!(receipt.transaction_id, again.transaction_id);
    assert_eq!(net.world().published(), ["1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_operations_at_once_are_two_transactions() {
    let net = net(vec![Nature::default()]);
    let alice = broadcaster(net.client(same), BroadcasterConfig::default());
    let both = async { tokio::join!(alice.submit(ops("1")), alice.submit(ops("1"))) };
    let (one, two) = while_running(&net, false, both).await;
    assert_ne!(one.unwrap().transaction_id, two.unwrap().transaction_id);
    assert_eq!(net.world().published(), ["1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_micro_fork_drops_after_it_was_seen_is_sent_again_before_the_next() {
    for seed in 0..20 {
        let net = Net::new(vec![Nature::default()], key().public_key(), seed);
        let alice = broadcaster(net.client(same), BroadcasterConfig::default());
        while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
        net.world().fork();
        while_running(&net, false, alice.submit(ops("2"))).await.unwrap();
        let late = tokio::time::sleep(Duration::from_mins(3));
        while_running(&net, false, late).await;
        while_running(&net, false, alice.submit(ops("3"))).await.unwrap();
        let mut published = net.world().published();
        published.sort();
        assert_eq!(published, ["1", "2", "3"], "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_micro_fork_drops_at_the_end_is_brought_back_before_all_is_settled() {
    for seed in 0..20 {
        let net = Net::new(vec![Nature::default()], key().public_key(), seed);
        let alice = broadcaster(net.client(same), BroadcasterConfig::default());
        for op in ["1", "2", "3"] {
            while_running(&net, false, alice.submit(ops(op))).await.unwrap();
        }
        net.world().fork();
        while_running(&net, false, alice.settle()).await.unwrap();
        let mut published = net.world().published();
        published.sort();
        assert_eq!(published, ["1", "2", "3"], "seed {seed}");
        let begun = Instant::now();
        while_running(&net, false, alice.settle()).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "nothing is left to wait for");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_micro_fork_drops_is_owed_until_it_is_back_whoever_loses_patience() {
    for seed in 0..20 {
        let net = Net::new(vec![Nature::default()], key().public_key(), seed);
        let config = BroadcasterConfig::default().patience(Duration::from_secs(30));
        let alice = broadcaster(net.client(same), config);
        for op in ["1", "2", "3"] {
            while_running(&net, false, alice.submit(ops(op))).await.unwrap();
        }
        net.world().fork();
        // The chain stands still, so nothing comes back; then somebody drops the future, and then no node answers.
        assert!(alice.settle().await.unwrap_err().is_transient());
        assert!(timeout(Duration::from_secs(1), alice.settle()).await.is_err());
        net.world().nodes[0].is_dead = true;
        assert!(alice.settle().await.unwrap_err().is_transient());
        net.world().nodes[0].is_dead = false;
        while let Err(error) = while_running(&net, false, alice.settle()).await {
            assert!(error.is_transient(), "{error:?}");
        }
        let mut published = net.world().published();
        published.sort();
        assert_eq!(published, ["1", "2", "3"], "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_in_time_is_named_and_stays_watched() {
    let net = net(vec![Nature::default()]);
    let config = BroadcasterConfig::default().patience(Duration::from_secs(30));
    let alice = broadcaster(net.client(same), config);
    let receipt = while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
    // The chain stands still.
    let error = alice.settle().await.unwrap_err();
    let SubmitError::Unsettled { transaction_id } = &error else { panic!("{error:?}") };
    assert_eq!(*transaction_id, receipt.transaction_id);
    assert!(error.is_transient());
    while_running(&net, false, alice.settle()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_receipt_names_the_block_and_how_certain_it_is() {
    let net = net(vec![Nature::default()]);
    for (confirm, later) in [(Confirm::Seen, false), (Confirm::Irreversible, true)] {
        let config = BroadcasterConfig::default().confirm(confirm);
        let alice = broadcaster(net.client(same), config);
        let receipt = while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
        assert_eq!(receipt.confirmed, confirm);
        assert_eq!(receipt.block_id.block_num(), receipt.block_num);
        let head = u32::try_from(net.world().sizes().len()).unwrap();
        assert_eq!(head >= receipt.block_num + 4, later, "{head} {receipt:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_node_answers_any_more_the_fate_is_said_to_be_open() {
    let net = net(vec![Nature::default()]);
    let config = BroadcasterConfig::default().patience(Duration::from_mins(2));
    let alice = broadcaster(net.client(same), config);
    assert!(timeout(Duration::from_secs(1), alice.submit(ops("1"))).await.is_err());
    net.world().nodes[0].is_dead = true;
    let error = while_running(&net, false, alice.submit(ops("1"))).await.unwrap_err();
    assert!(error.is_transient());
    assert!(matches!(error, SubmitError::Unsettled { .. }), "{error:?}");
    net.world().nodes[0].is_dead = false;
    while_running(&net, false, alice.submit(ops("1"))).await.unwrap();
    assert_eq!(net.world().published(), ["1"]);
}
