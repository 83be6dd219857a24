//! What a subscriber of a cache in memory has not read yet: [`Queue`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use super::lock;

/// A queue of one subscriber: who writes never waits, who reads too slowly loses the oldest.
///
/// A clone is the same queue.
pub(super) struct Queue<T>(Arc<Mutex<Unread<T>>>);

struct Unread<T> {
    items: VecDeque<T>,
    limit: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl<T> Queue<T> {
    /// One that begins with these, whatever its limit.
    pub(super) fn new(items: impl IntoIterator<Item = T>, limit: usize) -> Self {
        let items = items.into_iter().collect();
        Self(Arc::new(Mutex::new(Unread { items, limit, closed: false, waker: None })))
    }

    /// Adds an item and tells whom to wake.
    pub(super) fn push(&self, item: T) -> Option<Waker> {
        let mut unread = lock(&self.0);
        if unread.items.len() >= unread.limit {
            unread.items.pop_front();
        }
        unread.items.push_back(item);
        unread.waker.take()
    }

    /// Nothing will be added; tells whom to wake.
    pub(super) fn close(&self) -> Option<Waker> {
        let mut unread = lock(&self.0);
        unread.closed = true;
        unread.waker.take()
    }

    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut unread = lock(&self.0);
        match unread.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if unread.closed => Poll::Ready(None),
            None => {
                unread.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
