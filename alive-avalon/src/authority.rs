//! Who may sign for an account: [`Signatures`] judged by [`verify`].

use crate::{
    account::{Account, AccountKey},
    digest::Hash,
    json_ref::JsonRef,
    keys::PublicKey,
    signature::{RecoveryId, Signature},
};

/// The member `signature` of a transaction, in one of its two forms.
///
/// What cannot be read as a signature stays in it as `None` and makes the whole refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signatures {
    /// A list of signatures that tell their keys: `[["b58",1],…]`.
    Multi(Vec<Option<(Signature, RecoveryId)>>),
    /// One signature that is checked against known keys: `"b58"`.
    Single(Option<Signature>),
}

impl Signatures {
    /// Reads the member; `None` if it has neither form.
    pub(crate) fn read(json: JsonRef<'_>) -> Option<Self> {
        let signature = |json: JsonRef<'_>| json.to_text()?.parse().ok();
        if json.is_string() {
            return Some(Self::Single(signature(json)));
        }
        if !json.is_array() {
            return None;
        }
        let pair = |item: JsonRef<'_>| {
            let mut parts = item.items();
            let signature = signature(parts.next()?)?;
            let id = u8::try_from(parts.next()?.to_safe_integer()?).ok()?;
            Some((signature, RecoveryId::new(id)?))
        };
        Some(Self::Multi(json.items().map(pair).collect()))
    }
}

/// Why signatures do not stand for an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// One key signed twice.
    #[error("duplicate signatures found")]
    Duplicate,
    /// No key of the account that weighs enough made the signature.
    #[error("invalid signature")]
    Invalid,
    /// One of several is no signature, or no key could have made it.
    #[error("invalid signatures: no key is recovered from one of them")]
    Unrecoverable,
    /// The keys that signed do not weigh enough.
    #[error("insufficient signature weight {weight} to reach threshold of {threshold}")]
    Weight {
        /// What they weigh.
        weight: i64,
        /// What they must weigh.
        threshold: i64,
    },
}

/// Checks the signatures of a transaction of type `kind`, or of a block when that is `None`.
///
/// `account` is the sender, `None` if there is no such account; `other` looks up further accounts by their name.
/// Source: `spec/avalon.md`, section 3.1.
///
/// # Errors
/// [`AuthorityError`] says what is missing.
pub fn verify<'a>(
    signatures: &Signatures,
    digest: &Hash,
    kind: Option<i64>,
    account: Option<&'a Account>,
    other: impl Fn(&str) -> Option<&'a Account>,
) -> Result<(), AuthorityError> {
    let allowed = account.map(|account| allowed(account, kind, other)).unwrap_or_default();
    let threshold = match (account, kind) {
        (Some(account), Some(kind)) => account.threshold(kind),
        _ => 1,
    };
    match signatures {
        Signatures::Single(signature) => {
            let signature = signature.ok_or(AuthorityError::Invalid)?;
            // Each key counts for itself; keys that cannot suffice need no look.
            let mut enough = allowed.iter().filter(|(_, weight)| *weight >= threshold);
            if enough.any(|(key, _)| signature.verify(digest, key)) {
                return Ok(());
            }
            Err(AuthorityError::Invalid)
        }
        Signatures::Multi(list) => {
            let mut counted = vec![false; allowed.len()];
            let mut weight = 0_i64;
            for signature in list {
                let (signature, id) = signature.ok_or(AuthorityError::Unrecoverable)?;
                let key = signature.recover(digest, id).ok_or(AuthorityError::Unrecoverable)?;
                let same = allowed.iter().zip(&mut counted).filter(|((known, _), _)| *known == key);
                for ((_, more), counted) in same {
                    // A key that the account has twice counts twice, but all of its entries at once.
                    if std::mem::replace(counted, true) {
                        return Err(AuthorityError::Duplicate);
                    }
                    weight = weight.saturating_add(*more);
                }
            }
            if weight >= threshold {
                return Ok(());
            }
            Err(AuthorityError::Weight { weight, threshold })
        }
    }
}

/// The keys that may sign and what each weighs. A text that is no key cannot sign.
fn allowed<'a>(
    account: &'a Account,
    kind: Option<i64>,
    other: impl Fn(&str) -> Option<&'a Account>,
) -> Vec<(PublicKey, i64)> {
    let mut keys: Vec<(&AccountKey, i64)> = Vec::new();
    match kind {
        None => keys.extend(account.leader_key.as_ref().map(|key| (key, 1))),
        Some(kind) => {
            keys.push((&account.main_key, account.main_weight));
            let custom = account.keys.iter().filter(|key| key.types.contains(&kind));
            keys.extend(custom.map(|key| (&key.key, key.weight)));
            for auth in account.others.iter().filter(|auth| auth.types.contains(&kind)) {
                let user = other(&auth.user);
                let key = user.and_then(|user| user.keys.iter().find(|key| key.id == auth.id));
                keys.extend(key.map(|key| (&key.key, auth.weight)));
            }
        }
    }
    keys.into_iter().filter_map(|(key, weight)| Some((*key.key()?, weight))).collect()
}
