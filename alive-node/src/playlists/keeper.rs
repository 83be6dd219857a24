//! The task that keeps one list ready: [`Keeper`].

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use alive_core::{
    ChunkContent, ContentId, Network, Quality, Segment, Timestamp, backend::LiveSegment,
};
use futures_util::future::select_all;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Key, Playlist, Shared, Signals, View, checker::Checker, lock, view::LiveSource};
use crate::{
    explain::Explained,
    live::{FromLive, LiveFeed},
    resolver::{ChunkState, Urgency},
};

/// The wait before a store that failed is asked again.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Renews one list.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    key: Key,
    view: Arc<Mutex<View>>,
    signals: Arc<Signals>,
    publish: watch::Sender<Option<Arc<Playlist>>>,
    /// The live cache under each of the stream's names.
    live: Vec<Feed>,
    /// What is known of the chunks that the next update needs, while some are lacking. The resolver may forget them.
    held: HashMap<ContentId, ChunkContent>,
    /// Its place among the lists that are being made.
    making: Option<OwnedSemaphorePermit>,
}

/// The live cache's segments under one name.
struct Feed {
    source: LiveSource,
    segments: LiveFeed,
    /// Whether all that it held at first has come.
    caught_up: bool,
}

/// What woke a keeper.
enum Woken {
    Chunk,
    Live(usize, Box<FromLive>),
    Segments,
    Stream,
    Timeout,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        key: Key,
        view: Arc<Mutex<View>>,
        signals: Arc<Signals>,
        publish: watch::Sender<Option<Arc<Playlist>>>,
        making: OwnedSemaphorePermit,
    ) -> Self {
        // The stream may have changed since it was read, before anybody knew of this list.
        signals.stream.notify_one();
        let held = HashMap::new();
        let making = Some(making);
        Self { shared, key, view, signals, publish, live: Vec::new(), held, making }
    }

    /// Keeps the list ready until the stream is gone.
    pub(super) async fn run(mut self) {
        let deadline = Instant::now() + self.shared.config.first_wait;
        self.follow_live();
        self.prepare(deadline).await;
        self.arrange().await;
        let _checker = self.start_checker();
        self.first_look(deadline).await;
        loop {
            self.publish();
            self.making = None;
            match self.woken().await {
                Woken::Stream => {
                    if !self.reload().await {
                        self.shared.forget(&self.key);
                        return;
                    }
                }
                // Parts change nothing but the end of the list.
                Woken::Live(at, arrived) => {
                    if !self.take_live(at, *arrived) {
                        continue;
                    }
                }
                // The list itself stays as it is.
                Woken::Segments => continue,
                Woken::Chunk | Woken::Timeout => {}
            }
            self.arrange().await;
        }
    }

    /// Waits, for a limited time, until every chunk was tried once and the live cache has told what it holds: so that the
    /// first answer is a good one.
    async fn prepare(&mut self, deadline: Instant) {
        while self.look().await || self.live.iter().any(|feed| !feed.caught_up) {
            tokio::select! {
                () = self.signals.chunk.notified() => {}
                (at, arrived) = next_live(&mut self.live) => {
                    self.take_live(at, arrived);
                }
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    /// Starts to look for the list's segments, if this node is where players fetch them.
    fn start_checker(&self) -> Option<AbortOnDropHandle<()>> {
        let presence = self.shared.presence.clone().filter(|_| lock(&self.view).looks())?;
        let checker = Checker::new(presence, Arc::clone(&self.view), Arc::clone(&self.signals));
        Some(AbortOnDropHandle::new(tokio::spawn(checker.run())))
    }

    /// Waits, for a limited time, until every segment of an archive was looked for: players ask for its list only once.
    async fn first_look(&self, deadline: Instant) {
        while lock(&self.view).may_have_gaps() {
            tokio::select! {
                () = self.signals.segments.notified() => {}
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let (timeout, now) = (lock(&self.view).poll_timeout(), self.shared.clock.now());
        tokio::select! {
            () = self.signals.stream.notified() => Woken::Stream,
            () = self.signals.chunk.notified() => Woken::Chunk,
            () = self.signals.segments.notified() => Woken::Segments,
            (at, arrived) = next_live(&mut self.live) => Woken::Live(at, Box::new(arrived)),
            () = sleep_until(timeout, now) => Woken::Timeout,
        }
    }

    /// Brings the list up to date.
    async fn arrange(&mut self) {
        self.look().await;
        {
            let mut view = lock(&self.view);
            view.arrange(&self.held, self.shared.clock.now());
            self.signals.bytes.store(view.bytes(), Ordering::Relaxed);
        }
        self.signals.look.notify_one();
        if lock(&self.signals.missing).is_empty() {
            self.held = HashMap::new();
        }
    }

    /// Publishes the list if it changed.
    fn publish(&self) {
        let changed = lock(&self.view).publish();
        if let Some(playlist) = changed {
            self.publish.send_replace(Some(playlist));
            self.shared.make_room(&self.key);
        }
    }

    /// Looks up the chunks that the next update needs and asks for those that are lacking; whether some of them were
    /// never tried.
    async fn look(&mut self) -> bool {
        let needed: HashSet<ContentId> =
            lock(&self.view).needed().map(|(_, id)| id.canonical()).collect();
        self.held.retain(|id, _| needed.contains(id));
        let ask: Vec<_> = needed.into_iter().filter(|id| !self.held.contains_key(id)).collect();
        // From here on news of them wake this keeper; only then they are looked up.
        *lock(&self.signals.missing) = ask.iter().copied().collect();
        let resolver = &self.shared.resolver;
        self.held.extend(resolver.known(&ask).await);
        let lacking = || ask.iter().filter(|id| !self.held.contains_key(id)).copied();
        *lock(&self.signals.missing) = lacking().collect();
        resolver.want(lacking(), Urgency::Viewer);
        let untried = |id| matches!(resolver.state(&id), ChunkState::Missing { attempts: 0, .. });
        lacking().any(untried)
    }

    /// Reads the stream again; whether it is still there.
    async fn reload(&mut self) -> bool {
        match self.shared.read(&self.key.stream, &self.signals).await {
            Ok(Some(told)) => {
                {
                    let mut view = lock(&self.view);
                    view.set_twins(told.twins);
                    view.set_stream(told.stream);
                }
                self.follow_live();
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(
                    stream = %self.key.stream, error = %Explained(&error), "stream cannot be read again"
                );
                tokio::time::sleep(STORE_WAIT).await;
                self.signals.stream.notify_one();
                true
            }
        }
    }

    /// Follows the live cache under each of the stream's names while the stream lives.
    fn follow_live(&mut self) {
        let Some(cache) = self.shared.live.as_ref().filter(|_| !self.key.chain_only) else {
            return;
        };
        let sources = {
            let view = lock(&self.view);
            if view.ended() { Vec::new() } else { view.live_sources(&self.key.stream) }
        };
        // What is written at a key of before is somebody else's from now on.
        self.live.retain(|feed| sources.contains(&feed.source));
        for source in sources {
            if self.live.iter().all(|feed| feed.source != source) {
                let segments = LiveFeed::follow(cache.clone(), source.stream.clone());
                self.live.push(Feed { source, segments, caught_up: false });
            }
        }
    }

    /// Takes what has come from the live cache, all of it that is there; whether anything but parts has.
    fn take_live(&mut self, at: usize, first: FromLive) -> bool {
        let Some(Feed { source, segments, caught_up }) = self.live.get_mut(at) else {
            return false;
        };
        let mut more = false;
        let network: &Network = &source.stream.network;
        let mut next = Some(first);
        let mut view = lock(&self.view);
        while let Some(arrived) = next {
            match arrived {
                FromLive::CaughtUp => {
                    *caught_up = true;
                    more = true;
                }
                FromLive::Part(part) => view.offer_part(&part),
                FromLive::Segment(live) => {
                    more = true;
                    if let Some(segment) = in_quality(&live, self.key.quality) {
                        let section = live.renditions.section(self.key.quality).copied();
                        view.announced(&live.segment.content, &segment.content);
                        view.offer_live_of(network, segment, section);
                    }
                }
            }
            next = segments.try_next();
        }
        more
    }
}

/// The segment of one quality; `None` when it was not transcoded to it.
fn in_quality(live: &LiveSegment, quality: Quality) -> Option<Segment> {
    match quality {
        Quality::Src => Some(live.segment),
        transcoded => {
            let content = *live.renditions.get(transcoded)?;
            Some(Segment { content, ..live.segment })
        }
    }
}

/// The next one of any feed, and which; waits for ever without a feed. Nothing is lost if the future is dropped.
async fn next_live(feeds: &mut [Feed]) -> (usize, FromLive) {
    if feeds.is_empty() {
        return std::future::pending().await;
    }
    let next = feeds.iter_mut().map(|feed| Box::pin(feed.segments.next()));
    let (arrived, at, _) = select_all(next).await;
    (at, arrived)
}

/// Sleeps for ever without a time.
async fn sleep_until(at: Option<Timestamp>, now: Timestamp) {
    match at {
        // The clock counts milliseconds: one more, so that the time has come then.
        Some(at) => tokio::time::sleep(at.since(now) + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}
