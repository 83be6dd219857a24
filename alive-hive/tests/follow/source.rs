//! The source over nodes that fork, fail and lie: no block is skipped, none is applied twice.

use std::time::Duration;

use alive_core::{
    Index,
    backend::{Block, BlockRef, BlockSource, Next, SourceError},
};
use alive_hive::{
    HiveNetwork,
    rpc::{Follow, FollowError, HiveBlockSource, HiveBlockSourceConfig, RpcClient, RpcConfig},
};
use proptest::{prelude::*, sample::select};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::nodes::{Chain, Node, Said};

fn config() -> HiveBlockSourceConfig {
    HiveBlockSourceConfig::default().page(20)
}

fn over(urls: &[String], config: HiveBlockSourceConfig) -> HiveBlockSource {
    let rpc = RpcConfig::new(urls).unwrap().timeout(Duration::from_millis(400));
    HiveBlockSource::new(RpcClient::new(rpc).unwrap(), HiveNetwork::hive(), config)
}

/// An indexer: it keeps every block that it has, and refuses what does not follow.
#[derive(Default)]
struct Indexer {
    index: Index,
    blocks: Vec<Block>,
    irreversible: u64,
    /// What this source said last.
    told: u64,
    undone: usize,
}

impl Indexer {
    async fn step(&mut self, source: &HiveBlockSource, limit: usize) -> Result<bool, SourceError> {
        let last: Option<BlockRef> = self.index.last().cloned();
        match source.next(last.as_ref(), limit).await? {
            Next::Forked => {
                let undone = self.index.undo_block().expect("no final block is taken back");
                let popped = self.blocks.pop().unwrap();
                assert_eq!(undone.at, popped.at);
                assert!(popped.at.num > self.irreversible);
                self.undone += 1;
                Ok(true)
            }
            Next::Blocks { blocks, irreversible } => {
                assert!(blocks.len() <= limit);
                assert!(irreversible >= self.told, "it goes back");
                self.told = irreversible;
                self.irreversible = self.irreversible.max(irreversible);
                for block in &blocks {
                    let next = self.blocks.last().map_or(1, |last| last.at.num + 1);
                    assert_eq!(block.at.num, next, "skipped or twice");
                    self.index.apply_block(block).expect("it follows");
                    self.blocks.push(block.clone());
                }
                self.index.finalize(irreversible);
                Ok(!blocks.is_empty())
            }
        }
    }

    async fn catch_up(&mut self, source: &HiveBlockSource, limit: usize) {
        while self.step(source, limit).await.unwrap() {}
    }

    /// Everything up to `num` is that of the chain, and so is the index.
    fn is_at(&self, chain: &Chain, num: usize) {
        assert_eq!(self.blocks.len(), num);
        for (block, num) in self.blocks.iter().zip(1..) {
            assert_eq!(block.at.id.as_str(), chain.id(num).to_string());
        }
        let mut straight = Index::default();
        for block in &self.blocks {
            straight.apply_block(block).unwrap();
        }
        assert_eq!(self.index.streams().count(), straight.streams().count());
        for (key, stream) in straight.streams() {
            assert_eq!(self.index.stream(&key.account, &key.link), Some(stream));
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn payload(dice: &mut Dice) -> String {
    let link = format!("s{}", dice.below(9));
    let cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
    match dice.below(4) {
        0 => json!({ "op": 2, "link": link }).to_string(),
        1 => json!({ "op": 1, "link": link }).to_string(),
        2 => json!({ "op": 9 }).to_string(),
        _ => json!({ "op": 0, "link": link, "seq": dice.below(4), "src": cid }).to_string(),
    }
}

fn grow(chain: &mut Chain, dice: &mut Dice, count: usize) {
    for _ in 0..count {
        let payloads: Vec<String> = (0..dice.below(3)).map(|_| payload(dice)).collect();
        chain.push(&payloads);
    }
}

#[rstest]
#[case(Follow::Head)]
#[case(Follow::Irreversible)]
#[tokio::test]
async fn after_a_thousand_reorganisations_the_state_is_that_of_the_straight_chain(
    #[case] follow: Follow,
) {
    let (mut dice, mut tasks) = (Dice(7), JoinSet::new());
    let mut chain = Chain::default();
    grow(&mut chain, &mut dice, 30);
    chain.irreversible = 10;
    let node = Node::honest(chain);
    let url = node.serve(&mut tasks).await;
    let mut source = over(std::slice::from_ref(&url), config().follow(follow));
    let mut indexer = Indexer::default();
    for round in 0..1000 {
        for _ in 0..dice.below(4) {
            indexer.step(&source, 1 + dice.below(30)).await.unwrap();
        }
        node.with(|chain| {
            let reversible = chain.head() - chain.irreversible;
            let depth = 1 + dice.below(reversible.min(18));
            chain.pop(depth);
            // A fork wins by being longer.
            grow(chain, &mut dice, depth + 1);
            let lag = 1 + dice.below(19);
            chain.irreversible = chain.irreversible.max(chain.head().saturating_sub(lag));
        });
        if round % 100 == 99 {
            // The process is killed and starts again from the cursor.
            source = over(std::slice::from_ref(&url), config().follow(follow));
            indexer.told = 0;
        }
    }
    indexer.catch_up(&source, 100).await;
    let chain = node.with(|chain| chain.clone());
    match follow {
        Follow::Irreversible => {
            indexer.is_at(&chain, chain.irreversible);
            assert_eq!(indexer.undone, 0, "what is irreversible is never taken back");
        }
        _ => {
            indexer.is_at(&chain, chain.head());
            assert!(indexer.undone > 500, "it saw forks: {}", indexer.undone);
        }
    }
    let fresh = over(&[url], config().follow(follow));
    let mut straight = Indexer::default();
    straight.catch_up(&fresh, 1000).await;
    assert_eq!(straight.blocks, indexer.blocks);
}

fn long_chain() -> Chain {
    let mut chain = Chain::default();
    grow(&mut chain, &mut Dice(3), 400);
    chain.irreversible = 390;
    chain
}

/// Changes the answers of `get_block_range`, all of them.
fn range_lie(change: fn(&mut Vec<Value>)) -> Node {
    Node::lying(long_chain(), move |request, answer| {
        if request["method"] != "block_api.get_block_range" {
            return Said::Answer(answer);
        }
        let mut result: Value = serde_json::from_str(&answer.unwrap()).unwrap();
        change(result["blocks"].as_array_mut().unwrap());
        Said::Answer(Ok(result.to_string()))
    })
}

fn only_blocks(request: &Value) -> bool {
    request["method"].as_str().unwrap().contains("get_block")
}

fn liar(name: &str) -> Node {
    let chain = long_chain();
    match name {
        "silent" => Node::lying(chain, |_, _| Said::Silence),
        "silent about blocks" => Node::lying(chain, |request, answer| {
            if only_blocks(request) { Said::Silence } else { Said::Answer(answer) }
        }),
        "garbage" => Node::lying(chain, |_, _| Said::Garbage("<html>busy</html>".into())),
        "garbage for blocks" => Node::lying(chain, |request, answer| {
            if only_blocks(request) {
                Said::Answer(Ok(r#"{"blocks":[{"previous":"#.into()))
            } else {
                Said::Answer(answer)
            }
        }),
        "an earlier answer" => {
            let mut first = None;
            Node::lying(chain, move |request, answer| {
                if only_blocks(request) {
                    Said::Answer(first.get_or_insert(answer).clone())
                } else {
                    Said::Answer(answer)
                }
            })
        }
        "other blocks from the middle on" => Node::honest(chain.fork_at(200)),
        "another chain's blocks" => Node::honest(chain.fork_at(0)),
        "far behind" => {
            let mut behind = chain;
            behind.pop(300);
            behind.irreversible = 90;
            Node::honest(behind)
        }
        "empty pages" => range_lie(Vec::clear),
        "short pages" => range_lie(|blocks| blocks.truncate(3)),
        "later pages" => range_lie(|blocks| drop(blocks.drain(..1.min(blocks.len())))),
        "pages with a gap" => range_lie(|blocks| {
            if blocks.len() > 4 {
                blocks.remove(3);
            }
        }),
        "blocks twice" => range_lie(|blocks| {
            if let Some(first) = blocks.first().cloned() {
                blocks.insert(0, first);
            }
        }),
        "blocks backwards" => range_lie(|blocks| blocks.reverse()),
        "other payloads" => range_lie(|blocks| {
            for block in blocks {
                if let Some(json) = block.pointer_mut("/transactions/0/operations/0/value/json") {
                    *json = r#"{"op":2,"link":"lie"}"#.into();
                }
            }
        }),
        "no transactions" => range_lie(|blocks| {
            for block in blocks {
                block["transactions"] = json!([]);
            }
        }),
        "other witnesses" => range_lie(|blocks| {
            for block in blocks {
                block["witness"] = "eve".into();
            }
        }),
        other => panic!("no liar {other}"),
    }
}

const LIARS: [&str; 15] = [
    "silent about blocks",
    "garbage",
    "garbage for blocks",
    "an earlier answer",
    "far behind",
    "empty pages",
    "short pages",
    "later pages",
    "pages with a gap",
    "blocks twice",
    "blocks backwards",
    "other payloads",
    "no transactions",
    "other witnesses",
    "silent",
];

/// Follows the good node's chain though the other is asked first.
async fn follows_past(name: &str, follow: Follow) {
    let mut tasks = JoinSet::new();
    let (bad, good) = (liar(name), Node::honest(long_chain()));
    let urls = [bad.serve(&mut tasks).await, good.serve(&mut tasks).await];
    let source = over(&urls, config().follow(follow).ahead(3));
    let mut indexer = Indexer::default();
    let mut failures = 0;
    loop {
        match indexer.step(&source, 50).await {
            // Whoever is behind is not behind for ever.
            Ok(false) if indexer.blocks.len() < 390 && failures < 50 => failures += 1,
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                failures += 1;
                assert!(failures < 50, "{name}: {error:?}");
            }
        }
        if name == "far behind" && indexer.blocks.len() >= 90 {
            // It comes up with the others.
            bad.with(|chain| *chain = long_chain());
        }
    }
    let num = if follow == Follow::Head { 400 } else { 390 };
    indexer.is_at(&long_chain(), num);
    assert_eq!(indexer.undone, 0, "{name}");
}

#[tokio::test]
async fn in_front_of_a_good_node_no_lie_is_believed() {
    for name in LIARS {
        follows_past(name, Follow::Head).await;
        follows_past(name, Follow::Irreversible).await;
    }
}

#[rstest]
#[case("empty pages")]
#[case("later pages")]
#[case("blocks backwards")]
#[case("other payloads")]
#[case("no transactions")]
#[case("other witnesses")]
#[case("garbage for blocks")]
#[tokio::test]
async fn alone_a_lie_is_an_error_and_no_block(#[case] name: &str) {
    let mut tasks = JoinSet::new();
    let url = liar(name).serve(&mut tasks).await;
    let source = over(&[url], config().page(400));
    source.next(None, 400).await.unwrap_err();
}

#[tokio::test]
async fn a_final_block_is_not_taken_back_and_the_node_is_blamed() {
    let mut tasks = JoinSet::new();
    let node = Node::honest(long_chain());
    let url = node.serve(&mut tasks).await;
    let source = over(&[url], config());
    let mut indexer = Indexer::default();
    indexer.catch_up(&source, 100).await;
    node.with(|chain| {
        *chain = chain.fork_at(200);
        chain.push_empty(5);
        chain.irreversible = 390;
    });
    // What is reversible is taken back, what is final is not.
    let error = loop {
        match indexer.step(&source, 100).await {
            Ok(_) => assert!(indexer.blocks.len() >= 390),
            Err(error) => break error,
        }
    };
    assert_eq!(indexer.blocks.len(), 390);
    let SourceError::Refused { source: cause, .. } = &error else { panic!("{error:?}") };
    let cause = cause.downcast_ref::<FollowError>().unwrap();
    let FollowError::BelowIrreversible { block } = cause else { panic!("{cause:?}") };
    assert_eq!(*block, long_chain().id(390));
    // Another node that has it is believed.
    node.with(|chain| *chain = long_chain());
    indexer.catch_up(&source, 100).await;
    indexer.is_at(&long_chain(), 400);
}

#[tokio::test]
async fn nodes_without_ranges_are_asked_block_by_block() {
    for missing in [1, 2] {
        let mut tasks = JoinSet::new();
        let node = Node::lying(long_chain(), move |request, answer| {
            let methods = ["block_api.get_block_range", "block_api.get_block"];
            let method = request["method"].as_str().unwrap();
            if methods[..missing].contains(&method) {
                return Said::Answer(Err(json!({ "code": -32601, "message": "no such method" })));
            }
            Said::Answer(answer)
        });
        let url = node.serve(&mut tasks).await;
        let mut indexer = Indexer::default();
        indexer.catch_up(&over(&[url], config()), 100).await;
        indexer.is_at(&long_chain(), 400);
    }
}

#[tokio::test]
async fn pages_are_asked_for_ahead_and_within_bounds() {
    let mut tasks = JoinSet::new();
    let node = Node::honest(long_chain());
    let url = node.serve(&mut tasks).await;
    let source = over(&[url], config().ahead(3));
    let Next::Blocks { blocks, .. } = source.next(None, 5).await.unwrap() else { panic!("forked") };
    assert_eq!(blocks.len(), 5);
    assert!(*node.asked.lock().unwrap() <= 7, "three pages at once, four waiting");
    let mut indexer = Indexer::default();
    indexer.catch_up(&source, 7).await;
    indexer.is_at(&long_chain(), 400);
    // 285 deep blocks in pages of 20, asked for about once each, then the rest up to the head.
    assert!(*node.asked.lock().unwrap() < 60, "{}", node.asked.lock().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Killed at any block and started again from the cursor, with pages and limits of any size.
    #[test]
    fn whoever_starts_again_goes_on_where_it_was(
        stops in prop::collection::vec((1..120_usize, select(vec![1_u32, 7, 50, 400])), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let url = Node::honest(long_chain()).serve(&mut tasks).await;
            let mut indexer = Indexer::default();
            for (limit, page) in stops {
                let source = over(std::slice::from_ref(&url), config().page(page));
                // A new one has yet to find out what the one before knew.
                indexer.told = 0;
                indexer.step(&source, limit).await.unwrap();
            }
            indexer.told = 0;
            indexer.catch_up(&over(&[url], config()), 100).await;
            indexer.is_at(&long_chain(), 400);
        });
    }
}
