//! The same files, added there and here, get the same ids.

use alive_storage::{
    KuboClient, MemoryStorage,
    cid::{self, Cid, Version},
    unixfs::{ImportOptions, Profile},
};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::{backends::kubo, content, node::JsIpfs};

/// Adds content there and here and compares the ids.
async fn same_id(node: &KuboClient, data: &[u8], options: ImportOptions) {
    let here = MemoryStorage::default().with_options(options).import_bytes(data).unwrap().cid;
    let there = node.add(data, options, false).await.unwrap();
    assert_eq!(there, here, "{} bytes, {options:?}", data.len());
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn files_of_every_profile_get_the_same_id_there_and_here() {
    let node = JsIpfs::start();
    let kubo = kubo(&node);
    for profile in [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025] {
        let chunk = ImportOptions::from(profile).chunk_size();
        for len in [0, 1, 4200, chunk - 1, chunk, chunk + 1, 3 * chunk + 7] {
            same_id(kubo.client(), &content(5, len), profile.into()).await;
        }
    }
    // Several levels: more leaves than a node has links, and one left over.
    for leaves in [174, 175, 174 * 174 + 1] {
        for version in [Version::V0, Version::V1] {
            let options = ImportOptions::default().with_cid_version(version);
            let options = options.with_chunk_size(64).unwrap();
            let data = content(6, leaves * 64 - 3);
            let here = MemoryStorage::default().with_options(options).import_bytes(&data).unwrap();
            // Thirty thousand blocks, each a file of its own, would take it a minute.
            let query = format!("{}&only-hash=true", spelt(options));
            let there = add(&node, &query, vec![("x", data)]).await;
            assert_eq!(id(&there, "x"), here.cid, "{leaves} leaves, {options:?}");
        }
    }
    // Options that no profile has.
    let mixed = ImportOptions::default().with_raw_leaves(true).with_chunk_size(1000).unwrap();
    same_id(kubo.client(), &content(7, 12_345), mixed).await;
}

/// A path, as it is and as clients send it, and the bytes of the file.
fn files() -> [(&'static str, &'static str, Vec<u8>); 4] {
    [
        ("list.m3u8", "show%2Flist.m3u8", content(1, 300)),
        ("hd/0.ts", "show%2Fhd%2F0.ts", content(2, 600_000)),
        ("hd/1.ts", "show%2Fhd%2F1.ts", content(3, 1)),
        ("\u{fc}n \u{2603}.txt", "show%2F%C3%BCn%20%E2%98%83.txt", vec![]),
    ]
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn a_folder_gets_the_same_id_there_and_here() {
    let node = JsIpfs::start();
    let folder = tempfile::tempdir().unwrap();
    for (path, _, bytes) in files() {
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &bytes).unwrap();
    }
    for profile in [Profile::UnixfsV02015, Profile::CidV1256k] {
        let here = MemoryStorage::default().with_options(profile);
        let here = here.import_folder(folder.path()).unwrap().cid;
        let parts = files().into_iter().map(|(_, name, bytes)| (name, bytes)).collect();
        let there = add(&node, &spelt(profile.into()), parts).await;
        assert_eq!(id(&there, "show"), here, "{profile}: {there:?}");
    }
}

/// Options in the words of the RPC.
fn spelt(options: ImportOptions) -> String {
    let version = match options.cid_version() {
        Version::V0 => "0",
        // Its own choice would be base58, and no base at all goes with version 0.
        Version::V1 => "1&cid-base=base32",
    };
    let (raw, chunk) = (options.raw_leaves(), options.chunk_size());
    format!("raw-leaves={raw}&chunker=size-{chunk}&cid-version={version}")
}

/// What `add` tells.
async fn add(node: &JsIpfs, query: &str, files: Vec<(&'static str, Vec<u8>)>) -> Vec<Value> {
    let form = files.into_iter().fold(Form::new(), |form, (name, bytes)| {
        let part = Part::bytes(bytes).file_name(name);
        // It refuses parts without a media type.
        form.part("file", part.mime_str("application/octet-stream").unwrap())
    });
    let url = format!("{}/api/v0/add?{query}", node.rpc);
    let answer = reqwest::Client::new().post(url).multipart(form).send().await.unwrap();
    let text = answer.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(told: &[Value], name: &str) -> Cid {
    let record = match told {
        // A file alone is called by its id there.
        [record] => Some(record),
        records => records.iter().find(|record| record["Name"] == name),
    };
    let hash = record.and_then(|record| record["Hash"].as_str());
    cid::parse(hash.unwrap_or_else(|| panic!("{told:?}"))).unwrap()
}
