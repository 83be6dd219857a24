//! A node on backends in memory, and a client that sends any bytes.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alive_core::{
    Chunk, ContentId, Network, Renditions, Segment, StreamId, Timestamp,
    backend::{
        LiveCache as _, LiveSegment, SharedBlockSource, SharedLiveCache, SharedStorage,
        SharedStreamStore, Storage as _,
    },
    memory::{MemoryChain, MemoryLiveCache, MemoryStorage, MemoryStreamStore},
};
use alive_node::{
    Backends, Node, NodeConfig, NodeEvent, PlaylistConfig, ResolverConfig, RunningNode,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A node and all it stands on.
pub(crate) struct Bench {
    pub(crate) chain: MemoryChain,
    pub(crate) storage: MemoryStorage,
    pub(crate) live: MemoryLiveCache,
    pub(crate) node: RunningNode,
    events: tokio::sync::broadcast::Receiver<NodeEvent>,
    seconds: u32,
}

/// A config for tests: a free port, no waiting for what cannot come.
pub(crate) fn config() -> NodeConfig {
    let playlists = PlaylistConfig::default().patience(Duration::from_hours(1));
    let resolver = ResolverConfig::default()
        .waits(Duration::from_millis(5), Duration::from_millis(20))
        .fetch_timeout(Duration::from_secs(5));
    NodeConfig::default()
        .address(([127, 0, 0, 1], 0).into())
        .playlists(playlists)
        .resolver(resolver)
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: NodeConfig) -> Self {
        let storage = MemoryStorage::default();
        Self::over(config, storage.clone(), SharedStorage::new(storage), |b| b).await
    }

    /// A node whose chunks come from `chunks`, with further backends.
    pub(crate) async fn over(
        config: NodeConfig,
        storage: MemoryStorage,
        chunks: SharedStorage,
        more: impl FnOnce(Backends) -> Backends,
    ) -> Self {
        let chain = MemoryChain::new(Network::hive());
        let live = MemoryLiveCache::default();
        let store = SharedStreamStore::new(MemoryStreamStore::default());
        let backends = Backends::new(store, chunks)
            .source(SharedBlockSource::new(chain.clone()))
            .live(SharedLiveCache::new(live.clone()));
        let node = Node::start(config, more(backends)).await.unwrap();
        let events = node.events();
        Self { chain, storage, live, node, events, seconds: 1_700_000_000 }
    }

    /// Makes a block of these payloads of alice and waits until it is indexed.
    pub(crate) async fn block(&mut self, payloads: &[String]) {
        for payload in payloads {
            assert!(self.chain.submit("alice".parse().unwrap(), payload.clone()));
        }
        self.seconds += 3;
        let made = self.chain.produce(Timestamp::from_unix_secs(self.seconds));
        loop {
            match self.events.recv().await.unwrap() {
                NodeEvent::BlockApplied { block, .. } if block == made => return,
                _ => {}
            }
        }
    }

    /// Takes back blocks and what was in them, and waits until the node has.
    pub(crate) async fn undo(&mut self, blocks: usize) {
        assert_eq!(self.chain.pop(blocks), blocks);
        self.chain.drop_pending();
        let mut undone = 0;
        while undone < blocks {
            let event = self.events.recv().await.unwrap();
            undone += usize::from(matches!(event, NodeEvent::BlockUndone { .. }));
        }
    }

    /// Stores a chunk.
    pub(crate) async fn chunk(&self, segments: &[Segment]) -> ContentId {
        let csv = Chunk::encode(segments).unwrap();
        self.storage.put(csv.into()).await.unwrap()
    }

    /// Pushes segments over the live cache.
    pub(crate) async fn live(&self, segments: &[Segment]) {
        for segment in segments {
            let at = Timestamp::from_unix_secs(self.seconds);
            let segment = LiveSegment { segment: *segment, renditions: Renditions::default(), at };
            self.live.push(&stream_id(), segment).await.unwrap();
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    /// Asks with further headers.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut lines = vec![format!("{method} {path} HTTP/1.1")];
        lines.extend(["Host: x".to_owned(), "Connection: close".to_owned()]);
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        self.send(&format!("{}\r\n\r\n", lines.join("\r\n"))).await
    }

    /// Sends any text and reads until the server closes.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        Answer::parse(&self.exchange(request.as_bytes()).await)
    }

    /// Sends any bytes and reads until the server closes.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.node.address()).await.unwrap();
        // The server may close before it has read all.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// The list, asked for until it is as wanted. It ends with the test's own time limit otherwise.
    pub(crate) async fn list_until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Of a list: the segments' content ids, `|` before one for a discontinuity.
    pub(crate) fn listed(&self) -> Vec<String> {
        let mut discontinuity = "";
        let mut listed = Vec::new();
        for line in self.text().lines() {
            if line == "#EXT-X-DISCONTINUITY" {
                discontinuity = "|";
            } else if !line.starts_with('#') {
                let name = line.rsplit('/').next().unwrap().split('?').next().unwrap();
                listed.push(format!("{}{name}", std::mem::take(&mut discontinuity)));
            }
        }
        listed
    }

    pub(crate) fn ended(&self) -> bool {
        self.text().ends_with("#EXT-X-ENDLIST\n")
    }
}

pub(crate) fn stream_id() -> StreamId {
    "hive/alice/s".parse().unwrap()
}

/// Segments of content that nobody needs to have, ten seconds each.
pub(crate) fn segments(range: std::ops::Range<u8>) -> Vec<Segment> {
    range.map(|n| Segment::new(content(n), "10".parse().unwrap())).collect()
}

/// Content ids by number.
pub(crate) fn content(n: u8) -> ContentId {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend([n; 32]);
    alive_storage::cid::to_content(&alive_storage::cid::from_bytes(&bytes).unwrap()).unwrap()
}

/// The names of these segments as lists show them.
pub(crate) fn names(segments: &[Segment]) -> Vec<String> {
    segments.iter().map(|segment| segment.content.to_string()).collect()
}

pub(crate) fn configure() -> String {
    r#"{"op":2,"link":"s"}"#.to_owned()
}

pub(crate) fn end() -> String {
    r#"{"op":1,"link":"s"}"#.to_owned()
}

pub(crate) fn push(seq: u32, chunk: ContentId) -> String {
    format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{chunk}"}}"#)
}

pub(crate) fn push_segment(seq: u32, segment: &Segment) -> String {
    let Segment { content, duration, .. } = segment;
    format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{content}","len":{duration}}}"#)
}

/// Changes a byte in the middle of the largest file below a folder.
pub(crate) fn damage(folder: &Path) {
    let largest =
        files(folder).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(largest, bytes).unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
