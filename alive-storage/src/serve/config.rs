//! Settings of the Kubo-compatible face: [`FaceConfig`], [`AccessToken`].

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroize as _;

/// Settings of a [`Face`](super::Face).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FaceConfig {
    /// What every call must present as `Authorization: Bearer …`; none unless set.
    pub token: Option<AccessToken>,
    /// Most bytes of one upload; 16 GiB unless set. A recording of a day at 1 MB/s has 80 GiB, but comes in segments.
    pub upload_bytes: u64,
    /// Most uploads at once; 8 unless set. Others wait.
    pub uploads: usize,
    /// The version of Kubo's RPC that it answers as; clients refuse some by it.
    pub kubo_version: String,
}

impl Default for FaceConfig {
    fn default() -> Self {
        Self { token: None, upload_bytes: 16 << 30, uploads: 8, kubo_version: "0.39.0".to_owned() }
    }
}

impl FaceConfig {
    /// Asks every call for a token.
    #[must_use]
    pub fn token(self, token: AccessToken) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Bounds an upload, in bytes.
    #[must_use]
    pub fn upload_bytes(self, upload_bytes: u64) -> Self {
        Self { upload_bytes, ..self }
    }

    /// Bounds the uploads at once; at least one.
    #[must_use]
    pub fn uploads(self, uploads: usize) -> Self {
        Self { uploads: uploads.max(1), ..self }
    }

    /// Answers as another version of Kubo.
    #[must_use]
    pub fn kubo_version(self, kubo_version: impl Into<String>) -> Self {
        Self { kubo_version: kubo_version.into(), ..self }
    }
}

/// A secret that a client presents, kept as its digest only: 16 to 256 visible ASCII characters.
///
/// ```
/// use alive_storage::serve::AccessToken;
/// let token: AccessToken = "correct-horse-battery".parse()?;
/// assert!(token.is("correct-horse-battery"));
/// assert!(!token.is("correct-horse-batterz"));
/// assert!("short".parse::<AccessToken>().is_err());
/// # Ok::<(), alive_storage::serve::AccessTokenError>(())
/// ```
#[derive(Clone)]
pub struct AccessToken([u8; 32]);

impl AccessToken {
    /// Fewest characters.
    pub const MIN_LEN: usize = 16;
    /// Most characters.
    pub const MAX_LEN: usize = 256;

    /// Whether this is the token. Digests are compared, so that the time says nothing about it.
    pub fn is(&self, presented: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let difference =
            self.0.iter().zip(digest).fold(0, |all, (ours, theirs)| all | (ours ^ theirs));
        std::hint::black_box(difference) == 0
    }
}

impl FromStr for AccessToken {
    type Err = AccessTokenError;

    fn from_str(text: &str) -> Result<Self, AccessTokenError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len()) {
            return Err(AccessTokenError::Len(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessTokenError::Char);
        }
        Ok(Self(Sha256::digest(text).into()))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Why a text is no [`AccessToken`]. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessTokenError {
    /// It has a character that a header cannot carry as it is.
    #[error("a token has visible ASCII characters only")]
    Char,
    /// It has this many characters.
    #[error(
        "token of {0} characters, {min} to {max} allowed",
        min = AccessToken::MIN_LEN,
        max = AccessToken::MAX_LEN
    )]
    Len(usize),
}
