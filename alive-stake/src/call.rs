//! What accounts can ask for, and what comes of it: [`Call`] and [`Effect`].

use std::fmt;

use alive_core::AccountName;

use crate::amount::Amount;

/// Number of a round.
pub type Round = u64;

/// What an account asks for. Some calls belong to one rule set only; the other refuses them as [`OtherRules`].
///
/// [`OtherRules`]: crate::Refusal::OtherRules
/// Source: `spec/livepeer.md`, sections 1.6 and 2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// Bonds `amount` more tokens and points the whole bond at `to`.
    Bond {
        /// Tokens from the caller's balance.
        amount: Amount,
        /// The transcoder.
        to: AccountName,
    },
    /// `mature`: bonds for somebody else, whose the bond then is.
    BondFor {
        /// Tokens from the caller's balance.
        amount: Amount,
        /// Whose bond it becomes.
        owner: AccountName,
        /// The transcoder.
        to: AccountName,
    },
    /// `mature`: adds what was earned to the bond.
    ClaimEarnings,
    /// `mature`: shares fees among a transcoder and its delegators. Only the payment module may.
    Fees {
        /// Who earned them.
        transcoder: AccountName,
        /// How much.
        amount: Amount,
    },
    /// Starts the present round. Anybody may.
    InitializeRound,
    /// `mature`: bonds a lock's tokens again.
    Rebond {
        /// The caller's lock.
        lock: u64,
    },
    /// `mature`: bonds a lock's tokens again when nothing else is bonded.
    RebondFromUnbonded {
        /// The transcoder.
        to: AccountName,
        /// The caller's lock.
        lock: u64,
    },
    /// `milestone-2017`: stops being a transcoder.
    ResignAsTranscoder,
    /// Mints the caller's part of the round's new tokens. Only active transcoders may.
    Reward,
    /// Registers a transcoder (`milestone-2017`) and sets its terms.
    Transcoder {
        /// Part of the reward it keeps: of 1,000,000 (`mature`), in percent (`milestone-2017`).
        reward_cut: u64,
        /// Part of the fees its delegators get, in the same unit.
        fee_share: u64,
        /// Price per segment. `mature` has none of its own: `None` leaves it, a new one is in force from the next round
        /// on and matters to elections only. Under `milestone-2017`, `None` is a price of 0.
        price: Option<Amount>,
    },
    /// Moves tokens to another account.
    Transfer {
        /// Who gets them.
        to: AccountName,
        /// How many.
        amount: Amount,
    },
    /// `mature`: gives a part of the caller's bond to another account.
    TransferBond {
        /// Who gets it.
        receiver: AccountName,
        /// How much.
        amount: Amount,
    },
    /// Takes `amount` out of the bond into a lock (`mature`), or starts the end of the whole bond (`milestone-2017`, where
    /// it must be `None`).
    Unbond {
        /// How much.
        amount: Option<Amount>,
    },
    /// `milestone-2017`: pays out the whole bond after the unbonding period.
    Withdraw,
    /// `mature`: takes collected fees.
    WithdrawFees {
        /// How much.
        amount: Amount,
    },
    /// `mature`: pays out a lock that is due.
    WithdrawStake {
        /// The caller's lock.
        lock: u64,
    },
}

/// What an accepted action did, in order. Whoever follows the effects knows every balance, pool, lock and stake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The round was initialised before: nothing happened (`milestone-2017` reports this as success).
    AlreadyInitialized,
    /// Earnings were added to a bond and to collected fees.
    Claimed {
        /// Whose.
        delegator: AccountName,
        /// Added to its bond.
        rewards: Amount,
        /// Added to its fees.
        fees: Amount,
    },
    /// Fees were shared.
    FeesShared {
        /// Who earned them.
        transcoder: AccountName,
        /// How much.
        amount: Amount,
    },
    /// Fees were paid out.
    FeesWithdrawn {
        /// To whom.
        delegator: AccountName,
        /// How much.
        amount: Amount,
    },
    /// A transcoder came into the active pool.
    Joined {
        /// Who.
        transcoder: AccountName,
        /// With which stake.
        stake: Amount,
    },
    /// A transcoder left the active pool.
    Left {
        /// Who.
        transcoder: AccountName,
    },
    /// A lock is gone: withdrawn, bonded again or given away.
    LockClosed {
        /// Whose.
        owner: AccountName,
        /// Which.
        lock: u64,
    },
    /// Tokens wait in a lock.
    LockOpened {
        /// Whose.
        owner: AccountName,
        /// Which.
        lock: u64,
        /// How many.
        amount: Amount,
        /// The first round in which they can be withdrawn.
        due: Round,
    },
    /// New tokens.
    Minted {
        /// Who holds them.
        to: AccountName,
        /// How many.
        amount: Amount,
    },
    /// A transcoder's terms changed.
    RatesSet {
        /// Whose.
        transcoder: AccountName,
    },
    /// A transcoder called reward.
    Rewarded {
        /// Who.
        transcoder: AccountName,
        /// The tokens minted for it, before the treasury's share.
        minted: Amount,
    },
    /// A round began.
    RoundInitialized {
        /// Which.
        round: Round,
    },
    /// The stake behind an account changed.
    StakeChanged {
        /// The account.
        transcoder: AccountName,
        /// The whole stake that points at it now.
        stake: Amount,
    },
    /// Tokens changed hands.
    Transferred {
        /// From whom.
        from: AccountName,
        /// To whom.
        to: AccountName,
        /// How many.
        amount: Amount,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyInitialized => write!(f, "nothing, it was initialised before"),
            Self::Claimed { delegator, rewards, fees } => {
                write!(f, "{delegator} earned {rewards}")?;
                if fees.is_zero() { Ok(()) } else { write!(f, " and {fees} in fees") }
            }
            Self::FeesShared { transcoder, amount } => {
                write!(f, "fees of {amount} shared by {transcoder}")
            }
            Self::FeesWithdrawn { delegator, amount } => {
                write!(f, "fees of {amount} paid to {delegator}")
            }
            Self::Joined { transcoder, stake } => {
                write!(f, "{transcoder} joined the pool with {stake}")
            }
            Self::Left { transcoder } => write!(f, "{transcoder} left the pool"),
            Self::LockClosed { owner, lock } => write!(f, "lock {lock} of {owner} is gone"),
            Self::LockOpened { owner, lock, amount, due } => {
                write!(f, "lock {lock} of {owner} holds {amount} until round {due}")
            }
            Self::Minted { to, amount } => write!(f, "{amount} minted for {to}"),
            Self::RatesSet { transcoder } => write!(f, "{transcoder} set its terms"),
            Self::Rewarded { transcoder, minted } => write!(f, "{transcoder} rewarded {minted}"),
            Self::RoundInitialized { round } => write!(f, "round {round} begins"),
            Self::StakeChanged { transcoder, stake } => {
                write!(f, "{transcoder} has a stake of {stake}")
            }
            Self::Transferred { from, to, amount } => write!(f, "{amount} from {from} to {to}"),
        }
    }
}
