//! Whether our key may sign for what we are about to send: asked before anything leaves us, so that a key of too much
//! power, or of the wrong account, never signs.
//!
//! Source: `spec/hive.md`, section 4.4.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json, value::RawValue};

use crate::{
    authority::Authority,
    keys::{PublicKey, Role},
    network::KeyPrefix,
    transaction::RequiredAuthorities,
};

use super::{
    client::{RpcCall, RpcError},
    node::ChainNode,
};

/// How deep hived follows accounts in authorities.
const MAX_DEPTH: usize = 2;
/// Most accounts looked up for one authority.
const MAX_ACCOUNTS: usize = 125;
/// Longest wait for each node when one is doubted.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a key may not sign for an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// There is no such account.
    #[error("there is no account {account} on this chain")]
    NoAccount {
        /// Its name.
        account: Box<str>,
    },
    /// The key is none of the account's, nor of those it lets sign.
    #[error("this is no key of {account}; {} key is needed", with_article(*needed))]
    NoRole {
        /// The account.
        account: Box<str>,
        /// What the operations need.
        needed: Role,
    },
    /// The key is one of several that must sign together.
    #[error("this {role} key of {account} has weight {weight} of the {threshold} that are needed")]
    TooLight {
        /// The account.
        account: Box<str>,
        /// What the operations need, and the key is.
        role: Role,
        /// Weight of the key.
        weight: u16,
        /// Weight that must come together.
        threshold: u32,
    },
    /// The key is one of the account's for something else.
    #[error("this is the {found} key of {account}; {} key is needed", with_article(*needed))]
    WrongRole {
        /// The account.
        account: Box<str>,
        /// What the key is.
        found: Role,
        /// What the operations need.
        needed: Role,
    },
}

fn with_article(role: Role) -> &'static str {
    match role {
        Role::Active => "an active",
        Role::Memo => "a memo",
        Role::Owner => "an owner",
        Role::Posting => "a posting",
    }
}

/// The authorities of an account, as a node tells them.
#[derive(Clone, Debug, PartialEq)]
struct Account {
    active: Authority,
    memo: Option<PublicKey>,
    owner: Authority,
    posting: Authority,
}

impl Account {
    fn authority(&self, role: Role) -> Option<&Authority> {
        match role {
            Role::Active => Some(&self.active),
            Role::Memo => None,
            Role::Owner => Some(&self.owner),
            Role::Posting => Some(&self.posting),
        }
    }

    /// What the key is to this account, the least powerful first.
    fn role_of(&self, key: &PublicKey) -> Option<Role> {
        let has = |role: &Role| match self.authority(*role) {
            Some(authority) => authority.key_auths.contains_key(key),
            None => self.memo == Some(*key),
        };
        [Role::Posting, Role::Memo, Role::Active, Role::Owner].into_iter().find(has)
    }
}

type Accounts = BTreeMap<String, Account>;

impl ChainNode {
    /// Asks whether the key meets all authorities that are needed; `Err` inside says why not.
    pub(super) async fn check_key(
        &self,
        key: &PublicKey,
        needed: &RequiredAuthorities,
    ) -> Result<Result<(), KeyRefusal>, RpcError> {
        let levels = [
            (Role::Owner, &needed.owner),
            (Role::Active, &needed.active),
            (Role::Posting, &needed.posting),
        ];
        for (role, names) in levels {
            for name in names {
                if let Err(refusal) = self.check_role(key, name, role).await? {
                    return Ok(Err(refusal));
                }
            }
        }
        Ok(Ok(()))
    }

    async fn check_role(
        &self,
        key: &PublicKey,
        name: &str,
        role: Role,
    ) -> Result<Result<(), KeyRefusal>, RpcError> {
        let mut accounts = self.accounts(&[name]).await?;
        let mut asked = BTreeSet::from([name.to_owned()]);
        for _ in 0..MAX_DEPTH {
            if judge(key, name, role, &accounts).is_ok() {
                return Ok(Ok(()));
            }
            let missing = members(&accounts, role).filter(|member| !asked.contains(*member));
            let missing: Vec<String> =
                missing.take(MAX_ACCOUNTS.saturating_sub(asked.len())).map(str::to_owned).collect();
            if missing.is_empty() {
                break;
            }
            let names: Vec<&str> = missing.iter().map(String::as_str).collect();
            accounts.extend(self.accounts(&names).await?);
            asked.extend(missing);
        }
        let refused = judge(key, name, role, &accounts);
        if refused.is_err() && self.client.node_count() > 1 {
            return Ok(self.ask_others(key, name, role, refused).await);
        }
        Ok(refused)
    }

    /// A node that is behind may not have the account or its new keys yet, so one refusal is not enough.
    async fn ask_others(
        &self,
        key: &PublicKey,
        name: &str,
        role: Role,
        refused: Result<(), KeyRefusal>,
    ) -> Result<(), KeyRefusal> {
        let prefix = &self.network.key_prefix;
        let read = |shape, accounts: &RawValue| read_accounts(shape, accounts, prefix);
        let answers = self.client.ask_each(&calls(&[name]), CHECK_TIMEOUT, read).await;
        let accounts = answers.into_iter().filter_map(|(_, accounts)| accounts.ok());
        let mut judged = accounts.map(|accounts| judge(key, name, role, &accounts));
        if judged.any(|judged| judged.is_ok()) { Ok(()) } else { refused }
    }

    async fn accounts(&self, names: &[&str]) -> Result<Accounts, RpcError> {
        let prefix = &self.network.key_prefix;
        let read = |shape, accounts: &RawValue| read_accounts(shape, accounts, prefix);
        self.client.ask_any(&calls(names), read).await
    }
}

fn calls(names: &[&str]) -> [RpcCall; 2] {
    [
        RpcCall::new("condenser_api.get_accounts", json!([names])),
        RpcCall::new("database_api.find_accounts", json!({ "accounts": names })),
    ]
}

fn read_accounts(
    shape: usize,
    accounts: &RawValue,
    prefix: &KeyPrefix,
) -> Result<Accounts, RpcError> {
    let no_accounts = || RpcError::Answer("accounts with their authorities");
    let accounts: Value = serde_json::from_str(accounts.get()).map_err(|_| no_accounts())?;
    let list = if shape == 0 { Some(&accounts) } else { accounts.get("accounts") };
    let list = list.and_then(Value::as_array).ok_or_else(no_accounts)?;
    let read = |account: &Value| {
        let authority = |role: &str| Authority::from_json(account.get(role)?, prefix).ok();
        let memo = account.get("memo_key").and_then(Value::as_str);
        let read = Account {
            active: authority("active")?,
            memo: memo.and_then(|key| PublicKey::from_text(key, prefix).ok()),
            owner: authority("owner")?,
            posting: authority("posting")?,
        };
        Some((account.get("name")?.as_str()?.to_owned(), read))
    };
    list.iter().map(|account| read(account).ok_or_else(no_accounts)).collect()
}

/// The accounts that stand in an authority of that role.
fn members(accounts: &Accounts, role: Role) -> impl Iterator<Item = &str> {
    let authorities = accounts.values().filter_map(move |account| account.authority(role));
    authorities.flat_map(|authority| authority.account_auths.keys().map(String::as_str))
}

fn judge(key: &PublicKey, name: &str, needed: Role, accounts: &Accounts) -> Result<(), KeyRefusal> {
    let account = accounts.get(name);
    let account = account.ok_or_else(|| KeyRefusal::NoAccount { account: name.into() })?;
    let find = |name: &str| accounts.get(name)?.authority(needed);
    let authority = account.authority(needed);
    if authority.is_some_and(|authority| authority.is_met(&BTreeSet::from([*key]), find)) {
        return Ok(());
    }
    let weight = authority.and_then(|authority| authority.key_auths.get(key));
    Err(match (weight, account.role_of(key)) {
        (Some(weight), _) => KeyRefusal::TooLight {
            account: name.into(),
            role: needed,
            weight: *weight,
            threshold: authority.map_or(0, |authority| authority.weight_threshold),
        },
        (None, Some(found)) => KeyRefusal::WrongRole { account: name.into(), found, needed },
        (None, None) => KeyRefusal::NoRole { account: name.into(), needed },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PrivateKey;

    fn key(role: Role) -> PublicKey {
        PrivateKey::from_password("alice", role, "x").unwrap().public_key()
    }

    fn account() -> Account {
        Account {
            active: Authority::single(key(Role::Active)),
            memo: Some(key(Role::Memo)),
            owner: Authority::single(key(Role::Owner)),
            posting: Authority::single(key(Role::Posting)),
        }
    }

    fn refusal(key: &PublicKey, accounts: &Accounts) -> String {
        judge(key, "alice", Role::Posting, accounts).unwrap_err().to_string()
    }

    #[test]
    fn the_refusal_names_what_the_key_is() {
        let accounts = Accounts::from([("alice".to_owned(), account())]);
        assert_eq!(judge(&key(Role::Posting), "alice", Role::Posting, &accounts), Ok(()));
        for role in [Role::Active, Role::Owner, Role::Memo] {
            assert_eq!(
                refusal(&key(role), &accounts),
                format!("this is the {role} key of alice; a posting key is needed")
            );
        }
        let other = PrivateKey::from_bytes(&[7; 32]).unwrap().public_key();
        assert_eq!(refusal(&other, &accounts), "this is no key of alice; a posting key is needed");
        let none = refusal(&other, &Accounts::new());
        assert_eq!(none, "there is no account alice on this chain");
        // A key that is posting and active at once is fine for either.
        let mut both = account();
        both.active = both.posting.clone();
        let both = Accounts::from([("alice".to_owned(), both)]);
        assert_eq!(judge(&key(Role::Posting), "alice", Role::Active, &both), Ok(()));
    }

    #[test]
    fn a_key_that_needs_others_is_refused_with_its_weight() {
        let mut alice = account();
        alice.posting.weight_threshold = 3;
        let accounts = Accounts::from([("alice".to_owned(), alice)]);
        assert_eq!(
            refusal(&key(Role::Posting), &accounts),
            "this posting key of alice has weight 1 of the 3 that are needed"
        );
    }

    #[test]
    fn a_key_of_an_account_that_may_sign_is_fine() {
        let mut alice = account();
        alice.posting = Authority {
            weight_threshold: 1,
            account_auths: BTreeMap::from([("studio".to_owned(), 1)]),
            key_auths: BTreeMap::new(),
        };
        let mut accounts = Accounts::from([("alice".to_owned(), alice)]);
        assert_eq!(members(&accounts, Role::Posting).collect::<Vec<_>>(), ["studio"]);
        assert!(judge(&key(Role::Posting), "alice", Role::Posting, &accounts).is_err());
        accounts.insert("studio".to_owned(), account());
        assert_eq!(judge(&key(Role::Posting), "alice", Role::Posting, &accounts), Ok(()));
        assert!(judge(&key(Role::Active), "alice", Role::Posting, &accounts).is_err());
    }

    #[test]
    fn accounts_are_read_in_either_shape_and_not_in_part() {
        let prefix = KeyPrefix::STM;
        let json = |account: &Account| {
            json!({
                "name": "alice", "memo_key": account.memo.unwrap().to_text(&prefix),
                "active": account.active.to_json(&prefix), "owner": account.owner.to_json(&prefix),
                "posting": account.posting.to_json(&prefix),
            })
        };
        let read = |shape, accounts: Value| {
            let raw = serde_json::value::to_raw_value(&accounts).unwrap();
            read_accounts(shape, &raw, &prefix)
        };
        let expected = Accounts::from([("alice".to_owned(), account())]);
        assert_eq!(read(0, json!([json(&account())])).unwrap(), expected);
        assert_eq!(read(1, json!({ "accounts": [json(&account())] })).unwrap(), expected);
        let mut broken = json(&account());
        broken["posting"] = json!(null);
        assert!(read(0, json!([json(&account()), broken])).is_err());
        assert!(read(0, json!({})).is_err());
        assert!(read(1, json!([])).is_err());
    }
}
