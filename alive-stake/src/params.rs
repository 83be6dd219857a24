//! What a deployment chooses: the rule set, its parameters and the tokens to begin with.

use std::{collections::BTreeMap, num::NonZeroU64};

use alive_core::AccountName;

use crate::amount::Amount;

/// The whole of the rates in `mature`: 1,000,000. Source: `spec/livepeer.md`, section 2.1.
pub const RATE_WHOLE: u64 = 1_000_000;
/// The whole of inflation and bonding rates: 1,000,000,000. Source: as above.
pub const INFLATION_WHOLE: u64 = 1_000_000_000;
/// The whole of cumulative factors and of the treasury's rate: 10^27. Source: as above.
pub const FACTOR_WHOLE: Amount = Amount::new(1_000_000_000_000_000_000_000_000_000);
/// The smallest units of one whole token: 10^18. Source: `spec/livepeer.md`, section 1.1.
pub const TOKEN: Amount = Amount::new(1_000_000_000_000_000_000);

/// How a stake ledger begins.
///
/// ```
/// use alive_stake::{MatureParams, Params, Rules, Stake, TOKEN};
/// let mut rules = MatureParams::default();
/// rules.num_active = 4;
/// let params = Params::new(Rules::Mature(rules)).with_balance("alice".parse()?, TOKEN);
/// assert_eq!(Stake::new(params)?.supply(), TOKEN);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    pub(crate) rules: Rules,
    pub(crate) deploy_block: u64,
    pub(crate) genesis: BTreeMap<AccountName, Amount>,
}

impl Params {
    /// A ledger that begins at block 0, without tokens.
    pub fn new(rules: Rules) -> Self {
        Self { rules, deploy_block: 0, genesis: BTreeMap::new() }
    }

    /// The block at which it begins.
    #[must_use]
    pub fn deployed_at(mut self, block: u64) -> Self {
        self.deploy_block = block;
        self
    }

    /// Tokens that an account has from the beginning. The supply begins as the sum of all.
    #[must_use]
    pub fn with_balance(mut self, account: AccountName, amount: Amount) -> Self {
        self.genesis.insert(account, amount);
        self
    }

    /// The rule set.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

/// A rule set with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// The rules as they grew up: the ones to use.
    Mature(MatureParams),
    /// The rules of the first milestone, with their defects: for study and for proof.
    Milestone2017(MilestoneParams),
}

impl Default for Rules {
    fn default() -> Self {
        Self::Mature(MatureParams::default())
    }
}

/// Parameters of the rule set `mature`; the defaults are those of the deployment that the specification describes.
/// Source: `spec/livepeer.md`, section 2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MatureParams {
    /// Transcoders in the pool.
    pub num_active: u64,
    /// Blocks in a round.
    pub round_length: NonZeroU64,
    /// The last part of a round, in which rates cannot change, of [`RATE_WHOLE`].
    pub round_lock_amount: u64,
    /// Rounds until a lock can be withdrawn.
    pub unbonding_period: u64,
    /// New tokens in a round as a part of the supply, of [`INFLATION_WHOLE`]. A network without a token of its own sets
    /// this and the change to 0.
    pub inflation: u64,
    /// By how much inflation changes in each round, of [`INFLATION_WHOLE`].
    pub inflation_change: u64,
    /// The part of the supply that should be bonded, of [`INFLATION_WHOLE`]: below it, inflation grows.
    pub target_bonding_rate: u64,
    /// The treasury's part of new tokens, of [`FACTOR_WHOLE`].
    pub treasury_reward_cut_rate: Amount,
    /// The treasury gets no more when it has so much; 0 is no ceiling.
    pub treasury_balance_ceiling: Amount,
    /// A transcoder's own bond without which it does not get into the pool. Our extension; 0 is the reference's rule.
    pub min_self_bond: Amount,
    /// The account that holds bonded and new tokens. Nobody acts for it.
    pub minter: AccountName,
    /// The account that shares fees.
    pub payment_module: AccountName,
    /// The account of the treasury.
    pub treasury: AccountName,
}

impl Default for MatureParams {
    fn default() -> Self {
        Self {
            num_active: 100,
            round_length: const { NonZeroU64::new(5760).unwrap() },
            round_lock_amount: 100_000,
            unbonding_period: 7,
            inflation: 218_500,
            inflation_change: 500,
            target_bonding_rate: 500_000_000,
            treasury_reward_cut_rate: Amount::new(100_000_000_000_000_000_000_000_000),
            treasury_balance_ceiling: Amount::new(750_000_000_000_000_000_000_000),
            min_self_bond: Amount::ZERO,
            minter: constant_name("minter"),
            payment_module: constant_name("broker"),
            treasury: constant_name("treasury"),
        }
    }
}

/// Parameters of the rule set `milestone-2017`; the defaults are those of its deploy script.
/// Source: `spec/livepeer.md`, section 1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MilestoneParams {
    /// Transcoders in the active pool.
    pub n: u64,
    /// Transcoders in the candidate pool.
    pub candidate_size: u64,
    /// Blocks in a round.
    pub round_length: NonZeroU64,
    /// How often each transcoder may call reward in a round.
    pub cycles_per_round: u64,
    /// Rounds until a bond can be withdrawn.
    pub unbonding_period: u64,
    /// Seconds between blocks; only inflation uses it.
    pub block_time: u64,
    /// The supply that inflation is a part of, whatever the supply is.
    pub initial_token_supply: Amount,
    /// New tokens in a year, in percent of the above.
    pub yearly_inflation_pct: u64,
    /// The account that holds bonded and new tokens. Nobody acts for it.
    pub protocol: AccountName,
}

impl Default for MilestoneParams {
    fn default() -> Self {
        Self {
            n: 1,
            candidate_size: 1,
            round_length: const { NonZeroU64::new(50).unwrap() },
            cycles_per_round: 2,
            unbonding_period: 2,
            block_time: 1,
            initial_token_supply: Amount::new(10_000_000_000_000_000_000_000_000),
            yearly_inflation_pct: 26,
            protocol: constant_name("protocol"),
        }
    }
}

/// Parameters that make no ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// The balances to begin with are more than 256 bits.
    #[error("the balances to begin with are more than 256 bits")]
    Genesis,
    /// A fraction is more than its whole.
    #[error("{name} is {value}, at most {whole} is the whole")]
    Fraction {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        value: Amount,
        /// The most it can be.
        whole: Amount,
    },
    /// Two of the accounts with a meaning are the same, or the protocol's has tokens to begin with.
    #[error("account {0} cannot be that of the protocol and something else")]
    Reserved(AccountName),
}

impl Params {
    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), ParamsError> {
        let holder = match &self.rules {
            Rules::Mature(rules) => {
                let fraction = |name, value: Amount, whole: Amount| {
                    let error = ParamsError::Fraction { name, value, whole };
                    if value > whole { Err(error) } else { Ok(()) }
                };
                let (rate, billion) = (Amount::from(RATE_WHOLE), Amount::from(INFLATION_WHOLE));
                fraction("round_lock_amount", rules.round_lock_amount.into(), rate)?;
                fraction("inflation", rules.inflation.into(), billion)?;
                fraction("inflation_change", rules.inflation_change.into(), billion)?;
                fraction("target_bonding_rate", rules.target_bonding_rate.into(), billion)?;
                let treasury_rate = rules.treasury_reward_cut_rate;
                fraction("treasury_reward_cut_rate", treasury_rate, FACTOR_WHOLE)?;
                if rules.minter == rules.treasury || rules.minter == rules.payment_module {
                    return Err(ParamsError::Reserved(rules.minter.clone()));
                }
                &rules.minter
            }
            Rules::Milestone2017(rules) => &rules.protocol,
        };
        if self.genesis.contains_key(holder) {
            return Err(ParamsError::Reserved(holder.clone()));
        }
        let sum = self.genesis.values().try_fold(Amount::ZERO, |sum, amount| sum.plus(*amount));
        sum.map(drop).map_err(|_| ParamsError::Genesis)
    }
}

#[expect(
    clippy::expect_used,
    reason = "the names are constants of this file, each within the limits"
)]
fn constant_name(name: &str) -> AccountName {
    name.parse().expect("between 1 and 256 bytes")
}
