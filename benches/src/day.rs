//! A day of streaming: its segments, its operations, its chunks, its lists.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use alive_core::{
    AccountName, CODEC_DAG_PB, CODEC_RAW, Chunk, ChunkContent, Configure, ContentId, HASH_SHA2_256,
    Link, Op, Push, Renditions, Segment, SegmentDuration, Seq, SignedOp, Stream, Timestamp,
    backend::{Block, BlockRef},
};
use cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};

/// Segments of ten seconds in 24 hours.
pub const SEGMENTS: usize = 8640;
/// Segments of ten seconds in an hour.
pub const HOUR: usize = 360;
/// Segments in a chunk that a batch interval of 300 seconds makes.
pub const SEGMENTS_PER_CHUNK: usize = 30;

/// How the ids of segments are written.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "benches have no users")]
pub enum Ids {
    /// `Qm…`, 46 characters: our default.
    V0,
    /// `bafkrei…`, 59 characters.
    V1,
}

/// The id of some content that only this number has.
pub fn content(ids: Ids, number: usize) -> ContentId {
    let digest = Sha256::digest(number.to_le_bytes());
    let hash = Multihash::wrap(HASH_SHA2_256, &digest).expect("32 bytes fit");
    let cid = match ids {
        Ids::V0 => Cid::new_v0(hash).expect("it is SHA2-256"),
        Ids::V1 => Cid::new_v1(CODEC_RAW, hash),
    };
    ContentId::from_cid(&cid).expect("it is short")
}

/// The first segments of a stream, about ten seconds each as a recorder cuts them.
pub fn segments(ids: Ids, count: usize) -> Vec<Segment> {
    let lengths = [10_000_000, 9_966_666, 10_033_333, 9_999_999, 10_010_000];
    let segment = |(at, &micros): (usize, &u32)| {
        let duration = SegmentDuration::from_micros(micros).expect("it is in range");
        Segment::new(content(ids, at), duration)
    };
    lengths.iter().cycle().take(count).enumerate().map(segment).collect()
}

/// The operation that creates a stream.
pub fn configure(account: &str, link: &str) -> SignedOp {
    let op = Op::Configure(Configure::new(link.parse().expect("a link")));
    SignedOp { account: account.parse().expect("a name"), op }
}

/// A push of one segment at its place.
pub fn direct_push(account: &AccountName, link: &Link, seq: usize, segment: &Segment) -> SignedOp {
    let push = push(link, seq, segment.content, Some(segment.duration));
    SignedOp { account: account.clone(), op: Op::Push(push) }
}

/// Pushes of `per_stream` segments for each of `streams` streams, the streams taking turns as on a chain.
pub fn pushes(streams: usize, per_stream: usize) -> Vec<SignedOp> {
    let segments = segments(Ids::V0, per_stream);
    let names = stream_names(streams);
    let names: Vec<(AccountName, Link)> = names
        .iter()
        .map(|(a, l)| (a.parse().expect("a name"), l.parse().expect("a link")))
        .collect();
    let all = segments.iter().enumerate().flat_map(|(seq, segment)| {
        names.iter().map(move |(account, link)| direct_push(account, link, seq, segment))
    });
    all.collect()
}

/// The operations that create the streams of [`pushes`].
pub fn configures(streams: usize) -> Vec<SignedOp> {
    stream_names(streams).iter().map(|(account, link)| configure(account, link)).collect()
}

fn stream_names(streams: usize) -> Vec<(String, String)> {
    (0..streams).map(|number| (format!("streamer-{number}"), "stream1".into())).collect()
}

/// Operations in blocks of `per_block`, one behind the other, the first with number 1.
pub fn blocks(ops: &[SignedOp], per_block: usize) -> Vec<Block> {
    let id = |num: u64| format!("{num:040x}").parse().expect("a block id");
    let block = |(num, ops): (u64, &[SignedOp])| Block {
        at: BlockRef { num, id: id(num) },
        previous: id(num - 1),
        time: Timestamp::from_unix_ms(i64::try_from(num).unwrap_or(i64::MAX).saturating_mul(3000)),
        ops: ops.iter().cloned().map(Ok).collect(),
    };
    (1..).zip(ops.chunks(per_block)).map(block).collect()
}

/// A stream as its chunks tell it.
#[derive(Clone, Debug)]
pub struct ChunkedDay {
    /// The push of every chunk, in order.
    pub pushes: Vec<Push>,
    /// The segments, in order.
    pub segments: Vec<Segment>,
    chunks: HashMap<ContentId, Arc<Chunk>>,
}

impl ChunkedDay {
    /// A day in chunks of [`SEGMENTS_PER_CHUNK`].
    pub fn new() -> Self {
        let segments = segments(Ids::V0, SEGMENTS);
        let link: Link = "stream1".parse().expect("a link");
        let (mut chunks, mut pushes) = (HashMap::new(), Vec::new());
        for (seq, part) in segments.chunks(SEGMENTS_PER_CHUNK).enumerate() {
            let csv = Chunk::encode(part).expect("it is small enough");
            let digest = Sha256::digest(&csv);
            let hash = Multihash::wrap(HASH_SHA2_256, &digest).expect("32 bytes fit");
            let id = ContentId::from_cid(&Cid::new_v1(CODEC_DAG_PB, hash)).expect("it is short");
            chunks.insert(id, Arc::new(csv.parse().expect("it was just written")));
            pushes.push(push(&link, seq, id, None));
        }
        Self { pushes, segments, chunks }
    }

    /// The stream after its first pushes.
    pub fn stream(&self, pushes: usize) -> Stream {
        let configure = Configure::new("stream1".parse().expect("a link"));
        let mut stream = Stream::create(&configure, 0, 1, Timestamp::EPOCH);
        for push in self.pushes.iter().take(pushes) {
            stream.push(push, Timestamp::EPOCH).expect("they are in order");
        }
        stream
    }

    /// What a node has at hand of a chunk.
    pub fn content(&self, id: &ContentId) -> ChunkContent {
        self.chunks
            .get(id)
            .map_or(ChunkContent::Unavailable, |c| ChunkContent::Ready(Arc::clone(c)))
    }
}

impl Default for ChunkedDay {
    fn default() -> Self {
        Self::new()
    }
}

fn push(link: &Link, seq: usize, src: ContentId, len: Option<SegmentDuration>) -> Push {
    let seq = Seq::new(seq.try_into().expect("small")).expect("within a stream");
    let (link, renditions) = (link.clone(), Renditions::default());
    Push { link, seq, src, len, renditions, discontinuity: false }
}

/// What a recorder's list says of every segment besides its length and its name.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "benches have no users")]
pub enum Dates {
    /// `EXT-X-PROGRAM-DATE-TIME` as ffmpeg writes it.
    Each,
    /// Nothing.
    None,
}

/// The list of a whole day with content ids as URIs, as a recorder or another node could have written it.
pub fn list_text(dates: Dates) -> String {
    let mut text = String::from(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:12\n#EXT-X-MEDIA-SEQUENCE:0\n",
    );
    for (at, segment) in segments(Ids::V1, SEGMENTS).iter().enumerate() {
        if matches!(dates, Dates::Each) {
            let (hours, rest) = (at / HOUR, at % HOUR);
            let (minutes, seconds) = (rest / 6, rest % 6 * 10);
            let time = format!("2026-11-21T{hours:02}:{minutes:02}:{seconds:02}.123+0000");
            text.push_str("#EXT-X-PROGRAM-DATE-TIME:");
            text.push_str(&time);
            text.push('\n');
        }
        let seconds = f64::from(segment.duration.as_micros()) / 1e6;
        writeln!(text, "#EXTINF:{seconds:.6},\n/ipfs/{}", segment.content).expect("a string grows");
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}
