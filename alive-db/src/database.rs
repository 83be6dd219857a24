//! What the schema needs of a graph that others share: [`Database`].

use std::{fmt::Debug, future::Future, pin::Pin};

use futures_util::{Stream, stream};

use crate::{
    gun::{Change, Delta, NodeDelta, Peer, PutError, Query, State},
    json::Text,
};

/// Changes of a node as they happen, until it is dropped or the database goes away.
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// A graph that others share, whose every value has passed [`UserSpace`](crate::sea::UserSpace).
pub trait Database: Debug + Send + Sync + 'static {
    /// A node as far as it is known here; if it is not, as other peers answer within two seconds. `None` if nobody has
    /// it.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`].
    fn node(
        &self,
        soul: &Text,
    ) -> impl Future<Output = Result<Option<NodeDelta>, DatabaseError>> + Send;

    /// Stores values and shares them; returns once that is safe. What no other peer takes now, because none can be
    /// reached, counts as stored, and is shared when one can.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`], then none was taken; [`DatabaseError::Unavailable`].
    fn put(&self, delta: Delta) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// The changes of a node from now on, after what is there, which may come first; who does not keep up loses the oldest,
    /// and is told how many.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`].
    fn watch(&self, soul: &Text) -> impl Future<Output = Result<Changes, DatabaseError>> + Send;

    /// A state for what is written now, later than all before it.
    fn next_state(&self) -> State;
}

/// Why a [`Database`] did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It will not take it; what the original would say, such as `Unverified data.`.
    #[error("{0}")]
    Refused(Box<str>),
    /// It is closed, overloaded, or its disk failed; trying again may help.
    #[error("{0}")]
    Unavailable(Box<str>),
}

impl Database for Peer {
    async fn node(&self, soul: &Text) -> Result<Option<NodeDelta>, DatabaseError> {
        Ok(self.get(Query::node(soul.clone())).await)
    }

    async fn put(&self, delta: Delta) -> Result<(), DatabaseError> {
        match Self::put(self, delta).await {
            Ok(_) => Ok(()),
            // Peers get it as soon as one connects. Whoever was told of a failure would put it again, and have it twice.
            Err(PutError::NoAck) => {
                tracing::debug!("values wait for a peer to connect");
                Ok(())
            }
            Err(PutError::Refused(refused)) => Err(DatabaseError::Refused(refused.reason.into())),
            Err(PutError::RefusedThere(reason)) => Err(DatabaseError::Refused(reason.into())),
            Err(error) => Err(DatabaseError::Unavailable(error.to_string().into())),
        }
    }

    async fn watch(&self, soul: &Text) -> Result<Changes, DatabaseError> {
        let changes = self.subscribe(soul.clone()).await;
        Ok(Box::pin(stream::unfold(changes, async |mut changes| {
            let change = changes.next_change().await?;
            Some((change, changes))
        })))
    }

    fn next_state(&self) -> State {
        Self::next_state(self)
    }
}

/// Milliseconds since 1970 by the system's clock, with a fraction.
pub(crate) fn system_millis() -> f64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs_f64() * 1000.0
}
