//! An account as nodes describe it: [`Account`].

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    bandwidth::{Growing, Growth},
    json_ref::JsonRef,
    json_text::{JsonText, JsonTextError},
    keys::PublicKey,
};

/// A public key as an account has it: a text, which on old accounts may be no key at all and then verifies nothing.
///
/// The key is parsed once, since its point takes as long to compute as half of a verification.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey {
    text: Box<str>,
    key: Option<PublicKey>,
}

impl AccountKey {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key, if it is one.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }
}

impl From<&str> for AccountKey {
    fn from(text: &str) -> Self {
        Self { key: text.parse().ok(), text: text.into() }
    }
}

impl From<&PublicKey> for AccountKey {
    fn from(key: &PublicKey) -> Self {
        Self { text: key.to_string().into(), key: Some(*key) }
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({:?})", self.text)
    }
}

/// A custom key, for some types of transactions only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomKey {
    /// Its name within the account.
    pub id: Box<str>,
    /// The key.
    pub key: AccountKey,
    /// The types of transactions that it signs.
    pub types: Vec<i64>,
    /// What its signature weighs; 1 if the account does not say.
    pub weight: i64,
}

/// Another account's key that may sign, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOfOther {
    /// The other account.
    pub user: Box<str>,
    /// The name of its custom key.
    pub id: Box<str>,
    /// The types of transactions that it signs here.
    pub types: Vec<i64>,
    /// What its signature weighs here; 1 if the account does not say.
    pub weight: i64,
}

/// What this crate needs to know of an account: who may sign for it, and what it may spend.
///
/// Reading is lenient, as old accounts lack members and some carry more: what cannot be read is absent.
/// Source: `spec/avalon.md`, section 4.
///
/// ```
/// use alive_avalon::Account;
/// let account: Account = r#"{"name":"alice","pub":"wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy",
///     "balance":0,"bw":{"v":1000,"t":0},"thresholds":{"26":2}}"#.parse()?;
/// assert_eq!(account.threshold(26), 2);
/// assert_eq!(account.threshold(25), 1);
/// # Ok::<(), alive_avalon::AccountError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// Its name.
    pub name: Box<str>,
    /// Its main key.
    pub main_key: AccountKey,
    /// What the main key's signature weighs.
    pub main_weight: i64,
    /// The key of its blocks, if it makes any.
    pub leader_key: Option<AccountKey>,
    /// Its custom keys.
    pub keys: Vec<CustomKey>,
    /// Keys of other accounts.
    pub others: Vec<KeyOfOther>,
    /// The weight that signatures must reach, by type of transaction.
    pub thresholds: BTreeMap<i64, i64>,
    /// The same for all other types.
    pub default_threshold: i64,
    /// What it owns, in hundredths of a DTUBE.
    pub balance: f64,
    /// Growth of its bandwidth beside the one that its balance gives.
    pub base_growth: f64,
    /// What it may spend on transactions; absent for accounts that never had any.
    pub bandwidth: Option<Growing>,
    /// What it may spend on votes.
    pub votes: Option<Growing>,
    /// The most that its voting power grows to.
    pub max_votes: Option<f64>,
}

impl Account {
    /// An account with this main key and nothing else.
    pub fn new(name: &str, main_key: &PublicKey) -> Self {
        Self {
            name: name.into(),
            main_key: main_key.into(),
            main_weight: 1,
            leader_key: None,
            keys: Vec::new(),
            others: Vec::new(),
            thresholds: BTreeMap::new(),
            default_threshold: 1,
            balance: 0.0,
            base_growth: 0.0,
            bandwidth: None,
            votes: None,
            max_votes: None,
        }
    }

    /// Reads what a node answers.
    ///
    /// # Errors
    /// It is no object with a name and a key.
    pub fn read(json: JsonRef<'_>) -> Result<Self, AccountError> {
        let text = |name| json.member(name).and_then(JsonRef::to_text);
        let number = |name| json.member(name).and_then(JsonRef::to_number);
        let growing = |name| json.member(name).and_then(Growing::read);
        let list = |name| json.member(name).into_iter().flat_map(JsonRef::items);
        let (thresholds, default_threshold) = thresholds(json.member("thresholds"));
        Ok(Self {
            name: text("name").ok_or(AccountError::Member("name"))?.into(),
            main_key: (&*text("pub").ok_or(AccountError::Member("pub"))?).into(),
            main_weight: weight(json.member("pub_weight")),
            leader_key: text("pub_leader").map(|key| (&*key).into()),
            keys: list("keys").filter_map(custom_key).collect(),
            others: list("auths").filter_map(key_of_other).collect(),
            thresholds,
            default_threshold,
            balance: number("balance").unwrap_or_default(),
            base_growth: number("baseBwGrowth").unwrap_or_default(),
            bandwidth: growing("bw"),
            votes: growing("vt"),
            max_votes: number("maxVt"),
        })
    }

    /// The weight that signatures of a transaction of this type must reach.
    pub fn threshold(&self, kind: i64) -> i64 {
        self.thresholds.get(&kind).copied().unwrap_or(self.default_threshold)
    }

    /// Its bandwidth at a moment; `None` if it has none, or for a moment before the last use.
    pub fn bandwidth_at(&self, now_ms: i64) -> Option<Growing> {
        self.bandwidth?.at(now_ms, Growth::of_bandwidth(self.base_growth, self.balance))
    }

    /// Its voting power at a moment; `None` as for bandwidth.
    pub fn votes_at(&self, now_ms: i64) -> Option<Growing> {
        self.votes?.at(now_ms, Growth::of_votes(self.balance, self.max_votes))
    }

    /// Whether this key alone may sign transactions of all these types.
    pub fn can_sign_alone(&self, key: &PublicKey, kinds: &[i64]) -> bool {
        kinds.iter().all(|kind| {
            let threshold = self.threshold(*kind);
            let main = (self.main_key.key() == Some(key)).then_some(self.main_weight);
            let custom = self.keys.iter().filter(|custom| custom.key.key() == Some(key));
            let custom = custom.filter(|custom| custom.types.contains(kind));
            main.into_iter().chain(custom.map(|custom| custom.weight)).any(|w| w >= threshold)
        })
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        Self::read(JsonText::of(text)?.root())
    }
}

/// Why a text describes no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// It is no JSON.
    #[error("account: {0}")]
    Json(#[from] JsonTextError),
    /// This member is missing or no text.
    #[error("{0} of an account is missing or no text")]
    Member(&'static str),
}

fn custom_key(json: JsonRef<'_>) -> Option<CustomKey> {
    Some(CustomKey {
        id: json.member("id")?.to_text()?.into(),
        key: (&*json.member("pub")?.to_text()?).into(),
        types: types(json),
        weight: weight(json.member("weight")),
    })
}

fn key_of_other(json: JsonRef<'_>) -> Option<KeyOfOther> {
    Some(KeyOfOther {
        user: json.member("user")?.to_text()?.into(),
        id: json.member("id")?.to_text()?.into(),
        types: types(json),
        weight: weight(json.member("weight")),
    })
}

fn types(json: JsonRef<'_>) -> Vec<i64> {
    let types = json.member("types").into_iter().flat_map(JsonRef::items);
    types.filter_map(JsonRef::to_safe_integer).collect()
}

/// 0 and absent both mean 1. Source: `spec/avalon.md`, section 3.1.
fn weight(json: Option<JsonRef<'_>>) -> i64 {
    json.and_then(JsonRef::to_safe_integer).filter(|weight| *weight != 0).unwrap_or(1)
}

fn thresholds(json: Option<JsonRef<'_>>) -> (BTreeMap<i64, i64>, i64) {
    let mut default = 1;
    let mut by_type = BTreeMap::new();
    for (key, value) in json.into_iter().flat_map(JsonRef::members) {
        let (Some(key), Some(threshold)) = (key.to_text(), value.to_safe_integer()) else {
            continue;
        };
        // JavaScript takes 0 for none.
        if threshold == 0 {
            continue;
        }
        if key == "default" {
            default = threshold;
        } else if let Ok(kind) = key.parse::<i64>()
            && kind.to_string() == key
        {
            by_type.insert(kind, threshold);
        }
    }
    (by_type, default)
}
