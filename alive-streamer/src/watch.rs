//! The eyes of a session: [`Watcher`] lists the folder, reads what [`Folder`] asks for, and measures it. It blocks.

mod continuity;
mod parts;

use std::{collections::HashMap, fs, io, path::PathBuf, sync::Arc, time::Duration};

use alive_core::{Recorded, SegmentDuration};
use alive_playlist::probe::{ProbeError, SegmentProbe};
use bytes::Bytes;
use tokio::sync::Notify;

use continuity::measure;

use crate::{
    files::{is_list, modified, read_list, read_unchanged, state_of, state_of_entry},
    folder::{Candidate, FileState, Folder, List, Refused, Seen, Snapshot},
    length::Evidence,
    parts::{PartReader, TakenPart},
    progress::{Waiting, Warning},
    source::{SectionSource, Source, digest},
    wake::Wake,
};

/// Most files of a folder that are looked at: twice the segments that a list may have.
const MAX_FILES: usize = 400_000;
/// Most lists that are read; of more, those written to last count.
const MAX_LISTS: usize = 16;
/// The largest initialisation section that is taken, in bytes. Those of recorders have one or two thousand.
const MAX_SECTION_BYTES: u64 = 1 << 20;
/// How long a look at a folder stays good while segments are taken from it one after another.
const SNAPSHOT_AGE: Duration = Duration::from_secs(1);
/// A folder in which nothing seems to have changed is looked at in full all the same when this much time has passed, and
/// while it was changed within this time: clocks of file systems tick in steps of up to two seconds.
const UNCHANGED_AGE: Duration = Duration::from_secs(3);

/// Looks at a recorder's folder.
#[derive(Debug)]
pub(crate) struct Watcher {
    path: PathBuf,
    engine: Folder,
    max_segment_bytes: u64,
    /// The lists as they were read last.
    lists: HashMap<Box<str>, List>,
    snapshot: Option<Fresh>,
    previous: Previous,
    /// The initialisation section that was read last.
    section: Option<Section>,
    /// Whether a segment was taken, by this session or one before it.
    begun: bool,
    /// The digest of the section of the one that was taken last, if it needs one.
    last_section: Option<[u8; 32]>,
    folder_failed: bool,
    /// What was taken of the segment that is being recorded; `None` when nobody wants parts.
    parts: Option<PartReader>,
    wake: Option<Wake>,
    waker: Arc<Notify>,
}

/// A snapshot and how to tell that nothing has changed since.
#[derive(Debug)]
struct Fresh {
    at: Duration,
    folder_modified: Duration,
    list: Option<FileState>,
    snapshot: Snapshot,
    /// What it came to when nothing was left in it.
    idle: Option<Idle>,
}

/// Why there is nothing to take.
#[derive(Clone, Debug)]
enum Idle {
    Ended,
    Waiting(Waiting),
}

impl From<Idle> for Outcome {
    fn from(idle: Idle) -> Self {
        match idle {
            Idle::Ended => Self::Ended,
            Idle::Waiting(waiting) => Self::Waiting(waiting),
        }
    }
}

/// The segment before the next one, to see whether that continues it.
#[derive(Debug)]
enum Previous {
    /// It was not measured, or there is none.
    Unknown,
    /// A session before this one took it.
    File(Source),
    Measured(Box<SegmentProbe>, Duration),
}

/// An initialisation section as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) source: SectionSource,
    pub(crate) bytes: Bytes,
    state: FileState,
}

/// What a look led to.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) outcome: Outcome,
    /// New parts of the segment that is being recorded, in their order. They come with [`Outcome::Waiting`] only.
    pub(crate) parts: Vec<TakenPart>,
    pub(crate) warnings: Vec<Warning>,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    /// The recording is over.
    Ended,
    /// It can never be published.
    Refused(Refused),
    /// A segment; look again at once.
    Segment(Box<Taken>),
    /// Look again later.
    Waiting(Waiting),
}

/// A segment on its way to the publisher.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) recorded: Recorded,
    pub(crate) source: Source,
    pub(crate) section: Option<Section>,
    pub(crate) codecs: Option<Box<str>>,
    pub(crate) starts_with_key_frame: Option<bool>,
}

impl Watcher {
    /// Looks at the folder at `path` with an engine that knows what was taken before; `last` was the last of that.
    pub(crate) fn new(
        path: PathBuf,
        engine: Folder,
        last: Option<Source>,
        max_segment_bytes: u64,
        waker: Arc<Notify>,
    ) -> Self {
        let section = last.as_ref().and_then(|last| last.section.as_ref());
        let (begun, last_section) = (last.is_some(), section.map(|section| section.digest));
        Self {
            path,
            engine,
            section: None,
            begun,
            last_section,
            max_segment_bytes,
            lists: HashMap::new(),
            snapshot: None,
            previous: last.map_or(Previous::Unknown, Previous::File),
            folder_failed: false,
            parts: None,
            wake: None,
            waker,
        }
    }

    /// Takes parts of the segment that is being recorded, too.
    #[must_use]
    pub(crate) fn with_parts(self, wanted: bool) -> Self {
        Self { parts: wanted.then(PartReader::default), ..self }
    }

    /// Looks until there is a segment, or nothing more to see. `now` is the time by the wall clock.
    pub(crate) fn look(&mut self, now: Duration) -> Look {
        let mut warnings = Vec::new();
        let mut parts = Vec::new();
        let found = self.find(now, &mut parts, &mut warnings);
        warnings.extend(std::iter::from_fn(|| self.engine.poll_warning()));
        let outcome = match found {
            Ok(outcome) => {
                self.folder_failed = false;
                outcome
            }
            Err(error) => {
                self.snapshot = None;
                if !std::mem::replace(&mut self.folder_failed, true) {
                    warnings.push(Warning::Folder { source: Arc::new(error) });
                }
                Outcome::Waiting(Waiting::Recording)
            }
        };
        Look { outcome, parts, warnings }
    }

    fn find(
        &mut self,
        now: Duration,
        parts: &mut Vec<TakenPart>,
        warnings: &mut Vec<Warning>,
    ) -> io::Result<Outcome> {
        let fresh = match self.snapshot.take() {
            Some(fresh) if fresh.idle.is_none() && now.saturating_sub(fresh.at) < SNAPSHOT_AGE => {
                fresh
            }
            old => match self.take_snapshot(old, now)? {
                Ok(fresh) => fresh,
                Err(idle) => return Ok(idle.into()),
            },
        };
        let outcome = self.next(&fresh.snapshot, now, warnings)?;
        if matches!(outcome, Outcome::Waiting(Waiting::Segment)) {
            self.read_parts(parts);
        }
        let idle = match &outcome {
            Outcome::Ended => Some(Idle::Ended),
            Outcome::Waiting(waiting) => Some(Idle::Waiting(waiting.clone())),
            Outcome::Refused(_) | Outcome::Segment(_) => None,
        };
        self.snapshot = Some(Fresh { idle, ..fresh });
        Ok(outcome)
    }

    /// Looks at the folder anew; what to wait for when it shows nothing to go by.
    fn take_snapshot(
        &mut self,
        old: Option<Fresh>,
        now: Duration,
    ) -> io::Result<Result<Fresh, Idle>> {
        let folder = match fs::metadata(&self.path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Idle::Waiting(Waiting::Recording)));
            }
            Err(error) => return Err(error),
        };
        if self.wake.is_none() {
            self.wake = Wake::new(&self.path, &self.waker);
        }
        let folder_modified = modified(&folder)?;
        let list = self.engine.list().and_then(|name| state_of(&self.path.join(name)).ok());
        if let Some(fresh) = old
            && let Some(idle) = fresh.idle.clone()
            && fresh.folder_modified == folder_modified
            && fresh.list == list
            && now.saturating_sub(fresh.at) < UNCHANGED_AGE
            && now.saturating_sub(folder_modified) > UNCHANGED_AGE
        {
            self.snapshot = Some(fresh);
            return Ok(Err(idle));
        }
        let snapshot = self.read_folder()?;
        match self.engine.look(&snapshot, now) {
            Some(waiting) => Ok(Err(Idle::Waiting(waiting))),
            None => Ok(Ok(Fresh { at: now, folder_modified, list, snapshot, idle: None })),
        }
    }

    /// Lists the files first and reads the lists then, so that what a list names is there.
    fn read_folder(&mut self) -> io::Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // Other names cannot stand in a list, which is UTF-8.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(state) = state_of_entry(&entry) else { continue };
            if let Some(state) = state {
                snapshot.files.insert(name.into(), state);
            }
            if snapshot.files.len() > MAX_FILES {
                return Err(io::Error::other(format!("more than {MAX_FILES} files")));
            }
        }
        let lists = snapshot.files.iter().filter(|(name, _)| is_list(name));
        let mut lists: Vec<_> = lists.map(|(name, state)| (name.clone(), *state)).collect();
        lists.sort_by_key(|(_, state)| std::cmp::Reverse(state.modified));
        // The one that is followed is read in any case.
        lists.sort_by_key(|(name, _)| self.engine.list() != Some(&**name));
        lists.truncate(MAX_LISTS);
        let known = std::mem::take(&mut self.lists);
        for (name, _) in lists {
            // It may have been replaced since the folder was listed.
            let Ok(state) = state_of(&self.path.join(&*name)) else { continue };
            let content = match known.get(&name).filter(|known| known.state == state) {
                Some(known) => known.content.clone(),
                None => match read_list(&self.path.join(&*name)) {
                    Ok(content) => content,
                    Err(_) => continue,
                },
            };
            let list = List { name: name.clone(), state, content };
            snapshot.lists.push(list.clone());
            self.lists.insert(name, list);
        }
        Ok(snapshot)
    }

    /// The next segment that can be published.
    fn next(
        &mut self,
        snapshot: &Snapshot,
        now: Duration,
        warnings: &mut Vec<Warning>,
    ) -> io::Result<Outcome> {
        loop {
            let seen = self.engine.next(snapshot, now);
            warnings.extend(std::iter::from_fn(|| self.engine.poll_warning()));
            let candidate = match seen {
                Seen::Ended => return Ok(Outcome::Ended),
                Seen::Refused(refused) => return Ok(Outcome::Refused(refused)),
                Seen::Waiting(waiting) => return Ok(Outcome::Waiting(waiting)),
                Seen::Segment(candidate) => candidate,
            };
            match self.take(&candidate)? {
                // The next look tells what became of it.
                Read::Changed => return Ok(Outcome::Waiting(Waiting::Segment)),
                Read::LeftOut(warning) => {
                    warnings.push(warning);
                    self.engine.skipped(&candidate);
                    self.forget_parts();
                    self.previous = Previous::Unknown;
                }
                Read::Taken(taken, warning) => {
                    warnings.extend(warning);
                    self.engine.taken(&candidate);
                    self.forget_parts();
                    return Ok(Outcome::Segment(taken));
                }
            }
        }
    }

    /// The publisher would not take the segment after all.
    pub(crate) fn left_out(&mut self) {
        self.engine.left_out();
        self.previous = Previous::Unknown;
    }

    fn take(&mut self, candidate: &Candidate) -> io::Result<Read> {
        let name = &candidate.name;
        let FileState { size, .. } = candidate.state;
        let limit = self.max_segment_bytes;
        if size > limit {
            return Ok(Read::LeftOut(Warning::TooLarge { name: name.clone(), size, limit }));
        }
        if size == 0 {
            return Ok(Read::LeftOut(Warning::Empty { name: name.clone() }));
        }
        let Some(bytes) = read_unchanged(&self.path.join(&**name), candidate.state)? else {
            return Ok(Read::Changed);
        };
        let section = match self.read_section(candidate)? {
            Ok(section) => section,
            Err(read) => return Ok(read),
        };
        let probe = measure(section.as_ref(), &bytes);
        let measured = probe.as_ref().ok();
        let evidence = Evidence {
            extinf: candidate.extinf,
            probe: measured,
            target_seconds: candidate.target_seconds,
        };
        let length = evidence.decide();
        let Some(duration) = length.taken else {
            return Ok(Read::LeftOut(Warning::NoLength { name: name.clone() }));
        };
        let warning = warning(candidate, &probe, duration, length.disputed);
        let known = section.as_ref().map(|section| section.source.digest);
        let other_section = self.begun && self.last_section != known;
        let breaks = self.breaks(candidate, section.as_ref(), measured);
        let discontinuity = candidate.discontinuity || other_section || breaks;
        (self.begun, self.last_section) = (true, known);
        let source = Source {
            number: candidate.number,
            state: candidate.state,
            digest: digest(&bytes),
            list: candidate.list.clone(),
            name: name.clone(),
            section: section.as_ref().map(|section| section.source.clone()),
        };
        let taken = Taken {
            recorded: Recorded { source: source.to_string().into(), duration, discontinuity },
            source,
            section,
            codecs: measured.and_then(SegmentProbe::codecs).map(Into::into),
            starts_with_key_frame: measured.map(|probe| probe.starts_with_key_frame),
        };
        self.previous = match probe {
            Ok(probe) => {
                let length = probe.duration.unwrap_or(duration.as_duration());
                Previous::Measured(Box::new(probe), length)
            }
            Err(_) => Previous::Unknown,
        };
        Ok(Read::Taken(Box::new(taken), warning))
    }

    /// The initialisation section that a segment needs. A recorder that was started again has written another one under
    /// the name: what was recorded before keeps the one that was read then.
    fn read_section(&mut self, candidate: &Candidate) -> io::Result<Result<Option<Section>, Read>> {
        let Some(name) = &candidate.section else { return Ok(Ok(None)) };
        let path = self.path.join(&**name);
        let state = match state_of(&path) {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(Read::Changed)),
            Err(error) => return Err(error),
        };
        let read = self.section.as_ref().filter(|section| section.source.name == *name);
        if let Some(section) = read
            && (section.state == state || candidate.state.modified < state.modified)
        {
            return Ok(Ok(Some(section.clone())));
        }
        if state.size > MAX_SECTION_BYTES {
            let (name, size, limit) = (name.clone(), state.size, MAX_SECTION_BYTES);
            return Ok(Err(Read::LeftOut(Warning::TooLarge { name, size, limit })));
        }
        if state.size == 0 {
            return Ok(Err(Read::LeftOut(Warning::Empty { name: name.clone() })));
        }
        let Some(bytes) = read_unchanged(&path, state)? else { return Ok(Err(Read::Changed)) };
        let source = SectionSource { digest: digest(&bytes), name: name.clone() };
        let section = Section { source, bytes: bytes.into(), state };
        Ok(Ok(Some(self.section.insert(section).clone())))
    }
}

/// What became of reading a segment.
#[derive(Debug)]
enum Read {
    /// Its file is not the one that was listed any more.
    Changed,
    /// It cannot be published.
    LeftOut(Warning),
    Taken(Box<Taken>, Option<Warning>),
}

fn warning(
    candidate: &Candidate,
    probe: &Result<SegmentProbe, ProbeError>,
    taken: SegmentDuration,
    disputed: bool,
) -> Option<Warning> {
    let name = candidate.name.clone();
    match probe {
        Err(reason) => Some(Warning::Unmeasured { name, reason: reason.clone() }),
        Ok(probe) if disputed => {
            let listed = candidate.extinf?.as_duration();
            let measured = probe.duration?;
            Some(Warning::Length { name, listed, measured, taken })
        }
        Ok(_) => None,
    }
}
