//! A world to publish to, a recorder to publish from, and what came of it. Shared by unit and integration tests.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod parts;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use alive_core::{
    ChainView, Chunk, Configure, Network, Op, Segment, Stream, StreamId, Timestamp,
    backend::{BlockSource as _, LiveCache as _, Next, Storage as _},
    memory::{MemoryBroadcaster, MemoryChain, MemoryLiveCache, MemoryStorage},
};
use tempfile::TempDir;

/// Everything a session works with. It outlives sessions.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chain: MemoryChain,
    pub(crate) storage: MemoryStorage,
    pub(crate) live: MemoryLiveCache,
    stream: StreamId,
    folder: TempDir,
}

/// A published segment, read back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) bytes: Vec<u8>,
    pub(crate) duration: String,
    pub(crate) discontinuity: bool,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, duration, discontinuity } = self;
        write!(f, "{} bytes, {duration} s, {discontinuity}", bytes.len())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        // In memory where the system has such a folder: these tests make thousands of lines durable.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self {
            chain: MemoryChain::instant(Network::hive(), || Timestamp::EPOCH),
            storage: MemoryStorage::default(),
            live: MemoryLiveCache::default(),
            stream: "hive/alice/s".parse().unwrap(),
            folder: folder.unwrap(),
        }
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.stream.clone()
    }

    pub(crate) fn broadcaster(&self) -> MemoryBroadcaster {
        self.chain.broadcaster("alice".parse().unwrap())
    }

    /// Where the recorder writes.
    pub(crate) fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    pub(crate) fn recorder(&self, sample: &str) -> Recorder {
        Recorder::new(sample, &self.recordings())
    }

    /// Every operation on the chain, in order.
    pub(crate) async fn ops(&self) -> Vec<Op> {
        let Next::Blocks { blocks, .. } = self.chain.next(None, usize::MAX).await.unwrap() else {
            panic!("nothing was undone")
        };
        let ops = blocks.into_iter().flat_map(|block| block.ops);
        ops.map(|op| op.expect("only sessions broadcast here").op).collect()
    }

    /// The stream as an indexer sees it. Checks that a number never stands for two contents.
    pub(crate) async fn indexed(&self) -> Stream {
        let link = self.stream().link;
        let mut stream = Stream::create(&Configure::new(link), 0, 1, Timestamp::EPOCH);
        let mut contents = BTreeMap::new();
        for op in self.ops().await {
            match op {
                Op::Push(push) => {
                    let said = (push.src, push.len, push.discontinuity);
                    let before = contents.insert(push.seq, said);
                    assert!(before.is_none_or(|before| before == said), "{} used twice", push.seq);
                    // A push that is sent again is refused by now.
                    let _ = stream.push(&push, Timestamp::EPOCH);
                }
                Op::End(_) => stream.end(Timestamp::EPOCH),
                Op::Configure(_) => panic!("sessions configure nothing"),
            }
        }
        assert_eq!(stream.info().finalized, stream.info().head, "a number was left out");
        stream
    }

    /// What the chain says of the stream now.
    pub(crate) async fn view(&self) -> ChainView {
        let stream = self.indexed().await;
        let pushes = stream.pushes().map(|(seq, pushed)| (seq, pushed.src)).collect();
        ChainView { finalized: stream.info().finalized, pushes, ..ChainView::default() }
    }

    /// All segments that the chain names, in order.
    pub(crate) async fn segments(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        for (_, pushed) in self.indexed().await.pushes() {
            match pushed.segment() {
                Some(segment) => segments.push(segment),
                None => {
                    let csv = self.storage.get(&pushed.src, Chunk::MAX_BYTES).await.unwrap();
                    segments.extend(Chunk::decode(&csv).unwrap().segments());
                }
            }
        }
        segments
    }

    /// What viewers get, read back from chain and storage.
    pub(crate) async fn published(&self) -> Vec<Published> {
        let mut published = Vec::new();
        for segment in self.segments().await {
            let bytes = self.storage.get(&segment.content, 64 << 20).await.unwrap().to_vec();
            let duration = segment.duration.to_string();
            let discontinuity = segment.flags.discontinuity();
            published.push(Published { bytes, duration, discontinuity });
        }
        published
    }

    /// The segments on the live cache, in order.
    pub(crate) async fn announced(&self) -> Vec<Segment> {
        let list = self.live.list(&self.stream(), Timestamp::EPOCH).await.unwrap();
        list.into_iter().map(|live| live.segment).collect()
    }
}

/// Plays a sample the way a recorder writes it: a segment, then the list, written aside and renamed over.
#[derive(Debug)]
pub(crate) struct Recorder {
    sample: PathBuf,
    folder: PathBuf,
    /// Tags in front of the first segment.
    head: String,
    /// Each segment's name and lines.
    segments: Vec<(String, String)>,
    next: usize,
}

impl Recorder {
    pub(crate) fn new(sample: &str, folder: &Path) -> Self {
        let media = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media");
        let sample = Path::new(media).join(sample);
        let text = fs::read_to_string(sample.join("stream.m3u8")).unwrap();
        let (mut head, mut lines, mut segments) = (String::new(), String::new(), Vec::new());
        for line in text.lines().filter(|line| *line != "#EXT-X-ENDLIST") {
            let of_segment = !lines.is_empty()
                || ["#EXT-X-DISC", "#EXTINF"].iter().any(|tag| line.starts_with(tag));
            let to = if of_segment { &mut lines } else { &mut head };
            to.extend([line, "\n"]);
            if !line.starts_with('#') {
                segments.push((line.to_owned(), std::mem::take(&mut lines)));
            }
        }
        fs::create_dir_all(folder).unwrap();
        Self { sample, folder: folder.to_owned(), head, segments, next: 0 }
    }

    /// Records one more segment; the last one comes with the end of the list. `false` when there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some((name, _)) = self.segments.get(self.next) else { return false };
        fs::write(self.folder.join(name), fs::read(self.sample.join(name)).unwrap()).unwrap();
        self.next += 1;
        self.write_list();
        if let Some((name, _)) = self.segments.get(self.next) {
            // The recorder has begun the next one.
            fs::write(self.folder.join(name), [0x47]).unwrap();
        }
        true
    }

    fn write_list(&self) {
        let lines = self.segments.iter().take(self.next).map(|(_, lines)| lines.as_str());
        let ended = self.next == self.segments.len();
        let end = if ended { "#EXT-X-ENDLIST\n" } else { "" };
        let text = self.head.clone() + &lines.collect::<String>() + end;
        let aside = self.folder.join("stream.m3u8.tmp");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.folder.join("stream.m3u8")).unwrap();
    }

    pub(crate) fn record_all(mut self) -> Self {
        while self.step() {}
        self
    }

    /// What viewers must get of all segments, with a discontinuity before these.
    pub(crate) fn all(&self, discontinuities: &[usize]) -> Vec<Published> {
        let segments = self.segments.iter().enumerate().map(|(n, (name, lines))| {
            let extinf = lines.lines().find_map(|line| line.strip_prefix("#EXTINF:")).unwrap();
            let seconds: alive_core::SegmentDuration =
                extinf.trim_end_matches(',').parse().unwrap();
            Published {
                bytes: fs::read(self.sample.join(name)).unwrap(),
                duration: seconds.to_string(),
                discontinuity: discontinuities.contains(&n),
            }
        });
        segments.collect()
    }
}
