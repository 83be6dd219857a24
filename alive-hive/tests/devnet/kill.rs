//! A process that makes blocks, posts, accounts and forks is killed at any moment: what it has announced is there
//! afterwards, and the state that follows from it, too.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use alive_hive::{
    BlockId, Role,
    devnet::{Devnet, DevnetConfig, Fate},
};
use tempfile::TempDir;

use super::support::{at, comment, config, data, signed_by, start};

/// Names the folder to the child.
const FOLDER: &str = "ALIVE_DEVNET_KILL_FOLDER";
/// How often it is killed.
const KILLS: u32 = 25;

fn on_disk(folder: &str) -> DevnetConfig {
    let config = config().folder(folder).irreversible_lag(6).credits(1_000_000_000_000);
    config.root_post_interval(std::time::Duration::ZERO)
}

/// All that follows from the blocks: head, finality, posts of alice, her credits.
fn state(node: &Devnet) -> String {
    let alice = node.account("alice").unwrap();
    let credits = node.credits("alice").unwrap();
    let (posts, last) = (alice.post_count, alice.last_post_edit);
    format!("{} {} {posts} {last} {}", node.head(), node.irreversible(), credits.current)
}

/// Head and finality of a state.
fn parts(state: &str) -> (BlockId, u32) {
    let mut words = state.split(' ');
    (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "run by the test below as the process to kill"]
fn child_that_makes_blocks_until_it_is_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let mut node = Devnet::open(on_disk(&folder), start()).unwrap();
    let mut out = std::io::stdout();
    for turn in 0_u32.. {
        let number = node.head().block_num();
        if turn % 7 == 6 {
            // All at once, or not at all.
            node.pop_blocks(2.min(number - node.irreversible())).unwrap();
        } else {
            let json = format!("\"{}\"", "x".repeat(number as usize % 4000));
            let post = comment("alice", &format!("p{number}-{turn}"), None);
            for signed in [data(&node, &json), signed_by(&node, "alice", Role::Posting, post)] {
                // Some wait since blocks were taken away, and in the end she cannot pay.
                drop(node.push_transaction(signed));
            }
            node.produce_block(at(u64::from(number) / 10)).unwrap();
        }
        if turn % 11 == 10 {
            node.fork(1.min(node.head().block_num() - node.irreversible()), Fate::Lose).unwrap();
        }
        // What waits would be part of the state that the child sees and not of what is on disk.
        if node.pending() == 0 {
            writeln!(out, "\nstate {}", state(&node)).unwrap();
        } else {
            writeln!(out, "\nwaits").unwrap();
        }
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
fn what_was_announced_survives_a_kill_at_any_moment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let (mut same, mut last_final) = (0, 0);
    for round in 0..KILLS {
        let mut child = spawn(path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines =
            lines.map(Result::unwrap).filter(|line| line.starts_with("state ") || line == "waits");
        // A different number of turns each round; the kill then falls anywhere in the next one.
        let mut said: Vec<String> =
            lines.by_ref().take((1 + round * 7 % 23).try_into().unwrap()).collect();
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        child.kill().unwrap();
        // What it managed to say before it died counts, too.
        said.extend(lines);
        child.wait().unwrap();
        let node = Devnet::open(on_disk(path), start()).unwrap();
        let found = state(&node);
        let (head, irreversible) = parts(&found);
        assert!(irreversible >= last_final, "finality went back");
        last_final = irreversible;
        let last = said.last().unwrap();
        if let Some(said) = last.strip_prefix("state ") {
            let (said_head, said_final) = parts(said);
            assert!(irreversible >= said_final, "{said}: finality is lost, {found}");
            // One more turn than it could tell of: a block, some taken away, or one replaced.
            let numbers = said_head.block_num().saturating_sub(2)..=said_head.block_num() + 1;
            assert!(numbers.contains(&head.block_num()), "{said}: blocks are lost, {found}");
            if head == said_head {
                assert_eq!(found, said, "the state is another");
                same += 1;
            }
        }
        // Opening changes nothing.
        drop(node);
        assert_eq!(state(&Devnet::open(on_disk(path), start()).unwrap()), found);
    }
    assert!(same > 0, "no kill fell between two turns");
}
