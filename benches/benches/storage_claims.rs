//! The claims of `storage`, ours and the peer by turns, so that their ratio means something on a machine with other work.
//! Says which claims hold; `--test` runs each once and judges nothing.
#![expect(clippy::expect_used, reason = "a bench that cannot run should say so and stop")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]

use std::{io, num::NonZeroUsize, time::Duration};

use alive_storage::{
    DiskStorage, NewBlock,
    unixfs::{Profile, import_bytes_parallel},
};
use benches::{
    files::{bytes, id_of_bytes},
    store::{Segments, archive, get, get_plain, get_plain_checked, put, put_plain, verify},
    turns::{Ratio, Rounds, compare, time},
};
use sha2::{Digest, Sha256};

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let rounds = |count, repeat| {
        if is_test { Rounds { count: 0, repeat: 1 } } else { Rounds { count, repeat } }
    };
    println!("{:<44} {:>12} {:>12} {:>7}", "", "ours", "peer", "speed");
    car(rounds(15, 3));
    threads(rounds(15, 3));
    puts(rounds(41, 1));
    gets(rounds(41, 5));
}

/// Prints a line: how fast ours is, in parts of the peer's speed.
fn report(name: &str, got: Ratio, claim: Option<f64>) {
    let speed = 1.0 / got.ratio;
    let verdict = match claim {
        Some(claim) if speed >= claim => format!("claim {claim}: holds"),
        Some(claim) => format!("claim {claim}: FAILS"),
        None => String::new(),
    };
    let [ours, peer] = [got.ours, got.peer].map(|took| format!("{took:.2?}"));
    println!("{name:<44} {ours:>12} {peer:>12} {speed:>7.3}  {verdict}");
}

fn car(rounds: Rounds) {
    let (car, root) = archive(64 << 20);
    let got = compare(rounds, || time(|| verify(&car, root)), || time(|| Sha256::digest(&car)));
    report("car, verify 64 MiB / sha2", got, Some(0.85));
}

fn threads(rounds: Rounds) {
    let data = bytes(64 << 20);
    for profile in [Profile::UnixfsV02015, Profile::UnixfsV12025] {
        let two = || {
            let mut discard = |_: &NewBlock<'_>| Ok::<(), io::Error>(());
            let threads = NonZeroUsize::new(2).expect("not zero");
            time(|| import_bytes_parallel(&data, profile.into(), threads, &mut discard))
        };
        let got = compare(rounds, two, || time(|| id_of_bytes(&data, profile)));
        report(&format!("cut 64 MiB, {profile}, 2 threads / 1"), got, Some(1.7));
    }
}

/// A folder with a store and plain files.
struct Both {
    storage: DiskStorage,
    folder: tempfile::TempDir,
}

impl Both {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let storage = DiskStorage::open_dir(folder.path().join("store")).expect("it is empty");
        Self { storage, folder }
    }
}

fn puts(rounds: Rounds) {
    let one_thread = |storage: DiskStorage| storage.with_threads(NonZeroUsize::MIN);
    let setups: [(_, fn(_) -> _, _); 2] =
        [("as it comes", |storage| storage, Some(0.8)), ("one thread", one_thread, None)];
    for (name, set_up, claim) in setups {
        let both = Both::new();
        let storage = set_up(both.storage.clone());
        let (mut ours, mut theirs) = (Segments::default(), Segments::default());
        let put = || {
            let segment = ours.next_segment();
            time(|| put(&storage, segment))
        };
        let plain = || {
            let segment = theirs.next_segment().to_vec();
            time(|| put_plain(both.folder.path(), theirs.count(), &segment))
        };
        let got = compare(rounds, put, plain);
        report(&format!("put 2 MB, {name} / plain file, synced"), got, claim);
    }
}

fn gets(rounds: Rounds) {
    let both = Both::new();
    let mut segments = Segments::default();
    let segment = segments.next_segment();
    let root = put(&both.storage, segment);
    put_plain(both.folder.path(), 0, segment);
    let ours = || -> Duration { time(|| get(&both.storage, root)) };
    let checked = || time(|| get_plain_checked(both.folder.path(), 0));
    report("get 2 MB / plain file, read and hashed", compare(rounds, ours, checked), Some(0.8));
    let plain = || time(|| get_plain(both.folder.path(), 0));
    report("get 2 MB / plain file, read, not checked", compare(rounds, ours, plain), None);
}
