//! One indexer for many nodes: whichever process leads runs it, the others stand by.

use alive_core::Network;
use tokio_util::sync::CancellationToken;

use crate::{indexer::Indexer, store::PostgresStore};

/// Indexes a network whenever this process leads, until it is cancelled; then it gives the lead up at once.
pub(crate) async fn index(
    store: PostgresStore,
    network: Network,
    indexer: impl Fn() -> Indexer,
    cancel: CancellationToken,
) {
    while let Some(leadership) = cancel.run_until_cancelled(store.lead(&network)).await {
        tokio::select! {
            // A fresh one: what another leader did since, this one reads from the store.
            () = indexer().run(cancel.clone()) => return,
            // A step that is dropped half way takes its session with it.
            () = leadership.lost() => {}
        }
    }
}
