//! A codec as playlists name it: [`CodecId`].

use std::fmt;

/// A codec as playlists name it (RFC 6381): its `Display` is the text for `CODECS`.
///
/// What decoders of a family all can do is left out where its rules allow that: the colours of AV1 and VP9, and the zeros
/// at the end of an H.265 text.
///
/// ```
/// use alive_playlist::probe::CodecId;
///
/// let main = CodecId::Avc { profile: 0x4d, constraints: 0x40, level: 0x15, in_band: false };
/// assert_eq!(main.to_string(), "avc1.4d4015");
/// assert_eq!(CodecId::Aac { object_type: 2 }.to_string(), "mp4a.40.2");
/// assert_eq!(CodecId::Opus.to_string(), "opus");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecId {
    /// AAC, and what else MPEG-4 audio defines. Source: RFC 6381, section 3.3.
    Aac {
        /// MPEG-4 audio object type; 2 is the usual low complexity (HE-AAC shows as 2 as well).
        object_type: u8,
    },
    /// AC-3 (Dolby Digital). Source: ETSI TS 102 366, annex F.
    Ac3,
    /// AV1. Source: AV1 Codec ISO Media File Format Binding, "Codecs Parameter String".
    Av1 {
        /// `seq_profile`, 0 to 2.
        profile: u8,
        /// `seq_level_idx`, 0 to 31.
        level: u8,
        /// Of the high tier, else of the main one.
        high_tier: bool,
        /// Bits of a sample: 8, 10 or 12.
        bit_depth: u8,
    },
    /// H.264. Source: RFC 6381, section 3.3.
    Avc {
        /// `profile_idc`.
        profile: u8,
        /// The constraint flags, as the byte they stand in.
        constraints: u8,
        /// `level_idc`: ten times the level.
        level: u8,
        /// Parameter sets may stand in the segments, and not only in the initialisation section: `avc3`. A transport
        /// stream has no such section, and is called `avc1`.
        in_band: bool,
    },
    /// E-AC-3 (Dolby Digital Plus). Source: ETSI TS 102 366, annex F.
    Eac3,
    /// FLAC. Source: "Encapsulation of FLAC in ISO Base Media File Format".
    Flac,
    /// H.265. Source: ISO/IEC 14496-15, annex E.
    Hevc {
        /// `general_profile_space`, 0 to 3.
        space: u8,
        /// `general_profile_idc`, 0 to 31.
        profile: u8,
        /// `general_profile_compatibility_flags`, the flag of profile 0 in the highest bit.
        compatibility: u32,
        /// Of the high tier, else of the main one.
        high_tier: bool,
        /// `general_level_idc`: thirty times the level.
        level: u8,
        /// The constraint flags, from the byte with `general_progressive_source_flag` on.
        constraints: [u8; 6],
        /// Parameter sets may stand in the segments: `hev1` and not `hvc1`.
        in_band: bool,
    },
    /// Audio of MPEG-1 or MPEG-2 in MP4, such as MP3. Source: RFC 6381, section 3.3.
    Mpeg {
        /// The object type that MP4 registers for it: 0x66 to 0x68 for AAC of MPEG-2, 0x69 and 0x6b for layers I to III.
        indication: u8,
    },
    /// Opus. Source: "Encapsulation of Opus in ISO Base Media File Format"; in lower case, as all browsers take it.
    Opus,
    /// VP9. Source: "VP Codec ISO Media File Format Binding", "Codecs Parameter String".
    Vp9 {
        /// 0 to 3.
        profile: u8,
        /// Ten times the level, 10 to 62.
        level: u8,
        /// Bits of a sample: 8, 10 or 12.
        bit_depth: u8,
    },
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Aac { object_type } => write!(f, "mp4a.40.{object_type}"),
            Self::Ac3 => f.write_str("ac-3"),
            Self::Av1 { profile, level, high_tier, bit_depth } => {
                let tier = if high_tier { 'H' } else { 'M' };
                write!(f, "av01.{profile}.{level:02}{tier}.{bit_depth:02}")
            }
            Self::Avc { profile, constraints, level, in_band } => {
                let entry = if in_band { "avc3" } else { "avc1" };
                write!(f, "{entry}.{profile:02x}{constraints:02x}{level:02x}")
            }
            Self::Eac3 => f.write_str("ec-3"),
            Self::Flac => f.write_str("fLaC"),
            Self::Hevc {
                space,
                profile,
                compatibility,
                high_tier,
                level,
                constraints,
                in_band,
            } => {
                f.write_str(if in_band { "hev1." } else { "hvc1." })?;
                f.write_str(match space {
                    1 => "A",
                    2 => "B",
                    3 => "C",
                    _ => "",
                })?;
                let tier = if high_tier { 'H' } else { 'L' };
                write!(f, "{profile}.{:X}.{tier}{level}", compatibility.reverse_bits())?;
                let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                constraints.iter().take(used).try_for_each(|byte| write!(f, ".{byte:X}"))
            }
            Self::Mpeg { indication } => write!(f, "mp4a.{indication:02X}"),
            Self::Opus => f.write_str("opus"),
            Self::Vp9 { profile, level, bit_depth } => {
                write!(f, "vp09.{profile:02}.{level:02}.{bit_depth:02}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// An HEVC stream of the main profile, as most are.
    const MAIN: CodecId = CodecId::Hevc {
        space: 0,
        profile: 1,
        compatibility: 0x6000_0000,
        high_tier: false,
        level: 93,
        constraints: [0xb0, 0, 0, 0, 0, 0],
        in_band: false,
    };

    /// Texts that the sources of the formats, Apple's authoring guide and MDN give as examples.
    #[rstest]
    #[case(MAIN, "hvc1.1.6.L93.B0")]
    #[case(
        CodecId::Hevc {
            space: 1, profile: 3, compatibility: 0x2000_0000, high_tier: true, level: 120,
            constraints: [0xb0, 0x23, 0, 0, 0, 0], in_band: true,
        },
        "hev1.A3.4.H120.B0.23"
    )]
    #[case(
        CodecId::Hevc {
            space: 0, profile: 2, compatibility: 0x2000_0000, high_tier: false, level: 153,
            constraints: [0; 6], in_band: true,
        },
        "hev1.2.4.L153"
    )]
    #[case(CodecId::Av1 { profile: 0, level: 4, high_tier: false, bit_depth: 10 }, "av01.0.04M.10")]
    #[case(CodecId::Av1 { profile: 2, level: 15, high_tier: true, bit_depth: 8 }, "av01.2.15H.08")]
    #[case(CodecId::Vp9 { profile: 2, level: 10, bit_depth: 8 }, "vp09.02.10.08")]
    #[case(CodecId::Avc { profile: 100, constraints: 0, level: 31, in_band: true }, "avc3.64001f")]
    #[case(CodecId::Mpeg { indication: 0x6b }, "mp4a.6B")]
    #[case(CodecId::Aac { object_type: 42 }, "mp4a.40.42")]
    #[case(CodecId::Ac3, "ac-3")]
    #[case(CodecId::Eac3, "ec-3")]
    #[case(CodecId::Flac, "fLaC")]
    fn texts_are_those_of_the_formats_own_examples(#[case] codec: CodecId, #[case] text: &str) {
        assert_eq!(codec.to_string(), text);
    }
}
