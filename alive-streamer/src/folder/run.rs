//! One run of a recorder: [`Run`], which of its segments is the next one.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use alive_playlist::{RecordedSegment, Recording, Unsupported};

use super::names::NumberedName;
use super::{
    Candidate, FileState, List, MISSING_GRACE, OLD_AFTER, Refused, SETTLE, Seen, Snapshot,
};
use crate::{
    parts::Upcoming,
    progress::{Waiting, Warning},
    source::Source,
};

/// How many of the segments taken last are remembered, to notice that their files are overwritten: two days of segments of
/// ten seconds.
const REMEMBERED: usize = 17_280;

/// One run of a recorder.
#[derive(Debug)]
pub(super) struct Run {
    list: Box<str>,
    /// The list as it was last seen whole; `None` after a restart of the daemon until then.
    seen: Option<SeenList>,
    /// The number to take next; `None` when the run has just begun.
    next: Option<u64>,
    taken: BTreeMap<u64, (Box<str>, FileState)>,
    /// Files that were not written to after this moment are of an earlier run.
    floor: Duration,
    broken: bool,
    /// The next segment while its file is missing, and since when.
    missing: Option<(u64, Duration)>,
}

#[derive(Debug)]
struct SeenList {
    state: FileState,
    recording: Arc<Recording>,
    /// Segments whose names are listed again behind them: their files hold what was recorded later.
    overwritten: HashSet<u64>,
}

/// What a run comes to.
#[derive(Debug)]
pub(super) enum Step {
    /// Segments are given up; ask again.
    Lost(Warning),
    /// A result.
    Seen(Seen),
}

impl Run {
    /// The run whose segments were taken last, `None` when there are none.
    pub(super) fn resume(taken: &[Source]) -> Option<Self> {
        let last = taken.last()?;
        let later = |pair: &&[Source]| matches!(pair, [a, b] if a.list == last.list && b.list == last.list && a.number < b.number);
        let pairs = taken.windows(2).rev().take_while(later).count();
        let of_run = taken.iter().rev().take(pairs + 1).take(REMEMBERED);
        let taken = of_run.map(|source| (source.number, (source.name.clone(), source.state)));
        Some(Self {
            list: last.list.clone(),
            seen: None,
            next: Some(last.number.saturating_add(1)),
            taken: taken.collect(),
            floor: last.state.modified,
            broken: false,
            missing: None,
        })
    }

    /// A run that nothing was taken of. `broken` when something was published before it.
    pub(super) fn begin(list: &List, recording: &Arc<Recording>, broken: bool) -> Self {
        let mut run = Self {
            list: list.name.clone(),
            seen: None,
            next: None,
            taken: BTreeMap::new(),
            floor: Duration::ZERO,
            broken,
            missing: None,
        };
        run.see(list, recording);
        run
    }

    /// The run after this one.
    pub(super) fn again(&self, list: &List, recording: &Arc<Recording>) -> Self {
        let newest = self.taken.last_key_value().map_or(self.floor, |(_, (_, file))| file.modified);
        Self {
            floor: newest,
            ..Self::begin(list, recording, self.broken || !self.taken.is_empty())
        }
    }

    /// The name of its list.
    pub(super) fn list(&self) -> &str {
        &self.list
    }

    /// Segments with smaller numbers are left out.
    pub(super) fn leave_out_before(&mut self, number: u64) {
        self.next = Some(self.next.map_or(number, |next| next.max(number)));
    }

    /// Takes in what the list says now. A list that lost its tail was caught half-written and tells nothing.
    pub(super) fn see(&mut self, list: &List, recording: &Arc<Recording>) {
        let seen = self.seen.as_ref();
        if seen
            .is_some_and(|seen| seen.state == list.state || end(recording) < end(&seen.recording))
        {
            return;
        }
        let overwritten = overwritten(recording);
        self.seen =
            Some(SeenList { state: list.state, recording: Arc::clone(recording), overwritten });
    }

    /// Whether this list is of another run of the recorder, under the same name.
    pub(super) fn is_over_by(
        &self,
        list: &List,
        recording: &Recording,
        snapshot: &Snapshot,
    ) -> bool {
        let seen = self.seen.as_ref();
        if seen.is_some_and(|seen| seen.state == list.state) {
            return false;
        }
        match self.compare_files(list, recording, snapshot) {
            Some(changed) => changed,
            None => {
                // Half a list looks like that of a new run. A new run has at least written what it lists last.
                let last = recording.segments().last().and_then(RecordedSegment::file_name);
                let written = last.is_some_and(|name| snapshot.files.contains_key(name));
                let restarted = seen.and_then(|seen| recording.since(&seen.recording).restarted);
                written && restarted.is_some() && !recording.may_be_cut()
            }
        }
    }

    /// Whether a file that was taken is listed with other content; `None` when no file tells.
    fn compare_files(
        &self,
        list: &List,
        recording: &Recording,
        snapshot: &Snapshot,
    ) -> Option<bool> {
        let overwritten = overwritten(recording);
        let mut same = None;
        for segment in recording.segments() {
            let taken = self.taken.get(&segment.number);
            let (Some((name, state)), Some(listed)) = (taken, segment.file_name()) else {
                continue;
            };
            if **name != *listed {
                return Some(true);
            }
            let file =
                snapshot.files.get(listed).filter(|_| !overwritten.contains(&segment.number));
            // What is newer than the list is being written now, and is not what the list speaks of.
            let Some(file) = file.filter(|file| file.modified <= list.state.modified) else {
                continue;
            };
            if file != state {
                return Some(true);
            }
            same = Some(false);
        }
        same.or_else(|| self.last_left_window(list, recording, snapshot).then_some(true))
    }

    /// Whether the file that was taken last has left the list and was overwritten. Only a number in its name says that it
    /// cannot be that of a later segment.
    fn last_left_window(&self, list: &List, recording: &Recording, snapshot: &Snapshot) -> bool {
        let Some((&number, (name, state))) = self.taken.last_key_value() else { return false };
        let left =
            number < recording.media_sequence() && NumberedName::find(name, number).is_some();
        let file = snapshot.files.get(name).filter(|file| file.modified <= list.state.modified);
        left && file.is_some_and(|file| file != state)
    }

    /// A list that a recorder began after it had left this run's list, once all of that is taken. Of several the one that
    /// was over first.
    pub(super) fn later<'a>(
        &self,
        recordings: &[(&'a List, &'a Arc<Recording>)],
        snapshot: &Snapshot,
    ) -> Option<(&'a List, &'a Arc<Recording>)> {
        let seen = self.seen.as_ref();
        if seen.is_some_and(|seen| self.next.is_none_or(|next| next < end(&seen.recording))) {
            return None;
        }
        let left = seen.map_or(self.floor, |seen| seen.state.modified);
        let began_later = |(list, recording): &&(&List, &Arc<Recording>)| {
            let first = recording.segments().first().and_then(RecordedSegment::file_name);
            let began = match first.and_then(|name| snapshot.files.get(name)) {
                Some(file) => file.modified,
                None => list.state.modified.saturating_sub(three_targets(recording)),
            };
            *list.name != *self.list && began > left
        };
        let later = recordings.iter().filter(began_later);
        later.min_by_key(|(list, _)| list.state.modified).copied()
    }

    /// The segment goes into the stream.
    pub(super) fn taken(&mut self, candidate: &Candidate) {
        self.next = Some(candidate.number.saturating_add(1));
        self.broken = false;
        self.taken.insert(candidate.number, (candidate.name.clone(), candidate.state));
        if self.taken.len() > REMEMBERED {
            self.taken.pop_first();
        }
    }

    /// The segment cannot go into the stream.
    pub(super) fn skipped(&mut self, number: u64) {
        self.next = Some(number.saturating_add(1));
        self.broken = true;
    }

    /// Something before the next segment is missing.
    pub(super) fn left_out(&mut self) {
        self.broken = true;
    }

    /// What the next segment is, and whether it can be taken.
    pub(super) fn step(&mut self, snapshot: &Snapshot, now: Duration) -> Step {
        let Some(seen) = &self.seen else { return Step::Seen(Seen::Waiting(Waiting::List)) };
        let next = self.next.unwrap_or_else(|| self.first(seen, snapshot));
        self.next = Some(next);
        let position = next.checked_sub(seen.recording.media_sequence());
        let Some(position) = position else { return self.step_unlisted_before(next, snapshot) };
        let listed = usize::try_from(position).ok().and_then(|i| seen.recording.segments().get(i));
        match listed {
            Some(segment) => match segment.unsupported() {
                None => self.step_listed(&segment.clone(), snapshot, now),
                Some(Unsupported::Gap) => {
                    let name = segment.uri.clone();
                    self.lost(next, Warning::Gap { name })
                }
                Some(reason) => {
                    Step::Seen(Seen::Refused(Refused { list: self.list.clone(), reason }))
                }
            },
            None if seen.recording.ended() => Step::Seen(Seen::Ended),
            None => self.step_unlisted_behind(next, snapshot, now),
        }
    }

    /// The segment behind the last one listed; see [`Folder::upcoming`](super::Folder::upcoming).
    pub(super) fn upcoming(&self) -> Option<Upcoming<'_>> {
        let SeenList { state, recording, .. } = self.seen.as_ref()?;
        let number = self.next.filter(|next| *next == end(recording))?;
        let last = self.taken.last_key_value().map(|(last, _)| last.saturating_add(1));
        let parts = recording.parts();
        let breaks = self.broken || parts.first().is_none_or(|part| part.discontinuity);
        let follows = last == Some(number) && !breaks && !recording.ended();
        let (list, modified) = (&*self.list, state.modified);
        follows.then_some(Upcoming { list, modified, number, parts })
    }

    /// Where the run began, as far as its files are still there: behind a window list there may be more of them.
    fn first(&self, seen: &SeenList, snapshot: &Snapshot) -> u64 {
        let listed = seen.recording.media_sequence();
        let files = self.numbered(seen, snapshot, 0..listed);
        let first_file = seen.recording.segments().first().and_then(RecordedSegment::file_name);
        let mut newer = first_file
            .and_then(|name| snapshot.files.get(name))
            .map_or(seen.state.modified, |file| file.modified);
        let longest_pause = OLD_AFTER.max(three_targets(&seen.recording));
        let mut first = listed;
        for (number, (_, file)) in files.into_iter().rev() {
            let pause = newer.checked_sub(file.modified);
            if number + 1 != first || pause.is_none_or(|pause| pause > longest_pause) {
                break;
            }
            (first, newer) = (number, file.modified);
        }
        first
    }

    /// The files of this run with these numbers in their names.
    fn numbered<'a>(
        &self,
        seen: &SeenList,
        snapshot: &'a Snapshot,
        numbers: std::ops::Range<u64>,
    ) -> BTreeMap<u64, (&'a str, FileState)> {
        let mut listed = seen.recording.segments().iter().rev();
        let kind = listed.find_map(|s| NumberedName::find(s.file_name()?, s.number));
        let Some(kind) = kind.filter(|_| !numbers.is_empty()) else { return BTreeMap::new() };
        let files = snapshot.files.iter().filter_map(|(name, &state)| {
            let number = kind.number(name).filter(|number| numbers.contains(number))?;
            (state.modified > self.floor).then_some((number, (&**name, state)))
        });
        files.collect()
    }

    /// A segment that left the list before it was taken.
    fn step_unlisted_before(&mut self, next: u64, snapshot: &Snapshot) -> Step {
        let Some(seen) = &self.seen else { return Step::Seen(Seen::Waiting(Waiting::List)) };
        let listed = seen.recording.media_sequence();
        let newest = seen.state.modified;
        let files = self.numbered(seen, snapshot, next..listed);
        let found = files.into_iter().find(|(_, (_, file))| file.modified <= newest);
        match found {
            Some((number, (name, state))) if number == next => {
                let segment = self.candidate(number, name, state);
                Step::Seen(Seen::Segment(segment))
            }
            other => {
                let until = other.map_or(listed, |(number, _)| number);
                self.lost(until - 1, Warning::Missed { first: next, count: until - next })
            }
        }
    }

    fn step_listed(
        &mut self,
        listed: &RecordedSegment,
        snapshot: &Snapshot,
        now: Duration,
    ) -> Step {
        let waiting = Step::Seen(Seen::Waiting(Waiting::Segment));
        let (Some(seen), Some(name)) = (&self.seen, listed.file_name()) else { return waiting };
        let number = listed.number;
        let lost = || Warning::Missing { name: name.into() };
        let section = listed.map.as_ref().and_then(|map| map.file_name());
        if seen.overwritten.contains(&number) {
            return self.lost(number, lost());
        }
        let has_section = section.is_none_or(|section| snapshot.files.contains_key(section));
        let Some(&state) = snapshot.files.get(name).filter(|_| has_section) else {
            let since = self.missing.filter(|(n, _)| *n == number).map_or(now, |(_, since)| since);
            self.missing = Some((number, since));
            let given_up = now.saturating_sub(since) >= MISSING_GRACE;
            let missing = section.filter(|_| !has_section);
            let lost = || missing.map_or_else(lost, |name| Warning::Missing { name: name.into() });
            return if given_up { self.lost(number, lost()) } else { waiting };
        };
        let newer = state.modified > seen.state.modified;
        if newer && now.saturating_sub(state.modified) < SETTLE {
            return waiting;
        }
        let mut candidate = self.candidate(number, name, state);
        candidate.extinf = Some(listed.duration);
        candidate.discontinuity |= listed.discontinuity;
        Step::Seen(Seen::Segment(candidate))
    }

    /// A segment behind the end of a list that is not written to any more, although its recorder went on.
    fn step_unlisted_behind(&self, next: u64, snapshot: &Snapshot, now: Duration) -> Step {
        let waiting = Step::Seen(Seen::Waiting(Waiting::Segment));
        let Some(seen) = &self.seen else { return waiting };
        let patience = Duration::from_secs(seen.recording.target_seconds()).saturating_mul(2);
        let still = now.saturating_sub(seen.state.modified) >= patience.max(SETTLE);
        // What is there now may be another list, which cannot be read yet.
        if !still || snapshot.files.get(&self.list) != Some(&seen.state) {
            return waiting;
        }
        let files = self.numbered(seen, snapshot, next..next.saturating_add(2));
        let mut files = files.into_values();
        match (files.next(), files.next()) {
            (Some((name, this)), Some((_, successor)))
                if seen.state.modified <= this.modified && this.modified <= successor.modified =>
            {
                Step::Seen(Seen::Segment(self.candidate(next, name, this)))
            }
            _ => waiting,
        }
    }

    /// What is not listed, or not any more, needs the section of the listed segment that is nearest.
    fn candidate(&self, number: u64, name: &str, state: FileState) -> Candidate {
        let recording = self.seen.as_ref().map(|seen| &seen.recording);
        let target = recording.map_or(0, |recording| recording.target_seconds());
        let nearest = recording.and_then(|recording| {
            let place = number.saturating_sub(recording.media_sequence());
            let listed = usize::try_from(place).ok().and_then(|at| recording.segments().get(at));
            listed.or(recording.segments().last())
        });
        let map = nearest.and_then(|segment| segment.map.as_ref());
        Candidate {
            number,
            list: self.list.clone(),
            name: name.into(),
            section: map.and_then(|map| map.file_name()).map(Into::into),
            state,
            extinf: None,
            target_seconds: target,
            discontinuity: self.broken,
        }
    }

    /// Gives up everything up to this number.
    fn lost(&mut self, number: u64, warning: Warning) -> Step {
        self.skipped(number);
        Step::Lost(warning)
    }
}

/// The number that the segment after the last one listed would have.
fn end(recording: &Recording) -> u64 {
    let listed = u64::try_from(recording.segments().len()).unwrap_or(u64::MAX);
    recording.media_sequence().saturating_add(listed)
}

fn three_targets(recording: &Recording) -> Duration {
    Duration::from_secs(recording.target_seconds()).saturating_mul(3)
}

/// The segments whose names are listed again behind them.
fn overwritten(recording: &Recording) -> HashSet<u64> {
    let mut last: HashMap<&str, u64> = HashMap::new();
    let segments = recording.segments().iter();
    segments.filter_map(|s| last.insert(&s.uri, s.number)).collect()
}
