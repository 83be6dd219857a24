//! Block headers: [`BlockHeader`], its extensions, and the [`SignedHeader`] that gives id and signing key.
//!
//! Source: `spec/hive.md`, section 5.1.

use std::{fmt, str::FromStr};

use alive_core::Excerpt;
use serde_json::{Value, json};
use sha2::{Digest, Sha224, Sha256};

use crate::{
    block_id::BlockId,
    hex_text::serde_as_text,
    json_form::{JsonError, JsonReason, Object, items, pair, text},
    keys::{PrivateKey, PublicKey},
    merkle::MerkleRoot,
    serialize::{Pack, Packer},
    signature::{RecoverRule, RecoverableSignature, SignAlgorithm, SignatureError},
    time::TimePoint,
};

/// Version of the chain's software: three numbers with points.
///
/// ```
/// use alive_hive::ChainVersion;
/// let version: ChainVersion = "1.28.0".parse()?;
/// assert_eq!((version.major, version.hardfork, version.revision), (1, 28, 0));
/// # Ok::<(), alive_hive::ChainVersionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainVersion {
    /// Major version.
    pub major: u8,
    /// Hard fork.
    pub hardfork: u8,
    /// Revision.
    pub revision: u16,
}
serde_as_text!(ChainVersion);

impl ChainVersion {
    fn as_u32(self) -> u32 {
        u32::from(self.major) << 24 | u32::from(self.hardfork) << 16 | u32::from(self.revision)
    }
}

impl fmt::Display for ChainVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.hardfork, self.revision)
    }
}

impl FromStr for ChainVersion {
    type Err = ChainVersionError;

    fn from_str(text: &str) -> Result<Self, ChainVersionError> {
        let refuse = || ChainVersionError(Excerpt::of(text));
        let mut parts = text.split('.');
        let mut part = || {
            let part = parts.next().ok_or_else(refuse)?;
            let digits = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| digits).ok_or_else(refuse)
        };
        let (major, hardfork, revision) = (part()?, part()?, part()?);
        let byte = |number| u8::try_from(number).map_err(|_| refuse());
        match parts.next() {
            None => Ok(Self { major: byte(major)?, hardfork: byte(hardfork)?, revision }),
            Some(_) => Err(refuse()),
        }
    }
}

/// The text is no [`ChainVersion`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no version of the form 1.28.0")]
pub struct ChainVersionError(Excerpt);

/// What a witness adds to a header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderExtension {
    /// A vote for a hard fork.
    HardforkVote {
        /// Version of the hard fork.
        version: ChainVersion,
        /// When it should happen.
        time: TimePoint,
    },
    /// One that this crate does not know. The bytes of such a header cannot be made, so its id cannot be checked.
    Unknown(Value),
    /// The version that the witness runs.
    Version(ChainVersion),
    /// Nothing.
    Void,
}

impl HeaderExtension {
    const VOID: &str = "void_t";
    const VERSION: &str = "version";
    const HARDFORK_VOTE: &str = "hardfork_version_vote";

    /// Reads an extension; never fails, since what is not understood is kept as it is.
    pub(crate) fn from_json(value: &Value) -> Self {
        Self::read(value).unwrap_or_else(|_| Self::Unknown(value.clone()))
    }

    fn read(value: &Value) -> Result<Self, JsonError> {
        let (kind, body) = if value.is_array() {
            pair(value, "an array of a number and a value")?
        } else {
            let object = Object::of(value)?;
            (object.read("type", Ok)?, object.read("value", Ok)?)
        };
        let version = |value| {
            let refuse = |_| JsonError::from(JsonReason::Expected("a version"));
            text(value)?.parse::<ChainVersion>().map_err(refuse)
        };
        match (kind.as_str(), kind.as_u64()) {
            (Some(Self::VOID), _) | (_, Some(0)) => Ok(Self::Void),
            (Some(Self::VERSION), _) | (_, Some(1)) => version(body).map(Self::Version),
            (Some(Self::HARDFORK_VOTE), _) | (_, Some(2)) => {
                let body = Object::of(body)?;
                let time = |value| Ok(text(value)?.parse::<TimePoint>()?);
                Ok(Self::HardforkVote {
                    version: body.read("hf_version", version)?,
                    time: body.read("hf_time", time)?,
                })
            }
            _ => Err(JsonReason::Expected("a known extension").into()),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Void => json!({ "type": Self::VOID, "value": {} }),
            Self::Version(version) => json!({ "type": Self::VERSION, "value": version }),
            Self::HardforkVote { version, time } => json!({
                "type": Self::HARDFORK_VOTE,
                "value": { "hf_version": version, "hf_time": time },
            }),
            Self::Unknown(value) => value.clone(),
        }
    }

    fn pack(&self, to: &mut Packer) -> Result<(), HeaderError> {
        match self {
            Self::Void => to.varint(0),
            Self::Version(version) => {
                to.varint(1);
                to.raw(&version.as_u32().to_le_bytes());
            }
            Self::HardforkVote { version, time } => {
                to.varint(2);
                to.raw(&version.as_u32().to_le_bytes());
                to.raw(&time.as_unix_secs().to_le_bytes());
            }
            Self::Unknown(_) => return Err(HeaderError::UnknownExtension),
        }
        Ok(())
    }
}

/// What a witness signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Id of the block before.
    pub previous: BlockId,
    /// When the block was made, on the chain's grid of 3 seconds.
    pub timestamp: TimePoint,
    /// Who made it.
    pub witness: String,
    /// Hash over the transactions.
    pub transaction_merkle_root: MerkleRoot,
    /// What the witness adds.
    pub extensions: Vec<HeaderExtension>,
}

impl BlockHeader {
    /// The block's number: one more than that of the block before.
    pub fn block_num(&self) -> u32 {
        self.previous.block_num().wrapping_add(1)
    }

    /// The binary form.
    ///
    /// # Errors
    /// [`HeaderError::UnknownExtension`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, HeaderError> {
        let mut to = Packer::new(Pack::Legacy);
        to.raw(self.previous.as_bytes());
        to.raw(&self.timestamp.as_unix_secs().to_le_bytes());
        to.text(&self.witness);
        to.raw(self.transaction_merkle_root.as_bytes());
        to.count(self.extensions.len());
        self.extensions.iter().try_for_each(|extension| extension.pack(&mut to))?;
        Ok(to.bytes)
    }

    /// What the witness signs. It does not depend on the chain.
    ///
    /// # Errors
    /// [`HeaderError::UnknownExtension`].
    pub fn digest(&self) -> Result<[u8; 32], HeaderError> {
        Ok(Sha256::digest(self.to_bytes()?).into())
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`HeaderError::UnknownExtension`].
    pub fn sign(self, key: &PrivateKey) -> Result<SignedHeader, HeaderError> {
        let digest = self.digest()?;
        let witness_signature = RecoverableSignature::sign(&digest, key, SignAlgorithm::Dhive);
        Ok(SignedHeader { header: self, witness_signature })
    }

    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        Ok(Self {
            previous: object.read("previous", |value| Ok(text(value)?.parse::<BlockId>()?))?,
            timestamp: object.read("timestamp", |value| Ok(text(value)?.parse::<TimePoint>()?))?,
            witness: object.read("witness", |value| text(value).map(String::from))?,
            transaction_merkle_root: object
                .read("transaction_merkle_root", |value| Ok(text(value)?.parse::<MerkleRoot>()?))?,
            extensions: object.read("extensions", |value| {
                items(value, |item| Ok(HeaderExtension::from_json(item)))
            })?,
        })
    }
}

/// A header with the signature of its witness.
///
/// ```
/// use alive_hive::{KeyPrefix, SignedHeader};
/// let header = SignedHeader::from_json(&serde_json::json!({
///     "previous": "000f423f974857674873d93d1909e0eeb7e4916e",
///     "timestamp": "2016-04-29T04:12:00",
///     "witness": "abit",
///     "transaction_merkle_root": "0000000000000000000000000000000000000000",
///     "extensions": [],
///     "witness_signature": "1f72bd3f4b06e7dc6b156729f0fd7873163814972eecea9d77cb29bae11d0fea38\
///         65c814d11a58e818c2494ce19f4c3d4c3e17eab3b1465ebccb102c52c56472c0",
/// }))?;
/// assert_eq!(header.block_id()?.to_string(), "000f4240e8f91385f7bff8f5aeebddc9b14e4281");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// What is signed.
    pub header: BlockHeader,
    /// The witness's signature.
    pub witness_signature: RecoverableSignature,
}

impl SignedHeader {
    /// Reads a header, or the header of a block.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault. An extension that is not understood is no error.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let header = BlockHeader::from_json(value)?;
        let witness_signature = Object::of(value)?
            .read("witness_signature", |value| Ok(text(value)?.parse::<RecoverableSignature>()?))?;
        Ok(Self { header, witness_signature })
    }

    /// Writes it, as `block_api.get_block_header` and every block show it.
    pub fn to_json(&self) -> Value {
        let header = &self.header;
        json!({
            "previous": header.previous,
            "timestamp": header.timestamp,
            "witness": header.witness,
            "transaction_merkle_root": header.transaction_merkle_root,
            "extensions": header.extensions.iter().map(HeaderExtension::to_json).collect::<Vec<_>>(),
            "witness_signature": self.witness_signature,
        })
    }

    /// The block's id: hash of header and signature, with the block's number in front.
    ///
    /// # Errors
    /// [`HeaderError::UnknownExtension`].
    pub fn block_id(&self) -> Result<BlockId, HeaderError> {
        let hash = Sha224::new_with_prefix(self.header.to_bytes()?)
            .chain_update(self.witness_signature.as_bytes())
            .finalize();
        let mut id = [0; 20];
        id.copy_from_slice(hash.split_at(20).0);
        Ok(BlockId::numbered(self.header.block_num(), id))
    }

    /// The key that signed the block.
    ///
    /// # Errors
    /// [`HeaderError`] if the digest cannot be made or no key fits the signature.
    pub fn signing_key(&self) -> Result<PublicKey, HeaderError> {
        Ok(self.witness_signature.recover(&self.header.digest()?, RecoverRule::Hived)?)
    }
}

/// Why id or signing key of a header cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No key fits the witness's signature.
    #[error("witness_signature: {0}")]
    Signature(#[from] SignatureError),
    /// An extension is unknown, so the header's bytes are, too. The block may be right; it cannot be checked.
    #[error("the header has an extension of an unknown kind")]
    UnknownExtension,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn header(extensions: &Value) -> BlockHeader {
        BlockHeader::from_json(&json!({
            "previous": "000f423f974857674873d93d1909e0eeb7e4916e",
            "timestamp": "2016-04-29T04:12:00",
            "witness": "abit",
            "transaction_merkle_root": "0000000000000000000000000000000000000000",
            "extensions": extensions,
        }))
        .unwrap()
    }

    #[test]
    fn known_extensions_are_packed_after_their_count() {
        let header = header(&json!([
            { "type": "version", "value": "1.28.3" },
            { "type": "hardfork_version_vote", "value": { "hf_version": "1.28.0", "hf_time": "1970-01-01T00:00:01" } },
        ]));
        let bytes = header.to_bytes().unwrap();
        let tail = [2, 1, 3, 0, 28, 1, 2, 0, 0, 28, 1, 1, 0, 0, 0];
        assert!(bytes.ends_with(&tail), "{bytes:?}");
    }

    #[rstest]
    #[case(json!({ "type": "required_actions", "value": [] }))]
    #[case(json!({ "type": "version", "value": "1.28" }))]
    #[case(json!([9, {}]))]
    #[case(json!(null))]
    fn an_unknown_extension_is_kept_and_only_stops_the_check(#[case] extension: Value) {
        let header = header(&json!([extension]));
        assert_eq!(header.extensions, [HeaderExtension::Unknown(extension)]);
        assert_eq!(header.digest(), Err(HeaderError::UnknownExtension));
        assert_eq!(header.block_num(), 1_000_000);
    }

    #[test]
    fn a_signed_header_tells_its_signer_and_survives_json() {
        let key = PrivateKey::from_bytes(&[4; 32]).unwrap();
        let signed = header(&json!([[1, "0.1.0"]])).sign(&key).unwrap();
        assert_eq!(signed.signing_key(), Ok(key.public_key()));
        assert_eq!(SignedHeader::from_json(&signed.to_json()), Ok(signed));
    }

    #[rstest]
    #[case("")]
    #[case("1.2")]
    #[case("1.2.3.4")]
    #[case("256.0.0")]
    #[case("1.+2.3")]
    #[case("1.2.65536")]
    fn a_text_that_is_no_version_is_refused(#[case] text: &str) {
        assert!(text.parse::<ChainVersion>().is_err());
    }
}
