//! The way from a claim to a fact: [`Recovered`], [`Verified`], and the [`KeySet`] between them.

use alive_core::backend::{AccountAuthority, Digest, PublicKeyBytes};

/// The keys that may sign messages of one account: those of its posting, active and owner roles.
///
/// Their weights do not matter: chat asks who somebody is, not what they may move. Source: `spec/alivedb.md`, section
/// 8.2; `spec/hive.md`, "Chat verification".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Box<[PublicKeyBytes]>);

impl KeySet {
    /// Whether the key is one of them.
    pub fn contains(&self, key: &PublicKeyBytes) -> bool {
        self.0.contains(key)
    }
}

impl From<&AccountAuthority> for KeySet {
    fn from(authority: &AccountAuthority) -> Self {
        let roles = [&authority.posting, &authority.active, &authority.owner];
        roles.iter().flat_map(|role| role.keys.iter().map(|(key, _)| *key)).collect()
    }
}

impl FromIterator<PublicKeyBytes> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKeyBytes>>(keys: I) -> Self {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        Self(keys.into())
    }
}

/// Something signed, and the key that signed it. Whose key that is, is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<M> {
    signed: M,
    digest: Digest,
    key: PublicKeyBytes,
}

impl<M> Recovered<M> {
    pub(crate) fn new(signed: M, digest: Digest, key: PublicKeyBytes) -> Self {
        Self { signed, digest, key }
    }

    /// What was signed.
    pub fn signed(&self) -> &M {
        &self.signed
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The key that signed it.
    pub fn key(&self) -> &PublicKeyBytes {
        &self.key
    }

    /// Whether the key is one of these.
    pub fn is_allowed(&self, keys: &KeySet) -> bool {
        keys.contains(&self.key)
    }

    /// Verified, if the key is one of those of the account that says to have signed.
    pub fn allow(self, keys: &KeySet) -> Option<Verified<M>> {
        self.is_allowed(keys).then_some(Verified(self))
    }
}

/// Something signed by a key that its account had when it was checked. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<M>(Recovered<M>);

impl<M> Verified<M> {
    /// What was signed.
    pub fn signed(&self) -> &M {
        &self.0.signed
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// The key that signed it.
    pub fn key(&self) -> &PublicKeyBytes {
        &self.0.key
    }
}

#[cfg(test)]
mod tests {
    use alive_core::backend::Authority;

    use super::*;
    use crate::fixtures::{chat, key, keys_of, message};

    #[test]
    fn keys_of_every_role_count_whatever_their_weight() {
        let role = |account: &str| Authority {
            threshold: 3,
            keys: vec![(key(account).1, 1)],
            accounts: Vec::new(),
        };
        let authority = AccountAuthority {
            posting: role("hive/posting"),
            active: role("hive/active"),
            owner: role("hive/owner"),
        };
        let keys = KeySet::from(&authority);
        for account in ["hive/posting", "hive/active", "hive/owner"] {
            assert!(keys.contains(&key(account).1), "{account}");
        }
        assert!(!keys.contains(&key("hive/other").1));
    }

    #[test]
    fn only_the_accounts_own_key_verifies() {
        let chat = chat("hive/techcoderx/live-1");
        let recovered = chat.recover(message("hive/alice", 7.0, "hello")).unwrap();
        assert_eq!(recovered.clone().allow(&keys_of("hive/bobby")), None);
        assert_eq!(recovered.clone().allow(&KeySet::default()), None);
        let verified = recovered.clone().allow(&keys_of("hive/alice")).unwrap();
        assert_eq!(verified.signed(), recovered.signed());
        assert_eq!(verified.key(), &key("hive/alice").1);
    }
}
