//! What the probe finds in the segments of a rendition: [`SegmentBytes`].

use alive_playlist::probe::{
    Container, Continuity, InitProbe, SegmentProbe, is_continuation, probe_ts,
};
use alive_stake::SegmentFacts;

/// The bytes of a segment: MPEG-TS, or a fragment of MP4 with the initialisation section that its list names.
///
/// ```
/// use alive_node::SegmentBytes;
/// let (init, fragment) = (&b"the section"[..], &b"the fragment"[..]);
/// let segment = SegmentBytes::new(fragment).section(init);
/// assert_eq!((segment.media, segment.section), (fragment, Some(init)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentBytes<'b> {
    /// The segment itself, whole.
    pub media: &'b [u8],
    /// The section that it needs.
    pub section: Option<&'b [u8]>,
}

impl<'b> SegmentBytes<'b> {
    /// A segment that stands for itself.
    pub fn new(media: &'b [u8]) -> Self {
        Self { media, section: None }
    }

    /// The section that it needs.
    #[must_use]
    pub fn section(self, section: &'b [u8]) -> Self {
        Self { section: Some(section), ..self }
    }
}

/// What there is in segments that follow each other. A section is read once as long as it stays the same.
pub(super) fn facts(segments: &[SegmentBytes<'_>]) -> Vec<SegmentFacts> {
    let (mut section, mut init) = (None, None);
    let mut before = None;
    let mut facts = Vec::with_capacity(segments.len());
    for segment in segments {
        if segment.section != section {
            section = segment.section;
            init = section.map(InitProbe::read);
        }
        let probe = match &init {
            None => probe_ts(segment.media).ok(),
            Some(Ok(init)) => init.probe_fragment(segment.media).ok(),
            Some(Err(_)) => {
                before = None;
                facts.push(SegmentFacts::without_section());
                continue;
            }
        };
        facts.push(one(probe.as_ref(), before.as_ref()));
        before = probe;
    }
    facts
}

fn one(probe: Option<&SegmentProbe>, before: Option<&SegmentProbe>) -> SegmentFacts {
    let measured = probe.and_then(|probe| Some((probe, probe.duration?)));
    let Some((probe, duration)) = measured else { return SegmentFacts::unreadable() };
    let is_intact = match probe.container {
        Container::Fmp4 { breaks, .. } => breaks == 0,
        Container::MpegTs(stats) => stats.continuity_errors == 0 && stats.damaged_packets == 0,
        _ => false,
    };
    let mut facts = SegmentFacts::new(duration, probe.starts_with_key_frame).intact(is_intact);
    facts.height =
        probe.video.as_ref().and_then(|video| video.resolution).map(|size| size.height.into());
    facts.codecs = probe.codecs();
    facts.continues = before.and_then(|before| {
        let found = is_continuation(before, before.duration?, probe);
        Some(found == Continuity::Continues)
    });
    facts
}
