//! The video track of a segment, as its packets come.

use super::codec::CodecId;
use super::h264::Sps;
use super::nal::{Found, HeadScanner};
use super::pes::PesReader;
use super::psi::Track;
use super::span::Span;
use super::track::{Fingerprint, Resolution, StreamKind, VideoFamily, VideoTrack};
use super::ts::Packet;

/// Reads the packets of the video PID.
pub(super) struct VideoReader {
    pid: u16,
    pes: PesReader,
    head: HeadScanner,
    span: Span,
    seen: Seen,
}

/// What was found in the bytes so far.
struct Seen {
    family: VideoFamily,
    start: Start,
    codec: Option<CodecId>,
    resolution: Option<Resolution>,
    first_sps: Option<Fingerprint>,
    last_sps: Option<Fingerprint>,
    /// Of the access unit at hand.
    unit_sps: Option<Fingerprint>,
}

/// What the track starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The first access unit; its slice has not come yet.
    FirstUnit,
    /// A picture that stands alone.
    KeyFrame,
    /// The rest of a picture, or one that needs others.
    Other,
    /// No packet yet.
    Unseen,
}

impl VideoReader {
    /// `None` when this is no video.
    pub(super) fn new(track: Track) -> Option<Self> {
        let StreamKind::Video(family) = StreamKind::of(track.stream_type) else { return None };
        Some(Self {
            pid: track.pid,
            pes: PesReader::new(),
            head: HeadScanner::new(family),
            span: Span::default(),
            seen: Seen::new(family),
        })
    }

    pub(super) const fn pid(&self) -> u16 {
        self.pid
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn starts_with_key_frame(&self) -> bool {
        self.seen.start == Start::KeyFrame
    }

    /// Packets are missing before the next one.
    pub(super) fn lose_packets(&mut self) {
        self.pes.forget_head();
        self.head.give_up();
    }

    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        if packet.payload.is_empty() {
            return;
        }
        self.seen.note_packet(packet.unit_start);
        let (stamps, media) = self.pes.push(packet);
        if let Some(stamps) = stamps {
            self.span.add(stamps);
            self.head.start_unit();
        }
        self.head.push(media, |found| match found {
            Found::Slice { is_key } => self.seen.note_slice(is_key),
            Found::Sps(nal) => self.seen.note_sps(nal),
        });
    }

    pub(super) fn finish(mut self) -> VideoTrack {
        self.seen.end_unit();
        VideoTrack {
            family: self.seen.family,
            codec: self.seen.codec,
            resolution: self.seen.resolution,
            frames: self.span.units(),
            first_sps: self.seen.first_sps,
            last_sps: self.seen.last_sps,
        }
    }
}

impl Seen {
    const fn new(family: VideoFamily) -> Self {
        Self {
            family,
            start: Start::Unseen,
            codec: None,
            resolution: None,
            first_sps: None,
            last_sps: None,
            unit_sps: None,
        }
    }

    fn note_packet(&mut self, unit_start: bool) {
        if unit_start {
            self.end_unit();
        }
        self.start = match (self.start, unit_start) {
            (Start::Unseen, true) => Start::FirstUnit,
            (Start::Unseen, false) | (Start::FirstUnit, true) => Start::Other,
            (start, _) => start,
        };
    }

    fn note_slice(&mut self, is_key: bool) {
        if self.start == Start::FirstUnit {
            self.start = if is_key { Start::KeyFrame } else { Start::Other };
        }
    }

    fn note_sps(&mut self, nal: &[u8]) {
        let set = self.unit_sps.unwrap_or(Fingerprint::EMPTY);
        self.unit_sps = Some(set.with(Fingerprint::of(nal)));
        if self.family == VideoFamily::H264
            && self.codec.is_none()
            && let Some(sps) = Sps::parse(nal)
        {
            self.codec = Some(sps.codec);
            self.resolution = sps.resolution;
        }
    }

    fn end_unit(&mut self) {
        let set = self.unit_sps.take();
        self.first_sps = self.first_sps.or(set);
        self.last_sps = set.or(self.last_sps);
    }
}
