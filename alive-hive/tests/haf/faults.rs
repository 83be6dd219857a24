//! Crashes, lost commits, restarts, forks, foreign hands.

use std::time::Duration;

use alive_core::{
    Network,
    backend::{BlockRef, BlockSource as _, Next, SourceError},
};
use alive_hive::haf::{HafBlockSource, HafBlockSourceConfig, HafError};

use crate::chain::{Caller, Haf, ours, source_of};

const END: &str = r#"{"op":1,"link":"s"}"#;

/// The typed cause of a failure.
fn cause(error: &SourceError) -> &HafError {
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().expect("a HafError")
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_process_that_dies_gets_its_range_again() {
    let haf = Haf::with_blocks(100, 100).await;
    let mut caller = Caller::default();
    caller.step(&haf.source(), 30).await.unwrap();
    assert_eq!(caller.nums(), (1..=30).collect::<Vec<_>>());
    // It died before its store had them.
    let mut caller = Caller::default();
    caller.catch_up(&haf.source(), 30).await;
    assert_eq!(caller.nums(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn blocks_whose_commit_was_lost_are_passed_over() {
    let haf = Haf::with_blocks(100, 100).await;
    let mut caller = Caller::default();
    caller.step(&haf.source(), 30).await.unwrap();
    // It died after its store had them: the next process knows, HAF does not.
    assert_eq!(haf.committed().await, "0");
    let source = haf.source();
    assert_eq!(caller.step(&source, 30).await.unwrap(), Some(30));
    assert_eq!(haf.committed().await, "30");
    caller.catch_up(&source, 30).await;
    assert_eq!(caller.nums(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_store_from_a_backup_gets_what_it_lacks_from_the_views() {
    let haf = Haf::with_blocks(60, 60).await;
    haf.push(&[ours("alice", END)]).await;
    haf.finalize().await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.catch_up(&source, 1000).await;
    let all = caller.blocks.clone();
    for kept in [0, 25, 60] {
        caller.blocks.truncate(kept);
        caller.catch_up(&source, 20).await;
        assert_eq!(caller.blocks, all, "kept {kept}");
    }
    assert_eq!(haf.committed().await, "61");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn connections_cut_at_any_moment_lose_and_double_nothing() {
    let haf = Haf::with_blocks(200, 200).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'alive'";
    while caller.blocks.len() < 200 {
        haf.run(cut).await;
        caller.step(&source, 17).await.unwrap();
    }
    assert_eq!(caller.nums(), (1..=200).collect::<Vec<_>>());
    caller.step(&source, 17).await.unwrap();
    assert_eq!(haf.committed().await, "200");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_server_that_goes_away_and_comes_back_is_followed_on() {
    let mut haf = Haf::with_blocks(60, 60).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.step(&source, 25).await.unwrap();
    haf.restart().await;
    assert_eq!(caller.step(&source, 25).await.unwrap(), Some(25));
    haf.server.crash();
    for _ in 0..2 {
        let error = caller.step(&source, 25).await.unwrap_err();
        assert!(error.is_transient() && matches!(cause(&error), HafError::Connect(_)), "{error:?}");
    }
    haf.server.start_again();
    caller.catch_up(&source, 25).await;
    assert_eq!(caller.nums(), (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_call_that_is_dropped_leaves_nothing_behind() {
    let haf = Haf::with_blocks(60, 60).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.step(&source, 10).await.unwrap();
    for micros in (0..40).map(|i| i * 250) {
        let last = caller.last().cloned();
        let call = source.next(last.as_ref(), 10);
        if let Ok(answer) = tokio::time::timeout(Duration::from_micros(micros), call).await {
            assert!(matches!(answer.unwrap(), Next::Blocks { .. }));
        }
    }
    caller.catch_up(&source, 10).await;
    assert_eq!(caller.nums(), (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn who_applies_too_long_loses_the_transaction_and_no_block() {
    let haf = Haf::with_blocks(60, 60).await;
    let source = source_of(haf.config().apply_timeout(Duration::from_millis(500)));
    let mut caller = Caller::default();
    caller.step(&source, 10).await.unwrap();
    let alive = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alive'";
    while haf.value(alive).await != "0" {
        tokio::task::yield_now().await;
    }
    caller.catch_up(&source, 10).await;
    assert_eq!(caller.nums(), (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_statement_that_takes_too_long_is_given_up() {
    let haf = Haf::with_blocks(10, 10).await;
    let source = source_of(haf.config().statement_timeout(Duration::from_millis(50)));
    let mut caller = Caller::default();
    caller.step(&source, 5).await.unwrap();
    haf.run(
        "CREATE OR REPLACE FUNCTION hive.app_get_irreversible_block() RETURNS integer LANGUAGE sql \
             AS 'SELECT 1 FROM pg_sleep(60)'",
    )
    .await;
    let error = caller.step(&source, 5).await.unwrap_err();
    assert!(error.is_transient() && matches!(cause(&error), HafError::Statement(..)), "{error:?}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn two_instances_on_one_context_both_get_every_block() {
    let haf = Haf::with_blocks(120, 120).await;
    let run = async |limit| {
        let (source, mut caller) = (haf.source(), Caller::default());
        while caller.blocks.len() < 120 {
            // The other one may hold the context; then this one waits for the lock.
            caller.step(&source, limit).await.unwrap();
        }
        drop(source);
        caller.nums()
    };
    let (one, two) = tokio::join!(run(7), run(11));
    assert_eq!((one, two), ((1..=120).collect(), (1..=120).collect()));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn after_a_fork_the_old_branch_is_left_though_haf_still_shows_it() {
    let haf = Haf::with_blocks(10, 5).await;
    let source = source_of(haf.config().overlay(true));
    let mut caller = Caller::default();
    caller.catch_up(&source, 1000).await;
    assert_eq!((caller.blocks.len(), caller.irreversible), (10, 5));
    haf.pop(4, false).await;
    haf.push(&[ours("alice", END)]).await;
    assert_eq!(
        haf.value("SELECT max(num) FROM hive.blocks_view").await,
        "10",
        "the old branch is shown"
    );
    caller.catch_up(&source, 1000).await;
    assert_eq!((caller.blocks.len(), caller.blocks[6].ops.len()), (7, 1));
    let seven = caller.last().cloned();
    assert_eq!(caller.step(&source, 1000).await.unwrap(), Some(0), "the new block is the head");
    for _ in 0..2 {
        haf.push(&[]).await;
        caller.catch_up(&source, 1000).await;
    }
    assert_eq!(
        (caller.nums(), caller.blocks.get(6).map(|b| b.at.clone())),
        ((1..=9).collect(), seven)
    );
    haf.finalize_to(9).await;
    caller.catch_up(&source, 1000).await;
    assert_eq!((caller.irreversible, haf.committed().await.as_str()), (9, "9"));
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_thousand_random_forks_end_as_the_straight_chain() {
    let haf = Haf::with_blocks(1, 1).await;
    let source = source_of(haf.config().overlay(true));
    let mut caller = Caller::default();
    let (mut dice, mut head, mut fixed) = (0x9E37_79B9_u64, 1, 1);
    for _ in 0..1000 {
        // xorshift: any sequence will do, the same one every time.
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let depth = i32::try_from(dice % 5).unwrap().min(head - fixed);
        haf.pop(depth, dice & 64 == 0).await;
        head -= depth;
        for i in 0..=(dice >> 8) % 4 {
            haf.push(&[ours("alice", &format!(r#"{{"op":2,"link":"s{i}"}}"#))]).await;
            head += 1;
        }
        if dice & 128 == 0 {
            fixed = fixed.max(head - 6);
            haf.finalize_to(fixed).await;
        }
        if dice & 256 == 0 {
            caller.step(&source, usize::try_from(dice >> 16 & 7).unwrap()).await.unwrap();
        }
    }
    haf.finalize().await;
    caller.catch_up(&source, 1000).await;
    let mut straight = Caller::default();
    straight.catch_up(&haf.source(), 1000).await;
    assert_eq!(caller.blocks, straight.blocks);
    assert_eq!(caller.blocks.len(), usize::try_from(head).unwrap());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_block_of_another_chain_is_forked() {
    let haf = Haf::with_blocks(60, 60).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.catch_up(&source, 1000).await;
    let other = |num: u64| BlockRef { num, id: format!("{num:040x}").parse().unwrap() };
    for num in [1, 30, 60, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(source.next(Some(&other(num)), 10).await.unwrap(), Next::Forked, "{num}");
    }
}

/// HAF was restored from an older copy, or its chain is read anew: what the index has must not be taken back.
#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_haf_that_is_behind_the_index_is_waited_for() {
    let ahead = Haf::with_blocks(40, 40).await;
    let mut caller = Caller::default();
    caller.catch_up(&ahead.source(), 1000).await;
    let haf = Haf::with_blocks(20, 20).await;
    let source = haf.source();
    caller.irreversible = 0;
    assert_eq!(caller.step(&source, 10).await.unwrap(), Some(0));
    for _ in 0..25 {
        haf.push(&[]).await;
    }
    haf.finalize().await;
    assert_eq!(caller.catch_up(&source, 10).await, [5]);
    assert_eq!(caller.nums(), (1..=45).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn blocks_that_a_pruned_haf_dropped_are_an_error_and_not_skipped() {
    let haf = Haf::with_blocks(60, 60).await;
    let (source, mut caller) = (haf.source(), Caller::default());
    caller.catch_up(&source, 1000).await;
    haf.run("DELETE FROM hafd.blocks WHERE num <= 30").await;
    assert_eq!(caller.step(&source, 10).await.unwrap(), Some(0), "who has them needs them no more");
    caller.blocks.truncate(30);
    assert_eq!(caller.catch_up(&source, 1000).await, [30], "block 31 names the one that is gone");
    caller.blocks.truncate(10);
    let error = caller.step(&source, 10).await.unwrap_err();
    assert!(!error.is_transient() && matches!(cause(&error), HafError::BlockGone(11)), "{error:?}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_hole_in_the_views_is_never_handed_out() {
    let haf = Haf::with_blocks(60, 60).await;
    haf.run("DELETE FROM hafd.blocks WHERE num = 5").await;
    let error = Caller::default().step(&haf.source(), 10).await.unwrap_err();
    assert!(matches!(cause(&error), HafError::BlockGone(5)), "{error:?}");
    assert_eq!(haf.committed().await, "0");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn contexts_that_cannot_serve_are_named() {
    let haf = Haf::with_blocks(10, 4).await;
    haf.run("CREATE SCHEMA alive; CREATE SCHEMA other; \
             SELECT hive.app_create_context('forking', _schema => 'alive', _stages => ARRAY[hafd.live_stage()]); \
             SELECT hive.app_create_context('strange', _schema => 'other', _stages => ARRAY[hafd.live_stage()], _is_forking => FALSE); \
             DROP VIEW alive.blocks_view, alive.operations_view; SELECT hafd.create_views('forking')").await;
    let of = |name: &str| source_of(haf.config().context(name).unwrap());
    let error = of("forking").next(None, 10).await.unwrap_err();
    assert!(matches!(cause(&error), HafError::ForkingContext(_)), "{error:?}");
    haf.run("DROP SCHEMA alive CASCADE").await;
    let error = of("strange").next(None, 10).await.unwrap_err();
    assert!(matches!(cause(&error), HafError::ForeignSchema { .. }), "{error:?}");
    haf.run("DROP SCHEMA hive CASCADE").await;
    let error = of("new").next(None, 10).await.unwrap_err();
    assert!(!error.is_transient() && matches!(cause(&error), HafError::NoHaf), "{error:?}");
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn missing_rights_and_users_are_refused_with_the_servers_words() {
    let haf = Haf::with_blocks(10, 10).await;
    haf.run("CREATE ROLE visitor LOGIN").await;
    let refused = async |user: &str| {
        let address = haf.server.address().replace("user=haf", &format!("user={user}"));
        let config = HafBlockSourceConfig::new(&address).unwrap();
        let source = HafBlockSource::new(Network::hive(), config);
        let error = source.next(None, 10).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
        let server = std::error::Error::source(cause(&error)).unwrap();
        server.source().unwrap().to_string()
    };
    assert!(refused("visitor").await.contains("permission denied"));
    assert!(refused("nobody_here").await.contains("does not exist"));
}
