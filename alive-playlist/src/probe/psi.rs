//! The tables of a transport stream: which PIDs carry what (PAT, PMT), each with its checksum.

use super::ProbeError;
use super::track::{Fingerprint, StreamKind};
use super::ts::{Packet, PacketBytes};

/// Longest section of a PAT or PMT, in bytes. Source: ISO/IEC 13818-1, 2.4.4.
const MAX_SECTION: usize = 1024;
/// Bytes of a section before its body, and of the checksum after it.
const SECTION_HEAD: usize = 8;
const CHECKSUM: usize = 4;

/// PID of the program association table.
pub(super) const PAT_PID: u16 = 0;
const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;

/// A track as the PMT announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) pid: u16,
    pub(super) stream_type: u8,
}

/// The first program of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// PID and number by which its PMT is found again.
    pub(super) pmt: PmtAddress,
    pub(super) map: ProgramMap,
}

/// Where the PMT of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PmtAddress {
    pub(super) pid: u16,
    number: u16,
}

/// What a PMT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramMap {
    /// First video track, first audio track.
    pub(super) video: Option<Track>,
    pub(super) audio: Option<Track>,
    /// Of all tracks, in any order.
    pub(super) tracks: Fingerprint,
}

/// Finds the first program; its tables need not stand in front of its media.
pub(super) fn find_program(packets: &[PacketBytes]) -> Result<Program, ProbeError> {
    let pmt = first_answer(packets, PAT_PID, read_pat).ok_or(ProbeError::NoPat)?;
    let map = first_answer(packets, pmt.pid, |section| pmt.read(section))
        .ok_or(ProbeError::NoPmt { pid: pmt.pid })?;
    Ok(Program { pmt, map })
}

/// Shows the sections on `pid` to `read` until it has an answer.
fn first_answer<T>(
    packets: &[PacketBytes],
    pid: u16,
    read: impl Fn(&[u8]) -> Reading<T>,
) -> Option<T> {
    let mut sections = SectionReader::new();
    let mut answer = None;
    for packet in packets.iter().filter_map(Packet::parse).filter(|packet| packet.pid == pid) {
        sections.push(&packet, |section| {
            if let (None, Reading::Answer(found)) = (&answer, read(section)) {
                answer = Some(found);
            }
        });
        if answer.is_some() {
            break;
        }
    }
    answer
}

/// What became of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Answer(T),
    BadChecksum,
    /// Another table, not yet valid, or nothing of use in it.
    Other,
}

/// The first program in a PAT section.
pub(super) fn read_pat(section: &[u8]) -> Reading<PmtAddress> {
    let body = match table_body(section, PAT_TABLE) {
        Reading::Answer((_, body)) => body,
        Reading::BadChecksum => return Reading::BadChecksum,
        Reading::Other => return Reading::Other,
    };
    let (entries, _) = body.as_chunks::<4>();
    // Program 0 is the network table, not a program.
    let program = entries.iter().find(|[n0, n1, ..]| u16::from_be_bytes([*n0, *n1]) != 0);
    match program {
        Some([n0, n1, p0, p1]) => Reading::Answer(PmtAddress {
            pid: pid(*p0, *p1),
            number: u16::from_be_bytes([*n0, *n1]),
        }),
        None => Reading::Other,
    }
}

impl PmtAddress {
    /// The tracks in a PMT section of this program.
    pub(super) fn read(self, section: &[u8]) -> Reading<ProgramMap> {
        let (id, body) = match table_body(section, PMT_TABLE) {
            Reading::Answer(table) => table,
            Reading::BadChecksum => return Reading::BadChecksum,
            Reading::Other => return Reading::Other,
        };
        match (id == self.number).then(|| read_tracks(body)).flatten() {
            Some(map) => Reading::Answer(map),
            None => Reading::Other,
        }
    }
}

/// `None` when a length in it does not fit.
fn read_tracks(body: &[u8]) -> Option<ProgramMap> {
    let ([_, _, i0, i1], rest) = body.split_first_chunk::<4>()?;
    let (_, mut rest) = rest.split_at_checked(length(*i0, *i1))?;
    let mut map = ProgramMap { video: None, audio: None, tracks: Fingerprint::EMPTY };
    while !rest.is_empty() {
        let ([stream_type, p0, p1, l0, l1], after) = rest.split_first_chunk::<5>()?;
        (_, rest) = after.split_at_checked(length(*l0, *l1))?;
        let track = Track { pid: pid(*p0, *p1), stream_type: *stream_type };
        let [high, low] = track.pid.to_be_bytes();
        map.tracks = map.tracks.with(Fingerprint::of(&[*stream_type, high, low]));
        match StreamKind::of(*stream_type) {
            StreamKind::Audio(_) => map.audio = map.audio.or(Some(track)),
            StreamKind::Other => {}
            StreamKind::Video(_) => map.video = map.video.or(Some(track)),
        }
    }
    Some(map)
}

/// Id and body of a section of table `table` that is in force and whose checksum is right.
fn table_body(section: &[u8], table: u8) -> Reading<(u16, &[u8])> {
    let Some(([table_id, flags, _, id0, id1, version, ..], rest)) =
        section.split_first_chunk::<SECTION_HEAD>()
    else {
        return Reading::Other;
    };
    let (has_checksum, in_force) = (flags & 0x80 != 0, version & 1 != 0);
    if *table_id != table || !has_checksum || !in_force {
        return Reading::Other;
    }
    // Over a section and its checksum the remainder is zero.
    if checksum(section) != 0 {
        return Reading::BadChecksum;
    }
    match rest.len().checked_sub(CHECKSUM).and_then(|len| rest.get(..len)) {
        Some(body) => Reading::Answer((u16::from_be_bytes([*id0, *id1]), body)),
        None => Reading::Other,
    }
}

const fn pid(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high & 0x1f, low])
}

fn length(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high & 0x0f, low]))
}

/// CRC-32 as MPEG uses it: polynomial 0x04c11db7, all ones at the start, nothing reflected.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04c1_1db7 }
        })
    })
}

/// Puts sections together from packets of one PID.
pub(super) struct SectionReader {
    bytes: [u8; MAX_SECTION],
    len: usize,
    /// Between the start of a section and the padding after the last one.
    open: bool,
}

impl SectionReader {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX_SECTION], len: 0, open: false }
    }

    /// Takes a packet; `found` gets every section that it completes.
    pub(super) fn push(&mut self, packet: &Packet<'_>, mut found: impl FnMut(&[u8])) {
        if !packet.unit_start {
            self.extend(packet.payload, &mut found);
            return;
        }
        // The pointer says how many bytes still belong to the section before.
        let Some((&pointer, rest)) = packet.payload.split_first() else { return };
        let Some((end, start)) = rest.split_at_checked(usize::from(pointer)) else {
            self.open = false;
            return;
        };
        self.extend(end, &mut found);
        self.len = 0;
        self.open = true;
        self.extend(start, &mut found);
    }

    fn extend(&mut self, mut rest: &[u8], found: &mut impl FnMut(&[u8])) {
        while self.open
            && let Some(&first) = rest.first()
        {
            let padding = self.len == 0 && first == 0xff;
            let Some(want) = self.want().filter(|_| !padding) else {
                self.open = false;
                return;
            };
            let (part, after) = rest.split_at(want.min(rest.len()));
            let end = self.len + part.len();
            if let Some(free) = self.bytes.get_mut(self.len..end) {
                free.copy_from_slice(part);
            }
            (self.len, rest) = (end, after);
            if self.want() == Some(0) {
                found(self.bytes.get(..self.len).unwrap_or_default());
                self.len = 0;
            }
        }
    }

    /// Bytes missing of the header or, once it is there, of the section. `None`: it is longer
    /// than a section may be.
    fn want(&self) -> Option<usize> {
        const LENGTH_END: usize = 3;
        if self.len < LENGTH_END {
            return Some(LENGTH_END - self.len);
        }
        let [_, l0, l1, ..] = self.bytes;
        let total = LENGTH_END + length(l0, l1);
        (total <= MAX_SECTION).then(|| total.saturating_sub(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::{packet_of, pat, pmt};
    use super::super::ts::PACKET_LEN;
    use super::*;

    fn sections(packets: &[PacketBytes]) -> Vec<Vec<u8>> {
        let mut reader = SectionReader::new();
        let mut all = Vec::new();
        for bytes in packets {
            reader.push(&Packet::parse(bytes).unwrap(), |section| all.push(section.to_vec()));
        }
        all
    }

    fn program(packets: &[PacketBytes]) -> Result<Program, ProbeError> {
        find_program(packets)
    }

    #[test]
    fn the_checksum_is_that_of_the_published_check_value() {
        assert_eq!(checksum(b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn tables_behind_the_media_are_found() {
        let found = program(&[pmt(&[(0x1b, 0x100), (0x0f, 0x101)]), pat()]).unwrap();
        assert_eq!(found.map.video, Some(Track { pid: 0x100, stream_type: 0x1b }));
        assert_eq!(found.map.audio, Some(Track { pid: 0x101, stream_type: 0x0f }));
    }

    #[test]
    fn the_fingerprint_of_the_tracks_knows_ids_and_types_but_no_order() {
        let tracks = |list: &[(u8, u16)]| program(&[pat(), pmt(list)]).unwrap().map.tracks;
        let base = tracks(&[(0x1b, 0x100), (0x0f, 0x101)]);
        assert_eq!(base, tracks(&[(0x0f, 0x101), (0x1b, 0x100)]));
        assert_ne!(base, tracks(&[(0x1b, 0x100), (0x0f, 0x102)]));
        assert_ne!(base, tracks(&[(0x24, 0x100), (0x0f, 0x101)]));
        assert_ne!(base, tracks(&[(0x1b, 0x100)]));
        assert_ne!(base, tracks(&[(0x1b, 0x100), (0x0f, 0x101), (0x0f, 0x101)]));
    }

    #[test]
    fn a_table_with_a_wrong_checksum_is_not_believed() {
        let mut broken = pat();
        broken[PACKET_LEN - 1] ^= 1;
        assert_eq!(program(&[broken, pmt(&[])]), Err(ProbeError::NoPat));
        assert!(program(&[broken, pmt(&[]), pat()]).is_ok());
        assert_eq!(program(&[pat()]), Err(ProbeError::NoPmt { pid: 0x1000 }));
    }

    #[test]
    fn a_section_over_three_packets_is_put_together() {
        let tracks: Vec<_> = (0..90).map(|n| (0x0f, 0x100 + n)).collect();
        let section = super::super::fuzzing::pmt_section(&tracks);
        let (first, rest) = section.split_at(183);
        let (second, third) = rest.split_at(184);
        let packets = [
            packet_of(0x1000, true, &[&[0], first].concat()),
            packet_of(0x1000, false, second),
            packet_of(0x1000, false, third),
        ];
        assert_eq!(sections(&packets), [section]);
    }

    #[test]
    fn two_sections_may_share_packets() {
        let tracks: Vec<_> = (0..40).map(|n| (0x0f, 0x100 + n)).collect();
        let long = super::super::fuzzing::pmt_section(&tracks);
        let short = super::super::fuzzing::pmt_section(&[(0x1b, 0x100)]);
        let (first, rest) = long.split_at(183);
        let pointer = u8::try_from(rest.len()).unwrap();
        let packets = [
            packet_of(0x1000, true, &[&[0], first].concat()),
            packet_of(0x1000, true, &[&[pointer], rest, &short, &short].concat()),
        ];
        assert_eq!(sections(&packets), [long, short.clone(), short]);
    }

    #[test]
    fn a_section_that_claims_to_be_too_long_is_dropped() {
        let claims = [0, 2, 0xbf, 0xff, 0, 0];
        let packets = vec![packet_of(0x1000, true, &claims); 40];
        assert_eq!(sections(&packets), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_pmt_of_another_program_is_passed_over() {
        let mut other = super::super::fuzzing::pmt_section(&[(0x1b, 0x100)]);
        other[4] = 9;
        let end = other.len() - CHECKSUM;
        let sum = checksum(&other[..end]);
        other[end..].copy_from_slice(&sum.to_be_bytes());
        let packet = packet_of(0x1000, true, &[&[0][..], &other].concat());
        assert_eq!(program(&[pat(), packet]), Err(ProbeError::NoPmt { pid: 0x1000 }));
    }
}
