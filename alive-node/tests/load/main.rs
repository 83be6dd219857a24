//! Claim: for ten minutes viewers of all kinds join and leave a node with a live stream; there is no error, and its memory
//! does not grow.
//!
//! The node is a process of its own, so that its memory is nothing but its own. It is looked at all the time; what it holds
//! in the last third of the time is compared with what it held in the middle third. What it keeps for later is full by then:
//! lists, windows, chunks, the storage's pages, streams of which nobody asks any more. How long it takes, in seconds, says
//! `ALIVE_LOAD_SECONDS`; ten unless set, which shows that everything works, but would not show a small leak. In ten minutes
//! a leak of ten bytes for each request is seen.
//!
//! `ALIVE_LOAD_SECONDS=600 cargo test --release -p alive-node --all-features --test load -- --ignored --nocapture`
#![cfg(test)]

mod http;
mod memory;
#[path = "../made/process.rs"]
#[expect(dead_code, reason = "the visitors of a chat need more of it")]
mod process;
mod random;
mod served;
mod viewers;

use std::{env, sync::Arc, time::Duration};

use memory::Memory;
use served::Served;
use tokio::{task::JoinSet, time::Instant};
use viewers::{Kind, Seen, Viewer};

/// From here on a growth of memory counts: sooner, what is kept for later still fills.
const LONG: Duration = Duration::from_mins(1);
/// Viewers at a time.
const VIEWERS: u64 = 150;

fn duration() -> Duration {
    let seconds = env::var("ALIVE_LOAD_SECONDS").ok().map(|text| text.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(10))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten seconds, or as long as it is told"]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn viewers_come_and_go_and_the_node_stays_as_it_is() {
    let served = Served::start();
    let mut memory = Memory::default();
    let seen = Arc::new(Seen::default());
    let end = Instant::now() + duration();
    let mut viewers = JoinSet::new();
    for number in 0..VIEWERS {
        let viewer = Viewer::new(served.address(), number, Arc::clone(&seen));
        viewers.spawn(viewer.visit_until(end));
    }
    let mut looks = tokio::time::interval(Duration::from_millis(250));
    while !viewers.is_empty() {
        tokio::select! {
            ended = viewers.join_next() => ended.unwrap().unwrap(),
            _ = looks.tick() => memory.look(&served, seen.answers()),
        }
    }
    drop(served);

    println!("| what viewers did | how often |\n|---|---|");
    for kind in Kind::ALL {
        println!("| {kind:?} | {} |", seen.visits(kind));
        assert!(seen.visits(kind) > 0, "{kind:?}");
    }
    println!(
        "| requests answered | {} |\n| left in the middle | {} |",
        seen.answers(),
        seen.left()
    );
    println!("{memory}");
    assert_eq!(seen.errors(), [""; 0], "errors");
    if duration() >= LONG {
        memory.assert_no_growth();
    }
}
