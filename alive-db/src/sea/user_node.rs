//! What may be written where: [`UserSpace`], and signing for the own space: [`sign_value`].

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use alive_core::Excerpt;

use super::{
    certificate::Certificate,
    key::{KeyPair, PublicKey},
    sign::{SignError, Signed, decode_signature, encode_signature},
    work::{content_hash, sha256},
};
use crate::{
    gun::{Admission, Admitted, NodeDelta, Put, Refused, State, Value, is_expired},
    json::{Json, Text, print_number, print_text},
};

/// The rules of SEA as a gate of a graph: who may write what, by soul.
///
/// | soul | what it takes |
/// |---|---|
/// | `~@` | links from an alias to its index, `alice` to `~@alice` |
/// | `~@ALIAS` | links of a soul to itself |
/// | with `~PUB` | `pub` = PUB at exactly `~PUB`; else only what the key PUB signed for this soul, key and state |
/// | with `#` | values whose SHA-256 is in their key |
/// | any other | anything from anyone |
///
/// In a soul with `<?N` values older than N seconds are left out. Source: `spec/alivedb.md`, section 5.
///
/// ```
/// use alive_db::{gun::{Admission, Put, State, Value}, json::Text, sea::{KeyPair, UserSpace, sign_value}};
/// let keys = KeyPair::generate()?;
/// let (soul, key) = (Text::from(format!("~{}/inbox", keys.public())), Text::from("msg"));
/// let state = State::new(1795219380221.0).ok_or("finite")?;
/// let rules = UserSpace::default();
///
/// let signed = sign_value(&keys, &soul, &key, &Value::from("hi"), state)?;
/// let put = Put { soul: &soul, key: &key, value: &signed, state };
/// assert!(rules.admit(put, 1795219380222.0).is_ok());
/// assert_eq!(rules.plain(put), Some(Value::from("hi")));
/// assert!(rules.admit(Put { value: &Value::from("hi"), ..put }, 1795219380222.0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct UserSpace {
    certificates: bool,
    keys: Mutex<HashMap<Box<str>, Option<PublicKey>>>,
}

impl UserSpace {
    /// How many owners' keys it remembers, so that their values verify without decoding the key again.
    const MAX_KEYS: usize = 4096;

    /// Lets others write into a user's space by a certificate that he signed. Without it, which is the default and what
    /// streams need, every value that names another writer is refused.
    #[must_use]
    pub fn with_certificates(self) -> Self {
        Self { certificates: true, ..self }
    }

    /// Judges a value, and gives what readers see: the value without its signature; `None` if it has expired.
    ///
    /// # Errors
    /// It may not be written there.
    pub fn open(&self, put: Put<'_>, now_ms: f64) -> Result<Option<Value>, Refused> {
        if is_expired(put.soul, put.state, now_ms) {
            return Ok(None);
        }
        if put.soul.starts_with("~@") {
            return alias(put).map(Some);
        }
        if let Some(owner) = owner(put.soul) {
            return self.owned(put, &owner).map(Some);
        }
        if put.soul.as_bytes().contains(&b'#') {
            content_addressed(put)?;
        }
        Ok(Some(put.value.clone()))
    }

    /// What readers see of a value that has been admitted before: without its signature, which is not checked again.
    /// `None` if it is none that would have been admitted.
    pub fn plain(&self, put: Put<'_>) -> Option<Value> {
        match owner(put.soul) {
            Some(owner) if !put.soul.starts_with("~@") && !is_account_key(put, &owner) => {
                Wrapper::parse(put.value).ok().map(|wrapper| wrapper.value)
            }
            _ => Some(put.value.clone()),
        }
    }

    fn owned(&self, put: Put<'_>, owner: &str) -> Result<Value, Refused> {
        if is_account_key(put, owner) {
            let same = matches!(put.value, Value::Text(text) if text == owner);
            return if same { Ok(put.value.clone()) } else { Err(refused("Account not same!")) };
        }
        let wrapper = Wrapper::parse(put.value)?;
        let owner = self.key(owner).ok_or(UNVERIFIED)?;
        let Some(writer) = &wrapper.writer else {
            // A certificate without a writer means nothing.
            if wrapper.certificate.is_some() && !self.certificates {
                return Err(NO_CERTIFICATES);
            }
            return if wrapper.is_signed(put, &owner) {
                Ok(wrapper.value)
            } else {
                Err(UNVERIFIED)
            };
        };
        if !self.certificates {
            return Err(NO_CERTIFICATES);
        }
        let certificate = wrapper.certificate.as_ref().and_then(|certificate| match certificate {
            Json::Text(text) => Signed::parse(text.as_str()?).ok(),
            other => Signed::from_json(other).ok(),
        });
        let certificate = certificate.ok_or(refused("Signed by another without a certificate."))?;
        // Cheap checks of the certificate first; its signature is the owner's, the value's is the writer's.
        Certificate::open(&certificate, &owner)?.allows(put, writer)?;
        let key = self.key(writer).ok_or(UNVERIFIED)?;
        if wrapper.is_signed(put, &key) { Ok(wrapper.value) } else { Err(UNVERIFIED) }
    }

    /// The key of this text, decoded once.
    fn key(&self, text: &str) -> Option<PublicKey> {
        if text.len() != PublicKey::TEXT_LEN {
            return None;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(text) {
            return key.clone();
        }
        let key = text.parse().ok();
        if keys.len() >= Self::MAX_KEYS {
            // Who is written to now comes back at once; all others have been waiting for this.
            keys.clear();
        }
        keys.insert(text.into(), key.clone());
        key
    }
}

impl Admission for UserSpace {
    fn admit(&self, put: Put<'_>, now_ms: f64) -> Result<Admitted, Refused> {
        Ok(match self.open(put, now_ms)? {
            Some(_) => Admitted::Keep,
            None => Admitted::Omit,
        })
    }
}

impl fmt::Debug for UserSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSpace")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// Signs a value for the own space: what is stored and sent instead of it.
///
/// # Errors
/// [`SignError::Unsignable`] for a soul of another owner or a state of 0, which no peer would take;
/// [`SignError::Library`].
pub fn sign_value(
    keys: &KeyPair,
    soul: &Text,
    key: &Text,
    value: &Value,
    state: State,
) -> Result<Value, SignError> {
    let public = keys.public().to_string();
    if owner(soul).as_ref() != Some(&public) || soul.starts_with("~@") {
        return Err(SignError::Unsignable(Excerpt::of(&soul.to_str_lossy())));
    }
    let put = Put { soul, key, value, state };
    if is_account_key(put, &public) {
        return Ok(value.clone());
    }
    if state.millis() == 0.0 {
        return Err(SignError::Unsignable(Excerpt::of("a value of state 0")));
    }
    let signature = keys.sign(&digest(put, value))?;
    let mut wrapper = String::from("{\":\":");
    value.print_to(&mut wrapper);
    wrapper.push_str(",\"~\":\"");
    wrapper.push_str(&encode_signature(&signature));
    wrapper.push_str("\"}");
    Ok(Value::Text(wrapper.into()))
}

/// Signs some values of one node in the own space.
///
/// # Errors
/// As [`sign_value`].
pub fn sign_node(
    keys: &KeyPair,
    soul: Text,
    values: impl IntoIterator<Item = (impl Into<Text>, Value)>,
    state: State,
) -> Result<NodeDelta, SignError> {
    let sign = |(key, value): (_, Value)| {
        let key: Text = Into::into(key);
        let value = sign_value(keys, &soul, &key, &value, state)?;
        Ok((key, value, state))
    };
    let entries = values.into_iter().map(sign).collect::<Result<_, SignError>>()?;
    Ok(NodeDelta { soul, entries })
}

/// The public key that owns a soul, as the text that stands there, which need not be a key.
///
/// It is what follows the first `~` up to the second character that is no letter, digit, dash or underscore; the first of
/// these two, whatever it is, counts as a point. Source: `spec/alivedb.md`, section 5, rule 4.
pub fn owner(soul: &Text) -> Option<String> {
    let mut units = soul.units().skip_while(|&unit| unit != u16::from(b'~')).skip(1).peekable();
    units.peek().filter(|&&unit| unit != u16::from(b'~'))?;
    let mut owner = String::new();
    let mut pieces = 1;
    for unit in units.take_while(|&unit| unit != u16::from(b'~')) {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') => {
                owner.push(byte.into());
            }
            _ if pieces == 2 => break,
            _ => {
                owner.push('.');
                pieces += 1;
            }
        }
    }
    (pieces == 2).then_some(owner)
}

const UNVERIFIED: Refused = refused("Unverified data.");
const NO_CERTIFICATES: Refused = refused("Certificates are not taken here.");

pub(super) const fn refused(reason: &'static str) -> Refused {
    Refused { reason }
}

/// Whether it is the one value of an account that is not signed: its public key.
fn is_account_key(put: Put<'_>, owner: &str) -> bool {
    *put.key == "pub" && put.soul.as_bytes().strip_prefix(b"~") == Some(owner.as_bytes())
}

/// Souls `~@` and `~@ALIAS`: a link says no more than its key does.
fn alias(put: Put<'_>) -> Result<Value, Refused> {
    let same = match put.value {
        Value::Link(to) if *put.soul == "~@" => {
            to.as_bytes().strip_prefix(b"~@") == Some(put.key.as_bytes())
        }
        Value::Link(to) => to == put.key,
        _ => false,
    };
    if same { Ok(put.value.clone()) } else { Err(refused("Alias not same!")) }
}

/// Souls with `#`: the key ends with the SHA-256 of the value, in base64 or hexadecimal digits.
fn content_addressed(put: Put<'_>) -> Result<(), Refused> {
    let json;
    let text = match put.value {
        Value::Text(text) => match text.as_str() {
            Some(text) => text,
            None => {
                json = text.to_str_lossy();
                &json
            }
        },
        other => {
            json = other.to_json().print();
            &json
        }
    };
    let name = put.key.as_bytes().rsplit(|&byte| byte == b'#').next().unwrap_or_default();
    let is_base64 = name == content_hash(text.as_bytes()).as_bytes();
    let is_hex = || {
        let hex = data_encoding::HEXLOWER_PERMISSIVE.decode(name);
        hex.is_ok_and(|hash| hash == sha256(text.as_bytes()))
    };
    if is_base64 || is_hex() { Ok(()) } else { Err(refused("Data hash not same as hash!")) }
}

/// What stands in place of a value in user space: `{":":value,"~":signature}`.
#[derive(Debug)]
struct Wrapper {
    value: Value,
    signature: [u8; 64],
    /// `*`: who wrote it, if not the owner.
    writer: Option<String>,
    /// `+`: what allows him to.
    certificate: Option<Json>,
}

impl Wrapper {
    fn parse(stored: &Value) -> Result<Self, Refused> {
        let Value::Text(text) = stored else { return Err(UNVERIFIED) };
        let json = text.as_str().and_then(|text| Json::parse(text).ok()).ok_or(UNVERIFIED)?;
        let value = json.member(":").and_then(|value| Value::from_json(value).ok());
        let signature = json.member("~").and_then(Json::as_text).and_then(Text::as_str);
        let writer = match json.member("*") {
            None => None,
            Some(writer) => {
                Some(writer.as_text().and_then(Text::as_str).ok_or(UNVERIFIED)?.to_owned())
            }
        };
        Ok(Self {
            value: value.ok_or(UNVERIFIED)?,
            signature: signature.and_then(decode_signature).ok_or(UNVERIFIED)?,
            writer,
            certificate: json.member("+").cloned(),
        })
    }

    fn is_signed(&self, put: Put<'_>, key: &PublicKey) -> bool {
        put.state.millis() != 0.0 && key.verify(&digest(put, &self.value), &self.signature)
    }
}

/// What the signature of a value in user space covers: its place and time, too, so that it cannot be copied elsewhere.
/// Source: `spec/alivedb.md`, section 5.1.
fn digest(put: Put<'_>, value: &Value) -> [u8; 32] {
    let mut text = String::with_capacity(256);
    text.push_str("{\"#\":");
    print_text(put.soul, &mut text);
    text.push_str(",\".\":");
    print_text(put.key, &mut text);
    text.push_str(",\":\":");
    value.print_to(&mut text);
    text.push_str(",\">\":");
    print_number(put.state.millis(), &mut text);
    text.push('}');
    sha256(text.as_bytes())
}

#[cfg(test)]
mod tests;
