//! What happens on a node, for whoever wants to follow: [`NodeEvent`].

use alive_core::{Network, StreamId, backend::BlockRef};

/// Something that the indexer has made durable.
///
/// Events travel on a channel of limited length. Who does not keep up misses the oldest, is told so, and reads the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A block was applied.
    BlockApplied {
        /// The chain.
        network: Network,
        /// The block.
        block: BlockRef,
    },
    /// A block was taken back: the chain has replaced it.
    BlockUndone {
        /// The chain.
        network: Network,
        /// The block.
        block: BlockRef,
    },
    /// Some events of a network are lost: its streams have to be read again.
    Missed(Network),
    /// A stream was created, pushed to, configured, ended, or any of that was undone.
    StreamChanged(StreamId),
    /// A stream ended. A [`StreamChanged`](Self::StreamChanged) of it comes before.
    StreamEnded(StreamId),
}
