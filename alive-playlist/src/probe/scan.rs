//! One pass over the packets of a segment: each goes to the table or track it belongs to.

use super::audio::AudioReader;
use super::psi::{self, PAT_PID, Program, Reading, SectionReader};
use super::ts::{self, Counters, Order, Packet};
use super::video::VideoReader;
use super::{Container, ProbeError, SegmentProbe, TsStats};

pub(super) fn probe(data: &[u8]) -> Result<SegmentProbe, ProbeError> {
    let packets = ts::split_packets(data)?;
    let program = psi::find_program(packets)?;
    let mut scan = Scan::new(program);
    let mut counters = Counters::new(packets);
    for (index, bytes) in packets.iter().enumerate() {
        scan.stats.packets += 1;
        match Packet::parse(bytes) {
            Some(packet) => scan.push(&packet, counters.order(index, &packet)),
            None => scan.stats.damaged_packets += 1,
        }
    }
    scan.finish(data.len())
}

struct Scan {
    program: Program,
    pat: SectionReader,
    pmt: SectionReader,
    video: Option<VideoReader>,
    audio: Option<AudioReader>,
    stats: TsStats,
}

impl Scan {
    fn new(program: Program) -> Self {
        Self {
            program,
            pat: SectionReader::new(),
            pmt: SectionReader::new(),
            video: program.map.video.and_then(VideoReader::new),
            audio: program.map.audio.and_then(AudioReader::new),
            stats: TsStats::default(),
        }
    }

    fn push(&mut self, packet: &Packet<'_>, order: Order) {
        match order {
            Order::Jump => {
                self.stats.continuity_errors += 1;
                self.lose_packets(packet.pid);
            }
            Order::Next => {}
            Order::Repeat => return,
            Order::RepeatAgain => {
                self.stats.continuity_errors += 1;
                return;
            }
        }
        if packet.pid == PAT_PID {
            self.push_pat(packet);
        } else if packet.pid == self.program.pmt.pid {
            self.push_pmt(packet);
        } else if let Some(video) = self.video.as_mut().filter(|video| video.pid() == packet.pid) {
            video.push(packet);
        } else if let Some(audio) = self.audio.as_mut().filter(|audio| audio.pid() == packet.pid) {
            audio.push(packet);
        }
    }

    fn lose_packets(&mut self, pid: u16) {
        if let Some(video) = self.video.as_mut().filter(|video| video.pid() == pid) {
            video.lose_packets();
        }
        if let Some(audio) = self.audio.as_mut().filter(|audio| audio.pid() == pid) {
            audio.lose_packets();
        }
    }

    fn push_pat(&mut self, packet: &Packet<'_>) {
        let (stats, pmt) = (&mut self.stats, self.program.pmt);
        self.pat.push(packet, |section| compare(&psi::read_pat(section), &pmt, stats));
    }

    fn push_pmt(&mut self, packet: &Packet<'_>) {
        let (stats, Program { pmt, map }) = (&mut self.stats, self.program);
        self.pmt.push(packet, |section| compare(&pmt.read(section), &map, stats));
    }

    fn finish(self, size: usize) -> Result<SegmentProbe, ProbeError> {
        let Self { program, video, audio, stats, .. } = self;
        let video_span = video.as_ref().map(|video| *video.span());
        let audio_span = audio.as_ref().map(|audio| *audio.span());
        if video.is_none() && audio.is_none() {
            return Err(ProbeError::NoMedia);
        }
        let ends = video_span
            .and_then(|span| span.ends())
            .or_else(|| audio_span.and_then(|span| span.ends()))
            .ok_or(ProbeError::NoTimestamps)?;
        let duration = video_span
            .and_then(|span| span.duration())
            .or_else(|| audio.as_ref().and_then(AudioReader::duration));
        Ok(SegmentProbe {
            container: Container::MpegTs(stats),
            size,
            duration,
            first_pts: ends.first_pts,
            first_dts: ends.first_dts,
            last_dts: ends.last_dts,
            // Every frame of audio stands alone.
            starts_with_key_frame: video.as_ref().is_none_or(VideoReader::starts_with_key_frame),
            video: video.map(VideoReader::finish),
            audio: audio.map(|audio| audio.track()),
            tracks: program.map.tracks,
        })
    }
}

/// Counts a table that is damaged or differs from the first one.
fn compare<T: PartialEq>(reading: &Reading<T>, first: &T, stats: &mut TsStats) {
    match reading {
        Reading::Answer(table) if table != first => stats.table_changes += 1,
        Reading::Answer(_) | Reading::Other => {}
        Reading::BadChecksum => stats.checksum_errors += 1,
    }
}
