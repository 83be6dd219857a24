//! A portal of our own that answers as the documented one does, and portals that lie.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{MerkleRoot, SECTOR_BYTES, Skyfile, SkyfileMetadata, Skylink, SkynetStorage};
use axum::response::Response;

use crate::{
    options,
    server::{Request, Server, answer, serve},
};

/// What a portal does otherwise than it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Habit {
    #[default]
    Honest,
    /// It says another mode, as portals may.
    OwnMode,
    /// It stores other content than it was given.
    Forgery,
    /// It gives whole sectors only.
    NoBaseSector,
    /// It changes a byte of what it gives.
    Flip,
    /// It gives part of what it should.
    Truncate,
    /// It says a bit field that is not the link's.
    Contradict,
    /// It gives an error page.
    Page,
    /// It gives more than a sector.
    Endless,
}

#[derive(Clone, Default)]
struct Portal {
    sectors: Arc<Mutex<HashMap<MerkleRoot, Vec<u8>>>>,
    habit: Habit,
}

impl Portal {
    fn keep(&self, file: &Skyfile) -> Skylink {
        let link = file.skylink();
        let sector = file.to_sector();
        self.sectors.lock().unwrap().insert(link.merkle_root().unwrap(), sector);
        link
    }

    fn upload(&self, request: &Request) -> Response {
        let (head, data) = request.field("file").unwrap();
        let quoted = |name: &str| {
            let from = head.split_once(&format!("{name}=\"")).unwrap().1;
            from.split_once('"').unwrap().0.to_owned()
        };
        let media_type = head.split_once("Content-Type: ").unwrap().1.to_owned();
        let mode = if self.habit == Habit::OwnMode { 0o600 } else { 0o644 };
        let data = if self.habit == Habit::Forgery { "forged".into() } else { data };
        let metadata =
            SkyfileMetadata::of_upload(&quoted("filename"), &media_type, mode, data.len() as u64);
        let link = self.keep(&Skyfile::new(metadata, data).unwrap());
        let bitfield = link.bitfield() + if self.habit == Habit::Contradict { 4 } else { 0 };
        let root = link.merkle_root().unwrap();
        let said = format!(r#"{{"skylink":"{link}","merkleroot":"{root}","bitfield":{bitfield}}}"#);
        answer(200, "application/json", said)
    }

    /// Bytes of a sector, as far as they are not zeros at its end.
    fn sector(&self, root: &MerkleRoot) -> Option<Vec<u8>> {
        self.sectors.lock().unwrap().get(root).cloned()
    }

    fn give(&self, mut bytes: Vec<u8>) -> Response {
        match self.habit {
            Habit::Flip => bytes[200] ^= 1,
            Habit::Truncate => bytes.truncate(150),
            Habit::Endless => bytes.resize(SECTOR_BYTES * 2, 7),
            Habit::Page => return answer(200, "text/html", "<h1>Sorry</h1>"),
            _ => {}
        }
        answer(200, "application/octet-stream", bytes)
    }

    fn handle(&self, request: &Request) -> Response {
        let missing = || answer(404, "application/json", r#"{"message":"not found"}"#);
        let (path, known) = (request.path(), |link: &str| {
            let link: Skylink = link.parse().ok()?;
            self.sector(&link.merkle_root()?).map(|sector| (link, sector))
        });
        match request.method.as_str() {
            "POST" if path == "/skynet/skyfile" => self.upload(request),
            "POST" => match known(path.strip_prefix("/skynet/pin/").unwrap()) {
                Some((link, _)) => {
                    answer(200, "application/json", format!(r#"{{"skylink":"{link}"}}"#))
                }
                None => missing(),
            },
            "HEAD" => known(&path[1..]).map_or_else(missing, |_| answer(200, "text/plain", "")),
            "GET" if path == "/skynet/root" => {
                let root: [u8; 32] = from_hex(&request.query("root").unwrap());
                assert_eq!(request.query("offset").as_deref(), Some("0"));
                assert_eq!(request.query("length").as_deref(), Some("4194304"));
                self.sector(&root.into()).map_or_else(missing, |mut sector| {
                    sector.resize(SECTOR_BYTES, 0);
                    self.give(sector)
                })
            }
            "GET" => match known(path.strip_prefix("/skynet/basesector/").unwrap()) {
                Some(_) if self.habit == Habit::NoBaseSector => missing(),
                Some((link, mut sector)) => {
                    sector.resize(SECTOR_BYTES, 0);
                    self.give(sector[link.range().unwrap()].to_vec())
                }
                None => missing(),
            },
            other => panic!("{other} {path}"),
        }
    }
}

fn from_hex(text: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap();
    std::array::from_fn(byte)
}

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
