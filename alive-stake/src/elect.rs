//! Electing one of a round's transcoders by stake: [`RoundSet`] and [`elect`].

use alive_core::AccountName;
use serde::Serialize;

use crate::{
    amount::{Amount, ArithmeticError},
    call::Round,
};

/// The transcoders of one round, in the order and with the stakes of its beginning. It does not change within the round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoundSet {
    round: Round,
    entries: Vec<SetEntry>,
}

/// A transcoder of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the four inputs of an election, and no more")]
pub struct SetEntry {
    /// Who.
    pub id: AccountName,
    /// Its stake in this round, which its chance is proportional to.
    pub stake: Amount,
    /// Its price per segment.
    pub price: Amount,
    /// Whether it can be elected at all.
    pub active: bool,
}

impl SetEntry {
    /// A transcoder that can be elected.
    pub fn new(id: AccountName, stake: Amount, price: Amount) -> Self {
        Self { id, stake, price, active: true }
    }
}

impl RoundSet {
    /// The transcoders of a round.
    pub fn new(round: Round, entries: Vec<SetEntry>) -> Self {
        Self { round, entries }
    }

    /// Which round.
    pub fn round(&self) -> Round {
        self.round
    }

    /// Who, in the order that elections go by.
    pub fn entries(&self) -> &[SetEntry] {
        &self.entries
    }

    /// Those who can be elected at this price, in order.
    pub(crate) fn eligible(&self, max_price: Amount) -> Vec<&SetEntry> {
        self.entries.iter().filter(|entry| entry.active && entry.price <= max_price).collect()
    }
}

/// Elects one of the active transcoders whose price is not above `max_price`, each with the chance of its stake.
///
/// `random` is a number of 256 bits, most significant byte first, that nobody could know when stakes and prices were set:
/// the hash of a block. Nobody is elected when nobody is eligible. Source: `spec/livepeer.md`, section 4.
///
/// # Errors
/// Somebody is eligible but all stakes are 0 ([`ArithmeticError::DivisionByZero`]), or their sum is too large.
///
/// ```
/// use alive_stake::{Amount, RoundSet, SetEntry, elect};
/// let n = |n: u64| Amount::from(n);
/// let alice = SetEntry::new("alice".parse()?, n(100), n(5));
/// let bob = SetEntry::new("bob".parse()?, n(200), n(9));
/// let set = RoundSet::new(7, vec![alice, bob]);
/// let mut random = [0; 32];
/// random[31] = 100; // alice has 0 to 99, bob 100 to 299
/// assert_eq!(elect(&set, n(9), &random)?.map(|e| e.id.as_str()), Some("bob"));
/// assert_eq!(elect(&set, n(5), &random)?.map(|e| e.id.as_str()), Some("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn elect<'a>(
    set: &'a RoundSet,
    max_price: Amount,
    random: &[u8; 32],
) -> Result<Option<&'a SetEntry>, ArithmeticError> {
    let eligible = set.eligible(max_price);
    let at = draw(&eligible, random)?;
    Ok(at.and_then(|at| eligible.get(at).copied()))
}

/// The place of the one whose part of the sum the random number falls into.
pub(crate) fn draw(
    eligible: &[&SetEntry],
    random: &[u8; 32],
) -> Result<Option<usize>, ArithmeticError> {
    if eligible.is_empty() {
        return Ok(None);
    }
    let sum = eligible.iter().try_fold(Amount::ZERO, |sum, entry| sum.plus(entry.stake))?;
    let drawn = Amount::from_be_bytes(*random).modulo(sum)?;
    let mut end = Amount::ZERO;
    for (at, entry) in eligible.iter().enumerate() {
        end = end.plus(entry.stake)?;
        if drawn < end {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
