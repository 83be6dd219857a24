//! Whether a rendition is what it should be: [`check_rendition`].

use std::time::Duration;

/// How far a segment's length may be from that of the source's. As far as a recorder's may be from the measurement.
/// Source: `spec/hls.md`, section 9, "Order of trust".
pub const DURATION_TOLERANCE: Duration = Duration::from_millis(500);

/// What was measured in a segment. The crate measures nothing itself: a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentFacts {
    /// How long it plays; `None` when nothing could be measured.
    pub duration: Option<Duration>,
    /// Whether it starts with a picture that needs no other.
    pub starts_with_key_frame: bool,
    /// Lines of the picture; `None` when it has none.
    pub height: Option<u64>,
    /// Codecs as a playlist lists them, such as `avc1.4d4015,mp4a.40.2`; `None` when they could not be told.
    pub codecs: Option<String>,
    /// Whether nothing of it is missing within: no packets, and no time between its fragments.
    pub is_intact: bool,
    /// Whether it goes on where the segment before it ends, with the same tracks and codings; `None` for the first one, and
    /// when one of the two could not be measured.
    pub continues: Option<bool>,
    /// Whether it needs an initialisation section that is none, so that nobody can play it.
    pub lacks_section: bool,
}

impl SegmentFacts {
    /// A segment in which nothing could be measured.
    pub fn unreadable() -> Self {
        Self {
            duration: None,
            starts_with_key_frame: false,
            height: None,
            codecs: None,
            is_intact: false,
            continues: None,
            lacks_section: false,
        }
    }

    /// A fragment behind an initialisation section that is none.
    pub fn without_section() -> Self {
        Self { lacks_section: true, ..Self::unreadable() }
    }

    /// A segment that plays so long.
    pub fn new(duration: Duration, starts_with_key_frame: bool) -> Self {
        let duration = Some(duration);
        Self { duration, starts_with_key_frame, is_intact: true, ..Self::unreadable() }
    }

    /// With a picture of so many lines.
    #[must_use]
    pub fn height(self, height: u64) -> Self {
        Self { height: Some(height), ..self }
    }

    /// With these codecs.
    #[must_use]
    pub fn codecs(self, codecs: impl Into<String>) -> Self {
        Self { codecs: Some(codecs.into()), ..self }
    }

    /// Whether nothing of it is missing within.
    #[must_use]
    pub fn intact(self, is_intact: bool) -> Self {
        Self { is_intact, ..self }
    }

    /// Whether it goes on where the segment before it ends.
    #[must_use]
    pub fn continues(self, continues: bool) -> Self {
        Self { continues: Some(continues), ..self }
    }
}

/// What a rendition was promised to be; by default anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promise {
    /// Lines of the picture; `None` when nothing was promised.
    pub height: Option<u64>,
    /// Families of codecs, video first, as the part of a codec's text before its first dot: `avc1`, `mp4a`. None when
    /// nothing was promised.
    pub codecs: Vec<String>,
}

impl Promise {
    /// A picture of so many lines.
    pub fn new(height: u64) -> Self {
        Self { height: Some(height), codecs: Vec::new() }
    }

    /// And these families of codecs.
    #[must_use]
    pub fn codecs<S: Into<String>>(self, codecs: impl IntoIterator<Item = S>) -> Self {
        Self { codecs: codecs.into_iter().map(Into::into).collect(), ..self }
    }
}

/// What is wrong with a rendition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A segment does not go on where the one before it ends, although the source's does.
    #[error("segment {at} does not go on where the one before it ends")]
    Break {
        /// Which, counted from 0.
        at: usize,
    },
    /// A segment has other codecs than promised.
    #[error("segment {at} has other codecs than promised")]
    Codec {
        /// Which, counted from 0.
        at: usize,
    },
    /// It has another number of segments than the source.
    #[error("{got} segments, the source has {want}")]
    Count {
        /// How many it has.
        got: usize,
        /// How many the source has.
        want: usize,
    },
    /// A segment lacks packets, or time between its fragments, that the source has.
    #[error("segment {at} lacks some of its media")]
    Damaged {
        /// Which, counted from 0.
        at: usize,
    },
    /// A segment plays for another time than the source's.
    #[error("segment {at} does not play as long as the source's")]
    Duration {
        /// Which, counted from 0.
        at: usize,
    },
    /// A segment does not start with a key frame, so that a player cannot switch to it there.
    #[error("segment {at} does not start with a key frame")]
    KeyFrame {
        /// Which, counted from 0.
        at: usize,
    },
    /// It is not delivered, or too late.
    #[error("it is not delivered")]
    Missing,
    /// The picture has another size than promised.
    #[error("segment {at} has a picture of another size than promised")]
    Resolution {
        /// Which, counted from 0.
        at: usize,
    },
    /// A segment is a fragment of MP4, and the initialisation section that it names is none.
    #[error("segment {at} has no initialisation section that can be read")]
    Section {
        /// Which, counted from 0.
        at: usize,
    },
    /// A segment cannot be measured.
    #[error("segment {at} cannot be measured")]
    Unreadable {
        /// Which, counted from 0.
        at: usize,
    },
}

/// Compares a rendition's segments with the source's: as many, as long, each begins with a key frame, size and codecs are
/// those promised, and nothing is missing within or between them that the source has. The first fault is told. A source
/// that could not be measured says nothing about lengths, nor about what is missing.
///
/// # Errors
/// What is wrong.
///
/// ```
/// use alive_stake::{Fault, Promise, SegmentFacts, check_rendition};
/// use std::time::Duration;
/// let source = SegmentFacts::new(Duration::from_secs(4), true).height(1080);
/// let small = SegmentFacts::new(Duration::from_secs(4), true).height(480);
/// assert_eq!(check_rendition(&[source.clone()], &[small.clone()], &Promise::new(480)), Ok(()));
/// let fault = check_rendition(&[source], &[small], &Promise::new(720));
/// assert_eq!(fault, Err(Fault::Resolution { at: 0 }));
/// ```
pub fn check_rendition(
    source: &[SegmentFacts],
    rendition: &[SegmentFacts],
    promise: &Promise,
) -> Result<(), Fault> {
    if source.len() != rendition.len() {
        return Err(Fault::Count { got: rendition.len(), want: source.len() });
    }
    let mut pairs = source.iter().zip(rendition).enumerate();
    pairs.try_for_each(|(at, (source, got))| check_segment(at, source, got, promise))
}

fn check_segment(
    at: usize,
    source: &SegmentFacts,
    got: &SegmentFacts,
    promise: &Promise,
) -> Result<(), Fault> {
    if got.lacks_section {
        return Err(Fault::Section { at });
    }
    let duration = got.duration.ok_or(Fault::Unreadable { at })?;
    if source.duration.is_some_and(|want| want.abs_diff(duration) > DURATION_TOLERANCE) {
        return Err(Fault::Duration { at });
    }
    if !got.starts_with_key_frame {
        return Err(Fault::KeyFrame { at });
    }
    if promise.height.is_some() && got.height != promise.height {
        return Err(Fault::Resolution { at });
    }
    let codecs = got.codecs.as_deref().unwrap_or_default().split(',');
    let families = codecs.map(|codec| codec.split('.').next().unwrap_or_default());
    if !promise.codecs.is_empty() && !families.eq(promise.codecs.iter().map(String::as_str)) {
        return Err(Fault::Codec { at });
    }
    if source.is_intact && !got.is_intact {
        return Err(Fault::Damaged { at });
    }
    if source.continues == Some(true) && got.continues == Some(false) {
        return Err(Fault::Break { at });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn good() -> SegmentFacts {
        let facts = SegmentFacts::new(Duration::from_secs(4), true);
        facts.height(720).codecs("avc1.4d4015,mp4a.40.2").continues(true)
    }

    fn promise() -> Promise {
        Promise::new(720).codecs(["avc1", "mp4a"])
    }

    #[rstest]
    #[case(good(), Ok(()))]
    #[case(SegmentFacts { duration: Some(Duration::from_millis(4500)), ..good() }, Ok(()))]
    #[case(
        SegmentFacts { duration: Some(Duration::from_millis(4501)), ..good() },
        Err(Fault::Duration { at: 1 })
    )]
    #[case(
        SegmentFacts { duration: Some(Duration::from_millis(3499)), ..good() },
        Err(Fault::Duration { at: 1 })
    )]
    #[case(SegmentFacts { starts_with_key_frame: false, ..good() }, Err(Fault::KeyFrame { at: 1 }))]
    #[case(SegmentFacts { height: None, ..good() }, Err(Fault::Resolution { at: 1 }))]
    #[case(good().height(719), Err(Fault::Resolution { at: 1 }))]
    #[case(SegmentFacts { codecs: None, ..good() }, Err(Fault::Codec { at: 1 }))]
    #[case(good().codecs("hvc1.1.6.L93,mp4a.40.2"), Err(Fault::Codec { at: 1 }))]
    #[case(good().codecs("avc1.4d4015"), Err(Fault::Codec { at: 1 }))]
    #[case(SegmentFacts::unreadable(), Err(Fault::Unreadable { at: 1 }))]
    #[case(SegmentFacts::without_section(), Err(Fault::Section { at: 1 }))]
    #[case(good().intact(false), Err(Fault::Damaged { at: 1 }))]
    #[case(good().continues(false), Err(Fault::Break { at: 1 }))]
    fn the_second_segment_decides(#[case] second: SegmentFacts, #[case] want: Result<(), Fault>) {
        assert_eq!(check_rendition(&[good(), good()], &[good(), second], &promise()), want);
    }

    #[test]
    fn a_segment_more_or_less_is_a_fault() {
        let short = check_rendition(&[good(), good()], &[good()], &promise());
        assert_eq!(short, Err(Fault::Count { got: 1, want: 2 }));
        let long = check_rendition(&[good()], &[good(), good()], &promise());
        assert_eq!(long, Err(Fault::Count { got: 2, want: 1 }));
    }

    #[test]
    fn an_unmeasured_source_blames_nobody() {
        assert_eq!(check_rendition(&[SegmentFacts::unreadable()], &[good()], &promise()), Ok(()));
        let bad = good().intact(false).continues(false);
        let bad = std::slice::from_ref(&bad);
        assert_eq!(check_rendition(bad, bad, &promise()), Ok(()));
        let unknown = SegmentFacts { continues: None, ..good() };
        assert_eq!(check_rendition(&[unknown], &[good().continues(false)], &promise()), Ok(()));
    }
}
