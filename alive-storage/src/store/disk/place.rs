//! Where the bytes of a block are: [`Place`], an entry of the index.

/// Where the bytes of a block are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the index itself.
    Inline {
        /// The put it came with.
        number: u64,
        /// Whether it is known to link nothing.
        leaf: bool,
        data: Vec<u8>,
    },
    Pack {
        /// The pack it is in, which is the put it came with unless packs have been joined.
        number: u64,
        /// Whether it is known to link nothing.
        leaf: bool,
        offset: u64,
        len: u32,
    },
}

/// First bytes of an entry. Those of format 1 do not tell whether a block is a leaf, nor what it came with.
const INLINE_V1: u8 = 0;
const PACK_V1: u8 = 1;
const INLINE: u8 = 2;
const PACK: u8 = 3;
/// The number of all that was inline in format 1.
const NO_NUMBER: u64 = 0;

impl Place {
    /// Place of a block of `len` bytes, which are at most 2 MiB.
    #[expect(clippy::cast_possible_truncation, reason = "a block has at most 2 MiB")]
    pub(super) fn in_pack(number: u64, offset: u64, len: usize, leaf: bool) -> Self {
        Self::Pack { number, offset, len: len as u32, leaf }
    }

    /// The put or pack that it is in.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Inline { number, .. } | Self::Pack { number, .. } => *number,
        }
    }

    /// Whether the block is known to link nothing.
    pub(super) fn is_leaf(&self) -> bool {
        match self {
            Self::Inline { leaf, .. } | Self::Pack { leaf, .. } => *leaf,
        }
    }

    /// Bytes of the block.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Inline { data, .. } => data.len() as u64,
            Self::Pack { len, .. } => u64::from(*len),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline { number, leaf, data } => {
                [&[INLINE, u8::from(*leaf)], &number.to_le_bytes()[..], data].concat()
            }
            Self::Pack { number, leaf, offset, len } => {
                let (number, offset) = (number.to_le_bytes(), offset.to_le_bytes());
                [&[PACK, u8::from(*leaf)], &number[..], &offset, &len.to_le_bytes()].concat()
            }
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (leaf, rest) = match (*form, rest.split_first()) {
            (INLINE_V1 | PACK_V1, _) => (false, rest),
            (INLINE | PACK, Some((leaf, rest))) if *leaf < 2 => (*leaf == 1, rest),
            _ => return None,
        };
        if *form == INLINE_V1 {
            return Some(Self::Inline { number: NO_NUMBER, leaf, data: rest.to_vec() });
        }
        let (number, rest) = rest.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        if *form == INLINE {
            return Some(Self::Inline { number, leaf, data: rest.to_vec() });
        }
        let (offset, rest) = rest.split_first_chunk()?;
        let len = u32::from_le_bytes(rest.try_into().ok()?);
        Some(Self::Pack { number, leaf, offset: u64::from_le_bytes(*offset), len })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_round_trip(data: Vec<u8>, number: u64, offset: u64, len: u32, leaf: bool) {
            let inline = Place::Inline { number, leaf, data };
            for place in [inline, Place::Pack { number, offset, len, leaf }] {
                prop_assert_eq!(Place::decode(&place.encode()), Some(place));
            }
        }
    }

    #[test]
    fn places_of_the_first_format_are_read() {
        let inline = Place::Inline { number: 0, leaf: false, data: b"hi".to_vec() };
        assert_eq!(Place::decode(b"\0hi"), Some(inline));
        let mut entry = vec![1];
        entry.extend([7_u64.to_le_bytes(), 9_u64.to_le_bytes()].concat());
        entry.extend(3_u32.to_le_bytes());
        let place = Place::Pack { number: 7, offset: 9, len: 3, leaf: false };
        assert_eq!(Place::decode(&entry), Some(place));
    }

    #[test]
    fn other_bytes_are_no_place() {
        for bytes in [&[][..], &[4, 0], &[1], &[1; 20], &[1; 22], &[2, 2], &[3; 22], &[3, 1], &[2]]
        {
            assert_eq!(Place::decode(bytes), None);
        }
    }
}
