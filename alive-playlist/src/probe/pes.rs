//! PES packets: where a unit of media starts, and its time stamps.

use super::clock::MediaTime;
use super::ts::Packet;

/// Bytes up to and with the length of the optional header.
const FIXED_HEAD: usize = 9;
/// Longest header: the optional part is at most 255 bytes.
const MAX_HEAD: usize = FIXED_HEAD + 255;

/// Time stamps of one PES packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    /// When the unit is shown.
    pub(super) pts: Option<MediaTime>,
    /// When it is decoded; the header leaves it out when it equals the former.
    pub(super) dts: Option<MediaTime>,
}

impl Stamps {
    /// When the unit is decoded.
    pub(super) fn dts(&self) -> Option<MediaTime> {
        self.dts.or(self.pts)
    }
}

/// Takes the packets of one PID apart into headers and media bytes.
pub(super) struct PesReader {
    head: [u8; MAX_HEAD],
    len: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Media bytes follow.
    Body,
    /// In the header, which may cross packets.
    Head,
    /// Waiting for the next start: none came yet, or the packet is no use.
    Idle,
}

impl PesReader {
    pub(super) const fn new() -> Self {
        Self { head: [0; MAX_HEAD], len: 0, state: State::Idle }
    }

    /// Takes a packet: the stamps when it completes a header, and the media bytes in it.
    pub(super) fn push<'a>(&mut self, packet: &Packet<'a>) -> (Option<Stamps>, &'a [u8]) {
        if packet.unit_start {
            self.len = 0;
            self.state = State::Head;
        }
        match self.state {
            State::Body => (None, packet.payload),
            State::Head => self.fill_head(packet.payload),
            State::Idle => (None, &[]),
        }
    }

    /// Packets were lost: a header cut by it cannot be completed.
    pub(super) fn forget_head(&mut self) {
        if self.state == State::Head {
            self.state = State::Idle;
        }
    }

    fn fill_head<'a>(&mut self, mut rest: &'a [u8]) -> (Option<Stamps>, &'a [u8]) {
        while let Some(want) = self.want() {
            let (part, after) = rest.split_at(want.min(rest.len()));
            let end = self.len + part.len();
            if let Some(free) = self.head.get_mut(self.len..end) {
                free.copy_from_slice(part);
            }
            (self.len, rest) = (end, after);
            if part.is_empty() {
                return (None, &[]);
            }
        }
        match read_stamps(self.head.get(..self.len).unwrap_or_default()) {
            Some(stamps) => {
                self.state = State::Body;
                (Some(stamps), rest)
            }
            None => {
                self.state = State::Idle;
                (None, &[])
            }
        }
    }

    /// Bytes missing of the header, `None` when it is complete.
    fn want(&self) -> Option<usize> {
        let total = match self.head.get(FIXED_HEAD - 1) {
            Some(&optional) if self.len >= FIXED_HEAD => FIXED_HEAD + usize::from(optional),
            _ => FIXED_HEAD,
        };
        total.checked_sub(self.len).filter(|missing| *missing > 0)
    }
}

/// `None` when this is not the header of a media packet. Source: ISO/IEC 13818-1, 2.4.3.6.
fn read_stamps(head: &[u8]) -> Option<Stamps> {
    let ([0, 0, 1, stream_id, _, _, mark, flags, _], optional) =
        head.split_first_chunk::<FIXED_HEAD>()?
    else {
        return None;
    };
    // Padding, private 2, maps, ECM, EMM and the like have no optional header.
    let plain = matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff);
    if plain || mark & 0xc0 != 0x80 {
        return None;
    }
    let (has_pts, has_dts) = (flags & 0x80 != 0, flags & 0xc0 == 0xc0);
    let stamp = |from: usize| optional.get(from..).and_then(read_stamp);
    let pts = if has_pts { stamp(0) } else { None };
    let dts = if has_dts { stamp(5) } else { None };
    Some(Stamps { pts, dts })
}

/// 33 bits in 5 bytes; `None` when a marker bit is missing.
fn read_stamp(bytes: &[u8]) -> Option<MediaTime> {
    let [b0, b1, b2, b3, b4] = bytes.first_chunk::<5>()?.map(u64::from);
    if b0 & b2 & b4 & 1 == 0 {
        return None;
    }
    let ticks = (b0 >> 1 & 7) << 30 | b1 << 22 | (b2 >> 1) << 15 | b3 << 7 | b4 >> 1;
    Some(MediaTime::from_ticks(ticks))
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::{packet_of, pes_head};
    use super::*;

    fn time(ticks: u64) -> MediaTime {
        MediaTime::from_ticks(ticks)
    }

    #[test]
    fn both_stamps_are_read() {
        let head = pes_head(0xe0, time(0x1_2345_6789), Some(time(MediaTime::MODULUS - 1)));
        let stamps = read_stamps(&head).unwrap();
        assert_eq!(stamps.pts, Some(time(0x1_2345_6789)));
        assert_eq!(stamps.dts(), Some(time(MediaTime::MODULUS - 1)));
    }

    #[test]
    fn without_a_dts_the_unit_is_decoded_when_it_is_shown() {
        let stamps = read_stamps(&pes_head(0xc0, time(77), None)).unwrap();
        assert_eq!(stamps.dts(), Some(time(77)));
    }

    #[test]
    fn a_stamp_without_its_marker_bits_is_none() {
        for marker in [9, 11, 13] {
            let mut head = pes_head(0xe0, time(77), None);
            head[marker] &= !1;
            assert_eq!(read_stamps(&head), Some(Stamps::default()));
        }
    }

    #[test]
    fn a_header_shorter_than_its_stamps_has_none() {
        let mut head = pes_head(0xe0, time(77), None);
        head.truncate(FIXED_HEAD + 4);
        assert_eq!(read_stamps(&head), Some(Stamps::default()));
    }

    #[test]
    fn padding_and_other_bytes_are_no_media() {
        assert_eq!(read_stamps(&pes_head(0xbe, time(1), None)), None);
        assert_eq!(read_stamps(b"not a header"), None);
    }

    #[test]
    fn a_header_over_two_packets_is_put_together() {
        let head = pes_head(0xe0, time(5), Some(time(4)));
        let mut reader = PesReader::new();
        let (first, second) = head.split_at(7);
        let packets =
            [packet_of(9, true, first), packet_of(9, false, &[second, b"media"].concat())];
        let parse = |index: usize| Packet::parse(&packets[index]).unwrap();
        assert_eq!(reader.push(&parse(1)), (None, &[][..]));
        assert_eq!(reader.push(&parse(0)), (None, &[][..]));
        let (stamps, body) = reader.push(&parse(1));
        assert_eq!(stamps.and_then(|stamps| stamps.dts()), Some(time(4)));
        assert_eq!(body, b"media");
    }

    #[test]
    fn a_lost_packet_ends_a_header_but_not_a_body() {
        let head = pes_head(0xe0, time(5), None);
        let packets = [packet_of(9, true, &head[..7]), packet_of(9, false, b"media")];
        let parse = |index: usize| Packet::parse(&packets[index]).unwrap();
        let mut reader = PesReader::new();
        reader.push(&parse(0));
        reader.forget_head();
        assert_eq!(reader.push(&parse(1)), (None, &[][..]));
        reader.state = State::Body;
        reader.forget_head();
        assert_eq!(reader.push(&parse(1)).1, b"media");
    }
}
