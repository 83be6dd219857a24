//! What a look at a recorder's folder shows: [`Snapshot`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alive_playlist::{ReadError, Recording};

/// How long a list that does not end in a line end must have been left alone to be relied on: it may be half-written, and
/// half a name is another name.
const UNFINISHED: Duration = Duration::from_secs(1);

/// What tells a file from another one under the same name, without reading it.
///
/// Inode numbers are left out: a recorder that overwrites keeps them, and on network shares they change by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    /// Its bytes.
    pub(crate) size: u64,
    /// When it was last written to, since 1970.
    pub(crate) modified: Duration,
}

/// A folder at one moment. The files are listed before the lists are read: what a list names is then already there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// All files by their name.
    pub(crate) files: BTreeMap<Box<str>, FileState>,
    /// The recorders' lists among them.
    pub(crate) lists: Vec<List>,
}

/// A recorder's list.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The name of its file.
    pub(crate) name: Box<str>,
    /// Its file.
    pub(crate) state: FileState,
    /// What it says.
    pub(crate) content: Result<Arc<Recording>, ReadError>,
}

impl Snapshot {
    /// The lists that hold segments and can be relied on, the one that was written to last first.
    pub(crate) fn recordings(&self, now: Duration) -> Vec<(&List, &Arc<Recording>)> {
        let good = self.lists.iter().filter_map(|list| Some((list, list.content.as_ref().ok()?)));
        let relied_on = |(list, recording): &(&List, &Arc<Recording>)| {
            let writing = now.saturating_sub(list.state.modified) < UNFINISHED;
            let has_segments = !recording.segments().is_empty() && !recording.i_frames_only();
            has_segments && !(recording.may_be_cut() && writing)
        };
        let mut good: Vec<_> = good.filter(relied_on).collect();
        good.sort_by(|(a, _), (b, _)| {
            (b.state.modified, &a.name).cmp(&(a.state.modified, &b.name))
        });
        good
    }

    /// Whether there is a file that looks like a segment.
    pub(crate) fn has_segments(&self) -> bool {
        let mut extensions = self.files.keys().filter_map(|name| name.rsplit_once('.'));
        extensions.any(|(_, extension)| {
            ["ts", "m4s", "mp4", "aac"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        })
    }
}
