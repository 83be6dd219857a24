//! How messages, requests and rules get from one to all: [`ChatTransport`].

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use alive_core::{StreamId, backend::BackendError};
use futures_util::Stream;

use crate::{
    intake::Peer, message::Message, moderation::Entry, moment::Moment, request::AccessRequest,
};

/// What is carried.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// An entry of a user space. The transport has checked that its author signed it.
    Entry(Entry),
    /// A message in its right form; whether it counts is for the reader to find out.
    Message(Message),
    /// A request in its right form.
    Request(AccessRequest),
}

/// Something that came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The connection it came from.
    pub peer: Peer,
    /// What came.
    pub item: Item,
    /// The state that carries it: the clock of its writer.
    pub state: Moment,
}

impl Delivery {
    /// Something that came from this peer with this state.
    pub fn new(peer: Peer, item: Item, state: Moment) -> Self {
        Self { peer, item, state }
    }
}

/// What a subscription tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// Something came.
    Came(Delivery),
    /// The subscriber was too slow and so many deliveries are lost to it: [`history`](ChatTransport::history) has them.
    Missed(u64),
}

/// A subscription: events as they happen, until it is dropped or the transport goes away.
pub type ChatEvents = Pin<Box<dyn Stream<Item = ChatEvent> + Send>>;

/// A part of the history, and where the next part begins.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a page is its items and the way on")]
pub struct HistoryPage {
    /// What was said, in the order in which the transport took it.
    pub items: Vec<Delivery>,
    /// Where to read on, `None` at the end.
    pub next: Option<u64>,
}

/// Carries a chat between all who take part.
///
/// A late joiner subscribes first and reads the history then: what comes twice, a [`Room`](crate::Room) drops. A slow
/// subscriber holds up nobody; it loses what it did not read in time, and is told.
///
/// A transport is done when it passes `alive_chat::testing::chat_transport` (feature `testing`).
pub trait ChatTransport: Debug + Send + Sync {
    /// Gives an item to all; returns once the transport has taken it. Entries are signed by the user space that the
    /// transport writes to.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when trying again may help, [`BackendError::Refused`] when it will not: an entry by
    /// another author than the transport's own user.
    fn publish(
        &self,
        stream: &StreamId,
        item: Item,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// At most `limit` items (at least one) that are still held, from the beginning or from where a page said.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> impl Future<Output = Result<HistoryPage, BackendError>> + Send;

    /// Everything from now on, what this transport publishes included.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    fn subscribe(
        &self,
        stream: &StreamId,
    ) -> impl Future<Output = Result<ChatEvents, BackendError>> + Send;
}

/// Any [`ChatTransport`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedChatTransport(Arc<dyn Erased>);

impl SharedChatTransport {
    /// Wraps a transport chosen at run time.
    pub fn new(transport: impl ChatTransport + 'static) -> Self {
        Self(Arc::new(transport))
    }
}

impl ChatTransport for SharedChatTransport {
    async fn publish(&self, stream: &StreamId, item: Item) -> Result<(), BackendError> {
        self.0.publish_boxed(stream, item).await
    }

    async fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, BackendError> {
        self.0.history_boxed(stream, from, limit).await
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<ChatEvents, BackendError> {
        self.0.subscribe_boxed(stream).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn publish_boxed<'a>(&'a self, stream: &'a StreamId, item: Item) -> Boxed<'a, ()>;
    fn history_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Boxed<'a, HistoryPage>;
    fn subscribe_boxed<'a>(&'a self, stream: &'a StreamId) -> Boxed<'a, ChatEvents>;
}

impl<T: ChatTransport> Erased for T {
    fn publish_boxed<'a>(&'a self, stream: &'a StreamId, item: Item) -> Boxed<'a, ()> {
        Box::pin(self.publish(stream, item))
    }

    fn history_boxed<'a>(
        &'a self,
        stream: &'a StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Boxed<'a, HistoryPage> {
        Box::pin(self.history(stream, from, limit))
    }

    fn subscribe_boxed<'a>(&'a self, stream: &'a StreamId) -> Boxed<'a, ChatEvents> {
        Box::pin(self.subscribe(stream))
    }
}
