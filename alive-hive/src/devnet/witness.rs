//! Who signs the blocks of a development chain: 21 witnesses with one key that everybody knows.

use sha2::{Digest, Sha256};

use crate::keys::{KeyError, PrivateKey, PublicKey};

use super::accounts::DevAccount;

/// Witnesses of a round. Source: `spec/hive.md`, section 5.5.
const WITNESSES: usize = 21;

/// The key: no secret, so that anyone can see that such a block proves nothing.
pub(super) fn key() -> Result<PrivateKey, KeyError> {
    PrivateKey::from_bytes(&Sha256::digest(b"alive devnet witness").into())
}

/// `alive.wit-a` to `alive.wit-u`.
pub(super) fn name(number: usize) -> String {
    let letter = (b'a'..=b'u').nth(number % WITNESSES).unwrap_or(b'a');
    format!("alive.wit-{}", char::from(letter))
}

/// Whether an account is one of them.
pub(super) fn is_one(account: &str) -> bool {
    (0..WITNESSES).any(|number| name(number) == account)
}

/// Their accounts.
pub(super) fn accounts(key: &PublicKey) -> impl Iterator<Item = DevAccount> {
    (0..WITNESSES).filter_map(|number| DevAccount::with_key(&name(number), *key).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_witness_has_an_account_and_a_name_of_its_own() {
        let accounts: Vec<_> = accounts(&key().unwrap().public_key()).collect();
        let names: std::collections::BTreeSet<_> =
            accounts.iter().map(|a| a.name.clone()).collect();
        assert_eq!(names.len(), WITNESSES);
    }
}
