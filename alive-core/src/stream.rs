//! One stream as the chain tells it: [`Stream`], the state machine of its operations.
//!
//! `head` is the highest sequence number seen, `finalized` the end of the gap-free run from 0. A push at or below
//! `finalized` is refused; above it, it may still be replaced. Source: `spec/indexer.md`, section 3.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    content::{ContentId, StorageKind},
    gateway::GatewayUrl,
    op::{Configure, LiveKey, LiveLayer, Push, Seq},
    quality::{Quality, Renditions},
    segment::{Flags, Segment, SegmentDuration},
    time::Timestamp,
    twins::Twins,
};

/// What a configure sets. Shared between the states of a stream, since it rarely changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the content lives; fixed at creation.
    pub storage: StorageKind,
    /// The live layer.
    pub l2: Option<LiveLayer>,
    /// The streamer's key on the live layer.
    pub live_key: Option<LiveKey>,
    /// The gateway that the streamer recommends.
    pub gateway: Option<GatewayUrl>,
    /// The names that it has on other networks, as it says.
    #[serde(default, skip_serializing_if = "Twins::is_empty")]
    pub also: Twins,
}

impl Settings {
    /// The live layer to listen on: the configured one, or `GunDB` when only a key was given, which is what the documented
    /// example of a configure does. Source: `spec/indexer.md`, section 2.
    pub fn live_layer(&self) -> Option<LiveLayer> {
        self.l2.or(self.live_key.as_ref().map(|_| LiveLayer::GunDb))
    }
}

/// The state of a stream without its pushes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Place among the streams of its streamer, from 0 in order of creation (`st_id`).
    pub number: u32,
    /// Place among all streams of its network, from 1 in order of creation (`id`).
    pub id: u64,
    /// Time of the block that created it.
    pub created: Timestamp,
    /// Time of the last configure or end.
    pub last_updated: Timestamp,
    /// Time of the first push.
    pub first_streamed: Option<Timestamp>,
    /// Time of the last push.
    pub last_streamed: Option<Timestamp>,
    /// End of the gap-free run of pushes from 0.
    pub finalized: Option<Seq>,
    /// Highest sequence number seen.
    pub head: Option<Seq>,
    /// Whether it has ended.
    pub ended: bool,
    /// What was configured.
    pub settings: Arc<Settings>,
}

/// A push that a stream holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// A chunk, or a segment when there is a length.
    pub src: ContentId,
    /// The segment's length; absent for a chunk.
    pub len: Option<SegmentDuration>,
    /// Whether a discontinuity stands before the segment.
    #[serde(default)]
    pub discontinuity: bool,
    /// The transcoded renditions, and the initialisation sections of all of it.
    #[serde(default)]
    pub renditions: Renditions,
}

impl Pushed {
    /// The segment that was pushed directly; `None` for a chunk.
    pub fn segment(&self) -> Option<Segment> {
        let flags = Flags::new(self.discontinuity, false);
        Some(Segment { content: self.src, duration: self.len?, flags })
    }

    /// The content of a rendition, the source included.
    pub fn content(&self, quality: Quality) -> Option<&ContentId> {
        match quality {
            Quality::Src => Some(&self.src),
            transcoded => self.renditions.get(transcoded),
        }
    }
}

impl Pushed {
    /// The initialisation section that the segments of a quality need.
    pub fn section(&self, quality: Quality) -> Option<&ContentId> {
        self.renditions.section(quality)
    }
}

impl From<&Push> for Pushed {
    fn from(push: &Push) -> Self {
        Self {
            src: push.src,
            len: push.len,
            discontinuity: push.discontinuity,
            renditions: push.renditions.clone(),
        }
    }
}

/// Why a well-formed operation does not change its stream. Nothing else changes either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
    /// The push is at or below the gap-free run.
    #[error("push {seq} is final, {finalized} is the last one that is")]
    Final {
        /// The push.
        seq: Seq,
        /// The end of the run.
        finalized: Seq,
    },
    /// There is no such stream: a configure must come first.
    #[error("no such stream, configure it first")]
    NoStream,
    /// Content of a push is not of the stream's storage.
    #[error("{quality}: {got} content in a stream on {want}")]
    Storage {
        /// Which rendition.
        quality: Quality,
        /// What it is.
        got: StorageKind,
        /// What the stream uses.
        want: StorageKind,
    },
}

/// A stream and all its pushes.
///
/// ```
/// use alive_core::{Configure, Op, Seq, Stream, Timestamp};
/// let mut stream = Stream::create(&Configure::new("s".parse()?), 0, 1, Timestamp::EPOCH);
/// let push = r#"{"op":0,"link":"s","seq":0,"src":"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"}"#;
/// let Op::Push(push) = Op::from_json(push)? else { unreachable!() };
/// stream.push(&push, Timestamp::EPOCH)?;
/// assert_eq!(stream.info().finalized, Some(Seq::ZERO));
/// assert!(stream.push(&push, Timestamp::EPOCH).is_err(), "final pushes never change");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    info: StreamInfo,
    pushes: Pushes,
}

impl Stream {
    /// The stream that a first configure creates, with its numbers within its streamer and its network.
    pub fn create(configure: &Configure, number: u32, id: u64, at: Timestamp) -> Self {
        let settings = Arc::new(Settings {
            storage: configure.storage,
            l2: configure.l2,
            live_key: configure.live_key.clone(),
            gateway: configure.gateway.clone(),
            also: configure.also.clone().unwrap_or_default(),
        });
        let info = StreamInfo {
            number,
            id,
            created: at,
            last_updated: at,
            first_streamed: None,
            last_streamed: None,
            finalized: None,
            head: None,
            ended: false,
            settings,
        };
        Self { info, pushes: Pushes::default() }
    }

    /// A stream as a store kept it.
    pub fn restore(info: StreamInfo, pushes: impl IntoIterator<Item = (Seq, Pushed)>) -> Self {
        let mut stream = Self { info, pushes: Pushes::default() };
        for (seq, pushed) in pushes {
            stream.pushes.set(seq, Some(pushed));
        }
        stream
    }

    /// Its state.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Its pushes by sequence number, those above a gap included.
    pub fn pushes(&self) -> impl Iterator<Item = (Seq, &Pushed)> {
        self.pushes.iter()
    }

    /// One push.
    pub fn pushed(&self, seq: Seq) -> Option<&Pushed> {
        self.pushes.get(seq)
    }

    /// Changes settings: what is given overwrites, what is absent stays, the storage never changes.
    pub fn configure(&mut self, configure: &Configure, at: Timestamp) {
        let Configure { l2, live_key, gateway, also, .. } = configure;
        if l2.is_some() || live_key.is_some() || gateway.is_some() || also.is_some() {
            let settings = Arc::make_mut(&mut self.info.settings);
            settings.l2 = l2.or(settings.l2);
            settings.live_key = live_key.clone().or_else(|| settings.live_key.take());
            settings.gateway = gateway.clone().or_else(|| settings.gateway.take());
            settings.also = also.clone().unwrap_or_else(|| std::mem::take(&mut settings.also));
        }
        self.info.last_updated = at;
    }

    /// Ends it. Ending it again moves the time again.
    pub fn end(&mut self, at: Timestamp) {
        self.info.ended = true;
        self.info.last_updated = at;
    }

    /// Adds a push and gives back the one it replaces.
    ///
    /// # Errors
    /// The stream has ended, the push is final, or its content is not of the stream's storage; nothing changed.
    pub fn push(&mut self, push: &Push, at: Timestamp) -> Result<Option<Pushed>, Refusal> {
        self.admit(push)?;
        let replaced = self.pushes.set(push.seq, Some(Pushed::from(push)));
        let info = &mut self.info;
        info.head = info.head.max(Some(push.seq));
        info.finalized = self.pushes.finalized();
        info.first_streamed.get_or_insert(at);
        info.last_streamed = Some(at);
        Ok(replaced)
    }

    fn admit(&self, push: &Push) -> Result<(), Refusal> {
        if self.info.ended {
            return Err(Refusal::Ended);
        }
        if let Some(finalized) = self.info.finalized.filter(|&finalized| push.seq <= finalized) {
            return Err(Refusal::Final { seq: push.seq, finalized });
        }
        let want = self.info.settings.storage;
        let all = [(Quality::Src, &push.src)].into_iter().chain(push.renditions.iter());
        match all.map(|(quality, id)| (quality, id.kind())).find(|&(_, got)| got != want) {
            Some((quality, got)) => Err(Refusal::Storage { quality, got, want }),
            None => Ok(()),
        }
    }

    /// Puts back an earlier state and what stood at `seq` then.
    pub(crate) fn put_back(&mut self, info: StreamInfo, push: Option<(Seq, Option<Pushed>)>) {
        self.info = info;
        if let Some((seq, before)) = push {
            self.pushes.set(seq, before);
        }
    }
}

/// Pushes by sequence number: the gap-free run as a list, what is above a gap as a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pushes {
    run: Vec<Pushed>,
    above: BTreeMap<Seq, Pushed>,
}

impl Pushes {
    /// Grow the run by an eighth at a time: doubling would let a day's stream hold twice its memory.
    const GROWTH: usize = 8;

    fn finalized(&self) -> Option<Seq> {
        Seq::new(u64::try_from(self.run.len()).ok()?.checked_sub(1)?)
    }

    fn get(&self, seq: Seq) -> Option<&Pushed> {
        self.run.get(seq.as_index()).or_else(|| self.above.get(&seq))
    }

    fn iter(&self) -> impl Iterator<Item = (Seq, &Pushed)> {
        let run = (0..).zip(&self.run).filter_map(|(at, pushed)| Some((Seq::new(at)?, pushed)));
        run.chain(self.above.iter().map(|(seq, pushed)| (*seq, pushed)))
    }

    /// Sets or removes what stands at `seq` and gives back what stood there. The run is kept as long as it can be.
    fn set(&mut self, seq: Seq, pushed: Option<Pushed>) -> Option<Pushed> {
        match pushed {
            Some(pushed) if seq.as_index() == self.run.len() => {
                let before = self.above.remove(&seq);
                self.append(pushed);
                before
            }
            Some(pushed) => match self.run.get_mut(seq.as_index()) {
                Some(slot) => Some(std::mem::replace(slot, pushed)),
                None => self.above.insert(seq, pushed),
            },
            None if seq.as_index() < self.run.len() => {
                let rest = self.run.split_off(seq.as_index());
                let mut rest = (u64::from(seq.as_u16())..).zip(rest);
                let before = rest.next().map(|(_, pushed)| pushed);
                self.above.extend(rest.filter_map(|(at, pushed)| Some((Seq::new(at)?, pushed))));
                before
            }
            None => self.above.remove(&seq),
        }
    }

    /// Puts one more at the end of the run and moves in what was waiting behind it.
    fn append(&mut self, pushed: Pushed) {
        let mut next = Some(pushed);
        while let Some(pushed) = next {
            if self.run.len() == self.run.capacity() {
                self.run.reserve_exact(self.run.len() / Self::GROWTH + 4);
            }
            self.run.push(pushed);
            let at = u64::try_from(self.run.len()).ok().and_then(Seq::new);
            next = at.and_then(|at| self.above.remove(&at));
        }
    }
}

#[cfg(test)]
mod tests;
