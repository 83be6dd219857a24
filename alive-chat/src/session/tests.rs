//! A session over a chat in memory, under tokio's stopped clock.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alive_core::{
    AccountName, Network, StreamId,
    backend::{AccountAuthority, Authority, BackendError, SharedAccountKeys},
    memory::MemoryAccountKeys,
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, advance};

use super::*;
use crate::{
    ApprovalPolicy, Blacklist, ChatEvents, ChatTransport, HistoryPage, MemoryChat, Moment, Peer,
    SharedBlacklist, SharedChatTransport, SignatureText, SignerError,
    fixtures::{STREAM, account, chat, key, message, ms, sign, signed_by},
    moderation::Hidden,
};

/// Ten to the twelve milliseconds, and what has passed by tokio's clock.
fn clock() -> impl Fn() -> Moment + Clone + Send + Sync + 'static {
    let start = Instant::now();
    move || ms(1e12 + start.elapsed().as_secs_f64() * 1000.0)
}

#[derive(Debug)]
struct Wallet(&'static str);

impl Signer for Wallet {
    async fn sign(&self, account: &Account, text: &str) -> Result<SignatureText, SignerError> {
        if account.to_string() != self.0 {
            return Err(SignerError::Refused("no such key".into()));
        }
        let (text, recovery_id) = sign(self.0, text);
        Ok(SignatureText { text: text.into(), recovery_id })
    }
}

fn authority(of: &str) -> AccountAuthority {
    let posting = Authority { threshold: 1, keys: vec![(key(of).1, 1)], accounts: Vec::new() };
    AccountAuthority { posting, ..AccountAuthority::default() }
}

struct World {
    chain: MemoryAccountKeys,
    memory: MemoryChat,
    clock: Arc<dyn Fn() -> Moment + Send + Sync>,
}

impl World {
    fn new() -> Self {
        let clock: Arc<dyn Fn() -> Moment + Send + Sync> = Arc::new(clock());
        let chain = MemoryAccountKeys::new(Network::hive());
        for name in ["techcoderx", "alice", "bobby", "carol"] {
            chain.set(name.parse().unwrap(), authority(&format!("hive/{name}")));
        }
        let time = Arc::clone(&clock);
        Self { chain, memory: MemoryChat::new(move || time()), clock }
    }

    fn backends(&self, transport: impl ChatTransport + 'static) -> SessionBackends {
        let clock = Arc::clone(&self.clock);
        SessionBackends::new(SharedChatTransport::new(transport))
            .keys(SharedAccountKeys::new(self.chain.clone()))
            .clock(move || clock())
    }

    fn reader(&self) -> ChatSession {
        self.start(self.memory.clone(), SessionConfig::default())
    }

    fn start(&self, transport: impl ChatTransport + 'static, config: SessionConfig) -> ChatSession {
        let key = "streamers.key".parse().unwrap();
        ChatSession::start(chat(STREAM), key, self.backends(transport), config)
    }

    fn streamer(&self, policy: ApprovalPolicy) -> ChatSession {
        let key: LiveKey = "streamers.key".parse().unwrap();
        let transport = self.memory.as_user(Peer(1), Some(key.clone()));
        self.start(transport, SessionConfig::default().author(key).approval(policy))
    }

    async fn publish(&self, item: Item) {
        self.memory.publish(&STREAM.parse().unwrap(), item).await.unwrap();
    }

    /// What the streamer says, at this moment.
    async fn rule(&self, rule: Rule, value: f64) {
        let author: LiveKey = "streamers.key".parse().unwrap();
        let entry = Entry { author: author.clone(), rule, value, state: (self.clock)() };
        let own = self.memory.as_user(Peer(1), Some(author));
        own.publish(&STREAM.parse().unwrap(), Item::Entry(entry)).await.unwrap();
    }

    fn says(&self, who: &str, text: &str) -> Message {
        message(who, (self.clock)().as_ms().floor(), text)
    }
}

fn participant(who: &str) -> Rule {
    Rule::Participant(account(who))
}

/// The next event that is asked for.
async fn event<T>(joined: &mut Joined, wanted: impl Fn(&SessionEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            match joined.events.next().await.expect("the session runs") {
                SessionUpdate::Event(event) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                SessionUpdate::Missed(lost) => panic!("{lost} events lost"),
            }
        }
    };
    tokio::time::timeout(Duration::from_hours(2), found).await.expect("it happens")
}

async fn shown(joined: &mut Joined) -> String {
    event(joined, |event| match event {
        SessionEvent::Show(message) => Some(message.signed().text().to_owned()),
        _ => None,
    })
    .await
}

async fn caught_up(session: &ChatSession) -> Joined {
    let mut joined = session.join().await.unwrap();
    if !joined.is_caught_up {
        event(&mut joined, |event| matches!(event, SessionEvent::CaughtUp).then_some(())).await;
    }
    joined
}

async fn texts(session: &ChatSession) -> Vec<String> {
    let joined = session.join().await.unwrap();
    joined.messages.iter().map(|message| message.signed().text().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_asks_is_approved_speaks_is_banned_and_is_silent() {
    let world = World::new();
    let (streamer, alice) = (world.streamer(ApprovalPolicy::Automatic), world.reader());
    let mut hears = caught_up(&alice).await;
    let (wallet, who) = (Wallet("hive/alice"), account("hive/alice"));
    let early = alice.say(&wallet, &who, "too early").await;
    assert!(matches!(early, Err(SessionError::Refused(Refusal::NotParticipant))), "{early:?}");
    alice.ask_access(&wallet, &who).await.unwrap();
    event(&mut hears, |event| match event {
        SessionEvent::Ruled(entry) if entry.rule == participant("hive/alice") => Some(()),
        _ => None,
    })
    .await;
    let again = alice.ask_access(&wallet, &who).await;
    assert!(matches!(again, Err(SessionError::Refused(Refusal::Approved))), "{again:?}");
    let digest = alice.say(&wallet, &who, "hello").await.unwrap();
    assert_eq!(shown(&mut hears).await, "hello");
    assert_eq!(texts(&streamer).await, ["hello"], "the streamer reads it, too");

    let nobody = alice.rule(participant("hive/bobby"), 0.0).await;
    assert!(matches!(nobody, Err(SessionError::NoAuthor)), "{nobody:?}");
    // In one millisecond the greater value wins, as in GUN.
    advance(Duration::from_secs(1)).await;
    streamer.rule(participant("hive/alice"), 0.0).await.unwrap();
    let hidden = event(&mut hears, |event| match event {
        SessionEvent::Hide { digest, why } => Some((*digest, *why)),
        _ => None,
    });
    assert_eq!(hidden.await, (digest, Hidden::Banned));
    let late = alice.say(&wallet, &who, "still here").await;
    assert!(matches!(late, Err(SessionError::Refused(Refusal::Banned))), "{late:?}");
    // One who does not ask his own session first is not heard either.
    world.publish(Item::Message(world.says("hive/alice", "around it"))).await;
    assert!(texts(&streamer).await.is_empty());
    assert!(alice.archive(false).await.unwrap().is_empty());
    assert_eq!(alice.archive(true).await.unwrap().len(), 1);
    streamer.stop().await;
    assert!(matches!(streamer.join().await, Err(SessionError::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_refuses_and_texts_that_are_too_long_send_nothing() {
    let world = World::new();
    let session = world.reader();
    world.rule(participant("hive/alice"), 1.0).await;
    caught_up(&session).await;
    let who = account("hive/alice");
    let refused = session.say(&Wallet("hive/bobby"), &who, "hello").await;
    assert!(matches!(refused, Err(SessionError::Sign(_))), "{refused:?}");
    let long = session.say(&Wallet("hive/alice"), &who, &"a".repeat(2001)).await;
    assert!(matches!(long, Err(SessionError::Refused(Refusal::Long { len: 2001, max: 2000 }))));
    let empty = session.say(&Wallet("hive/alice"), &who, "").await;
    assert!(matches!(empty, Err(SessionError::Sign(_))), "{empty:?}");
    let stale = message("hive/alice", 1e12 - 31_000.0, "stale");
    let stale = session.publish(stale).await;
    assert!(
        matches!(stale, Err(SessionError::Refused(Refusal::Clock | Refusal::State))),
        "{stale:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_reads_a_long_history_of_one_account_whole() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    for n in 0..300 {
        world.publish(Item::Message(world.says("hive/alice", &format!("m{n}")))).await;
        advance(Duration::from_secs(40)).await;
    }
    let session = world.reader();
    let joined = caught_up(&session).await;
    drop(joined);
    let want: Vec<_> = (0..300).map(|n| format!("m{n}")).collect();
    assert_eq!(texts(&session).await, want, "whatever its rate and its age");
}

#[tokio::test(start_paused = true)]
async fn forged_messages_and_those_of_changed_keys_are_told_apart() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    let session = world.reader();
    let mut hears = caught_up(&session).await;
    let now = (world.clock)().as_ms().floor();
    world.publish(Item::Message(signed_by("hive/bobby", "hive/alice", now, "forged"))).await;
    world.publish(Item::Message(world.says("hive/alice", "true"))).await;
    assert_eq!(shown(&mut hears).await, "true");
    // The key is changed on the chain during the stream.
    world.chain.set("alice".parse().unwrap(), authority("hive/carol"));
    advance(Duration::from_mins(1)).await;
    let now = (world.clock)().as_ms().floor();
    world
        .publish(Item::Message(signed_by("hive/carol", "hive/alice", now, "with the new key")))
        .await;
    assert_eq!(shown(&mut hears).await, "with the new key");
    advance(Duration::from_mins(1)).await;
    world.publish(Item::Message(world.says("hive/alice", "with the old key"))).await;
    world
        .publish(Item::Message(signed_by("hive/carol", "hive/alice", now + 60_001.0, "end")))
        .await;
    assert_eq!(shown(&mut hears).await, "end");
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_approval_came_counts_once_it_has_come() {
    let world = World::new();
    let session = world.reader();
    let mut hears = caught_up(&session).await;
    world.publish(Item::Message(world.says("hive/alice", "before"))).await;
    world.rule(participant("hive/alice"), 1.0).await;
    assert_eq!(shown(&mut hears).await, "before");
}

#[tokio::test(start_paused = true)]
async fn old_messages_that_come_late_are_read_as_history() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    let session = world.reader();
    let mut hears = caught_up(&session).await;
    // A relay was away for a while: the state is the writer's, the arrival is now.
    let old = message("hive/alice", 1e12 + 1.0, "old");
    advance(Duration::from_secs(90)).await;
    let delayed = Delayed { inner: world.memory.clone(), state: ms(1e12 + 1.0) };
    let late = world.start(delayed, SessionConfig::default());
    let mut late_hears = caught_up(&late).await;
    world.publish(Item::Message(old)).await;
    assert_eq!(shown(&mut late_hears).await, "old");
    world.publish(Item::Message(world.says("hive/alice", "new"))).await;
    assert_eq!(shown(&mut hears).await, "new", "with a state of now, an old time does not count");
}

/// A transport whose items carry an old state.
#[derive(Clone, Debug)]
struct Delayed {
    inner: MemoryChat,
    state: Moment,
}

impl ChatTransport for Delayed {
    async fn publish(&self, stream: &StreamId, item: Item) -> Result<(), BackendError> {
        self.inner.publish(stream, item).await
    }

    async fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, BackendError> {
        let mut page = self.inner.history(stream, from, limit).await?;
        page.items.iter_mut().for_each(|delivery| delivery.state = self.state);
        Ok(page)
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<ChatEvents, BackendError> {
        let (events, state) = (self.inner.subscribe(stream).await?, self.state);
        Ok(Box::pin(events.map(move |event| match event {
            crate::ChatEvent::Came(delivery) => {
                crate::ChatEvent::Came(crate::Delivery { state, ..delivery })
            }
            other => other,
        })))
    }
}

#[derive(Debug, Default)]
struct Names {
    listed: Mutex<Vec<AccountName>>,
    is_down: AtomicBool,
    asked: AtomicUsize,
}

#[derive(Clone, Debug, Default)]
struct Lists(Arc<Names>);

impl Blacklist for Lists {
    async fn names(&self, streamer: &AccountName) -> Result<Vec<AccountName>, BackendError> {
        assert_eq!(streamer.as_str(), "techcoderx");
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        if self.0.is_down.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable { backend: "test", source: "down".into() });
        }
        Ok(self.0.listed.lock().unwrap().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn blacklists_are_asked_every_15_seconds_and_the_last_one_holds() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    let lists = Lists::default();
    let backends = world.backends(world.memory.clone());
    let backends = backends.blacklist(SharedBlacklist::new(lists.clone()));
    let key = "streamers.key".parse().unwrap();
    let session = ChatSession::start(chat(STREAM), key, backends, SessionConfig::default());
    let mut hears = caught_up(&session).await;
    world.publish(Item::Message(world.says("hive/alice", "before"))).await;
    assert_eq!(shown(&mut hears).await, "before", "nobody is on it until it is read");
    lists.0.listed.lock().unwrap().push("alice".parse().unwrap());
    let asked = lists.0.asked.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(lists.0.asked.load(Ordering::Relaxed), asked + 1);
    let refused = session.say(&Wallet("hive/alice"), &account("hive/alice"), "x").await;
    assert!(matches!(refused, Err(SessionError::Refused(_))), "{refused:?}");
    lists.0.is_down.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(40)).await;
    world.publish(Item::Message(world.says("hive/alice", "listed"))).await;
    lists.0.is_down.store(false, Ordering::Relaxed);
    lists.0.listed.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(31)).await;
    world.publish(Item::Message(world.says("hive/alice", "after"))).await;
    assert_eq!(shown(&mut hears).await, "after", "not what was said while listed");
}

#[tokio::test(start_paused = true)]
async fn by_hand_the_streamer_is_asked_once_for_each() {
    let world = World::new();
    let streamer = world.streamer(ApprovalPolicy::ByHand);
    let mut sees = caught_up(&streamer).await;
    let reader = world.reader();
    caught_up(&reader).await;
    reader.ask_access(&Wallet("hive/alice"), &account("hive/alice")).await.unwrap();
    let who = event(&mut sees, |event| match event {
        SessionEvent::Applicant { account, .. } => Some(account.clone()),
        _ => None,
    });
    assert_eq!(who.await, account("hive/alice"));
    assert_eq!(streamer.applicants().await.unwrap(), [(account("hive/alice"), false)]);
    assert_eq!(reader.standing(&account("hive/alice")).await.unwrap(), Standing::Unknown);
    streamer.rule(participant("hive/alice"), 1.0).await.unwrap();
    event(&mut sees, |event| matches!(event, SessionEvent::Ruled(_)).then_some(())).await;
    assert!(streamer.applicants().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_from_before_the_streamer_came_are_answered() {
    let world = World::new();
    let reader = world.reader();
    caught_up(&reader).await;
    reader.ask_access(&Wallet("hive/alice"), &account("hive/alice")).await.unwrap();
    advance(Duration::from_hours(1)).await;
    let streamer = world.streamer(ApprovalPolicy::Automatic);
    let mut sees = streamer.join().await.unwrap();
    let approved = event(&mut sees, |event| match event {
        SessionEvent::Ruled(entry) if entry.rule == participant("hive/alice") => Some(entry.value),
        _ => None,
    });
    assert_eq!(approved.await.to_bits(), 1.0_f64.to_bits());
}

/// A transport that fails when it is told to.
#[derive(Clone, Debug)]
struct Flaky {
    inner: MemoryChat,
    is_down: Arc<AtomicBool>,
    cut: Arc<tokio::sync::Notify>,
}

impl Flaky {
    fn check(&self) -> Result<(), BackendError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable { backend: "test", source: "down".into() });
        }
        Ok(())
    }
}

impl ChatTransport for Flaky {
    async fn publish(&self, stream: &StreamId, item: Item) -> Result<(), BackendError> {
        self.check()?;
        self.inner.publish(stream, item).await
    }

    async fn history(
        &self,
        stream: &StreamId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage, BackendError> {
        self.check()?;
        self.inner.history(stream, from, limit).await
    }

    async fn subscribe(&self, stream: &StreamId) -> Result<ChatEvents, BackendError> {
        self.check()?;
        let (events, cut) = (self.inner.subscribe(stream).await?, Arc::clone(&self.cut));
        Ok(Box::pin(events.take_until(Box::pin(async move { cut.notified().await }))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_comes_back_after_its_transport_and_has_lost_nothing() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    let (is_down, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    let flaky =
        Flaky { inner: world.memory.clone(), is_down: Arc::clone(&is_down), cut: Arc::clone(&cut) };
    let session = world.start(flaky, SessionConfig::default());
    let mut hears = caught_up(&session).await;
    is_down.store(true, Ordering::Relaxed);
    cut.notify_one();
    event(&mut hears, |event| matches!(event, SessionEvent::Disconnected { .. }).then_some(()))
        .await;
    let failed = session.say(&Wallet("hive/alice"), &account("hive/alice"), "lost").await;
    assert!(matches!(failed, Err(SessionError::Transport(_))), "{failed:?}");
    world.publish(Item::Message(world.says("hive/alice", "meanwhile"))).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    is_down.store(false, Ordering::Relaxed);
    assert_eq!(shown(&mut hears).await, "meanwhile");
    world.publish(Item::Message(world.says("hive/alice", "and on"))).await;
    assert_eq!(shown(&mut hears).await, "and on");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_forgeries_holds_up_nobody_for_long() {
    let world = World::new();
    for who in ["hive/alice", "hive/bobby"] {
        world.rule(participant(who), 1.0).await;
    }
    let session = world.reader();
    let mut hears = caught_up(&session).await;
    let flooder = world.memory.as_user(Peer(66), None);
    let now = (world.clock)().as_ms().floor();
    for n in 0..900 {
        let forged = signed_by("hive/carol", "hive/bobby", now, &format!("forged {n}"));
        flooder.publish(&STREAM.parse().unwrap(), Item::Message(forged)).await.unwrap();
    }
    world.publish(Item::Message(world.says("hive/alice", "good"))).await;
    world.publish(Item::Message(world.says("hive/bobby", "also good"))).await;
    let mut heard = [shown(&mut hears).await, shown(&mut hears).await];
    heard.sort();
    assert_eq!(heard, ["also good", "good"]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_too_slow_is_told_and_joins_again() {
    let world = World::new();
    world.rule(participant("hive/alice"), 1.0).await;
    let session = world.reader();
    let mut slow = caught_up(&session).await;
    for n in 0..1100 {
        world.rule(Rule::Word(format!("w{}", n % 900).into()), f64::from(n)).await;
        tokio::task::yield_now().await;
        advance(Duration::from_millis(1)).await;
    }
    world.publish(Item::Message(world.says("hive/alice", "hello"))).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(matches!(slow.events.next().await, Some(SessionUpdate::Missed(_))));
    assert_eq!(texts(&session).await, ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_chain_for_an_account_its_messages_do_not_count() {
    let world = World::new();
    world.rule(participant("avalon/carol"), 1.0).await;
    world.rule(participant("hive/alice"), 1.0).await;
    let session = world.reader();
    let mut hears = caught_up(&session).await;
    world.publish(Item::Message(world.says("avalon/carol", "who knows"))).await;
    world.publish(Item::Message(world.says("hive/alice", "known"))).await;
    assert_eq!(shown(&mut hears).await, "known");
}
