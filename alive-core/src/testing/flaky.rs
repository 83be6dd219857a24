//! [`Flaky`]: a backend that fails as planned.

use std::{
    error::Error,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use crate::{
    account::{AccountName, Network},
    backend::{
        AccountAuthority, AccountKeys, BackendError, BlockRef, BlockSource, BroadcastError,
        Broadcaster, Cause, Commit, Cursor, KeysError, LiveCache, LiveCacheError, LivePart,
        LiveParts, LiveSegment, LiveSegments, Next, Receipt, SourceError, Storage, StorageError,
        StoreError, StoredAccount, StoredStream, StreamPage, StreamQuery, StreamStore,
    },
    content::ContentId,
    index::BlockChanges,
    op::Op,
    stream_id::StreamId,
    time::Timestamp,
};

const BACKEND: &str = "flaky";

/// A call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// How many calls were made before it, whatever their method.
    pub number: u64,
    /// The method, such as `put`.
    pub method: &'static str,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It never returns; the backend does not see it.
    Hang,
    /// The backend does it, and then the answer gets lost: the caller is told that the backend is unavailable.
    Lost,
    /// Nothing; the backend does it.
    Pass,
    /// The backend refuses it for good.
    Refused,
    /// The backend is unavailable and does not see it.
    Unavailable,
}

type Plan = Arc<dyn Fn(Call) -> Fault + Send + Sync>;

/// Any backend, its calls failing as a plan says.
///
/// ```
/// use alive_core::{backend::Storage, memory::MemoryStorage, testing::{Call, Fault, Flaky}};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The first two puts fail, the second one only seemingly.
/// let storage = Flaky::new(MemoryStorage::default(), |call: Call| match call {
///     Call { number: 0, method: "put" } => Fault::Unavailable,
///     Call { number: 1, method: "put" } => Fault::Lost,
///     _ => Fault::Pass,
/// });
/// assert!(storage.put("a".into()).await.is_err());
/// assert!(storage.put("b".into()).await.is_err());
/// assert_eq!(storage.inner().bytes(), 1);
/// assert!(storage.put("b".into()).await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Flaky<B> {
    inner: B,
    plan: Plan,
    calls: Arc<AtomicU64>,
}

impl<B> Flaky<B> {
    /// Asks `plan` before every call. Clones count together.
    pub fn new(inner: B, plan: impl Fn(Call) -> Fault + Send + Sync + 'static) -> Self {
        Self { inner, plan: Arc::new(plan), calls: Arc::default() }
    }

    /// The backend within.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn call<T, E: Failure>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match (self.plan)(Call { number, method }) {
            Fault::Hang => std::future::pending().await,
            Fault::Lost => {
                drop(work.await);
                Err(E::unavailable(Planned(number).into()))
            }
            Fault::Pass => work.await,
            Fault::Refused => Err(E::refused(Planned(number).into())),
            Fault::Unavailable => Err(E::unavailable(Planned(number).into())),
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Flaky<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flaky")
            .field("inner", &self.inner)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

/// The cause of a planned failure.
#[derive(Debug)]
struct Planned(u64);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} was planned to fail", self.0)
    }
}

impl Error for Planned {}

/// An error that a plan can ask for.
trait Failure {
    fn refused(source: Cause) -> Self;
    fn unavailable(source: Cause) -> Self;
}

macro_rules! failure {
    ($($error:ident),*) => {$(
        impl Failure for $error {
            fn refused(source: Cause) -> Self {
                Self::Refused { backend: BACKEND, source }
            }

            fn unavailable(source: Cause) -> Self {
                Self::Unavailable { backend: BACKEND, source }
            }
        }
    )*};
}
failure!(BackendError, StorageError);

impl Failure for StoreError {
    /// A store does not refuse; what it holds may be broken for good.
    fn refused(source: Cause) -> Self {
        Self::Corrupt { backend: BACKEND, what: "a record", source }
    }

    fn unavailable(source: Cause) -> Self {
        Self::Unavailable { backend: BACKEND, source }
    }
}

impl Failure for KeysError {
    /// There is but one kind of failure.
    fn refused(source: Cause) -> Self {
        Self::unavailable(source)
    }

    fn unavailable(source: Cause) -> Self {
        Self { backend: BACKEND, source }
    }
}

impl<B: Storage> Storage for Flaky<B> {
    async fn put(&self, data: Bytes) -> Result<ContentId, StorageError> {
        self.call("put", self.inner.put(data)).await
    }

    async fn get(&self, id: &ContentId, limit: usize) -> Result<Bytes, StorageError> {
        self.call("get", self.inner.get(id, limit)).await
    }

    async fn has(&self, id: &ContentId) -> Result<bool, StorageError> {
        self.call("has", self.inner.has(id)).await
    }

    async fn pin(&self, id: &ContentId) -> Result<(), StorageError> {
        self.call("pin", self.inner.pin(id)).await
    }
}

impl<B: LiveCache> LiveCache for Flaky<B> {
    async fn push(&self, stream: &StreamId, segment: LiveSegment) -> Result<(), LiveCacheError> {
        self.call("push", self.inner.push(stream, segment)).await
    }

    async fn list(
        &self,
        stream: &StreamId,
        since: Timestamp,
    ) -> Result<Vec<LiveSegment>, LiveCacheError> {
        self.call("list", self.inner.list(stream, since)).await
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<LiveSegments, LiveCacheError> {
        self.call("subscribe", self.inner.subscribe(stream)).await
    }

    async fn push_part(&self, stream: &StreamId, part: LivePart) -> Result<(), LiveCacheError> {
        self.call("push_part", self.inner.push_part(stream, part)).await
    }

    async fn subscribe_parts(&self, stream: &StreamId) -> Result<LiveParts, LiveCacheError> {
        self.call("subscribe_parts", self.inner.subscribe_parts(stream)).await
    }
}

impl<B: Broadcaster> Broadcaster for Flaky<B> {
    async fn broadcast(&self, op: &Op) -> Result<Receipt, BroadcastError> {
        self.call("broadcast", self.inner.broadcast(op)).await
    }

    async fn settle(&self) -> Result<(), BroadcastError> {
        self.call("settle", self.inner.settle()).await
    }

    fn account(&self) -> &AccountName {
        self.inner.account()
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }
}

impl<B: BlockSource> BlockSource for Flaky<B> {
    async fn next(&self, after: Option<&BlockRef>, limit: usize) -> Result<Next, SourceError> {
        self.call("next", self.inner.next(after, limit)).await
    }

    fn poll_interval(&self) -> Duration {
        self.inner.poll_interval()
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }
}

impl<B: AccountKeys> AccountKeys for Flaky<B> {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        self.call("authority", self.inner.authority(account)).await
    }

    async fn authority_again(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        self.call("authority_again", self.inner.authority_again(account)).await
    }

    fn forget(&self, account: &AccountName) {
        self.inner.forget(account);
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }
}

impl<B: StreamStore> StreamStore for Flaky<B> {
    async fn cursor(&self, network: &Network) -> Result<Option<Cursor>, StoreError> {
        self.call("cursor", self.inner.cursor(network)).await
    }

    async fn reversible(&self, network: &Network) -> Result<Vec<BlockChanges>, StoreError> {
        self.call("reversible", self.inner.reversible(network)).await
    }

    async fn commit(&self, network: &Network, step: &Commit) -> Result<(), StoreError> {
        self.call("commit", self.inner.commit(network, step)).await
    }

    async fn account(
        &self,
        network: &Network,
        account: &AccountName,
    ) -> Result<Option<StoredAccount>, StoreError> {
        self.call("account", self.inner.account(network, account)).await
    }

    async fn stream(&self, id: &StreamId) -> Result<Option<StoredStream>, StoreError> {
        self.call("stream", self.inner.stream(id)).await
    }

    async fn streams(&self, query: &StreamQuery) -> Result<StreamPage, StoreError> {
        self.call("streams", self.inner.streams(query)).await
    }

    async fn networks(&self) -> Result<Vec<Network>, StoreError> {
        self.call("networks", self.inner.networks()).await
    }
}
