//! The nonce candidates of RFC 6979 in their order: [`NonceCandidates`].

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Generator of nonce candidates for one key and digest: HMAC-DRBG with SHA-256, as libsecp256k1 drives it.
///
/// It exists for what no library at hand offers: any candidate but the first, and a digest that goes in as it is,
/// without being reduced by the order of the curve. Candidates are not checked to be scalars.
/// Source: `spec/hive.md`, section 3.3; RFC 6979, section 3.2.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct NonceCandidates {
    key: [u8; 32],
    value: [u8; 32],
    started: bool,
}

impl NonceCandidates {
    /// Seeds it with a private key, the digest to be signed and further data, all taken as they are.
    pub(crate) fn new(secret: &[u8; 32], digest: &[u8; 32], extra: &[u8]) -> Self {
        let mut this = Self { key: [0; 32], value: [1; 32], started: false };
        for separator in [0, 1] {
            this.stir(separator, &[secret, digest, extra]);
        }
        this
    }

    /// The next candidate.
    pub(crate) fn next_candidate(&mut self) -> Zeroizing<[u8; 32]> {
        if self.started {
            self.stir(0, &[]);
        }
        self.started = true;
        self.value = self.hmac(&[]);
        Zeroizing::new(self.value)
    }

    /// Renews key and value.
    fn stir(&mut self, separator: u8, seed: &[&[u8]]) {
        self.key = self.hmac(&[&[&[separator][..]], seed].concat());
        self.value = self.hmac(&[]);
    }

    /// HMAC of the value and what follows it.
    fn hmac(&self, more: &[&[u8]]) -> [u8; 32] {
        // HMAC pads a short key with zeros up to its block; doing it here makes the length a matter of types.
        let mut block = Zeroizing::new([0; 64]);
        block.split_at_mut(32).0.copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(&self.value);
        for part in more {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_candidate_is_that_of_the_published_example() {
        // Key 1 and the hash of a text known from many RFC 6979 test suites for secp256k1.
        let mut key = [0; 32];
        key[31] = 1;
        let digest = <Sha256 as sha2::Digest>::digest(b"Satoshi Nakamoto").into();
        let first = NonceCandidates::new(&key, &digest, &[]).next_candidate();
        let known = "8f8a276c19f4149656b280621e358cce24f5f52542772691ee69063b74f15d15";
        assert_eq!(hex::encode(*first), known);
    }

    #[test]
    fn candidates_and_seeds_differ() {
        let mut plain = NonceCandidates::new(&[1; 32], &[2; 32], &[]);
        let mut extra = NonceCandidates::new(&[1; 32], &[2; 32], &[3; 32]);
        let candidates = [plain.next_candidate(), plain.next_candidate(), extra.next_candidate()];
        assert_ne!(candidates[0], candidates[1]);
        assert_ne!(candidates[0], candidates[2]);
    }
}
