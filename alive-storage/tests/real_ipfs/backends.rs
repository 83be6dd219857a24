//! Our clients against the node.

use std::time::Duration;

use alive_core::{
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{
    BlockStore as _, GatewayOptions, GatewayStorage, HttpOptions, KuboStorage, MemoryStorage, car,
    cid, unixfs::Profile,
};
use bytes::Bytes;

use crate::{content, node::JsIpfs};

pub(crate) fn kubo(node: &JsIpfs) -> KuboStorage {
    let storage = KuboStorage::new(node.rpc.clone(), &HttpOptions::default()).unwrap();
    // It never answers for what it does not have.
    KuboStorage::of(storage.client().clone().with_lookup(Duration::from_secs(1)))
}

pub(crate) fn gateway(node: &JsIpfs) -> GatewayStorage {
    let options = GatewayOptions::default().absent_for(Duration::from_millis(1));
    GatewayStorage::of([node.gateway.clone()], &options).unwrap()
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn the_node_passes_the_suite_under_every_profile() {
    let node = JsIpfs::start();
    for profile in [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025] {
        testing::storage(&kubo(&node).with_options(profile)).await;
    }
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn what_the_node_has_not_is_absent_in_bounded_time() {
    let node = JsIpfs::start();
    let root = MemoryStorage::default().import_bytes(b"nobody has this").unwrap().cid;
    let id = cid::to_content(&root).unwrap();
    // The client's limit is a second; half a minute would be the server's patience.
    let kubo = kubo(&node);
    let asked = tokio::time::timeout(Duration::from_secs(30), kubo.get(&id, 100));
    let answer = asked.await.expect("an answer");
    assert!(matches!(answer, Err(StorageError::NotFound(absent)) if absent == id));
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn what_the_node_was_given_is_read_from_its_gateway_and_proved_by_importing_it() {
    let node = JsIpfs::start();
    for (seed, profile) in [(1, Profile::UnixfsV02015), (2, Profile::CidV1256k)] {
        for len in [0, 1, 4200, 262_145, 2_000_000] {
            let data = Bytes::from(content(seed, len));
            let id = kubo(&node).with_options(profile).put(data.clone()).await.unwrap();
            let gateway = gateway(&node);
            assert_eq!(gateway.get(&id, len).await.unwrap(), data, "{profile} {len}");
            assert!(gateway.has(&id).await.unwrap());
            assert_eq!(gateway.health()[0].lies, 0);
        }
    }
}

#[tokio::test]
#[ignore = "needs js-ipfs, by npm"]
async fn the_node_takes_archives_and_blocks_of_ours() {
    let node = JsIpfs::start();
    let local = MemoryStorage::default().with_options(Profile::CidV1256k);
    let data = content(3, 900_000);
    let root = local.import_bytes(&data).unwrap().cid;
    let mut archive = Vec::new();
    car::export_car(local.store(), &[root], &mut archive).unwrap();
    let kubo = kubo(&node);
    assert_eq!(kubo.client().dag_import(&archive).await.unwrap(), [root]);
    let id = cid::to_content(&root).unwrap();
    assert_eq!(kubo.get(&id, data.len()).await.unwrap(), data);
    assert!(kubo.client().is_pinned(&root).await.unwrap());
    let block = local.store().get(root.hash()).unwrap().unwrap();
    assert_eq!(kubo.client().block_put(&block, cid::DAG_PB).await.unwrap(), root);
    assert_eq!(kubo.client().block_get(&root, true).await.unwrap(), block);
    let leaf = local.import_bytes(&data[..1000]).unwrap().cid;
    let raw = local.store().get(leaf.hash()).unwrap().unwrap();
    assert_eq!(kubo.client().block_put(&raw, cid::RAW).await.unwrap(), leaf);
    assert_eq!(kubo.client().block_stat(&leaf, true).await.unwrap(), 1000);
}
