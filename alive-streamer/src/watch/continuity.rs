//! Whether a segment continues the one before it, as far as both can be measured.

use alive_playlist::probe::{
    Continuity, InitProbe, ProbeError, SegmentProbe, is_continuation, probe_ts,
};

use super::{Previous, Section, Watcher};
use crate::{
    files::read_unchanged,
    folder::Candidate,
    source::{Source, digest},
};

impl Watcher {
    /// Whether the segment does not continue the one before it, as far as both can be measured.
    pub(super) fn breaks(
        &mut self,
        candidate: &Candidate,
        section: Option<&Section>,
        probe: Option<&SegmentProbe>,
    ) -> bool {
        if let Previous::File(source) = &self.previous {
            self.previous = self.measure_again(source, section, &candidate.list, candidate.number);
        }
        match (&self.previous, probe) {
            (Previous::Measured(before, length), Some(probe)) => {
                matches!(is_continuation(before, *length, probe), Continuity::Breaks(_))
            }
            _ => false,
        }
    }

    /// Measures a segment that was taken by a session before this one, if its file is still there.
    pub(super) fn measure_again(
        &self,
        source: &Source,
        section: Option<&Section>,
        list: &str,
        number: u64,
    ) -> Previous {
        if source.section.as_ref() != section.map(|section| &section.source) {
            return Previous::Unknown;
        }
        let follows = *source.list == *list && source.number < number;
        let bytes = read_unchanged(&self.path.join(&*source.name), source.state);
        let Ok(Some(bytes)) = bytes else { return Previous::Unknown };
        match measure(section, &bytes) {
            Ok(probe) if follows && digest(&bytes) == source.digest => match probe.duration {
                Some(length) => Previous::Measured(Box::new(probe), length),
                None => Previous::Unknown,
            },
            _ => Previous::Unknown,
        }
    }
}

/// Measures a segment, fragments of MP4 by what their section says.
pub(super) fn measure(section: Option<&Section>, bytes: &[u8]) -> Result<SegmentProbe, ProbeError> {
    match section {
        Some(section) => InitProbe::read(&section.bytes)?.probe_fragment(bytes),
        None => probe_ts(bytes),
    }
}
