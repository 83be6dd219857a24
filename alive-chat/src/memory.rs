//! A chat within one process: [`MemoryChat`].

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use alive_core::{LiveKey, StreamId, backend::BackendError};
use futures_util::Stream;

use crate::{
    intake::Peer,
    moment::Moment,
    transport::{ChatEvent, ChatEvents, ChatTransport, Delivery, HistoryPage, Item},
};

/// Carries chats within one process, bounded in streams, in history and in what a subscriber may lag behind. For tests,
/// demos and DApps of one process.
///
/// A clone is a handle to the same chats; [`as_user`](Self::as_user) gives one that may write entries.
#[derive(Clone)]
pub struct MemoryChat {
    shared: Arc<Shared>,
    user: Option<LiveKey>,
    peer: Peer,
}

struct Shared {
    limits: Limits,
    clock: Box<dyn Fn() -> Moment + Send + Sync>,
    chats: Mutex<HashMap<StreamId, Chat>>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    streams: usize,
    history: usize,
    lag: usize,
}

#[derive(Default)]
struct Chat {
    /// The number of the first item that is held.
    first: u64,
    items: VecDeque<Delivery>,
    subscribers: Vec<Weak<Mutex<Queue>>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Delivery>,
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl MemoryChat {
    /// Streams that chats are held of by default.
    pub const DEFAULT_STREAMS: usize = 1024;
    /// Items of a chat that are held by default.
    pub const DEFAULT_HISTORY: usize = 10_000;
    /// How many items a subscriber may lag behind by default: 20 seconds of a chat of 50 messages a second.
    pub const DEFAULT_LAG: usize = 1000;

    /// Carries chats; the clock gives each item its state.
    pub fn new(clock: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self::with_limits(Self::DEFAULT_STREAMS, Self::DEFAULT_HISTORY, Self::DEFAULT_LAG, clock)
    }

    /// The same with other limits, each at least one.
    pub fn with_limits(
        streams: usize,
        history: usize,
        lag: usize,
        clock: impl Fn() -> Moment + Send + Sync + 'static,
    ) -> Self {
        let limits = Limits { streams: streams.max(1), history: history.max(1), lag: lag.max(1) };
        let shared = Shared { limits, clock: Box::new(clock), chats: Mutex::default() };
        Self { shared: Arc::new(shared), user: None, peer: Peer(0) }
    }

    /// A handle that publishes as this peer, and may write entries into the space of this user.
    #[must_use]
    pub fn as_user(&self, peer: Peer, user: Option<LiveKey>) -> Self {
        Self { shared: Arc::clone(&self.shared), user, peer }
    }

    fn refused(why: &'static str) -> BackendError {
        BackendError::Refused { backend: BACKEND, source: why.into() }
    }
}

const BACKEND: &str = "the chat in memory";

impl fmt::Debug for MemoryChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChat")
            .field("limits", &self.shared.limits)
            .field("user", &self.user)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Locks for a moment, never across an await. A panic elsewhere leaves whole values behind, so it is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ChatTransport for MemoryChat {
    async fn publish(&self, stream: &StreamId, item: Item) -> Result<(), BackendError> {
        let state = match &item {
            Item::Entry(entry) if self.user.as_ref() != Some(&entry.author) => {
                return Err(Self::refused("the entry is by another user"));
            }
            Item::Entry(entry) => entry.state,
            Item::Message(_) | Item::Request(_) => (self.shared.clock)(),
        };
        let delivery = Delivery::new(self.peer, item, state);
        let wakers = {
            let mut chats = lock(&self.shared.chats);
            if !chats.contains_key(stream) && chats.len() >= self.shared.limits.streams {
                return Err(Self::refused("too many streams"));
            }
            chats.entry(stream.clone()).or_default().add(&delivery, self.shared.limits)
        };
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    async fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, BackendError> {
        let chats = lock(&self.shared.chats);
        let Some(chat) = chats.get(stream) else {
            return Ok(HistoryPage { items: Vec::new(), next: None });
        };
        let skip = from.unwrap_or(0).saturating_sub(chat.first);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let items: Vec<_> = chat.items.iter().skip(skip).take(limit.max(1)).cloned().collect();
        let end = skip.saturating_add(items.len());
        let next = (end < chat.items.len())
            .then(|| chat.first.saturating_add(u64::try_from(end).unwrap_or(u64::MAX)));
        Ok(HistoryPage { items, next })
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<ChatEvents, BackendError> {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let mut chats = lock(&self.shared.chats);
        if !chats.contains_key(stream) && chats.len() >= self.shared.limits.streams {
            return Err(Self::refused("too many streams"));
        }
        let chat = chats.entry(stream.clone()).or_default();
        chat.subscribers.retain(|queue| queue.strong_count() > 0);
        chat.subscribers.push(Arc::downgrade(&queue));
        Ok(Box::pin(Subscription(queue)))
    }
}

impl Chat {
    /// Takes an item and tells whom to wake once the lock is free.
    fn add(&mut self, delivery: &Delivery, limits: Limits) -> Vec<Waker> {
        self.items.push_back(delivery.clone());
        if self.items.len() > limits.history {
            self.items.pop_front();
            self.first += 1;
        }
        let queues = self.subscribers.iter().filter_map(Weak::upgrade);
        queues.filter_map(|queue| lock(&queue).add(delivery.clone(), limits.lag)).collect()
    }
}

impl Queue {
    fn add(&mut self, delivery: Delivery, lag: usize) -> Option<Waker> {
        self.waiting.push_back(delivery);
        if self.waiting.len() > lag {
            self.waiting.pop_front();
            self.missed += 1;
        }
        self.waker.take()
    }
}

impl Drop for Shared {
    /// The chats go away: subscriptions end after what they hold.
    fn drop(&mut self) {
        let chats = std::mem::take(&mut *lock(&self.chats));
        for queue in chats.values().flat_map(|chat| &chat.subscribers).filter_map(Weak::upgrade) {
            let waker = {
                let mut queue = lock(&queue);
                queue.closed = true;
                queue.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

struct Subscription(Arc<Mutex<Queue>>);

impl Stream for Subscription {
    type Item = ChatEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ChatEvent>> {
        let mut queue = lock(&self.0);
        if queue.missed > 0 {
            return Poll::Ready(Some(ChatEvent::Missed(std::mem::take(&mut queue.missed))));
        }
        match queue.waiting.pop_front() {
            Some(delivery) => Poll::Ready(Some(ChatEvent::Came(delivery))),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
