//! What a stream will do on the chain, and what that takes: [`StreamPlan`], [`StreamCost`].

use std::time::Duration;

use alive_core::{
    AccountName, Chunk, ChunkWriter, Configure, ContentId, DEFAULT_CUSTOM_JSON_ID, End, Link, Op,
    Push, Quality, Renditions, Segment, SegmentDuration, Seq,
};

use crate::{
    block_id::BlockId,
    operation::{CustomJson, Operation},
    serialize::Pack,
    signature::RecoverableSignature,
    time::TimePoint,
    transaction::{SignedTransaction, Tapos, Transaction},
};

use super::{Cost, ObjectSizes, PerResource, Prices};

/// How long a transaction of ours is valid. Source: `spec/hive.md`, section 4.3.
const EXPIRATION_SECS: u32 = 60;
/// A content id as long as those of segments are: a CID of version 1.
const CONTENT_ID: &str = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

/// What a stream will do on the chain.
///
/// ```
/// use std::time::Duration;
/// use alive_hive::cost::{ObjectSizes, Prices, StreamPlan};
/// let plan = StreamPlan::new("alice".parse()?, "stream1".parse()?, Duration::from_secs(2 * 3600))
///     .interval(Duration::from_secs(60))
///     .renditions(2);
/// let cost = plan.cost(&ObjectSizes::HIVED, &Prices::mainnet_example())?;
/// // One transaction creates the stream, one ends it, and one a minute pushes.
/// assert_eq!(cost.transactions(), 1 + 120 + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamPlan {
    account: AccountName,
    link: Link,
    length: Duration,
    interval: Duration,
    segment: Duration,
    renditions: usize,
    custom_json_id: Box<str>,
    post: Vec<Operation>,
}

impl StreamPlan {
    /// Longest stream that can be planned. Our own limit.
    pub const MAX_LENGTH: Duration = Duration::from_hours(30 * 24);

    /// A stream of that length: a push a minute, segments of 10 seconds, the source only.
    pub fn new(account: AccountName, link: Link, length: Duration) -> Self {
        Self {
            account,
            link,
            length,
            interval: Duration::from_mins(1),
            segment: Duration::from_secs(10),
            renditions: 0,
            custom_json_id: DEFAULT_CUSTOM_JSON_ID.into(),
            post: Vec::new(),
        }
    }

    /// Who streams.
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// Sets the time between pushes; what is shorter than a segment pushes every segment.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Sets how long a segment is.
    #[must_use]
    pub fn segment(self, segment: Duration) -> Self {
        Self { segment, ..self }
    }

    /// Sets how many transcoded renditions there are beside the source.
    #[must_use]
    pub fn renditions(self, renditions: usize) -> Self {
        Self { renditions, ..self }
    }

    /// Sets the id of the custom operations.
    #[must_use]
    pub fn custom_json_id(self, id: impl Into<Box<str>>) -> Self {
        Self { custom_json_id: id.into(), ..self }
    }

    /// Sets the operations of a post about the stream. It is edited once, when the stream has ended.
    #[must_use]
    pub fn post(self, operations: Vec<Operation>) -> Self {
        Self { post: operations, ..self }
    }

    /// What it takes at these prices.
    ///
    /// The sizes are those of real transactions with ids and numbers of full length, so that the estimate is rather too
    /// high than too low.
    ///
    /// # Errors
    /// [`PlanError`] says what cannot be streamed like this.
    pub fn cost(&self, sizes: &ObjectSizes, prices: &Prices) -> Result<StreamCost, PlanError> {
        let pushes = self.pushes()?;
        let price = |name, count, operations: Vec<Operation>| {
            let (bytes, used) = measure(operations, sizes);
            CostItem { name, count, bytes, used, cost: prices.cost(&used) }
        };
        let data = |op: &Op| {
            let account = self.account.as_str();
            vec![CustomJson::posting(account, &self.custom_json_id, op.to_json()).into()]
        };
        let mut first = Vec::new();
        if !self.post.is_empty() {
            first.push(price("post", 1, self.post.clone()));
        }
        first.push(price("configure", 1, data(&Op::Configure(Configure::new(self.link.clone())))));
        let push = price("push", pushes.count, data(&Op::Push(pushes.example)));
        let mut last = vec![price("end", 1, data(&Op::End(End { link: self.link.clone() })))];
        if let Some(post) = self.post.first() {
            last.push(price("edit", 1, vec![post.clone()]));
        }
        Ok(StreamCost { first, push, last, every: pushes.every, length: self.length })
    }

    fn pushes(&self) -> Result<Pushes, PlanError> {
        if self.length > Self::MAX_LENGTH {
            return Err(PlanError::TooLong);
        }
        let micros = u32::try_from(self.segment.as_micros()).map_err(|_| PlanError::Segment)?;
        let exact = SegmentDuration::from_micros(micros).map_err(|_| PlanError::Segment)?;
        // Real lengths are hardly ever round, so they are written with milliseconds.
        let duration = SegmentDuration::from_micros(micros / 10_000 * 10_000 + 1000);
        let duration = duration.unwrap_or(exact);
        if self.renditions > Quality::TRANSCODED.len() {
            return Err(PlanError::Renditions(self.renditions));
        }
        let content: ContentId = CONTENT_ID.parse().map_err(|_| PlanError::Segment)?;
        let room = in_one_chunk(&Segment::new(content, duration))?;
        let longest = self.segment.saturating_mul(room);
        let every = self.interval.clamp(self.segment, longest);
        let count = u64::try_from(self.length.as_nanos().div_ceil(every.as_nanos().max(1)))
            .map_err(|_| PlanError::TooLong)?;
        let seq = Seq::new(count.saturating_sub(1)).ok_or(PlanError::TooManyPushes { count })?;
        let mut renditions = Renditions::default();
        for quality in Quality::TRANSCODED.into_iter().take(self.renditions) {
            renditions.insert(quality, content);
        }
        // Less than two segments go onto the chain as they are, more in chunks.
        let len = (every < self.segment.saturating_mul(2)).then_some(duration);
        let link = self.link.clone();
        let example = Push { link, seq, src: content, len, renditions, discontinuity: false };
        Ok(Pushes { count, every, example })
    }
}

/// How often a stream pushes, and what.
struct Pushes {
    count: u64,
    every: Duration,
    example: Push,
}

/// How many segments a chunk holds.
fn in_one_chunk(segment: &Segment) -> Result<u32, PlanError> {
    let mut writer = ChunkWriter::default();
    // Each takes more than a byte, so this ends.
    for _ in 0..Chunk::MAX_BYTES {
        if !writer.push(segment).map_err(|_| PlanError::Segment)? {
            break;
        }
    }
    u32::try_from(writer.count().max(1)).map_err(|_| PlanError::Segment)
}

/// Bytes and usage of a transaction of these operations with one signature.
fn measure(operations: Vec<Operation>, sizes: &ObjectSizes) -> (u64, PerResource<u64>) {
    let now = TimePoint::from_unix_secs(0);
    let expiration = now.after_secs(EXPIRATION_SECS);
    let transaction = Transaction::new(Tapos::of(&BlockId::ZERO), expiration, operations);
    let signatures = vec![RecoverableSignature::from_bytes([0; 65])];
    let signed = SignedTransaction { transaction, signatures };
    let used = sizes.usage(&signed, Pack::Legacy, now);
    (used.history_bytes, used)
}

/// Transactions of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostItem {
    /// What they do: `configure`, `push`, `end`, `post`, `edit`.
    pub name: &'static str,
    /// How many there are.
    pub count: u64,
    /// Bytes of each, with its signature.
    pub bytes: u64,
    /// What each uses.
    pub used: PerResource<u64>,
    /// Credits that each takes.
    pub cost: Cost,
}

impl CostItem {
    /// Credits that all of them take.
    pub fn total(&self) -> u64 {
        self.cost.total.saturating_mul(self.count)
    }
}

/// What a stream takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCost {
    pub(super) first: Vec<CostItem>,
    pub(super) push: CostItem,
    pub(super) last: Vec<CostItem>,
    pub(super) every: Duration,
    pub(super) length: Duration,
}

impl StreamCost {
    /// All kinds of transactions, in the order in which they begin.
    pub fn items(&self) -> impl Iterator<Item = &CostItem> {
        self.first.iter().chain([&self.push]).chain(&self.last)
    }

    /// The transactions that push.
    pub fn push(&self) -> &CostItem {
        &self.push
    }

    /// Time between two pushes. It may be other than planned, since a segment is the least and a full chunk the most
    /// that is pushed.
    pub fn push_interval(&self) -> Duration {
        self.every
    }

    /// How long the stream is.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> u64 {
        self.items().map(|item| item.count).sum()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.items().map(|item| item.bytes.saturating_mul(item.count)).sum()
    }

    /// Credits that all of them take.
    pub fn total(&self) -> u64 {
        self.items().fold(0, |sum, item| sum.saturating_add(item.total()))
    }
}

/// Why a stream cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// So many renditions.
    #[error("{0} renditions beside the source, at most {max}", max = Quality::TRANSCODED.len())]
    Renditions(usize),
    /// No segment has that length.
    #[error("a segment cannot be that long")]
    Segment,
    /// It is longer than what can be planned.
    #[error("a stream of more than {} days", StreamPlan::MAX_LENGTH.as_secs() / 86_400)]
    TooLong,
    /// A stream has no numbers for so many pushes.
    #[error("{count} pushes, more than a stream can have; push less often")]
    TooManyPushes {
        /// How many.
        count: u64,
    },
}
