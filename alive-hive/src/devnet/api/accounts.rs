//! Accounts and signatures: `get_accounts`, `find_accounts`, `verify_signatures`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    asset::{Asset, AssetSymbol},
    devnet::{accounts::DevAccount, engine::Devnet, jsonrpc::Fault},
    hex_text::read_hex,
    json_form::JsonForm,
    keys::{PublicKey, Role},
    signature::{RecoverRule, RecoverableSignature},
};

use super::{Answered, params, properties::asset};

/// Most names of one request. Source: `database_api` of hived; the number is ours for `condenser_api`, too.
const MAX_NAMES: usize = 1000;

impl Devnet {
    pub(super) fn get_accounts(&self, params: &Value) -> Answered {
        let names = params::texts(params::first(params)?)?;
        Ok(self.accounts_json(&names, JsonForm::Legacy)?.into())
    }

    pub(super) fn find_accounts(&self, params: &Value) -> Answered {
        let names = params::texts(params::named(params, "accounts")?)?;
        Ok(json!({ "accounts": self.accounts_json(&names, JsonForm::Hf26)? }).into())
    }

    /// Whether some signatures of a digest meet some authorities.
    pub(super) fn verify_signatures(&self, params: &Value) -> Answered {
        let digest = params::named(params, "hash")?.as_str().unwrap_or_default();
        let digest =
            read_hex::<32>(digest).map_err(|error| Fault::bad_params(&format!("hash: {error}")))?;
        let mut keys = BTreeSet::new();
        for signature in params::texts(params::named(params, "signatures")?)? {
            let signature: RecoverableSignature = signature
                .parse()
                .map_err(|error| Fault::bad_params(&format!("signatures: {error}")))?;
            match signature.recover(&digest, RecoverRule::Hived) {
                Ok(key) => keys.insert(key),
                Err(_) => return Ok(json!({ "valid": false }).into()),
            };
        }
        let mut valid = true;
        for (role, name) in [
            (Role::Owner, "required_owner"),
            (Role::Active, "required_active"),
            (Role::Posting, "required_posting"),
        ] {
            for account in params::texts(params.get(name).unwrap_or(&json!([])))? {
                valid &= self.is_met(account, role, &keys);
            }
        }
        // Nothing here knows witnesses' block keys or authorities of other kinds.
        let is_asked =
            |name| params.get(name).and_then(Value::as_array).is_some_and(|a| !a.is_empty());
        valid &= !is_asked("required_witness") && !is_asked("required_other");
        Ok(json!({ "valid": valid }).into())
    }

    fn is_met(&self, account: &str, role: Role, keys: &BTreeSet<PublicKey>) -> bool {
        let authority = |name: &str| self.accounts.find(name)?.authority(role);
        authority(account).is_some_and(|met| met.is_met(keys, authority))
    }

    fn accounts_json(&self, names: &[&str], form: JsonForm) -> Result<Value, Fault> {
        if names.len() > MAX_NAMES {
            return Err(Fault::assertion("too many accounts asked for at once"));
        }
        let found = names.iter().filter_map(|name| self.accounts.find(name));
        Ok(found.map(|account| self.account_json(account, form)).collect())
    }

    pub(super) fn account_json(&self, account: &DevAccount, form: JsonForm) -> Value {
        let prefix = &self.config.network.key_prefix;
        let created = account.created.to_string();
        let start = "1970-01-01T00:00:00";
        let mut json = json!({
            "id": self.accounts.number_of(&account.name),
            "name": account.name,
            "owner": account.owner.to_json(prefix),
            "active": account.active.to_json(prefix),
            "posting": account.posting.to_json(prefix),
            "memo_key": account.memo_key.to_text(prefix),
            "json_metadata": account.json_metadata,
            "posting_json_metadata": account.posting_json_metadata,
            "proxy": "",
            "last_owner_update": start,
            "last_account_update": account.last_update.to_string(),
            "previous_owner_update": start,
            "created": created,
            "mined": false,
            "recovery_account": "",
            "reset_account": "null",
            "post_count": account.post_count,
            "can_vote": true,
            "voting_manabar": { "current_mana": 0, "last_update_time": 0 },
            "downvote_manabar": { "current_mana": 0, "last_update_time": 0 },
            "curation_rewards": 0,
            "posting_rewards": 0,
            "witnesses_voted_for": 0,
            "last_post": account.last_post.to_string(),
            "last_root_post": account.last_root_post.to_string(),
            "last_vote_time": account.last_vote.to_string(),
            "pending_claimed_accounts": 0,
            "witness_votes": [],
        });
        if let Some(members) = json.as_object_mut() {
            add_balances(members, form);
        }
        json
    }
}

/// Every account has nothing, of each kind.
fn add_balances(members: &mut Map<String, Value>, form: JsonForm) {
    let kinds = [
        (AssetSymbol::Hive, &["balance", "savings_balance", "reward_hive_balance"][..]),
        (AssetSymbol::Hbd, &["hbd_balance", "savings_hbd_balance", "reward_hbd_balance"]),
        (
            AssetSymbol::Vests,
            &[
                "vesting_shares",
                "delegated_vesting_shares",
                "received_vesting_shares",
                "vesting_withdraw_rate",
                "reward_vesting_balance",
            ],
        ),
    ];
    for (symbol, names) in kinds {
        let nothing = asset(Asset { amount: 0, symbol }, form);
        members.extend(names.iter().map(|name| ((*name).into(), nothing.clone())));
    }
}
