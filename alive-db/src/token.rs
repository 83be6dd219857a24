//! Access tokens: a message signed by a Hive account over a recent block, [`LoginMessage`], becomes a JWT, [`Claims`].
//!
//! Source: `spec/alivedb.md`, sections 7.1 and 7.2.

use std::fmt;

use alive_core::{
    AccountName, Link, Network,
    backend::{AccountAuthority, PublicKeyBytes, SignatureScheme},
};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::json::{Json, Object, Text};

/// What an account signs to get a token: `USER:LINK:AUTH_ID:NETWORK:BLOCKNUM:BLOCKID:SIG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginMessage {
    /// Who.
    pub user: AccountName,
    /// For which of his streams.
    pub link: Link,
    /// The number of a recent block.
    pub block_num: u64,
    /// Its id.
    pub block_id: Box<str>,
    /// The signature, as given.
    pub signature: Box<str>,
    /// The text before the signature: what is signed.
    signed: Box<str>,
}

impl LoginMessage {
    /// Longest message, in bytes. Our own limit.
    pub const MAX_LEN: usize = 1024;

    /// Reads a message for the service of this identifier.
    ///
    /// # Errors
    /// [`LoginError::Format`]: not seven parts, another service or network, a user, link or block number that is none.
    pub fn parse(text: &str, auth_identifier: &str) -> Result<Self, LoginError> {
        let parts: Vec<_> = text.split(':').take(8).collect();
        let [user, link, service, network, num, block_id, signature] = *parts else {
            return Err(LoginError::Format);
        };
        let digits = !num.is_empty() && num.bytes().all(|b| b.is_ascii_digit());
        let service = service == auth_identifier && network == Network::hive().as_str();
        let (signed, _) = text.rsplit_once(':').ok_or(LoginError::Format)?;
        if !digits || !service || text.len() > Self::MAX_LEN {
            return Err(LoginError::Format);
        }
        let value = Json::Text(user.into());
        Ok(Self {
            user: crate::rest::validate::username(Some(&value)).map_err(|_| LoginError::Format)?,
            link: link.parse().map_err(|_| LoginError::Format)?,
            block_num: num.parse().map_err(|_| LoginError::Format)?,
            block_id: block_id.into(),
            signature: signature.into(),
            signed: signed.into(),
        })
    }

    /// What is signed.
    pub fn digest(&self, scheme: &dyn SignatureScheme) -> [u8; 32] {
        scheme.digest(self.signed.as_bytes())
    }

    /// The key that signed it.
    ///
    /// # Errors
    /// [`LoginError::Signature`].
    pub fn signer(&self, scheme: &dyn SignatureScheme) -> Result<PublicKeyBytes, LoginError> {
        let key = scheme.recover(&self.digest(scheme), &self.signature);
        key.map_err(|_| LoginError::Signature)
    }

    /// Whether this key may post for the account.
    ///
    /// # Errors
    /// [`LoginError::Signature`].
    pub fn check_signer(
        key: &PublicKeyBytes,
        authority: &AccountAuthority,
    ) -> Result<(), LoginError> {
        if authority.posting.is_met_by(key) { Ok(()) } else { Err(LoginError::Signature) }
    }

    /// Whether the block is one of the chain and recent: not more than `timeout_blocks` before the head.
    ///
    /// # Errors
    /// [`LoginError::BlockId`], [`LoginError::TimedOut`].
    pub fn check_block(
        &self,
        id: Option<&str>,
        head_num: u64,
        timeout_blocks: u64,
    ) -> Result<(), LoginError> {
        if id != Some(&self.block_id) {
            return Err(LoginError::BlockId);
        }
        if head_num > self.block_num.saturating_add(timeout_blocks) {
            return Err(LoginError::TimedOut);
        }
        Ok(())
    }
}

/// Why there is no token, in the words of the original.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The chain has another block of this number, or none.
    #[error("Invalid block ID for block")]
    BlockId,
    /// The chain cannot be asked for the head.
    #[error("Could not verify block expiry")]
    ExpiryUnknown,
    /// The message has another form.
    #[error("Invalid auth message format")]
    Format,
    /// The chain cannot be asked for the block.
    #[error("Could not verify block ID")]
    IdUnknown,
    /// It has been used before.
    #[error("Signature was used before")]
    Reused,
    /// No key that may post for the account made the signature.
    #[error("Invalid signature")]
    Signature,
    /// The chain cannot be asked for the account.
    #[error("Failed to verify signature")]
    SignerUnknown,
    /// The block is too old.
    #[error("Block info specified timed out")]
    TimedOut,
    /// More tokens are asked for than can be remembered.
    #[error("Too many logins")]
    TooMany,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The account.
    pub user: AccountName,
    /// The stream that it may push to.
    pub link: Link,
    /// The identifier of the service that it is for.
    pub app: Box<str>,
    /// The chain of the account.
    pub network: Network,
    /// When it was made, in seconds since 1970.
    pub iat: f64,
    /// When it ends, in seconds since 1970.
    pub exp: f64,
}

impl Claims {
    /// Longest token, in bytes. Our own limit.
    pub const MAX_TOKEN: usize = 4096;

    /// The token: `HEADER.CLAIMS.SIGNATURE`, HS256.
    pub fn sign(&self, secret: &Secret) -> String {
        let header = Object::from_iter([
            ("alg", Json::Text("HS256".into())),
            ("typ", Json::Text("JWT".into())),
        ]);
        let part = |object| BASE64URL_NOPAD.encode(Json::Object(object).print().as_bytes());
        let mut token = format!("{}.{}", part(header), part(self.to_object()));
        let tag = hmac::sign(&secret.0, token.as_bytes());
        token.push('.');
        BASE64URL_NOPAD.encode_append(tag.as_ref(), &mut token);
        token
    }

    /// Checks a token made by this service, whole, at `now_s` seconds since 1970.
    ///
    /// # Errors
    /// [`ClaimsError`]; another algorithm than HS256, another service, a claim that is missing or of another type.
    pub fn verify(
        token: &str,
        secret: &Secret,
        auth_identifier: &str,
        now_s: f64,
    ) -> Result<Self, ClaimsError> {
        if token.len() > Self::MAX_TOKEN {
            return Err(ClaimsError::Malformed);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(ClaimsError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(ClaimsError::Malformed)?;
        let part = |part: &str| {
            let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).ok()?;
            Json::parse(std::str::from_utf8(&bytes).ok()?).ok()
        };
        let header = part(header).ok_or(ClaimsError::Malformed)?;
        let claims = part(claims).ok_or(ClaimsError::Malformed)?;
        if tag.is_empty() {
            return Err(ClaimsError::Unsigned);
        }
        if header.member("alg").and_then(Json::as_text) != Some(&"HS256".into()) {
            return Err(ClaimsError::Algorithm);
        }
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).map_err(|_| ClaimsError::Signature)?;
        hmac::verify(&secret.0, signed.as_bytes(), &tag).map_err(|_| ClaimsError::Signature)?;
        let claims = Self::from_json(&claims)?;
        if &*claims.app != auth_identifier {
            return Err(ClaimsError::App);
        }
        if now_s.floor() >= claims.exp {
            return Err(ClaimsError::Expired);
        }
        Ok(claims)
    }

    /// The claims as JSON.
    pub fn to_object(&self) -> Object {
        let text = |text: &str| Json::Text(text.into());
        Object::from_iter([
            ("user", text(self.user.as_str())),
            ("link", text(self.link.as_str())),
            ("app", text(&self.app)),
            ("network", text(self.network.as_str())),
            ("iat", Json::Number(self.iat)),
            ("exp", Json::Number(self.exp)),
        ])
    }

    fn from_json(json: &Json) -> Result<Self, ClaimsError> {
        let text = |name| {
            let text = json.member(name).and_then(Json::as_text).and_then(Text::as_str);
            text.ok_or(ClaimsError::Claim(name))
        };
        let number = |name| {
            let number = json.member(name).and_then(Json::as_number);
            number.filter(|number| number.is_finite()).ok_or(ClaimsError::Claim(name))
        };
        Ok(Self {
            user: text("user")?.parse().map_err(|_| ClaimsError::Claim("user"))?,
            link: text("link")?.parse().map_err(|_| ClaimsError::Claim("link"))?,
            app: text("app")?.into(),
            network: text("network")?.parse().map_err(|_| ClaimsError::Claim("network"))?,
            iat: number("iat")?,
            exp: number("exp")?,
        })
    }
}

/// Why a token does not count, in the words of the original where it has any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// It is not signed with HS256.
    #[error("invalid algorithm")]
    Algorithm,
    /// Another service made it.
    #[error("token was issued for another identifier")]
    App,
    /// A claim is missing or of another type.
    #[error("claim {0} is missing or invalid")]
    Claim(&'static str),
    /// Its time is over.
    #[error("jwt expired")]
    Expired,
    /// It has not the form of a token.
    #[error("jwt malformed")]
    Malformed,
    /// We did not sign it.
    #[error("invalid signature")]
    Signature,
    /// Nobody signed it.
    #[error("jwt signature is required")]
    Unsigned,
}

impl ClaimsError {
    /// The name that the original gives to the error.
    pub fn name(&self) -> &'static str {
        if *self == Self::Expired { "TokenExpiredError" } else { "JsonWebTokenError" }
    }
}

/// What tokens are signed with. It never shows.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// Least bytes of a secret.
    pub const MIN_LEN: usize = 32;

    /// Takes a secret; `None` if it is shorter than [`MIN_LEN`](Self::MIN_LEN).
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= Self::MIN_LEN).then(|| Self(hmac::Key::new(HMAC_SHA256, secret)))
    }

    /// Makes one of the system's randomness, and its text to be kept.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate() -> Result<(Self, Zeroizing<String>), getrandom::Error> {
        let mut bytes = Zeroizing::new([0; Self::MIN_LEN]);
        getrandom::fill(&mut bytes[..])?;
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes[..]));
        Ok((Self(hmac::Key::new(HMAC_SHA256, text.as_bytes())), text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests;
