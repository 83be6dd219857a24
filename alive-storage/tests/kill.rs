//! A process that is killed while it stores, evicts and joins files leaves every block whole or absent, and loses none
//! that must stay.
//!
//! The test starts itself as another process that works without end and says line by line what it is about to do and what
//! it has done, kills it (`SIGKILL` on Unix) at some moment, and looks at what it left.
#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use alive_storage::{BlockStore, DiskStorage, DiskStore, StoreError, cid, unixfs};

/// Set for the child: the folder of its store, and the number of its first file.
const FOLDER: &str = "ALIVE_STORAGE_KILL_FOLDER";
const FIRST: &str = "ALIVE_STORAGE_KILL_FIRST";
const KILLS: u32 = 100;
/// Room for some eight files: the child evicts all the time.
const LIMIT: u64 = 8_000_000;
/// A file is stored elsewhere after so many others, and every fourth is pinned for so many more.
const OWED_FOR: u32 = 3;
const PINNED_FOR: u32 = 5;

/// Small, large and middle files by turns. Each begins with a block that a few neighbours have, too, so that packs hold
/// blocks of several files.
fn content(number: u32) -> Vec<u8> {
    const LEAF: usize = 262_144;
    let len = [900, 700_000, 300_000, 1_300_000][number as usize % 4];
    let mut data = vec![0; len];
    for (at, page) in data.chunks_mut(300).enumerate() {
        let shared = (at + 1) * 300 <= LEAF && len > LEAF;
        let mark = if shared { u32::MAX - number / 6 } else { number };
        let mark = [mark.to_le_bytes(), u32::try_from(at).unwrap().to_le_bytes()].concat();
        page[..8].copy_from_slice(&mark);
    }
    data
}

#[test]
fn no_kill_tears_a_block_or_loses_one_that_must_stay() {
    if let (Ok(folder), Ok(first)) = (env::var(FOLDER), env::var(FIRST)) {
        work_without_end(Path::new(&folder), first.parse().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for kill in 0..KILLS {
        run_and_kill(folder.path(), kill, &mut known);
        check(folder.path(), &mut known);
    }
    assert!(known.next >= 100, "the children came to store something: {}", known.next);
    assert!(known.evicted >= 20, "and to evict: {}", known.evicted);
}

/// What the children have said.
#[derive(Debug, Default)]
struct Known {
    /// The number of the next file.
    next: u32,
    /// Files that were stored and are stored nowhere else, and those that are pinned.
    owed: BTreeMap<u32, String>,
    pinned: BTreeMap<u32, String>,
    /// Files that may have been evicted.
    free: BTreeSet<String>,
    evicted: usize,
    /// What the child was about to do last.
    doing: String,
}

impl Known {
    /// Takes a line: `storing N`, `stored N ID`, `pinned N ID`, `settling N`, `unpinning N`.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        match words[0] {
            "storing" => self.next = self.next.max(number(1) + 1),
            "stored" => drop(self.owed.insert(number(1), words[2].into())),
            "pinned" => drop(self.pinned.insert(number(1), words[2].into())),
            // From the moment it says so on, nothing is promised any more.
            "settling" => self.free.extend(self.owed.remove(&number(1))),
            "unpinning" => self.free.extend(self.pinned.remove(&number(1))),
            _ => return,
        }
        line.clone_into(&mut self.doing);
    }
}

/// The child.
fn work_without_end(folder: &Path, first: u32) -> ! {
    let store = DiskStore::open(folder).unwrap().with_limit(LIMIT).unwrap();
    let storage = DiskStorage::new(store);
    let ids = |number: u32| storage_id(&content(number));
    for number in first.. {
        let content = content(number);
        say(&format!("storing {number}"));
        let root = match storage.import_bytes(&content) {
            Ok(root) => root,
            // Files that an earlier child had settled in part only are in the way: let go of all.
            Err(StoreError::Full { .. }) => {
                for old in number.saturating_sub(40)..number {
                    let id = ids(old);
                    say(&format!("settling {old}"));
                    storage.store().mark_elsewhere(&id).unwrap();
                    say(&format!("unpinning {old}"));
                    storage.store().unpin(&id).unwrap();
                }
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        say(&format!("stored {number} {}", root.cid));
        if number % 4 == 1 {
            storage.store().pin(&root.cid).unwrap();
            say(&format!("pinned {number} {}", root.cid));
        }
        if let Some(old) = number.checked_sub(OWED_FOR) {
            say(&format!("settling {old}"));
            storage.store().mark_elsewhere(&ids(old)).unwrap();
        }
        if let Some(old) = number.checked_sub(PINNED_FOR).filter(|old| old % 4 == 1) {
            say(&format!("unpinning {old}"));
            storage.store().unpin(&ids(old)).unwrap();
        }
        if number % 9 == 0 {
            say("shrinking");
            storage.store().shrink(LIMIT / 2).unwrap();
        }
    }
    unreachable!("it is killed before it has counted to the end")
}

/// The id that content has.
fn storage_id(content: &[u8]) -> cid::Cid {
    let mut importer = unixfs::Importer::new(unixfs::ImportOptions::default());
    let mut sink = |_: &alive_storage::NewBlock<'_>| Ok::<(), std::convert::Infallible>(());
    importer.push(content, &mut sink).unwrap();
    importer.finish(&mut sink).unwrap().cid
}

/// Prints a line of its own, whatever the test harness has printed before.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// Kills a child in the middle of something.
fn run_and_kill(folder: &Path, kill: u32, known: &mut Known) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["no_kill_tears_a_block_or_loses_one_that_must_stay", "--exact", "--nocapture"])
        .arg("--test-threads=1")
        .env(FOLDER, folder)
        .env(FIRST, known.next.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // While it stores, shrinks or lets go of something, by turns.
    let (what, mut left) = match kill % 4 {
        0 | 1 => ("storing", kill % 5 + 1),
        2 => ("shrinking", 1),
        _ => ("settling", kill % 7 + 1),
    };
    while left > 0 {
        let line = out.next().expect("the child runs until it is killed");
        left -= u32::from(line.starts_with(what));
        known.hear(&line);
    }
    // Another moment each time.
    for _ in 0..(kill % 13) * 40_000 {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    out.for_each(|line| known.hear(&line));
}

/// All that must stay is there, byte by byte, and every block that is there is whole.
fn check(folder: &Path, known: &mut Known) {
    let store = DiskStore::open(folder).unwrap();
    let (owed, pinned) = (known.owed.iter(), known.pinned.iter());
    for (number, id) in owed.chain(pinned) {
        let (want, root) = (content(*number), cid::parse(id).unwrap());
        let read = unixfs::read_file(&store, root, want.len());
        let read = read.unwrap_or_else(|error| panic!("file {number}: {error:?}, {known:?}"));
        assert!(read == want, "file {number}");
    }
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{report:?}, {known:?}");
    known.free.retain(|id| {
        let is_here = unixfs::is_complete(&store, cid::parse(id).unwrap()).unwrap();
        known.evicted += usize::from(!is_here);
        is_here
    });
    drop(store);
    let on_disk: u64 = packs(folder).iter().map(|pack| pack.metadata().unwrap().len()).sum();
    // A pack that was being written, and one that was being copied.
    assert!(on_disk < LIMIT + 3_000_000, "{on_disk}");
}

fn packs(folder: &Path) -> Vec<std::path::PathBuf> {
    let list = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    list(&folder.join("packs")).flat_map(|shard| list(&shard).collect::<Vec<_>>()).collect()
}
