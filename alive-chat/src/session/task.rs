//! The task of a session. What counts is decided by its engines; it asks, tells and keeps the transport running.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use alive_core::{
    AccountName, LiveKey, Network,
    backend::{BackendError, SharedAccountKeys},
};
use futures_util::{Stream, StreamExt as _, stream, stream::FuturesUnordered};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Joined,
    config::{Outcome, SessionBackends, SessionConfig},
    event::{SessionEvent, SessionEvents},
    keys::{Answer, Asker, Questions},
};
use crate::{
    blacklist::{BLACKLIST_INTERVAL, Blacklist as _},
    desk::{DeskEffect, RequestDesk},
    intake::{self, Peer},
    message::Message,
    moderation::{Entry, Rule, Rulebook},
    moment::Moment,
    networks::Account,
    room::{Room, RoomEffect},
    rules::{Arrival, Refusal, Standing},
    stream_chat::StreamChat,
    transport::{ChatEvent, ChatEvents, ChatTransport as _, Delivery, HistoryPage, Item},
    verified::Verified,
};

/// What handles ask of the task.
#[derive(Debug)]
pub(super) enum Command {
    Applicants(oneshot::Sender<Vec<(Account, bool)>>),
    Archive { keep_banned: bool, done: oneshot::Sender<Vec<Arc<Verified<Message>>>> },
    Join(oneshot::Sender<Joined>),
    Rules(oneshot::Sender<Rulebook>),
    Standing { account: Account, done: oneshot::Sender<Standing> },
}

pub(super) struct Task {
    chat: StreamChat,
    backends: SessionBackends,
    author: Option<LiveKey>,
    room: Room,
    desk: Option<RequestDesk>,
    told: broadcast::Sender<Arc<SessionEvent>>,
    link: Link,
    history: History,
    questions: Questions,
    blacklists: Pin<Box<dyn Stream<Item = Vec<AccountName>> + Send>>,
    blacklist: HashSet<AccountName>,
    approvals: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Accounts whose messages were refused because they do not take part: if they do later, what they said counts.
    turned_away: HashSet<Account>,
    /// How many accepted messages were told of.
    accepted: u64,
}

/// The transport as the task sees it.
enum Link {
    Down { until: Instant },
    Opening(Opening),
    Up { events: ChatEvents, page: Option<Paging> },
}

type Opening = Pin<Box<dyn Future<Output = Result<ChatEvents, BackendError>> + Send>>;
type Paging = Pin<Box<dyn Future<Output = Result<HistoryPage, BackendError>> + Send>>;

/// Reading what was said before.
struct History {
    /// Where to read on.
    next: Next,
    is_reading: bool,
    was_read: bool,
    /// What was read and has not been handed to the room, which takes a little at a time.
    held: VecDeque<Delivery>,
    /// When to read it all anew, because something may have been lost.
    again_at: Option<Instant>,
    pause: Duration,
    suspected_at: Option<Instant>,
    link_pause: Duration,
}

/// Which page of history is next.
#[derive(Clone, Copy)]
enum Next {
    At(u64),
    First,
    Nothing,
}

enum LinkStep {
    Event(Option<ChatEvent>),
    Opened(Result<ChatEvents, BackendError>),
    Page(Result<HistoryPage, BackendError>),
    Retry,
}

enum Step {
    Again,
    Answer(Option<Answer>),
    Approved,
    Blacklist(Option<Vec<AccountName>>),
    Command(Option<Command>),
    Link(LinkStep),
    Work,
}

/// Signatures that are checked before other things get their turn, about a millisecond.
const WORK_AT_ONCE: usize = 32;
/// What history is said to come from, so that it and a flood do not wait for each other.
const HISTORY_PEER: Peer = Peer(u64::MAX);
/// Items of one page of history.
const PAGE: usize = 1000;
/// How many accounts are remembered as turned away.
const MAX_TURNED_AWAY: usize = 10_000;
/// How long after a failure the transport is tried again; each time it takes twice as long.
const FIRST_LINK_PAUSE: Duration = Duration::from_secs(1);
const MAX_LINK_PAUSE: Duration = Duration::from_secs(30);
/// How soon history is read again, because something was lost.
const SOON: Duration = Duration::from_secs(2);
/// How soon it is read again on a mere suspicion, which anybody can raise; each time it takes twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(3);
const MAX_PAUSE: Duration = Duration::from_mins(10);
/// How long a question for a blacklist may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often an approval is tried.
const ATTEMPTS: u32 = 10;

impl Task {
    pub(super) fn new(
        chat: StreamChat,
        streamer_key: LiveKey,
        backends: SessionBackends,
        config: SessionConfig,
        told: broadcast::Sender<Arc<SessionEvent>>,
    ) -> Self {
        let desk = config.approval.filter(|_| config.author.is_some());
        Self {
            room: Room::new(chat.clone(), streamer_key, config.room),
            desk: desk.map(|policy| RequestDesk::new(chat.clone(), policy)),
            blacklists: blacklists(&backends, &chat),
            author: config.author,
            told,
            link: Link::Down { until: Instant::now() },
            history: History::new(),
            questions: Questions::default(),
            blacklist: HashSet::new(),
            approvals: FuturesUnordered::new(),
            turned_away: HashSet::new(),
            accepted: 0,
            chat,
            backends,
        }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        if self.desk.is_some() {
            // The streamer takes part, and says so, as the original does.
            self.approve(self.chat.streamer().clone());
        }
        loop {
            let waiting = self.tend();
            let again_at = self.history.again_at.filter(|_| self.is_idle());
            let step = tokio::select! {
                command = inbox.recv() => Step::Command(command),
                step = self.link.next() => Step::Link(step),
                answer = self.questions.next(), if !self.questions.is_empty() => Step::Answer(answer),
                _ = self.approvals.next(), if !self.approvals.is_empty() => Step::Approved,
                names = self.blacklists.next() => Step::Blacklist(names),
                () = tokio::task::yield_now(), if waiting > 0 => Step::Work,
                () = until(again_at) => Step::Again,
            };
            match step {
                Step::Again => self.history.begin(),
                Step::Answer(answer) => self.answered(answer),
                Step::Approved => {}
                Step::Blacklist(names) => self.blacklisted(names),
                Step::Command(Some(command)) => self.command(command),
                Step::Command(None) => return,
                Step::Link(step) => self.link_step(step),
                Step::Work => {
                    let now = self.now();
                    self.room.handle_work(WORK_AT_ONCE, now);
                }
            }
        }
    }

    /// Carries out what the engines want, and hands on history while they have nothing to do. How many signatures wait.
    fn tend(&mut self) -> usize {
        loop {
            self.drain();
            let now = self.now();
            let waiting = self.room.handle_work(0, now);
            let Link::Up { page, .. } = &mut self.link else { return waiting };
            if waiting > 0 || !self.questions.is_empty() || page.is_some() {
                return waiting;
            }
            if !self.history.held.is_empty() {
                self.feed();
                continue;
            }
            let from = match std::mem::replace(&mut self.history.next, Next::Nothing) {
                Next::At(from) => Some(from),
                Next::First => None,
                Next::Nothing => {
                    if self.history.is_reading {
                        (self.history.is_reading, self.history.was_read) = (false, true);
                        self.tell(SessionEvent::CaughtUp);
                    }
                    return waiting;
                }
            };
            let (transport, id) = (self.backends.transport.clone(), self.chat.id().clone());
            *page = Some(Box::pin(async move { transport.history(&id, from, PAGE).await }));
        }
    }

    /// Whether no history is being read.
    fn is_idle(&self) -> bool {
        matches!(self.link, Link::Up { .. }) && !self.history.is_reading
    }

    /// Hands on as much history as an account may have waiting.
    fn feed(&mut self) {
        let mut messages = 0;
        while messages < intake::MAX_ACCOUNT
            && let Some(delivery) = self.history.held.pop_front()
        {
            messages += usize::from(matches!(delivery.item, Item::Message(_)));
            self.take(Delivery { peer: HISTORY_PEER, ..delivery }, Arrival::History);
        }
    }

    fn drain(&mut self) {
        while self.accepted < self.room.accepted() {
            self.accepted += 1;
            self.backends.outcome(Outcome::Accepted);
        }
        while let Some(effect) = self.room.poll_effect() {
            match effect {
                RoomEffect::AskKeys { account, again } => {
                    let keys = self.keys_of(&account);
                    self.questions.ask(keys, account, again, Asker::Room);
                }
                RoomEffect::Hide { digest, why } => self.tell(SessionEvent::Hide { digest, why }),
                RoomEffect::Refuse { account, why, .. } => self.refused(account, &why),
                RoomEffect::Show(message) => self.tell(SessionEvent::Show(Arc::new(message))),
            }
        }
        while let Some(effect) = self.desk.as_mut().and_then(RequestDesk::poll_effect) {
            match effect {
                DeskEffect::Approve(account) => self.approve(account),
                DeskEffect::AskKeys(account) => {
                    let keys = self.keys_of(&account);
                    self.questions.ask(keys, account, false, Asker::Desk);
                }
                DeskEffect::AskPerson { account, looks_like_streamer } => {
                    self.tell(SessionEvent::Applicant { account, looks_like_streamer });
                }
            }
        }
    }

    fn take(&mut self, delivery: Delivery, arrival: Arrival) {
        let Delivery { peer, item, state } = delivery;
        match item {
            Item::Entry(entry) => self.entry(entry),
            Item::Message(message) => {
                let account = message.account().clone();
                if let Err(why) = self.room.handle_message(peer, message, state, arrival) {
                    self.refused(account, &why);
                }
            }
            Item::Request(request) => {
                let (now, account) = (self.now(), request.account().clone());
                let (standing, blacklisted) = self.standing(&account);
                if let Some(desk) = &mut self.desk
                    && let Err(why) =
                        desk.handle_request(request, state, now, standing, blacklisted)
                {
                    tracing::debug!(%account, %why, "a request does not count");
                }
            }
        }
    }

    fn entry(&mut self, entry: Entry) {
        if !self.room.handle_entry(entry.clone()) {
            return;
        }
        if let Rule::Participant(account) = &entry.rule {
            if let Some(desk) = &mut self.desk {
                desk.handle_decided(account);
            }
            let takes_part = self.room.rules().standing(account) == Standing::Approved;
            if takes_part && self.turned_away.remove(account) {
                self.history.again_in(SOON);
            }
        }
        self.tell(SessionEvent::Ruled(entry));
    }

    /// A message does not count. Where that may be for now only, history is read again.
    fn refused(&mut self, account: Account, why: &Refusal) {
        self.backends.outcome(Outcome::Refused(why));
        match why {
            Refusal::Banned | Refusal::NotParticipant => {
                if self.turned_away.len() < MAX_TURNED_AWAY {
                    self.turned_away.insert(account);
                }
            }
            // From before, and brought only now; or what could not be looked at.
            Refusal::Clock | Refusal::Full | Refusal::Rate("the peer") | Refusal::Unavailable => {
                self.history.suspect();
            }
            _ => tracing::trace!(%account, %why, "a message does not count"),
        }
    }

    fn answered(&mut self, answer: Option<Answer>) {
        let Some(Answer { account, asker, authority }) = answer else { return };
        let now = self.now();
        match (asker, authority) {
            (Asker::Room, Ok(authority)) => {
                self.room.handle_keys(&account, authority.as_ref(), now);
            }
            (Asker::Room, Err(())) => self.room.handle_keys_unavailable(&account),
            (Asker::Desk, authority) => {
                let (standing, blacklisted) = self.standing(&account);
                let Some(desk) = &mut self.desk else { return };
                let Ok(authority) = authority else {
                    desk.handle_keys_unavailable(&account);
                    return self.history.suspect();
                };
                let keys = authority.as_ref();
                if let Err(why) = desk.handle_keys(&account, keys, now, standing, blacklisted) {
                    tracing::debug!(%account, %why, "a request does not count");
                }
            }
        }
    }

    fn blacklisted(&mut self, names: Option<Vec<AccountName>>) {
        let Some(names) = names else { return };
        self.room.handle_blacklist(names.iter().cloned());
        self.blacklist = names.into_iter().collect();
    }

    fn command(&mut self, command: Command) {
        // Who does not wait for his answer any more does not get one.
        match command {
            Command::Applicants(done) => {
                let desk = self.desk.iter().flat_map(RequestDesk::for_person);
                drop(done.send(desk.map(|(account, like)| (account.clone(), like)).collect()));
            }
            Command::Archive { keep_banned, done } => {
                let kept = self.room.archive(keep_banned).cloned().map(Arc::new);
                drop(done.send(kept.collect()));
            }
            Command::Join(done) => {
                let messages = self.room.messages().cloned().map(Arc::new).collect();
                let events = SessionEvents::new(self.told.subscribe());
                let is_caught_up = self.history.was_read;
                drop(done.send(Joined { messages, events, is_caught_up }));
            }
            Command::Rules(done) => drop(done.send(self.room.rules().clone())),
            Command::Standing { account, done } => {
                let (standing, blacklisted) = self.standing(&account);
                let _ = done.send(if blacklisted { Standing::Banned } else { standing });
            }
        }
    }

    fn link_step(&mut self, step: LinkStep) {
        match step {
            LinkStep::Retry => {
                let (transport, id) = (self.backends.transport.clone(), self.chat.id().clone());
                self.link = Link::Opening(Box::pin(async move { transport.subscribe(&id).await }));
            }
            LinkStep::Opened(Ok(events)) => {
                self.link = Link::Up { events, page: None };
                self.history.begin();
                self.tell(SessionEvent::Connected);
            }
            LinkStep::Opened(Err(error)) | LinkStep::Page(Err(error)) => self.fail(&error),
            LinkStep::Event(None) => {
                self.fail(&BackendError::Unavailable {
                    backend: "the chat's transport",
                    source: "the subscription has ended".into(),
                });
            }
            LinkStep::Event(Some(ChatEvent::Came(delivery))) => {
                let arrival = Arrival::Live(self.now());
                self.take(delivery, arrival);
            }
            LinkStep::Event(Some(ChatEvent::Missed(lost))) => {
                tracing::debug!(lost, "the chat came faster than it was read");
                self.history.again_in(SOON);
            }
            LinkStep::Page(Ok(HistoryPage { items, next })) => {
                // The transport works: the next failure is the first one again.
                self.history.link_pause = FIRST_LINK_PAUSE;
                self.history.held.extend(items);
                self.history.next = next.map_or(Next::Nothing, Next::At);
                if let Link::Up { page, .. } = &mut self.link {
                    *page = None;
                }
            }
        }
    }

    fn fail(&mut self, error: &BackendError) {
        let pause = self.history.link_pause;
        self.history.link_pause = (pause * 2).min(MAX_LINK_PAUSE);
        self.link = Link::Down { until: Instant::now() + pause };
        self.history.was_read = false;
        self.tell(SessionEvent::Disconnected { why: causes(error) });
    }

    /// Says that an account takes part, until the transport has taken it.
    fn approve(&mut self, account: Account) {
        let Some(author) = self.author.clone() else { return };
        let (transport, id) = (self.backends.transport.clone(), self.chat.id().clone());
        let rule = Rule::Participant(account);
        let item = Item::Entry(Entry { author, rule, value: 1.0, state: self.now() });
        self.approvals.push(Box::pin(async move {
            let mut pause = FIRST_LINK_PAUSE;
            for _ in 0..ATTEMPTS {
                match transport.publish(&id, item.clone()).await {
                    Ok(()) => return,
                    Err(error) if error.is_transient() => sleep(pause).await,
                    Err(error) => {
                        tracing::warn!(error = causes(&error), "an approval was refused");
                        return;
                    }
                }
                pause = (pause * 2).min(MAX_LINK_PAUSE);
            }
            tracing::warn!("an approval could not be sent");
        }));
    }

    /// What is said about an account, and whether it is on a blacklist.
    fn standing(&self, account: &Account) -> (Standing, bool) {
        let blacklisted =
            account.network() == &Network::hive() && self.blacklist.contains(account.name());
        (self.room.rules().standing(account), blacklisted)
    }

    fn keys_of(&self, account: &Account) -> Option<SharedAccountKeys> {
        self.backends.keys_of(account).cloned()
    }

    fn now(&self) -> Moment {
        (self.backends.clock)()
    }

    fn tell(&self, event: SessionEvent) {
        // Nobody may be listening.
        let _listeners = self.told.send(Arc::new(event));
    }
}

impl Link {
    /// What happens next. Nothing is lost when this is dropped and called again.
    async fn next(&mut self) -> LinkStep {
        match self {
            Self::Down { until } => {
                sleep_until(*until).await;
                LinkStep::Retry
            }
            Self::Opening(opening) => LinkStep::Opened(opening.await),
            Self::Up { events, page: None } => LinkStep::Event(events.next().await),
            Self::Up { events, page: Some(page) } => tokio::select! {
                event = events.next() => LinkStep::Event(event),
                page = page => LinkStep::Page(page),
            },
        }
    }
}

impl History {
    fn new() -> Self {
        Self {
            next: Next::Nothing,
            is_reading: false,
            was_read: false,
            held: VecDeque::new(),
            again_at: None,
            pause: FIRST_PAUSE,
            suspected_at: None,
            link_pause: FIRST_LINK_PAUSE,
        }
    }

    /// Reads all of it, from the beginning.
    fn begin(&mut self) {
        (self.next, self.is_reading, self.again_at) = (Next::First, true, None);
        self.held.clear();
    }

    fn again_in(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.again_at = Some(self.again_at.map_or(at, |sooner| sooner.min(at)));
    }

    /// Reads it again later, unless that is planned already.
    fn suspect(&mut self) {
        if self.again_at.is_none() {
            // After a long calm it is more likely a relay that came back than somebody who wants us to be busy.
            if self.suspected_at.is_none_or(|at| at.elapsed() > MAX_PAUSE) {
                self.pause = FIRST_PAUSE;
            }
            self.suspected_at = Some(Instant::now());
            self.again_in(self.pause);
            self.pause = (self.pause * 2).min(MAX_PAUSE);
        }
    }
}

/// The answers of a blacklist as they come: an empty one until the first, the last one after a failure.
fn blacklists(
    backends: &SessionBackends,
    chat: &StreamChat,
) -> Pin<Box<dyn Stream<Item = Vec<AccountName>> + Send>> {
    let is_hive = chat.streamer().network() == &Network::hive();
    let Some(blacklist) = backends.blacklist.clone().filter(|_| is_hive) else {
        return Box::pin(stream::pending());
    };
    let streamer = chat.streamer().name().clone();
    Box::pin(stream::unfold(true, move |is_first| {
        let (blacklist, streamer) = (blacklist.clone(), streamer.clone());
        async move {
            if !is_first {
                sleep(BLACKLIST_INTERVAL).await;
            }
            loop {
                match timeout(PATIENCE, blacklist.names(&streamer)).await {
                    Ok(Ok(names)) => return Some((names, false)),
                    Ok(Err(error)) => {
                        tracing::debug!(error = causes(&error), "blacklists cannot be read");
                    }
                    Err(_) => tracing::debug!("blacklists cannot be read in time"),
                }
                sleep(BLACKLIST_INTERVAL).await;
            }
        }
    }))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// An error with its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
