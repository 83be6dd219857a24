//! The samples of one track in the fragments of a segment: [`Run`].
//!
//! Source: ISO/IEC 14496-12, section 8.8.

use super::boxes::{Bytes, Fields, boxes, find, flags, need, version};
use crate::probe::ProbeError;

/// What holds for samples that do not say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    /// In units of the track.
    pub(super) duration: u32,
    /// In bytes.
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// Bit of a sample's flags: it needs other samples.
pub(super) const NON_SYNC: u32 = 0x0001_0000;

/// Where a fragment is, and where its samples are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// All of the segment.
    pub(super) segment: &'a [u8],
    /// Where the movie fragment box begins in it.
    pub(super) fragment: usize,
    /// Where the samples of the track before it ended.
    pub(super) behind: usize,
}

/// The samples of one track in a segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run<'a> {
    pub(super) samples: u64,
    pub(super) span: Option<Span>,
    /// The first sample.
    pub(super) first: &'a [u8],
    /// How often a fragment began elsewhere than the one before it ended.
    pub(super) breaks: u64,
}

/// Times in units of the track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    /// When the last sample is decoded.
    pub(super) last: u64,
    pub(super) end: u64,
    /// From decoding to showing, of the first sample.
    pub(super) first_offset: i32,
    /// Whether the first sample says that it stands alone.
    pub(super) is_sync: bool,
}

/// The runs of one track in one fragment.
struct Walk<'a> {
    defaults: Defaults,
    segment: &'a [u8],
    /// What offsets count from.
    base: usize,
    /// Where the next sample is.
    at: usize,
    /// When it is decoded.
    time: u64,
}

impl<'a> Run<'a> {
    /// Takes the samples of a fragment's track, and tells where their bytes end.
    pub(super) fn add(
        &mut self,
        traf: &'a [u8],
        defaults: Defaults,
        place: Place<'a>,
    ) -> Result<usize, ProbeError> {
        let mut walk = Walk::new(traf, defaults, place)?;
        let end = self.span.map(|span| span.end);
        match find(traf, *b"tfdt")? {
            Some(tfdt) if version(tfdt)? == 1 => walk.time = Bytes(tfdt).u64(4)?,
            Some(tfdt) => walk.time = Bytes(tfdt).u32(4)?.into(),
            None => walk.time = end.unwrap_or(0),
        }
        self.breaks += u64::from(end.is_some_and(|end| end != walk.time));
        for child in boxes(traf) {
            let (kind, trun) = child?;
            if kind == *b"trun" {
                self.add_samples(trun, &mut walk)?;
            }
        }
        Ok(walk.at)
    }

    fn add_samples(&mut self, trun: &[u8], walk: &mut Walk<'a>) -> Result<(), ProbeError> {
        let (flags, count) = (flags(trun)?, Bytes(trun).u32(4)?);
        let mut fields = Fields::new(trun, 8, flags);
        if let Some(offset) = fields.u32(0x01)? {
            let offset = isize::try_from(offset.cast_signed()).unwrap_or(isize::MAX);
            walk.at = walk.base.checked_add_signed(offset).ok_or(ProbeError::NoSamples)?;
        }
        let first_flags = fields.u32(0x04)?;
        if count == 0 {
            return Ok(());
        }
        let rows = trun.get(fields.position()..).unwrap_or_default();
        let Sum { duration, size, last_duration, first } =
            Table::new(rows, flags, count)?.sum(walk.defaults);
        let rest = walk.segment.get(walk.at..).ok_or(ProbeError::NoSamples)?;
        let bytes = usize::try_from(size).ok().and_then(|size| rest.get(..size));
        let bytes = bytes.ok_or(ProbeError::NoSamples)?;
        walk.at += bytes.len();

        let (start, end) = (walk.time, walk.time.saturating_add(duration));
        let last = end.saturating_sub(last_duration.into());
        walk.time = end;
        self.samples += u64::from(count);
        self.span = Some(match self.span {
            Some(before) => Span { last, end, ..before },
            None => {
                let size = usize::try_from(first.size).unwrap_or(usize::MAX);
                self.first = bytes.get(..size).unwrap_or_default();
                let flags = first_flags.unwrap_or(first.flags);
                let is_sync = flags & NON_SYNC == 0;
                Span { start, last, end, first_offset: first.offset, is_sync }
            }
        });
        Ok(())
    }
}

impl<'a> Walk<'a> {
    fn new(traf: &[u8], mut defaults: Defaults, place: Place<'a>) -> Result<Self, ProbeError> {
        /// The base is the fragment, also behind other tracks.
        const BASE_IS_FRAGMENT: u32 = 0x0002_0000;
        let tfhd = need(traf, *b"tfhd")?;
        let flags = flags(tfhd)?;
        let mut fields = Fields::new(tfhd, 8, flags);
        let base = match fields.u64(0x01)? {
            Some(base) => usize::try_from(base).map_err(|_| ProbeError::NoSamples)?,
            None if flags & BASE_IS_FRAGMENT != 0 => place.fragment,
            None => place.behind,
        };
        fields.skip(0x02, 4);
        defaults.duration = fields.u32(0x08)?.unwrap_or(defaults.duration);
        defaults.size = fields.u32(0x10)?.unwrap_or(defaults.size);
        defaults.flags = fields.u32(0x20)?.unwrap_or(defaults.flags);
        Ok(Self { defaults, segment: place.segment, base, at: base, time: 0 })
    }
}

/// The samples of a run, one row each.
#[derive(Clone, Copy)]
struct Table<'a> {
    rows: &'a [u8],
    flags: u32,
    count: u32,
}

/// What a row says of its sample, or the defaults.
#[derive(Clone, Copy)]
struct Sample {
    duration: u32,
    size: u32,
    flags: u32,
    /// From decoding to showing.
    offset: i32,
}

/// What the samples of a run add up to.
struct Sum {
    duration: u64,
    size: u64,
    last_duration: u32,
    first: Sample,
}

impl<'a> Table<'a> {
    fn new(rows: &'a [u8], flags: u32, count: u32) -> Result<Self, ProbeError> {
        let table = Self { rows, flags, count };
        // What is announced must be there: a count alone costs nothing to write.
        let len = usize::try_from(count).ok().and_then(|count| count.checked_mul(table.row()));
        let rows = len.and_then(|len| rows.get(..len)).ok_or(ProbeError::BadBox)?;
        Ok(Self { rows, ..table })
    }

    /// Bytes of a row.
    fn row(&self) -> usize {
        [0x100, 0x200, 0x400, 0x800].iter().filter(|bit| self.flags & **bit != 0).count() * 4
    }

    fn sum(&self, defaults: Defaults) -> Sum {
        let Defaults { duration, size, flags } = defaults;
        let usual = Sample { duration, size, flags, offset: 0 };
        let mut rows = self.rows.chunks_exact(self.row().max(1)).map(|row| self.sample(row, usual));
        let Some(first) = rows.next() else {
            // No row says anything: a count of thousands of millions takes no time.
            let count = u64::from(self.count);
            return Sum {
                duration: count * u64::from(duration),
                size: count * u64::from(size),
                last_duration: duration,
                first: usual,
            };
        };
        let start = Sum {
            duration: first.duration.into(),
            size: first.size.into(),
            last_duration: first.duration,
            first,
        };
        rows.fold(start, |sum, sample| Sum {
            duration: sum.duration + u64::from(sample.duration),
            size: sum.size + u64::from(sample.size),
            last_duration: sample.duration,
            ..sum
        })
    }

    fn sample(&self, row: &[u8], usual: Sample) -> Sample {
        let mut fields = Fields::new(row, 0, self.flags);
        // A row is as long as the bits say: none of its fields is missing.
        let mut take = |bit, usual| fields.u32(bit).ok().flatten().unwrap_or(usual);
        Sample {
            duration: take(0x100, usual.duration),
            size: take(0x200, usual.size),
            flags: take(0x400, usual.flags),
            offset: take(0x800, 0).cast_signed(),
        }
    }
}
