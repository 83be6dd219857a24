//! Where the program keeps content: its own store, IPFS nodes, gateways, Skynet, and whole streams in one file.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use alive_storage::{BlockStore as _, DiskStorage, cid};

use crate::{
    node::JsIpfs,
    portal::Portal,
    server::serve,
    support::{Running, alive, run, sample, stdout},
};

/// Content of some blocks, unlike any other.
fn content(seed: u32, len: usize) -> Vec<u8> {
    (seed << 20..).flat_map(u32::to_le_bytes).take(len).collect()
}

/// Plays a minute with a storage; every segment must come back.
fn demo(storage: &[&str]) {
    let recording = sample("ts-6x10s");
    let args = ["demo", "--speed", "40", "--recording", recording.to_str().unwrap()];
    let output = run(&[&args, storage].concat());
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", errors(&output));
    assert!(text.contains("6 recorded, 6 back, byte for byte and in order"), "{text}");
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_demo_works_with_a_node_and_a_gateway_of_the_program() {
    demo(&["--storage", "kubo"]);
    demo(&["--storage", "gateway"]);
    demo(&["--storage", "embedded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_works_with_a_skynet_portal() {
    let portal = Portal::default();
    let server = serve(move |request| {
        let portal = portal.clone();
        async move { portal.handle(&request) }
    })
    .await;
    let url = server.url.to_string();
    let played = move || demo(&["--storage", "skynet", "--storage-url", &url]);
    tokio::task::spawn_blocking(played).await.unwrap();
    assert!(server.count() > 12, "segments and chunks went there and back");
}

#[test]
fn skynet_needs_a_portal_for_there_is_no_public_one() {
    let output = run(&["demo", "--storage", "skynet"]);
    assert!(!output.status.success());
    assert!(errors(&output).contains("--storage-url"), "{}", errors(&output));
}

#[test]
#[ignore = "needs js-ipfs, by npm"]
fn the_demo_works_with_a_real_node_and_its_gateway() {
    let node = JsIpfs::start();
    let (rpc, gateway) = (node.rpc.to_string(), node.gateway.to_string());
    for storage in ["kubo", "gateway"] {
        let at = ["--storage-url", &rpc, "--storage-gateway", &gateway];
        demo(&[&["--storage", storage], &at[..]].concat());
    }
}

/// A byte in the middle of the first pack changes.
fn damage(store: &Path) {
    let within = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut packs: Vec<_> = within(store.join("packs")).flat_map(within).collect();
    packs.sort();
    let mut bytes = std::fs::read(&packs[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&packs[0], bytes).unwrap();
}

#[test]
fn a_store_is_checked_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let check = |more: &[&str]| {
        run(&[&["store", "check", "--store", path.to_str().unwrap()], more].concat())
    };
    let absent = check(&[]);
    assert!(!absent.status.success() && !path.exists(), "a check makes no store");

    let import = |seed| {
        let store = DiskStorage::open_dir(&path).unwrap();
        store.import_bytes(&content(seed, 600_000)).unwrap()
    };
    import(1);
    let sound = check(&[]);
    assert!(sound.status.success(), "{}", errors(&sound));
    assert!(stdout(&sound).contains("4 blocks") && stdout(&sound).contains("sound"));

    damage(&path);
    let damaged = check(&[]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stdout(&damaged).contains("DAMAGED bafkrei"), "{}", stdout(&damaged));
    assert!(stdout(&damaged).contains("INCOMPLETE bafybei"), "{}", stdout(&damaged));
    assert!(errors(&damaged).contains("--repair"));

    let repaired = check(&["--repair"]);
    assert!(repaired.status.success(), "{}", errors(&repaired));
    assert!(stdout(&repaired).contains("repaired"));
    assert!(check(&[]).status.success());
    import(1);
    let whole = stdout(&check(&[]));
    assert!(whole.contains("4 blocks") && !whole.contains("INCOMPLETE"), "{whole}");
}

#[tokio::test]
async fn a_store_is_served_on_loopback_or_to_who_has_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let hello = DiskStorage::open_dir(&store).unwrap().import_bytes(b"hello world").unwrap().cid;
    let serve = |listen: &str, token: Option<&str>| {
        let mut command =
            alive(&["store", "serve", "--store", store.to_str().unwrap(), "--listen", listen]);
        command.envs(token.map(|token| ("ALIVE_STORE_TOKEN", token)));
        command
    };
    let refused = serve("0.0.0.0:0", None).output().unwrap();
    assert!(errors(&refused).contains("--token-file"), "{}", errors(&refused));

    let client = reqwest::Client::new();
    let mut open = Running::start(serve("127.0.0.1:0", None));
    let url = open.line("listening on ");
    let cat = |url: &str| client.post(format!("{url}/api/v0/cat?arg={hello}"));
    assert_eq!(cat(&url).send().await.unwrap().text().await.unwrap(), "hello world");
    let file = client.get(format!("{url}/ipfs/{}", cid::to_v1(&hello))).send().await.unwrap();
    assert_eq!(file.text().await.unwrap(), "hello world");
    open.kill();

    let token = "a token of some length";
    let token = token.replace(' ', "-");
    let mut closed = Running::start(serve("127.0.0.1:0", Some(&token)));
    let url = closed.line("listening on ");
    assert_eq!(cat(&url).send().await.unwrap().status(), 403);
    let with = cat(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(with.text().await.unwrap(), "hello world");
}

#[test]
fn a_stream_goes_into_a_file_and_into_another_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let chain =
        ["--account", "alice=secret", "--block-time", "150ms", "--irreversible-distance", "0"];
    let mut devnet =
        Running::start(alive(&[&["devnet", "--listen", "127.0.0.1:0"], &chain[..]].concat()));
    let chain = devnet.line("listening on ");
    let mut derive = alive(&["key", "derive", "--account", "alice"]);
    let derived = stdout(&derive.env("ALIVE_MASTER_PASSWORD", "secret").output().unwrap());
    let wif = derived.lines().next().unwrap().replace("private ", "");
    let command = |args: &[&str]| {
        let mut command = alive(args);
        command
            .current_dir(folder.path())
            .env("ALIVE_NETWORK", "devnet")
            .env("ALIVE_HIVE_NODE", &chain)
            .env("ALIVE_CHAIN_POLL_MS", "20")
            .env("ALIVE_ACCOUNT", "alice")
            .env("ALIVE_LINK", "show")
            .env("ALIVE_POSTING_KEY", &wif);
        let output = command.output().unwrap();
        (output.status.success(), stdout(&output), errors(&output))
    };
    let done = |args: &[&str]| {
        let (ok, text, errors) = command(args);
        assert!(ok, "{args:?}: {text}{errors}");
        text
    };
    done(&["configure"]);
    let recording = sample("ts-6x10s");
    done(&[
        "stream",
        "--folder",
        recording.to_str().unwrap(),
        "--data",
        &path("streamer"),
        "--from-block",
        "1",
        "--interval",
        "1",
        "--end",
        "--accept-old",
    ]);
    let (from, to) = (path("streamer/store"), path("other"));
    let file = path("show.car");
    let text = done(&["export", "alice/show", &file, "--store", &from]);
    assert!(text.contains("6 segments of the source"), "{text}");
    let root = text.lines().find_map(|line| line.strip_prefix("root ")).unwrap().trim();
    let (ok, _, errors) = command(&["export", "alice/show", &file, "--store", &from]);
    assert!(!ok && errors.contains("is there already"), "{errors}");

    let text = done(&["import", &file, "--store", &to]);
    assert!(text.contains("hive/alice/show") && text.contains(root), "{text}");
    // All that the chain tells of is in the other store, byte by byte.
    let text = done(&["verify", "alice/show", "--store", &to]);
    assert!(text.contains("6 segments") && text.contains("0 problems"), "{text}");

    // A byte of a segment is another one.
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path("bad.car"), bytes).unwrap();
    let (ok, _, errors) = command(&["import", &path("bad.car"), "--store", &path("third")]);
    assert!(!ok && errors.contains("archive is refused"), "{errors}");
}

#[test]
fn of_several_nodes_enough_must_have_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let node = |name: &str| {
        let store = folder.path().join(name);
        let mut served = Running::start(alive(&[
            "store",
            "serve",
            "--store",
            store.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ]));
        let url = served.line("listening on ");
        (served, url)
    };
    let (first, second) = (node("first"), node("second"));
    // Nobody listens on the third.
    let urls = format!("{},{},http://127.0.0.1:1", first.1, second.1);
    demo(&["--storage", "kubo", "--storage-url", &urls, "--storage-need", "2"]);
    drop((first, second));
    for name in ["first", "second"] {
        let store = DiskStorage::open_dir(folder.path().join(name)).unwrap();
        assert!(store.store().pins().unwrap().len() >= 6, "{name} has every segment");
    }

    let output = run(&["demo", "--storage", "kubo", "--storage-url", &urls, "--storage-need", "4"]);
    assert!(!output.status.success());
    assert!(errors(&output).contains("--storage-need"), "{}", errors(&output));
}
