//! Unmodified clients of Kubo's HTTP API against our face: one for Node.js, one for Python. Each program checks every
//! answer and tells the ids that it was given; they must be ours.

use std::process::Command;

use alive_storage::{
    BlockStore as _, MemoryStorage,
    cid::{self, Cid},
    unixfs::Profile,
};
use serde_json::Value;

use crate::{face, packages::Packages};

/// What the programs add: numbers of four bytes, 3 000 000 bytes in all.
fn large() -> Vec<u8> {
    (0..750_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Runs a program to its end beside the server; what it tells.
async fn run(mut command: Command) -> Value {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let [told, errors] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{told}{errors}");
    serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}{errors}"))
}

fn id(told: &Value, name: &str) -> Cid {
    cid::parse(told[name].as_str().unwrap_or_else(|| panic!("{told}"))).unwrap()
}

fn named(entries: &Value) -> Vec<(String, Cid)> {
    let entries = entries.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries.map(|entry| (text(&entry[0]), cid::parse(&text(&entry[1])).unwrap())).collect()
}

/// What both programs have stored, and the same imported here.
fn check(told: &Value, storage: &MemoryStorage) {
    let here = MemoryStorage::default();
    let hello = here.import_bytes(b"hello world").unwrap().cid;
    assert_eq!(id(told, "hello"), hello);
    assert_eq!(id(told, "v0"), here.import_bytes(&large()).unwrap().cid);
    let v1 = here.clone().with_options(Profile::CidV1256k).import_bytes(&large()).unwrap().cid;
    assert_eq!(id(told, "v1"), v1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("hd")).unwrap();
    std::fs::write(folder.path().join("hd/0.ts"), "zero").unwrap();
    std::fs::write(folder.path().join("list.m3u8"), "#EXTM3U").unwrap();
    let show = here.import_folder(folder.path()).unwrap().cid;
    let tree = named(&told["tree"]);
    for (name, path) in [
        ("show", ""),
        ("show/hd", "hd"),
        ("show/hd/0.ts", "hd/0.ts"),
        ("show/list.m3u8", "list.m3u8"),
    ] {
        let want = here.resolve(&show, path).unwrap();
        let got = tree.iter().find(|(told, _)| told == name);
        assert_eq!(got.map(|(_, cid)| cid), Some(&want), "{name} in {tree:?}");
        assert!(storage.store().has(want.hash()).unwrap());
    }
    assert_eq!(tree.len(), 4, "{tree:?}");
    assert!(storage.store().is_pinned(&hello).unwrap(), "what is added is pinned");
}

#[tokio::test]
#[ignore = "needs kubo-rpc-client, by npm"]
async fn kubo_rpc_client_works_with_our_face() {
    let packages = Packages::ready();
    let storage = MemoryStorage::default();
    let mut client = Command::new("node");
    client.arg("kubo-client.mjs").current_dir(&packages.js).env_remove("NODE_OPTIONS");
    client.arg(format!("http://{}", face(&storage).await));
    let told = run(client).await;
    check(&told, &storage);
    let block = MemoryStorage::default().with_options(Profile::CidV1256k);
    assert_eq!(id(&told, "block"), block.import_bytes(b"a block").unwrap().cid);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a b.txt"), "x").unwrap();
    let wrapped = MemoryStorage::default().import_folder(folder.path()).unwrap().cid;
    assert_eq!(id(&told, "wrapped"), wrapped);
}

#[tokio::test]
#[ignore = "needs aioipfs, by pip"]
async fn aioipfs_works_with_our_face() {
    let packages = Packages::ready();
    let storage = MemoryStorage::default();
    let address = face(&storage).await;
    let folder = tempfile::tempdir().unwrap();
    let mut client = Command::new(packages.py.join("venv/bin/python"));
    client.args(["-W", "ignore", "main.py"]).current_dir(&packages.py);
    client.args([address.ip().to_string(), address.port().to_string()]).arg(folder.path());
    check(&run(client).await, &storage);
}
