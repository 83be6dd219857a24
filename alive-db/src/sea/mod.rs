//! SEA: users of GUN by their keys. Sign and verify, encrypt, accounts behind passwords, and who may write what.
//!
//! All of P-256 is done by aws-lc-rs: a verification takes 50 µs there and 232 µs in pure Rust (measured on one machine),
//! and every value that enters a graph is verified. AES-GCM is that of `aes-gcm`, because SEA's initialisation vectors
//! have 15 bytes and aws-lc-rs takes 12 only.
//!
//! Source: `spec/alivedb.md`, sections 3 to 5.

mod account;
mod certificate;
mod cipher;
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod sign;
mod user_node;
mod work;

pub use account::{Account, AccountError};
pub use cipher::{DecryptError, Encrypted, encrypt};
pub use key::{KeyError, KeyPair, PublicKey};
pub use sign::{SignError, Signed, VerifyError, hash, sign};
pub use user_node::{UserSpace, owner, sign_node, sign_value};
#[cfg(feature = "testing")]
pub(crate) use work::sha256;
pub use work::{content_hash, work};

pub(crate) use account::random_text;
