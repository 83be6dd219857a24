//! A scenario's parameters.

use std::{collections::BTreeMap, num::NonZeroU64};

use alive_core::{AccountName, Excerpt};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    amount::Amount,
    params::{MatureParams, MilestoneParams, Params, Rules},
};

use super::ScenarioError;

pub(super) struct Read {
    pub(super) params: Params,
    pub(super) listed: Option<Vec<AccountName>>,
}

pub(super) fn read(mut params: Map<String, Value>) -> Result<Read, ScenarioError> {
    let common: Map<_, _> = COMMON.iter().filter_map(|name| params.remove_entry(*name)).collect();
    let common = Common::deserialize(Value::Object(common))?;
    let rules = match common.rules.as_deref() {
        None | Some("mature") => Rules::Mature(mature(Value::Object(params))?),
        Some("milestone-2017") => Rules::Milestone2017(milestone(Value::Object(params))?),
        Some(other) => return Err(ScenarioError::Rules(Excerpt::of(other))),
    };
    let deploy_block = common.deploy_block.unwrap_or_default().0;
    let params = Params { rules, deploy_block, genesis: common.genesis };
    params.check()?;
    Ok(Read { params, listed: common.accounts })
}

/// The parameters that do not depend on the rule set. The seed is for information.
const COMMON: [&str; 5] = ["accounts", "deploy_block", "genesis", "rules", "seed"];

#[derive(Deserialize)]
struct Common {
    rules: Option<String>,
    deploy_block: Option<Number>,
    accounts: Option<Vec<AccountName>>,
    #[serde(default)]
    genesis: BTreeMap<AccountName, Amount>,
}

/// A whole number, written as one or as text.
#[derive(Clone, Copy, Default)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let text = value.as_str().and_then(|text| text.parse().ok());
        let number = value.as_u64().or(text).map(Self);
        number.ok_or_else(|| serde::de::Error::custom(format_args!("{value} is no whole number")))
    }
}

/// An amount, written as text or as a number.
struct Tokens(Amount);

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let amount = match &value {
            Value::String(text) => text.parse().ok(),
            value => value.as_u64().map(Amount::from),
        };
        amount
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format_args!("{value} is no amount")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatureText {
    num_active: Option<Number>,
    round_length: Option<Number>,
    round_lock_amount: Option<Number>,
    unbonding_period: Option<Number>,
    inflation: Option<Number>,
    inflation_change: Option<Number>,
    target_bonding_rate: Option<Number>,
    treasury_reward_cut_rate: Option<Tokens>,
    treasury_balance_ceiling: Option<Tokens>,
    min_self_bond: Option<Tokens>,
}

fn mature(value: Value) -> Result<MatureParams, serde_json::Error> {
    let text = MatureText::deserialize(value)?;
    let mut params = MatureParams::default();
    set(&mut params.num_active, text.num_active);
    set_length(&mut params.round_length, text.round_length)?;
    set(&mut params.round_lock_amount, text.round_lock_amount);
    set(&mut params.unbonding_period, text.unbonding_period);
    set(&mut params.inflation, text.inflation);
    set(&mut params.inflation_change, text.inflation_change);
    set(&mut params.target_bonding_rate, text.target_bonding_rate);
    set_amount(&mut params.treasury_reward_cut_rate, text.treasury_reward_cut_rate);
    set_amount(&mut params.treasury_balance_ceiling, text.treasury_balance_ceiling);
    set_amount(&mut params.min_self_bond, text.min_self_bond);
    Ok(params)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MilestoneText {
    n: Option<Number>,
    candidate_size: Option<Number>,
    round_length: Option<Number>,
    cycles_per_round: Option<Number>,
    unbonding_period: Option<Number>,
    block_time: Option<Number>,
    initial_token_supply: Option<Tokens>,
    yearly_inflation_pct: Option<Number>,
}

fn milestone(value: Value) -> Result<MilestoneParams, serde_json::Error> {
    let text = MilestoneText::deserialize(value)?;
    let mut params = MilestoneParams::default();
    set(&mut params.n, text.n);
    // As large as the active pool, unless it says otherwise.
    params.candidate_size = params.n;
    set(&mut params.candidate_size, text.candidate_size);
    set_length(&mut params.round_length, text.round_length)?;
    set(&mut params.cycles_per_round, text.cycles_per_round);
    set(&mut params.unbonding_period, text.unbonding_period);
    set(&mut params.block_time, text.block_time);
    set_amount(&mut params.initial_token_supply, text.initial_token_supply);
    set(&mut params.yearly_inflation_pct, text.yearly_inflation_pct);
    Ok(params)
}

fn set(value: &mut u64, given: Option<Number>) {
    *value = given.map_or(*value, |given| given.0);
}

fn set_amount(value: &mut Amount, given: Option<Tokens>) {
    *value = given.map_or(*value, |given| given.0);
}

fn set_length(value: &mut NonZeroU64, given: Option<Number>) -> Result<(), serde_json::Error> {
    if let Some(given) = given {
        let error = || serde::de::Error::custom("round_length is 0");
        *value = NonZeroU64::new(given.0).ok_or_else(error)?;
    }
    Ok(())
}
