//! Accounts of a development node: [`DevAccount`] to begin with, [`Record`] as the chain keeps them.

use std::fmt::Write as _;

use crate::{
    account::{Account, CustomKey, KeyOfOther},
    bandwidth::Growing,
    digest::Hash,
    json_ref::JsonRef,
    json_text::{JsonText, push_number, push_string},
    keys::{PrivateKey, PublicKey},
    validate::MASTER,
};

/// Bandwidth that accounts grow by themselves, as if they owned so much: a transaction of a stream every 20 seconds.
const BASE_GROWTH: f64 = 1_000_000.0;

/// An account that exists when a chain begins.
///
/// It has a full load of bandwidth, which grows by about 28 characters a second: what a stream takes with a push every
/// twelve seconds, for ever.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DevAccount {
    /// What the chain knows of it.
    pub account: Account,
}

impl DevAccount {
    /// An account with this main key.
    pub fn new(name: &str, main_key: PublicKey) -> Self {
        let mut account = Account::new(name, &main_key);
        account.base_growth = BASE_GROWTH;
        account.bandwidth = Some(Growing { value: 64_000.0, at_ms: 0.0 });
        account.votes = Some(Growing { value: 1000.0, at_ms: 0.0 });
        Self { account }
    }

    /// The account whose main key is [`dev_key`] of its name and this password.
    pub fn from_password(name: &str, password: &str) -> Self {
        Self::new(name, dev_key(name, password).public_key())
    }

    /// Adds a custom key for these types of transactions.
    #[must_use]
    pub fn custom_key(mut self, id: &str, key: PublicKey, types: &[i64]) -> Self {
        let key = CustomKey { id: id.into(), key: (&key).into(), types: types.to_vec(), weight: 1 };
        self.account.keys.push(key);
        self
    }
}

/// A key for development and tests that anybody can make again from a name and a password. It protects nothing.
pub fn dev_key(name: &str, password: &str) -> PrivateKey {
    let mut seed = Hash::of(format!("alive devnet {name}:{password}"));
    loop {
        match PrivateKey::from_bytes(seed.as_bytes()) {
            Ok(key) => return key,
            Err(_) => seed = Hash::of(seed.as_bytes()),
        }
    }
}

/// An account and what only nodes show of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) account: Account,
    pub(super) created_ms: i64,
    pub(super) profile: Option<JsonText>,
}

impl Record {
    pub(super) fn new(account: Account, created_ms: i64) -> Self {
        Self { account, created_ms, profile: None }
    }

    pub(super) fn read(json: JsonRef<'_>) -> Option<Self> {
        let account = Account::read(json).ok()?;
        let created = json.member("created").and_then(|created| created.member("ts"));
        Some(Self {
            account,
            created_ms: created.and_then(JsonRef::to_safe_integer).unwrap_or_default(),
            profile: json.member("json").map(|json| JsonText::of_canonical(json.as_str())),
        })
    }

    /// What a node answers. Source: `spec/avalon.md`, section 4.
    pub(super) fn to_json(&self) -> JsonText {
        let Account { name, main_key, .. } = &self.account;
        let (balance, growth) = (self.account.balance, self.account.base_growth);
        let mut text = format!(r#"{{"name":{},"pub":{}"#, quoted(name), quoted(main_key.as_str()));
        let _ = write!(text, r#","balance":{}"#, number(balance));
        if let Some(bandwidth) = self.account.bandwidth {
            let _ = write!(text, r#","bw":{}"#, growing(bandwidth));
        }
        if let Some(votes) = self.account.votes {
            let _ = write!(text, r#","vt":{}"#, growing(votes));
        }
        let _ = write!(text, r#","baseBwGrowth":{}"#, number(growth));
        let keys: Vec<_> = self.account.keys.iter().map(custom_key).collect();
        let _ = write!(text, r#","follows":[],"followers":[],"keys":[{}]"#, keys.join(","));
        let created = self.created_ms;
        let _ = write!(text, r#","created":{{"by":"{MASTER}","ts":{created}}}"#);
        self.write_rest(&mut text);
        // A database's id, which clients see and none reads.
        let id = Hash::of(name.as_bytes()).to_string();
        let _ = write!(text, r#","_id":"{}"}}"#, id.get(..24).unwrap_or_default());
        JsonText::of(&text).unwrap_or_else(|_| JsonText::of_canonical("null"))
    }

    /// What most accounts do not have.
    fn write_rest(&self, text: &mut String) {
        let account = &self.account;
        if account.main_weight != 1 {
            let _ = write!(text, r#","pub_weight":{}"#, account.main_weight);
        }
        if let Some(key) = &account.leader_key {
            let _ = write!(text, r#","pub_leader":{}"#, quoted(key.as_str()));
        }
        if !account.others.is_empty() {
            let others: Vec<_> = account.others.iter().map(key_of_other).collect();
            let _ = write!(text, r#","auths":[{}]"#, others.join(","));
        }
        let thresholds =
            account.thresholds.iter().map(|(kind, least)| format!("\"{kind}\":{least}"));
        let mut thresholds: Vec<_> = thresholds.collect();
        if account.default_threshold != 1 {
            thresholds.push(format!("\"default\":{}", account.default_threshold));
        }
        if !thresholds.is_empty() {
            let _ = write!(text, r#","thresholds":{{{}}}"#, thresholds.join(","));
        }
        if let Some(max) = account.max_votes {
            let _ = write!(text, r#","maxVt":{}"#, number(max));
        }
        if let Some(profile) = &self.profile {
            let _ = write!(text, r#","json":{profile}"#);
        }
    }
}

fn custom_key(key: &CustomKey) -> String {
    let CustomKey { id, key, types, weight } = key;
    let (id, key) = (quoted(id), quoted(key.as_str()));
    format!(r#"{{"id":{id},"pub":{key},"types":{types:?},"weight":{weight}}}"#)
}

fn key_of_other(other: &KeyOfOther) -> String {
    let KeyOfOther { user, id, types, weight } = other;
    let (user, id) = (quoted(user), quoted(id));
    format!(r#"{{"user":{user},"id":{id},"types":{types:?},"weight":{weight}}}"#)
}

fn growing(growing: Growing) -> String {
    format!(r#"{{"v":{},"t":{}}}"#, number(growing.value), number(growing.at_ms))
}

pub(super) fn number(number: f64) -> String {
    let mut out = String::new();
    push_number(&mut out, number);
    out
}

pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    push_string(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_survives_its_text() {
        let key = dev_key("alice", "x").public_key();
        let mut account =
            DevAccount::from_password("alice", "x").custom_key("s", key, &[25]).account;
        account.thresholds.insert(26, 2);
        account.default_threshold = 3;
        account.main_weight = 2;
        account.leader_key = Some("k".into());
        let other = KeyOfOther { user: "bob".into(), id: "s".into(), types: vec![4], weight: 5 };
        account.others.push(other);
        account.max_votes = Some(10.0);
        let mut record = Record::new(account, 7);
        record.profile = Some(JsonText::of(r#"{"a":1}"#).unwrap());
        assert_eq!(Record::read(record.to_json().root()), Some(record));
    }
}
