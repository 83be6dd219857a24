//! A portal of our own that answers as the documented one does, and portals that lie.

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{MerkleRoot, SECTOR_BYTES, Skyfile, SkyfileMetadata, Skylink, SkynetStorage};

use crate::{
    options,
    portal::{Habit, Portal},
    server::{Request, Server, answer, serve},
};

async fn portal(habit: Habit) -> (Portal, Server, SkynetStorage) {
    let portal = Portal { habit, ..Portal::default() };
    let answering = portal.clone();
    let server = serve(move |request| {
        let portal = answering.clone();
        async move { portal.handle(&request) }
    })
    .await;
    let storage = SkynetStorage::new(server.url.clone(), &options()).unwrap();
    (portal, server, storage)
}

/// A file that a portal has, whatever it makes of it later.
fn kept(portal: &Portal, data: &str) -> ContentId {
    let metadata = SkyfileMetadata::of_upload("a.ts", "video/mp2t", 0o644, data.len() as u64);
    let file = Skyfile::new(metadata, data.to_owned().into()).unwrap();
    portal.keep(&file).to_content().unwrap()
}

#[tokio::test]
async fn a_portal_passes_the_suite_under_each_right_of_its_own() {
    for habit in [Habit::Honest, Habit::OwnMode, Habit::NoBaseSector] {
        let (_, _server, storage) = portal(habit).await;
        testing::storage(&storage).await;
    }
}

#[tokio::test]
async fn an_upload_costs_one_request_when_the_link_is_the_one_that_follows_from_the_content() {
    let (_, server, storage) = portal(Habit::Honest).await;
    storage.put("hello".into()).await.unwrap();
    assert_eq!(server.count(), 1);
    let (_, server, storage) = portal(Habit::OwnMode).await;
    storage.put("hello".into()).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn other_content_than_was_uploaded_is_found_out() {
    let (_, _server, storage) = portal(Habit::Forgery).await;
    let error = storage.put("hello".into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error:?}");
    let (_, _server, storage) = portal(Habit::Contradict).await;
    let error = storage.put("hello".into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_not_the_sectors_are_corrupt() {
    for habit in [Habit::Flip, Habit::Truncate, Habit::Page, Habit::Endless] {
        let (portal, _server, storage) = portal(habit).await;
        let id = kept(&portal, "hello, this is a segment of a stream");
        let error = storage.get(&id, 4200).await.unwrap_err();
        assert!(
            matches!(error, StorageError::Corrupt { id: named, .. } if named == id),
            "{habit:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_small_file_costs_the_bytes_that_its_link_names() {
    let (portal, server, storage) = portal(Habit::Honest).await;
    let id = kept(&portal, "hello");
    assert_eq!(storage.get(&id, 5).await.unwrap(), "hello");
    assert_eq!(server.count(), 1);
    let link = Skylink::of_content(&id).unwrap();
    assert_eq!(link.range().unwrap().len(), 4096);
}

#[tokio::test]
async fn what_does_not_fit_a_sector_is_refused_before_it_is_sent() {
    let (_, server, storage) = portal(Habit::Honest).await;
    let error = storage.put(vec![1; SECTOR_BYTES].into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_sector_that_is_no_file_is_refused_for_good() {
    let (portal, _server, storage) = portal(Habit::Honest).await;
    let sector = vec![9; 5000];
    let root = MerkleRoot::of_sector(&sector);
    portal.sectors.lock().unwrap().insert(root, sector);
    let id = Skylink::new(root, 0, 5000).unwrap().to_content().unwrap();
    let error = storage.get(&id, 4200).await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_inside_a_sector_is_read_by_the_whole_sector() {
    let (portal, _server, storage) = portal(Habit::Honest).await;
    let metadata = SkyfileMetadata::of_upload("a.ts", "video/mp2t", 0o644, 5);
    let file = Skyfile::new(metadata, "hello".into()).unwrap().to_sector();
    let sector = [vec![3; 8192], file.clone()].concat();
    let root = MerkleRoot::of_sector(&sector);
    portal.sectors.lock().unwrap().insert(root, sector);
    let id = Skylink::new(root, 8192, file.len() as u64).unwrap().to_content().unwrap();
    assert_eq!(storage.get(&id, 5).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_cid_is_no_skylink_and_a_key_is_not_printed() {
    let (_, server, storage) = portal(Habit::Honest).await;
    let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    assert!(matches!(storage.get(&cid, 9).await, Err(StorageError::Refused { .. })));
    assert_eq!(server.count(), 0);
    let keyed = storage.with_api_key("top secret").unwrap();
    assert!(!format!("{keyed:?}").contains("secret"));
}

#[tokio::test]
async fn a_key_goes_with_every_request() {
    let server = serve(|request: Request| async move {
        let good = request.header("skynet-api-key") == "k1";
        answer(if good { 200 } else { 401 }, "text/plain", "")
    })
    .await;
    let storage = SkynetStorage::new(server.url.clone(), &options()).unwrap();
    let id = Skylink::new(MerkleRoot::of(b"x"), 0, 1).unwrap().to_content().unwrap();
    assert!(matches!(storage.has(&id).await, Err(StorageError::Refused { .. })));
    assert!(storage.with_api_key("k1").unwrap().has(&id).await.unwrap());
}
