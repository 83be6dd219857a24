//! What waits to be sent to one peer: [`Outbox`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::gun::DropReason;

/// Frames of news that a peer may get at once before one has to wait for more news.
const AT_ONCE: u32 = 10;

/// A batch of messages is cut before it has more characters. Source: `spec/alivedb.md`, "Frames".
const BATCH: usize = 9_000;

/// Messages on their way to one peer: the engine puts them in, the connection takes them out.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    overflow: Notify,
    limit_bytes: usize,
    /// How long news may wait for more; zero is not at all.
    gather: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Arc<str>>,
    bytes: usize,
    closed: Option<DropReason>,
    /// The connection was told that there is something, and has not yet seen the end of it.
    is_told: bool,
    /// Somebody will call [`Outbox::tell`] in time.
    is_awaited: bool,
    /// Each frame of news counts as one [`Outbox::gather`]: until when they would last.
    paid_until: Option<Instant>,
}

impl Queue {
    /// Whether the connection has to be told.
    fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }
}

impl Outbox {
    pub(super) fn new(limit_bytes: usize, gather: Duration) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            overflow: Notify::new(),
            limit_bytes,
            gather,
        }
    }

    /// Adds a message that goes out at once. If too much waits, the peer is too slow and gets nothing more.
    pub(super) fn push(&self, text: &Arc<str>) {
        let mut queue = self.lock();
        self.add(&mut queue, text);
        let is_new = queue.tell();
        drop(queue);
        if is_new {
            self.filled.notify_one();
        }
    }

    /// Adds news. Whether they wait for more and [`tell`](Self::tell) has to be called after `gather`.
    pub(super) fn push_news(&self, text: &Arc<str>, now: Instant) -> bool {
        let mut queue = self.lock();
        self.add(&mut queue, text);
        if queue.is_told || queue.is_awaited {
            return false;
        }
        let paid_until = queue.paid_until.filter(|until| *until > now).unwrap_or(now);
        if paid_until + self.gather > now + self.gather * AT_ONCE {
            queue.is_awaited = true;
            return true;
        }
        queue.paid_until = Some(paid_until + self.gather);
        queue.tell();
        drop(queue);
        self.filled.notify_one();
        false
    }

    /// Sends the news that have waited.
    pub(super) fn tell(&self, now: Instant) {
        let mut queue = self.lock();
        queue.is_awaited = false;
        if queue.messages.is_empty() || !queue.tell() {
            return;
        }
        queue.paid_until = Some(queue.paid_until.map_or(now, |until| until.max(now)) + self.gather);
        drop(queue);
        self.filled.notify_one();
    }

    fn add(&self, queue: &mut Queue, text: &Arc<str>) {
        if queue.closed.is_some() {
            return;
        }
        if queue.bytes + text.len() > self.limit_bytes {
            queue.closed = Some(DropReason::Slow);
            queue.messages = VecDeque::new();
            self.overflow.notify_one();
        } else {
            queue.bytes += text.len();
            queue.messages.push_back(Arc::clone(text));
        }
    }

    /// Ends the connection.
    pub(super) fn close(&self, reason: DropReason) {
        self.lock().closed.get_or_insert(reason);
        self.filled.notify_one();
    }

    /// Waits until too much waits, which is told even while a peer that reads nothing keeps the connection from writing.
    pub(super) async fn overflowed(&self) {
        while self.closed() != Some(DropReason::Slow) {
            self.overflow.notified().await;
        }
    }

    /// Waits until there is something new.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    pub(super) fn closed(&self) -> Option<DropReason> {
        self.lock().closed
    }

    /// Takes the next frame: one message alone, or several as an array.
    pub(super) fn next_frame(&self) -> Option<String> {
        let mut queue = self.lock();
        let Some(first) = queue.messages.pop_front() else {
            queue.is_told = false;
            return None;
        };
        let mut len = first.len() + 2;
        let mut batch = vec![first];
        while let Some(next) = queue.messages.front()
            && len + next.len() < BATCH
            && let Some(next) = queue.messages.pop_front()
        {
            len += next.len() + 1;
            batch.push(next);
        }
        queue.bytes -= batch.iter().map(|message| message.len()).sum::<usize>();
        if queue.messages.is_empty() && queue.messages.capacity() > 64 {
            // Thousands of idle peers keep no room for what one burst took.
            queue.messages = VecDeque::new();
        }
        drop(queue);
        Some(match &*batch {
            [only] => only.as_ref().into(),
            batch => {
                let mut frame = String::with_capacity(len);
                for (n, message) in batch.iter().enumerate() {
                    frame.push(if n == 0 { '[' } else { ',' });
                    frame.push_str(message);
                }
                frame.push(']');
                frame
            }
        })
    }

    // Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Peers whose news wait for more, all until the same moment: one timer wakes them all.
#[derive(Debug)]
pub(super) struct Late {
    gather: Duration,
    outboxes: Vec<Arc<Outbox>>,
    due: Option<Instant>,
}

impl Late {
    pub(super) fn new(gather: Duration) -> Self {
        Self { gather, outboxes: Vec::new(), due: None }
    }

    /// Sends news to peers, or lets them wait.
    pub(super) fn tell<'a>(
        &mut self,
        to: impl Iterator<Item = &'a Arc<Outbox>>,
        text: &Arc<str>,
        now: Instant,
    ) {
        self.outboxes.extend(to.filter(|outbox| outbox.push_news(text, now)).map(Arc::clone));
        if !self.outboxes.is_empty() {
            self.due.get_or_insert(now + self.gather);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what has waited long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            for outbox in self.outboxes.drain(..) {
                outbox.tell(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const GATHER: Duration = Duration::from_millis(20);

    /// Whether the connection is told.
    fn is_told(outbox: &Outbox) -> bool {
        outbox.filled().now_or_never().is_some()
    }

    fn frames(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_frame()).collect()
    }

    #[test]
    fn news_wait_for_more_only_once_there_was_much_and_answers_never() {
        let outbox = Outbox::new(1 << 20, GATHER);
        let mut now = Instant::now();
        let news = Arc::from("{1}");
        for n in 0..AT_ONCE {
            assert!(!outbox.push_news(&news, now), "{n} goes at once");
            assert!(is_told(&outbox));
            assert_eq!(frames(&outbox), ["{1}"]);
        }
        assert!(outbox.push_news(&news, now), "the first one that waits");
        assert!(!outbox.push_news(&"{2}".into(), now), "it needs no second call");
        assert!(!is_told(&outbox));
        now += GATHER;
        outbox.tell(now);
        assert!(is_told(&outbox));
        assert_eq!(frames(&outbox), ["[{1},{2}]"]);
        // What somebody waits for takes along the news before it.
        assert!(outbox.push_news(&news, now));
        outbox.push(&"{3}".into());
        assert!(is_told(&outbox));
        assert_eq!(frames(&outbox), ["[{1},{3}]"]);
        outbox.tell(now + GATHER);
        assert!(!is_told(&outbox), "nothing is left");
        // A frame in every such time goes without waiting.
        now += GATHER * 2;
        for _ in 0..100 {
            assert!(!outbox.push_news(&news, now));
            assert_eq!(frames(&outbox).len(), 1);
            now += GATHER;
        }
        let never = Outbox::new(1 << 20, Duration::ZERO);
        assert!((0..100).all(|_| !never.push_news(&news, now) && frames(&never).len() == 1));
    }

    #[test]
    fn whoever_is_told_while_a_frame_goes_out_takes_what_comes_meanwhile() {
        let outbox = Outbox::new(1 << 20, GATHER);
        outbox.push(&"{1}".into());
        assert!(is_told(&outbox));
        assert_eq!(outbox.next_frame().as_deref(), Some("{1}"));
        outbox.push(&"{2}".into());
        assert!(!outbox.push_news(&"{3}".into(), Instant::now()));
        assert!(!is_told(&outbox), "it looks again anyway");
        assert_eq!(outbox.next_frame().as_deref(), Some("[{2},{3}]"));
        assert_eq!(outbox.next_frame(), None);
        outbox.push(&"{4}".into());
        assert!(is_told(&outbox));
    }

    #[test]
    fn messages_go_out_in_order_in_frames_of_bounded_length() {
        let outbox = Outbox::new(1 << 20, GATHER);
        assert_eq!(outbox.next_frame(), None);
        outbox.push(&"{1}".into());
        assert_eq!(outbox.next_frame().as_deref(), Some("{1}"));
        let long: Arc<str> = format!("{{{}}}", "x".repeat(4_000)).into();
        for message in [&"{1}".into(), &long, &"{2}".into(), &long, &"{3}".into()] {
            outbox.push(message);
        }
        assert_eq!(outbox.next_frame().unwrap(), format!("[{{1}},{long},{{2}},{long},{{3}}]"));
        for _ in 0..3 {
            outbox.push(&long);
        }
        assert_eq!(outbox.next_frame().unwrap(), format!("[{long},{long}]"));
        assert_eq!(outbox.next_frame().unwrap(), *long);
        let huge: Arc<str> = "y".repeat(20_000).into();
        outbox.push(&huge);
        assert_eq!(outbox.next_frame().unwrap(), *huge, "a long message alone");
        assert_eq!(outbox.lock().bytes, 0);
    }

    #[test]
    fn a_peer_that_lets_too_much_pile_up_is_dropped() {
        let outbox = Outbox::new(10, GATHER);
        outbox.push(&"12345".into());
        outbox.push(&"12345".into());
        assert_eq!(outbox.closed(), None);
        outbox.push(&"1".into());
        assert_eq!(outbox.closed(), Some(DropReason::Slow));
        assert_eq!(outbox.next_frame(), None, "what waited is given up");
    }
}
