//! The task that looks for the segments of one list: [`Checker`].

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{
    Signals, View,
    held::{Held, Sought},
    lock,
    segments::Pass,
};
use crate::presence::Presence;

/// How many segments are taken from the list at once.
const BATCH: usize = 64;
/// The least time between two renewals of a list in the middle of a pass.
const NEWS_WAIT: Duration = Duration::from_secs(1);
/// The least time between two passes, whatever is configured.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// Looks for the segments of one list and the sections that they need: for new ones at once, for those that were not found again and again, for all once
/// in a while.
pub(super) struct Checker {
    presence: Presence,
    view: Arc<Mutex<View>>,
    signals: Arc<Signals>,
}

impl Checker {
    pub(super) fn new(presence: Presence, view: Arc<Mutex<View>>, signals: Arc<Signals>) -> Self {
        Self { presence, view, signals }
    }

    /// Looks until it is dropped.
    pub(super) async fn run(self) {
        let (first_wait, recheck) = {
            let config = self.presence.config();
            (config.first_wait, config.recheck)
        };
        let mut waits = self.presence.waits();
        let (mut lacking, mut again, mut all) = (0, None, after(recheck));
        loop {
            self.pass(Pass::New).await;
            let before = std::mem::replace(&mut lacking, self.lacking());
            if lacking > before {
                // Among them is one that was never looked for again.
                again = [again, after(first_wait)].into_iter().flatten().min();
            } else if lacking == 0 {
                (waits, again) = (self.presence.waits(), None);
            }
            tokio::select! {
                // A segment was listed, or turned out to be absent: the loop's beginning sees both.
                () = self.signals.look.notified() => {}
                () = sleep_until(again) => {
                    if self.pass(Pass::Lacking).await {
                        waits = self.presence.waits();
                    }
                    again = waits.next().map_or_else(|| after(recheck), after);
                    lacking = self.lacking();
                }
                () = sleep_until(all) => {
                    self.pass(Pass::All).await;
                    all = after(recheck);
                }
            }
        }
    }

    /// Looks for some of the sections and segments; whether anything is known then that was not. Sections come first: without
    /// one whole runs of segments are lost.
    async fn pass(&self, pass: Pass) -> bool {
        self.look(Sought::Sections, pass).await | self.look(Sought::Segments, pass).await
    }

    /// Looks for some of them, a few beside each other.
    async fn look(&self, sought: Sought, pass: Pass) -> bool {
        let mut from = Some(0);
        let mut told = Instant::now();
        let (mut any, mut news) = (false, false);
        while let Some(start) = from {
            let (batch, next) = lock(&self.view).segments_to_look_for(sought, pass, start, BATCH);
            let look = |id| async move { (id, self.presence.look(id).await) };
            let looked = stream::iter(batch).map(look);
            let mut looked = looked.buffer_unordered(self.presence.config().checks.max(1));
            while let Some((id, found)) = looked.next().await {
                news |= lock(&self.view).settle(&id, found);
            }
            any |= news;
            if news && (next.is_none() || told.elapsed() >= NEWS_WAIT) {
                self.signals.segments.notify_one();
                (told, news) = (Instant::now(), false);
            }
            from = next;
        }
        any
    }

    fn lacking(&self) -> usize {
        lock(&self.view).segments.as_ref().map_or(0, Held::lacking)
    }
}

/// When a wait is over; `None` is never, for a wait longer than time lasts.
fn after(wait: Duration) -> Option<Instant> {
    Instant::now().checked_add(wait.max(LEAST_WAIT))
}

/// Sleeps for ever without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
