//! Why an action was refused: [`Refusal`].

use alive_core::AccountName;

use crate::{amount::Amount, amount::ArithmeticError, call::Round};

/// Why an action was refused. The state is as it was before, but for the block number.
///
/// One variant for each reason of the specification, of both rule sets.
/// Source: `spec/livepeer.md`, sections 1.8 and 2.5.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The transcoder has called reward in this round (`milestone-2017`: in this cycle) before.
    #[error("reward was already called in round {round}")]
    AlreadyRewarded {
        /// The round.
        round: Round,
    },
    /// A number has no result.
    #[error("the amounts give {0}")]
    Arithmetic(#[from] ArithmeticError),
    /// Somebody else would make the account claim before its delegate called reward, and it would lose the reward.
    #[error("the delegate of {0} must call reward first, only then may others make it claim")]
    ClaimNotAllowed(AccountName),
    /// Who bonds for somebody else must keep to that account's delegate.
    #[error("{0} delegates to another account, which only it may change")]
    DelegateNotTheirs(AccountName),
    /// The balance is too small.
    #[error("{account} has {has}, {needed} are needed")]
    InsufficientBalance {
        /// Whose.
        account: AccountName,
        /// What it has.
        has: Amount,
        /// What was to be taken.
        needed: Amount,
    },
    /// The collected fees are less than what was asked for.
    #[error("fees of {has}, {needed} are needed")]
    InsufficientFees {
        /// What there is.
        has: Amount,
        /// What was asked for.
        needed: Amount,
    },
    /// The lock can be withdrawn later.
    #[error("lock {lock} can be withdrawn from round {due} on")]
    LockNotDue {
        /// The lock.
        lock: u64,
        /// The first round in which it can.
        due: Round,
    },
    /// More would be minted than the round allows.
    #[error("the round's mintable tokens are used up")]
    MintLimit,
    /// More is to be unbonded than is bonded.
    #[error("{bonded} is bonded, {amount} is more")]
    MoreThanBonded {
        /// What is bonded.
        bonded: Amount,
        /// What was to be unbonded.
        amount: Amount,
    },
    /// The action names no account where one is needed.
    #[error("no account is named")]
    NoAccount,
    /// The account has no such lock.
    #[error("no lock {0}")]
    NoSuchLock(u64),
    /// The transcoder is not active in this round.
    #[error("{0} is not active in this round")]
    NotActive(AccountName),
    /// The account never bonded to anybody, or has withdrawn.
    #[error("{0} is no delegator")]
    NotADelegator(AccountName),
    /// The account's status is not `bonded`.
    #[error("{0} is not bonded")]
    NotBonded(AccountName),
    /// The transcoder is in neither pool.
    #[error("{0} is in no pool")]
    NotInAnyPool(AccountName),
    /// The transcoder is not in the set of this round.
    #[error("{0} is not in the set of this round")]
    NotInRoundSet(AccountName),
    /// Only the payment module shares fees.
    #[error("{0} is not the payment module")]
    NotPaymentModule(AccountName),
    /// The account is no registered transcoder.
    #[error("{0} is no registered transcoder")]
    NotRegistered(AccountName),
    /// The account has a bond; the call is for accounts without.
    #[error("{0} is bonded")]
    NotUnbonded(AccountName),
    /// The account is not unbonding.
    #[error("{0} is not unbonding")]
    NotUnbonding(AccountName),
    /// The rule set has no such call, or not with these arguments.
    #[error("the rule set has no such call")]
    OtherRules,
    /// The transcoder may call reward in another part of the round.
    #[error(
        "block {block} is outside of the reward window, blocks {from} to {end} without the last"
    )]
    OutsideRewardWindow {
        /// The present block.
        block: u64,
        /// The window's first block.
        from: u64,
        /// The block after the window.
        end: u64,
    },
    /// The unbonding period is not over.
    #[error("the unbonding period is not over")]
    PeriodNotOver,
    /// Both pools are full and the stake is too small.
    #[error("both pools are full")]
    PoolsFull,
    /// The protocol holds less than what it owes.
    #[error("the protocol holds {has}, {needed} are due")]
    ProtocolCannotPay {
        /// What it holds.
        has: Amount,
        /// What it was to pay.
        needed: Amount,
    },
    /// A rate is more than the whole.
    #[error("a rate of {rate}, at most {max} is the whole")]
    RateTooHigh {
        /// The rate.
        rate: u64,
        /// The whole.
        max: u64,
    },
    /// Rates cannot change in the last part of a round.
    #[error("rates are locked in the last part of the round")]
    RatesLocked,
    /// A registered transcoder's bond stays with itself.
    #[error("{0} is a registered transcoder, its bond cannot move")]
    RegisteredCannotMove(AccountName),
    /// The account is the contract's own, nobody acts for it.
    #[error("{0} is the account of the protocol itself")]
    Reserved(AccountName),
    /// An active transcoder sets its rates after it called reward.
    #[error("{0} must call reward in this round first")]
    RewardNotCalled(AccountName),
    /// The round was initialised before.
    #[error("round {0} is initialised")]
    RoundInitialized(Round),
    /// The round is not initialised.
    #[error("round {0} is not initialised")]
    RoundNotInitialized(Round),
    /// Others may not make an account its own delegate.
    #[error("only {0} itself may bond to itself")]
    SelfBondByOther(AccountName),
    /// The action's block lies before that of an earlier action.
    #[error("block {block} lies before block {last}")]
    StaleBlock {
        /// The action's.
        block: u64,
        /// The last one.
        last: u64,
    },
    /// The round is too short for windows of at least one block.
    #[error("the round is too short for a reward window of one block")]
    WindowZero,
    /// The amount must be more than nothing.
    #[error("an amount of zero")]
    ZeroAmount,
}
