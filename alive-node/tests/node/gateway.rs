//! `/ipfs/{cid}` over real stores.

use alive_core::{
    ContentId,
    backend::{SharedStorage, Storage as _, StorageError},
    memory::MemoryStorage,
};
use alive_node::{ContentReader, SharedContentReader};
use alive_storage::DiskStorage;
use bytes::Bytes;

use crate::support::{Answer, Bench, config, damage};

/// Bytes that differ everywhere.
fn content(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(len).collect()
}

async fn over(reader: impl ContentReader + 'static) -> Bench {
    let storage = MemoryStorage::default();
    let reader = SharedContentReader::new(reader);
    Bench::over(config(), storage.clone(), SharedStorage::new(storage), |b| b.content(reader)).await
}

/// A node over a store on disk that holds one file.
async fn with_file(bytes: &[u8]) -> (Bench, ContentId, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let storage = DiskStorage::open_dir(folder.path()).unwrap();
    let id = storage.put(Bytes::copy_from_slice(bytes)).await.unwrap();
    (over(storage).await, id, folder)
}

async fn range(bench: &Bench, id: &ContentId, range: &str) -> Answer {
    bench.ask("GET", &format!("/ipfs/{id}"), &[("Range", range)]).await
}

#[tokio::test]
async fn a_file_comes_whole_with_everything_a_cache_needs() {
    let bytes = content(700_000);
    let (bench, id, _folder) = with_file(&bytes).await;
    let whole = bench.get(&format!("/ipfs/{id}?filename=7.ts")).await;
    assert_eq!((whole.status, whole.body == bytes), (200, true));
    let want = [
        ("content-type", "video/mp2t"),
        ("content-length", "700000"),
        ("cache-control", "public, max-age=29030400, immutable"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "inline; filename*=UTF-8''7%2Ets"),
        ("access-control-allow-origin", "*"),
        ("etag", &format!("\"{id}\"")),
        ("x-ipfs-path", &format!("/ipfs/{id}")),
        ("x-ipfs-roots", id.as_str()),
    ];
    for (name, value) in want {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let head = bench.ask("HEAD", &format!("/ipfs/{id}?filename=7.ts"), &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for (name, value) in want {
        assert_eq!(head.header(name), value, "{name}");
    }
    let etag = format!("\"{id}\"");
    let same = bench.ask("GET", &format!("/ipfs/{id}"), &[("If-None-Match", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
}

#[tokio::test]
async fn any_range_comes_as_it_is() {
    let bytes = content(600_000);
    let (bench, id, _folder) = with_file(&bytes).await;
    let leaf = 256 << 10;
    for (first, last) in
        [(0, 0), (5, 9), (leaf - 1, leaf), (leaf, 2 * leaf - 1), (0, 599_999), (599_999, 700_000)]
    {
        let part = range(&bench, &id, &format!("bytes={first}-{last}")).await;
        let last = last.min(bytes.len() - 1);
        assert_eq!((part.status, part.body == bytes[first..=last]), (206, true), "{first}-{last}");
        assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/600000"));
        assert_eq!(part.header("content-length"), (last - first + 1).to_string());
    }
    let end = range(&bench, &id, "bytes=-3").await;
    assert_eq!((end.status, &*end.body), (206, &bytes[599_997..]));
    let beyond = range(&bench, &id, "bytes=600000-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */600000"));
    assert_eq!(range(&bench, &id, "bytes=9-1").await.status, 200);
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let (bench, id, _folder) = with_file(b"").await;
    let whole = bench.get(&format!("/ipfs/{id}")).await;
    assert_eq!((whole.status, whole.header("content-length"), whole.body.len()), (200, "0", 0));
    assert_eq!(range(&bench, &id, "bytes=0-").await.status, 416);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_by_name() {
    let (bench, id, _folder) = with_file(b"here").await;
    let absent = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let cases = [
        (format!("/ipfs/{absent}"), 404),
        ("/ipfs/nonsense".to_owned(), 400),
        ("/ipfs/%00".to_owned(), 400),
        ("/ipfs/%ff".to_owned(), 400),
        ("/ipfs/AACogzrAimYPG42tDOKhS3lXZD8YvlF8Q8R17afe95iV2Q".to_owned(), 406),
        (format!("/ipfs/{id}?format=tar"), 406),
        (format!("/ipfs/{id}/below"), 404),
        ("/ipfs/".to_owned(), 404),
    ];
    for (path, status) in cases {
        let answer = bench.get(&path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.json()["error"].is_string(), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
    }
    let only = [("Cache-Control", "only-if-cached")];
    assert_eq!(bench.ask("GET", &format!("/ipfs/{absent}"), &only).await.status, 412);
    let bench = Bench::start().await;
    assert_eq!(bench.get(&format!("/ipfs/{id}")).await.status, 404, "a node without content");
}

#[tokio::test]
async fn damaged_content_is_an_error_and_never_served() {
    let bytes = content(100_000);
    let (bench, id, folder) = with_file(&bytes).await;
    damage(&folder.path().join("packs"));
    let answer = bench.get(&format!("/ipfs/{id}")).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"], "stored content is corrupt");
}

#[tokio::test]
async fn damage_behind_the_beginning_breaks_the_answer_off() {
    let bytes = content(900_000);
    let (bench, id, folder) = with_file(&bytes).await;
    damage(&folder.path().join("packs"));
    let answer = bench.get(&format!("/ipfs/{id}")).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, "900000"));
    assert!(answer.body.len() < bytes.len(), "the client sees that it is not whole");
    assert_eq!(answer.body[..], bytes[..answer.body.len()], "what came is right");
    assert_eq!(bench.get("/").await.status, 200);
}

/// Promises more than it has.
#[derive(Debug)]
struct Boaster;

impl ContentReader for Boaster {
    async fn size(&self, _: &ContentId) -> Result<u64, StorageError> {
        Ok(u64::MAX)
    }

    async fn read(&self, _: &ContentId, offset: u64, len: usize) -> Result<Bytes, StorageError> {
        Ok(if offset == 0 { vec![0; len].into() } else { Bytes::new() })
    }
}

#[tokio::test]
async fn a_file_that_is_shorter_than_it_says_is_broken_off() {
    let bench = over(Boaster).await;
    let id = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH".parse().unwrap();
    let whole = bench.get(&format!("/ipfs/{id}")).await;
    assert_eq!((whole.status, whole.body.len()), (200, 256 << 10));
    assert_eq!(range(&bench, &id, "bytes=300000-").await.status, 503);
}
