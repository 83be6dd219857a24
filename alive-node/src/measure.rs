//! What the renditions of streams are, measured from the content that the node serves itself: [`Measures`].

use std::{sync::Arc, time::Duration};

use alive_core::{ContentId, Quality, Segment, StreamId};
use alive_playlist::{
    RenditionMeter,
    probe::{InitProbe, SegmentProbe, probe_ts},
};
use alive_storage::{ContentReader as _, SharedContentReader};
use bytes::Bytes;
use moka::future::Cache;
use tokio::{sync::Mutex, time::Instant};

use crate::playlists::Watched;

/// Measures a rendition when somebody asks for it, and goes on from there the next time. A clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    content: Option<SharedContentReader>,
    renditions: Cache<(StreamId, Quality), Arc<Mutex<Measured>>>,
}

/// A rendition as far as it was measured.
#[derive(Debug)]
struct Measured {
    meter: RenditionMeter,
    /// The first segment that was not looked at.
    next: usize,
    probed: bool,
    /// The initialisation section that was read last, and what it says; nothing when it is none.
    section: Option<(ContentId, Option<Arc<InitProbe>>)>,
}

/// What a segment is needed with.
#[derive(Clone, Debug)]
enum Kind {
    /// A fragment of MP4 behind this section.
    Fragment(Arc<InitProbe>),
    /// MPEG-TS, which stands for itself.
    Ts,
    /// A fragment whose section is not here, or none.
    Unknown,
}

impl Measures {
    /// How many renditions are remembered.
    const RENDITIONS: u64 = 4096;
    /// How many segments are measured of a list that nobody has asked for before: ten minutes of usual ones.
    const SEGMENTS: usize = 60;
    /// How long somebody waits for it. What is not measured then is the next time.
    const PATIENCE: Duration = Duration::from_secs(3);
    /// The largest segment that is probed, in bytes: ten seconds at 25 Mbit/s.
    const PROBED_BYTES: usize = 32 << 20;
    /// The largest initialisation section that is read, in bytes. No larger one is published.
    const SECTION_BYTES: usize = 1 << 20;

    /// Measures nothing without content: then nobody knows.
    pub(crate) fn new(content: Option<SharedContentReader>) -> Self {
        let renditions = Cache::builder().max_capacity(Self::RENDITIONS).build();
        Self { content, renditions }
    }

    /// What is known of a rendition now. Those who ask at once wait for the same measuring.
    pub(crate) async fn measure(&self, list: &Watched) -> RenditionMeter {
        let target = list.playlist().target_seconds;
        let target = target.try_into().unwrap_or(std::num::NonZeroU32::MIN);
        let meter = RenditionMeter::new(target);
        let fresh = || Measured { meter: meter.clone(), next: 0, probed: false, section: None };
        let Some(content) = &self.content else { return fresh().meter };
        let key = (list.stream().clone(), list.quality());
        let measured = self.renditions.get_with(key, async { Arc::new(Mutex::new(fresh())) }).await;
        let mut measured = measured.lock().await;
        let count = list.playlist().segments;
        if measured.next > count {
            // The list was begun anew.
            *measured = fresh();
        }
        let start = measured.next.max(count.saturating_sub(Self::SEGMENTS));
        if start > measured.next {
            measured.meter.add_hole();
            measured.next = start;
        }
        let deadline = Instant::now() + Self::PATIENCE;
        let sections = list.sections(start, Self::SEGMENTS).into_iter();
        for (segment, section) in list.segments(start, Self::SEGMENTS).into_iter().zip(sections) {
            let adding = measured.add(&segment, section, content);
            if tokio::time::timeout_at(deadline, adding).await.is_err() {
                break;
            }
            measured.next += 1;
        }
        measured.meter.clone()
    }
}

impl Measured {
    /// Looks at a segment. What is not here is a hole. The first is probed, and those with which something changes.
    async fn add(
        &mut self,
        segment: &Segment,
        section: Option<ContentId>,
        content: &SharedContentReader,
    ) {
        if segment.flags.discontinuity() {
            self.probed = false;
        }
        let kind = self.turn_to(section, content).await;
        let size =
            if segment.flags.gap() { None } else { content.size(&segment.content).await.ok() };
        let Some(size) = size else { return self.meter.add_hole() };
        let probe =
            if self.probed { None } else { probe(&segment.content, size, kind, content).await };
        // Nothing waits from here on: a segment is taken whole or not at all.
        self.meter.add_size(size, segment.duration);
        if let Some(probe) = probe {
            self.meter.add_probe(&probe);
            self.probed = true;
        }
    }

    /// What the next segment is. With another section than before something changes.
    async fn turn_to(&mut self, section: Option<ContentId>, content: &SharedContentReader) -> Kind {
        let known = self.section.as_ref().map(|(id, _)| *id);
        if known != section {
            self.probed = false;
            self.section = None;
        }
        let Some(id) = section else { return Kind::Ts };
        if self.section.is_none() {
            let bytes = read(&id, Measures::SECTION_BYTES, content).await;
            let init = bytes.map(|bytes| InitProbe::read(&bytes).ok().map(Arc::new));
            self.section = init.map(|init| (id, init));
        }
        match &self.section {
            Some((_, Some(init))) => Kind::Fragment(Arc::clone(init)),
            _ => Kind::Unknown,
        }
    }
}

/// `None` when the segment is too large, damaged, or nothing that can be measured.
async fn probe(
    id: &ContentId,
    size: u64,
    kind: Kind,
    content: &SharedContentReader,
) -> Option<SegmentProbe> {
    let len = usize::try_from(size).ok().filter(|len| *len <= Measures::PROBED_BYTES)?;
    if matches!(kind, Kind::Unknown) {
        return None;
    }
    let bytes = content.read(id, 0, len).await.ok()?;
    let probing = tokio::task::spawn_blocking(move || match kind {
        Kind::Fragment(init) => init.probe_fragment(&bytes).ok(),
        Kind::Ts => probe_ts(&bytes).ok(),
        Kind::Unknown => None,
    });
    probing.await.ok().flatten()
}

/// The whole of some content; `None` when it is not here, or larger than `limit` bytes.
async fn read(id: &ContentId, limit: usize, content: &SharedContentReader) -> Option<Bytes> {
    let len = usize::try_from(content.size(id).await.ok()?).ok().filter(|len| *len <= limit)?;
    content.read(id, 0, len).await.ok()
}
