//! The limits of a room.

use crate::limits::Rate;

/// The limits of a [`Room`](super::Room).
///
/// ```
/// use alive_chat::{Rate, RoomConfig};
/// let config = RoomConfig::default().max_chars(500).account_rate(Rate::new(0.5, 3.0));
/// assert_ne!(config, RoomConfig::default());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RoomConfig {
    pub(crate) max_chars: usize,
    pub(super) history: usize,
    pub(super) account_rate: Rate,
    pub(super) peer_rate: Rate,
    pub(super) keys_for_ms: f64,
    pub(super) again_after_ms: f64,
    pub(super) blacklist: usize,
}

impl Default for RoomConfig {
    /// 2000 characters, one message a second of an account after a burst of 5, as `spec/alivedb.md`, section 8.3,
    /// suggests. A peer may bring 500 a second, because a relay brings the messages of all. Keys are asked for anew after 10
    /// minutes, and when a signature does not match, but not more often than every 30 seconds.
    fn default() -> Self {
        Self {
            max_chars: 2000,
            history: 10_000,
            account_rate: Rate::new(1.0, 5.0),
            peer_rate: Rate::new(500.0, 1000.0),
            keys_for_ms: 600_000.0,
            again_after_ms: 30_000.0,
            blacklist: 100_000,
        }
    }
}

impl RoomConfig {
    /// Most characters of a message.
    #[must_use]
    pub fn max_chars(mut self, chars: usize) -> Self {
        self.max_chars = chars;
        self
    }

    /// Most messages that are held, at least one; the oldest go first.
    #[must_use]
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages.max(1);
        self
    }

    /// How often an account may say something. Only good signatures count, so nobody can use up the rate of another.
    #[must_use]
    pub fn account_rate(mut self, rate: Rate) -> Self {
        self.account_rate = rate;
        self
    }

    /// How many messages a peer may bring unasked.
    #[must_use]
    pub fn peer_rate(mut self, rate: Rate) -> Self {
        self.peer_rate = rate;
        self
    }
}
