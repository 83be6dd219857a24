//! The node reads what our gateway serves, and we read what its serves: as blocks, as archives, by path.

use std::io::Cursor;

use alive_core::backend::Storage as _;
use alive_storage::{
    Block, BlockStore as _, MemoryStorage,
    car::{self, CarPolicy},
    cid::{self, Cid},
    unixfs::{self, Profile},
};
use bytes::Bytes;
use multibase::Base;

use crate::{
    backends::{gateway, kubo},
    content, face,
    node::JsIpfs,
};

/// The answer to a request.
async fn get(url: String, accept: &str) -> Bytes {
    let request = reqwest::Client::new().get(url).header("Accept", accept);
    request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap()
}

fn text(cid: &Cid) -> String {
    cid::to_text(cid, Base::Base32Lower)
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn the_node_reads_what_our_gateway_serves() {
    let node = JsIpfs::start();
    let kubo = kubo(&node);
    for (seed, profile) in [(1, Profile::UnixfsV02015), (2, Profile::CidV1256k)] {
        let storage = MemoryStorage::default().with_options(profile);
        let data = content(seed, 1_000_000);
        let root = storage.import_bytes(&data).unwrap().cid;
        let id = cid::to_content(&root).unwrap();
        let ours = format!("http://{}/ipfs/{}", face(&storage).await, text(&root));

        // All as an archive, which the node takes, pins and reads.
        let archive =
            get(ours.clone(), "application/vnd.ipld.car;version=1;order=dfs;dups=y").await;
        assert_eq!(kubo.client().dag_import(&archive).await.unwrap(), [root]);
        assert_eq!(kubo.get(&id, data.len()).await.unwrap(), data, "{profile}");

        // A block by itself gets the hash there that it has here.
        let block = get(format!("{ours}?format=raw"), "").await;
        let block = Block::check(*root.hash(), block).unwrap();
        let put = kubo.client().block_put(&block, root.codec()).await.unwrap();
        assert_eq!(put.hash(), root.hash());

        // The plain bytes, added there, are the file that was asked for.
        let plain = get(ours, "").await;
        assert_eq!(kubo.client().add(&plain, profile.into(), false).await.unwrap(), root);
    }
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn the_node_reads_a_folder_that_our_gateway_serves() {
    let node = JsIpfs::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("hd")).unwrap();
    let data = content(3, 600_000);
    std::fs::write(folder.path().join("hd/0.ts"), &data).unwrap();
    std::fs::write(folder.path().join("list.m3u8"), "#EXTM3U").unwrap();
    let storage = MemoryStorage::default();
    let root = storage.import_folder(folder.path()).unwrap().cid;
    let ours = format!("http://{}/ipfs/{}", face(&storage).await, text(&root));
    let archive = get(format!("{ours}?format=car"), "").await;
    assert_eq!(kubo(&node).client().dag_import(&archive).await.unwrap(), [root]);

    // Both gateways give the same for the same path.
    let theirs = format!("{}/ipfs/{}", node.gateway, text(&root));
    for path in ["hd/0.ts", "list.m3u8"] {
        let here = get(format!("{ours}/{path}"), "").await;
        assert_eq!(here, get(format!("{theirs}/{path}"), "").await, "{path}");
    }
    assert_eq!(get(format!("{theirs}/hd/0.ts"), "").await, data);
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn we_read_what_the_node_serves() {
    let node = JsIpfs::start();
    let client = kubo(&node).client().clone();
    for (seed, profile) in [(4, Profile::UnixfsV02015), (5, Profile::CidV1256k)] {
        let data = content(seed, 1_000_000);
        let root = client.add(&data, profile.into(), true).await.unwrap();
        let id = cid::to_content(&root).unwrap();

        // Its gateway gives plain files only, which are believed after they were imported again.
        assert_eq!(gateway(&node).get(&id, data.len()).await.unwrap(), data, "{profile}");

        // Its archive proves itself.
        let url = format!("{}/api/v0/dag/export?arg={}", node.rpc, text(&root));
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        let archive = answer.error_for_status().unwrap().bytes().await.unwrap();
        let here = MemoryStorage::default();
        let policy = CarPolicy::exchange(1 << 30);
        car::import_car(Cursor::new(archive), here.store(), &[root], policy).unwrap();
        assert_eq!(unixfs::read_file(here.store(), root, data.len()).unwrap(), data);

        // Its blocks are hashed as they come.
        let block = client.block_get(&root, true).await.unwrap();
        assert_eq!(Some(block), here.store().get(root.hash()).unwrap());
    }
}
