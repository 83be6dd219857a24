//! Every lie of a gateway: alone it gives an error and never a byte, beside an honest one the content.

use std::time::Duration;

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
};
use alive_storage::{
    BlockStore, GatewayOptions, GatewayStorage, MemoryStorage,
    car::CarWriter,
    cid::{self, Cid},
    unixfs::Profile,
};
use tokio::io::AsyncWriteExt as _;

use crate::{
    gateway::{Form, Gateway, reader, several_blocks, start},
    noise, options,
    server::{Request, Server, answer, fixed, raw, raw_answer, serve},
};

const RAW: &str = "application/vnd.ipld.raw";
const SEGMENT: &str = "this is a segment";

fn store() -> (MemoryStorage, ContentId) {
    let store = MemoryStorage::default();
    let root = store.import_bytes(SEGMENT.as_bytes()).unwrap().cid;
    (store, cid::to_content(&root).unwrap())
}

fn root_block(store: &MemoryStorage, id: &ContentId) -> Vec<u8> {
    let root = cid::of_content(id).unwrap();
    store.store().get(root.hash()).unwrap().unwrap().data().to_vec()
}

/// Asks a liar alone, and beside an honest gateway that is asked second; returns the error of the first.
async fn confront(liar: &Server) -> StorageError {
    confront_with(liar, |urls| {
        let options = GatewayOptions::default().http(options());
        GatewayStorage::of(urls, &options).unwrap()
    })
    .await
}

async fn confront_with(
    liar: &Server,
    make: impl Fn(Vec<alive_core::GatewayUrl>) -> GatewayStorage,
) -> StorageError {
    let honest = Gateway::new(Form::Car);
    let (_, id) = store();
    honest.store.put(SEGMENT.into()).await.unwrap();
    let honest = start(&honest).await;
    let both = make(vec![liar.url.clone(), honest.url.clone()]);
    assert_eq!(both.get(&id, 4200).await.unwrap(), SEGMENT);
    make(vec![liar.url.clone()]).get(&id, 4200).await.unwrap_err()
}

fn is_corrupt(error: &StorageError) -> bool {
    matches!(error, StorageError::Corrupt { .. })
}

#[tokio::test]
async fn wrong_bytes() {
    let (store, id) = store();
    let mut block = root_block(&store, &id);
    block[10] ^= 1;
    let error = confront(&fixed(raw_answer(RAW, &block)).await).await;
    assert!(is_corrupt(&error), "{error:?}");
    let plain = raw_answer("video/mp2t", b"this is a segmenT");
    let error = confront(&fixed(plain).await).await;
    assert!(is_corrupt(&error), "{error:?}");
}

#[tokio::test]
async fn the_wrong_block() {
    let other = MemoryStorage::default();
    let id = other.put("other content".into()).await.unwrap();
    let error = confront(&fixed(raw_answer(RAW, &root_block(&other, &id))).await).await;
    assert!(is_corrupt(&error), "{error:?}");
}

#[tokio::test]
async fn truncated() {
    let (store, id) = store();
    let block = root_block(&store, &id);
    // Fewer bytes than were announced: the connection broke.
    let mut short = raw_answer(RAW, &block);
    short.truncate(short.len() - 5);
    let error = confront(&fixed(short).await).await;
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
    // Fewer bytes, and announced so: another block.
    let error = confront(&fixed(raw_answer(RAW, &block[..block.len() - 5])).await).await;
    assert!(is_corrupt(&error), "{error:?}");
    // A chunked body without its end.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        block.len()
    );
    let chunked = [head.as_bytes(), &block, b"\r\n"].concat();
    let error = confront(&fixed(chunked).await).await;
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
}

/// A server that sends zeros for as long as anybody reads, and how many it could send.
async fn endless(head: &'static str) -> (Server, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let sent = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
    let counted = std::sync::Arc::clone(&sent);
    let server = raw(move |mut socket, _| {
        let sent = std::sync::Arc::clone(&counted);
        async move {
            let _ = socket.write_all(head.as_bytes()).await;
            let zeros = [0; 16 << 10];
            while socket.write_all(&zeros).await.is_ok() {
                sent.fetch_add(zeros.len() as u64, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    (server, sent)
}

/// More than any limit here, with what the sockets hold, and much less than for ever.
const SOME: u64 = 64 << 20;

#[tokio::test]
async fn endless_block() {
    let (liar, sent) =
        endless("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.raw\r\n\r\n").await;
    let error = confront(&liar).await;
    assert!(is_corrupt(&error), "{error:?}");
    assert!(sent.load(std::sync::atomic::Ordering::SeqCst) < SOME);
}

#[tokio::test]
async fn endless_file() {
    let (liar, sent) = endless("HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n").await;
    let error = confront(&liar).await;
    assert!(matches!(error, StorageError::TooLarge { limit: 4200, .. }), "{error:?}");
    assert!(sent.load(std::sync::atomic::Ordering::SeqCst) < SOME);
}

#[tokio::test]
async fn a_length_over_the_limit_is_not_read_at_all() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: 99999999999\r\n\r\n";
    let (liar, _) = endless(head).await;
    let error = confront(&liar).await;
    assert!(matches!(error, StorageError::TooLarge { limit: 4200, .. }), "{error:?}");
}

#[tokio::test]
async fn a_compressed_bomb() {
    // What unpacks to the block would be believed if it were unpacked; ten bytes of gzip are enough to be refused.
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\nContent-Encoding: {encoding}\r\n\
             Content-Length: 10\r\nConnection: close\r\n\r\n"
        );
        let packed = [head.as_bytes(), &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]].concat();
        let error = confront(&fixed(packed).await).await;
        assert!(is_corrupt(&error), "{encoding}: {error:?}");
        let StorageError::Corrupt { source, .. } = error else { return };
        assert!(source.to_string().contains("encoding"), "{source}");
    }
}

#[tokio::test]
async fn an_error_page_with_status_200() {
    let page = raw_answer("text/html", b"<html><h1>502 Bad Gateway</h1></html>");
    let error = confront(&fixed(page).await).await;
    assert!(is_corrupt(&error), "{error:?}");
}

#[tokio::test]
async fn an_empty_answer() {
    let error = confront(&fixed(raw_answer(RAW, b"")).await).await;
    assert!(is_corrupt(&error), "{error:?}");
    let error = confront(&fixed("").await).await;
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
    let error = confront(&fixed("SSH-2.0-OpenSSH\r\n").await).await;
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_slow_drip() {
    let (store, id) = store();
    let answer = raw_answer(RAW, &root_block(&store, &id));
    let liar = raw(move |mut socket, _| {
        let answer = answer.clone();
        async move {
            let mut drip = tokio::time::interval(Duration::from_millis(20));
            for byte in answer.chunks(1) {
                drip.tick().await;
                if socket.write_all(byte).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    // The head comes in time, as slowly as the rest: it is the rate of the body that ends it.
    let drip = options().grace(Duration::from_millis(100)).min_rate(1 << 20);
    let error = confront_with(&liar, |urls| {
        GatewayStorage::of(urls, &GatewayOptions::default().http(drip.clone())).unwrap()
    })
    .await;
    let StorageError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("too slowly"), "{source}");
}

#[tokio::test]
async fn silence_in_the_middle() {
    let liar = raw(|mut socket, _| async move {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\nContent-Length: 25\r\n\r\n\n\x0c");
        let _ = socket.write_all(head.as_bytes()).await;
        std::future::pending::<()>().await;
    })
    .await;
    let short = options().grace(Duration::from_millis(50));
    let error = confront_with(&liar, |urls| {
        GatewayStorage::of(urls, &GatewayOptions::default().http(short.clone())).unwrap()
    })
    .await;
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn redirects_to_the_own_network() {
    let (store, id) = store();
    let decoy = fixed(raw_answer(RAW, &root_block(&store, &id))).await;
    let port = decoy.url.as_str().rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let to = format!("http://{host}:{port}/ipfs/{id}?format=raw");
        let liar = fixed(format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let error = confront(&liar).await;
        assert!(!matches!(error, StorageError::NotFound(_)), "{host}: {error:?}");
    }
    assert_eq!(decoy.count(), 0, "the decoy was spoken to");
}

#[tokio::test]
async fn redirects_to_other_content_and_in_circles() {
    let other = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let (_, id) = store();
    for to in [format!("/ipfs/{other}"), format!("/ipfs/{id}"), "/login".into(), String::new()] {
        let liar = fixed(format!(
            "HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let error = confront(&liar).await;
        assert!(is_corrupt(&error), "{to}: {error:?}");
        // Two questions (beside an honest one, and alone), each followed three times at most.
        assert!(liar.count() <= 8, "{}", liar.count());
    }
}

/// A gateway whose blocks are good and whose archives are made by a function.
async fn bad_archives(
    store: &MemoryStorage,
    car: impl Fn(&MemoryStorage, Cid) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> (Gateway, Server) {
    let gateway = Gateway { store: store.clone(), ..Gateway::new(Form::Raw) };
    let inner = gateway.clone();
    let server = serve(move |request: Request| {
        let (gateway, car) = (inner.clone(), car.clone());
        async move {
            if request.query("format").as_deref() != Some("car") {
                return gateway.handle(request).await;
            }
            let root = cid::parse(request.path().strip_prefix("/ipfs/").unwrap()).unwrap();
            answer(200, "application/vnd.ipld.car", car(&gateway.store, root))
        }
    })
    .await;
    (gateway, server)
}

fn good_car(store: &MemoryStorage, root: Cid) -> Vec<u8> {
    let mut car = Vec::new();
    alive_storage::car::export_car(store.store(), &[root], &mut car).unwrap();
    car
}

/// Archive with as many blocks in front as nobody asked for.
fn extra_car(store: &MemoryStorage, root: Cid, extra: u64) -> Vec<u8> {
    let other = MemoryStorage::default().with_options(Profile::UnixfsV12025);
    let mut car = CarWriter::new(Vec::new(), &[root]).unwrap();
    for n in 0..extra {
        let cid = other.import_bytes(&noise(1000 + n, 100)).unwrap().cid;
        car.add(&cid, &other.store().get(cid.hash()).unwrap().unwrap()).unwrap();
    }
    let mut car = car.finish().unwrap();
    let (head, whole) = (CarWriter::new(Vec::new(), &[root]).unwrap(), good_car(store, root));
    car.extend_from_slice(&whole[head.finish().unwrap().len()..]);
    car
}

/// Makes an archive below a root of a store.
type Make = fn(&MemoryStorage, Cid) -> Vec<u8>;

#[tokio::test]
async fn archives_that_lie_cost_blocks_and_never_content() {
    let store = MemoryStorage::default();
    let (id, data, _) = several_blocks(&store, 11).await;
    let cases: [(&str, Make, u64); 8] = [
        ("good", good_car, 0),
        ("a few extra blocks", |store, root| extra_car(store, root, 10), 0),
        ("many extra blocks", |store, root| extra_car(store, root, 30), 1),
        (
            "a wrong byte",
            |store, root| {
                let mut car = good_car(store, root);
                let at = car.len() - 100;
                car[at] ^= 1;
                car
            },
            1,
        ),
        (
            "truncated",
            |store, root| {
                let mut car = good_car(store, root);
                car.truncate(car.len() - 100);
                car
            },
            1,
        ),
        (
            "other archive",
            |_, _| {
                let other = MemoryStorage::default();
                let root = other.import_bytes(&noise(5, 900_000)).unwrap().cid;
                good_car(&other, root)
            },
            0,
        ),
        ("no archive", |_, _| b"<html>".to_vec(), 1),
        (
            "far too much",
            |store, root| {
                let mut car = good_car(store, root);
                car.resize(car.len() + (8 << 20), 0x55);
                car
            },
            1,
        ),
    ];
    for (name, car, lies) in cases {
        let (gateway, server) = bad_archives(&store, car).await;
        let storage = reader([&server]);
        assert_eq!(storage.get(&id, data.len()).await.unwrap(), data, "{name}");
        assert_eq!(storage.health()[0].lies, lies, "{name}");
        let blocks = gateway.asked().iter().filter(|asked| *asked == "GET raw").count();
        assert!(if name == "good" { blocks == 1 } else { blocks >= 1 }, "{name}: {blocks}");
    }
}

#[tokio::test]
async fn an_endless_archive_ends() {
    let store = MemoryStorage::default();
    let (id, data, _) = several_blocks(&store, 12).await;
    let (sent, gateway) =
        (std::sync::Arc::<std::sync::atomic::AtomicU64>::default(), Gateway::new(Form::Raw));
    several_blocks(&gateway.store, 12).await;
    let blocks = start(&gateway).await;
    let counted = std::sync::Arc::clone(&sent);
    let root = cid::of_content(&id).unwrap();
    let root_block = store.store().get(root.hash()).unwrap().unwrap().data().to_vec();
    let car = good_car(&store, root);
    let liar = raw(move |mut socket, head| {
        let (sent, root_block, car) =
            (std::sync::Arc::clone(&counted), root_block.clone(), car.clone());
        async move {
            if !head.contains("format=car") {
                let _ = socket.write_all(&raw_answer(RAW, &root_block)).await;
                return;
            }
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.car\r\n\r\n";
            let _ = socket.write_all(head.as_bytes()).await;
            let first = car.len() - 300_000;
            let _ = socket.write_all(&car[..first]).await;
            // The same good blocks again and again.
            let start = CarWriter::new(Vec::new(), &[root]).unwrap().finish().unwrap().len();
            while socket.write_all(&car[start..]).await.is_ok() {
                sent.fetch_add(car.len() as u64, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    assert_eq!(reader([&liar, &blocks]).get(&id, data.len()).await.unwrap(), data);
    assert!(sent.load(std::sync::atomic::Ordering::SeqCst) < SOME);
}

#[tokio::test]
async fn a_liar_is_remembered_and_left_alone() {
    let honest = Gateway::new(Form::Car);
    let good = start(&honest).await;
    let liar = fixed(raw_answer(RAW, b"lie")).await;
    let storage = reader([&liar, &good]);
    for n in 0..4_u8 {
        let id = honest.store.put(vec![n; 9].into()).await.unwrap();
        assert_eq!(storage.get(&id, 9).await.unwrap(), vec![n; 9]);
    }
    assert_eq!(liar.count(), 1);
    assert_eq!(storage.health()[0].lies, 1);
}
