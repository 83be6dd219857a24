//! Gateways of our own that answer as the documented ones do, in each of their forms.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alive_core::{
    ContentId,
    backend::{Storage, StorageError},
    testing,
};
use alive_storage::{
    BlockStore, GatewayOptions, GatewayStorage, MemoryStorage, Reach,
    cid::{self, Cid},
    unixfs::{ImportOptions, Profile},
};
use axum::response::Response;
use bytes::Bytes;

use crate::{
    noise, options,
    server::{Request, Server, answer, serve},
};

/// What a gateway can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Blocks and archives.
    Car,
    /// Whole files, whatever it is asked for.
    Plain,
    /// Blocks, and 406 for archives.
    Raw,
}

/// A gateway over a store, and what it was asked for.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) store: MemoryStorage,
    pub(crate) form: Form,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    pub(crate) fn new(form: Form) -> Self {
        Self { store: MemoryStorage::default(), form, asked: Arc::default() }
    }

    pub(crate) async fn handle(&self, request: Request) -> Response {
        let form = request.query("format").unwrap_or_default();
        self.asked.lock().unwrap().push(format!("{} {form}", request.method));
        assert!(request.header("referer").is_empty() && request.header("origin").is_empty());
        assert_eq!(request.header("accept-encoding"), "identity");
        let root = cid::parse(request.path().strip_prefix("/ipfs/").unwrap()).unwrap();
        let absent = || answer(404, "text/plain", "not found");
        match (form.as_str(), self.form) {
            ("raw", Form::Raw | Form::Car) => {
                assert_eq!(request.header("accept"), "application/vnd.ipld.raw");
                let block = self.store.store().get(root.hash()).unwrap();
                let raw = |data| answer(200, "application/vnd.ipld.raw", data);
                block.map_or_else(absent, |block| raw(block.data().clone()))
            }
            ("car", Form::Car) => {
                assert!(request.header("accept").starts_with("application/vnd.ipld.car;version=1"));
                let mut car = Vec::new();
                // A gateway that misses a child ends the stream after it has said 200.
                let _ = alive_storage::car::export_car(self.store.store(), &[root], &mut car);
                answer(200, "application/vnd.ipld.car; version=1", car)
            }
            ("car", Form::Raw) => answer(406, "text/plain", "no such format"),
            _ => match self.store.get(&cid::to_content(&root).unwrap(), usize::MAX).await {
                Ok(data) => answer(200, "application/octet-stream", data),
                Err(_) => absent(),
            },
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

pub(crate) async fn start(gateway: &Gateway) -> Server {
    let gateway = gateway.clone();
    serve(move |request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    })
    .await
}

pub(crate) fn reader<'a>(servers: impl IntoIterator<Item = &'a Server>) -> GatewayStorage {
    let urls = servers.into_iter().map(|server| server.url.clone());
    let options = GatewayOptions::default().http(options()).absent_for(Duration::from_mins(10));
    GatewayStorage::of(urls, &options).unwrap()
}

/// A store that is read through gateways.
#[derive(Debug)]
struct Behind {
    store: MemoryStorage,
    gateway: GatewayStorage,
}

impl Storage for Behind {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        self.store.put(data).await
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.gateway.get(id, limit).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.gateway.has(id).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.store.pin(id).await
    }
}

#[tokio::test]
async fn gateways_of_every_form_and_mixed_pass_the_suite_under_every_profile() {
    let store = MemoryStorage::default();
    let v1 = ImportOptions::default().with_cid_version(cid::Version::V1);
    let profiles = [Profile::UnixfsV02015, Profile::CidV1256k, Profile::UnixfsV12025];
    for options in profiles.map(ImportOptions::from).into_iter().chain([v1]) {
        for forms in [&[Form::Car][..], &[Form::Raw], &[Form::Plain], &[Form::Plain, Form::Raw]] {
            let mut servers = Vec::new();
            for form in forms {
                servers.push(start(&Gateway { store: store.clone(), ..Gateway::new(*form) }).await);
            }
            let gateway = reader(&servers);
            let behind = Behind { store: store.clone().with_options(options), gateway };
            testing::storage(&behind).await;
            let lies: u64 = behind.gateway.health().iter().map(|health| health.lies).sum();
            assert_eq!(lies, 0, "{forms:?}");
        }
    }
}

/// Stores content of several blocks and says which block is its last leaf.
pub(crate) async fn several_blocks(store: &MemoryStorage, seed: u64) -> (ContentId, Vec<u8>, Cid) {
    let data = noise(seed, 1_500_000);
    let v1 = store.clone().with_options(Profile::CidV1256k);
    let id = v1.put(data.clone().into()).await.unwrap();
    let last = v1.import_bytes(&data[data.len() / 262_144 * 262_144..]).unwrap();
    (id, data, last.cid)
}

#[tokio::test]
async fn a_small_file_is_one_request_and_a_large_one_two() {
    let gateway = Gateway::new(Form::Car);
    let server = start(&gateway).await;
    let small = gateway.store.put("S1,10\nS2,9\n".into()).await.unwrap();
    reader([&server]).get(&small, 4200).await.unwrap();
    assert_eq!(gateway.asked(), ["GET raw"]);
    let (large, data, _) = several_blocks(&gateway.store, 1).await;
    assert_eq!(reader([&server]).get(&large, data.len()).await.unwrap(), data);
    assert_eq!(gateway.asked(), ["GET raw", "GET car"]);
}

#[tokio::test]
async fn a_large_file_without_archives_is_read_by_blocks_and_archives_are_not_asked_for_again() {
    let gateway = Gateway::new(Form::Raw);
    let server = start(&gateway).await;
    let (id, data, _) = several_blocks(&gateway.store, 2).await;
    let storage = reader([&server]);
    assert_eq!(storage.get(&id, data.len()).await.unwrap(), data);
    assert_eq!(gateway.asked().iter().filter(|asked| *asked == "GET car").count(), 1);
    assert_eq!(storage.get(&id, data.len()).await.unwrap(), data);
    assert_eq!(gateway.asked(), ["GET raw"; 7]);
}

#[tokio::test]
async fn pieces_come_in_order_until_there_are_enough_whatever_the_gateway_gives() {
    for form in [Form::Car, Form::Raw, Form::Plain] {
        let gateway = Gateway::new(form);
        let server = start(&gateway).await;
        let (id, data, last) = several_blocks(&gateway.store, 9).await;
        let storage = reader([&server]);
        let read = async |limit: u64, enough: usize| {
            let mut pieces: Vec<Bytes> = Vec::new();
            let take = |piece| {
                pieces.push(piece);
                if pieces.len() == enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let done = storage.get_pieces(&id, limit, take).await;
            (done.map_err(|error| error.to_string()), pieces)
        };
        let len = data.len() as u64;
        let (done, pieces) = read(len, usize::MAX).await;
        assert!(done.is_ok(), "{form:?}: {done:?}");
        assert!(pieces.concat() == data, "{form:?}");
        assert_eq!(pieces.len() > 1, form != Form::Plain, "{form:?}");
        let (done, pieces) = read(len, 1).await;
        assert!(done.is_ok() && pieces.len() == 1, "{form:?}: {done:?}");
        let (refused, pieces) = read(len - 1, usize::MAX).await;
        let why = refused.unwrap_err();
        assert!(why.contains("larger than") && pieces.is_empty(), "{form:?}: {why}");
        if form == Form::Plain {
            continue;
        }
        // A block that is not there: what is before it has come, and all of it is what the id names.
        assert!(gateway.store.store().remove(last.hash()));
        let (missing, pieces) = read(len, usize::MAX).await;
        assert!(missing.unwrap_err().contains("not found"), "{form:?}");
        assert!(!pieces.is_empty() && data.starts_with(&pieces.concat()), "{form:?}");
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_by_its_root_alone() {
    let gateway = Gateway::new(Form::Car);
    let server = start(&gateway).await;
    let (id, data, _) = several_blocks(&gateway.store, 3).await;
    let refused = reader([&server]).get(&id, data.len() - 1).await.unwrap_err();
    assert!(matches!(refused, StorageError::TooLarge { .. }), "{refused:?}");
    assert_eq!(gateway.asked(), ["GET raw"]);
}

#[tokio::test]
async fn one_file_comes_from_several_gateways_if_no_one_has_all_of_it() {
    let all = [Gateway::new(Form::Car), Gateway::new(Form::Raw)];
    let (id, data, last) = several_blocks(&all[0].store, 4).await;
    several_blocks(&all[1].store, 4).await;
    assert!(all[0].store.store().remove(last.hash()));
    let first = data[..262_144].to_vec();
    let leaf = MemoryStorage::default().with_options(Profile::CidV1256k).import_bytes(&first);
    assert!(all[1].store.store().remove(leaf.unwrap().cid.hash()));
    let servers = [start(&all[0]).await, start(&all[1]).await];
    for server in &servers {
        let alone = reader([server]).get(&id, data.len()).await.unwrap_err();
        assert!(matches!(alone, StorageError::NotFound(_)), "{alone:?}");
    }
    assert_eq!(reader(&servers).get(&id, data.len()).await.unwrap(), data);
}

#[tokio::test]
async fn a_gateway_that_hangs_delays_others_a_little_and_one_that_is_gone_not_at_all() {
    let gateway = Gateway::new(Form::Car);
    let good = start(&gateway).await;
    let id = gateway.store.put("hello".into()).await.unwrap();
    let hung = crate::server::raw(|socket, _| async move {
        let _held = socket;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(reader([&hung, &good]).get(&id, 5).await.unwrap(), "hello");
    assert_eq!(hung.count(), 1);
    let gone = {
        let server = start(&gateway).await;
        server.url.clone()
    };
    crate::server::until("the port is closed", async || {
        let address = gone.as_str().strip_prefix("http://").unwrap();
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
    let storage = GatewayStorage::of([gone, good.url.clone()], &GatewayOptions::default()).unwrap();
    assert_eq!(storage.get(&id, 5).await.unwrap(), "hello");
    let health = storage.health();
    assert!(health[0].rest.is_some() && health[0].failures == 1, "{health:?}");
    assert!(health[1].rest.is_none() && health[1].latency.is_some(), "{health:?}");
}

#[tokio::test]
async fn a_gateway_that_failed_is_left_alone_for_a_while() {
    let bad = serve(|_| async { answer(500, "text/plain", "oops") }).await;
    let gateway = Gateway::new(Form::Car);
    let good = start(&gateway).await;
    let storage = reader([&bad, &good]);
    for n in 0..5_u8 {
        let id = gateway.store.put(vec![n].into()).await.unwrap();
        storage.get(&id, 1).await.unwrap();
    }
    assert_eq!(bad.count(), 1);
}

#[tokio::test]
async fn a_gateway_that_asks_for_a_pause_gets_it() {
    let busy = serve(|_| async {
        let mut busy = answer(429, "text/plain", "slow down");
        busy.headers_mut().insert("retry-after", "77".parse().unwrap());
        busy
    })
    .await;
    let storage = reader([&busy]);
    let id = MemoryStorage::default().put("x".into()).await.unwrap();
    assert!(storage.get(&id, 1).await.unwrap_err().is_transient());
    let rest = storage.health()[0].rest.unwrap();
    assert!((70..=97).contains(&rest.as_secs()), "{rest:?}");
}

#[tokio::test]
async fn absent_content_is_not_asked_for_again_for_a_while() {
    let gateway = Gateway::new(Form::Car);
    let servers = [start(&gateway).await, start(&gateway).await];
    let storage = reader(&servers);
    let id = MemoryStorage::default().put("late".into()).await.unwrap();
    assert!(matches!(storage.get(&id, 9).await, Err(StorageError::NotFound(_))));
    let asked = servers[0].count() + servers[1].count();
    assert_eq!(asked, 2);
    gateway.store.put("late".into()).await.unwrap();
    assert!(matches!(storage.get(&id, 9).await, Err(StorageError::NotFound(_))));
    assert!(!storage.has(&id).await.unwrap());
    assert_eq!(servers[0].count() + servers[1].count(), asked);
    let short = GatewayOptions::default().absent_for(Duration::from_millis(1));
    let storage = GatewayStorage::of([servers[0].url.clone()], &short).unwrap();
    let other = MemoryStorage::default().put("later".into()).await.unwrap();
    assert!(storage.get(&other, 9).await.is_err());
    gateway.store.put("later".into()).await.unwrap();
    crate::server::until("it is asked for again", async || storage.get(&other, 9).await.is_ok())
        .await;
}

#[tokio::test]
async fn an_error_at_one_gateway_is_not_an_absence() {
    let bad = serve(|_| async { answer(502, "text/plain", "oops") }).await;
    let empty = start(&Gateway::new(Form::Car)).await;
    let storage = reader([&bad, &empty]);
    let id = MemoryStorage::default().put("x".into()).await.unwrap();
    let error = storage.get(&id, 9).await.unwrap_err();
    let StorageError::Unavailable { source, .. } = &error else { panic!("{error:?}") };
    let text = source.to_string();
    assert!(text.contains(bad.url.as_str()) && text.contains("502"), "{text}");
}

#[tokio::test]
async fn a_redirect_to_the_same_content_on_the_gateway_is_followed() {
    let gateway = Gateway::new(Form::Car);
    let id = gateway.store.put("hello".into()).await.unwrap();
    let inner = gateway.clone();
    let hops = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&hops);
    let server = serve(move |request: Request| {
        let (gateway, hops) = (inner.clone(), Arc::clone(&counted));
        async move {
            let cid = cid::parse(request.path().strip_prefix("/ipfs/").unwrap()).unwrap();
            if cid.version() == cid::Version::V1 {
                return gateway.handle(request).await;
            }
            hops.fetch_add(1, Ordering::SeqCst);
            let query = request.uri.query().unwrap_or_default();
            let to = format!("/ipfs/{}?{query}", cid::to_v1(&cid));
            let mut moved = answer(301, "text/plain", "");
            moved.headers_mut().insert("location", to.parse().unwrap());
            moved
        }
    })
    .await;
    assert_eq!(reader([&server]).get(&id, 5).await.unwrap(), "hello");
    assert_eq!(hops.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_gateway_that_others_named_is_not_spoken_to_inside_the_own_network() {
    let gateway = Gateway::new(Form::Car);
    let id = gateway.store.put("hello".into()).await.unwrap();
    let server = start(&gateway).await;
    let port = server.url.as_str().rsplit_once(':').unwrap().1;
    let public = GatewayOptions::default().http(options().reach(Reach::Public));
    for host in ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}").parse().unwrap();
        let storage = GatewayStorage::of([url], &public).unwrap();
        assert!(storage.get(&id, 5).await.is_err(), "{host}");
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn nothing_is_stored_or_pinned_through_gateways_and_there_must_be_one() {
    let server = start(&Gateway::new(Form::Car)).await;
    let storage = reader([&server]);
    assert!(matches!(storage.put("x".into()).await, Err(StorageError::Refused { .. })));
    let id = MemoryStorage::default().put("x".into()).await.unwrap();
    assert!(matches!(storage.pin(&id).await, Err(StorageError::Refused { .. })));
    assert!(GatewayStorage::of([], &GatewayOptions::default()).is_err());
    assert_eq!(server.count(), 0);
}
