//! Keys of SEA users: [`PublicKey`], [`KeyPair`].

use std::{fmt, str::FromStr, sync::Arc};

use alive_core::Excerpt;
use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, ParsedPublicKey,
    },
};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

/// A point of P-256: whose space a soul is in, or what others encrypt for.
///
/// Its text is `x.y`, each 32 bytes in base64url without padding: 87 characters, in the one form that encoding gives.
/// Source: `spec/alivedb.md`, section 3.
///
/// ```
/// use alive_db::sea::PublicKey;
/// let text = "jbR1OmuqvvOkQ-mUlrpC8uzrMNKnxnY2EzoGDDmXZ7w.6QdPysmLzGKqbHiVKWpzspYQkhDLQntJnQIJzYElfc0";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// # Ok::<(), alive_db::sea::KeyError>(())
/// ```
#[derive(Clone)]
pub struct PublicKey {
    /// 4, x, y: the uncompressed form of SEC 1.
    point: [u8; Self::POINT_LEN],
    parsed: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// Length of its text, in bytes.
    pub const TEXT_LEN: usize = 2 * Self::HALF_LEN + 1;
    /// Length of one coordinate in base64url.
    const HALF_LEN: usize = 43;
    const POINT_LEN: usize = 65;

    /// Whether this key signed `message` with ECDSA over its SHA-256; `signature` is r and s, 32 bytes each.
    ///
    /// Any s is taken, as browsers do: who signed can sign anew anyhow, so a signature is nobody's identity.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    fn from_point(point: &[u8]) -> Option<Self> {
        let point: [u8; Self::POINT_LEN] = point.try_into().ok()?;
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self { point, parsed: Arc::new(parsed) })
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut point = [4; Self::POINT_LEN];
        let decoded = text.split_once('.').filter(|(x, _)| x.len() == Self::HALF_LEN);
        decoded
            .and_then(|(x, y)| {
                let (_, coordinates) = point.split_at_mut(1);
                let (to_x, to_y) = coordinates.split_at_mut(32);
                to_x.copy_from_slice(&decode(x)?[..]);
                to_y.copy_from_slice(&decode(y)?[..]);
                Some(())
            })
            .ok_or_else(|| KeyError::Form(Excerpt::of(text)))?;
        Self::from_point(&point).ok_or(KeyError::Curve)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, coordinates) = self.point.split_at(1);
        let (x, y) = coordinates.split_at(32);
        write!(f, "{}.{}", BASE64URL_NOPAD.encode_display(x), BASE64URL_NOPAD.encode_display(y))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.point.hash(state);
    }
}

/// The four keys of a user: one pair signs, one agrees on secrets.
///
/// ```
/// use alive_db::sea::KeyPair;
/// let keys = KeyPair::generate()?;
/// let again = KeyPair::from_texts(&keys.private_text(), &keys.exchange_private_text())?;
/// assert_eq!(again.public(), keys.public());
/// # Ok::<(), alive_db::sea::KeyError>(())
/// ```
pub struct KeyPair {
    public: PublicKey,
    exchange: PublicKey,
    sign: EcdsaKeyPair,
    agree: agreement::PrivateKey,
    private_text: Zeroizing<String>,
    exchange_private_text: Zeroizing<String>,
}

impl KeyPair {
    /// Makes new keys from the randomness of the cryptographic library.
    ///
    /// # Errors
    /// [`KeyError::Library`] if the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let scalar = || {
            let key = agreement::PrivateKey::generate(&ECDH_P256).map_err(|_| KeyError::Library)?;
            let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().map_err(|_| KeyError::Library)?;
            Ok(Zeroizing::new(BASE64URL_NOPAD.encode(scalar.as_ref())))
        };
        Self::from_texts(&scalar()?, &scalar()?)
    }

    /// Takes the texts of `priv`, which signs, and `epriv`, which agrees on secrets: 32 bytes in base64url each. The
    /// public keys follow from them.
    ///
    /// # Errors
    /// One is not of this form ([`KeyError::Form`], which does not repeat it), or is 0 or not below the order of the
    /// curve ([`KeyError::Scalar`]).
    pub fn from_texts(sign: &str, agree: &str) -> Result<Self, KeyError> {
        let (scalar, _, public) = derive(sign)?;
        let (_, agree_key, exchange) = derive(agree)?;
        let sign_key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &scalar[..],
            &public.point,
        );
        Ok(Self {
            public,
            exchange,
            sign: sign_key.map_err(|_| KeyError::Scalar)?,
            agree: agree_key,
            private_text: Zeroizing::new(sign.to_owned()),
            exchange_private_text: Zeroizing::new(agree.to_owned()),
        })
    }

    /// The key that others verify with, and that names the user's space: `pub`.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key that others encrypt for: `epub`.
    pub fn exchange(&self) -> &PublicKey {
        &self.exchange
    }

    /// The secret text of `priv`.
    pub fn private_text(&self) -> Zeroizing<String> {
        self.private_text.clone()
    }

    /// The secret text of `epriv`; it is also the key text of what the user encrypts for himself.
    pub fn exchange_private_text(&self) -> Zeroizing<String> {
        self.exchange_private_text.clone()
    }

    /// What the two users know and nobody else: a key text for [`encrypt`](super::encrypt).
    ///
    /// # Errors
    /// [`KeyError::Library`] if the library fails; a [`PublicKey`] is a point of the curve, so it should not.
    pub fn secret(&self, other: &PublicKey) -> Result<Zeroizing<String>, KeyError> {
        let other = agreement::UnparsedPublicKey::new(&ECDH_P256, other.point);
        agreement::agree(&self.agree, other, KeyError::Library, |x| {
            Ok(Zeroizing::new(BASE64URL_NOPAD.encode(x)))
        })
    }

    /// r and s of an ECDSA signature over the SHA-256 of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let signature = self.sign.sign(&SystemRandom::new(), message);
        let signature = signature.map_err(|_| KeyError::Library)?;
        signature.as_ref().try_into().map_err(|_| KeyError::Library)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Why a text is no key, or a key does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A public key is not a point of the curve.
    #[error("the public key is not on the curve P-256")]
    Curve,
    /// It has not the form of a key.
    #[error(
        "{0} is no key, base64url of 32 bytes expected, for public keys twice with a point between"
    )]
    Form(Excerpt),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
    /// A private key is zero or too large.
    #[error("the private key is not between 1 and the order of the curve")]
    Scalar,
}

/// The scalar of a private key's text, and the public key that belongs to it.
fn derive(text: &str) -> Result<(Zeroizing<[u8; 32]>, agreement::PrivateKey, PublicKey), KeyError> {
    let scalar = decode(text).ok_or_else(|| KeyError::Form(Excerpt::of("a private key")))?;
    let key = agreement::PrivateKey::from_private_key(&ECDH_P256, &scalar[..]);
    let key = key.map_err(|_| KeyError::Scalar)?;
    let point = key.compute_public_key().map_err(|_| KeyError::Scalar)?;
    let public = PublicKey::from_point(point.as_ref()).ok_or(KeyError::Curve)?;
    Ok((scalar, key, public))
}

fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 33]);
    if text.len() != PublicKey::HALF_LEN {
        return None;
    }
    let (to, _) = bytes.split_at_mut(32);
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), to).ok()?;
    Some(Zeroizing::new(*to.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const X: &str = "jbR1OmuqvvOkQ-mUlrpC8uzrMNKnxnY2EzoGDDmXZ7w";
    const Y: &str = "6QdPysmLzGKqbHiVKWpzspYQkhDLQntJnQIJzYElfc0";

    #[rstest]
    #[case::empty(String::new())]
    #[case::one_half(X.to_owned())]
    #[case::three(format!("{X}.{Y}.{Y}"))]
    #[case::padded(format!("{X}=.{Y}="))]
    #[case::standard_alphabet(format!("{X}.{Y}").replace('-', "+"))]
    #[case::other_spare_bits(format!("{X}.{}", Y.replace("fc0", "fc1")))]
    #[case::short(format!("{X}.{}", &Y[1..]))]
    #[case::long(format!("{X}.{Y}A"))]
    #[case::not_ascii(format!("{X}.é{}", &Y[2..]))]
    fn refuses_other_forms_of_public_keys(#[case] text: String) {
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::Form(Excerpt::of(&text))));
    }

    #[test]
    fn refuses_points_off_the_curve() {
        let off = format!("{Y}.{X}");
        assert_eq!(off.parse::<PublicKey>(), Err(KeyError::Curve));
        let zero = "A".repeat(43);
        assert_eq!(format!("{zero}.{zero}").parse::<PublicKey>(), Err(KeyError::Curve));
    }

    #[test]
    fn refuses_scalars_out_of_range() {
        let order = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
        let below = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVA";
        for scalar in [&"A".repeat(43), order, &format!("{}8", "_".repeat(42))] {
            assert_eq!(KeyPair::from_texts(scalar, below).unwrap_err(), KeyError::Scalar);
            assert_eq!(KeyPair::from_texts(below, scalar).unwrap_err(), KeyError::Scalar);
        }
        assert!(KeyPair::from_texts(below, below).is_ok());
    }

    #[test]
    fn no_secret_shows() {
        let keys = KeyPair::generate().unwrap();
        let shown = format!("{keys:?}");
        assert!(shown.contains(&keys.public().to_string()));
        assert!(!shown.contains(&**keys.private_text()));
        assert!(!shown.contains(&**keys.exchange_private_text()));
        let secret = "x".repeat(44);
        let error = KeyPair::from_texts(&secret, &secret).unwrap_err();
        assert!(!error.to_string().contains("xxxx"), "{error}");
    }

    #[test]
    fn two_users_share_a_secret() {
        let [alice, bob] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
        let secret = alice.secret(bob.exchange()).unwrap();
        assert_eq!(secret, bob.secret(alice.exchange()).unwrap());
        assert_eq!(secret.len(), 43);
    }
}
