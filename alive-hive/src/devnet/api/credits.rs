//! `rc_api`: what transactions cost and what accounts have. Source: `spec/hive.md`, sections 6 and 7.

use serde_json::{Map, Value, json};

use crate::{
    cost::{PerResource, RcParams, Resource},
    devnet::{credits::OperationStats, engine::Devnet, jsonrpc::Fault},
};

use super::{Answered, params};

/// Most names of one request. Source: `rc_api` of hived.
const MAX_NAMES: usize = 1000;

impl Devnet {
    pub(super) fn rc_api(&self, method: &str, params: &Value) -> Answered {
        match method {
            "find_rc_accounts" => self.find_rc_accounts(params),
            "get_rc_operation_stats" => self.rc_operation_stats(params),
            "get_rc_stats" => params::none(params).map(|()| self.rc_stats().into()),
            "get_resource_params" => params::none(params).map(|()| {
                let resources = self.credits.prices().params;
                RcParams { resources, ..RcParams::hived() }.to_json().into()
            }),
            "get_resource_pool" => {
                params::none(params).map(|()| self.credits.prices().pools_to_json().into())
            }
            _ => Err(Fault::unknown_method("rc_api", method)),
        }
    }

    fn find_rc_accounts(&self, params: &Value) -> Answered {
        let names = params::texts(params::named(params, "accounts")?)?;
        if names.len() > MAX_NAMES {
            return Err(Fault::assertion("too many accounts asked for at once"));
        }
        let now = self.head_time();
        let known = names.into_iter().filter(|name| self.accounts.find(name).is_some());
        let accounts: Vec<Value> =
            known.map(|name| self.credits.of(name, now).to_json(name)).collect();
        Ok(json!({ "rc_accounts": accounts }).into())
    }

    fn rc_stats(&self) -> Value {
        let mut json = self.credits.prices().stats_to_json();
        let ops = self.credits.stats().map(|(name, stats)| {
            let average = stats.total.checked_div(stats.count).unwrap_or_default();
            (name.to_owned(), json!({ "count": stats.count, "avg_cost": average }))
        });
        let ops: Map<String, Value> = ops.collect();
        if let Some(stats) = json.pointer_mut("/rc_stats").and_then(Value::as_object_mut) {
            stats.insert("block".into(), self.head_num().into());
            stats.insert("ops".into(), ops.into());
        }
        json
    }

    fn rc_operation_stats(&self, params: &Value) -> Answered {
        let name = params::named(params, "operation")?.as_str();
        let name = name.ok_or_else(|| Fault::bad_params("operation: not a text"))?;
        let name = name.strip_suffix("_operation").unwrap_or(name);
        let stats = self.credits.stats().find(|(known, _)| *known == name);
        let OperationStats { count, cost, total, usage } =
            stats.map(|(_, stats)| stats).unwrap_or_default();
        let average = |sum: u64| sum.checked_div(count).unwrap_or_default();
        let per_resource = |sums: &PerResource<u64>, names: [&str; 5]| -> Map<String, Value> {
            let of = |(resource, name): (Resource, &str)| {
                (name.to_owned(), average(*sums.get(resource)).into())
            };
            Resource::ALL.into_iter().zip(names).map(of).collect()
        };
        // Usage has shorter names than everything else of this API.
        let usage_names =
            ["history_bytes", "new_accounts", "market_bytes", "state_hbytes", "exec_ns"];
        Ok(json!({
            "count": count,
            "avg_cost_rc": average(total),
            "resource_usage": per_resource(&usage, usage_names),
            "resource_cost": per_resource(&cost, Resource::ALL.map(Resource::name)),
        })
        .into())
    }
}
