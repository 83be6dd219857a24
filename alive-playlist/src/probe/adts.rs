//! AAC in ADTS frames: codec, sampling, and how many samples there are.

use super::codec::CodecId;

/// Bytes of a frame header, without its optional checksum.
const HEAD: usize = 7;
/// Samples of one channel in a block of AAC. Source: ISO/IEC 14496-3.
const BLOCK_SAMPLES: u64 = 1024;
/// Samples per second by index. Source: ISO/IEC 14496-3, table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// What the frames of a track have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) codec: CodecId,
    pub(super) sample_rate: u32,
    /// `None` when the channels are described within the frames.
    pub(super) channels: Option<u8>,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    format: Format,
    samples: u64,
    /// Bytes of the frame after this header.
    body: usize,
}

impl Header {
    /// `None` when these bytes do not start a frame. Source: ISO/IEC 13818-7, 6.2.
    fn parse(bytes: [u8; HEAD]) -> Option<Self> {
        let [sync, b1, b2, b3, b4, b5, b6] = bytes;
        let (in_sync, layer) = (sync == 0xff && b1 & 0xf0 == 0xf0, b1 & 0x06);
        if !in_sync || layer != 0 {
            return None;
        }
        let len = u16::from(b3 & 3) << 11 | u16::from(b4) << 3 | u16::from(b5 >> 5);
        let has_checksum = b1 & 1 == 0;
        let body = usize::from(len).checked_sub(HEAD)?;
        if has_checksum && body < 2 {
            return None;
        }
        let channels = match (b2 & 1) << 2 | b3 >> 6 {
            0 => None,
            7 => Some(8),
            count => Some(count),
        };
        let format = Format {
            codec: CodecId::Aac { object_type: (b2 >> 6) + 1 },
            sample_rate: *SAMPLE_RATES.get(usize::from(b2 >> 2 & 0x0f))?,
            channels,
        };
        Some(Self { format, samples: BLOCK_SAMPLES * u64::from((b6 & 3) + 1), body })
    }
}

/// Counts the frames of a track; its bytes come in pieces of any size.
#[derive(Debug)]
pub(super) struct FrameCounter {
    head: [u8; HEAD],
    len: usize,
    /// Samples of the frame whose body is being passed over, and the bytes left of it.
    open: Option<(u64, usize)>,
    tally: Tally,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Of the first frame.
    pub(super) format: Option<Format>,
    /// Whole frames.
    pub(super) frames: u64,
    /// Samples of one channel in them.
    pub(super) samples: u64,
}

impl FrameCounter {
    pub(super) fn new() -> Self {
        Self { head: [0; HEAD], len: 0, open: None, tally: Tally::default() }
    }

    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Bytes are missing: the frame they belonged to does not count, the next one is looked for.
    pub(super) fn give_up_frame(&mut self) {
        self.len = 0;
        self.open = None;
    }

    /// Takes the next bytes of the track.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() || self.open.is_some_and(|(_, left)| left == 0) {
            bytes = match self.open {
                Some((samples, left)) => self.pass_over(samples, left, bytes),
                None => self.fill_head(bytes),
            };
        }
    }

    fn pass_over<'a>(&mut self, samples: u64, left: usize, bytes: &'a [u8]) -> &'a [u8] {
        let (part, rest) = bytes.split_at(left.min(bytes.len()));
        let left = left - part.len();
        self.open = (left > 0).then_some((samples, left));
        if left == 0 {
            self.tally.frames += 1;
            self.tally.samples = self.tally.samples.saturating_add(samples);
        }
        rest
    }

    fn fill_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (part, rest) = bytes.split_at((HEAD - self.len).min(bytes.len()));
        if let Some(free) = self.head.get_mut(self.len..self.len + part.len()) {
            free.copy_from_slice(part);
        }
        self.len += part.len();
        if self.len == HEAD {
            // Once the format is known, chance bytes that look like a header are told from one.
            let header = Header::parse(self.head)
                .filter(|header| self.tally.format.is_none_or(|format| format == header.format));
            match header {
                Some(header) => {
                    self.tally.format = Some(header.format);
                    self.open = Some((header.samples, header.body));
                    self.len = 0;
                }
                None => {
                    self.head.copy_within(1.., 0);
                    self.len = HEAD - 1;
                }
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// A frame: low complexity, 44.1 kHz, mono, `body` bytes after the header.
    fn frame(body: u8) -> Vec<u8> {
        let len = u16::from(body) + 7;
        let [high, low] = (len << 5 | 0x1f).to_be_bytes();
        let mut frame = vec![0xff, 0xf1, 0x50, 0x40, high, low, 0xfc];
        frame.extend((0..body).map(|n| n & 0x7f));
        frame
    }

    fn count(parts: &[&[u8]]) -> Tally {
        let mut counter = FrameCounter::new();
        for part in parts {
            counter.push(part);
        }
        counter.tally()
    }

    #[test]
    fn the_format_is_that_of_the_header() {
        let format = count(&[&frame(20)]).format.unwrap();
        assert_eq!(format.codec.to_string(), "mp4a.40.2");
        assert_eq!((format.sample_rate, format.channels), (44_100, Some(1)));
    }

    #[rstest]
    #[case::stereo(0x50, 0x80, Some(2), 44_100)]
    #[case::seven_one(0x51, 0xc0, Some(8), 44_100)]
    #[case::described_within(0x50, 0x00, None, 44_100)]
    #[case::lowest_rate(0x70, 0x40, Some(1), 7_350)]
    fn channels_and_rate_are_read(
        #[case] b2: u8,
        #[case] b3: u8,
        #[case] channels: Option<u8>,
        #[case] rate: u32,
    ) {
        let format = Header::parse([0xff, 0xf1, b2, b3, 2, 0, 0xfc]).unwrap().format;
        assert_eq!((format.channels, format.sample_rate), (channels, rate));
    }

    #[rstest]
    #[case::no_sync([0xff, 0xe1, 0x50, 0x40, 2, 0, 0xfc])]
    #[case::layer([0xff, 0xf3, 0x50, 0x40, 2, 0, 0xfc])]
    #[case::reserved_rate([0xff, 0xf1, 0x74, 0x40, 2, 0, 0xfc])]
    #[case::shorter_than_its_head([0xff, 0xf1, 0x50, 0x40, 0, 0xc0, 0xfc])]
    #[case::no_room_for_its_checksum([0xff, 0xf0, 0x50, 0x40, 1, 0, 0xfc])]
    fn what_starts_no_frame_is_refused(#[case] bytes: [u8; HEAD]) {
        assert_eq!(Header::parse(bytes), None);
    }

    #[test]
    fn a_frame_of_several_blocks_has_their_samples() {
        let mut blocks = frame(9);
        blocks[6] |= 3;
        assert_eq!(count(&[&blocks]).samples, 4096);
    }

    #[test]
    fn a_frame_cut_off_does_not_count() {
        let all = [frame(9), frame(9)].concat();
        assert_eq!(count(&[&all]).frames, 2);
        assert_eq!(count(&[&all[..all.len() - 1]]).frames, 1);
        assert_eq!(count(&[&frame(0)]).frames, 1);
    }

    #[test]
    fn counting_goes_on_behind_rubbish_and_lost_bytes() {
        let rubbish = [0xff, 0xf1, 0x11, 0xff, 0xff];
        let bytes = [frame(30), rubbish.to_vec(), frame(40)].concat();
        assert_eq!(count(&[&bytes]).frames, 2);
        let mut counter = FrameCounter::new();
        counter.push(&frame(30)[..20]);
        counter.give_up_frame();
        counter.push(&frame(40));
        assert_eq!(counter.tally().frames, 1);
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(
            bodies in prop::collection::vec(any::<u8>(), 1..20),
            step in 1_usize..300,
        ) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(*body)).collect();
            let tally = count(&bytes.chunks(step).collect::<Vec<_>>());
            prop_assert_eq!(tally.frames, u64::try_from(bodies.len()).unwrap());
        }

        #[test]
        fn any_bytes_are_counted_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let tally = count(&[&bytes]);
            prop_assert!(tally.frames <= u64::try_from(bytes.len() / HEAD).unwrap());
        }
    }
}
