//! A hint that a folder has changed: [`Wake`].

use std::{path::Path, sync::Arc};

use notify::{
    EventKind, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::Notify;

/// Wakes a session when something in a folder changes, until it is dropped.
///
/// It is a hint and no more. Events come late or never on network shares, and there is a limit to how many folders a system
/// watches: whoever waits looks now and then without being woken.
#[derive(Debug)]
pub(crate) struct Wake(
    #[expect(dead_code, reason = "it watches while it lives")] notify::RecommendedWatcher,
);

impl Wake {
    /// Wakes `waker` on changes in `folder`; `None` when the system cannot watch it.
    pub(crate) fn new(folder: &Path, waker: &Arc<Notify>) -> Option<Self> {
        let waker = Arc::clone(waker);
        let handler = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| matters(event.kind)) {
                waker.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        watcher.map(Self).inspect_err(|error| tracing::debug!(%error, "folder not watched")).ok()
    }
}

/// Whether a segment or list may be complete now. A recorder that writes on to a segment does not matter, and our own
/// reading must not wake us.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(modify) => {
            !matches!(modify, ModifyKind::Data(_) | ModifyKind::Metadata(_))
        }
        EventKind::Any | EventKind::Create(_) | EventKind::Other | EventKind::Remove(_) => true,
    }
}
