//! Fragmented MP4: the initialisation section ([`InitProbe`]) and the fragments that it explains.
//!
//! Boxes are walked where they are expected, a fixed number deep; nothing is copied, and the time taken is that of
//! reading the boxes once. Source: ISO/IEC 14496-12.

mod boxes;
mod entry;
mod esds;
mod fragment;

use self::boxes::{Bytes, boxes, find, need, version};
use self::fragment::{Defaults, Place, Run};
use super::clock::{MediaTime, fraction_to_duration};
use super::nal::sample_is_key;
use super::track::{AudioTrack, Fingerprint, VideoTrack};
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
    /// Bytes of the length before each NAL unit of the video, for codings that have such.
    nal_length: Option<usize>,
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
        let mut found =
            Self { video: None, audio: None, nal_length: None, tracks: Fingerprint::EMPTY };
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
        let tkhd = need(trak, *b"tkhd")?;
        let id = Bytes(tkhd).u32(if version(tkhd)? == 1 { 20 } else { 12 })?;
        let mdia = need(trak, *b"mdia")?;
        let mdhd = need(mdia, *b"mdhd")?;
        let timescale = Bytes(mdhd).u32(if version(mdhd)? == 1 { 20 } else { 12 })?;
        if timescale == 0 {
            return Err(ProbeError::BadBox);
        }
        let handler = Bytes(need(mdia, *b"hdlr")?).array::<4>(8)?;
        let stsd = need(need(need(mdia, *b"minf")?, *b"stbl")?, *b"stsd")?;
        let mut entries = boxes(stsd.get(8..).ok_or(ProbeError::BadBox)?);
        let (coding, entry) = entries.next().ok_or(ProbeError::BadBox)??;
        let name = [&id.to_be_bytes()[..], &handler, &coding].concat();
        self.tracks = self.tracks.with(Fingerprint::of(&name));
        let defaults = Defaults::default();
        match &handler {
            b"vide" if self.video.is_none() => {
                let (about, nal_length) = entry::video(coding, entry)?;
                self.video = Some(Track { id, timescale, defaults, about });
                self.nal_length = nal_length;
            }
            b"soun" if self.audio.is_none() => {
                let about = entry::audio(coding, entry)?;
                self.audio = Some(Track { id, timescale, defaults, about });
            }
            _ => {}
        }
        Ok(())
    }

    fn take_defaults(&mut self, trex: &[u8]) -> Result<(), ProbeError> {
        let bytes = Bytes(trex);
        let id = bytes.u32(4)?;
        let (duration, size, flags) = (bytes.u32(12)?, bytes.u32(16)?, bytes.u32(20)?);
        let defaults = Defaults { duration, size, flags };
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
    /// It is cut, lacks samples that it announces, or has no fragment of the tracks that the section announces.
    pub fn probe_fragment(&self, data: &[u8]) -> Result<SegmentProbe, ProbeError> {
        if data.is_empty() {
            return Err(ProbeError::Empty);
        }
        let (mut video, mut audio, mut fragments) = (Run::default(), Run::default(), 0);
        let mut walk = boxes(data);
        loop {
            let fragment = walk.position();
            let Some(child) = walk.next() else { break };
            let (kind, moof) = child?;
            if kind != *b"moof" {
                continue;
            }
            fragments += 1;
            let mut place = Place { segment: data, fragment, behind: fragment };
            for child in boxes(moof) {
                let (kind, traf) = child?;
                if kind == *b"traf" {
                    let id = Bytes(need(traf, *b"tfhd")?).u32(4)?;
                    place.behind = match (&self.video, &self.audio) {
                        (Some(track), _) if track.id == id => {
                            video.add(traf, track.defaults, place)?
                        }
                        (_, Some(track)) if track.id == id => {
                            audio.add(traf, track.defaults, place)?
                        }
                        _ => Run::default().add(traf, Defaults::default(), place)?,
                    };
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
        video: &Run<'_>,
        audio: &Run<'_>,
    ) -> Result<SegmentProbe, ProbeError> {
        let of_video = self.video.as_ref().and_then(|track| Some((track.timescale, video.span?)));
        let of_audio = self.audio.as_ref().and_then(|track| Some((track.timescale, audio.span?)));
        let (timescale, span) = of_video.or(of_audio).ok_or(ProbeError::NoTimestamps)?;
        let time = |units: u64| media_time(units, timescale);
        let units = u128::from(span.end.saturating_sub(span.start));
        Ok(SegmentProbe {
            container: Container::Fmp4 { fragments, breaks: video.breaks + audio.breaks },
            size,
            duration: (units > 0).then(|| fraction_to_duration(units, timescale.into())),
            first_pts: time(span.start.saturating_add_signed(span.first_offset.into())),
            first_dts: time(span.start),
            last_dts: time(span.last),
            starts_with_key_frame: self.starts_with_key_frame(video),
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

    /// What the recorder says of the first picture is checked where the coding shows it: players begin there.
    fn starts_with_key_frame(&self, video: &Run<'_>) -> bool {
        let Some(track) = &self.video else { return true };
        let length = self.nal_length;
        let is_key = length.and_then(|len| sample_is_key(track.about.family, len, video.first));
        video.span.is_some_and(|span| span.is_sync) && is_key.unwrap_or(true)
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
mod tests;
