//! The process under load: [`Served`] starts it, [`is_a_node_under_load`] is what it does.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alive_core::{
    AccountName, Chunk, Network, Renditions, Segment, StreamId, Timestamp,
    backend::{
        LiveCache as _, LiveSegment, SharedBlockSource, SharedLiveCache, SharedStorage,
        SharedStreamStore, Storage as _,
    },
    memory::{MemoryChain, MemoryLiveCache},
};
use alive_node::{
    Backends, Node, NodeConfig, PlaylistConfig, ResolverConfig, ServerLimits, SharedContentReader,
    SqliteStore,
};
use alive_playlist::ListSettings;
use alive_storage::DiskStorage;
use bytes::Bytes;

use crate::process::{self, Process};

/// Who streams.
pub(crate) const STREAMER: &str = "alice";
/// How long a segment is, in bytes.
pub(crate) const SEGMENT_BYTES: usize = 8 << 10;

/// What the program allocates with, and how much of it is in use.
#[global_allocator]
static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

/// The time between two segments. They say that they take a second, so that it passes tenfold.
const INTERVAL: Duration = Duration::from_millis(100);
/// Segments of a chunk, and chunks of a stream; then the next one begins.
const CHUNK: usize = 10;
const CHUNKS: usize = 20;
/// Every so many chunks a block is replaced by another one.
const FORK: usize = 7;
/// Blocks that can still be replaced, as on Hive.
const REVERSIBLE: u64 = 21;
/// Contents that are stored before anybody comes: more than the storage keeps in memory.
const OLD_CONTENTS: usize = (40 << 20) / SEGMENT_BYTES;
/// Their numbers are beyond those of the segments.
const FIRST_OLD: usize = 1 << 40;
/// The time between two words about the heap.
const WORDS: Duration = Duration::from_millis(100);

/// A node under load. It ends when this is dropped.
pub(crate) struct Served {
    process: Process,
    heap: Arc<AtomicU64>,
}

impl Served {
    pub(crate) fn start() -> Self {
        let (process, lines) = Process::start("served::is_a_node_under_load");
        let heap = Arc::<AtomicU64>::default();
        let said = Arc::clone(&heap);
        std::thread::spawn(move || {
            for bytes in lines.filter_map(|line| line.strip_prefix("heap ")?.parse().ok()) {
                said.store(bytes, Ordering::Relaxed);
            }
        });
        Self { process, heap }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// How many bytes it has allocated and not freed.
    pub(crate) fn heap(&self) -> u64 {
        self.heap.load(Ordering::Relaxed)
    }

    /// How many bytes it takes of the machine.
    pub(crate) fn resident(&self) -> u64 {
        self.process.resident_kib() << 10
    }
}

/// Does nothing unless it runs in the process that is under load.
#[test]
fn is_a_node_under_load() {
    if !process::is_node() {
        return;
    }
    // As the program does.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(64).build().unwrap();
    runtime.block_on(serve());
}

async fn serve() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("index.sqlite")).unwrap();
    let content = DiskStorage::open_dir(folder.path().join("content")).unwrap();
    let chain = MemoryChain::new(Network::hive());
    let live = MemoryLiveCache::with_limits(4, 512, Duration::from_hours(1));
    let backends =
        Backends::new(SharedStreamStore::new(store), SharedStorage::new(content.clone()))
            .source(SharedBlockSource::new(chain.clone()))
            .live(SharedLiveCache::new(live.clone()))
            .content(SharedContentReader::new(content.clone()));
    for index in 0..OLD_CONTENTS {
        content.put(self::content(FIRST_OLD + index)).await.unwrap();
    }
    // So little that what is kept is full of what viewers ask for soon, and does not grow from then on. The chunks of all
    // streams that are asked for have room: a list that waits for them has to make room for others again and again.
    let playlists = PlaylistConfig::default()
        .list(ListSettings::default().target_seconds(1.try_into().unwrap()))
        .max_lists(12)
        .max_form_bytes(2 << 20);
    let config = NodeConfig::default()
        .address(([127, 0, 0, 1], 0).into())
        .limits(ServerLimits::default())
        .playlists(playlists)
        .resolver(ResolverConfig::default().memory_bytes(1 << 20))
        .index_memory(200);
    let node = Node::start(config, backends).await.unwrap();
    let mut streamer = Streamer { chain, live, content, seconds: 1_800_000_000 };
    let mut events = node.events();
    streamer.block(&[configure(0)]);
    // Whoever comes finds a stream.
    events.recv().await.unwrap();
    process::say_address(node.address());
    tokio::spawn(async {
        let mut words = tokio::time::interval(WORDS);
        loop {
            words.tick().await;
            writeln!(std::io::stdout(), "heap {}", ALLOCATOR.allocated()).unwrap();
        }
    });
    for number in 0.. {
        streamer.stream(number).await;
    }
}

/// Streams one stream after the other.
struct Streamer {
    chain: MemoryChain,
    live: MemoryLiveCache,
    content: DiskStorage,
    seconds: u32,
}

impl Streamer {
    async fn stream(&mut self, number: usize) {
        let stream: StreamId = format!("hive/{STREAMER}/{}", link(number)).parse().unwrap();
        let mut interval = tokio::time::interval(INTERVAL);
        for seq in 0..CHUNKS {
            let mut segments = Vec::with_capacity(CHUNK);
            let mut smaller = Vec::new();
            for place in 0..CHUNK {
                interval.tick().await;
                self.seconds += 1;
                let index = (number * CHUNKS + seq) * CHUNK + place;
                let content = self.content.put(content(index)).await.unwrap();
                let segment = Segment::new(content, "1".parse().unwrap());
                let at = Timestamp::from_unix_secs(self.seconds);
                let live = LiveSegment { segment, renditions: Renditions::default(), at };
                self.live.push(&stream, live).await.unwrap();
                segments.push(segment);
                smaller.push(segment);
            }
            let link = link(number);
            let (src, low) = (self.chunk(&segments).await, self.chunk(&smaller).await);
            let push =
                format!(r#"{{"op":0,"link":"{link}","seq":{seq},"src":"{src}","480":"{low}"}}"#);
            self.block(&[push]);
            if seq % FORK == FORK - 1 {
                self.fork();
            }
        }
        // The next one is there before this one ends, so that there always is one that is live.
        self.block(&[configure(number + 1)]);
        self.block(&[format!(r#"{{"op":1,"link":"{}"}}"#, link(number))]);
    }

    async fn chunk(&self, segments: &[Segment]) -> alive_core::ContentId {
        self.content.put(Chunk::encode(segments).unwrap().into()).await.unwrap()
    }

    fn block(&self, payloads: &[String]) {
        let streamer: AccountName = STREAMER.parse().unwrap();
        for payload in payloads {
            assert!(self.chain.submit(streamer.clone(), payload.clone()));
        }
        let last = self.chain.produce(Timestamp::from_unix_secs(self.seconds));
        self.chain.set_irreversible(last.num.saturating_sub(REVERSIBLE));
    }

    /// The last block is replaced by another one with the same operations.
    fn fork(&self) {
        assert_eq!(self.chain.pop(1), 1);
        self.chain.produce(Timestamp::from_unix_secs(self.seconds + 1));
    }
}

/// The name of a stream.
pub(crate) fn link(number: usize) -> String {
    format!("s{number}")
}

fn configure(number: usize) -> String {
    format!(r#"{{"op":2,"link":"{}"}}"#, link(number))
}

/// The bytes of a segment.
fn content(index: usize) -> Bytes {
    let mut bytes = vec![0; SEGMENT_BYTES];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::try_from((at * 31 + index * 7) % 251).unwrap();
    }
    bytes[..8].copy_from_slice(&u64::try_from(index).unwrap().to_be_bytes());
    bytes.into()
}
