//! Fuzz bodies, and the small writer of transport streams that they and the tests use.

use super::adts::FrameCounter;
use super::h264::Sps;
use super::psi::checksum;
use super::ts::{PACKET_LEN, PacketBytes, SYNC_BYTE};
use super::{Container, InitProbe, ProbeError, SegmentProbe};

/// Probes `data` as it is, then as the packets behind good tables (so that the tracks are reached
/// and not only the refusals), then as a parameter set and as audio frames.
///
/// # Panics
/// When a probe breaks one of its promises.
pub fn probe_ts(data: &[u8]) {
    check(data);
    let tracks = [(0x1b, 0x100), (0x0f, 0x101), (0x24, 0x102)];
    let mut stream = [pat(), pmt(&tracks)].concat();
    stream.extend(data.chunks(PACKET_LEN - 1).flat_map(|part| {
        let mut packet = [0xff; PACKET_LEN];
        packet[0] = SYNC_BYTE;
        packet.iter_mut().skip(1).zip(part).for_each(|(to, from)| *to = *from);
        packet
    }));
    check(&stream);
    let _ = Sps::parse(data);
    FrameCounter::new().push(data);
}

/// Reads `data` as an initialisation section with a segment behind it, and measures it by what it says itself.
///
/// # Panics
/// When a probe breaks one of its promises.
pub fn probe_mp4(data: &[u8]) {
    let Ok(init) = InitProbe::read(data) else { return };
    let Ok(probe) = init.probe_fragment(data) else { return };
    assert_eq!(probe.size, data.len(), "every byte counts");
    assert!(probe.video.is_some() || probe.audio.is_some(), "something was measured");
    assert!(probe.duration.is_none_or(|duration| !duration.is_zero()), "no time is no duration");
    assert!(matches!(probe.container, Container::Fmp4 { fragments: 1.., .. }), "no fragment");
    let has_pictures = probe.video.as_ref().is_none_or(|video| video.frames > 0);
    assert!(has_pictures || !probe.starts_with_key_frame, "a key frame where no picture is");
    let codecs = probe.codecs().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b',' | b'-');
    assert!(codecs.bytes().all(is_plain), "a text that no playlist may have: {codecs}");
}

fn check(data: &[u8]) {
    match super::probe_ts(data) {
        Ok(probe) => check_figures(data, &probe),
        Err(ProbeError::Truncated { size }) => {
            assert!(size == data.len() && size % PACKET_LEN != 0, "whole packets called truncated");
        }
        Err(ProbeError::LostSync { offset }) => {
            assert_ne!(data.get(offset), Some(&SYNC_BYTE), "sync called lost where it is");
        }
        Err(_) => {}
    }
}

fn check_figures(data: &[u8], probe: &SegmentProbe) {
    let Container::MpegTs(stats) = probe.container else {
        unreachable!("a transport stream was read as something else");
    };
    let packets = u64::try_from(data.len() / PACKET_LEN).unwrap_or(u64::MAX);
    assert_eq!((probe.size, stats.packets), (data.len(), packets), "size");
    assert!(stats.damaged_packets + stats.continuity_errors <= packets, "more errors than packets");
    assert!(probe.duration.is_none_or(|duration| !duration.is_zero()), "no time is no duration");
    assert!(probe.video.is_some() || probe.audio.is_some(), "no track");
    let frames = probe.video.as_ref().map_or(0, |video| video.frames);
    assert!(frames <= packets, "more pictures than packets");
}

/// A packet of `pid` with this payload; what remains of it is stuffing.
pub(super) fn packet_of(pid: u16, unit_start: bool, payload: &[u8]) -> PacketBytes {
    let mut packet = [0xff; PACKET_LEN];
    let [high, low] = pid.to_be_bytes();
    let room = PACKET_LEN - 4;
    let stuffing = room.saturating_sub(payload.len());
    let has_field = if stuffing > 0 { 0x30 } else { 0x10 };
    let head = [SYNC_BYTE, high | if unit_start { 0x40 } else { 0 }, low, has_field];
    // Length of the adaptation field, then no flags; all else in it is 0xff.
    let field = [u8::try_from(stuffing.saturating_sub(1)).unwrap_or_default(), 0];
    let bytes = head.iter().chain(field.iter().take(stuffing));
    packet.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    packet.iter_mut().skip(4 + stuffing).zip(payload).for_each(|(to, from)| *to = *from);
    packet
}

/// The table that announces program 1 with its map on PID 0x1000.
pub(super) fn pat() -> PacketBytes {
    packet_of(0, true, &[&[0][..], &section(0, 1, &[0, 1, 0xf0, 0])].concat())
}

/// The map of program 1, for as many tracks (stream type, PID) as fit a packet.
pub(super) fn pmt(tracks: &[(u8, u16)]) -> PacketBytes {
    packet_of(0x1000, true, &[&[0][..], &pmt_section(tracks)].concat())
}

/// The map of program 1.
pub(super) fn pmt_section(tracks: &[(u8, u16)]) -> Vec<u8> {
    let mut body = vec![0xe1, 0, 0xf0, 0];
    for (stream_type, pid) in tracks {
        let [high, low] = pid.to_be_bytes();
        body.extend([*stream_type, 0xe0 | high, low, 0xf0, 0]);
    }
    section(2, 1, &body)
}

fn section(table: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 9).unwrap_or_default();
    let [high, low] = len.to_be_bytes();
    let mut section = vec![table, 0xb0 | high, low, 0, id, 0xc1, 0, 0];
    section.extend(body);
    section.extend(checksum(&section).to_be_bytes());
    section
}

#[cfg(test)]
pub(super) use self::sketch::{SegmentSketch, pes_head, segment, stamps};

#[cfg(test)]
mod sketch {
    use super::super::clock::MediaTime;
    use super::super::pes::Stamps;
    use super::{packet_of, pat, pmt};

    /// A segment of a second of video at 25 pictures per second.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::probe) struct SegmentSketch<'a> {
        /// Stream type and PID of the tracks; pictures are written for PID 0x100.
        pub(in crate::probe) tracks: &'a [(u8, u16)],
        /// Ticks of the first picture.
        pub(in crate::probe) start: u64,
        /// Parameter set of the first picture; none when empty.
        pub(in crate::probe) sps: &'a [u8],
    }

    impl Default for SegmentSketch<'_> {
        fn default() -> Self {
            Self { tracks: &[(0x1b, 0x100)], start: 0, sps: &[0x67, 0x4d, 0x40, 0x15, 0xec] }
        }
    }

    pub(in crate::probe) fn segment(sketch: &SegmentSketch<'_>) -> Vec<u8> {
        let mut bytes = [pat(), pmt(sketch.tracks)].concat();
        for n in 0..25_u8 {
            let pts = MediaTime::from_ticks(sketch.start + u64::from(n) * 3_600);
            let mut payload = pes_head(0xe0, pts, None);
            if n == 0 && !sketch.sps.is_empty() {
                payload.extend([0, 0, 1]);
                payload.extend(sketch.sps);
            }
            payload.extend([0, 0, 1, if n == 0 { 0x65 } else { 0x41 }, 0x88]);
            let mut packet = packet_of(0x100, true, &payload);
            packet[3] |= n & 0x0f;
            bytes.extend(packet);
        }
        bytes
    }

    pub(in crate::probe) fn pes_head(
        stream: u8,
        pts: MediaTime,
        dts: Option<MediaTime>,
    ) -> Vec<u8> {
        let (flags, len) = if dts.is_some() { (0xc0, 10) } else { (0x80, 5) };
        let mut head = vec![0, 0, 1, stream, 0, 0, 0x80, flags, len];
        head.extend(stamp(if dts.is_some() { 0x30 } else { 0x20 }, pts));
        head.extend(dts.into_iter().flat_map(|dts| stamp(0x10, dts)));
        head
    }

    fn stamp(prefix: u8, time: MediaTime) -> [u8; 5] {
        let ticks = time.as_ticks();
        let byte = |shift: u32, mask: u64| u8::try_from(ticks >> shift & mask).unwrap();
        [
            prefix | byte(30, 7) << 1 | 1,
            byte(22, 0xff),
            byte(15, 0x7f) << 1 | 1,
            byte(7, 0xff),
            byte(0, 0x7f) << 1 | 1,
        ]
    }

    /// Stamps of a unit that is decoded when it is shown.
    pub(in crate::probe) fn stamps(ticks: u64) -> Stamps {
        Stamps { pts: Some(MediaTime::from_ticks(ticks)), dts: None }
    }
}
