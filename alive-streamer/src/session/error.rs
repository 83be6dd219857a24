//! Why a session ends early: [`SessionError`].

use alive_core::{
    JournalError, StreamId,
    backend::{BroadcastError, StorageError},
};
use alive_playlist::Unsupported;
use tokio::task::JoinError;

use crate::journal::JournalFileError;

/// Why a [`Session`](crate::Session) could not begin or ended early. The journal keeps what was not published, and a
/// session that is run again goes on with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The chain refuses an operation for good.
    #[error("the chain refuses {what}")]
    Broadcast {
        /// The operation.
        what: String,
        /// Why.
        source: BroadcastError,
    },
    /// Stopping took longer than it may.
    #[error("stopped with {left} segments that are not on the chain; the journal keeps them")]
    Deadline {
        /// How many segments are left.
        left: usize,
    },
    /// The stream has used all its sequence numbers.
    #[error("the stream is full, go on under another link; {left} segments are not on the chain")]
    Full {
        /// How many segments are left.
        left: usize,
    },
    /// The journal's file cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalFileError),
    /// The broadcaster signs for another account.
    #[error("operations of stream {stream} cannot be signed by {signer}")]
    OtherAccount {
        /// The stream.
        stream: Box<StreamId>,
        /// Network and account of the broadcaster.
        signer: String,
    },
    /// The recording cannot be published as it is.
    #[error("the recording of {list} cannot be published")]
    Recording {
        /// The recorder's list.
        list: Box<str>,
        /// Why.
        #[source]
        reason: Unsupported,
    },
    /// The journal contradicts itself.
    #[error("the journal cannot be followed")]
    Replay(#[from] JournalError),
    /// The storage refuses content for good.
    #[error("the storage refuses {what}")]
    Storage {
        /// The content.
        what: String,
        /// Why.
        source: StorageError,
    },
    /// A task of the session died.
    #[error("a task of the session died")]
    Task(#[source] JoinError),
}
