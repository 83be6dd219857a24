//! `/api/v0/…`.

use alive_core::backend::Storage as _;
use alive_storage::{BlockStore as _, serve::FaceConfig};
use reqwest::{Method, multipart::Part};
use rstest::rstest;

use crate::support::{Served, content, file, lines};

const HELLO: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";

/// Ids as `ipfs add` of the reference gives them for the same options.
#[rstest]
#[case("", HELLO)]
#[case("cid-version=1", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")]
#[case("raw-leaves=true", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")]
#[case("only-hash=true&pin=false", HELLO)]
#[tokio::test]
async fn a_file_gets_the_id_that_ipfs_add_gives(#[case] options: &str, #[case] id: &str) {
    let served = Served::start(FaceConfig::default()).await;
    let records = served.add(options, &[("a.txt", b"hello world")]).await;
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0]["Name"], &records[0]["Hash"]), (&"a.txt".into(), &id.into()));
    assert!(records[0]["Size"].is_string());
    let content_id = id.parse().unwrap();
    let here = served.storage.has(&content_id).await.unwrap();
    assert_eq!(here, !options.contains("only-hash"), "only the id was asked for");
    let cid = alive_storage::cid::parse(id).unwrap();
    assert_eq!(served.storage.store().is_pinned(&cid).unwrap(), here, "what is added is pinned");
}

#[tokio::test]
async fn large_files_pass_through_and_come_back() {
    let served = Served::start(FaceConfig::default()).await;
    let bytes = content(5_000_000);
    let records = served.add("progress=true", &[("", &bytes)]).await;
    assert_eq!(records[0]["Bytes"], 5_000_000);
    let id = records[1]["Hash"].as_str().unwrap();
    assert_eq!(records[1]["Name"], id, "a file without a name is called by its id");
    let whole = served.call(&format!("cat?arg={id}")).await;
    assert_eq!(whole.status(), 200);
    assert!(whole.bytes().await.unwrap() == bytes);
    let part = served.call(&format!("cat?arg=/ipfs/{id}&offset=262143&length=3")).await;
    assert_eq!(part.bytes().await.unwrap(), bytes[262_143..262_146]);
    let behind = served.call(&format!("cat?arg={id}&offset=5000000")).await;
    assert_eq!((behind.status().as_u16(), behind.bytes().await.unwrap().len()), (200, 0));
}

#[tokio::test]
async fn several_files_are_several_records_and_quieter_leaves_the_last() {
    let served = Served::start(FaceConfig::default()).await;
    let files: &[(&str, &[u8])] = &[("a", b"a"), ("b", b"b"), ("c", b"")];
    let names = |records: Vec<serde_json::Value>| {
        let name = |record: &serde_json::Value| record["Name"].as_str().unwrap().to_owned();
        records.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(served.add("", files).await), ["a", "b", "c"]);
    assert_eq!(names(served.add("quieter=true", files).await), ["c"]);
}

#[tokio::test]
async fn blocks_go_in_and_out_as_they_are() {
    let served = Served::start(FaceConfig::default()).await;
    for (options, id) in [
        ("", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        (
            "cid-codec=raw&format=raw&version=1",
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        ),
        ("cid-codec=dag-pb", "bafybeifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        ("format=v0", "QmaozNR7DZHQK1ZcU9p7QdrshMvXqWK6gpu5rmrkPdT3L4"),
    ] {
        let answer = served
            .upload(&format!("block/put?{options}"), vec![file("data", b"hello world")])
            .await;
        assert_eq!(answer.status(), 200);
        let stat = lines(answer).await.remove(0);
        assert_eq!((&stat["Key"], &stat["Size"]), (&id.into(), &11.into()), "{options}");
        let block = served.call(&format!("block/get?arg={id}")).await;
        assert_eq!(block.bytes().await.unwrap(), "hello world");
        let stat = served.call(&format!("block/stat?arg={id}")).await;
        assert_eq!(lines(stat).await[0]["Size"], 11);
    }
    let large = vec![0; (2 << 20) + 1];
    let answer = served.upload("block/put", vec![file("data", &large)]).await;
    assert_eq!(answer.status(), 400);
}

#[rstest]
#[case("add?cid-version=2", 400)]
#[case("add?chunker=rabin", 400)]
#[case("add?chunker=size-0", 400)]
#[case("add?max-file-links=1", 400)]
#[case("add?hash=blake3", 400)]
#[case("add?trickle=true", 400)]
#[case("add?nocopy=true", 400)]
#[case("add?pin=perhaps", 400)]
#[case("add?cid-base=base1", 400)]
#[case("block/put?mhtype=md5", 400)]
#[case("block/put?mhlen=20", 400)]
#[case("block/put?cid-codec=x", 400)]
#[case("cat", 400)]
#[case("cat?arg=nonsense", 400)]
#[case("cat?arg=QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 500)]
#[case("block/get?arg=QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 500)]
#[case("cat?arg=QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH&timeout=abc", 400)]
#[case("swarm/peers", 404)]
#[tokio::test]
async fn what_is_not_offered_is_refused_in_kubos_shape(#[case] call: &str, #[case] status: u16) {
    let served = Served::start(FaceConfig::default()).await;
    let answer = served.upload(call, vec![file("a", b"hello world")]).await;
    assert_eq!(answer.status(), status, "{call}");
    let error = lines(answer).await.remove(0);
    assert_eq!(error["Type"], "error");
    assert!(error["Message"].is_string() && error["Code"].is_number());
    assert!(!served.storage.has(&HELLO.parse().unwrap()).await.unwrap(), "nothing was stored");
}

#[tokio::test]
async fn only_posts_from_no_foreign_page_with_the_token_are_taken() {
    let token = "correct-horse-battery".parse().unwrap();
    let served = Served::start(FaceConfig::default().token(token)).await;
    let ask = |method: Method| served.request(method, "/api/v0/version");
    let with = |request: reqwest::RequestBuilder| {
        request.header("Authorization", "Bearer correct-horse-battery")
    };
    let status = |request: reqwest::RequestBuilder| async {
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(with(ask(Method::POST))).await, 200);
    assert_eq!(status(ask(Method::POST)).await, 403);
    let wrong = ask(Method::POST).header("Authorization", "Bearer correct-horse-batterz");
    assert_eq!(status(wrong).await, 403);
    let basic = ask(Method::POST).header("Authorization", "Basic correct-horse-battery");
    assert_eq!(status(basic).await, 403);
    for method in [Method::GET, Method::PUT, Method::OPTIONS, Method::DELETE] {
        let answer = with(ask(method)).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()),
            (405, "POST")
        );
    }
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/x"),
        ("Origin", "null"),
    ] {
        assert_eq!(
            status(with(ask(Method::POST)).header(name, value)).await,
            403,
            "{name} {value}"
        );
    }
    let own = format!("http://{}", served.address);
    assert_eq!(status(with(ask(Method::POST)).header("Origin", own)).await, 200);
}

#[tokio::test]
async fn an_upload_ends_at_its_limit_and_leaves_nothing() {
    let served = Served::start(FaceConfig::default().upload_bytes(100_000)).await;
    let answer = served.upload("add", vec![file("a", &content(200_000))]).await;
    assert_eq!(answer.status(), 400);
    assert!(served.storage.store().is_empty());
    let answer = served.upload("add", vec![file("../../etc/passwd", b"x")]).await;
    assert_eq!(answer.status(), 400);
    let answer = served.upload("add", Vec::<Part>::new()).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(served.add("", &[("a", b"hello world")]).await[0]["Hash"], HELLO);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;

    let served = Served::start(FaceConfig::default()).await;
    let mut socket = tokio::net::TcpStream::connect(served.address).await.unwrap();
    let head = "POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\
        Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhello";
    socket.write_all(head.as_bytes()).await.unwrap();
    drop(socket);
    // The next upload waits for a place that only the broken one can give back.
    for _ in 0..16 {
        assert_eq!(served.add("only-hash=true", &[("a", b"hello world")]).await[0]["Hash"], HELLO);
    }
    assert!(served.storage.store().is_empty());
}

#[tokio::test]
async fn the_store_says_who_it_is() {
    let served = Served::start(FaceConfig::default().kubo_version("0.99.0")).await;
    let id = lines(served.call("id").await).await.remove(0);
    let peer = id["ID"].as_str().unwrap();
    assert!(peer.starts_with("Qm") && peer.len() == 46, "{peer}");
    assert!(id["AgentVersion"].as_str().unwrap().starts_with("alive-storage/"));
    assert_eq!(lines(served.call("version").await).await[0]["Version"], "0.99.0");
}

/// The id that `ipfs add -w` of the reference gives for a file of that name and content.
#[tokio::test]
async fn files_are_put_into_directories() {
    let served = Served::start(FaceConfig::default()).await;
    let records = served.add("wrap-with-directory=true", &[("a.txt", b"hello world")]).await;
    let named: Vec<_> = records.iter().map(|record| record["Name"].as_str().unwrap()).collect();
    assert_eq!(named, ["a.txt", ""]);
    let files: &[(&str, &[u8])] = &[("d/a", b"1"), ("d/e/b", b"2"), ("d/e/c", b"3")];
    let records = served.add("pin=true", files).await;
    let named: Vec<_> = records.iter().map(|record| record["Name"].as_str().unwrap()).collect();
    assert_eq!(named, ["d/a", "d/e/b", "d/e/c", "d/e", "d"]);
    let root = alive_storage::cid::parse(records[4]["Hash"].as_str().unwrap()).unwrap();
    assert!(served.storage.store().is_pinned(&root).unwrap());
    let answer = served.upload("add", vec![file("d/a", b"1"), file("d/a/b", b"2")]).await;
    assert_eq!(answer.status(), 400, "a file cannot hold files");
    let answer = served.upload("add", vec![file("d/a", b"1"), file("d/a", b"2")]).await;
    assert_eq!(answer.status(), 400, "a name is given once");
}

#[tokio::test]
async fn archives_go_out_and_come_in() {
    let (here, there) =
        (Served::start(FaceConfig::default()).await, Served::start(FaceConfig::default()).await);
    let bytes = content(2_000_000);
    let id = here.add("", &[("a", &bytes)]).await[0]["Hash"].as_str().unwrap().to_owned();
    let car = here.call(&format!("dag/export?arg={id}")).await;
    assert_eq!(car.headers()["content-type"], "application/vnd.ipld.car");
    let car = car.bytes().await.unwrap();
    let answer = there.upload("dag/import?stats=true", vec![file("x.car", &car)]).await;
    assert_eq!(answer.status(), 200);
    let records = lines(answer).await;
    assert_eq!(records[0]["Root"]["Cid"]["/"], id.as_str());
    assert_eq!(records[0]["Root"]["PinErrorMsg"], "");
    assert_eq!(records[1]["Stats"]["BlockCount"], 9);
    let back = there.call(&format!("cat?arg={id}")).await;
    assert!(back.bytes().await.unwrap() == bytes);

    let fresh = Served::start(FaceConfig::default()).await;
    for cut in [0, 1, 10, 100, 300_000, car.len() - 1] {
        let answer = fresh.upload("dag/import", vec![file("x.car", &car[..cut])]).await;
        assert_eq!(answer.status(), 400, "{cut}");
    }
    let mut damaged = car.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let answer = fresh.upload("dag/import", vec![file("x.car", &damaged)]).await;
    assert_eq!(answer.status(), 400);
    assert!(fresh.storage.store().is_empty(), "nothing of a bad archive is kept");
    let absent = fresh.call("dag/export?arg=QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH").await;
    assert_eq!(absent.status(), 500);
}

#[tokio::test]
async fn pins_are_kept_told_and_taken_back() {
    let served = Served::start(FaceConfig::default()).await;
    let records = served.add("pin=false", &[("a", &content(700_000))]).await;
    let id = records[0]["Hash"].as_str().unwrap();
    let keys = |mut answer: Vec<serde_json::Value>| answer.remove(0)["Keys"].take();
    let list = async |options: &str| lines(served.call(&format!("pin/ls?{options}")).await).await;
    assert_eq!(keys(list("").await), serde_json::json!({}));
    assert_eq!(served.call(&format!("pin/ls?arg={id}")).await.status(), 500);
    assert_eq!(served.call(&format!("pin/rm?arg={id}")).await.status(), 500);

    let added = lines(served.call(&format!("pin/add?arg={id}")).await).await;
    assert_eq!(added[0], serde_json::json!({ "Pins": [id] }));
    assert_eq!(keys(list("type=recursive").await)[id]["Type"], "recursive");
    assert_eq!(keys(list(&format!("arg={id}")).await)[id]["Type"], "recursive");
    let all = keys(list("type=all").await);
    assert_eq!(all.as_object().unwrap().len(), 4, "the root and its three leaves");
    let indirect = keys(list("type=indirect").await);
    let leaf = indirect.as_object().unwrap().keys().next().unwrap().clone();
    let through = keys(list(&format!("arg={leaf}")).await)[&leaf]["Type"].take();
    assert_eq!(through, format!("indirect through {id}"));
    assert_eq!(
        list("type=recursive&stream=true").await,
        [serde_json::json!({ "Cid": id, "Type": "recursive" })]
    );
    assert_eq!(keys(list("type=direct").await), serde_json::json!({}));

    assert_eq!(served.call(&format!("pin/rm?arg={id}")).await.status(), 200);
    assert_eq!(keys(list("").await), serde_json::json!({}));
    for wrong in ["pin/add", "pin/ls?type=x", &format!("pin/add?arg={id}&recursive=false")] {
        assert_eq!(served.call(wrong).await.status(), 400, "{wrong}");
    }
    let absent = "pin/add?arg=QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    assert_eq!(served.call(absent).await.status(), 500, "what is not here cannot be kept");
}
