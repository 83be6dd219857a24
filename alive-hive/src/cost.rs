//! What the chain takes for a transaction: resource credits, by hived's formula in whole numbers.
//!
//! Nobody pays fees on Hive. Every account has resource credits (RC) that a transaction uses up and that come back
//! within five days. What a transaction takes is counted in five kinds of [`Resource`]; each has a price that rises as
//! the chain's common pool of it runs low. [`ObjectSizes`] counts what a transaction uses, [`Prices`] turns that into
//! credits, [`Manabar`] tells what an account has. [`StreamPlan`] counts
//! and prices a whole stream, and [`Forecast`] tells whether an account can pay for it.
//!
//! Everything here is a pure function of numbers that a node tells. Source: `spec/hive.md`, section 7.

mod answer;
mod forecast;
mod mana;
mod plan;
mod sizes;

use std::num::NonZeroU64;

pub use answer::{RcParams, RcSnapshot, total_vesting_shares};
pub use forecast::Forecast;
pub use mana::{Manabar, REGENERATION_SECS};
pub use plan::{CostItem, PlanError, StreamCost, StreamPlan};
pub use sizes::ObjectSizes;

/// Blocks in the time in which all credits come back: 5 days of 3 seconds. Source: `spec/hive.md`, section 7.
const REGENERATION_BLOCKS: u64 = 144_000;
/// A whole, as the chain counts shares of it.
const BASIS_POINTS: NonZeroU64 = NonZeroU64::new(10_000).unwrap();

/// A kind of resource that transactions use up, numbered as the chain numbers them.
///
/// Source: `spec/hive.md`, section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Resource {
    /// Bytes in blocks, kept for ever.
    HistoryBytes,
    /// Accounts made without paying for them.
    NewAccounts,
    /// Bytes in blocks of transactions that move funds.
    MarketBytes,
    /// Bytes in a node's memory times the hours that they stay there.
    StateBytes,
    /// Nanoseconds of a node's processor.
    ExecutionTime,
}

impl Resource {
    /// All of them, in the chain's order.
    pub const ALL: [Self; 5] = [
        Self::HistoryBytes,
        Self::NewAccounts,
        Self::MarketBytes,
        Self::StateBytes,
        Self::ExecutionTime,
    ];

    /// Its name in the answers of `rc_api`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HistoryBytes => "resource_history_bytes",
            Self::NewAccounts => "resource_new_accounts",
            Self::MarketBytes => "resource_market_bytes",
            Self::StateBytes => "resource_state_bytes",
            Self::ExecutionTime => "resource_execution_time",
        }
    }
}

/// One value for each [`Resource`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerResource<T> {
    /// Of [`Resource::HistoryBytes`].
    pub history_bytes: T,
    /// Of [`Resource::NewAccounts`].
    pub new_accounts: T,
    /// Of [`Resource::MarketBytes`].
    pub market_bytes: T,
    /// Of [`Resource::StateBytes`].
    pub state_bytes: T,
    /// Of [`Resource::ExecutionTime`].
    pub execution_time: T,
}

impl<T> PerResource<T> {
    /// The value that `make` gives for each.
    pub fn from_fn(mut make: impl FnMut(Resource) -> T) -> Self {
        Self {
            history_bytes: make(Resource::HistoryBytes),
            new_accounts: make(Resource::NewAccounts),
            market_bytes: make(Resource::MarketBytes),
            state_bytes: make(Resource::StateBytes),
            execution_time: make(Resource::ExecutionTime),
        }
    }

    /// The value of one.
    pub fn get(&self, resource: Resource) -> &T {
        match resource {
            Resource::HistoryBytes => &self.history_bytes,
            Resource::NewAccounts => &self.new_accounts,
            Resource::MarketBytes => &self.market_bytes,
            Resource::StateBytes => &self.state_bytes,
            Resource::ExecutionTime => &self.execution_time,
        }
    }

    /// The values with their resources, in the chain's order.
    pub fn iter(&self) -> impl Iterator<Item = (Resource, &T)> {
        Resource::ALL.into_iter().map(|resource| (resource, self.get(resource)))
    }
}

/// How the price of a resource follows its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceCurve {
    /// Height of the curve, to be shifted.
    pub coeff_a: u64,
    /// How much is added to the pool, so that an empty one has a price.
    pub coeff_b: NonZeroU64,
    /// By how many bits the height is shifted down.
    pub shift: u8,
}

impl PriceCurve {
    /// Credits for `amount` units of a resource, of which `pool` are left and to which `regen` of the credits that come
    /// back with every block belong. An overdrawn pool counts as empty.
    ///
    /// Exactly hived's rounding: up, and never nothing for something. Where its 128 bits would overflow, which no
    /// chain's numbers come near, this is the largest number instead. Source: `spec/hive.md`, section 7.
    pub fn cost(&self, pool: i64, amount: u64, regen: u64) -> u64 {
        if amount == 0 || regen == 0 {
            return 0;
        }
        let height = u128::from(regen) * u128::from(self.coeff_a);
        let height = height.checked_shr(self.shift.into()).unwrap_or(0).saturating_add(1);
        let pool = u64::try_from(pool).unwrap_or(0);
        let below = u128::from(self.coeff_b.get()) + u128::from(pool);
        let cost = height.saturating_mul(amount.into()) / below;
        u64::try_from(cost).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// How the chain refills the pool of a resource. Prices do not need it; a node of a chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolDynamics {
    /// What is added with every block.
    pub budget_per_time_unit: u64,
    /// What decays with every block, to be shifted.
    pub decay_per_time_unit: u64,
    /// By how many bits the decay is shifted down.
    pub decay_shift: u8,
    /// Most that the pool holds.
    pub max_pool_size: u64,
    /// Least that decays.
    pub min_decay: u64,
    /// What the pool holds when nothing is used.
    pub pool_eq: u64,
}

/// What the chain fixes for one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceParams {
    /// How its price follows its pool.
    pub curve: PriceCurve,
    /// How its pool is refilled.
    pub dynamics: PoolDynamics,
    /// How many units of the pool one thing of it takes.
    pub unit: u64,
}

/// Which part of the credits that come back belongs to each resource: its weight of the divisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// The whole.
    pub divisor: NonZeroU64,
    /// The part of each; that of new accounts is always the whole, beside the others.
    pub weights: PerResource<u64>,
}

impl Shares {
    /// Shares in hundredths of a percent, as nodes tell them. The chain itself counts finer, so that a cost by these is
    /// off by up to a few parts in ten thousand, more for a resource of a small share.
    pub fn of_basis_points(weights: PerResource<u64>) -> Self {
        Self { divisor: BASIS_POINTS, weights }
    }

    fn regen(&self, resource: Resource, regen: u64) -> u64 {
        let part = u128::from(regen) * u128::from(*self.weights.get(resource));
        u64::try_from(part / u128::from(self.divisor.get())).unwrap_or(u64::MAX)
    }
}

/// What resources cost at one moment.
///
/// ```
/// use alive_hive::cost::{PerResource, Prices};
/// let prices = Prices::mainnet_example();
/// let used = PerResource { history_bytes: 300, execution_time: 102_296, ..PerResource::default() };
/// let cost = prices.cost(&used);
/// assert_eq!(cost.total, cost.by_resource.history_bytes + cost.by_resource.execution_time);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// What the chain fixes.
    pub params: PerResource<ResourceParams>,
    /// What is left in each pool; it may be overdrawn.
    pub pools: PerResource<i64>,
    /// Credits that come back to all accounts together with every block.
    pub regen: u64,
    /// Which part of them belongs to each resource.
    pub shares: Shares,
}

impl Prices {
    /// The credits that come back with every block on a chain with so many vesting shares, in millionths of VESTS.
    ///
    /// Source: `spec/hive.md`, section 7.
    pub const fn regen_of(total_vesting_shares: u64) -> u64 {
        total_vesting_shares / REGENERATION_BLOCKS
    }

    /// Credits for what is used. Nothing costs anything on a chain to which no credits come back.
    pub fn cost(&self, used: &PerResource<u64>) -> Cost {
        let by_resource = PerResource::from_fn(|resource| {
            let params = self.params.get(resource);
            let amount = used.get(resource).saturating_mul(params.unit);
            let regen = self.shares.regen(resource, self.regen);
            params.curve.cost(*self.pools.get(resource), amount, regen)
        });
        let total = by_resource.iter().fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost));
        Cost { by_resource, total }
    }
}

/// Credits that a transaction takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// For each resource.
    pub by_resource: PerResource<u64>,
    /// Altogether.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A post that the main chain refused on 2026-08-14, with what it would have cost: the node says both.
    const USED: PerResource<u64> = PerResource {
        history_bytes: 46_620,
        new_accounts: 0,
        market_bytes: 0,
        state_bytes: 4_241_216,
        execution_time: 166_965,
    };
    const COST: PerResource<u64> = PerResource {
        history_bytes: 22_650_133_776,
        new_accounts: 0,
        market_bytes: 0,
        state_bytes: 650_978_626,
        execution_time: 37_787_507,
    };

    #[test]
    fn the_cost_is_what_the_main_chain_said_but_for_the_rounding_of_the_shares() {
        let cost = Prices::mainnet_example().cost(&USED);
        for (resource, said) in COST.iter() {
            let off = cost.by_resource.get(resource).abs_diff(*said);
            // Shares and pools are those of the day's start, so a few parts in a thousand are the best there is.
            assert!(off * 100 <= *said * 3, "{resource:?}: {cost:?}");
        }
        assert!(cost.total.abs_diff(23_338_899_909) * 200 < 23_338_899_909, "{}", cost.total);
    }

    #[test]
    fn the_formula_rounds_against_the_payer_and_never_to_nothing() {
        let curve = PriceCurve { coeff_a: 1, coeff_b: NonZeroU64::MIN, shift: 0 };
        // ((5 * 1) >> 0) + 1 = 6, times 10, by 1 + 3, and one more.
        assert_eq!(curve.cost(3, 10, 5), 16);
        assert_eq!(curve.cost(i64::MAX, 1, 1), 1);
        assert_eq!(curve.cost(3, 0, 5), 0);
        assert_eq!(curve.cost(3, 10, 0), 0);
        assert_eq!(curve.cost(-7, 10, 5), curve.cost(0, 10, 5));
    }

    #[test]
    fn the_unit_of_a_resource_multiplies_what_is_used() {
        let mut prices = Prices::mainnet_example();
        let of = |prices: &Prices| {
            prices.cost(&PerResource { market_bytes: 300, ..PerResource::default() }).total
        };
        let tenfold = of(&prices);
        prices.params.market_bytes.unit = 1;
        assert!(of(&prices).abs_diff(tenfold / 10) <= 2);
    }

    #[test]
    fn nothing_costs_anything_where_no_credits_come_back() {
        let prices = Prices { regen: Prices::regen_of(143_999), ..Prices::mainnet_example() };
        assert_eq!(prices.cost(&USED), Cost::default());
    }

    proptest! {
        #[test]
        fn the_cost_is_the_quotient_rounded_down_and_one(
            coeff_a: u64,
            coeff_b in 1_u64..,
            shift in 0_u8..64,
            pool: i64,
            amount in 1_u64..1 << 40,
            regen in 1_u64..1 << 50,
        ) {
            let curve = PriceCurve { coeff_a, coeff_b: NonZeroU64::new(coeff_b).unwrap(), shift };
            let height = ((u128::from(regen) * u128::from(coeff_a)) >> shift) + 1;
            let below = u128::from(coeff_b) + u128::try_from(pool.max(0)).unwrap();
            let cost = u128::from(curve.cost(pool, amount, regen));
            // Where hived's 128 bits overflow there is nothing to compare with.
            if let (Some(all), true) = (height.checked_mul(amount.into()), cost < u64::MAX.into()) {
                prop_assert!((cost - 1) * below <= all && all < cost * below);
            }
        }

        #[test]
        fn no_numbers_overflow(coeff_a: u64, shift: u8, pool: i64, amount: u64, regen: u64) {
            let curve = PriceCurve { coeff_a, coeff_b: NonZeroU64::MIN, shift };
            let cost = curve.cost(pool, amount, regen);
            prop_assert_eq!(cost == 0, amount == 0 || regen == 0);
        }

        #[test]
        fn more_never_costs_less(pool in 0_i64..1 << 50, amount in 0_u64..1 << 40, more in 0_u64..1 << 40) {
            let prices = Prices::mainnet_example();
            for (resource, params) in prices.params.iter() {
                let regen = prices.shares.regen(resource, prices.regen);
                let cost = |pool, amount| params.curve.cost(pool, amount, regen);
                prop_assert!(cost(pool, amount) <= cost(pool, amount + more));
                prop_assert!(cost(pool, amount) >= cost(pool + i64::try_from(more).unwrap(), amount));
            }
        }
    }
}
