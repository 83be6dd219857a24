//! What listeners of a session are told: [`SessionEvent`].

use std::{pin::Pin, sync::Arc};

use alive_core::backend::Digest;
use futures_util::{Stream, stream};
use tokio::sync::broadcast;

use crate::{
    message::Message,
    moderation::{Entry, Hidden},
    networks::Account,
    verified::Verified,
};

/// Something that happened in a chat.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// An account asks for access, and a person has to decide: write 1 or 0 for it.
    Applicant {
        /// Who.
        account: Account,
        /// Whether the name could be taken for the streamer's.
        looks_like_streamer: bool,
    },
    /// The history that the transport holds has been read.
    CaughtUp,
    /// The transport is connected.
    Connected,
    /// The transport has failed; it is tried again.
    Disconnected {
        /// Why.
        why: String,
    },
    /// A message that was shown is not to be shown any more.
    Hide {
        /// Which.
        digest: Digest,
        /// Why.
        why: Hidden,
    },
    /// The streamer or a moderator has said something new.
    Ruled(Entry),
    /// Show a message: a new one, or one that was hidden. Its place is by time, then digest.
    Show(Arc<Verified<Message>>),
}

/// What a listener reads.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionUpdate {
    /// Something happened.
    Event(Arc<SessionEvent>),
    /// The listener was too slow and so many events are lost to it: [`join`](super::ChatSession::join) again.
    Missed(u64),
}

/// Events as they happen, until the session ends.
pub struct SessionEvents(Pin<Box<dyn Stream<Item = SessionUpdate> + Send>>);

impl SessionEvents {
    pub(super) fn new(receiver: broadcast::Receiver<Arc<SessionEvent>>) -> Self {
        Self(Box::pin(stream::unfold(receiver, async |mut receiver| {
            let update = match receiver.recv().await {
                Ok(event) => SessionUpdate::Event(event),
                Err(broadcast::error::RecvError::Lagged(lost)) => SessionUpdate::Missed(lost),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((update, receiver))
        })))
    }
}

impl std::fmt::Debug for SessionEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionEvents")
    }
}

impl Stream for SessionEvents {
    type Item = SessionUpdate;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<SessionUpdate>> {
        self.0.as_mut().poll_next(cx)
    }
}
