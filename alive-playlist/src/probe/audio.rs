//! The audio track of a segment, as its packets come.

use std::time::Duration;

use super::adts::FrameCounter;
use super::pes::PesReader;
use super::psi::Track;
use super::span::Span;
use super::track::{AudioFamily, AudioTrack, StreamKind};
use super::ts::Packet;

/// Reads the packets of the audio PID.
pub(super) struct AudioReader {
    pid: u16,
    family: AudioFamily,
    pes: PesReader,
    frames: FrameCounter,
    span: Span,
}

impl AudioReader {
    /// `None` when this is no audio.
    pub(super) fn new(track: Track) -> Option<Self> {
        let StreamKind::Audio(family) = StreamKind::of(track.stream_type) else { return None };
        Some(Self {
            pid: track.pid,
            family,
            pes: PesReader::new(),
            frames: FrameCounter::new(),
            span: Span::default(),
        })
    }

    pub(super) const fn pid(&self) -> u16 {
        self.pid
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// By the samples where they can be counted, else by the time stamps.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.track().duration().or_else(|| self.span.duration())
    }

    /// Packets are missing before the next one.
    pub(super) fn lose_packets(&mut self) {
        self.pes.forget_head();
        self.frames.give_up_frame();
    }

    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        let (stamps, media) = self.pes.push(packet);
        if let Some(stamps) = stamps {
            self.span.add(stamps);
        }
        if self.family == AudioFamily::Aac {
            self.frames.push(media);
        }
    }

    pub(super) fn track(&self) -> AudioTrack {
        let tally = self.frames.tally();
        AudioTrack {
            family: self.family,
            codec: tally.format.map(|format| format.codec),
            sample_rate: tally.format.map(|format| format.sample_rate),
            channels: tally.format.and_then(|format| format.channels),
            frames: tally.frames,
            samples: tally.samples,
        }
    }
}
