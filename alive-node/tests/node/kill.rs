//! A process that indexes into SQLite is killed at random moments, many times; nothing may be lost or doubled.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use alive_core::{
    Network, StreamId, Timestamp,
    backend::{SharedBlockSource, SharedStreamStore, StreamStore as _},
    memory::{MemoryChain, MemoryStreamStore},
};
use alive_node::{Indexer, SqliteStore};

/// How often the process is killed.
const KILLS: u64 = 60;
/// Tells a process of this test's binary that it is the one to be killed, and where its files are.
const FOLDER: &str = "ALIVE_NODE_KILL_TEST_FOLDER";

#[tokio::test]
async fn a_killed_indexer_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut most = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::indexes_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let steps = lines.map_while(Result::ok).filter(|line| line.starts_with("step"));
        let seen = steps.take(usize::try_from(1 + mix(kill) % 30).unwrap()).count();
        most = most.max(seen);
        child.kill().unwrap();
        child.wait().unwrap();
        check_file(&store_path(folder.path()));
    }
    assert!(most > 20, "the processes came far enough to be killed in the middle");

    let chain = MemoryChain::new(Network::hive());
    (0..progress(folder.path())).for_each(|step| act(&chain, step));
    let store = SqliteStore::open(store_path(folder.path())).unwrap();
    let (got, want) =
        (SharedStreamStore::new(store), SharedStreamStore::new(MemoryStreamStore::default()));
    catch_up(&chain, &got).await;
    catch_up(&chain, &want).await;
    let hive = Network::hive();
    assert_eq!(got.cursor(&hive).await.unwrap(), want.cursor(&hive).await.unwrap());
    assert_eq!(got.reversible(&hive).await.unwrap(), want.reversible(&hive).await.unwrap());
    let mut pushes = 0;
    for id in ids(progress(folder.path())) {
        let stream = got.stream(&id).await.unwrap();
        assert_eq!(stream, want.stream(&id).await.unwrap(), "{id}");
        pushes += stream.map_or(0, |stream| stream.pushes.len());
        let (got, want) =
            (got.account(&hive, &id.account).await, want.account(&hive, &id.account).await);
        assert_eq!(got.unwrap(), want.unwrap());
    }
    assert!(pushes > 100, "there was something to lose: {pushes}");
}

/// Does nothing unless it runs in the process that is to be killed.
#[tokio::test]
async fn indexes_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let chain = MemoryChain::new(Network::hive());
    let begun = progress(&folder);
    (0..begun).for_each(|step| act(&chain, step));
    let store = SharedStreamStore::new(SqliteStore::open(store_path(&folder)).unwrap());
    let source = SharedBlockSource::new(chain.clone());
    let mut indexer = Indexer::new(source, store).page(3).memory(50);
    for step in begun.. {
        // First this: the store must never know more than the next process will find on the chain.
        set_progress(&folder, step + 1);
        act(&chain, step);
        while indexer.step().await.unwrap().is_behind() {}
        writeln!(std::io::stdout(), "step {step}").unwrap();
    }
}

async fn catch_up(chain: &MemoryChain, store: &SharedStreamStore) {
    let mut indexer = Indexer::new(SharedBlockSource::new(chain.clone()), store.clone());
    while indexer.step().await.unwrap().is_behind() {}
}

fn store_path(folder: &Path) -> PathBuf {
    folder.join("streams.sqlite")
}

/// How many steps of the chain's story have begun.
fn progress(folder: &Path) -> u64 {
    fs::read_to_string(folder.join("progress")).map_or(0, |text| text.parse().unwrap())
}

/// Replaces the file as a whole: a kill leaves the old one or the new one.
fn set_progress(folder: &Path, steps: u64) {
    let draft = folder.join("progress.new");
    fs::write(&draft, steps.to_string()).unwrap();
    fs::rename(draft, folder.join("progress")).unwrap();
}

/// SQLite finds its file whole after every kill.
fn check_file(path: &Path) {
    let Ok(file) = rusqlite::Connection::open(path) else { return };
    let verdict: String = file.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// One step of the chain's story, the same in every process: blocks, forks, irreversibility.
fn act(chain: &MemoryChain, step: u64) {
    match mix(step) % 8 {
        0 => {
            chain.pop(usize::try_from(mix(step ^ 1) % 4).unwrap());
            chain.drop_pending();
        }
        1 => chain.set_irreversible(chain.head().map_or(0, |head| head.num).saturating_sub(5)),
        _ => {}
    }
    for op in 0..mix(step ^ 2) % 6 {
        let dice = mix(step * 8 + op);
        let (account, link) = (dice % 3, step / 40);
        let payload = match dice / 3 % 20 {
            0..5 => format!(r#"{{"op":2,"link":"s{link}"}}"#),
            5 => format!(r#"{{"op":1,"link":"s{link}"}}"#),
            6 => "no operation".to_owned(),
            _ => format!(
                r#"{{"op":0,"link":"s{link}","seq":{},"src":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH","len":{}}}"#,
                dice / 60 % 30,
                1 + dice / 1800 % 90
            ),
        };
        assert!(chain.submit(format!("account{account}").parse().unwrap(), payload));
    }
    chain.produce(Timestamp::from_unix_secs(1_700_000_000));
}

fn ids(steps: u64) -> impl Iterator<Item = StreamId> {
    (0..=steps / 40).flat_map(|link| {
        (0..3).map(move |account| format!("hive/account{account}/s{link}").parse().unwrap())
    })
}

/// A number that looks random. `SplitMix64` by Steele, Lea and Flood.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
