//! A disk without room and a folder that may not be written: errors that say so, nothing torn, and the store goes on.
//!
//! Each fault is a limit of a process, so the test starts itself as another one under it: `ulimit` for the size of files,
//! another user for the right to write.
#![cfg(test)]
#![cfg(unix)]

use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use alive_storage::{BlockStore, DiskStorage, DiskStore, StoreError, unixfs};

/// Set for the child: what it does.
const ROLE: &str = "ALIVE_STORAGE_FAULT_ROLE";
const FOLDER: &str = "ALIVE_STORAGE_FAULT_FOLDER";

fn content(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 131 + i / 251 + i / 65_000).to_le_bytes()[0] ^ seed).collect()
}

/// Runs this test again as a child, by a shell command before it.
fn run(before: &str, role: &str, folder: &Path, test: &str) -> Output {
    let exe = env::current_exe().unwrap();
    let script = format!("{before} exec \"$0\" {test} --exact --nocapture --test-threads=1");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(exe).env(ROLE, role).env(FOLDER, folder);
    shell.output().unwrap()
}

fn assert_ok(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    assert!(text.contains("1 passed"), "the child ran: {text}\n{error}");
}

fn child() -> Option<(String, PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var(FOLDER).ok()?.into()))
}

#[test]
fn a_full_disk_is_told_apart_and_the_store_goes_on() {
    if let Some((_, folder)) = child() {
        return fill(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    // Two mebibytes a file (four in shells that count in kibibytes); writing more is an error instead of a signal.
    let test = "a_full_disk_is_told_apart_and_the_store_goes_on";
    assert_ok(&run("trap '' XFSZ; ulimit -f 4096;", "fill", folder.path(), test));
    // Out of the limit all that was stored is there, and what was refused can be stored.
    let storage = DiskStorage::open_dir(folder.path()).unwrap();
    assert!(storage.store().check().unwrap().is_sound());
    for seed in 0..4 {
        let data = content(seed, 900_000);
        let root = storage.import_bytes(&data).unwrap().cid;
        assert_eq!(unixfs::read_file(storage.store(), root, data.len()).unwrap(), data);
    }
    storage.import_bytes(&content(9, 5_000_000)).unwrap();
}

/// Stores files of which some are too large for the limit, and fills the index till it cannot grow.
fn fill(folder: &Path) {
    let storage = DiskStorage::open_dir(folder).unwrap();
    let mut stored = Vec::new();
    for seed in 0..4 {
        let data = content(seed, 900_000);
        stored.push((storage.import_bytes(&data).unwrap().cid, data));
        let error = storage.import_bytes(&content(9, 5_000_000)).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    }
    // Small files go into the index, which has as much to grow.
    let (mut small, mut refused) = (Vec::new(), 0);
    for number in 0..2000_u32 {
        let mut data = content(200, 12_000);
        data[..4].copy_from_slice(&number.to_le_bytes());
        match storage.import_bytes(&data) {
            Ok(root) => small.push((root.cid, data)),
            Err(StoreError::DiskFull { .. }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 3 && !small.is_empty(), "{refused} refused, {} stored", small.len());
    // All that was stored can be read, though nothing can be written.
    for (root, data) in stored.iter().chain(&small) {
        assert_eq!(unixfs::read_file(storage.store(), *root, data.len()).unwrap(), *data);
    }
}

#[test]
fn a_lost_permission_is_told_apart_and_the_store_goes_on() {
    if let Some((role, folder)) = child() {
        return without_permission(&role, &folder);
    }
    let test = "a_lost_permission_is_told_apart_and_the_store_goes_on";
    let folder = tempfile::tempdir().unwrap();
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    // Root may write anywhere: as root, the child is someone else.
    set_mode(folder.path(), 0o777);
    let store_folder = folder.path().join("store");
    if is_root {
        let exe = env::current_exe().unwrap();
        let mut child = Command::new("setpriv");
        child
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy_of(&exe, folder.path()));
        child.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        child.env(ROLE, "deny").env(FOLDER, &store_folder);
        assert_ok(&child.output().unwrap());
    } else {
        assert_ok(&run("", "deny", &store_folder, test));
    }
}

/// The test program where anyone may run it.
fn copy_of(exe: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("test-program");
    std::fs::copy(exe, &copy).unwrap();
    set_mode(&copy, 0o755);
    copy
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn without_permission(_role: &str, folder: &Path) {
    let storage = DiskStorage::open_dir(folder).unwrap();
    let (data, more) = (content(1, 900_000), content(2, 900_000));
    let root = storage.import_bytes(&data).unwrap().cid;
    let shard = folder.join("packs/0");
    set_mode(&shard, 0o500);
    let error = storage.import_bytes(&more).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert_eq!(unixfs::read_file(storage.store(), root, data.len()).unwrap(), data);
    // What may not be read is not taken for damaged.
    set_mode(&shard, 0o000);
    let error = storage.store().get(root.hash()).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    assert!(storage.store().has(root.hash()).unwrap());
    assert!(matches!(storage.store().check(), Err(StoreError::Denied { .. })));
    set_mode(&shard, 0o700);
    assert_eq!(unixfs::read_file(storage.store(), root, data.len()).unwrap(), data);
    let root = storage.import_bytes(&more).unwrap().cid;
    assert_eq!(unixfs::read_file(storage.store(), root, more.len()).unwrap(), more);
    drop(storage);
    set_mode(folder, 0o000);
    let error = DiskStore::open(folder).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    set_mode(folder, 0o700);
    assert!(DiskStore::open(folder).unwrap().check().unwrap().is_sound());
}
