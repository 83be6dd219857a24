//! The answers of `rc_api`, read and written: [`RcParams`], [`Prices`], [`Manabar`].
//!
//! Nodes write numbers beyond 32 bits as texts and smaller ones as numbers; both are read everywhere.
//! Source: `spec/hive.md`, sections 6 and 7.

use std::num::NonZeroU64;

use serde_json::{Map, Value, json};

use crate::{
    asset::{Asset, AssetSymbol},
    json_form::{JsonError, JsonReason, Object, items, text},
    network::KeyPrefix,
    serialize::Field as _,
    time::TimePoint,
};

use super::{
    Manabar, ObjectSizes, PerResource, PoolDynamics, PriceCurve, Prices, Resource, ResourceParams,
    Shares,
};

/// Numbers up to this are written as numbers, larger ones as texts.
const MAX_NUMBER: u64 = 0xffff_ffff;

/// What a chain fixes: the answer of `rc_api.get_resource_params`.
///
/// ```
/// use alive_hive::cost::RcParams;
/// let params = RcParams::hived();
/// assert_eq!(RcParams::from_json(&params.to_json())?, params);
/// # Ok::<(), alive_hive::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcParams {
    /// Prices and pools of each resource.
    pub resources: PerResource<ResourceParams>,
    /// What objects take.
    pub sizes: ObjectSizes,
}

impl RcParams {
    /// What hived 1.28 has compiled in. Recorded from a node's answer.
    pub fn hived() -> Self {
        let of = |curve: (u64, u64, u8), dynamics: [u64; 5], decay_shift, unit| ResourceParams {
            curve: PriceCurve {
                coeff_a: curve.0,
                coeff_b: NonZeroU64::new(curve.1).unwrap_or(NonZeroU64::MIN),
                shift: curve.2,
            },
            dynamics: PoolDynamics {
                budget_per_time_unit: dynamics[0],
                pool_eq: dynamics[1],
                max_pool_size: dynamics[2],
                decay_per_time_unit: dynamics[3],
                decay_shift,
                min_decay: dynamics[4],
            },
            unit,
        };
        let resources = PerResource {
            history_bytes: of(
                (10_525_659_774_662_010_880, 211_332_338, 50),
                [43_403, 27_050_539_251, 54_101_078_501, 3_613_026_481, 0],
                51,
                1,
            ),
            new_accounts: of(
                (16_484_671_763_857_882_971, 1_231_961, 51),
                [797, 157_691_079, 157_691_079, 347_321, 0],
                36,
                10_000,
            ),
            market_bytes: of(
                (14_969_827_235_074_865_152, 15_654_337, 55),
                [72_338, 2_003_755_169, 4_007_510_337, 2_540_365_427, 0],
                46,
                10,
            ),
            state_bytes: of(
                (10_525_659_774_662_010_880, 212_030_656_091, 50),
                [43_546_196, 27_139_923_979_692, 54_279_847_959_383, 3_613_026_481, 0],
                51,
                1,
            ),
            execution_time: of(
                (14_969_827_235_074_865_152, 541_062_725, 59),
                [40_000_000, 69_256_028_844, 138_512_057_687, 2_539_677_724, 0],
                42,
                1,
            ),
        };
        Self { resources, sizes: ObjectSizes::HIVED }
    }

    /// Reads the answer of `rc_api.get_resource_params`.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(answer: &Value) -> Result<Self, JsonError> {
        let answer = Object::of(answer)?;
        let resources = answer.read("resource_params", |list| {
            let list = Object::of(list)?;
            try_each(|resource| list.read(resource.name(), read_resource))
        })?;
        let sizes = answer.read("size_info", |lists| {
            let lists = Object::of(lists)?;
            ObjectSizes::try_from_fn(|list, member| {
                lists.read(list, |list| Object::of(list)?.read(member, unsigned))
            })
        })?;
        Ok(Self { resources, sizes })
    }

    /// Writes the answer.
    pub fn to_json(&self) -> Value {
        let names = Resource::ALL.map(Resource::name);
        let resources = self.resources.iter();
        let resources =
            resources.map(|(resource, of)| (resource.name().into(), write_resource(of)));
        let sizes = ObjectSizes::LISTS.map(|(list, members)| {
            let members = members
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), number(self.sizes.member(name)?))));
            (list.to_owned(), Value::Object(members.collect::<Map<_, _>>()))
        });
        json!({
            "resource_names": names,
            "resource_params": resources.collect::<Map<String, Value>>(),
            "size_info": Map::from_iter(sizes),
        })
    }
}

impl Prices {
    /// The prices of the main chain at one time (2026-08-14): for examples and rough estimates without a node.
    pub fn mainnet_example() -> Self {
        Self {
            params: RcParams::hived().resources,
            pools: PerResource {
                history_bytes: 24_091_156_132,
                new_accounts: 16_787_104,
                market_bytes: 1_980_851_228,
                state_bytes: 26_129_897_630_853,
                execution_time: 66_076_533_904,
            },
            regen: 2_403_497_928_903,
            shares: Shares::of_basis_points(PerResource {
                history_bytes: 5264,
                new_accounts: 10_000,
                market_bytes: 533,
                state_bytes: 1843,
                execution_time: 2357,
            }),
        }
    }

    /// Reads the pools: the answer of `rc_api.get_resource_pool`.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn pools_from_json(answer: &Value) -> Result<PerResource<i64>, JsonError> {
        Object::of(answer)?.read("resource_pool", |pools| {
            let pools = Object::of(pools)?;
            try_each(|resource| {
                pools.read(resource.name(), |pool| Object::of(pool)?.read("pool", signed))
            })
        })
    }

    /// Reads the shares: the answer of `rc_api.get_rc_stats`, which lists them in the chain's order.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn shares_from_json(answer: &Value) -> Result<Shares, JsonError> {
        Object::of(answer)?.read("rc_stats", |stats| {
            Object::of(stats)?.read("share", |list| {
                let list = items(list, unsigned)?;
                let [history_bytes, new_accounts, market_bytes, state_bytes, execution_time] =
                    *list.as_slice()
                else {
                    return Err(JsonReason::Expected("an array of five numbers").into());
                };
                Ok(Shares::of_basis_points(PerResource {
                    history_bytes,
                    new_accounts,
                    market_bytes,
                    state_bytes,
                    execution_time,
                }))
            })
        })
    }

    /// Writes regeneration, budgets, pools and shares as `rc_api.get_rc_stats` answers, without statistics of operations
    /// and payers.
    pub fn stats_to_json(&self) -> Value {
        let divisor = u128::from(self.shares.divisor.get());
        let share = |weight: &u64| u128::from(*weight) * 10_000 / divisor;
        let share = |(_, weight)| number(u64::try_from(share(weight)).unwrap_or(u64::MAX));
        let budget = |(_, of): (_, &ResourceParams)| number(of.dynamics.budget_per_time_unit);
        let pool = |(_, pool): (_, &i64)| signed_number(*pool);
        json!({ "rc_stats": {
            "regen": number(self.regen),
            "budget": self.params.iter().map(budget).collect::<Vec<_>>(),
            "pool": self.pools.iter().map(pool).collect::<Vec<_>>(),
            "share": self.shares.weights.iter().map(share).collect::<Vec<_>>(),
        } })
    }

    /// Writes the pools as `rc_api.get_resource_pool` answers, with how full each is in hundredths of a percent.
    pub fn pools_to_json(&self) -> Value {
        let pools = self.pools.iter().map(|(resource, pool)| {
            let max = i128::from(self.params.get(resource).dynamics.max_pool_size.max(1));
            let level = (i128::from(*pool) * 10_000 / max).clamp(0, 10_000);
            let level = u16::try_from(level).unwrap_or_default();
            (resource.name().into(), json!({ "pool": signed_number(*pool), "fill_level": level }))
        });
        json!({ "resource_pool": pools.collect::<Map<String, Value>>() })
    }
}

/// All that a node tells of costs at one moment, to be kept and used without it.
///
/// ```
/// use alive_hive::cost::RcSnapshot;
/// let snapshot = RcSnapshot::mainnet_example();
/// assert_eq!(RcSnapshot::from_json(&snapshot.to_json())?, snapshot);
/// # Ok::<(), alive_hive::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcSnapshot {
    /// What objects take.
    pub sizes: ObjectSizes,
    /// What resources cost.
    pub prices: Prices,
}

impl RcSnapshot {
    /// The main chain at one time (2026-08-14): for examples and rough estimates without a node.
    pub fn mainnet_example() -> Self {
        Self { sizes: ObjectSizes::HIVED, prices: Prices::mainnet_example() }
    }

    /// Puts the answers of a node together: of `rc_api.get_resource_params`, `get_resource_pool` and `get_rc_stats`, and
    /// the vesting shares of `database_api.get_dynamic_global_properties` in millionths.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_answers(
        params: &Value,
        pools: &Value,
        stats: &Value,
        total_vesting_shares: u64,
    ) -> Result<Self, JsonError> {
        let RcParams { resources, sizes } = RcParams::from_json(params)?;
        let prices = Prices {
            params: resources,
            pools: Prices::pools_from_json(pools)?,
            regen: Prices::regen_of(total_vesting_shares),
            shares: Prices::shares_from_json(stats)?,
        };
        Ok(Self { sizes, prices })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        let RcParams { resources, sizes } =
            object.read("get_resource_params", RcParams::from_json)?;
        let stats = |stats: &Value| {
            let regen = Object::of(stats)?
                .read("rc_stats", |stats| Object::of(stats)?.read("regen", unsigned))?;
            Ok((regen, Prices::shares_from_json(stats)?))
        };
        let (regen, shares) = object.read("get_rc_stats", stats)?;
        let pools = object.read("get_resource_pool", Prices::pools_from_json)?;
        Ok(Self { sizes, prices: Prices { params: resources, pools, regen, shares } })
    }

    /// Writes it as the answers of a node, each under the name of its method.
    pub fn to_json(&self) -> Value {
        let params = RcParams { resources: self.prices.params, sizes: self.sizes.clone() };
        json!({
            "get_resource_params": params.to_json(),
            "get_resource_pool": self.prices.pools_to_json(),
            "get_rc_stats": self.prices.stats_to_json(),
        })
    }
}

/// Reads the vesting shares of all accounts, in millionths: of the answer of
/// `database_api.get_dynamic_global_properties` or `condenser_api.get_dynamic_global_properties`.
///
/// # Errors
/// [`JsonError`] names the member at fault.
pub fn total_vesting_shares(properties: &Value) -> Result<u64, JsonError> {
    Object::of(properties)?.read("total_vesting_shares", |shares| {
        let asset = Asset::read_json(shares, &KeyPrefix::STM)?;
        let amount = u64::try_from(asset.amount).ok();
        let vests = amount.filter(|_| asset.symbol == AssetSymbol::Vests);
        vests.ok_or_else(|| JsonReason::Expected("an amount of VESTS").into())
    })
}

impl Manabar {
    /// Reads an account out of the answer of `rc_api.find_rc_accounts`, `None` when it is not there.
    ///
    /// Credits below zero, which a block may bring an account to, count as none.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(answer: &Value, account: &str) -> Result<Option<Self>, JsonError> {
        Object::of(answer)?.read("rc_accounts", |accounts| {
            let found = items(accounts, |entry| {
                let entry = Object::of(entry)?;
                let is_it = entry.read("account", |name| Ok(text(name)? == account))?;
                Ok(if is_it { Some(read_account(entry)?) } else { None })
            })?;
            Ok(found.into_iter().flatten().next())
        })
    }

    /// Writes the entry of an account in the answer of `rc_api.find_rc_accounts`, without delegations.
    pub fn to_json(&self, account: &str) -> Value {
        json!({
            "account": account,
            "rc_manabar": {
                "current_mana": number(self.current),
                "last_update_time": self.updated.as_unix_secs(),
            },
            "max_rc_creation_adjustment": { "amount": "0", "precision": 6, "nai": "@@000000037" },
            "max_rc": number(self.max),
            "delegated_rc": 0,
            "received_delegated_rc": 0,
        })
    }
}

fn read_account(entry: Object<'_>) -> Result<Manabar, JsonError> {
    let positive = |value: &Value| Ok(u64::try_from(signed(value)?).unwrap_or(0));
    let (current, updated) = entry.read("rc_manabar", |bar| {
        let bar = Object::of(bar)?;
        let updated = bar.read("last_update_time", |time| {
            let secs = unsigned(time)?;
            let secs = u32::try_from(secs);
            secs.map_err(|_| JsonReason::Expected("a time in seconds up to 2106").into())
        })?;
        Ok((bar.read("current_mana", positive)?, TimePoint::from_unix_secs(updated)))
    })?;
    Ok(Manabar { current, max: entry.read("max_rc", positive)?, updated })
}

fn read_resource(value: &Value) -> Result<ResourceParams, JsonError> {
    let params = Object::of(value)?;
    let (unit, dynamics) = params.read("resource_dynamics_params", |value| {
        let dynamics = Object::of(value)?;
        let (decay_per_time_unit, decay_shift) = dynamics.read("decay_params", |value| {
            let decay = Object::of(value)?;
            let shift = decay.read("decay_per_time_unit_denom_shift", byte)?;
            Ok((decay.read("decay_per_time_unit", unsigned)?, shift))
        })?;
        let unit = dynamics.read("resource_unit", unsigned)?;
        let dynamics = PoolDynamics {
            budget_per_time_unit: dynamics.read("budget_per_time_unit", unsigned)?,
            decay_per_time_unit,
            decay_shift,
            max_pool_size: dynamics.read("max_pool_size", unsigned)?,
            min_decay: dynamics.read("min_decay", unsigned)?,
            pool_eq: dynamics.read("pool_eq", unsigned)?,
        };
        Ok((unit, dynamics))
    })?;
    let curve = params.read("price_curve_params", |value| {
        let curve = Object::of(value)?;
        Ok(PriceCurve {
            coeff_a: curve.read("coeff_a", unsigned)?,
            coeff_b: curve.read("coeff_b", |value| {
                let coeff_b = NonZeroU64::new(unsigned(value)?);
                coeff_b.ok_or_else(|| JsonReason::Expected("a number above 0").into())
            })?,
            shift: curve.read("shift", byte)?,
        })
    })?;
    Ok(ResourceParams { curve, dynamics, unit })
}

fn write_resource(params: &ResourceParams) -> Value {
    let ResourceParams { curve, dynamics, unit } = params;
    json!({
        "resource_dynamics_params": {
            "resource_unit": number(*unit),
            "budget_per_time_unit": number(dynamics.budget_per_time_unit),
            "pool_eq": number(dynamics.pool_eq),
            "max_pool_size": number(dynamics.max_pool_size),
            "decay_params": {
                "decay_per_time_unit": number(dynamics.decay_per_time_unit),
                "decay_per_time_unit_denom_shift": dynamics.decay_shift,
            },
            "min_decay": number(dynamics.min_decay),
        },
        "price_curve_params": {
            "coeff_a": number(curve.coeff_a),
            "coeff_b": number(curve.coeff_b.get()),
            "shift": curve.shift,
        },
    })
}

fn try_each<T>(
    mut read: impl FnMut(Resource) -> Result<T, JsonError>,
) -> Result<PerResource<T>, JsonError> {
    Ok(PerResource {
        history_bytes: read(Resource::HistoryBytes)?,
        new_accounts: read(Resource::NewAccounts)?,
        market_bytes: read(Resource::MarketBytes)?,
        state_bytes: read(Resource::StateBytes)?,
        execution_time: read(Resource::ExecutionTime)?,
    })
}

/// Reads a number, or a text of digits.
fn unsigned(value: &Value) -> Result<u64, JsonError> {
    let number = match value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        value => value.as_u64(),
    };
    number.ok_or_else(|| JsonReason::Expected("a whole number from 0 on").into())
}

fn signed(value: &Value) -> Result<i64, JsonError> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = match value {
        Value::String(text) if is_digits(text.strip_prefix('-').unwrap_or(text)) => {
            text.parse().ok()
        }
        value => value.as_i64(),
    };
    number.ok_or_else(|| JsonReason::Expected("a whole number of 64 bits").into())
}

fn byte(value: &Value) -> Result<u8, JsonError> {
    let byte = u8::try_from(unsigned(value)?);
    byte.map_err(|_| JsonReason::Expected("a whole number from 0 to 255").into())
}

fn number(number: u64) -> Value {
    if number > MAX_NUMBER { json!(number.to_string()) } else { json!(number) }
}

fn signed_number(number: i64) -> Value {
    if number.unsigned_abs() > MAX_NUMBER { json!(number.to_string()) } else { json!(number) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_written_reads_back_and_has_the_shape_of_a_nodes_answer() {
        let params = RcParams::hived();
        let json = params.to_json();
        assert_eq!(RcParams::from_json(&json), Ok(params));
        let history = &json["resource_params"]["resource_history_bytes"];
        assert_eq!(history["price_curve_params"]["coeff_a"], "10525659774662010880");
        assert_eq!(history["price_curve_params"]["coeff_b"], 211_332_338);
        assert_eq!(history["resource_dynamics_params"]["pool_eq"], "27050539251");
        assert_eq!(json["resource_names"][4], "resource_execution_time");
        assert_eq!(json["size_info"]["resource_state_bytes"]["comment_base_size"], 4_237_056);

        let prices = Prices::mainnet_example();
        assert_eq!(Prices::pools_from_json(&prices.pools_to_json()), Ok(prices.pools));

        let bar = Manabar { current: 5, max: 1 << 40, updated: TimePoint::from_unix_secs(9) };
        let answer = json!({ "rc_accounts": [bar.to_json("alice")] });
        assert_eq!(Manabar::from_json(&answer, "alice"), Ok(Some(bar)));
        assert_eq!(Manabar::from_json(&answer, "bob"), Ok(None));
    }

    #[test]
    fn shares_are_listed_in_the_order_of_the_chain() {
        let answer = json!({ "rc_stats": { "share": [5264, 10000, 533, 1843, "2357"] } });
        let prices = Prices::mainnet_example();
        assert_eq!(Prices::shares_from_json(&answer), Ok(prices.shares));
        assert_eq!(Prices::shares_from_json(&prices.stats_to_json()), Ok(prices.shares));
    }

    #[test]
    fn an_overdrawn_pool_and_account_are_read() {
        let mut pools = Prices::mainnet_example().pools_to_json();
        pools["resource_pool"]["resource_state_bytes"]["pool"] = json!("-5");
        assert_eq!(Prices::pools_from_json(&pools).unwrap().state_bytes, -5);
        let bar = Manabar { current: 5, max: 7, updated: TimePoint::from_unix_secs(9) };
        let mut entry = bar.to_json("alice");
        entry["rc_manabar"]["current_mana"] = json!(-3);
        let answer = json!({ "rc_accounts": [entry] });
        assert_eq!(Manabar::from_json(&answer, "alice").unwrap().unwrap().current, 0);
    }

    #[rstest]
    #[case("/resource_params/resource_state_bytes/price_curve_params/coeff_b", json!(0), "a number above 0")]
    #[case("/resource_params/resource_state_bytes/price_curve_params/shift", json!(256), "0 to 255")]
    #[case("/resource_params/resource_state_bytes/price_curve_params/coeff_a", json!("1e9"), "whole number")]
    #[case("/resource_params/resource_state_bytes/price_curve_params/coeff_a", json!("99999999999999999999"), "whole number")]
    #[case("/size_info/resource_state_bytes/vote_size", json!(-1), "whole number")]
    #[case("/size_info/resource_execution_time", json!([]), "an object")]
    fn a_number_that_is_none_is_refused_with_its_place(
        #[case] place: &str,
        #[case] value: Value,
        #[case] words: &str,
    ) {
        let mut json = RcParams::hived().to_json();
        *json.pointer_mut(place).unwrap() = value;
        let error = RcParams::from_json(&json).unwrap_err().to_string();
        assert!(error.starts_with(&place[1..].replace('/', ".")), "{error}");
        assert!(error.contains(words), "{error}");
    }

    #[rstest]
    #[case(json!({ "rc_stats": { "share": [1, 2, 3, 4] } }))]
    #[case(json!({ "rc_stats": { "share": {} } }))]
    #[case(json!({ "rc_stats": [] }))]
    #[case(json!(null))]
    fn shares_of_another_shape_are_refused(#[case] answer: Value) {
        assert!(Prices::shares_from_json(&answer).is_err());
    }
}
