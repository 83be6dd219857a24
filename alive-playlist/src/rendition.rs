//! What a multivariant list says of a rendition, measured from its segments: [`RenditionMeter`], [`multivariant`].

use std::{collections::VecDeque, num::NonZeroU32};

use alive_core::{Quality, SegmentDuration};

use crate::{
    decimal::{MICROS, push_padded, push_u64},
    line_text::{FrameRate, Quoted, Uri},
    model::{MultivariantPlaylist, Resolution, Variant},
    probe::SegmentProbe,
};

/// Measures a rendition, one segment after another: sizes give its bit rates, probes its codecs and its picture.
///
/// Nothing of it is what the recorder said: some write the bit rate of the audio alone. Source: `spec/hls.md`, section 8.
///
/// ```
/// use alive_core::{Quality, SegmentDuration};
/// use alive_playlist::{RenditionMeter, Uri, multivariant};
/// let mut meter = RenditionMeter::new(12.try_into()?);
/// let ten: SegmentDuration = "10".parse()?;
/// meter.add_size(1_000_000, ten);
/// meter.add_size(500_000, ten);
/// let list = multivariant([(Quality::Src, Uri::new("src.m3u8")?, &meter)]);
/// assert_eq!((list.variants[0].bandwidth, list.variants[0].average_bandwidth), (800_000, Some(600_000)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RenditionMeter {
    target_micros: u64,
    /// The last segments without a hole between them, not more than a run may last.
    run: VecDeque<Load>,
    peak: u64,
    total: Sum,
    codecs: Codecs,
    size: Option<Resolution>,
    /// Thousandths of a frame in a second.
    frame_rate: Option<u64>,
    sizes: u64,
    /// Probed segments that start with a key frame.
    key_frames: u64,
}

impl RenditionMeter {
    /// Segments of a run that are looked at: far more than segments of usual length.
    const MAX_RUN: usize = 1024;
    /// Codecs of one rendition; a stream that has more changes them to be a nuisance, and nothing is said then.
    const MAX_CODECS: usize = 8;

    /// Nothing measured yet. The target duration of the rendition's list tells how long the runs are over which the peak
    /// is taken.
    pub fn new(target_seconds: NonZeroU32) -> Self {
        Self {
            target_micros: u64::from(target_seconds.get()) * MICROS,
            run: VecDeque::new(),
            peak: 0,
            total: Sum::default(),
            codecs: Codecs::Known(Vec::new()),
            size: None,
            frame_rate: None,
            sizes: 0,
            key_frames: 0,
        }
    }

    /// Takes the size of the next segment, in bytes.
    pub fn add_size(&mut self, bytes: u64, duration: SegmentDuration) {
        let load = Load { bits: bytes.saturating_mul(8), micros: duration.as_micros().into() };
        self.sizes += 1;
        self.total.add(load);
        self.run.push_back(load);
        if self.run.len() > Self::MAX_RUN {
            self.run.pop_front();
        }
        let (shortest, longest) =
            (self.target_micros / 2, self.target_micros + self.target_micros / 2);
        let mut sum = Sum::default();
        let mut reach = 0;
        for load in self.run.iter().rev() {
            sum.add(*load);
            if sum.micros > longest {
                break;
            }
            reach += 1;
            if sum.micros >= shortest {
                self.peak = self.peak.max(sum.rate());
            }
        }
        // Longer runs than these will not count again.
        self.run.drain(..self.run.len().saturating_sub(reach.max(1)));
    }

    /// The next segment is not measured: what follows is another run.
    pub fn add_hole(&mut self) {
        self.run.clear();
    }

    /// Takes what was found in a segment. Not every segment needs to be probed; those behind a discontinuity do.
    pub fn add_probe(&mut self, probe: &SegmentProbe) {
        self.codecs.add(probe);
        self.key_frames += u64::from(probe.starts_with_key_frame);
        let Some(video) = &probe.video else { return };
        if let Some(found) = video.resolution {
            let found = Resolution { width: found.width.into(), height: found.height.into() };
            let area = |size: Resolution| size.width * size.height;
            self.size = self.size.filter(|size| area(*size) >= area(found)).or(Some(found));
        }
        let micros = probe.duration.map_or(0, |duration| duration.as_micros());
        let rate =
            (u128::from(video.frames) * 1000 * u128::from(MICROS) + micros / 2).checked_div(micros);
        let rate = rate.and_then(|rate| u64::try_from(rate).ok()).filter(|rate| *rate > 0);
        self.frame_rate = self.frame_rate.max(rate);
    }

    /// Whether every segment that was taken is known to start with a key frame.
    pub fn is_independent(&self) -> bool {
        self.sizes > 0 && self.key_frames >= self.sizes
    }

    /// Peak bits per second: over all runs that last half a target to one and a half. A stream that is shorter than that
    /// has only its average. `None` before the first segment.
    pub fn bandwidth(&self) -> Option<u64> {
        self.average_bandwidth().map(|average| self.peak.max(average))
    }

    /// Average bits per second; `None` before the first segment.
    pub fn average_bandwidth(&self) -> Option<u64> {
        (self.sizes > 0).then(|| self.total.rate().max(1))
    }

    fn describe(&self, variant: &mut Variant<'static>) {
        if let Some(bandwidth) = self.bandwidth() {
            variant.bandwidth = bandwidth;
            variant.average_bandwidth = self.average_bandwidth();
        }
        variant.codecs = self.codecs.text();
        variant.resolution = self.size;
        variant.frame_rate = self.frame_rate.and_then(frame_rate);
    }
}

/// Makes the list of a stream's renditions, in the order in which they are given. A rendition whose sizes nobody knows
/// has the bit rate that is usual for its quality. Source: `spec/hls.md`, section 8.
pub fn multivariant<'m>(
    renditions: impl IntoIterator<Item = (Quality, Uri<'static>, &'m RenditionMeter)>,
) -> MultivariantPlaylist<'static> {
    let mut list =
        MultivariantPlaylist { independent_segments: true, ..MultivariantPlaylist::default() };
    for (quality, uri, meter) in renditions {
        let mut variant = Variant::new(uri, usual_bandwidth(quality));
        meter.describe(&mut variant);
        list.independent_segments &= meter.is_independent();
        list.variants.push(variant);
    }
    list.independent_segments &= !list.variants.is_empty();
    list.version = Some(if list.independent_segments { 6 } else { 3 });
    list
}

/// Bits per second when nobody has measured. Source: `spec/hls.md`, section 8.
fn usual_bandwidth(quality: Quality) -> u64 {
    match quality {
        Quality::P240 => 400_000,
        Quality::P480 => 1_400_000,
        Quality::P720 => 2_800_000,
        Quality::P1080 => 5_000_000,
        _ => 6_000_000,
    }
}

/// A segment's size and duration.
#[derive(Clone, Copy, Debug)]
struct Load {
    bits: u64,
    micros: u64,
}

/// Of several segments.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    bits: u64,
    micros: u64,
}

impl Sum {
    fn add(&mut self, load: Load) {
        self.bits = self.bits.saturating_add(load.bits);
        self.micros = self.micros.saturating_add(load.micros);
    }

    /// Bits per second, rounded up; 0 without time.
    fn rate(&self) -> u64 {
        let bits = u128::from(self.bits) * u128::from(MICROS);
        let micros = u128::from(self.micros);
        let rate = bits.saturating_add(micros.saturating_sub(1)).checked_div(micros).unwrap_or(0);
        u64::try_from(rate).unwrap_or(u64::MAX)
    }
}

/// The codecs of all probed segments.
#[derive(Clone, Debug)]
enum Codecs {
    Known(Vec<String>),
    /// One could not be told, or there are too many: leave them out rather than guess.
    Unknown,
}

impl Codecs {
    fn add(&mut self, probe: &SegmentProbe) {
        let Self::Known(known) = self else { return };
        let Some(found) = probe.codecs() else { return *self = Self::Unknown };
        for codec in found.split(',') {
            if !known.iter().any(|other| other == codec) {
                known.push(codec.to_owned());
            }
        }
        if known.len() > RenditionMeter::MAX_CODECS {
            *self = Self::Unknown;
        }
    }

    fn text(&self) -> Option<Quoted<'static>> {
        match self {
            Self::Known(known) if !known.is_empty() => Quoted::new(known.join(",")).ok(),
            Self::Known(_) | Self::Unknown => None,
        }
    }
}

/// `30.000` of 30000 thousandths.
fn frame_rate(thousandths: u64) -> Option<FrameRate<'static>> {
    let mut text = Vec::with_capacity(8);
    push_u64(&mut text, thousandths / 1000);
    text.push(b'.');
    push_padded(&mut text, thousandths % 1000, 3);
    FrameRate::new(String::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;
    use crate::probe::probe_ts;

    fn twelve() -> RenditionMeter {
        RenditionMeter::new(12.try_into().unwrap())
    }

    fn duration(micros: u32) -> SegmentDuration {
        SegmentDuration::from_micros(micros).unwrap()
    }

    fn list_of(quality: Quality, meter: &RenditionMeter) -> Variant<'static> {
        multivariant([(quality, Uri::new("a").unwrap(), meter)]).variants.remove(0)
    }

    /// Sizes and probes of a recorded rendition.
    fn recorded(folder: &str) -> (RenditionMeter, Vec<u64>) {
        let folder =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media")).join(folder);
        let (mut meter, mut sizes) = (twelve(), Vec::new());
        for number in 0..6 {
            let data = fs::read(folder.join(format!("stream{number}.ts"))).unwrap();
            sizes.push(data.len().try_into().unwrap());
            meter.add_size(data.len().try_into().unwrap(), duration(10_000_000));
            meter.add_probe(&probe_ts(&data).unwrap());
        }
        (meter, sizes)
    }

    #[test]
    fn recorded_renditions_are_described_as_they_are() {
        for (folder, codecs, size) in [
            ("abr-3/src", "avc1.4d401f,mp4a.40.2", (1280, 720)),
            ("abr-3/480p", "avc1.4d4016,mp4a.40.2", (854, 480)),
            ("abr-3/240p", "avc1.4d4015,mp4a.40.2", (426, 240)),
        ] {
            let (meter, sizes) = recorded(folder);
            let variant = list_of(Quality::Src, &meter);
            assert_eq!(variant.codecs.unwrap().as_str(), codecs);
            let (width, height) = size;
            assert_eq!(variant.resolution, Some(Resolution { width, height }));
            assert_eq!(variant.frame_rate.unwrap().as_str(), "10.000");
            // Every segment is a run of its own, and two of them are too long.
            assert_eq!(
                variant.bandwidth,
                sizes.iter().max().unwrap() * 8 / 10
                    + u64::from(sizes.iter().max().unwrap() * 8 % 10 != 0)
            );
            let total: u64 = sizes.iter().sum();
            assert_eq!(variant.average_bandwidth, Some((total * 8).div_ceil(60)));
            assert!(meter.is_independent());
        }
    }

    #[test]
    fn an_unmeasured_rendition_has_the_rate_of_its_quality() {
        let meter = twelve();
        for (quality, rate) in
            [(Quality::Src, 6_000_000), (Quality::P240, 400_000), (Quality::P1080, 5_000_000)]
        {
            let variant = list_of(quality, &meter);
            assert_eq!((variant.bandwidth, variant.average_bandwidth), (rate, None));
            assert_eq!(
                (variant.codecs, variant.resolution, variant.frame_rate),
                (None, None, None)
            );
        }
        assert!(
            !multivariant([(Quality::Src, Uri::new("a").unwrap(), &meter)]).independent_segments
        );
        assert!(!multivariant([]).independent_segments);
    }

    #[test]
    fn a_hole_parts_the_runs_and_one_unknown_codec_silences_all() {
        // Two of five seconds are a run; with a hole between them neither is one.
        let mut meter = twelve();
        meter.add_size(1000, duration(5_000_000));
        meter.add_hole();
        meter.add_size(9000, duration(5_000_000));
        assert_eq!(meter.bandwidth(), Some(8000), "only the average is left");
        let mut meter = twelve();
        meter.add_size(1000, duration(5_000_000));
        meter.add_size(9000, duration(5_000_000));
        meter.add_size(10, duration(5_000_000));
        assert_eq!(meter.bandwidth(), Some(8000));
        assert_eq!(meter.average_bandwidth(), Some(5339));

        let (mut meter, _) = recorded("abr-3/240p");
        let media = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/media/ts-6x10s/stream0.ts");
        let mut probe = probe_ts(&fs::read(media).unwrap()).unwrap();
        meter.add_probe(&probe);
        assert_eq!(list_of(Quality::Src, &meter).codecs.unwrap().as_str(), "avc1.4d4015,mp4a.40.2");
        probe.video.as_mut().unwrap().codec = None;
        meter.add_probe(&probe);
        assert_eq!(list_of(Quality::Src, &meter).codecs, None);
        assert!(meter.run.len() <= 2);
    }

    proptest! {
        #[test]
        fn the_peak_is_that_of_the_definition(
            segments in prop::collection::vec((0_u64..1 << 40, 1..SegmentDuration::LIMIT_MICROS, prop::bool::weighted(0.1)), 1..60),
            target in 1_u32..150,
        ) {
            let mut meter = RenditionMeter::new(target.try_into().unwrap());
            for &(bytes, micros, hole) in &segments {
                if hole {
                    meter.add_hole();
                }
                meter.add_size(bytes, duration(micros));
            }
            let target = u128::from(target) * u128::from(MICROS);
            let mut peak = 0;
            for from in 0..segments.len() {
                let (mut bits, mut micros) = (0, 0);
                for (at, segment) in segments.iter().enumerate().skip(from) {
                    if at > from && segment.2 {
                        break;
                    }
                    bits += u128::from(segment.0) * 8;
                    micros += u128::from(segment.1);
                    if micros * 2 >= target && micros * 2 <= target * 3 {
                        peak = peak.max((bits * u128::from(MICROS)).div_ceil(micros));
                    }
                }
            }
            let average = u128::from(meter.average_bandwidth().unwrap());
            prop_assert_eq!(u128::from(meter.bandwidth().unwrap()), peak.max(average));
        }

        #[test]
        fn no_size_is_too_large(bytes: u64, micros in 1..SegmentDuration::LIMIT_MICROS, count in 1..5) {
            let mut meter = twelve();
            for _ in 0..count {
                meter.add_size(bytes, duration(micros));
            }
            let text = multivariant([(Quality::Src, Uri::new("a").unwrap(), &meter)]).to_bytes();
            prop_assert!(MultivariantPlaylist::read(&text).is_ok());
        }
    }
}
