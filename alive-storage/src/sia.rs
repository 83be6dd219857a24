//! Sia's Merkle tree over bytes: [`MerkleRoot`].
//!
//! Leaves are 64-byte segments, hashed with BLAKE2b-256 under the prefix 0, nodes under the prefix 1; a tree is packed
//! level by level and a lone last node moves up, which is the shape of RFC 6962. `blake2b_simd` hashes several equally long
//! messages at once, which leaves and nodes are. Source: `spec/storage.md`, section 8.2.

use std::fmt;

use blake2b_simd::{
    Params,
    many::{HashManyJob, hash_many},
};

/// Size of a sector, in bytes.
pub const SECTOR_BYTES: usize = 1 << 22;

/// Size of a leaf's segment, in bytes.
const SEGMENT: usize = 64;
/// A prefix and a segment, or a prefix and two hashes.
const MESSAGE: usize = 1 + SEGMENT;
/// Messages hashed at once: enough for every instruction set, and small on the stack.
const BATCH: usize = 16;

type Hash = [u8; 32];

/// Merkle root of a sector or of any bytes.
///
/// ```
/// use alive_storage::MerkleRoot;
/// assert_eq!(MerkleRoot::of(b""), MerkleRoot::from([0; 32]));
/// assert_ne!(MerkleRoot::of(b"x"), MerkleRoot::of_sector(b"x"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MerkleRoot(Hash);

impl MerkleRoot {
    /// Root of the bytes as they are: the last segment may be shorter. Nothing has the root of 32 zeros.
    pub fn of(data: &[u8]) -> Self {
        let params = params();
        let mut level = leaves(&params, data);
        while level.len() > 1 {
            level = parents(&params, &level, None);
        }
        Self(level.first().copied().unwrap_or_default())
    }

    /// Root of the sector that starts with these bytes and is zeros behind them. What lies behind a whole sector is not
    /// looked at. Only the given bytes are hashed, the zeros are known.
    pub fn of_sector(data: &[u8]) -> Self {
        let data = data.get(..SECTOR_BYTES).unwrap_or(data);
        let params = params();
        let whole = data.len() - data.len() % SEGMENT;
        let (head, tail) = data.split_at(whole);
        let mut level = leaves(&params, head);
        if !tail.is_empty() || level.is_empty() {
            let mut segment = [0; SEGMENT];
            segment.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            level.extend(leaves(&params, &segment));
        }
        let mut zeros = leaves(&params, &[0; SEGMENT]);
        for _ in 0..(SECTOR_BYTES / SEGMENT).trailing_zeros() {
            level = parents(&params, &level, zeros.first());
            zeros.extend_from_within(..);
            zeros = parents(&params, &zeros, None);
        }
        Self(level.first().copied().unwrap_or_default())
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for MerkleRoot {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

/// In lower-case hexadecimal digits.
impl fmt::Display for MerkleRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MerkleRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MerkleRoot({self})")
    }
}

fn params() -> Params {
    let mut params = Params::new();
    params.hash_length(32);
    params
}

/// Hashes of all segments.
fn leaves(params: &Params, data: &[u8]) -> Vec<Hash> {
    let mut hashes = Vec::with_capacity(data.len().div_ceil(SEGMENT));
    for batch in data.chunks(BATCH * SEGMENT) {
        hash_batch(params, 0, batch.chunks(SEGMENT), &mut hashes);
    }
    hashes
}

/// The level above. A lone last node is joined with `partner`, or moves up when there is none.
fn parents(params: &Params, level: &[Hash], partner: Option<&Hash>) -> Vec<Hash> {
    let (pairs, lone) = level.as_chunks::<2>();
    let mut above = Vec::with_capacity(pairs.len() + 1);
    for batch in pairs.chunks(BATCH) {
        hash_batch(params, 1, batch.iter().map(|pair| pair.as_flattened()), &mut above);
    }
    match (lone, partner) {
        ([lone], Some(partner)) => {
            let pair = [*lone, *partner];
            hash_batch(params, 1, std::iter::once(pair.as_flattened()), &mut above);
        }
        (lone, _) => above.extend(lone),
    }
    above
}

/// Hashes up to [`BATCH`] messages of at most [`SEGMENT`] bytes behind a prefix, side by side.
fn hash_batch<'a>(
    params: &Params,
    prefix: u8,
    parts: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<Hash>,
) {
    let mut messages = [[prefix; MESSAGE]; BATCH];
    let mut lens = [0; BATCH];
    let mut count = 0;
    for ((part, message), len) in parts.zip(&mut messages).zip(&mut lens) {
        let body = message.iter_mut().skip(1).zip(part);
        body.for_each(|(to, from)| *to = *from);
        *len = 1 + part.len().min(SEGMENT);
        count += 1;
    }
    let mut jobs: Vec<HashManyJob<'_>> = messages
        .iter()
        .zip(lens)
        .take(count)
        .map(|(message, len)| HashManyJob::new(params, take(message, len)))
        .collect();
    hash_many(jobs.iter_mut());
    out.extend(jobs.iter().map(|job| {
        let mut hash = [0; 32];
        hash.iter_mut().zip(job.to_hash().as_bytes()).for_each(|(to, from)| *to = *from);
        hash
    }));
}

fn take(message: &[u8; MESSAGE], len: usize) -> &[u8] {
    message.get(..len).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// The definition of RFC 6962, one hash after the other.
    fn model(data: &[u8]) -> Hash {
        fn hash(prefix: u8, parts: &[&[u8]]) -> Hash {
            let mut state = Params::new().hash_length(32).to_state();
            state.update(&[prefix]);
            for part in parts {
                state.update(part);
            }
            state.finalize().as_bytes().try_into().unwrap()
        }
        fn tree(segments: &[&[u8]]) -> Hash {
            match segments {
                [] => [0; 32],
                [one] => hash(0, &[one]),
                many => {
                    let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                    hash(1, &[&tree(left), &tree(right)])
                }
            }
        }
        tree(&data.chunks(SEGMENT).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn roots_are_those_of_the_definition(data in vec(any::<u8>(), 0..5000)) {
            prop_assert_eq!(*MerkleRoot::of(&data).as_bytes(), model(&data));
        }
    }

    #[test]
    fn the_zeros_of_a_sector_need_not_be_there() {
        for len in [0, 1, 63, 64, 65, 4096, 100_001, SECTOR_BYTES - 1, SECTOR_BYTES] {
            let data: Vec<u8> = (1..=251).cycle().take(len).collect();
            let mut sector = data.clone();
            sector.resize(SECTOR_BYTES, 0);
            assert_eq!(MerkleRoot::of_sector(&data), MerkleRoot::of(&sector), "{len}");
        }
    }
}
