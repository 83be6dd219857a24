//! What a key text encrypts: [`Encrypted`], [`encrypt`].

use aes_gcm::{
    AesGcm, KeyInit, Nonce,
    aead::{
        Aead,
        consts::{U12, U15, U16},
    },
    aes::Aes256,
};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::work::sha256;
use crate::json::{Json, Object, Text};

/// An encrypted text: `{"ct":…,"iv":…,"s":…}`.
///
/// AES-256-GCM with the tag behind the text. The key is the SHA-256 of the key text followed by the salt `s`, each byte of
/// which counts as one character. Source: `spec/alivedb.md`, section 3, "encrypt".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encrypted {
    content: Vec<u8>,
    iv: Vec<u8>,
    salt: Vec<u8>,
}

/// Encrypts a text. `random` must never be used twice.
///
/// ```
/// use alive_db::sea::{Encrypted, encrypt};
/// let hidden = encrypt("a secret", "key", [7; Encrypted::RANDOM_LEN]);
/// assert_eq!(*hidden.decrypt("key")?, "a secret");
/// assert!(hidden.decrypt("another key").is_err());
/// # Ok::<(), alive_db::sea::DecryptError>(())
/// ```
///
/// # Panics
/// If the text has more than 64 GiB, which is more than the cipher can hide.
pub fn encrypt(text: &str, key: &str, random: [u8; Encrypted::RANDOM_LEN]) -> Encrypted {
    let (salt, iv) = random.split_at(Encrypted::SALT_LEN);
    let cipher = AesGcm::<Aes256, U15>::new(&(*derive(key, salt)).into());
    let nonce = Nonce::<U15>::try_from(iv).unwrap_or_default();
    #[expect(clippy::expect_used, reason = "the cipher refuses only texts of more than 64 GiB")]
    let content = cipher.encrypt(&nonce, text.as_bytes()).expect("below 64 GiB");
    Encrypted { content, iv: iv.to_vec(), salt: salt.to_vec() }
}

impl Encrypted {
    /// How many random bytes encrypting takes: 9 for the salt and 15 for the initialisation vector.
    pub const RANDOM_LEN: usize = Self::SALT_LEN + 15;
    const SALT_LEN: usize = 9;
    /// Longest salt that is read. Our own limit; old versions of the original had other lengths than 9.
    const MAX_SALT: usize = 64;

    /// Gives the text back.
    ///
    /// # Errors
    /// The key is another ([`DecryptError::Key`]), or what it hid is no text.
    pub fn decrypt(&self, key: &str) -> Result<Zeroizing<String>, DecryptError> {
        let key = derive(key, &self.salt);
        // Old versions of the original took 12 or 16 bytes.
        let plain = match self.iv.len() {
            12 => open(&AesGcm::<Aes256, U12>::new(&(*key).into()), &self.iv, &self.content),
            15 => open(&AesGcm::<Aes256, U15>::new(&(*key).into()), &self.iv, &self.content),
            16 => open(&AesGcm::<Aes256, U16>::new(&(*key).into()), &self.iv, &self.content),
            _ => return Err(DecryptError::Form("iv is not 12, 15 or 16 bytes")),
        };
        let plain = Zeroizing::new(plain.ok_or(DecryptError::Key)?);
        match std::str::from_utf8(&plain) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(DecryptError::Form("what it hides is no text")),
        }
    }

    /// Reads `{"ct":…,"iv":…,"s":…}`.
    ///
    /// # Errors
    /// A member is missing or not in base64.
    pub fn from_json(json: &Json) -> Result<Self, DecryptError> {
        let bytes = |name, error| {
            let text = json.member(name).and_then(Json::as_text).and_then(Text::as_str);
            let bytes = text.and_then(|text| BASE64.decode(text.as_bytes()).ok());
            bytes.ok_or(DecryptError::Form(error))
        };
        let this = Self {
            content: bytes("ct", "ct is no base64")?,
            iv: bytes("iv", "iv is no base64")?,
            salt: bytes("s", "s is no base64")?,
        };
        if this.salt.len() > Self::MAX_SALT {
            return Err(DecryptError::Form("s is too long"));
        }
        Ok(this)
    }

    /// Writes `{"ct":…,"iv":…,"s":…}`.
    pub fn to_json(&self) -> Json {
        let base64 = |bytes: &[u8]| Json::Text(Text::from(BASE64.encode(bytes)));
        Json::Object(Object::from_iter([
            ("ct", base64(&self.content)),
            ("iv", base64(&self.iv)),
            ("s", base64(&self.salt)),
        ]))
    }
}

/// Why there is no text to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// It has not the form that encrypting gives.
    #[error("not an encrypted text: {0}")]
    Form(&'static str),
    /// It was encrypted with another key, or changed since.
    #[error("encrypted with another key, or changed since")]
    Key,
}

fn open<C: Aead>(cipher: &C, iv: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let nonce = iv.try_into().ok()?;
    cipher.decrypt(&nonce, content).ok()
}

/// The AES key of a key text and a salt.
fn derive(key: &str, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut text = Zeroizing::new(String::with_capacity(key.len() + 2 * salt.len()));
    text.push_str(key);
    text.extend(salt.iter().map(|&byte| char::from(byte)));
    Zeroizing::new(sha256(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    proptest! {
        #[test]
        fn what_is_hidden_comes_back(text: String, key: String, random: [u8; 24]) {
            let hidden = encrypt(&text, &key, random);
            let read = Encrypted::from_json(&Json::parse(&hidden.to_json().print()).unwrap());
            prop_assert_eq!(read.as_ref(), Ok(&hidden));
            prop_assert_eq!(&**hidden.decrypt(&key).unwrap(), &text);
            prop_assert_eq!(hidden.decrypt(&format!("{key}x")), Err(DecryptError::Key));
        }

        #[test]
        fn a_changed_bit_is_noticed(text: String, bit: prop::sample::Index) {
            let mut hidden = encrypt(&text, "key", [7; 24]);
            let bit = bit.index(8 * hidden.content.len());
            hidden.content[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(hidden.decrypt("key"), Err(DecryptError::Key));
        }
    }

    #[rstest]
    #[case(r#"{"ct":"","iv":"AAAAAAAAAAAAAAAA"}"#)]
    #[case(r#"{"ct":5,"iv":"AAAAAAAAAAAAAAAA","s":""}"#)]
    #[case(r#"{"ct":"A","iv":"AAAAAAAAAAAAAAAA","s":""}"#)]
    #[case("[]")]
    fn refuses_what_is_not_encrypted(#[case] json: &str) {
        let read = Encrypted::from_json(&Json::parse(json).unwrap());
        assert!(matches!(read, Err(DecryptError::Form(_))), "{read:?}");
    }

    #[test]
    fn vectors_of_12_and_16_bytes_are_read_and_others_refused() {
        let key = derive("key", &[1]);
        let cipher = AesGcm::<Aes256, U16>::new(&(*key).into());
        let content = cipher.encrypt(&[9; 16].into(), &b"old"[..]).unwrap();
        let old = Encrypted { content, iv: vec![9; 16], salt: vec![1] };
        assert_eq!(&**old.decrypt("key").unwrap(), "old");
        let cut = Encrypted { iv: vec![9; 12], ..old.clone() };
        assert_eq!(cut.decrypt("key"), Err(DecryptError::Key));
        let odd = Encrypted { iv: vec![9; 13], ..old };
        assert!(matches!(odd.decrypt("key"), Err(DecryptError::Form(_))));
    }
}
