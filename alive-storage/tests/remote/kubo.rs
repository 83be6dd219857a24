//! A node of our own that answers as Kubo's RPC is documented to, in Kubo's words or in those of js-ipfs, and nodes that lie.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alive_core::{
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{
    Block, BlockBatch, BlockStore, DiskStorage, KuboClient, KuboError, KuboStorage, MemoryStorage,
    adapters::{Quorum, QuorumError},
    car::{CarReader, CarWriter},
    cid::{self, Cid, Version},
    unixfs::{self, ImportOptions, Profile},
};
use axum::response::Response;
use multibase::Base;

use crate::{
    noise, options,
    server::{Request, Server, answer, fixed, raw_answer, serve},
};

/// What a node does otherwise than Kubo does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Habit {
    #[default]
    Kubo,
    /// Sizes as numbers, base58 unless told otherwise, codecs by their old names.
    Js,
    /// It adds other content.
    Forgery,
    /// It changes a byte of each block.
    Flip,
    /// It keeps nothing.
    Down,
    /// It imports, but does not pin.
    NoPin,
}

#[derive(Clone)]
struct Node {
    store: MemoryStorage,
    habit: Habit,
    /// Whether every request was as it must be.
    clean: Arc<AtomicBool>,
}

impl Node {
    fn text(&self, request: &Request, cid: &Cid) -> String {
        let base32 =
            self.habit != Habit::Js || request.query("cid-base").as_deref() == Some("base32");
        cid::to_text(cid, if base32 { Base::Base32Lower } else { Base::Base58Btc })
    }

    fn error(message: &str) -> Response {
        let json = format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#);
        answer(500, "application/json", json)
    }

    fn add(&self, request: &Request) -> Response {
        let (_, data) = request.field("file").unwrap();
        let data = if self.habit == Habit::Forgery { "forged".into() } else { data };
        let number = |name: &str| request.query(name).map(|value| value.parse::<usize>().unwrap());
        let chunker = request.query("chunker").unwrap();
        let options = ImportOptions::default()
            .with_chunk_size(chunker.strip_prefix("size-").unwrap().parse().unwrap())
            .unwrap()
            .with_max_links(number("max-file-links").unwrap())
            .unwrap()
            .with_raw_leaves(request.query("raw-leaves").as_deref() == Some("true"))
            .with_cid_version(if number("cid-version") == Some(1) {
                Version::V1
            } else {
                Version::V0
            });
        let root = self.store.clone().with_options(options).import_bytes(&data).unwrap();
        if request.query("pin").as_deref() == Some("true") {
            self.store.store().pin(&root.cid).unwrap();
        }
        let (hash, size) = (self.text(request, &root.cid), root.dag_size);
        let size = if self.habit == Habit::Js { size.to_string() } else { format!("\"{size}\"") };
        let json = format!(
            "{{\"Name\":\"file\",\"Bytes\":1}}\n{{\"Name\":\"{hash}\",\"Hash\":\"{hash}\",\"Size\":{size}}}\n"
        );
        answer(200, "application/json", json)
    }

    fn block(&self, request: &Request) -> Result<Block, Box<Response>> {
        let cid = cid::parse(&request.query("arg").unwrap()).unwrap();
        assert!(request.query("timeout").unwrap().ends_with("ms"));
        let found = self.store.store().get(cid.hash()).unwrap();
        let message = match self.habit {
            Habit::Js => "request timed out".to_owned(),
            _ => format!("block was not found locally (offline): ipld: could not find {cid}"),
        };
        found.ok_or_else(|| Box::new(Self::error(&message)))
    }

    fn whole(&self, root: Cid) -> bool {
        unixfs::is_complete(self.store.store(), root).unwrap_or(false)
    }

    fn import(&self, request: &Request) -> Response {
        let (_, car) = request.field("file").unwrap();
        let reader = CarReader::new(&car[..], 64 << 20).unwrap();
        let roots = reader.header().roots().to_vec();
        let mut batch = self.store.store().batch().unwrap();
        for block in reader {
            batch.add(&block.unwrap().block().into()).unwrap();
        }
        batch.commit().unwrap();
        let error = if self.habit == Habit::NoPin { "no room" } else { "" };
        let records = roots.iter().map(|root| {
            format!("{{\"Root\":{{\"Cid\":{{\"/\":\"{root}\"}},\"PinErrorMsg\":\"{error}\"}}}}\n")
        });
        answer(200, "application/json", records.collect::<String>())
    }

    fn handle(&self, request: &Request) -> Response {
        let clean = request.method == "POST"
            && request.header("origin").is_empty()
            && request.header("referer").is_empty();
        if !clean {
            self.clean.store(false, Ordering::SeqCst);
        }
        if self.habit == Habit::Down {
            return answer(503, "text/plain", "busy");
        }
        let arg = || cid::parse(&request.query("arg").unwrap()).unwrap();
        let json = |text: String| answer(200, "application/json", text);
        match request.path().strip_prefix("/api/v0/").unwrap() {
            "add" => self.add(request),
            "block/get" => self.block(request).map_or_else(
                |error| *error,
                |block| {
                    let mut data = block.data().to_vec();
                    if self.habit == Habit::Flip {
                        data[0] ^= 1;
                    }
                    answer(200, "application/octet-stream", data)
                },
            ),
            "block/stat" => self.block(request).map_or_else(
                |error| *error,
                |block| {
                    let size = block.data().len();
                    json(format!("{{\"Key\":\"{}\",\"Size\":{size}}}", self.text(request, &arg())))
                },
            ),
            "block/put" => {
                let (_, data) = request.field("data").unwrap();
                let (codec, format) = (request.query("cid-codec"), request.query("format"));
                let codec = match (codec.as_deref(), format.as_deref()) {
                    (Some("raw"), Some("raw")) => cid::RAW,
                    (Some("dag-pb"), None) => cid::DAG_PB,
                    other => panic!("{other:?}"),
                };
                let size = data.len();
                let leaf =
                    ImportOptions::from(Profile::UnixfsV12025).with_chunk_size(size).unwrap();
                let raw = self.store.clone().with_options(leaf).import_bytes(&data).unwrap();
                let key = Cid::new_v1(codec, *raw.cid.hash());
                json(format!("{{\"Key\":\"{}\",\"Size\":{size}}}", self.text(request, &key)))
            }
            "dag/import" => self.import(request),
            "pin/add" if !self.whole(arg()) => Self::error("pin: context deadline exceeded"),
            "pin/add" => {
                self.store.store().pin(&arg()).unwrap();
                json(format!("{{\"Pins\":[\"{}\"]}}", arg()))
            }
            "pin/ls" if self.store.store().is_pinned(&arg()).unwrap() => {
                json(format!("{{\"Keys\":{{\"{}\":{{\"Type\":\"recursive\"}}}}}}", arg()))
            }
            "pin/ls" | "pin/rm" => Self::error(&format!("path '/ipfs/{}' is not pinned", arg())),
            "version" => json(r#"{"Version":"0.40.0","Commit":""}"#.into()),
            other => panic!("{other}"),
        }
    }
}

async fn node(habit: Habit) -> (Node, Server, KuboStorage) {
    let node = Node { store: MemoryStorage::default(), habit, clean: Arc::new(true.into()) };
    let answering = node.clone();
    let server = serve(move |request| {
        let node = answering.clone();
        async move { node.handle(&request) }
    })
    .await;
    let storage = KuboStorage::new(server.url.clone(), &options()).unwrap();
    (node, server, storage)
}

#[tokio::test]
async fn nodes_of_both_kinds_pass_the_suite_under_every_profile() {
    for habit in [Habit::Kubo, Habit::Js] {
        for profile in [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025] {
            let (node, _server, storage) = node(habit).await;
            testing::storage(&storage.with_options(profile)).await;
            assert!(node.clean.load(Ordering::SeqCst), "a request was no bare POST");
        }
    }
}

#[tokio::test]
async fn what_was_added_without_a_pin_is_found_by_its_blocks_and_pinned_later() {
    let (node, _server, storage) = node(Habit::Kubo).await;
    let storage = storage.with_pin(false).with_options(Profile::CidV1256k);
    let data = noise(1, 600_000);
    let id = storage.put(data.into()).await.unwrap();
    let root = cid::of_content(&id).unwrap();
    assert!(!node.store.store().is_pinned(&root).unwrap());
    assert!(storage.has(&id).await.unwrap());
    storage.pin(&id).await.unwrap();
    assert!(storage.client().is_pinned(&root).await.unwrap());
    storage.client().pin_rm(&root).await.unwrap();
}

#[tokio::test]
async fn a_file_that_lacks_one_block_is_not_there() {
    let (node, _server, storage) = node(Habit::Kubo).await;
    let storage = storage.with_pin(false).with_options(Profile::CidV1256k);
    let data = noise(2, 600_000);
    let id = storage.put(data.clone().into()).await.unwrap();
    let last = data[524_288..].to_vec();
    let last =
        MemoryStorage::default().with_options(Profile::CidV1256k).import_bytes(&last).unwrap();
    assert!(node.store.store().remove(last.cid.hash()));
    assert!(!storage.has(&id).await.unwrap());
    assert!(matches!(storage.get(&id, 600_000).await, Err(StorageError::NotFound(_))));
    assert!(matches!(storage.pin(&id).await, Err(StorageError::NotFound(_))));
}

#[tokio::test]
async fn another_id_than_ours_is_an_error_that_names_the_node() {
    let (_, server, storage) = node(Habit::Forgery).await;
    let error = storage.put("hello".into()).await.unwrap_err();
    let StorageError::Refused { source, .. } = &error else { panic!("{error:?}") };
    let cause = std::error::Error::source(&**source).unwrap();
    assert!(source.to_string().contains(server.url.as_str()), "{source}");
    assert!(matches!(cause.downcast_ref(), Some(KuboError::OtherId { .. })), "{cause}");
}

#[tokio::test]
async fn a_changed_block_is_corrupt_and_counts_as_absent() {
    let (node, _server, storage) = node(Habit::Flip).await;
    let id = node.store.put("hello".into()).await.unwrap();
    assert!(matches!(storage.get(&id, 9).await, Err(StorageError::Corrupt { .. })));
    assert!(!storage.has(&id).await.unwrap());
}

#[tokio::test]
async fn content_is_stored_once_k_of_n_nodes_have_it() {
    let (good, _a, one) = node(Habit::Kubo).await;
    let (js, _b, two) = node(Habit::Js).await;
    let (_, _c, liar) = node(Habit::Forgery).await;
    let (_, _d, down) = node(Habit::Down).await;
    let need = |count: usize| NonZeroUsize::new(count).unwrap();
    let nodes = [liar, down, one, two];
    let quorum = Quorum::new(nodes.clone(), need(2)).unwrap();
    let id = quorum.put("hello".into()).await.unwrap();
    assert!(good.store.has(&id).await.unwrap() && js.store.has(&id).await.unwrap());
    assert!(quorum.has(&id).await.unwrap());
    assert_eq!(quorum.get(&id, 5).await.unwrap(), "hello");
    let error = Quorum::new(nodes, need(3)).unwrap().put("more".into()).await.unwrap_err();
    let StorageError::Unavailable { source, .. } = error else { panic!("{error:?}") };
    let Some(QuorumError::TooFew { done: 2, need: 3, errors }) = source.downcast_ref() else {
        panic!("{source}")
    };
    assert!(errors.to_string().contains("the node says"), "{errors}");
}

#[tokio::test]
async fn blocks_and_archives_are_put_and_got() {
    let (node, server, _) = node(Habit::Kubo).await;
    let client = KuboClient::new(server.url.clone(), &options()).unwrap();
    assert_eq!(client.version().await.unwrap(), "0.40.0");
    let local = MemoryStorage::default().with_options(Profile::CidV1256k);
    let root = local.import_bytes(&noise(3, 300_000)).unwrap().cid;
    let block = local.store().get(root.hash()).unwrap().unwrap();
    let put = client.block_put(&block, cid::DAG_PB).await.unwrap();
    assert_eq!(put, root);
    assert_eq!(client.block_get(&root, true).await.unwrap(), block);
    assert_eq!(client.block_stat(&root, true).await.unwrap(), block.data().len() as u64);
    assert!(matches!(client.block_put(&block, 0x71).await, Err(KuboError::Codec(0x71))));
    let mut car = Vec::new();
    alive_storage::car::export_car(local.store(), &[root], &mut car).unwrap();
    assert_eq!(client.dag_import(&car).await.unwrap(), [root]);
    assert!(node.whole(root));
}

#[tokio::test]
async fn an_archive_whose_root_is_not_pinned_is_an_error() {
    let (_, server, _) = node(Habit::NoPin).await;
    let client = KuboClient::new(server.url.clone(), &options()).unwrap();
    let id = cid::parse("bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e").unwrap();
    let block = Block::check(*id.hash(), "hello world".into()).unwrap();
    let mut car = CarWriter::new(Vec::new(), &[id]).unwrap();
    car.add(&id, &block).unwrap();
    let error = client.dag_import(&car.finish().unwrap()).await.unwrap_err();
    assert!(matches!(error, KuboError::NotPinned(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_success() {
    let hash = MemoryStorage::default().put("x".into()).await.unwrap();
    let chunked = |tail: &str| {
        let record = format!("{{\"Name\":\"x\",\"Hash\":\"{hash}\",\"Size\":\"1\"}}\n");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTrailer: X-Stream-Error\r\n\
                    Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        format!("{head}{:x}\r\n{record}\r\n{tail}", record.len())
    };
    let progress = raw_answer("application/json", b"{\"Name\":\"x\",\"Bytes\":5}\n");
    let whole = fixed(chunked("0\r\n\r\n")).await;
    let storage = KuboStorage::new(whole.url.clone(), &options()).unwrap();
    assert_eq!(storage.put("x".into()).await.unwrap(), hash);
    let cases = [
        chunked("0\r\nX-Stream-Error: no space left on device\r\n\r\n").into_bytes(),
        chunked("").into_bytes(),
        progress,
        raw_answer("application/json", b""),
        raw_answer("application/json", format!("{{\"Hash\":\"{hash}\"}}\n{{\"Ha").as_bytes()),
        raw_answer("text/html", b"<html>"),
    ];
    for case in cases {
        let told = String::from_utf8_lossy(&case).into_owned();
        let server = fixed(case).await;
        let storage = KuboStorage::new(server.url.clone(), &options()).unwrap();
        assert!(storage.put("x".into()).await.is_err(), "{told}");
    }
}

#[tokio::test]
async fn an_authorization_goes_with_every_request_and_is_not_printed() {
    let server = serve(|request: Request| async move {
        let good = request.header("authorization") == "Bearer hidden";
        answer(if good { 200 } else { 403 }, "application/json", r#"{"Version":"1"}"#)
    })
    .await;
    let storage = KuboStorage::new(server.url.clone(), &options()).unwrap();
    let error = storage.client().version().await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let storage = storage.with_authorization("Bearer hidden").unwrap();
    assert!(!format!("{storage:?}").contains("hidden"));
    assert_eq!(storage.client().version().await.unwrap(), "1");
}

#[tokio::test]
async fn a_node_that_never_answers_is_given_up() {
    let server = crate::server::raw(|socket, _| async move {
        let _held = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let short = options().answer_timeout(Duration::from_millis(50));
    let storage = KuboStorage::new(server.url.clone(), &short).unwrap();
    let error = storage.put("x".into()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_node_over_the_store_on_disk_gives_what_was_stored_there() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskStorage::open_dir(folder.path()).unwrap();
    let data = noise(4, 700_000);
    let id = disk.put(data.clone().into()).await.unwrap();
    let (node, _server, storage) = node(Habit::Kubo).await;
    let root = cid::of_content(&id).unwrap();
    let mut car = Vec::new();
    alive_storage::car::export_car(disk.store(), &[root], &mut car).unwrap();
    storage.client().dag_import(&car).await.unwrap();
    assert!(node.whole(root));
    assert_eq!(storage.get(&id, data.len()).await.unwrap(), data);
}
