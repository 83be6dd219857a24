//! Proof of work for passwords, and hashes: [`work`], [`content_hash`].

use std::num::NonZeroU32;

use aws_lc_rs::{
    digest::{self, SHA256},
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// How often the password is stirred. Source: `spec/alivedb.md`, section 3, "work".
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// Bytes of a proof.
const PROOF_LEN: usize = 64;

/// The key text that a password becomes: PBKDF2 with HMAC-SHA256, 100,000 rounds, 64 bytes in base64. It takes about
/// 50 ms of one core, so call it off the async runtime's threads.
/// Source: `spec/alivedb.md`, section 3, "work".
///
/// ```
/// let proof = alive_db::sea::work("password123", "JNctXI7d9LOwZivA3yZlRN5JVlAWwvBN9b1neAtZHkDPcLHLCutVRzI2UrSgS64z");
/// assert!(proof.starts_with("mxJiRnekvIg"));
/// ```
pub fn work(password: &str, salt: &str) -> Zeroizing<String> {
    let mut proof = Zeroizing::new([0; PROOF_LEN]);
    pbkdf2::derive(
        PBKDF2_HMAC_SHA256,
        ITERATIONS,
        salt.as_bytes(),
        password.as_bytes(),
        &mut proof[..],
    );
    Zeroizing::new(BASE64.encode(&proof[..]))
}

/// SHA-256 of a text in base64: the name of content-addressed values.
///
/// ```
/// assert_eq!(alive_db::sea::content_hash(b""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// ```
pub fn content_hash(text: &[u8]) -> String {
    BASE64.encode(&sha256(text))
}

pub(crate) fn sha256(text: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, text).as_ref());
    hash
}
