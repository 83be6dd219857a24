use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{FutureExt as _, future};
use proptest::prelude::*;

use super::*;
use crate::{
    backend::{Authority, PublicKeyBytes},
    memory::MemoryAccountKeys,
    testing::{self, Call, Fault, Flaky},
};

/// A clock that stands until it is moved, in milliseconds.
#[derive(Clone)]
struct Clock(Instant, Arc<AtomicU64>);

impl Clock {
    fn new() -> Self {
        Self(Instant::now(), Arc::default())
    }

    fn pass(&self, time: Duration) {
        self.1.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn now(&self) -> Instant {
        self.0 + Duration::from_millis(self.1.load(Ordering::Relaxed))
    }
}

/// Counts the questions that reach it; `hold` makes each wait until it is let go.
#[derive(Clone, Debug)]
struct Chain {
    keys: MemoryAccountKeys,
    asked: Arc<AtomicU64>,
    gate: Arc<tokio::sync::Semaphore>,
}

impl Chain {
    fn new() -> Self {
        Self {
            keys: MemoryAccountKeys::new(Network::hive()),
            asked: Arc::default(),
            gate: Arc::new(tokio::sync::Semaphore::new(usize::MAX >> 4)),
        }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl AccountKeys for Chain {
    async fn authority(&self, name: &AccountName) -> Result<Option<AccountAuthority>, KeysError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // What the chain says is of the moment of the question; the answer may take its time.
        let answer = self.keys.authority(name).await;
        drop(self.gate.acquire().await.unwrap());
        answer
    }

    fn network(&self) -> &Network {
        self.keys.network()
    }
}

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn with_key(byte: u8) -> AccountAuthority {
    let posting =
        Authority { threshold: 1, keys: vec![(PublicKeyBytes([byte; 33]), 1)], accounts: vec![] };
    AccountAuthority { posting, ..AccountAuthority::default() }
}

fn cached(config: KeyCacheConfig) -> (Chain, Clock, CachedAccountKeys<Chain>) {
    let (chain, clock) = (Chain::new(), Clock::new());
    let keys = {
        let clock = clock.clone();
        CachedAccountKeys::with_clock(chain.clone(), config, move || clock.now())
    };
    (chain, clock, keys)
}

fn key_of(answer: Result<Option<AccountAuthority>, KeysError>) -> Option<u8> {
    answer.unwrap().map(|authority| authority.posting.keys[0].0.0[0])
}

async fn known(keys: &impl AccountKeys, account: &str) -> Option<u8> {
    key_of(keys.authority(&name(account)).await)
}

async fn again(keys: &impl AccountKeys, account: &str) -> Option<u8> {
    key_of(keys.authority_again(&name(account)).await)
}

#[tokio::test]
async fn it_keeps_every_promise_of_account_keys() {
    let (chain, _, keys) = cached(KeyCacheConfig::default());
    let accounts = [(name("alice"), with_key(1)), (name("bob"), with_key(2))];
    for (name, authority) in &accounts {
        chain.keys.set(name.clone(), authority.clone());
    }
    testing::account_keys(&keys, &accounts, &name("nobody")).await;
    testing::account_keys(&keys, &accounts, &name("nobody")).await;
    assert_eq!(chain.asked(), 3);
}

#[tokio::test]
async fn an_answer_counts_for_its_time_and_a_missing_account_for_a_shorter_one() {
    let (chain, clock, keys) = cached(KeyCacheConfig::default());
    chain.keys.set(name("alice"), with_key(1));
    assert_eq!((known(&keys, "alice").await, known(&keys, "bob").await), (Some(1), None));
    chain.keys.set(name("alice"), with_key(2));
    chain.keys.set(name("bob"), with_key(3));
    clock.pass(Duration::from_millis(9_999));
    assert_eq!((known(&keys, "alice").await, known(&keys, "bob").await), (Some(1), None));
    clock.pass(Duration::from_millis(1));
    assert_eq!((known(&keys, "alice").await, known(&keys, "bob").await), (Some(1), Some(3)));
    clock.pass(Duration::from_secs(50));
    assert_eq!(known(&keys, "alice").await, Some(2));
    assert_eq!(chain.asked(), 4);
}

#[tokio::test]
async fn a_forgotten_account_is_asked_for_even_if_an_answer_is_on_its_way() {
    let (chain, _, keys) = cached(KeyCacheConfig::default());
    chain.keys.set(name("alice"), with_key(1));
    assert_eq!(known(&keys, "alice").await, Some(1));
    chain.keys.set(name("alice"), with_key(2));
    keys.forget(&name("alice"));

    // A question that saw the second key is still on its way when the third one comes.
    let alice = name("alice");
    let permits = chain.gate.forget_permits(usize::MAX);
    let mut late = Box::pin(keys.authority(&alice));
    assert!(late.as_mut().now_or_never().is_none());
    chain.keys.set(alice.clone(), with_key(3));
    keys.forget(&alice);
    let mut next = Box::pin(keys.authority(&alice));
    assert!(next.as_mut().now_or_never().is_none());
    chain.gate.add_permits(permits);
    assert_eq!(key_of(next.await), Some(3));
    // The late one answers who asked before the change, and nobody else.
    assert_eq!(key_of(late.await), Some(2));
    assert_eq!(known(&keys, "alice").await, Some(3));
    assert_eq!(chain.asked(), 3);
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_question_and_its_failure() {
    let (chain, _, keys) = cached(KeyCacheConfig::default());
    chain.keys.set(name("alice"), with_key(1));
    let permits = chain.gate.forget_permits(usize::MAX);
    let alice = name("alice");
    let all = future::join_all((0..50).map(|_| keys.authority(&alice)));
    let mut all = Box::pin(all);
    assert!(all.as_mut().now_or_never().is_none());
    chain.gate.add_permits(permits);
    assert!(all.await.into_iter().all(|answer| key_of(answer) == Some(1)));
    assert_eq!(chain.asked(), 1);

    let flaky = Flaky::new(chain.clone(), |call: Call| match call.number {
        0 => Fault::Unavailable,
        _ => Fault::Pass,
    });
    let keys = CachedAccountKeys::new(flaky, KeyCacheConfig::default());
    let error = keys.authority(&alice).await.unwrap_err();
    assert_eq!(error.backend, "flaky");
    assert!(!error.source.to_string().is_empty());
    // A failure is not remembered.
    assert_eq!(known(&keys, "alice").await, Some(1));
}

#[tokio::test]
async fn a_question_that_everybody_left_is_asked_anew() {
    let (chain, _, keys) = cached(KeyCacheConfig::default());
    chain.keys.set(name("alice"), with_key(1));
    let permits = chain.gate.forget_permits(usize::MAX);
    assert!(keys.authority(&name("alice")).now_or_never().is_none());
    chain.gate.add_permits(permits);
    chain.keys.set(name("alice"), with_key(2));
    assert_eq!(known(&keys, "alice").await, Some(2));
    assert_eq!(chain.asked(), 2);
    assert!(keys.0.asked().on_the_way.is_empty());
}

#[tokio::test]
async fn a_signature_that_does_not_match_brings_the_new_key_but_no_flood_of_questions() {
    let (chain, clock, keys) = cached(KeyCacheConfig::default());
    chain.keys.set(name("alice"), with_key(1));
    assert_eq!(known(&keys, "alice").await, Some(1));
    chain.keys.set(name("alice"), with_key(2));
    // The answer is new: a signature that does not match is simply bad.
    for _ in 0..1000 {
        assert_eq!(again(&keys, "alice").await, Some(1));
    }
    assert_eq!(chain.asked(), 1);
    clock.pass(Duration::from_secs(10));
    assert_eq!(again(&keys, "alice").await, Some(2));
    assert_eq!(known(&keys, "alice").await, Some(2));
    for _ in 0..1000 {
        assert_eq!(again(&keys, "alice").await, Some(2));
    }
    assert_eq!(chain.asked(), 2);
}

#[tokio::test]
async fn over_all_accounts_there_are_no_more_questions_than_the_rate_allows() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let (chain, clock, keys) =
        cached(KeyCacheConfig::default().asks(number(10), number(2)).again_after(Duration::ZERO));
    chain.keys.set(name("alice"), with_key(1));
    assert_eq!(known(&keys, "alice").await, Some(1));
    let mut refused = 0;
    for account in 0..100 {
        refused += u64::from(keys.authority(&name(&format!("nobody{account}"))).await.is_err());
    }
    assert_eq!((refused, chain.asked()), (91, 10));
    // What is known is answered all the same, also to who asks again.
    chain.keys.set(name("alice"), with_key(2));
    assert_eq!((known(&keys, "alice").await, again(&keys, "alice").await), (Some(1), Some(1)));
    clock.pass(Duration::from_millis(500));
    assert_eq!(again(&keys, "alice").await, Some(2));
    assert!(keys.authority(&name("nobody99")).await.is_err());
    assert_eq!(chain.asked(), 11);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let number = NonZeroU32::new(u32::MAX).unwrap();
    let limit = 64 << 10;
    let config = KeyCacheConfig::default().max_bytes(limit).asks(number, number);
    let (chain, _, keys) = cached(config);
    let many = vec![(PublicKeyBytes([1; 33]), 1); 40];
    for account in 0..1000 {
        let name = name(&format!("account{account}"));
        let mut authority = with_key(1);
        authority.posting.keys.clone_from(&many);
        chain.keys.set(name.clone(), authority);
        assert!(keys.authority(&name).await.unwrap().is_some());
    }
    let bytes = keys.bytes();
    assert!((limit / 2..=limit).contains(&bytes), "{bytes}");
}

#[test]
fn a_budget_never_gives_more_than_the_burst_and_the_rate() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let start = Instant::now();
    let mut budget = Budget::new(number(5), number(3), start);
    let taken =
        (0..=1000_u64).filter(|step| budget.take(start + Duration::from_millis(step * 10))).count();
    assert_eq!(taken, 3 + 50);
}

#[derive(Clone, Debug)]
enum Step {
    Again(u8),
    Ask(u8),
    /// The chain changes the keys, and perhaps the cache is told.
    Change(u8, u8, bool),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..3).prop_map(Step::Again),
        (0_u8..3).prop_map(Step::Ask),
        (0_u8..3, 0_u8..5, any::<bool>())
            .prop_map(|(name, key, told)| Step::Change(name, key, told)),
        (0_u64..30_000).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens, an answer is one that the chain gave within its time, never one from before a change that the
    /// cache was told of, and to who asks again never one older than that takes.
    #[test]
    fn answers_are_never_older_than_promised(steps in prop::collection::vec(any_step(), 1..60)) {
        let (chain, clock, keys) = cached(KeyCacheConfig::default());
        let config = KeyCacheConfig::default();
        // Of each account: since when it has which key, and when the cache was last told.
        let first = clock.now();
        let mut history: [Vec<(Instant, Option<u8>)>; 3] = [(); 3].map(|()| vec![(first, None)]);
        let mut told = [clock.now(); 3];
        for step in steps {
            match step {
                Step::Pass(ms) => clock.pass(Duration::from_millis(ms)),
                Step::Change(account, key, is_told) => {
                    let at = usize::from(account);
                    chain.keys.set(name(&format!("account{account}")), with_key(key));
                    history[at].push((clock.now(), Some(key)));
                    if is_told {
                        keys.forget(&name(&format!("account{account}")));
                        told[at] = clock.now();
                    }
                }
                Step::Ask(account) | Step::Again(account) => {
                    let account_name = format!("account{account}");
                    let is_again = matches!(step, Step::Again(_));
                    let answer = if is_again {
                        again(&keys, &account_name).now_or_never().unwrap()
                    } else {
                        known(&keys, &account_name).now_or_never().unwrap()
                    };
                    let limit = match answer {
                        _ if is_again => config.again_after,
                        Some(_) => config.found_for,
                        None => config.missing_for,
                    };
                    let at = usize::from(account);
                    let oldest = clock.now().checked_sub(limit).unwrap_or(clock.0).max(told[at]);
                    let ends = history[at].iter().skip(1).map(|(time, _)| Some(*time));
                    let ends = ends.chain([None]);
                    let held = history[at].iter().zip(ends).any(|((_, key), end)| {
                        *key == answer && end.is_none_or(|end| end >= oldest)
                    });
                    prop_assert!(held, "{answer:?} of {history:?}");
                }
            }
        }
    }
}
