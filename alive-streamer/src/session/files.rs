//! The files of a session's segments: [`Files`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use alive_core::{JournalEntry, SegmentNumber};
use bytes::Bytes;

use crate::{
    config::SessionConfig,
    files::state_of,
    journal::JournalFileError,
    source::{SectionSource, Source, digest},
    watch::Section,
};

/// Which file holds which segment, as long as it is needed.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    waiting: BTreeMap<SegmentNumber, Source>,
    /// The initialisation sections that they need, as far as this session has read them: a recorder that is started again
    /// overwrites its own.
    sections: BTreeMap<[u8; 32], Bytes>,
    /// Files that a session before this one was about to delete.
    unpurged: Vec<Source>,
}

impl Files {
    /// The files that are still needed, and all that were ever taken, oldest first.
    pub(super) fn from_journal(
        config: &SessionConfig,
        entries: &[JournalEntry],
    ) -> Result<(Self, Vec<Source>), JournalFileError> {
        let mut taken = Vec::new();
        let mut waiting = BTreeMap::new();
        let mut unpurged = Vec::new();
        for entry in entries {
            match entry {
                JournalEntry::Segment { number, source, .. } => {
                    let source: Source =
                        source.parse().map_err(|source| JournalFileError::Source {
                            path: config.journal.clone(),
                            number: *number,
                            source,
                        })?;
                    waiting.insert(*number, source.clone());
                    taken.push(source);
                }
                JournalEntry::Stored { number, .. } => {
                    unpurged.extend(waiting.remove(number).filter(|_| config.purge));
                }
                JournalEntry::Lost { number } => drop(waiting.remove(number)),
                JournalEntry::Bundled(_)
                | JournalEntry::Confirmed { .. }
                | JournalEntry::Ended
                | JournalEntry::Stream { .. } => {}
            }
        }
        let (folder, sections) = (config.folder.clone(), BTreeMap::new());
        Ok((Self { folder, waiting, sections, unpurged }, taken))
    }

    pub(super) fn insert(
        &mut self,
        number: SegmentNumber,
        source: Source,
        section: Option<Section>,
    ) {
        if let Some(Section { source, bytes, .. }) = section
            && !self.sections.contains_key(&source.digest)
        {
            // Those of earlier runs are let go with their last segment.
            let needs = |source: &Source| source.section.as_ref().map(|section| section.digest);
            let needed: BTreeSet<_> = self.waiting.values().filter_map(needs).collect();
            self.sections.retain(|digest, _| needed.contains(digest));
            self.sections.insert(source.digest, bytes);
        }
        self.waiting.insert(number, source);
    }

    /// The file of a segment, to be read.
    pub(super) fn get(&self, number: SegmentNumber) -> Option<SegmentFile> {
        Some(self.file(self.waiting.get(&number)?.clone()))
    }

    /// The file of a segment, which is needed no more.
    pub(super) fn remove(&mut self, number: SegmentNumber) -> Option<SegmentFile> {
        let source = self.waiting.remove(&number)?;
        Some(self.file(source))
    }

    /// The files that a session before this one was about to delete when it died.
    pub(super) fn unpurged(&mut self) -> Vec<SegmentFile> {
        let sources = std::mem::take(&mut self.unpurged);
        sources.into_iter().map(|source| self.file(source)).collect()
    }

    fn file(&self, source: Source) -> SegmentFile {
        let digest = source.section.as_ref().map(|section| section.digest);
        let section = digest.and_then(|digest| self.sections.get(&digest)).cloned();
        SegmentFile { path: self.folder.join(&*source.name), source, section }
    }
}

/// A segment on disk.
#[derive(Debug)]
pub(super) struct SegmentFile {
    path: PathBuf,
    source: Source,
    /// The bytes of its initialisation section, if this session has read them.
    section: Option<Bytes>,
}

impl SegmentFile {
    /// The digest of the initialisation section that it needs.
    pub(super) fn section(&self) -> Option<[u8; 32]> {
        self.source.section.as_ref().map(|section| section.digest)
    }

    /// The bytes of that section; `None` when the file is gone, or holds another one. It blocks.
    ///
    /// # Errors
    /// The file cannot be read now.
    pub(super) fn read_section(&self) -> io::Result<Option<Bytes>> {
        let Some(SectionSource { digest: known, name }) = &self.source.section else {
            return Ok(None);
        };
        if self.section.is_some() {
            return Ok(self.section.clone());
        }
        match fs::read(self.path.with_file_name(&**name)) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| digest(bytes) == *known).map(Bytes::from)),
            Err(error) if self.is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file's name.
    pub(super) fn name(&self) -> Box<str> {
        self.source.name.clone()
    }

    /// Its bytes; `None` when the file is gone, or holds anything else than what was recorded. It blocks.
    ///
    /// # Errors
    /// The file cannot be read now.
    pub(super) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match self.read_file() {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| digest(bytes) == self.source.digest)),
            Err(error) if self.is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads what it had when it was recorded, and a byte more if it has grown.
    fn read_file(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = self.source.state.size.saturating_add(1);
        File::open(&self.path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Deletes the file if it is still the one that was recorded. It blocks.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub(super) fn delete(&self) -> io::Result<()> {
        match state_of(&self.path) {
            Ok(state) if state == self.source.state => fs::remove_file(&self.path),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // Gone, or overwritten by a recorder that was started again.
            _ => Ok(()),
        }
    }

    /// Whether it is the file that is missing, and not its folder, such as a share that is not mounted now.
    fn is_gone(&self, error: &io::Error) -> bool {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        error.kind() == io::ErrorKind::NotFound && folder.is_dir()
    }
}
