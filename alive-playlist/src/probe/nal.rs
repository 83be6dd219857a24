//! The head of a coded picture: parameter sets, and whether the picture stands alone.

use super::track::VideoFamily;

/// Longest parameter set that is kept, in bytes. Those of real encoders have 20 to 300.
const MAX_SPS: usize = 1024;

/// Reads the bytes of an access unit up to its first slice, in pieces of any size.
///
/// The rest of the unit, most of its bytes, is never looked at.
pub(super) struct HeadScanner {
    family: VideoFamily,
    state: State,
    /// Zero bytes directly before, up to 2.
    zeros: u8,
    sps: [u8; MAX_SPS],
    sps_len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first slice was reached, or it cannot be found any more.
    Done,
    /// After a start code: the next byte tells the type.
    Header,
    /// Before the first start code, or in a unit of no interest.
    Skip,
    /// In a parameter set.
    Sps,
}

/// What was found in the head of an access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The first slice: whether its picture can be decoded without any other.
    Slice { is_key: bool },
    /// A sequence parameter set, with its header byte.
    Sps(&'a [u8]),
}

/// What a NAL unit is for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnitType {
    KeySlice,
    Other,
    Slice,
    Sps,
}

impl HeadScanner {
    pub(super) const fn new(family: VideoFamily) -> Self {
        Self { family, state: State::Done, zeros: 0, sps: [0; MAX_SPS], sps_len: 0 }
    }

    /// A new access unit starts with the next bytes.
    pub(super) fn start_unit(&mut self) {
        self.state = State::Skip;
        self.zeros = 0;
    }

    /// Bytes are missing: what follows cannot be told any more.
    pub(super) fn give_up(&mut self) {
        self.state = State::Done;
    }

    /// Takes the next bytes of the unit.
    pub(super) fn push(&mut self, bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        for &byte in bytes {
            if self.state == State::Done {
                return;
            }
            if byte == 1 && self.zeros == 2 {
                self.end_sps(&mut found);
                self.state = State::Header;
            } else if self.state == State::Header {
                self.start_nal(byte, &mut found);
            } else if self.state == State::Sps {
                self.keep(byte);
            }
            self.zeros = if byte == 0 { (self.zeros + 1).min(2) } else { 0 };
        }
    }

    fn start_nal(&mut self, header: u8, found: &mut impl FnMut(Found<'_>)) {
        self.state = match unit_type(self.family, header) {
            kind @ (UnitType::KeySlice | UnitType::Slice) => {
                found(Found::Slice { is_key: kind == UnitType::KeySlice });
                State::Done
            }
            UnitType::Other => State::Skip,
            UnitType::Sps => {
                self.sps_len = 0;
                self.state = State::Sps;
                self.keep(header);
                State::Sps
            }
        };
    }

    fn keep(&mut self, byte: u8) {
        match self.sps.get_mut(self.sps_len) {
            Some(free) => {
                *free = byte;
                self.sps_len += 1;
            }
            None => self.state = State::Skip,
        }
    }

    /// A start code came: hands over the parameter set before it, without the zeros that belong
    /// to the start code.
    fn end_sps(&self, found: &mut impl FnMut(Found<'_>)) {
        if self.state == State::Sps
            && let Some(bytes) = self.sps.get(..self.sps_len)
            && let Some(last) = bytes.iter().rposition(|byte| *byte != 0)
            && let Some(bytes) = bytes.get(..=last)
        {
            found(Found::Sps(bytes));
        }
    }
}

/// Whether a sample of MP4, whose units stand behind their lengths of so many bytes, is a picture that can be decoded
/// without any other. A sample without a picture is none. `None` for families whose units are of another form.
pub(super) fn sample_is_key(family: VideoFamily, length: usize, sample: &[u8]) -> Option<bool> {
    if !matches!(family, VideoFamily::H264 | VideoFamily::Hevc) {
        return None;
    }
    let mut rest = sample;
    while let Some((bytes, behind)) = rest.split_at_checked(length) {
        let len = bytes.iter().fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
        let Some((unit, behind)) = behind.split_at_checked(len) else { break };
        match unit.first().map(|header| unit_type(family, *header)) {
            Some(UnitType::KeySlice) => return Some(true),
            Some(UnitType::Slice) => return Some(false),
            _ => rest = behind,
        }
    }
    Some(false)
}

/// The type in the first header byte. Sources: spec/hls.md, section 9, "Keyframe start"; H.264,
/// table 7-1; H.265, table 7-1.
///
/// A clean random access picture of H.265 (type 21) is no key: the pictures shown before it may
/// need others, as with a recovery point of H.264.
const fn unit_type(family: VideoFamily, header: u8) -> UnitType {
    if header & 0x80 != 0 {
        return UnitType::Other;
    }
    match family {
        VideoFamily::H264 => match header & 0x1f {
            1..=4 => UnitType::Slice,
            5 => UnitType::KeySlice,
            7 => UnitType::Sps,
            _ => UnitType::Other,
        },
        VideoFamily::Hevc => match header >> 1 {
            16..=20 => UnitType::KeySlice,
            0..=31 => UnitType::Slice,
            33 => UnitType::Sps,
            _ => UnitType::Other,
        },
        VideoFamily::Av1 | VideoFamily::Other(_) | VideoFamily::Vp9 => UnitType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the scanner finds when `bytes` come in pieces of `step` bytes.
    fn scan(family: VideoFamily, bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<bool>) {
        let mut scanner = HeadScanner::new(family);
        let (mut sets, mut key) = (Vec::new(), None);
        scanner.start_unit();
        for part in bytes.chunks(step) {
            scanner.push(part, |found| match found {
                Found::Slice { is_key } => key = Some(is_key),
                Found::Sps(bytes) => sets.push(bytes.to_vec()),
            });
        }
        (sets, key)
    }

    #[test]
    fn the_usual_head_of_a_key_frame_is_read() {
        let head = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x4d\x40\x15\0\0\0\x01\x68\xee\0\0\x01\x65\x88\0\0\x01\x67";
        for step in [1, 2, 3, 5, 100] {
            let found = scan(VideoFamily::H264, head, step);
            assert_eq!(found, (vec![b"\x67\x4d\x40\x15".to_vec()], Some(true)));
        }
    }

    #[test]
    fn a_slice_of_another_picture_is_no_key_even_after_a_recovery_point() {
        let head = b"\0\0\x01\x06\x06\x01\xc4\x80\0\0\x01\x41\x9a";
        assert_eq!(scan(VideoFamily::H264, head, 4), (vec![], Some(false)));
    }

    #[test]
    fn hevc_keys_are_told_by_type() {
        let head = |kind: u8| [0, 0, 1, kind << 1, 1, 0x80];
        let key = |kind| scan(VideoFamily::Hevc, &head(kind), 9).1;
        for (kind, want) in [(0, false), (1, false), (16, true), (19, true), (20, true)] {
            assert_eq!(key(kind), Some(want), "type {kind}");
        }
        assert_eq!(key(21), Some(false));
        assert_eq!(key(32), None);
        let set = b"\0\0\x01\x42\x01\x01\0\0\x01\x26\x01";
        assert_eq!(scan(VideoFamily::Hevc, set, 9), (vec![b"\x42\x01\x01".to_vec()], Some(true)));
    }

    #[test]
    fn an_endless_parameter_set_is_dropped() {
        let mut head = b"\0\0\x01\x67".to_vec();
        head.extend([7; 2 * MAX_SPS]);
        head.extend(b"\0\0\x01\x65");
        assert_eq!(scan(VideoFamily::H264, &head, 184), (vec![], Some(true)));
    }

    #[test]
    fn nothing_is_said_after_bytes_were_lost() {
        let mut scanner = HeadScanner::new(VideoFamily::H264);
        scanner.start_unit();
        scanner.give_up();
        scanner.push(b"\0\0\x01\x65", |found| panic!("{found:?}"));
    }

    #[test]
    fn a_sample_is_a_key_if_its_first_slice_is() {
        let sample = |units: &[&[u8]]| -> Vec<u8> {
            let unit = |unit: &&[u8]| [&[0, u8::try_from(unit.len()).unwrap()][..], unit].concat();
            units.iter().flat_map(unit).collect()
        };
        let is_key = |family, units: &[&[u8]]| sample_is_key(family, 2, &sample(units));
        let h264 = VideoFamily::H264;
        assert_eq!(is_key(h264, &[&[9, 1], &[0x67, 1], &[0x65, 8], &[0x41]]), Some(true));
        assert_eq!(is_key(h264, &[&[6, 1], &[0x41, 8], &[0x65]]), Some(false));
        assert_eq!(is_key(h264, &[&[0x67, 1], &[]]), Some(false), "there is no picture");
        assert_eq!(is_key(VideoFamily::Hevc, &[&[0x46, 1], &[0x26, 1]]), Some(true));
        assert_eq!(is_key(VideoFamily::Hevc, &[&[0x2a, 1]]), Some(false));
        assert_eq!(is_key(VideoFamily::Av1, &[&[0x12]]), None);
        // A unit that says that it is longer than the sample is not looked into.
        assert_eq!(sample_is_key(h264, 4, &[0, 0, 0, 2, 0x65]), Some(false));
        assert_eq!(sample_is_key(h264, 4, &[0xff; 7]), Some(false));
        assert_eq!(sample_is_key(h264, 1, &[]), Some(false));
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(
            bytes in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x67, 0x41, 3]), 0..60),
            step in 1_usize..20,
        ) {
            let whole = scan(VideoFamily::H264, &bytes, bytes.len().max(1));
            prop_assert_eq!(scan(VideoFamily::H264, &bytes, step), whole);
        }
    }
}
