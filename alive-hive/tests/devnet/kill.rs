//! A process that makes blocks is killed at any moment: what it has announced is there afterwards.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use alive_hive::{
    BlockId,
    devnet::{Devnet, DevnetConfig},
};
use tempfile::TempDir;

use super::support::{at, config, data, start};

/// Names the folder to the child.
const FOLDER: &str = "ALIVE_DEVNET_KILL_FOLDER";
/// How often it is killed.
const KILLS: u32 = 25;

fn on_disk(folder: &str) -> DevnetConfig {
    config().folder(folder)
}

#[test]
#[ignore = "run by the test below as the process to kill"]
fn child_that_makes_blocks_until_it_is_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let mut node = Devnet::open(on_disk(&folder), start()).unwrap();
    let mut out = std::io::stdout();
    for secs in 0.. {
        let signed = data(&node, &format!("\"{}\"", "x".repeat(secs % 4000)));
        node.push_transaction(signed).unwrap();
        let block = node.produce_block(at(u64::try_from(secs / 10).unwrap())).unwrap();
        // The test runner captures what the print macros write.
        writeln!(out, "\nblock {block}").unwrap();
    }
}

fn spawn(folder: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_makes_blocks_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn blocks_that_were_announced_survive_a_kill_at_any_moment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut announced: Vec<BlockId> = Vec::new();
    for round in 0..KILLS {
        let mut child = spawn(path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let mut blocks =
            lines.by_ref().filter_map(|line| line.strip_prefix("block ")?.parse::<BlockId>().ok());
        // A different number of blocks each round; the kill then falls anywhere in the making of the next one.
        announced.extend(blocks.by_ref().take((1 + round * 7 % 23).try_into().unwrap()));
        child.kill().unwrap();
        // What it managed to say before it died counts, too.
        announced.extend(blocks);
        child.wait().unwrap();
        let node = Devnet::open(on_disk(path), start()).unwrap();
        let (last, head) = (announced.last().unwrap(), node.head());
        assert!(head.block_num() >= last.block_num(), "block {last} is lost");
        assert!(head.block_num() <= last.block_num() + 1, "blocks appear from nowhere");
        if head.block_num() == last.block_num() {
            assert_eq!(head, *last);
        } else {
            announced.push(head);
        }
    }
    let numbers: Vec<u32> = announced.iter().map(BlockId::block_num).collect();
    assert!(numbers.iter().zip(numbers.iter().skip(1)).all(|(one, next)| *next == one + 1));
}
