//! Sample entries: what the samples of a track are, told by their four letters and the record behind them.
//!
//! Sources: ISO/IEC 14496-12, section 12; ISO/IEC 14496-15, sections 5.3.3.1 and 8.3.3.1; the bindings of AV1, VP9, Opus
//! and AC-3 to ISO/IEC 14496-12.

use super::boxes::{Bytes, find};
use super::esds::{self, Coding};
use crate::probe::ProbeError;
use crate::probe::codec::CodecId;
use crate::probe::track::{
    AudioFamily, AudioTrack, Fingerprint, Resolution, VideoFamily, VideoTrack,
};

/// A video track, and of how many bytes the length of a NAL unit in its samples is, if they have such.
pub(super) fn video(
    coding: [u8; 4],
    entry: &[u8],
) -> Result<(VideoTrack, Option<usize>), ProbeError> {
    let bytes = Bytes(entry);
    let (width, height) = (bytes.u16(24)?, bytes.u16(26)?);
    let inner = entry.get(78..).ok_or(ProbeError::BadBox)?;
    let (family, config) = match &coding {
        b"av01" => (VideoFamily::Av1, find(inner, *b"av1C")?),
        b"avc1" | b"avc3" => (VideoFamily::H264, find(inner, *b"avcC")?),
        b"hev1" | b"hvc1" => (VideoFamily::Hevc, find(inner, *b"hvcC")?),
        b"vp09" => (VideoFamily::Vp9, find(inner, *b"vpcC")?),
        _ => (VideoFamily::Other(0), None),
    };
    let in_band = matches!(&coding, b"avc3" | b"hev1");
    let codec = config.and_then(|config| match family {
        VideoFamily::Av1 => av1(config),
        VideoFamily::H264 => avc(config, in_band),
        VideoFamily::Hevc => hevc(config, in_band),
        VideoFamily::Vp9 => vp9(config),
        VideoFamily::Other(_) => None,
    });
    let nal_length = config.and_then(|config| match family {
        VideoFamily::H264 => config.get(4),
        VideoFamily::Hevc => config.get(21),
        _ => None,
    });
    let sps = config.map(Fingerprint::of);
    let resolution = Resolution { width: width.into(), height: height.into() };
    let track = VideoTrack {
        family,
        codec,
        resolution: Some(resolution).filter(|size| size.width > 0 && size.height > 0),
        frames: 0,
        first_sps: sps,
        last_sps: sps,
    };
    Ok((track, nal_length.map(|byte| usize::from(byte & 3) + 1)))
}

/// An audio track.
pub(super) fn audio(coding: [u8; 4], entry: &[u8]) -> Result<AudioTrack, ProbeError> {
    let bytes = Bytes(entry);
    let (channels, rate) = (bytes.u16(16)?, bytes.u32(24)? >> 16);
    let inner = entry.get(28..).ok_or(ProbeError::BadBox)?;
    let told = u8::try_from(channels).ok().filter(|channels| *channels > 0);
    let (family, codec, channels) = match &coding {
        b"Opus" => (AudioFamily::Opus, Some(CodecId::Opus), told),
        // The entry's channels are of no meaning there.
        b"ac-3" => {
            let channels = find(inner, *b"dac3")?.and_then(ac3_channels);
            (AudioFamily::Ac3, Some(CodecId::Ac3), channels)
        }
        b"ec-3" => (AudioFamily::Eac3, Some(CodecId::Eac3), None),
        b"fLaC" => (AudioFamily::Flac, Some(CodecId::Flac), told),
        b"mp4a" => match find(inner, *b"esds")?.and_then(esds::coding) {
            // Recorders write two channels into the entry whatever they are.
            Some(Coding { codec, channels }) if matches!(codec, CodecId::Aac { .. }) => {
                (AudioFamily::Aac, Some(codec), channels)
            }
            Some(Coding { codec, channels }) => (AudioFamily::Other(0), Some(codec), channels),
            None => (AudioFamily::Aac, None, None),
        },
        _ => (AudioFamily::Other(0), None, told),
    };
    Ok(AudioTrack {
        family,
        codec,
        sample_rate: Some(rate).filter(|rate| *rate > 0),
        channels,
        frames: 0,
        samples: 0,
    })
}

/// Of an `avcC` record.
fn avc(config: &[u8], in_band: bool) -> Option<CodecId> {
    match *config {
        [1, profile, constraints, level, ..] => {
            Some(CodecId::Avc { profile, constraints, level, in_band })
        }
        _ => None,
    }
}

/// Of an `hvcC` record.
fn hevc(config: &[u8], in_band: bool) -> Option<CodecId> {
    let [1, profile, rest @ ..] = config else { return None };
    let (compatibility, rest) = rest.split_first_chunk::<4>()?;
    let (constraints, rest) = rest.split_first_chunk::<6>()?;
    Some(CodecId::Hevc {
        space: profile >> 6,
        profile: profile & 0x1f,
        compatibility: u32::from_be_bytes(*compatibility),
        high_tier: profile & 0x20 != 0,
        level: *rest.first()?,
        constraints: *constraints,
        in_band,
    })
}

/// Of an `av1C` record.
fn av1(config: &[u8]) -> Option<CodecId> {
    const MARKER_AND_VERSION: u8 = 0x81;
    let &[MARKER_AND_VERSION, first, second, _, ..] = config else { return None };
    let profile = first >> 5;
    let (is_high, is_twelve) = (second & 0x40 != 0, second & 0x20 != 0);
    let bit_depth = match (is_high, is_twelve && profile == 2) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(CodecId::Av1 { profile, level: first & 0x1f, high_tier: second & 0x80 != 0, bit_depth })
}

/// Of a `vpcC` box of version 1, the only one in use.
fn vp9(config: &[u8]) -> Option<CodecId> {
    match *config {
        [1, _, _, _, profile, level, depth, ..] => {
            Some(CodecId::Vp9 { profile, level, bit_depth: depth >> 4 })
        }
        _ => None,
    }
}

/// Of a `dac3` box: main channels by the coding mode, and the one of low frequencies.
fn ac3_channels(config: &[u8]) -> Option<u8> {
    const BY_MODE: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let byte = *config.get(1)?;
    let main = BY_MODE.get(usize::from(byte >> 3 & 7))?;
    Some(main + (byte >> 2 & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box.
    fn wrap(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &kind, content].concat()
    }

    fn video_of(coding: [u8; 4], kind: [u8; 4], config: &[u8]) -> (Option<String>, Option<usize>) {
        let mut entry = vec![0; 78];
        entry[24..28].copy_from_slice(&[5, 0, 2, 208]);
        entry.extend(wrap(kind, config));
        let (track, nal_length) = video(coding, &entry).unwrap();
        assert_eq!(track.resolution, Some(Resolution { width: 1280, height: 720 }));
        (track.codec.map(|codec| codec.to_string()), nal_length)
    }

    #[test]
    fn records_of_video_are_read_where_their_formats_put_things() {
        let hvcc: Vec<u8> = [
            &[1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93][..],
            &[0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f],
        ]
        .concat();
        assert_eq!(video_of(*b"hvc1", *b"hvcC", &hvcc), (Some("hvc1.1.6.L93.90".into()), Some(4)));
        let mut other = hvcc.clone();
        (other[1], other[21]) = (0xa2, 0x0d);
        assert_eq!(video_of(*b"hev1", *b"hvcC", &other).0.unwrap(), "hev1.B2.6.H93.90");
        assert_eq!(video_of(*b"hev1", *b"hvcC", &other).1, Some(2));
        let (av1, deep) = ([0x81, 0x08, 0x0c, 0], [0x81, 0x4d, 0xec, 0]);
        assert_eq!(video_of(*b"av01", *b"av1C", &av1), (Some("av01.0.08M.08".into()), None));
        assert_eq!(video_of(*b"av01", *b"av1C", &deep).0.unwrap(), "av01.2.13H.12");
        let ten = [0x81, 0x08, 0x6c, 0];
        assert_eq!(video_of(*b"av01", *b"av1C", &ten).0.unwrap(), "av01.0.08M.10");
        let vpcc = [1, 0, 0, 0, 2, 31, 0xa0, 1, 1, 1, 0, 0];
        assert_eq!(video_of(*b"vp09", *b"vpcC", &vpcc), (Some("vp09.02.31.10".into()), None));
        let avcc = [1, 0x64, 0, 0x1f, 0xff, 0xe1];
        assert_eq!(video_of(*b"avc3", *b"avcC", &avcc), (Some("avc3.64001f".into()), Some(4)));
    }

    #[test]
    fn a_record_that_is_cut_or_of_another_version_names_no_codec() {
        let hvcc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        for len in 0..hvcc.len() {
            assert_eq!(video_of(*b"hvc1", *b"hvcC", &hvcc[..len]), (None, None), "{len}");
        }
        assert_eq!(video_of(*b"hvc1", *b"hvcC", &hvcc).0.unwrap(), "hvc1.1.6.L93.90");
        assert_eq!(video_of(*b"av01", *b"av1C", &[0x82, 8, 12, 0]).0, None);
        assert_eq!(video_of(*b"av01", *b"av1C", &[0x81, 8, 12]).0, None);
        assert_eq!(video_of(*b"vp09", *b"vpcC", &[0, 0, 0, 0, 2, 31, 0xa0]).0, None);
        assert_eq!(video_of(*b"avc1", *b"avcC", &[0, 0x64, 0, 0x1f]).0, None);
        // What is encrypted is none of these, and the record of another format is none either.
        assert_eq!(video_of(*b"encv", *b"avcC", &[1, 0x64, 0, 0x1f, 0xff]), (None, None));
        assert_eq!(video_of(*b"vp09", *b"av1C", &[0x81, 8, 12, 0]), (None, None));
    }

    fn audio_of(coding: [u8; 4], kind: [u8; 4], config: &[u8]) -> AudioTrack {
        let mut entry = vec![0; 28];
        entry[16..18].copy_from_slice(&2_u16.to_be_bytes());
        entry[24..28].copy_from_slice(&(48_000_u32 << 16).to_be_bytes());
        entry.extend(wrap(kind, config));
        audio(coding, &entry).unwrap()
    }

    #[test]
    fn audio_that_is_not_aac_is_named_by_its_entry() {
        // 5.1 channels: mode 7 and low frequencies.
        let ac3 = audio_of(*b"ac-3", *b"dac3", &[0x10, 0x3d, 0xe0]);
        assert_eq!(
            (ac3.family, ac3.codec, ac3.channels),
            (AudioFamily::Ac3, Some(CodecId::Ac3), Some(6))
        );
        let opus = audio_of(*b"Opus", *b"dOps", &[0, 2, 0, 0]);
        assert_eq!(
            (opus.codec, opus.channels, opus.sample_rate),
            (Some(CodecId::Opus), Some(2), Some(48_000))
        );
        let eac3 = audio_of(*b"ec-3", *b"dec3", &[]);
        assert_eq!((eac3.codec, eac3.channels), (Some(CodecId::Eac3), None));
        let mp3 = [0, 0, 0, 0, 3, 18, 0, 1, 0, 4, 13, 0x6b];
        let mp3 = [&mp3[..], &[0; 12]].concat();
        let mp3 = audio_of(*b"mp4a", *b"esds", &mp3);
        assert_eq!(mp3.codec, Some(CodecId::Mpeg { indication: 0x6b }));
        let lpcm = audio_of(*b"ipcm", *b"pcmC", &[]);
        assert_eq!((lpcm.family, lpcm.codec), (AudioFamily::Other(0), None));
        assert_eq!(audio_of(*b"mp4a", *b"free", &[]).codec, None);
    }
}
