//! Parts of the segment that is being recorded, as a look finds them.

use std::io;

use alive_playlist::probe::{Break, Continuity, is_continuation};

use super::{MAX_SECTION_BYTES, Previous, Section, Watcher, continuity::measure};
use crate::{
    files::{read_unchanged, state_of},
    parts::{PartReader, ReadPart, TakenPart},
    source::{SectionSource, digest},
};

impl Watcher {
    /// The segment that they were of is whole. A recorder that is started again lists the same ones under the same numbers.
    pub(super) fn forget_parts(&mut self) {
        if let Some(reader) = &mut self.parts {
            *reader = PartReader::default();
        }
    }

    /// Reads what is new of the segment that is being recorded. Nothing that fails here matters: the segment will tell.
    pub(super) fn read_parts(&mut self, parts: &mut Vec<TakenPart>) {
        let Some(mut reader) = self.parts.take() else { return };
        match self.read_parts_by(&mut reader, parts) {
            Ok(true) => {}
            Ok(false) => reader.refuse(),
            Err(error) => tracing::debug!(%error, "a part cannot be read now"),
        }
        self.parts = Some(reader);
    }

    /// Whether more of this segment can be taken.
    fn read_parts_by(
        &mut self,
        reader: &mut PartReader,
        parts: &mut Vec<TakenPart>,
    ) -> io::Result<bool> {
        let Some(upcoming) = self.engine.upcoming() else { return Ok(true) };
        let (number, modified) = (upcoming.number, upcoming.modified);
        let list = upcoming.list.to_owned();
        // Of no more than there are places for.
        let new: Vec<_> = reader.see(upcoming).iter().take(1 << 8).cloned().collect();
        for listed in new {
            let section = listed.map.as_ref().map(|map| map.file_name().map(Box::from));
            let section = match section {
                Some(None) => return Ok(false),
                Some(Some(name)) => self.section_of_part(name)?,
                None => None,
            };
            let digest = section.as_ref().map(|section| section.source.digest);
            if self.last_section != digest {
                // Another section is a break.
                return Ok(false);
            }
            let limit = self.max_segment_bytes;
            let part = match reader.read(&self.path, &listed, modified, section, limit)? {
                ReadPart::NotYet => return Ok(true),
                ReadPart::Refused => return Ok(false),
                ReadPart::Taken(part) => part,
            };
            if part.index == 0 && self.part_breaks(&part, &list, number) {
                return Ok(false);
            }
            reader.taken(&listed, &part.bytes);
            parts.push(part);
        }
        Ok(true)
    }

    /// The section that segments have had; a part needs the same one.
    fn section_of_part(&mut self, name: Box<str>) -> io::Result<Option<Section>> {
        let known = self.section.as_ref().filter(|section| section.source.name == name);
        let state = state_of(&self.path.join(&*name))?;
        if let Some(section) = known.filter(|section| section.state == state) {
            return Ok(Some(section.clone()));
        }
        if state.size == 0 || state.size > MAX_SECTION_BYTES {
            return Ok(None);
        }
        let Some(bytes) = read_unchanged(&self.path.join(&*name), state)? else { return Ok(None) };
        let source = SectionSource { digest: digest(&bytes), name };
        Ok(Some(Section { source, bytes: bytes.into(), state }))
    }

    /// Whether the segment of this first part does not continue the one before it. Not every track need be in a part.
    fn part_breaks(&mut self, part: &TakenPart, list: &str, number: u64) -> bool {
        if let Previous::File(source) = &self.previous {
            self.previous = self.measure_again(source, part.section.as_ref(), list, number);
        }
        let Previous::Measured(before, length) = &self.previous else { return false };
        let Ok(probe) = measure(part.section.as_ref(), &part.bytes) else { return false };
        let found = is_continuation(before, *length, &probe);
        matches!(found, Continuity::Breaks(Break::Container | Break::Time { .. } | Break::Video))
    }
}
