//! Fragmented MP4: the initialisation section ([`InitProbe`]) and the fragments that it explains.
//!
//! Boxes are walked where they are expected, a fixed number deep; nothing is copied, and the time taken is that of
//! reading the boxes once. Source: ISO/IEC 14496-12; ISO/IEC 14496-15 (avcC); ISO/IEC 14496-1 (esds).

use super::clock::{MediaTime, fraction_to_duration};
use super::track::{
    AudioFamily, AudioTrack, CodecId, Fingerprint, Resolution, VideoFamily, VideoTrack,
};
use super::{Container, ProbeError, SegmentProbe};

/// What an initialisation section says: it is needed to measure the fragments behind it.
///
/// ```
/// use alive_playlist::probe::InitProbe;
/// # let media = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4");
/// let init = InitProbe::read(&std::fs::read(format!("{media}/init.mp4"))?)?;
/// let first = init.probe_fragment(&std::fs::read(format!("{media}/stream0.m4s"))?)?;
/// assert_eq!(first.codecs().as_deref(), Some("avc1.4d4015,mp4a.40.2"));
/// assert_eq!(first.duration, Some(std::time::Duration::from_secs(10)));
/// assert!(first.starts_with_key_frame);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProbe {
    video: Option<Track<VideoTrack>>,
    audio: Option<Track<AudioTrack>>,
    tracks: Fingerprint,
}

/// A track as the section announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Track<T> {
    id: u32,
    /// Units of time in a second, not 0.
    timescale: u32,
    defaults: Defaults,
    about: T,
}

/// What holds for samples that do not say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Defaults {
    duration: u32,
    flags: u32,
}

/// Bit of a sample's flags: it needs other samples.
const NON_SYNC: u32 = 0x0001_0000;

impl InitProbe {
    /// Reads an initialisation section.
    ///
    /// # Errors
    /// It is none, it is cut, or it announces neither video nor audio.
    pub fn read(data: &[u8]) -> Result<Self, ProbeError> {
        if data.is_empty() {
            return Err(ProbeError::Empty);
        }
        let moov = find(data, *b"moov")?.ok_or(ProbeError::NoMovie)?;
        let mut found = Self { video: None, audio: None, tracks: Fingerprint::EMPTY };
        for child in boxes(moov) {
            let (kind, trak) = child?;
            if kind == *b"trak" {
                found.take_track(trak)?;
            }
        }
        if let Some(mvex) = find(moov, *b"mvex")? {
            for child in boxes(mvex) {
                let (kind, trex) = child?;
                if kind == *b"trex" {
                    found.take_defaults(trex)?;
                }
            }
        }
        if found.video.is_none() && found.audio.is_none() {
            return Err(ProbeError::NoMedia);
        }
        Ok(found)
    }

    /// The first video and the first audio track count.
    fn take_track(&mut self, trak: &[u8]) -> Result<(), ProbeError> {
        let tkhd = find(trak, *b"tkhd")?.ok_or(ProbeError::BadBox)?;
        let id = Bytes(tkhd).u32(if version(tkhd)? == 1 { 20 } else { 12 })?;
        let mdia = find(trak, *b"mdia")?.ok_or(ProbeError::BadBox)?;
        let mdhd = find(mdia, *b"mdhd")?.ok_or(ProbeError::BadBox)?;
        let timescale = Bytes(mdhd).u32(if version(mdhd)? == 1 { 20 } else { 12 })?;
        if timescale == 0 {
            return Err(ProbeError::BadBox);
        }
        let hdlr = find(mdia, *b"hdlr")?.ok_or(ProbeError::BadBox)?;
        let handler = Bytes(hdlr).array::<4>(8)?;
        let stbl = find(mdia, *b"minf")?.map(|minf| find(minf, *b"stbl")).transpose()?.flatten();
        let stsd = stbl.map(|stbl| find(stbl, *b"stsd")).transpose()?.flatten();
        let stsd = stsd.ok_or(ProbeError::BadBox)?;
        let mut entries = boxes(stsd.get(8..).ok_or(ProbeError::BadBox)?);
        let (coding, entry) = entries.next().ok_or(ProbeError::BadBox)??;
        let name = [&id.to_be_bytes()[..], &handler, &coding].concat();
        self.tracks = self.tracks.with(Fingerprint::of(&name));
        let defaults = Defaults::default();
        match &handler {
            b"vide" if self.video.is_none() => {
                self.video = Some(Track { id, timescale, defaults, about: video(coding, entry)? });
            }
            b"soun" if self.audio.is_none() => {
                self.audio = Some(Track { id, timescale, defaults, about: audio(coding, entry)? });
            }
            _ => {}
        }
        Ok(())
    }

    fn take_defaults(&mut self, trex: &[u8]) -> Result<(), ProbeError> {
        let bytes = Bytes(trex);
        let id = bytes.u32(4)?;
        let defaults = Defaults { duration: bytes.u32(12)?, flags: bytes.u32(20)? };
        if let Some(video) = self.video.as_mut().filter(|track| track.id == id) {
            video.defaults = defaults;
        }
        if let Some(audio) = self.audio.as_mut().filter(|track| track.id == id) {
            audio.defaults = defaults;
        }
        Ok(())
    }

    /// Measures a segment of this recording: one or more whole fragments.
    ///
    /// # Errors
    /// It is cut, or has no fragment of the tracks that were announced.
    pub fn probe_fragment(&self, data: &[u8]) -> Result<SegmentProbe, ProbeError> {
        if data.is_empty() {
            return Err(ProbeError::Empty);
        }
        let (mut video, mut audio, mut fragments) = (Run::default(), Run::default(), 0);
        for child in boxes(data) {
            let (kind, moof) = child?;
            if kind != *b"moof" {
                continue;
            }
            fragments += 1;
            for child in boxes(moof) {
                let (kind, traf) = child?;
                if kind == *b"traf" {
                    let id = Bytes(find(traf, *b"tfhd")?.ok_or(ProbeError::BadBox)?).u32(4)?;
                    match (&self.video, &self.audio) {
                        (Some(track), _) if track.id == id => video.add(traf, track.defaults)?,
                        (_, Some(track)) if track.id == id => audio.add(traf, track.defaults)?,
                        _ => {}
                    }
                }
            }
        }
        if fragments == 0 {
            return Err(ProbeError::NoFragment);
        }
        self.report(data.len(), fragments, &video, &audio)
    }

    fn report(
        &self,
        size: usize,
        fragments: u64,
        video: &Run,
        audio: &Run,
    ) -> Result<SegmentProbe, ProbeError> {
        let of_video = self.video.as_ref().and_then(|track| Some((track.timescale, video.span?)));
        let of_audio = self.audio.as_ref().and_then(|track| Some((track.timescale, audio.span?)));
        let (timescale, span) = of_video.or(of_audio).ok_or(ProbeError::NoTimestamps)?;
        let time = |units: u64| media_time(units, timescale);
        let units = u128::from(span.end.saturating_sub(span.start));
        Ok(SegmentProbe {
            container: Container::Fmp4 { fragments },
            size,
            duration: (units > 0).then(|| fraction_to_duration(units, timescale.into())),
            first_pts: time(span.start.saturating_add_signed(span.first_offset.into())),
            first_dts: time(span.start),
            last_dts: time(span.last),
            starts_with_key_frame: of_video.is_none_or(|(_, span)| span.is_sync),
            video: self
                .video
                .as_ref()
                .map(|track| VideoTrack { frames: video.samples, ..track.about.clone() }),
            audio: self.audio.as_ref().map(|track| {
                let rate = track.about.sample_rate.filter(|rate| *rate == track.timescale);
                let units = audio.span.map_or(0, |span| span.end.saturating_sub(span.start));
                // Only where the unit of time is a sample the samples are known.
                let samples = rate.map_or(0, |_| units);
                AudioTrack { frames: audio.samples, samples, ..track.about.clone() }
            }),
            tracks: self.tracks,
        })
    }
}

/// The samples of one track in a segment.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    samples: u64,
    span: Option<Span>,
}

/// Times in units of the track.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    /// When the last sample is decoded.
    last: u64,
    end: u64,
    /// From decoding to showing, of the first sample.
    first_offset: i32,
    /// Whether the first sample stands alone.
    is_sync: bool,
}

impl Run {
    /// Takes the samples of a fragment.
    fn add(&mut self, traf: &[u8], mut defaults: Defaults) -> Result<(), ProbeError> {
        let tfhd = find(traf, *b"tfhd")?.ok_or(ProbeError::BadBox)?;
        let flags = flags(tfhd)?;
        let mut fields = Fields { bytes: Bytes(tfhd), at: 8 };
        fields.skip(flags, 0x01, 8);
        fields.skip(flags, 0x02, 4);
        defaults.duration = fields.take(flags, 0x08)?.unwrap_or(defaults.duration);
        fields.skip(flags, 0x10, 4);
        defaults.flags = fields.take(flags, 0x20)?.unwrap_or(defaults.flags);
        let mut at = match find(traf, *b"tfdt")? {
            Some(tfdt) if version(tfdt)? == 1 => Bytes(tfdt).u64(4)?,
            Some(tfdt) => Bytes(tfdt).u32(4)?.into(),
            None => self.span.map_or(0, |span| span.end),
        };
        for child in boxes(traf) {
            let (kind, trun) = child?;
            if kind == *b"trun" {
                at = self.add_samples(trun, defaults, at)?;
            }
        }
        Ok(())
    }

    /// Takes a run of samples that starts at a time, and gives the time behind it.
    fn add_samples(
        &mut self,
        trun: &[u8],
        defaults: Defaults,
        start: u64,
    ) -> Result<u64, ProbeError> {
        let (flags, count) = (flags(trun)?, Bytes(trun).u32(4)?);
        if count == 0 {
            return Ok(start);
        }
        let mut fields = Fields { bytes: Bytes(trun), at: 8 };
        fields.skip(flags, 0x01, 4);
        let first_flags = fields.take(flags, 0x04)?;
        let size = [0x100, 0x200, 0x400, 0x800].iter().filter(|bit| flags & **bit != 0).count() * 4;
        let table = trun.get(fields.at..).ok_or(ProbeError::BadBox)?;
        // What is announced must be there: a count alone costs nothing to write.
        let len = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
        let table = len.and_then(|len| table.get(..len)).ok_or(ProbeError::BadBox)?;

        let mut first = Fields { bytes: Bytes(table), at: 0 };
        let first_duration = first.take(flags, 0x100)?.unwrap_or(defaults.duration);
        first.skip(flags, 0x200, 4);
        let own_flags = first.take(flags, 0x400)?;
        let first_flags = first_flags.or(own_flags).unwrap_or(defaults.flags);
        let first_offset = first.take(flags, 0x800)?.unwrap_or(0).cast_signed();
        let (total, last_duration) = if flags & 0x100 == 0 {
            (u64::from(count) * u64::from(defaults.duration), defaults.duration)
        } else {
            let durations = table.chunks_exact(size).filter_map(|sample| sample.first_chunk());
            durations.fold((0, first_duration), |(total, _), duration| {
                let duration = u32::from_be_bytes(*duration);
                (total + u64::from(duration), duration)
            })
        };
        let end = start.saturating_add(total);
        let last = end.saturating_sub(last_duration.into());
        self.samples += u64::from(count);
        self.span = Some(match self.span {
            Some(before) => Span { last, end, ..before },
            None => Span { start, last, end, first_offset, is_sync: first_flags & NON_SYNC == 0 },
        });
        Ok(end)
    }
}

fn video(coding: [u8; 4], entry: &[u8]) -> Result<VideoTrack, ProbeError> {
    let bytes = Bytes(entry);
    let (width, height) = (bytes.u16(24)?, bytes.u16(26)?);
    let inner = entry.get(78..).ok_or(ProbeError::BadBox)?;
    let (family, config) = match &coding {
        b"avc1" | b"avc3" => (VideoFamily::H264, find(inner, *b"avcC")?),
        b"hvc1" | b"hev1" => (VideoFamily::Hevc, find(inner, *b"hvcC")?),
        _ => (VideoFamily::Other(0), None),
    };
    let codec = config.filter(|_| family == VideoFamily::H264).and_then(|config| match config {
        &[_, profile, constraints, level, ..] => Some(CodecId::Avc { profile, constraints, level }),
        _ => None,
    });
    let sps = config.map(Fingerprint::of);
    let resolution = Resolution { width: width.into(), height: height.into() };
    Ok(VideoTrack {
        family,
        codec,
        resolution: Some(resolution).filter(|size| size.width > 0 && size.height > 0),
        frames: 0,
        first_sps: sps,
        last_sps: sps,
    })
}

fn audio(coding: [u8; 4], entry: &[u8]) -> Result<AudioTrack, ProbeError> {
    let bytes = Bytes(entry);
    let (channels, rate) = (bytes.u16(16)?, bytes.u32(24)? >> 16);
    let inner = entry.get(28..).ok_or(ProbeError::BadBox)?;
    let aac = match &coding {
        b"mp4a" => find(inner, *b"esds")?.and_then(aac),
        _ => None,
    };
    // Recorders write two channels into the entry whatever they are.
    let channels = match &aac {
        Some(aac) => aac.channels,
        None => u8::try_from(channels).ok().filter(|channels| *channels > 0),
    };
    Ok(AudioTrack {
        family: if &coding == b"mp4a" { AudioFamily::Aac } else { AudioFamily::Other(0) },
        codec: aac.map(|aac| CodecId::Aac { object_type: aac.object_type }),
        sample_rate: Some(rate).filter(|rate| *rate > 0),
        channels,
        frames: 0,
        samples: 0,
    })
}

/// What an AAC decoder is set up with.
#[derive(Clone, Copy)]
struct Aac {
    object_type: u8,
    channels: Option<u8>,
}

/// The set-up that an `esds` box holds; `None` when it is not AAC.
fn aac(esds: &[u8]) -> Option<Aac> {
    const MPEG4_AUDIO: u8 = 0x40;
    let es = descriptor(esds.get(4..)?, 3)?;
    // The id, flags, and what the flags add.
    let flags = *es.get(2)?;
    let more = if flags & 0x80 != 0 { 2 } else { 0 } + if flags & 0x20 != 0 { 2 } else { 0 };
    let es = es.get(3 + more..)?;
    let es = if flags & 0x40 == 0 { es } else { es.get(1 + usize::from(*es.first()?)..)? };
    let config = descriptor(es, 4)?;
    if *config.first()? != MPEG4_AUDIO {
        return None;
    }
    audio_config(descriptor(config.get(13..)?, 5)?)
}

/// Source: ISO/IEC 14496-3, section 1.6.2.1.
fn audio_config(config: &[u8]) -> Option<Aac> {
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
    Some(Aac { object_type, channels })
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

/// The boxes side by side in some bytes, up to the first that is broken.
fn boxes(data: &[u8]) -> Boxes<'_> {
    Boxes(data)
}

/// What is left to walk.
struct Boxes<'a>(&'a [u8]);

/// Kind and content of a box.
type Box4<'a> = ([u8; 4], &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Box4<'a>, ProbeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = split_box(self.0);
        self.0 = read.as_ref().map_or(&[], |(_, rest)| *rest);
        Some(read.map(|(found, _)| found))
    }
}

/// The first box and what is behind it.
fn split_box(data: &[u8]) -> Result<(Box4<'_>, &[u8]), ProbeError> {
    let bytes = Bytes(data);
    let (size, kind) = (bytes.u32(0)?, bytes.array::<4>(4)?);
    let (head, len) = match size {
        // To the end.
        0 => (8, data.len()),
        1 => (16, usize::try_from(bytes.u64(8)?).map_err(|_| ProbeError::BadBox)?),
        _ => (8, usize::try_from(size).map_err(|_| ProbeError::BadBox)?),
    };
    let content = data.get(head..len).ok_or(ProbeError::BadBox)?;
    Ok(((kind, content), data.get(len..).unwrap_or_default()))
}

/// The first box of a kind.
fn find(data: &[u8], wanted: [u8; 4]) -> Result<Option<&[u8]>, ProbeError> {
    for child in boxes(data) {
        let (kind, content) = child?;
        if kind == wanted {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

fn version(full_box: &[u8]) -> Result<u8, ProbeError> {
    full_box.first().copied().ok_or(ProbeError::BadBox)
}

fn flags(full_box: &[u8]) -> Result<u32, ProbeError> {
    Ok(Bytes(full_box).u32(0)? & 0x00ff_ffff)
}

/// Numbers at known places.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], ProbeError> {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(ProbeError::BadBox)
    }

    fn u16(self, at: usize) -> Result<u16, ProbeError> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn u32(self, at: usize) -> Result<u32, ProbeError> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn u64(self, at: usize) -> Result<u64, ProbeError> {
        self.array(at).map(u64::from_be_bytes)
    }
}

/// Fields that are there when a bit says so.
struct Fields<'a> {
    bytes: Bytes<'a>,
    at: usize,
}

impl Fields<'_> {
    fn skip(&mut self, flags: u32, bit: u32, len: usize) {
        if flags & bit != 0 {
            self.at += len;
        }
    }

    fn take(&mut self, flags: u32, bit: u32) -> Result<Option<u32>, ProbeError> {
        if flags & bit == 0 {
            return Ok(None);
        }
        let value = self.bytes.u32(self.at)?;
        self.at += 4;
        Ok(Some(value))
    }
}

/// The nearest tick of the 90 kHz clock.
fn media_time(units: u64, timescale: u32) -> MediaTime {
    let scale = u128::from(timescale);
    let ticks = (u128::from(units) * u128::from(MediaTime::HZ) + scale / 2).checked_div(scale);
    let ticks = ticks.unwrap_or(0) % u128::from(MediaTime::MODULUS);
    MediaTime::from_ticks(u64::try_from(ticks).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;
    use crate::probe::{Continuity, fuzzing::probe_mp4, is_continuation, probe_ts};

    fn media(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/fmp4");
        fs::read(Path::new(folder).join(name)).unwrap()
    }

    #[test]
    fn recorded_fragments_are_measured_and_continue_each_other() {
        let init = InitProbe::read(&media("init.mp4")).unwrap();
        let mut before: Option<SegmentProbe> = None;
        for number in 0..3 {
            let probe = init.probe_fragment(&media(&format!("stream{number}.m4s"))).unwrap();
            assert_eq!(probe.duration, Some(Duration::from_secs(10)));
            assert!(probe.starts_with_key_frame);
            let video = probe.video.as_ref().unwrap();
            assert_eq!((video.frames, video.family), (150, VideoFamily::H264));
            assert_eq!(video.resolution.unwrap().to_string(), "320x180");
            let audio = probe.audio.as_ref().unwrap();
            assert_eq!((audio.sample_rate, audio.channels), (Some(44_100), Some(1)));
            assert!(
                audio.duration().unwrap().abs_diff(Duration::from_secs(10))
                    < Duration::from_millis(200)
            );
            assert_eq!(probe.codecs().as_deref(), Some("avc1.4d4015,mp4a.40.2"));
            if let Some(before) = before {
                let found = is_continuation(&before, Duration::from_secs(10), &probe);
                assert_eq!(found, Continuity::Continues);
            }
            before = Some(probe);
        }
    }

    #[test]
    fn what_is_not_what_it_should_be_is_refused() {
        let (init, fragment) = (media("init.mp4"), media("stream0.m4s"));
        assert_eq!(InitProbe::read(b""), Err(ProbeError::Empty));
        assert_eq!(InitProbe::read(&fragment), Err(ProbeError::NoMovie));
        let probe = InitProbe::read(&init).unwrap();
        assert_eq!(probe.probe_fragment(b""), Err(ProbeError::Empty));
        assert_eq!(probe.probe_fragment(&init), Err(ProbeError::NoFragment));
        assert_eq!(probe.probe_fragment(&fragment[..fragment.len() - 1]), Err(ProbeError::BadBox));
        assert!(probe_ts(&fragment).is_err());
        assert!(InitProbe::read(&media("stream.m3u8")).is_err());
    }

    #[test]
    fn an_audio_set_up_is_read_with_its_escapes() {
        let read = |bytes: &[u8]| audio_config(bytes).map(|aac| (aac.object_type, aac.channels));
        assert_eq!(read(&[0x12, 0x08]), Some((2, Some(1))));
        assert_eq!(read(&[0x11, 0xb8]), Some((2, Some(8))));
        // Type 42 in six further bits, then a rate in 24 bits.
        assert_eq!(read(&[0xf9, 0x5e, 0x01, 0x58, 0x88, 0x40]), Some((42, Some(2))));
        assert_eq!(read(&[0x12]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_fragment_that_starts_within_a_group_of_pictures_is_not_independent() {
        let init = InitProbe::read(&media("init.mp4")).unwrap();
        let mut fragment = media("stream0.m4s");
        // The first run of samples has flags for its first sample: make it depend on others.
        let trun = fragment.windows(4).position(|window| window == b"trun").unwrap() + 4;
        assert_ne!(fragment[trun + 3] & 0x04, 0, "the recorder wrote flags of the first sample");
        fragment[trun + 12..trun + 16].copy_from_slice(&NON_SYNC.to_be_bytes());
        assert!(!init.probe_fragment(&fragment).unwrap().starts_with_key_frame);
    }

    #[test]
    fn a_count_without_samples_takes_no_time() {
        let full = |kind: &[u8; 4], words: &[u32]| {
            let body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let size = u32::try_from(body.len() + 8).unwrap();
            [&size.to_be_bytes()[..], kind, &body].concat()
        };
        let wrap = |kind: &[u8; 4], body: &[u8]| {
            let size = u32::try_from(body.len() + 8).unwrap();
            [&size.to_be_bytes()[..], kind, body].concat()
        };
        let init = InitProbe::read(&media("init.mp4")).unwrap();
        let id = init.video.as_ref().unwrap().id;
        let segment = |trun: &[u32]| {
            let traf = [full(b"tfhd", &[0x08, id, u32::MAX]), full(b"trun", trun)].concat();
            wrap(b"moof", &wrap(b"traf", &traf))
        };
        let endless = init.probe_fragment(&segment(&[0, u32::MAX])).unwrap();
        assert!(endless.duration.is_some());
        assert_eq!(init.probe_fragment(&segment(&[0x100, u32::MAX])), Err(ProbeError::BadBox));
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_changes_are_measured_or_refused(
            bytes in vec(any::<u8>(), 0..300),
            changes in vec((any::<Index>(), any::<u8>()), 0..8),
            cut: Index,
        ) {
            probe_mp4(&bytes);
            let init = media("init.mp4");
            let mut both = init.clone();
            both.extend(media("stream2.m4s").iter().take(4000));
            for (at, byte) in changes {
                let at = at.index(init.len() + 600);
                both[at] = byte;
            }
            both.truncate(cut.index(both.len() + 1).max(1));
            probe_mp4(&both);
        }
    }
}
