//! The sequence parameter set of H.264: profile, level, size of the picture.

use super::codec::CodecId;
use super::track::Resolution;

/// Longest side of a picture in macroblocks of 16 pixels: that of level 6.2.
/// Source: H.264, table A-1 and A.3.1 (square root of 8 times 139264).
const MAX_SIDE_IN_MBS: u32 = 1055;

/// What a parameter set says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub(super) codec: CodecId,
    /// `None` when the set breaks off or makes no sense before it is told.
    pub(super) resolution: Option<Resolution>,
}

impl Sps {
    /// Reads a set, with its header byte, as it stands in the stream. `None` without profile and
    /// level.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(nal.get(1..)?);
        let (profile, constraints, level) = (bits.byte()?, bits.byte()?, bits.byte()?);
        Some(Self {
            codec: CodecId::Avc { profile, constraints, level, in_band: false },
            resolution: read_resolution(&mut bits, profile),
        })
    }
}

/// Source: spec/hls.md, section 9, "Resolution"; H.264, 7.3.2.1.1.
fn read_resolution(bits: &mut BitReader<'_>, profile: u8) -> Option<Resolution> {
    bits.number(31)?; // id of the set
    let chroma = if has_chroma_format(profile) { read_chroma(bits)? } else { Chroma::HALF_BOTH };
    bits.number(12)?; // length of the frame number
    skip_picture_order(bits)?;
    bits.number(u32::MAX)?; // reference frames
    bits.bit()?; // gaps in the frame numbers
    let width = 16 * (bits.number(MAX_SIDE_IN_MBS - 1)? + 1);
    let map_height = 16 * (bits.number(MAX_SIDE_IN_MBS - 1)? + 1);
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?; // adaptive frames and fields
    }
    let fields = if frames_only { 1 } else { 2 };
    bits.bit()?; // direct inference
    let crop = if bits.bit()? { read_crop(bits)? } else { Crop::default() };
    Some(Resolution {
        width: crop.left_right(width, chroma.width)?,
        height: crop.top_bottom(map_height * fields, chroma.height * fields)?,
    })
}

/// Profiles whose parameter sets tell the chroma format; the others are 4:2:0.
const fn has_chroma_format(profile: u8) -> bool {
    matches!(profile, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244)
}

/// Pixels per chroma sample: the unit in which pictures are cropped.
#[derive(Clone, Copy, Debug)]
struct Chroma {
    width: u32,
    height: u32,
}

impl Chroma {
    /// 4:2:0.
    const HALF_BOTH: Self = Self { width: 2, height: 2 };
    /// 4:2:2.
    const HALF_WIDTH: Self = Self { width: 2, height: 1 };
    /// 4:4:4, no chroma, or planes of their own.
    const FULL: Self = Self { width: 1, height: 1 };
}

fn read_chroma(bits: &mut BitReader<'_>) -> Option<Chroma> {
    let format = bits.number(3)?;
    if format == 3 {
        bits.bit()?; // planes of their own
    }
    bits.number(6)?; // bit depths
    bits.number(6)?;
    bits.bit()?; // lossless
    if bits.bit()? {
        skip_scaling_lists(bits, if format == 3 { 12 } else { 8 })?;
    }
    Some(match format {
        1 => Chroma::HALF_BOTH,
        2 => Chroma::HALF_WIDTH,
        _ => Chroma::FULL,
    })
}

/// Six lists of 16 numbers, the others of 64; each may be left out. Source: H.264, 7.3.2.1.1.1.
fn skip_scaling_lists(bits: &mut BitReader<'_>, count: usize) -> Option<()> {
    for list in 0..count {
        if !bits.bit()? {
            continue;
        }
        let mut last = 8_u8;
        for _ in 0..if list < 6 { 16 } else { 64 } {
            // The scale is 8 bits wide and wraps.
            let delta = bits.signed(-128, 127)?;
            last = last.wrapping_add(delta.cast_unsigned());
            if last == 0 {
                break; // the rest of the list repeats
            }
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.number(2)? {
        0 => {
            bits.number(12)?; // length of the order count
        }
        1 => {
            bits.bit()?;
            bits.number(u32::MAX)?;
            bits.number(u32::MAX)?;
            for _ in 0..bits.number(255)? {
                bits.number(u32::MAX)?;
            }
        }
        _ => {}
    }
    Some(())
}

/// Rows and columns that are coded and not shown, in units of [`Chroma`].
#[derive(Clone, Copy, Debug, Default)]
struct Crop {
    left: u32,
    right: u32,
    top: u32,
    bottom: u32,
}

impl Crop {
    fn left_right(self, width: u32, unit: u32) -> Option<u32> {
        shown(width, self.left, self.right, unit)
    }

    fn top_bottom(self, height: u32, unit: u32) -> Option<u32> {
        shown(height, self.top, self.bottom, unit)
    }
}

fn read_crop(bits: &mut BitReader<'_>) -> Option<Crop> {
    let mut side = || bits.number(u32::MAX);
    Some(Crop { left: side()?, right: side()?, top: side()?, bottom: side()? })
}

/// What remains of a side; at least a pixel does.
fn shown(coded: u32, before: u32, after: u32, unit: u32) -> Option<u32> {
    let cropped = before.checked_add(after)?.checked_mul(unit)?;
    coded.checked_sub(cropped).filter(|rest| *rest > 0)
}

/// Reads bits, high first; drops the 03 that stands after two zero bytes so that a start code
/// cannot appear by chance.
#[derive(Clone, Debug)]
struct BitReader<'a> {
    rest: &'a [u8],
    zeros: u8,
    current: u8,
    /// Bits of `current` not yet read.
    left: u8,
}

impl<'a> BitReader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, zeros: 0, current: 0, left: 0 }
    }

    /// The next byte of the stream without the guards.
    fn next_byte(&mut self) -> Option<u8> {
        let (&first, mut rest) = self.rest.split_first()?;
        let mut byte = first;
        if byte == 3 && self.zeros == 2 {
            (byte, rest) = rest.split_first().map(|(byte, rest)| (*byte, rest))?;
            self.zeros = 0;
        }
        self.rest = rest;
        self.zeros = if byte == 0 { (self.zeros + 1).min(2) } else { 0 };
        Some(byte)
    }

    fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.current >> self.left & 1 == 1)
    }

    fn byte(&mut self) -> Option<u8> {
        (0..8).try_fold(0_u8, |byte, _| Some(byte << 1 | u8::from(self.bit()?)))
    }

    /// An unsigned Exp-Golomb number, `None` when it is above `max`. At most 63 bits are read.
    fn number(&mut self, max: u32) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let code = (0..zeros).try_fold(1_u32, |code, _| Some(code << 1 | u32::from(self.bit()?)));
        code.map(|code| code - 1).filter(|number| *number <= max)
    }

    /// A signed Exp-Golomb number from `min` to `max`: 0, 1, -1, 2, -2 and so on.
    fn signed(&mut self, min: i8, max: i8) -> Option<i8> {
        let code = self.number(u32::MAX)?;
        let size = i64::from(code.div_ceil(2));
        let number = i8::try_from(if code & 1 == 1 { size } else { -size }).ok()?;
        (min..=max).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h264_reader::nal::sps::SeqParameterSet;
    use h264_reader::nal::{Nal, RefNal};
    use proptest::prelude::*;

    /// The set of the 320x180 samples: 4:2:0, cropped from 192 rows.
    const SAMPLE: &[u8] = &[
        0x67, 0x4d, 0x40, 0x15, 0xb9, 0x02, 0x20, 0xa0, 0xcf, 0xcf, 0x80, 0x88, 0x00, 0x00, 0x03,
        0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x78, 0xb1, 0x6c, 0x23,
    ];

    /// What the crate `h264-reader` says of the same set.
    fn oracle(nal: &[u8]) -> Option<(Option<(u32, u32)>, String)> {
        let sps = SeqParameterSet::from_bits(RefNal::new(nal, &[], true).rbsp_bits()).ok()?;
        Some((sps.pixel_dimensions().ok(), sps.rfc6381().to_string()))
    }

    fn resolution(nal: &[u8]) -> Option<(u32, u32)> {
        Sps::parse(nal)?.resolution.map(|size| (size.width, size.height))
    }

    /// Writes the bits of a parameter set.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn fixed(mut self, value: u32, count: u32) -> Self {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn number(self, value: u32) -> Self {
            let code = u64::from(value) + 1;
            let len = code.ilog2();
            let mut zeros = self.fixed(0, len);
            zeros.0.extend((0..=len).rev().map(|bit| code >> bit & 1 == 1));
            zeros
        }

        /// The set as it stands in a stream: stop bit, padding, guards.
        fn nal(self) -> Vec<u8> {
            let bits = self.fixed(1, 1).0;
            let mut nal = vec![0x67];
            let mut zeros = 0;
            for byte in bits.chunks(8) {
                let byte =
                    byte.iter().enumerate().fold(0, |all, (i, b)| all | u8::from(*b) << (7 - i));
                if zeros == 2 && byte <= 3 {
                    nal.push(3);
                    zeros = 0;
                }
                nal.push(byte);
                zeros = if byte == 0 { zeros + 1 } else { 0 };
            }
            nal
        }
    }

    /// Everything that the size of the picture depends on.
    #[derive(Clone, Debug)]
    struct Picture {
        profile: u32,
        chroma: u32,
        lists: Vec<Option<Vec<i8>>>,
        order: u32,
        mbs: (u32, u32),
        frames_only: bool,
        crop: Option<[u32; 4]>,
    }

    impl Picture {
        fn nal(&self) -> Vec<u8> {
            let mut bits =
                Bits::default().fixed(self.profile, 8).fixed(0, 8).fixed(62, 8).number(0);
            if has_chroma_format(u8::try_from(self.profile).unwrap()) {
                bits = bits.number(self.chroma);
                if self.chroma == 3 {
                    bits = bits.fixed(0, 1);
                }
                bits = bits.number(0).number(0).fixed(0, 1);
                bits = self.scaling_lists(bits.fixed(u32::from(!self.lists.is_empty()), 1));
            }
            bits = bits.number(0).number(self.order);
            bits = match self.order {
                0 => bits.number(4),
                1 => bits.fixed(1, 1).number(3).number(4).number(2).number(1).number(2),
                _ => bits,
            };
            bits = bits.number(4).fixed(0, 1).number(self.mbs.0 - 1).number(self.mbs.1 - 1);
            bits = bits.fixed(u32::from(self.frames_only), 1);
            bits = bits.fixed(0, u32::from(!self.frames_only)).fixed(1, 1);
            bits = bits.fixed(u32::from(self.crop.is_some()), 1);
            for side in self.crop.into_iter().flatten() {
                bits = bits.number(side);
            }
            bits.fixed(0, 1).nal()
        }

        fn scaling_lists(&self, mut bits: Bits) -> Bits {
            if self.lists.is_empty() {
                return bits;
            }
            for index in 0..if self.chroma == 3 { 12 } else { 8 } {
                let list = self.lists.get(index).cloned().flatten();
                bits = bits.fixed(u32::from(list.is_some()), 1);
                let Some(list) = list else { continue };
                let mut last = 8_i32;
                for n in 0..if index < 6 { 16 } else { 64 } {
                    let next = i32::from(list[n % list.len()].unsigned_abs());
                    let delta = (next - last + 128).rem_euclid(256) - 128;
                    let code = if delta > 0 { 2 * delta - 1 } else { -2 * delta };
                    bits = bits.number(code.unsigned_abs());
                    last = next;
                    if last == 0 {
                        break;
                    }
                }
            }
            bits
        }
    }

    fn picture() -> impl Strategy<Value = Picture> {
        let lists = prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<i8>(), 1..20)),
            0..12,
        );
        let profile = prop::sample::select(vec![66_u32, 77, 88, 100, 110, 122, 244]);
        let crop = prop::option::of(prop::array::uniform4(0_u32..5));
        (profile, 0_u32..4, lists, 0_u32..3, (1_u32..200, 1_u32..200), any::<bool>(), crop)
            .prop_map(|(profile, chroma, lists, order, mbs, frames_only, crop)| Picture {
                profile,
                chroma,
                lists,
                order,
                mbs,
                frames_only,
                crop,
            })
    }

    #[test]
    fn the_set_of_a_sample_is_read() {
        let sps = Sps::parse(SAMPLE).unwrap();
        assert_eq!(sps.codec.to_string(), "avc1.4d4015");
        assert_eq!(resolution(SAMPLE), Some((320, 180)));
        assert_eq!(oracle(SAMPLE), Some((Some((320, 180)), "avc1.4D4015".into())));
    }

    #[test]
    fn a_set_that_breaks_off_keeps_what_it_told() {
        let sps = Sps::parse(&SAMPLE[..6]).unwrap();
        assert_eq!((sps.codec.to_string().as_str(), sps.resolution), ("avc1.4d4015", None));
        assert_eq!(Sps::parse(&SAMPLE[..3]), None);
        assert_eq!(Sps::parse(&[]), None);
    }

    #[test]
    fn a_number_without_end_is_refused() {
        assert_eq!(BitReader::new(&[0; 100]).number(u32::MAX), None);
        let mut longest = BitReader::new(&[0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(longest.number(u32::MAX), Some(u32::MAX - 1));
    }

    #[test]
    fn a_crop_larger_than_the_picture_is_no_size() {
        let mut picture = Picture {
            profile: 66,
            chroma: 1,
            lists: vec![],
            order: 0,
            mbs: (1, 1),
            frames_only: true,
            crop: Some([4, 3, 0, 0]),
        };
        assert_eq!(resolution(&picture.nal()), Some((2, 16)));
        picture.crop = Some([4, 4, 0, 0]);
        assert_eq!(resolution(&picture.nal()), None);
        picture.crop = Some([u32::MAX - 1, 4, 0, 0]);
        assert_eq!(resolution(&picture.nal()), None);
    }

    proptest! {
        #[test]
        fn sizes_are_those_of_h264_reader(picture in picture()) {
            let nal = picture.nal();
            let (size, codec) = oracle(&nal).expect("the oracle reads what we write");
            let ours = Sps::parse(&nal).unwrap();
            prop_assert_eq!(ours.codec.to_string().to_lowercase(), codec.to_lowercase());
            // The oracle calls a picture without rows or columns one of zero pixels.
            let size = size.filter(|(width, height)| *width > 0 && *height > 0);
            prop_assert_eq!(resolution(&nal), size);
        }

        #[test]
        fn damaged_sets_never_give_another_size_than_h264_reader(
            place in 1..SAMPLE.len(),
            byte in any::<u8>(),
        ) {
            let mut nal = SAMPLE.to_vec();
            nal[place] = byte;
            let ours = resolution(&nal);
            if let (Some(size), Some((Some(theirs), _))) = (ours, oracle(&nal)) {
                prop_assert_eq!(size, theirs);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Sps::parse(&bytes);
        }
    }
}
