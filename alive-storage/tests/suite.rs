//! Files in a block store keep the promises of core's `Storage`.
#![cfg(test)]

use alive_core::{
    backend::{SharedStorage, StorageError},
    testing,
};
use alive_storage::{DiskStorage, MemoryStorage, unixfs::Profile};

#[tokio::test]
async fn files_in_memory_pass_the_suite() {
    testing::storage(&MemoryStorage::default()).await;
}

#[tokio::test]
async fn files_of_every_profile_pass_the_suite() {
    for profile in [Profile::CidV1256k, Profile::UnixfsV12025] {
        let storage = MemoryStorage::default().with_options(profile);
        testing::storage(&SharedStorage::new(storage)).await;
    }
}

#[tokio::test]
async fn files_on_disk_survive_reopening() {
    let folder = tempfile::tempdir().unwrap();
    testing::storage_survives(async || DiskStorage::open_dir(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn files_in_memory_heal() {
    let storage = MemoryStorage::default();
    testing::storage_heals(&storage, async |storage, id| {
        let root = alive_storage::cid::of_content(id).unwrap();
        assert!(storage.store().remove(root.hash()));
    })
    .await;
}

#[tokio::test]
async fn an_error_tells_whether_trying_again_may_help() {
    let absent = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let error = MemoryStorage::default().open(&absent).await.unwrap_err();
    assert!(matches!(error, StorageError::NotFound(_)) && error.is_transient());
}
