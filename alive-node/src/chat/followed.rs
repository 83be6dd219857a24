//! One chat that visitors look at: [`Followed`], [`Visit`].

use std::{
    convert::Infallible,
    num::NonZeroU32,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alive_chat::{
    Account, ChatSession, Joined, RoomConfig, Rule, SessionBackends, SessionConfig, SessionEvent,
    SessionUpdate, StreamChat, system_clock,
};
use alive_core::LiveKey;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;

use super::{board::Board, config::ChatConfig, counts::ChatCounts};

/// Frames that a visitor gets, without end.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send>>;

/// Messages that are held for each that is shown: hidden ones may be shown again.
const HELD: usize = 4;
/// Frames that a slow visitor may lag behind: five seconds of a chat of 50 messages a second. Who lags more comes again.
const LAG: usize = 256;
/// How often something is sent when nothing happens, so that nothing between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes again.
const RETRY: &str = "retry: 2000\n\n";
/// How often in the idle time it is looked whether it is over.
const LOOKS: u32 = 4;
/// What readers take of one account: a message a second, after a burst of five. Source: `spec/alivedb.md`, section 8.3.
const ACCOUNT_BURST: NonZeroU32 = NonZeroU32::new(5).unwrap();

/// A chat that is followed for visitors.
#[derive(Debug)]
pub(crate) struct Followed {
    key: LiveKey,
    session: ChatSession,
    seen: Mutex<Seen>,
    accounts: DefaultKeyedRateLimiter<Account>,
    visits: Mutex<Visits>,
    idle: Duration,
    counts: ChatCounts,
    cancel: CancellationToken,
}

/// The board, and who hears of its changes. Both change together, so that nobody misses one.
#[derive(Debug)]
struct Seen {
    board: Board,
    /// None when the chat has ended.
    told: Option<broadcast::Sender<Bytes>>,
}

#[derive(Debug)]
struct Visits {
    count: usize,
    last: Instant,
}

impl Followed {
    pub(super) fn start(
        chat: StreamChat,
        key: LiveKey,
        backends: &SessionBackends,
        config: &ChatConfig,
        counts: ChatCounts,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        let limits = SessionConfig::default();
        let room: RoomConfig = limits.room.clone().history(config.shown.saturating_mul(HELD));
        let session = ChatSession::start(chat, key.clone(), backends.clone(), limits.room(room));
        let (told, _) = broadcast::channel(LAG);
        Arc::new(Self {
            key,
            session,
            seen: Mutex::new(Seen { board: Board::new(config.shown), told: Some(told) }),
            accounts: RateLimiter::keyed(
                Quota::per_second(NonZeroU32::MIN).allow_burst(ACCOUNT_BURST),
            ),
            visits: Mutex::new(Visits { count: 0, last: Instant::now() }),
            idle: config.idle,
            counts,
            cancel,
        })
    }

    /// Keeps the board as the chat is, until the chat ends or `leave` says that it is given up.
    pub(super) async fn run(self: Arc<Self>, leave: impl Fn() -> bool) {
        let mut looks = interval((self.idle / LOOKS).max(Duration::from_millis(1)));
        let Ok(mut events) = self.begin().await else { return };
        loop {
            let update = tokio::select! {
                () = self.cancel.cancelled() => break,
                _ = looks.tick() => {
                    if leave() {
                        break;
                    }
                    self.accounts.retain_recent();
                    continue;
                }
                update = events.next() => update,
            };
            match update {
                Some(SessionUpdate::Event(event)) => self.handle(&event).await,
                Some(_) => match self.begin().await {
                    Ok(anew) => events = anew,
                    Err(_) => break,
                },
                None => break,
            }
        }
        // Who listens comes again, and finds the chat that is followed then.
        self.see().told = None;
        self.session.stop().await;
    }

    async fn begin(&self) -> Result<alive_chat::SessionEvents, alive_chat::SessionError> {
        let Joined { messages, events, is_caught_up, .. } = self.session.join().await?;
        let slow = self.session.rules().await?.slow_mode();
        let mut seen = self.see();
        seen.board.begin(messages.iter().map(Deref::deref), is_caught_up);
        // It is in the frame that follows.
        let _told = seen.board.set_slow(slow);
        let whole = seen.board.whole(system_clock());
        seen.tell(Some(whole));
        Ok(events)
    }

    async fn handle(&self, event: &SessionEvent) {
        {
            let mut seen = self.see();
            let frame = seen.board.handle_event(event);
            seen.tell(frame);
        }
        let is_about_pauses = |rule: &Rule| matches!(rule, Rule::SlowMode | Rule::Moderator(_));
        if let SessionEvent::Ruled(entry) = event
            && is_about_pauses(&entry.rule)
            && let Ok(rules) = self.session.rules().await
        {
            let mut seen = self.see();
            let frame = seen.board.set_slow(rules.slow_mode());
            seen.tell(frame);
        }
    }

    /// Whether the rules of the chat are read from the space of this key.
    pub(super) fn is_of(&self, key: &LiveKey) -> bool {
        &self.key == key
    }

    /// Since when nobody looks at it, if nobody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let visits = self.visits();
        (visits.count == 0).then_some(visits.last)
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.cancel.cancel();
    }

    pub(super) fn session(&self) -> &ChatSession {
        &self.session
    }

    pub(super) fn accounts(&self) -> &DefaultKeyedRateLimiter<Account> {
        &self.accounts
    }

    /// Looks at the board for a moment.
    pub(super) fn on_board<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&self.see().board)
    }

    /// Tells all who listen.
    #[cfg(test)]
    pub(super) fn tell(&self, frame: Bytes) {
        self.see().tell(Some(frame));
    }

    fn see(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn visits(&self) -> MutexGuard<'_, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn tell(&self, frame: Option<Bytes>) {
        // Nobody may be listening.
        let _listeners = self.told.as_ref().zip(frame).map(|(told, frame)| told.send(frame));
    }
}

/// Somebody looks at a chat; it is followed while this lives.
#[derive(Debug)]
pub(crate) struct Visit(Arc<Followed>);

impl Visit {
    /// Counts a visit. The caller holds the lock of all rooms.
    pub(super) fn begin(followed: &Arc<Followed>) -> Self {
        followed.visits().count += 1;
        Self(Arc::clone(followed))
    }

    /// All that is seen now, as JSON.
    pub(crate) fn text(&self) -> String {
        self.on_board(|board| board.text(system_clock()))
    }

    /// All that is seen now, and then what changes, until the chat is given up or the reader is too slow: then he comes
    /// again and begins anew.
    pub(crate) fn frames(self) -> Frames {
        let (first, told) = {
            let seen = self.see();
            (seen.board.whole(system_clock()), seen.told.as_ref().map(broadcast::Sender::subscribe))
        };
        let first = [Bytes::from_static(RETRY.as_bytes()), first];
        let mut alive = interval(KEEP_ALIVE);
        alive.reset();
        let listener = (self.counts.listener(), self);
        let later = stream::unfold((listener, told, alive), async |(listener, told, mut alive)| {
            let mut told = told?;
            let frame = tokio::select! {
                frame = told.recv() => match frame {
                    Ok(frame) => frame,
                    Err(RecvError::Lagged(_)) => {
                        listener.1.counts.dropped();
                        return None;
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = alive.tick() => Bytes::from_static(b":\n\n"),
            };
            Some((frame, (listener, Some(told), alive)))
        });
        Box::pin(stream::iter(first).chain(later).map(Ok))
    }
}

impl Deref for Visit {
    type Target = Followed;

    fn deref(&self) -> &Followed {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut visits = self.0.visits();
        visits.count -= 1;
        visits.last = Instant::now();
    }
}
