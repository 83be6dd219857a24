//! `alive_devnet`: what only a development node does, and only if its configuration lets clients.

use alive_core::Timestamp;
use serde_json::{Value, json};

use crate::{
    asset::{Asset, AssetSymbol},
    authority::Authority,
    devnet::{
        DevAccount,
        engine::{Devnet, DevnetError},
        jsonrpc::Fault,
        switches::{Fate, MAX_RULES, Switches},
    },
    keys::PublicKey,
    operation::{AccountCreate, AccountUpdate2},
    serialize::NoExtensions,
};

use super::{Answered, params};

/// Most blocks of one request. Our own limit.
const MAX_BLOCKS: u32 = 1000;
/// Most accounts that a chain has before no more are made by call. Our own limit.
const MAX_ACCOUNTS: usize = 100_000;

impl Devnet {
    pub(super) fn alive_devnet(
        &mut self,
        method: &str,
        params: &Value,
        now: Timestamp,
    ) -> Answered {
        if !self.config.is_controllable {
            return Err(Fault::unknown_method("alive_devnet", method));
        }
        match method {
            "create_account" => self.create_account(params),
            "finalize" => {
                params::none(params)?;
                self.finalize().map_err(failed)?;
                Ok(json!({ "last_irreversible_block_num": self.irreversible }).into())
            }
            "fork" => self.fork_by_call(params),
            "produce_blocks" => self.produce_by_call(params, now),
            "set_irreversible_lag" => {
                let blocks = params::number(params::named(params, "blocks")?)?;
                self.set_irreversible_lag(blocks).map_err(failed)?;
                Ok(json!({}).into())
            }
            "set_keys" => self.set_keys(params),
            "set_switches" => self.set_switches_by_call(params),
            "switches" => {
                params::none(params)?;
                Ok(json!(self.switches).into())
            }
            _ => Err(Fault::unknown_method("alive_devnet", method)),
        }
    }

    /// Makes an account by a transaction of a witness, which is in the next block. It can act at once.
    fn create_account(&mut self, params: &Value) -> Answered {
        if self.accounts.len() >= MAX_ACCOUNTS {
            return Err(Fault::assertion("the chain has as many accounts as it takes"));
        }
        let account = self.account_of(params)?;
        let op = AccountCreate {
            fee: Asset { amount: 0, symbol: AssetSymbol::Hive },
            creator: self.witness.clone(),
            new_account_name: account.name.into(),
            owner: account.owner,
            active: account.active,
            posting: account.posting,
            memo_key: account.memo_key,
            json_metadata: String::new(),
        };
        let id = self.push_own(&op.into()).map_err(|refused| refused.to_fault())?;
        Ok(json!({ "transaction_id": id }).into())
    }

    /// Gives an account new keys by a transaction that nobody had to sign.
    fn set_keys(&mut self, params: &Value) -> Answered {
        let account = self.account_of(params)?;
        let op = AccountUpdate2 {
            account: account.name.into(),
            owner: Some(account.owner),
            active: Some(account.active),
            posting: Some(account.posting),
            memo_key: Some(account.memo_key),
            json_metadata: String::new(),
            posting_json_metadata: String::new(),
            extensions: NoExtensions,
        };
        let id = self.push_own(&op.into()).map_err(|refused| refused.to_fault())?;
        Ok(json!({ "transaction_id": id }).into())
    }

    /// The account that parameters describe: a name and a password, or one key, or a key for each role.
    fn account_of(&self, params: &Value) -> Result<DevAccount, Fault> {
        let name = params::named(params, "name")?.as_str();
        let name = name.ok_or_else(|| Fault::bad_params("name: not a text"))?;
        let wrong = |error: &dyn std::fmt::Display| Fault::bad_params(&error.to_string());
        if let Some(password) = params.get("password") {
            let password = password.as_str();
            let password = password.ok_or_else(|| Fault::bad_params("password: not a text"))?;
            return DevAccount::from_password(name, password).map_err(|error| wrong(&error));
        }
        let key = |role: &str| -> Result<PublicKey, Fault> {
            let value = params.get(role).or_else(|| params.get("key"));
            let text = value.and_then(Value::as_str);
            let text = text.ok_or_else(|| {
                Fault::bad_params(&format!(
                    "{role}: give a password, one key, or a key for each role"
                ))
            })?;
            PublicKey::from_text(text, &self.config.network.key_prefix)
                .map_err(|error| Fault::bad_params(&format!("{role}: {error}")))
        };
        let mut account =
            DevAccount::with_key(name, key("posting")?).map_err(|error| wrong(&error))?;
        account.active = Authority::single(key("active")?);
        account.owner = Authority::single(key("owner")?);
        account.memo_key = key("memo")?;
        Ok(account)
    }

    fn fork_by_call(&mut self, params: &Value) -> Answered {
        let blocks = blocks(params)?;
        let fate = params.get("fate").cloned().unwrap_or_else(|| json!(Fate::default()));
        let fate = serde_json::from_value(fate)
            .map_err(|_| Fault::bad_params("fate: \"return\" or \"lose\""))?;
        self.fork(blocks, fate).map_err(failed)?;
        Ok(json!({ "head_block_id": self.head() }).into())
    }

    fn produce_by_call(&mut self, params: &Value, now: Timestamp) -> Answered {
        for _ in 0..blocks(params)? {
            self.produce_block(now).map_err(failed)?;
        }
        Ok(json!({ "head_block_id": self.head() }).into())
    }

    fn set_switches_by_call(&mut self, params: &Value) -> Answered {
        let switches: Switches = serde_json::from_value(params.clone())
            .map_err(|error| Fault::bad_params(&format!("switches: {error}")))?;
        if switches.answers.len() > MAX_RULES {
            return Err(Fault::bad_params(&format!("answers: at most {MAX_RULES} rules")));
        }
        self.set_switches(switches);
        Ok(json!(self.switches).into())
    }
}

/// How many blocks, one if it is not said.
fn blocks(params: &Value) -> Result<u32, Fault> {
    let blocks = params.get("blocks").map_or(Ok(1), params::number)?;
    if blocks > MAX_BLOCKS {
        return Err(Fault::bad_params(&format!("blocks: at most {MAX_BLOCKS}")));
    }
    Ok(blocks)
}

fn failed(error: DevnetError) -> Fault {
    match error {
        DevnetError::Irreversible => Fault::assertion("the block is irreversible"),
        other => Fault::server(&other.to_string()),
    }
}
