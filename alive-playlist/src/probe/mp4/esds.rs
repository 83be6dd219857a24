//! The set-up of a decoder of MPEG audio, as an `esds` box holds it: [`coding`].
//!
//! Sources: ISO/IEC 14496-1, section 7.2.6; ISO/IEC 14496-3, section 1.6.2.1.

use crate::probe::codec::CodecId;

/// What an audio decoder is set up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) codec: CodecId,
    /// `None` when the set-up does not say.
    pub(super) channels: Option<u8>,
}

/// The coding that the content of an `esds` box names; `None` when it is cut, or no audio that is known here.
pub(super) fn coding(esds: &[u8]) -> Option<Coding> {
    const MPEG4_AUDIO: u8 = 0x40;
    let es = descriptor(esds.get(4..)?, 3)?;
    // The id, flags, and what the flags add: another id, an address, a third id.
    let flags = *es.get(2)?;
    let es = es.get(if flags & 0x80 == 0 { 3 } else { 5 }..)?;
    let es = if flags & 0x40 == 0 { es } else { es.get(1 + usize::from(*es.first()?)..)? };
    let es = es.get(if flags & 0x20 == 0 { 0 } else { 2 }..)?;
    let config = descriptor(es, 4)?;
    match *config.first()? {
        MPEG4_AUDIO => audio_config(descriptor(config.get(13..)?, 5)?),
        indication @ (0x66..=0x69 | 0x6b) => {
            Some(Coding { codec: CodecId::Mpeg { indication }, channels: None })
        }
        _ => None,
    }
}

/// The set-up of MPEG-4 audio.
fn audio_config(config: &[u8]) -> Option<Coding> {
    const ESCAPED_TYPE: u8 = 31;
    const ESCAPED_RATE: u8 = 15;
    if config.len() < 2 {
        return None;
    }
    let mut bits = config.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut take = |count: usize| {
        bits.by_ref().take(count).fold(0_u8, |value, bit| value.wrapping_shl(1) | bit)
    };
    let object_type = match take(5) {
        ESCAPED_TYPE => 32 + take(6),
        object_type => object_type,
    };
    if take(4) == ESCAPED_RATE {
        let _ = (take(8), take(8), take(8));
    }
    let channels = match take(4) {
        channels @ 1..=6 => Some(channels),
        7 => Some(8),
        _ => None,
    };
    Some(Coding { codec: CodecId::Aac { object_type }, channels })
}

/// The content of a descriptor of this kind, which must be the next one.
fn descriptor(data: &[u8], kind: u8) -> Option<&[u8]> {
    let (&found, mut rest) = data.split_first()?;
    let mut len = 0_usize;
    for _ in 0..4 {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.get(..len).filter(|_| found == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audio_set_up_is_read_with_its_escapes() {
        let read = |bytes: &[u8]| {
            audio_config(bytes).map(|coding| (coding.codec.to_string(), coding.channels))
        };
        assert_eq!(read(&[0x12, 0x08]), Some(("mp4a.40.2".into(), Some(1))));
        assert_eq!(read(&[0x11, 0xb8]), Some(("mp4a.40.2".into(), Some(8))));
        // Type 42 in six further bits, then a rate in 24 bits.
        let escaped = [0xf9, 0x5e, 0x01, 0x58, 0x88, 0x40];
        assert_eq!(read(&escaped), Some(("mp4a.40.42".into(), Some(2))));
        assert_eq!(read(&[0x12]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_set_up_is_found_behind_what_flags_add_and_in_long_lengths() {
        let config = [0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0x12, 0x10];
        let want = Some(Coding { codec: CodecId::Aac { object_type: 2 }, channels: Some(2) });
        for (flags, more) in [
            (0x00, &[][..]),
            (0x80, &[0, 7]),
            (0x20, &[0, 9]),
            (0xe0, &[0, 7, 2, b'u', b'r', 0, 9]),
        ] {
            let es = [&[0, 1, flags][..], more, &[4, 17], &config].concat();
            let len = u8::try_from(es.len()).unwrap();
            let esds = [&[0, 0, 0, 0, 3, 0x80, 0x80, 0x80, len][..], &es].concat();
            assert_eq!(coding(&esds), want, "flags {flags:#x}");
            for cut in 0..esds.len() {
                assert_eq!(coding(&esds[..cut]), None, "flags {flags:#x}, {cut} bytes");
            }
        }
    }
}
