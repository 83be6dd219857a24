//! What is known of a track: family, codec string, size of the picture, sampling.

use std::fmt;

use super::codec::CodecId;

/// The video of a segment: the first video track that its table announces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoTrack {
    /// How the video is coded.
    pub family: VideoFamily,
    /// Exact codec; `None` when the segment does not say, and in transport streams for families
    /// other than H.264.
    pub codec: Option<CodecId>,
    /// Size of the shown picture; `None` when the segment does not say, and in transport streams
    /// for families other than H.264.
    pub resolution: Option<Resolution>,
    /// Access units with a time stamp, one per PES packet as recorders write them; samples of MP4.
    pub frames: u64,
    /// Of the first parameter sets (SPS) in the segment, H.264 and HEVC only; in MP4 of the record
    /// that sets up the decoder.
    pub first_sps: Option<Fingerprint>,
    /// Of the last parameter sets; differs from the first when the encoder was set up anew within
    /// the segment.
    pub last_sps: Option<Fingerprint>,
}

/// The audio of a segment: the first audio track that its table announces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioTrack {
    /// How the audio is coded.
    pub family: AudioFamily,
    /// Exact codec; `None` when the segment does not say, and in transport streams for families
    /// other than AAC.
    pub codec: Option<CodecId>,
    /// Samples per second of one channel, as signalled (HE-AAC plays at twice of it).
    pub sample_rate: Option<u32>,
    /// Channels; `None` also when the stream describes them in a way of its own.
    pub channels: Option<u8>,
    /// Whole ADTS frames, 0 for families other than AAC; samples of MP4.
    pub frames: u64,
    /// Samples of one channel in those frames; 0 where that is not known.
    pub samples: u64,
}

impl AudioTrack {
    /// How long the samples sound, in whole microseconds. `None` when there are none.
    ///
    /// Not the duration of a segment with video: recorders cut audio up to a frame off the
    /// picture. Source: spec/hls.md, section 9, "Duration".
    pub fn duration(&self) -> Option<std::time::Duration> {
        let rate = self.sample_rate.filter(|_| self.samples > 0)?;
        Some(super::clock::fraction_to_duration(u128::from(self.samples), u128::from(rate)))
    }
}

/// Family of video coding, by the stream type of the program table or the sample entry of MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VideoFamily {
    /// AV1, in MP4 only.
    Av1,
    /// H.264 (AVC), stream type 0x1b.
    H264,
    /// H.265 (HEVC), stream type 0x24.
    Hevc,
    /// Known to be video, not looked into: this stream type, 0 in MP4.
    Other(u8),
    /// VP9, in MP4 only.
    Vp9,
}

/// Family of audio coding, by the stream type of the program table or the sample entry of MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AudioFamily {
    /// AAC in ADTS frames, stream type 0x0f.
    Aac,
    /// AC-3, in MP4; in transport streams it is not looked into.
    Ac3,
    /// E-AC-3, in MP4; in transport streams it is not looked into.
    Eac3,
    /// FLAC, in MP4 only.
    Flac,
    /// Opus, in MP4 only.
    Opus,
    /// Known to be audio, not looked into: this stream type, 0 in MP4.
    Other(u8),
}

/// What a stream type carries. Source: ISO/IEC 13818-1, table 2-34; 0x81, 0x87: ATSC A/52, A/53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    Audio(AudioFamily),
    /// Subtitles, metadata, private data.
    Other,
    Video(VideoFamily),
}

impl StreamKind {
    pub(super) const fn of(stream_type: u8) -> Self {
        match stream_type {
            0x0f => Self::Audio(AudioFamily::Aac),
            // MPEG-1, MPEG-2, LATM, AC-3, E-AC-3
            0x03 | 0x04 | 0x11 | 0x81 | 0x87 => Self::Audio(AudioFamily::Other(stream_type)),
            0x1b => Self::Video(VideoFamily::H264),
            0x24 => Self::Video(VideoFamily::Hevc),
            // MPEG-1, MPEG-2, MPEG-4 part 2, VVC
            0x01 | 0x02 | 0x10 | 0x33 => Self::Video(VideoFamily::Other(stream_type)),
            _ => Self::Other,
        }
    }
}

/// Size of a shown picture, in pixels. `Display` is the text for `RESOLUTION`: `1280x720`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a picture has two sides")]
pub struct Resolution {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Stands for bytes or for a set of them, to be compared with others of the same kind.
///
/// A sum of 64-bit FNV-1a hashes: the same in every build, no defence against somebody who looks
/// for collisions in recordings of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of nothing.
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// Of a set with one more member; the order of the members does not matter.
    pub(super) const fn with(self, member: Self) -> Self {
        Self(self.0.wrapping_add(member.0))
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_the_published_hash() {
        assert_eq!(Fingerprint::of(b"foobar").to_string(), "85944171f73967e8");
    }

    #[test]
    fn the_sides_of_a_picture_print_as_in_a_playlist() {
        assert_eq!(Resolution { width: 1280, height: 720 }.to_string(), "1280x720");
    }
}
