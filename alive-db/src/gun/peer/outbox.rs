//! What waits to be sent to one peer: [`Outbox`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::gun::DropReason;

/// A batch of messages is cut before it has more characters. Source: `spec/alivedb.md`, "Frames".
const BATCH: usize = 9_000;

/// Messages on their way to one peer: the engine puts them in, the connection takes them out.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    overflow: Notify,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Arc<str>>,
    bytes: usize,
    closed: Option<DropReason>,
}

impl Outbox {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            overflow: Notify::new(),
            limit_bytes,
        }
    }

    /// Adds a message. If too much waits, the peer is too slow and gets nothing more.
    pub(super) fn push(&self, text: &Arc<str>) {
        let mut queue = self.lock();
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
        let is_waiting = queue.messages.len() <= 1;
        drop(queue);
        if is_waiting {
            self.filled.notify_one();
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
        let first = queue.messages.pop_front()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_out_in_order_in_frames_of_bounded_length() {
        let outbox = Outbox::new(1 << 20);
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
        let outbox = Outbox::new(10);
        outbox.push(&"12345".into());
        outbox.push(&"12345".into());
        assert_eq!(outbox.closed(), None);
        outbox.push(&"1".into());
        assert_eq!(outbox.closed(), Some(DropReason::Slow));
        assert_eq!(outbox.next_frame(), None, "what waited is given up");
    }
}
