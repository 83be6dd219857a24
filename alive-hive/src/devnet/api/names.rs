//! Which accounts there are and whose a key is: `get_key_references`, `lookup_accounts`, `list_accounts`.

use serde_json::{Value, json};

use crate::{
    devnet::{engine::Devnet, jsonrpc::Fault},
    json_form::JsonForm,
    keys::PublicKey,
};

use super::{Answered, params};

/// Most keys or accounts of one request. Source: hived.
const MAX_ASKED: usize = 1000;

impl Devnet {
    /// `account_by_key_api.get_key_references`: the names for each key.
    pub(super) fn key_references_appbase(&self, params: &Value) -> Answered {
        let keys = params::named(params, "keys")?;
        Ok(json!({ "accounts": self.key_references(keys)? }).into())
    }

    /// `condenser_api.get_key_references`, the same without a name around it.
    pub(super) fn key_references_condenser(&self, params: &Value) -> Answered {
        Ok(self.key_references(params::first(params)?)?.into())
    }

    fn key_references(&self, keys: &Value) -> Result<Value, Fault> {
        let keys = params::texts(keys)?;
        if keys.len() > MAX_ASKED {
            return Err(Fault::assertion("too many keys asked for at once"));
        }
        let prefix = &self.config.network.key_prefix;
        let names = keys.into_iter().map(|text| {
            let key = PublicKey::from_text(text, prefix)
                .map_err(|error| Fault::bad_params(&format!("keys: {error}")))?;
            Ok(json!(self.accounts.with_key(&key)))
        });
        names.collect()
    }

    /// `condenser_api.lookup_accounts`: names from one on.
    pub(super) fn lookup_accounts(&self, params: &Value) -> Answered {
        let from = params::first(params)?.as_str();
        let from = from.ok_or_else(|| Fault::bad_params("not a name"))?;
        let limit = limit(params.get(1))?;
        let names = self.accounts.starting_at(from).take(limit).map(|account| &*account.name);
        Ok(json!(names.collect::<Vec<_>>()).into())
    }

    /// `condenser_api.lookup_account_names`: as `get_accounts`, with null for unknown ones.
    pub(super) fn lookup_account_names(&self, params: &Value) -> Answered {
        let names = params::texts(params::first(params)?)?;
        if names.len() > MAX_ASKED {
            return Err(Fault::assertion("too many accounts asked for at once"));
        }
        let account = |name: &&str| {
            let found = self.accounts.find(name);
            found.map_or(Value::Null, |account| self.account_json(account, JsonForm::Legacy))
        };
        Ok(names.iter().map(account).collect::<Value>().into())
    }

    /// `database_api.list_accounts`, by name only.
    pub(super) fn list_accounts(&self, params: &Value) -> Answered {
        let from = params::named(params, "start")?.as_str();
        let from = from.ok_or_else(|| Fault::bad_params("start: not a name"))?;
        if params.get("order").is_some_and(|order| order != "by_name") {
            return Err(Fault::assertion("accounts are listed by name only"));
        }
        let limit = limit(params.get("limit"))?;
        let accounts = self.accounts.starting_at(from).take(limit);
        let accounts = accounts.map(|account| self.account_json(account, JsonForm::Hf26));
        Ok(json!({ "accounts": accounts.collect::<Vec<_>>() }).into())
    }
}

fn limit(value: Option<&Value>) -> Result<usize, Fault> {
    let limit = value.and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if limit <= MAX_ASKED => Ok(limit),
        Some(_) => Err(Fault::assertion("limit: at most 1000")),
        None => Err(Fault::bad_params("limit: not a number")),
    }
}
