//! The backends in memory keep the promises of their traits, themselves and behind their handles.
#![cfg(test)]

use alive_core::{
    backend::{SharedStorage, SharedStreamStore},
    memory::{MemoryStorage, MemoryStreamStore},
    testing,
};

#[tokio::test]
async fn storage() {
    testing::storage(&MemoryStorage::default()).await;
    testing::storage(&SharedStorage::new(MemoryStorage::default())).await;
    let storage = MemoryStorage::default();
    testing::storage_survives(async || storage.clone()).await;
    testing::storage_heals(&storage, async |storage, id| storage.corrupt(id, "else".into())).await;
}

#[tokio::test]
async fn stream_store() {
    testing::stream_store(&MemoryStreamStore::default()).await;
    testing::stream_store(&SharedStreamStore::new(MemoryStreamStore::default())).await;
    let store = MemoryStreamStore::default();
    testing::stream_store_survives(async || store.clone()).await;
}
