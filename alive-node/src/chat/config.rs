//! How many chats a node follows, and how much visitors may send: [`ChatConfig`].

use std::{num::NonZeroU32, time::Duration};

use crate::config::Rate;

/// Settings of [`ChatRooms`](super::ChatRooms).
///
/// ```
/// use alive_node::ChatConfig;
/// let config = ChatConfig::default().chats(10);
/// assert_eq!((config.chats, config.shown), (10, 200));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatConfig {
    /// How many chats are followed at once. When all are being looked at, visitors of another one are told to come later.
    pub chats: usize,
    /// How many of the last messages a visitor is shown when he comes.
    pub shown: usize,
    /// How long a chat is followed that nobody looks at.
    pub idle: Duration,
    /// How often an address may send something, messages and requests together, before any signature is looked at;
    /// `None` is without limit. The machine itself has none.
    pub rate: Option<Rate>,
}

impl ChatConfig {
    /// Sets how many chats are followed at once, at least one.
    #[must_use]
    pub fn chats(self, chats: usize) -> Self {
        Self { chats: chats.max(1), ..self }
    }

    /// Sets how many messages are shown, at least one.
    #[must_use]
    pub fn shown(self, shown: usize) -> Self {
        Self { shown: shown.max(1), ..self }
    }

    /// Sets how long a chat is followed that nobody looks at.
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Sets how often an address may send something.
    #[must_use]
    pub fn rate(self, rate: Option<Rate>) -> Self {
        Self { rate, ..self }
    }
}

impl Default for ChatConfig {
    /// 64 chats of 200 messages, five minutes; four times a second and 40 at once: an account may speak once a second, and
    /// an address may hide a household.
    fn default() -> Self {
        const PER_SECOND: NonZeroU32 = NonZeroU32::new(4).unwrap();
        const BURST: NonZeroU32 = NonZeroU32::new(40).unwrap();
        Self {
            chats: 64,
            shown: 200,
            idle: Duration::from_mins(5),
            rate: Some(Rate { per_second: PER_SECOND, burst: BURST }),
        }
    }
}
