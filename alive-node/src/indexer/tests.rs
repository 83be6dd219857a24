use alive_core::{
    Seq, Timestamp,
    backend::{StoredStream, StreamStore},
    memory::{MemoryChain, MemoryStreamStore},
    testing::{Call, Fault, Flaky},
};
use proptest::prelude::*;

use super::*;

const CHUNK: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

fn chain() -> MemoryChain {
    MemoryChain::new(Network::hive())
}

fn submit(chain: &MemoryChain, account: &str, payload: &str) {
    assert!(chain.submit(account.parse().unwrap(), payload.to_owned()));
}

fn block(chain: &MemoryChain, payloads: &[&str]) {
    for payload in payloads {
        submit(chain, "alice", payload);
    }
    chain.produce(Timestamp::from_unix_secs(1_700_000_000));
}

fn push(seq: u32) -> String {
    format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{CHUNK}"}}"#)
}

const CONFIGURE: &str = r#"{"op":2,"link":"s"}"#;
const END: &str = r#"{"op":1,"link":"s"}"#;

fn indexer(chain: &MemoryChain, store: impl StreamStore + 'static) -> Indexer {
    Indexer::new(SharedBlockSource::new(chain.clone()), SharedStreamStore::new(store))
}

async fn catch_up(indexer: &mut Indexer) {
    while indexer.step().await.unwrap().is_behind() {}
}

async fn stream(store: &impl StreamStore) -> Option<StoredStream> {
    store.stream(&"hive/alice/s".parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn no_operation_of_any_account_stops_it() {
    let chain = chain();
    block(&chain, &[CONFIGURE]);
    let long_link = format!(r#"{{"op":2,"link":"{}"}}"#, "x".repeat(51));
    let long_src = format!(r#"{{"op":0,"link":"s","seq":0,"src":"b{}"}}"#, "a".repeat(99));
    let deep = format!(r#"{{"op":1,"link":"deep","x":{}1{}}}"#, "[".repeat(900), "]".repeat(900));
    // The first five are what ended the original indexer's process.
    block(
        &chain,
        &[
            &long_link,
            r#"{"op":2,"link":"\u0000"}"#,
            &format!(r#"{{"op":0,"link":"s","seq":0,"src":"{CHUNK}","len":99.9999999}}"#),
            &format!(r#"{{"op":0,"link":"s","seq":2147483648,"src":"{CHUNK}"}}"#),
            &long_src,
            &deep,
            "",
            "null",
            "[[[",
            "\u{feff}{}",
            r#"{"op":1e999,"link":"s"}"#,
            r#"{"op":2,"link":"\ud800"}"#,
            r#"{"op":0,"link":"nowhere","seq":0}"#,
            &push(0),
        ],
    );
    let store = MemoryStreamStore::default();
    catch_up(&mut indexer(&chain, store.clone())).await;
    assert_eq!(store.cursor(&Network::hive()).await.unwrap().unwrap().last.num, 2);
    let stream = stream(&store).await.unwrap();
    assert_eq!(stream.pushes.len(), 1, "the rest of the block counts");
    assert_eq!(stream.info.finalized, Some(Seq::ZERO));
}

#[tokio::test]
async fn a_fork_is_undone_block_by_block_and_told() {
    let chain = chain();
    let store = MemoryStreamStore::default();
    let (events, mut heard) = broadcast::channel(64);
    let mut indexer = indexer(&chain, store.clone()).events(events);
    block(&chain, &[CONFIGURE]);
    catch_up(&mut indexer).await;
    let before = stream(&store).await;
    block(&chain, &[&push(0)]);
    block(&chain, &[END]);
    catch_up(&mut indexer).await;
    assert!(stream(&store).await.unwrap().info.ended);

    assert_eq!(chain.pop(2), 2);
    chain.drop_pending();
    assert_eq!(indexer.step().await.unwrap(), Progress::Undone);
    assert_eq!(indexer.step().await.unwrap(), Progress::Undone);
    assert_eq!(stream(&store).await, before);
    assert_eq!(indexer.step().await.unwrap(), Progress::AtHead);

    let id: StreamId = "hive/alice/s".parse().unwrap();
    let mut told = Vec::new();
    while let Ok(event) = heard.try_recv() {
        told.push(match event {
            NodeEvent::BlockApplied { block, .. } => format!("applied {}", block.num),
            NodeEvent::BlockUndone { block, .. } => format!("undone {}", block.num),
            NodeEvent::StreamChanged(changed) if changed == id => "changed".to_owned(),
            NodeEvent::StreamEnded(ended) if ended == id => "ended".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(
        told,
        [
            "changed",
            "applied 1",
            "changed",
            "ended",
            "applied 2",
            "applied 3",
            "changed",
            "undone 3",
            "changed",
            "undone 2"
        ]
    );
}

#[tokio::test]
async fn a_chain_that_drops_an_irreversible_block_is_an_error_and_loses_nothing() {
    let one = chain();
    let store = MemoryStreamStore::default();
    block(&one, &[CONFIGURE]);
    one.set_irreversible(1);
    catch_up(&mut indexer(&one, store.clone())).await;
    let other = chain();
    block(&other, &[]);
    let error = indexer(&other, store.clone()).step().await.unwrap_err();
    assert!(matches!(error, IndexError::Irreversible(1)), "{error:?}");
    assert!(!error.is_transient());
    assert!(stream(&store).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_after_failures_until_it_is_cancelled() {
    let chain = chain();
    block(&chain, &[CONFIGURE]);
    let store = MemoryStreamStore::default();
    let source = Flaky::new(chain.clone(), |call: Call| match call.number {
        0..20 => Fault::Unavailable,
        20..25 => Fault::Refused,
        _ => Fault::Pass,
    });
    let (events, mut heard) = broadcast::channel(64);
    let indexer = Indexer::new(SharedBlockSource::new(source), SharedStreamStore::new(store));
    let cancel = CancellationToken::new();
    let running = tokio::spawn(indexer.events(events).run(cancel.clone()));
    assert!(matches!(heard.recv().await.unwrap(), NodeEvent::StreamChanged(_)));
    assert!(matches!(heard.recv().await.unwrap(), NodeEvent::BlockApplied { .. }));
    block(&chain, &[END]);
    assert!(matches!(heard.recv().await.unwrap(), NodeEvent::StreamChanged(_)));
    assert!(matches!(heard.recv().await.unwrap(), NodeEvent::StreamEnded(_)));
    cancel.cancel();
    running.await.unwrap();
}

/// What happens on a chain between two looks of the indexer.
#[derive(Clone, Debug)]
enum Happens {
    Block(Vec<(u8, String)>),
    Fork(usize),
    Irreversible(u64),
    /// The indexer's process ends and another begins.
    Restart,
}

fn happens() -> impl Strategy<Value = Happens> {
    let payload = prop_oneof![
        (0..3_u8).prop_map(|link| format!(r#"{{"op":2,"link":"s{link}"}}"#)),
        (0..3_u8).prop_map(|link| format!(r#"{{"op":1,"link":"s{link}"}}"#)),
        Just("{}".to_owned()),
        (0..3_u8, 0..6_u8).prop_map(|(link, seq)| format!(
            r#"{{"op":0,"link":"s{link}","seq":{seq},"src":"{CHUNK}"}}"#
        )),
    ];
    prop_oneof![
        4 => prop::collection::vec((0..3_u8, payload), 0..5).prop_map(Happens::Block),
        1 => (1..4_usize).prop_map(Happens::Fork),
        1 => (0..4_u64).prop_map(Happens::Irreversible),
        1 => Just(Happens::Restart),
    ]
}

fn ids() -> impl Iterator<Item = StreamId> {
    (0..9).map(|n| format!("hive/account{}/s{}", n / 3, n % 3).parse().unwrap())
}

async fn compare(got: &impl StreamStore, chain: &MemoryChain) {
    let want = MemoryStreamStore::default();
    catch_up(&mut indexer(chain, want.clone())).await;
    let hive = Network::hive();
    // A store from which every block was taken back still knows what came before the first.
    let cursor = got.cursor(&hive).await.unwrap().filter(|cursor| cursor.last.num > 0);
    assert_eq!(cursor, want.cursor(&hive).await.unwrap());
    for id in ids() {
        assert_eq!(got.stream(&id).await.unwrap(), want.stream(&id).await.unwrap(), "{id}");
        assert_eq!(
            got.account(&hive, &id.account).await.unwrap(),
            want.account(&hive, &id.account).await.unwrap()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails, is replaced or restarts: in the end the store is as if the last chain had been read at once.
    #[test]
    fn the_store_follows_the_chain_through_everything(
        story in prop::collection::vec(happens(), 0..40),
        page in 1..4_usize,
        memory in 0..40_usize,
        faults in prop::collection::vec(0..12_u8, 1..50),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let chain = chain();
            let store = MemoryStreamStore::default();
            let flaky = Flaky::new(store.clone(), move |call: Call| {
                let turn = usize::try_from(call.number).unwrap() % faults.len();
                match (faults[turn], call.method) {
                    (0, _) => Fault::Unavailable,
                    (1, "commit") => Fault::Lost,
                    _ => Fault::Pass,
                }
            });
            let start = || indexer(&chain, flaky.clone()).page(page).memory(memory);
            let mut running = start();
            for happens in story {
                match happens {
                    Happens::Block(ops) => {
                        for (account, payload) in ops {
                            submit(&chain, &format!("account{account}"), &payload);
                        }
                        chain.produce(Timestamp::EPOCH);
                    }
                    Happens::Fork(depth) => {
                        chain.pop(depth);
                        chain.drop_pending();
                    }
                    Happens::Irreversible(depth) => {
                        let head = chain.head().map_or(0, |head| head.num);
                        chain.set_irreversible(head.saturating_sub(depth));
                    }
                    Happens::Restart => running = start(),
                }
                let _ = running.step().await;
            }
            let mut failures = 0;
            loop {
                match running.step().await {
                    Ok(Progress::AtHead) => break,
                    Ok(_) => failures = 0,
                    Err(error) => {
                        failures += 1;
                        // A plan may consist of failures only.
                        if failures > 500 { return Ok(()) }
                        prop_assert!(error.is_transient() || matches!(error, IndexError::Irreversible(_)), "{error:?}");
                    }
                }
            }
            compare(&store, &chain).await;
            Ok(())
        })?;
    }
}
