//! One list as an engine: stream, chunks and live segments go in, bytes come out.

mod publish;

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use alive_core::{
    ChunkContent, ContentId, Flags, GatewayUrl, Listed, LiveKey, LiveLayer, MergedTimeline,
    Network, Quality, Segment, Seq, StorageKind, Stream, StreamId, Timeline, Timestamp,
    backend::LivePart, timeline,
};
use alive_playlist::{ListEntry, ListSettings, LivePlaylist, Portion, assemble_portion};

use super::{
    gzip::GrowingGzip,
    held::{Held, Sought},
    parts::Parts,
    playlist::Playlist,
    segments::Pass,
    text::ListText,
};
use crate::presence::Found;

/// The state of one list.
#[derive(Debug)]
pub(super) struct View {
    quality: Quality,
    settings: ListSettings,
    network: Network,
    pub(super) stream: Arc<Stream>,
    /// The streams of other networks that are one with it.
    twins: Vec<Twin>,
    pub(super) timeline: MergedTimeline,
    /// Which segments and sections this node has; `None` when it does not look, or players fetch them from elsewhere.
    pub(super) segments: Option<Held>,
    list: LivePlaylist,
    /// How the list was begun: what is made of it anew follows the same rises of the target.
    begun: ListSettings,
    gzip: GrowingGzip,
    parts: Parts,
    /// Whether parts that were published have been taken back.
    took_back: bool,
    /// The first push that the timeline has not taken yet, as far as is known outside of it.
    next: Option<Seq>,
    published: Option<Arc<Playlist>>,
}

/// Where the live cache has a stream's segments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LiveSource {
    pub(super) stream: StreamId,
    layer: Option<LiveLayer>,
    key: Option<LiveKey>,
}

/// A stream of another network that is one with this.
#[derive(Debug)]
struct Twin {
    id: StreamId,
    stream: Arc<Stream>,
    /// As that of the view.
    next: Option<Seq>,
}

impl View {
    /// Most segments of each chain that a list holds; later chunks count as refused. Our own limit: three segments a second for
    /// a day. A stream of the most and the largest chunks would have a million and a half.
    pub(super) const MAX_SEGMENTS: usize = 262_144;

    pub(super) fn new(
        network: Network,
        stream: Arc<Stream>,
        quality: Quality,
        patience: Duration,
        settings: ListSettings,
    ) -> Self {
        let settings = reachable(settings, &stream);
        Self {
            quality,
            list: LivePlaylist::new(&settings),
            begun: settings.clone(),
            gzip: GrowingGzip::default(),
            parts: Parts::new(quality),
            took_back: false,
            settings,
            network,
            stream,
            twins: Vec::new(),
            timeline: MergedTimeline::new(quality, patience),
            segments: None,
            next: Some(Seq::ZERO),
            published: None,
        }
    }

    /// Looks for the segments in this node's own content, if that is where players fetch them.
    #[must_use]
    pub(super) fn checked(self) -> Self {
        let own = self.settings.gateway.is_none();
        Self { segments: own.then(Held::default), ..self }
    }

    /// Whether one chain says so at least.
    pub(super) fn ended(&self) -> bool {
        self.streams().any(|stream| stream.info().ended)
    }

    /// The names that it has on other networks.
    pub(super) fn twins(&self) -> impl Iterator<Item = &StreamId> {
        self.twins.iter().map(|twin| &twin.id)
    }

    /// Where the live cache has segments, by each of the stream's names of which `id` is the first.
    pub(super) fn live_sources(&self, id: &StreamId) -> Vec<LiveSource> {
        let names = [id].into_iter().chain(self.twins());
        let sources = names.zip(self.streams()).map(|(id, stream)| {
            let settings = &stream.info().settings;
            LiveSource { stream: id.clone(), layer: settings.l2, key: settings.live_key.clone() }
        });
        sources.collect()
    }

    /// The renditions that any chain tells of.
    pub(super) fn renditions(&self) -> HashSet<Quality> {
        self.streams().flat_map(|stream| timeline::renditions(stream)).collect()
    }

    fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        [&self.stream].into_iter().chain(self.twins.iter().map(|twin| &twin.stream))
    }

    /// The streams of other networks changed, or became one with it, or are it no more. [`set_stream`](Self::set_stream)
    /// comes after it.
    pub(super) fn set_twins(&mut self, twins: Vec<(StreamId, Arc<Stream>)>) {
        let old = std::mem::take(&mut self.twins);
        let twin = |(id, stream): (StreamId, Arc<Stream>)| {
            let known = old.iter().find(|twin| twin.id == id);
            let next = step_back(known.map_or(Some(Seq::ZERO), |twin| twin.next), &stream);
            Twin { id, stream, next }
        };
        self.twins = twins.into_iter().map(twin).collect();
    }

    /// The stream changed.
    pub(super) fn set_stream(&mut self, stream: Arc<Stream>) {
        self.stream = stream;
        if self.timeline.ended() && !self.ended() {
            // The end was undone: the timeline will begin anew.
            self.next = Some(Seq::ZERO);
            self.twins.iter_mut().for_each(|twin| twin.next = Some(Seq::ZERO));
            self.begun = self.lasting_settings();
            self.list = LivePlaylist::new(&self.begun);
            self.gzip = GrowingGzip::default();
            self.parts.clear();
        }
        self.next = step_back(self.next, &self.stream);
    }

    #[cfg(test)]
    fn offer_live(&mut self, segment: Segment) {
        self.offer_live_of(&self.network.clone(), segment, None);
    }

    /// Takes a segment from the live cache of the stream's name on a network.
    pub(super) fn offer_live_of(
        &mut self,
        network: &Network,
        segment: Segment,
        section: Option<ContentId>,
    ) {
        if segment.content.kind() == self.stream.info().settings.storage {
            self.timeline.offer_live_with(network, segment, section);
        }
    }

    /// Takes a part of a segment that is being recorded from the live cache of one of the stream's names.
    pub(super) fn offer_part(&mut self, part: &LivePart) {
        if part.content.kind() == self.stream.info().settings.storage {
            self.parts.take(part);
        }
    }

    /// A segment was announced: its source, and what is listed of it in this quality.
    pub(super) fn announced(&mut self, source: &ContentId, listed: &ContentId) {
        self.parts.announced(source, listed);
    }

    /// The chunks that the next update looks at.
    pub(super) fn needed(&self) -> impl Iterator<Item = (Seq, ContentId)> {
        self.chains().flat_map(|(_, stream, next)| self.needed_of(stream, next))
    }

    /// The chunks of one chain that the next update looks at.
    fn needed_of(
        &self,
        stream: &Stream,
        next: Option<Seq>,
    ) -> impl Iterator<Item = (Seq, ContentId)> {
        let (ended, finalized) = (self.ended(), stream.info().finalized);
        timeline::chunk_ids(stream, self.quality).filter(move |(seq, _)| {
            ended || (Some(*seq) <= finalized && next.is_some_and(|next| *seq >= next))
        })
    }

    /// Each network, the stream's state there, and its first push that the timeline has not taken.
    fn chains(&self) -> impl Iterator<Item = (&Network, &Stream, Option<Seq>)> {
        let twins = self.twins.iter().map(|twin| (&twin.id.network, &*twin.stream, twin.next));
        [(&self.network, &*self.stream, self.next)].into_iter().chain(twins)
    }

    /// When an update goes on without the push that it waits for.
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.timeline.poll_timeout()
    }

    /// Brings the list up to date. `known` tells, by canonical id, what is known of the [needed](Self::needed) chunks.
    pub(super) fn arrange(&mut self, known: &HashMap<ContentId, ChunkContent>, now: Timestamp) {
        let too_many = self.too_many(known);
        let content = |id: &ContentId| {
            let id = id.canonical();
            if too_many.contains(&id) {
                return ChunkContent::Refused;
            }
            known.get(&id).cloned().unwrap_or(ChunkContent::Unavailable)
        };
        let was_archive = self.timeline.ended();
        let twins = self.twins.iter().map(|twin| (&twin.id.network, &*twin.stream));
        let streams: Vec<_> = [(&self.network, &*self.stream)].into_iter().chain(twins).collect();
        self.timeline.update(&streams, content, now);
        let waiting = |network| self.timeline.of(network).and_then(Timeline::waiting);
        self.next = waiting(&self.network).or_else(|| first_open(&self.stream));
        for twin in &mut self.twins {
            twin.next = waiting(&twin.id.network).or_else(|| first_open(&twin.stream));
        }
        if let Some(segments) = &mut self.segments {
            let (listed, sections) = (self.timeline.listed(), self.timeline.sections());
            if was_archive || self.timeline.ended() {
                segments.replace(listed, sections);
            } else {
                segments.extend(listed, sections);
            }
        }
    }

    /// Whether it looks for segments at all.
    pub(super) fn looks(&self) -> bool {
        self.segments.is_some()
    }

    /// Whether an archive may turn out to have gaps, because some segments were never looked for.
    pub(super) fn may_have_gaps(&self) -> bool {
        let unlooked = self.segments.as_ref().map_or(0, Held::unlooked);
        self.timeline.ended() && unlooked > 0
    }

    /// The next segments or sections to look for, see [`Held::batch`].
    pub(super) fn segments_to_look_for(
        &self,
        sought: Sought,
        pass: Pass,
        from: usize,
        limit: usize,
    ) -> (Vec<ContentId>, Option<usize>) {
        let (listed, sections) = (self.timeline.listed(), self.timeline.sections());
        let segments = self.segments.as_ref();
        segments.map_or_else(Default::default, |segments| {
            segments.batch(sought, listed, sections, (pass, from, limit))
        })
    }

    /// Takes what is known now of a segment, if it is listed; whether that is news.
    pub(super) fn settle(&mut self, id: &ContentId, found: Found) -> bool {
        self.segments.as_mut().is_some_and(|segments| segments.settle(id, found))
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        /// What the timeline and the text take of each, plain and compressed.
        const SEGMENT: usize = size_of::<Listed>() + 32 + 8 + 2 * 120 + 2 * 50;
        const PUSH: usize = 128;
        let segment = SEGMENT + self.segments.as_ref().map_or(0, |_| Held::BYTES);
        let pushes: usize = self.streams().map(|stream| stream.pushes().count()).sum();
        // Of a stream on several chains each has a list of its own besides.
        let lists = if self.twins.is_empty() { 1 } else { 2 + self.twins.len() };
        let further = (lists - 1) * (size_of::<Listed>() + 32 + 8);
        self.timeline.listed().len() * (segment + further) + pushes * PUSH
    }

    /// What is asked for of the list, with segments from another gateway, which may have what this node lacks.
    pub(super) fn render(&self, portion: Portion, gateway: Option<&GatewayUrl>) -> Vec<u8> {
        let ended = self.timeline.ended();
        match gateway {
            None if ended => self.archive(portion),
            None => self.list.portion(portion),
            Some(gateway) if !ended && self.list.has_parts() => {
                let mut list = LivePlaylist::new(&self.begun.clone().gateway(gateway.clone()));
                // What came since is not published yet.
                let count = usize::try_from(self.list.segment_count()).unwrap_or(usize::MAX);
                list.extend(self.entries(0).take(count));
                let mut list = list.with_parts_of(&self.list);
                list.set_reports(self.reports(Some(gateway)));
                list.portion(portion)
            }
            Some(gateway) => {
                let settings = if ended { self.lasting_settings() } else { self.begun.clone() };
                assemble_portion(
                    self.entries(0),
                    ended,
                    &settings.gateway(gateway.clone()),
                    portion,
                )
            }
        }
    }

    /// What is listed from a place on, as it was told.
    fn entries(&self, from: usize) -> impl Iterator<Item = ListEntry<'_>> + Clone {
        let listed = self.timeline.listed().get(from..).unwrap_or_default().iter();
        let sections = self.timeline.sections().since(from);
        listed.zip(sections).map(|(listed, section)| ListEntry::new(&listed.segment, section))
    }

    /// The archive's list. Segments that cannot be had keep their place. Source: `spec/hls.md`, section 3, "GAP".
    fn archive(&self, portion: Portion) -> Vec<u8> {
        let gaps = self.gaps();
        let entries = self.entries(0).enumerate().map(|(at, entry)| match gaps.get(&at) {
            Some(gap) => ListEntry::new(gap, entry.section),
            None => entry,
        });
        assemble_portion(entries, true, &self.lasting_settings(), portion)
    }

    /// The segments that this node lacks, or whose section it does, as they are listed.
    fn gaps(&self) -> HashMap<usize, Segment> {
        let sections = self.timeline.sections();
        let places = self.segments.iter().flat_map(|segments| segments.lost(sections));
        let gap = |at| {
            let Listed { segment, .. } = self.timeline.listed().get(at)?;
            Some((at, segment.with_flags(Flags::new(segment.flags.discontinuity(), true))))
        };
        places.filter_map(gap).collect()
    }

    /// The settings with the target duration that was announced already: it is never lowered.
    fn lasting_settings(&self) -> ListSettings {
        let announced = NonZeroU32::new(self.list.target_seconds());
        let target = announced.map_or(self.settings.target_seconds, |announced| {
            announced.max(self.settings.target_seconds)
        });
        self.settings.clone().target_seconds(target)
    }

    /// Chunks that would make a chain's list too long, by canonical id.
    fn too_many(&self, known: &HashMap<ContentId, ChunkContent>) -> Vec<ContentId> {
        let mut too_many = Vec::new();
        for (network, stream, next) in self.chains() {
            let listed = self.timeline.of(network).map_or(0, |timeline| timeline.listed().len());
            let mut total = if self.ended() { 0 } else { listed };
            for (_, id) in self.needed_of(stream, next) {
                let id = id.canonical();
                let Some(ChunkContent::Ready(chunk)) = known.get(&id) else { continue };
                let more = total + chunk.segments().len();
                if more > Self::MAX_SEGMENTS {
                    too_many.push(id);
                } else {
                    total = more;
                }
            }
        }
        too_many
    }
}

/// The first push that is not taken when all are.
fn first_open(stream: &Stream) -> Option<Seq> {
    stream.info().finalized.map_or(Some(Seq::ZERO), Seq::next)
}

/// Follows what the timeline does when blocks were undone.
fn step_back(next: Option<Seq>, stream: &Stream) -> Option<Seq> {
    match (first_open(stream), next) {
        (Some(open), Some(next)) => Some(next.min(open)),
        (open, next) => open.or(next),
    }
}

/// Segments on Skynet cannot be had from this node. Unless a gateway is set, the streamer's own is the best guess.
fn reachable(settings: ListSettings, stream: &Stream) -> ListSettings {
    let configured = &stream.info().settings;
    match (&settings.gateway, &configured.gateway, configured.storage) {
        (None, Some(gateway), StorageKind::Skynet) => settings.gateway(gateway.clone()),
        _ => settings,
    }
}

#[cfg(test)]
mod tests;
