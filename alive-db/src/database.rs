//! What the schema needs of a graph that others share: [`Database`].

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

use futures_util::Stream;

use crate::{
    gun::{Delta, NodeDelta},
    json::Text,
};

/// Changes of a node as they happen, until it is dropped or the database goes away.
pub type Changes = Pin<Box<dyn Stream<Item = NodeDelta> + Send>>;

/// A graph that others share, whose every value has passed [`UserSpace`](crate::sea::UserSpace).
pub trait Database: Debug + Send + Sync + 'static {
    /// A node as far as it is known here; if it is not, as other peers answer within `wait`. `None` if nobody has it.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`].
    fn node(
        &self,
        soul: &Text,
        wait: Duration,
    ) -> impl Future<Output = Result<Option<NodeDelta>, DatabaseError>> + Send;

    /// Stores values and shares them; returns once that is safe.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`], then none was taken; [`DatabaseError::Unavailable`].
    fn put(&self, delta: Delta) -> impl Future<Output = Result<(), DatabaseError>> + Send;

    /// The changes of a node from now on; who does not keep up loses the oldest.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`].
    fn watch(&self, soul: &Text) -> impl Future<Output = Result<Changes, DatabaseError>> + Send;
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

/// Milliseconds since 1970 by the system's clock, with a fraction.
pub(crate) fn system_millis() -> f64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs_f64() * 1000.0
}
