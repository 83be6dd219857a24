//! What a node tells of resource credits: [`rc_snapshot`], [`find_mana`], [`forecast`].

use alive_core::AccountName;
use serde_json::{Value, json};

use crate::{
    cost::{
        Forecast, Manabar, PlanError, RcSnapshot, StreamCost, StreamPlan, total_vesting_shares,
    },
    json_form::{JsonError, Object, text},
    time::TimePoint,
};

use super::{RpcClient, RpcError};

/// Asks what transactions cost now.
///
/// # Errors
/// [`CostsError`]; a chain without resource credits, such as Blurt, does not know the methods.
pub async fn rc_snapshot(client: &RpcClient) -> Result<RcSnapshot, CostsError> {
    let params = client.call("rc_api.get_resource_params", json!({})).await?;
    let pools = client.call("rc_api.get_resource_pool", json!({})).await?;
    let stats = client.call("rc_api.get_rc_stats", json!({})).await?;
    let shares = total_vesting_shares(&properties(client).await?)?;
    Ok(RcSnapshot::from_answers(&params, &pools, &stats, shares)?)
}

/// Asks for the credits of an account, and for the time of the head block, by which they come back.
///
/// # Errors
/// [`CostsError`].
pub async fn find_mana(
    client: &RpcClient,
    account: &AccountName,
) -> Result<(Option<Manabar>, TimePoint), CostsError> {
    let params = json!({ "accounts": [account] });
    let answer = client.call("rc_api.find_rc_accounts", params).await?;
    let time = head_time(&properties(client).await?)?;
    Ok((Manabar::from_json(&answer, account.as_str())?, time))
}

/// Tells whether an account can pay for a stream that starts now: the one call to make before it does.
///
/// ```
/// use std::time::Duration;
/// use alive_hive::{cost::StreamPlan, rpc};
/// # async fn run(client: rpc::RpcClient) -> Result<(), Box<dyn std::error::Error>> {
/// let (alice, link) = ("alice".parse()?, "stream1".parse()?);
/// let plan = StreamPlan::new(alice, link, Duration::from_secs(3 * 3600));
/// let (_, forecast) = rpc::forecast(&client, &plan).await?;
/// if !forecast.can_pay() {
///     println!("{forecast}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CostsError`]; there is no warning then, since nothing is known.
pub async fn forecast(
    client: &RpcClient,
    plan: &StreamPlan,
) -> Result<(StreamCost, Forecast), CostsError> {
    let RcSnapshot { sizes, prices } = rc_snapshot(client).await?;
    let cost = plan.cost(&sizes, &prices)?;
    let (bar, now) = find_mana(client, plan.account()).await?;
    let bar = bar.ok_or_else(|| CostsError::NoAccount(plan.account().clone()))?;
    let forecast = Forecast::of(&cost, &bar, now);
    Ok((cost, forecast))
}

async fn properties(client: &RpcClient) -> Result<Value, RpcError> {
    client.call("database_api.get_dynamic_global_properties", json!({})).await
}

fn head_time(properties: &Value) -> Result<TimePoint, JsonError> {
    Object::of(properties)?.read("time", |time| Ok(text(time)?.parse::<TimePoint>()?))
}

/// Why a node does not tell what something costs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostsError {
    /// The answer lacks something, or a number is none.
    #[error("the node's answer about resource credits is not usable")]
    Answer(#[from] JsonError),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(AccountName),
    /// The stream cannot be.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The node cannot be asked, or does not know.
    #[error("the node does not tell of resource credits")]
    Rpc(#[from] RpcError),
}
