//! Who may act for an account: [`Authority`], and what signatures a transaction needs: [`AuthorityRule`].

mod rule;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use alive_core::Excerpt;
use serde_json::{Value, json};

use crate::{
    json_form::{JsonError, JsonReason, JsonStyle, Object, items, pair, text, whole},
    keys::PublicKey,
    network::KeyPrefix,
    serialize::{DecodeError, DecodeReason, Field, Packer, Unpacker},
};

pub use rule::{AuthorityError, AuthorityRule};
pub use walk::{MAX_ACCOUNTS, MAX_DEPTH, MAX_MEMBERS};

use walk::Walk;

/// Keys and accounts with weights, and the weight that must come together.
///
/// The members are kept as the chain packs them: accounts by name, keys by bytes, each once.
/// Source: `spec/hive.md`, sections 4.1 and 4.4.
///
/// ```
/// use std::collections::BTreeSet;
/// use alive_hive::{Authority, PrivateKey};
/// let key = PrivateKey::from_bytes(&[1; 32])?.public_key();
/// let authority = Authority::single(key);
/// assert!(authority.is_met(&BTreeSet::from([key]), |_| None));
/// assert!(!authority.is_met(&BTreeSet::new(), |_| None));
/// # Ok::<(), alive_hive::KeyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// Weight that meets the authority.
    pub weight_threshold: u32,
    /// Accounts whose own authority of the same level counts, and how much.
    pub account_auths: BTreeMap<String, u16>,
    /// Keys and how much each counts.
    pub key_auths: BTreeMap<PublicKey, u16>,
}

impl Authority {
    /// An authority that one key meets.
    pub fn single(key: PublicKey) -> Self {
        Self {
            weight_threshold: 1,
            account_auths: BTreeMap::new(),
            key_auths: BTreeMap::from([(key, 1)]),
        }
    }

    /// Reads the JSON form, which is the same in operations and in accounts.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault. One name or key twice is fine with one weight and refused with two.
    pub fn from_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        Self::read_json(value, prefix)
    }

    /// Writes the JSON form.
    pub fn to_json(&self, prefix: &KeyPrefix) -> Value {
        let keys = self.key_auths.iter().map(|(key, weight)| json!([key.to_text(prefix), weight]));
        let accounts = self.account_auths.iter().map(|(name, weight)| json!([name, weight]));
        json!({
            "weight_threshold": self.weight_threshold,
            "account_auths": accounts.collect::<Vec<_>>(),
            "key_auths": keys.collect::<Vec<_>>(),
        })
    }

    /// Whether these keys meet it. `find` gives the authority of the same level of another account.
    ///
    /// As hived does it: accounts are followed [`MAX_DEPTH`] levels deep, at most [`MAX_ACCOUNTS`] of them, and of each
    /// authority at most [`MAX_MEMBERS`] members are looked at. One that asks for no weight is met by nobody's keys.
    ///
    /// This is about one authority; for a whole transaction see [`RequiredAuthorities`](crate::RequiredAuthorities).
    pub fn is_met<'a>(
        &'a self,
        keys: &BTreeSet<PublicKey>,
        find: impl Fn(&str) -> Option<&'a Self>,
    ) -> bool {
        Walk::new(keys).is_met(self, &find)
    }

    /// Whether this key alone meets it, by its own weight. The null key never does.
    ///
    /// The rule for messages off chain, which hold one signature. Source: `spec/hive.md`, section 4.4, "Chat
    /// verification".
    pub fn is_met_by_key(&self, key: &PublicKey) -> bool {
        let weight = self.key_auths.get(key).filter(|_| !key.is_null());
        weight.is_some_and(|weight| *weight > 0 && u32::from(*weight) >= self.weight_threshold)
    }
}

impl Field for Authority {
    fn read_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        let name = |name: &str| Ok(name.to_owned());
        let key = |text: &str| Ok(PublicKey::from_text(text, prefix)?);
        Ok(Self {
            weight_threshold: u32::read_member(object, "weight_threshold", prefix)?,
            account_auths: object.read("account_auths", |value| read_weights(value, name))?,
            key_auths: object.read("key_auths", |value| read_weights(value, key))?,
        })
    }

    fn to_json(&self, style: JsonStyle) -> Value {
        Self::to_json(self, &style.prefix)
    }

    fn pack(&self, to: &mut Packer) {
        self.weight_threshold.pack(to);
        to.count(self.account_auths.len());
        for (name, weight) in &self.account_auths {
            to.text(name);
            weight.pack(to);
        }
        to.count(self.key_auths.len());
        for (key, weight) in &self.key_auths {
            key.pack(to);
            weight.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            weight_threshold: u32::unpack(from)?,
            account_auths: unpack_weights(from)?,
            key_auths: unpack_weights(from)?,
        })
    }
}

/// Reads a list of members with weights; a member may stand there again with the same weight only.
fn read_weights<K: Ord>(
    value: &Value,
    key: impl Fn(&str) -> Result<K, JsonError>,
) -> Result<BTreeMap<K, u16>, JsonError> {
    let mut map = BTreeMap::new();
    items(value, |item| {
        let (member, weight) = pair(item, "an array of a member and its weight")?;
        let member = text(member)?;
        let weight = whole(weight, "a whole number from 0 to 65535")?;
        match map.insert(key(member)?, weight) {
            Some(before) if before != weight => Err(JsonReason::Twice(Excerpt::of(member)).into()),
            _ => Ok(()),
        }
    })?;
    Ok(map)
}

fn unpack_weights<K: Field + Ord>(
    from: &mut Unpacker<'_>,
) -> Result<BTreeMap<K, u16>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..from.count()? {
        let (key, weight) = (K::unpack(from)?, u16::unpack(from)?);
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return from.fail(DecodeReason::Order);
        }
        map.insert(key, weight);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PrivateKey;

    fn key(number: u8) -> PublicKey {
        PrivateKey::from_bytes(&[number; 32]).unwrap().public_key()
    }

    fn of(threshold: u32, accounts: &[(&str, u16)], keys: &[(u8, u16)]) -> Authority {
        Authority {
            weight_threshold: threshold,
            account_auths: accounts
                .iter()
                .map(|(name, weight)| ((*name).into(), *weight))
                .collect(),
            key_auths: keys.iter().map(|(number, weight)| (key(*number), *weight)).collect(),
        }
    }

    #[test]
    fn weights_of_keys_and_accounts_add_up() {
        let bob = of(1, &[], &[(9, 1)]);
        let authority = of(3, &[("bob", 2)], &[(1, 1), (2, 1)]);
        let met = |keys: &[u8]| {
            let keys = keys.iter().map(|number| key(*number)).collect();
            authority.is_met(&keys, |name| (name == "bob").then_some(&bob))
        };
        assert!(met(&[1, 9]));
        assert!(!met(&[1, 2]));
        assert!(!met(&[9]));
    }

    #[test]
    fn accounts_are_followed_two_levels_deep_and_no_further() {
        let chain = [of(1, &[("b", 1)], &[]), of(1, &[("c", 1)], &[(2, 1)]), of(1, &[], &[(3, 1)])];
        let root = of(1, &[("a", 1)], &[]);
        let met = |number| {
            let find = |name: &str| chain.get(usize::from(name.as_bytes()[0] - b'a'));
            root.is_met(&BTreeSet::from([key(number)]), find)
        };
        assert!(met(2));
        assert!(!met(3));
    }

    #[test]
    fn accounts_that_name_each_other_end() {
        let (alice, bob) = (of(1, &[("bob", 1)], &[]), of(1, &[("alice", 1)], &[]));
        let find = |name: &str| if name == "bob" { Some(&bob) } else { Some(&alice) };
        assert!(!alice.is_met(&BTreeSet::new(), find));
    }

    #[test]
    fn the_null_key_and_a_key_of_no_weight_meet_nothing() {
        let authority = Authority {
            weight_threshold: 0,
            account_auths: BTreeMap::new(),
            key_auths: BTreeMap::from([(PublicKey::NULL, 5), (key(1), 0)]),
        };
        assert!(!authority.is_met_by_key(&PublicKey::NULL));
        assert!(!authority.is_met_by_key(&key(1)));
    }

    #[test]
    fn a_member_twice_is_merged_with_one_weight_and_refused_with_two() {
        let read = |second| {
            let accounts = json!([["bob", 1], ["alice", 1], ["bob", second]]);
            let value =
                json!({ "weight_threshold": 1, "account_auths": accounts, "key_auths": [] });
            Authority::from_json(&value, &KeyPrefix::STM)
        };
        assert_eq!(read(1).unwrap().account_auths.len(), 2);
        let error = read(2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "account_auths[2]: \"bob\" stands there twice with different weights"
        );
    }
}
