//! What a player is shown of a stream that several chains tell: [`MergedTimeline`].
//!
//! Each chain has a [`Timeline`] of its own, with its own sequence numbers and its own patience, and their lists are
//! [merged](crate::MergedList). No chain waits for another: one that is behind, or stopped, only attests later, or not.
//! The stream has ended as soon as one chain says so; what the others still push then joins the archive.

use std::time::Duration;

use crate::{
    account::Network,
    content::ContentId,
    merged::MergedList,
    op::Seq,
    quality::Quality,
    sections::Sections,
    segment::Segment,
    stream::Stream,
    time::Timestamp,
    timeline::{ChunkContent, Listed, Timeline},
    twins::Twins,
};

/// The list of one rendition of a stream on one network or several.
///
/// ```
/// use std::time::Duration;
/// use alive_core::{
///     ChunkContent, Configure, MergedTimeline, Network, Op, Quality, Stream, Timeline, Timestamp,
/// };
/// let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
/// let mut hive = Stream::create(&Configure::new("s".parse()?), 0, 1, Timestamp::EPOCH);
/// let mut avalon = hive.clone();
/// let push = format!(r#"{{"op":0,"link":"s","seq":0,"src":"{cid}","len":10}}"#);
/// let Op::Push(push) = Op::from_json(&push)? else { unreachable!() };
/// avalon.push(&push, Timestamp::EPOCH)?;
///
/// let mut timeline = MergedTimeline::new(Quality::Src, Timeline::DEFAULT_PATIENCE);
/// let networks = (Network::hive(), Network::avalon());
/// let streams = [(&networks.0, &hive), (&networks.1, &avalon)];
/// timeline.update(&streams, |_| ChunkContent::Unavailable, Timestamp::EPOCH);
/// assert_eq!(timeline.listed().len(), 1);
/// let attested: Vec<_> = timeline.attested(0).collect();
/// assert_eq!(attested, [(&networks.1, push.seq)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MergedTimeline {
    quality: Quality,
    patience: Duration,
    parts: Vec<Part>,
    /// `None` while there is one chain and never were more: then its list is the list.
    merged: Option<MergedList>,
    /// Those of the merged list. What is listed keeps its section.
    sections: Sections,
    ended: bool,
}

/// What one chain tells.
#[derive(Debug)]
struct Part {
    network: Network,
    timeline: Timeline,
}

impl MergedTimeline {
    /// Most chains of one stream; more are not looked at.
    pub const MAX_CHAINS: usize = Twins::MAX + 1;

    /// An empty list of one rendition.
    pub fn new(quality: Quality, patience: Duration) -> Self {
        Self {
            quality,
            patience,
            parts: Vec::new(),
            merged: None,
            sections: Sections::default(),
            ended: false,
        }
    }

    /// The segments in playing order. Of a stream on several chains the sequence numbers in it are as they were first
    /// seen; [`attested`](Self::attested) tells them as they are.
    pub fn listed(&self) -> &[Listed] {
        match &self.merged {
            Some(merged) => merged.listed(),
            None => self.parts.first().map_or(&[], |part| part.timeline.listed()),
        }
    }

    /// The initialisation section of each listed segment.
    pub fn sections(&self) -> &Sections {
        match &self.merged {
            Some(_) => &self.sections,
            None => self.parts.first().map_or(&self.sections, |part| part.timeline.sections()),
        }
    }

    /// The chains that attest the segment of a place, each with its push there.
    pub fn attested(&self, place: usize) -> impl Iterator<Item = (&Network, Seq)> {
        self.parts.iter().enumerate().filter_map(move |(chain, part)| {
            let place = match &self.merged {
                Some(merged) => merged.place_in(chain, place)?,
                None => place,
            };
            Some((&part.network, part.timeline.listed().get(place)?.seq?))
        })
    }

    /// The networks that it is made of, the first one first.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.parts.iter().map(|part| &part.network)
    }

    /// The timeline of one chain.
    pub fn of(&self, network: &Network) -> Option<&Timeline> {
        self.parts.iter().find(|part| part.network == *network).map(|part| &part.timeline)
    }

    /// How often the chains told two orders of the same segments.
    pub fn contradictions(&self) -> usize {
        self.merged.as_ref().map_or(0, MergedList::contradictions)
    }

    /// Whether the stream has ended, on one chain at least, so that the list is the archive's.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The pushes of the first chain whose content its list lacks, see [`Timeline::passed`].
    pub fn passed(&self) -> &[Seq] {
        self.parts.first().map_or(&[], |part| part.timeline.passed())
    }

    /// The push of the first chain that a live list waits for. The list grows by what the other chains tell meanwhile.
    pub fn waiting(&self) -> Option<Seq> {
        self.parts.first().and_then(|part| part.timeline.waiting())
    }

    /// When [`update`](Self::update) will go on without a push that it waits for.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.parts.iter().filter_map(|part| part.timeline.poll_timeout()).min()
    }

    /// Takes a segment from the live cache of the stream's name on a network, see [`Timeline::offer_live`].
    pub fn offer_live(&mut self, network: &Network, segment: Segment) {
        self.offer_live_with(network, segment, None);
    }

    /// The same with the initialisation section that the segment needs.
    pub fn offer_live_with(
        &mut self,
        network: &Network,
        segment: Segment,
        section: Option<ContentId>,
    ) {
        if let Some(part) = self.part(network) {
            part.timeline.offer_live_with(segment, section);
        }
    }

    /// Brings the list up to the present state of the stream on each of its networks, of which each is given once. Those
    /// that are no longer given attest nothing more; what is listed of a live stream stays listed.
    pub fn update(
        &mut self,
        streams: &[(&Network, &Stream)],
        content: impl Fn(&ContentId) -> ChunkContent,
        now: Timestamp,
    ) {
        let streams = streams.get(..Self::MAX_CHAINS).unwrap_or(streams);
        let ended = streams.iter().any(|(_, stream)| stream.info().ended);
        self.leave(streams);
        self.join(streams);
        if self.ended || ended {
            // Made afresh: as an archive, or because the end was undone.
            self.merged = None;
            self.sections = Sections::default();
        }
        self.ended = ended;
        for (network, stream) in streams {
            if let Some(part) = self.part(network) {
                part.timeline.update_as(ended, stream, &content, now);
            }
        }
        if self.merged.is_some() || self.parts.len() > 1 {
            let lists: Vec<_> = self.parts.iter().map(|part| part.timeline.listed()).collect();
            self.merged.get_or_insert_default().extend(&lists);
            self.take_sections();
        }
    }

    /// Notes the sections of what was listed just now: that of the first chain which tells the segment with one.
    fn take_sections(&mut self) {
        let Some(merged) = &self.merged else { return };
        for place in self.sections.len()..merged.listed().len() {
            let told = self.parts.iter().enumerate().find_map(|(chain, part)| {
                part.timeline.sections().at(merged.place_in(chain, place)?).copied()
            });
            self.sections.push(told);
        }
    }

    /// Drops the chains that the stream is not on any more.
    fn leave(&mut self, streams: &[(&Network, &Stream)]) {
        for at in (0..self.parts.len()).rev() {
            let gone = self
                .parts
                .get(at)
                .is_some_and(|part| streams.iter().all(|(network, _)| **network != part.network));
            if gone {
                let list = self.parts.iter().map(|part| part.timeline.listed());
                // The only list must not vanish with its chain.
                if self.merged.is_none() && !self.ended {
                    self.merged.insert(MergedList::default()).extend(&list.collect::<Vec<_>>());
                    self.take_sections();
                }
                self.parts.remove(at);
                if let Some(merged) = &mut self.merged {
                    merged.remove(at);
                }
            }
        }
    }

    /// Begins with chains that are new, behind those that are there. What is listed keeps its place.
    fn join(&mut self, streams: &[(&Network, &Stream)]) {
        for (network, _) in streams {
            if self.of(network).is_none() {
                if let ([one], None) = (&self.parts[..], &self.merged) {
                    let merged = self.merged.insert(MergedList::default());
                    merged.extend(&[one.timeline.listed()]);
                    self.take_sections();
                }
                self.part(network);
            }
        }
    }

    /// What a chain tells, from now on if it told nothing yet.
    fn part(&mut self, network: &Network) -> Option<&mut Part> {
        let known = self.parts.iter().position(|part| part.network == *network);
        let at = known.unwrap_or(self.parts.len());
        if known.is_none() && at < Self::MAX_CHAINS {
            let timeline = Timeline::new(self.quality, self.patience);
            self.parts.push(Part { network: network.clone(), timeline });
        }
        self.parts.get_mut(at)
    }
}

#[cfg(test)]
mod tests;
