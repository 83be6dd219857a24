//! What a recorded segment really is: how long, with which codecs, does it start with a key frame,
//! does it continue the one before it.
//!
//! A recorder's playlist says how long a segment lasts; nothing is believed because of where it
//! came from, so the daemon measures. The probe reads the headers of an MPEG transport stream and
//! the heads of its pictures, decodes nothing, and allocates one table of 32 KiB whatever the
//! bytes are. It never panics and takes time proportional to the size.
//! Source: spec/hls.md, section 9.
//!
//! ```
//! use alive_playlist::probe::{Continuity, agrees, is_continuation, probe_ts};
//! use std::time::Duration;
//!
//! # let media = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/ts-6x10s");
//! let first = probe_ts(&std::fs::read(format!("{media}/stream0.ts"))?)?;
//! let second = probe_ts(&std::fs::read(format!("{media}/stream1.ts"))?)?;
//!
//! let duration = first.duration.unwrap();
//! assert!(agrees(Duration::from_secs(10), duration));
//! assert!(first.starts_with_key_frame);
//! assert_eq!(first.codecs().as_deref(), Some("avc1.4d4015,mp4a.40.2"));
//! assert_eq!(is_continuation(&first, duration, &second), Continuity::Continues);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adts;
mod audio;
mod clock;
mod codec;
mod continuation;
#[doc(hidden)]
pub mod fuzzing;
mod h264;
mod mp4;
mod nal;
mod pes;
mod psi;
mod scan;
mod span;
mod track;
mod ts;
mod video;

use std::time::Duration;

pub use self::clock::MediaTime;
pub use self::codec::CodecId;
pub use self::continuation::{
    Break, Continuity, TOLERANCE, agrees, duration_from_next, is_continuation,
};
pub use self::mp4::InitProbe;
pub use self::track::{AudioFamily, AudioTrack, Fingerprint, Resolution, VideoFamily, VideoTrack};

/// What was found in a segment.
///
/// Times are those of the video, or of the audio when there are no pictures with a time stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentProbe {
    /// How the segment is packed, with the figures of that packing.
    pub container: Container,
    /// Bytes of the segment.
    pub size: usize,
    /// Measured duration in whole microseconds: from the first picture shown to the last, and one
    /// mean picture more; without pictures the samples of the audio. `None` when that cannot be
    /// told, as of a single picture. It may be absurd when the time stamps are: see [`agrees`].
    pub duration: Option<Duration>,
    /// When the first unit of the segment is shown.
    pub first_pts: MediaTime,
    /// When the first unit is decoded.
    pub first_dts: MediaTime,
    /// When the last unit is decoded.
    pub last_dts: MediaTime,
    /// The segment starts with a whole picture that needs no other (IDR), or has audio only. True
    /// for every segment: the playlist may say `EXT-X-INDEPENDENT-SEGMENTS`.
    pub starts_with_key_frame: bool,
    /// The first video track; `None` when none is announced.
    pub video: Option<VideoTrack>,
    /// The first audio track; `None` when none is announced.
    pub audio: Option<AudioTrack>,
    /// Of the ids and types of all tracks.
    pub tracks: Fingerprint,
}

impl SegmentProbe {
    /// The text for `CODECS` in a playlist, video first. `None` unless the codec of every one of
    /// the two tracks is known: leave the attribute out rather than guess it.
    /// Source: spec/hls.md, section 8.
    pub fn codecs(&self) -> Option<String> {
        let video = self.video.as_ref().map(|video| video.codec);
        let audio = self.audio.as_ref().map(|audio| audio.codec);
        let known: Option<Vec<String>> =
            video.into_iter().chain(audio).map(|codec| Some(codec?.to_string())).collect();
        known.filter(|codecs| !codecs.is_empty()).map(|codecs| codecs.join(","))
    }
}

/// How a segment is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// Fragments of MP4.
    Fmp4 {
        /// How many.
        fragments: u64,
        /// How often a track's samples in a fragment begin at another time than those of the fragment before it end.
        /// A good segment has none.
        breaks: u64,
    },
    /// MPEG transport stream.
    MpegTs(TsStats),
}

/// Figures of a transport stream. A good segment has zeros in all but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TsStats {
    /// Packets of 188 bytes.
    pub packets: u64,
    /// Places where the counter of a PID says that packets are missing, or repeated too often.
    pub continuity_errors: u64,
    /// Packets that could not be read: marked as damaged, scrambled, or malformed.
    pub damaged_packets: u64,
    /// Program tables whose checksum was wrong.
    pub checksum_errors: u64,
    /// Program tables that differ from the first one.
    pub table_changes: u64,
}

/// Measures a segment that is a whole MPEG transport stream.
///
/// # Errors
/// [`ProbeError`] when the bytes are not whole packets or nothing can be measured in them. To see
/// what there is in a file that was cut, pass only its whole packets (`size / 188 * 188` bytes).
/// Lesser faults are counted in [`TsStats`].
pub fn probe_ts(data: &[u8]) -> Result<SegmentProbe, ProbeError> {
    scan::probe(data)
}

/// Why a segment cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A box of MP4 is cut, lacks what it must have, or says what cannot be.
    #[error("a box is cut or malformed")]
    BadBox,
    /// It has no bytes.
    #[error("empty segment")]
    Empty,
    /// It starts as a transport stream, but here a packet does not start as one.
    #[error("no sync byte at the start of the packet at byte {offset}")]
    LostSync {
        /// Where the packet should start, in bytes.
        offset: usize,
    },
    /// There is no fragment of MP4.
    #[error("no movie fragment")]
    NoFragment,
    /// No track is known to be video or audio.
    #[error("neither a video nor an audio track")]
    NoMedia,
    /// It is no initialisation section of MP4.
    #[error("no movie box")]
    NoMovie,
    /// Samples of MP4 are announced that are not in the segment.
    #[error("the segment does not have the samples that it announces")]
    NoSamples,
    /// There is no program association table that is whole and names a program.
    #[error("no valid program association table")]
    NoPat,
    /// There is no program map table that is whole where the former table says.
    #[error("no valid program map table on pid {pid}")]
    NoPmt {
        /// Where it should be.
        pid: u16,
    },
    /// No unit of video or audio has a time stamp.
    #[error("no time stamp on any unit of video or audio")]
    NoTimestamps,
    /// It is something else: its first byte is not that of a packet.
    #[error("not an MPEG transport stream")]
    NotTransportStream,
    /// It ends within a packet: it was cut, or is still being written.
    #[error("{size} bytes are not whole packets of {packet} bytes", packet = ts::PACKET_LEN)]
    Truncated {
        /// Its bytes.
        size: usize,
    },
}
