//! What a session runs on: [`SessionBackends`], [`SessionConfig`].

use std::{fmt, sync::Arc, time::SystemTime};

use alive_core::{
    LiveKey,
    backend::{AccountKeys as _, SharedAccountKeys},
};

use crate::{
    approval::ApprovalPolicy, blacklist::SharedBlacklist, limits::Rate, moment::Moment,
    networks::Account, room::RoomConfig, rules::Refusal, transport::SharedChatTransport,
};

/// The outside world of a [`ChatSession`](super::ChatSession).
#[derive(Clone)]
pub struct SessionBackends {
    pub(super) transport: SharedChatTransport,
    pub(super) keys: Vec<SharedAccountKeys>,
    pub(super) blacklist: Option<SharedBlacklist>,
    pub(super) clock: Arc<dyn Fn() -> Moment + Send + Sync>,
    outcomes: Option<Outcomes>,
}

type Outcomes = Arc<dyn Fn(Outcome<'_>) + Send + Sync>;

/// What became of a message, whoever brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<'r> {
    /// It passed all checks.
    Accepted,
    /// It does not count. What is read again, because something may have been lost, is a
    /// [`Duplicate`](Refusal::Duplicate).
    Refused(&'r Refusal),
}

impl SessionBackends {
    /// This transport, the system's clock, and no chain yet.
    pub fn new(transport: SharedChatTransport) -> Self {
        let clock = Arc::new(system_clock);
        Self { transport, keys: Vec::new(), blacklist: None, clock, outcomes: None }
    }

    /// Adds a chain that tells the keys of its accounts. Bring one that remembers answers, such as
    /// [`CachedAccountKeys`](alive_core::CachedAccountKeys). Accounts of a network without one cannot be verified.
    #[must_use]
    pub fn keys(mut self, keys: SharedAccountKeys) -> Self {
        self.keys.push(keys);
        self
    }

    /// Honours the blacklists that the streamer follows, asked every [`BLACKLIST_INTERVAL`](crate::BLACKLIST_INTERVAL).
    /// Only streams of Hive have them.
    #[must_use]
    pub fn blacklist(mut self, blacklist: SharedBlacklist) -> Self {
        self.blacklist = Some(blacklist);
        self
    }

    /// Takes another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells what becomes of every message, so that it can be counted. It is called by the task that follows the chat, for
    /// each message of a flood, too: it must return at once.
    #[must_use]
    pub fn outcomes(mut self, told: impl Fn(Outcome<'_>) + Send + Sync + 'static) -> Self {
        self.outcomes = Some(Arc::new(told));
        self
    }

    pub(super) fn outcome(&self, outcome: Outcome<'_>) {
        if let Some(told) = &self.outcomes {
            told(outcome);
        }
    }

    pub(super) fn keys_of(&self, account: &Account) -> Option<&SharedAccountKeys> {
        self.keys.iter().find(|keys| keys.network() == account.network())
    }
}

impl fmt::Debug for SessionBackends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut this = f.debug_struct("SessionBackends");
        this.field("transport", &self.transport).field("keys", &self.keys);
        this.field("blacklist", &self.blacklist).finish_non_exhaustive()
    }
}

/// The time of the system, in whole milliseconds.
pub fn system_clock() -> Moment {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
    Moment::EPOCH.after_ms(since.as_millis() as f64)
}

/// Settings of a [`ChatSession`](super::ChatSession).
///
/// ```
/// use alive_chat::{ApprovalPolicy, SessionConfig};
/// let streamer = SessionConfig::default().author("streamers.key".parse()?);
/// let streamer = streamer.approval(ApprovalPolicy::ByHand);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The limits of the room.
    pub room: RoomConfig,
    /// The user space that this session writes rules into, if it has its keys.
    pub author: Option<LiveKey>,
    /// How requests are decided, if this is the streamer's side.
    pub approval: Option<ApprovalPolicy>,
}

impl Default for SessionConfig {
    /// A reader. What one relay brings comes from many people, so a peer may bring 8000 messages a second: a third of what one
    /// core verifies.
    fn default() -> Self {
        let room = RoomConfig::default().peer_rate(Rate::new(8000.0, 8000.0));
        Self { room, author: None, approval: None }
    }
}

impl SessionConfig {
    /// Sets [`room`](Self::room).
    #[must_use]
    pub fn room(self, room: RoomConfig) -> Self {
        Self { room, ..self }
    }

    /// Sets [`author`](Self::author).
    #[must_use]
    pub fn author(self, author: LiveKey) -> Self {
        Self { author: Some(author), ..self }
    }

    /// Sets [`approval`](Self::approval).
    #[must_use]
    pub fn approval(self, policy: ApprovalPolicy) -> Self {
        Self { approval: Some(policy), ..self }
    }
}
