//! The clients against an IPFS node that no one here wrote: js-ipfs, offline on loopback.
//!
//! `IPFS_RPC` and `IPFS_GATEWAY` are the addresses of its RPC and its gateway, such as `http://127.0.0.1:15002`.
#![cfg(test)]

use std::{env, time::Duration};

use alive_core::{GatewayUrl, backend::Storage, testing};
use alive_storage::{
    GatewayOptions, GatewayStorage, HttpOptions, KuboStorage, MemoryStorage, car, cid,
    unixfs::Profile,
};
use bytes::Bytes;

fn address(name: &str) -> GatewayUrl {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set")).parse().unwrap()
}

fn node() -> KuboStorage {
    let node = KuboStorage::new(address("IPFS_RPC"), &HttpOptions::default()).unwrap();
    let client = node.client().clone().with_lookup(Duration::from_secs(1));
    KuboStorage::of(client)
}

fn gateway() -> GatewayStorage {
    let options = GatewayOptions::default().absent_for(Duration::from_millis(1));
    GatewayStorage::of([address("IPFS_GATEWAY")], &options).unwrap()
}

/// Content of some blocks, unlike any other.
fn content(seed: u8, len: usize) -> Bytes {
    (0..len).map(|at| at.to_le_bytes()[at % 3].wrapping_mul(31).wrapping_add(seed)).collect()
}

#[tokio::test]
#[ignore = "needs a node: IPFS_RPC"]
async fn the_node_passes_the_suite_under_the_profiles_it_knows() {
    for profile in [Profile::UnixfsV02015, Profile::CidV1256k] {
        testing::storage(&node().with_options(profile)).await;
    }
}

#[tokio::test]
#[ignore = "needs a node: IPFS_RPC, IPFS_GATEWAY"]
async fn what_the_node_was_given_is_read_from_its_gateway_and_proved_by_importing_it() {
    for (seed, profile) in [(1, Profile::UnixfsV02015), (2, Profile::CidV1256k)] {
        for len in [0, 1, 4200, 262_145, 2_000_000] {
            let data = content(seed, len);
            let id = node().with_options(profile).put(data.clone()).await.unwrap();
            let gateway = gateway();
            assert_eq!(gateway.get(&id, len).await.unwrap(), data, "{profile} {len}");
            assert!(gateway.has(&id).await.unwrap());
            assert_eq!(gateway.health()[0].lies, 0);
        }
    }
}

#[tokio::test]
#[ignore = "needs a node: IPFS_RPC"]
async fn the_node_takes_archives_and_blocks_of_ours() {
    let local = MemoryStorage::default().with_options(Profile::CidV1256k);
    let data = content(3, 900_000);
    let root = local.import_bytes(&data).unwrap().cid;
    let mut archive = Vec::new();
    car::export_car(local.store(), &[root], &mut archive).unwrap();
    let node = node();
    assert_eq!(node.client().dag_import(&archive).await.unwrap(), [root]);
    let id = cid::to_content(&root).unwrap();
    assert_eq!(node.get(&id, data.len()).await.unwrap(), data);
    assert!(node.client().is_pinned(&root).await.unwrap());
    let block = alive_storage::BlockStore::get(local.store(), root.hash()).unwrap().unwrap();
    assert_eq!(node.client().block_put(&block, cid::DAG_PB).await.unwrap(), root);
    assert_eq!(node.client().block_get(&root, true).await.unwrap(), block);
    let leaf = local.import_bytes(&data[..1000]).unwrap().cid;
    let raw = alive_storage::BlockStore::get(local.store(), leaf.hash()).unwrap().unwrap();
    assert_eq!(node.client().block_put(&raw, cid::RAW).await.unwrap(), leaf);
    assert_eq!(node.client().block_stat(&leaf, true).await.unwrap(), 1000);
}
