//! Which file of a recorder's folder is the next segment: [`Folder`], an engine without files or clocks.
//!
//! What it goes by, from `spec/hls.md`, section 10:
//!
//! - The list is the order, never the names. A segment is complete when it is listed. The newest file never is because of
//!   being newest.
//! - Numbers below those of a window list are found by their names, as long as the times of the files say that they are of
//!   the same run.
//! - A file newer than the list that names it is being overwritten by a recorder that was started again.
//! - A recorder was started again when a file that was taken, or one before it, is listed anew with a later time, when the
//!   last one taken has another name, or when a list that began later takes over. Its numbers then count from the start.
//!   A list that only lost its tail was caught half-written: its files tell, since they are those that were taken.
//! - What cannot be had is given up after a grace and leaves a discontinuity.
//! - Parts of the segment behind the last one listed are told when all that is listed is taken, if nothing breaks there.

mod names;
mod run;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use alive_playlist::{MediaDuration, Recording, Unsupported};

use self::run::{Run, Step};
pub(crate) use self::snapshot::{FileState, List, Snapshot};
use crate::{
    parts::Upcoming,
    progress::{Waiting, Warning},
    source::Source,
};

/// A recording whose list was last written to longer ago is an old one. Source: `spec/indexer.md`, section 8.
pub(crate) const OLD_AFTER: Duration = Duration::from_mins(1);
/// How long a listed segment may be missing before it is given up. Folders on a network show new files late.
pub(crate) const MISSING_GRACE: Duration = Duration::from_secs(3);
/// How long a file that is newer than its list must have been left alone to be taken all the same. A recorder that is
/// overwriting it writes more often than that at any bit rate worth watching.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);

/// What a look led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// The recorder has closed its list, and every segment of it is taken.
    Ended,
    /// These segments can never be published. Looking again gives the same.
    Refused(Refused),
    /// The next segment. Take it with [`Folder::taken`], or leave it out with [`Folder::skipped`].
    Segment(Candidate),
    /// Nothing yet.
    Waiting(Waiting),
}

/// A recording that cannot be published as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) list: Box<str>,
    pub(crate) reason: Unsupported,
}

/// A segment that is complete on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its number in the recorder's list.
    pub(crate) number: u64,
    /// The list.
    pub(crate) list: Box<str>,
    /// The name of its file.
    pub(crate) name: Box<str>,
    /// The name of the file with its initialisation section, if it needs one.
    pub(crate) section: Option<Box<str>>,
    /// Its file, as it must still be when it is read.
    pub(crate) state: FileState,
    /// How long the recorder says it is; `None` when its line was not seen.
    pub(crate) extinf: Option<MediaDuration>,
    /// The target duration of the list, in seconds.
    pub(crate) target_seconds: u64,
    /// Whether something breaks before it, as far as list and folder tell.
    pub(crate) discontinuity: bool,
}

/// Finds the segments of a recording, one after another. See the [module](self) for the rules.
#[derive(Debug)]
pub(crate) struct Folder {
    accept_old: bool,
    /// A recording is being followed. Until then every list may be an old one.
    open: bool,
    run: Option<Run>,
    /// Nothing was ever published: nothing can break before the first segment.
    fresh: bool,
    /// A list that is too old to be followed, as it was when it was refused.
    refused: Option<List>,
    /// Lists that cannot be read, and in how many looks; at 2 it was said.
    unreadable: HashMap<Box<str>, (FileState, u8)>,
    warnings: VecDeque<Warning>,
}

impl Folder {
    /// Waits for a recording. One that is over for long only counts when `accept_old`.
    pub(crate) fn new(accept_old: bool) -> Self {
        Self {
            accept_old,
            open: false,
            run: None,
            fresh: true,
            refused: None,
            unreadable: HashMap::new(),
            warnings: VecDeque::new(),
        }
    }

    /// Goes on behind the segments that were `taken`, oldest first. When the session before this one `finished`, a
    /// recording that is over for long does not count, as in a new session; when it was cut off, what is left of it does.
    pub(crate) fn resume(accept_old: bool, taken: &[Source], finished: bool) -> Self {
        let run = Run::resume(taken);
        let open = run.is_some() && !finished;
        Self { open, fresh: run.is_none(), run, ..Self::new(accept_old) }
    }

    /// Takes in what the folder shows now. Then ask [`next`](Self::next), as often as it gives a segment. `Some` when
    /// there is nothing to ask for.
    pub(crate) fn look(&mut self, snapshot: &Snapshot, now: Duration) -> Option<Waiting> {
        self.report_unreadable(snapshot);
        if !self.open
            && let Some(waiting) = self.start(snapshot, now)
        {
            return Some(waiting);
        }
        self.follow(snapshot, now);
        None
    }

    /// What comes next. The same again until [`taken`](Self::taken) or [`skipped`](Self::skipped) is called.
    pub(crate) fn next(&mut self, snapshot: &Snapshot, now: Duration) -> Seen {
        while let Some(run) = self.run.as_mut().filter(|_| self.open) {
            match run.step(snapshot, now) {
                Step::Lost(warning) => self.warnings.push_back(warning),
                Step::Seen(Seen::Segment(mut candidate)) => {
                    candidate.discontinuity &= !self.fresh;
                    return Seen::Segment(candidate);
                }
                Step::Seen(seen) => return seen,
            }
        }
        Seen::Waiting(Waiting::Recording)
    }

    /// The segment goes into the stream.
    pub(crate) fn taken(&mut self, candidate: &Candidate) {
        self.fresh = false;
        if let Some(run) = &mut self.run {
            run.taken(candidate);
        }
    }

    /// The segment cannot go into the stream. What follows it is behind a discontinuity.
    pub(crate) fn skipped(&mut self, candidate: &Candidate) {
        if let Some(run) = &mut self.run {
            run.skipped(candidate.number);
        }
    }

    /// A segment that was taken did not make it into the stream.
    pub(crate) fn left_out(&mut self) {
        if let Some(run) = &mut self.run {
            run.left_out();
        }
    }

    /// The segment that is being recorded, when every one before it is taken and it follows the last of them without a
    /// break, as far as list and folder tell.
    pub(crate) fn upcoming(&self) -> Option<Upcoming<'_>> {
        self.run.as_ref().filter(|_| self.open && !self.fresh)?.upcoming()
    }

    /// Something that a person should know of.
    pub(crate) fn poll_warning(&mut self) -> Option<Warning> {
        self.warnings.pop_front()
    }

    /// The list that is followed.
    pub(crate) fn list(&self) -> Option<&str> {
        self.run.as_ref().filter(|_| self.open).map(Run::list)
    }

    /// Begins with the newest list, unless it is too old.
    fn start(&mut self, snapshot: &Snapshot, now: Duration) -> Option<Waiting> {
        let recordings = snapshot.recordings(now);
        let Some(&(list, recording)) = recordings.first() else {
            let begun = snapshot.has_segments();
            return Some(if begun { Waiting::List } else { Waiting::Recording });
        };
        // A list that changes while it is watched is no old one, whatever the clocks say.
        let known = self.refused.as_ref().filter(|old| old.name == list.name);
        let changes = known.is_some_and(|old| old.state != list.state);
        let age = now.saturating_sub(list.state.modified);
        if !(self.accept_old || changes || age <= old_after(recording)) {
            self.refused = Some(list.clone());
            return Some(Waiting::NewRecording { old: list.name.clone() });
        }
        self.open = true;
        let mut run = match self.run.take() {
            Some(known) if known.list() == &*list.name => known,
            Some(other) => other.again(list, recording),
            None => Run::begin(list, recording, false),
        };
        if let Some(first) = self.appended(&list.name, recording) {
            run.leave_out_before(first);
        }
        self.run = Some(run);
        None
    }

    /// The first segment that a recorder appended to an old recording, which has been refused: the old ones stay out.
    ///
    /// Only what is marked as a new run counts as such. A list may have looked old just because its segments are long.
    fn appended(&self, list: &str, recording: &Recording) -> Option<u64> {
        let old = self.refused.as_ref().filter(|old| &*old.name == list)?;
        let progress = recording.since(old.content.as_ref().ok()?);
        let first = progress.new.first().filter(|_| progress.restarted.is_none())?;
        first.discontinuity.then_some(first.number)
    }

    /// Sees what the list says now, and whether it, or another one, is of a new run.
    fn follow(&mut self, snapshot: &Snapshot, now: Duration) {
        let Some(run) = &mut self.run else { return };
        let recordings = snapshot.recordings(now);
        if let Some((list, recording)) = recordings.iter().find(|(l, _)| &*l.name == run.list()) {
            if run.is_over_by(list, recording, snapshot) {
                *run = Run::again(run, list, recording);
                self.warnings.push_back(Warning::Restarted { list: list.name.clone() });
            } else {
                run.see(list, recording);
            }
        }
        if let Some((list, recording)) = run.later(&recordings, snapshot) {
            *run = Run::again(run, list, recording);
            self.warnings.push_back(Warning::Restarted { list: list.name.clone() });
        }
    }

    /// Warns of a list that is unreadable in two looks. That it is for a moment, while it is being written, is nothing.
    fn report_unreadable(&mut self, snapshot: &Snapshot) {
        let mut now = HashMap::new();
        for list in &snapshot.lists {
            let Err(reason) = &list.content else { continue };
            if self.list().is_some_and(|followed| followed != &*list.name) {
                continue;
            }
            let looks = match self.unreadable.get(&list.name) {
                Some((_, looks @ 2..)) => *looks,
                Some((state, 1)) if *state == list.state => {
                    let (list, reason) = (list.name.clone(), reason.clone());
                    self.warnings.push_back(Warning::List { list, reason });
                    2
                }
                _ => 1,
            };
            now.insert(list.name.clone(), (list.state, looks));
        }
        self.unreadable = now;
    }
}

/// When a recording whose list is not written to any more is over.
fn old_after(recording: &Recording) -> Duration {
    OLD_AFTER.max(Duration::from_secs(recording.target_seconds()).saturating_mul(2))
}
