//! `/ipfs/{cid}` in the forms that clients check themselves.

use alive_core::backend::Storage as _;
use alive_storage::{
    car::{CarPolicy, CarReader, verify_car},
    cid,
    serve::FaceConfig,
};
use reqwest::Method;

use crate::support::{Served, content};

#[tokio::test]
async fn a_block_comes_as_it_is_with_its_own_tag() {
    let served = Served::start(FaceConfig::default()).await;
    let id = served.storage.put(content(700_000).into()).await.unwrap();
    let raw = served.get(&format!("/ipfs/{id}?format=raw")).await;
    assert_eq!(raw.status(), 200);
    let header = |name: &str| raw.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/vnd.ipld.raw");
    assert_eq!(header("etag"), format!("\"{id}.raw\""));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"{id}.bin\""));
    let etag = header("etag");
    let root = cid::parse(id.as_str()).unwrap();
    let bytes = raw.bytes().await.unwrap();
    assert!(alive_storage::Block::check(*root.hash(), bytes).is_ok());
    let path = format!("/ipfs/{id}");
    let accept = "application/vnd.ipld.raw";
    let again =
        served.request(Method::GET, &path).header("Accept", accept).header("If-None-Match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    let head = served.request(Method::HEAD, &path).header("Accept", accept).send().await.unwrap();
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn the_probe_of_a_trustless_gateway_is_answered() {
    let served = Served::start(FaceConfig::default()).await;
    let probe = served.get("/ipfs/bafkqaaa?format=raw").await;
    assert_eq!(probe.status(), 200);
    assert_eq!(probe.headers()["content-type"], "application/vnd.ipld.raw");
    assert!(probe.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_proves_the_file_to_the_client() {
    let served = Served::start(FaceConfig::default()).await;
    let bytes = content(3_000_000);
    let id = served.storage.put(bytes.clone().into()).await.unwrap();
    let root = cid::parse(id.as_str()).unwrap();
    for options in ["", "&dag-scope=all", "&dag-scope=entity&entity-bytes=0:*", "&car-dups=y"] {
        let answer = served.get(&format!("/ipfs/{id}?format=car{options}")).await;
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("application/vnd.ipld.car; version=1; order=dfs"), "{kind}");
        assert!(answer.headers()["etag"].to_str().unwrap().starts_with("W/\""));
        let car = answer.bytes().await.unwrap();
        let policy = CarPolicy::exchange(1 << 30);
        let summary = verify_car(&car[..], &[root], policy).unwrap();
        assert_eq!(summary.sizes, [Some(3_000_000)], "{options}");
    }
    let answer = served.get(&format!("/ipfs/{id}?format=car&dag-scope=block")).await;
    assert_eq!(blocks(&answer.bytes().await.unwrap()), 1);
    // The root and the one leaf that holds the last bytes.
    let answer = served.get(&format!("/ipfs/{id}?format=car&entity-bytes=-5:-1")).await;
    assert_eq!(blocks(&answer.bytes().await.unwrap()), 2);
    let answer = served.get(&format!("/ipfs/{id}?format=car&entity-bytes=0:300000")).await;
    assert_eq!(blocks(&answer.bytes().await.unwrap()), 3);
}

/// How many blocks an archive has, each checked against its id.
fn blocks(car: &[u8]) -> usize {
    CarReader::new(car, 1 << 30).unwrap().map(Result::unwrap).fold(0, |count, _| count + 1)
}

#[tokio::test]
async fn an_archive_that_cannot_be_finished_is_broken_off() {
    let served = Served::start(FaceConfig::default()).await;
    let id = served.storage.put(content(3_000_000).into()).await.unwrap();
    let whole = served.get(&format!("/ipfs/{id}?format=car")).await.bytes().await.unwrap();
    let last = CarReader::new(&whole[..], 1 << 30).unwrap().last().unwrap().unwrap();
    assert!(served.storage.store().remove(last.cid().hash()));
    let answer = served.get(&format!("/ipfs/{id}?format=car")).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err(), "the client sees that it is not whole");
    let plain = served.get(&format!("/ipfs/{id}")).await;
    assert!(plain.bytes().await.is_err());
}

#[tokio::test]
async fn a_path_leads_through_directories() {
    let served = Served::start(FaceConfig::default()).await;
    let files: &[(&str, &[u8])] = &[("show/list.m3u8", b"#EXTM3U"), ("show/hd/0.ts", b"zero")];
    let records = served.add("", files).await;
    let show = records.last().unwrap();
    assert_eq!(show["Name"], "show");
    let root = show["Hash"].as_str().unwrap();
    let list = served.get(&format!("/ipfs/{root}/list.m3u8")).await;
    assert_eq!(list.headers()["content-type"], "application/vnd.apple.mpegurl");
    let roots = list.headers()["x-ipfs-roots"].to_str().unwrap().to_owned();
    assert_eq!(roots, format!("{root},{}", records[0]["Hash"].as_str().unwrap()));
    assert_eq!(list.headers()["x-ipfs-path"], format!("/ipfs/{root}/list.m3u8").as_str());
    assert_eq!(list.bytes().await.unwrap(), "#EXTM3U");
    let deep = served.get(&format!("/ipfs/{root}/hd/0.ts")).await;
    assert_eq!(deep.bytes().await.unwrap(), "zero");
    for (path, status) in
        [("/nothing", 404), ("/list.m3u8/below", 404), ("/%ff", 400), ("", 406), ("/hd", 406)]
    {
        assert_eq!(served.get(&format!("/ipfs/{root}{path}")).await.status(), status, "{path}");
    }
    let all = served.get(&format!("/ipfs/{root}?format=car")).await.bytes().await.unwrap();
    assert_eq!(blocks(&all), 4, "two directories and two files");
}
