//! A process that is killed while it stores files leaves every block whole or absent.
//!
//! The test starts itself as another process that stores files without end and says so line by line, kills it (`SIGKILL`
//! on Unix) at some moment of a put, and looks at what it left.
#![cfg(test)]

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use alive_storage::{BlockStore, DiskStorage, DiskStore, cid, unixfs};

/// Set for the child: the folder of its store, and the number of its first file.
const FOLDER: &str = "ALIVE_STORAGE_KILL_FOLDER";
const FIRST: &str = "ALIVE_STORAGE_KILL_FIRST";
const KILLS: u32 = 50;

/// Small, large and middle files by turns, all different.
fn content(number: u32) -> Vec<u8> {
    let len = [900, 700_000, 30_000, 1_300_000][number as usize % 4];
    let mut state = u64::from(number) + 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    let mut data = Vec::with_capacity(len + 8);
    while data.len() < len {
        data.extend(next());
    }
    data
}

#[test]
fn no_kill_tears_a_block() {
    if let (Ok(folder), Ok(first)) = (env::var(FOLDER), env::var(FIRST)) {
        store_without_end(Path::new(&folder), first.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut announced = Vec::new();
    for kill in 0..KILLS {
        announced.extend(run_and_kill(folder.path(), announced.len(), kill));
        check(folder.path(), &announced);
    }
    assert!(announced.len() >= 50, "the children came to store something");
}

/// The child: stores one file after the other, and prints a line before each and its id once it is stored.
fn store_without_end(folder: &Path, first: u32) -> ! {
    let storage = DiskStorage::open_dir(folder).unwrap();
    for number in first.. {
        let content = content(number);
        say("storing");
        let root = storage.import_bytes(&content).unwrap();
        say(&format!("stored {}", root.cid));
    }
    unreachable!("it is killed before it has counted to the end")
}

/// Prints a line of its own, whatever the test harness has printed before.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Kills a child while it stores a file; gives the ids of all that it has stored before.
fn run_and_kill(folder: &Path, first: usize, kill: u32) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["no_kill_tears_a_block", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stored = Vec::new();
    let mut left = kill % 5;
    while left > 0 {
        let line = out.next().expect("the child runs until it is killed");
        left -= u32::from(line == "storing");
        stored.extend(line.strip_prefix("stored ").map(str::to_owned));
    }
    // Another moment of the put each time.
    for _ in 0..(kill % 11) * 30_000 {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    stored.extend(out.filter_map(|line| line.strip_prefix("stored ").map(str::to_owned)));
    stored
}

/// All announced files are there, byte by byte, and every block that is there is whole.
fn check(folder: &Path, announced: &[String]) {
    let store = DiskStore::open(folder).unwrap();
    for (number, id) in announced.iter().enumerate().rev().take(12) {
        let want = content(u32::try_from(number).unwrap());
        let root = cid::parse(id).unwrap();
        assert_eq!(unixfs::read_file(&store, root, want.len()).unwrap(), want, "file {number}");
    }
    for hash in store.hashes().unwrap() {
        assert!(store.get(&hash.unwrap()).unwrap().is_some());
    }
}
