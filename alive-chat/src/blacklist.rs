//! Lists of accounts that a streamer does not want: [`Blacklist`].

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc, time::Duration};

use alive_core::{AccountName, backend::BackendError};

/// How often to ask a [`Blacklist`]. Source: `spec/alivedb.md`, section 8.5.
pub const BLACKLIST_INTERVAL: Duration = Duration::from_secs(15);

/// Tells which accounts are on the blacklists that a streamer follows, such as Hive's decentralised ones
/// (`bridge.get_follow_list`). Hand the answer to [`Room::handle_blacklist`](crate::Room::handle_blacklist); after a
/// failure the last one holds on.
pub trait Blacklist: Debug + Send + Sync {
    /// The names that this streamer has blacklisted, himself or by the lists that he follows.
    ///
    /// # Errors
    /// The backend cannot be reached or failed.
    fn names(
        &self,
        streamer: &AccountName,
    ) -> impl Future<Output = Result<Vec<AccountName>, BackendError>> + Send;
}

/// Any [`Blacklist`], its type erased.
#[derive(Clone, Debug)]
pub struct SharedBlacklist(Arc<dyn Erased>);

impl SharedBlacklist {
    /// Wraps a backend chosen at run time.
    pub fn new(backend: impl Blacklist + 'static) -> Self {
        Self(Arc::new(backend))
    }
}

impl Blacklist for SharedBlacklist {
    async fn names(&self, streamer: &AccountName) -> Result<Vec<AccountName>, BackendError> {
        self.0.names_boxed(streamer).await
    }
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Vec<AccountName>, BackendError>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn names_boxed<'a>(&'a self, streamer: &'a AccountName) -> Boxed<'a>;
}

impl<B: Blacklist> Erased for B {
    fn names_boxed<'a>(&'a self, streamer: &'a AccountName) -> Boxed<'a> {
        Box::pin(self.names(streamer))
    }
}
