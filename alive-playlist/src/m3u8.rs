//! From our model to the types of the crate `m3u8-rs` and back, for programs that hold those.
//!
//! Both ways lose something: that crate keeps durations as 32-bit floats, one key per segment, no parts, and a gap only
//! as an unknown tag. It attaches a map or a key to the one segment behind the tag, and so do these conversions.

use std::{sync::Arc, time::Duration};

use m3u8_rs as theirs;

use crate::{
    line_text::{FrameRate, LineTextError, Quoted, Title, Uri, Word},
    model::{
        ByteRange, Key, KeyError, KeySet, KeySetError, Map, MediaHeader, MediaPlaylist,
        MediaSegment, ModelError, MultivariantPlaylist, PlaylistType, Resolution, Variant,
    },
    time::{MediaDuration, MediaDurationError, ProgramDateTime},
};

/// How `m3u8-rs` names the tag of a gap among those it does not know.
const GAP_TAG: &str = "X-GAP";

impl From<&MediaPlaylist<'_>> for theirs::MediaPlaylist {
    fn from(list: &MediaPlaylist<'_>) -> Self {
        let header = list.header();
        let (mut map, mut keys) = (None, &KeySet::default());
        let segments = list.segments().iter().map(|ours| {
            let mut segment = segment_without_state(ours);
            if ours.map != map {
                map.clone_from(&ours.map);
                segment.map = ours.map.as_deref().map(their_map);
            }
            if ours.keys != *keys {
                keys = &ours.keys;
                segment.key = Some(their_key(keys));
            }
            segment
        });
        Self {
            segments: segments.collect(),
            version: header.version.and_then(|version| usize::try_from(version).ok()),
            target_duration: header.target_duration,
            // Theirs cannot say that segments were left out.
            media_sequence: header.media_sequence.saturating_add(header.skipped_segments),
            discontinuity_sequence: header.discontinuity_sequence,
            end_list: header.ended,
            playlist_type: header.playlist_type.map(|playlist_type| match playlist_type {
                PlaylistType::Event => theirs::MediaPlaylistType::Event,
                PlaylistType::Vod => theirs::MediaPlaylistType::Vod,
            }),
            i_frames_only: header.i_frames_only,
            independent_segments: header.independent_segments,
            ..Self::default()
        }
    }
}

fn segment_without_state(ours: &MediaSegment<'_>) -> theirs::MediaSegment {
    let gap = theirs::ExtTag { tag: GAP_TAG.to_owned(), rest: None };
    theirs::MediaSegment {
        uri: ours.uri.to_string(),
        duration: ours.duration.as_duration().as_secs_f32(),
        title: ours.title.as_ref().map(ToString::to_string),
        byte_range: ours.byte_range.map(their_range),
        discontinuity: ours.discontinuity,
        // Their type of a moment reads what ours prints.
        program_date_time: ours.program_date_time.and_then(|time| time.to_string().parse().ok()),
        unknown_tags: if ours.gap { vec![gap] } else { Vec::new() },
        ..theirs::MediaSegment::default()
    }
}

fn their_range(range: ByteRange) -> theirs::ByteRange {
    theirs::ByteRange { length: range.length(), offset: Some(range.offset()) }
}

fn their_map(map: &Map<'_>) -> theirs::Map {
    let byte_range = map.byte_range.map(their_range);
    theirs::Map { uri: map.uri.to_string(), byte_range, ..theirs::Map::default() }
}

/// The first key of a set, or the one that ends encryption.
fn their_key(keys: &KeySet<'_>) -> theirs::Key {
    let Some(key) = keys.iter().next() else { return theirs::Key::default() };
    theirs::Key {
        method: match key.method().as_str() {
            "AES-128" => theirs::KeyMethod::AES128,
            "SAMPLE-AES" => theirs::KeyMethod::SampleAES,
            other => theirs::KeyMethod::Other(other.to_owned()),
        },
        uri: Some(key.uri().to_string()),
        iv: key.iv().map(ToString::to_string),
        keyformat: key.format().map(ToString::to_string),
        keyformatversions: key.format_versions().map(ToString::to_string),
    }
}

impl<'a> TryFrom<&'a theirs::MediaPlaylist> for MediaPlaylist<'a> {
    type Error = ConversionError;

    /// # Errors
    /// A segment holds what our reader would refuse: their parser lets much of it through.
    fn try_from(list: &'a theirs::MediaPlaylist) -> Result<Self, ConversionError> {
        let mut ours = Self::new(MediaHeader {
            version: list.version.and_then(|version| u64::try_from(version).ok()),
            media_sequence: list.media_sequence,
            discontinuity_sequence: list.discontinuity_sequence,
            playlist_type: list.playlist_type.as_ref().and_then(our_type),
            ended: list.end_list,
            independent_segments: list.independent_segments,
            i_frames_only: list.i_frames_only,
            ..MediaHeader::new(list.target_duration)
        });
        let (mut map, mut keys) = (None, KeySet::default());
        for (index, theirs) in list.segments.iter().enumerate() {
            let at = |problem| ConversionError { index, problem };
            if let Some(new) = &theirs.map {
                map = Some(Arc::new(our_map(new).map_err(at)?));
            }
            if let Some(new) = &theirs.key {
                keys = our_keys(&keys, new).map_err(at)?;
            }
            let mut segment = our_segment(theirs, ours.segments().last()).map_err(at)?;
            segment.map.clone_from(&map);
            segment.keys = keys.clone();
            ours.push(segment).map_err(|error| at(error.into()))?;
        }
        Ok(ours)
    }
}

fn our_type(theirs: &theirs::MediaPlaylistType) -> Option<PlaylistType> {
    match theirs {
        theirs::MediaPlaylistType::Event => Some(PlaylistType::Event),
        theirs::MediaPlaylistType::Vod => Some(PlaylistType::Vod),
        theirs::MediaPlaylistType::Other(_) => None,
    }
}

fn our_segment<'a>(
    theirs: &'a theirs::MediaSegment,
    before: Option<&MediaSegment<'_>>,
) -> Result<MediaSegment<'a>, ConversionProblem> {
    let title = theirs.title.as_deref().filter(|title| !title.is_empty());
    let mut ours = MediaSegment::new(Uri::new(&*theirs.uri)?, our_duration(theirs.duration)?);
    ours.title = title.map(Title::new).transpose()?;
    ours.discontinuity = theirs.discontinuity;
    ours.gap = theirs.unknown_tags.iter().any(|tag| tag.tag == GAP_TAG);
    if let Some(time) = &theirs.program_date_time {
        ours.program_date_time = ProgramDateTime::from_unix_ms(time.timestamp_millis());
    }
    let before =
        before.filter(|before| before.uri == ours.uri).and_then(|before| before.byte_range);
    let range = theirs.byte_range.as_ref();
    ours.byte_range = range.map(|range| our_range(range, before)).transpose()?;
    Ok(ours)
}

fn our_duration(seconds: f32) -> Result<MediaDuration, ConversionProblem> {
    let duration = Duration::try_from_secs_f32(seconds).map_err(|_| MediaDurationError::Range)?;
    let micros = duration.saturating_add(Duration::from_nanos(500)).as_micros();
    Ok(MediaDuration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))?)
}

fn our_range(
    theirs: &theirs::ByteRange,
    before: Option<ByteRange>,
) -> Result<ByteRange, ConversionProblem> {
    let offset = theirs.offset.or_else(|| before.map(ByteRange::end));
    let range = offset.and_then(|offset| ByteRange::new(offset, theirs.length));
    range.ok_or(ConversionProblem::ByteRange)
}

fn our_map(theirs: &theirs::Map) -> Result<Map<'_>, ConversionProblem> {
    let range = theirs.byte_range.as_ref().map(|range| our_range(range, None)).transpose()?;
    Ok(Map::new(Quoted::new(&*theirs.uri)?).with_byte_range(range))
}

fn our_keys<'a>(
    before: &KeySet<'a>,
    theirs: &'a theirs::Key,
) -> Result<KeySet<'a>, ConversionProblem> {
    let method = match &theirs.method {
        theirs::KeyMethod::None => return Ok(KeySet::default()),
        theirs::KeyMethod::AES128 => "AES-128",
        theirs::KeyMethod::SampleAES => "SAMPLE-AES",
        theirs::KeyMethod::Other(other) => other,
    };
    let quoted = |text: &'a Option<String>| text.as_deref().map(Quoted::new).transpose();
    let uri = quoted(&theirs.uri)?.ok_or(ConversionProblem::KeyUri)?;
    let key = Key::new(Word::new(method)?, uri)?
        .with_iv(theirs.iv.as_deref().map(Word::new).transpose()?)
        .with_format(quoted(&theirs.keyformat)?)
        .with_format_versions(quoted(&theirs.keyformatversions)?);
    Ok(before.with(key)?)
}

impl From<&MultivariantPlaylist<'_>> for theirs::MasterPlaylist {
    fn from(list: &MultivariantPlaylist<'_>) -> Self {
        Self {
            version: list.version.and_then(|version| usize::try_from(version).ok()),
            independent_segments: list.independent_segments,
            variants: list.variants.iter().map(their_variant).collect(),
            ..Self::default()
        }
    }
}

fn their_variant(ours: &Variant<'_>) -> theirs::VariantStream {
    let size = |size: Resolution| theirs::Resolution { width: size.width, height: size.height };
    theirs::VariantStream {
        uri: ours.uri.to_string(),
        bandwidth: ours.bandwidth,
        average_bandwidth: ours.average_bandwidth,
        codecs: ours.codecs.as_ref().map(ToString::to_string),
        resolution: ours.resolution.map(size),
        frame_rate: ours.frame_rate.as_ref().map(FrameRate::to_f64),
        ..theirs::VariantStream::default()
    }
}

impl<'a> TryFrom<&'a theirs::MasterPlaylist> for MultivariantPlaylist<'a> {
    type Error = ConversionError;

    /// # Errors
    /// A rendition holds what our reader would refuse. Those for trick play are left out.
    fn try_from(list: &'a theirs::MasterPlaylist) -> Result<Self, ConversionError> {
        let renditions = list.variants.iter().enumerate().filter(|(_, theirs)| !theirs.is_i_frame);
        let variants = renditions.map(|(index, theirs)| {
            our_variant(theirs).map_err(|problem| ConversionError { index, problem })
        });
        Ok(Self {
            version: list.version.and_then(|version| u64::try_from(version).ok()),
            independent_segments: list.independent_segments,
            variants: variants.collect::<Result<_, _>>()?,
        })
    }
}

fn our_variant(theirs: &theirs::VariantStream) -> Result<Variant<'_>, ConversionProblem> {
    let rate = theirs.frame_rate.map(|rate| FrameRate::new(format!("{rate:.3}")));
    let mut ours = Variant::new(Uri::new(&*theirs.uri)?, theirs.bandwidth);
    ours.average_bandwidth = theirs.average_bandwidth;
    ours.codecs = theirs.codecs.as_deref().map(Quoted::new).transpose()?;
    ours.resolution =
        theirs.resolution.map(|size| Resolution { width: size.width, height: size.height });
    ours.frame_rate = rate.transpose()?;
    Ok(ours)
}

/// A list of `m3u8-rs` holds what ours cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} of the list: {problem}")]
pub struct ConversionError {
    index: usize,
    problem: ConversionProblem,
}

impl ConversionError {
    /// The segment or rendition, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &ConversionProblem {
        &self.problem
    }
}

/// What is wrong with a segment or rendition of `m3u8-rs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversionProblem {
    /// A byte range continues nothing, or ends beyond 2^64-1.
    #[error("the byte range has no offset that holds")]
    ByteRange,
    /// The duration is negative, no number, or over a day.
    #[error(transparent)]
    Duration(#[from] MediaDurationError),
    /// A key's method is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key says not where it is.
    #[error("the key has no URI")]
    KeyUri,
    /// Too many keys are in force.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// It does not fit behind the segments before it.
    #[error(transparent)]
    Order(#[from] ModelError),
    /// A text would break its line.
    #[error(transparent)]
    Text(#[from] LineTextError),
}
