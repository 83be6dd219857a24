//! Every backend trait in memory: for tests, demos and DApps that need no more than one process.
//!
//! They keep every promise of their traits, checked by the suites of `alive_core::testing`, but one: what they hold ends
//! with the process. None of them reads a clock or starts a task; time is an argument, or a function given to them.
//! All are handles: a clone works on the same content.
//!
//! There is no signature scheme here, because signing takes the curve of a chain; the crates of the chains bring theirs.

mod chain;
mod keys;
mod live;
mod queue;
mod storage;
mod store;

pub use chain::{MemoryBroadcaster, MemoryChain};
pub use keys::MemoryAccountKeys;
pub use live::MemoryLiveCache;
pub use storage::MemoryStorage;
pub use store::MemoryStreamStore;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::time::Timestamp;

/// A function that tells the time, where a backend has to stamp what it takes.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Locks for a moment, never across an await. A panic elsewhere leaves whole values behind, so it is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a backend in memory refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    /// The bytes under an id have another hash.
    #[error("the bytes hash to another id")]
    Hash,
    /// No room.
    #[error("{held} of {capacity} are taken, {more} more do not fit")]
    Full { held: usize, capacity: usize, more: usize },
}

/// Shows only how much there is of something, where the whole would drown the rest.
struct Count(usize);

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} held", self.0)
    }
}
