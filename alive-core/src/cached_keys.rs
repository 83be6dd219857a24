//! Account keys that are asked for once and remembered for a while: [`CachedAccountKeys`].

mod budget;
mod config;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::future::{FutureExt as _, Shared, WeakShared};

pub use config::KeyCacheConfig;

use budget::Budget;

use crate::{
    account::{AccountName, Network},
    backend::{AccountAuthority, AccountKeys, KeysError},
};

const BACKEND: &str = "the cache of account keys";

/// Any [`AccountKeys`], its answers remembered: bounded in bytes, in age, and in how often the chain is asked.
///
/// Keys change, and the cache notices: [`forget`](AccountKeys::forget) drops an account that a block changed, at once
/// even if an answer is on its way; a caller to whom a signature did not match asks
/// [`again`](AccountKeys::authority_again), and gets a new answer unless the known one is as good as new; whatever
/// happens, nothing is remembered longer than [`KeyCacheConfig`] says. Those who ask for one account at once share one
/// question. A flood of bad signatures or of made-up names cannot become a flood of questions: beyond a rate the cache
/// answers a question *again* from what it knows and refuses one for an unknown account as unavailable.
///
/// A clone is a handle to the same cache. The clock is an argument, for tests.
///
/// ```
/// use alive_core::{
///     CachedAccountKeys, KeyCacheConfig, Network, backend::AccountKeys, memory::MemoryAccountKeys,
/// };
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let chain = MemoryAccountKeys::new(Network::hive());
/// chain.set("alice".parse()?, Default::default());
/// let keys = CachedAccountKeys::new(chain.clone(), KeyCacheConfig::default());
/// let alice = "alice".parse()?;
/// assert!(keys.authority(&alice).await?.is_some());
/// chain.remove(&alice);
/// assert!(keys.authority(&alice).await?.is_some());
/// keys.forget(&alice);
/// assert!(keys.authority(&alice).await?.is_none());
/// # Ok(())
/// # }
/// ```
pub struct CachedAccountKeys<K>(Arc<Inner<K>>);

struct Inner<K> {
    backend: K,
    config: KeyCacheConfig,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    known: moka::sync::Cache<AccountName, Known>,
    asked: Mutex<Asked>,
}

/// An answer and when it was asked for.
#[derive(Clone)]
struct Known {
    answer: Answer,
    asked_at: Instant,
}

type Answer = Option<Arc<AccountAuthority>>;
type Outcome = Result<Answer, Arc<KeysError>>;
type Question = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The questions on their way, and how many more there may be.
struct Asked {
    budget: Budget,
    /// Only those that somebody waits for: a question that everybody left must not be woken up an hour later.
    on_the_way: HashMap<AccountName, (u64, WeakShared<Question>)>,
    last: u64,
}

impl<K: AccountKeys + 'static> CachedAccountKeys<K> {
    /// Remembers what `backend` answers.
    pub fn new(backend: K, config: KeyCacheConfig) -> Self {
        Self::with_clock(backend, config, Instant::now)
    }

    /// The same by another clock, which must never go back.
    pub fn with_clock(
        backend: K,
        config: KeyCacheConfig,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(config.max_bytes)
            .weigher(|account: &AccountName, known: &Known| weight(account, &known.answer))
            .build();
        let budget = Budget::new(config.asks_per_sec, config.burst, clock());
        let asked = Mutex::new(Asked { budget, on_the_way: HashMap::new(), last: 0 });
        Self(Arc::new(Inner { backend, config, clock: Box::new(clock), known, asked }))
    }

    /// What is remembered, in bytes, about: after what is pending is settled.
    pub fn bytes(&self) -> u64 {
        self.0.known.run_pending_tasks();
        self.0.known.weighted_size()
    }

    async fn ask(&self, account: &AccountName) -> Result<Answer, KeysError> {
        let Some(question) = self.question(account) else { return Err(too_many()) };
        question.await.map_err(|error| KeysError { backend: error.backend, source: shared(error) })
    }

    /// Joins the question for the account that is on its way, or asks a new one if that is allowed now.
    fn question(&self, account: &AccountName) -> Option<Shared<Question>> {
        let now = (self.0.clock)();
        let mut asked = self.0.asked();
        if let Some(question) = asked.on_the_way.get(account).and_then(|(_, one)| one.upgrade()) {
            return Some(question);
        }
        if !asked.budget.take(now) {
            return None;
        }
        asked.on_the_way.retain(|_, (_, question)| question.upgrade().is_some());
        asked.last += 1;
        let number = asked.last;
        let (inner, name) = (Arc::clone(&self.0), account.clone());
        let question: Question = Box::pin(async move {
            let outcome = inner.backend.authority(&name).await;
            let outcome = outcome.map(|found| found.map(Arc::new)).map_err(Arc::new);
            inner.answered(&name, number, outcome.as_ref().ok(), now);
            outcome
        });
        let question = question.shared();
        if let Some(weak) = question.downgrade() {
            asked.on_the_way.insert(account.clone(), (number, weak));
        }
        Some(question)
    }
}

impl<K> Inner<K> {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        // A panic elsewhere leaves whole values behind, so it is no reason to stop.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an answer, unless the account was forgotten after the question: it may be older than the change.
    fn answered(
        &self,
        name: &AccountName,
        number: u64,
        answer: Option<&Answer>,
        asked_at: Instant,
    ) {
        let mut asked = self.asked();
        let is_current = asked.on_the_way.get(name).is_some_and(|(own, _)| *own == number);
        if is_current {
            asked.on_the_way.remove(name);
            if let Some(answer) = answer {
                self.known.insert(name.clone(), Known { answer: answer.clone(), asked_at });
            }
        }
    }

    /// What is known and not too old, and how old it is.
    fn fresh(&self, account: &AccountName) -> Option<Known> {
        let known = self.known.get(account)?;
        let limit = match known.answer {
            Some(_) => self.config.found_for,
            None => self.config.missing_for,
        };
        (self.age(&known) < limit).then_some(known)
    }

    fn age(&self, known: &Known) -> std::time::Duration {
        (self.clock)().saturating_duration_since(known.asked_at)
    }
}

impl<K: AccountKeys + 'static> AccountKeys for CachedAccountKeys<K> {
    async fn authority(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        let answer = match self.0.fresh(account) {
            Some(known) => known.answer,
            None => self.ask(account).await?,
        };
        Ok(answer.map(Arc::unwrap_or_clone))
    }

    async fn authority_again(
        &self,
        account: &AccountName,
    ) -> Result<Option<AccountAuthority>, KeysError> {
        let answer = match self.0.fresh(account) {
            Some(known) if self.0.age(&known) < self.0.config.again_after => known.answer,
            Some(known) => match self.question(account) {
                Some(question) => question
                    .await
                    .map_err(|error| KeysError { backend: error.backend, source: shared(error) })?,
                None => known.answer,
            },
            None => self.ask(account).await?,
        };
        Ok(answer.map(Arc::unwrap_or_clone))
    }

    fn forget(&self, account: &AccountName) {
        // First below, so that no question in between brings back what is forgotten here.
        self.0.backend.forget(account);
        let mut asked = self.0.asked();
        asked.on_the_way.remove(account);
        self.0.known.invalidate(account);
    }

    fn network(&self) -> &Network {
        self.0.backend.network()
    }
}

impl<K> Clone for CachedAccountKeys<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: fmt::Debug> fmt::Debug for CachedAccountKeys<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedAccountKeys")
            .field("backend", &self.0.backend)
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// About how many bytes an entry takes.
fn weight(account: &AccountName, answer: &Answer) -> u32 {
    /// The entry itself, its place in the cache, and the vectors of an authority.
    const FIXED: usize = 400;
    /// A key and its weight.
    const KEY: usize = 36;
    /// An account and its weight, without its name.
    const ACCOUNT: usize = 24;
    let of = |authority: &crate::backend::Authority| {
        let names = authority.accounts.iter();
        let names: usize = names.map(|(name, _)| ACCOUNT + name.as_str().len()).sum();
        names + KEY * authority.keys.len()
    };
    let members = answer.as_ref().map_or(0, |authority| {
        of(&authority.active) + of(&authority.owner) + of(&authority.posting)
    });
    u32::try_from(FIXED + account.as_str().len() + members).unwrap_or(u32::MAX)
}

fn too_many() -> KeysError {
    KeysError { backend: BACKEND, source: Box::new(TooMany) }
}

/// The cause that several callers were given.
fn shared(error: Arc<KeysError>) -> crate::backend::Cause {
    Box::new(SharedCause(error))
}

/// More accounts are asked for than the chain may be asked about.
#[derive(Debug, thiserror::Error)]
#[error("too many accounts are asked for at once; try again later")]
struct TooMany;

/// Shows the cause as its own.
#[derive(Debug)]
struct SharedCause(Arc<KeysError>);

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.source.fmt(f)
    }
}

impl std::error::Error for SharedCause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.source()
    }
}

#[cfg(test)]
mod tests;
