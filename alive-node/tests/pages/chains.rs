//! What the page of a stream on two networks says when both attest it, when one is silent, and when they disagree.

use alive_core::{
    ContentId, Network, Segment, Timestamp,
    backend::{SharedBlockSource, SharedStorage, Storage as _},
    memory::MemoryChain,
};
use alive_node::SharedContentReader;
use alive_storage::MemoryStorage;

use crate::{
    driver::Browser,
    stage::{Stage, push, sample},
    support::{Bench, config, end},
};

const WATCH: &str = "/watch/hive/alice/s";

/// A node over Hive and Avalon, on which alice's and bob's `s` name each other.
async fn both() -> (Stage, MemoryChain) {
    let avalon = MemoryChain::new(Network::avalon());
    let content = MemoryStorage::default();
    let (source, reader) = (avalon.clone(), content.clone());
    let chunks = alive_core::memory::MemoryStorage::default();
    let shared = SharedStorage::new(chunks.clone());
    let bench = Bench::over(config(), chunks, shared, |backends| {
        let backends = backends.source(SharedBlockSource::new(source));
        backends.content(SharedContentReader::new(reader))
    });
    let mut stage = Stage { bench: bench.await, content };
    stage.bench.block(&[r#"{"op":2,"link":"s","also":"avalon/bob/s"}"#.to_owned()]).await;
    on_avalon(&avalon, &[r#"{"op":2,"link":"s","also":"hive/alice/s"}"#.to_owned()]);
    (stage, avalon)
}

/// Makes a block of Avalon with these payloads of bob.
fn on_avalon(avalon: &MemoryChain, payloads: &[String]) {
    for payload in payloads {
        assert!(avalon.submit("bob".parse().unwrap(), payload.clone()));
    }
    avalon.produce(Timestamp::from_unix_secs(1_700_000_000));
}

/// A push of each of these segments, and the end.
fn pushes(segments: &[Segment]) -> Vec<String> {
    let renditions = [("src", segments.to_vec())];
    let pushes = (0..segments.len()).map(|number| push(number, &renditions));
    pushes.chain([end()]).collect()
}

/// Waits until the node has read as much of both chains.
async fn until_attested(stage: &Stage, want: [usize; 2]) {
    loop {
        let answer = stage.bench.get("/v1/streams/alice/s").await;
        let told = answer.json();
        let pushes = [0, 1].map(|chain| told["attestations"][chain]["pushes"].as_u64());
        if pushes == want.map(|pushes| u64::try_from(pushes).ok()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn host(stage: &Stage) -> String {
    stage.bench.node.address().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn both_chains_of_a_stream_stand_in_the_badge() {
    let (mut stage, avalon) = both().await;
    let segments = stage.record(&sample("ts-6x10s")).await;
    stage.bench.block(&pushes(&segments)).await;
    on_avalon(&avalon, &pushes(&segments));
    until_attested(&stage, [6, 6]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(3);
    browser.until_text("badge", "Verified · attested by hive, avalon");
    browser.until_text("proof-chain", "hive names all ");
    browser.until_text("proof-chain", "; avalon names all ");
    browser.until_text("chains", "hive: 6 pushes, ");
    browser.until_text("chains", "avalon: 6 pushes, ");
    browser.until_text("chains", ", as avalon/bob/s");
    browser.evaluate("document.querySelector('details').open = true");
    browser.screenshot("two-chains");
    browser.saw_nothing_wrong(&[host(&stage)]);

    // From the other name the same is seen, that chain first.
    browser.open(&stage.url("/watch/avalon/bob/s"));
    browser.until_played(3);
    browser.until_text("badge", "Verified · attested by avalon, hive");
    browser.until_text("chains", ", as hive/alice/s");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn a_chain_that_is_silent_is_not_in_the_badge_and_is_told_of() {
    let (mut stage, _avalon) = both().await;
    let segments = stage.record(&sample("ts-6x10s")).await;
    stage.bench.block(&pushes(&segments)).await;
    until_attested(&stage, [6, 0]).await;
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(3);
    browser.until_text("proof-chain", "hive names all ");
    browser.until_text("proof-chain", "; avalon names none of them");
    browser.until_text("chains", "avalon: 0 pushes, ");
    assert_eq!(browser.text("badge"), "Verified · attested by hive");
    browser.saw_nothing_wrong(&[host(&stage)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and npm"]
async fn chains_that_disagree_attest_only_a_part_each() {
    let (mut stage, avalon) = both().await;
    let segments = stage.record(&sample("ts-6x10s")).await;
    // The same media with a packet of stuffing behind it is other content.
    let mut bytes = std::fs::read(sample("ts-6x10s").join("stream1.ts")).unwrap();
    bytes.extend([0x47, 0x1f, 0xff, 0x10].into_iter().chain([0xff; 184]));
    let other: ContentId = stage.content.put(bytes.into()).await.unwrap();
    let mut theirs = segments.clone();
    theirs[1] = Segment::new(other, theirs[1].duration);
    stage.bench.block(&pushes(&segments)).await;
    on_avalon(&avalon, &pushes(&theirs));
    until_attested(&stage, [6, 6]).await;
    let names = ["hive", "avalon"];
    let mut browser = Browser::start();
    browser.open(&stage.url(WATCH));
    browser.until_played(3);
    browser.until_text("badge", "Verified · partly attested by hive, avalon");
    for name in names {
        let told = format!(
            "/{name} names (\\d+) of (\\d+)/.exec(document.getElementById('proof-chain').textContent)"
        );
        browser.until(&format!("{told} && Number({told}[1]) === Number({told}[2]) - 1"));
    }
    browser.screenshot("chains-disagree");
    browser.saw_nothing_wrong(&[host(&stage)]);
}
