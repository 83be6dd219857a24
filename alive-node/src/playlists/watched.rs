//! A list that somebody asked for, and what becomes of it: [`Watched`], [`Changes`].

use std::{sync::Arc, time::Duration};

use alive_core::{ContentId, GatewayUrl, Network, Quality, Segment, Seq, StreamId, StreamInfo};
use alive_playlist::{Portion, Readiness, ReloadRequest};

use super::{Entry, Health, Key, ListText, Playlist, PlaylistError, Playlists, lock, text::Form};

/// A list that somebody asked for.
#[derive(Clone, Debug)]
pub struct Watched {
    pub(super) playlist: Arc<Playlist>,
    pub(super) entry: Arc<Entry>,
    pub(super) lists: Playlists,
    pub(super) key: Key,
}

impl Watched {
    /// How long somebody waits for a segment, in target durations. Source: `spec/hls.md`, section 7, `_HLS_msn`.
    const PATIENCE_TARGETS: u32 = 3;

    /// The list as it was when it was asked for, or waited for.
    pub fn playlist(&self) -> &Playlist {
        &self.playlist
    }

    /// What is asked for of the list, plain and compressed, with segments from another gateway if one is given.
    ///
    /// The whole list and its delta update are ready; the rest is made for the first who asks, and kept while it is asked
    /// for and the list does not change.
    ///
    /// # Errors
    /// The node stops.
    pub async fn text(
        &self,
        portion: Portion,
        gateway: Option<&GatewayUrl>,
    ) -> Result<Arc<ListText>, PlaylistError> {
        let Playlist { text, delta, ended, .. } = &*self.playlist;
        if gateway.is_none() && portion.window.is_none() {
            return Ok(Arc::clone(delta.as_ref().filter(|_| portion.skip).unwrap_or(text)));
        }
        // Nothing is left out of an archive.
        let portion = portion.skip(portion.skip && !ended);
        let gateway = gateway.cloned();
        let (list, etag) = (self.key.clone(), Arc::clone(&text.etag));
        let form = Form { list, etag, portion, gateway };
        let made = self.lists.0.forms.try_get_with_by_ref(&form, self.make(&form)).await;
        made.map_err(|_| PlaylistError::Overloaded)
    }

    /// Writes, names and compresses a form: milliseconds for a long list.
    async fn make(&self, form: &Form) -> Result<Arc<ListText>, PlaylistError> {
        let permit = Arc::clone(&self.lists.0.renders).acquire_owned().await;
        let (view, form) = (Arc::clone(&self.entry.view), form.clone());
        let making = tokio::task::spawn_blocking(move || {
            let text = lock(&view).render(form.portion, form.gateway.as_ref());
            drop(permit);
            ListText::new(text).into()
        });
        making.await.map_err(|_| PlaylistError::Overloaded)
    }

    /// Waits until the list has what is asked for, three target durations at most.
    ///
    /// # Errors
    /// It is asked for too much, it took too long, or the stream is gone.
    pub async fn until(self, request: &ReloadRequest) -> Result<Self, PlaylistError> {
        match readiness(request, &self.playlist) {
            Readiness::Ready => return Ok(self),
            Readiness::TooFar => return Err(PlaylistError::TooFar),
            Readiness::Wait => {}
        }
        let longest = Duration::from_secs(self.playlist.target_seconds.into());
        let longest = longest.saturating_mul(Self::PATIENCE_TARGETS);
        let waited = tokio::time::timeout(longest, self.wait(request)).await;
        waited.unwrap_or(Err(PlaylistError::TimedOut(longest)))
    }

    async fn wait(mut self, request: &ReloadRequest) -> Result<Self, PlaylistError> {
        for _ in 0..Playlists::TRIES {
            let is_ready = |playlist: &Option<Arc<Playlist>>| {
                let ready =
                    |playlist: &Arc<Playlist>| readiness(request, playlist) == Readiness::Ready;
                playlist.as_ref().is_some_and(ready)
            };
            let mut ready = self.entry.ready.clone();
            let found = ready.wait_for(is_ready).await.ok().and_then(|found| found.clone());
            if let Some(playlist) = found {
                self.playlist = playlist;
                return Ok(self);
            }
            self = self.again().await?;
        }
        Err(PlaylistError::Overloaded)
    }

    /// Asks for it again when its keeper has ended: the stream was undone, or the list had to make room.
    async fn again(&self) -> Result<Self, PlaylistError> {
        let Key { stream, quality, chain_only } = &self.key;
        self.lists.get(stream, *quality, *chain_only).await
    }

    /// The stream.
    pub(crate) fn stream(&self) -> &StreamId {
        &self.key.stream
    }

    /// The quality of this list.
    pub(crate) fn quality(&self) -> Quality {
        self.key.quality
    }

    /// Segments from a number on, as they are listed now.
    pub(crate) fn segments(&self, from: usize, limit: usize) -> Vec<Segment> {
        let view = lock(&self.entry.view);
        let listed = view.timeline.listed().get(from..).unwrap_or_default();
        listed.iter().take(limit).map(|listed| listed.segment).collect()
    }

    /// The chains that attest each of these segments, and their pushes.
    pub(crate) fn attested(&self, from: usize, limit: usize) -> Vec<Vec<(Network, Seq)>> {
        let view = lock(&self.entry.view);
        let until = from.saturating_add(limit).min(view.timeline.listed().len());
        let attested = |place| {
            view.timeline.attested(place).map(|(network, seq)| (network.clone(), seq)).collect()
        };
        (from..until).map(attested).collect()
    }

    /// The initialisation sections of segments from a number on.
    pub(crate) fn sections(&self, from: usize, limit: usize) -> Vec<Option<ContentId>> {
        let view = lock(&self.entry.view);
        view.timeline.sections().since(from).take(limit).map(Option::<&_>::copied).collect()
    }

    /// The stream's names: the one that was asked for, and those on other networks.
    pub(crate) fn names(&self) -> Vec<StreamId> {
        let view = lock(&self.entry.view);
        let own = [self.key.stream.clone()].into_iter();
        own.chain(view.twins().cloned()).collect()
    }

    /// The renditions that the stream has besides the source, smallest first.
    pub(crate) fn renditions(&self) -> Vec<Quality> {
        let has = lock(&self.entry.view).renditions();
        Quality::TRANSCODED.into_iter().filter(|quality| has.contains(quality)).collect()
    }

    /// The stream's state and what the list adds up to.
    pub(crate) fn facts(&self) -> Facts {
        let view = lock(&self.entry.view);
        let listed = view.timeline.listed();
        Facts {
            info: view.stream.info().clone(),
            segments: listed.len(),
            chunks: view.stream.pushes().filter(|(_, pushed)| pushed.len.is_none()).count(),
            length: listed.iter().map(|listed| listed.segment.duration.as_duration()).sum(),
        }
    }

    /// What becomes of the list after what it is here.
    pub(crate) fn changes(self) -> Changes {
        Changes(self)
    }

    /// What the list lacks, and why.
    pub fn health(&self) -> Health {
        let Key { stream, quality, .. } = &self.key;
        lock(&self.entry.view).health(stream.clone(), *quality, &self.lists.0.resolver)
    }
}

/// What becomes of a list. Who follows it waits for it: it is one of the last to make room.
#[derive(Debug)]
pub(crate) struct Changes(Watched);

impl Changes {
    /// The wait before a list that had to make room is asked for again, so that too many that are followed do not push each
    /// other out without end.
    const PAUSE: Duration = Duration::from_secs(1);

    /// The list after its next change, of its parts alone not; `None` when the stream is gone, or there are too many lists.
    pub(crate) async fn next(&mut self) -> Option<Arc<Playlist>> {
        let Self(watched) = self;
        loop {
            let last = Arc::clone(&watched.playlist);
            let is_new =
                |now: &Arc<Playlist>| !Arc::ptr_eq(now, &last) && !now.differs_in_parts_only(&last);
            let mut ready = watched.entry.ready.clone();
            let found = ready.wait_for(|now| now.as_ref().is_some_and(is_new)).await;
            if let Some(playlist) = found.ok().and_then(|found| found.clone()) {
                watched.playlist = playlist;
                return Some(Arc::clone(&watched.playlist));
            }
            tokio::time::sleep(Self::PAUSE).await;
            *watched = watched.again().await.ok()?;
            // What it has become meanwhile.
            if is_new(&watched.playlist) && *watched.playlist != *last {
                return Some(Arc::clone(&watched.playlist));
            }
        }
    }
}

/// What a stream adds up to.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) info: StreamInfo,
    pub(crate) segments: usize,
    /// Pushes that are chunks.
    pub(crate) chunks: usize,
    pub(crate) length: Duration,
}

fn readiness(request: &ReloadRequest, playlist: &Playlist) -> Readiness {
    request.readiness(playlist.end, playlist.ended)
}
