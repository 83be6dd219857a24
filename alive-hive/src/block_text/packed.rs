//! Transactions in the binary form that the Merkle tree hashes: [`Packed`].

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use crate::{
    merkle::MerkleRoot,
    serialize::{Pack, Packer},
    signature::RecoverableSignature,
    time::TimePoint,
};

/// Transactions in the binary form that the Merkle tree hashes, as long as that is known.
#[derive(Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where each transaction ends.
    ends: Vec<usize>,
    /// Whether one of the transactions could not be packed.
    pub(super) is_broken: bool,
}

impl Packed {
    pub(super) fn root(&self) -> Option<MerkleRoot> {
        if self.is_broken {
            return None;
        }
        let mut from = 0;
        let leaf = |end: &usize| {
            let transaction = self.bytes.get(from..*end).unwrap_or_default();
            from = *end;
            Sha256::digest(transaction).into()
        };
        Some(MerkleRoot::of(self.ends.iter().map(leaf)))
    }

    /// Source: `spec/hive.md`, section 4.1.
    pub(super) fn push(&mut self, parts: &Parts<'_>, operations: &Packer) -> Option<()> {
        let mut to = Packer { bytes: std::mem::take(&mut self.bytes), pack: Pack::Legacy };
        to.raw(&u16::try_from(parts.ref_block_num?).ok()?.to_le_bytes());
        to.raw(&u32::try_from(parts.ref_block_prefix?).ok()?.to_le_bytes());
        to.raw(&parts.expiration.as_ref()?.parse::<TimePoint>().ok()?.as_unix_secs().to_le_bytes());
        to.count(parts.operations?);
        to.raw(&operations.bytes);
        to.count(0);
        let signatures = parts.signatures.as_ref()?;
        to.count(signatures.len());
        for signature in signatures {
            to.raw(signature.parse::<RecoverableSignature>().ok()?.as_bytes());
        }
        self.bytes = to.bytes;
        self.ends.push(self.bytes.len());
        Some(())
    }
}

/// The members of a transaction.
#[derive(Default)]
pub(super) struct Parts<'t> {
    pub(super) ref_block_num: Option<u64>,
    pub(super) ref_block_prefix: Option<u64>,
    pub(super) expiration: Option<Cow<'t, str>>,
    /// How many, if all of them are `custom_json`.
    pub(super) operations: Option<usize>,
    pub(super) signatures: Option<Vec<Cow<'t, str>>>,
}

/// Any `custom_json`.
pub(super) struct Custom<'t> {
    pub(super) active: Option<Vec<Cow<'t, str>>>,
    pub(super) posting: Option<Vec<Cow<'t, str>>>,
    pub(super) id: Cow<'t, str>,
    pub(super) json: Cow<'t, str>,
}

impl Custom<'_> {
    /// Packs it; `None` if that cannot be done.
    pub(super) fn pack<'a>(&'a self, to: &mut Packer) -> Option<()> {
        let names = |names: &'a Option<Vec<Cow<'_, str>>>| {
            let names = names.as_ref()?.iter().map(AsRef::as_ref);
            Some(names.collect::<Vec<&str>>())
        };
        pack_custom_json(to, &names(&self.active)?, &names(&self.posting)?, &self.id, &self.json);
        Some(())
    }
}

/// Packs a `custom_json`. Source: `spec/hive.md`, section 4.1.
pub(crate) fn pack_custom_json(
    to: &mut Packer,
    active: &[&str],
    posting: &[&str],
    id: &str,
    json: &str,
) {
    to.count(CUSTOM_JSON);
    for names in [active, posting] {
        // A set: hived sorts it.
        let mut sorted;
        let names = if names.len() > 1 {
            sorted = names.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            &sorted
        } else {
            names
        };
        to.count(names.len());
        for name in names {
            to.text(name);
        }
    }
    to.text(id);
    to.text(json);
}

/// Number of the operation. Source: `spec/hive.md`, section 4.1.
const CUSTOM_JSON: usize = 18;
