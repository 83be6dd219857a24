//! When a message or a request counts, apart from its signature: [`Standing`], [`Refusal`] and the rules of time.

use crate::{message::Message, moment::Moment, request::AccessRequest};

/// How far the time of a message may be from the state that carries it, and in live chat from the clock of the reader,
/// either way; in milliseconds, the bound included. Source: `spec/alivedb.md`, section 8.3.
pub const MAX_DRIFT_MS: f64 = 30_000.0;

/// How far in the future the time of a request may be, in milliseconds, the bound included. Source: `spec/alivedb.md`,
/// section 8.4.
pub const MAX_REQUEST_AHEAD_MS: f64 = 10_000.0;

/// What the streamer's side says about an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these and no others")]
pub enum Standing {
    /// It may write.
    Approved,
    /// It may not write, and a request does not change that.
    Banned,
    /// Nothing was said.
    #[default]
    Unknown,
}

impl Standing {
    /// What the value of a participants entry means: 0 is banned, anything else approved, absent unknown. Source:
    /// `spec/alivedb.md`, section 8.1.
    pub fn from_entry(value: Option<f64>) -> Self {
        match value {
            None => Self::Unknown,
            Some(0.0) => Self::Banned,
            Some(_) => Self::Approved,
        }
    }
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a message is new or it is not")]
pub enum Arrival {
    /// Out of what was said before: its time is not compared with the clock.
    History,
    /// Just now, by the clock of this reader.
    Live(Moment),
}

/// Checks the times of a message: against the state that carries it, and in live chat against the clock.
///
/// # Errors
/// [`Refusal::State`] or [`Refusal::Clock`].
pub fn check_message_time(
    message: &Message,
    state: Moment,
    arrival: Arrival,
) -> Result<(), Refusal> {
    if message.time().distance(state) > MAX_DRIFT_MS {
        return Err(Refusal::State);
    }
    match arrival {
        Arrival::Live(now) if message.time().distance(now) > MAX_DRIFT_MS => Err(Refusal::Clock),
        Arrival::Live(_) | Arrival::History => Ok(()),
    }
}

/// Checks the times of a request: against the state that carries it, and that it is not from the future. Requests do not
/// grow old.
///
/// # Errors
/// [`Refusal::State`] or [`Refusal::Clock`].
pub fn check_request_time(
    request: &AccessRequest,
    state: Moment,
    now: Moment,
) -> Result<(), Refusal> {
    if request.time().distance(state) > MAX_DRIFT_MS {
        return Err(Refusal::State);
    }
    if request.time().since(now) > MAX_REQUEST_AHEAD_MS {
        return Err(Refusal::Clock);
    }
    Ok(())
}

/// Checks that an account may write.
///
/// # Errors
/// [`Refusal::Banned`], [`Refusal::Blacklisted`] or [`Refusal::NotParticipant`].
pub fn check_sender(standing: Standing, blacklisted: bool) -> Result<(), Refusal> {
    match standing {
        Standing::Banned => Err(Refusal::Banned),
        _ if blacklisted => Err(Refusal::Blacklisted),
        Standing::Approved => Ok(()),
        Standing::Unknown => Err(Refusal::NotParticipant),
    }
}

/// Why a message or a request does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The account takes part already.
    #[error("the account takes part already")]
    Approved,
    /// The account is banned.
    #[error("the account is banned")]
    Banned,
    /// The account is on a blacklist that the streamer follows.
    #[error("the account is on a blacklist that the streamer follows")]
    Blacklisted,
    /// Its time is too far from the clock.
    #[error("its time is too far from the clock")]
    Clock,
    /// It has been seen.
    #[error("it has been seen")]
    Duplicate,
    /// There is no room for it now.
    #[error("too much is waiting to be checked")]
    Full,
    /// The signature is by a key that the account does not have.
    #[error("signed by a key that the account does not have")]
    Key,
    /// The text is too long for this room.
    #[error("text of {len} characters, at most {max} allowed")]
    Long {
        /// Its length in characters.
        len: usize,
        /// The greatest that is taken.
        max: usize,
    },
    /// The chain has no such account.
    #[error("there is no such account")]
    NoAccount,
    /// The streamer's side has not approved the account.
    #[error("the account does not take part")]
    NotParticipant,
    /// It is older than what this room still holds.
    #[error("it is older than what is still held")]
    Old,
    /// The account or the peer sends too much.
    #[error("{0} sends too much")]
    Rate(&'static str),
    /// The signature is none.
    #[error("its signature")]
    Signature(#[from] alive_core::backend::SignatureError),
    /// Its time is too far from the state that carries it.
    #[error("its time is more than 30 s from the state that carries it")]
    State,
    /// The keys of the account cannot be had.
    #[error("the keys of the account cannot be had")]
    Unavailable,
}

impl Refusal {
    /// A short name without details, `snake_case`: the same for all refusals of a kind, so that they can be counted.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Banned => "banned",
            Self::Blacklisted => "blacklisted",
            Self::Clock => "clock",
            Self::Duplicate => "duplicate",
            Self::Full => "full",
            Self::Key => "key",
            Self::Long { .. } => "long",
            Self::NoAccount => "no_account",
            Self::NotParticipant => "not_participant",
            Self::Old => "old",
            Self::Rate(_) => "rate",
            Self::Signature(_) => "signature",
            Self::State => "state",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::{message, ms, request};

    #[rstest]
    #[case(100_000.0, None, Ok(()))]
    #[case(130_000.0, None, Ok(()))]
    #[case(130_000.001, None, Err(Refusal::State))]
    #[case(70_000.0, None, Ok(()))]
    #[case(69_999.0, None, Err(Refusal::State))]
    #[case(100_000.0, Some(130_000.0), Ok(()))]
    #[case(100_000.0, Some(130_001.0), Err(Refusal::Clock))]
    #[case(100_000.0, Some(69_999.0), Err(Refusal::Clock))]
    #[case(-1e300, None, Err(Refusal::State))]
    fn thirty_seconds_either_way(
        #[case] state: f64,
        #[case] now: Option<f64>,
        #[case] want: Result<(), Refusal>,
    ) {
        let message = message("hive/alice", 100_000.0, "hello");
        let arrival = now.map_or(Arrival::History, |now| Arrival::Live(ms(now)));
        assert_eq!(check_message_time(&message, ms(state), arrival), want);
    }

    #[rstest]
    #[case(100_000.0, 90_000.0, Ok(()))]
    #[case(100_000.0, 89_999.0, Err(Refusal::Clock))]
    #[case(130_001.0, 100_000.0, Err(Refusal::State))]
    #[case(100_000.0, 1e12, Ok(()))]
    fn requests_keep_but_are_not_from_the_future(
        #[case] state: f64,
        #[case] now: f64,
        #[case] want: Result<(), Refusal>,
    ) {
        let request = request("hive/alice", 100_000.0);
        assert_eq!(check_request_time(&request, ms(state), ms(now)), want);
    }

    #[test]
    fn entries_mean_what_the_original_lays_down() {
        assert_eq!(Standing::from_entry(None), Standing::Unknown);
        assert_eq!(Standing::from_entry(Some(-0.0)), Standing::Banned);
        assert_eq!(Standing::from_entry(Some(0.5)), Standing::Approved);
        assert_eq!(check_sender(Standing::Banned, true), Err(Refusal::Banned));
        assert_eq!(check_sender(Standing::Approved, true), Err(Refusal::Blacklisted));
        assert_eq!(check_sender(Standing::Unknown, false), Err(Refusal::NotParticipant));
        assert_eq!(check_sender(Standing::Approved, false), Ok(()));
    }
}
